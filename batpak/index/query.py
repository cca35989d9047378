"""From a region to rows, in sequence order, without reading a frame.

The part of the region with the fewest rows gives the candidates; the columns decide about the
other parts.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeAlias

from batpak.index.row import Rows
from batpak.index.table import Table
from batpak.kind import EventKind
from batpak.region import Region

Test: TypeAlias = Callable[[int], bool]


def rows(table: Table, region: Region, start: int, stop: int) -> Sequence[int]:
    """The rows from `start` up to, not including, `stop` whose events a region matches.

    Args:
        table: The index. Rows added meanwhile do not change the result.
        region: What to look for.
        start: At least 0.
        stop: At most the visible bound at the time of the question.
    """
    if stop <= start:
        return ()
    parts: list[tuple[Iterable[array[int]], Test]] = []
    if region.entity is not None:
        named = [one for one in list(table.entity_list) if _is_under(one.name, region.entity)]
        parts.append(([one.rows for one in named], _coded(table.entities, named)))
    if region.scope is not None:
        scope = table.scope_rows.get(region.scope)
        scopes = [] if scope is None else [scope]
        parts.append(([one.rows for one in scopes], _coded(table.scopes, scopes)))
    known = list(table.kind_rows)
    kinds = {kind for kind in known if region.kinds.matches(EventKind.from_wire(kind))}
    if len(kinds) < len(known):
        parts.append(([table.kind_rows[kind] for kind in kinds], _kind(table.kinds, kinds)))
    tests = [test for _, test in parts]
    candidates: Sequence[int] = range(start, stop)
    if parts:
        sizes = [sum(len(one) for one in columns) for columns, _ in parts]
        fewest = min(range(len(parts)), key=sizes.__getitem__)
        candidates = _merged(parts[fewest][0], start, stop)
        del tests[fewest]
    if region.versions is not None:
        tests.append(_versions(table, *region.versions))
    for test in tests:
        candidates = [row for row in candidates if test(row)]
    return candidates


def between(column: array[int], start: int, stop: int) -> array[int]:
    """The part of an ascending column of rows that lies in a range; a copy."""
    return column[bisect_left(column, start) : bisect_left(column, stop)]


def _merged(columns: Iterable[array[int]], start: int, stop: int) -> Sequence[int]:
    slices = [between(column, start, stop) for column in columns]
    return slices[0] if len(slices) == 1 else sorted(chain.from_iterable(slices))


def _is_under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ":")


def _coded(column: array[int], named: list[Rows]) -> Test:
    codes = {one.code for one in named}
    return lambda row: column[row] in codes


def _kind(column: array[int], kinds: set[int]) -> Test:
    return lambda row: column[row] in kinds


def _versions(table: Table, first: int, last: int) -> Test:
    return lambda row: first <= table.version_at(row) <= last
