"""The registry: which class of this program reads which stored kind and version.

Filled by importing generated modules, used for decoding only, never to find user code. One per
process, because decoding must not depend on which store is open.
"""

from __future__ import annotations

import sys
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
Upcast: TypeAlias = Callable[[S], msgspec.Struct]


class Entry(msgspec.Struct):
    """What the registry knows of one payload class."""

    cls: type[msgspec.Struct]
    kind: EventKind
    version: int
    decode: Decode | None = None
    check: Check[msgspec.Struct] | None = None
    canonical: Canonical[msgspec.Struct] | None = None
    reserved: bool = False  # an event of the store itself
    former: bool = False
    upcast: Upcast[msgspec.Struct] | None = None  # of a former version: to the next one
    deprecated: str | None = None  # what to do instead; None once that was said


_BY_KIND: Final[dict[int, Entry]] = {}  # current versions
_BY_CLASS: Final[dict[type, Entry]] = {}
_FORMER: Final[dict[tuple[int, int], Entry]] = {}  # by kind and version


class UpcastFailed(Exception):
    """An upcast raised, or gave something else than the next version."""


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
    kind, version = _numbers(cls, kind, version)
    if deprecated is not None and type(deprecated) is not str:
        raise RegistryError(f"{_name(cls)}.DEPRECATED must be text: what to write instead")
    former = _FORMER.get((kind, version))
    if former is not None:
        raise _claimed(kind, version, former.cls, cls)
    old = _BY_KIND.get(kind)
    if old is not None:
        if not _same(old, cls, version):
            raise _claimed(kind, version, old.cls, cls)
        del _BY_CLASS[old.cls]
    _BY_KIND[kind] = _BY_CLASS[cls] = Entry(
        cls, kind, version, reserved=kind.reserved, deprecated=deprecated
    )


def register_former(cls: type[msgspec.Struct], kind: object, version: object) -> None:
    """Take the class of a former version in. The same class again replaces the old one.

    Raises:
        RegistryError: A bad KIND or VERSION, or another class has this version.
    """
    kind, version = _numbers(cls, kind, version)
    current = _BY_KIND.get(kind)
    if current is not None and current.version == version:
        raise _claimed(kind, version, current.cls, cls)
    old = _FORMER.get((kind, version))
    if old is not None and not _same(old, cls, version):
        raise _claimed(kind, version, old.cls, cls)
    _FORMER[kind, version] = Entry(cls, kind, version, former=True)


def _numbers(cls: type, kind: object, version: object) -> tuple[EventKind, int]:
    name = _name(cls)
    if not isinstance(kind, EventKind):
        hint = "write `KIND: ClassVar[EventKind] = …`; without ClassVar it is a field"
        found = f"not {type(kind).__name__}; {hint}"
        raise RegistryError(f"{name}.KIND must be an EventKind, {found}")
    if type(version) is not int or not 1 <= version <= 0xFFFF:
        raise RegistryError(f"{name}.VERSION must be an integer in 1..65535")
    return kind, version


def _claimed(kind: EventKind, version: int, one: type, other: type) -> RegistryError:
    return RegistryError(
        f"kind {kind} version {version} is claimed by {_name(one)} and {_name(other)}"
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


def install_upcast(cls: type[S], upcast: Upcast[S]) -> None:
    """Say how a former version becomes the next one. Installing again replaces.

    Raises:
        RegistryError: `cls` is not the registered class of a former version.
    """
    entry = former_of_class(cls)
    if entry is None:
        raise RegistryError(f"{_name(cls)} is not a registered former version")
    entry.upcast = cast("Upcast[msgspec.Struct]", upcast)  # only ever called with a `cls`


def _entry(cls: type[msgspec.Struct]) -> Entry:
    entry = _BY_CLASS.get(cls)
    if entry is None:
        raise RegistryError(f"{_name(cls)} is not a registered payload class")
    return entry


def of_class(cls: type) -> Entry | None:
    """The entry of exactly this class, or None."""
    return _BY_CLASS.get(cls)


def former_of_class(cls: type) -> Entry | None:
    """The entry of exactly this class of a former version, or None."""
    found = (entry for entry in _FORMER.values() if entry.cls is cls)
    return next(found, None)


def lookup(kind: int) -> Entry | None:
    """The entry of the current version of this kind, or None."""
    return _BY_KIND.get(kind)


def versions(kind: int) -> list[Entry]:
    """The entries of every version of this kind, oldest first."""
    found = [entry for (of, _), entry in sorted(_FORMER.items()) if of == kind]
    current = _BY_KIND.get(kind)
    return found if current is None else [*found, current]


def entries() -> list[Entry]:
    """The entries of every version of every kind, in no order."""
    return [*_BY_KIND.values(), *_FORMER.values()]


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


def former_decoder(kind: EventKind, version: int) -> Decode:
    """What reads a former version and upcasts it to the current one.

    Upcasts are looked up at every call: one that is installed anew holds from then on.

    Raises:
        RegistryError: A version between this one and the current one is missing, or its upcast.
    """
    problems = gaps(kind, version)
    if problems:
        raise RegistryError(*problems)

    def decode(data: bytes) -> msgspec.Struct:
        entry = _FORMER[kind, version]
        return _upcast(entry, decoder(entry)(data))

    return decode


def _upcast(entry: Entry, value: msgspec.Struct) -> msgspec.Struct:
    """Lead a value from version to version up to the current one.

    Raises:
        UpcastFailed: Without the value: what is stored does not belong into messages.
    """
    while entry.former:
        at = _FORMER.get((entry.kind, entry.version + 1)) or _BY_KIND[entry.kind]
        hop = f"the upcast of {entry.cls.__qualname__}"
        if entry.upcast is None:
            raise UpcastFailed(f"{hop} is not installed")
        try:
            value = entry.upcast(value)
        except Exception as error:
            raise UpcastFailed(f"{hop} raised {type(error).__name__}") from error
        if type(value) is not at.cls:
            found = type(value).__qualname__
            raise UpcastFailed(f"{hop} gave a {found}, not a {at.cls.__qualname__}")
        entry = at
    return value


def gaps(kind: int, first: int = 1) -> list[str]:
    """What is missing between a version of a kind and the current one, a sentence each."""
    current = _BY_KIND[kind]
    problems: list[str] = []
    for version in range(first, current.version):
        entry = _FORMER.get((kind, version))
        hop = f"{current.cls.__qualname__} v{version} -> v{version + 1}"
        if entry is None:
            problems.append(f"{hop}: there is no class for version {version}")
        elif entry.upcast is None:
            problems.append(f"{hop} is not installed: {_left_to_the_user(entry.cls)}")
    return problems


def _left_to_the_user(former: type) -> str:
    """Which method of generated code waits for the upcast of a class, and what brings it."""
    package = former.__module__.rpartition(".")[0]
    upcasts = sys.modules.get(f"{package}.upcasts")
    for owner in vars(upcasts).values() if upcasts else ():
        for method in getattr(owner, "__abstractmethods__", ()):
            if getattr(owner, method).__annotations__.get("old") == former.__qualname__:
                name = f"{owner.__qualname__}.{method}"
                return f"{name}; import the module that calls {package}.upcasts.install_upcasts"
    return f"{former.__qualname__} has no upcast; write abi.upcast_from({former.__qualname__})"


def validate() -> None:
    """Build every decoder, so that a bad annotation is found before a store is touched.

    Raises:
        RegistryError: Every class that cannot be decoded, every former version that nothing
            leads on from, every one that is none.
    """
    problems: list[str] = []
    for entry in list(_BY_KIND.values()):
        problems += gaps(entry.kind)
    for entry in list(_FORMER.values()):
        current = _BY_KIND.get(entry.kind)
        if current is None or current.version <= entry.version:
            newer = f"no later version of kind {entry.kind} is"
            problems.append(f"{_name(entry.cls)} is a former version, and {newer}")
    for entry in [*_BY_KIND.values(), *_FORMER.values()]:
        try:
            decoder(entry)
        except RegistryError as error:
            problems += error.problems
    if problems:
        raise RegistryError(*problems)
