"""Payload classes by hand: enums that grow, and events that are not to be written any more.

Without this, a value that nobody knows could be stored as if somebody had meant it, or a warning
could point into the library, come with every append, or not come at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import ClassVar, final

import pytest
from msgspec import Struct

from batpak import codec, registry, wire
from batpak.checks import is_member
from batpak.errors import DecodeFailed, PayloadInvalid, RegistryError
from batpak.kind import EventKind
from batpak.payload import EventPayload, OpenEnum, WireEnum


@final
class Reason(OpenEnum):
    FRAUD = "fraud"
    STOCK = "stock"
    UNRECOGNIZED = "\0"


@final
class Side(WireEnum):
    LEFT = "left"


class Pair(Struct, frozen=True):
    one: Reason
    two: frozenset[Reason] = frozenset()


class Ended(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x301)
    VERSION: ClassVar[int] = 1

    reason: Reason
    pairs: tuple[Pair, ...] = ()
    by_name: Mapping[str, Reason] = {}
    note: str = ""


class Shrugged(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x302)
    VERSION: ClassVar[int] = 1
    DEPRECATED: ClassVar[str] = "write Ended"

    why: str


@pytest.fixture(autouse=True)
def unsaid() -> Iterator[None]:
    """Let the warning be said anew."""
    entry = registry.of_class(Shrugged)
    assert entry is not None
    entry.deprecated = Shrugged.DEPRECATED
    yield
    entry.deprecated = Shrugged.DEPRECATED


def read(reason: str) -> Ended:
    data = codec.encode({"reason": reason, "pairs": [], "by_name": {}, "note": ""})
    found = wire.decode(Ended.KIND, 1, data)
    assert isinstance(found, Ended)
    return found


def test_what_an_open_enum_does_not_know_reads_as_unrecognized() -> None:
    assert read("fraud").reason is Reason.FRAUD
    assert read("weather").reason is Reason.UNRECOGNIZED


def test_an_open_enum_reads_text_and_nothing_else() -> None:
    with pytest.raises(DecodeFailed):
        wire.decode(Ended.KIND, 1, codec.encode({"reason": 7}))
    with pytest.raises(ValueError, match="None"):
        Reason(None)


def test_a_closed_enum_does_not_know_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="right"):
        Side("right")


def test_unrecognized_is_no_member_that_a_check_lets_pass() -> None:
    assert is_member(Reason.FRAUD, Reason)
    assert not is_member(Reason.UNRECOGNIZED, Reason)
    assert not is_member("fraud", Reason)
    assert is_member(Side.LEFT, Side)
    assert not is_member(Reason.FRAUD, Side)


@pytest.mark.parametrize(
    "event",
    [
        Ended(reason=Reason.UNRECOGNIZED),
        Ended(reason=Reason.FRAUD, pairs=(Pair(Reason.UNRECOGNIZED),)),
        Ended(reason=Reason.FRAUD, pairs=(Pair(Reason.STOCK, frozenset({Reason.UNRECOGNIZED})),)),
        Ended(reason=Reason.FRAUD, by_name={"a": Reason.UNRECOGNIZED}),
    ],
)
def test_unrecognized_is_not_stored_by_a_class_without_checks_either(event: Ended) -> None:
    with pytest.raises(PayloadInvalid, match="UNRECOGNIZED"):
        wire.encode(event)


def test_text_that_looks_like_it_is_text() -> None:
    event = Ended(reason=Reason.FRAUD, pairs=(Pair(Reason.STOCK),), note="\0")

    found = wire.encode(event)

    assert wire.decode(found.kind, 1, found.data) == event


def test_a_deprecated_event_is_warned_about_once_at_the_line_that_appends_it() -> None:
    event = Shrugged(why="x")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first = wire.encode(event)
        again = wire.encode(event)

    assert [str(warning.message) for warning in caught] == ["Shrugged is deprecated: write Ended"]
    assert caught[0].category is DeprecationWarning
    assert caught[0].filename == __file__
    assert again == first


def test_reading_a_deprecated_event_is_no_reason_to_warn() -> None:
    data = codec.encode({"why": "x"})

    found = wire.decode(Shrugged.KIND, 1, data)

    assert found == Shrugged(why="x")


def test_a_warning_that_is_an_error_stores_nothing_and_is_said_again() -> None:
    for _ in range(2):
        with pytest.raises(DeprecationWarning, match="write Ended"):
            wire.encode(Shrugged(why="x"))


def test_what_to_do_instead_is_text() -> None:
    with pytest.raises(RegistryError, match="DEPRECATED"):
        registry.register(Pair, EventKind.custom(0xE, 0x303), 1, deprecated=True)

    assert registry.lookup(0xE303) is None
