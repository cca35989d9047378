"""Denials as events: a refusal can be looked up later, and does not stand in anybody's way.

Without this a refused attempt would make every loaded handle stale, the record would say less than
the denial did, and anybody could write one.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast, final
from uuid import UUID

import pytest
from msgspec.structs import replace

from batpak.append import BatchItem, OwnItem
from batpak.coordinate import Coordinate
from batpak.digest import content_hash
from batpak.errors import (
    BatpakError,
    IdempotencyConflict,
    InvalidArgument,
    InvalidCoordinate,
    InvalidKind,
    PayloadInvalid,
    StoreClosed,
    StoreReadOnly,
    TooLarge,
    UnknownParent,
)
from batpak.event import StoredEvent
from batpak.guard.gates import GateSet
from batpak.guard.proposal import Proposal
from batpak.guard.verdict import GATE_DEFECT, Denial, Judgement, Verdict
from batpak.ids import CorrelationId, EventId, new_id
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.region import Region
from batpak.store import Store
from batpak.system import DenialRecorded, GateAnswer
from batpak.testing.platform import SimPlatform
from batpak.wire import encode
from tests.facts import PLAIN, USER, Counted
from tests.unit.guard.grants import ADA, BUDGET, Granted, GrantPolicy, granted
from tests.unit.parcels import DESK, ParcelId, ParcelMachine, Stamp

P, D, S = GateAnswer.PERMITTED, GateAnswer.DENIED, GateAnswer.SKIPPED
DENIAL = EventKind.from_wire(0x000F)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("store", PLAIN, platform=SimPlatform()) as opened:
        yield opened


def refused(event: Granted | None = None) -> Denial:
    verdict = GrantPolicy().evaluate(BUDGET, Proposal(event or granted(amount=101)))
    assert isinstance(verdict, Denial)
    return verdict


@pytest.fixture
def denial() -> Denial:
    return refused().with_context(limit=100)


def record_of(store: Store) -> StoredEvent[DenialRecorded]:
    (event,) = store.by_fact(DenialRecorded)
    return event


def test_a_denial_is_an_event_beside_its_subject(store: Store, denial: Denial) -> None:
    receipt = store.append_denial(ADA, denial, pipeline="grants")

    event = store.get(0)
    assert event.payload == DenialRecorded(
        entity="grant:ada",
        scope="acme",
        kind=int(Granted.KIND),
        content_hash=encode(granted(amount=101)).content_hash,
        policy="test.grants.GrantPolicy",
        fingerprint=GrantPolicy().fingerprint,
        gate="affordable",
        code="TOO_MUCH",
        message="101 of 100",
        context={"limit": "100"},
        evaluations=denial.evaluations,
        pipeline="grants",
    )
    assert [line.answer for line in denial.evaluations] == [P, D, S]
    assert event.coordinate == receipt.coordinate == Coordinate("batpak:denial:grant:ada", "acme")
    assert (event.kind, event.event_id) == (DENIAL, receipt.event_id)
    assert store.verify().ok


def test_a_stored_denial_is_read_back_as_it_was_shown(store: Store, denial: Denial) -> None:
    store.append_denial(ADA, denial)

    again = Denial.of(record_of(store).payload)

    assert again.explain() == denial.explain()
    assert (again.policy, again.fingerprint) == (denial.policy, denial.fingerprint)
    assert again.evaluations == denial.evaluations
    assert (again.event, again.defect) == (None, None)


def test_a_denial_leaves_the_version_of_its_subject_so_a_handle_still_commits(
    store: Store,
) -> None:
    parcels = ParcelMachine(store)
    new = parcels.new(new_id(ParcelId))
    refusal = parcels.pack_gates.evaluate(DESK, new.pack(stamps=cast("tuple[Stamp, ...]", ())))
    assert isinstance(refusal, Denial)

    store.append_denial(new.coordinate, refusal)

    assert store.version(new.coordinate.entity) == 0
    verdict = parcels.pack_gates.evaluate(DESK, new.pack())
    assert not isinstance(verdict, Denial)
    packed = parcels.commit(verdict)
    store.append_denial(packed.coordinate, refusal)
    cancel = parcels.cancel_gates.evaluate(None, packed.cancel(reason="lost"))
    assert not isinstance(cancel, Denial)
    assert parcels.commit(cancel).version == 2


def test_all_refusals_and_those_of_one_subject_are_regions(store: Store) -> None:
    for name in ("ada", "ben", "ada:tea", "ada"):
        store.append_denial(Coordinate(f"grant:{name}", "acme"), refused())
    store.append(Coordinate("denial:x", "acme"), Counted(n=1))

    def subjects(entity: str) -> list[str]:
        events = store.query(Region(entity=entity))
        return [cast("DenialRecorded", event.payload).entity for event in events]

    assert subjects("batpak:denial") == ["grant:ada", "grant:ben", "grant:ada:tea", "grant:ada"]
    assert subjects("batpak:denial:grant:ada") == ["grant:ada", "grant:ada:tea", "grant:ada"]
    assert subjects("batpak:denial:grant:ben") == ["grant:ben"]
    assert store.version("batpak:denial:grant:ada") == 2


@pytest.mark.parametrize("length", [1010, 1011, 1024])
def test_a_subject_that_fits_keeps_its_name_and_a_longer_one_has_a_hash(
    store: Store, length: int
) -> None:
    entity = "é" + "x" * (length - 2)

    receipt = store.append_denial(Coordinate(entity, "acme"), refused())

    hashed = f"batpak:denial:#{content_hash(entity.encode()).hex()}"
    assert receipt.coordinate.entity == (f"batpak:denial:{entity}" if length == 1010 else hashed)
    assert record_of(store).payload.entity == entity


def test_an_event_that_could_not_have_been_stored_has_no_hash(store: Store) -> None:
    store.append_denial(ADA, refused(granted(amount=2_000_000)))

    assert record_of(store).payload.content_hash is None


def test_a_defect_is_recorded_as_what_it_said(store: Store) -> None:
    verdict = GrantPolicy().evaluate(cast("Any", None), Proposal(granted()))
    assert isinstance(verdict, Denial)

    store.append_denial(ADA, verdict)

    found = record_of(store).payload
    assert (found.gate, found.code) == ("affordable", GATE_DEFECT)
    assert "AttributeError" in found.message


def test_facts_of_a_denial_are_stored_as_text(store: Store) -> None:
    store.append_denial(ADA, refused().with_context(n=1, at=("a", 2), none=None, text="t"))

    assert record_of(store).payload.context == {
        "n": "1",
        "at": "('a', 2)",
        "none": "None",
        "text": "t",
    }


def test_what_an_append_takes_is_passed_on_and_a_retry_stores_nothing(
    store: Store, denial: Denial
) -> None:
    cause = store.append(USER, Counted(n=1))
    correlation = new_id(CorrelationId)

    first, again = (
        store.append_denial(
            ADA,
            denial,
            caused_by=cause,
            correlation_id=correlation,
            idempotency_key="k",
            extensions={"app.trace": b"1"},
        )
        for _ in range(2)
    )

    event = record_of(store)
    assert (event.causation_id, event.correlation_id) == (cause.event_id, correlation)
    assert (event.idempotency_key, event.extensions) == (b"k", {"app.trace": b"1"})
    assert (first.claim, again.replayed) == (again.claim, True)
    with pytest.raises(IdempotencyConflict):
        store.append_denial(ADA, denial, pipeline="another", idempotency_key="k")


def test_denials_of_evaluate_all_are_stored_each_with_the_whole_trace(store: Store) -> None:
    denials = GrantPolicy().evaluate_all(BUDGET, None, granted(amount=101, to="eve"))

    for denial in denials:
        store.append_denial(ADA, denial)

    found = [event.payload for event in store.by_fact(DenialRecorded)]
    assert [one.gate for one in found] == ["affordable", "welcome"]
    assert [[line.answer for line in one.evaluations] for one in found] == [[P, D, D]] * 2
    assert found[1].context == {"asked": "eve"}


def saying(message: str) -> Denial:
    """A denial of a gate that says something of its own."""

    class Talkative(GateSet[None, None, Counted]):
        def __init__(self) -> None:
            super().__init__(Saying())

    class Saying:
        name = "saying"

        def judge(self, ctx: None, state: None, event: Counted, /) -> Verdict:
            del ctx, state, event
            return Denial("saying", "SAID", message)

    verdict = Talkative().evaluate(None, Proposal(Counted(n=1)))
    assert isinstance(verdict, Denial)
    return verdict


WRONG: list[tuple[type[BatpakError], dict[str, Any]]] = [
    (InvalidArgument, {"denial": None}),
    (InvalidArgument, {"denial": GrantPolicy().evaluate(BUDGET, Proposal(granted()))}),
    (InvalidArgument, {"denial": Denial("gate", "CODE", "made by hand")}),
    (InvalidArgument, {"coord": "grant:ada"}),
    (InvalidCoordinate, {"coord": Coordinate("batpak:store", "acme")}),
    (InvalidCoordinate, {"coord": Coordinate("batpak:denial:x", "acme")}),
    (InvalidCoordinate, {"coord": Coordinate("grant:ada", "batpak:x")}),
    (InvalidArgument, {"pipeline": 7}),
    (InvalidArgument, {"pipeline": "\ud800"}),
    (UnknownParent, {"caused_by": EventId(UUID(int=7))}),
    (InvalidArgument, {"idempotency_key": ""}),
    (InvalidArgument, {"extensions": {"batpak.policy": b"x"}}),
    (PayloadInvalid, {"denial": saying("\ud800")}),
    (TooLarge, {"denial": saying("x" * (1 << 20))}),
]


@pytest.mark.parametrize(("error", "wrong"), WRONG, ids=lambda part: str(part)[:40])
def test_what_is_no_denial_of_this_store_is_refused_and_leaves_nothing(
    store: Store, denial: Denial, error: type[BatpakError], wrong: dict[str, Any]
) -> None:
    with pytest.raises(error):
        store.append_denial(**{"coord": ADA, "denial": denial, **wrong})

    assert store.count() == 0


def test_a_denial_that_no_gates_gave_says_so(store: Store) -> None:
    with pytest.raises(InvalidArgument, match="denial: is from no set of gates"):
        store.append_denial(ADA, Denial("gate", "CODE", "made by hand"))


@pytest.mark.parametrize(
    "change",
    [
        {"policy": "another"},
        {"gate": "another"},
        {"code": "OTHER"},
        {"message": "another"},
        {"fingerprint": b"f" * 32},
        {"evaluations": ()},
        {"event": granted()},
        {"judgement": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_denial_that_says_something_else_than_its_gates_is_not_stored(
    store: Store, denial: Denial, change: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument, match="denial: is "):
        store.append_denial(ADA, replace(denial, **change))

    assert store.count() == 0


def test_a_denial_that_was_made_up_or_has_left_its_process_is_not_stored(
    store: Store, denial: Denial
) -> None:
    made_up = Denial("gate", "CODE", "made by hand", event=granted())
    again: Denial = pickle.loads(pickle.dumps(denial))  # noqa: S301  our own bytes

    for one in (made_up, again):
        with pytest.raises(InvalidArgument, match="set of gates"):
            store.append_denial(ADA, one)
    with pytest.raises(InvalidArgument, match="vouched for by the library only"):
        Judgement(object(), denial.said, None)  # type: ignore[arg-type]  # no seal


def test_a_denial_speaks_of_the_event_as_it_was_judged(store: Store) -> None:
    labels = {"for": "tea"}
    event = granted(amount=101, labels=labels)
    judged, denial = encode(event).content_hash, refused(event)

    labels["for"] = "gin"
    store.append_denial(ADA, denial)

    assert record_of(store).payload.content_hash == judged


@final
class Mute:
    @override
    def __str__(self) -> str:
        raise ValueError("no word")


@pytest.mark.parametrize("context", [None, {"x": Mute()}])
def test_a_context_that_is_no_text_is_refused(
    store: Store, denial: Denial, context: dict[str, object]
) -> None:
    with pytest.raises(InvalidArgument, match="denial: its context is no"):
        store.append_denial(ADA, replace(denial, context=context))


def append(store: Store, coord: Coordinate, payload: EventPayload) -> object:
    return store.append(coord, payload)


def append_batch(store: Store, coord: Coordinate, payload: EventPayload) -> object:
    return store.append_batch([BatchItem(coord, payload)])


def append_raw(store: Store, coord: Coordinate, payload: EventPayload) -> object:
    return store.append_raw(coord, payload.KIND, encode(payload).data)


def submit(store: Store, coord: Coordinate, payload: EventPayload) -> object:
    return store.submit(coord, payload)


def submit_batch(store: Store, coord: Coordinate, payload: EventPayload) -> object:
    return store.submit_batch([BatchItem(coord, payload)])


@pytest.mark.parametrize("call", [append, append_batch, append_raw, submit, submit_batch])
def test_no_user_call_writes_a_denial_or_beside_one(
    store: Store, denial: Denial, call: Callable[[Store, Coordinate, EventPayload], object]
) -> None:
    receipt = store.append_denial(ADA, denial)
    record = record_of(store).payload

    with pytest.raises(InvalidKind):
        call(store, ADA, record)
    for fact in (record, Counted(n=1)):
        with pytest.raises(InvalidCoordinate):
            call(store, receipt.coordinate, fact)

    assert store.count() == 1


def test_an_item_of_the_library_is_not_made_by_a_caller(store: Store, denial: Denial) -> None:
    store.append_denial(ADA, denial)
    record = record_of(store).payload

    with pytest.raises(InvalidArgument, match="made by the library only"):
        OwnItem(ADA, record, seal=cast("Any", None))

    @dataclasses.dataclass
    class Looks:
        coord: Coordinate
        payload: EventPayload

    with pytest.raises(InvalidArgument):
        store.append_batch([cast("Any", Looks(ADA, record))])
    assert store.count() == 1


def test_a_denial_is_not_written_where_nothing_is(tmp_path: Path, denial: Denial) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        store.append(USER, Counted(n=1))
    with pytest.raises(StoreClosed):
        store.append_denial(ADA, denial)

    with Store.open_read_only(tmp_path / "s") as reader, pytest.raises(StoreReadOnly):
        cast("Any", reader).append_denial(ADA, denial)
