"""Frames and files of the Rust original, held against what its format says of them."""

from __future__ import annotations

from typing import Final

import blake3

from batpak.errors import CorruptStore, FutureVersion, InvalidArgument
from batpak.journal.frame import Fault
from batpak.journal.v1 import frame, index, ranges
from batpak.upkeep.rust.source import RustSource
from tests.proof.fuzz_bytes import attempt
from tests.proof.fuzz_store import PATH
from tests.proof.golden import machine
from tests.proof.moving import STORES, files_of, pieces

SEGMENTS: Final = [
    data for name in STORES for file, data in files_of(name).items() if file.endswith(".fbat")
]
BODIES: Final = [piece[8:] for data in SEGMENTS for piece in list(pieces(data))[1:-1]]
INDEXES: Final = [files_of(name)["index.fbati"] for name in STORES]
RANGES: Final = [files_of("A")["visibility_ranges.fbv"]]


def parse_rust_frame(body: bytes) -> bool:
    """The body of one frame: what is read has its hash, and is read again from what is written."""
    found, seen = frame.decode(body), frame.glance(body)
    if isinstance(found, Fault):
        return False
    assert not isinstance(seen, Fault), f"refused at a glance: {seen.detail}"
    assert (seen.event_id, seen.kind) == (found.event_id, found.kind), "another event at a glance"
    if found.is_mark:
        assert int.from_bytes(found.payload, "big") == seen.count, "another count at a glance"
    else:
        assert blake3.blake3(found.payload).digest() == found.event_hash, "a payload of nobody"
    again = frame.encode(found)[frame.PREFIX_BYTES :]
    assert frame.decode(again) == found, "written and read again it is another"
    return True


def parse_rust_segment(data: bytes) -> bool:
    """The file of a store that has no other: each event it gives has its hash, in order."""
    opened = attempt(
        lambda: RustSource.open(PATH, platform=machine({"000001.fbat": data})),
        CorruptStore,
        FutureVersion,
        InvalidArgument,
    )
    if isinstance(opened, Exception):
        return False
    with opened as source:
        found = attempt(lambda: list(source.frames()), CorruptStore)
        if isinstance(found, Exception):
            return False
        numbers = [number for number, _ in found]
        assert numbers == sorted(set(numbers)), "numbers out of order"
        assert source.report.events == len(found), "the report counts others"
    return True


def parse_rust_index(data: bytes) -> bool:
    """An index file: it is what it was, or it is not used."""
    found = index.decode(data)
    assert found is None or data in INDEXES, "a changed index is used"
    return found is not None


def parse_rust_ranges(data: bytes) -> bool:
    """The file of hidden ranges: it is what it was, or it is refused."""
    found = attempt(lambda: ranges.decode(data, "a file"), CorruptStore, FutureVersion)
    assert isinstance(found, Exception) or data in RANGES, "changed ranges are believed"
    return not isinstance(found, Exception)
