"""From a region to rows, part by part, without reading a payload.

In each part the constraint with the fewest rows gives the candidates; the columns decide about the
others, and for versions the fixed head of the frame.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

from batpak.index.row import NO_ROW, Part
from batpak.index.table import Span, Table
from batpak.index.tail import Tail
from batpak.kind import EventKind
from batpak.record import DROPPED, ERASED
from batpak.region import KindFilter, Region

CHUNK: Final = 512  # candidates tested at once: who wants ten events does not pay for a segment
NARROW: Final = 512  # rows, in a part of many times as many: they are looked at one by one
MANY: Final = 16
FEW: Final = 32  # rows whose entity is looked at, rather than the part searched for its names

Test: TypeAlias = Callable[[int], bool]


class Rows(NamedTuple):
    """Rows of one part, in the order asked for."""

    part: Part
    rows: Sequence[int]
    renew: Callable[[], Sequence[int]]  # all rows of the part that were asked for, from anew


def select(
    table: Table,
    region: Region,
    start: int,
    stop: int,
    *,
    reverse: bool = False,
    dropped: bool = False,
) -> Iterator[Rows]:
    """The rows whose events a region matches, in sequence order, as the log is at the call.

    Args:
        table: The index.
        region: What to look for.
        start: The first sequence.
        stop: The one behind the last; the visible bound limits it.
        reverse: Newest first.
        dropped: Those too of which only stubs are left.
    """
    spans = table.spans(start, stop, reverse=reverse)
    return _select(table, region, spans, reverse=reverse, dropped=dropped)


def _select(
    table: Table, region: Region, spans: Iterator[Span], *, reverse: bool, dropped: bool
) -> Iterator[Rows]:
    for span in spans:
        part, low, high = span
        candidates, tests = _constraints(table, region, part, low, high, dropped=dropped)
        renew = partial(_matching, table, region, span, reverse=reverse, dropped=dropped)
        if not tests:
            if candidates:
                yield Rows(part, candidates[::-1] if reverse else candidates, renew)
            continue
        size = len(candidates)
        for at in range(0, size, CHUNK):
            some = (
                candidates[max(0, size - at - CHUNK) : size - at][::-1]
                if reverse
                else candidates[at : at + CHUNK]
            )
            for test in tests:
                some = [row for row in some if test(row)]
            if some:
                yield Rows(part, some, renew)


def _matching(
    table: Table, region: Region, span: Span, *, reverse: bool, dropped: bool
) -> Sequence[int]:
    """All rows of a part that a region matches."""
    candidates, tests = _constraints(table, region, *span, dropped=dropped)
    rows = [row for row in candidates if all(test(row) for test in tests)]
    return rows[::-1] if reverse else rows


def count(table: Table, region: Region, start: int, stop: int) -> int:
    """How many events a region matches."""
    total = 0
    for part, low, high in table.spans(start, stop):
        candidates, tests = _constraints(table, region, part, low, high)
        if not tests:
            total += len(candidates)
        else:
            total += sum(all(test(row) for test in tests) for row in candidates)
    return total


def entity_rows(
    table: Table,
    entity: str,
    first_version: int = 1,
    last_version: int | None = None,
    *,
    start: int = 0,
    stop: int | None = None,
    reverse: bool = False,
    dropped: bool = False,
) -> Iterator[Rows]:
    """The rows of one entity, exactly, in version order, as the log is at the call.

    Args:
        table: The index.
        entity: Whose.
        first_version: None in front of it.
        last_version: None behind it.
        start: None in front of this sequence.
        stop: None at this sequence, or behind it.
        reverse: Newest first.
        dropped: Those too of which only stubs are left.
    """
    spans = table.spans(start, table.bound if stop is None else stop, reverse=reverse)
    return _entity_rows(table, entity, spans, first_version, last_version, reverse, dropped)


def _entity_rows(
    table: Table,
    entity: str,
    spans: Iterator[Span],
    first_version: int,
    last_version: int | None,
    reverse: bool,
    dropped: bool,
) -> Iterator[Rows]:
    for span in spans:
        versions = first_version, last_version
        ask = partial(_of_entity, table, entity, span, *versions, reverse, dropped)
        rows = ask()
        if rows:
            yield Rows(span.part, rows, ask)


def _of_entity(
    table: Table,
    entity: str,
    span: Span,
    first_version: int,
    last_version: int | None,
    reverse: bool,
    dropped: bool,
) -> Sequence[int]:
    """The rows of one entity in a part."""
    part, low, high = span
    rows = _between(part.of_entity(entity, low), low, high)
    if rows and (first_version > 1 or last_version is not None):
        base = table.version_of(part, rows[0])  # they stand without a gap
        stop = len(rows) if last_version is None else max(0, last_version + 1 - base)
        rows = rows[max(0, first_version - base) : stop]
    rows = _kept(part, rows, dropped=dropped)
    return rows[::-1] if reverse else rows


def _kept(part: Part, rows: Sequence[int], *, dropped: bool = False) -> Sequence[int]:
    """Those of the rows that can be read, or all of them."""
    types = part.types
    if types is None or dropped:
        return rows
    return [row for row in rows if types[row] != DROPPED]


def of_kinds(chunks: Iterator[Rows], kinds: Collection[int]) -> Iterator[Rows]:
    """Those of the rows whose events are of some kinds."""
    for part, rows, renew in chunks:
        some = _of_some(part, kinds, rows)
        if some:
            yield Rows(part, some, partial(_renewed, part, kinds, renew))


def _of_some(part: Part, kinds: Collection[int], rows: Sequence[int]) -> Sequence[int]:
    column = part.kinds
    return [row for row in rows if column[row] in kinds]


def _renewed(
    part: Part, kinds: Collection[int], renew: Callable[[], Sequence[int]]
) -> Sequence[int]:
    return _of_some(part, kinds, renew())


def correlated(
    table: Table, correlation: int, start: int, stop: int, *, reverse: bool
) -> Iterator[Rows]:
    """Rows that may belong to a conversation: their frames decide.

    The event that began it has the conversation's id for its own, and no row in that column.
    """
    spans = list(table.spans(start, stop, reverse=reverse))
    place, low_half = table.with_id(correlation >> 64), correlation & (1 << 64) - 1
    root = None if place is None else place[0].first + place[1]
    return _correlated(spans, root, low_half, reverse=reverse)


def _correlated(
    spans: list[Span], root: int | None, low_half: int, *, reverse: bool
) -> Iterator[Rows]:
    for span in spans:
        ask = partial(_of_conversation, span, root, low_half, reverse)
        rows = ask()
        if rows:
            yield Rows(span.part, rows, ask)


def _of_conversation(
    span: Span,
    root: int | None,
    low_half: int,
    reverse: bool,
) -> Sequence[int]:
    """The rows of a part that may belong to a conversation."""
    part, low, high = span
    rows: Sequence[int] = _between(part.correlated(low_half), low, high)
    if root is not None and low <= root - part.first < high:
        rows = sorted({*rows, root - part.first})
    rows = _kept(part, rows)
    return rows[::-1] if reverse else rows


def before(table: Table, entity: str, part: Part, row: int) -> tuple[Part, int] | None:
    """The place of the entity's event before the one at a place, which may be of older parts."""
    if isinstance(part, Tail):
        part.catch_up()
        previous = part.previous[row]
        if previous != NO_ROW:
            return part, previous
    else:
        rows = part.of_entity(entity)
        at = bisect_left(rows, row)
        if at:
            return part, rows[at - 1]
    for older in reversed(table.parts):
        if older.first + len(older) <= part.first:
            last = older.last_of(entity)
            if last is not None:
                return older, last
        elif older.first < part.first:  # the part is in it now, with those in front of it
            rows = older.of_entity(entity)
            at = bisect_left(rows, part.first - older.first)
            if at:
                return older, rows[at - 1]
    return None


def kind_counts(part: Part, low: int, high: int) -> Counter[int]:
    """How many events of each kind there are in some rows of a part."""
    types = part.types
    if types is not None:
        kinds = part.kinds
        return Counter(kinds[row] for row in range(low, high) if types[row] != DROPPED)
    if low == 0 and high == len(part):
        return Counter(part.kind_counts())
    return Counter(part.kinds[low:high])


def kinds_between(table: Table, start: int, stop: int) -> set[int]:
    """The kinds of a range of sequences. Nothing is gathered for it."""
    kinds: set[int] = set()
    for part, low, high in table.spans(start, stop):
        whole = low == 0 and high == len(part) and not isinstance(part, Tail)
        kinds.update(part.kind_counts() if whole else part.kinds[low:high])
    return kinds


def stubs(table: Table, start: int, stop: int) -> tuple[int, int]:
    """How many events of a range are dropped, and how many are erased."""
    dropped = erased = 0
    for part, low, high in table.spans(start, stop):
        types = part.types
        if types is not None:
            some = bytes(types[low:high])
            dropped, erased = dropped + some.count(DROPPED), erased + some.count(ERASED)
    return dropped, erased


def entities(table: Table, prefix: str | None, scope: str | None) -> Iterator[str]:
    """The names of entities in byte order, each once, as the log is at the call."""
    names = [_names(part, prefix, scope, high) for part, _, high in table.spans(0, table.bound)]
    return (name for name, _ in groupby(merge(*names, key=str.encode)))


def scopes(table: Table) -> set[str]:
    """The names of the scopes with an event that can be read, as the log is at the call."""
    return {name for part, _, high in table.spans(0, table.bound) for name in _scopes(part, high)}


def _scopes(part: Part, stop: int) -> Sequence[str]:
    """The scopes of a part that have a visible row."""
    names = part.scopes()
    if stop == len(part) and part.types is None:
        return names
    return [name for name in names if _kept(part, _between(part.of_scope(name), 0, stop))]


def _names(part: Part, prefix: str | None, scope: str | None, stop: int) -> list[str]:
    """The names of a part that have a visible row in the scope."""
    try:
        return _names_now(part, prefix, scope, stop)
    except IndexError:  # a footer that leads beyond itself
        if not part.distrust():
            raise
        return _names_now(part, prefix, scope, stop)


def _names_now(part: Part, prefix: str | None, scope: str | None, stop: int) -> list[str]:
    names = part.entities()
    rows: Sequence[int]
    if scope is not None or stop < len(part) or part.types is not None:
        rows = range(stop) if scope is None else _between(part.of_scope(scope), 0, stop)
        rows = _kept(part, rows)
        seen = {part.entity_codes[row] for row in rows}
        by_code = part.entity_names()
        names = sorted((by_code[code] for code in seen), key=str.encode)
    return [name for name in names if prefix is None or is_under(name, prefix)]


def is_under(name: str, prefix: str) -> bool:
    """Whether a prefix names an entity: exactly, or followed by a colon."""
    return name == prefix or name.startswith(prefix + ":")


def _constraints(
    table: Table, region: Region, part: Part, low: int, high: int, *, dropped: bool = False
) -> tuple[Sequence[int], list[Test]]:
    """The rows to look at in a part, and what each still has to pass."""
    candidates, tests = _constraints_of(table, region, part, low, high)
    types = part.types
    if types is not None and not dropped:
        tests.insert(0, lambda row: types[row] != DROPPED)
    return candidates, tests


def _constraints_of(
    table: Table, region: Region, part: Part, low: int, high: int
) -> tuple[Sequence[int], list[Test]]:
    if high - low <= NARROW and (high - low) * MANY <= len(part):
        return range(low, high), _row_tests(table, region, part)
    found: list[tuple[Sequence[int], Test | None]] = []
    prefix = region.entity
    by_name = prefix is not None and high - low <= FEW
    if prefix is not None and not by_name:
        codes, column = part.codes_under(prefix), part.entity_codes
        if not codes:
            return (), []
        found.append((part.under(prefix), lambda row: column[row] in codes))
    if region.scope is not None:
        code, scopes = part.scope_code(region.scope), part.scope_codes
        if code is None:
            return (), []
        found.append((part.of_scope(region.scope), lambda row: scopes[row] == code))
    if region.kinds != KindFilter.any():
        counts = part.kind_counts()
        kinds = {kind for kind in counts if region.kinds.matches(EventKind.from_wire(kind))}
        if not kinds:
            return (), []
        if len(kinds) < len(counts):
            found.append(_of_kinds(part, kinds))
    candidates: Sequence[int] = range(low, high)
    tests = [test for _, test in found if test is not None]
    if found:
        fewest = min(range(len(found)), key=lambda index: len(found[index][0]))
        candidates = _between(found[fewest][0], low, high)
        del tests[fewest]
    if prefix is not None and by_name:
        tests.append(lambda row: is_under(part.entity_at(row), prefix))
    tests += _version_tests(table, region, part)
    return candidates, tests


def _row_tests(table: Table, region: Region, part: Part) -> list[Test]:
    """What a row has to pass, from what the columns say of it alone: nothing is gathered."""
    tests: list[Test] = []
    entity, scope, kinds, column = region.entity, region.scope, region.kinds, part.kinds
    if kinds != KindFilter.any():
        tests.append(lambda row: kinds.matches(EventKind.from_wire(column[row])))
    if entity is not None:
        tests.append(lambda row: is_under(part.entity_at(row), entity))
    if scope is not None:
        tests.append(lambda row: part.scope_at(row) == scope)
    return tests + _version_tests(table, region, part)


def _version_tests(table: Table, region: Region, part: Part) -> list[Test]:
    if region.versions is None:
        return []
    first, last = region.versions
    return [lambda row: first <= table.version_of(part, row) <= last]


def _of_kinds(part: Part, kinds: set[int]) -> tuple[Sequence[int], Test]:
    column = part.kinds
    groups = [part.of_kind(kind) for kind in kinds]
    rows = groups[0] if len(groups) == 1 else sorted(row for group in groups for row in group)
    return rows, lambda row: column[row] in kinds


def _between(rows: Sequence[int], low: int, high: int) -> Sequence[int]:
    """The part of ascending rows that lies in a range."""
    return rows[bisect_left(rows, low) : bisect_left(rows, high)]
