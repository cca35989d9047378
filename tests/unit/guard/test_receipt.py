"""Receipts under attack: what is stored is what was judged, once, here, by these gates.

Without this, a receipt could be used twice, for another event, after the gates have changed, or
in another process, and the log would say that a policy permitted what it never saw.
"""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, TypeAlias, cast, final

import pytest
from msgspec.structs import replace

from batpak.errors import IllegalTransition, InvalidArgument, ReceiptRejected, StorageFailed
from batpak.faults import ReceiptFault
from batpak.guard import receipt as receipts
from batpak.guard.gates import Gate, GateSet, Rule
from batpak.guard.receipt import Receipt, Sealed
from batpak.guard.verdict import PERMIT, Denial, Verdict
from batpak.ids import new_id
from batpak.override import override
from batpak.seal import SEAL
from batpak.typestate import Guarded
from tests.unit.parcels import (
    DESK,
    NOT_TOO_HEAVY,
    STAMPED,
    BrittleLedger,
    CancelGates,
    Desk,
    New,
    NewParcel,
    PackedParcel,
    PackGates,
    PackParcel,
    ParcelId,
    ParcelMachine,
    ParcelPacked,
)

ROOT = Path(__file__).parents[3]

Packing: TypeAlias = Receipt[PackParcel]


@pytest.fixture
def ledger() -> BrittleLedger:
    return BrittleLedger()


@pytest.fixture
def parcels(ledger: BrittleLedger) -> ParcelMachine:
    return ParcelMachine(ledger)


def permitted(policy: PackGates, move: PackParcel) -> Packing:
    verdict = policy.evaluate(DESK, move)
    assert not isinstance(verdict, Denial), verdict
    return verdict


@pytest.fixture
def labels() -> dict[str, str]:
    return {"to": "Ada"}


@pytest.fixture
def receipt(parcels: ParcelMachine, labels: dict[str, str]) -> Packing:
    return permitted(parcels.pack_gates, parcels.new(new_id(ParcelId)).pack(labels=labels))


def rejected(commit: Callable[[Packing], object], receipt: Packing) -> ReceiptFault:
    with pytest.raises(ReceiptRejected) as refused:
        commit(receipt)
    return refused.value.reason


def test_a_receipt_commits_what_was_judged(
    parcels: ParcelMachine, ledger: BrittleLedger, receipt: Packing
) -> None:
    packed = parcels.commit(receipt)

    assert isinstance(packed, PackedParcel)
    assert [event.payload for event in ledger.events] == [receipt.proposal.event]


def test_it_says_when_it_was_issued(receipt: Packing) -> None:
    age = dt.datetime.now(dt.UTC) - receipt.issued_at

    assert dt.timedelta(seconds=-1) < age < dt.timedelta(minutes=2)


def test_it_is_spent_by_the_first_commit(
    parcels: ParcelMachine, ledger: BrittleLedger, receipt: Packing
) -> None:
    parcels.commit(receipt)

    assert rejected(parcels.commit, receipt) is ReceiptFault.SPENT
    assert len(ledger.events) == 1


def test_it_is_spent_by_a_commit_that_fails(
    parcels: ParcelMachine, ledger: BrittleLedger, receipt: Packing
) -> None:
    ledger.fail_before = StorageFailed("write", "f", 28, "No space left on device")

    with pytest.raises(StorageFailed):
        parcels.commit(receipt)

    assert rejected(parcels.commit, receipt) is ReceiptFault.SPENT
    assert ledger.events == []


def test_sixteen_threads_spend_it_once(
    parcels: ParcelMachine, ledger: BrittleLedger, receipt: Packing
) -> None:
    ready = Barrier(16)

    def commit(_: int) -> object:
        ready.wait()
        try:
            return parcels.commit(receipt)
        except ReceiptRejected as refused:
            return refused.reason

    with ThreadPoolExecutor(16) as pool:
        came = list(pool.map(commit, range(16)))

    assert sum(isinstance(one, PackedParcel) for one in came) == 1
    assert came.count(ReceiptFault.SPENT) == 15
    assert len(ledger.events) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda labels: labels.update(to="Eve"),
        lambda labels: labels.update(more="x"),
        lambda labels: labels.clear(),
        lambda labels: labels.update(to=None),
        lambda labels: labels.update({7: "x"}),
    ],
    ids=["value", "key", "cleared", "no longer valid", "no longer text"],
)
def test_an_event_that_was_changed_after_judging_is_not_stored(
    parcels: ParcelMachine,
    ledger: BrittleLedger,
    receipt: Packing,
    labels: dict[str, str],
    change: Callable[[dict[str, str]], object],
) -> None:
    change(labels)

    assert rejected(parcels.commit, receipt) is ReceiptFault.PAYLOAD_CHANGED
    assert ledger.events == []


def test_a_change_that_is_undone_before_the_commit_does_no_harm(
    parcels: ParcelMachine, receipt: Packing, labels: dict[str, str]
) -> None:
    labels["to"] = "Eve"
    labels["to"] = "Ada"

    assert parcels.commit(receipt).data.labels == {"to": "Ada"}


def test_the_handle_and_the_log_keep_no_reference_to_what_the_caller_can_change(
    parcels: ParcelMachine, receipt: Packing, labels: dict[str, str]
) -> None:
    packed = parcels.commit(receipt)

    labels["to"] = "Eve"

    assert packed.data.labels == {"to": "Ada"}
    assert parcels.load(packed.data.parcel_id) == packed


def test_an_event_that_was_swapped_is_not_stored(parcels: ParcelMachine, receipt: Packing) -> None:
    other = receipt.proposal.source.pack(note="another")
    cast("Any", receipt.proposal)._event = other.event

    assert rejected(parcels.commit, receipt) is ReceiptFault.PAYLOAD_CHANGED


def thinner(*gates: Gate[Any, Any, Any]) -> PackGates:
    policy = PackGates.__new__(PackGates)
    GateSet.__init__(policy, *gates)
    return policy


@pytest.mark.parametrize(
    "policy",
    [thinner(), thinner(NOT_TOO_HEAVY), thinner(STAMPED, NOT_TOO_HEAVY)],
    ids=["none", "fewer", "other order"],
)
def test_another_instance_of_the_policy_must_have_the_same_gates_in_the_same_order(
    parcels: ParcelMachine, ledger: BrittleLedger, policy: PackGates
) -> None:
    receipt = permitted(policy, parcels.new(new_id(ParcelId)).pack())

    assert rejected(parcels.commit, receipt) is ReceiptFault.WRONG_POLICY
    assert ledger.events == []


def test_another_instance_with_the_same_gates_is_the_same_policy(parcels: ParcelMachine) -> None:
    receipt = permitted(PackGates(), parcels.new(new_id(ParcelId)).pack())

    assert isinstance(parcels.commit(receipt), PackedParcel)


@final
class Lightest:
    """A gate that is no better than what it was made with."""

    name = "lightest"

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def judge(self, ctx: Desk, state: New, event: ParcelPacked, /) -> Verdict:
        del ctx, state
        light = event.weight <= self.limit
        return PERMIT if light else Denial(self.name, "HEAVY", "too heavy")

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lightest)

    @override
    def __hash__(self) -> int:
        return hash(Lightest)


def hooked(limit: int) -> Rule[Desk, New, ParcelPacked]:
    """A gate as generated code has it: a function around a method of the program."""
    return same_hooks(Lightest(limit))


def same_hooks(hooks: Lightest) -> Rule[Desk, New, ParcelPacked]:
    def judge(ctx: Desk, state: New, event: ParcelPacked) -> Verdict:
        return hooks.judge(ctx, state, event)

    return Rule("light", judge, source="python", codes=("HEAVY",), asks=hooks.judge)


def unhooked(limit: int) -> Rule[Desk, New, ParcelPacked]:
    return Rule("light", Lightest(limit).judge, source="python", codes=("HEAVY",))


@pytest.mark.parametrize("gate", [Lightest, hooked, unhooked])
def test_gates_in_python_are_told_apart_though_their_fingerprints_are_equal(
    ledger: BrittleLedger, gate: Callable[[int], Gate[Any, Any, Any]]
) -> None:
    strict, lax = thinner(gate(1)), thinner(gate(1_000))
    assert strict.fingerprint == lax.fingerprint
    parcels = ParcelMachine(ledger, pack_gates=strict)
    move = parcels.new(new_id(ParcelId)).pack()
    assert isinstance(strict.evaluate(DESK, move), Denial)

    assert rejected(parcels.commit, permitted(lax, move)) is ReceiptFault.WRONG_POLICY
    assert ledger.events == []


def test_sets_that_share_their_gates_and_hooks_are_the_same_policy(ledger: BrittleLedger) -> None:
    shared, hooks = Lightest(10), Lightest(10)
    sets = [thinner(NOT_TOO_HEAVY, shared, same_hooks(hooks)) for _ in range(2)]
    parcels = ParcelMachine(ledger, pack_gates=sets[0])

    receipt = permitted(sets[1], parcels.new(new_id(ParcelId)).pack())

    assert isinstance(parcels.commit(receipt), PackedParcel)


def test_another_policy_is_not_asked(parcels: ParcelMachine, ledger: BrittleLedger) -> None:
    class Easy(GateSet[Any, Any, Any]):
        pass

    move = parcels.new(new_id(ParcelId)).pack()

    with pytest.raises(InvalidArgument, match="ParcelPacked needs PackGates, and this is Easy"):
        Easy().evaluate(None, cast("Any", move))
    with pytest.raises(InvalidArgument, match="made around the constructor"):
        Easy().evaluate(None, object.__new__(Guarded))

    assert ledger.events == []


def test_a_move_that_names_another_policy_is_refused_by_the_table(
    parcels: ParcelMachine, ledger: BrittleLedger
) -> None:
    honest = parcels.new(new_id(ParcelId)).pack()
    move = honest.source._guarded(PackedParcel, honest.event, CancelGates)
    easy = CancelGates.__new__(CancelGates)
    GateSet.__init__(easy)
    receipt = easy.evaluate(None, cast("Any", move))

    with pytest.raises(IllegalTransition, match="NewParcel \\+ ParcelPacked needs PackGates"):
        parcels.commit(cast("Any", receipt))

    assert ledger.events == []


def test_a_handle_that_was_changed_after_judging_is_refused(
    parcels: ParcelMachine, ledger: BrittleLedger, receipt: Packing
) -> None:
    cast("Any", receipt.proposal.source)._version = 1

    assert rejected(parcels.commit, receipt) is ReceiptFault.MOVED
    assert ledger.events == []


def test_a_receipt_for_one_entity_does_not_serve_another(
    parcels: ParcelMachine, ledger: BrittleLedger, receipt: Packing
) -> None:
    source, other = receipt.proposal.source, parcels.new(new_id(ParcelId))
    store_id = parcels.ledger.store_id
    cast("Any", receipt.proposal)._source = NewParcel(
        SEAL, other.coordinate, 0, source.data, store_id
    )

    assert rejected(parcels.commit, receipt) is ReceiptFault.MOVED
    assert ledger.events == []


# ---------------------------------------------------------------------------------------- forgery


def test_the_constructor_is_closed(receipt: Packing) -> None:
    closed = cast("Any", Receipt)

    with pytest.raises(TypeError):
        closed(receipt.proposal)
    with pytest.raises(ReceiptRejected) as refused:
        closed(object(), receipt.proposal, receipt._claim, receipt._process, receipt.gates)

    assert refused.value.reason is ReceiptFault.FORGED


def forge(receipt: Packing, **changed: object) -> Packing:
    """A receipt made around the constructor, slot by slot."""
    made = cast("Any", object.__new__(Receipt))
    for slot in (*Sealed.__slots__, *Receipt.__slots__):
        setattr(made, slot, changed.get(slot, getattr(receipt, slot)))
    return cast("Packing", made)


def test_an_empty_hull_is_forged(parcels: ParcelMachine) -> None:
    assert rejected(parcels.commit, object.__new__(Receipt)) is ReceiptFault.FORGED


def test_a_hull_around_a_move_is_forged(parcels: ParcelMachine, receipt: Packing) -> None:
    made = cast("Any", object.__new__(Receipt))
    made._proposal = receipt.proposal

    assert rejected(parcels.commit, made) is ReceiptFault.FORGED


def test_a_made_up_tag_is_forged(
    parcels: ParcelMachine, ledger: BrittleLedger, receipt: Packing
) -> None:
    assert rejected(parcels.commit, forge(receipt, _ticket=[b"\0" * 16])) is ReceiptFault.FORGED
    assert ledger.events == []


def test_a_receipt_cannot_be_made_younger(parcels: ParcelMachine, receipt: Packing) -> None:
    claim = receipt._claim
    for younger in (
        replace(claim, issued_ms=claim.issued_ms + 1),
        replace(claim, issued_ns=claim.issued_ns + 1),
    ):
        made = forge(receipt, _claim=younger, _ticket=list(receipt._ticket))

        assert rejected(parcels.commit, made) is ReceiptFault.FORGED


def test_a_judgement_of_another_event_cannot_be_written_over_this_one(
    parcels: ParcelMachine, receipt: Packing
) -> None:
    other = permitted(parcels.pack_gates, receipt.proposal.source.pack(note="another"))

    mixed = forge(receipt, _claim=other._claim, _proposal=other.proposal)

    assert rejected(parcels.commit, mixed) is ReceiptFault.FORGED


def test_two_hulls_around_one_ticket_commit_once(
    parcels: ParcelMachine, ledger: BrittleLedger, receipt: Packing
) -> None:
    twin = forge(receipt)
    parcels.commit(receipt)

    assert rejected(parcels.commit, twin) is ReceiptFault.SPENT
    assert len(ledger.events) == 1


@pytest.mark.parametrize(
    "attack", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda f: f.__name__
)
def test_it_does_not_copy_or_pickle(receipt: Packing, attack: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="single-use"):
        attack(receipt)


def test_it_is_read_only(receipt: Packing) -> None:
    for name in ("proposal", "gates", "fingerprint", "issued_at", "anything"):
        with pytest.raises(AttributeError):
            setattr(receipt, name, None)


# ------------------------------------------------------------------------------------- processes


def test_another_key_of_the_process_knows_no_receipt(
    parcels: ParcelMachine, receipt: Packing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "_KEYS", {})

    assert rejected(parcels.commit, receipt) is ReceiptFault.FORGED


def test_a_forked_child_cannot_spend_the_receipt_of_its_parent() -> None:
    program = """
        import os
        from batpak.errors import ReceiptRejected
        from batpak.ids import new_id
        from tests.unit.parcels import DESK, BrittleLedger, ParcelId, ParcelMachine

        parcels = ParcelMachine(BrittleLedger())
        receipt = parcels.pack_gates.evaluate(DESK, parcels.new(new_id(ParcelId)).pack())
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            print("parent", parcels.commit(receipt).version, flush=True)
        else:
            try:
                parcels.commit(receipt)
            except ReceiptRejected as refused:
                print("child", refused.reason.value, flush=True)
            own = parcels.pack_gates.evaluate(DESK, parcels.new(new_id(ParcelId)).pack())
            print("child", parcels.commit(own).version, flush=True)
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
    assert ran.stdout.split("\n") == ["child foreign", "child 1", "parent 1", ""]
