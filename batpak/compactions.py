"""Compactions: a log in fewer files, without what nobody is to read any more. A part of Store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

from batpak.appends import Appends
from batpak.arguments import answer_of, count_of, require_callable
from batpak.commit.lane import Lane
from batpak.config import StoreConfig
from batpak.errors import InvalidArgument
from batpak.event import Q, StoredEvent
from batpak.index.query import Rows
from batpak.index.row import Part
from batpak.opened import Opened
from batpak.override import override
from batpak.record import DROPPED, ERASED
from batpak.report import CompactionReport, Progress
from batpak.upkeep.compaction import Compaction, Judge, Plan
from batpak.wire import RAW, Form, form_of

T = TypeVar("T")


class Compactions(Appends):
    """What a handle can do about the files of its log."""

    def __init__(self, opened: Opened, lane: Lane, config: StoreConfig) -> None:
        super().__init__(opened, lane, config)
        log = opened.log
        self._compaction = Compaction(
            opened.directory, log.segments, log.table, lane, opened.platform
        )

    @overload
    def compact(
        self,
        *,
        retain: Callable[[StoredEvent[bytes]], bool] | None = None,
        tombstone: Callable[[StoredEvent[bytes]], bool] | None = None,
        min_segments: int = 2,
        progress: Progress | None = None,
    ) -> CompactionReport: ...

    @overload
    def compact(
        self,
        *,
        retain: Callable[[StoredEvent[Q]], bool] | None = None,
        tombstone: Callable[[StoredEvent[Q]], bool] | None = None,
        min_segments: int = 2,
        form: Form[Q],
        progress: Progress | None = None,
    ) -> CompactionReport: ...

    def compact(
        self,
        *,
        retain: Callable[[StoredEvent[Any]], bool] | None = None,
        tombstone: Callable[[StoredEvent[Any]], bool] | None = None,
        min_segments: int = 2,
        form: Form[Any] = RAW,
        progress: Progress | None = None,
    ) -> CompactionReport:
        """Make complete files fewer, and drop or erase events if asked to. Appends go on meanwhile.

        With neither function files are merged, and nothing else changes. An event that is dropped
        is gone from every read; one that is erased is read as a `Tombstoned`. Sequences, versions,
        keys and hashes stay, so what was noted before still holds. The file that grows is not
        merged; if something in it is to go, the next file is begun first. So on return a payload
        that was to go is in no file of the log. Copies are yours to see to: snapshots, forks,
        exports, backups, cached states, and what a repair has put into quarantine/.
        A removal is announced in the log before it is done: so it waits while another thread has a
        visibility fence open.

        Args:
            retain: False: the event is dropped.
            tombstone: True: its payload is erased. Not together with `retain`.
            min_segments: With fewer complete files none are merged.
            form: Of the payloads that those functions see. They are called for every event that
                is there when they come to it, in order, and for no event twice; what they raise
                ends the run before anything is changed, with a note of the event. So does an
                answer that is no bool: nothing else says that something is to be gone.
            progress: Told now and then how many bytes of events are written, of how many.

        Raises:
            InvalidArgument: An argument is malformed. Or this thread is compacting already, or in
                the middle of `verify`, `snapshot` or `fork`: it was called by one of the functions
                above, or by a signal handler.
            StorageFailed: The system refused. The log is as it was, or as it was to be; where it
                refused a sync, a power cut may still decide which.
            CorruptStore, UnknownKind, FutureVersion, DecodeFailed: An event cannot be read.
            FenceError: One of those functions is given, and this thread has a fence open.
            StoreClosed, StorePoisoned, DurabilityUnknown, ForkedStoreError: This handle writes no
                more.
        """
        self._writable()
        form = form_of(form)
        if retain is not None and tombstone is not None:
            raise InvalidArgument("tombstone", "give `retain` or `tombstone`, not both")
        given = {"retain": retain, "tombstone": tombstone, "progress": progress}
        for name, function in given.items():
            if function is not None:
                require_callable(name, function)
        if not count_of("min_segments", min_segments):
            raise InvalidArgument("min_segments", "must be 1 or more")

        judge, stub = None, DROPPED
        if retain is not None:
            judge = self._judge("retain", retain, False, form)
        elif tombstone is not None:
            judge, stub = self._judge("tombstone", tombstone, True, form), ERASED
        return self._compaction.run(Plan(judge, stub, min_segments, progress))

    def _judge(
        self, name: str, ask: Callable[[StoredEvent[Q]], object], removes: bool, form: Form[Q]
    ) -> Judge:
        """What asks a function of the user about events; only a plain bool is an answer."""

        def is_chosen(event: StoredEvent[Q]) -> bool:
            try:
                answer = answer_of(name, ask, event)
                if type(answer) is not bool:
                    found = type(answer).__name__
                    raise InvalidArgument(name, f"must return True or False, not a {found}")
            except Exception as error:
                error.add_note(f"{name} at event {event.sequence}")
                raise
            return answer is removes

        def judge(part: Part, rows: Sequence[int]) -> Iterator[bool]:
            chunk = [Rows(part, rows, lambda: rows)] if rows else []
            events = self._fetch.events(iter(chunk), form, handle=self)
            return (is_chosen(event) for event in events)

        return judge

    @override
    def _still(self, act: Callable[[], T]) -> T:
        return self._compaction.still(act)
