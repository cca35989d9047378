"""The index in columns: what a half published row leaves, and which rows readers see.

Would slip through without it: a row that is there twice after an interrupt, a row that is seen
before it is committed, an id that is found by half of it.
"""

from __future__ import annotations

import pytest

from batpak.index import query
from batpak.index.row import Row
from batpak.index.table import Table
from batpak.kind import EventKind
from batpak.region import KindFilter, Region

KIND = EventKind.custom(0xE, 0x701)


def row(sequence: int, entity: str = "a", scope: str = "s", kind: int = KIND) -> Row:
    key = f"k{sequence}".encode()
    return Row(sequence, 100 * sequence, sequence << 4, kind, entity, scope, key, 1, b"h" * 32)


def columns(table: Table) -> list[list[int]]:
    named = [*table.entity_rows.values(), *table.scope_rows.values()]
    return [
        *map(list, (table.offsets, table.ids, table.kinds, table.entities, table.scopes)),
        *(list(one.rows) for one in named if one.rows),
        *(list(rows) for rows in table.kind_rows.values() if rows),
    ]


def table_of(*rows: Row) -> Table:
    table = Table()
    for one in rows:
        table.publish(one)
    table.bound = len(rows)
    return table


def test_a_row_taken_back_and_published_again_is_there_once() -> None:
    table = table_of(row(0), row(1, entity="b"))
    wanted = columns(table_of(row(0), row(1, entity="b"), row(2, scope="t")))

    table.publish(row(2, scope="t"))
    table.retract(row(2, scope="t"))
    table.publish(row(2, scope="t"))

    assert columns(table) == wanted


def test_taking_back_a_row_that_was_never_added_changes_nothing() -> None:
    table = table_of(row(0))
    before = columns(table)

    table.retract(row(1))

    assert columns(table) == before


def test_rows_at_the_bound_are_not_there_for_readers() -> None:
    table = table_of(row(0))
    table.publish(row(1))

    assert table.version("a") == 1
    assert table.with_id(1 << 4) is None
    table.bound = 2
    assert table.version("a") == 2
    assert table.with_id(1 << 4) == 1
    assert table.with_id(7) is None


@pytest.mark.parametrize(
    ("region", "wanted"),
    [
        (Region(), [0, 1, 2, 3, 4]),
        (Region(entity="a"), [0, 1, 3]),
        (Region(entity="a:1"), [1]),
        (Region(scope="t"), [1, 3]),
        (Region(scope="unknown"), []),
        (Region(entity="a", scope="t"), [1, 3]),
        (Region(kinds=EventKind.custom(0xE, 0x702)), [4]),
        (Region(kinds=KindFilter.category(0xF)), []),
        (Region(versions=(2, 2)), [3]),
        (Region(entity="a", versions=(1, 1)), [0, 1]),
    ],
    ids=lambda value: value.identity if isinstance(value, Region) else "",
)
def test_a_region_selects_rows_by_its_parts(region: Region, wanted: list[int]) -> None:
    table = table_of(
        row(0, "a"),
        row(1, "a:1", "t"),
        row(2, "ab"),
        row(3, "a", "t"),
        row(4, "b", kind=EventKind.custom(0xE, 0x702)),
    )

    assert list(query.rows(table, region, 0, 5)) == wanted
    assert list(query.rows(table, region, 2, 4)) == [n for n in wanted if 2 <= n < 4]
