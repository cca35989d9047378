"""What generated code leans on: literals, printed values, and the contract of versions.

Without this, a denial could print a decimal with an exponent, and code generated for another
batpak would fail somewhere in the middle instead of at import.
"""

from __future__ import annotations

import datetime as dt
import decimal
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak import abi
from batpak.errors import RegistryError
from tests.unit.parcels import Carrier

BERLIN = dt.timezone(dt.timedelta(hours=2))


def test_another_version_is_refused_with_the_command_that_helps() -> None:
    abi.require_abi(1, "shop.gen.orders.events")

    with pytest.raises(RegistryError, match=r"shop\.gen\..* for version 2 .* run: batpak gen"):
        abi.require_abi(2, "shop.gen.orders.events")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("as it is", "as it is"),
        (12, "12"),
        (1.5, "1.5"),
        (True, "True"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-9"), "0.000000001"),
        (Decimal("12.50"), "12.50"),
        (Carrier.DHL, "dhl"),
        (UUID(int=255), "000000000000000000000000000000ff"),
        (dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC), "2024-05-01T12:00:00Z"),
        (dt.datetime(2024, 5, 1, 12, 0, 0, 5, tzinfo=BERLIN), "2024-05-01T10:00:00.000005Z"),
        (dt.date(2024, 5, 1), "2024-05-01"),
        (dt.timedelta(days=1, hours=2), "P1DT7200S"),
        (dt.timedelta(0), "P0D"),
    ],
    ids=repr,
)
def test_a_value_is_written_the_way_people_read_it(value: object, written: str) -> None:
    assert abi.text(value) == written


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18))
def test_a_decimal_is_written_in_full_under_any_context(value: Decimal) -> None:
    with decimal.localcontext(decimal.Context(prec=1, traps=[])):
        written = abi.text(value)

    assert "E" not in written
    assert Decimal(written) == value


@pytest.mark.parametrize(
    ("iso", "expected"),
    [
        ("PT24H", dt.timedelta(days=1)),
        ("P1DT12H30M", dt.timedelta(days=1, hours=12, minutes=30)),
        ("PT1.000001S", dt.timedelta(seconds=1, microseconds=1)),
        ("-PT1S", dt.timedelta(seconds=-1)),
        ("P999999999D", dt.timedelta(days=999_999_999)),
    ],
)
def test_a_duration_literal(iso: str, expected: dt.timedelta) -> None:
    assert abi.duration(iso) == expected


@pytest.mark.parametrize(
    "iso", ["2024-05-01T12:00:00Z", "2024-05-01T14:00:00+02:00", "2024-05-01 12:00:00.0Z"]
)
def test_a_timestamp_literal_is_in_utc(iso: str) -> None:
    value = abi.timestamp(iso)

    assert value == dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    assert value.tzinfo is dt.UTC


def test_a_decimal_literal_is_exact_under_any_context() -> None:
    with decimal.localcontext(decimal.Context(prec=1, traps=[])):
        value = abi.decimal("12345678901234567890.123456789")

    assert str(value) == "12345678901234567890.123456789"


def test_an_exact_function_does_not_depend_on_the_context_of_the_thread() -> None:
    @abi.exact
    def added(left: Decimal, right: Decimal) -> Decimal:
        """Add."""
        return left + right

    with decimal.localcontext(decimal.Context(prec=5, traps=[])) as mine:
        found = added(Decimal("123456.78"), right=Decimal("0.000001"))

        assert found == Decimal("123456.780001")
        assert decimal.getcontext().prec == 5
        assert not mine.flags[decimal.Inexact]
    assert (added.__name__, added.__doc__) == ("added", "Add.")


def test_an_exact_function_that_would_round_raises_and_the_context_is_restored() -> None:
    @abi.exact
    def added(left: Decimal, right: Decimal) -> Decimal:
        return left + right

    before = decimal.getcontext().prec

    with pytest.raises(decimal.Inexact):
        added(Decimal("1E60"), Decimal("1E-60"))
    assert decimal.getcontext().prec == before
