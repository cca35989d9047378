"""What a caller without a type checker may pass: each wrong thing is named, and changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from batpak import wire
from batpak.append import BatchItem
from batpak.config import Limits, StoreConfig
from batpak.errors import InvalidArgument, PayloadInvalid, RegistryError, StoreClosed
from batpak.ids import operation_key
from batpak.kind import EventKind
from batpak.payload import EventPayload, WireEnum
from batpak.read.witness import AtLeastOnce
from batpak.region import KindFilter, Region
from batpak.seal import SEAL
from batpak.store import Store
from batpak.wire import TYPED, Form
from tests.facts import PLAIN, USER, Counted


class Loose(EventPayload, frozen=True, kw_only=True):
    """Written by hand, so nothing but reading it back checks it."""

    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x7B5)
    VERSION: ClassVar[int] = 1

    number: float = 0.0
    texts: tuple[str, ...] = ()
    anything: Any = None


class Colour(WireEnum):
    RED = "red"


class Painted(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x7B6)
    VERSION: ClassVar[int] = 1

    colour: Colour


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "s", PLAIN) as opened:
        for n in range(3):
            opened.append(USER, Counted(n=n))
        yield opened


async def later(_: object) -> None:
    raise AssertionError("nobody would await it")


WRONG: Final[dict[str, tuple[str, Callable[[Any], object]]]] = {
    "event of a witness": ("event", lambda _: AtLeastOnce("mine", SEAL).operation_key(None)),  # type: ignore[arg-type]  # refused
    "sequence for a witness": ("event", lambda _: AtLeastOnce("mine", SEAL).once(3)),  # type: ignore[arg-type]  # refused
    "part of a key": ("parts", lambda s: AtLeastOnce("mine", SEAL).operation_key(s.get(0), None)),  # type: ignore[arg-type]  # refused
    "map": ("change", lambda s: s.subscribe_lossy().ops().map(None)),
    "asynchronous map": ("change", lambda s: s.subscribe_lossy().ops().map(later)),
    "filter": ("keep", lambda s: s.subscribe_lossy().ops().filter("x")),
    "scan": ("step", lambda s: s.subscribe_lossy().ops().scan(0, 0)),
    "seek": ("position", lambda s: s.cursor_guaranteed().seek("x")),
    "seek behind the log": ("position", lambda s: s.cursor_guaranteed().seek(4)),
    "kind, which is a number": ("which", lambda s: s.get(Counted.KIND)),
    "form of get": ("form", lambda s: s.get(0, form="raw")),
    "form of query": ("form", lambda s: s.query(form="raw")),
    "form of stream": ("form", lambda s: s.stream("user:1", form=None)),
    "form of by_scope": ("form", lambda s: s.by_scope("acme", form=dict)),
    "form of by_fact": ("form", lambda s: s.by_fact(Counted, form=1)),
    "form of page": ("form", lambda s: s.page(form="raw")),
    "form of ancestors": ("form", lambda s: s.walk_ancestors(s.get(0).event_id, form="raw")),
    "limit of query": ("limit", lambda s: s.query(limit=-1)),
    "limit that is a bool": ("limit", lambda s: s.query(limit=True)),
    "limit that is a float": ("limit", lambda s: s.stream("user:1", limit=1.0)),
    "limit of why": ("limit", lambda s: s.why(s.get(0).event_id, limit=None)),
    "limit of impact": ("limit", lambda s: s.impact(s.get(0).event_id, limit=None)),
    "depth of impact": ("max_depth", lambda s: s.impact(s.get(0).event_id, max_depth=-1)),
    "scope": ("scope", lambda s: s.by_scope(None)),
    "scope with a surrogate": ("scope", lambda s: s.by_scope("\ud800")),
    "entity of version": ("entity", lambda s: s.version("\ud800")),
    "entity of stream": ("entity", lambda s: s.stream("\ud800")),
    "entity that is a number": ("entity", lambda s: s.entities(0)),
    "prefix that is empty bytes": ("entity", lambda _: Region(entity=b"")),  # type: ignore[arg-type]  # what a checker refuses
    "one kind for several": ("kinds", lambda _: KindFilter.one_of(Counted.KIND)),  # type: ignore[arg-type]  # likewise
    "position of a cursor": ("position", lambda s: s.cursor_guaranteed().behind(None)),
    "progress of verify": ("progress", lambda s: s.verify(progress=0)),
    "progress of snapshot": ("progress", lambda s: s.snapshot("never", progress="x")),
    "entity that is bytes": ("entity", lambda s: s.version(b"user:1")),
    "category that is a float": ("category", lambda _: KindFilter.category(1.0)),  # type: ignore[arg-type]  # what a checker refuses
    "category that is a bool": ("category", lambda _: KindFilter.category(True)),
    "versions that are bools": ("versions", lambda _: Region(versions=(True, 2))),
    "filter of numbers": ("kinds", lambda _: KindFilter(kinds=frozenset({5}))),  # type: ignore[arg-type]  # what a checker refuses
    "filter of both": (
        "kinds",
        lambda _: KindFilter(kinds=frozenset({Counted.KIND}), categories=frozenset({1})),
    ),
    "kind that is a float": ("raw", lambda _: EventKind.from_wire(1.0)),  # type: ignore[arg-type]  # what a checker refuses
    "kind that is a bool": ("raw", lambda _: EventKind.from_wire(True)),
    "key part that is a float": ("parts", lambda _: operation_key("a", 1.5)),  # type: ignore[arg-type]  # what a checker refuses
    "key part with a surrogate": ("parts", lambda _: operation_key("a", "\ud800")),
    "key domain": ("domain", lambda _: operation_key(None)),  # type: ignore[arg-type]  # what a checker refuses
    "class for an instance": ("payload", lambda s: s.append(USER, Counted)),
    "callback": ("call", lambda s: s.submit(USER, Counted(n=9)).add_done_callback(5)),
    "empty path": ("path", lambda _: Store.open("")),
    "batch that holds no payload": (
        "limits.batch_max_bytes",
        lambda _: StoreConfig(limits=Limits(batch_max_bytes=1)),
    ),
    "line that holds no payload": (
        "limits.queue_max_bytes",
        lambda _: StoreConfig(limits=Limits(queue_max_bytes=1)),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_named_when_it_is_passed(store: Store, case: str) -> None:
    argument, call = WRONG[case]

    with pytest.raises(InvalidArgument) as caught:
        call(store)

    assert caught.value.argument == argument
    assert store.count() <= 4


def test_a_limit_beyond_any_number_of_events_is_none(store: Store) -> None:
    for limit in (sys.maxsize, sys.maxsize + 1, 10**30):
        assert len(list(store.query(limit=limit))) == 3
        assert len(store.walk_ancestors(store.get(2).event_id, limit=limit).events) == 3


@pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning")
def test_an_iterator_keeps_its_store_open(tmp_path: Path) -> None:
    Store.open(tmp_path / "s", PLAIN).close()
    with Store.open(tmp_path / "s", PLAIN) as store:
        store.append_batch([BatchItem(USER, Counted(n=n)) for n in range(3)])

    asked: list[Iterator[object]] = [
        Store.open_read_only(tmp_path / "s").query(),
        Store.open_read_only(tmp_path / "s").entries(),
        Store.open_read_only(tmp_path / "s").stream("user:1"),
        Store.open_read_only(tmp_path / "s").by_scope("acme", limit=5),
        Store.open_read_only(tmp_path / "s").by_fact(Counted),
    ]
    assert [len(list(one)) for one in asked] == [3] * 5


def test_a_stored_value_is_not_shown_where_it_cannot_be_read() -> None:
    data = b"\x81\xa6colour\xaesecret - at `x`"
    with pytest.raises(Exception, match="secret") as raised:
        wire.decoder(Painted.KIND, 1, TYPED, 7)(data)
    assert isinstance(raised.value, Exception)

    told = str(wire.decode_failed(raised.value, Painted.KIND, 1, 7))

    assert "secret" not in told
    assert "Invalid enum value - at `$.colour`" in told


def test_a_kind_that_is_a_field_is_told_what_it_lacks() -> None:
    with pytest.raises(RegistryError, match="without ClassVar it is a field"):

        class Slip(EventPayload, frozen=True, kw_only=True):
            KIND: EventKind = EventKind.custom(0xE, 0x7B7)  # type: ignore[misc]  # what a checker refuses
            VERSION: ClassVar[int] = 1


def test_names_are_not_told_once_the_store_is_closed(store: Store) -> None:
    names = store.entities()
    store.close()

    with pytest.raises(StoreClosed):
        next(names)


def test_receipts_share_nothing_that_can_be_changed(store: Store) -> None:
    first = store.append(USER, Counted(n=3))
    first.extensions["app.mine"] = b"x"  # type: ignore[index]  # what a checker refuses

    assert store.append(USER, Counted(n=4)).extensions == {}
    assert store.get(4).extensions == {}


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (Loose(number=3), "$.number: this int would be read back as a float"),
        (Loose(number=float("nan")), "$.number: this float would be read back as another float"),
        (Loose(texts=["a"]), "$.texts: this list would be read back as a tuple"),  # type: ignore[arg-type]  # what a checker refuses
        (Loose(anything={1, 2}), "$.anything: this set would be read back as a list"),
    ],
)
def test_a_value_that_does_not_come_back_is_refused_by_field(
    store: Store, payload: Loose, told: str
) -> None:
    with pytest.raises(PayloadInvalid) as caught:
        store.append(USER, payload)

    assert caught.value.problems == (told,)
    assert store.count() == 3


def test_what_is_nested_too_deep_to_be_read_without_its_class_is_not_taken_in(store: Store) -> None:
    deep: object = 0
    for _ in range(63):
        deep = [deep]
    store.append(USER, Loose(anything=deep))
    with pytest.raises(PayloadInvalid, match="nested deeper"):
        store.append(USER, Loose(anything=[[deep]]))

    assert len(list(store.query(form=Form.DICT))) == 4


def test_a_wide_value_is_not_taken_for_a_deep_one(store: Store) -> None:
    wide = [[n] for n in range(500)]
    store.append(USER, Loose(anything=wide))

    assert [one.payload for one in store.by_fact(Loose)] == [Loose(anything=wide)]
