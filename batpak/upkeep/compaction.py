"""Compaction: complete files become fewer, and lose what nobody is to read any more.

    settle    every complete file has its footer
    decide    what each event is to be: kept, dropped, erased                the caller's functions
    end       if something in the file that grows is to go, it is complete now
    build     NAME.tmp: header, frames, footer; synced, and read back
    announce  an event says what will be gone, durably
    commit    NAME.tmp becomes the first of the files that it stands for     the one step
    swap      readers go over to it, on the lane; those who have begun keep what they read
    clear     the other files go, the last one first

A crash before the commit leaves the old files, one after it the new one: its header names those it
stands for, and an open takes those for leftovers. A NAME.tmp that is left has payloads, which may
be asked to go: the next run removes it, and so does a close. An exception from outside (Ctrl-C)
behind the commit is raised once the rest is done; if a second one comes, whoever needs the names
next does it.
What is kept is copied byte for byte; only the length and the checksum before it are new, because
its place is.
Reference: docs/reference/file-format.md, "Compaction".
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias, TypeVar

from msgspec import Struct

from batpak import wire
from batpak.commit.exclusive import Exclusive
from batpak.commit.lane import Lane
from batpak.commit.request import Request
from batpak.commit.unit import Unit
from batpak.coordinate import LIFECYCLE
from batpak.disk.seam import Directory, Lock
from batpak.errors import BatpakError, StorageFailed, StoreClosed, StorePoisoned
from batpak.index.row import Part
from batpak.index.sealed import Sealed
from batpak.index.table import Table
from batpak.journal import layout
from batpak.journal.frame import Why
from batpak.journal.segment import Segment, Segments
from batpak.kind import COMPACTED, SHAPES
from batpak.platform import Platform
from batpak.record import DROPPED, ERASED, EVENT
from batpak.recovery import decide, footer
from batpak.report import CompactionOutcome, CompactionReport, Progress
from batpak.system import Compacted
from batpak.upkeep.groups import Source, grouped
from batpak.upkeep.output import Builder, Output

T = TypeVar("T")

log: Final = logging.getLogger("batpak.compact")

STEP: Final = 4096  # rows that are asked about at once
LASTING: Final = frozenset({COMPACTED, SHAPES})  # what a log says of itself once

Judge: TypeAlias = Callable[[Part, Sequence[int]], Iterator[bool]]
"""Says of rows of a part, one after the other, whether they are to become stubs."""


class Plan(Struct, frozen=True):
    """What one run is asked to do."""

    judge: Judge | None = None
    stub: int = DROPPED  # what the rows become that are chosen
    min_segments: int = 2  # with fewer complete files none are merged
    progress: Progress | None = None


class Exchange(Struct, eq=False):
    """A commit that was begun, and how far it has come."""

    group: Sequence[Source]
    output: Output
    syncing: bool = False  # a sync has begun, and nobody knows what came of it
    synced: bool = False


class Compaction:
    """Rewrites the complete files of a store that is open for writing. One run at a time.

    Args:
        directory: Of the store.
        segments: All of its log.
        table: The index of that.
        lane: Where it is written.
        platform: The world.
    """

    def __init__(
        self,
        directory: Directory,
        segments: Segments,
        table: Table,
        lane: Lane,
        platform: Platform,
    ) -> None:
        self._directory, self._segments, self._table = directory, segments, table
        self._lane, self._platform = lane, platform
        self._builder = Builder(directory, segments, table, platform, self._require_open)
        self._running = Exclusive("compacting", platform)
        self._names = Exclusive("at the files of the log", platform)
        self._committing = Exclusive("exchanging files of the log", platform)
        self._exchange: Exchange | None = None  # that is not over
        self._stopped = False
        self._unsure: OSError | None = None  # why it is not known whether a commit is durable

    def run(self, plan: Plan) -> CompactionReport:
        """Do it; or wait until the run of another thread is over, and then do it.

        Raises:
            StorageFailed: The system refused; what was not committed is as it was.
            CorruptStore: An event cannot be read, or came back from the disk as another one.
            StoreClosed, StorePoisoned, DurabilityUnknown: This handle writes no more.
            FenceError: Events are to go, and this thread has a visibility fence open.
            InvalidArgument: Called from inside a run, by its own functions; or by a signal handler
                that interrupted one, or `still`.
            As the functions of the plan raise; nothing is changed then.
        """
        self._names.refuse_reentry()
        with self._lane.quiet():  # a callback may want to compact
            return self._running.run(lambda: self._run(plan))

    def still(self, act: Callable[[], T]) -> T:
        """Call a function while no file takes the name of another one.

        Callbacks are not called by this thread meanwhile: they may want the same.

        Raises:
            InvalidArgument: Called from inside such a function, or a commit, by a signal handler.
        """
        with self._lane.quiet():
            return self._names.run(lambda: self._settled(act))

    def _settled(self, act: Callable[[], T]) -> T:
        if self._exchange is not None:
            self._committing.run(self._settle)
        return act()

    def stop(self) -> None:
        """Commit nothing from now on. On return nothing is being committed.

        Raises:
            InvalidArgument: Called by a signal handler that interrupted a commit.
        """
        self._committing.refuse_reentry()
        self._stopped = True
        self._committing.run(lambda: None)

    def end(self, lock: Lock) -> None:
        """Remove what runs have left, if the directory is still ours. Behind `stop`."""
        with suppress(OSError, BatpakError):  # the next open tries again
            if lock.intact():
                self._sweep()

    def resume(self) -> None:
        """The handle was not closed after all."""
        self._stopped = False

    # ------------------------------------------------------------------------------------ one run

    def _run(self, plan: Plan) -> CompactionReport:
        self._require_open()
        if self._unsure is not None:
            raise self._failed(self._unsure)
        if plan.judge is not None:  # else it is met when all is built
            self._lane.refuse_own_fence()
        if self._exchange is not None:
            self.still(lambda: None)
        with self._compacting():
            self._committing.run(self._begin)
        sources = self._sources()
        if plan.judge is not None:
            for source in sources:
                rows = self._chosen(source.part, bytes(source.types), plan.judge)
                source.become(rows, plan.stub)
            sources += self._ended(len(sources), plan.judge, plan.stub)
        before = [source.segment for source in sources]
        size = self._size(before)
        for source in sources:
            source.measure()
        if len(sources) >= plan.min_segments:
            groups = grouped(sources)
        else:
            groups = [[source] for source in sources if source.changed]
        if not groups:
            return CompactionReport(
                outcome=CompactionOutcome.SKIPPED,
                segments_before=len(before),
                segments_after=len(before),
                bytes_before=size,
                bytes_after=size,
            )
        counts = self._carry_out(groups, plan)
        gone = sum(len(group) - 1 for group in groups)
        after = list(self._segments)[: len(before) - gone]
        report = CompactionReport(
            outcome=CompactionOutcome.PERFORMED,
            segments_before=len(before),
            segments_after=len(after),
            bytes_before=size,
            bytes_after=self._size(after),
            dropped=counts[DROPPED],
            erased=counts[ERASED],
        )
        log.info(
            "compacted %s: %d files became %d",
            self._directory.path,
            report.segments_before,
            report.segments_after,
            extra={
                "path": self._directory.path,
                "dropped": report.dropped,
                "erased": report.erased,
            },
        )
        return report

    def _begin(self) -> None:
        self._require_open()
        self._lane.settle_files()  # nobody else has taken the directory over
        self._sweep()

    def _sweep(self) -> None:
        """Remove outputs that have not got their name: nobody is writing one that counts."""
        growing = self._segments.newest.header.segment_id  # what follows may be about to begin
        for name in layout.listing(self._directory).leftovers:
            number = layout.segment_of(name)
            if number is not None and number < growing:
                self._directory.unlink(name)

    def _carry_out(self, groups: Sequence[Sequence[Source]], plan: Plan) -> dict[int, int]:
        """Write every group anew; how many events became stubs, by what those are."""
        every = [source for group in groups for source in group]
        counts = {stub: sum(one.count()[stub] for one in every) for stub in (DROPPED, ERASED)}
        total, done = sum(source.size for source in every), 0
        announced = not any(counts.values())

        def tell(size: int) -> None:
            if plan.progress is not None:
                plan.progress(min(done + size, total), total)

        tell(0)
        for group in groups:
            with self._compacting():
                try:
                    output = self._builder.build(group, tell)
                    if not announced:
                        self._announce(every, counts)
                        announced = True
                    self._exchange_files(group, output)
                except BaseException:
                    if not self._stopped:  # else another handle may be writing under that name
                        with suppress(OSError, BatpakError):  # then the next run does
                            self._committing.run(self._sweep)
                    raise
            done += sum(source.size for source in group)
            tell(0)
        return counts

    def _require_open(self) -> None:
        if self._stopped or self._lane.closed:
            raise StoreClosed
        if self._lane.poison is not None:
            raise StorePoisoned(self._lane.poison)

    @contextmanager
    def _compacting(self) -> Generator[None]:
        """Turn what the system refuses inside the block into StorageFailed("compact")."""
        try:
            yield
        except OSError as error:
            self._require_open()
            raise self._failed(error) from error
        except StorageFailed as error:
            self._require_open()
            raise StorageFailed("compact", error.path, error.errno, str(error)) from error

    def _failed(self, error: OSError) -> StorageFailed:
        return layout.failed("compact", self._directory.path, error)

    def _size(self, segments: Sequence[Segment]) -> int:
        with self._compacting():
            found = layout.listing(self._directory).segments
        return sum(found.get(one.header.segment_id, 0) for one in segments)

    # -------------------------------------------------------------------------- what is to become

    def _sources(self) -> list[Source]:
        """Every complete file."""
        files, parts = list(self._segments), self._table.parts
        return [
            self._source(segment, after, part)
            for segment, after, part in zip(files, files[1:], parts, strict=False)
        ]

    def _source(self, segment: Segment, after: Segment, part: Part) -> Source:
        links = segment.header.replaces
        if links is None:
            links = [] if after.header.prev is None else [after.header.prev]
        index = part if isinstance(part, Sealed) else self._index(segment, after)
        types = bytearray(index.types or bytes([EVENT]) * len(index))
        return Source(segment, part, index, links, types)

    def _index(self, segment: Segment, after: Segment) -> Sealed:
        """That of a file whose footer could not be written."""
        recorded = decide.recorded(segment.header, after.header, None)
        if recorded is None:
            raise segment.missing(segment.end, Why.END)
        return footer.in_memory(segment, recorded, self._platform.raw_lock)[0]

    def _chosen(self, part: Part, types: bytes, judge: Judge) -> list[int]:
        """Ask about every event of a file. What was announced stays, whatever is said of it."""
        found: list[int] = []
        for first in range(0, len(types), STEP):
            rows = [
                row for row, one in enumerate(types[first : first + STEP], first) if one == EVENT
            ]
            kinds = part.kinds
            found += [
                row
                for row, chosen in zip(rows, judge(part, rows), strict=True)
                if chosen and kinds[row] not in LASTING
            ]
        return found

    def _ended(self, place: int, judge: Judge, stub: int) -> list[Source]:
        """The file that grows, if something in it is to go: it is complete then.

        What is stored there after it was asked about stays.

        Args:
            place: Of the file, in the log: behind those that were complete.
            judge: Is asked about its events.
            stub: What those become that are chosen.
        """
        segment = list(self._segments)[place]
        span = next(self._table.spans(segment.header.first_sequence, self._table.bound), None)
        if span is None:
            return []
        rows = self._chosen(span.part, bytes([EVENT]) * span.stop, judge)
        if not rows:
            return []
        self._committing.run(lambda: self._end(segment))
        segment, after = list(self._segments)[place : place + 2]
        source = self._source(segment, after, self._table.parts[place])
        source.become(rows, stub)
        return [source]

    def _end(self, segment: Segment) -> None:
        self._require_open()
        self._lane.begin_file(segment)
        self._lane.settle_files()

    # ------------------------------------------------------------------------------------- commit

    def _announce(self, sources: Sequence[Source], counts: dict[int, int]) -> None:
        """Say in the log what will be gone. It may be more than is gone in the end, never less."""
        changed = [source for source in sources if source.changed]
        first, last = min(_changed(changed[0])), max(_changed(changed[-1]))
        fact = Compacted(dropped=counts[DROPPED], erased=counts[ERASED], first=first, last=last)
        request, me = Request(LIFECYCLE, wire.encode(fact)), self._platform.thread_id()
        self._lane.commit_behind_fence(lambda: Unit((request,), me, request.size, durable=True))

    def _exchange_files(self, group: Sequence[Source], output: Output) -> None:
        self.still(lambda: self._committing.run(lambda: self._commit(group, output)))

    def _commit(self, group: Sequence[Source], output: Output) -> None:
        """Put the new file in the place of the old ones: on the disk, then for readers."""
        self._require_open()
        self._lane.settle_files()  # nobody else has taken the directory over
        for source in group:
            source.segment.pin()
        handled, exchange = sys.exception(), Exchange(group, output)
        try:
            self._exchange = exchange
            output.fresh.publish()
            self._finish(exchange)
        except BaseException as error:
            if exchange.syncing:  # an exception from outside may have replaced the refusal
                self._unsure = self._unsure or _refusal(error, handled)
                exchange.syncing = False
            with suppress(OSError, BatpakError):  # then whoever needs the names next tries again
                self._settle()
            raise
        if self._unsure is not None:
            raise self._unsure

    def _settle(self) -> None:
        """Finish a commit that was cut short, or take it back. Any step may be done again."""
        exchange = self._exchange
        if exchange is None or self._stopped:
            return
        if exchange.output.fresh.is_published():
            self._finish(exchange)
        else:
            exchange.output.fresh.abandon()
            self._exchange = None

    def _finish(self, exchange: Exchange) -> None:
        """What comes after the new file has its name."""
        group, output = exchange.group, exchange.output
        if exchange.syncing:
            self._unsure = OSError("nobody knows what came of a sync that was cut short")
        elif not exchange.synced:
            exchange.syncing = True
            try:
                self._directory.sync()
            except OSError as error:
                self._unsure = error
        exchange.synced, exchange.syncing = True, False
        self._lane.hold(lambda: self._swap(group, output))
        if self._unsure is None:
            self._clear(group)
        self._exchange = None

    def _swap(self, group: Sequence[Source], output: Output) -> None:
        """From here on whoever asks is answered from the new file. Twice is harmless."""
        self._segments.adopt(output.segment)
        self._table.merged([source.known for source in group], output.part, output.epoch)
        self._segments.merged([source.segment for source in group], output.segment)

    def _clear(self, group: Sequence[Source]) -> None:
        """Remove the other files. What cannot be removed the next open removes."""
        numbers = {link.segment_id for source in group for link in source.links}
        numbers.discard(group[0].segment.header.segment_id)
        try:
            there = layout.listing(self._directory).segments
            for number in sorted(numbers & there.keys(), reverse=True):
                self._directory.unlink(layout.segment_name(number))
            self._directory.sync()
        except (OSError, StorageFailed) as error:
            path = self._directory.path
            log.warning("%s: files that are replaced stay: %s", path, error, extra={"path": path})


def _refusal(error: BaseException | None, handled: BaseException | None) -> OSError | None:
    """What the system refused when an exception came, if not what was being handled before."""
    while error is not handled and not isinstance(error, OSError):
        error = error and error.__context__
    return error if isinstance(error, OSError) else None


def _changed(source: Source) -> Iterator[int]:
    """The sequences of the events of a file that become stubs."""
    before: Sequence[int] = source.part.types or bytes([EVENT]) * len(source.types)
    pairs = enumerate(zip(source.types, before, strict=True), source.part.first)
    return (sequence for sequence, (now, was) in pairs if now != was)
