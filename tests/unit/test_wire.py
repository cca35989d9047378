"""The one way to bytes and back: accepted means readable, equal, and spelled one way.

Without this, an event could be stored that nobody can read again, or one value could have two
content hashes, and idempotency and judged-is-stored would rest on sand.
"""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak import codec, digest, wire
from batpak.errors import DecodeFailed, FutureVersion, InvalidArgument, PayloadInvalid, UnknownKind
from batpak.faults import DecodeStage
from batpak.payload import EventPayload
from batpak.seal import Seal
from tests.unit.parcels import NOON, Carrier, ParcelId, ParcelPacked, ParcelSeen, ParcelSent, Stamp

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
STAMPS = st.builds(
    Stamp,
    value=st.decimals(0, 999, places=2) | st.integers(0, 999).map(Decimal),
    carrier=st.sampled_from(Carrier),
)
OFFSETS = st.just(dt.UTC) | st.integers(-1439, 1439).map(
    lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))
)
PACKED = st.builds(
    ParcelPacked,
    parcel_id=st.uuids().map(ParcelId),
    pieces=st.integers(1, 1000),
    weight=st.decimals(-999_999, 999_999, places=3) | st.sampled_from([Decimal("-0"), Decimal(2)]),
    volume=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    insured=st.booleans(),
    stamps=st.lists(STAMPS, max_size=5).map(tuple),
    labels=st.dictionaries(TEXT, TEXT),
    fees=st.dictionaries(TEXT, st.decimals(0, 999_999, places=1)),
    marks=st.frozensets(TEXT),
    seal=st.binary(max_size=16),
    packed_at=st.datetimes(
        dt.datetime(2, 1, 1),  # noqa: DTZ001  bounds are naive, values are not
        dt.datetime(9998, 12, 31),  # noqa: DTZ001
        timezones=OFFSETS,
    ),
    due=st.none() | st.dates(),
    hold=st.timedeltas(),
    note=st.none() | TEXT.map(lambda text: text[:50]),
)
PARCEL = ParcelPacked(
    parcel_id=ParcelId(UUID(int=1)),
    pieces=1,
    weight=Decimal(1),
    volume=1.5,
    insured=True,
    stamps=(Stamp(value=Decimal(1), carrier=Carrier.DHL),),
    labels={"b": "2", "a": "1"},
    fees={},
    marks=frozenset({"x", "y"}),
    seal=b"s",
    packed_at=NOON,
)
HOSTILE: list[Any] = [
    None, True, 0, -1, 10**5000, 0.5, float("nan"), float("-inf"), "", "\ud800", "x" * 10_000,
    b"", bytearray(b"x"), [], [1], (), (1,), {}, {1: 2}, {"a": object()}, set(), frozenset({1}),
    Decimal("NaN"), Decimal("1E+999999"), Decimal("0.1234567"), UUID(int=1), Carrier.DHL, NOON,
    NOON.replace(tzinfo=None), dt.date.min, dt.timedelta.min, object(), type, Stamp, PARCEL,
    Stamp(value=Decimal("0.001"), carrier=Carrier.DHL), (PARCEL.stamps[0],) * 6,
]  # fmt: skip


def test_nobody_but_encode_says_that_a_payload_is_encoded_already() -> None:
    encoded = wire.encode(ParcelSeen(where="here"))
    forged = replace(encoded, data=b"\xc1", seal=cast("Seal", None))

    assert wire.encode(encoded) is encoded
    with pytest.raises(InvalidArgument, match="Encoded"):
        wire.encode(forged)


@given(PACKED)
def test_what_is_accepted_decodes_to_an_equal_value_that_encodes_to_the_same_bytes(
    payload: ParcelPacked,
) -> None:
    first = wire.encode(payload)

    again = wire.decode(first.kind, first.version, first.data)

    assert again == payload
    assert wire.encode(again) == first
    assert first.content_hash == digest.content_hash(first.data)


@given(PACKED)
def test_equal_values_have_equal_bytes(payload: ParcelPacked) -> None:
    other = replace(
        payload,
        labels=dict(reversed(list(payload.labels.items()))),
        packed_at=payload.packed_at.astimezone(dt.timezone(dt.timedelta(hours=3))),
        weight=payload.weight.normalize(),
    )

    assert other == payload
    assert wire.encode(other) == wire.encode(payload)


@pytest.mark.parametrize("field", ParcelPacked.__struct_fields__)
def test_a_hostile_value_in_any_field_is_refused_or_survives_and_nothing_else(field: str) -> None:
    for value in HOSTILE:
        payload = replace(PARCEL, **{field: value})
        problems: tuple[str, ...] = ()
        try:
            stored = wire.encode(payload)
        except PayloadInvalid as refused:
            problems = refused.problems
        else:
            assert wire.decode(stored.kind, stored.version, stored.data) == payload
        assert all(problem.startswith(f"$.{field}") for problem in problems)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
def test_a_payload_without_checks_is_held_to_the_same_promise(value: object) -> None:
    payload = ParcelSeen(where=cast("str", value))
    try:
        stored = wire.encode(payload)
    except PayloadInvalid:
        return

    assert wire.decode(stored.kind, stored.version, stored.data) == payload


def test_every_problem_is_named_with_its_place_and_none_is_left_out() -> None:
    bad: Any = replace(
        PARCEL,
        pieces=0,
        stamps=(PARCEL.stamps[0], Stamp(value=Decimal("0.001"), carrier=Carrier.POST)),
        packed_at=NOON.replace(tzinfo=None),
    )

    with pytest.raises(PayloadInvalid) as refused:
        wire.encode(bad)

    assert refused.value.kind == ParcelPacked.KIND
    assert [problem.partition(":")[0] for problem in refused.value.problems] == [
        "$.pieces",
        "$.stamps[1].value",
        "$.packed_at",
    ]
    assert "ParcelPacked: $.pieces: expected an integer in 1..1000, got 0; " in str(refused.value)


@pytest.mark.parametrize(
    "value", [{"where": "x"}, None, Stamp(value=Decimal(1), carrier=Carrier.DHL)]
)
def test_only_an_instance_of_a_registered_class_is_a_payload(value: object) -> None:
    with pytest.raises(InvalidArgument, match="not a registered EventPayload class"):
        wire.encode(cast("EventPayload", value))


def test_a_constraint_binds_the_writer_and_never_the_reader() -> None:
    too_many = codec.encode(replace(PARCEL, pieces=1001))

    payload = wire.decode(ParcelPacked.KIND, 1, too_many)

    assert isinstance(payload, ParcelPacked)
    assert payload.pieces == 1001


def test_unknown_keys_are_ignored_and_absent_fields_take_their_default() -> None:
    data = codec.encode({"where": "here", "added_later": 1})

    assert wire.decode(ParcelSeen.KIND, 1, data) == ParcelSeen(where="here")


def test_a_kind_that_no_class_claims_is_unknown() -> None:
    with pytest.raises(UnknownKind) as unknown:
        wire.decode(0xEFFF, 1, b"\x80", sequence=7)

    assert (unknown.value.kind, unknown.value.sequence) == (0xEFFF, 7)


def test_bytes_of_a_newer_schema_are_not_guessed_at() -> None:
    with pytest.raises(FutureVersion) as future:
        wire.decode(ParcelSeen.KIND, 2, b"\x80")

    assert (future.value.found, future.value.supported) == (2, 1)


@pytest.mark.parametrize(
    ("data", "stage"),
    [
        (b"", DecodeStage.MSGPACK),
        (b"\xc1", DecodeStage.MSGPACK),
        (b"\x81\xa5where\xa1\xff", DecodeStage.MSGPACK),
        (b"\x81\xa5where\xa1x\x80", DecodeStage.MSGPACK),
        (b"\x80", DecodeStage.SHAPE),
        (b"\x81\xa5where\x01", DecodeStage.SHAPE),
        (b"\x91" * 5000, DecodeStage.SHAPE),
    ],
)
def test_the_right_kind_that_does_not_decode_is_an_error_with_its_stage(
    data: bytes, stage: DecodeStage
) -> None:
    with pytest.raises(DecodeFailed) as failed:
        wire.decode(ParcelSeen.KIND, 1, data, sequence=3)

    assert (failed.value.stage, failed.value.sequence) == (stage, 3)


def test_mutated_bytes_decode_to_a_value_or_fail_as_such_and_nothing_else() -> None:
    rng = random.Random(20240501)  # noqa: S311  reproducible
    good = wire.encode(PARCEL).data
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            payload = wire.decode(ParcelPacked.KIND, 1, bytes(data))
        except DecodeFailed:
            continue
        assert type(payload) is ParcelPacked


@given(st.binary(max_size=64))
def test_any_bytes_decode_to_a_value_or_fail_as_such_and_nothing_else(data: bytes) -> None:
    try:
        payload = wire.decode(ParcelSent.KIND, 1, data)
    except DecodeFailed:
        return

    assert type(payload) is ParcelSent


@given(PACKED)
def test_what_another_store_has_is_taken_as_it_is(payload: ParcelPacked) -> None:
    stored = wire.encode(payload)

    found = wire.check_stored(stored.kind, stored.data, stored.version, 7)

    assert (found.data, found.content_hash) == (stored.data, stored.content_hash)


@pytest.mark.parametrize(
    ("again", "problem"),
    [
        (b"\xa7carrier\xa3dhl", "a map has a key twice"),
        (b"\xa5extra\x81\x91\x01\x02", "a map has a key that is no scalar"),
    ],
)
def test_what_a_class_reads_and_nothing_else_does_is_not_taken(again: bytes, problem: str) -> None:
    sent = ParcelSent(parcel_id=ParcelId(UUID(int=1)), carrier=Carrier.DHL, sent_at=NOON)
    stored = wire.encode(sent)
    data = bytes([stored.data[0] + 1]) + stored.data[1:] + again
    assert wire.decode(stored.kind, stored.version, data) == sent

    with pytest.raises(PayloadInvalid, match=f"event 7 of the source: .*{problem}"):
        wire.check_stored(stored.kind, data, stored.version, 7)
