"""The registry: which class of this program reads which stored kind.

Filled by importing generated modules, used for decoding only, never to find user code. One per
process, because decoding must not depend on which store is open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar, cast

import msgspec

from batpak import codec
from batpak.checks import Problems
from batpak.errors import RegistryError
from batpak.kind import EventKind

S = TypeVar("S", bound=msgspec.Struct)

Decode: TypeAlias = Callable[[bytes], msgspec.Struct]
Check: TypeAlias = Callable[[S, Problems], None]
Canonical: TypeAlias = Callable[[S], S]


class Entry(msgspec.Struct):
    """What the registry knows of one payload class."""

    cls: type[msgspec.Struct]
    kind: EventKind
    version: int
    decode: Decode | None = None
    check: Check[msgspec.Struct] | None = None
    canonical: Canonical[msgspec.Struct] | None = None
    reserved: bool = False  # an event of the store itself
    deprecated: str | None = None  # what to do instead; None once that was said


_BY_KIND: Final[dict[int, Entry]] = {}
_BY_CLASS: Final[dict[type, Entry]] = {}


def register(
    cls: type[msgspec.Struct], kind: object, version: object, deprecated: object = None
) -> None:
    """Take a payload class in. The same class again (a reload) replaces the old one.

    Args:
        cls: The class.
        kind: Its KIND.
        version: Its VERSION.
        deprecated: Its DEPRECATED, if it has one: what to write instead.

    Raises:
        RegistryError: A bad KIND or VERSION, or another class has this kind.
    """
    name = _name(cls)
    if not isinstance(kind, EventKind):
        hint = "write `KIND: ClassVar[EventKind] = …`; without ClassVar it is a field"
        found = f"not {type(kind).__name__}; {hint}"
        raise RegistryError(f"{name}.KIND must be an EventKind, {found}")
    if type(version) is not int or not 1 <= version <= 0xFFFF:
        raise RegistryError(f"{name}.VERSION must be an integer in 1..65535")
    if deprecated is not None and type(deprecated) is not str:
        raise RegistryError(f"{name}.DEPRECATED must be text: what to write instead")
    old = _BY_KIND.get(kind)
    if old is not None and not _same(old, cls, version):
        raise RegistryError(
            f"kind {kind} version {version} is claimed by {_name(old.cls)} and {name}"
        )
    if old is not None:
        del _BY_CLASS[old.cls]
    _BY_KIND[kind] = _BY_CLASS[cls] = Entry(
        cls, kind, version, reserved=kind.reserved, deprecated=deprecated
    )


def _same(old: Entry, cls: type, version: int) -> bool:
    """Whether `cls` is the registered class once more: its module was loaded a second time."""
    return (
        _name(old.cls) == _name(cls)
        and old.version == version
        and list(old.cls.__annotations__) == list(cls.__annotations__)
    )


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def check_for(cls: type[S]) -> Callable[[Check[S]], Check[S]]:
    """Bind the append-time check of a registered class; for generated code.

    Raises:
        RegistryError: `cls` is not registered.
    """

    def bind(check: Check[S]) -> Check[S]:
        _entry(cls).check = cast("Check[msgspec.Struct]", check)  # only ever called with a `cls`
        return check

    return bind


def canonical_for(cls: type[S]) -> Callable[[Canonical[S]], Canonical[S]]:
    """Bind the function that brings a value of a class into its one spelling.

    Raises:
        RegistryError: `cls` is not registered.
    """

    def bind(canonical: Canonical[S]) -> Canonical[S]:
        _entry(cls).canonical = cast("Canonical[msgspec.Struct]", canonical)  # as above
        return canonical

    return bind


def _entry(cls: type[msgspec.Struct]) -> Entry:
    entry = _BY_CLASS.get(cls)
    if entry is None:
        raise RegistryError(f"{_name(cls)} is not a registered payload class")
    return entry


def of_class(cls: type) -> Entry | None:
    """The entry of exactly this class, or None."""
    return _BY_CLASS.get(cls)


def lookup(kind: int) -> Entry | None:
    """The entry that reads this kind, or None."""
    return _BY_KIND.get(kind)


def kinds() -> frozenset[EventKind]:
    """Every kind that some imported class reads."""
    return frozenset(entry.kind for entry in _BY_KIND.values())


def decoder(entry: Entry) -> Decode:
    """The decoder of one class, built on first use.

    Raises:
        RegistryError: The annotations of the class cannot be decoded.
    """
    if entry.decode is None:
        try:
            entry.decode = codec.decoder(entry.cls).decode
        except Exception as error:  # annotations are evaluated, and may be anything
            raise RegistryError(f"{_name(entry.cls)} cannot be decoded: {error}") from error
    return entry.decode


def validate() -> None:
    """Build every decoder, so that a bad annotation is found before a store is touched.

    Raises:
        RegistryError: Every class that cannot be decoded, or has former versions that nothing
            reads.
    """
    problems: list[str] = []
    for entry in list(_BY_KIND.values()):
        if entry.version > 1:
            problems.append(f"{_name(entry.cls)} v{entry.version}: there is no upcast from v1")
        try:
            decoder(entry)
        except RegistryError as error:
            problems += error.problems
    if problems:
        raise RegistryError(*problems)
