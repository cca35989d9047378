"""Append-time predicates: exact types, exact bounds, and one spelling per value.

Without this, a bool could pass for a quantity, a naive datetime for an instant, and a thread with
a small decimal context could store other digits than its neighbour.
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak import checks, codec
from batpak.override import override
from batpak.payload import WireEnum


class Text(str):
    __slots__ = ()


class Colour(WireEnum):
    RED = "red"


class Other(Enum):
    RED = "red"


class Silent(dt.tzinfo):
    """A time zone that somebody else wrote."""

    @override
    def utcoffset(self, _: dt.datetime | None, /) -> dt.timedelta | None:
        return None

    @override
    def dst(self, _: dt.datetime | None, /) -> dt.timedelta | None:
        return None

    @override
    def tzname(self, _: dt.datetime | None, /) -> str:
        return "nowhere"


class Broken(Silent):
    @override
    def utcoffset(self, _: dt.datetime | None, /) -> dt.timedelta | None:
        raise RuntimeError("no idea")


FAR_EAST = dt.timezone(dt.timedelta(hours=14))

ACCEPTED: list[tuple[Callable[..., object], tuple[object, ...]]] = [
    (checks.is_bool, (True,)),
    (checks.is_int, (1, 1, 3)),
    (checks.is_int, (3, 1, 3)),
    (checks.is_int, (2**64 - 1, 0, 2**64 - 1)),
    (checks.is_float, (0.1,)),
    (checks.is_float, (2**53,)),
    (checks.is_float, (2**60,)),
    (checks.is_text, ("",)),
    (checks.is_text, ("añ€\U0001f600", 4, 4)),
    (checks.is_bytes, (b"ab", 2, 2)),
    (checks.is_decimal, (Decimal("1.5"), 3, 2)),
    (checks.is_decimal, (Decimal("1.500"), 3, 2)),
    (checks.is_decimal, (Decimal("-9.99"), 3, 2)),
    (checks.is_decimal, (Decimal("1E+2"), 5, 2)),
    (checks.is_decimal, (Decimal("0.99"), 2, 2)),
    (checks.is_decimal, (Decimal("-0"), 1, 0)),
    (checks.is_decimal, (Decimal("0E+999999999999"), 1, 0)),
    (checks.is_decimal, (Decimal("9" * 38), 38, 0)),
    (checks.is_uuid, (UUID(int=0),)),
    (checks.is_timestamp, (dt.datetime(2024, 1, 1, tzinfo=dt.UTC),)),
    (checks.is_timestamp, (dt.datetime(2024, 1, 1, tzinfo=FAR_EAST),)),
    (checks.is_date, (dt.date(2024, 1, 1),)),
    (checks.is_duration, (dt.timedelta.max,)),
    (checks.is_member, (Colour.RED, Colour)),
    (checks.is_list, ((1, 2), 2, 2)),
    (checks.is_set, (frozenset({1}), 1, 1)),
    (checks.is_map, ({"a": 1}, 1, 1)),
    (checks.is_exactly, (Text("a"), Text)),
]
REFUSED: list[tuple[Callable[..., object], tuple[object, ...]]] = [
    (checks.is_bool, (1,)),
    (checks.is_int, (True, 0, 1)),
    (checks.is_int, (0, 1, 3)),
    (checks.is_int, (4, 1, 3)),
    (checks.is_int, (1.0, 0, 3)),
    (checks.is_float, (float("nan"),)),
    (checks.is_float, (float("inf"),)),
    (checks.is_float, (True,)),
    (checks.is_float, (2**53 + 1,)),
    (checks.is_float, (10**400,)),
    (checks.is_float, (Decimal(1),)),
    (checks.is_text, (Text("a"),)),
    (checks.is_text, (b"a",)),
    (checks.is_text, ("\ud800",)),
    (checks.is_text, ("a\udfffb",)),
    (checks.is_text, ("ab", 3)),
    (checks.is_text, ("ab", 0, 1)),
    (checks.is_bytes, (bytearray(b"a"),)),
    (checks.is_bytes, (b"ab", 0, 1)),
    (checks.is_decimal, (1, 3, 2)),
    (checks.is_decimal, (1.5, 3, 2)),
    (checks.is_decimal, (Decimal("1.555"), 9, 2)),
    (checks.is_decimal, (Decimal("10.00"), 3, 2)),
    (checks.is_decimal, (Decimal("NaN"), 3, 2)),
    (checks.is_decimal, (Decimal("sNaN"), 3, 2)),
    (checks.is_decimal, (Decimal("-Infinity"), 3, 2)),
    (checks.is_decimal, (Decimal("1E+999999999999"), 38, 0)),
    (checks.is_decimal, (Decimal("1E-999999999999"), 38, 18)),
    (checks.is_decimal, (Decimal("1" + "0" * 38), 38, 0)),
    (checks.is_uuid, ("00000000-0000-0000-0000-000000000000",)),
    (checks.is_timestamp, (dt.datetime(2024, 1, 1),)),  # noqa: DTZ001  naive on purpose
    (checks.is_timestamp, (dt.date(2024, 1, 1),)),
    (checks.is_timestamp, (dt.datetime(1, 1, 1, tzinfo=FAR_EAST),)),
    (checks.is_timestamp, (dt.datetime(2024, 1, 1, tzinfo=Broken()),)),
    (checks.is_timestamp, (dt.datetime(2024, 1, 1, tzinfo=Silent()),)),
    (checks.is_date, (dt.datetime(2024, 1, 1, tzinfo=dt.UTC),)),
    (checks.is_duration, (60,)),
    (checks.is_member, ("red", Colour)),
    (checks.is_member, (Other.RED, Colour)),
    (checks.is_list, ([1, 2],)),
    (checks.is_list, ((1, 2), 0, 1)),
    (checks.is_set, ({1},)),
    (checks.is_set, (frozenset(), 1)),
    (checks.is_map, ({1: 1},)),
    (checks.is_map, ({"\ud800": 1},)),
    (checks.is_map, ({"a": 1}, 2)),
    (checks.is_exactly, ("a", Text)),
    (checks.is_exactly, (Text("a"), str)),
]


def label(value: object) -> str:
    return ascii(value)[:40] if isinstance(value, tuple) else getattr(value, "__name__", "")


@pytest.mark.parametrize(("predicate", "given_"), ACCEPTED, ids=label)
def test_what_the_type_says_is_accepted(
    predicate: Callable[..., object], given_: tuple[object, ...]
) -> None:
    assert predicate(*given_) is True


@pytest.mark.parametrize(("predicate", "given_"), REFUSED, ids=label)
def test_anything_else_is_refused_without_an_exception(
    predicate: Callable[..., object], given_: tuple[object, ...]
) -> None:
    assert predicate(*given_) is False


decimals = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=45),
    st.integers(-45, 45),
)
scales = st.integers(0, 18)


@given(decimals, st.integers(1, 38), scales)
def test_a_decimal_fits_iff_arithmetic_on_fractions_says_so(
    value: Decimal, precision: int, scale: int
) -> None:
    scaled = Fraction(value) * 10**scale

    fits = checks.is_decimal(value, precision, scale)

    assert fits == (scaled.denominator == 1 and abs(scaled) < 10**precision)


@given(decimals, scales)
def test_a_canonical_decimal_is_the_same_number_in_its_one_spelling(
    value: Decimal, scale: int
) -> None:
    if not checks.is_decimal(value, 38, scale):
        return

    fresh = checks.canonical_decimal(value, scale)

    assert fresh == value
    assert fresh.as_tuple().exponent == -scale
    assert fresh or not fresh.is_signed()
    assert checks.canonical_decimal(fresh, scale) is fresh


@given(decimals, scales)
def test_the_decimal_context_of_a_thread_changes_nothing(value: Decimal, scale: int) -> None:
    fits = checks.is_decimal(value, 30, scale)
    fresh = checks.canonical_decimal(value, scale) if fits else None

    with decimal.localcontext(decimal.Context(prec=1, Emax=1, Emin=-1, traps=[])):
        fits_there = checks.is_decimal(value, 30, scale)
        fresh_there = checks.canonical_decimal(value, scale) if fits else None

    assert fits_there == fits
    assert str(fresh_there) == str(fresh)


@given(st.integers() | st.floats())
def test_an_accepted_float_is_stored_as_a_float_of_the_same_value(value: float) -> None:
    if not checks.is_float(value):
        return

    fresh = checks.canonical_float(value)

    assert type(fresh) is float
    assert fresh == value


def test_containers_that_are_canonical_come_back_as_they_are() -> None:
    canonical = [Decimal("1.00"), Decimal("2.00")]

    def to_cents(value: Decimal) -> Decimal:
        return checks.canonical_decimal(value, 2)

    items, mapped, unordered = tuple(canonical), {"a": canonical[0]}, frozenset(canonical)

    assert checks.canonical_each(to_cents, items) is items
    assert checks.canonical_items(to_cents, mapped) is mapped
    assert checks.canonical_set(to_cents, unordered) is unordered


def test_containers_with_another_spelling_inside_come_back_as_equal_copies() -> None:
    loose = Decimal(1)

    def to_cents(value: Decimal) -> Decimal:
        return checks.canonical_decimal(value, 2)

    each = checks.canonical_each(to_cents, (loose,))
    items = checks.canonical_items(to_cents, {"a": loose})
    unordered = checks.canonical_set(to_cents, frozenset({loose}))

    assert each == (loose,)
    assert items == {"a": loose}
    assert unordered == frozenset({loose})
    spelled = [str(value) for value in (*each, *items.values(), *unordered)]
    assert spelled == ["1.00", "1.00", "1.00"]


class Unprintable:
    @override
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    ["x" * 1000, 10**5000, Unprintable(), "\ud800\x1b[31m"],
    ids=["long", "huge", "unprintable", "escapes"],
)
def test_a_problem_shows_at_most_64_ascii_characters_of_any_value(value: object) -> None:
    problems = checks.Problems()

    problems.add("$.lines[0].sku", value, "text")

    (said,) = problems
    before, _, shown = said.partition(", got ")
    assert before == "$.lines[0].sku: expected text"
    assert 0 < len(shown) <= 64
    assert shown.rstrip("…").isascii()
    assert shown.isprintable()


def test_problems_are_falsy_until_there_is_one() -> None:
    problems = checks.Problems()
    before = bool(problems)

    problems.add("$", 1, "text")

    assert (before, bool(problems)) == (False, True)


@given(st.integers(-(10**18), 10**18), st.integers(0, 18))
def test_a_stored_decimal_has_exactly_its_scale_and_no_exponent(units: int, scale: int) -> None:
    value = Decimal(units).scaleb(-scale)
    digits = str(abs(units)).rjust(scale + 1, "0")
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    expected = ("-" if units < 0 else "") + whole + ("." + fraction if scale else "")

    stored = codec.decoder(str).decode(codec.encode(checks.canonical_decimal(value, scale)))

    assert expected == stored
