"""Frozen bytes: one stored payload per shape, written without the library that will read it.

`batpak lock` appends them to `<package>.frozen`; tests decode them with generated code, so two
independent encoders have to agree on what a shape is in bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from batpak_codegen.lock import Lock
from batpak_codegen.shape import INTEGERS, Box, Frozen, Maybe, Plain, Ref, Shape, parse_tag

HEAD: Final = (
    "# Frozen bytes, written by `batpak lock`. Lines are only ever added:"
    " kind, version.revision, payload."
)
_NOON: Final = 1_784_894_400  # 2026-07-24T12:00:00Z
Packed: TypeAlias = bytes


def payload(lock: Lock, shape: Shape, declared: Mapping[Ref, Shape]) -> bytes:
    """Return the stored form of a value of a shape in which nothing is null or empty.

    Args:
        lock: What the named types are.
        shape: Its fields are written in the order given.
        declared: Structs whose fields have an order as well; others are written by name.
    """
    return _Sample(lock, declared).shape(shape)


class _Sample:
    """Writes one value of every type; the same one every time."""

    def __init__(self, lock: Lock, declared: Mapping[Ref, Shape]) -> None:
        self.lock, self.declared = lock, declared
        self.writers: Mapping[str, Callable[[], Packed]] = {
            "bool": lambda: b"\xc3",
            "string": lambda: text("x"),
            "bytes": lambda: blob(b"x"),
            "f64": lambda: b"\xcb" + struct.pack(">d", 1.5),
            "uuid": lambda: blob((42).to_bytes(16, "big")),
            "timestamp": lambda: b"\xd6\xff" + struct.pack(">I", _NOON),
            "date": lambda: text("2026-07-24"),
            "duration": lambda: text("PT1S"),
            **dict.fromkeys(INTEGERS, lambda: b"\x01"),
        }

    def shape(self, shape: Shape, tag: tuple[str, str] | None = None) -> Packed:
        first = text(tag[0]) + text(tag[1]) if tag else b""
        body = b"".join(text(field.key) + self.value(field.type) for field in shape)
        return _sized(0x80, (0xDE, 0xDF), len(shape) + (tag is not None)) + first + body

    def value(self, type_: Frozen) -> Packed:
        if isinstance(type_, Maybe):
            return self.value(type_.of)
        if isinstance(type_, Box):
            item = self.value(type_.item)
            return b"\x81" + text("x") + item if type_.base == "map" else b"\x91" + item
        if isinstance(type_, Ref):
            return self.named(type_)
        if type_.name == "decimal":
            return text(_one(type_))
        return self.writers[type_.name]()

    def named(self, ref: Ref) -> Packed:
        if ref in self.lock.enums:
            return text(min(self.lock.enums[ref].stored.items())[1])
        if ref in self.lock.types:
            return self.shape(self.struct(ref))
        if ref in self.lock.tags:
            tag, members = min(self.lock.tags[ref].items())
            return self.shape(self.struct(max(members)), parse_tag(tag))
        return self.writers["uuid"]()

    def struct(self, ref: Ref) -> Shape:
        return self.declared.get(ref) or next(iter(self.lock.types[ref].values())).shape


def _one(type_: Plain) -> str:
    """Return 1 at the scale of a decimal, or its smallest unit if it has no room for 1."""
    if type_.precision > type_.scale:
        return "1." + "0" * type_.scale if type_.scale else "1"
    return "0." + "0" * (type_.scale - 1) + "1"


def text(value: str) -> Packed:
    """Return text as MessagePack, in the shortest form."""
    data = value.encode()
    if len(data) < 32:
        return bytes([0xA0 | len(data)]) + data
    if len(data) < 1 << 8:
        return bytes([0xD9, len(data)]) + data
    return b"\xda" + struct.pack(">H", len(data)) + data


def blob(data: bytes) -> Packed:
    """Return bytes as MessagePack; they are short here."""
    return bytes([0xC4, len(data)]) + data


def _sized(first: int, marks: tuple[int, int], count: int) -> Packed:
    if count < 16:
        return bytes([first | count])
    if count < 1 << 16:
        return bytes([marks[0]]) + struct.pack(">H", count)
    return bytes([marks[1]]) + struct.pack(">I", count)
