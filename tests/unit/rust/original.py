"""A second writer of the Rust original's bytes, made from their description and nothing else.

What is damaged, rare or impossible to make with the original is made here. It shares no line with
the library: a mistake that both had would have to be made twice.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import blake3
import msgspec

ZERO = bytes(32)
pack = msgspec.msgpack.Encoder().encode

Body = dict[str, Any]


def header(number: int = 1, version: int = 1, magic: bytes = b"FBAT") -> bytes:
    body = pack({"version": version, "flags": 0, "created_ns": 1, "segment_id": number})
    return magic + struct.pack(">I", len(body)) + body


def framed(body: bytes) -> bytes:
    return struct.pack(">II", len(body), zlib.crc32(body)) + body


def event(n: int, /, *, payload: bytes | None = None, **changed: object) -> Body:
    """The body of one event, as the original would spell it; id and payload follow from `n`."""
    data = pack({"n": n}) if payload is None else payload
    own = blake3.blake3(data).digest()
    given: Mapping[str, Any] = {
        "id": n.to_bytes(16, "big"),
        "cause": None,
        "kind": 0xF001,
        "flags": 0,
        "clock": 0,
        "entity": "user:1",
        "scope": "acme",
        "prev": ZERO,
        **changed,
    }
    return {
        "event": {
            "header": {
                "event_id": given["id"],
                "correlation_id": given["id"],
                "causation_id": given["cause"],
                "timestamp_us": 1_000 + n,
                "position": {
                    "wall_ms": 1,
                    "counter": 0,
                    "depth": 0,
                    "lane": 0,
                    "sequence": given["clock"],
                },
                "payload_size": len(data),
                "event_kind": given["kind"],
                "flags": given["flags"],
                "content_hash": list(own),
            },
            "payload": list(data),
            "hash_chain": {"prev_hash": list(given["prev"]), "event_hash": list(own)},
        },
        "entity": given["entity"],
        "scope": given["scope"],
    }


def mark(kind: int, batch: int, count: int = 0) -> Body:
    body = event(batch, payload=b"", kind=kind, entity="_batch", scope="_system")
    body["event"]["hash_chain"] = None
    body["event"]["payload"] = []
    body["event"]["header"] |= {"payload_size": count, "content_hash": [0] * 32}
    return body


def begin(batch: int, count: int) -> Body:
    return mark(6, batch, count)


def commit(batch: int) -> Body:
    return mark(7, batch)


def frames(*bodies: Body) -> bytes:
    return b"".join(framed(pack(body)) for body in bodies)


def footer(at: int, rows: Sequence[tuple[int, int]], magic: bytes = b"SDX2") -> bytes:
    """Of rows of (event, global sequence); all else in a row is zeros, which nobody believes."""
    packed = [row_of(n, sequence) for n, sequence in rows]
    return pack(["user:1", "acme"]) + b"".join(packed) + struct.pack("<QI4s", at, len(rows), magic)


def row_of(n: int, sequence: int, *, with_segment: bool = False) -> bytes:
    middle = 16 + 4 + 4 + 2 + 8 + 4 + 4 + 4 + 32 + 32 + (8 if with_segment else 0) + 8 + 4
    return n.to_bytes(16, "little") + bytes(middle - 16) + struct.pack("<Q", sequence) + bytes(32)


def sealed(number: int, rows: Sequence[tuple[int, int]], *bodies: Body) -> bytes:
    """A whole file with a footer."""
    data = header(number) + frames(*bodies)
    return data + footer(len(data), rows)


def index(segment: int, offset: int, after: int, rows: Sequence[tuple[int, int]]) -> bytes:
    names, summary = pack([""]), pack({})
    body = struct.pack("<QQQIQQQ", segment, offset, after, 1, len(rows), len(names), len(summary))
    body += names + summary + b"".join(row_of(*one, with_segment=True) for one in rows)
    return struct.pack("<6sHI", b"FBATIX", 4, zlib.crc32(body)) + body


def checkpoint(segment: int, offset: int, after: int, rows: Sequence[tuple[int, int]]) -> bytes:
    entries = [
        {"event_id": n.to_bytes(16, "big"), "global_sequence": g, "kind": 1} for n, g in rows
    ]
    body = pack(
        {
            "global_sequence": after,
            "watermark_segment_id": segment,
            "watermark_offset": offset,
            "interner_strings": [""],
            "entries": entries,
        }
    )
    return struct.pack("<6sHI", b"FBATCK", 5, zlib.crc32(body)) + body


def ranges(*spans: tuple[int, int], version: int = 1) -> bytes:
    body = pack({"ranges": [{"start": start, "end": end} for start, end in spans]})
    return struct.pack("<6sHI", b"FBATVR", version, zlib.crc32(body)) + body


def store(path: Path, *segments: bytes, **files: bytes) -> Path:
    """A directory with these files, numbered from 1, and others: `index_fbati=...`."""
    path.mkdir(exist_ok=True)
    for number, data in enumerate(segments, 1):
        (path / f"{number:06d}.fbat").write_bytes(data)
    for name, data in files.items():
        stem, _, suffix = name.rpartition("_")
        (path / f"{stem}.{suffix}").write_bytes(data)
    return path


def spelled(body: Body, how: Callable[[Body], object]) -> bytes:
    """A frame whose body is spelled in another way."""
    return framed(pack(how(body)))
