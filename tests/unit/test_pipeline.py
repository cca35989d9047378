"""Pipelines: an event exists if and only if a commit returned, and is the one that was judged.

Without this an event could be stored that no gate has seen, a receipt could be used for another
event, another policy or a second time, and somebody could step around the gates without a word.
"""

from __future__ import annotations

import copy
import math
import multiprocessing
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any, ClassVar, TypeAlias, cast, final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak import wire
from batpak.append import POLICY, BatchItem
from batpak.coordinate import Coordinate
from batpak.errors import (
    DurabilityUnknown,
    IdempotencyConflict,
    InvalidArgument,
    InvalidCoordinate,
    PayloadInvalid,
    ReceiptRejected,
    StorageFailed,
    UnknownParent,
    VersionConflict,
)
from batpak.event import EventFlags
from batpak.faults import ReceiptFault
from batpak.guard import receipt as receipts
from batpak.guard.bypass import BypassAudit, BypassReceipt
from batpak.guard.gates import Gate, GateSet
from batpak.guard.proposal import Proposal
from batpak.guard.receipt import Receipt, Sealed
from batpak.guard.stamp import PolicyStamp
from batpak.guard.verdict import Denial
from batpak.ids import CorrelationId, EventId, new_id, operation_key
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.pipeline import Committed, Pipeline
from batpak.platform import REAL
from batpak.store import Store
from batpak.system import BypassRecorded
from batpak.testing.ledger import MemoryLedger
from batpak.testing.platform import SimPlatform
from tests.facts import PLAIN, USER, Counted
from tests.unit.guard.grants import (
    ADA,
    AFFORDABLE,
    BUDGET,
    POSITIVE,
    WELCOME,
    Budget,
    Granted,
    GrantPolicy,
    Incident,
    Withdrawn,
    granted,
)
from tests.unit.parcels import DESK, BrittleLedger, PackGates, ParcelId, ParcelMachine

ROOT = Path(__file__).parents[2]


@final
class Twin(EventPayload, frozen=True, kw_only=True):
    """Another event that is stored in the same bytes as `Granted`."""

    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x1A3)
    VERSION: ClassVar[int] = 1

    to: str
    amount: int
    labels: dict[str, str]

    @staticmethod
    def of(event: Granted) -> Twin:
        return Twin(to=event.to, amount=event.amount, labels=dict(event.labels))


Granting: TypeAlias = Receipt[Proposal[Granted]]
Passing: TypeAlias = BypassReceipt[Granted]


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open("store", PLAIN, platform=SimPlatform()) as opened:
        yield opened


@pytest.fixture
def pipeline() -> Pipeline[Budget, Granted]:
    return Pipeline(GrantPolicy())


@pytest.fixture
def labels() -> dict[str, str]:
    return {"for": "tea"}


def permitted(verdict: Granting | Denial) -> Granting:
    assert not isinstance(verdict, Denial), verdict
    return verdict


@pytest.fixture
def receipt(pipeline: Pipeline[Budget, Granted], labels: dict[str, str]) -> Granting:
    return permitted(pipeline.evaluate(BUDGET, Proposal(granted(labels=labels))))


@pytest.fixture
def passing(labels: dict[str, str]) -> Passing:
    return Pipeline.bypass(Proposal(granted(labels=labels)), Incident(), approved_by="ada")


def rejected(commit: Callable[[], object], store: Store) -> ReceiptFault:
    """Why a commit was refused, which left nothing behind."""
    before = store.frontier()
    with pytest.raises(ReceiptRejected) as refused:
        commit()
    assert store.frontier() == before
    return refused.value.reason


# ------------------------------------------------------------------------------------- proposals


def test_a_proposal_is_an_event_that_can_be_exchanged() -> None:
    proposal = Proposal(granted(amount=7))

    doubled = proposal.map(lambda event: replace(event, amount=event.amount * 2))
    other = proposal.map(lambda event: Withdrawn(to=event.to, amount=event.amount))

    assert (proposal.event.amount, doubled.event.amount) == (7, 14)
    assert other.event == Withdrawn(to="ada", amount=7)
    assert repr(other) == "<Proposal Withdrawn>"


def test_a_proposal_does_not_change() -> None:
    with pytest.raises(AttributeError):
        cast("Any", Proposal(granted())).event = granted(amount=1)


# ------------------------------------------------------------------------------------- committing


def test_what_was_permitted_is_one_event_that_says_by_whom(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting
) -> None:
    assert store.count() == 0, "evaluating writes nothing"

    committed = pipeline.commit(receipt, store, ADA)

    (event,) = store.query()
    assert (event.payload, event.coordinate) == (receipt.proposal.event, ADA)
    assert committed.event == event.payload
    assert committed.receipt.event_id == event.event_id
    assert committed.receipt.content_hash == event.content_hash
    assert committed.gates == ("positive", "affordable", "welcome") == receipt.gates
    assert committed.bypass is None
    assert PolicyStamp.of(event.extensions) == PolicyStamp(
        "test.grants.GrantPolicy", GrantPolicy().fingerprint, committed.gates
    )
    assert event.extensions == committed.receipt.extensions


def test_the_stamp_can_be_left_out(store: Store, receipt: Granting) -> None:
    committed = Pipeline(GrantPolicy(), stamp_policy=False).commit(receipt, store, ADA)

    assert PolicyStamp.of(committed.receipt.extensions) is None
    assert committed.receipt.extensions == {}


def test_everything_that_append_takes_is_passed_on(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting, passing: Passing
) -> None:
    cause = store.append(USER, Counted(n=1))
    correlation = new_id(CorrelationId)
    passed: dict[str, Any] = {
        "caused_by": cause,
        "correlation_id": correlation,
        "flags": int(EventFlags.REQUIRES_ACK),
        "extensions": {"app.trace": b"1"},
    }

    pipeline.commit(receipt, store, ADA, expected_version=0, idempotency_key="k", **passed)
    Pipeline.commit_bypass(passing, store, ADA, expected_version=1, idempotency_key=b"l", **passed)

    _, judged, bypassed, audit = store.query()
    for event in (judged, bypassed):
        assert (event.causation_id, event.correlation_id) == (cause.event_id, correlation)
        assert (event.flags, event.extensions["app.trace"]) == (1, b"1")
    assert (judged.idempotency_key, bypassed.idempotency_key) == (b"k", b"l")
    assert set(judged.extensions) == {"app.trace", "batpak.policy"}
    assert set(bypassed.extensions) == {"app.trace"}
    assert (audit.correlation_id, audit.extensions) == (correlation, {})
    assert audit.idempotency_key == operation_key("batpak/bypass-audit/1", b"l")


def test_what_is_returned_is_what_is_stored_whatever_the_caller_does_later(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting, labels: dict[str, str]
) -> None:
    committed = pipeline.commit(receipt, store, ADA)

    labels["for"] = "cake"

    assert committed.event.labels == {"for": "tea"}
    assert store.get(0, Granted).payload == committed.event


@pytest.mark.parametrize("when", ["fail_before", "fail_after"])
def test_a_proposal_judged_again_with_its_key_is_stored_once(
    pipeline: Pipeline[Budget, Granted], when: str
) -> None:
    ledger = BrittleLedger()
    setattr(ledger, when, DurabilityUnknown(0, 0, OSError(5, "Input/output error")))
    first = permitted(pipeline.evaluate(BUDGET, Proposal(granted())))
    with pytest.raises(DurabilityUnknown):
        pipeline.commit(first, ledger, ADA, idempotency_key="k")

    again = permitted(pipeline.evaluate(BUDGET, Proposal(granted())))
    committed = pipeline.commit(again, ledger, ADA, idempotency_key="k")

    (event,) = ledger.events
    assert committed.receipt.replayed == (when == "fail_after")
    assert committed.receipt.extensions == event.extensions == {POLICY: pipeline._policy.jury.stamp}


@pytest.mark.parametrize("before", ["bypassed", "appended", "thinner"])
def test_what_is_stored_under_the_key_unjudged_does_not_pass_for_judged(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting, before: str
) -> None:
    event = receipt.proposal.event
    if before == "bypassed":
        passing = Pipeline.bypass(Proposal(event), Incident())
        Pipeline.commit_bypass(passing, store, ADA, idempotency_key="k")
    elif before == "appended":
        store.append(ADA, event, idempotency_key="k")
    else:
        thinner = Pipeline(GateSet[Budget, None, Granted](POSITIVE))
        first = permitted(thinner.evaluate(BUDGET, Proposal(event)))
        thinner.commit(first, store, ADA, idempotency_key="k")
    count = store.count()

    with pytest.raises(IdempotencyConflict, match="with another policy") as refused:
        pipeline.commit(receipt, store, ADA, idempotency_key="k")

    assert (refused.value.key, refused.value.sequence) == (b"k", 0)
    assert store.count() == count


def test_a_stamp_is_taken_beside_the_event_that_was_judged_only(
    pipeline: Pipeline[Budget, Granted], store: Store
) -> None:
    jury = pipeline._policy.jury
    spent = permitted(pipeline.evaluate(BUDGET, Proposal(granted()))).spend(jury)
    stamp, other = spent.extensions, granted(amount=1_000)
    data = wire.encode(granted()).data

    for write in (
        lambda: store.append(ADA, other, extensions=stamp),
        lambda: store.append_raw(ADA, Granted.KIND, data, extensions=stamp),
        lambda: store.append_batch([BatchItem(ADA, granted(), extensions=stamp)]),
        lambda: MemoryLedger().append(ADA, other, extensions=stamp),
    ):
        with pytest.raises(InvalidArgument, match=r"batpak\.policy"):
            write()

    assert store.count() == 0
    assert store.append(ADA, spent.encoded, extensions=stamp).extensions == stamp


def test_what_nobody_judged_is_not_stamped_as_judged(
    pipeline: Pipeline[Budget, Granted], store: Store, passing: Passing
) -> None:
    spent = permitted(pipeline.evaluate(BUDGET, passing.proposal)).spend(pipeline._policy.jury)

    with pytest.raises(InvalidArgument, match=r"batpak\.policy is written by the library only"):
        Pipeline.commit_bypass(passing, store, ADA, extensions=spent.extensions)

    assert store.count() == 0


def test_nothing_public_gives_a_stamp_but_a_receipt_that_is_spent(
    pipeline: Pipeline[Budget, Granted],
) -> None:
    spent = permitted(pipeline.evaluate(BUDGET, Proposal(granted()))).spend(pipeline._policy.jury)

    assert not hasattr(GrantPolicy, "stamp")
    with pytest.raises(TypeError):
        cast("Any", spent.extensions)[POLICY] = b"another"
    with pytest.raises(TypeError):
        del cast("Any", spent.extensions)[POLICY]


def test_a_store_repeats_a_commit_with_an_equal_claim(
    pipeline: Pipeline[Budget, Granted], store: Store
) -> None:
    first, again = (
        pipeline.commit(
            permitted(pipeline.evaluate(BUDGET, Proposal(granted()))),
            store,
            ADA,
            idempotency_key="k",
        )
        for _ in range(2)
    )

    assert (first.receipt.replayed, again.receipt.replayed) == (False, True)
    assert first.receipt.claim == again.receipt.claim
    assert store.count() == 1


REFUSED: list[tuple[type[Exception], dict[str, Any]]] = [
    (VersionConflict, {"expected_version": 7}),
    (UnknownParent, {"caused_by": EventId(new_id(EventId))}),
    (InvalidArgument, {"flags": 256}),
    (InvalidArgument, {"extensions": {"batpak.policy": b"mine"}}),
    (InvalidArgument, {"extensions": {"batpak.other": b"x"}}),
    (InvalidArgument, {"extensions": 7}),
    (InvalidArgument, {"idempotency_key": ""}),
    (InvalidCoordinate, {"coord": Coordinate("batpak:denial:x", "acme")}),
    (InvalidArgument, {"coord": "grant:ada"}),
]


@pytest.mark.parametrize(("error", "wrong"), REFUSED)
def test_an_append_that_is_refused_leaves_nothing_and_the_receipt_is_spent(
    pipeline: Pipeline[Budget, Granted],
    store: Store,
    receipt: Granting,
    passing: Passing,
    error: type[Exception],
    wrong: dict[str, Any],
) -> None:
    given_ = {"coord": ADA, **wrong}

    with pytest.raises(error):
        pipeline.commit(receipt, store, **given_)
    with pytest.raises(error):
        Pipeline.commit_bypass(passing, store, **given_)

    assert store.count() == 0
    assert rejected(lambda: pipeline.commit(receipt, store, ADA), store) is ReceiptFault.SPENT
    again = rejected(lambda: Pipeline.commit_bypass(passing, store, ADA), store)
    assert again is ReceiptFault.SPENT


# ------------------------------------------------------------------------------- what is no event


@pytest.mark.parametrize(
    ("ctx", "event", "code"),
    [
        (BUDGET, granted(amount=0), "NOTHING"),
        (BUDGET, granted(amount=101), "TOO_MUCH"),
        (BUDGET, granted(to="eve"), "UNWELCOME"),
        (cast("Any", None), granted(), "GATE_DEFECT"),
    ],
)
def test_what_is_refused_is_a_value_and_stores_nothing(
    pipeline: Pipeline[Budget, Granted], store: Store, ctx: Budget, event: Granted, code: str
) -> None:
    verdict = pipeline.evaluate(ctx, Proposal(event))

    assert isinstance(verdict, Denial)
    assert (verdict.code, verdict.event) == (code, event)
    with pytest.raises(InvalidArgument, match="expected a Receipt, got a Denial"):
        pipeline.commit(cast("Any", verdict), store, ADA)
    assert store.count() == 0


def test_what_may_not_be_stored_is_refused_when_every_gate_permits(
    pipeline: Pipeline[Budget, Granted],
) -> None:
    with pytest.raises(PayloadInvalid, match=r"\$\.to"):
        pipeline.evaluate(BUDGET, Proposal(granted(to="x" * 51)))
    with pytest.raises(PayloadInvalid, match=r"\$\.to"):
        Pipeline.bypass(Proposal(granted(to="")), Incident())


NOT_A_RECEIPT: list[Any] = [None, True, "receipt", Proposal(granted()), Denial("a", "B", "c")]


@pytest.mark.parametrize("wrong", NOT_A_RECEIPT, ids=lambda wrong: type(wrong).__name__)
def test_only_a_receipt_is_committed(
    pipeline: Pipeline[Budget, Granted], store: Store, wrong: object
) -> None:
    with pytest.raises(InvalidArgument, match="expected a Receipt"):
        pipeline.commit(cast("Any", wrong), store, ADA)
    with pytest.raises(InvalidArgument, match="expected a BypassReceipt"):
        Pipeline.commit_bypass(cast("Any", wrong), store, ADA)

    assert store.count() == 0


def test_a_bypass_never_passes_for_a_judgement_nor_the_other_way_round(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting, passing: Passing
) -> None:
    with pytest.raises(InvalidArgument, match="expected a Receipt, got a BypassReceipt"):
        pipeline.commit(cast("Any", passing), store, ADA)
    with pytest.raises(InvalidArgument, match="expected a BypassReceipt, got a Receipt"):
        Pipeline.commit_bypass(cast("Any", receipt), store, ADA)

    assert store.count() == 0


def test_the_receipt_of_a_move_is_not_for_a_pipeline(store: Store) -> None:
    move = ParcelMachine(BrittleLedger()).new(new_id(ParcelId)).pack()
    receipt = PackGates().evaluate(DESK, move)

    with pytest.raises(InvalidArgument, match="expected a Proposal, got a Guarded"):
        Pipeline(GateSet[Any, Any, Any]()).commit(cast("Any", receipt), store, ADA)

    assert store.count() == 0


@pytest.mark.parametrize(("given", "told"), [(3, "an int"), (None, "None"), ("x", "a str")])
def test_what_was_given_instead_is_told_with_its_article(given: object, told: str) -> None:
    with pytest.raises(InvalidArgument, match=f"expected a Proposal, got {told}$"):
        Pipeline(GateSet[Any, Any, Any]()).evaluate(None, cast("Any", given))


def test_a_move_is_not_for_a_pipeline_even_if_nobody_says_what_it_judges() -> None:
    pipeline = Pipeline(GateSet[Any, Any, Any]())
    move = ParcelMachine(BrittleLedger()).new(new_id(ParcelId)).pack()

    with pytest.raises(InvalidArgument, match="proposal: expected a Proposal, got a Guarded"):
        pipeline.evaluate(None, cast("Any", move))


@pytest.mark.parametrize(
    "wrong",
    [None, GrantPolicy, "policy", PackGates()],
    ids=["nothing", "a class", "a name", "a set with states"],
)
def test_only_a_set_of_gates_without_states_makes_a_pipeline(wrong: object) -> None:
    with pytest.raises(InvalidArgument, match="policy"):
        Pipeline(cast("Any", wrong))


def test_the_gates_of_a_machine_do_not_judge_what_is_no_move() -> None:
    event = ParcelMachine(BrittleLedger()).new(new_id(ParcelId)).pack().event

    with pytest.raises(InvalidArgument, match="judges the moves of a machine"):
        cast("Any", PackGates()).evaluate(DESK, Proposal(event))


@pytest.mark.parametrize(
    "wrong", [Withdrawn(to="ada", amount=1), Counted(n=1), None, Granted, {"amount": 1}]
)
def test_a_policy_judges_its_own_event_only(
    pipeline: Pipeline[Budget, Granted], wrong: object
) -> None:
    with pytest.raises(InvalidArgument, match=r"test\.grants\.GrantPolicy is for Granted"):
        pipeline.evaluate(BUDGET, Proposal(cast("Any", wrong)))


@pytest.mark.parametrize("wrong", [None, granted(), "x"])
def test_only_a_proposal_is_judged_or_bypassed(
    pipeline: Pipeline[Budget, Granted], wrong: object
) -> None:
    with pytest.raises(InvalidArgument, match="Proposal"):
        pipeline.evaluate(BUDGET, cast("Any", wrong))
    with pytest.raises(InvalidArgument, match="Proposal"):
        Pipeline.bypass(cast("Any", wrong), Incident())


def test_a_policy_of_two_events_judges_both_and_no_third() -> None:
    class Both(GateSet[None, None, Granted | Withdrawn]):
        """Of both events, and permits."""

    for event in (granted(), Withdrawn(to="ada", amount=1)):
        assert isinstance(Both().evaluate(None, Proposal(event)), Receipt)
    with pytest.raises(InvalidArgument, match="is for"):
        Both().evaluate(None, Proposal(cast("Any", Counted(n=1))))


# ---------------------------------------------------------------------------------- under attack


def test_a_receipt_is_spent_by_the_first_commit(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting
) -> None:
    pipeline.commit(receipt, store, ADA)

    assert rejected(lambda: pipeline.commit(receipt, store, ADA), store) is ReceiptFault.SPENT


def test_a_receipt_commits_into_one_store_only(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting
) -> None:
    pipeline.commit(receipt, store, ADA)

    with Store.open("other", PLAIN, platform=SimPlatform()) as other:
        assert rejected(lambda: pipeline.commit(receipt, other, ADA), other) is ReceiptFault.SPENT


@pytest.mark.parametrize(
    "change",
    [
        lambda labels: labels.update({"for": "cake"}),
        lambda labels: labels.update(more="x"),
        lambda labels: labels.clear(),
        lambda labels: labels.update({"for": None}),
        lambda labels: labels.update({7: "x"}),
    ],
    ids=["value", "key", "cleared", "no longer valid", "no longer text"],
)
def test_an_event_that_was_changed_after_judging_is_not_stored(
    pipeline: Pipeline[Budget, Granted],
    store: Store,
    receipt: Granting,
    passing: Passing,
    labels: dict[str, str],
    change: Callable[[dict[str, str]], object],
) -> None:
    change(labels)

    for commit in (
        lambda: pipeline.commit(receipt, store, ADA),
        lambda: Pipeline.commit_bypass(passing, store, ADA),
    ):
        assert rejected(commit, store) is ReceiptFault.PAYLOAD_CHANGED


@pytest.mark.parametrize("event", [granted(amount=41), Twin.of(granted()), Counted(n=40), object()])
def test_an_event_that_was_swapped_is_not_stored(
    pipeline: Pipeline[Budget, Granted],
    store: Store,
    receipt: Granting,
    passing: Passing,
    event: object,
) -> None:
    for sealed, commit in (
        (receipt, lambda: pipeline.commit(receipt, store, ADA)),
        (passing, lambda: Pipeline.commit_bypass(passing, store, ADA)),
    ):
        cast("Any", sealed.proposal)._event = event

        assert rejected(commit, store) is ReceiptFault.PAYLOAD_CHANGED


def thinner(*gates: Gate[Any, Any, Any]) -> GrantPolicy:
    policy = GrantPolicy.__new__(GrantPolicy)
    GateSet.__init__(policy, *gates)
    return policy


class Generous(GateSet[Budget, None, Granted]):
    """Another policy, with the same gates."""

    def __init__(self) -> None:
        super().__init__(POSITIVE, AFFORDABLE, WELCOME)


@pytest.mark.parametrize(
    "policy",
    [
        thinner(),
        thinner(POSITIVE, AFFORDABLE),
        thinner(AFFORDABLE, POSITIVE, WELCOME),
        Generous(),
        GateSet[Budget, None, Granted](POSITIVE, AFFORDABLE, WELCOME),
    ],
    ids=["none", "fewer", "other order", "another policy", "no policy"],
)
def test_other_gates_do_not_do_even_if_they_permit(
    pipeline: Pipeline[Budget, Granted], store: Store, policy: GateSet[Budget, None, Granted]
) -> None:
    receipt = permitted(policy.evaluate(BUDGET, Proposal(granted())))

    assert rejected(lambda: pipeline.commit(receipt, store, ADA), store) is (
        ReceiptFault.WRONG_POLICY
    )


def test_another_instance_of_the_same_policy_is_the_same_policy(
    pipeline: Pipeline[Budget, Granted], store: Store
) -> None:
    receipt = permitted(GrantPolicy().evaluate(BUDGET, Proposal(granted())))

    assert pipeline.commit(receipt, store, ADA).receipt.version == 1


def test_sixteen_threads_spend_a_receipt_once(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting, passing: Passing
) -> None:
    ready = Barrier(16)

    def commit(number: int) -> object:
        ready.wait()
        try:
            if number % 2:
                return pipeline.commit(receipt, store, ADA)
            return Pipeline.commit_bypass(passing, store, ADA)
        except ReceiptRejected as refused:
            return refused.reason

    with ThreadPoolExecutor(16) as pool:
        came = list(pool.map(commit, range(16)))

    assert came.count(ReceiptFault.SPENT) == 14
    assert store.count() == 1 + 2


# ------------------------------------------------------------------------------------------- age


def at_age(monkeypatch: pytest.MonkeyPatch, seconds: float, *, wall_s: float = 0) -> None:
    """Let so much time pass, by the clock that goes on and by that on the wall."""
    monkeypatch.setattr(
        receipts,
        "REAL",
        replace(
            REAL,
            monotonic_ns=lambda: REAL.monotonic_ns() + int(seconds * 1e9),
            wall_ns=lambda: REAL.wall_ns() + int(wall_s * 1e9),
        ),
    )


@pytest.mark.parametrize("seconds", [31, 1e6])
def test_a_receipt_that_is_too_old_is_refused_and_spent(
    store: Store, receipt: Granting, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    pipeline = Pipeline(GrantPolicy(), max_age_s=30)

    at_age(monkeypatch, seconds)

    assert rejected(lambda: pipeline.commit(receipt, store, ADA), store) is ReceiptFault.EXPIRED
    assert rejected(lambda: pipeline.commit(receipt, store, ADA), store) is ReceiptFault.SPENT


@pytest.mark.parametrize(("seconds", "wall_s"), [(0, 0), (29, 0), (29, 1e6), (29, -1e6)])
def test_a_receipt_is_good_for_its_time_whatever_the_wall_clock_does(
    store: Store,
    receipt: Granting,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    wall_s: float,
) -> None:
    at_age(monkeypatch, seconds, wall_s=wall_s)

    Pipeline(GrantPolicy(), max_age_s=30).commit(receipt, store, ADA)

    assert store.count() == 1


def test_without_a_limit_a_receipt_does_not_age(
    pipeline: Pipeline[Budget, Granted],
    store: Store,
    receipt: Granting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_age(monkeypatch, 1e9)

    assert pipeline.commit(receipt, store, ADA).receipt.version == 1


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, True, "30", 1e-10, 1e300, 10**400])
def test_an_age_is_a_number_of_seconds(wrong: object) -> None:
    with pytest.raises(InvalidArgument, match="max_age_s: must be a number of seconds"):
        Pipeline(GrantPolicy(), max_age_s=cast("Any", wrong))


def test_an_age_may_be_short(
    store: Store, receipt: Granting, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(GrantPolicy(), max_age_s=0.5)

    at_age(monkeypatch, 0.6)

    assert rejected(lambda: pipeline.commit(receipt, store, ADA), store) is ReceiptFault.EXPIRED


# ---------------------------------------------------------------------------------------- forgery


def forge(sealed: object, **changed: object) -> Any:  # noqa: ANN401  of any class of receipts
    """A receipt made around the constructor, slot by slot."""
    made = object.__new__(type(sealed))
    for slot in (*Sealed.__slots__, *cast("Any", sealed).__slots__):
        setattr(made, slot, changed.get(slot, getattr(sealed, slot)))
    return made


def test_the_constructors_are_closed(receipt: Granting, passing: Passing) -> None:
    for closed, last in ((Receipt, receipt.gates), (BypassReceipt, passing.audit)):
        with pytest.raises(TypeError):
            cast("Any", closed)(receipt.proposal)
        with pytest.raises(ReceiptRejected) as refused:
            cast("Any", closed)(object(), receipt.proposal, receipt._claim, receipt._process, last)

        assert refused.value.reason is ReceiptFault.FORGED


def test_a_hull_is_forged(pipeline: Pipeline[Budget, Granted], store: Store) -> None:
    empty = object.__new__(Receipt)
    hollow = object.__new__(BypassReceipt)
    filled = cast("Any", object.__new__(BypassReceipt))
    filled._proposal, filled._audit = Proposal(granted()), BypassAudit("a", "b")

    assert rejected(lambda: pipeline.commit(empty, store, ADA), store) is ReceiptFault.FORGED
    for made in (hollow, filled):
        commit = partial(Pipeline.commit_bypass, made, store, ADA)
        assert rejected(commit, store) is ReceiptFault.FORGED


def test_a_receipt_cannot_be_written_over(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting, passing: Passing
) -> None:
    other = permitted(pipeline.evaluate(BUDGET, Proposal(granted(amount=2))))
    younger = replace(receipt._claim, issued_ns=receipt._claim.issued_ns + 1)
    made = [
        forge(receipt, _ticket=[b"\0" * 16]),
        forge(receipt, _ticket=list(receipt._ticket), _claim=younger),
        forge(
            receipt, _ticket=list(receipt._ticket), _claim=other._claim, _proposal=other._proposal
        ),
    ]
    passed = [
        forge(passing, _ticket=[b"\0" * 16]),
        forge(passing, _ticket=list(passing._ticket), _claim=replace(passing._claim, issued_ms=0)),
    ]

    for one in made:
        commit = partial(pipeline.commit, one, store, ADA)
        assert rejected(commit, store) is ReceiptFault.FORGED
    for one in passed:
        assert rejected(partial(Pipeline.commit_bypass, one, store, ADA), store) is (
            ReceiptFault.FORGED
        )


def test_a_bypass_cannot_be_dressed_up_as_a_judgement(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting, passing: Passing
) -> None:
    slots = {slot: getattr(passing, slot) for slot in Sealed.__slots__}
    dressed = forge(receipt, **slots)
    undressed = forge(passing, **{slot: getattr(receipt, slot) for slot in Sealed.__slots__})

    assert rejected(lambda: pipeline.commit(dressed, store, ADA), store) is (
        ReceiptFault.WRONG_POLICY
    )
    assert rejected(lambda: Pipeline.commit_bypass(undressed, store, ADA), store) is (
        ReceiptFault.WRONG_POLICY
    )


@pytest.mark.parametrize(
    "audit",
    [
        BypassAudit("routine", Incident().justification, "ada"),
        BypassAudit("outage", "nothing to see here", "ada"),
        BypassAudit(Incident().justification, "outage", "ada"),
        BypassAudit("outage", Incident().justification, "eve"),
        BypassAudit("outage", Incident().justification),
    ],
)
def test_the_reason_of_a_bypass_cannot_be_exchanged(
    store: Store, passing: Passing, audit: BypassAudit
) -> None:
    cast("Any", passing)._audit = audit

    assert rejected(lambda: Pipeline.commit_bypass(passing, store, ADA), store) is (
        ReceiptFault.WRONG_POLICY
    )


@pytest.mark.parametrize(
    "attack", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda f: f.__name__
)
def test_no_receipt_copies_or_pickles(
    receipt: Granting, passing: Passing, attack: Callable[[object], object]
) -> None:
    for sealed in (receipt, passing):
        with pytest.raises(TypeError, match="single-use"):
            attack(sealed)


def test_receipts_are_read_only(receipt: Granting, passing: Passing) -> None:
    for sealed in (receipt, passing):
        for name in ("proposal", "gates", "audit", "fingerprint", "issued_at", "anything"):
            with pytest.raises(AttributeError):
                setattr(sealed, name, None)


def test_a_receipt_of_another_process_is_foreign(
    pipeline: Pipeline[Budget, Granted],
    store: Store,
    receipt: Granting,
    passing: Passing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for step, sealed, commit in (
        (1, receipt, lambda: pipeline.commit(receipt, store, ADA)),
        (-1, passing, lambda: Pipeline.commit_bypass(passing, store, ADA)),
    ):
        pid = sealed._process + step
        monkeypatch.setattr(receipts, "REAL", replace(REAL, pid=lambda pid=pid: pid))

        assert rejected(commit, store) is ReceiptFault.FOREIGN


def test_a_receipt_is_about_its_event_its_policy_its_time_and_where_it_comes_from(
    receipt: Granting, passing: Passing
) -> None:
    parcels = ParcelMachine(BrittleLedger())
    move = parcels.new(new_id(ParcelId)).pack()
    packing = parcels.pack_gates.evaluate(DESK, move)
    assert isinstance(packing, Receipt)
    nowhere = {"entity": "", "scope": "", "version": 0, "state": ""}
    place = {
        "entity": move.source.coordinate.entity,
        "scope": "test.parcels",
        "version": 0,
        "state": "NewParcel",
    }
    claims = [receipt._claim, passing._claim, packing._claim]

    for claim, event, position in zip(
        claims, (granted(), granted(), move.event), (nowhere, nowhere, place), strict=True
    ):
        encoded = wire.encode(event)
        assert (claim.kind, claim.payload_version) == (int(event.KIND), 1)
        assert claim.content_hash == encoded.content_hash
        assert {name: getattr(claim, name) for name in position} == position
    assert receipt.fingerprint == claims[0].fingerprint == GrantPolicy().fingerprint
    assert len({claim.fingerprint for claim in claims}) == 3


def test_a_forked_child_cannot_spend_what_its_parent_was_given() -> None:
    program = """
        import os
        from batpak.errors import ReceiptRejected
        from batpak.guard.proposal import Proposal
        from batpak.pipeline import Pipeline
        from tests.unit.guard.grants import ADA, BUDGET, GrantPolicy, Incident, granted
        from tests.unit.parcels import BrittleLedger

        pipeline, ledger = Pipeline(GrantPolicy()), BrittleLedger()
        receipt = pipeline.evaluate(BUDGET, Proposal(granted()))
        passing = Pipeline.bypass(Proposal(granted()), Incident())
        commits = (
            lambda: pipeline.commit(receipt, ledger, ADA),
            lambda: Pipeline.commit_bypass(passing, ledger, ADA),
        )
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            for commit in commits:
                print("parent", commit().receipt.version, flush=True)
        else:
            for commit in commits:
                try:
                    commit()
                except ReceiptRejected as refused:
                    print("child", refused.reason.value, flush=True)
            own = pipeline.evaluate(BUDGET, Proposal(granted()))
            print("child", pipeline.commit(own, ledger, ADA).receipt.version, flush=True)
            os._exit(0)
    """

    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stderr == ""
    assert ran.stdout.split("\n") == [
        "child foreign",
        "child foreign",
        "child 1",
        "parent 1",
        "parent 2",
        "",
    ]


def test_no_receipt_gets_into_a_process_that_is_spawned(
    receipt: Granting, passing: Passing
) -> None:
    for sealed in (receipt, passing):
        child = multiprocessing.get_context("spawn").Process(target=print, args=(sealed,))

        with pytest.raises(TypeError, match="single-use"):
            child.start()


# --------------------------------------------------------------------------------------- bypasses


def test_a_bypass_stores_the_event_and_its_audit_as_one(store: Store, passing: Passing) -> None:
    committed = Pipeline.commit_bypass(passing, store, ADA, expected_version=0)

    event, audit = store.query()
    assert event.payload == passing.proposal.event == committed.event
    assert committed.receipt.event_id == event.event_id
    assert (committed.gates, committed.bypass) == ((), passing.audit)
    assert passing.audit == BypassAudit("outage", Incident().justification, "ada")
    assert audit.payload == BypassRecorded(
        entity="grant:ada",
        scope="acme",
        kind=int(Granted.KIND),
        content_hash=event.content_hash,
        reason="outage",
        justification=Incident().justification,
        approved_by="ada",
    )
    assert audit.coordinate == Coordinate("batpak:bypass:grant:ada", "acme")
    assert (audit.causation_id, audit.correlation_id) == (event.event_id, event.correlation_id)
    assert PolicyStamp.of(event.extensions) is None
    assert store.version("grant:ada") == 1
    assert store.verify().ok


def test_a_bypass_repeated_with_its_key_is_stored_once(store: Store) -> None:
    first, again = (
        Pipeline.commit_bypass(
            Pipeline.bypass(Proposal(granted()), Incident()), store, ADA, idempotency_key="k"
        )
        for _ in range(2)
    )

    assert (first.receipt.claim, again.receipt.replayed) == (again.receipt.claim, True)
    assert store.count() == 2
    other = Pipeline.bypass(Proposal(granted()), Incident(justification="something else"))
    with pytest.raises(IdempotencyConflict):
        Pipeline.commit_bypass(other, store, ADA, idempotency_key="k")
    assert store.count() == 2


def test_a_bypass_is_not_a_second_way_to_store_what_a_commit_has_stored(
    pipeline: Pipeline[Budget, Granted], store: Store, receipt: Granting, passing: Passing
) -> None:
    pipeline.commit(receipt, store, ADA, idempotency_key="k")

    with pytest.raises(IdempotencyConflict):
        Pipeline.commit_bypass(passing, store, ADA, idempotency_key="k")

    assert store.count() == 1


class Why(StrEnum):
    OUTAGE = "outage"


def test_a_reason_may_be_a_member_of_an_enum(store: Store) -> None:
    receipt = Pipeline.bypass(Proposal(granted()), Incident(reason=Why.OUTAGE))

    Pipeline.commit_bypass(receipt, store, ADA)

    assert store.get(1, BypassRecorded).payload.reason == "outage"


@pytest.mark.parametrize(
    ("reason", "approved_by"),
    [
        ("in a hurry", None),
        (None, None),
        (Incident(reason=""), None),
        (Incident(justification=" \n"), None),
        (Incident(reason=cast("Any", 7)), None),
        (Incident(justification="\ud800"), None),
        (Incident(), ""),
        (Incident(), 7),
    ],
    ids=repr,
)
def test_a_bypass_says_why(reason: object, approved_by: object) -> None:
    with pytest.raises(InvalidArgument):
        Pipeline.bypass(
            Proposal(granted()), cast("Any", reason), approved_by=cast("Any", approved_by)
        )


def test_a_write_that_is_refused_leaves_neither_event_nor_audit(passing: Passing) -> None:
    ledger = BrittleLedger()
    ledger.fail_before = StorageFailed("write", "f", 28, "No space left on device")

    with pytest.raises(StorageFailed):
        Pipeline.commit_bypass(passing, ledger, ADA)

    assert ledger.events == []


@pytest.mark.parametrize("batch", [False, True])
def test_nobody_else_writes_an_audit(store: Store, passing: Passing, *, batch: bool) -> None:
    Pipeline.commit_bypass(passing, store, ADA)
    audit = store.get(1)
    before = store.count()

    def write(coord: Coordinate, kind: EventKind | None = None) -> object:
        if kind is not None:
            return store.append_raw(coord, kind, b"\x80")
        if batch:
            return store.append_batch([BatchItem(coord, audit.payload)])
        return store.append(coord, audit.payload)

    with pytest.raises(InvalidCoordinate):
        write(audit.coordinate)
    for kind in (BypassRecorded.KIND, EventKind.from_wire(0x000F), None):
        with pytest.raises(ValueError, match=r"library|store itself"):
            write(ADA, kind)

    assert store.count() == before


# ------------------------------------------------------------------------------------------- laws


ACTS = ["commit", "twice", "drop", "changed", "elsewhere", "stale", "bypass"]
STEP = st.tuples(
    st.integers(-5, 120),
    st.sampled_from(["ada", "eve", "x" * 51]),
    st.integers(0, 100),
    st.sampled_from(ACTS),
)


def attempt(store: Store, event: Granted, left: int, act: str) -> Committed[Granted] | None:
    """Try to store an event, in one of several ways; None: a gate denied, or nobody committed.

    Raises:
        BatpakError: It was refused.
    """
    if act == "bypass":
        return Pipeline.commit_bypass(Pipeline.bypass(Proposal(event), Incident()), store, ADA)
    pipeline = Pipeline(GrantPolicy())
    budget = Budget(left=left, unwelcome=frozenset({"eve"}))
    verdict = pipeline.evaluate(budget, Proposal(event))
    if isinstance(verdict, Denial) or act == "drop":
        return None
    if act == "changed":
        cast("dict[str, str]", event.labels)["for"] = "cake"
    coord = Coordinate("batpak:x", "acme") if act == "elsewhere" else ADA
    expected = 99 if act == "stale" else None
    committed = pipeline.commit(verdict, store, coord, expected_version=expected)
    assert 0 < event.amount <= left
    assert event.to == "ada"
    if act == "twice":
        again = rejected(partial(pipeline.commit, verdict, store, ADA), store)
        assert again is ReceiptFault.SPENT
    return committed


@given(st.lists(STEP, max_size=6))
def test_an_event_exists_if_and_only_if_a_commit_returned(
    walk: list[tuple[int, str, int, str]],
) -> None:
    due: list[EventPayload] = []
    with Store.open("store", PLAIN, platform=SimPlatform()) as store:
        for amount, to, left, act in walk:
            before = [event.record for event in store.query()]
            committed = None
            with suppress(PayloadInvalid, ReceiptRejected, InvalidCoordinate, VersionConflict):
                committed = attempt(store, granted(amount, to, {"for": "tea"}), left, act)
            if committed is None:
                assert [event.record for event in store.query()] == before
                continue
            stored = store.get(committed.receipt.event_id)
            assert stored.content_hash == committed.receipt.content_hash
            due.append(granted(amount, to, {"for": "tea"}))
            if act == "bypass":
                audit = store.get(committed.receipt.sequence + 1, BypassRecorded).payload
                assert audit.content_hash == stored.content_hash
                due.append(audit)
        there = [event.payload for event in store.query()]

    assert there == due
