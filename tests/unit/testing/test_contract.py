"""Proves that the contract is one: what it is there to find, it finds, and it says what broke.

Without these tests a generated test could pass on code that loses what it stores.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar, cast
from unittest import SkipTest

import pytest
from msgspec.structs import replace

from batpak import PERMIT, Denial, EventKind, EventPayload, GateSet, Verdict, override, wire
from batpak.abi import Problems, Rule, canonical_for, check_for
from batpak.errors import DecodeFailed
from batpak.machine import Machine
from batpak.testing import contract
from batpak.typestate import Edge, Handle, StateData


class Sent(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xF, 0xC01)
    VERSION: ClassVar[int] = 1
    n: int


class Rounded(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xF, 0xC02)
    VERSION: ClassVar[int] = 1
    n: int


@check_for(Sent)
def check_sent(value: Sent, problems: Problems) -> None:
    if value.n < 0:
        problems.add("$.n", value.n, "a number from 0")


@check_for(Rounded)
def check_rounded(_: Rounded, __: Problems) -> None:
    """Nothing to check."""


@canonical_for(Rounded)
def canonical_rounded(value: Rounded) -> Rounded:
    return Rounded(n=value.n // 10 * 10)


def test_what_comes_back_as_it_was_survives() -> None:
    contract.survives(Sent(n=1))
    contract.survives(Rounded(n=20))


def test_what_an_append_refuses_does_not_survive() -> None:
    with pytest.raises(AssertionError, match=r"an append refuses Sent\(n=-1\)"):
        contract.survives(Sent(n=-1))


def test_what_comes_back_as_another_value_does_not_survive() -> None:
    with pytest.raises(AssertionError, match=r"Rounded\(n=21\) is read back as Rounded\(n=20\)"):
        contract.survives(Rounded(n=21))


def test_what_is_stored_in_two_spellings_does_not_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    encode, turns = wire.encode, iter([b"\x81\xa1n\x01", b"\x81\xa1n\xd0\x01"])

    def fickle(event: EventPayload) -> wire.Encoded:
        stored = encode(event)
        return replace(stored, data=next(turns))

    monkeypatch.setattr(wire, "encode", fickle)

    with pytest.raises(AssertionError, match=r"is stored as .* then as"):
        contract.survives(Sent(n=1))


class Draft(StateData, frozen=True, kw_only=True, tag="Draft"):
    n: int


class DraftThing(Handle[Draft]):
    STATE: ClassVar[str] = "Draft"


def test_the_table_of_a_machine_is_read_as_names() -> None:
    table = SimpleNamespace(EDGES={(Draft, Sent): Edge(DraftThing)})

    found = contract.edges(cast("type[Machine[Any]]", table))

    assert found == {("Draft", "Sent", "Draft")}


class Base(ABC):
    @abstractmethod
    def step(self) -> int: ...


class Mine(Base):
    @override
    def step(self) -> int:
        return 1


class Half(Base):
    """Not whole."""


class Needy(Mine):
    def __init__(self, n: int) -> None:
        self.n = n


def module(monkeypatch: pytest.MonkeyPatch, *classes: type) -> str:
    """A module of a user with some classes, and one that it only imports."""
    made = ModuleType("users_hooks")
    vars(made).update({cls.__name__: cls for cls in classes}, Base=Base)
    for cls in classes:
        monkeypatch.setattr(cls, "__module__", made.__name__)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made.__name__


def test_what_a_user_has_written_is_found_in_the_module_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = contract.implemented(module(monkeypatch, Mine, Half), Base)

    assert type(found) is Mine


def test_hooks_that_are_missing_or_not_clear_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="users_hooks has 0 whole subclasses of Base"):
        contract.implemented(module(monkeypatch, Half), Base)
    with pytest.raises(AssertionError, match="users_hooks has 2 whole subclasses of Base"):
        contract.implemented(module(monkeypatch, Mine, Needy), Base)


def test_hooks_that_need_something_are_left_to_the_tests_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SkipTest, match=r"users_hooks: Needy: missing a required argument: 'n'"):
        contract.implemented(module(monkeypatch, Needy), Base)


def test_a_table_of_kinds_is_held_against_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "import_module", lambda _: SimpleNamespace(Sent=Sent))
    row = ("gen.a.events", "Sent", 1)

    assert contract.registered({0xFC01: row, 1: ("gen.b.events", "X", 1)}, "gen.a") == {"Sent"}
    with pytest.raises(AssertionError, match="kind 0xfc02 is not Sent version 1"):
        contract.registered({0xFC02: row}, "gen.a")
    with pytest.raises(AssertionError, match="kind 0xfc01 is not Sent version 2"):
        contract.registered({0xFC01: ("gen.a.events", "Sent", 2)}, "gen.a")


def test_frozen_payloads_stand_beside_the_test(tmp_path: Path) -> None:
    test = str(tmp_path / "test_shop_orders.py")
    assert contract.frozen(test) == ()
    (tmp_path / "shop_orders.frozen").write_text("# words\n\n0xfc01 1.2 81a16e05\n")

    (old,) = contract.frozen(test)

    assert (old.label, old.data) == ("0xfc01-1.2", b"\x81\xa1n\x05")
    contract.still_reads(old, {0xFC01: ("gen.a.events", "Sent", 1)})
    contract.still_reads(old, {})
    with pytest.raises(AssertionError, match=r"0xfc01-1\.2 is read as Sent"):
        contract.still_reads(old, {0xFC01: ("gen.a.events", "Sent", 2)})


@pytest.mark.parametrize("line", ["0xfc01 1 80", "fc01 1.1 80", "0xfc01 1.1 8", "0xfc01 1.1 80 x"])
def test_a_line_that_is_none_of_ours_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.frozen").write_text(f"# words\n{line}\n")

    with pytest.raises(ValueError, match=r"a\.frozen:2: not `kind version\.revision hex`"):
        contract.frozen(str(tmp_path / "test_a.py"))


def test_bytes_that_do_not_decode_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.frozen").write_text("0xfc01 1.1 80\n")
    (old,) = contract.frozen(str(tmp_path / "test_a.py"))

    with pytest.raises(DecodeFailed):
        contract.still_reads(old, {0xFC01: ("gen.a.events", "Sent", 1)})


def few(_: object, __: object, event: Sent) -> Verdict:
    return PERMIT if event.n < 3 else Denial("few", "MANY", "that is many")


def broken(_: object, __: object, event: Sent) -> Verdict:
    raise ZeroDivisionError(event.n)


class Sendings(GateSet[None, None, Sent]):
    POLICY: ClassVar[str] = "contract.Sendings"

    def __init__(self) -> None:
        rules = [
            Rule("broken", broken, source="broken", codes=("NO",)),
            Rule("few", few, source="event.n < 3", codes=("MANY",)),
        ]
        super().__init__(*rules)


def test_a_gate_that_answers_as_its_example_says_is_left_alone() -> None:
    contract.answers(Sendings(), "few", "permit", None, None, Sent(n=2))
    contract.answers(Sendings(), "few", "MANY", None, None, Sent(n=3))


@pytest.mark.parametrize(
    ("gate", "expected", "said"),
    [
        ("few", "permit", "few: expected permit, Sendings answers MANY to Sent"),
        ("few", "MUCH", "few: expected MUCH, Sendings answers MANY"),
        ("broken", "NO", "broken: expected NO, Sendings answers GATE_DEFECT"),
        ("none", "permit", "Sendings has no gate 'none'"),
    ],
)
def test_a_gate_that_answers_something_else_is_found(gate: str, expected: str, said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        contract.answers(Sendings(), gate, expected, None, None, Sent(n=3))

    assert said in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError) is (gate == "broken")
