"""A store and a model that get the same calls, and may never differ.

Whatever the disk does: a call is stored as the model has it, or refused as the model refuses it, or
refused by the disk. What is found by an open is held against what had to be there, and what may be.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from msgspec.structs import replace

from batpak.append import AppendReceipt, BatchItem, PriorItem, RawPayload
from batpak.clock import Hlc
from batpak.commit.fence import FenceError
from batpak.commit.ticket import AppendTicket, BatchTicket
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import LIFECYCLE, Coordinate
from batpak.disk.seam import StrPath
from batpak.errors import (
    BatpakError,
    ConflictError,
    DurabilityUnknown,
    InvalidArgument,
    StorageError,
    StorageFailed,
    StorePoisoned,
)
from batpak.event import StoredEvent
from batpak.faults import FenceState
from batpak.fence import VisibilityFence
from batpak.kind import COMPACTED
from batpak.report import (
    CompactionOutcome,
    ForkReport,
    Frontier,
    HealthState,
    SnapshotReport,
)
from batpak.store import Store
from batpak.system import Compacted
from batpak.testing.crash import CrashModel
from batpak.testing.faults import Kind, Partial
from batpak.testing.model import Asked, Model, ModelEvent, ModelFence, unstamped
from batpak.testing.platform import SimPlatform
from batpak.wire import Form
from tests.facts import Said
from tests.proof.drawn import FAULTS, Cut, Trouble
from tests.proof.family import Tally

T = TypeVar("T")

Answer: TypeAlias = tuple[AppendReceipt, ...] | BaseException

UNSYNCED_MAX: Final = 4  # events, at INTERVAL
HEAD: Final = slice(3, 161)  # of a record: the fixed fields up to the stamp …
HEAD_BYTES: Final = 158  # … which are so many
STAMP: Final = slice(HEAD_BYTES, HEAD_BYTES + 8)  # of a head
FOOTER: Final = struct.Struct("<8sQ32x")  # its last bytes: a mark, and where the frames end
FOOTER_MARK: Final = b"SIDXv2\0\0"


class Moment(NamedTuple):
    """How far the log had come after so many operations of this machine."""

    operations: int
    events: int
    durable: int
    removed: dict[int, ModelEvent | None]  # as of the model
    made: bool  # whether there was a store


class Pair:
    """One store, one list, and whatever happens to both.

    Args:
        durability: Of the store.
        sim: The machine.
        tally: Counts faults and crashes.
    """

    def __init__(self, durability: Durability, sim: SimPlatform, tally: Tally) -> None:
        self.config = StoreConfig(
            lifecycle_events=False,
            durability=durability,
            sync_every_n_events=UNSYNCED_MAX,
            limits=Limits(segment_max_bytes=4 << 10),
        )
        self.sim, self.tally = sim, tally
        self.fired = False  # whether a fault that was armed has happened
        self.poisoned = False
        self._stuck = False  # whether a compaction was refused, which may have ended them all
        self._copies = 0
        self.leftovers = False  # whether files that were merged may still be there
        self.time = Hlc(-1, 0)
        self.keyed: list[Asked] = []  # calls that were stored under keys
        self._refused: list[Asked] = []  # calls of this step that the disk has refused
        self._in_flight: list[Asked] = []  # those of the last step that has changed the disk
        self._mixed = False  # whether others were stored in that step
        self._unknown: list[Asked] = []  # calls of which only an open can tell
        self._maybe: dict[int, ModelEvent | None] = {}  # removals of which only an open can tell …
        self._doubtful: dict[int, ModelEvent | None] = {}  # … and those that a power cut may undo
        self._last = self._now = Moment(0, 0, 0, {}, made=False)
        self.store = Store.open("store", self.config, platform=sim)
        self.model = Model(self.store.open_report.store_id)
        self._moved()

    # -------------------------------------------------------------------------------- every step

    @contextmanager
    def _under(self, trouble: Trouble | None) -> Generator[None]:
        """Inside the block something may fail; `fired` says whether it did."""
        faults, before = self.sim.faults, self.sim.faults.fired
        if trouble is not None:
            fault = FAULTS[trouble.fault]
            kinds = trouble.kinds if isinstance(fault, int) else ()
            sticky = trouble.sticky and isinstance(fault, int)
            self.sim.fail_at(trouble.n, fault, sticky=sticky, kind=kinds)
            if isinstance(fault, Partial) and trouble.sticky:  # nor can it be taken back
                undoing: tuple[Kind, ...] = ("write", "truncate")
                self.sim.fail_at(trouble.n + 1, fault.error, sticky=True, kind=undoing)
        try:
            yield
        finally:
            faults.clear()
            self.fired = faults.fired > before
            self.tally.count("faults", int(self.fired))

    def _moved(self) -> None:
        """A step is over that may have changed something."""
        operations, store, model = len(self.sim.operations), self.store, self.model
        poisoned = store.health.state is HealthState.POISONED
        assert self.fired or self.poisoned or not poisoned, f"stopped: {store.health.cause}"
        self.poisoned = poisoned
        self.dump = list(store.query(form=Form.RAW))
        model.durable = max(model.durable, store.frontier().durable)
        if operations != self._now.operations:
            self._last, self._in_flight = self._now, self._refused
            self._mixed = bool(self._refused) and len(model.events) > self._now.events
        self._refused = []
        self._now = Moment(
            operations, len(model.events), model.durable, dict(model.removed), made=True
        )

    @property
    def dropped(self) -> set[int]:
        """The sequences of the events that nobody reads any more."""
        return {sequence for sequence, seen in self.model.removed.items() if seen is None}

    @property
    def unsure(self) -> set[int]:
        """The sequences of the events of which only an open can tell whether they were removed."""
        return set(self._maybe)

    def read(self, ask: Callable[[], T], trouble: Trouble | None) -> T:
        """Ask something that changes nothing; if the disk refuses it, it can be asked again."""
        with self._under(trouble):
            try:
                return ask()
            except StorageFailed as error:
                refused = error
        assert self.fired, f"refused without a fault: {refused!r}"
        return ask()

    def require_same(self, found: Iterable[StoredEvent[Any]], wanted: list[ModelEvent]) -> None:
        """Events are those of the model, every byte of them but for the stamp."""
        got = [unstamped(one.record) for one in found]
        if got != [one.record for one in wanted]:
            known = {one.record: one.sequence for one in (*self.model.events, *self.model.query())}
            told = [known.get(record, "another one") for record in got]
            raise AssertionError(f"events {told}, not {[one.sequence for one in wanted]}")

    # ------------------------------------------------------------------------------------ writing

    def write(self, asked: Asked, trouble: Trouble | None) -> None:
        """One call, in a step of its own."""
        with self._under(trouble), self._clocked() as time:
            answer = self._ask(asked)
        self._take(asked, answer, time)
        self._moved()

    def submit(
        self, several: Sequence[Asked], trouble: Trouble | None, *, in_background: bool
    ) -> None:
        """Several calls, none of which is waited for before all of them stand in line."""
        several = [replace(one, alone=one.alone and not _is_raw(one)) for one in several]
        with self._under(trouble), self._clocked() as time:
            tickets = [self._put_in_line(one) for one in several]
            if in_background:
                self.sim.run_background()
                assert all(isinstance(one, BatpakError) or one.done() for one in tickets)
            answers = [one if isinstance(one, BatpakError) else _answer(one) for one in tickets]
        for asked, answer in zip(several, answers, strict=True):
            self._take(asked, answer, time)
        self._moved()

    def fence(self, calls: Sequence[Asked], trouble: Trouble | None, *, commits: bool) -> None:
        """Several calls behind a fence; the trouble is for its commit."""
        before = len(self.model.events)
        try:
            fence = self.store.visibility_fence()
        except StorePoisoned:
            assert self.poisoned, "it says that it does not write, and does"
            return
        wanted = ModelFence(self.model)
        several = [replace(one, alone=one.alone and not _is_raw(one)) for one in calls]
        staged = [one for one in several if self._stage(fence, wanted, one, before)]
        assert self.store.frontier().visible == before, "something of it is visible already"
        with suppress(FenceError):
            self.store.append_batch([BatchItem(Coordinate("a", "a"), Said(text="in between"))])
            raise AssertionError("somebody else has written")
        if commits:
            answer: Answer
            with self._under(trouble), self._clocked() as time:
                try:
                    answer = fence.commit()
                except BatpakError as error:
                    answer = error
            self._take(wanted.asked, answer, time)
            if isinstance(answer, tuple):
                self.keyed += [one for one in staged if _is_keyed(one)]
        if fence.state is FenceState.ACTIVE:
            fence.cancel()
        self._moved()

    def _stage(self, fence: VisibilityFence, wanted: ModelFence, asked: Asked, before: int) -> bool:
        """One call behind a fence; whether it was taken."""
        due: list[int] | BatpakError
        try:
            due = wanted.stage(asked)
        except (ConflictError, InvalidArgument) as error:
            due = error
        ticket = self._put_on(fence, asked)
        if isinstance(ticket, BatpakError):
            assert isinstance(due, BatpakError), f"refused: {ticket!r}"
            told, said = _details(ticket), _details(due)
            assert told == said, f"refused as {told}, not as {said}"
            return False
        assert not isinstance(due, BatpakError), f"not refused: {due!r}"
        known = all(sequence < before for sequence in due)
        assert ticket.done() == known, f"{due} are known: {known}"
        if known:
            answer = _answer(ticket)
            assert isinstance(answer, tuple)
            assert [one.sequence for one in answer] == due
        return True

    def _put_on(
        self, fence: VisibilityFence, asked: Asked
    ) -> AppendTicket | BatchTicket | BatpakError:
        """A call that is staged, or refused."""
        try:
            if not asked.alone:
                return fence.append_batch(asked.items, **_of_batch(asked))
            item, payload = asked.items[0], asked.items[0].payload
            assert not isinstance(payload, RawPayload)
            return fence.append(item.coord, payload, **_conditions(item))
        except BatpakError as error:
            return error

    def _ask(self, asked: Asked) -> Answer:
        """What the store makes of a call."""
        store, item = self.store, asked.items[0] if asked.alone else None
        try:
            if item is None:
                return store.append_batch(asked.items, **_of_batch(asked))
            if isinstance(item.payload, RawPayload):
                kind, data, version = item.payload.kind, item.payload.data, item.payload.version
                given = _conditions(item)
                return (store.append_raw(item.coord, kind, data, payload_version=version, **given),)
            return (store.append(item.coord, item.payload, **_conditions(item)),)
        except BatpakError as error:
            return error

    def _put_in_line(self, asked: Asked) -> AppendTicket | BatchTicket | BatpakError:
        """A call that is decided later, or refused at once."""
        try:
            if not asked.alone:
                return self.store.submit_batch(asked.items, **_of_batch(asked))
            item, payload = asked.items[0], asked.items[0].payload
            assert not isinstance(payload, RawPayload)
            return self.store.submit(item.coord, payload, **_conditions(item))
        except BatpakError as error:
            return error

    @contextmanager
    def _clocked(self) -> Generator[list[int]]:
        """The wall clock before and after, in milliseconds."""
        time = [self.sim.wall_ns() // 1_000_000]
        yield time
        time.append(self.sim.wall_ns() // 1_000_000)

    def _take(self, asked: Asked, answer: Answer, time: list[int]) -> None:
        """Hold an answer against that of the model."""
        wanted: list[ModelEvent] | BatpakError | None
        try:
            wanted = self.model.judge(asked)
        except (ConflictError, InvalidArgument) as error:
            wanted = error
        if isinstance(answer, StorageError | StorePoisoned):
            self._take_refusal(asked, answer)
        elif isinstance(answer, BaseException):
            assert isinstance(wanted, BatpakError), f"refused: {answer!r}"
            told, due = _details(answer), _details(wanted)
            assert told == due, f"refused as {told}, not as {due}"
        else:
            assert not isinstance(wanted, BatpakError), f"not refused: {wanted!r}"
            assert not self.poisoned, "stored by a handle that had stopped writing"
            self._take_receipts(asked, answer, time, is_replay=wanted is not None)

    def _take_refusal(self, asked: Asked, error: StorageError | StorePoisoned) -> None:
        """The disk did not do what it was asked for: what has become of the call?"""
        poisoned = self.store.health.state is HealthState.POISONED
        if isinstance(error, StorePoisoned):
            assert poisoned, "it says that it does not write, and does"
            return
        assert self.fired, f"refused without a fault: {error!r}"
        self._refused.append(asked)
        if isinstance(error, DurabilityUnknown):
            assert poisoned, "a sync has failed, and it goes on writing"
            first, last = self.store.frontier().durable, error.last_sequence
            assert error.first_sequence == min(first, last), vars(error)
            self._unknown.append(asked)

    def _take_receipts(
        self, asked: Asked, receipts: Sequence[AppendReceipt], time: list[int], *, is_replay: bool
    ) -> None:
        """It is stored: as what, how safe, and when?"""
        events, durable = self.model.append(asked, receipts), self.store.frontier().durable
        for receipt, event in zip(receipts, events, strict=True):
            assert receipt.head[:HEAD_BYTES] == event.record[HEAD], f"{receipt!r}, not {event}"
            assert receipt.coordinate == event.coordinate
            assert receipt.store_id == self.model.store_id
            assert receipt.replayed == is_replay
            was_durable = is_replay and event.sequence < self._now.durable
            if was_durable or receipt.durability is not self.config.durability:
                assert receipt.durability is Durability.COMMIT, f"{receipt!r} is durable"
                assert event.sequence < durable, f"{receipt!r} is not durable"
            if not is_replay:
                stamp = int.from_bytes(receipt.head[STAMP], "big")
                assert stamp <= min(events[0].sequence, durable), "stamped ahead of the disk"
                self._take_time(receipt.hlc, *time)
        if _is_keyed(asked) and not asked.staged:
            self.keyed.append(asked)

    def _take_time(self, time: Hlc, earliest: int, latest: int) -> None:
        """The log's clock follows the wall clock where that has gone forward; else it counts."""
        before, self.time = self.time, time
        if time.wall_ms == before.wall_ms:
            assert time.counter == before.counter + 1, f"{time} after {before}"
            assert earliest <= before.wall_ms, f"{time}, and the wall clock had gone on"
        else:
            assert time.wall_ms > before.wall_ms, f"{time} after {before}"
            assert earliest <= time.wall_ms <= latest, f"{time} is not now"
            assert time.counter == 0, f"{time} is the first of its millisecond"

    def sync(self, trouble: Trouble | None) -> None:
        """Make all of it durable."""
        error: BatpakError | None = None
        with self._under(trouble):
            try:
                bounds = self.store.sync()
            except (DurabilityUnknown, StorePoisoned) as refusal:
                error = refusal
            else:
                assert bounds.durable == bounds.visible == len(self.model.events), bounds
        stopped = self.store.health.state is HealthState.POISONED
        assert stopped == (error is not None), f"sync said {error!r}, and it writes: {not stopped}"
        assert self.poisoned == isinstance(error, StorePoisoned), f"sync said {error!r}"
        self._moved()

    def run_background(self, trouble: Trouble | None) -> None:
        """Let the threads of the store do what waits for them."""
        with self._under(trouble):
            self.sim.run_background()
        self._moved()

    def merge(self, trouble: Trouble | None) -> None:
        """Make files fewer: of no event anything is another one."""
        report = self._unless_refused(self.store.compact, trouble)
        self.leftovers |= self.fired
        if report is None:
            self._stuck = True
        elif report.outcome is CompactionOutcome.PERFORMED:
            assert report.segments_after == 1 < report.segments_before, report
            assert report.dropped == report.erased == 0, report
        self._moved()

    def remove(
        self, chosen: set[int], trouble: Trouble | None, *, drops: bool, min_segments: int
    ) -> None:
        """Drop events, or erase them. Nothing else changes, but that the log says so.

        Args:
            chosen: The sequences of those that are to go.
            trouble: What fails.
            drops: Else they are erased.
            min_segments: With fewer complete files only those are written anew that change.
        """
        model, asked = self.model, list[int]()
        there = [one for one in model.events if one.sequence not in model.removed]

        def choose(event: StoredEvent[bytes]) -> bool:
            asked.append(event.sequence)
            return (event.sequence in chosen) is not drops

        way = {"retain" if drops else "tombstone": choose}
        compact = partial(self.store.compact, min_segments=min_segments, **way)
        report = self._unless_refused(compact, trouble)
        self.leftovers |= self.fired
        if report is None:
            self._stuck = True
        else:
            assert asked == [one.sequence for one in there], f"asked about {asked}"
        gone = [it.sequence for it in there if it.sequence in chosen and it.kind != COMPACTED]
        seen = {n: None if drops else model.tombstone(n) for n in gone}
        counts = (len(gone), 0) if drops else (0, len(gone))
        if gone:
            self._announced(*counts, gone, is_done=report is not None)
        if report is None:
            self._maybe |= seen
            self._doubtful |= seen
            self._settle(list(self.store.query(form=Form.RAW)))
        else:
            assert (report.dropped, report.erased) == counts, report
            self._maybe = {n: one for n, one in self._maybe.items() if n not in seen}
            model.removed |= seen
        self._moved()

    def _announced(self, dropped: int, erased: int, gone: list[int], *, is_done: bool) -> None:
        """What is gone was announced before; it may be announced and not be gone."""
        fact = Compacted(dropped=dropped, erased=erased, first=gone[0], last=gone[-1])
        asked, store = Asked((BatchItem(LIFECYCLE, fact),), alone=True), self.store
        if store.frontier().visible > len(self.model.events):
            event = store.get(len(self.model.events), form=Form.RAW)
            self.model.append(asked, [event])
            self.time = event.hlc
            return
        assert not is_done, "nothing in the log says what is gone"
        self._refused.append(asked)
        if store.health.state is HealthState.POISONED and not self.poisoned:
            self._unknown.append(asked)

    def copy(self, trouble: Trouble | None, *, forks: bool) -> None:
        """Take a snapshot, or fork: what was told to be there has every event."""
        self._copies += 1
        name, store = f"copy{self._copies}", self.store
        take: Callable[[StrPath], SnapshotReport | ForkReport]
        take = store.fork if forks else store.snapshot
        ask: Callable[[], SnapshotReport | ForkReport] = partial(take, name)
        report = self._unless_refused(ask, trouble)
        if report is not None:
            assert report.sequence == len(self.model.events) == store.frontier().durable, report
            with Store.open_read_only(name, self.config, platform=self.sim) as copy:
                self.require_same(copy.query(form=Form.RAW), self.model.query())
                assert (copy.store_id == self.model.store_id) != forks, "whose is it?"
                assert copy.open_report.clean
                assert copy.verify().ok
        self._moved()

    def _unless_refused(self, ask: Callable[[], T], trouble: Trouble | None) -> T | None:
        """What is answered; None: the disk refused something, or has before."""
        with self._under(trouble):
            try:
                return ask()
            except (StorageError, StorePoisoned) as error:
                refusal = error
        if isinstance(refusal, StorePoisoned):
            assert self.store.health.state is HealthState.POISONED, "it says so, and writes"
        else:
            assert self.fired or self._stuck, f"refused without a fault: {refusal!r}"
        return None

    # --------------------------------------------------------------------------- closing, opening

    def reopen(self, stage: str, trouble: Trouble | None) -> None:
        """Close and open; what fails does so in one of the two, or in the first query.

        Args:
            stage: "close", "open" or "read".
            trouble: What fails.
        """
        in_order = self._close(trouble if stage == "close" else None)
        self.model.sync()
        in_order &= self._open(
            self._unknown,
            trouble if stage == "open" else None,
            trouble if stage == "read" else None,
        )
        report = self.store.open_report
        assert not in_order or (report.clean and report.torn is None), "closed, and not clean"
        self._moved()

    def read_only(self, which: int, how: str) -> None:
        """Who only reads changes nothing, and needs no footer; nor does the next writer.

        Args:
            which: Of the files that have one.
            how: What is done to the footer: "intact", "gone", "cut", "zeros" or "a byte".
        """
        assert self._close(None)
        self.model.sync()
        self._spoil(which, how)
        *sealed, _ = sorted(path for path in self.files() if path.endswith(".fbat"))
        due = [path.rpartition("/")[2] for path in sealed if path not in self._footers()]
        before = len(self.sim.operations)
        with Store.open_read_only("store", self.config, platform=self.sim) as reader:
            self.require_same(reader.query(form=Form.RAW), self.model.query())
            assert reader.open_report.clean, "closed, and not clean for a reader"
            assert reader.verify().ok, "verify finds damage in a footer"
        assert len(self.sim.operations) == before, "a reader has changed something"
        self._open([])
        rebuilt = self.store.open_report.rebuilt
        assert how == "a byte" or rebuilt == tuple(due), f"{rebuilt} made anew, not {due}"
        self._moved()

    def files(self) -> dict[str, bytes]:
        """Those of the store, and not of its copies."""
        return {path: data for path, data in self.sim.files().items() if path.startswith("store/")}

    def _footers(self) -> dict[str, int]:
        """Where the frames end in the files that have a footer."""
        marks = {
            path: FOOTER.unpack(data[-FOOTER.size :])
            for path, data in sorted(self.files().items())
            if path.endswith(".fbat") and len(data) > FOOTER.size
        }
        return {path: end for path, (mark, end) in marks.items() if mark == FOOTER_MARK}

    def _spoil(self, which: int, how: str) -> None:
        """Do something to a footer, if there is one."""
        ends = self._footers()
        if not ends or how == "intact":
            return
        path = list(ends)[which % len(ends)]
        begin, data = ends[path], bytearray(self.sim.files()[path])
        if how == "gone":
            del data[begin:]
        elif how == "cut":
            del data[(begin + len(data)) // 2 :]
        elif how == "zeros":
            data[begin:] = bytes(len(data) - begin)
        else:
            data[begin + which * 41 % (len(data) - begin)] ^= 0xFF
        with self.sim.pause():
            directory = self.sim.open_dir(self.store.open_report.path, create=False)
            file = directory.append(path.rpartition("/")[2])
            file.truncate(begin)
            file.write(begin, bytes(data[begin:]))
            file.close()
            directory.close()

    def crash(self, cut: Cut, trouble: Trouble | None) -> None:
        """The power goes, in the last step that has changed the disk or behind it.

        Args:
            cut: Which crash.
            trouble: What fails during the recovery.
        """
        self.tally.count("crashes")
        at = self._now.operations
        if not self._mixed:
            at = max(self._last.operations, at - cut.back)
        inside, killed = at < self._now.operations, cut.model is CrashModel.KILL
        moment = self._last if inside else self._now
        after = self.sim.crash(cut.model, at, seed=cut.seed)
        self.store.close()  # on the machine that has not crashed, which goes on
        self.sim, self.model.durable = after, moment.events if killed else moment.durable
        self._maybe |= self._doubtful
        sure = {n: seen for n, seen in moment.removed.items() if n not in self._maybe}
        self._maybe |= {n: seen for n, seen in self.model.removed.items() if n not in sure}
        self.model.removed = dict(sure)
        may_be_there = self._in_flight if inside and self._in_flight else self._unknown
        self._open(may_be_there, trouble, made=moment.made)
        self._doubtful = self._doubtful if killed else {}
        left = len(self.model.events)
        durable, gone = (moment.durable, sure) if killed else (left, self.model.removed)
        self._now = Moment(0, left, durable, dict(gone), moment.made)
        self._moved()

    def _settle(self, found: Sequence[StoredEvent[bytes]]) -> None:
        """Of the removals that may have been done, take over those that were."""
        told, model = {one.sequence: unstamped(one.record) for one in found}, self.model
        for sequence, seen in self._maybe.items():
            if sequence < len(model.events) and told.get(sequence) == (seen and seen.record):
                model.removed[sequence] = seen

    def _close(self, trouble: Trouble | None) -> bool:
        """Close the store; whether it has ended in order."""
        with self._under(trouble):
            try:
                self.store.close()
                in_order = not self.poisoned
            except StorageError:
                in_order = False
        assert in_order or self.fired or self.poisoned, "a close was refused without a fault"
        assert self.store.health.state is HealthState.CLOSED, "closed, and it does not say so"
        return in_order

    def _open(
        self,
        may_be_there: list[Asked],
        trouble: Trouble | None = None,
        trouble_later: Trouble | None = None,
        *,
        made: bool = True,
    ) -> bool:
        """Open the store, and find in it what has to be there, and nothing that may not be.

        Returns:
            Whether the first open has succeeded. One that is refused may have changed the disk.
        """
        store: Store | None = None
        with self._under(trouble), suppress(StorageError):
            store = Store.open("store", self.config, platform=self.sim)
        assert store is not None or self.fired, "an open was refused without a fault"
        at_once, self.leftovers = store is not None, self.fired
        self.store = store = store or Store.open("store", self.config, platform=self.sim)
        if not made and not self.model.events:
            self.model = Model(store.open_report.store_id)
        model = self.model
        assert store.open_report.store_id == model.store_id, "another store"
        found = self.read(lambda: list(store.query(form=Form.RAW)), trouble_later)
        left = store.frontier().visible
        for asked in may_be_there:
            if len(model.events) < left:
                more = [one for one in found if one.sequence >= len(model.events)]
                with suppress(ConflictError):  # the log would have refused it
                    model.append(asked, more[: len(asked.items)])
        assert left in model.survivals(), f"{left} events, not {model.survivals()}"
        model.crash(left)
        self._settle(found)
        self._maybe = {}
        self.require_same(found, model.query())
        assert store.frontier() == Frontier(*[left] * 4)
        assert store.health.state is HealthState.OK
        files, torn = self.files(), store.open_report.torn
        assert not [path for path in files if path.endswith(".tmp")], "leftovers of a replace"
        if torn is not None:
            kept = files.get(f"store/{torn.quarantine}", b"")
            assert len(kept) == torn.bytes, "what was torn is not kept"
        self.poisoned, self._stuck, self._unknown = False, False, []
        self.time = found[-1].hlc if found else Hlc(-1, 0)
        return at_once


def _answer(ticket: AppendTicket | BatchTicket) -> Answer:
    error = ticket.exception()
    if error is not None:
        return error
    result = ticket.result()
    return (result,) if isinstance(result, AppendReceipt) else result


def _details(error: BaseException) -> dict[str, object]:
    """All that an exception says, for machines."""
    said = {name: value for name, value in vars(error).items() if name != "__notes__"}
    return {"type": type(error), "item_index": None, **said}


def _is_keyed(asked: Asked) -> bool:
    return asked.idempotency_key is not None or any(one.idempotency_key for one in asked.items)


def _is_raw(asked: Asked) -> bool:
    """Whether it can be submitted only as a batch of one."""
    return isinstance(asked.items[0].payload, RawPayload)


def _conditions(item: BatchItem) -> dict[str, Any]:
    """The keywords of `append`."""
    assert not isinstance(item.caused_by, PriorItem)
    return {
        "expected_version": item.expected_version,
        "idempotency_key": item.idempotency_key,
        "caused_by": item.caused_by,
        "correlation_id": item.correlation_id,
        "flags": item.flags,
        "extensions": item.extensions,
    }


def _of_batch(asked: Asked) -> dict[str, Any]:
    """The keywords of `append_batch`."""
    return {
        "idempotency_key": asked.idempotency_key,
        "caused_by": asked.caused_by,
        "correlation_id": asked.correlation_id,
    }
