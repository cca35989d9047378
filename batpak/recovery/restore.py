"""From the files of a directory to an open store.

    1  list the names; read HEAD and every header          facts
    2  judge names, links and HEAD                         `decide`
    3  sealed files: their footers; without one, their frames
       the newest file: scan it into the index             facts
       what compaction has replaced is not looked at
    4  judge what the scan has found                       `decide`
    5  writing only: quarantine what is torn, copy the newest file of a store that was not closed
       to a new inode, remove leftovers, write HEAD as "open"

A reader stops after 4 and leaves out what is torn. Each act of 5 can be cut short and repeated.
The copy is for the case that a sync failed before the stop: the cached pages may look well and not
be on the disk.
"""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batpak import registry
from batpak.digest import HASH_BYTES
from batpak.disk.seam import Directory
from batpak.errors import StorageFailed
from batpak.faults import Damage
from batpak.index import query, sidx
from batpak.index.row import Part
from batpak.index.sealed import Sealed
from batpak.index.table import Table
from batpak.index.tail import Tail
from batpak.journal import frame, head, header, layout, scan
from batpak.journal.chain import Chain, Placed, link_fault, placed
from batpak.journal.frame import Fault, Frame
from batpak.journal.head import Head
from batpak.journal.header import Ends
from batpak.journal.scan import Scan, Stop, Unit
from batpak.journal.segment import Segment, Segments, Tip
from batpak.platform import Platform
from batpak.record import EVENT_HASH_AT
from batpak.recovery import decide, footer
from batpak.recovery.decide import Facts, Found, Recorded, Refuse, TornAt
from batpak.recovery.ends import ends_of, refusal
from batpak.recovery.footer import FOOTER_BYTES_MIN
from batpak.report import Torn

log: Final = logging.getLogger("batpak.recovery")


class Recovered(Struct):
    """An open log, and what the report says of it."""

    store_id: bytes
    segments: Segments
    table: Table
    tip: Tip
    clean: bool
    scanned_bytes: int = 0
    torn: Torn | None = None
    dropped_batch_items: int = 0
    rebuilt: tuple[str, ...] = ()
    ignored_files: tuple[str, ...] = ()
    removed_files: tuple[str, ...] = ()

    @property
    def unknown_kinds(self) -> dict[int, int]:
        """Kinds that no imported class reads, and how many events have them."""
        counts: Counter[int] = Counter()
        for part, low, high in self.table.spans(0, self.table.bound):
            counts.update(query.kind_counts(part, low, high))
        return {
            kind: count for kind, count in sorted(counts.items()) if registry.lookup(kind) is None
        }


def is_store(directory: Directory) -> bool:
    """Whether there is anything of a store in a directory.

    Raises:
        StorageFailed: The system refused.
    """
    found = layout.listing(directory)
    return found.has_head or bool(found.segments)


def restore(
    directory: Directory, platform: Platform, *, writable: bool, files_max: int
) -> Recovered:
    """Open the log of a directory, or create it there. The caller holds the lock.

    Raises:
        CorruptStore: Something durable is damaged.
        FutureVersion: Something is newer than this code.
        InvalidArgument: The store is of format version 1.
        StorageFailed: The system refused, or a reader found no store.
    """
    found = layout.listing(directory)
    kind = decide.names(found, header.is_alone(directory, found))
    if isinstance(kind, Refuse):
        raise refusal(directory, kind)
    if kind is not Found.STORE:
        if not writable:
            raise StorageFailed("open", directory.path, errno.ENOENT, "there is no store here")
        _create(directory, platform, unfinished=kind is Found.UNFINISHED)
        found = layout.listing(directory)
    state = head.read(directory)
    ends, replaced = ends_of(directory, found, state)
    restoration = _Restoration(directory, platform, state, ends, found, files_max)
    recovered = restoration.run(writable=writable)
    if writable:
        _reopen(directory, platform, recovered, found, replaced)
    return replace(recovered, clean=True) if kind is Found.NOTHING else recovered


def _create(directory: Directory, platform: Platform, *, unfinished: bool) -> None:
    """Segment 1, then HEAD: without HEAD the creation was not finished, and is done again."""
    name = layout.segment_name(1)
    if unfinished:
        store_id = header.read(directory, name).header.store_id
    else:
        store_id = platform.entropy(header.STORE_ID_BYTES)
        data = header.encode(
            store_id=store_id,
            segment_id=1,
            created_ns=platform.wall_ns(),
            first_sequence=0,
            salt=platform.entropy(header.SALT_BYTES),
            prev=None,
        )
        layout.replace(directory, name, data)
    first = header.read(directory, name)
    chain_head = decide.before_any(first.header)
    state = Head(store_id, head.OPEN, 1, first.start, 0, chain_head, platform.wall_ns())
    head.write(directory, state)


class _Restoration:
    """One pass over the files, oldest first."""

    def __init__(
        self,
        directory: Directory,
        platform: Platform,
        state: Head,
        ends: list[Ends],
        found: layout.Listing,
        files_max: int,
    ) -> None:
        self._directory, self._platform, self._state = directory, platform, state
        self._ends, self._files_max = ends, files_max
        self._lock = platform.raw_lock
        self._segments = Segments(files_max)
        self._parts: list[Part] = []
        self._rebuilt: list[str] = []
        self._acts: list[Callable[[], None]] = []  # what a writer does when nothing is refused
        self._last: Placed | None = None
        self._clean = state.state == head.CLEAN
        self._scanned_bytes = 0
        self._torn: Torn | None = None
        self._dropped = 0
        self._aliens = found.aliens

    def run(self, *, writable: bool) -> Recovered:
        try:
            return self._run(writable=writable)
        except BaseException:
            self._acts.clear()
            self._segments.close()
            raise

    def _run(self, *, writable: bool) -> Recovered:
        ends = self._ends
        for index in range(len(ends) - 1):
            after = ends[index + 1].header
            recorded = decide.recorded(ends[index].header, after, self._state)
            if recorded is not None:  # a header names the file before it, or was refused
                self._seal(ends[index], recorded, writable=writable)
        newest = ends[-1]
        recorded = decide.recorded(newest.header, None, self._state)
        if recorded is not None and recorded.frames_end >= FOOTER_BYTES_MIN:
            self._require_end(newest, recorded)
            self._seal(newest, recorded, writable=writable)
            tail = self._begin(recorded, writable=writable)
            table = Table(self._segments, self._parts, tail)
        else:
            table = self._grow(newest, recorded, writable=writable)
        tip = self._tip(table)
        for act in self._acts:  # nothing was changed before all of it was read, and judged
            act()
        self._acts.clear()  # they hold files
        table.bound = tip.sequence
        table.epoch = max(one.header.epoch for one in ends)
        return Recovered(
            store_id=self._state.store_id,
            segments=self._segments,
            table=table,
            tip=tip,
            clean=self._clean,
            scanned_bytes=self._scanned_bytes,
            torn=self._torn,
            dropped_batch_items=self._dropped,
            rebuilt=tuple(self._rebuilt),
            ignored_files=self._aliens,
        )

    # ------------------------------------------------------------------------- sealed segments

    def _seal(self, ends: Ends, recorded: Recorded, *, writable: bool) -> None:
        """Take in a file whose end is recorded, by its footer; without one, by its frames."""
        refused = decide.sealed(ends, recorded, self._state)
        if refused is not None:
            raise refusal(self._directory, refused)
        segment = Segment(
            self._directory, ends.header, ends.start, recorded.frames_end, trusted=False
        )
        self._segments.add(segment)
        try:
            part = footer.read(segment, ends, recorded, self._lock)
        except sidx.BadFooter as error:
            path = segment.path
            log.warning("%s: the footer is made anew: %s", path, error, extra={"path": path})
            part = self._rebuild(segment, recorded, writable=writable)
        self._parts.append(part)
        if self._state.segment_id == segment.segment_id:
            self._require_passed(segment, part, recorded)

    def _require_passed(self, segment: Segment, part: Sealed, recorded: Recorded) -> None:
        """The log goes through what HEAD records inside a file that is followed by another."""
        state = self._state
        row = state.next_sequence - part.first
        if state.frames_end == recorded.frames_end or (
            row == 0 and state.frames_end == segment.start
        ):
            return
        for _ in range(2):  # by its footer, then by one made anew
            offsets = part.offsets
            if 0 < row < len(part) and offsets[row] == state.frames_end:
                last = segment.record(offsets[row - 1], offsets[row], part.block_crcs)
                if last[EVENT_HASH_AT : EVENT_HASH_AT + HASH_BYTES] == state.chain_head:
                    return
            if not part.distrust():
                break
        detail = "the log does not pass here as HEAD records it"
        raise refusal(self._directory, Refuse(segment.name, state.frames_end, Damage.HEAD, detail))

    def _rebuild(self, segment: Segment, recorded: Recorded, *, writable: bool) -> Sealed:
        part, pieces = footer.in_memory(segment, recorded, self._lock)
        self._rebuilt.append(segment.name)
        self._scanned_bytes += recorded.frames_end - segment.start
        if writable:
            self._acts.append(partial(self._write_footer, segment, recorded.frames_end, pieces))
        return part

    def _write_footer(self, segment: Segment, end: int, pieces: list[bytes]) -> None:
        with suppress(StorageFailed), layout.asking("write", segment.path):
            file = self._directory.append(segment.name)
            try:
                file.truncate(end)
                layout.write_pieces(file, end, pieces)
            finally:
                file.close()
        segment.close()  # what is mapped is longer than the file, or shorter

    def _require_end(self, ends: Ends, recorded: Recorded) -> None:
        """A log that was closed ends where HEAD says: there is no frame right behind."""
        segment = Segment(
            self._directory, ends.header, ends.start, recorded.frames_end, trusted=False
        )
        data = segment.whole()
        at = recorded.frames_end
        if isinstance(frame.body_at(data, at, len(data), at, segment.seed), bytes):
            detail = "the log is recorded to end here, and it goes on: the record is an older one"
            raise refusal(self._directory, Refuse(segment.name, at, Damage.HEAD, detail))
        segment.close()

    def _begin(self, recorded: Recorded, *, writable: bool) -> Tail:
        """The segment behind a large one that was closed; a reader only imagines it."""
        number, start = self._ends[-1].header.segment_id + 1, 0
        if writable:
            name = layout.segment_name(number)
            data = header.encode(
                store_id=self._state.store_id,
                segment_id=number,
                created_ns=self._platform.wall_ns(),
                first_sequence=recorded.next_sequence,
                salt=self._platform.entropy(header.SALT_BYTES),
                prev=header.Link(number - 1, recorded.frames_end, recorded.chain_head),
            )
            self._acts.append(partial(layout.replace, self._directory, name, data))
            decoded, start = header.decode(data, name)
            self._segments.add(Segment(self._directory, decoded, start, start, trusted=True))
        tail = Tail(number, recorded.next_sequence, start, self._lock)
        tail.holds = self._segments.newest
        return tail

    # --------------------------------------------------------------------- the one that grows

    def _grow(self, ends: Ends, recorded: Recorded | None, *, writable: bool) -> Table:
        """Read the newest file, judge it, and act on what is behind its end."""
        current, start = ends.header, ends.start
        segment = Segment(self._directory, current, start, start, trusted=True)
        self._segments.add(segment)
        data = segment.whole()
        tail = Tail(segment.segment_id, current.first_sequence, start, self._lock)
        tail.holds = segment
        table = Table(self._segments, self._parts, tail)
        facts = self._scan(segment, data, recorded, table)
        verdict = decide.frames(facts)
        if isinstance(verdict, Refuse):
            raise refusal(self._directory, verdict)
        segment.end = facts.unit
        content_end = scan.content_end(data, facts.unit)
        if isinstance(verdict, TornAt):
            size = content_end - facts.unit
            self._torn = Torn(file=segment.name, offset=facts.unit, bytes=size, quarantine=None)
            if not writable:
                _log_torn(segment, self._torn)
        if writable:
            self._acts.append(partial(self._clear, segment, tail, data, content_end))
        return table

    def _clear(self, segment: Segment, tail: Tail, data: memoryview, content_end: int) -> None:
        """Give the newest file its end: torn bytes are kept elsewhere, and the rest is cut off."""
        directory, end = self._directory, segment.end
        if self._torn is not None:
            number = segment.segment_id
            kept = layout.quarantine(directory, number, end, data[end:content_end])
            self._torn = replace(self._torn, quarantine=kept)
            _log_torn(segment, self._torn)
        if not self._clean:
            layout.replace(directory, segment.name, data[:end])
        elif len(data) > end:
            self._cut(segment.name, end)
        again = Segment(directory, segment.header, segment.start, end, trusted=True)
        self._segments.renew_newest(again)
        tail.holds = again

    def _scan(
        self, segment: Segment, data: memoryview, recorded: Recorded | None, table: Table
    ) -> Facts:
        """Fill the index from one file and say what was found on the way."""
        state, current, tail = self._state, segment.header, table.tail
        bound = decide.bound(state, segment.segment_id)
        chain = Chain(
            current.store_id,
            hashed=not self._clean,
            sequence=current.first_sequence,
            chain_head=decide.before_any(current),
        )
        end = len(data) if recorded is None else min(recorded.frames_end, len(data))
        walk = Scan(data, segment.start, end, segment.seed, chain, mark=bound)
        stop: Stop | None = None
        for unit in walk:
            fault = self._take(unit, tail, table)
            if fault is not None:
                stop = fault
                break
        stop = stop or walk.stop
        self._scanned_bytes += stop.offset - segment.start
        rest = None
        if recorded is None:
            rest = scan.rest_of(data, stop.offset, len(data), segment.seed, chain.sequence)
            self._dropped = len(walk.open_unit)
        return decide.facts(segment.name, walk, stop, rest, recorded, state)

    def _take(self, unit: Unit, tail: Tail, table: Table) -> Stop | None:
        """Add a unit to the index, if it continues the entities that it belongs to.

        What came before this file is asked for only where a crash may have torn something: asking
        it for every entity would read the footers of all files. `verify` asks always.
        """
        for found in unit:
            due = tail.heads.get(found.entity)
            if due is None and not self._clean and found.version > 1:
                due = table.head(found.entity)
            fault = None if due is None else link_fault(found, due.version, due.event_hash)
            if fault is not None:
                return Stop(found.offset, fault)
            footer.take(tail, [found])
            self._last = found
        return None

    def _tip(self, table: Table) -> Tip:
        """Where the log ends, from its last event."""
        tail, last = table.tail, self._last
        sequence = tail.first + len(tail)
        end = self._segments.newest.end
        if last is None and sequence:
            last = self._last_of(table, sequence - 1)
        if last is None:
            return Tip(0, decide.before_any(self._ends[0].header), 0, -1, 0, end, 0)
        return Tip(sequence, last.event_hash, last.wall_ms, last.counter, last.id_hi, end, sequence)

    def _last_of(self, table: Table, sequence: int) -> Placed:
        """The last event of a log whose newest file has none."""
        part, row = table.locate(sequence)
        segment = self._segments.of(part.segment_id)
        if isinstance(part, Sealed):
            last = _placed_at(segment, part.last_offset, sequence)
            if last is not None:
                return last
            part.distrust()
        begin = part.offsets[row]
        decoded = frame.decode(segment.record(begin, segment.end, None))
        if isinstance(decoded, Fault):
            raise segment.corrupt(begin, decoded)
        return placed(decoded, begin, segment.end)

    def _cut(self, name: str, end: int) -> None:
        """Cut a file that was closed to its recorded end."""
        with layout.asking("cut", layout.path_of(self._directory, name)):
            file = self._directory.append(name)
            try:
                file.truncate(end)
                file.sync(data_only=False)
            finally:
                file.close()


def _placed_at(segment: Segment, begin: int, sequence: int) -> Placed | None:
    """The event that begins there, the last of its file, if it is the one with that number."""
    found = frame.body_at(segment.whole(), begin, segment.end, begin, segment.seed)
    decoded = frame.decode(found) if isinstance(found, bytes) else found
    if not isinstance(decoded, Frame) or decoded.sequence != sequence:
        return None
    return placed(decoded, begin, segment.end)


def _log_torn(segment: Segment, torn: Torn) -> None:
    log.warning(
        "%s: %d bytes from offset %d on are no events; %s",
        segment.path,
        torn.bytes,
        torn.offset,
        f"kept in {torn.quarantine}" if torn.quarantine else "left out",
        extra={"path": segment.path, "offset": torn.offset},
    )


def _replace_again(directory: Directory, segments: Segments, replaced: Sequence[str]) -> None:
    """Make it durable that compaction has replaced what goes.

    It was cut short, perhaps by a sync of the directory that was refused: whether a later one would
    cover the same name is not known. So the file gets its name once more, as a new inode.
    """
    for segment in segments:
        links = segment.header.replaces or ()
        if any(layout.segment_name(link.segment_id) in replaced for link in links):
            layout.replace(directory, segment.name, segment.whole())


def _reopen(
    directory: Directory,
    platform: Platform,
    recovered: Recovered,
    found: layout.Listing,
    replaced: Sequence[str],
) -> None:
    """The last acts: no leftovers, and a HEAD whose "closed" does not outlive this run."""
    _replace_again(directory, recovered.segments, replaced)
    for name in (*found.leftovers, *replaced):
        with layout.asking("remove", directory.path), suppress(FileNotFoundError):
            directory.unlink(name)
    unsaved = layout.consumers(directory).leftovers if found.has_cursors else ()
    shelf = layout.shelf_of(directory) if unsaved else None
    if shelf is not None:
        with closing(shelf):
            for name in unsaved:
                with layout.asking("remove", shelf.path), suppress(FileNotFoundError):
                    shelf.unlink(name)
    unsaved = tuple(f"{layout.CURSORS}/{name}" for name in unsaved)
    recovered.removed_files = (*found.leftovers, *replaced, *unsaved)
    tip = recovered.tip
    number = recovered.segments.newest.segment_id
    state = Head(
        recovered.store_id,
        head.OPEN,
        number,
        tip.end,
        tip.sequence,
        tip.chain_head,
        platform.wall_ns(),
    )
    head.write(directory, state)
