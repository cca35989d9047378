"""Recompute everything that the files of a store promise. Changes nothing, stops at nothing.

    names      every number from 1 on, HEAD
    headers    checksum, spelling, number, store, link to the file before
    frames     checksum, spelling, both hashes, sequence, id, clock, batches, stamps
    entities   version and link to the entity's previous event
    HEAD       the log passes through what it records
    cursors    each checkpoint is whole, of this store and this log, and not ahead of it
    removals   whatever is gone was announced by a record in the log

Files are read, and not mapped: where a disk fails, a map would end the process. Only those of more
than LOADED_BYTES_MAX, which a compaction makes, are mapped: to have no memory is likelier.
Behind a damaged place the walk goes on at the next whole frame. What is not known there (the heads
of entities) is taken from the frames as they come, so one damaged event is one finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from batpak.arguments import require_callable
from batpak.digest import ZERO_HASH
from batpak.disk.seam import Directory, StrPath
from batpak.errors import CorruptStore, DamageError, StorageFailed
from batpak.faults import Damage
from batpak.index import sidx
from batpak.journal import frame, head, header, layout, scan
from batpak.journal.chain import Chain, Placed, link_fault
from batpak.journal.frame import Fault, Frame
from batpak.journal.head import Head
from batpak.journal.header import Ends, Header
from batpak.journal.scan import RestKind, Scan
from batpak.journal.segment import Segment
from batpak.kind import COMPACTED
from batpak.note import CheckpointNote
from batpak.platform import REAL, Platform
from batpak.read import checkpoint
from batpak.read.checkpoint import CheckpointInvalid, Saved, contradiction
from batpak.record import DROPPED, ERASED, EVENT
from batpak.recovery import decide, footer
from batpak.recovery.decide import Found, Refuse, TornAt
from batpak.recovery.footer import FOOTER_BYTES_MIN
from batpak.report import FINDINGS_MAX, Finding, NoteFault, Progress, Torn, VerifyReport
from batpak.signing.verdict import Signed
from batpak.signing.verify_key import VerifyKey
from batpak.upkeep.removals import Removals

LOADED_BYTES_MAX: Final = 256 << 20
HELD_MAX: Final = 256  # files that are open at once
TOLD_BYTES: Final = 4 << 20  # after each so many, how far it is


class Look(NamedTuple):
    """What is verified: names, HEAD, checkpoints, and how far the log went, at one moment."""

    found: layout.Listing
    state: Head | CorruptStore | None  # None: HEAD is missing
    next_sequence: int | None  # None: as far as there are frames
    checkpoints: Mapping[str, Saved | DamageError]  # by id; or why it cannot be read


def look(directory: Directory, next_sequence: int | None = None) -> Look:
    """Read the names, HEAD and the checkpoints.

    Raises:
        StorageFailed: The system refused.
        FutureVersion: HEAD is newer than this code.
    """
    found = layout.listing(directory)
    state: Head | CorruptStore | None = None
    if found.has_head:
        try:
            state = head.read(directory)
        except CorruptStore as error:
            state = error
    saved = _checkpoints(directory) if found.has_cursors else {}
    return Look(found, state, next_sequence, saved)


def _checkpoints(directory: Directory) -> dict[str, Saved | DamageError]:
    """What every checkpoint says, or why it cannot be read."""
    found: dict[str, Saved | DamageError] = {}
    ids, shelf = checkpoint.ids(directory), layout.shelf_of(directory)
    if shelf is not None:
        with closing(shelf):
            for one in ids:
                try:
                    data = layout.read_small(shelf, one + layout.CHECKPOINT, checkpoint.BYTES_MAX)
                    found[one] = checkpoint.decode(data, one)
                except DamageError as error:
                    found[one] = error
    return found


def verify_path(
    path: StrPath,
    platform: Platform,
    since: CheckpointNote | None = None,
    believed: Sequence[VerifyKey] | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Verify a directory without opening it as a store, so damage is reported and not raised.

    Args:
        path: Of the directory.
        platform: The world.
        since: A note that the log has to go on from.
        believed: Keys, one of which has to have signed the note. None: it need not be signed.
        progress: Told at first, and every few MiB, how many bytes are looked at, of how many.

    Raises:
        StoreLocked: A writer has it open.
        StorageFailed: The system refused, or there is no store.
        FutureVersion: Something in it is newer than this code.
        InvalidArgument: It is of format version 1.
    """
    directory = layout.enter(platform, path, create=False)
    try:
        lock = layout.lock(directory, platform.pid(), shared=True)
        try:
            seen = look(directory)
            if not seen.found.segments and not seen.found.has_head:
                raise StorageFailed("open", directory.path, None, "there is no store here")
            return verify_log(directory, seen, since, believed, progress)
        finally:
            if lock is not None:
                lock.release()
    finally:
        directory.close()


def verify_log(
    directory: Directory,
    seen: Look,
    since: CheckpointNote | None = None,
    believed: Sequence[VerifyKey] | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Verify what `look` has seen. The caller holds the lock.

    Args:
        directory: Of the store.
        seen: What `look` gave.
        since: A note that the log has to go on from.
        believed: Keys, one of which has to have signed the note. None: it need not be signed.
        progress: Told at first, and every few MiB, how many bytes are looked at, of how many.

    Raises:
        StorageFailed: The system refused.
        FutureVersion: Something is newer than this code.
        InvalidArgument: A segment is of format version 1; or `progress` cannot be called.
    """
    if progress is not None:
        require_callable("progress", progress)
    report = _Verification(directory, seen, since, progress).run()
    if since is None or believed is None or isinstance(since.verify(believed), Signed):
        return report
    return replace(report, note=NoteFault.UNTRUSTED)


class _Verification:
    """One pass over all files, oldest first."""

    def __init__(
        self,
        directory: Directory,
        seen: Look,
        since: CheckpointNote | None,
        progress: Progress | None,
    ) -> None:
        self._directory, self._seen, self._since = directory, seen, since
        self._progress = progress
        self._removals = Removals()
        self._derived: list[Finding] = []
        self._passed: dict[int, bytes | None] = {
            one.position - 1: None for one in seen.checkpoints.values() if isinstance(one, Saved)
        }
        self._noted = None if since is None or since.events else ZERO_HASH  # the head at the note
        self._state = seen.state if isinstance(seen.state, Head) else None
        self._findings: list[Finding] = []
        self._count = 0
        self._before = 0  # bytes in the files that are done
        self._events = 0
        self._torn: Torn | None = None
        self._chain = Chain(b"", hashed=True)
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._all_seen = True  # so far, so that an entity without a head is a new one

    def run(self) -> VerifyReport:
        """Check the names, the headers, HEAD, then every file."""
        self._names()
        headers = self._headers()
        numbers = list(headers)
        store_id = headers[max(headers)].header.store_id if headers else None
        if headers:
            self._place_of_head(headers)
        segments = self._segments(headers)
        self._tell(0)
        for number, ends in headers.items():
            current, segment = ends.header, segments.pop(number)
            try:
                if self._seen.found.segments[number] <= LOADED_BYTES_MAX:
                    segment.load()
                self._enter(current)
                is_newest = number == max(self._seen.found.segments)
                next_one = headers.get(current.last_id + 1)
                after = None if next_one is None else next_one.header
                self._walk(segment, after, is_newest=is_newest)
                self._footer(segment, ends, after, is_newest)
            finally:
                segment.close()
            sizes = self._seen.found.segments.items()
            self._before = sum(size for one, size in sizes if one <= number)
            self._tell(0)
        if store_id is not None:
            self._consumers(store_id)
        for file, offset, fault, sequence in self._removals.unrecorded():
            self._add(file, offset, fault, sequence)
        return VerifyReport(
            path=self._directory.path,
            store_id=None if store_id is None else UUID(bytes=store_id),
            segments=len(numbers),
            events=self._events,
            dropped=self._removals.count(DROPPED),
            erased=self._removals.count(ERASED),
            head=self._chain.chain_head,
            findings=tuple(self._findings),
            findings_count=self._count,
            derived=tuple(self._derived),
            torn=self._torn,
            note=self._note_fault(store_id, [ends.header for ends in headers.values()]),
        )

    def _tell(self, offset: int) -> None:
        if self._progress is not None:
            self._progress(self._before + offset, sum(self._seen.found.segments.values()))

    def _note_fault(self, store_id: bytes | None, headers: list[Header]) -> NoteFault | None:
        """Hold the log against the note. What it was forked from counts up to the fork."""
        since = self._since
        if since is None:
            return None
        if store_id != since.store_id.bytes and not any(
            origin.store_id == since.store_id.bytes and since.events <= origin.first_sequence
            for origin in (header.origin for header in headers)
            if origin is not None
        ):
            return NoteFault.OTHER_STORE
        if self._noted is None:
            return NoteFault.ROLLED_BACK
        return None if self._noted == since.head else NoteFault.REWRITTEN

    def _footer(self, segment: Segment, ends: Ends, after: Header | None, is_newest: bool) -> None:
        """Compare the footer of a sealed file with one made from its frames."""
        state = self._state if is_newest else None
        recorded = decide.recorded(segment.header, after, state)
        if recorded is None or ends.size <= recorded.frames_end:
            return  # it grows, or an open makes one
        if is_newest and recorded.frames_end < FOOTER_BYTES_MIN:
            return
        try:
            due = b"".join(footer.made(segment, recorded, REAL.raw_lock))
        except (CorruptStore, ValueError):
            return  # its frames are damaged, which is told already
        there = bytes(segment.whole()[recorded.frames_end :])
        if there != due:
            at = next((n for n, (a, b) in enumerate(zip(there, due, strict=False)) if a != b), 0)
            self._derived.append(
                Finding(
                    file=layout.path_of(self._directory, segment.name),
                    offset=recorded.frames_end + at,
                    sequence=None,
                    reason=Damage.SEGMENT,
                    detail="the footer is not what the frames say; an open makes it anew",
                )
            )

    def _add(self, file: str, offset: int, fault: Fault, sequence: int | None = None) -> None:
        self._count += 1
        if len(self._findings) < FINDINGS_MAX:
            self._findings.append(
                Finding(
                    file=layout.path_of(self._directory, file),
                    offset=offset,
                    sequence=sequence,
                    reason=fault.reason,
                    detail=fault.detail,
                )
            )

    def _refused(self, verdict: Refuse, sequence: int | None = None) -> None:
        self._add(verdict.file, verdict.offset, Fault(verdict.reason, verdict.detail), sequence)

    # ------------------------------------------------------------------- names, headers, HEAD

    def _names(self) -> None:
        found, is_alone = self._seen.found, False
        with suppress(CorruptStore):  # found again, and told, when all headers are read
            is_alone = header.is_alone(self._directory, found)
        verdict = decide.names(found, is_alone)
        if isinstance(verdict, Refuse):
            self._refused(verdict)
        elif verdict is Found.NOTHING:  # of a handle that is open: somebody took the files away
            self._add(layout.HEAD, 0, Fault(Damage.HEAD, "is missing, and so is every segment"))
        if isinstance(self._seen.state, CorruptStore):
            error = self._seen.state
            self._add(layout.HEAD, error.offset, Fault(error.reason, error.detail))

    def _headers(self) -> dict[int, Ends]:
        """Every header that can be read, with the offset of its first frame."""
        headers: dict[int, Ends] = {}
        before: Header | None = None
        for number in self._seen.found.segments:
            if decide.is_leftover(number, before):
                continue  # of a compaction that was cut short; the next writable open removes it
            name = layout.segment_name(number)
            try:
                headers[number] = header.read(self._directory, name, sidx.TAIL_BYTES)
            except CorruptStore as error:
                self._add(name, error.offset, Fault(error.reason, error.detail))
                before = None  # it is there, whatever it says: the next one misses nothing
                continue
            current = headers[number].header
            is_other = current.segment_id != number
            if is_other or number == 1 or before is not None:
                bad = decide.link(current, number, before)
                if bad is not None:
                    self._refused(bad)
            if is_other:  # no frame in it belongs here
                del headers[number]
            else:
                before = current
        return headers

    def _segments(self, headers: dict[int, Ends]) -> dict[int, Segment]:
        """The files. Those of a log that is written are held: its writer may compact it."""
        segments = {
            number: Segment(self._directory, ends.header, ends.start, ends.start, trusted=True)
            for number, ends in headers.items()
        }
        if self._seen.next_sequence is not None:
            for segment in islice(segments.values(), HELD_MAX):
                segment.hold()
        return segments

    def _place_of_head(self, headers: dict[int, Ends]) -> None:
        if self._state is not None:
            newest, known = max(self._seen.found.segments), [one.header for one in headers.values()]
            ends = headers.get(newest)
            is_empty = ends is not None and ends.size == ends.start
            bad = decide.head_place(self._state, known[-1], newest, is_empty=is_empty)
            bad = bad or decide.head_age(self._state, known)
            if bad is not None:
                self._refused(bad)

    def _is_last(self, segment: Segment) -> bool:
        """Whether HEAD knows no later file. Else what is behind the frames may be a footer."""
        return self._state is not None and self._state.segment_id <= segment.segment_id

    # --------------------------------------------------------------------------------- frames

    def _enter(self, current: Header) -> None:
        """Go on where the header says, if what was seen before does not lead there."""
        chain, due = self._chain, (current.first_sequence, decide.before_any(current))
        chain.store_id = current.store_id
        chain.stubs = current.replaces is not None
        if (chain.sequence, chain.chain_head, chain.item) != (*due, 0):
            chain.sequence, chain.chain_head = due
            chain.item = 0
            self._forget()

    def _forget(self) -> None:
        self._all_seen = False
        self._heads.clear()

    def _walk(self, segment: Segment, after: Header | None, *, is_newest: bool) -> None:
        """Check the frames of one file; behind damage, go on at the next whole frame."""
        chain, data = self._chain, segment.whole()
        recorded = decide.recorded(segment.header, after, self._state if is_newest else None)
        end = len(data) if recorded is None else min(recorded.frames_end, len(data))
        until = self._seen.next_sequence if is_newest else None
        bound = decide.bound(self._state, segment.header.segment_id)
        offset, is_whole, due = segment.start, True, TOLD_BYTES
        while until is None or chain.sequence < until:
            walk = Scan(data, offset, end, segment.seed, chain, mark=bound)
            for unit in walk:
                self._take(segment, unit, data)
                if unit[0].offset >= due:
                    self._tell(unit[0].offset)
                    due = unit[0].offset + TOLD_BYTES
                if until is not None and chain.sequence >= until:
                    return
            stop = walk.stop
            if isinstance(stop.why, Fault):
                self._take(segment, walk.open_unit, data)
                self._add(segment.name, stop.offset, stop.why, chain.sequence)
                offset = self._over(segment, data, stop.offset)
                is_whole = False
                continue
            rest = None
            if recorded is None:
                rest = scan.rest_of(data, stop.offset, end, segment.seed, chain.sequence)
            if is_whole:
                facts = decide.facts(segment.name, walk, stop, rest, recorded, self._state)
                verdict = decide.frames(facts)
            elif stop.offset >= end or (rest is not None and rest.kind is RestKind.EMPTY):
                return
            else:
                verdict = Refuse(segment.name, stop.offset, Damage.CRC, stop.why.value)
            if until is not None and not isinstance(verdict, Refuse):
                verdict = Refuse(segment.name, stop.offset, Damage.CRC, stop.why.value)
            if isinstance(verdict, TornAt) and is_newest and self._is_last(segment):
                path = layout.path_of(self._directory, segment.name)
                self._torn = _torn(path, data, verdict.offset)
            if not isinstance(verdict, Refuse):
                return
            self._refused(verdict, chain.sequence)
            self._take(segment, walk.open_unit, data)
            is_whole = False
            resumed = self._resume(segment, data, stop.offset, end)
            if resumed is None:
                return
            offset = resumed

    def _take(self, segment: Segment, unit: list[Placed], data: memoryview) -> None:
        """Check the links inside entities; see what was removed, and what says so."""
        for found in unit:
            if found.type != EVENT:
                self._removals.take(found.type, found.sequence, found.offset, segment.name)
            elif found.kind == COMPACTED:
                self._removals.record(bytes(data[found.end - found.size : found.end]))
            head_of = self._heads.get(found.entity)
            if head_of is None and self._all_seen:
                head_of = (0, ZERO_HASH)
            fault = None if head_of is None else link_fault(found, *head_of)
            if fault is not None:
                self._add(segment.name, found.offset, fault, found.sequence)
            else:
                self._events += 1
            if self._since is not None and found.sequence == self._since.events - 1:
                self._noted = found.event_hash
            if found.sequence in self._passed:
                self._passed[found.sequence] = found.event_hash
            self._heads[found.entity] = (found.version, found.event_hash)

    def _over(self, segment: Segment, data: memoryview, offset: int) -> int:
        """Step over a frame that has a fault, taking what it says of itself as given."""
        body = frame.body_at(data, offset, len(data), offset, segment.seed)
        if not isinstance(body, bytes):
            return len(data)
        found = frame.decode(body)
        if isinstance(found, Frame):
            self._chain.advance(found)
            self._heads[found.entity] = (found.version, found.event_hash)
        else:
            self._chain.sequence += 1
            self._forget()
        return offset + 8 + len(body)

    def _resume(self, segment: Segment, data: memoryview, stop: int, end: int) -> int | None:
        """Find the next whole frame and step over it; None if there is none."""
        self._forget()
        later = scan.later_frames(data, stop, end, segment.seed, self._chain.sequence)
        for found in later:
            return None if found is None else self._over(segment, data, found[0])
        return None

    # ---------------------------------------------------------------------------- checkpoints

    def _consumers(self, store_id: bytes) -> None:
        """Hold the checkpoints against the log."""
        bound: int = self._chain.sequence
        for checkpoint_id, found in self._seen.checkpoints.items():
            bad: DamageError | None
            if isinstance(found, Saved):
                bad = contradiction(found, checkpoint_id, store_id, bound, self._hash_before)
            else:
                bad = found
            if bad is not None:
                file, detail = f"{layout.CURSORS}/{checkpoint_id}{layout.CHECKPOINT}", str(bad)
                if isinstance(bad, CheckpointInvalid):
                    detail = f"{bad.detail} [{bad.reason.value}]"
                self._add(file, 0, Fault(Damage.CHECKPOINT, detail))

    def _hash_before(self, position: int) -> bytes | None:
        return self._passed[position - 1] if position else ZERO_HASH


def _torn(path: str, data: memoryview, offset: int) -> Torn:
    size = scan.content_end(data, offset) - offset
    return Torn(file=path, offset=offset, bytes=size, quarantine=None)
