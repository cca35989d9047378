"""A payload reads as its class, as plain values, or as the stored bytes; and the three agree.

Also what may be appended as bytes. Would slip through without it: bytes that are taken in and can
never be read again; a value with two spellings; a form that skips what it cannot decode.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from batpak import codec
from batpak.append import BatchItem, RawPayload
from batpak.coordinate import Coordinate
from batpak.errors import (
    DecodeFailed,
    FutureVersion,
    InvalidArgument,
    InvalidKind,
    PayloadInvalid,
    TooLarge,
    UnknownKind,
)
from batpak.event import StoredEvent
from batpak.faults import DecodeStage
from batpak.journal import frame, header
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.projection import Projection
from batpak.record import decode_parts
from batpak.region import Region
from batpak.store import Store
from batpak.wire import DICT, RAW, TYPED, Form
from tests.facts import FAST, USER, Counted, Said

STRANGE: Final = EventKind.custom(0xE, 0x7A0)
"""Nothing in this program reads it."""


@final
class Rich(EventPayload, frozen=True, kw_only=True, gc=False):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x7A1)
    VERSION: ClassVar[int] = 1

    who: UUID
    at: dt.datetime
    blob: bytes
    tags: tuple[str, ...]
    counts: dict[str, int]
    rate: float
    maybe: str | None
    done: bool


facts = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(lambda n: Counted(n=n)),
    st.text(max_size=60).map(lambda text: Said(text=text)),
    st.builds(
        Rich,
        who=st.uuids(),
        at=st.datetimes(timezones=st.just(dt.UTC), min_value=dt.datetime(1970, 1, 1)),  # noqa: DTZ001
        blob=st.binary(max_size=40),
        tags=st.lists(st.text(max_size=5), max_size=4).map(tuple),
        counts=st.dictionaries(st.text(max_size=4), st.integers(-9, 300), max_size=4),
        rate=st.floats(allow_nan=False),
        maybe=st.none() | st.text(max_size=5),
        done=st.booleans(),
    ),
)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One writer for all random values: each appends and reads its own."""
    with Store.open(tmp_path_factory.mktemp("forms") / "store", FAST) as store:
        store.append(USER, Counted(n=0))
        yield store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", FAST) as opened:
        yield opened


@given(several=st.lists(facts, min_size=1, max_size=5))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_three_forms_agree_on_every_path(kept: Store, several: list[EventPayload]) -> None:
    after = kept.append_batch([BatchItem(USER, fact) for fact in several])[0].sequence - 1

    typed = list(kept.query(after=after))
    plain_values = list(kept.query(after=after, form=DICT))
    raw = list(kept.query(after=after, form=RAW))

    assert [event.payload for event in typed] == several
    for fact, one, value, data in zip(several, typed, plain_values, raw, strict=True):
        assert data.payload == codec.encode(fact)
        assert value.payload == codec.decode_plain(data.payload)
        assert one.head == value.head == data.head
        each: list[tuple[Form[Any], object]] = [(TYPED, one), (DICT, value), (RAW, data)]
        for form, wanted in each:
            assert kept.get(one.event_id, form=form) == wanted
            assert kept.get(one.sequence, one.kind, form=form) == wanted
            assert next(kept.stream("user:1", first_version=one.version, form=form)) == wanted
            assert next(kept.by_scope("acme", after=one.sequence - 1, form=form)) == wanted
            assert next(kept.by_fact(one.kind, after=one.sequence - 1, form=form)) == wanted
            assert next(kept.by_correlation(one.correlation_id, form=form)) == wanted
            assert kept.page(after=one.sequence - 1, limit=1, form=form).items == (wanted,)
            assert kept.walk_ancestors(one.event_id, limit=1, form=form).events == (wanted,)


@given(value=plain)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_no_class_reads_is_read_plain_and_raw(kept: Store, value: object) -> None:
    data = codec.encode(value)

    receipt = kept.append_raw(USER, STRANGE, data, payload_version=7)

    assert kept.get(receipt.sequence, form=DICT).payload == value
    event = kept.get(receipt.sequence, form=RAW)
    assert (event.payload, event.payload_version) == (data, 7)
    with pytest.raises(UnknownKind) as caught:
        kept.get(receipt.sequence)
    assert caught.value.kind == STRANGE


@given(data=st.binary(max_size=24))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_that_are_taken_in_can_be_read(kept: Store, data: bytes) -> None:
    before = kept.frontier().written
    try:
        receipt = kept.append_raw(USER, STRANGE, data)
    except PayloadInvalid:
        assert kept.frontier().written == before
        return

    assert kept.get(receipt.sequence, form=RAW).payload == data
    kept.get(receipt.sequence, form=DICT)


HOSTILE: Final = {
    "nothing": b"",
    "cut": b"\xa5abc",
    "two values": b"\x01\x02",
    "a key twice": b"\x82\xa1n\x01\xa1n\x02",
    "a key twice inside": b"\x91\x81\xa1m\x82\xa1n\x01\xa1n\x02",
    "a key twice in two spellings": b"\x82\x01\xc0\xcc\x01\xc0",
    "a key that is a list": b"\x81\x91\x01\x02",
    "nested deeper than 64": b"\x91" * 65 + b"\x01",
    "maps nested deeper than 64": b"\x81\xa1n" * 65 + b"\x01",
    "a list of four billion": b"\xdd\xff\xff\xff\xff",
    "bytes of four gigabytes": b"\xc6\xff\xff\xff\xff",
    "no UTF-8": b"\xa1\xff",
    "a byte that begins nothing": b"\xc1",
    "a time that is none": b"\xc7\x0c\xff" + b"\xff" * 12,
}


@pytest.mark.parametrize("kind", [STRANGE, Counted.KIND], ids=["unknown", "known"])
@pytest.mark.parametrize("name", HOSTILE)
def test_bytes_that_are_no_single_value_are_not_taken_in(
    store: Store, name: str, kind: EventKind
) -> None:
    store.append(USER, Counted(n=1))

    with pytest.raises(PayloadInvalid):
        store.append_raw(USER, kind, HOSTILE[name])
    with pytest.raises(PayloadInvalid) as caught:
        store.append_batch([BatchItem(USER, Counted(n=2)), _raw(kind, HOSTILE[name])])

    assert caught.value.item_index == 1
    assert store.append(USER, Counted(n=3)).sequence == 1


def _raw(kind: EventKind, data: bytes) -> BatchItem:
    return BatchItem(USER, RawPayload(kind, data))


def test_64_levels_are_taken_in(store: Store) -> None:
    data = b"\x91" * 64 + b"\x01"

    receipt = store.append_raw(USER, STRANGE, data)

    assert codec.encode(store.get(receipt.sequence, form=DICT).payload) == data


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\xa1n\xcc\x05",  # 5, in two bytes
        b"\xde\x00\x01\xa1n\x05",  # a map of one, the long way
        b"\x82\xa1n\x05\xa1x\x05",  # a field more
        b"\x80",  # a field less
        b"\x81\xa1n\xa15",  # text
        b"\x81\xa1n\xcb@\x14\x00\x00\x00\x00\x00\x00",  # 5.0
        b"\x05",
    ],
)
def test_bytes_of_a_known_kind_have_to_be_what_its_class_is_stored_as(
    store: Store, data: bytes
) -> None:
    with pytest.raises(PayloadInvalid):
        store.append_raw(USER, Counted.KIND, data)
    with pytest.raises(PayloadInvalid):
        store.append_raw(USER, Counted.KIND, codec.encode(Counted(n=5)), payload_version=2)

    assert store.append_raw(USER, Counted.KIND, codec.encode(Counted(n=5))).sequence == 0
    assert store.get(0, Counted).payload == Counted(n=5)


BAD_CALLS: Final[list[tuple[type[Exception], Callable[[Store], object]]]] = [
    (InvalidArgument, lambda s: s.append_raw(USER, STRANGE, "text")),  # type: ignore[arg-type]  # hostile
    (InvalidArgument, lambda s: s.append_raw(USER, STRANGE, bytearray(b"\x01"))),  # type: ignore[arg-type]  # hostile
    (InvalidArgument, lambda s: s.append_raw(USER, STRANGE, b"\x01", payload_version=0)),
    (InvalidArgument, lambda s: s.append_raw(USER, STRANGE, b"\x01", payload_version=1 << 16)),
    (InvalidArgument, lambda s: s.append_raw(USER, STRANGE, b"\x01", payload_version=True)),
    (InvalidArgument, lambda s: s.append_raw(USER, 0xE7A0, b"\x01")),  # type: ignore[arg-type]  # hostile
    (InvalidKind, lambda s: s.append_raw(USER, EventKind.from_wire(1), b"\x01")),
    (TooLarge, lambda s: s.append_raw(USER, STRANGE, codec.encode(b"x" * (1 << 20)))),
]


@pytest.mark.parametrize(("error", "call"), BAD_CALLS)
def test_a_raw_append_is_checked_before_anything_is_written(
    store: Store, error: type[Exception], call: Callable[[Store], object]
) -> None:
    with pytest.raises(error):
        call(store)

    assert store.frontier().written == 0


def test_a_raw_append_is_an_append(store: Store) -> None:
    cause = store.append(USER, Counted(n=1), idempotency_key="one")
    again = store.append_raw(USER, Counted.KIND, codec.encode(Counted(n=1)), idempotency_key="one")
    raw = store.append_raw(
        Coordinate("b", "y"),
        STRANGE,
        b"\xc0",
        payload_version=3,
        expected_version=0,
        idempotency_key=b"two",
        caused_by=cause,
        flags=9,
        extensions={"app.trace": b"x"},
    )

    assert again.replayed
    assert again.claim == cause.claim
    event = store.get(raw.sequence, form=RAW)
    assert (event.coordinate, event.kind, event.payload_version) == (
        Coordinate("b", "y"),
        STRANGE,
        3,
    )
    assert (event.flags, event.idempotency_key, event.causation_id, event.correlation_id) == (
        9,
        b"two",
        cause.event_id,
        cause.correlation_id,
    )
    assert event.extensions == {"app.trace": b"x"}


class Total(Struct, frozen=True):
    sum: int = 0


@final
class Sum(Projection[Total]):
    KINDS = frozenset({Counted.KIND})

    @override
    def initial(self) -> Total:
        return Total()

    @override
    def apply(self, state: Total, event: StoredEvent[EventPayload], /) -> Total:
        assert isinstance(event.payload, Counted)
        return Total(state.sum + event.payload.n)


def test_a_kind_that_no_class_reads_stops_a_typed_read_and_no_other(store: Store) -> None:
    store.append(USER, Counted(n=1))
    store.append_raw(USER, STRANGE, b"\x01")
    store.append(USER, Counted(n=2))

    for ask in (
        lambda: list(store.query()),
        lambda: list(store.stream("user:1")),
        lambda: list(store.by_scope("acme", reverse=True)),
        store.page,
    ):
        with pytest.raises(UnknownKind):
            ask()
    typed = store.query()
    assert next(typed).payload == Counted(n=1)
    with pytest.raises(UnknownKind):
        next(typed)
    assert [event.payload for event in store.query(form=DICT)] == [{"n": 1}, 1, {"n": 2}]
    assert [event.payload.n for event in store.by_fact(Counted)] == [1, 2]
    assert store.project(Sum(), "user:1") == Total(3)
    assert store.count(Region(kinds=STRANGE)) == 1


def test_a_payload_of_a_newer_schema_says_so(store: Store) -> None:
    kind = EventKind.custom(0xE, 0x7A3)
    store.append_raw(USER, kind, b"\x81\xa1n\x01", payload_version=2)

    class Older(EventPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = kind
        VERSION: ClassVar[int] = 1

        n: int

    assert kind == Older.KIND
    with pytest.raises(FutureVersion) as caught:
        store.get(0)
    assert (caught.value.found, caught.value.supported) == (2, 1)
    assert store.get(0, form=DICT).payload == {"n": 1}


def test_a_payload_of_another_shape_stops_a_typed_read(store: Store) -> None:
    kind = EventKind.custom(0xE, 0x7A4)
    store.append_raw(USER, kind, b"\x81\xa1n\xa1x")

    class Numbered(EventPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = kind
        VERSION: ClassVar[int] = 1

        n: int

    with pytest.raises(DecodeFailed) as caught:
        list(store.by_fact(Numbered))
    assert (caught.value.stage, caught.value.sequence) == (DecodeStage.SHAPE, 0)
    assert store.get(0, form=DICT).payload == {"n": "x"}


@pytest.mark.parametrize("name", [name for name, data in HOSTILE.items() if data])
def test_stored_bytes_that_are_no_single_value_are_told(tmp_path: Path, name: str) -> None:
    data = HOSTILE[name]
    path = tmp_path / "store"
    with Store.open(path, FAST) as store:
        store.append_raw(
            USER, STRANGE, codec.encode(b"?" * (len(data) - 2)) if len(data) > 1 else b"\x01"
        )
    _forge(path / "000001.fbat", data)

    with Store.open_read_only(path) as reader:
        assert reader.get(0, form=RAW).payload == data
        for ask in (lambda: reader.get(0, form=DICT), lambda: list(reader.query(form=DICT))):
            with pytest.raises(DecodeFailed) as caught:
                ask()
            assert caught.value.sequence == 0
            if name != "a time that is none":
                assert caught.value.stage is DecodeStage.MSGPACK


def _forge(file: Path, payload: bytes) -> None:
    """Give the only event another payload of the same size, and mend its checksum."""
    stored = file.read_bytes()
    decoded, at = header.decode(stored, file.name)
    body = frame.body_at(stored, at, len(stored), at, frame.seed(decoded))
    assert isinstance(body, bytes)
    assert len(decode_parts(body).payload) == len(payload)
    forged = frame.encode(body[: -len(payload)] + payload, at, frame.seed(decoded))
    file.write_bytes(stored[:at] + forged + stored[at + len(forged) :])


def test_forms_say_what_they_are() -> None:
    assert [repr(form) for form in (Form.TYPED, Form.DICT, Form.RAW)] == [
        "Form.TYPED",
        "Form.DICT",
        "Form.RAW",
    ]
