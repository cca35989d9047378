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

    def __init__(self, segment_id: int = 1, first: int = 0) -> None:
        self.data = bytearray(
            header.encode(
                store_id=STORE_ID,
                segment_id=segment_id,
                created_ns=MS * 1_000_000,
                first_sequence=first,
                salt=bytes(range(8)),
                prev=None,
            )
        )
        self.header, self.start = header.decode(bytes(self.data), "log")
        self.seed = frame.seed(self.header)
        self.sequence, self.chain_head = first, digest.ZERO_HASH
        self.heads: dict[str, tuple[int, bytes]] = {}
        self.offsets: list[int] = []
        self.bodies: list[bytes] = []

    @property
    def end(self) -> int:
        return len(self.data)

    def add(self, item: Item) -> bytes:
        """Append one event and return its record."""
        sequence = self.sequence
        version, prev_hash = self.heads.get(item.entity, (0, digest.ZERO_HASH))
        event_id = ((MS + sequence) << 16 | 0x7000).to_bytes(8, "big")
        event_id += (1 << 63 | sequence).to_bytes(8, "big")
        fields = pack_fields(
            EVENT, 0, 0x1001, 1, 0, item.index, item.count, MS + sequence, 0, sequence,
            version + 1, event_id, item.correlation or event_id, item.cause,
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
        head = close_head(fields, prev_hash, own, sequence - item.index)
        names = codec.encode(item.entity) + codec.encode(item.scope)
        body = b"\x95\xc4\xa6" + head + names + opt + pack_payload(item.payload) + item.payload
        self.offsets.append(self.end)
        self.data += frame.encode(body, self.end, self.seed)
        self.bodies.append(body)
        self.heads[item.entity] = version + 1, own
        self.sequence, self.chain_head = sequence + 1, own
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
