"""Footers: spoiled by accident, and written to lie with every checksum right.

A spoiled one is noticed, and the answers are the same. One that lies may hide events until `verify`
is asked, which compares it with the frames; what it can never do is to have another event given
out for the one that was asked for, or to end in an error that nobody was told of.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from functools import cache
from typing import Final, cast
from uuid import UUID

from batpak.disk.seam import Directory
from batpak.errors import CorruptStore, EventNotFound
from batpak.ids import CorrelationId, EventId
from batpak.index import sidx
from batpak.index.sealed import Sealed
from batpak.journal import header
from batpak.journal.header import Ends
from batpak.journal.segment import Segment
from batpak.platform import REAL
from batpak.reader import StoreReader
from batpak.recovery import footer
from batpak.recovery.decide import Recorded
from batpak.store import Store
from tests.facts import Counted, Said
from tests.proof.fuzz_bytes import attempt
from tests.proof.fuzz_corpus import ONE, OTHER, STORES, UNSYNCED, Files, closed
from tests.proof.fuzz_msgpack import pack
from tests.proof.fuzz_store import PATH, Script
from tests.proof.golden import machine

FRAMES: Final = bytes(ONE.data)
BEHIND: Final = ONE.footer()
TOC: Final = ONE.toc()
CLOSING: Final = len(pack(TOC[0])) + 48  # bytes of its table of contents and its trailer
OTHERS: Final = [OTHER.footer(), UNSYNCED.footer()]  # right ones, of other stores
LOWS: Final = [1 << 63 | n for n in (1, 4, 9)]  # last halves of ids
RECORDED: Final = Recorded(len(FRAMES), ONE.last, ONE.sequence)


class _Alone:
    """As much of a directory as a segment that is read asks for: one file, in memory."""

    path = PATH

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self, name: str) -> _Alone:
        """The file."""
        assert name == "000001.fbat", name
        return self

    def pread(self, offset: int, count: int) -> bytes:
        """A part of it."""
        return self._data[offset : offset + count]

    def map(self) -> bytes:
        """All of it."""
        return self._data


def parse_footer(data: bytes) -> bool:
    """What stands behind the frames of a file: the footer, or anything."""
    file = FRAMES + data
    directory = cast("Directory", _Alone(file))
    found, start = header.decode(file, PATH)
    segment = Segment(directory, found, start, len(FRAMES), trusted=False)
    ends = Ends(found, start, len(file), file[-sidx.TAIL_BYTES :])
    whole = len(data) == len(BEHIND) and data[-CLOSING:] == BEHIND[-CLOSING:]
    part = attempt(lambda: footer.read(segment, ends, RECORDED, REAL.raw_lock), sidx.BadFooter)
    if isinstance(part, Exception):
        assert not whole, f"a right footer is refused: {part}"
        return False
    assert whole, "a footer is taken whose contents are not what was written"
    answers = _answers_of(part)
    assert answers == _due_answers(), f"{answers}"
    spoiled = any(
        data[at - len(FRAMES) :][:size] != BEHIND[at - len(FRAMES) :][:size]
        for _, _, at, size, _ in TOC[0][-1]
    )
    assert part.rebuilt == spoiled, f"made anew: {part.rebuilt}; spoiled: {spoiled}"
    return True


def _answers_of(part: Sealed) -> list[object]:
    """Everything that an index can be asked."""
    rows = range(len(part))
    entities = sorted({one.entity for one in ONE.events}, key=str.encode)
    return [
        (list(part.offsets), list(part.sizes), list(part.kinds), list(part.block_crcs or ())),
        [(part.entity_at(row), part.scope_at(row)) for row in rows],
        [(name, part.last_of(name), list(part.of_entity(name))) for name in entities],
        [list(part.under(name)) for name in ("user", "order", "order:1", "n")],
        [list(part.of_scope(scope)) for scope in ("acme", "north", "nørd", "none")],
        [list(part.of_kind(kind)) for kind in (Counted.KIND, Said.KIND, 1)],
        [part.with_id(int.from_bytes(one.event_id[:8], "big")) for one in ONE.events],
        [list(part.with_key(key)) for key in (b"k-1", b"k" * 33, b"none")],
        [list(part.correlated(LOWS[0])), *(list(part.caused_by(low)) for low in LOWS)],
        (list(part.entities()), list(part.scopes()), part.kind_counts(), part.first_id),
    ]


@cache
def _due_answers() -> list[object]:
    """The same from the events."""
    events = list(enumerate(ONE.events))
    entities = sorted({one.entity for one in ONE.events}, key=str.encode)
    scopes = sorted({one.scope for one in ONE.events}, key=str.encode)
    kinds = sorted({one.kind for one in ONE.events})
    by_entity = {name: [row for row, one in events if one.entity == name] for name in entities}
    ids = [int.from_bytes(one.event_id[:8], "big") for one in ONE.events]
    crcs = [zlib.crc32(FRAMES)]

    def keyed(key: bytes) -> list[int]:
        return [row for row, one in events if one.opt and one.opt[0] == key]

    def under(name: str) -> list[int]:
        parts = name.split(":")
        return [row for row, one in events if one.entity.split(":")[: len(parts)] == parts]

    def related(field: str, low: int) -> list[int]:
        found = [(row, getattr(one, field), one.event_id) for row, one in events]
        return [row for row, raw, own in found if raw != own and raw[8:] == low.to_bytes(8, "big")]

    return [
        (
            ONE.offsets,
            [len(one.payload) for one in ONE.events],
            [one.kind for one in ONE.events],
            crcs,
        ),
        [(one.entity, one.scope) for one in ONE.events],
        [(name, rows[-1], rows) for name, rows in by_entity.items()],
        [under(name) for name in ("user", "order", "order:1", "n")],
        [[row for row, one in events if one.scope == s] for s in ("acme", "north", "nørd", "none")],
        [[row for row, one in events if one.kind == k] for k in (Counted.KIND, Said.KIND, 1)],
        list(range(len(events))),
        [keyed(key) for key in (b"k-1", b"k" * 33, b"none")],
        [related("correlation_id", LOWS[0]), *(related("causation_id", low) for low in LOWS)],
        (entities, scopes, {k: sum(one.kind == k for one in ONE.events) for k in kinds}, ids[0]),
    ]


# ------------------------------------------------------------------------------ footers that lie

SIZES: Final = {"B": 1, "H": 2, "I": 4, "Q": 8}
STORE: Final = STORES["two, closed"]
ASKED: Final = 3  # questions per input; the first contradiction has the footer made anew


def lying(data: bytes) -> bytes:
    """What a script makes of the footer; every checksum is right again."""
    script = Script(data)
    fields, image = TOC
    columns = [list(one) for one in fields[-1]]
    fields, start = [*fields[:-1], columns], -(-len(FRAMES) // 64) * 64
    frames_end, rows = len(FRAMES), len(ONE.events)
    changed = bytearray(image)
    while script:
        what, column = script.byte(16), columns[script.byte(len(columns))] if columns else []
        if what < 12 and column and [type(one) for one in column[2:4]] == [int, int]:
            _lie(changed, column[2] - start, column[3], SIZES.get(column[1], 1), script)
        elif what == 12:
            fields[script.byte(7)] = script.word(1 << script.byte(33))
        elif what == 13 and column:
            column[script.byte(4)] = (script.word(5000), "B", "H", "I", "Q", "x")[script.byte(6)]
        elif what == 14 and columns:
            del columns[script.byte(len(columns))]
        else:
            frames_end += script.byte(3) - 1
            rows = max(0, rows + script.byte(3) - 1)
    for column in columns:
        at, size = column[2:4]
        if isinstance(at, int) and isinstance(size, int):
            column[4] = zlib.crc32(changed[max(0, at - start) :][:size])
    return closed(frames_end, rows, pack(fields), bytes(changed))


def _lie(image: bytearray, at: int, size: int, width: int, script: Script) -> None:
    """Another value in a column, if it is where it can be."""
    if 0 <= at < at + size <= len(image):
        where = at + script.word(size // width or 1) * width
        most = (1 << 8 * width) - 1
        near = int.from_bytes(image[where : where + width], "little")
        values = 0, 1, 2, 5, most, most >> 1, near + 1, near - 1, near + 8, script.word(1 << 16)
        value = values[script.byte(len(values))] & most
        image[where : where + width] = value.to_bytes(width, "little")


def parse_lying_footer(data: bytes) -> bool:
    """A footer that was written by somebody who knows the format, and some questions."""
    files = {**STORE.files, "000001.fbat": FRAMES + lying(data[1:])}
    first = data[0] if data else 0
    found = attempt(lambda: _asked(files, first), CorruptStore)
    if isinstance(found, Exception):
        assert len(data) > 1, f"a right footer is refused: {found}"
        return False
    return found == len(STORE.events) * ASKED


def _asked(files: Files, first: int) -> int:
    """Open a store and ask some questions; how many events were found."""
    sim, found = machine(files), 0
    with sim.pause(), Store.open_read_only(PATH, platform=sim) as store:
        for number in range(ASKED):
            found += QUESTIONS[(first + number) % len(QUESTIONS)](store)
    return found


# Each question fails if it is answered with something else, and counts what was found.


def _all(store: StoreReader) -> int:
    told = [one.record for one in store.query()]
    assert told == RECORDS, f"{len(told)} events, and they are others"
    return store.count()


def _by_number(store: StoreReader) -> int:
    for number, record in enumerate(RECORDS):
        assert store.get(number).record == record, f"another event for {number}"
    return len(RECORDS)


def _by_id(store: StoreReader) -> int:
    found = 0
    for one, record in zip(STORE.events, RECORDS, strict=True):
        with suppress(EventNotFound):
            told = store.get(EventId(UUID(bytes=one.event_id)))
            assert told.record == record, "another event for an id"
            found += 1
    return found


def _by_entity(store: StoreReader) -> int:
    found = 0
    for entity in sorted({one.entity for one in STORE.events}):
        for told in store.stream(entity):
            assert told.coordinate.entity == entity, f"of {told.coordinate}, not of {entity}"
            found += 1
        store.version(entity)
    return found


def _by_scope(store: StoreReader) -> int:
    found = 0
    for scope in sorted({one.scope for one in STORE.events}):
        found += sum(1 for _ in store.by_scope(scope))  # which ones the footer says alone
    return found


def _by_kind(store: StoreReader) -> int:
    found = 0
    for cls in (Counted, Said):
        found += sum(1 for _ in store.by_fact(cls))  # likewise
    return found


def _by_conversation(store: StoreReader) -> int:
    found = 0
    for one in STORE.events:
        root = CorrelationId(UUID(bytes=one.event_id))
        for told in store.by_correlation(root):
            assert told.correlation_id == root, f"of {told.correlation_id}, not of {root}"
            found += 1
        with suppress(EventNotFound):
            list(store.impact(EventId(root)))
    return found


def _entries(store: StoreReader) -> int:
    found = 0
    for told, one in zip(store.entries(), STORE.events, strict=True):
        assert told.head == one.head, f"another entry for {one.sequence}"
        where = told.coordinate.entity, told.coordinate.scope
        assert where == (one.entity, one.scope), f"{where}, not of {one.sequence}"
        found += 1
    list(store.entities())
    store.stats()
    return found


RECORDS: Final = [one.record() for one in STORE.events]
QUESTIONS: Final = (
    _all, _by_number, _by_id, _by_entity, _by_scope, _by_kind, _by_conversation, _entries,
)  # fmt: skip
