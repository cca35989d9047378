"""Coordinate: where an event lives.

`entity` names the stream: it owns the version count and a hash chain. `scope` is a label for
isolation and filtering. Two coordinates with one entity and different scopes share the stream.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr

from batpak.errors import InvalidArgument, InvalidCoordinate
from batpak.faults import CoordinateFault
from batpak.override import override

BYTES_MAX: Final = 1024
RESERVED_PREFIX: Final = "batpak:"

_BAD: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/|=]|\.\.")


class Coordinate(Struct, frozen=True, order=True, gc=False):
    """An (entity, scope) pair. The constructor validates; there is no other way in.

    Both parts are 1..1024 bytes of UTF-8 without control characters, `/`, `..`, `|` and `=`.
    Nothing is normalised or case-folded.

    Raises:
        InvalidArgument: A part is no text.
        InvalidCoordinate: The first rule that fails, lengths before characters, entity first.
    """

    entity: str
    scope: str

    def __post_init__(self) -> None:
        if type(self.entity) is not str or type(self.scope) is not str:
            force_setattr(self, "entity", _plain("entity", self.entity))
            force_setattr(self, "scope", _plain("scope", self.scope))
        for component, value in (("entity", self.entity), ("scope", self.scope)):
            if not value:
                raise InvalidCoordinate(component, CoordinateFault.EMPTY, value)
        for component, value in (("entity", self.entity), ("scope", self.scope)):
            if _size(component, value) > BYTES_MAX:
                raise InvalidCoordinate(component, CoordinateFault.TOO_LONG, value)
        for component, value in (("entity", self.entity), ("scope", self.scope)):
            if _BAD.search(value):
                raise InvalidCoordinate(component, _fault(value), value)

    @override
    def __str__(self) -> str:
        return f"{self.entity}@{self.scope}"

    @property
    def reserved(self) -> bool:
        """Whether only the library itself writes here."""
        return self.entity.startswith(RESERVED_PREFIX)


def _plain(component: str, value: object) -> str:
    """The text of a subclass of `str`, such as a member of a StrEnum."""
    if not isinstance(value, str):
        raise InvalidArgument(component, f"must be text, not {type(value).__name__}")
    return str.__str__(value)


def _size(component: str, value: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise InvalidCoordinate(component, CoordinateFault.NOT_UTF8, value) from None


def _fault(value: str) -> CoordinateFault:
    """The first broken rule, in the order of `CoordinateFault`."""
    if "\x00" in value:
        return CoordinateFault.NUL
    if re.search(r"[\x01-\x1f\x7f-\x9f]", value):
        return CoordinateFault.CONTROL
    return CoordinateFault.PATH if re.search(r"/|\.\.", value) else CoordinateFault.SEPARATOR


LIFECYCLE: Final = Coordinate("batpak:store", "batpak:lifecycle")
"""Where a store writes what became of itself."""
