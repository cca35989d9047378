"""One event as the index knows it, and what the index asks of the rooms around it.

A row is a number inside one segment: the sequence of the event less that of the segment's first.
So no column stores a sequence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

NO_ROW: Final = 0xFFFF_FFFF
NO_ID: Final = 1 << 64
ROWS_MAX: Final = 0xFFFF_FFFE  # in one segment; columns of rows are u32

Row: TypeAlias = tuple[int, int, int, int, int, int, int, int | None, int | None, bytes | None]
"""What one event adds to the index of its segment:

    0 end          of its frame, in bytes from the start of the file; it begins where the last ended
    1 payload      bytes of the stored payload
    2 kind
    3 id_hi        first eight bytes of the event id as a number, ascending
    4 entity       code: position among the entities of the segment, in order of appearance
    5 scope        code, likewise
    6 previous     row of the entity's previous event in this segment, or NO_ROW
    7 correlation  last eight bytes of a correlation id that is not the own id, or None
    8 cause        last eight bytes of a causation id, or None
    9 key          idempotency key, or None
"""


class EntityHead(Struct, frozen=True, gc=False):
    """Where an entity stands: what its next event continues."""

    version: int
    event_hash: bytes
    code: int  # in the segment that grows; -1: no event in it yet
    row: int  # of its newest event there, or NO_ROW
    stored: bytes  # the name as a record has it, its MessagePack length before it
    hashed: bytes  # the name as event_hash takes it, its length in two bytes before it


class Scope(Struct, frozen=True, gc=False):
    """A scope of the segment that grows."""

    code: int
    stored: bytes
    hashed: bytes


class Change(Struct, frozen=True, gc=False):
    """What one commit does to the index. Applying it twice is the same as once."""

    row: int  # of the first event
    rows: Sequence[Row]
    heads: Mapping[str, EntityHead]  # the entities it touches, as they stand afterwards
    keys: Mapping[bytes, int] | None = None  # idempotency key -> row
    scopes: Mapping[str, Scope] | None = None  # new in this segment
    entity_code: int = 0  # of the first entity that is new in this segment
    entities: Sequence[str] = ()  # those, in the order of their codes
    replaced: Sequence[EntityHead | None] = ()  # held: freed only when what is new can be seen


class Part(Protocol):
    """The index of one segment, sealed or growing. Columns are indexed by row."""

    @property
    def segment_id(self) -> int:
        """Number of the segment; below 0 if it was written anew since the log was opened."""
        ...

    @property
    def first(self) -> int:
        """Sequence of row 0."""
        ...

    def __len__(self) -> int:
        """How many rows there are."""
        ...

    @property
    def offsets(self) -> Sequence[int]:
        """(rows + 1,) where each frame begins; the last entry is where the last one ends."""
        ...

    @property
    def sizes(self) -> Sequence[int]:
        """(rows,) bytes of each payload."""
        ...

    @property
    def kinds(self) -> Sequence[int]:
        """(rows,)."""
        ...

    @property
    def types(self) -> Sequence[int] | None:
        """(rows,) what each frame is: an event or a stub. None: there are no stubs here."""
        ...

    @property
    def entity_codes(self) -> Sequence[int]:
        """(rows,) code of the entity of each row."""
        ...

    @property
    def scope_codes(self) -> Sequence[int]:
        """(rows,) code of the scope of each row."""
        ...

    @property
    def block_crcs(self) -> Sequence[int] | None:
        """CRC-32 of each 64 KiB of the file up to the end of its frames; None: not recorded."""
        ...

    @property
    def first_id(self) -> int:
        """First eight bytes of the first event id, as a number; beyond all if there is no row."""
        ...

    def with_id(self, id_hi: int) -> int | None:
        """The row whose event id begins with these eight bytes."""
        ...

    def distrust(self) -> bool:
        """Take the columns to be wrong, and make them anew; False: there is nothing to be done."""
        ...

    def last_of(self, entity: str) -> int | None:
        """The newest row of an entity."""
        ...

    def of_entity(self, entity: str, start: int = 0) -> Sequence[int]:
        """The rows of an entity from `start` on, perhaps with some before it; ascending."""
        ...

    def codes_under(self, prefix: str) -> Collection[int]:
        """The codes of every entity that a prefix names: itself, and what goes on with `:`."""
        ...

    def under(self, prefix: str) -> Sequence[int]:
        """The rows of those entities."""
        ...

    def scope_code(self, scope: str) -> int | None:
        """The code of a scope that has rows here."""
        ...

    def of_scope(self, scope: str) -> Sequence[int]:
        """The rows of a scope."""
        ...

    def kind_counts(self) -> dict[int, int]:
        """How many rows each kind has."""
        ...

    def of_kind(self, kind: int) -> Sequence[int]:
        """The rows of a kind."""
        ...

    def entity_at(self, row: int) -> str:
        """The entity of a row."""
        ...

    def scope_at(self, row: int) -> str:
        """The scope of a row."""
        ...

    def entities(self) -> Sequence[str]:
        """The names of entities in byte order."""
        ...

    def scopes(self) -> Sequence[str]:
        """The names of scopes, in no order."""
        ...

    def entity_names(self) -> list[str]:
        """The names of entities by code."""
        ...

    def with_key(self, key: bytes) -> Sequence[int]:
        """The rows that may have this idempotency key; their frames decide."""
        ...

    def may_have(self, keys: Sequence[bytes], hashes: Sequence[int]) -> bool:
        """Whether it may have one of these idempotency keys.

        Args:
            keys: Many at once cost less than one by one.
            hashes: Of the keys, ascending; see `sidx.hash_of`.
        """
        ...

    def correlated(self, low: int) -> Sequence[int]:
        """The rows whose correlation id is not their own and ends with these eight bytes."""
        ...

    def caused_by(self, low: int) -> Sequence[int]:
        """The rows whose causation id ends with these eight bytes."""
        ...


class Frames(Protocol):
    """What the index has to see in a frame to confirm a hit."""

    def head(self, segment_id: int, offset: int, sequence: int, entity: str) -> tuple[int, bytes]:
        """Version and event hash of the event whose frame begins there.

        Raises:
            CorruptStore: There is no such frame, or it is not that event of that entity.
        """
        ...

    def version(self, segment_id: int, offset: int, sequence: int) -> int:
        """Its version alone. Raises as `head`."""
        ...

    def key(self, segment_id: int, offset: int, end: int) -> bytes | None:
        """The idempotency key of the event whose frame fills that range."""
        ...
