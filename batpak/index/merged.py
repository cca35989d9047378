"""Merged: the columns of one footer, from those of the parts that it will stand for.

Nothing is decoded and no frame is read. Names, keys and ids are sorted in each part already, so
they are merged; what is held is one column, and which code of a part is which of the whole.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import accumulate
from typing import Final

from batpak.index.sealed import Sealed
from batpak.index.sidx import Values, placed
from batpak.kind import TOMBSTONE
from batpak.record import DROPPED, ERASED, EVENT

_STUBS: Final = bytes([DROPPED, ERASED])


def columns(
    parts: Sequence[Sealed],
    types: Sequence[bytes],
    offsets: array[int],
    block_crcs: array[int],
) -> Iterator[tuple[str, Values]]:
    """The columns of a footer, in their order.

    Args:
        parts: The sources, one behind the other.
        types: Of each part, what its rows are to be from now on.
        offsets: Where the frames begin in the new file, and where the last one ends.
        block_crcs: Of the new file.
    """
    firsts = list(accumulate(map(len, parts), initial=0))
    yield "off", offsets
    yield "plen", _sizes(parts, types)
    kinds = _kinds(parts, types)
    yield "kind", kinds
    if any(one in some for some in types for one in _STUBS):
        yield "type", b"".join(types)
    ids = array("Q")
    for part in parts:
        ids.frombytes(bytes(part.column("id_hi")))
    yield "id_hi", ids
    del ids
    for prefix in ("ent", "sco"):
        yield from _named(parts, prefix)
    values = sorted(set(kinds))
    codes = {kind: code for code, kind in enumerate(values)}
    pointers, rows = placed(array("I", map(codes.__getitem__, kinds)), len(values))
    del kinds
    yield "kind_vals", array("H", values)
    yield "kind_ptr", pointers
    yield "kind_rows", rows
    del pointers, rows
    for key, row in (("key_hash", "key_row"), ("cor_key", "cor_row"), ("cau_key", "cau_row")):
        yield from _pairs(parts, firsts, key, row)
    yield "blk_crc", block_crcs


def _sizes(parts: Sequence[Sealed], types: Sequence[bytes]) -> array[int]:
    """The sizes of the payloads that are left."""
    sizes = array("I")
    for part, some in zip(parts, types, strict=True):
        begin = len(sizes)
        sizes.frombytes(bytes(part.column("plen")))
        for row in _stubs(some):
            sizes[begin + row] = 0
    return sizes


def _kinds(parts: Sequence[Sealed], types: Sequence[bytes]) -> array[int]:
    """The kinds as which the events are read."""
    kinds = array("H")
    for part, some in zip(parts, types, strict=True):
        begin = len(kinds)
        kinds.frombytes(bytes(part.column("kind")))
        for row in _stubs(some):
            if some[row] == ERASED:
                kinds[begin + row] = TOMBSTONE
    return kinds


def _stubs(types: bytes) -> Iterable[int]:
    if types.count(EVENT) == len(types):
        return ()
    return (row for row, one in enumerate(types) if one != EVENT)


def _named(parts: Sequence[Sealed], prefix: str) -> Iterator[tuple[str, Values]]:
    """The columns of entities, or of scopes."""
    names, ends, renamed = _names(parts, prefix)
    own = array("I")
    for part, codes in zip(parts, renamed, strict=True):
        own.extend(map(codes.__getitem__, part.column(prefix)))
    yield prefix, own
    yield f"{prefix}_name", bytes(names)
    yield f"{prefix}_noff", ends
    count = len(ends) - 1
    del names, ends
    hashes, hashed = array("Q"), array("I")
    one_by_one = (
        zip(
            part.column(f"{prefix}_hash"),
            map(codes.__getitem__, part.column(f"{prefix}_code")),
            strict=True,
        )
        for part, codes in zip(parts, renamed, strict=True)
    )
    last = None
    for pair in merge(*map(_in_order, one_by_one)):
        if pair != last:
            hashes.append(pair[0])
            hashed.append(pair[1])
            last = pair
    yield f"{prefix}_hash", hashes
    yield f"{prefix}_code", hashed
    del hashes, hashed, renamed
    pointers, rows = placed(own, count)
    yield f"{prefix}_ptr", pointers
    yield f"{prefix}_rows", rows


def _names(parts: Sequence[Sealed], prefix: str) -> tuple[bytearray, array[int], list[array[int]]]:
    """All names back to back, in the order of bytes; where each ends; per part, its new codes."""
    names, ends = bytearray(), array("I", [0])
    renamed = [array("I", bytes(4 * len(part.column(f"{prefix}_hash")))) for part in parts]
    last: bytes | None = None
    for name, which, code in merge(*(_listed(part, prefix, n) for n, part in enumerate(parts))):
        if name != last:
            names += name
            ends.append(len(names))
            last = name
        renamed[which][code] = len(ends) - 2
    return names, ends, renamed


def _listed(part: Sealed, prefix: str, which: int) -> Iterator[tuple[bytes, int, int]]:
    """The names of a part, in the order of bytes."""
    ends, data = part.column(f"{prefix}_noff"), part.column(f"{prefix}_name")
    for code in range(len(ends) - 1):
        yield bytes(data[ends[code] : ends[code + 1]]), which, code


def _in_order(pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Pairs that ascend in their first, so that they ascend in both."""
    equal: list[tuple[int, int]] = []
    for pair in pairs:
        if equal and pair[0] != equal[0][0]:
            yield from sorted(equal)
            equal.clear()
        equal.append(pair)
    yield from sorted(equal)


def _pairs(
    parts: Sequence[Sealed], firsts: Sequence[int], key_name: str, row_name: str
) -> Iterator[tuple[str, Values]]:
    keys, rows = array("Q"), array("I")
    moved = (
        _moved(part.column(key_name), part.column(row_name), first)
        for part, first in zip(parts, firsts, strict=False)
    )
    for key, row in merge(*moved):
        keys.append(key)
        rows.append(row)
    yield key_name, keys
    yield row_name, rows


def _moved(keys: Sequence[int], rows: Sequence[int], first: int) -> Iterator[tuple[int, int]]:
    return ((key, row + first) for key, row in zip(keys, rows, strict=True))
