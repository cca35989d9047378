"""Laws of sets of gates, for any gates whatever they answer.

Without this a set could permit in one way of asking and deny in the other, or two policies that
differ could have one fingerprint, so that a receipt from one would be good for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias, cast

from hypothesis import example, given
from hypothesis import strategies as st

from batpak.guard.gates import GateSet, Rule
from batpak.guard.proposal import Proposal
from batpak.guard.receipt import Receipt
from batpak.guard.verdict import GATE_DEFECT, PERMIT, Denial, Verdict
from batpak.ids import new_id
from batpak.system import GateAnswer
from tests.facts import Counted
from tests.unit.parcels import DESK, BrittleLedger, PackGates, ParcelId, ParcelMachine

Judge: TypeAlias = Callable[[object, object, object], Verdict]
AnyRule: TypeAlias = Rule[Any, Any, Any]

EVENT: Final = Counted(n=1)


def answer(value: object) -> Judge:
    return lambda _ctx, _state, _event: cast("Verdict", value)


def fail(error: Exception) -> Judge:
    def judge(_ctx: object, _state: object, _event: object) -> Verdict:
        raise error

    return judge


YES: Final = answer(PERMIT)
ANSWERS: Final[dict[str, Judge]] = {
    "yes": YES,
    "yes, too": YES,
    "no": answer(Denial("gate", "NO", "no")),
    "somebody else's no": answer(Denial("another", "NO", "no", {"a": 1}, "policy", b"x" * 32)),
    "raises": fail(ValueError("no")),
    "forgets": answer(None),
    "true": answer(True),
    "text": answer("PERMIT"),
    "no without words": answer(Denial("gate", cast("Any", 7), cast("Any", None))),
    "no without facts": answer(Denial("gate", "NO", "no", cast("Any", None))),
}
SAID: Final = st.lists(st.sampled_from(list(ANSWERS)), max_size=6)


def gates_of(said: list[str]) -> list[AnyRule]:
    return [
        Rule(f"{place} {name}", ANSWERS[name], source=name, codes=("NO",))
        for place, name in enumerate(said)
    ]


class Loose(GateSet[Any, Any, Any]):
    POLICY: ClassVar[str] = "test.laws.Loose"


@given(SAID)
def test_a_set_permits_if_and_only_if_nobody_denies(said: list[str]) -> None:
    policy = Loose(*gates_of(said))

    verdict = policy.evaluate(None, Proposal(EVENT))
    denials = policy.evaluate_all(None, None, EVENT)

    assert isinstance(verdict, Receipt) == (denials == ()) == all(one[:3] == "yes" for one in said)
    assert [one.gate for one in denials] == [
        f"{place} {one}" for place, one in enumerate(said) if one[:3] != "yes"
    ]


@given(SAID.filter(lambda said: any(one[:3] != "yes" for one in said)))
def test_the_denial_of_a_set_is_the_first_of_all(said: list[str]) -> None:
    policy = Loose(*gates_of(said))
    place = next(place for place, one in enumerate(said) if one[:3] != "yes")

    denial = policy.evaluate(None, Proposal(EVENT))
    first, *_ = policy.evaluate_all(None, None, EVENT)

    assert isinstance(denial, Denial)
    assert str(denial) == str(first)
    assert (denial.gate, denial.context) == (first.gate, first.context)
    assert (denial.policy, denial.fingerprint) == (Loose.POLICY, policy.fingerprint)
    assert (first.policy, first.fingerprint) == (Loose.POLICY, policy.fingerprint)
    assert denial.evaluations[: place + 1] == first.evaluations[: place + 1]
    assert [line.answer for line in denial.evaluations[place:]] == [
        GateAnswer.DENIED,
        *[GateAnswer.SKIPPED] * (len(said) - place - 1),
    ]
    assert denial.event is first.event is EVENT


@given(SAID)
def test_every_trace_has_one_line_per_gate_in_the_order_of_the_set(said: list[str]) -> None:
    policy = Loose(*gates_of(said))
    due = [GateAnswer.PERMITTED if one[:3] == "yes" else GateAnswer.DENIED for one in said]

    for denial in policy.evaluate_all(None, None, EVENT):
        assert tuple(line.gate for line in denial.evaluations) == policy.names
        assert [line.answer for line in denial.evaluations] == due


@given(SAID)
def test_what_is_neither_yes_nor_a_proper_no_is_a_defect(said: list[str]) -> None:
    denials = Loose(*gates_of(said)).evaluate_all(None, None, EVENT)

    for denial in denials:
        proper = denial.gate.endswith("no")
        assert (denial.code == GATE_DEFECT) == (denial.defect is not None) == (not proper)


@given(SAID, st.randoms(use_true_random=False))
def test_the_order_of_gates_decides_who_denies_and_never_whether(
    said: list[str],
    rng: Any,  # noqa: ANN401  of a class that hypothesis makes
) -> None:
    rules = gates_of(said)
    other = list(rules)
    rng.shuffle(other)

    one = Loose(*rules).evaluate(None, Proposal(EVENT))
    two = Loose(*other).evaluate(None, Proposal(EVENT))

    assert isinstance(one, Denial) == isinstance(two, Denial)
    if isinstance(two, Denial):
        denying = [rule.name for rule in other if rule.name.partition(" ")[2][:3] != "yes"]
        assert two.gate == denying[0]


@given(SAID)
def test_a_move_is_judged_as_a_proposal_is(said: list[str]) -> None:
    policy = PackGates.__new__(PackGates)
    GateSet.__init__(policy, *gates_of(said))
    move = ParcelMachine(BrittleLedger()).new(new_id(ParcelId)).pack()

    verdict = policy.evaluate(DESK, move)
    loose = Loose(*gates_of(said)).evaluate(DESK, Proposal(move.event))

    if isinstance(verdict, Receipt):
        assert isinstance(loose, Receipt)
        assert verdict.gates == loose.gates == policy.names
    else:
        assert isinstance(loose, Denial)
        assert str(verdict) == str(loose)
        assert verdict.evaluations == loose.evaluations


# ----------------------------------------------------------------------------------- fingerprints


class Spec(NamedTuple):
    """What a gate is, as far as a fingerprint can know."""

    name: str
    source: str
    codes: tuple[str, ...]


WORD: Final = st.text("ab", max_size=2)
SPECS: Final = st.lists(
    st.builds(Spec, st.text("ab", min_size=1, max_size=2), WORD, st.lists(WORD).map(tuple)),
    max_size=3,
    unique_by=lambda spec: spec.name,
)


def fingerprint(policy: str, specs: list[Spec]) -> bytes:
    named = cast("type[GateSet[Any, Any, Any]]", type("Named", (Loose,), {"POLICY": policy}))
    rules: list[AnyRule] = [Rule(s.name, YES, source=s.source, codes=s.codes) for s in specs]
    return named(*rules).fingerprint


@given(WORD, SPECS, WORD, SPECS)
@example("a", [Spec("a", "b", ())], "a", [Spec("a", "", ("b",))])
@example("a", [Spec("a", "a", ("b",)), Spec("b", "", ())], "a", [Spec("a", "a", ("b", "b"))])
@example("a", [Spec("a", "", ()), Spec("b", "", ())], "a", [Spec("b", "", ()), Spec("a", "", ())])
@example("", [Spec("a", "", ())], "a", [])
def test_policies_have_one_fingerprint_only_if_they_are_one(
    policy: str, specs: list[Spec], other: str, others: list[Spec]
) -> None:
    same = (policy, specs) == (other, others)

    assert (fingerprint(policy, specs) == fingerprint(other, others)) == same
    assert fingerprint(policy, specs) == fingerprint(policy, list(specs))


@given(WORD, SPECS.filter(bool), st.data())
def test_any_single_change_gives_another_fingerprint(
    policy: str, specs: list[Spec], data: st.DataObject
) -> None:
    before = fingerprint(policy, specs)
    place = data.draw(st.integers(0, len(specs) - 1))
    spec = specs[place]
    changed = [
        spec._replace(name=spec.name + "!"),
        spec._replace(source=spec.source + " "),
        spec._replace(codes=(*spec.codes, "MORE")),
        spec._replace(codes=("FIRST", *spec.codes)),
    ]

    for other in changed:
        assert fingerprint(policy, [*specs[:place], other, *specs[place + 1 :]]) != before
    assert fingerprint(policy, [*specs[:place], *specs[place + 1 :]]) != before
    assert fingerprint(policy + "x", specs) != before
    assert fingerprint(policy, [*specs, Spec("last", "", ())]) != before
    if len(specs) > 1:
        assert fingerprint(policy, [*specs[1:], specs[0]]) != before
