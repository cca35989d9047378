"""EventKind: the number under which an event is stored, 4 bits of category and 12 of id.

     15    12 11                    0
    | category |        type id      |

The schema knows the name, the file knows the number; one kind for the life of the event.
Categories 0x0 (system) and 0xD (effects) are the library's own.
"""

from __future__ import annotations

from typing import Final, Self, final

from batpak.errors import InvalidArgument, InvalidKind
from batpak.faults import KindFault
from batpak.override import override
from batpak.seal import SEAL, Seal

SYSTEM: Final = 0x0
EFFECT: Final = 0xD
RAW_MAX: Final = 0xFFFF
COMPACTED: Final = 0x0012  # what a compaction says that it removes
SHAPES: Final = 0x0014  # what events are called, and which fields they have
TOMBSTONE: Final = 0x0FFE  # what an event is read as whose payload was erased


@final
class EventKind(int):
    """A validated kind. Made by `custom` and `from_wire` only; equal kinds are one object."""

    __slots__ = ()

    def __new__(cls, raw: int, _key: Seal) -> Self:
        """Closed: use `custom` or `from_wire`."""
        if _key is not SEAL:
            raise InvalidKind(raw, KindFault.RESERVED, "use custom or from_wire")
        return super().__new__(cls, raw)

    @staticmethod
    def custom(category: int, type_id: int) -> EventKind:
        """The kind of an event of yours.

        Args:
            category: 0x1..0xC, 0xE or 0xF.
            type_id: 0x000..0xFFF.

        Raises:
            InvalidKind: Out of range, or one of the library's own categories.
        """
        _require_int("category", category)
        _require_int("type_id", type_id)
        raw = category << 12 | type_id
        if not 0x0 <= category <= 0xF:
            raise InvalidKind(raw, KindFault.CATEGORY, f"category {category:#x} is not 0x0..0xF")
        if category in (SYSTEM, EFFECT):
            raise InvalidKind(
                raw, KindFault.RESERVED, f"category {category:#x} belongs to the library"
            )
        if not 0x000 <= type_id <= 0xFFF:
            raise InvalidKind(raw, KindFault.TYPE_ID, f"id {type_id:#x} is not 0x000..0xFFF")
        return EventKind.from_wire(raw)

    @staticmethod
    def from_wire(raw: int) -> EventKind:
        """The kind with this number, reserved or not: for stored bytes and system events.

        Raises:
            InvalidKind: Not an unsigned 16-bit number.
        """
        kind = _INTERNED.get(raw) if type(raw) is int else None
        if kind is None:
            _require_int("raw", raw)
            if not 0 <= raw <= RAW_MAX:
                raise InvalidKind(raw, KindFault.CATEGORY, f"{raw:#x} is not a 16-bit number")
            kind = _INTERNED.setdefault(raw, EventKind(raw, SEAL))
        return kind

    @property
    def category(self) -> int:
        """The upper four bits."""
        return self >> 12

    @property
    def type_id(self) -> int:
        """The lower twelve bits."""
        return self & 0xFFF

    @property
    def reserved(self) -> bool:
        """Whether only the library itself writes this kind."""
        return self >> 12 in (SYSTEM, EFFECT)

    @override
    def __str__(self) -> str:
        return f"0x{int(self):04x}"

    @override
    def __repr__(self) -> str:
        return f"EventKind({self})"

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return EventKind.from_wire, (int(self),)


def _require_int(argument: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgument(argument, f"{value!r} is not an integer")


_INTERNED: Final[dict[int, EventKind]] = {}
