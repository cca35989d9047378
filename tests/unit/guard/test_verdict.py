"""Verdicts: one yes, and a no that carries its reasons.

Without this, a pickled permission could stop being a permission, and a denial could lose the
facts that explain it.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any, cast

import pytest

from batpak.guard.verdict import PERMIT, Denial, Denied, Permit

DENIAL = Denial("credit_ok", "CREDIT_LIMIT", "over the limit")


def test_there_is_one_permission_even_after_copying_and_pickling() -> None:
    assert copy.deepcopy(PERMIT) is PERMIT
    assert pickle.loads(pickle.dumps(PERMIT)) is PERMIT  # noqa: S301  our own bytes
    with pytest.raises(TypeError):
        cast("Any", Permit)()


def test_a_denial_is_a_value_and_not_falsy() -> None:
    assert Denial("credit_ok", "CREDIT_LIMIT", "over the limit") == DENIAL
    assert bool(DENIAL) is True
    with pytest.raises(AttributeError):
        cast("Any", DENIAL).code = "OTHER"


def test_context_adds_facts_to_a_copy_and_the_later_of_two_stays() -> None:
    more = DENIAL.with_context(limit=10, asked=12).with_context(asked=13)

    assert more.context == {"limit": 10, "asked": 13}
    assert (more.gate, more.code, more.message) == (DENIAL.gate, DENIAL.code, DENIAL.message)
    assert DENIAL.context == {}


def test_raising_a_denial_keeps_it_and_its_cause() -> None:
    cause = ZeroDivisionError("division by zero")

    with pytest.raises(Denied, match=r"credit_ok: over the limit \[CREDIT_LIMIT\]") as raised:
        Denial("credit_ok", "CREDIT_LIMIT", "over the limit", defect=cause).raise_()

    assert raised.value.denial.code == "CREDIT_LIMIT"
    assert raised.value.__cause__ is cause
