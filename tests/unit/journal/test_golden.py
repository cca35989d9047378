"""The bytes on disk are the published ones, to the last bit.

The encoder below shares nothing with the library but the hash functions: it spells MessagePack by
hand. Without this module a change that reads its own output back would change the format.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, Final

import blake3
import pytest

from batpak import codec
from batpak.disk.posix import open_dir
from batpak.journal import frame, head, header
from batpak.journal.frame import Frame
from batpak.platform import REAL, Platform
from batpak.record import Parts
from batpak.recovery.restore import restore
from batpak.store import Store
from batpak.upkeep.verify import verify_path

FIXTURE: Final = Path(__file__).parents[2] / "fixtures" / "format-v2"
VECTORS: Final[dict[str, Any]] = json.loads((FIXTURE / "vectors.json").read_text())
STORE: Final = bytes(range(0x10, 0x20))
SALT: Final = bytes(range(0xA0, 0xA8))
NOW_NS: Final = 1_700_000_000_000_000_000
MS: Final = NOW_NS // 1_000_000


def text(value: str) -> bytes:
    data = value.encode()
    return bytes([0xA0 | len(data)]) + data


def binary(data: bytes) -> bytes:
    return b"\xc4" + bytes([len(data)]) + data


def by_hand(
    sequence: int,
    offset: int,
    *,
    entity: str,
    version: int,
    prev: bytes,
    log_prev: bytes,
    payload: bytes,
    durable: int,
    flags: int = 0,
    cause: int | None = None,
    root: int | None = None,
    batch: tuple[int, int] = (0, 1),
    opt: bytes = b"\xc0",
) -> tuple[bytes, bytes]:
    """One frame and its event hash, spelt out."""

    def identity(which: int) -> bytes:
        return struct.pack(">QQ", MS << 16 | 0x7000 | which, 1 << 63 | (which + 1))

    covered = struct.pack(">BHHIIIQI", flags, 0x1001, 1, 0, *batch, MS, sequence)
    covered += struct.pack(">QQ", sequence, version) + identity(sequence)
    covered += identity(sequence if root is None else root)
    covered += bytes(16) if cause is None else identity(cause)
    preimage = b"batpak.event.v2\0" + STORE + log_prev + prev + covered
    preimage += struct.pack(">H", len(entity)) + entity.encode()
    preimage += struct.pack(">H", 4) + b"acme" + struct.pack(">I", len(opt)) + opt
    own = blake3.blake3(preimage + blake3.blake3(payload).digest()).digest()
    body = b"\x95\xc4\xa6\x01" + covered + prev + own + struct.pack(">Q", durable)
    body += text(entity) + text("acme") + opt + binary(payload)
    bound = b"FBAT2" + STORE + struct.pack(">Q8sQI", 1, SALT, offset, len(body))
    return struct.pack(">II", len(body), zlib.crc32(bound + body)) + body, own


def header_by_hand() -> bytes:
    keys = {
        "version": b"\x02",
        "store_id": binary(STORE),
        "segment_id": b"\x01",
        "created_ns": b"\xcf" + struct.pack(">Q", NOW_NS),
        "first_sequence": b"\x00",
        "salt": binary(SALT),
        "prev": b"\xc0",
        "replaces": b"\xc0",
        "sealed": b"\xc0",
        "epoch": b"\x00",
        "origin": b"\xc0",
    }
    body = b"\x8b" + b"".join(text(key) + value for key, value in keys.items())
    data = b"FBAT" + struct.pack(">I", len(body)) + body
    return data + struct.pack(">I", zlib.crc32(data))


def segment_by_hand() -> tuple[list[bytes], bytes]:
    """The header and the four frames of the worked example, and the chain head."""
    zero = bytes(32)
    opt = b"\x92" + binary(b"k-1") + b"\x91\x92" + text("app.trace") + binary(b"\1\2\3\4")
    parts = [header_by_hand()]
    first, hash_0 = by_hand(
        0, 151, entity="user:1", version=1, prev=zero, log_prev=zero,
        payload=b"\x81\xa1n\x01", durable=0,
    )  # fmt: skip
    second, hash_1 = by_hand(
        1, 347, entity="user:1", version=2, prev=hash_0, log_prev=hash_0,
        payload=b"\x81\xa1n\xcc\xc8", durable=1, flags=1, cause=0, root=0, opt=opt,
    )  # fmt: skip
    third, hash_2 = by_hand(
        2, 567, entity="user:1", version=3, prev=hash_1, log_prev=hash_1,
        payload=b"\x81\xa1n\x03", durable=2, batch=(0, 2),
    )  # fmt: skip
    fourth, hash_3 = by_hand(
        3, 763, entity="user:2", version=1, prev=zero, log_prev=hash_2,
        payload=b"\x81\xa1n\x04", durable=2, batch=(1, 2), cause=2, root=2,
    )  # fmt: skip
    return [*parts, first, second, third, fourth], hash_3


def head_by_hand(chain_head: bytes) -> bytes:
    body = b"\x97" + binary(STORE) + b"\x01\x01\xcd\x03\xbf\x04" + binary(chain_head)
    body += b"\xcf" + struct.pack(">Q", NOW_NS)
    data = b"FBHD" + struct.pack(">HH", 1, len(body)) + body
    return data + struct.pack(">I", zlib.crc32(data))


def test_an_independent_encoder_gives_the_published_bytes() -> None:
    parts, chain_head = segment_by_hand()

    assert (FIXTURE / "000001.fbat").read_bytes() == b"".join(parts)
    assert (FIXTURE / "HEAD").read_bytes() == head_by_hand(chain_head)


def test_the_header_is_encoded_as_published() -> None:
    data = header.encode(
        store_id=STORE, segment_id=1, created_ns=NOW_NS, first_sequence=0, salt=SALT, prev=None
    )

    assert data == header_by_hand()
    assert frame.seed(header.decode(data, "f")[0]) == int(VECTORS["frame_seed"], 16) == 0x3181380E


def test_head_is_encoded_as_published() -> None:
    data = head.encode(head.Head(STORE, head.CLEAN, 1, 959, 4, segment_by_hand()[1], NOW_NS))

    assert data == (FIXTURE / "HEAD").read_bytes()


@pytest.mark.parametrize("event", VECTORS["events"], ids=lambda event: event["sequence"])
def test_each_frame_decodes_and_encodes_to_the_published_bytes(event: dict[str, Any]) -> None:
    data = bytes.fromhex(event["frame"])
    log_prev = bytes.fromhex(event["log_prev"])

    body = frame.body_at(data, 0, len(data), event["offset"], 0x3181380E)
    assert isinstance(body, bytes)
    found = frame.decode(body)

    assert isinstance(found, Frame)
    assert found.event_hash.hex() == event["event_hash"]
    assert found.expected_hash(STORE, log_prev).hex() == event["event_hash"]
    parts = Parts(found.head, found.entity, found.scope, found.opt, found.payload)
    assert frame.encode(codec.encode(parts), event["offset"], 0x3181380E) == data


@pytest.mark.parametrize("event", VECTORS["events"], ids=lambda event: event["sequence"])
def test_each_preimage_is_the_published_one(event: dict[str, Any]) -> None:
    preimage = bytes.fromhex(event["preimage"])

    assert blake3.blake3(preimage).hexdigest() == event["event_hash"]


def test_a_frame_does_not_pass_at_another_place() -> None:
    data = bytes.fromhex(VECTORS["events"][0]["frame"])

    moved = frame.body_at(data, 0, len(data), 152, 0x3181380E)

    assert moved is frame.Why.CRC


def scripted(entropy: list[bytes]) -> Platform:
    """A platform with a stopped clock and given random bytes."""
    return Platform(
        open_dir=open_dir,
        wall_ns=lambda: NOW_NS,
        monotonic_ns=REAL.monotonic_ns,
        entropy=lambda _: entropy.pop(0),
        raw_lock=REAL.raw_lock,
        thread=REAL.thread,
        thread_id=REAL.thread_id,
        pid=REAL.pid,
    )


SCRIPT = """
import sys
from typing import ClassVar
from batpak import Coordinate, EventKind, EventPayload, StoreConfig
from batpak.store import Store
from tests.unit.journal import test_golden as golden

class Numbered(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0x1, 0x001)
    VERSION: ClassVar[int] = 1
    n: int

pool = b"".join(n.to_bytes(8, "big") for n in range(8192 // 8, 0, -1))
platform = golden.scripted([golden.STORE, golden.SALT, pool])
where = Coordinate("user:1", "acme")
store = Store.open(sys.argv[1], StoreConfig(lifecycle_events=False), platform=platform)
first = store.append(where, Numbered(n=1))
store.append(
    where, Numbered(n=200), idempotency_key="k-1", caused_by=first, flags=1,
    extensions={"app.trace": bytes([1, 2, 3, 4])},
)
store.close()
with Store.open_read_only(sys.argv[2]) as fixture:
    print([event.payload.n for event in fixture.by_fact(Numbered)])
"""


def test_a_store_writes_and_reads_the_published_bytes(tmp_path: Path) -> None:
    """In a process of its own: its class takes kind 0x1001."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "new", FIXTURE],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    written = (tmp_path / "new" / "000001.fbat").read_bytes()
    assert written == (FIXTURE / "000001.fbat").read_bytes()[: len(written)]
    assert len(written) == 567
    assert done.stdout == "[1, 200, 3, 4]\n"


def test_the_fixture_opens_with_its_four_frames() -> None:
    directory = open_dir(str(FIXTURE), create=False)

    log = restore(directory, REAL, writable=False, files_max=64)

    tail = log.table.tail
    tail.ready()
    places = enumerate(tail.offsets[:-1])
    heads = [log.segments.head(1, at, n, tail.entity_at(n))[1] for n, at in places]
    assert [bytes.fromhex(e["event_hash"]) for e in VECTORS["events"]] == heads
    assert list(tail.offsets) == [151, 347, 567, 763, 959]
    assert log.clean
    assert log.tip.end == 959
    assert log.table.tail.keys == {b"k-1": 1}
    log.segments.close()
    directory.close()


def test_the_fixture_verifies() -> None:
    report = verify_path(FIXTURE, REAL)

    assert report.ok
    assert report.events == 4
    assert report.head.hex() == VECTORS["events"][3]["event_hash"]


def test_a_read_only_open_leaves_the_fixture_as_it_is() -> None:
    before = {path: path.stat().st_mtime_ns for path in FIXTURE.iterdir()}

    with Store.open_read_only(FIXTURE) as store:
        assert store.count() == 4

    assert before == {path: path.stat().st_mtime_ns for path in FIXTURE.iterdir()}
