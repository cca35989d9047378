"""Ids and keys: unique, ordered by time, and framed.

Without this, two different operations could share an idempotency key, and the second would be
answered with the receipt of the first.
"""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from batpak import clock
from batpak.ids import EventId, new_id, operation_key

PARTS = st.lists(st.binary(max_size=4) | st.text(max_size=4) | st.integers(-20, 20), max_size=4)


def test_ids_are_version_7_and_never_twice_the_same() -> None:
    ids = [new_id(EventId) for _ in range(2000)]

    assert len(set(ids)) == len(ids)
    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}


def test_ids_begin_with_the_millisecond_they_were_made_in() -> None:
    before = clock.wall_ns() // 1_000_000
    ids = [new_id(EventId) for _ in range(50)]
    after = clock.wall_ns() // 1_000_000

    stamps = [one.int >> 80 for one in ids]

    assert all(before <= stamp <= after for stamp in stamps)
    assert all(a <= b for a, b in pairwise(stamps))


def test_an_id_comes_as_the_type_it_was_asked_for() -> None:
    assert type(new_id(EventId)) is UUID
    assert isinstance(new_id(str), str)


@given(st.text(max_size=4), PARTS, st.text(max_size=4), PARTS)
def test_keys_are_equal_iff_domain_and_parts_are(
    domain: str, parts: list[bytes | str | int], other: str, others: list[bytes | str | int]
) -> None:
    typed = [(type(part), part) for part in parts]
    same = domain == other and typed == [(type(part), part) for part in others]

    equal = operation_key(domain, *parts) == operation_key(other, *others)

    assert equal is same


def test_lengths_and_types_are_part_of_a_key() -> None:
    keys = {
        operation_key("a", "bc"),
        operation_key("ab", "c"),
        operation_key("a", "b", "c"),
        operation_key("a", b"bc"),
        operation_key("a", "1"),
        operation_key("a", 1),
        operation_key("a", b"1"),
        operation_key("a"),
        operation_key("a", ""),
    }

    assert len(keys) == 9
    assert {len(key) for key in keys} == {32}
