"""The index equals a list: whatever is asked, sealed or growing, forwards or backwards.

Would slip through without it: a row that a sealed part leaves out, a bound that shows too much, a
prefix that catches a neighbour, a footer that answers otherwise than the tail it was made from.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from batpak.coordinate import Coordinate
from batpak.digest import content_hash
from batpak.event import framed_name
from batpak.index import query, sidx
from batpak.index.query import Rows
from batpak.index.row import NO_ROW, Change, EntityHead, Part, Scope
from batpak.index.sealed import Sealed
from batpak.index.sidx import Footer, Identity
from batpak.index.table import Table
from batpak.index.tail import Tail
from batpak.kind import EventKind
from batpak.override import override
from batpak.record import pack_name
from batpak.region import KindFilter, Region

ENTITIES: Final = ("a", "a:1", "a:2", "a:1:x", "ab", "b", "é:1", "z")
SCOPES: Final = ("s", "t", "u")
KINDS: Final = (0xE701, 0xE702, 0xF001)
SIZE: Final = 300

Event = tuple[str, str, int, bytes | None, int | None, int | None]
EVENTS: Final[tuple[Event, ...]] = (
    ("a", "s", 0xE701, None, None, None),
    ("a:1", "t", 0xE702, b"k", None, None),
)
events = st.lists(
    st.tuples(
        st.sampled_from(ENTITIES),
        st.sampled_from(SCOPES),
        st.sampled_from(KINDS),
        st.none() | st.binary(min_size=1, max_size=3),
        st.none() | st.integers(0, 3),
        st.none() | st.integers(0, 3),
    ),
    max_size=40,
)
regions = st.builds(
    Region,
    entity=st.none() | st.sampled_from([*ENTITIES, "a:", "nobody"]),
    scope=st.none() | st.sampled_from([*SCOPES, "nowhere"]),
    kinds=st.none()
    | st.lists(st.sampled_from(KINDS), min_size=1).map(
        lambda raw: KindFilter.one_of(map(EventKind.from_wire, raw))
    )
    | st.sampled_from([0xE, 0xF]).map(KindFilter.category),
    versions=st.none()
    | st.tuples(st.integers(1, 5), st.integers(0, 5)).map(lambda two: (two[0], sum(two))),
)


class Log:
    """The frames, as far as the index asks for them, and a list of what was stored."""

    def __init__(self) -> None:
        self.stored: list[Event] = []
        self.versions: list[int] = []
        self.starts: dict[int, int] = {}  # segment -> first sequence
        self.used: set[bytes] = set()

    def sequence(self, segment_id: int, offset: int) -> int:
        return self.starts[segment_id] + offset // SIZE

    def head(self, segment_id: int, offset: int, sequence: int, entity: str) -> tuple[int, bytes]:
        assert self.stored[sequence][0] == entity
        return self.version(segment_id, offset, sequence), sequence.to_bytes(32, "big")

    def version(self, segment_id: int, offset: int, sequence: int) -> int:
        assert sequence == self.sequence(segment_id, offset)
        return self.versions[sequence]

    def key(self, segment_id: int, offset: int, end: int) -> bytes | None:
        assert end == offset + SIZE
        return self.stored[self.sequence(segment_id, offset)][3]


def id_of(sequence: int) -> int:
    return (sequence + 1) << 20


def publish(log: Log, table: Table, event: Event) -> None:
    """Add one event as a commit would."""
    entity, scope, kind, key, correlation, cause = event
    key = None if key in log.used else key
    tail, head = table.tail, table.head(entity)
    sequence, row = len(log.stored), table.tail.count
    known = tail.scopes_by_name.get(scope)
    code = head.code if head.code >= 0 else tail.entity_count
    fresh = Scope(len(tail.scopes_by_name), pack_name(scope), framed_name(scope.encode()))
    change = Change(
        row,
        [
            (
                (row + 1) * SIZE,
                row,
                kind,
                id_of(sequence),
                code,
                (known or fresh).code,
                head.row,
                correlation,
                cause,
                key,
            )
        ],
        {
            entity: EntityHead(
                head.version + 1, sequence.to_bytes(32, "big"), code, row, head.stored, head.hashed
            )
        },
        {} if key is None else {key: row},
        {} if known else {scope: fresh},
        tail.entity_count,
        [] if head.code >= 0 else [entity],
    )
    tail.publish(change)
    tail.publish(change)  # twice is once
    log.stored.append((entity, scope, kind, key, correlation, cause))
    log.versions.append(head.version + 1)
    log.used |= set() if key is None else {key}


def sealed(tail: Tail) -> Sealed:
    """The same index, over a footer."""
    end = len(tail) * SIZE
    identity = Identity(b"s" * 16, tail.segment_id, tail.first, len(tail), b"h" * 32, end)
    blocks = array("I", range(-(-end // sidx.BLOCK)))
    pieces = sidx.pack(tail, identity, first_wall_ms=1, last_wall_ms=2, block_crcs=blocks)
    image = bytes(end) + b"".join(pieces)
    footer = sidx.read(image[-sidx.TAIL_BYTES :], len(image))
    assert isinstance(footer, Footer)
    sidx.check(footer, identity)
    return Sealed(footer, lambda: image, lambda: (footer, image), {})


def built(parts: Sequence[Sequence[Event]], *, seal: bool) -> tuple[Log, Table]:
    log = Log()
    log.starts[1] = 0
    table = Table(log, [], Tail(1, 0, 0, threading.Lock))
    for number, part in enumerate(parts, 1):
        if number > 1:
            old = table.tail
            log.starts[number] = len(log.stored)
            table.rotate(Tail(number, len(log.stored), 0, threading.Lock))
            if seal:
                table.sealed(sealed(old))
        for event in part:
            publish(log, table, event)
    table.bound = len(log.stored)
    return log, table


def sequences(chunks: Iterable[Rows]) -> list[int]:
    return [part.first + row for part, rows, _ in chunks for row in rows]


@settings(max_examples=150, deadline=None)
@given(st.lists(events, min_size=1, max_size=4), regions, st.booleans(), st.data())
def test_a_region_selects_what_a_linear_scan_selects(
    parts: list[list[Event]], region: Region, seal: bool, data: st.DataObject
) -> None:
    log, table = built(parts, seal=seal)
    size = len(log.stored)
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(0, size + 3))
    table.bound = data.draw(st.integers(0, size))

    wanted = [
        n
        for n, (entity, scope, kind, *_) in enumerate(log.stored)
        if start <= n < min(stop, table.bound)
        and region.matches(Coordinate(entity, scope), EventKind.from_wire(kind), log.versions[n])
    ]

    assert sequences(query.select(table, region, start, stop)) == wanted
    assert sequences(query.select(table, region, start, stop, reverse=True)) == wanted[::-1]
    assert query.count(table, region, start, stop) == len(wanted)


@pytest.mark.parametrize("seal", [True, False])
def test_many_keys_are_looked_for_at_once(seal: bool) -> None:
    keys = [b"%d" % number for number in range(300)]
    parts: list[list[Event]] = [
        [("a", "s", 0xE701, key, None, None) for key in keys[:200]],
        [("a", "s", 0xE701, key, None, None) for key in keys[200:]],
        [],
    ]
    _, table = built(parts, seal=seal)
    others = [b"no %d" % number for number in range(400)]

    for some in (others[:1], others[:7], others):
        assert not table.may_know(some)
        assert all(table.may_know([*some, key]) for key in keys)
    assert table.may_know(keys)


@settings(max_examples=100, deadline=None)
@given(st.lists(events, min_size=1, max_size=4), st.booleans(), st.data())
def test_every_look_up_gives_what_a_list_gives(
    parts: list[list[Event]], seal: bool, data: st.DataObject
) -> None:
    log, table = built(parts, seal=seal)
    bound = table.bound = data.draw(st.integers(table.tail.first, len(log.stored)))
    seen = log.stored[:bound]

    for entity in (*ENTITIES, "nobody"):
        rows = [n for n, event in enumerate(seen) if event[0] == entity]
        assert sequences(query.entity_rows(table, entity)) == rows
        assert sequences(query.entity_rows(table, entity, reverse=True)) == rows[::-1]
        assert sequences(query.entity_rows(table, entity, 2, 3)) == rows[1:3]
        assert table.version(entity) == len(rows)
    for sequence in range(len(log.stored) + 2):
        place = table.with_id(id_of(sequence))
        assert place == (table.locate(sequence) if sequence < bound else None)
        assert table.with_id(id_of(sequence) + 1) is None
    for sequence, (*_, key, _, _) in enumerate(log.stored):
        if key is not None:
            assert table.with_key(key) == sequence
            assert table.may_know([b"never used", key])
    assert table.with_key(b"never used") is None
    assert not table.may_know([b"never used", b"nor this"])
    assert list(query.entities(table, None, None)) == sorted({e[0] for e in seen}, key=str.encode)
    for scope in SCOPES:
        names = {e[0] for e in seen if e[1] == scope and (e[0] == "a" or e[0].startswith("a:"))}
        assert list(query.entities(table, "a", scope)) == sorted(names, key=str.encode)
    for low in range(4):
        assert _low(table, bound, low, "correlated") == [
            n for n, e in enumerate(seen) if e[4] == low
        ]
        assert _low(table, bound, low, "caused_by") == [
            n for n, e in enumerate(seen) if e[5] == low
        ]


def _low(table: Table, bound: int, low: int, column: str) -> list[int]:
    return [
        part.first + row
        for part, _, stop in table.spans(0, bound)
        for row in getattr(part, column)(low)
        if row < stop
    ]


@settings(max_examples=60, deadline=None)
@given(events)
def test_a_sealed_part_answers_as_the_tail_it_was_made_from(part: list[Event]) -> None:
    _, table = built([part], seal=False)
    tail = table.tail
    tail.freeze()
    one: Part = tail
    other: Part = sealed(tail)

    assert len(one) == len(other)
    for name in ("offsets", "sizes", "kinds"):
        assert list(getattr(one, name)) == list(getattr(other, name))
    assert one.kind_counts() == other.kind_counts()
    assert list(one.entities()) == list(other.entities())
    assert sorted(one.scopes()) == sorted(other.scopes())
    for row in range(len(one)):
        assert one.entity_at(row) == other.entity_at(row)
        assert one.scope_at(row) == other.scope_at(row)
    for prefix in (*ENTITIES, "nobody"):
        assert list(one.under(prefix)) == sorted(other.under(prefix))
        assert list(one.of_entity(prefix)) == list(other.of_entity(prefix))
        assert one.last_of(prefix) == other.last_of(prefix)


def footer_of(count: int) -> tuple[bytes, Identity]:
    log = [
        (ENTITIES[n % 5], SCOPES[n % 3], KINDS[n % 3], bytes([n]), n % 4, None)
        for n in range(count)
    ]
    _, table = built([log], seal=False)
    tail = table.tail
    tail.freeze()
    identity = Identity(b"s" * 16, 1, 0, count, b"h" * 32, count * SIZE)
    pieces = sidx.pack(tail, identity, first_wall_ms=1, last_wall_ms=2, block_crcs=array("I", [7]))
    return b"".join(pieces), identity


def outcome(image: bytes, good: bytes, identity: Identity) -> str:
    """What comes of a footer: refused, or every column the same, if need be made anew."""
    end = identity.frames_end
    try:
        footer = sidx.read(image[-sidx.TAIL_BYTES :], end + len(image))
        if isinstance(footer, int):
            footer = sidx.read(image[-footer:], end + len(image))
        assert isinstance(footer, Footer)
        sidx.check(footer, identity)
    except sidx.BadFooter:
        return "refused"
    right = sidx.read(good, end + len(good))
    assert isinstance(right, Footer)
    part = Sealed(footer, lambda: bytes(end) + image, lambda: (right, good), {})
    whole = Sealed(right, lambda: bytes(end) + good, lambda: (right, good), {})
    for name in right.columns:
        assert bytes(part.column(name)) == bytes(whole.column(name)), name
    return "made anew" if part.rebuilt else "the same"


def test_every_damaged_byte_of_a_footer_is_refused_or_made_good() -> None:
    good, identity = footer_of(12)
    padding = sidx.footer_start(identity.frames_end) - identity.frames_end
    seen = set()

    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        found = outcome(bytes(bad), good, identity)
        seen.add(found)
        assert found != "the same" or at < padding or good[at] == 0, at
    for cut in range(0, len(good), 3):
        assert outcome(good[:cut], good, identity) == "refused"

    assert seen == {"refused", "made anew", "the same"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_are_taken_for_a_footer(junk: bytes) -> None:
    try:
        sidx.read(junk, 10_000)
    except sidx.BadFooter:
        return
    raise AssertionError(junk)


def test_the_hash_of_a_name_is_the_published_one() -> None:
    assert sidx.hash_of(b"k-1") == 0x41D756A95F41F067
    assert sorted([sidx.hash_of(b"user:1"), sidx.hash_of(b"user:2")]) == [
        0x3EF904E7D58C68AE,
        0xF3CF15318C6A74A9,
    ]
    assert content_hash(b"k-1")[:8].hex() == "67f0415fa956d741"


def test_an_entity_goes_on_from_the_segments_before() -> None:
    first: list[Event] = [("a", "s", KINDS[0], None, None, None)] * 3
    _, table = built([[*first], [], []], seal=True)

    head = table.head("a")

    assert (head.version, head.code, head.row) == (3, -1, NO_ROW)
    assert table.head("new").version == 0


class _Slow:
    """A sealed part: while its place is looked for, the log goes on in the next file."""

    def __init__(self, part: Sealed, then: Callable[[], None]) -> None:
        self._part, self._then = part, then

    @property
    def segment_id(self) -> int:
        then, self._then = self._then, lambda: None
        then()
        return self._part.segment_id

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever a part has
        return getattr(self._part, name)


def test_a_file_that_begins_while_another_one_is_sealed_is_not_lost() -> None:
    _, table = built([[event] for event in EVENTS[:2]], seal=False)
    first, second = table.parts
    assert isinstance(first, Tail)
    third = Tail(3, 2, 0, threading.Lock)

    table.sealed(cast("Part", _Slow(sealed(first), lambda: table.rotate(third))))

    assert [part.segment_id for part in table.parts] == [1, 2, 3]
    assert table.parts[1] is second
    assert table.parts[2] is table.tail is third


def test_a_rotation_that_is_done_twice_is_done_once() -> None:
    _, table = built([[EVENTS[0]]], seal=False)
    tail = Tail(2, 1, 0, threading.Lock)
    table.rotate(tail)
    table.rotate(tail)

    assert [part.segment_id for part in table.parts] == [1, 2]


class _Asked(dict[str, EntityHead]):
    """Heads of the newest file: once somebody was told that one is missing, the log goes on."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    @override
    def get(self, *asked: Any) -> Any:  # noqa: ANN401  as of a dict
        found = super().get(*asked)
        then, self._then = self._then, lambda: None
        then()
        return found


def test_a_version_counts_what_is_visible_while_the_log_goes_on_in_the_next_file() -> None:
    log, table = built([[]], seal=False)

    def go_on() -> None:
        table.rotate(Tail(2, len(log.stored), 0, threading.Lock))
        log.starts[2] = len(log.stored)
        for _ in range(2):
            publish(log, table, EVENTS[0])

    table.tail.heads = _Asked(go_on)

    assert table.version("a") == 0  # they are stored, and nobody may see them yet
    table.bound = len(log.stored)
    assert table.version("a") == 2
