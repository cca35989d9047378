"""Machines: the table is the law, a retry stores nothing twice, and an old handle is stale.

Without this, code that got past its checker could move an entity along an edge that does not
exist, two writers could both win, or a crash between write and answer could store an event twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from threading import Barrier
from typing import Any, ClassVar, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak import wire
from batpak.coordinate import Coordinate
from batpak.errors import (
    DurabilityUnknown,
    IllegalHistory,
    IllegalTransition,
    InvalidArgument,
    PayloadInvalid,
    StaleState,
    VersionConflict,
)
from batpak.event import EventFlags
from batpak.guard.gates import GateSet, Rule
from batpak.guard.proposal import Proposal
from batpak.guard.stamp import PolicyStamp
from batpak.guard.verdict import PERMIT, Denial, Verdict
from batpak.ids import CorrelationId, new_id, operation_key
from batpak.payload import EventPayload
from batpak.typestate import Edge, StateData, Transition
from tests.unit.parcels import (
    DESK,
    NOON,
    STEPS,
    BrittleLedger,
    CancelGates,
    Carrier,
    Gone,
    GoneParcel,
    New,
    NewParcel,
    Packed,
    PackedParcel,
    PackGates,
    ParcelCancelled,
    ParcelId,
    ParcelMachine,
    ParcelPacked,
    ParcelSeen,
    ParcelSent,
    ParcelState,
    Sent,
    SentParcel,
)

ID = ParcelId(UUID(int=7))
UNKNOWN = DurabilityUnknown(0, 0, OSError(5, "Input/output error"))


@pytest.fixture
def ledger() -> BrittleLedger:
    return BrittleLedger()


@pytest.fixture
def parcels(ledger: BrittleLedger) -> ParcelMachine:
    return ParcelMachine(ledger)


def pack(parcels: ParcelMachine, **given_: Any) -> PackedParcel:  # noqa: ANN401
    verdict = parcels.pack_gates.evaluate(DESK, parcels.new(ID).pack(**given_))
    assert not isinstance(verdict, Denial), verdict
    return parcels.commit(verdict)


@pytest.fixture
def packed(parcels: ParcelMachine) -> PackedParcel:
    return pack(parcels)


# ----------------------------------------------------------------------------- new, load, replay


def test_new_is_version_0_and_stores_nothing(parcels: ParcelMachine, ledger: BrittleLedger) -> None:
    new = parcels.new(ID)

    assert (type(new), new.version, new.data) == (NewParcel, 0, New(parcel_id=ID))
    assert new.coordinate == Coordinate(f"parcel:{ID.hex}", "test.parcels")
    assert ledger.events == []


@pytest.mark.parametrize("key", ["parcel:1", None, 7, b"7"], ids=["text", "None", "int", "bytes"])
@pytest.mark.parametrize("verb", ["new", "load", "replay"])
def test_what_is_no_key_names_no_entity(parcels: ParcelMachine, verb: str, key: object) -> None:
    call: Any = getattr(parcels, verb)

    with pytest.raises(InvalidArgument) as refused:
        call(key, *([()] if verb == "replay" else []))

    assert refused.value.argument == "parcel_id"
    named = f"test.parcels.Parcel is named by a UUID, not by a {type(key).__name__}"
    assert refused.value.reason == named
    assert "`parcel:…`" in refused.value.hint


def test_an_entity_that_is_not_stored_loads_as_new(parcels: ParcelMachine) -> None:
    assert parcels.load(ID) == parcels.new(ID)


def test_every_handle_that_a_move_returns_is_what_load_gives(parcels: ParcelMachine) -> None:
    packed = pack(parcels, weight=Decimal("1.5"), labels={"to": "Ada"})
    loaded = parcels.load(ID)
    sent = parcels.apply(packed.send(sent_at=NOON))

    assert loaded == packed
    assert parcels.load(ID) == sent
    assert isinstance(sent, SentParcel)
    assert sent.data == Sent(parcel_id=ID, weight=Decimal("1.500"), carrier=Carrier.DHL)
    assert str(packed.data.weight) == "1.500"  # as stored, not as given


def test_what_a_handle_knows_cannot_be_changed_from_outside(
    parcels: ParcelMachine, ledger: BrittleLedger
) -> None:
    packed = pack(parcels, labels={"hold": "customs"})

    cast("dict[str, str]", packed.data.labels).pop("hold")

    assert packed.data.labels == {"hold": "customs"}
    assert parcels.load(ID) == packed
    assert ledger.events[0].payload == parcels.new(ID).pack(labels={"hold": "customs"}).event


def test_gates_and_steps_get_data_of_their_own(ledger: BrittleLedger) -> None:
    def forget(state: Packed | Sent, event: ParcelCancelled) -> Gone:
        cast("dict[str, str]", cast("Packed", state).labels).clear()
        return Gone(parcel_id=state.parcel_id, reason=event.reason)

    def clear(_ctx: object, state: Packed, _event: object) -> Verdict:
        cast("dict[str, str]", state.labels).clear()
        return PERMIT

    parcels = ParcelMachine(ledger, {**STEPS, (Packed, ParcelCancelled): forget})
    rule = Rule("clear", cast("Any", clear), source="", codes=())
    GateSet.__init__(parcels.cancel_gates, rule)
    packed = pack(parcels, labels={"hold": "customs"})

    receipt = parcels.cancel_gates.evaluate(None, packed.cancel(reason="lost"))
    assert not isinstance(receipt, Denial)
    parcels.commit(receipt)

    assert packed.data.labels == {"hold": "customs"}


@pytest.mark.usefixtures("packed")
def test_data_without_a_dict_inside_is_not_copied(parcels: ParcelMachine) -> None:
    new = parcels.new(ID)

    assert new.data is new.data


@pytest.mark.usefixtures("packed")
def test_a_handle_that_was_replayed_does_not_write(
    parcels: ParcelMachine, ledger: BrittleLedger
) -> None:
    forged = parcels.new(ID).pack(weight=Decimal("0.001")).event
    replayed = parcels.replay(ID, [forged])
    assert isinstance(replayed, PackedParcel)
    receipt = parcels.cancel_gates.evaluate(None, replayed.cancel(reason="dear"))
    assert not isinstance(receipt, Denial)

    with pytest.raises(IllegalTransition, match="this PackedParcel was replayed; load it"):
        parcels.apply(replayed.send(sent_at=NOON))
    with pytest.raises(IllegalTransition, match="this PackedParcel was replayed; load it"):
        parcels.commit(cast("Any", receipt))

    assert len(ledger.events) == 1


def test_a_handle_writes_to_the_store_it_was_read_from(
    parcels: ParcelMachine, packed: PackedParcel
) -> None:
    there = ParcelMachine(BrittleLedger())
    receipt = parcels.pack_gates.evaluate(DESK, parcels.new(ID).pack())
    assert not isinstance(receipt, Denial)

    with pytest.raises(IllegalTransition, match="this NewParcel was read from another store"):
        there.commit(receipt)
    assert pack(there) == packed  # for all that can be seen
    with pytest.raises(IllegalTransition, match="this PackedParcel was read from another store"):
        there.apply(packed.send(sent_at=NOON))

    assert there.load(ID).version == 1


def test_an_event_of_another_entity_is_no_move(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    other = ParcelId(UUID(int=8))
    sent = ParcelSent(parcel_id=other, carrier=Carrier.DHL, sent_at=NOON)
    cancelled = ParcelCancelled(parcel_id=other, reason="mixed up")
    receipt = parcels.cancel_gates.evaluate(
        None, packed._guarded(GoneParcel, cancelled, CancelGates)
    )
    assert not isinstance(receipt, Denial)

    with pytest.raises(IllegalTransition, match="this ParcelSent has another parcel_id"):
        parcels.apply(packed._move(SentParcel, sent))
    with pytest.raises(IllegalTransition, match="this ParcelCancelled has another parcel_id"):
        parcels.commit(cast("Any", receipt))

    assert len(ledger.events) == 1


def test_a_history_with_an_event_of_another_entity_is_refused(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    other = ParcelId(UUID(int=8))
    ledger.append(packed.coordinate, ParcelSent(parcel_id=other, carrier=Carrier.DHL, sent_at=NOON))

    with pytest.raises(IllegalHistory, match="ParcelSent at version 2 while Packed of another"):
        parcels.load(ID)


def test_a_key_that_a_state_or_an_event_does_not_have_is_refused(ledger: BrittleLedger) -> None:
    class Keyed(ParcelMachine):
        KEY: ClassVar[str] = "carrier"

    with pytest.raises(InvalidArgument, match="New has no carrier, which is the key"):
        Keyed(ledger)


def test_a_move_of_a_handle_that_nobody_made_is_no_move(parcels: ParcelMachine) -> None:
    hull = object.__new__(PackedParcel)
    moves = object.__new__(Transition), hull._move(SentParcel, ParcelSeen(where="x"))

    for move in cast("Any", moves):
        with pytest.raises(InvalidArgument, match="made around the constructor"):
            parcels.apply(move)


@pytest.mark.parametrize("events", [5, [1], [object()]])
def test_what_is_no_event_is_not_replayed(parcels: ParcelMachine, events: object) -> None:
    with pytest.raises(InvalidArgument, match="events: "):
        parcels.replay(ID, cast("Any", events))


def test_a_ledger_says_which_store_it_is() -> None:
    with pytest.raises(InvalidArgument, match="ledger: a NoneType has no store_id"):
        ParcelMachine(cast("Any", None))


def test_events_of_other_kinds_are_skipped_but_they_count(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    ledger.append(packed.coordinate, ParcelSeen(where="Oslo"))

    loaded = parcels.load(ID)

    assert (type(loaded), loaded.version, loaded.data) == (PackedParcel, 2, packed.data)
    with pytest.raises(StaleState):
        parcels.apply(packed.send(sent_at=NOON))


def test_a_history_that_is_no_walk_of_the_machine_is_refused(
    parcels: ParcelMachine, ledger: BrittleLedger
) -> None:
    coordinate = parcels.new(ID).coordinate
    ledger.append(coordinate, ParcelSent(parcel_id=ID, carrier=Carrier.DHL, sent_at=NOON))

    with pytest.raises(
        IllegalHistory, match=r"^test\.parcels\.Parcel: ParcelSent at version 1 while New$"
    ) as refused:
        parcels.load(ID)

    details = refused.value
    assert (details.machine, details.event) == ("test.parcels.Parcel", "ParcelSent")
    assert (details.version, details.state) == (1, "New")


def test_replay_is_the_same_fold_without_a_ledger(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    ledger.append(packed.coordinate, ParcelSeen(where="Oslo"))
    loaded = parcels.load(ID)
    parcels.apply(cast("PackedParcel", loaded).send(sent_at=NOON))
    payloads = [event.payload for event in ledger.events]

    replayed = ParcelMachine(BrittleLedger()).replay(ID, payloads)

    assert replayed == parcels.load(ID)
    assert replayed.version == 3
    with pytest.raises(IllegalHistory):
        parcels.replay(ID, payloads[::-1])


# ------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize("move", ["pack", "cancel", "send to nowhere", "send backwards"])
def test_apply_refuses_what_the_table_does_not_have(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel, move: str
) -> None:
    event = ParcelSent(parcel_id=ID, carrier=Carrier.DHL, sent_at=NOON)
    first = ledger.events[0].payload
    moves: dict[str, tuple[Any, str]] = {
        "pack": (packed._move(PackedParcel, first), "PackedParcel + ParcelPacked is no move"),
        "cancel": (packed.cancel(reason="x"), "PackedParcel + ParcelCancelled needs CancelGates"),
        "send to nowhere": (packed._move(GoneParcel, event), "does not lead to GoneParcel"),
        "send backwards": (
            parcels.new(ID)._move(SentParcel, event),
            "NewParcel + ParcelSent is no move",
        ),
    }

    with pytest.raises(IllegalTransition) as refused:
        parcels.apply(moves[move][0])

    assert moves[move][1] in str(refused.value)
    assert str(refused.value).startswith("test.parcels.Parcel: ")
    assert len(ledger.events) == 1


def test_a_guarded_move_in_disguise_still_needs_its_gates(
    parcels: ParcelMachine, ledger: BrittleLedger
) -> None:
    guarded = parcels.new(ID).pack()
    disguised = guarded.source._move(PackedParcel, guarded.event)

    with pytest.raises(
        IllegalTransition,
        match=r"^test\.parcels\.Parcel: NewParcel \+ ParcelPacked needs PackGates$",
    ):
        parcels.apply(disguised)

    assert ledger.events == []


def test_a_receipt_for_a_move_that_needs_none_is_refused(
    parcels: ParcelMachine, packed: PackedParcel
) -> None:
    send = packed.send(sent_at=NOON)
    guarded = packed._guarded(SentParcel, send.event, PackGates)
    open_gates = PackGates.__new__(PackGates)
    GateSet.__init__(open_gates)
    verdict = open_gates.evaluate(DESK, cast("Any", guarded))

    with pytest.raises(IllegalTransition, match="PackedParcel \\+ ParcelSent needs no receipt"):
        parcels.commit(cast("Any", verdict))


@pytest.mark.parametrize("given_", [None, "move", Denial("a", "B", "c")], ids=repr)
def test_only_moves_are_applied_and_only_receipts_committed(
    parcels: ParcelMachine, packed: PackedParcel, given_: object
) -> None:
    event = packed.send(sent_at=NOON).event
    wrongs: list[Any] = [given_, event, packed]

    for wrong in wrongs:
        with pytest.raises(InvalidArgument, match="expected a Transition or a Guarded"):
            parcels.apply(wrong)
        with pytest.raises(InvalidArgument, match="expected a Receipt"):
            parcels.commit(wrong)
    with pytest.raises(InvalidArgument, match="expected a Receipt, got a Guarded"):
        parcels.commit(cast("Any", parcels.new(ID).pack()))


def test_a_receipt_for_a_proposal_moves_nothing(
    parcels: ParcelMachine, ledger: BrittleLedger
) -> None:
    proposal = Proposal(parcels.new(ID).pack().event)
    receipt = GateSet[None, None, ParcelPacked]().evaluate(None, proposal)

    with pytest.raises(InvalidArgument, match="expected a Guarded, got a Proposal"):
        parcels.commit(cast("Any", receipt))

    assert ledger.events == []


def test_an_invalid_event_is_refused_before_anything_is_written(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    move = packed.send(carrier=cast("Carrier", "dhl"), sent_at=NOON)

    with pytest.raises(PayloadInvalid, match=r"\$\.carrier: expected a Carrier, got 'dhl'"):
        parcels.apply(move)

    assert len(ledger.events) == 1


def with_step(row: tuple[type, type], step: object) -> Mapping[Any, Any]:
    return {**STEPS, row: step}


def test_a_step_that_fails_leaves_nothing_behind(ledger: BrittleLedger) -> None:
    def fail(_state: Packed, _event: ParcelSent) -> Sent:
        raise LookupError("no label printer")

    parcels = ParcelMachine(ledger, with_step((Packed, ParcelSent), fail))
    packed = pack(parcels)

    with pytest.raises(LookupError):
        parcels.apply(packed.send(sent_at=NOON))

    assert len(ledger.events) == 1


def test_a_step_that_gives_another_state_than_the_table_says_is_refused(
    ledger: BrittleLedger,
) -> None:
    def lie(state: Packed, _event: ParcelSent) -> Gone:
        return Gone(parcel_id=state.parcel_id, reason="lies")

    parcels = ParcelMachine(ledger, with_step((Packed, ParcelSent), lie))
    packed = pack(parcels)

    with pytest.raises(IllegalTransition, match="the step of Packed \\+ ParcelSent gave Gone"):
        parcels.apply(packed.send(sent_at=NOON))

    assert len(ledger.events) == 1


def test_a_step_cannot_change_what_is_stored(ledger: BrittleLedger) -> None:
    def scribble(state: New, event: ParcelPacked) -> Packed:
        cast("dict[str, str]", event.labels)["to"] = "Eve"
        return Packed(parcel_id=state.parcel_id, weight=event.weight, labels=event.labels)

    parcels = ParcelMachine(ledger, with_step((New, ParcelPacked), scribble))

    pack(parcels, labels={"to": "Ada"})

    (stored,) = ledger.events
    assert cast("ParcelPacked", stored.payload).labels == {"to": "Ada"}


def test_a_machine_without_a_step_or_a_policy_of_its_table_is_not_built(
    ledger: BrittleLedger,
) -> None:
    steps = dict(STEPS)
    del steps[Packed, ParcelSent]

    class Loose(ParcelMachine):
        EDGES: ClassVar[Mapping[tuple[type[StateData], type[EventPayload]], Edge]] = {
            (Packed, ParcelSent): Edge(SentParcel, Unheard)
        }

    with pytest.raises(InvalidArgument, match=r"Packed \+ ParcelSent has none"):
        ParcelMachine(ledger, steps)
    with pytest.raises(InvalidArgument, match="Unheard is missing"):
        Loose(ledger)


class Unheard(PackGates):  # type: ignore[misc]  # final: any policy that the machine was not given
    """A policy of another machine."""


# ----------------------------------------------------------------------------- stale and repeated


def test_creating_an_entity_that_exists_is_stale(
    parcels: ParcelMachine, packed: PackedParcel
) -> None:
    with pytest.raises(
        StaleState, match=r"NewParcel 'parcel:\w+' exists already, at version 1; load it"
    ) as stale:
        pack(parcels, note="another")

    assert (stale.value.entity, stale.value.expected, stale.value.actual) == (
        packed.coordinate.entity,
        0,
        1,
    )


def test_a_second_different_move_from_one_handle_is_stale(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    parcels.apply(packed.send(sent_at=NOON))

    with pytest.raises(
        StaleState, match=r"PackedParcel 'parcel:\w+' was read at version 1, .* now at version 2"
    ) as stale:
        parcels.apply(packed.send(carrier=Carrier.POST, sent_at=NOON))

    assert isinstance(stale.value.__cause__, VersionConflict)
    assert len(ledger.events) == 2


@pytest.mark.parametrize("when", ["fail_before", "fail_after"])
def test_a_move_repeated_after_an_unknown_outcome_is_stored_once(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel, when: str
) -> None:
    move = packed.send(sent_at=NOON)
    setattr(ledger, when, UNKNOWN)
    with pytest.raises(DurabilityUnknown):
        parcels.apply(move)

    sent = parcels.apply(move)

    assert (sent.version, len(ledger.events)) == (2, 2)
    assert parcels.apply(move) == sent
    assert parcels.apply(packed.send(sent_at=NOON)) == sent
    assert len(ledger.events) == 2


@pytest.mark.parametrize("when", ["fail_before", "fail_after"])
def test_a_guarded_move_judged_again_after_an_unknown_outcome_is_stored_once(
    parcels: ParcelMachine, ledger: BrittleLedger, when: str
) -> None:
    setattr(ledger, when, UNKNOWN)
    with pytest.raises(DurabilityUnknown):
        pack(parcels)

    packed = pack(parcels)

    assert (packed.version, len(ledger.events)) == (1, 1)


def test_a_repeated_move_returns_what_was_true_then_and_is_stale_from_there(
    parcels: ParcelMachine, packed: PackedParcel
) -> None:
    move = packed.send(sent_at=NOON)
    sent = parcels.apply(move)
    cancel = parcels.cancel_gates.evaluate(None, sent.cancel(reason="lost"))
    parcels.commit(cast("Any", cancel))

    again = parcels.apply(move)

    assert again == sent
    later = parcels.cancel_gates.evaluate(None, again.cancel(reason="other"))
    with pytest.raises(StaleState):
        parcels.commit(cast("Any", later))


def test_the_key_of_a_move_is_derived_from_machine_place_version_and_bytes(
    ledger: BrittleLedger, packed: PackedParcel
) -> None:
    (event,) = ledger.events

    data = wire.encode(event.payload).data
    assert event.idempotency_key == operation_key(
        "batpak/move/1",
        "test.parcels.Parcel",
        packed.coordinate.entity,
        "test.parcels",
        0,
        int(ParcelPacked.KIND),
        1,
        data,
    )


def race(attempts: list[Callable[[], ParcelState]]) -> list[ParcelState | type[Exception]]:
    ready = Barrier(len(attempts))

    def attempt(run: Callable[[], ParcelState]) -> ParcelState | type[Exception]:
        ready.wait()
        try:
            return run()
        except StaleState as stale:
            return type(stale)

    with ThreadPoolExecutor(len(attempts)) as pool:
        return list(pool.map(attempt, attempts))


def test_of_sixteen_different_moves_from_one_handle_exactly_one_wins(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    moves = [packed.send(sent_at=NOON.replace(minute=minute)) for minute in range(16)]

    came = race([partial(parcels.apply, move) for move in moves])

    assert sum(isinstance(one, SentParcel) for one in came) == 1
    assert came.count(StaleState) == 15
    assert len(ledger.events) == 2


def test_sixteen_identical_moves_from_one_handle_are_one_event(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    came = race([lambda: parcels.apply(packed.send(sent_at=NOON)) for _ in range(16)])

    assert set(came) == {parcels.load(ID)}
    assert len(ledger.events) == 2


# ------------------------------------------------------------------------------------ passed on


def test_cause_correlation_flags_and_extensions_are_passed_on(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    cause, correlation = ledger.events[0].event_id, new_id(CorrelationId)
    passed: dict[str, Any] = {
        "caused_by": cause,
        "correlation_id": correlation,
        "flags": int(EventFlags.REQUIRES_ACK),
        "extensions": {"app.trace": b"1"},
    }

    sent = parcels.apply(packed.send(sent_at=NOON), **passed)
    verdict = parcels.cancel_gates.evaluate(None, sent.cancel(reason="lost"))
    parcels.commit(cast("Any", verdict), **passed)

    _, plain, guarded = ledger.events
    for event in (plain, guarded):
        assert (event.causation_id, event.correlation_id) == (cause, correlation)
        assert (event.flags, event.extensions["app.trace"]) == (1, b"1")
    assert set(plain.extensions) == {"app.trace"}


def test_a_committed_move_says_which_policy_permitted_it(
    parcels: ParcelMachine, ledger: BrittleLedger, packed: PackedParcel
) -> None:
    parcels.apply(packed.send(sent_at=NOON))
    guarded, plain = ledger.events
    policy = parcels.pack_gates

    assert PolicyStamp.of(guarded.extensions) == PolicyStamp(
        "test.parcels.Parcel.pack", policy.fingerprint, ("not_too_heavy", "stamped")
    )
    assert PolicyStamp.of(plain.extensions) is None


def test_the_stamp_of_a_move_is_not_the_callers_to_give(
    parcels: ParcelMachine, ledger: BrittleLedger
) -> None:
    for wrong in ({"batpak.policy": b"mine"}, 7):
        verdict = parcels.pack_gates.evaluate(DESK, parcels.new(ID).pack())

        with pytest.raises(InvalidArgument, match="extensions"):
            parcels.commit(cast("Any", verdict), extensions=cast("Any", wrong))

    assert ledger.events == []


# ------------------------------------------------------------------------------------- any walk


@given(st.lists(st.sampled_from(["pack", "send", "cancel", "seen"]), max_size=8))
def test_any_walk_stores_exactly_its_legal_moves_and_loads_where_it_ended(walk: list[str]) -> None:
    ledger = BrittleLedger()
    parcels = ParcelMachine(ledger)
    legal = {NewParcel: {"pack"}, PackedParcel: {"send", "cancel"}, SentParcel: {"cancel"}}
    state: ParcelState = parcels.new(ID)
    stored = 0
    for step in walk:
        if step == "seen":
            ledger.append(state.coordinate, ParcelSeen(where="Oslo"))
            state = parcels.load(ID)
            stored += 1
            continue
        assert hasattr(state, step) == (step in legal.get(type(state), set()))
        if not hasattr(state, step):
            continue
        stored += 1
        match step, state:
            case "pack", NewParcel():
                pack_verdict = parcels.pack_gates.evaluate(DESK, state.pack())
                assert not isinstance(pack_verdict, Denial)
                state = parcels.commit(pack_verdict)
            case "send", PackedParcel():
                state = parcels.apply(state.send(sent_at=NOON))
            case "cancel", PackedParcel() | SentParcel():
                verdict = parcels.cancel_gates.evaluate(None, state.cancel(reason="lost"))
                assert not isinstance(verdict, Denial)
                state = parcels.commit(verdict)
            case _:
                raise AssertionError((step, state))

    assert len(ledger.events) == stored
    assert parcels.load(ID) == state
    assert state.version == stored
