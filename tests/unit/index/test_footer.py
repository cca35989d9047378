"""The bytes of a footer: what the format says is in them, and that nothing else is taken for one.

Would slip through without it: a column in another place or order than other programs expect, a
footer whose parts do not fit together and which is believed because its checksums are right.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any, Final

import pytest

from batpak import codec
from batpak.digest import content_hash, crc32
from batpak.index import sidx
from batpak.index.sidx import BadFooter, Column, Footer, Identity, Toc
from tests.unit.index.rows import FIRST, SEGMENT, START, Event, end_of, id_of, tail_of

ENTITIES: Final = ("b", "a:2", "a", "é:1", "a:1")
SCOPES: Final = ("t", "s")
KINDS: Final = (0xE702, 0xF001, 0xE701)
TRAILER: Final = struct.Struct("<8sQQQIIII")


def event(number: int) -> Event:
    return Event(
        entity=ENTITIES[number % 5],
        scope=SCOPES[number % 2],
        kind=KINDS[number % 3],
        size=number * 3,
        key=bytes([200 - number]) if number % 2 else None,
        correlation=900 - number % 3 if number % 4 else None,
        cause=1 << 63 | number % 2 if number % 3 else None,
    )


ROWS: Final = [event(number) for number in range(12)]
END: Final = end_of(11)
IDENTITY: Final = Identity(b"s" * 16, SEGMENT, FIRST, len(ROWS), b"h" * 32, END)


def image_of(rows: list[Event], identity: Identity, blocks: int = 1) -> bytes:
    tail = tail_of(rows)
    tail.freeze()
    pieces = sidx.pack(
        tail,
        identity,
        first_wall_ms=11,
        last_wall_ms=22,
        block_crcs=array("I", range(7, 7 + blocks)),
    )
    return b"".join(pieces)


IMAGE: Final = image_of(ROWS, IDENTITY)
FILE_SIZE: Final = END + len(IMAGE)


def hashed(name: bytes) -> int:
    return int.from_bytes(content_hash(name)[:8], "little")


def placed(codes: list[int], count: int) -> tuple[list[int], list[int]]:
    """Where the rows of each code begin, and those rows."""
    rows = [[row for row, own in enumerate(codes) if own == code] for code in range(count)]
    return [0, *accumulate(map(len, rows))], [row for group in rows for row in group]


def pairs(values: list[int | None]) -> tuple[list[int], list[int]]:
    found = sorted((value, row) for row, value in enumerate(values) if value is not None)
    return [value for value, _ in found], [row for _, row in found]


def wanted() -> dict[str, tuple[str, list[int] | bytes]]:
    """Every column, from a list of the events, in stored order."""
    columns: dict[str, tuple[str, list[int] | bytes]] = {
        "off": ("I", [START, *map(end_of, range(12))]),
        "plen": ("I", [row.size for row in ROWS]),
        "kind": ("H", [row.kind for row in ROWS]),
        "id_hi": ("Q", [*map(id_of, range(12))]),
    }
    for prefix in ("ent", "sco"):
        given = [(row.entity if prefix == "ent" else row.scope).encode() for row in ROWS]
        names = sorted(set(given))
        codes = [names.index(name) for name in given]
        by_hash = sorted((hashed(name), code) for code, name in enumerate(names))
        pointers, rows = placed(codes, len(names))
        columns |= {
            prefix: ("I", codes),
            f"{prefix}_name": ("B", b"".join(names)),
            f"{prefix}_noff": ("I", [0, *accumulate(map(len, names))]),
            f"{prefix}_hash": ("Q", [one for one, _ in by_hash]),
            f"{prefix}_code": ("I", [code for _, code in by_hash]),
            f"{prefix}_ptr": ("I", pointers),
            f"{prefix}_rows": ("I", rows),
        }
    kinds = sorted(KINDS)
    pointers, rows = placed([kinds.index(row.kind) for row in ROWS], 3)
    columns |= {"kind_vals": ("H", kinds), "kind_ptr": ("I", pointers), "kind_rows": ("I", rows)}
    for name, rest, values in (
        ("key", "hash", [None if row.key is None else hashed(row.key) for row in ROWS]),
        ("cor", "key", [row.correlation for row in ROWS]),
        ("cau", "key", [row.cause for row in ROWS]),
    ):
        one, two = pairs(values)
        columns |= {f"{name}_{rest}": ("Q", one), f"{name}_row": ("I", two)}
    return columns | {"blk_crc": ("I", [7])}


def test_a_footer_has_the_bytes_that_the_format_says() -> None:
    image = image_of(ROWS, IDENTITY)
    magic, frames_end, start, toc_at, toc_len, toc_crc, rows, crc = TRAILER.unpack(image[-48:])
    toc = image[toc_at - END : -48]

    assert (magic, frames_end, start, rows) == (b"SIDXv2\0\0", END, 3776, 12)
    assert start == -(-END // 64) * 64
    assert not any(image[: start - END])
    assert (toc_at + toc_len, len(toc)) == (END + len(image) - 48, toc_len)
    assert (toc_crc, crc) == (crc32(toc), crc32(image[-48:-4]))
    said = codec.decode_plain(toc)
    assert isinstance(said, list)
    assert said[:7] == [b"s" * 16, 3, 40, 12, b"h" * 32, 11, 22]
    assert [column[:2] for column in said[7]] == [[n, t] for n, (t, _) in wanted().items()]
    at = start
    for (name, type_code, offset, size, column_crc), (_, values) in zip(
        said[7], wanted().values(), strict=True
    ):
        assert offset == at
        data = image[offset - END : offset - END + size]
        if isinstance(values, bytes):
            assert data == values, name
        else:
            assert struct.unpack(f"<{len(values)}{type_code}", data) == tuple(values), name
        assert column_crc == crc32(data)
        at = offset + -(-size // 8) * 8
        assert not any(image[offset + size - END : at - END])
    assert at == toc_at


def test_a_footer_is_read_back_as_it_was_packed() -> None:
    footer = sidx.read(IMAGE, FILE_SIZE)

    assert isinstance(footer, Footer)
    assert footer.frames_end == END
    assert footer.toc[:7] == (b"s" * 16, 3, 40, 12, b"h" * 32, 11, 22)
    assert list(footer.columns) == list(wanted())
    assert list(footer.columns.values()) == footer.toc.columns
    sidx.check(footer, IDENTITY)


@pytest.mark.parametrize(
    ("end", "start"), [(0, 0), (1, 64), (63, 64), (64, 64), (65, 128), (128, 128)]
)
def test_a_footer_begins_at_the_next_multiple_of_64(end: int, start: int) -> None:
    assert sidx.footer_start(end) == start


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 4097, 9000])
def test_what_is_sorted_in_runs_is_sorted(count: int) -> None:
    items = [(n * 7919 % 1009, n) for n in range(count)]

    assert sidx._sorted(iter(items)) == sorted(items)


def test_no_call_sorts_more_than_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counting(items: list[tuple[int, int]]) -> list[tuple[int, int]]:
        sizes.append(len(items))
        return sorted(items)

    monkeypatch.setattr(sidx, "sorted", counting, raising=False)
    sidx._sorted((-n, n) for n in range(9000))

    assert sizes == [4096, 4096, 808]


def test_the_last_bytes_are_enough_or_it_is_said_how_many_are() -> None:
    needed = sidx.read(IMAGE[-48:], FILE_SIZE)

    assert isinstance(needed, int)
    assert sidx.read(IMAGE[-needed + 1 :], FILE_SIZE) == needed
    assert isinstance(sidx.read(IMAGE[-needed:], FILE_SIZE), Footer)
    assert sidx.read(IMAGE, FILE_SIZE) == sidx.read(IMAGE[-needed:], FILE_SIZE)


def forged(toc: object = None, **trailer: int | bytes) -> bytes:
    """A footer with another table of contents or trailer, whose checksums are right."""
    names = ("magic", "frames_end", "start", "toc_at", "toc_len", "toc_crc", "rows", "crc")
    fields = dict(zip(names, TRAILER.unpack(IMAGE[-48:]), strict=True))
    toc_bytes = IMAGE[fields["toc_at"] - END : -48]
    if toc is not None:
        toc_bytes = toc if isinstance(toc, bytes) else codec.encode(toc)
        fields |= {"toc_len": len(toc_bytes), "toc_crc": crc32(toc_bytes)}
    head = IMAGE[: fields["toc_at"] - END] + toc_bytes
    fields |= trailer
    raw = TRAILER.pack(*fields.values())
    return head + raw[:-4] + struct.pack("<I", trailer.get("crc", crc32(raw[:-4])))


def refused(image: bytes, size: int | None = None) -> bool:
    try:
        found = sidx.read(image, END + len(image) if size is None else size)
    except BadFooter:
        return True
    assert isinstance(found, Footer)
    return False


def decoded() -> Toc:
    footer = sidx.read(IMAGE, FILE_SIZE)
    assert isinstance(footer, Footer)
    return footer.toc


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("magic", 1),
        ("magic", -1),
        ("crc", 1),
        ("crc", -1),
        ("toc_len", 1),
        ("toc_len", -1),
        ("toc_at", 1),
        ("toc_at", -1),
        ("toc_crc", 1),
        ("toc_crc", -1),
        ("start", 64),
        ("start", -64),
        ("frames_end", 64),
        ("frames_end", -64),
        ("rows", 1),
        ("rows", -1),
    ],
)
def test_a_trailer_that_is_wrong_in_one_field_is_refused(field: str, change: int) -> None:
    names = ("magic", "frames_end", "start", "toc_at", "toc_len", "toc_crc", "rows", "crc")
    fields = dict(zip(names, TRAILER.unpack(IMAGE[-48:]), strict=True))

    assert not refused(forged())
    wrong = b"SIDXv%d\0\0" % (2 + change) if field == "magic" else fields[field] + change
    assert refused(forged(**{field: wrong}))


@pytest.mark.parametrize("change", [1, -1, 8])
def test_a_file_of_another_size_than_its_trailer_says_is_refused(change: int) -> None:
    assert refused(IMAGE, FILE_SIZE + change)


@pytest.mark.parametrize("size", [0, 1, 47])
def test_a_file_that_is_shorter_than_a_trailer_has_no_footer(size: int) -> None:
    with pytest.raises(BadFooter):
        sidx.read(IMAGE[-size:] if size else b"", FILE_SIZE)


def test_a_table_of_contents_has_at_most_a_mebibyte() -> None:
    """One of a byte more is refused by its trailer; one byte less would be asked for."""
    frames_end, start, at = END, sidx.footer_start(END), sidx.footer_start(END)
    for length, is_fine in ((1 << 20, True), ((1 << 20) + 1, False)):
        fields = struct.pack("<8sQQQIII", sidx.MAGIC, frames_end, start, at, length, 0, 12)
        trailer = fields + struct.pack("<I", crc32(fields))
        if is_fine:
            assert sidx.read(trailer, at + length + 48) == length + 48
        else:
            with pytest.raises(BadFooter):
                sidx.read(trailer, at + length + 48)


def test_a_table_of_contents_does_not_begin_before_the_footer() -> None:
    start = sidx.footer_start(END)
    for at, is_fine in ((start, True), (start - 8, False)):
        fields = struct.pack("<8sQQQIII", sidx.MAGIC, END, start, at, 500, 0, 12)
        trailer = fields + struct.pack("<I", crc32(fields))
        if is_fine:
            assert sidx.read(trailer, at + 500 + 48) == 548
        else:
            with pytest.raises(BadFooter):
                sidx.read(trailer, at + 500 + 48)


@pytest.mark.parametrize(
    "toc",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\xa1\xff",
        codec.encode("text"),
        codec.encode([b"s" * 16, 3, 40, 12, b"h" * 32, 11, 22, "columns"]),
        codec.encode([*decoded()[:7], [["\x00", "I", 3776, 0, 0]]]).replace(
            b"\x00\xa1I", b"\xff\xa1I"
        ),
        b"\x98" + b"\x91" * 100_000,
        codec.encode(list(decoded()))[:1].replace(b"\x98", b"\x99")
        + codec.encode(list(decoded()))[1:]
        + b"\x91" * 100_000,
    ],
    ids=range(9),
)
def test_a_table_of_contents_of_another_shape_is_refused(toc: bytes) -> None:
    assert refused(forged(toc))


def with_column(name: str, change: Callable[[Column], object]) -> Toc:
    toc = decoded()
    columns = [change(one) if one.name == name else one for one in toc.columns]
    return toc._replace(columns=columns)  # type: ignore[arg-type]  # wrong ones are the point


@pytest.mark.parametrize(
    "change",
    [
        lambda column: column._replace(offset=sidx.footer_start(END) - 8),
        lambda column: column._replace(offset=column.offset + 1),
        lambda column: column._replace(offset=column.offset - 1),
        lambda column: column._replace(offset=0),
        lambda column: column._replace(bytes=column.bytes + 1),
        lambda column: column._replace(bytes=column.bytes - 1),
        lambda column: column._replace(bytes=-8),
        lambda column: column._replace(bytes=-1),
        lambda column: column._replace(bytes=1 << 40),
        lambda column: [column.name, "L", *column[2:]],
        lambda column: [column.name, "", *column[2:]],
    ],
    ids=range(11),
)
@pytest.mark.parametrize("name", ["off", "kind", "id_hi", "blk_crc"])
def test_a_column_that_is_not_whole_inside_its_footer_is_refused(
    name: str, change: Callable[[Column], object]
) -> None:
    assert refused(forged(with_column(name, change)))


def test_a_column_of_bytes_does_not_have_less_than_none() -> None:
    assert not refused(forged(with_column("ent_name", partial(Column._replace, bytes=0))))
    assert refused(forged(with_column("ent_name", partial(Column._replace, bytes=-1))))


def test_a_column_may_fill_all_the_room_and_not_a_byte_more() -> None:
    start = sidx.footer_start(END)
    room = TRAILER.unpack(IMAGE[-48:])[3] - start

    for size, is_fine in ((room, True), (room + 8, False)):
        toc = with_column("off", partial(Column._replace, bytes=size))
        assert refused(forged(toc)) != is_fine


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("larger", [True, False])
def test_a_footer_that_names_another_segment_is_refused(number: int, larger: bool) -> None:
    footer = sidx.read(IMAGE, FILE_SIZE)
    assert isinstance(footer, Footer)
    due = IDENTITY[number]
    if isinstance(due, bytes):
        other: Any = (int.from_bytes(due, "big") + (1 if larger else -1)).to_bytes(len(due), "big")
    else:
        other = due + (1 if larger else -1)
    name = Identity._fields[number]

    with pytest.raises(BadFooter):
        sidx.check(footer, IDENTITY._replace(**{name: other}))
    said = (
        footer._replace(frames_end=other)
        if name == "frames_end"
        else footer._replace(toc=footer.toc._replace(**{name: other}))
    )
    with pytest.raises(BadFooter):
        sidx.check(said, IDENTITY)


FREE: Final = {"ent_name", "sco_name"}  # their length is what the names have
ITEM: Final = {"B": 1, "H": 2, "I": 4, "Q": 8}


@pytest.mark.parametrize("name", wanted())
def test_a_column_has_to_be_there_with_its_type_and_the_length_of_its_rows(name: str) -> None:
    footer = sidx.read(IMAGE, FILE_SIZE)
    assert isinstance(footer, Footer)
    column = footer.columns[name]
    others = {one: where for one, where in footer.columns.items() if one != name}

    with pytest.raises(BadFooter):
        sidx.check(footer._replace(columns=others), IDENTITY)
    for type_code in ITEM:
        if type_code != column.type:
            changed = Column(name, type_code, *column[2:])  # type: ignore[arg-type]  # one of four
            with pytest.raises(BadFooter):
                sidx.check(footer._replace(columns={**others, name: changed}), IDENTITY)
    for items in (1, -1, 2):
        changed = column._replace(bytes=column.bytes + items * ITEM[column.type])
        if name in FREE:
            sidx.check(footer._replace(columns={**others, name: changed}), IDENTITY)
        else:
            with pytest.raises(BadFooter):
                sidx.check(footer._replace(columns={**others, name: changed}), IDENTITY)


@pytest.mark.parametrize(
    ("end", "blocks"), [(65_535, 1), (65_536, 1), (65_537, 2), (131_072, 2), (131_073, 3)]
)
def test_there_is_a_checksum_for_each_64_kib_of_the_file(end: int, blocks: int) -> None:
    identity = IDENTITY._replace(frames_end=end)
    for count in (blocks - 1, blocks, blocks + 1):
        image = image_of(ROWS, identity, count)
        footer = sidx.read(image, end + len(image))
        assert isinstance(footer, Footer)
        if count == blocks:
            sidx.check(footer, identity)
        else:
            with pytest.raises(BadFooter):
                sidx.check(footer, identity)


def test_a_segment_without_events_has_a_footer_too() -> None:
    identity = IDENTITY._replace(rows=0, frames_end=151)
    image = image_of([], identity)
    footer = sidx.read(image, 151 + len(image))

    assert isinstance(footer, Footer)
    sidx.check(footer, identity)
    assert footer.columns["off"].bytes == 4
    assert footer.columns["ent_name"].bytes == 0
