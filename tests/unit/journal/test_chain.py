"""The short way through a frame and the long way always come to the same end.

The long way decodes a frame, spells it anew and compares; the short way compares lengths and
leading bytes. Would slip through without it: a second spelling of an event that the short way lets
pass, a fact it takes from the wrong place, a verdict that depends on the way.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batpak import codec
from batpak.journal import frame
from batpak.journal.chain import Chain
from batpak.journal.frame import Fault, Why
from batpak.record import ENTITY_AT
from tests.unit.journal.logs import STORE_ID, Item, log_of
from tests.unit.journal.ways import LongWay, outcome

LENGTHS: Final = st.sampled_from([0, 1, 3, 30, 31, 32, 33, 200, 255, 256, 257, 65_535, 65_536])
NAMES: Final = st.sampled_from(
    ["a", "a:1", "é" * 15, "n" * 31, "n" * 32, "n" * 255, "n" * 256, "ключ:7", "𝄞", "batpak:store"]
)


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    found: list[Item] = []
    for _ in range(draw(st.integers(1, 5))):
        count = draw(st.sampled_from([1, 1, 1, 2, 3]))
        key = draw(st.none() | st.binary(min_size=1, max_size=255))
        extensions = draw(st.none() | st.just({"app.trace": b"x", "b": b""}))
        found += [
            Item(
                entity=draw(NAMES),
                scope=draw(NAMES),
                payload=bytes(draw(LENGTHS)),
                key=key,
                extensions=extensions,
                index=index,
                count=count,
                cause=draw(st.sampled_from([bytes(16), bytes(8) + b"\1" * 8, b"\1" + bytes(15)])),
                correlation=draw(st.none() | st.binary(min_size=16, max_size=16)),
            )
            for index in range(count)
        ]
    return found


@settings(max_examples=150, deadline=None)
@given(items(), st.booleans())
def test_both_ways_take_in_the_same_events(made: list[Item], hashed: bool) -> None:
    log = log_of(made)

    short = outcome(bytes(log.data), log, Chain, hashed=hashed)

    assert short == outcome(bytes(log.data), log, LongWay, hashed=hashed)
    assert short[2] is Why.END
    assert [one.sequence for unit in short[0] for one in unit] == list(range(len(made)))


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from([1, 31, 32, 255]),
    st.none() | st.binary(min_size=1, max_size=40),
    st.sampled_from([0, 3, 255, 256]),
    st.integers(0, 2),
    st.integers(0, 10_000),
    st.integers(0, 255),
    st.sampled_from(["set", "insert", "delete", "flip", "cut"]),
)
def test_both_ways_judge_a_forged_frame_alike(
    name: int, key: bytes | None, size: int, before: int, where: int, value: int, how: str
) -> None:
    """The checksum is right, so only what the frame says can give it away."""
    item = Item(entity="n" * name, payload=bytes(size), key=key)
    log = log_of([item] * before)
    at = log.end
    body = bytearray(log.add(item))
    place = where % len(body) if where % 3 else ENTITY_AT + where % (len(body) - ENTITY_AT)
    if how == "set":
        body[place] = value
    elif how == "insert":
        body.insert(place, value)
    elif how == "delete":
        del body[place]
    elif how == "flip":
        body[place] ^= 1 << value % 8
    else:
        del body[place:]
    if not body:
        return
    data = bytes(log.data[:at]) + frame.encode(bytes(body), at, log.seed)

    for hashed in (True, False):
        short = outcome(data, log, Chain, hashed=hashed)

        assert short == outcome(data, log, LongWay, hashed=hashed)


def other_spellings(body: bytes) -> list[bytes]:
    """The same five values in every longer form that MessagePack has."""
    parts = codec.decoder(list[object]).decode(body)
    head, entity, scope, _, payload = parts
    assert isinstance(head, bytes)
    assert isinstance(entity, str)
    assert isinstance(scope, str)
    assert isinstance(payload, bytes)

    def text(value: str) -> list[bytes]:
        data = value.encode()
        size = len(data)
        forms = [b"\xd9" + bytes([size]), b"\xda" + size.to_bytes(2, "big")]
        return [form + data for form in [*forms, b"\xdb" + size.to_bytes(4, "big")]]

    def binary(data: bytes) -> list[bytes]:
        size = len(data)
        return [b"\xc5" + size.to_bytes(2, "big") + data, b"\xc6" + size.to_bytes(4, "big") + data]

    short = [b"\x95", b"\xc4\xa6" + head, *map(codec.encode, (entity, scope, None, payload))]
    longer = {
        0: [b"\xdc\x00\x05", b"\xdd\x00\x00\x00\x05"],
        1: binary(head),
        2: text(entity),
        3: text(scope),
        5: binary(payload),
    }
    return [
        b"".join((*short[:part], form, *short[part + 1 :]))
        for part, forms in longer.items()
        for form in forms
    ]


@pytest.mark.parametrize("known", [False, True])
def test_no_other_spelling_passes(known: bool) -> None:
    log = log_of([Item()] * known)
    at = log.end
    spellings = other_spellings(log.add(Item()))

    verdicts = [
        outcome(bytes(log.data[:at]) + frame.encode(one, at, log.seed), log, Chain, hashed=False)[2]
        for one in spellings
    ]

    assert len(spellings) == 12
    assert all(isinstance(verdict, Fault) for verdict in verdicts)


def test_one_object_serves_all_events_of_a_coordinate() -> None:
    log = log_of([Item(), Item(entity="user:22"), Item(), Item(scope="other"), Item()])

    units, _, _ = outcome(bytes(log.data), log, Chain, hashed=True)

    names = [unit[0].names for unit in units]
    assert names[0] is names[2] is names[4]
    assert (names[1].entity, names[3].scope) == ("user:22", "other")
    assert names[1].entity_stored + names[1].scope_stored == b"\xa7user:22\xa4acme"
    assert names[1].hashed == b"\x00\x07user:22\x00\x04acme"


def test_a_batch_count_of_zero_is_stepped_over() -> None:
    log = log_of([Item()])
    body = log.bodies[0]
    zero = body[:17] + bytes(4) + body[21:]
    found = frame.decode(zero)
    chain = Chain(STORE_ID, hashed=False)
    assert isinstance(found, frame.Frame)

    fault = chain.fault(found)
    chain.advance(found)

    assert isinstance(fault, Fault)
    assert (chain.sequence, chain.item) == (1, 0)
