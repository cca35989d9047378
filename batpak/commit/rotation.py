"""From one file to the next, and the end of the last one: the order of syncs.

    prepare    the new file's header and the HEAD that names it, both whole, under temporary names
    publish    both get their names; each step durable before the next
    switch     the new file is the newest: for readers, for the index, for whoever writes
    end        cut to size, sync, a clean HEAD, a footer

Every step may be repeated, so a rotation that was cut short is begun again.
Reference: docs/reference/file-format.md, "Rotation".
"""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from batpak.commit.sealer import Complete, Sealer, seal
from batpak.config import StoreConfig
from batpak.disk.seam import Directory, Lock
from batpak.errors import CorruptStore
from batpak.faults import Damage
from batpak.index.table import Table
from batpak.index.tail import Tail
from batpak.journal import head, header, layout
from batpak.journal.active import ActiveFile
from batpak.journal.head import Head
from batpak.journal.segment import Segment, Segments, Tip
from batpak.platform import Platform
from batpak.recovery.footer import FOOTER_BYTES_MIN


class Turn(Struct, frozen=True):
    """A new file that has its name, and is not the newest for everybody yet."""

    segment: Segment
    active: ActiveFile
    tail: Tail
    old: Complete


class Rotation:
    """The newest file of a log, and how the next one begins.

    Args:
        directory: Of the store.
        lock: Held on it.
        segments: All of the log.
        table: Its index.
        active: The newest file, for writing.
        store_id: Its identity.
        config: Of the handle.
        platform: The world.
    """

    def __init__(
        self,
        directory: Directory,
        lock: Lock,
        segments: Segments,
        table: Table,
        active: ActiveFile,
        store_id: UUID,
        config: StoreConfig,
        platform: Platform,
    ) -> None:
        self._directory, self._platform, self._config = directory, platform, config
        self._lock: Lock | None = lock
        self._segments, self._table = segments, table
        self._store_id = store_id.bytes
        self.active, self.newest = active, segments.newest
        self._turn: Turn | None = None
        self._from: Tip | None = None  # where the log stood when the last rotation was begun
        self._next = b""  # header of the file that is being made
        self._sealer = Sealer(table, platform)
        self._lock_factory = platform.raw_lock

    @property
    def holds_lock(self) -> bool:
        """Whether the lock that was taken is still the lock of this directory."""
        return self._lock is not None and self._lock.intact()

    def begun(self, tip: Tip) -> bool:
        """Whether a rotation at this end of the log was cut short.

        The next file may have its name already. It is over when the log has another end: whoever
        asks takes that over in one step, so nothing can come between.
        """
        return self._from == tip

    def prepare(self, tip: Tip) -> None:
        """Write the next file and HEAD under temporary names; the log is durable already.

        Raises:
            StorageFailed: The system refused; nothing changed.
        """
        if self._turn is not None and self.begun(tip):
            return
        self._turn = None
        self._from = tip
        old = self.newest.header
        self._next = header.encode(
            store_id=self._store_id,
            segment_id=old.segment_id + 1,
            created_ns=self._platform.wall_ns(),
            first_sequence=tip.sequence,
            salt=self._platform.entropy(header.SALT_BYTES),
            prev=header.Link(old.segment_id, tip.end, tip.chain_head),
        )
        name = layout.segment_name(old.segment_id + 1)
        layout.prepare(self._directory, name, self._next)
        state = self._head(old.segment_id + 1, len(self._next), tip)
        layout.prepare(self._directory, layout.HEAD, head.encode(state))

    def publish(self, tip: Tip) -> None:
        """Give both their names.

        Raises:
            StorageFailed: The system refused; which names exist is not known.
        """
        if self._turn is not None:
            return
        number = self.newest.header.segment_id + 1
        name = layout.segment_name(number)
        layout.publish(self._directory, name)
        layout.publish(self._directory, layout.HEAD)
        decoded, start = header.decode(self._next, name)
        segment = Segment(self._directory, decoded, start, start, trusted=True)
        active = ActiveFile(self._directory, segment, self._config)
        tail = Tail(number, decoded.first_sequence, start, self._platform.raw_lock)
        tail.holds = segment
        old = Complete(self._table.tail, self.newest, self.active, tip)
        self._turn = Turn(segment, active, tail, old)

    def switch(self, tip: Tip) -> Tip:
        """Make the new file the newest, hand the old one to the sealer, return the new end."""
        turn = self._turn
        if turn is None:
            return tip
        if self._segments.newest is not turn.segment:
            self._segments.add(turn.segment)
        if self._table.tail is not turn.tail:
            self._table.rotate(turn.tail)
            self._sealer.take(turn.old)
        self.active, self.newest = turn.active, turn.segment
        return replace(tip, end=turn.segment.start)

    def seal_all(self) -> None:
        """Return once every complete file has its footer, as far as that can be."""
        self._sealer.finish()

    def forget(self) -> None:
        """Let go of the old file: the new end of the log was taken over."""
        self._turn, self._from = None, None

    def end(self, tip: Tip) -> None:
        """Close the newest file in order. Everything is durable already.

        Raises:
            CorruptStore: The file is shorter than what was written to it.
            StorageFailed: The system refused. The next open treats the store as not closed.
        """
        newest = self.newest
        self._sealer.stop(self._config.limits.close_timeout_s)
        with layout.asking("measure", newest.path):
            size = self.active.size()
        if size < tip.end:
            detail = "the file is shorter than what was written to it"
            raise CorruptStore(newest.path, size, Damage.SEGMENT, detail)
        with layout.asking("cut", newest.path):
            self.active.cut(tip.end)
        state = self._head(newest.header.segment_id, tip.end, tip, head.CLEAN)
        head.write(self._directory, state)
        if tip.end >= FOOTER_BYTES_MIN:
            with layout.asking("write", newest.path):
                tail = self._table.tail
                tail.freeze()
                seal(Complete(tail, newest, self.active, tip), self._table, self._lock_factory)

    def _head(self, segment_id: int, frames_end: int, tip: Tip, state: int = head.OPEN) -> Head:
        return Head(
            self._store_id,
            state,
            segment_id,
            frames_end,
            tip.sequence,
            tip.chain_head,
            self._platform.wall_ns(),
        )

    def close(self) -> None:
        """Give the file back."""
        self._sealer.stop(self._config.limits.close_timeout_s)
        self.active.close()

    def abandon(self) -> None:
        """Close the file and let go of the lock, which is its giver's to release."""
        self._lock = None
        self._sealer.abandon()
        self.active.close()
