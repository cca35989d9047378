"""The index of the segment that grows, in memory: about 40 bytes an event.

    rows       what each commit adds, as tuples: the only thing a publish must do per event
    columns    the same, in arrays; caught up from the rows when somebody asks, or enough wait
    heads      entity -> where it stands
    keys       idempotency key -> row

The holder of the lane publishes; any thread reads. Publishing and catching up are idempotent: what
an exception from outside cuts short is done again, by number and not by appending.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Final

from batpak.errors import InvalidArgument
from batpak.index.row import NO_ID, NO_ROW, Change, EntityHead, Row, Scope
from batpak.platform import RawLock
from batpak.stack import callers

CATCH_UP: Final = 4096  # rows that wait at most
OWN_CALLS: Final = 3  # of who looks whether it has been interrupted: this one is no interrupt


class Tail:
    """A part that grows.

    Args:
        segment_id: Number of the segment.
        first: Sequence of row 0.
        start: Where its first frame begins, in bytes.
        lock: Makes a lock; readers that catch up at once wait for each other.
    """

    block_crcs: None = None
    types: None = None  # what is being written has no stubs

    def __init__(
        self, segment_id: int, first: int, start: int, lock: Callable[[], RawLock]
    ) -> None:
        self.segment_id, self.first = segment_id, first
        self.count = 0
        self.heads: dict[str, EntityHead] = {}
        self.scopes_by_name: dict[str, Scope] = {}
        self.keys: dict[bytes, int] = {}
        self._names: list[str] = []  # of entities, by code
        self._scope_names: list[str] = []
        self._chunk: tuple[int, list[Row]] = 0, []  # the row of its first, and what waits
        self._lock = lock()
        self.stubs: dict[int, int] = {}  # row -> type, of a file that is read once more
        self.holds: object = None
        """Kept as long as somebody reads this: the file that the rows are in."""
        self._caught = 0  # rows in the columns
        self.offsets = array("I", [start])
        self.sizes = array("I")
        self.kinds = array("H")
        self.ids = array("Q")
        self.entity_codes = array("I")
        self.scope_codes = array("I")
        self.previous = array("I")
        self.key_rows: dict[int, bytes] = {}
        self.correlations: dict[int, array[int]] = {}
        self.causes: dict[int, array[int]] = {}
        self._by_kind: dict[int, array[int]] = {}
        self._by_scope: dict[int, array[int]] = {}
        self._grouped = 0  # rows in those two

    @property
    def entity_count(self) -> int:
        """How many entities have events here."""
        return len(self._names)

    def __len__(self) -> int:
        return self.count

    # ------------------------------------------------------------------------------- publishing

    def publish(self, change: Change) -> None:
        """Take in what one commit adds. Only the holder of the lane calls it; twice is harmless."""
        rows, row = change.rows, change.row
        base, waiting = self._chunk
        at = row - base
        if at == len(waiting) < CATCH_UP:
            waiting.extend(rows)
        elif at > len(waiting) or (at == len(waiting) and not self._is_inside()):
            self.catch_up()
            self._chunk = row, list(rows)
        elif at == len(waiting):  # an append in a signal handler: who was interrupted catches up
            waiting.extend(rows)
        if change.entities:
            code = change.entity_code
            self._names[code : code + len(change.entities)] = change.entities
        if change.scopes:
            for name, scope in change.scopes.items():
                self._scope_names[scope.code : scope.code + 1] = [name]
                self.scopes_by_name[name] = scope
        if change.keys:
            self.keys.update(change.keys)
        self.heads.update(change.heads)
        self.count = row + len(rows)

    def catch_up(self) -> None:
        """Bring the columns up to all published rows.

        Raises:
            InvalidArgument: By a signal handler that has interrupted just this.
        """
        self._refuse_reentry()
        with self._lock:
            base, waiting = self._chunk
            caught = self._caught
            fresh = waiting[caught - base :]
            if not fresh:
                return
            ends, sizes, kinds, ids, entities, scopes, previous, correlations, causes, keys = zip(
                *fresh, strict=True
            )
            self.offsets[caught + 1 :] = array("I", ends)
            self.sizes[caught:] = array("I", sizes)
            self.kinds[caught:] = array("H", kinds)
            self.ids[caught:] = array("Q", ids)
            self.entity_codes[caught:] = array("I", entities)
            self.scope_codes[caught:] = array("I", scopes)
            self.previous[caught:] = array("I", previous)
            some = len(fresh)
            if correlations.count(None) < some:
                _group(self.correlations, correlations, caught)
            if causes.count(None) < some:
                _group(self.causes, causes, caught)
            if keys.count(None) < some:
                for row, key in enumerate(keys, caught):
                    if key is not None:
                        self.key_rows[row] = key
            self._caught = caught + some

    def freeze(self) -> None:
        """Let go of the rows beside the columns. Only the holder of the lane calls it."""
        self.catch_up()
        self._chunk = self.count, []

    def ready(self) -> None:
        """Have all published rows in the columns."""
        if self._caught < self.count:
            self.catch_up()

    def _group_rows(self) -> None:
        """Bring the rows of kinds and scopes up to the columns, which are ready."""
        self._refuse_reentry()
        with self._lock:
            done, caught = self._grouped, self._caught
            if done < caught:
                _group(self._by_kind, self.kinds[done:caught], done)
                _group(self._by_scope, self.scope_codes[done:caught], done)
                self._grouped = caught

    def _refuse_reentry(self) -> None:
        if self._lock.locked() and self._is_inside():
            reason = "re-entrant: this thread is bringing the index up to date already"
            raise InvalidArgument("thread", reason)

    def _is_inside(self) -> bool:
        """Whether a signal handler has interrupted this thread while it held the lock."""
        return any(
            call.f_code in _HOLDING and call.f_locals.get("self") is self
            for call in islice(callers(), OWN_CALLS, None)
        )

    # ---------------------------------------------------------------------------------- asking

    @property
    def first_id(self) -> int:
        """See `Part`, likewise below."""
        if self._caught < self.count:
            self.catch_up()
        return self.ids[0] if self.ids else NO_ID

    def with_id(self, id_hi: int) -> int | None:
        """The row whose event id begins with these eight bytes."""
        if self._caught < self.count:
            self.catch_up()
        ids = self.ids
        row = bisect_left(ids, id_hi)
        return row if row < len(ids) and ids[row] == id_hi else None

    def distrust(self) -> bool:
        """There is nothing that it could be made from."""
        return False

    def last_of(self, entity: str) -> int | None:
        """The newest row of an entity."""
        head = self.heads.get(entity)
        return None if head is None else head.row

    def of_entity(self, entity: str, start: int = 0) -> Sequence[int]:
        """The rows of an entity, ascending; none in front of `start`."""
        head = self.heads.get(entity)
        if head is None:
            return ()
        self.ready()
        rows, previous, row = array("I"), self.previous, head.row
        while row != NO_ROW and row >= start:
            rows.append(row)
            row = previous[row]
        rows.reverse()
        return rows

    def codes_under(self, prefix: str) -> Collection[int]:
        """The codes of the entities that a prefix names."""
        longer = prefix + ":"
        return {
            code
            for code, name in enumerate(self._names[:])
            if name == prefix or name.startswith(longer)
        }

    def under(self, prefix: str) -> Sequence[int]:
        """The rows of those entities."""
        codes = self.codes_under(prefix)
        if len(codes) <= 1:
            return self.of_entity(self._names[next(iter(codes))]) if codes else ()
        self.ready()
        return array("I", [row for row, code in enumerate(self.entity_codes[:]) if code in codes])

    def scope_code(self, scope: str) -> int | None:
        """The code of a scope."""
        found = self.scopes_by_name.get(scope)
        return None if found is None else found.code

    def of_scope(self, scope: str) -> Sequence[int]:
        """The rows of a scope."""
        code = self.scope_code(scope)
        self.ready()
        self._group_rows()
        return () if code is None else self._by_scope.get(code, ())

    def kind_counts(self) -> dict[int, int]:
        """How many rows each kind has."""
        self.ready()
        self._group_rows()
        return {kind: len(rows) for kind, rows in list(self._by_kind.items())}

    def of_kind(self, kind: int) -> Sequence[int]:
        """The rows of a kind."""
        self.ready()
        self._group_rows()
        return self._by_kind.get(kind, ())

    def entity_at(self, row: int) -> str:
        """The entity of a row."""
        self.ready()
        return self._names[self.entity_codes[row]]

    def scope_at(self, row: int) -> str:
        """The scope of a row."""
        self.ready()
        return self._scope_names[self.scope_codes[row]]

    def entities(self) -> Sequence[str]:
        """The names of entities in byte order."""
        return sorted(self._names[:])  # UTF-8 sorts as code points do

    def entity_names(self) -> list[str]:
        """The names of entities by code."""
        return self._names[:]

    def scopes(self) -> list[str]:
        """The names of scopes by code."""
        return self._scope_names[:]

    def with_key(self, key: bytes) -> Sequence[int]:
        """The row that has this idempotency key."""
        row = self.keys.get(key)
        return () if row is None else (row,)

    def may_have(self, keys: Sequence[bytes], hashes: Sequence[int]) -> bool:  # noqa: ARG002  of keys that are known
        """Whether it has one of these idempotency keys."""
        return not self.keys.keys().isdisjoint(keys)

    def correlated(self, low: int) -> Sequence[int]:
        """The rows whose correlation id ends with these eight bytes and is not their own."""
        self.ready()
        return self.correlations.get(low, ())

    def caused_by(self, low: int) -> Sequence[int]:
        """The rows whose causation id ends with these eight bytes."""
        self.ready()
        return self.causes.get(low, ())


_HOLDING: Final = {Tail.catch_up.__code__, Tail._group_rows.__code__}  # pyright: ignore[reportPrivateUsage]  of this room


def _group(groups: dict[int, array[int]], values: Sequence[int | None], first: int) -> None:
    """Add rows to the group of their value; a row that is there already is not added again."""
    for row, value in enumerate(values, first):
        if value is None:
            continue
        rows = groups.get(value)
        if rows is None:
            rows = groups.setdefault(value, array("I"))
        if not rows or rows[-1] < row:
            rows.append(row)
