"""Valid inputs: stores that are written from the reference of the format, not by the engine.

Log()       one file of a store, event by event
STORES      a few whole directories: closed and not, of one file and of two, with a footer
"""

from __future__ import annotations

import datetime as dt
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

from batpak.payload import EventPayload
from tests.facts import Counted, Said
from tests.proof.fuzz_format import (
    ZERO,
    Event,
    Head,
    Place,
    event_of,
    hashed,
    head_bytes,
    header_bytes,
)
from tests.proof.fuzz_msgpack import Ext, pack
from tests.unit.parcels import (
    Carrier,
    ParcelCancelled,
    ParcelId,
    ParcelPacked,
    ParcelSeen,
    ParcelSent,
    Stamp,
)

MS: Final = 1_700_000_000_000
STORE_ID: Final = bytes(range(0x10, 0x20))
SALT: Final = bytes(range(0xA0, 0xA8))
BLOCK: Final = 64 << 10

Files: TypeAlias = Mapping[str, bytes]
"""What is in the directory of a store, by name."""


class Log:
    """One file of a store, growing.

    Args:
        after: The file before it.
        store_id: Of the store.
        synced: Whether everything was synced when the next event was written.
    """

    def __init__(
        self, after: Log | None = None, *, store_id: bytes = STORE_ID, synced: bool = True
    ) -> None:
        self.number, self.sequence, self.last = 1, 0, ZERO
        self.heads: dict[str, tuple[int, bytes]] = {}
        prev: list[object] | None = None
        if after is not None:
            self.number, self.sequence, self.last = after.number + 1, after.sequence, after.last
            self.heads = dict(after.heads)
            prev = [after.number, len(after.data), after.last]
        self.first, self._before = self.sequence, self.last
        self.header: dict[str, Any] = {
            "version": 2,
            "store_id": store_id,
            "segment_id": self.number,
            "created_ns": MS * 1_000_000,
            "first_sequence": self.first,
            "salt": SALT,
            "prev": prev,
            "replaces": None,
            "sealed": None,
            "epoch": 0,
            "origin": None,
        }
        self.place: Place = Place(store_id, self.number, SALT)
        self.data: bytearray = bytearray(header_bytes(self.header))
        self.start = len(self.data)
        self.events: list[Event] = []
        self.offsets: list[int] = [self.start]
        self._synced = synced

    def add(
        self,
        entity: str,
        payload: tuple[int, bytes],
        *,
        scope: str = "acme",
        key: bytes | None = None,
        extensions: Mapping[str, bytes] | None = None,
        item: tuple[int, int] = (0, 1),
        cause: int | None = None,
        root: int | None = None,
    ) -> None:
        """Append an event. `cause` and `root` are sequences of older ones."""
        version, prev_hash = self.heads.get(entity, (0, ZERO))
        pairs = None if extensions is None else [list(one) for one in extensions.items()]
        event = Event(
            1, self.sequence % 4, payload[0], 1, 0, *item, MS + self.sequence, 0, self.sequence,
            version + 1, _id(self.sequence), _id(self.sequence if root is None else root),
            bytes(16) if cause is None else _id(cause), prev_hash, ZERO,
            self.sequence - item[0] if self._synced else 0, entity, scope,
            None if key is None and pairs is None else [key, pairs], payload[1],
        )  # fmt: skip
        event = event._replace(event_hash=event.hash_behind(self.place.store_id, self.last))
        self.data += self.place.frame(len(self.data), event.record())
        self.offsets.append(len(self.data))
        self.events.append(event)
        self.last, self.sequence = event.event_hash, self.sequence + 1
        self.heads[entity] = event.version, self.last

    def head(self, *, clean: bool, count: int | None = None) -> Head:
        """What HEAD says of this file, or said when it had so many events."""
        count = len(self.events) if count is None else count
        last = self.events[count - 1].event_hash if count else self._before
        end, sequence = self.offsets[count], self.first + count
        return Head(self.place.store_id, int(clean), self.number, end, sequence, last, MS)

    def toc(self) -> tuple[list[Any], bytes]:
        """The footer of the file: its table of contents, and its columns back to back."""
        at = start = -(-len(self.data) // 64) * 64
        columns: list[list[object]] = []
        image = b""
        for name, code, values in self._columns():
            raw = values if isinstance(values, bytes) else _packed(code, values)
            columns.append([name, code, at, len(raw), zlib.crc32(raw)])
            image += raw + bytes(-len(raw) % 8)
            at = start + len(image)
        times = [self.events[0].wall_ms, self.events[-1].wall_ms]
        head = [self.place.store_id, self.number, self.first, len(self.events), self.last]
        return [*head, *times, columns], image

    def footer(self) -> bytes:
        """Everything behind the frames."""
        toc, image = self.toc()
        return closed(len(self.data), len(self.events), pack(toc), image)

    def _columns(self) -> Iterable[tuple[str, str, Sequence[int] | bytes]]:
        events, rows = self.events, range(len(self.events))
        yield "off", "I", self.offsets
        yield "plen", "I", [len(one.payload) for one in events]
        yield "kind", "H", [one.kind for one in events]
        yield "id_hi", "Q", [int.from_bytes(one.event_id[:8], "big") for one in events]
        for prefix, own in (
            ("ent", [one.entity.encode() for one in events]),
            ("sco", [one.scope.encode() for one in events]),
        ):
            names = sorted(set(own))
            hashes = sorted((_hash(name), code) for code, name in enumerate(names))
            yield prefix, "I", [names.index(name) for name in own]
            yield f"{prefix}_name", "B", b"".join(names)
            yield f"{prefix}_noff", "I", [*accumulate(map(len, names), initial=0)]
            yield f"{prefix}_hash", "Q", [one for one, _ in hashes]
            yield f"{prefix}_code", "I", [code for _, code in hashes]
            yield from _grouped(prefix, names, own)
        kinds = sorted({one.kind for one in events})
        yield "kind_vals", "H", kinds
        yield from _grouped("kind", kinds, [one.kind for one in events])
        keyed = [
            (_hash(one.opt[0]), row)
            for row, one in zip(rows, events, strict=True)
            if one.opt and one.opt[0]
        ]
        yield from _pairs("key_hash", "key_row", keyed)
        others = [
            (int.from_bytes(one.correlation_id[8:], "big"), row)
            for row, one in zip(rows, events, strict=True)
            if one.correlation_id != one.event_id
        ]
        yield from _pairs("cor_key", "cor_row", others)
        caused = [
            (int.from_bytes(one.causation_id[8:], "big"), row)
            for row, one in zip(rows, events, strict=True)
            if any(one.causation_id)
        ]
        yield from _pairs("cau_key", "cau_row", caused)
        pieces = (self.data[at : at + BLOCK] for at in range(0, len(self.data), BLOCK))
        yield "blk_crc", "I", [zlib.crc32(piece) for piece in pieces]


def closed(frames_end: int, rows: int, toc: bytes, image: bytes) -> bytes:
    """Columns and a table of contents, as they stand behind frames that end there."""
    start = -(-frames_end // 64) * 64
    trailer = struct.pack(
        "<8sQQQIII", b"SIDXv2\0\0", frames_end, start, start + len(image), len(toc),
        zlib.crc32(toc), rows,
    )  # fmt: skip
    padding = bytes(start - frames_end)
    return padding + image + toc + trailer + struct.pack("<I", zlib.crc32(trailer))


def _id(sequence: int) -> bytes:
    return struct.pack(">QQ", (MS + sequence) << 16 | 0x7000, 1 << 63 | (sequence + 1))


def _hash(name: bytes) -> int:
    return int.from_bytes(hashed(name)[:8], "little")


def _packed(code: str, values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}{code}", *values)


def _grouped(
    prefix: str, names: Sequence[object], own: Sequence[object]
) -> Iterable[tuple[str, str, Sequence[int]]]:
    """The rows of each name, and where they begin."""
    groups = [[row for row, one in enumerate(own) if one == name] for name in names]
    yield f"{prefix}_ptr", "I", [*accumulate(map(len, groups), initial=0)]
    yield f"{prefix}_rows", "I", [row for group in groups for row in group]


def _pairs(
    key: str, row: str, pairs: list[tuple[int, int]]
) -> Iterable[tuple[str, str, Sequence[int]]]:
    yield key, "Q", [one for one, _ in sorted(pairs)]
    yield row, "I", [one for _, one in sorted(pairs)]


# ------------------------------------------------------------------------------------ what is in it


def counted(n: int) -> tuple[int, bytes]:
    """The kind and the bytes of a small payload."""
    return int(Counted.KIND), pack({"n": n})


def said(text: str) -> tuple[int, bytes]:
    """The same of one with text."""
    return int(Said.KIND), pack({"text": text})


def filled(log: Log) -> Log:
    """Seven events with some of everything that an event can have."""
    first = log.sequence
    log.add("user:1", counted(first))
    log.add("user:2", said("é" * 20), key=b"k-1", cause=first, root=first)
    log.add("user:1", counted(200), extensions={"app.trace": b"\1\2", "b": b""})
    log.add("user:1", counted(3), item=(0, 3), scope="north")
    log.add("n" * 40, said("x" * 300), item=(1, 3), key=b"k" * 33, extensions={"a": bytes(40)})
    log.add("user:2", counted(-5), item=(2, 3), root=first)
    log.add("order:1:line", said(""), cause=first + 3, scope="nørd")
    return log


class Store(NamedTuple):
    """A directory, and the events in it."""

    files: Files
    events: list[Event]
    truth: Mapping[str, int]  # bytes of each file that nothing can be made from anew


def _store(logs: Sequence[Log], head: Head, *, footers: bool = True, room: int = 0) -> Store:
    files = {".batpak.lock": b""}
    for log in logs:
        behind = log.footer() if footers and log is not logs[-1] else b""
        files[f"{log.number:06d}.fbat"] = bytes(log.data) + behind
    files[f"{logs[-1].number:06d}.fbat"] += bytes(room)
    files["HEAD"] = head_bytes(head)
    truth = {f"{log.number:06d}.fbat": len(log.data) for log in logs} | {"HEAD": 1 << 10}
    return Store(files, [event for log in logs for event in log.events], truth)


ONE: Final = filled(Log())
TWO: Final = Log(ONE)
TWO.add("user:2", counted(7), key=b"k-2")
TWO.add("user:3", said("last"), cause=0)
UNSYNCED: Final = filled(Log(store_id=bytes(range(0x30, 0x40)), synced=False))
OTHER: Final = filled(Log(store_id=bytes(range(0x40, 0x50))))

STORES: Final[dict[str, Store]] = {
    "closed": _store([ONE], ONE.head(clean=True)),
    "killed": _store([ONE], ONE.head(clean=False, count=2)),
    "unsynced": _store([UNSYNCED], UNSYNCED.head(clean=False, count=1), room=600),
    "two, closed": _store([ONE, TWO], TWO.head(clean=True)),
    "two, killed": _store([ONE, TWO], TWO.head(clean=False, count=0), room=300),
    "two, no footer": _store([ONE, TWO], ONE.head(clean=False), footers=False),
    "another": _store([OTHER], OTHER.head(clean=True)),
}

EVENTS: Final = {  # all that a store has ever had, by its id
    log.place.store_id: events
    for log, events in (
        (ONE, [*ONE.events, *TWO.events]),
        (UNSYNCED, UNSYNCED.events),
        (OTHER, OTHER.events),
    )
}
RECORDS: Final = [event.record() for log in (ONE, TWO) for event in log.events]
RECORD_TREES: Final[list[object]] = [
    [one.head, one.entity, one.scope, one.opt, one.payload] for one in map(event_of, RECORDS)
]
NOTES: Final = [
    f"batpak note 1\nstore {UUID(bytes=STORE_ID)}\nevents {count}\nhead {last.hex()}\n"
    f"taken {taken}\n".encode()
    for count, last, taken in (
        (7, ONE.last, "2026-11-21T06:41:00.123Z"),
        (0, ZERO, "1970-01-01T00:00:00.000Z"),
        (10**19 - 1, TWO.last, "9999-12-31T23:59:59.999Z"),
    )
]
NOTES.append(NOTES[0] + f"key {ZERO.hex()}\nsignature {ONE.last.hex() * 2}\n".encode())
PLAIN_NAMES: Final = [
    text.encode()
    for text in (
        "user:1@acme", "é:ключ@nørd", "a" * 1024 + "@x", "x@" + "é" * 512, "order:1:@s",
        "batpak:store@x", "a.b.c@d-e f", "𝄞::@@",
    )
]  # fmt: skip
_PARCEL: Final = ParcelId(UUID(int=7))
_WHEN: Final = dt.datetime(2026, 11, 21, 6, 41, 0, 123456, tzinfo=dt.UTC)
PAYLOADS: Final[list[EventPayload]] = [
    Counted(n=1),
    Counted(n=-(1 << 63)),
    Said(text="é" * 40),
    ParcelPacked(
        parcel_id=_PARCEL,
        pieces=3,
        weight=Decimal("1.500"),
        volume=2.5,
        insured=True,
        stamps=(Stamp(value=Decimal("0.85"), carrier=Carrier.POST),) * 2,
        labels={"a": "b", "to": "é"},
        fees={"duty": Decimal("12.00")},
        marks=frozenset({"x", "y"}),
        seal=b"\0\xff",
        packed_at=_WHEN,
        due=dt.date(2026, 12, 24),
        hold=dt.timedelta(hours=36),
        note="by hand",
    ),
    ParcelSent(parcel_id=_PARCEL, carrier=Carrier.DHL, sent_at=_WHEN),
    ParcelCancelled(parcel_id=_PARCEL, reason="lost"),
    ParcelSeen(where="Oslo"),
]
TREES: Final[list[object]] = [
    {"n": 1},
    {"text": "a few words"},
    {"carrier": "dhl", "parcel_id": bytes(16), "sent_at": Ext(-1, bytes(4))},
    {"parcel_id": bytes(16), "reason": "lost"},
    {
        "due": "2026-12-24", "fees": {"duty": "12.00"}, "hold": "P1DT12H", "insured": True,
        "labels": {"a": "b"}, "marks": ["x", "y"], "note": None, "packed_at": Ext(-1, bytes(4)),
        "parcel_id": bytes(16), "pieces": 3, "seal": b"\0", "volume": 2.5, "weight": "1.500",
        "stamps": [{"carrier": "post", "value": "0.85"}, {"carrier": "dhl", "value": "1.00"}],
    },
    [[], {}, [[[1.5, None, -1]]], {"": {"": b""}}, "x" * 40, 1 << 40],
]  # fmt: skip
