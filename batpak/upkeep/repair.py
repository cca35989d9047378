"""Give up what is damaged, and everything behind it: the only code that may shorten a log.

    look     verify; walk the log up to the first thing that does not verify
    keep     everything behind that is copied to `quarantine/`, durably
    cut      the last file gets its end, and a record of what was given up, by one replacement
    forget   the files behind it; then HEAD says where the log ends

A file that compaction has written says itself where it ends, and may have stubs, which no other
file may. So it is written anew up to the cut, as such a file; the record begins the next one.

Nothing is put in order, nothing damaged is skipped. Until the last step an open refuses the log, or
finds it cut with the record at its end; a repair that was stopped is begun anew.
Reference: docs/how-to/repair-a-store.md.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from batpak import wire
from batpak.commit.clamps import Clamps
from batpak.commit.judge import Judge
from batpak.commit.request import Request
from batpak.commit.stage import Stage
from batpak.commit.unit import Unit as Group
from batpak.config import Durability
from batpak.coordinate import LIFECYCLE
from batpak.digest import ZERO_HASH
from batpak.disk.seam import Directory, StrPath
from batpak.disk.whole import read_all
from batpak.errors import CorruptStore, StorageFailed
from batpak.event import framed_name
from batpak.index.row import NO_ROW, EntityHead
from batpak.index.table import Table
from batpak.index.tail import Tail
from batpak.journal import frame, head, header, layout, scan
from batpak.journal.chain import Chain, Placed, link_fault
from batpak.journal.frame import Frame
from batpak.journal.head import Head
from batpak.journal.header import Ends, Header, Link
from batpak.journal.rewritten import Rewritten, header_of
from batpak.journal.scan import Scan, Unit
from batpak.journal.segment import Segments, Tip
from batpak.kind import COMPACTED
from batpak.payload import EventPayload
from batpak.platform import REAL, Platform
from batpak.record import EVENT, pack_name
from batpak.recovery import decide
from batpak.recovery.decide import Recorded
from batpak.recovery.restore import is_store
from batpak.report import Finding, Progress, RepairReport
from batpak.system import Repaired
from batpak.upkeep.removals import Removals
from batpak.upkeep.verify import Look, look, verify_log

_Heads = dict[str, tuple[int, bytes]]


def repair(
    path: StrPath,
    *,
    accept_loss: bool = False,
    progress: Progress | None = None,
    platform: Platform = REAL,
) -> RepairReport:
    """Say what of a damaged store would have to be given up; with consent, give it up.

    What is kept is the longest beginning of the log in which everything verifies. What lies behind
    it goes to `quarantine/` and is never deleted. Notes that were taken there report ROLLED_BACK
    from then on. Without damage nothing is done; without consent nothing is changed. Checkpoints
    are left as they are: `Store.reset_cursor` is for those.

    Args:
        path: Of the directory. Nobody may have it open.
        accept_loss: Whether events may be given up.
        progress: Told every few MiB how many bytes are verified, of how many.
        platform: The world; tests replace it.

    Raises:
        StoreLocked: Another handle holds the directory.
        StorageFailed: The system refused, or there is no store. It may be repeated.
        CorruptStore: Not even the first file says whose it is: there is nothing to keep.
        FutureVersion: Something is newer than this code, which is no damage.
        InvalidArgument: No path, or a store of format version 1.
    """
    with closing(layout.enter(platform, path, create=False)) as directory:
        if not is_store(directory):  # asked first: to lock would leave a file
            raise StorageFailed("open", directory.path, errno.ENOENT, "there is no store here")
        lock = layout.lock(directory, platform.pid(), shared=not accept_loss)
        try:
            seen = look(directory)
            return _Repair(directory, seen, platform, progress).run(accept_loss=accept_loss)
        finally:
            if lock is not None:
                lock.release()


def foresee(directory: Directory, seen: Look, platform: Platform) -> RepairReport | None:
    """What a repair would do to a directory whose lock is held; None: it could keep nothing."""
    try:
        return _Repair(directory, seen, platform).run(accept_loss=False)
    except CorruptStore:
        return None


class _Kept(NamedTuple):
    """The last file that is kept, and how much of it."""

    header: Header
    data: bytes
    end: int
    last: Placed | None  # event of the log
    start: Recorded  # of its frames

    @property
    def is_whole(self) -> bool:
        """Whether compaction has written it, and all of it is kept."""
        sealed = self.header.sealed
        return sealed is not None and sealed.frames_end == self.end


class _Last(NamedTuple):
    """The file in which the log will end: what is before the record."""

    header: Header
    data: bytes
    tip: Tip


class _Lost(Struct):
    """What there is behind the end."""

    files: list[int]
    sequence: int  # no less than this was due there, as what is left says
    size: int = 0


class _Repair:
    def __init__(
        self,
        directory: Directory,
        seen: Look,
        platform: Platform,
        progress: Progress | None = None,
    ) -> None:
        self._directory, self._seen, self._platform = directory, seen, platform
        self._progress = progress
        self._heads: _Heads = {}
        self._removals = Removals()  # of what is kept

    def run(self, *, accept_loss: bool) -> RepairReport:
        seen = self._seen._replace(checkpoints={})  # those are not of the log, and are reset
        verified = verify_log(self._directory, seen, progress=self._progress)
        if verified.ok:
            return RepairReport(path=self._directory.path, events=verified.events)
        kept = self._walk()
        if kept is None:
            verified.raise_for_damage()
            raise CorruptStore(
                self._directory.path, 0, verified.findings[0].reason, "no first file"
            )
        tip = _tip(kept)
        lost = self._behind(kept, tip)
        moved = self._act(kept, tip, lost, verified.findings[0]) if accept_loss else ()
        return RepairReport(
            path=self._directory.path,
            finding=verified.findings[0],
            events=tip.sequence,
            cut=layout.path_of(self._directory, layout.segment_name(kept.header.segment_id)),
            offset=kept.end,
            first_lost=tip.sequence if lost.sequence > tip.sequence else None,
            last_lost=lost.sequence - 1 if lost.sequence > tip.sequence else None,
            size=lost.size,
            quarantine=moved,
            repaired=accept_loss,
        )

    # ------------------------------------------------------------------------------------ looking

    def _walk(self) -> _Kept | None:
        """Go through the files as far as everything in them verifies."""
        kept: _Kept | None = None
        chain = Chain(b"", hashed=True)
        for number in self._seen.found.segments:
            if decide.is_leftover(number, None if kept is None else kept.header):
                continue
            ends = self._ends(number)
            if ends is None or not self._continues(ends, number, kept):
                break
            current = ends.header
            chain.store_id, chain.stubs = current.store_id, current.replaces is not None
            data = self._bytes(number)
            start = Recorded(ends.start, chain.chain_head, chain.sequence)
            walk = Scan(data, ends.start, len(data), frame.seed(current), chain)
            end, last = ends.start, None if kept is None else kept.last
            for unit in walk:
                if not self._take(unit, number, data):
                    return _Kept(current, data, end, last, start)
                end, last = unit[-1].end, unit[-1]
            kept = _Kept(current, data, end, last, start)
            if walk.open_unit:
                break
        return kept

    def _ends(self, number: int) -> Ends | None:
        try:
            return header.read(self._directory, layout.segment_name(number))
        except CorruptStore:
            return None

    def _continues(self, ends: Ends, number: int, kept: _Kept | None) -> bool:
        """Whether a file is the one behind what is kept, and all of that is there."""
        before = None if kept is None else kept.header
        if decide.link(ends.header, number, before) is not None:
            return False
        if kept is None:
            return True
        due = _tip(kept)
        recorded = decide.recorded(kept.header, ends.header, None)
        return recorded == Recorded(due.end, due.chain_head, due.sequence)

    def _take(self, unit: Unit, number: int, data: bytes) -> bool:
        """Check the links inside entities; take in a unit if all of them hold."""
        changed: _Heads = {}
        for found in unit:
            entity = found.entity
            due = changed.get(entity) or self._heads.get(entity, (0, ZERO_HASH))
            if link_fault(found, *due) is not None:
                return False
            changed[entity] = found.version, found.event_hash
        self._heads.update(changed)
        for found in unit:
            if found.type != EVENT:
                name = layout.segment_name(number)
                self._removals.take(found.type, found.sequence, found.offset, name)
            elif found.kind == COMPACTED:
                self._removals.record(data[found.end - found.size : found.end])
        return True

    def _behind(self, kept: _Kept, tip: Tip) -> _Lost:
        """What lies behind the end, and the largest sequence that anything there testifies."""
        number = kept.header.last_id if kept.is_whole else kept.header.segment_id
        lost = _Lost([n for n in self._seen.found.segments if n > number], tip.sequence)
        state = self._seen.state
        if isinstance(state, Head):
            lost.sequence = max(lost.sequence, state.next_sequence)
        lost.size = _content_end(kept) - kept.end
        lost.sequence = max(
            lost.sequence, *_numbers(kept.header, kept.data, kept.end, tip.sequence)
        )
        for later in lost.files:
            lost.size += self._seen.found.segments[later]
            ends = self._ends(later)
            if ends is not None and ends.header.store_id == kept.header.store_id:
                first, data = ends.header.first_sequence, self._bytes(later)
                lost.sequence = max(lost.sequence, *_numbers(ends.header, data, ends.start, first))
        return lost

    def _bytes(self, number: int) -> bytes:
        """A whole file. It is not mapped: a bad sector would end the process."""
        name = layout.segment_name(number)
        path = layout.path_of(self._directory, name)
        with layout.asking("read", path), closing(self._directory.open(name)) as file:
            return read_all(file, 0, file.size())

    # ------------------------------------------------------------------------------------- acting

    def _act(self, kept: _Kept, tip: Tip, lost: _Lost, finding: Finding) -> tuple[str, ...]:
        """Do it. Each step can be cut short, and all of them repeated."""
        directory, number = self._directory, kept.header.segment_id
        end = _content_end(kept)
        moved: list[str] = []
        if end > kept.end:
            data = memoryview(kept.data)[kept.end : end]
            moved.append(layout.quarantine(directory, number, kept.end, data))
        moved += [
            layout.quarantine(directory, later, 0, memoryview(self._bytes(later)))
            for later in lost.files
        ]
        fact = Repaired(
            file=layout.segment_name(number),
            offset=kept.end,
            events=lost.sequence - tip.sequence,
            size=lost.size,
            detail=finding.detail,
        )
        last = self._last(kept, tip)
        number = last.header.segment_id
        frames, after = self._record(last, fact)
        layout.replace(directory, layout.segment_name(number), last.data + frames)
        self._forget([later for later in lost.files if later != number])
        head.write(
            directory,
            Head(
                last.header.store_id,
                head.OPEN,
                number,
                after.end,
                after.sequence,
                after.chain_head,
                self._platform.wall_ns(),
            ),
        )
        return tuple(moved)

    def _forget(self, files: list[int]) -> None:
        """Take away the names of what was moved: the newest first, so that none is left over."""
        for number in reversed(files):
            with layout.asking("remove", self._directory.path):
                self._directory.unlink(layout.segment_name(number))
        with layout.asking("sync", self._directory.path):
            self._directory.sync()

    def _last(self, kept: _Kept, tip: Tip) -> _Last:
        """The file that will have the record; what compaction has written is cut before."""
        current, links = kept.header, kept.header.replaces
        if links is None:
            return _Last(current, kept.data[: kept.end], tip)
        number, prev = current.segment_id, current.prev
        if kept.end > kept.start.frames_end:
            if not kept.is_whole:
                links = [*links[:-1], Link(current.last_id, kept.end, tip.chain_head)]
                self._rewrite(kept, links, tip)
            number, prev = current.last_id + 1, links[-1]
            current = replace(current, origin=None, epoch=0)
        data = header.encode(
            store_id=current.store_id,
            segment_id=number,
            created_ns=self._platform.wall_ns(),
            first_sequence=tip.sequence,
            salt=self._platform.entropy(header.SALT_BYTES),
            prev=prev,
            epoch=current.epoch,
            origin=current.origin,
        )
        made, start = header.decode(data, layout.segment_name(number))
        return _Last(made, data, replace(tip, end=start))

    def _rewrite(self, kept: _Kept, links: list[Link], tip: Tip) -> None:
        """Put what is kept of a file that compaction has written in its place.

        It goes on standing for the same files, so leftovers of those stay what they are. Until the
        file behind it goes on from there, an open refuses the log.
        """
        directory, current, at = self._directory, kept.header, kept.start.frames_end
        data = header_of(
            current,
            replaces=links,
            frames=kept.end - at,
            next_sequence=tip.sequence,
            epoch=current.epoch,
            created_ns=self._platform.wall_ns(),
            salt=self._platform.entropy(header.SALT_BYTES),
        )
        records: list[bytes] = []
        while at < kept.end:
            begin = at + frame.PREFIX_BYTES
            at = begin + frame.unpack_prefix(kept.data, at)[0]
            records.append(kept.data[begin:at])
        with layout.asking("replace", layout.path_of(directory, layout.segment_name(links[0][0]))):
            fresh = Rewritten(directory, data)
            try:
                fresh.add(records)
                fresh.end_frames()
                fresh.finish(())
                fresh.publish()
            except BaseException:
                fresh.abandon()
                raise
            directory.sync()

    def _record(self, last: _Last, fact: Repaired) -> tuple[bytes, Tip]:
        """The frame of the record, as a commit would write it, and the end behind it.

        Where events are gone and what announced that is given up, it is announced once more.
        """
        platform, entity, tip = self._platform, LIFECYCLE.entity, last.tip
        tail = Tail(last.header.segment_id, tip.sequence, tip.end, platform.raw_lock)
        version, event_hash = self._heads.get(entity, (0, ZERO_HASH))
        name, framed = pack_name(entity), framed_name(entity.encode())
        tail.heads[entity] = EntityHead(version, event_hash, -1, NO_ROW, name, framed)
        segments, level = Segments(), Durability.COMMIT
        table = Table(segments, [], tail)
        stage = Stage(
            UUID(bytes=last.header.store_id),
            table,
            Judge(table, segments, level),
            level,
            platform.wall_ns,
            platform.entropy,
            Clamps(platform.monotonic_ns, {"path": self._directory.path}),
        )
        facts: list[EventPayload] = [fact]
        unrecorded = self._removals.missing()
        if unrecorded is not None:
            facts.append(unrecorded)
        requests = [Request(LIFECYCLE, wire.encode(one)) for one in facts]
        groups = [Group((request,), platform.thread_id()) for request in requests]
        plan = stage.plan(groups, tip, frame.seed(last.header), True)
        return plan.data, plan.tip


def _content_end(kept: _Kept) -> int:
    """Where a file ends, less zeros; one that stays as it is ends where its frames do."""
    return kept.end if kept.is_whole else scan.content_end(kept.data, kept.end)


def _tip(kept: _Kept) -> Tip:
    """Where the log ends with what is kept."""
    last = kept.last
    if last is None:
        start = kept.start
        return Tip(0, start.chain_head, 0, -1, 0, kept.end, 0)
    sequence = last.sequence + 1
    return Tip(
        sequence, last.event_hash, last.wall_ms, last.counter, last.id_hi, kept.end, sequence
    )


def _numbers(current: Header, data: bytes, start: int, sequence: int) -> Iterator[int]:
    """The sequence behind each frame that can be found there, in whatever order they are."""
    yield sequence
    seed, offset = frame.seed(current), start
    while True:
        body = frame.body_at(data, offset, len(data), offset, seed)
        if not isinstance(body, bytes):
            break
        found = frame.decode(body)
        if isinstance(found, Frame):
            yield found.sequence + 1
        offset += 8 + len(body)
    for later in scan.later_frames(data, offset, len(data), seed, sequence):
        testimony = None if later is None else frame.decode(later[1])
        if isinstance(testimony, Frame):
            yield testimony.sequence + 1
