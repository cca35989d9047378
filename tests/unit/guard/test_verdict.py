"""Verdicts: one yes, and a no that carries its reasons.

Without this, a pickled permission could stop being a permission, and a denial could lose the
facts that explain it.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any, cast

import pytest

from batpak.guard.proposal import Proposal
from batpak.guard.verdict import PERMIT, Denial, Denied, Permit
from tests.unit.guard.grants import BUDGET, GrantPolicy, granted

DENIAL = Denial("credit_ok", "CREDIT_LIMIT", "over the limit")


def test_there_is_one_permission_even_after_copying_and_pickling() -> None:
    assert copy.deepcopy(PERMIT) is PERMIT
    assert pickle.loads(pickle.dumps(PERMIT)) is PERMIT  # noqa: S301  our own bytes
    with pytest.raises(TypeError):
        cast("Any", Permit)()


def test_a_denial_is_a_value_and_neither_true_nor_false() -> None:
    assert Denial("credit_ok", "CREDIT_LIMIT", "over the limit") == DENIAL
    with pytest.raises(TypeError, match="isinstance"):
        bool(DENIAL)
    with pytest.raises(AttributeError):
        cast("Any", DENIAL).code = "OTHER"


def test_context_adds_facts_to_a_copy_and_the_later_of_two_stays() -> None:
    more = DENIAL.with_context(limit=10, asked=12).with_context(asked=13)

    assert more.context == {"limit": 10, "asked": 13}
    assert (more.gate, more.code, more.message) == (DENIAL.gate, DENIAL.code, DENIAL.message)
    assert DENIAL.context == {}


def test_a_denial_is_shown_in_one_line_or_with_its_whole_trace() -> None:
    event = granted(amount=101, labels={"secret": "word"})
    denial = GrantPolicy().evaluate(BUDGET, Proposal(event))
    assert isinstance(denial, Denial)

    shown = denial.with_context(limit=100).explain()

    assert str(denial) == "affordable: 101 of 100 [TOO_MUCH]"
    assert shown.splitlines() == [
        "affordable: 101 of 100 [TOO_MUCH]",
        f"policy test.grants.GrantPolicy {GrantPolicy().fingerprint.hex()[:16]}",
        "  permitted positive",
        "  denied    affordable",
        "  skipped   welcome",
        "  limit: 100",
    ]
    assert DENIAL.explain() == str(DENIAL) == "credit_ok: over the limit [CREDIT_LIMIT]"


def test_a_denial_does_not_show_what_was_judged() -> None:
    denial = GrantPolicy().evaluate(BUDGET, Proposal(granted(101, labels={"secret": "word"})))
    assert isinstance(denial, Denial)
    assert denial.event is not None

    for shown in (repr(denial), str(denial), denial.explain(), str(Denied(denial))):
        assert "secret" not in shown
    assert repr(denial) == (
        "Denial(gate='affordable', code='TOO_MUCH', message='101 of 100',"
        " policy='test.grants.GrantPolicy')"
    )


def test_a_denial_pickles_with_its_trace() -> None:
    denial = GrantPolicy().evaluate(BUDGET, Proposal(granted(amount=101)))

    again = pickle.loads(pickle.dumps(denial))  # noqa: S301  our own bytes

    assert again == denial
    assert again.explain() == cast("Denial", denial).explain()


def test_raising_a_denial_keeps_it_and_its_cause() -> None:
    cause = ZeroDivisionError("division by zero")

    with pytest.raises(Denied, match=r"credit_ok: over the limit \[CREDIT_LIMIT\]") as raised:
        Denial("credit_ok", "CREDIT_LIMIT", "over the limit", defect=cause).raise_()

    assert raised.value.denial.code == "CREDIT_LIMIT"
    assert raised.value.__cause__ is cause
