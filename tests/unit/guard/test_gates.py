"""Gates: asked in order, and whatever is not a yes is a no.

Without this, a gate that crashes, forgets its `return`, or answers `True` would let a move
through.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak.errors import InvalidArgument, PayloadInvalid
from batpak.guard.gates import Gate, GateSet, Rule
from batpak.guard.receipt import Receipt
from batpak.guard.verdict import (
    GATE_DEFECT,
    PERMIT,
    Denial,
    Permit,
    Verdict,
)
from batpak.ids import new_id
from batpak.override import override
from batpak.payload import EventPayload
from batpak.system import GateAnswer
from tests.unit.parcels import (
    DESK,
    NOON,
    NOT_TOO_HEAVY,
    STAMPED,
    BrittleLedger,
    CancelGates,
    Carrier,
    Desk,
    New,
    PackGates,
    PackParcel,
    ParcelId,
    ParcelMachine,
    ParcelPacked,
    Stamp,
)

Judge: TypeAlias = Callable[[object, object, object], Verdict]
Q = TypeVar("Q", bound=EventPayload)
State = TypeVar("State")
P, D, S = GateAnswer.PERMITTED, GateAnswer.DENIED, GateAnswer.SKIPPED


def gate(
    name: str, judge: Judge, source: str = "", codes: tuple[str, ...] = ()
) -> Rule[Any, Any, Any]:
    return Rule(name, judge, source=source, codes=codes)


def answering(verdict: object) -> Judge:
    return lambda _ctx, _state, _event: cast("Verdict", verdict)


def raising(error: BaseException) -> Judge:
    def judge(_ctx: object, _state: object, _event: object) -> Verdict:
        raise error

    return judge


class Impostor(Denial):  # type: ignore[misc]  # final: that is what is tried here
    """Not a Denial."""


YES, NO = answering(PERMIT), answering(Denial("no", "NO", "no"))
NOT_A_VERDICT: list[object] = [
    None,
    True,
    1,
    "PERMIT",
    Permit,
    Denial,
    (PERMIT,),
    Impostor("no", "NO", "no"),
]


@pytest.fixture
def move() -> PackParcel:
    return ParcelMachine(BrittleLedger()).new(new_id(ParcelId)).pack()


def pack_gates(*gates: Gate[Any, Any, Any]) -> PackGates:
    """A policy of the class that the move needs, with other gates."""
    policy = PackGates.__new__(PackGates)
    GateSet.__init__(policy, *gates)
    return policy


def answers(denial: Denial) -> list[GateAnswer]:
    return [evaluation.answer for evaluation in denial.evaluations]


def test_a_receipt_names_the_gates_that_permitted(move: PackParcel) -> None:
    policy = PackGates()

    verdict = policy.evaluate(DESK, move)

    assert isinstance(verdict, Receipt)
    assert verdict.gates == ("not_too_heavy", "stamped") == policy.names
    assert verdict.fingerprint == policy.fingerprint
    assert verdict.proposal is move


def test_the_first_denial_stops_and_the_later_gates_are_not_asked(move: PackParcel) -> None:
    asked: list[str] = []

    def ask(name: str, judge: Judge) -> Rule[Any, Any, Any]:
        def noted(ctx: object, state: object, event: object) -> Verdict:
            asked.append(name)
            return judge(ctx, state, event)

        return gate(name, noted)

    policy = pack_gates(ask("a", YES), ask("b", NO), ask("c", NO))

    denial = policy.evaluate(DESK, move)

    assert isinstance(denial, Denial)
    assert asked == ["a", "b"]
    assert (denial.gate, denial.code) == ("b", "NO")
    assert answers(denial) == [P, D, S]
    assert [evaluation.gate for evaluation in denial.evaluations] == ["a", "b", "c"]


def test_the_set_stamps_its_own_facts_over_what_a_gate_wrote(move: PackParcel) -> None:
    liar = Denial("somebody_else", "NO", "no", {"kept": 1}, "other", b"x", (), ValueError("no"))
    policy = pack_gates(gate("liar", answering(liar)))

    denial = policy.evaluate(DESK, move)

    assert isinstance(denial, Denial)
    assert (denial.gate, denial.code, denial.message) == ("liar", "NO", "no")
    assert denial.context == {"kept": 1}
    assert denial.policy == "test.parcels.Parcel.pack"
    assert denial.fingerprint == policy.fingerprint
    assert denial.defect is None
    assert answers(denial) == [D]


@pytest.mark.parametrize("answer", NOT_A_VERDICT, ids=lambda value: str(value)[:8])
def test_anything_but_a_verdict_denies(move: PackParcel, answer: object) -> None:
    policy = pack_gates(gate("a", YES), gate("b", answering(answer)), gate("c", YES))

    denial = policy.evaluate(DESK, move)

    assert isinstance(denial, Denial)
    assert (denial.gate, denial.code) == ("b", GATE_DEFECT)
    assert isinstance(denial.defect, TypeError)
    assert type(answer).__name__ in denial.message
    assert answers(denial) == [P, D, S]


@pytest.mark.parametrize(
    "malformed",
    [
        Denial("no", cast("Any", 7), "no"),
        Denial("no", "NO", cast("Any", None)),
        Denial("no", "NO", "no", cast("Any", None)),
    ],
    ids=["code", "message", "context"],
)
def test_a_denial_that_is_not_in_words_denies_as_a_defect(
    move: PackParcel, malformed: Denial
) -> None:
    denial = pack_gates(gate("a", answering(malformed))).evaluate(DESK, move)

    assert isinstance(denial, Denial)
    assert (denial.gate, denial.code, denial.context) == ("a", GATE_DEFECT, {})
    assert isinstance(denial.defect, TypeError)


@pytest.mark.parametrize("exact", [False, True])
def test_a_rule_is_a_gate_that_can_be_asked_alone(*, exact: bool) -> None:
    def third(ctx: object, state: object, event: object) -> Verdict:
        assert (ctx, state, event) == (1, 2, 3)
        digits = len(str(Decimal(1).fma(1, Decimal("1E-60"))))
        return Denial("third", "DIGITS", str(digits))

    verdict = Rule("third", third, source="", codes=(), exact=exact).judge(1, 2, cast("Any", 3))

    assert isinstance(verdict, Denial)
    assert (int(verdict.message) > 50) == exact


def test_a_gate_that_raises_denies_with_the_exception_as_defect(move: PackParcel) -> None:
    error = ZeroDivisionError("division by zero")
    policy = pack_gates(gate("a", raising(error)), gate("b", YES))

    denial = policy.evaluate(DESK, move)

    assert isinstance(denial, Denial)
    assert (denial.gate, denial.code, denial.defect) == ("a", GATE_DEFECT, error)
    assert denial.message == "the gate failed: ZeroDivisionError: division by zero"


class Speechless(Exception):
    @override
    def __str__(self) -> str:
        raise RuntimeError("no text either")


def test_a_gate_whose_exception_has_no_text_denies_all_the_same(move: PackParcel) -> None:
    denial = pack_gates(gate("a", raising(Speechless()))).evaluate(DESK, move)

    assert isinstance(denial, Denial)
    assert (denial.code, denial.message) == (GATE_DEFECT, "the gate failed: Speechless")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_who_stops_the_program_stops_the_judgement(move: PackParcel, error: BaseException) -> None:
    policy = pack_gates(gate("a", raising(error)))

    with pytest.raises(type(error)):
        policy.evaluate(DESK, move)


def test_the_wrong_context_denies(move: PackParcel) -> None:
    denial = PackGates().evaluate(cast("Any", None), move)

    assert isinstance(denial, Denial)
    assert denial.code == GATE_DEFECT
    assert isinstance(denial.defect, AttributeError)


def test_evaluate_all_asks_every_gate_and_gives_every_denial(move: PackParcel) -> None:
    policy = pack_gates(
        gate("a", NO), gate("b", YES), gate("c", raising(ValueError("x"))), gate("d", answering(1))
    )

    denials = policy.evaluate_all(DESK, move.source.data, move.event)

    assert [(denial.gate, denial.code) for denial in denials] == [
        ("a", "NO"),
        ("c", GATE_DEFECT),
        ("d", GATE_DEFECT),
    ]
    assert all(answers(denial) == [D, P, D, D] for denial in denials)
    assert PackGates().evaluate_all(DESK, move.source.data, move.event) == ()


def test_a_permitted_move_must_still_be_storable(move: PackParcel) -> None:
    too_long = move.source.pack(note="x" * 51)

    with pytest.raises(PayloadInvalid, match=r"\$\.note"):
        PackGates().evaluate(DESK, too_long)


@pytest.mark.parametrize("given_", ["move", None])
def test_only_a_move_or_a_proposal_is_judged(move: PackParcel, given_: object) -> None:
    for wrong in (given_, move.event, move.source):
        with pytest.raises(InvalidArgument, match="neither a guarded move nor a Proposal"):
            PackGates().evaluate(DESK, cast("Any", wrong))


# --------------------------------------------------------------------------------- the set itself


def test_a_fingerprint_covers_policy_names_sources_codes_and_order() -> None:
    class Another(GateSet[Any, Any, Any]):
        POLICY: ClassVar[str] = "another"

    class Unnamed(GateSet[Any, Any, Any]):
        pass

    a, b = gate("a", YES, "x > 0", ("A",)), gate("b", YES, "y > 0", ("B",))
    sets = [
        pack_gates(a, b),
        pack_gates(b, a),
        pack_gates(a),
        pack_gates(),
        pack_gates(a, b, gate("c", YES)),
        pack_gates(gate("a", YES, "x >= 0", ("A",)), b),
        pack_gates(gate("a2", YES, "x > 0", ("A",)), b),
        pack_gates(gate("a", YES, "x > 0", ("A", "A2")), b),
        pack_gates(gate("a", YES, "x > 0", ()), b),
        Another(a, b),
        Unnamed(a, b),
    ]

    assert len({policy.fingerprint for policy in sets}) == len(sets)
    assert pack_gates(a, b).fingerprint == sets[0].fingerprint
    assert {len(policy.fingerprint) for policy in sets} == {32}


def test_a_gate_of_a_class_of_ones_own_is_known_by_that_class() -> None:
    class Mine:
        name = "a"

        def judge(self, ctx: object, state: object, event: object, /) -> Verdict:
            del ctx, state, event
            return PERMIT

    class Yours(Mine):
        pass

    assert pack_gates(Mine()).fingerprint == pack_gates(Mine()).fingerprint
    assert pack_gates(Mine()).fingerprint != pack_gates(Yours()).fingerprint


def test_two_gates_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="two gates 'a'"):
        pack_gates(gate("a", YES), gate("b", YES), gate("a", NO))


@pytest.mark.parametrize("name", ["", "x" * 129, "é", "a\n"])
def test_a_name_is_short_printable_ascii(name: str) -> None:
    with pytest.raises(InvalidArgument, match="printable ASCII"):
        pack_gates(gate(name, YES))


@pytest.mark.parametrize("wrong", [None, PERMIT, lambda *_: PERMIT, Denial("a", "B", "c")])
def test_what_cannot_judge_is_no_gate(wrong: object) -> None:
    with pytest.raises(InvalidArgument, match=r"gates: a .* has no judge"):
        pack_gates(cast("Any", wrong))


def test_a_gate_without_a_name_is_refused() -> None:
    class Nameless:
        def judge(self, ctx: object, state: object, event: object, /) -> Verdict:
            del ctx, state, event
            return PERMIT

    with pytest.raises(InvalidArgument, match="None is not 1"):
        pack_gates(cast("Any", Nameless()))


def test_what_a_set_is_for_stands_in_its_brackets_and_is_inherited() -> None:
    class Of(GateSet[Desk, None, Q]):
        """Says that it has no state, and leaves the event open."""

    class OfPacked(GateSet[Desk, None, ParcelPacked]):
        pass

    class Again(OfPacked):
        pass

    class Open(GateSet[Any, State, Any]):
        pass

    class Bare(GateSet):  # type: ignore[type-arg]  # as untyped code has it
        pass

    class Stateful(GateSet[Desk, object, ParcelPacked]):
        pass

    class Named(GateSet["Desk", "New", "ParcelPacked"]):
        pass

    assert [cls().stateless for cls in (Of, OfPacked, Again, Open, Bare)] == [True] * 5
    assert [cls().stateless for cls in (Stateful, Named, PackGates, CancelGates)] == [False] * 4
    assert [cls._event for cls in (Of, Open, Bare, Named)] == [EventPayload] * 4
    assert [cls._event for cls in (OfPacked, Again, Stateful)] == [ParcelPacked] * 3


def test_an_empty_set_permits(move: PackParcel) -> None:
    verdict = pack_gates().evaluate(DESK, move)

    assert isinstance(verdict, Receipt)
    assert verdict.gates == ()


def test_a_set_of_gates_does_not_change() -> None:
    policy = cast("Any", PackGates())

    for name in ("names", "fingerprint"):
        with pytest.raises(AttributeError):
            setattr(policy, name, ())


# ------------------------------------------------------------------------------------- arithmetic


def judged(weight: Decimal, stamps: tuple[Decimal, ...]) -> tuple[Denial, ...]:
    event = ParcelPacked(
        parcel_id=new_id(ParcelId),
        pieces=1,
        weight=weight,
        volume=1.0,
        insured=False,
        stamps=tuple(Stamp(value=value, carrier=Carrier.POST) for value in stamps),
        labels={},
        fees={},
        marks=frozenset(),
        seal=b"",
        packed_at=NOON,
    )
    policy = pack_gates(NOT_TOO_HEAVY, STAMPED)
    return policy.evaluate_all(Desk(limit=Decimal(10) ** 60), New(parcel_id=event.parcel_id), event)


AMOUNTS = st.decimals(0, 10**12, places=18, allow_nan=False)


@given(st.lists(AMOUNTS, max_size=5).map(tuple))
def test_exact_rules_do_not_depend_on_the_context_of_the_thread(
    stamps: tuple[Decimal, ...],
) -> None:
    with decimal.localcontext(decimal.Context(prec=100)):
        exact = sum(stamps, Decimal(0))
        above = exact + Decimal("1E-18")

    with decimal.localcontext(decimal.Context(prec=5, traps=[])):
        enough = judged(exact, stamps)
        too_little = judged(above, stamps)

    assert enough == ()
    assert [denial.code for denial in too_little] == ["NOT_STAMPED"]


def test_arithmetic_that_would_round_is_a_defect_and_so_a_denial() -> None:
    (denial,) = judged(Decimal(1), (Decimal(10) ** 60, Decimal("1E-60")))

    assert (denial.gate, denial.code) == ("stamped", GATE_DEFECT)
    assert isinstance(denial.defect, decimal.Inexact)


def test_the_context_of_the_thread_is_as_it_was_after_a_rule() -> None:
    with decimal.localcontext(decimal.Context(prec=5)) as mine:
        judged(Decimal(1), (Decimal(2),))

        assert decimal.getcontext().prec == 5
        assert not mine.flags[decimal.Inexact]


def test_a_gate_that_changes_the_event_has_a_defect(move: PackParcel) -> None:
    def look_up(_ctx: object, _state: object, event: object) -> Verdict:
        labels = cast("dict[str, str]", cast("ParcelPacked", event).labels)
        labels.setdefault("vip", "no")  # what the first gate did not see
        return PERMIT

    gates = PackGates.__new__(PackGates)
    GateSet.__init__(gates, NOT_TOO_HEAVY, gate("curious", look_up), STAMPED)

    denial = gates.evaluate(DESK, move)

    assert isinstance(denial, Denial)
    assert (denial.gate, denial.code) == ("curious", GATE_DEFECT)
    assert denial.message == "the gate failed: TypeError: it changed the event"
