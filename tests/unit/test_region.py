"""Regions: one predicate, one identity, however the region was spelled.

Without this, a query and a live reader could disagree about which events they cover, and
`order` could match `orders`.
"""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument, InvalidCoordinate
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.region import KindFilter, Region
from tests.unit.parcels import ParcelPacked, ParcelSent

PACKED, SENT = ParcelPacked.KIND, ParcelSent.KIND
SYSTEM, EFFECT = EventKind.from_wire(0x0008), EventKind.from_wire(0xD001)


def in_(
    region: Region, entity: str, scope: str = "s", kind: EventKind = PACKED, version: int = 1
) -> bool:
    return region.matches(Coordinate(entity, scope), kind, version)


@pytest.mark.parametrize(
    ("prefix", "entity", "expected"),
    [
        ("order", "order", True),
        ("order", "order:1", True),
        ("order", "order:1:line", True),
        ("order", "orders", False),
        ("order", "orders:1", False),
        ("order", "Order:1", False),
        ("order:1", "order:1", True),
        ("order:1", "order:1:line", True),
        ("order:1", "order:12", False),
        ("order:1", "order", False),
        ("order:", "order:1", True),
        ("order:::", "order", True),
        ("*", "order:1", False),
        ("*", "*:1", True),
    ],
)
def test_an_entity_is_a_namespace_and_not_a_text_prefix(
    prefix: str, entity: str, expected: bool
) -> None:
    assert in_(Region(entity=prefix), entity) is expected


def test_a_scope_is_exact() -> None:
    region = Region(scope="shop")

    assert in_(region, "order:1", scope="shop")
    assert not in_(region, "order:1", scope="shop:2")


def test_versions_count_both_ends() -> None:
    region = Region(versions=(2, 4))

    found = [version for version in range(1, 7) if in_(region, "order:1", version=version)]

    assert found == [2, 3, 4]


def test_the_whole_log_has_everything_in_it() -> None:
    everything = itertools.product(["a", "batpak:store"], [PACKED, SYSTEM, EFFECT], [1, 10**9])

    assert Region.all() == Region()
    assert all(
        in_(Region.all(), entity, "s", kind, version) for entity, kind, version in everything
    )


@pytest.mark.parametrize(
    ("kinds", "matching"),
    [
        (None, {PACKED, SENT, SYSTEM, EFFECT}),
        (KindFilter.any(), {PACKED, SENT, SYSTEM, EFFECT}),
        (KindFilter.user(), {PACKED, SENT}),
        (KindFilter.category(0xE), {PACKED, SENT}),
        (KindFilter.category(0x0), {SYSTEM}),
        (KindFilter.exact(PACKED), {PACKED}),
        (PACKED, {PACKED}),
        (ParcelPacked, {PACKED}),
        ([PACKED, ParcelSent], {PACKED, SENT}),
        (iter({SYSTEM}), {SYSTEM}),
    ],
)
def test_kinds_can_be_said_in_many_ways(kinds: Any, matching: set[EventKind]) -> None:  # noqa: ANN401
    region = Region(kinds=kinds)

    found = {kind for kind in (PACKED, SENT, SYSTEM, EFFECT) if in_(region, "a", kind=kind)}

    assert found == matching


SAME = [
    [Region(), Region.all(), Region(kinds=KindFilter.any())],
    [Region(entity="order"), Region(entity="order:"), Region(entity="order::")],
    [
        Region(kinds=PACKED),
        Region(kinds=ParcelPacked),
        Region(kinds=[PACKED, ParcelPacked]),
        Region(kinds=KindFilter.exact(PACKED)),
        Region(kinds=KindFilter.one_of([ParcelPacked])),
    ],
    [Region(kinds=[PACKED, SENT]), Region(kinds=(ParcelSent, ParcelPacked))],
    [Region(entity="a", scope="b")],
    [Region(entity="b", scope="a")],
    [Region(entity="a")],
    [Region(scope="a")],
    [Region(versions=(1, 2))],
    [Region(scope="any")],
    [Region(kinds=KindFilter.user())],
    [Region(kinds=KindFilter.category(1))],
]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(range(len(SAME)), repeat=2)))
def test_regions_are_equal_iff_they_mean_the_same(one: int, other: int) -> None:
    for a, b in itertools.product(SAME[one], SAME[other]):
        assert (a == b) is (one == other)
        assert (a.identity == b.identity) is (one == other)
        assert one != other or hash(a) == hash(b)


names = st.text(st.sampled_from("ab:- 01"), max_size=6).map(lambda text: f"x{text}")
parts = st.none() | names
versions = st.none() | st.tuples(st.integers(1, 3), st.integers(3, 5))


@given(parts, parts, versions, parts, parts, versions)
def test_the_identity_is_framed_so_that_no_two_regions_share_one(
    entity: str | None,
    scope: str | None,
    span: tuple[int, int] | None,
    entity_2: str | None,
    scope_2: str | None,
    span_2: tuple[int, int] | None,
) -> None:
    one = Region(entity=entity, scope=scope, versions=span)
    two = Region(entity=entity_2, scope=scope_2, versions=span_2)

    same = (one.entity, one.scope, one.versions) == (two.entity, two.scope, two.versions)

    assert (one.identity == two.identity) is same
    assert (one == two) is same


@pytest.mark.parametrize(
    "given_",
    [
        {"entity": ""},
        {"entity": ":::"},
        {"versions": (0, 1)},
        {"versions": (3, 2)},
        {"kinds": []},
        {"kinds": 5},
        {"kinds": [0x2001]},
        {"kinds": "order"},
        {"kinds": EventPayload},
        {"kinds": str},
    ],
    ids=repr,
)
def test_a_region_that_means_nothing_is_refused(given_: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Region(**given_)


@pytest.mark.parametrize("given_", [{"entity": "a/b"}, {"scope": ""}, {"scope": "a|b"}], ids=repr)
def test_a_name_that_no_event_can_have_is_refused(given_: dict[str, Any]) -> None:
    with pytest.raises(InvalidCoordinate):
        Region(**given_)


@pytest.mark.parametrize("category", [-1, 16])
def test_a_category_has_four_bits(category: int) -> None:
    with pytest.raises(InvalidArgument, match=r"not in 0x0\.\.0xF"):
        KindFilter.category(category)


def test_a_region_does_not_change() -> None:
    region = cast("Any", Region(entity="order"))

    for name in ("entity", "scope", "kinds", "versions", "other"):
        with pytest.raises(AttributeError):
            setattr(region, name, "x")
