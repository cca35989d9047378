"""From the files of a directory to an open store.

    1  list the names; read HEAD and every header          facts
    2  judge names, links and HEAD                         `decide`
    3  scan every file, oldest first, into the index       facts
    4  judge what each scan has found                      `decide`
    5  writing only: quarantine what is torn, copy the newest file of a store that was not closed
       to a new inode, remove leftovers, write HEAD as "open"

A reader stops after 4 and leaves out what is torn. Each act of 5 can be cut short and repeated.
The copy is for the case that a sync failed before the stop: the cached pages may look well and not
be on the disk.
"""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from batpak import registry
from batpak.disk import Directory
from batpak.errors import CorruptStore, StorageFailed
from batpak.index.row import Row
from batpak.index.table import Table
from batpak.journal import head, header, layout, scan
from batpak.journal.frame import Frame
from batpak.journal.head import Head
from batpak.journal.header import Header
from batpak.journal.scan import Chain, Scan, Stop
from batpak.journal.segment import Segment, Segments, Tip
from batpak.platform import Platform
from batpak.recovery import decide
from batpak.recovery.decide import Facts, Found, Refuse, TornAt
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
    ignored_files: tuple[str, ...] = ()

    @property
    def unknown_kinds(self) -> dict[int, int]:
        """Kinds that no imported class reads, and how many events have them."""
        return {
            kind: len(rows)
            for kind, rows in sorted(self.table.kind_rows.items())
            if registry.lookup(kind) is None
        }


def is_store(directory: Directory) -> bool:
    """Whether there is anything of a store in a directory.

    Raises:
        StorageFailed: The system refused.
    """
    found = layout.listing(directory)
    return found.has_head or bool(found.segments)


def restore(directory: Directory, platform: Platform, *, writable: bool) -> Recovered:
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
    headers = _headers(directory, found, state)
    recovered = _Restoration(directory, state, headers, found).run(writable=writable)
    if writable:
        _reopen(directory, platform, recovered, found)
    return recovered


def refusal(directory: Directory, verdict: Refuse) -> CorruptStore:
    """A verdict as the exception that callers see."""
    path = layout.path_of(directory, verdict.file)
    return CorruptStore(path, verdict.offset, verdict.reason, verdict.detail)


def _create(directory: Directory, platform: Platform, *, unfinished: bool) -> None:
    """Segment 1, then HEAD: without HEAD the creation was not finished, and is done again."""
    name = layout.segment_name(1)
    if unfinished:
        store_id = header.read(directory, name)[0].store_id
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
    first, start = header.read(directory, name)
    chain_head = decide.before_any(first)
    head.write(directory, Head(store_id, head.OPEN, 1, start, 0, chain_head, platform.wall_ns()))


def _headers(directory: Directory, found: layout.Listing, state: Head) -> list[tuple[Header, int]]:
    """Every header with the offset of its first frame, judged with what it names."""
    headers: list[tuple[Header, int]] = []
    for number in found.segments:
        current = header.read(directory, layout.segment_name(number))
        bad = decide.link(current[0], number, headers[-1][0] if headers else None)
        if bad is not None:
            raise refusal(directory, bad)
        headers.append(current)
    bad = decide.head_place(state, headers[0][0], headers[-1][0].segment_id)
    if bad is not None:
        raise refusal(directory, bad)
    return headers


class _Restoration:
    """One pass over the files, oldest first."""

    def __init__(
        self,
        directory: Directory,
        state: Head,
        headers: list[tuple[Header, int]],
        found: layout.Listing,
    ) -> None:
        self._directory, self._state, self._headers, self._found = directory, state, headers, found
        self._chain = Chain(state.store_id, hashed=False)
        self._last: Frame | None = None
        self._result = Recovered(
            store_id=state.store_id,
            segments=Segments(),
            table=Table(),
            tip=Tip(0, decide.before_any(headers[0][0]), 0, -1, 0, 0, 0),
            clean=state.state == head.CLEAN,
            ignored_files=found.aliens,
        )

    def run(self, *, writable: bool) -> Recovered:
        result = self._result
        try:
            for index in range(len(self._headers)):
                self._take(index, writable=writable)
        except BaseException:
            result.segments.close()
            raise
        last, newest, table = self._last, result.segments.newest, result.table
        if last is not None:
            result.tip = replace(
                result.tip,
                sequence=last.sequence + 1,
                chain_head=last.event_hash,
                wall_ms=last.wall_ms,
                counter=last.counter,
                id_hi=last.id_hi,
            )
        table.bound = result.tip.sequence
        result.tip = replace(result.tip, end=newest.end, durable=table.bound)
        return result

    def _take(self, index: int, *, writable: bool) -> None:
        """Scan one file, judge it, and act if it is the newest."""
        result = self._result
        is_newest = index == len(self._headers) - 1
        current, start = self._headers[index]
        segment = Segment(self._directory, current, start, start)
        result.segments.add(segment)
        data = segment.whole()
        self._chain.hashed = is_newest and not result.clean
        facts = self._scan(segment, data, index)
        verdict = decide.frames(facts)
        if isinstance(verdict, Refuse):
            raise refusal(self._directory, verdict)
        segment.end = facts.unit
        if not is_newest:
            return
        content_end = scan.content_end(data, facts.unit)
        if isinstance(verdict, TornAt) or content_end > facts.unit:
            self._set_aside(segment, data, facts.unit, content_end, writable=writable)
        if writable and not result.clean:
            layout.replace(self._directory, segment.name, data[: facts.unit])
        elif writable and len(data) > facts.unit:
            self._cut(segment.name, facts.unit)
        if writable:
            result.segments.renew_newest(self._directory, facts.unit)

    def _scan(self, segment: Segment, data: memoryview, index: int) -> Facts:
        """Fill the index from one file and say what was found on the way."""
        state, table, result = self._state, self._result.table, self._result
        after = self._headers[index + 1][0] if index + 1 < len(self._headers) else None
        recorded = decide.recorded(after, state)
        bound = decide.bound(state, segment.header.segment_id)
        end = len(data) if recorded is None else min(recorded.frames_end, len(data))
        walk = Scan(data, segment.start, end, segment.seed, self._chain, mark=bound)
        stop: Stop | None = None
        for unit in walk:
            for offset, found in unit:
                fault = scan.link_fault(found, *table.head(found.entity))
                if fault is not None:
                    stop = stop or Stop(offset, fault)
                    break
                table.publish(row_of(offset, found))
                self._last = found
            if stop is not None:
                break
        stop = stop or walk.stop
        result.scanned_bytes += stop.offset - segment.start
        rest = None
        if recorded is None:
            rest = scan.rest_of(data, stop.offset, len(data), segment.seed, self._chain.sequence)
            result.dropped_batch_items = len(walk.open_unit)
        return decide.facts(segment.name, walk, stop, rest, recorded, state)

    def _set_aside(
        self, segment: Segment, data: memoryview, start: int, end: int, *, writable: bool
    ) -> None:
        """Report bytes that are no events; a writer keeps them as evidence first."""
        kept: str | None = None
        if writable:
            number = segment.header.segment_id
            kept = layout.quarantine(self._directory, number, start, data[start:end])
        self._result.torn = Torn(
            file=segment.name, offset=start, bytes=end - start, quarantine=kept
        )
        log.warning(
            "%s: %d bytes from offset %d on are no events; %s",
            segment.path,
            end - start,
            start,
            f"kept in {kept}" if kept else "left out",
            extra={"path": segment.path, "offset": start},
        )

    def _cut(self, name: str, end: int) -> None:
        """Cut a file that was closed to its recorded end."""
        with layout.asking("cut", layout.path_of(self._directory, name)):
            file = self._directory.append(name)
            try:
                file.truncate(end)
                file.sync(data_only=False)
            finally:
                file.close()


def row_of(offset: int, found: Frame) -> Row:
    """A frame as the index knows it."""
    return Row(
        found.sequence,
        offset,
        found.id_hi,
        found.kind,
        found.entity,
        found.scope,
        found.key,
        found.version,
        found.event_hash,
    )


def _reopen(
    directory: Directory, platform: Platform, recovered: Recovered, found: layout.Listing
) -> None:
    """The last acts: no leftovers, and a HEAD whose "closed" does not outlive this run."""
    for name in found.leftovers:
        with layout.asking("remove", directory.path), suppress(FileNotFoundError):
            directory.unlink(name)
    tip = recovered.tip
    number = recovered.segments.newest.header.segment_id
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
