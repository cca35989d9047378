"""The index of all events, in columns: what is where, and how far it may be read.

    offsets    (rows,) u32   of the frame in its segment
    ids        (rows,) u64   first half of the event id, ascending
    kinds      (rows,) u16
    entities   (rows,) u32   code: position in `entity_list`
    scopes     (rows,) u32   code: position in `scope_list`
    by entity, scope, kind   their rows, (n,) u32, ascending
    keys       idempotency key -> row

No Python object per event. One thread writes, under the lane; any number read without a lock:
columns only grow, and rows at or above `bound` do not exist for readers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final

from batpak.digest import ZERO_HASH
from batpak.index.row import Row, Rows, no_rows

ROWS_MAX: Final = 0xFFFF_FFFF  # columns of rows are u32


class Table:
    """Rows in sequence order. `publish` adds one, `bound` makes it visible."""

    def __init__(self) -> None:
        self.offsets = array("I")
        self.ids = array("Q")
        self.kinds = array("H")
        self.entities = array("I")
        self.scopes = array("I")
        self.entity_list: list[Rows] = []
        self.scope_list: list[Rows] = []
        self.entity_rows: dict[str, Rows] = {}
        self.scope_rows: dict[str, Rows] = {}
        self.kind_rows: dict[int, array[int]] = {}
        self.keys: dict[bytes, int] = {}
        self.bound = 0

    def publish(self, row: Row) -> None:
        """Add the row that comes next. It is not visible before `bound` covers it."""
        sequence = row.sequence
        entity = self.entity_rows.get(row.entity)
        if entity is None:
            entity = _new_name(row.entity, self.entity_list, self.entity_rows)
        scope = self.scope_rows.get(row.scope)
        if scope is None:
            scope = _new_name(row.scope, self.scope_list, self.scope_rows)
        kind = self.kind_rows.get(row.kind)
        if kind is None:
            kind = self.kind_rows.setdefault(row.kind, no_rows())
        self.offsets.append(row.offset)
        self.ids.append(row.id_hi)
        self.kinds.append(row.kind)
        self.entities.append(entity.code)
        self.scopes.append(scope.code)
        entity.rows.append(sequence)
        scope.rows.append(sequence)
        kind.append(sequence)
        entity.version, entity.last_hash = row.version, row.event_hash
        if row.key is not None:
            self.keys[row.key] = sequence

    def retract(self, row: Row) -> None:
        """Take back whatever an interrupted `publish` of this row, the last one, has added."""
        for column in (self.offsets, self.ids, self.kinds, self.entities, self.scopes):
            del column[row.sequence :]
        for named in (self.entity_rows.get(row.entity), self.scope_rows.get(row.scope)):
            if named is not None:
                _drop_last(named.rows, row.sequence)
        _drop_last(self.kind_rows.get(row.kind), row.sequence)

    def head(self, entity: str) -> tuple[int, bytes]:
        """Version and last event hash of an entity, as the next event has to continue them."""
        found = self.entity_rows.get(entity)
        return (0, ZERO_HASH) if found is None else (found.version, found.last_hash)

    def version(self, entity: str) -> int:
        """How many visible events an entity has."""
        found = self.entity_rows.get(entity)
        return 0 if found is None else bisect_left(found.rows, self.bound)

    def version_at(self, row: int) -> int:
        """The version that the event of a row has in its entity."""
        return bisect_left(self.entity_list[self.entities[row]].rows, row) + 1

    def with_id(self, id_hi: int) -> int | None:
        """The visible row whose event id begins with these eight bytes. The frame confirms it."""
        bound = self.bound
        row = bisect_left(self.ids, id_hi, 0, bound)
        return row if row < bound and self.ids[row] == id_hi else None


def _new_name(name: str, names: list[Rows], by_name: dict[str, Rows]) -> Rows:
    """An interrupt between the two steps leaves a name without rows, which nothing ever finds."""
    rows = Rows(name, len(names), no_rows())
    names.append(rows)
    by_name[name] = rows
    return rows


def _drop_last(rows: array[int] | None, row: int) -> None:
    if rows and rows[-1] == row:
        rows.pop()
