"""What a projection or a reactor says of itself, checked where its class is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from batpak.arguments import is_count, require_direct, text_of
from batpak.errors import InvalidArgument
from batpak.kind import EventKind
from batpak.region import kind_of


def check_declared(cls: type) -> None:
    """Check `NAME`, `VERSION`, `KINDS` and the methods that a class has of its own.

    `KINDS` may name kinds and payload classes, several or one; it becomes the set of the kinds.

    Raises:
        InvalidArgument: One of them is not what it has to be, or a method is `async def`.
    """
    own = vars(cls)
    if "NAME" in own and not text_of("NAME", own["NAME"]):
        raise InvalidArgument("NAME", "must not be empty")
    version = own.get("VERSION", 1)
    if hasattr(cls.__base__, "VERSION") and not (is_count(version) and version):
        raise InvalidArgument("VERSION", f"must be a number, 1 or more, not {version!r:.100}")
    if "KINDS" in own:
        setattr(cls, "KINDS", _kinds(own["KINDS"]))  # noqa: B010  a class of which only that is known
    for name, member in own.items():
        if callable(member) and any(hasattr(base, name) for base in cls.__bases__):
            require_direct(name, member)


def _kinds(given: object) -> frozenset[EventKind]:
    if isinstance(given, EventKind | type) or not isinstance(given, Iterable):
        return frozenset({kind_of("KINDS", given)})
    return frozenset(kind_of("KINDS", one) for one in cast("Iterable[object]", given))
