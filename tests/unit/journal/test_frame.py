"""One frame by itself: what its bytes may be, and in which words a wrong one is refused.

Would slip through without it: a frame at the limit of its length, a second spelling of an event,
a hostile record that takes the process down instead of being named.
"""

from __future__ import annotations

from typing import Final

import pytest

from batpak import codec, digest, record
from batpak.faults import Damage
from batpak.journal import frame
from batpak.journal.frame import BODY_BYTES_MAX, FRAME_BYTES_MIN, Fault, Frame, Why
from batpak.record import MARK, Opt, Parts, decode_parts
from tests.unit.journal.logs import Item, Log, log_of

SEED: Final = 7
BODY: Final = log_of([Item()]).bodies[0]


def read(data: bytes, at: int = 0, end: int | None = None) -> bytes | Why:
    return frame.body_at(memoryview(data), at, len(data) if end is None else end, at, SEED)


def changed(**change: object) -> bytes:
    """The record of an event with other parts, spelt as this format spells it."""
    parts = decode_parts(BODY)
    given = {name: change.get(name, getattr(parts, name)) for name in Parts.__struct_fields__}
    return codec.encode(Parts(**given))  # type: ignore[arg-type]  # wrong ones are the point


def with_head(at: int, value: bytes) -> bytes:
    head = decode_parts(BODY).head
    return changed(head=head[:at] + value + head[at + len(value) :])


def test_a_body_is_read_back_from_its_own_place_only() -> None:
    data = b"xyz" + frame.encode(BODY, 3, SEED)

    assert read(data, 3) == BODY
    assert read(b"x" + data, 4) is Why.CRC
    assert frame.body_at(memoryview(data), 3, len(data), 3, SEED + 1) is Why.CRC


@pytest.mark.parametrize(
    ("at", "end", "why"),
    [
        (0, 0, Why.END),
        (9, 8, Why.END),
        (0, 1, Why.SHORT_HEADER),
        (0, 7, Why.SHORT_HEADER),
        (0, 8, Why.SHORT_BODY),
        (0, 8 + len(BODY) - 1, Why.SHORT_BODY),
    ],
)
def test_a_frame_that_is_not_there_whole_is_told_by_what_is_there(
    at: int, end: int, why: Why
) -> None:
    assert read(frame.encode(BODY, 0, SEED), at, end) is why


@pytest.mark.parametrize("change", [1, -1])
def test_a_checksum_that_is_larger_or_smaller_does_not_pass(change: int) -> None:
    data = frame.encode(BODY, 0, SEED)
    wrong = (int.from_bytes(data[4:8], "big") + change).to_bytes(4, "big")

    assert read(data[:4] + wrong + data[8:]) is Why.CRC


def test_a_length_of_zero_is_no_frame_whatever_its_checksum() -> None:
    assert read(frame.encode(b"", 0, SEED)) is Why.ZERO
    assert read(frame.encode(b"x", 0, SEED)) == b"x"


def test_a_frame_has_at_most_17_mib() -> None:
    assert BODY_BYTES_MAX == 17 * 1024 * 1024
    longest = BODY_BYTES_MAX.to_bytes(4, "big")
    longer = (BODY_BYTES_MAX + 1).to_bytes(4, "big")

    assert read(longest + bytes(4)) is Why.SHORT_BODY
    assert read(longer + bytes(4)) is Why.LENGTH


def test_the_smallest_event_has_the_smallest_frame() -> None:
    log = Log()
    log.add(Item(entity="a", scope="b", payload=b""))

    assert log.end - log.start == FRAME_BYTES_MIN


def test_a_frame_says_what_was_written() -> None:
    item = Item("ключ:7", "acme", b"\xc0", b"key", {"b.x": b"1", "a.x": b""}, cause=b"c" * 16)
    log = log_of([item])

    found = frame.decode(log.bodies[0])

    assert isinstance(found, Frame)
    assert (found.entity, found.scope, found.payload) == ("ключ:7", "acme", b"\xc0")
    assert (found.key, found.extensions) == (b"key", {"a.x": b"", "b.x": b"1"})
    assert (found.sequence, found.version, found.causation_id) == (0, 1, b"c" * 16)
    assert found.id_hi == int.from_bytes(found.event_id[:8], "big")


@pytest.mark.parametrize(("key", "extensions"), [(None, None), (b"k", None), (None, {"a.x": b"1"})])
def test_what_an_event_does_not_have_is_none_or_empty(
    key: bytes | None, extensions: dict[str, bytes] | None
) -> None:
    found = frame.decode(log_of([Item(key=key, extensions=extensions)]).bodies[0])

    assert isinstance(found, Frame)
    assert found.key == key
    assert found.extensions == (extensions or {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        MARK,
        BODY[:-1],
        BODY + b"\xc0",
        BODY.replace(b"user:1", b"user:\xff"),
        changed(payload="text"),
        b"\x96" + BODY[1:] + b"\x91" * 100_000,
        b"\x96" + BODY[1:] + b"\xc0",
        changed(head=decode_parts(BODY).head[:-1]),
        changed(head=decode_parts(BODY).head + b"\0"),
        with_head(0, b"\x00"),
        with_head(0, b"\x04"),
        with_head(4, b"\x00\x00"),
        with_head(38, bytes(8)),
    ],
    ids=range(15),
)
def test_what_is_spelt_wrong_is_a_fault_of_the_frame(body: bytes) -> None:
    found = frame.decode(body)

    assert isinstance(found, Fault)
    assert found.reason is Damage.FRAME
    assert found.detail


@pytest.mark.parametrize(
    ("opt", "is_ours"),
    [
        (None, True),
        ((b"k", None), True),
        ((b"k" * 255, None), True),
        ((b"k" * 256, None), False),
        ((b"", None), False),
        ((None, None), False),
        ((None, ()), False),
        ((b"k", ()), False),
        ((None, (("a.x", b""),)), True),
        ((b"k" * 255, (("a.x", b""),)), True),
        ((b"k" * 256, (("a.x", b""),)), False),
        ((b"", (("a.x", b""),)), False),
        ((None, (("a.x", b""), ("b.x", b""))), True),
        ((None, (("b.x", b""), ("a.x", b""))), False),
        ((None, (("a.x", b""), ("a.x", b""))), False),
        ((None, tuple((f"{letter}.x", b"") for letter in "abcdefghijklmnop")), True),
    ],
)
def test_a_key_and_extensions_have_one_spelling(opt: Opt | None, is_ours: bool) -> None:
    assert isinstance(frame.decode(changed(opt=opt)), Frame) == is_ours


@pytest.mark.parametrize("stub", [2, 3])
def test_a_stub_is_a_frame_with_a_hash_for_its_payload(stub: int) -> None:
    body = with_head(0, bytes([stub]))
    whole = frame.decode(with_head(0, b"\1"))
    assert isinstance(whole, Frame)
    content = digest.content_hash(whole.payload)

    found = frame.decode(record.stub_of(body, len(whole.payload), stub, content))

    assert isinstance(frame.decode(body), Fault)
    assert isinstance(found, Frame)
    assert found.type == stub
    assert found.content_hash == whole.content_hash == content
    assert found.event_hash == whole.event_hash
