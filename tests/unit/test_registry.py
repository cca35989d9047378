"""One class per kind, and every class readable before a store is touched.

Without this, two packages could claim one number and each decode the other's events.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from batpak import registry
from batpak.checks import Problems
from batpak.errors import RegistryError
from batpak.kind import EventKind
from batpak.payload import EventPayload
from tests.kept import kept_classes
from tests.unit.parcels import ParcelSeen, Stamp

SOURCE = """
class Visited(EventPayload, frozen=True, kw_only=True):
    KIND = EventKind.custom(0xE, 0x201)
    VERSION = {version}
    {field}: {type_}
"""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Forget the classes that a test has registered."""
    with kept_classes():
        yield


def load(
    module: str, field: str = "page", type_: str = "str", version: int = 1
) -> type[EventPayload]:
    """Run the source of a payload class as if it were a module of that name."""
    names: dict[str, Any] = {
        "EventPayload": EventPayload,
        "EventKind": EventKind,
        "__name__": module,
        "__annotations__": {},
    }
    exec(SOURCE.format(field=field, type_=type_, version=version), names)  # noqa: S102  a reload
    visited: type[EventPayload] = names["Visited"]
    return visited


def test_a_class_is_found_by_its_kind_and_by_itself() -> None:
    visited = load("one")

    assert registry.lookup(0xE201) is registry.of_class(visited)
    assert EventKind.custom(0xE, 0x201) in registry.kinds()


def test_a_reload_replaces_the_class_and_the_old_one_is_a_payload_no_more() -> None:
    old, new = load("one"), load("one")

    entry = registry.lookup(0xE201)

    assert entry is not None
    assert entry.cls is new
    assert registry.of_class(old) is None


@pytest.mark.parametrize(
    "second",
    [("two",), ("one", "other"), ("one", "page", "str", 2)],
)
def test_another_class_for_the_same_kind_is_refused_and_both_are_named(
    second: tuple[Any, ...],
) -> None:
    first = load("one")

    with pytest.raises(RegistryError, match=r"kind 0xe201 .* one\.Visited and \w+\.Visited"):
        load(*second)

    assert registry.of_class(first) is registry.lookup(0xE201)


@pytest.mark.parametrize(
    ("kind", "version", "said"),
    [
        (0xE202, 1, "KIND must be an EventKind, not int"),
        (EventKind.custom(0xE, 0x202), 0, "VERSION must be an integer"),
        (EventKind.custom(0xE, 0x202), 65536, "VERSION must be an integer"),
        (EventKind.custom(0xE, 0x202), True, "VERSION must be an integer"),
        (EventKind.custom(0xE, 0x202), "1", "VERSION must be an integer"),
    ],
)
def test_a_bad_kind_or_version_is_refused_while_the_class_is_created(
    kind: object, version: object, said: str
) -> None:
    given = {"KIND": kind, "VERSION": version}

    with pytest.raises(RegistryError, match=said):
        types.new_class("Bad", (EventPayload,), {}, lambda names: names.update(given))


def test_a_class_says_its_own_kind_and_version_and_inherits_neither() -> None:
    base = load("one")

    with pytest.raises(RegistryError, match="Special has no KIND"):
        types.new_class("Special", (base,), {"frozen": True, "kw_only": True})


def test_a_check_binds_to_a_registered_class_only() -> None:
    def check(value: Stamp, problems: Problems) -> None:
        del value, problems

    with pytest.raises(RegistryError, match="Stamp is not a registered payload class"):
        registry.check_for(Stamp)(check)

    with pytest.raises(RegistryError, match="Stamp is not a registered payload class"):
        registry.canonical_for(Stamp)(lambda value: value)


def test_validate_names_every_class_that_cannot_be_read() -> None:
    load("one", type_="'Missing'")

    class Second(EventPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x203)
        VERSION: ClassVar[int] = 2

    with pytest.raises(RegistryError) as bad:
        registry.validate()

    said = "; ".join(bad.value.problems)
    assert "one.Visited cannot be decoded" in said
    assert "Second v1 -> v2: there is no class for version 1" in said
    assert registry.of_class(Second) is not None


def test_validate_builds_the_decoders() -> None:
    registry.validate()

    entry = registry.of_class(ParcelSeen)

    assert entry is not None
    assert entry.decode is not None
