"""The index of a sealed segment: look-ups in its mapped footer. Nothing is kept per event.

A column is looked at for the first time: its checksum is verified, then it is cast. One that is
damaged, an entry that leads nowhere, or a hit that its frame does not confirm, makes the whole
footer anew from the frames; that image takes the place of the file's for as long as this handle
lives.
"""

from __future__ import annotations

import logging
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from batpak import digest
from batpak.disk.seam import Mapped
from batpak.index import sidx
from batpak.index.row import NO_ID
from batpak.index.sidx import Footer

log: Final = logging.getLogger("batpak.index")

P = ParamSpec("P")
T = TypeVar("T")


def _renewing(
    ask: Callable[Concatenate[Sealed, P], T],
) -> Callable[Concatenate[Sealed, P], T]:
    """A look-up that is made once more if the footer points beyond itself, its checksums right."""

    @wraps(ask)
    def asked(sealed: Sealed, /, *args: P.args, **named: P.kwargs) -> T:
        try:
            return ask(sealed, *args, **named)
        except (IndexError, UnicodeDecodeError):
            if not sealed.distrust():
                raise
            return ask(sealed, *args, **named)

    return asked


class Sealed:
    """A part that grows no more.

    Args:
        footer: Checked against its segment.
        load: The file, or the image, with the footer in it. Called at the first touch.
        base: Where in the file the first byte of that begins.
        rebuild: Makes the bytes behind the frames anew, from the frames.
        columns: Where views of the file are kept; who gives the file back clears it.
        segment_id: Under which the handle knows the file, if not under its number.
    """

    def __init__(
        self,
        footer: Footer,
        load: Callable[[], Mapped],
        rebuild: Callable[[], tuple[Footer, bytes]],
        columns: dict[str, memoryview],
        *,
        base: int = 0,
        segment_id: int | None = None,
    ) -> None:
        self.segment_id, self.first = footer.toc.segment_id, footer.toc.first_sequence
        if segment_id is not None:
            self.segment_id = segment_id
        self.rebuilt = base > 0
        self._rows = footer.toc.rows
        self._first_id: int | None = None
        self._footer, self._load, self._rebuild, self._base = footer, load, rebuild, base
        self._columns = columns
        self._checked: set[str] = set()

    def __len__(self) -> int:
        return self._rows

    def distrust(self) -> bool:
        """Make the footer anew, because a frame did not confirm it; False: it had been already."""
        if self.rebuilt:
            return False
        number = self._footer.toc.segment_id
        log.warning("the footer of segment %d is wrong; made anew", number)
        self._footer, image = self._rebuild()
        self._base = self._footer.frames_end
        self._load = lambda: image
        self._columns = {}
        self.rebuilt = True
        return True

    def column(self, name: str) -> memoryview:
        """A column of the footer, as `sidx` describes it."""
        column = self._columns.get(name)
        return self._touch(name) if column is None else column

    def _touch(self, name: str) -> memoryview:
        """A column that is looked at for the first time."""
        where = self._footer.columns[name]
        start = where.offset - self._base
        data = memoryview(self._load())[start : start + where.bytes]
        if name not in self._checked:
            if len(data) != where.bytes or digest.crc32(data) != where.crc:
                if self.distrust():
                    return self._touch(name)
                data = memoryview(bytes(where.bytes))
            self._checked.add(name)
        column = self._columns[name] = data.cast(where.type) if where.type != "B" else data
        return column

    # ----------------------------------------------------------------------------------- columns

    @property
    def offsets(self) -> Sequence[int]:
        """See `Part`, likewise below."""
        return self.column("off")

    @property
    def last_offset(self) -> int:
        """Where the last frame begins, by an entry of a column that nobody has checked yet."""
        where = self._footer.columns["off"]
        at = where.offset - self._base + 4 * (self._rows - 1)
        return int.from_bytes(self._load()[at : at + 4], "little")

    @property
    def sizes(self) -> Sequence[int]:
        """Bytes of each payload."""
        return self.column("plen")

    @property
    def kinds(self) -> Sequence[int]:
        """The kind of each row."""
        return self.column("kind")

    @property
    def types(self) -> Sequence[int] | None:
        """What each frame is, if there are stubs among them."""
        return self.column("type") if "type" in self._footer.columns else None

    @property
    def entity_codes(self) -> Sequence[int]:
        """The code of the entity of each row."""
        return self.column("ent")

    @property
    def scope_codes(self) -> Sequence[int]:
        """The code of the scope of each row."""
        return self.column("sco")

    @property
    def block_crcs(self) -> Sequence[int] | None:
        """The checksum of each block of the file."""
        return self.column("blk_crc")

    # ----------------------------------------------------------------------------------- look-ups

    @property
    def first_id(self) -> int:
        """The first half of the first event id."""
        if self._first_id is None:
            self._first_id = self.column("id_hi")[0] if self._rows else NO_ID
        return self._first_id

    @_renewing
    def with_id(self, id_hi: int) -> int | None:
        """The row whose event id begins with these eight bytes."""
        ids = self.column("id_hi")
        row = bisect_left(ids, id_hi)
        return row if row < self._rows and ids[row] == id_hi else None

    @_renewing
    def last_of(self, entity: str) -> int | None:
        """The newest row of an entity."""
        code = self._code("ent", entity)
        if code is None:
            return None
        row: int = self.column("ent_rows")[self.column("ent_ptr")[code + 1] - 1]
        return row

    @_renewing
    def of_entity(self, entity: str, start: int = 0) -> Sequence[int]:  # noqa: ARG002  they are there
        """The rows of an entity, ascending."""
        code = self._code("ent", entity)
        return () if code is None else self._group("ent", code, code + 1)

    @_renewing
    def codes_under(self, prefix: str) -> Collection[int]:
        """The codes of the entities that a prefix names: one of its own, and a range."""
        longer = self._between(prefix + ":", prefix + ";")
        own = self._code("ent", prefix)
        if own is None:
            return longer
        return range(own, own + 1) if not longer else {own, *longer}

    @_renewing
    def under(self, prefix: str) -> Sequence[int]:
        """The rows of those entities."""
        longer = self._between(prefix + ":", prefix + ";")
        own = self._code("ent", prefix)
        groups = [self._group("ent", longer.start, longer.stop)] if longer else []
        if own is not None:
            groups.append(self._group("ent", own, own + 1))
        if len(groups) == 1 and len(longer) <= 1:
            return groups[0]
        if sum(map(len, groups)) < self._rows // 8:
            return sorted(row for group in groups for row in group)
        codes, column = self.codes_under(prefix), self.column("ent")
        return array("I", [row for row, code in enumerate(column) if code in codes])

    @_renewing
    def scope_code(self, scope: str) -> int | None:
        """The code of a scope."""
        return self._code("sco", scope)

    @_renewing
    def of_scope(self, scope: str) -> Sequence[int]:
        """The rows of a scope."""
        code = self._code("sco", scope)
        return () if code is None else self._group("sco", code, code + 1)

    @_renewing
    def kind_counts(self) -> dict[int, int]:
        """How many rows each kind has."""
        pointers = self.column("kind_ptr")
        return {
            kind: pointers[code + 1] - pointers[code]
            for code, kind in enumerate(self.column("kind_vals"))
        }

    @_renewing
    def of_kind(self, kind: int) -> Sequence[int]:
        """The rows of a kind."""
        kinds = self.column("kind_vals")
        code = bisect_left(kinds, kind)
        if code == len(kinds) or kinds[code] != kind:
            return ()
        return self._group("kind", code, code + 1)

    @_renewing
    def entity_at(self, row: int) -> str:
        """The entity of a row."""
        return self._name("ent", self.column("ent")[row])

    @_renewing
    def scope_at(self, row: int) -> str:
        """The scope of a row."""
        return self._name("sco", self.column("sco")[row])

    @_renewing
    def entities(self) -> Sequence[str]:
        """The names of entities in byte order."""
        return [self._name("ent", code) for code in range(len(self.column("ent_hash")))]

    @_renewing
    def scopes(self) -> Sequence[str]:
        """The names of scopes in byte order."""
        return [self._name("sco", code) for code in range(len(self.column("sco_hash")))]

    def entity_names(self) -> list[str]:
        """The names of entities by code."""
        return list(self.entities())

    @_renewing
    def with_key(self, key: bytes) -> Sequence[int]:
        """The rows that may have this idempotency key."""
        return self._matching("key_hash", "key_row", sidx.hash_of(key))

    @_renewing
    def may_have(self, keys: Sequence[bytes], hashes: Sequence[int]) -> bool:
        """Whether it may have one of these idempotency keys: one walk up the column for all."""
        column = self.column("key_hash")
        count, at = len(column), 0
        step = 1 + 2 * count // max(len(keys), 1)  # about as far apart as the keys are
        for one in hashes:
            stop = at + step
            while stop < count and column[stop] < one:
                at, stop = stop, stop + step
            at = bisect_left(column, one, at, min(stop, count))
            if at == count:
                return False
            if column[at] == one:
                return True
        return False

    @_renewing
    def correlated(self, low: int) -> Sequence[int]:
        """The rows whose correlation id ends with these eight bytes and is not their own."""
        return self._matching("cor_key", "cor_row", low)

    @_renewing
    def caused_by(self, low: int) -> Sequence[int]:
        """The rows whose causation id ends with these eight bytes."""
        return self._matching("cau_key", "cau_row", low)

    def _matching(self, key_name: str, row_name: str, value: int) -> Sequence[int]:
        keys = self.column(key_name)
        first = bisect_left(keys, value)
        if first == len(keys) or keys[first] != value:
            return ()
        return self.column(row_name)[first : bisect_right(keys, value, first)]

    def _group(self, prefix: str, first: int, stop: int) -> memoryview:
        """The rows of a range of codes, code by code."""
        pointers = self.column(f"{prefix}_ptr")
        return self.column(f"{prefix}_rows")[pointers[first] : pointers[stop]]

    def _code(self, prefix: str, name: str) -> int | None:
        raw = name.encode()
        value, hashes = sidx.hash_of(raw), self.column(f"{prefix}_hash")
        at = bisect_left(hashes, value)
        while at < len(hashes) and hashes[at] == value:
            code: int = self.column(f"{prefix}_code")[at]
            if self._raw(prefix, code) == raw:
                return code
            at += 1
        return None

    def _between(self, low: str, high: str) -> range:
        """The codes of the entities whose names lie in a range."""
        codes = range(len(self.column("ent_hash")))
        first = bisect_left(codes, low.encode(), key=lambda code: self._raw("ent", code))
        stop = bisect_left(codes, high.encode(), first, key=lambda code: self._raw("ent", code))
        return range(first, stop)

    def _raw(self, prefix: str, code: int) -> bytes:
        ends = self.column(f"{prefix}_noff")
        return bytes(self.column(f"{prefix}_name")[ends[code] : ends[code + 1]])

    def _name(self, prefix: str, code: int) -> str:
        return self._raw(prefix, code).decode()
