"""A store in the hands of somebody who knows the format: taken apart, changed, put together again.

    log = apart(files)             headers, events and HEAD
    log.events[3] = with_field(log.events[3], "kind", 7)
    together(log)                  the files again; each checksum is right for its place

How much else is mended is up to the attacker: `hash_again` computes event hashes, `link_again` what
headers and HEAD say of them. Footers are left out: they are made anew from the frames.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from msgspec import Struct, structs

from batpak import codec
from batpak.digest import ZERO_HASH
from batpak.journal import frame, head, header
from batpak.journal.frame import Frame
from batpak.journal.head import Head
from batpak.journal.header import Header, Link
from batpak.record import Parts, decode_parts
from tests.proof.golden import HEAD, Files, Golden


class Field(NamedTuple):
    """A field of the fixed head of a record."""

    offset: int
    code: str  # of `struct`

    @property
    def size(self) -> int:
        return struct.calcsize(self.code)


FIELDS: Final = {
    "type": Field(0, ">B"),
    "flags": Field(1, ">B"),
    "kind": Field(2, ">H"),
    "payload_version": Field(4, ">H"),
    "key_ref": Field(6, ">I"),
    "batch_index": Field(10, ">I"),
    "batch_count": Field(14, ">I"),
    "wall_ms": Field(18, ">Q"),
    "counter": Field(26, ">I"),
    "sequence": Field(30, ">Q"),
    "version": Field(38, ">Q"),
    "event_id": Field(46, "16s"),
    "correlation_id": Field(62, "16s"),
    "causation_id": Field(78, "16s"),
    "prev_hash": Field(94, "32s"),
    "event_hash": Field(126, "32s"),
    "durable_through": Field(158, ">Q"),
}

IN_ORDER: Final = ("wall_ms", "event_id", "durable_through")  # fields that increase with the log


class Log(Struct):
    """What the files of a store say."""

    headers: dict[str, Header]  # by name, in order
    events: list[Parts]
    file_of: list[str]  # of each event
    state: Head

    @property
    def store_id(self) -> bytes:
        return next(iter(self.headers.values())).store_id

    def insert(self, at: int, part: Parts) -> None:
        """Put an event in front of another one, into the same file."""
        self.events.insert(at, part)
        self.file_of.insert(at, self.file_of[min(at, len(self.file_of) - 1)])

    def remove(self, *which: int) -> None:
        """Take events out."""
        for at in sorted(which, reverse=True):
            del self.events[at], self.file_of[at]


def apart(golden: Golden) -> Log:
    """Take a store apart."""
    files = golden.files
    headers = {name: header.decode(files[name], name)[0] for name in golden.segments}
    events = [decode_parts(golden.bytes_of(one)[8:]) for one in golden.frames]
    file_of = [one.file for one in golden.frames]
    return Log(headers, events, file_of, head.decode(files[HEAD], HEAD))


def together(log: Log, files: Files) -> Files:
    """Put a store together; what else there was in its directory stays."""
    made = {name: encoded(one) for name, one in log.headers.items()}
    seeds = {name: frame.seed(one) for name, one in log.headers.items()}
    for part, name in zip(log.events, log.file_of, strict=True):
        made[name] += frame.encode(codec.encode(part), len(made[name]), seeds[name])
    return {**files, **made, HEAD: head.encode(log.state)}


def encoded(one: Header) -> bytes:
    """A header as it is stored."""
    return header.encode(
        store_id=one.store_id,
        segment_id=one.segment_id,
        created_ns=one.created_ns,
        first_sequence=one.first_sequence,
        salt=one.salt,
        prev=one.prev,
    )


# ------------------------------------------------------------------------------------ one event


def number(part: Parts, name: str) -> int:
    """A field that is a number."""
    field = FIELDS[name]
    return int.from_bytes(part.head[field.offset : field.offset + field.size], "big")


def raw(part: Parts, name: str) -> bytes:
    """A field as it is stored."""
    field = FIELDS[name]
    return part.head[field.offset : field.offset + field.size]


def with_field(part: Parts, name: str, value: int | bytes) -> Parts:
    """An event with another value of a field."""
    field = FIELDS[name]
    data = value if isinstance(value, bytes) else value.to_bytes(field.size, "big")
    return structs.replace(
        part, head=part.head[: field.offset] + data + part.head[field.offset + field.size :]
    )


def id_later(part: Parts) -> Parts:
    """An id that is a little later, and still in front of the next one."""
    value = raw(part, "event_id")
    high = int.from_bytes(value[:8], "big") + 1
    return with_field(part, "event_id", high.to_bytes(8, "big") + value[8:])


def own_hash(part: Parts, store_id: bytes, log_prev: bytes) -> bytes:
    """The hash that an event has to have behind another one."""
    found = frame.decode(codec.encode(part))
    assert isinstance(found, Frame), found
    return found.expected_hash(store_id, log_prev)


# --------------------------------------------------------------------------------------- the log


def hash_again(log: Log) -> None:
    """Compute all hashes and links, as if the events had been written as they are now."""
    last: dict[str, bytes] = {}
    log_prev = ZERO_HASH
    for at, part in enumerate(log.events):
        linked = with_field(part, "prev_hash", last.get(part.entity, ZERO_HASH))
        log_prev = own_hash(linked, log.store_id, log_prev)
        log.events[at] = with_field(linked, "event_hash", log_prev)
        last[part.entity] = log_prev


def number_again(log: Log) -> None:
    """Give events the numbers, times and ids that belong to the order in which they are now."""
    orders = [sorted(raw(part, name) for part in log.events) for name in IN_ORDER]
    versions: dict[str, int] = {}
    for at, part in enumerate(log.events):
        versions[part.entity] = versions.get(part.entity, 0) + 1
        made = with_field(part, "version", versions[part.entity])
        for name, values in zip(IN_ORDER, orders, strict=True):
            made = with_field(made, name, values[at])
        stamp = min(at, number(made, "durable_through"))
        made = with_field(made, "durable_through", stamp)
        log.events[at] = with_field(made, "sequence", at)


def link_again(log: Log, *, and_head: bool) -> None:
    """Let headers say where the file before them ends now, and HEAD where the log does.

    Args:
        log: It is changed.
        and_head: Whether HEAD as well.
    """
    before: Link | None = None
    at, chain_head = 0, ZERO_HASH
    for name, one in log.headers.items():
        log.headers[name] = linked = structs.replace(one, prev=before, first_sequence=at)
        size = len(encoded(linked))
        for part, file in zip(log.events, log.file_of, strict=True):
            if file == name:
                size += 8 + len(codec.encode(part))
                at, chain_head = at + 1, raw(part, "event_hash")
        before = Link(one.segment_id, size, chain_head)
    if and_head and before is not None:
        log.state = log.state._replace(
            segment_id=before.segment_id,
            frames_end=before.frames_end,
            next_sequence=at,
            chain_head=before.chain_head,
        )
