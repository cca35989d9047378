"""An edit that mends every checksum is still found, because the hashes chain.

The attacker of this module can write the directory and knows the format: each forged frame has a
right CRC for its place. Would slip through without it: a field that is checked by the CRC alone.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from batpak import codec
from batpak.clock import WALL_MS_MAX
from batpak.errors import CorruptStore, FutureVersion
from batpak.faults import Damage
from batpak.journal import frame, header
from batpak.journal.chain import Chain
from batpak.journal.frame import Frame
from batpak.platform import REAL
from batpak.record import Parts, decode_parts
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.facts import PLAIN, USER, Counted, Said

VICTIM: Final = 3
FIELDS: Final = {  # name -> (offset in the head, struct)
    "flags": (1, "B"),
    "kind": (2, ">H"),
    "payload_version": (4, ">H"),
    "key_ref": (6, ">I"),
    "wall_ms": (18, ">Q"),
    "counter": (26, ">I"),
    "version": (38, ">Q"),
    "event_id": (60, "B"),
    "correlation_id": (70, "B"),
    "causation_id": (90, "B"),
    "prev_hash": (100, "B"),
    "event_hash": (130, "B"),
    "sequence": (30, ">Q"),
    "batch_count": (14, ">I"),
    "type": (0, "B"),
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    with Store.open(path, PLAIN) as opened:
        for n in range(8):
            opened.append(
                USER if n % 2 else replace(USER, entity="user:2"),
                Counted(n=n),
                idempotency_key=f"k{n}",
                extensions={"app.trace": b"x"},
            )
    return path


def frames_of(path: Path) -> tuple[bytes, list[Parts], int]:
    """The header bytes, the bodies, and the seed of the only segment."""
    data = (path / "000001.fbat").read_bytes()
    decoded, at = header.decode(data, "000001.fbat")
    seed, start, parts = frame.seed(decoded), at, []
    while at < len(data):
        body = frame.body_at(data, at, len(data), at, seed)
        assert isinstance(body, bytes)
        parts.append(decode_parts(body))
        at += 8 + len(body)
    return data[:start], parts, seed


def forge(path: Path, change: Callable[[list[Parts]], None]) -> None:
    """Change the events and write them back with right checksums."""
    begin, parts, seed = frames_of(path)
    change(parts)
    data = begin
    for part in parts:
        data += frame.encode(codec.encode(part), len(data), seed)
    (path / "000001.fbat").write_bytes(data)


def with_head(part: Parts, offset: int, code: str) -> Parts:
    head = bytearray(part.head)
    (value,) = struct.unpack_from(code, head, offset)
    struct.pack_into(code, head, offset, value + 1 if value + 1 < 256 or code != "B" else 0)
    return replace(part, head=bytes(head))


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_header_field_with_a_mended_checksum_is_found(store: Path, field: str) -> None:
    def change(parts: list[Parts]) -> None:
        parts[VICTIM] = with_head(parts[VICTIM], *FIELDS[field])

    forge(store, change)

    try:
        report = verify_path(store, REAL)
    except FutureVersion:
        assert field == "type"  # a stub, as a later release writes it
        return
    assert not report.ok
    assert report.findings[0].sequence in (VICTIM, VICTIM + 1, VICTIM + 2)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": b"\x81\xa1n\x7f"},
        {"entity": "user:9"},
        {"entity": "user:2"},
        {"scope": "other"},
        {"opt": None},
        {"opt": (b"k9", (("app.trace", b"x"),))},
        {"opt": (b"k3", (("app.trace", b"y"),))},
        {"opt": (b"k3", (("app.trade", b"x"),))},
        {"opt": (None, (("app.trace", b"x"),))},
    ],
    ids=str,
)
def test_a_changed_body_with_a_mended_checksum_is_found(
    store: Path, change: dict[str, object]
) -> None:
    forge(store, lambda parts: parts.__setitem__(VICTIM, replace(parts[VICTIM], **change)))

    report = verify_path(store, REAL)

    assert next(one.sequence for one in report.findings if one.reason is Damage.CHAIN) == VICTIM


def test_an_edit_that_mends_its_own_hash_breaks_the_next_one(store: Path) -> None:
    log_prev, store_id = b"", b""

    def change(parts: list[Parts]) -> None:
        nonlocal log_prev
        part = replace(parts[VICTIM], payload=b"\x81\xa1n\x7f")
        log_prev = parts[VICTIM - 1].head[126:158]
        found = frame.decode(codec_encode(part))
        assert isinstance(found, Frame)
        own = found.expected_hash(store_id, log_prev)
        head = part.head[:126] + own + part.head[158:]
        parts[VICTIM] = replace(part, head=head)

    store_id = header.read(REAL.open_dir(str(store), create=False), "000001.fbat")[0].store_id
    forge(store, change)

    report = verify_path(store, REAL)

    assert not report.ok
    assert {one.sequence for one in report.findings} == {VICTIM + 1, VICTIM + 2}


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (18, struct.pack(">Q", WALL_MS_MAX + 1)),  # later than the year 9999
        (46, b"\xff" * 16),  # no UUIDv7, and no room for another id after it
        (52, b"\x40"),  # a UUIDv4
        (54, b"\x00"),  # another variant
    ],
)
def test_a_time_and_an_id_that_cannot_be_are_faults_whatever_the_hash_says(
    store: Path, offset: int, value: bytes
) -> None:
    first = frames_of(store)[1][0]
    head = first.head[:offset] + value + first.head[offset + len(value) :]
    found = frame.decode(codec_encode(replace(first, head=head)))
    assert isinstance(found, Frame)

    fault = Chain(b"", hashed=False).fault(found)

    assert fault is not None
    assert fault.reason is Damage.ORDER


def codec_encode(part: Parts) -> bytes:
    return frame.encode(codec.encode(part), 0, 0)[8:]


def swap(parts: list[Parts]) -> None:
    parts[2], parts[4] = parts[4], parts[2]


def duplicate(parts: list[Parts]) -> None:
    parts.insert(VICTIM, parts[VICTIM])


def drop(parts: list[Parts]) -> None:
    del parts[VICTIM]


def drop_entity(parts: list[Parts]) -> None:
    parts[:] = [part for part in parts if part.entity != "user:2"]


def cut(parts: list[Parts]) -> None:
    del parts[-1]


@pytest.mark.parametrize("change", [swap, duplicate, drop, drop_entity, cut])
def test_a_log_with_other_events_is_found(
    store: Path, change: Callable[[list[Parts]], None]
) -> None:
    forge(store, change)

    report = verify_path(store, REAL)

    assert not report.ok
    with pytest.raises(CorruptStore):
        Store.open(store)


def test_a_file_of_another_store_is_found(store: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "other", PLAIN) as other:
        other.append(USER, Said(text="x"))
    shutil.copy(tmp_path / "other" / "000001.fbat", store / "000001.fbat")

    assert not verify_path(store, REAL).ok
    with pytest.raises(CorruptStore):
        Store.open(store)
