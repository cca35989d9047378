"""A log made by hand, frame by frame, for the tests of the rooms that read one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from batpak import codec, digest
from batpak.disk.seam import Directory
from batpak.event import event_hash
from batpak.journal import frame, header, layout
from batpak.journal.segment import Segment
from batpak.record import (
    COVERED,
    EVENT,
    EVENT_HASH_AT,
    MARK,
    close_head,
    pack_fields,
    pack_opt,
    pack_payload,
)

STORE_ID: Final = bytes(range(16))
MS: Final = 1_700_000_000_000


class Item(Struct, frozen=True):
    """One event to be."""

    entity: str = "user:1"
    scope: str = "acme"
    payload: bytes = b"\x81\xa1n\x01"
    key: bytes | None = None
    extensions: Mapping[str, bytes] | None = None
    index: int = 0
    count: int = 1
    cause: bytes = bytes(16)
    correlation: bytes | None = None


class Log:
    """The bytes of one segment, growing."""

    def __init__(
        self, segment_id: int = 1, first: int = 0, prev: header.Link | None = None
    ) -> None:
        self.data = bytearray(
            header.encode(
                store_id=STORE_ID,
                segment_id=segment_id,
                created_ns=MS * 1_000_000,
                first_sequence=first,
                salt=bytes(range(8)),
                prev=prev,
            )
        )
        self.header, self.start = header.decode(bytes(self.data), "log")
        self.seed = frame.seed(self.header)
        self.sequence = first
        self.chain_head = digest.ZERO_HASH if prev is None else prev.chain_head
        self.heads: dict[str, tuple[int, bytes]] = {}
        self.offsets: list[int] = []
        self.bodies: list[bytes] = []

    @property
    def end(self) -> int:
        return len(self.data)

    def next(self) -> Log:
        """The file that follows this one, without a frame."""
        number = self.header.segment_id
        after = Log(number + 1, self.sequence, header.Link(number, self.end, self.chain_head))
        after.heads = dict(self.heads)
        return after

    def record(self, item: Item, change: Mapping[str, int] | None = None) -> bytes:
        """The record of an event that would come next.

        Args:
            item: What it says.
            change: Numbers of its head that are others than the log gives. Its hash is right.
        """
        sequence = self.sequence
        version, prev_hash = self.heads.get(item.entity, (0, digest.ZERO_HASH))
        head = {
            "type": EVENT,
            "kind": 0x1001,
            "payload_version": 1,
            "wall_ms": MS + sequence,
            "counter": 0,
            "sequence": sequence,
            "version": version + 1,
            "id_hi": (MS + sequence) << 16 | 0x7000,
            "id_lo": 1 << 63 | sequence,
            "stamp": sequence - item.index,
            **(change or {}),
        }
        event_id = head["id_hi"].to_bytes(8, "big") + head["id_lo"].to_bytes(8, "big")
        fields = pack_fields(
            head["type"], 0, head["kind"], head["payload_version"], 0, item.index, item.count,
            head["wall_ms"], head["counter"], head["sequence"], head["version"], event_id,
            item.correlation or event_id, item.cause,
        )  # fmt: skip
        opt = pack_opt(item.key, item.extensions)
        own = event_hash(
            STORE_ID,
            self.chain_head,
            prev_hash,
            fields[COVERED],
            item.entity.encode(),
            item.scope.encode(),
            opt,
            digest.content_hash(item.payload),
        )
        names = codec.encode(item.entity) + codec.encode(item.scope)
        head_bytes = close_head(fields, prev_hash, own, head["stamp"])
        return MARK + head_bytes + names + opt + pack_payload(item.payload) + item.payload

    def add(self, item: Item, change: Mapping[str, int] | None = None) -> bytes:
        """Append one event and return its record."""
        body = self.record(item, change)
        own = body[EVENT_HASH_AT : EVENT_HASH_AT + digest.HASH_BYTES]
        self.offsets.append(self.end)
        self.data += frame.encode(body, self.end, self.seed)
        self.bodies.append(body)
        self.heads[item.entity] = self.heads.get(item.entity, (0, b""))[0] + 1, own
        self.sequence, self.chain_head = self.sequence + 1, own
        return body

    def put(self, directory: Directory) -> Segment:
        """Write it to a directory, and read it as a file that an earlier run has written."""
        name = layout.segment_name(self.header.segment_id)
        layout.replace(directory, name, bytes(self.data))
        return Segment(directory, self.header, self.start, self.end, trusted=True)


def log_of(items: Iterable[Item], segment_id: int = 1) -> Log:
    """A whole log."""
    log = Log(segment_id)
    for item in items:
        log.add(item)
    return log
