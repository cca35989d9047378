"""Footers that are gone, spoilt, another's, from the future, or that lie with right checksums.

Whatever is wrong with a footer that bits, disks or other programs can do, the frames decide: a
reader and a writer give the answers they gave before, to every question. Who makes the checksums
right as well can hide an event from a question, until `verify` says that the footer is not what the
frames say; but what a row leads to is confirmed, the log itself reads as before, and nothing but
errors of ours comes out. Would slip through without it: a row that leads to another event, an open
that fails for the sake of an index, an index that is believed about where a frame is.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final, NamedTuple

from batpak import codec
from batpak.digest import crc32
from batpak.errors import BatpakError
from batpak.index import sidx
from batpak.index.sidx import Column, Footer
from batpak.reader import StoreReader
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.golden import (
    Files,
    Golden,
    answers,
    asked,
    base,
    put,
    read,
    repeated,
    sibling,
    verified,
    write,
    written,
)

_TRAILER: Final = struct.Struct("<8sQQQIIII")


class Open(NamedTuple):
    """A file of a store, and what its footer says."""

    name: str
    data: bytes
    truth: int
    footer: Footer

    def column(self, name: str) -> array[int]:
        """The entries of a column."""
        where = self.footer.columns[name]
        found = array(where.type)
        found.frombytes(self.data[where.offset : where.offset + where.bytes])
        return found


def opened(golden: Golden, name: str) -> Open:
    """A file that has a footer."""
    data = golden.files[name]
    footer = sidx.read(data, len(data))
    assert isinstance(footer, Footer), "there is no footer"
    return Open(name, data, golden.truth(name), footer)


def footed(golden: Golden) -> list[Open]:
    """The files of a store that have one."""
    names = [name for name in golden.segments if len(golden.files[name]) > golden.truth(name)]
    assert names, "no file has a footer"
    return [opened(golden, name) for name in names]


def packed(file: Open, columns: dict[str, bytes]) -> bytes:
    """The file with other columns, by name, in its footer; every checksum is right."""
    at = sidx.footer_start(file.truth)
    pieces = [file.data[: file.truth].ljust(at, b"\0")]
    listed: list[Column] = []
    for column in file.footer.toc.columns:
        before = file.data[column.offset : column.offset + column.bytes]
        data = columns.get(column.name, before)
        pieces += [data, bytes(-len(data) % 8)]
        listed.append(column._replace(offset=at, bytes=len(data), crc=crc32(data)))
        at += len(data) + -len(data) % 8
    return closed(file, b"".join(pieces), file.footer.toc._replace(columns=listed))


def closed(file: Open, begin: bytes, toc: sidx.Toc, magic: bytes = sidx.MAGIC) -> bytes:
    """The file with another table of contents behind its columns."""
    text = codec.encode(toc)
    start = sidx.footer_start(file.truth)
    fields = _TRAILER.pack(
        magic, file.truth, start, len(begin), len(text), crc32(text), toc.rows, 0
    )[:-4]
    return begin + text + fields + struct.pack("<I", crc32(fields))


# --------------------------------------------------------------------------------- spoilt footers


def spoilt(golden: Golden) -> Iterator[tuple[str, Open, bytes]]:
    """Footers that are none, or not this file's."""
    noise = Random(SEED).randbytes(1 << 14)  # noqa: S311  chance that can be repeated
    for file, foreign in zip(footed(golden), footed(sibling(golden)), strict=True):
        data, truth = file.data, file.truth
        size = len(data) - truth
        assert len(foreign.data) == len(data), "the other store is not alike"
        frames, tail = data[:truth], data[truth:]
        yield "gone", file, frames
        yield "zeros", file, frames + bytes(size)
        yield "noise", file, frames + noise[:size]
        yield "noise behind which it ends as it should", file, frames + noise[:size] + tail[-48:]
        yield "twice", file, data + tail
        yield "of another store", file, frames + foreign.data[truth:]
        mine, begin = file.footer.toc, data[: _toc_at(data)]
        yield "of the future", file, closed(file, begin, mine, b"SIDXv3\0\0")
        empty = frames.ljust(sidx.footer_start(truth), b"\0")
        yield "of no columns", file, closed(file, empty, mine._replace(columns=[]))
        for said in (
            mine._replace(store_id=bytes(16)),
            mine._replace(segment_id=77),
            mine._replace(first_sequence=1 << 40),
            mine._replace(rows=mine.rows + 1),
            mine._replace(rows=0),
            mine._replace(rows=0xFFFF_FFFF),
            mine._replace(chain_head=bytes(32)),
            mine._replace(first_wall_ms=0),
            mine._replace(last_wall_ms=1 << 60),
        ):
            yield f"that says of itself {said[:7]}", file, closed(file, begin, said)
        for column in mine.columns:
            left = [one for one in mine.columns if one is not column]
            yield f"without {column.name}", file, closed(file, begin, mine._replace(columns=left))
            for what, lie in lies_of_place(column):
                if lie == column:
                    continue
                said = mine._replace(
                    columns=[lie if one is column else one for one in mine.columns]
                )
                yield f"with {column.name} {what}", file, closed(file, begin, said)
        more = [*mine.columns, mine.columns[0]._replace(name="more")]
        yield "with a column more", file, closed(file, begin, mine._replace(columns=more))


def _toc_at(data: bytes) -> int:
    """Where the table of contents of a footer begins."""
    found: int = _TRAILER.unpack(data[-sidx.TRAILER_BYTES :])[3]
    return found


def lies_of_place(column: Column) -> Iterator[tuple[str, Column]]:
    """What a table of contents may say of where a column is."""
    yield "in the frames", column._replace(offset=0)
    yield "far away", column._replace(offset=1 << 40)
    yield "in front of the file", column._replace(offset=-8)
    yield "between its entries", column._replace(offset=column.offset + 1)
    yield "further on", column._replace(offset=column.offset + 8)
    yield "longer", column._replace(bytes=column.bytes + 8)
    yield "of no bytes", column._replace(bytes=0)
    yield "of less than none", column._replace(bytes=-8)
    yield "of another type", column._replace(type="Q" if column.type != "Q" else "H")


def every_spoilt(golden_of: Callable[[], Golden], step: int, tally: Tally, size: Size) -> None:
    """A footer that cannot be used is made anew."""
    golden = golden_of()
    intact, again = asked(golden.files, answers), repeated(golden.files, golden)
    for number, (what, file, data) in enumerate(spoilt(golden)):
        if size is Size.DEFAULT and number % step and what.startswith("with"):
            continue  # of what is done to each column in turn, some
        tally.count("mutations")
        with tally.case(f"{golden.name}: a footer {what}"):
            files = put(golden.files, file.name, data)
            assert asked(files, answers) == intact, "other answers"
            hold_told(golden, files, file)
            if size is Size.LONG or number % 8 == 0:
                assert repeated(files, golden) == again, "a writer gives other answers"
    with tally.case(f"{golden.name}: no footers at all"):
        tally.count("mutations")
        bare = {one.name: one.data[: one.truth] for one in footed(golden)}
        files = {**golden.files, **bare}
        assert asked(files, answers) == intact, "other answers"
        assert repeated(files, golden) == again, "a writer gives other answers"
        said = read(files).report
        assert said is not None
        assert said.rebuilt == tuple(bare), f"{said.rebuilt} was made anew"
        after = write(files, golden.config)
        anew = [name for name in bare if after.files[name] != golden.files[name]]
        assert not anew, f"what was made anew for {anew} is not what it was"


def hold_told(golden: Golden, files: Files, file: Open) -> None:
    """No event is wrong, and if there is a footer that is wrong, `verify` says so."""
    report = verified(files)
    assert report.ok, report.findings
    assert report.events == len(golden.events)
    told = [base(one.file) for one in report.derived]
    is_there = len(files[file.name]) > file.truth
    assert told == ([file.name] if is_there else []), f"{told}, and it is the footer of {file.name}"
    assert all(one.offset >= file.truth for one in report.derived)


# ------------------------------------------------------------------------------------------ lies

CONFIRMED: Final = frozenset({"off", "plen", "kind", "cor_key", "cor_row", "blk_crc"})
"""Columns whose entries are all confirmed by frames, or only say where to look for more."""


class Lie(NamedTuple):
    """A footer one entry of which is another one."""

    what: str
    file: Open
    data: bytes
    confirmed: bool  # whether a frame tells that it is not so


def lies(golden: Golden) -> Iterator[Lie]:
    """Every entry of every column, and every checksum is right; the footer of another store."""
    for file in footed(golden):
        entity_of = file.column("ent")
        for column in file.footer.toc.columns:
            entries = file.column(column.name)
            most = (1 << 8 * entries.itemsize) - 1
            for at, value in enumerate(entries):
                others = {0, value + 1, value - 1, entries[at - 1], most} - {value}
                for other in sorted(one for one in others if 0 <= one <= most):
                    entries[at] = other
                    what = f"{column.name}[{at}] is {other}, not {value}"
                    data = packed(file, {column.name: entries.tobytes()})
                    is_row = column.name == "ent_rows" and other < len(entity_of)
                    elsewhere = is_row and entity_of[other] != entity_of[value]
                    yield Lie(what, file, data, elsewhere or column.name in CONFIRMED)
                entries[at] = value
    for file, foreign in zip(footed(golden), footed(sibling(golden)), strict=True):
        begin = file.data[: file.truth] + foreign.data[file.truth : _toc_at(foreign.data)]
        mine, posing = file.footer.toc, foreign.footer.toc
        posing = posing._replace(store_id=mine.store_id, chain_head=mine.chain_head)
        data = closed(file, begin, posing)
        yield Lie("that of another store poses as ours", file, data, confirmed=False)


def every_lie(golden_of: Callable[[], Golden], step: int, tally: Tally, size: Size) -> None:
    """A footer that lies changes nothing where frames confirm it, and never the log itself."""
    golden = golden_of()
    intact, again = asked(golden.files, answers), repeated(golden.files, golden)
    log = asked(golden.files, dump)
    for number, lie in enumerate(lies(golden)):
        if size is Size.DEFAULT and number % step:
            continue
        tally.count("mutations")
        with tally.case(f"{golden.name}: {lie.what}"):
            files = put(golden.files, lie.file.name, lie.data)
            hold_told(golden, files, lie.file)
            assert asked(files, dump) == log, "another log"
            if lie.confirmed:
                assert asked(files, answers) == intact, "other answers"
                assert repeated(files, golden) == again, "a writer gives other answers"
            else:
                hold_typed(files, golden)


def dump(store: StoreReader) -> list[object]:
    """The log, both ways, and event by event."""
    events = list(store.query())
    return [
        events,
        list(store.query(reverse=True)),
        [store.get(sequence) for sequence in range(len(events))],
        store.count(),
    ]


def hold_typed(files: Files, golden: Golden) -> None:
    """Whatever is asked of a store, it answers, or refuses with an error of ours."""
    with suppress(BatpakError):
        asked(files, answers)
    with suppress(BatpakError):
        repeated(files, golden)


ROTATED: Final = partial(written, "rotated", SEED)
LARGE: Final = partial(written, "large", SEED)
JOBS: Final = [
    Job("files", "spoilt footers", partial(every_spoilt, ROTATED, 5)),
    Job("files", "spoilt footers, of the last file", partial(every_spoilt, LARGE, 17)),
    Job("files", "footers that lie", partial(every_lie, ROTATED, 5)),
]
