"""Old bytes become current payloads on every path, and a broken way up is said before it is used.

Without this, an event written by last year's code could be lost to this year's: skipped, misread,
or found unreadable only when somebody asks for it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, cast, final

import pytest

from batpak import abi, codec, registry, wire
from batpak.coordinate import Coordinate
from batpak.errors import (
    DecodeFailed,
    FutureVersion,
    InvalidArgument,
    PayloadInvalid,
    RegistryError,
)
from batpak.faults import DecodeStage
from batpak.kind import EventKind
from batpak.payload import AnyPayload, EventPayload, FormerPayload
from batpak.region import Region
from batpak.store import Store
from batpak.wire import DICT, RAW
from tests.kept import kept_classes

KIND = EventKind.custom(0xE, 0x3B1)
ANNA = Coordinate("guest:anna", "hotel")


@final
class GuestV1(FormerPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = KIND
    VERSION: ClassVar[int] = 1

    name: str


@final
class GuestV2(FormerPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = KIND
    VERSION: ClassVar[int] = 2

    first: str
    last: str


@final
class Guest(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = KIND
    VERSION: ClassVar[int] = 3

    first: str
    last: str
    nights: int


@abi.upcast_from(GuestV1)
def upcast_guest_v1(old: GuestV1) -> GuestV2:
    first, _, last = old.name.partition(" ")
    return GuestV2(first=first, last=last)


@abi.upcast_from(GuestV2)
def upcast_guest_v2(old: GuestV2) -> Guest:
    return Guest(first=old.first, last=old.last, nights=1)


V1 = codec.encode({"name": "Anna Bell"})
V2 = codec.encode({"first": "Anna", "last": "Bell"})
ANNA_BELL = Guest(first="Anna", last="Bell", nights=1)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put back the classes and the upcasts that a test has changed."""
    former = dict(registry._FORMER)
    upcasts = {entry.cls: entry.upcast for entry in former.values()}
    with kept_classes():
        yield
    for entry in former.values():
        entry.upcast = upcasts[entry.cls]


def store_of_all_versions(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write one event of each version, as the code of its day did."""
    with Store.open(path) as store, monkeypatch.context() as past:
        past.delitem(cast("dict[Any, Any]", registry._BY_KIND), KIND)
        store.append_raw(ANNA, KIND, V1, payload_version=1)
        store.append_raw(ANNA, KIND, V2, payload_version=2)
    with Store.open(path) as store:
        store.append(ANNA, ANNA_BELL)


def test_every_read_path_gives_current_payloads_from_old_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_of_all_versions(tmp_path, monkeypatch)
    with Store.open(tmp_path) as store:
        first = next(store.query(Region(kinds=Guest)))

        assert [e.payload for e in store.query(Region(kinds=Guest))] == [ANNA_BELL] * 3
        assert [e.payload for e in store.by_fact(Guest)] == [ANNA_BELL] * 3
        assert [e.payload for e in store.stream("guest:anna")] == [ANNA_BELL] * 3
        assert store.get(first.sequence).payload == ANNA_BELL
        assert store.get(first.event_id, Guest).payload == ANNA_BELL
        assert [e.payload_version for e in store.by_fact(Guest)] == [1, 2, 3]


def test_plain_values_are_those_of_the_current_version_and_raw_bytes_are_as_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_of_all_versions(tmp_path, monkeypatch)
    with Store.open_read_only(tmp_path) as store:
        plain = [e.payload for e in store.stream("guest:anna", form=DICT)]
        raw = [e.payload for e in store.stream("guest:anna", form=RAW)]

    assert plain == [{"first": "Anna", "last": "Bell", "nights": 1}] * 3
    assert raw == [V1, V2, codec.encode(ANNA_BELL)]


def test_the_current_version_decodes_with_the_very_decoder_of_its_class() -> None:
    entry = registry.lookup(KIND)

    assert entry is not None
    assert wire.decoder(KIND, 3, wire.TYPED, None) == registry.decoder(entry)


def test_a_newer_version_is_refused_and_not_guessed() -> None:
    with pytest.raises(FutureVersion) as newer:
        wire.decode(KIND, 4, V2, 7)

    assert (newer.value.found, newer.value.supported) == (4, 3)


def test_an_upcast_that_is_installed_again_holds_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_of_all_versions(tmp_path, monkeypatch)
    with Store.open(tmp_path) as store:
        before = next(store.by_fact(Guest)).payload
        abi.install_upcast(GuestV2, lambda old: Guest(first="A.", last=old.last, nights=2))
        after = next(store.by_fact(Guest)).payload

    assert (before, after) == (ANNA_BELL, Guest(first="A.", last="Bell", nights=2))


def wrong(old: GuestV2) -> GuestV2:
    return old


def failing(old: GuestV2) -> Guest:
    raise ValueError(old.last)


@pytest.mark.parametrize("upcast", [wrong, failing])
def test_an_upcast_that_fails_is_decode_failed_and_says_nothing_of_what_is_stored(
    upcast: Callable[[GuestV2], AnyPayload], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_of_all_versions(tmp_path, monkeypatch)
    abi.install_upcast(GuestV2, upcast)

    with pytest.raises(DecodeFailed, match="the upcast of GuestV2") as failed:
        wire.decode(KIND, 1, V1, 5)
    with Store.open(tmp_path) as store, pytest.raises(DecodeFailed) as stored:
        list(store.by_fact(Guest))

    assert failed.value.stage is stored.value.stage is DecodeStage.UPCAST
    assert "Bell" not in str(failed.value)


def test_old_bytes_that_are_not_of_their_version_fail_by_shape() -> None:
    with pytest.raises(DecodeFailed) as failed:
        wire.decode(KIND, 1, V2)

    assert failed.value.stage is DecodeStage.SHAPE


def test_a_former_version_is_not_appended_and_the_current_one_is_named(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        with pytest.raises(InvalidArgument, match=r"GuestV1 is a former version.*append a Guest"):
            store.append(ANNA, cast("Any", GuestV1(name="Anna Bell")))
        with pytest.raises(PayloadInvalid, match="version 1 is not appended; the current one is 3"):
            store.append_raw(ANNA, KIND, V1, payload_version=1)


def test_a_store_does_not_open_while_an_upcast_is_missing(tmp_path: Path) -> None:
    entry = registry.former_of_class(GuestV2)
    assert entry is not None
    entry.upcast = None

    with pytest.raises(RegistryError) as missing:
        Store.open(tmp_path / "store")

    assert missing.value.problems == (
        "Guest v2 -> v3 is not installed: GuestV2 has no upcast; write abi.upcast_from(GuestV2)",
    )
    assert not (tmp_path / "store").exists()
    with pytest.raises(RegistryError, match="v2 -> v3"):
        wire.decode(KIND, 1, V1)


def test_a_version_without_a_class_is_a_gap() -> None:
    del registry._FORMER[KIND, 2]

    with pytest.raises(RegistryError, match="Guest v2 -> v3: there is no class for version 2"):
        registry.validate()


def test_a_version_is_claimed_once() -> None:
    def claim(base: type, version: int) -> None:
        given = {"KIND": KIND, "VERSION": version}
        options = {"frozen": True, "kw_only": True}
        types.new_class("Other", (base,), options, lambda names: names.update(given))

    for base, version in ((FormerPayload, 1), (FormerPayload, 3), (EventPayload, 2)):
        with pytest.raises(RegistryError, match=rf"version {version} is claimed by .*Other"):
            claim(base, version)


def test_a_former_version_needs_a_later_one() -> None:
    kind = EventKind.custom(0xE, 0x3B2)

    class LonelyV1(FormerPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = kind
        VERSION: ClassVar[int] = 1

    with pytest.raises(RegistryError, match="LonelyV1 is a former version, and no later version"):
        registry.validate()
    assert registry.former_of_class(LonelyV1) is not None


def test_an_upcast_binds_to_a_former_version_only() -> None:
    with pytest.raises(RegistryError, match="Guest is not a registered former version"):
        abi.install_upcast(cast("Any", Guest), lambda old: old)
