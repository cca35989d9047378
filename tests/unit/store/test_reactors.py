"""Reactors: what follows from an event is stored as one batch, once, however often it is asked.

Would slip through without it: half a reaction, a second one after a crash in between, a reaction
whose cause nobody knows, a reactor that is given what it never asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final, final
from uuid import UUID, uuid4

import pytest

from batpak import codec, system
from batpak.append import PriorItem
from batpak.coordinate import Coordinate
from batpak.diagnostics import WorkerState
from batpak.errors import InvalidArgument, TooLarge, UnknownKind, VersionConflict
from batpak.event import StoredEvent
from batpak.ids import new_id
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.reactor import ReactionBatch, Reactor
from batpak.read.restart import OnFailure, RestartPolicy
from batpak.read.witness import AtLeastOnce
from batpak.read.worker import WorkerFailed
from batpak.region import Region
from batpak.store import Store
from batpak.testing import sample
from batpak.testing.platform import SimPlatform
from batpak.wire import RAW, Form
from shop.gen.orders import (
    OrderCancelled,
    OrderId,
    OrderPaid,
    OrderPlaced,
    OrderShipped,
)
from shop.gen.orders.handlers import OrderReactor
from tests.facts import FAST, PLAIN, USER, Counted, Said

ANSWERS: Final = Coordinate("answer:1", "acme")
STRANGE: Final = EventKind.custom(0xE, 0x7FE)
TEXTS: Final = Region(kinds=Said)


class Echo(Reactor[Counted]):
    """Two answers to each number, the second caused by the first, with something fresh in them."""

    NAME: ClassVar[str] = "echo"
    KINDS: ClassVar[frozenset[EventKind]] = frozenset({Counted.KIND})

    def __init__(self, failing: int = -1) -> None:
        self.failing = failing
        self.seen: list[int] = []
        self.witnesses: set[AtLeastOnce | None] = set()

    @override
    def react(
        self, event: StoredEvent[Counted], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        n = event.payload.n
        self.seen.append(n)
        self.witnesses.add(witness)
        out.push(ANSWERS, Said(text=f"{n} {uuid4()}"))
        if n == self.failing:
            raise ZeroDivisionError
        out.push(ANSWERS, Said(text=f"{n} again"), caused_by=PriorItem(0), flags=4)
        assert len(out) == 2


@pytest.fixture
def sim() -> SimPlatform:
    return SimPlatform()


@pytest.fixture
def store(sim: SimPlatform) -> Iterator[Store]:
    with Store.open("store", PLAIN, platform=sim) as opened:
        yield opened


def count(store: Store, *numbers: int) -> None:
    for n in numbers:
        store.append(USER, Counted(n=n))


def answered(store: Store) -> list[str]:
    return [event.payload.text.partition(" ")[0] for event in store.by_fact(Said)]


def test_each_source_has_one_batch_caused_by_it(store: Store, sim: SimPlatform) -> None:
    count(store, 1, 2)
    echo = Echo()
    with store.react(echo, checkpoint_id="mine") as worker:
        sim.run_background()
        count(store, 3)
        sim.run_background()
        assert (worker.name, worker.delivered) == ("echo", 3)
        assert worker.position == store.frontier().visible

    assert answered(store) == ["1", "1", "2", "2", "3", "3"]
    sources = list(store.by_fact(Counted))
    answers = list(store.by_fact(Said))
    for n, source in enumerate(sources):
        first, second = answers[2 * n : 2 * n + 2]
        assert second.sequence == first.sequence + 1
        assert (first.causation_id, second.causation_id) == (source.event_id, first.event_id)
        assert {first.correlation_id, second.correlation_id} == {source.correlation_id}
        assert (first.flags, second.flags) == (0, 4)
        assert first.idempotency_key != second.idempotency_key
    (witness,) = echo.witnesses
    assert witness is not None
    assert witness.checkpoint_id == "mine"


def test_a_source_that_comes_again_has_its_first_answer_for_ever(
    store: Store, sim: SimPlatform
) -> None:
    count(store, 1, 2)
    for _ in range(3):
        with store.react(Echo(), checkpoint_id="mine"):
            sim.run_background()
        store.reset_cursor("mine", position=0)
    before = [event.payload.text for event in store.by_fact(Said)]

    class Shorter(Echo):
        NAME: ClassVar[str] = "echo"

        @override
        def react(
            self, _event: StoredEvent[Counted], out: ReactionBatch, _witness: AtLeastOnce | None, /
        ) -> None:
            out.push(ANSWERS, Said(text="another number of answers"))

    with store.react(Shorter(), checkpoint_id="mine"):
        sim.run_background()

    assert [event.payload.text for event in store.by_fact(Said)] == before
    assert len(before) == 4


def test_another_reactor_and_another_checkpoint_have_answers_of_their_own(
    store: Store, sim: SimPlatform
) -> None:
    count(store, 1)

    class Other(Echo):
        NAME: ClassVar[str] = "other"

    for reactor, checkpoint_id in ((Echo(), "a"), (Echo(), "b"), (Other(), "c")):
        with store.react(reactor, checkpoint_id=checkpoint_id):
            sim.run_background()
    assert answered(store) == ["1"] * 6


def test_without_a_checkpoint_each_run_answers(store: Store, sim: SimPlatform) -> None:
    count(store, 1)
    for _ in range(2):
        echo = Echo()
        with store.react(echo):
            sim.run_background()
        assert echo.witnesses == {None}
    assert answered(store) == ["1"] * 4
    assert all(event.idempotency_key is None for event in store.by_fact(Said))


def test_a_failing_source_leaves_those_before_it_done_and_nothing_of_itself(
    store: Store, sim: SimPlatform
) -> None:
    count(store, 1, 2, 3, 4)
    echo = Echo(failing=3)
    worker = store.react(echo, checkpoint_id="mine", restart=RestartPolicy.never())
    sim.run_background()

    with pytest.raises(WorkerFailed) as caught:
        worker.join()
    assert (caught.value.sequence, caught.value.worker) == (2, "echo")
    assert answered(store) == ["1", "1", "2", "2"]
    assert [one.position for one in store.cursor_checkpoints()] == [2]
    with store.react(Echo(), checkpoint_id="mine"):
        sim.run_background()
    assert answered(store) == [n for n in "1234" for _ in range(2)]


def test_a_restart_begins_at_the_source_that_failed(store: Store, sim: SimPlatform) -> None:
    count(store, 1, 2, 3, 4)
    echo = Echo(failing=3)
    store.react(echo, checkpoint_id="mine")
    sim.run_background()

    assert echo.seen == [1, 2, 3, 3]


def test_a_reaction_that_is_refused_is_a_failure(store: Store, sim: SimPlatform) -> None:
    class Stale(Echo):
        @override
        def react(
            self, _event: StoredEvent[Counted], out: ReactionBatch, _witness: AtLeastOnce | None, /
        ) -> None:
            out.push(ANSWERS, Said(text="first"), expected_version=7)

    class Endless(Echo):
        @override
        def react(
            self, _event: StoredEvent[Counted], out: ReactionBatch, _witness: AtLeastOnce | None, /
        ) -> None:
            for _ in range(257):
                out.push(ANSWERS, Said(text="more"))

    count(store, 1)
    for reactor, error in ((Stale(), VersionConflict), (Endless(), TooLarge)):
        worker = store.react(reactor, checkpoint_id="mine")
        sim.run_background()
        with pytest.raises(WorkerFailed) as caught:
            worker.join()
        assert (type(caught.value.cause), caught.value.attempts) == (error, 2)
    assert answered(store) == []


def test_a_source_can_be_parked_and_the_next_ones_are_answered(
    store: Store, sim: SimPlatform
) -> None:
    count(store, 1, 2, 3)
    with store.react(Echo(failing=2), checkpoint_id="mine", on_failure=OnFailure.PARK):
        sim.run_background()
    (parked,) = store.by_fact(system.EventParked)

    assert parked.payload.sequence == 1
    assert answered(store) == ["1", "1", "3", "3"]


def test_a_reactor_gets_its_kinds_in_the_region_and_no_others(
    store: Store, sim: SimPlatform
) -> None:
    store.append_raw(USER, STRANGE, b"\x01")  # costs it nothing
    count(store, 1)
    store.append(Coordinate("user:2", "other"), Counted(n=2))
    store.append(USER, Said(text="no number"))
    for region, seen in ((None, [1, 2]), (Region(scope="other"), [2])):
        echo = Echo()
        with store.react(echo, region=region) as worker:
            sim.run_background()
            assert worker.state is WorkerState.RUNNING
        assert echo.seen == seen


def test_a_reactor_of_no_kinds_is_refused(store: Store) -> None:
    class Deaf(Echo):
        KINDS: ClassVar[frozenset[EventKind]] = frozenset()

    for reactor, region in ((Deaf(), None), (Echo(), TEXTS), (None, None), (Echo(), 3)):
        with pytest.raises(InvalidArgument):
            store.react(reactor, region=region)  # type: ignore[arg-type]  # refused


@final
class Copy(Reactor[bytes]):
    """Copies what nobody in this program can decode."""

    KINDS: ClassVar[frozenset[EventKind]] = frozenset({STRANGE, Said.KIND})
    FORM: ClassVar[Form[bytes]] = RAW

    @override
    def react(
        self, event: StoredEvent[bytes], out: ReactionBatch, _witness: AtLeastOnce | None, /
    ) -> None:
        if event.coordinate == USER:
            out.push_raw(ANSWERS, event.kind, event.payload, payload_version=event.payload_version)


def test_a_raw_reactor_gets_bytes_of_several_kinds(store: Store, sim: SimPlatform) -> None:
    assert f"{__name__}.Copy" == Copy.NAME
    store.append_raw(USER, STRANGE, codec.encode({"a": 1}), payload_version=3)
    store.append(USER, Said(text="hello"))
    with store.react(Copy(), checkpoint_id="copies"):
        sim.run_background()

    copies = list(store.stream("answer:1", form=RAW))
    assert [(e.kind, e.payload_version) for e in copies] == [(STRANGE, 3), (Said.KIND, 1)]
    assert [e.payload for e in copies] == [e.payload for e in store.stream("user:1", form=RAW)]


def test_a_source_that_does_not_decode_stops_a_typed_reactor(
    store: Store, sim: SimPlatform
) -> None:
    class Typed(Reactor[EventPayload]):
        KINDS: ClassVar[frozenset[EventKind]] = frozenset({STRANGE})

        @override
        def react(
            self,
            _event: StoredEvent[EventPayload],
            _out: ReactionBatch,
            _witness: AtLeastOnce | None,
            /,
        ) -> None:
            raise AssertionError("nobody can read it")

    store.append_raw(USER, STRANGE, b"\x01")
    worker = store.react(Typed())
    sim.run_background()
    with pytest.raises(WorkerFailed) as caught:
        worker.join()
    assert isinstance(caught.value.cause, UnknownKind)


def test_a_power_cut_between_reaction_and_checkpoint_leaves_one_batch_for_each_source() -> None:
    sim = SimPlatform()
    with Store.open("store", FAST, platform=sim) as store:
        store.react(Echo(), checkpoint_id="mine", batch_size=2)
        for n in range(5):
            count(store, n)
            sim.run_background()

    tried = 0
    for after in sim.crashes(limit=300):
        with Store.open("store", PLAIN, platform=after) as store:
            with store.react(Echo(), checkpoint_id="mine"):
                after.run_background()
            sources = [event.event_id for event in store.by_fact(Counted)]
            roots = [e.causation_id for e in store.by_fact(Said) if e.flags == 0]
            causes: list[UUID | None] = [*sources]
            assert sorted(map(str, roots)) == sorted(map(str, causes))
            assert store.count(TEXTS) == 2 * len(sources)
            tried += bool(sources)
    assert tried > 50


@final
class Greeting(OrderReactor):
    """A reactor of a machine, as `batpak gen` has made it: a method for each event."""

    def __init__(self) -> None:
        self.met: list[str] = []

    @override
    def on_order_placed(
        self, event: StoredEvent[OrderPlaced], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None:
        assert witness is not None
        self.met.append("placed")
        out.push(ANSWERS, Said(text=f"placed {event.payload.order_id}"))

    @override
    def on_order_paid(
        self, event: StoredEvent[OrderPaid], out: ReactionBatch, _witness: AtLeastOnce | None, /
    ) -> None:
        self.met.append("paid")
        out.push(ANSWERS, Said(text=f"paid {event.payload.order_id}"))
        out.push(ANSWERS, Said(text="thanks"), caused_by=PriorItem(0))

    @override
    def on_order_shipped(
        self, _event: StoredEvent[OrderShipped], _out: ReactionBatch, _wit: AtLeastOnce | None, /
    ) -> None:
        self.met.append("shipped")

    @override
    def on_order_cancelled(
        self, _event: StoredEvent[OrderCancelled], _out: ReactionBatch, _w: AtLeastOnce | None, /
    ) -> None:
        raise AssertionError("nobody has")


def test_a_generated_reactor_answers_each_event_of_its_group_with_its_method(
    store: Store, sim: SimPlatform
) -> None:
    order_id = new_id(OrderId)
    place = Coordinate(f"order:{order_id.hex}", "shop")
    for fact in (
        sample(OrderPlaced, order_id=order_id),
        sample(OrderPaid, order_id=order_id),
        Counted(n=1),
        sample(OrderShipped, order_id=order_id),
    ):
        store.append(place, fact)
    greeting = Greeting()
    with store.react(greeting, checkpoint_id="greetings"):
        sim.run_background()

    assert greeting.met == ["placed", "paid", "shipped"]
    assert [e.payload.text for e in store.by_fact(Said)] == [
        f"placed {order_id}",
        f"paid {order_id}",
        "thanks",
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_pushed_after_react_has_ended_is_refused(
    store: Store, sim: SimPlatform, fails: bool
) -> None:
    kept: list[ReactionBatch] = []

    @final
    class Keeping(Echo):
        NAME: ClassVar[str] = "keeping"

        @override
        def react(
            self, event: StoredEvent[EventPayload], out: ReactionBatch, _: AtLeastOnce | None, /
        ) -> None:
            out.push(ANSWERS, Said(text=str(event.sequence)))
            kept.append(out)
            if fails:
                raise ZeroDivisionError

    count(store, 1)
    store.react(Keeping(), restart=RestartPolicy.never())
    sim.run_background()

    (out,) = kept
    with pytest.raises(InvalidArgument, match="`react` has returned"):
        out.push(ANSWERS, Said(text="too late"))
    with pytest.raises(InvalidArgument, match="`react` has returned"):
        out.push_raw(ANSWERS, STRANGE, b"\x01")
    assert len(out) == 1
    assert store.count() == (1 if fails else 2)


def test_what_gives_something_instead_of_pushing_it_passes_no_source(
    store: Store, sim: SimPlatform
) -> None:
    class Later(Echo):
        NAME: ClassVar[str] = "later"

        def react(self, event: Any, out: Any, witness: Any, /) -> Any:  # type: ignore[explicit-override]  # noqa: ANN401  as it may come
            return [event, out, witness]

    count(store, 1)
    worker = store.react(Later(), checkpoint_id="mine", restart=RestartPolicy.never())
    sim.run_background()

    with pytest.raises(WorkerFailed) as caught:
        worker.join()
    assert str(caught.value.cause) == "react: gave a list; what it has to say goes into `out`"
    assert store.cursor_checkpoints() == ()
