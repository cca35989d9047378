"""What the short way takes, and that it takes no more: each limit, and one beyond it.

Would slip through without it: one comparison that lets pass what a log cannot have, seen only by
the long way, which hardly any frame goes; or one that sends every frame the long way.
"""

from __future__ import annotations

from typing import Final

import pytest

from batpak.clock import WALL_MS_MAX
from batpak.digest import ZERO_HASH, content_hash
from batpak.faults import Damage
from batpak.journal import chain, frame
from batpak.journal.chain import Chain, Placed, link_fault, placed
from batpak.journal.frame import Fault, Frame
from batpak.kind import TOMBSTONE
from batpak.record import DROPPED, ENTITY_AT, ERASED, stub_of
from tests.unit.journal.logs import MS, STORE_ID, Item, Log, log_of
from tests.unit.journal.ways import LongWay, judged, outcome

BASE: Final = {"counter": 5, "wall_ms": MS + 3, "id_hi": (MS + 3) << 16 | 0x7123, "stamp": 1}
"""What the head of the last event says in the tests below; its sequence is 1."""

ID_HI: Final = BASE["id_hi"]


def base(*, hashed: bool = True, items: int = 0) -> tuple[Log, Chain]:
    """A log of two events, then some items of a batch of three; and a chain that has read it."""
    log = log_of([Item()])
    log.add(Item(), BASE)
    for index in range(items):
        log.add(Item(index=index, count=3), later(index))
    known = Chain(STORE_ID, hashed=hashed)
    for body in log.bodies:
        assert known.follow(body, 0, 0) is not None
    return log, known


def later(index: int) -> dict[str, int]:
    return {"wall_ms": MS + 4 + index, "id_hi": (MS + 4 + index) << 16 | 0x7000, "stamp": 1}


GOOD: Final[list[dict[str, int]]] = [
    {},
    {"wall_ms": MS + 3, "counter": 6},
    {"wall_ms": MS + 4, "counter": 0},
    {"wall_ms": WALL_MS_MAX, "counter": 0},
    {"id_hi": ID_HI + 1},
    {"id_hi": (MS + 3) << 16 | 0x7FFF},
    {"id_hi": (WALL_MS_MAX + 1) << 16 | 0x7FFF},
    {"id_lo": 0x8000_0000_0000_0000},
    {"id_lo": 0xBFFF_FFFF_FFFF_FFFF},
    {"stamp": 1},
    {"stamp": 2},
    {"version": 1},
    {"version": 1 << 63},
    {"payload_version": 0xFFFF},
]
BAD: Final[list[dict[str, int]]] = [
    {"sequence": 1},
    {"sequence": 3},
    {"wall_ms": MS + 3, "counter": 5},
    {"wall_ms": MS + 3, "counter": 4},
    {"wall_ms": MS + 2, "counter": 6},
    {"wall_ms": WALL_MS_MAX + 1},
    {"id_hi": ID_HI},
    {"id_hi": ID_HI - 1},
    {"id_hi": (WALL_MS_MAX + 2) << 16 | 0x7000},
    {"id_hi": (MS + 9) << 16 | 0x6000},
    {"id_hi": (MS + 9) << 16 | 0x6FFF},
    {"id_hi": (MS + 9) << 16 | 0x8000},
    {"id_hi": (MS + 9) << 16 | 0xF000},
    {"id_lo": 0x7FFF_FFFF_FFFF_FFFF},
    {"id_lo": 0x3FFF_FFFF_FFFF_FFFF},
    {"id_lo": 0xC000_0000_0000_0000},
    {"stamp": 0},
    {"stamp": 3},
]
PLACES: Final = [
    (0, 0, 1),
    (0, 0, 2),
    (0, 0, 0xFFFF_FFFF),
    (1, 1, 3),
    (2, 2, 3),
]
MISPLACED: Final = [
    (0, 0, 0),
    (0, 1, 1),
    (0, 1, 2),
    (0, 1, 3),
    (0, 0xFFFF_FFFF, 0xFFFF_FFFF),
    (1, 0, 1),
    (1, 0, 3),
    (1, 1, 2),
    (1, 1, 4),
    (1, 2, 3),
    (2, 0, 1),
    (2, 1, 3),
    (2, 2, 2),
    (2, 2, 4),
    (2, 3, 3),
    (2, 3, 4),
]


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("change", GOOD, ids=str)
def test_an_event_at_the_limit_of_what_may_come_next_takes_the_short_way(
    change: dict[str, int], hashed: bool
) -> None:
    log, known = base(hashed=hashed)
    body = log.record(Item(), {**later(2), **change})

    short, long = judged(known, body)

    assert short == long
    assert isinstance(short, Placed)
    assert (short.offset, short.end) == (7, 9)


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("change", BAD, ids=str)
def test_an_event_one_beyond_what_may_come_next_is_out_of_order(
    change: dict[str, int], hashed: bool
) -> None:
    log, known = base(hashed=hashed)

    short, long = judged(known, log.record(Item(), {**later(2), **change}))

    assert short is None
    assert isinstance(long, Fault)
    assert long.reason is Damage.ORDER


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 0}, Damage.FRAME),
        ({"payload_version": 0}, Damage.FRAME),
        ({"type": 0}, Damage.FRAME),
        ({"type": 2}, Damage.FRAME),
        ({"type": 3}, Damage.FRAME),
        ({"type": 4}, Damage.FRAME),
    ],
)
def test_a_head_that_no_event_has_is_not_ordinary(
    change: dict[str, int], reason: Damage | None
) -> None:
    log, known = base()

    short, long = judged(known, log.record(Item(), {**later(2), **change}))

    assert short is None
    assert (long.reason if isinstance(long, Fault) else long) is reason


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("size", [0, 32, 300])
@pytest.mark.parametrize("stub", [DROPPED, ERASED])
def test_a_stub_goes_both_ways_alike_where_there_may_be_any(
    stub: int, size: int, hashed: bool
) -> None:
    log, known = base(hashed=hashed)
    item = Item(payload=bytes(size), key=b"k")
    body = stub_of(log.record(item, later(2)), size, stub, content_hash(item.payload))

    refused, fault = judged(known, body)
    known.stubs = True
    short, long = judged(known, body)

    assert refused is None
    assert isinstance(fault, Fault)
    assert fault.reason is Damage.FRAME
    assert short == long
    assert isinstance(short, Placed)
    assert (short.type, short.size, short.kind == TOMBSTONE) == (stub, 0, stub == ERASED)


@pytest.mark.parametrize("stub", [DROPPED, ERASED])
def test_a_stub_with_another_hash_is_damage(stub: int) -> None:
    log, known = base(hashed=True)
    known.stubs = True

    short, long = judged(known, stub_of(log.record(Item(), later(2)), 4, stub, bytes(32)))

    assert short is None
    assert isinstance(long, Fault)
    assert long.reason is Damage.CHAIN


@pytest.mark.parametrize(("before", "index", "count"), PLACES)
def test_an_item_in_its_place_moves_both_ways_alike(before: int, index: int, count: int) -> None:
    log, known = base(items=before)
    body = log.record(Item(index=index, count=count), later(2))
    found = frame.decode(body)
    assert isinstance(found, Frame)

    short, long = judged(known, body)

    assert short == long
    assert isinstance(short, Placed)
    slow = base(items=before)[1]
    slow.advance(found)
    assert known.item == slow.item == (index + 1 if index + 1 < count else 0)
    assert known.item == 0 or known.count == slow.count == count
    for name in ("sequence", "chain_head", "wall_ms", "counter", "id_hi", "durable_through"):
        assert getattr(known, name) == getattr(slow, name)


@pytest.mark.parametrize(("before", "index", "count"), MISPLACED)
def test_an_item_that_is_not_due_is_no_item(before: int, index: int, count: int) -> None:
    log, known = base(items=before)
    change = {**later(4), "stamp": 2}

    short, long = judged(known, log.record(Item(index=index, count=count), change))

    assert short is None
    assert isinstance(long, Fault)
    assert long.reason is Damage.BATCH


def test_the_first_event_may_say_nothing_but_zeros() -> None:
    """No log has such events; what a chain asks of the first one is no more than this."""
    zero = {"wall_ms": 0, "counter": 0, "id_hi": 0x7000, "stamp": 0}
    body = Log().record(Item(), zero)

    for way in (Chain, LongWay):
        known = way(STORE_ID, hashed=True)
        assert (known.wall_ms, known.counter, known.id_hi) == (0, -1, 0)
        assert (known.durable_through, known.item, known.sequence) == (0, 0, 0)
        assert known.chain_head == ZERO_HASH
    short, long = judged(Chain(STORE_ID, hashed=True), body)
    assert short == long
    assert isinstance(short, Placed)


@pytest.mark.parametrize("change", ["chain head", "prev hash", "payload", "own hash"])
def test_an_event_whose_hash_is_another_is_not_ordinary(change: str) -> None:
    log, known = base()
    body = bytearray(log.record(Item(), later(2)))
    if change == "chain head":
        known.chain_head = bytes(32)
    else:
        body[{"prev hash": 97, "payload": len(body) - 1, "own hash": 129}[change]] ^= 1

    short, long = judged(known, bytes(body))

    assert short is None
    assert isinstance(long, Fault)
    assert long.reason is Damage.CHAIN


@pytest.mark.parametrize("change", [1, -1])
def test_a_hash_that_is_larger_or_smaller_does_not_pass(change: int) -> None:
    log, known = base()
    body = log.record(Item(), later(2))
    wrong = (int.from_bytes(body[129:161], "big") + change).to_bytes(32, "big")

    short, long = judged(known, body[:129] + wrong + body[161:])

    assert short is None
    assert isinstance(long, Fault)
    assert long.reason is Damage.CHAIN


SHAPES: Final = [
    Item(),
    Item(entity="n" * 31, scope="n" * 32, payload=b""),
    Item(entity="n" * 32, scope="n" * 31, payload=bytes(0xFF)),
    Item(entity="n" * 255, scope="n" * 255, payload=bytes(0x100)),
    Item(entity="a", scope="b", key=b"k", payload=bytes(0xFFFF)),
    Item(entity="é", scope="b", key=b"k" * 255, payload=bytes(0x1_0000)),
    Item(entity="a", scope="b", key=b"k" * 32, payload=bytes(3)),
    Item(key=b"k", payload=b""),
]

LONG: Final = b"\xbf" + b"n" * 31
LONGER: Final = b"\xd9\x20" + b"m" * 32
FORM: Final = Log().record(Item(entity="n" * 31, scope="m" * 32, payload=b"p"))
TURNED: Final = Log().record(Item(entity="m" * 32, scope="n" * 31, payload=b"p"))
KEYED: Final = Log().record(Item(entity="a", scope="b", key=b"k", payload=b"p"))
BARE: Final = Log().record(Item(entity="a", scope="b", payload=b""))
SPELT_WRONG: Final = {
    "an entity of 31 bytes with a length of its own": FORM.replace(LONG, b"\xd9\x1f" + LONG[1:]),
    "a scope of 31 bytes with a length of its own": TURNED.replace(LONG, b"\xd9\x1f" + LONG[1:]),
    "an entity of 32 bytes without one": TURNED.replace(LONGER, b"\xc0" + LONGER[2:]),
    "a scope of 32 bytes without one": FORM.replace(LONGER, b"\xc0" + LONGER[2:]),
    "an empty key": KEYED.replace(b"\x92\xc4\x01k", b"\x92\xc4\x00"),
    "a key and no word on extensions": KEYED.replace(b"\x01k\xc0", b"\x01k"),
    "no word on the key": BARE.replace(b"\xa1b\xc0", b"\xa1b"),
    "a payload of text": BARE[:-2] + b"\xd9\x04pp",
    "a payload of 255 bytes with a length of two": BARE[:-2] + b"\xc5\x00\xff" + bytes(255),
    "a payload of 65,535 bytes with a length of four": BARE[:-2]
    + b"\xc6\x00\x00\xff\xff"
    + bytes(0xFFFF),
}


@pytest.mark.parametrize("what", SPELT_WRONG)
def test_a_form_that_is_not_the_shortest_is_not_ordinary(what: str) -> None:
    body = SPELT_WRONG[what]
    assert body not in (FORM, TURNED, KEYED, BARE)

    short, verdict = judged(Chain(STORE_ID, hashed=False), body)

    assert short is None
    assert isinstance(verdict, Fault)
    assert verdict.reason is Damage.FRAME


@pytest.mark.parametrize("item", SHAPES, ids=range(len(SHAPES)))
@pytest.mark.parametrize("meets", [1, 2])
def test_every_length_in_its_shortest_form_is_ordinary(item: Item, meets: int) -> None:
    """The second time the names are known."""
    log = log_of([item] * meets)
    known = Chain(STORE_ID, hashed=True)

    found = [known.follow(body, 7, 9) for body in log.bodies]

    decoded = [frame.decode(body) for body in log.bodies]
    assert found == [placed(one, 7, 9) for one in decoded if isinstance(one, Frame)]


@pytest.mark.parametrize("item", SHAPES, ids=range(len(SHAPES)))
def test_a_record_that_is_cut_anywhere_is_not_ordinary(item: Item) -> None:
    body = Log().record(item)
    cuts = [*range(min(len(body), 800)), len(body) - 1]
    fresh = Chain(STORE_ID, hashed=False)
    knowing = Chain(STORE_ID, hashed=False)
    assert knowing.follow(body, 0, 0) is not None
    knowing.sequence = knowing.wall_ms = knowing.id_hi = 0

    assert [cut for cut in cuts if fresh.follow(body[:cut], 0, 0) is not None] == []
    assert [cut for cut in cuts if knowing.follow(body[:cut], 0, 0) is not None] == []


@pytest.mark.parametrize("item", SHAPES, ids=range(len(SHAPES)))
def test_both_ways_judge_every_byte_of_the_shape_alike(item: Item) -> None:
    """From the names on, any value in place of any byte that is not one of a long row."""
    body = Log().record(item)
    at = ENTITY_AT
    places: list[int] = []
    while at < len(body):
        run = len(body[at:]) - len(body[at:].lstrip(body[at : at + 1]))
        places += [at] if run > 3 else range(at, at + run)
        at += run
    for place in places:
        for value in range(0x100):
            forged = body[:place] + bytes([value]) + body[place + 1 :]
            short, long = judged(Chain(STORE_ID, hashed=False), forged)
            assert (short or long) == long
            assert short is not None or not isinstance(long, Placed)


@pytest.mark.parametrize(
    ("event", "cause", "correlation"),
    [
        (bytes(16), None, None),
        (b"\1" * 16, 0x0101010101010101, None),
        (bytes(8) + b"\1" * 8, 0x0101010101010101, None),
        (b"\1" + bytes(15), 0, None),
        (None, None, 0x0202020202020202),
    ],
)
def test_the_last_half_of_a_cause_and_of_another_correlation_are_kept(
    event: bytes | None, cause: int | None, correlation: int | None
) -> None:
    item = Item(cause=event or bytes(16), correlation=None if event else b"\2" * 16)

    for way in (Chain, LongWay):
        units, _, _ = outcome(bytes(log_of([item]).data), log_of([item]), way, hashed=True)
        assert (units[0][0].cause, units[0][0].correlation) == (cause, correlation)


@pytest.mark.parametrize("half", [slice(0, 8), slice(8, 16)])
def test_a_correlation_that_is_half_the_own_id_is_another(half: slice) -> None:
    own = Log().record(Item())[49:65]
    other = bytearray(own)
    other[half] = b"\2" * 8
    log = log_of([Item(correlation=bytes(other))])

    for way in (Chain, LongWay):
        units, _, _ = outcome(bytes(log.data), log, way, hashed=True)
        assert units[0][0].correlation == int.from_bytes(other[8:], "big")


def test_names_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "NAMES_MAX", 2)
    log = log_of([Item(entity=name) for name in ("a", "b", "a", "b", "c", "a", "c")])

    units, _, _ = outcome(bytes(log.data), log, Chain, hashed=True)

    names = [unit[0].names for unit in units]
    assert names[0] is names[2]
    assert names[1] is names[3]
    assert names[5] is not names[0]
    assert names[6] is names[4]


@pytest.mark.parametrize("name", [b"\xff", b"a/b", b"a..b", b"\x00", b"\xed\xa0\x80"])
@pytest.mark.parametrize("part", ["entity", "scope"])
def test_names_that_no_coordinate_has_are_not_ordinary(name: bytes, part: str) -> None:
    stand_in = "q" * len(name)
    body = Log().record(Item(entity=stand_in) if part == "entity" else Item(scope=stand_in))

    short, long = judged(Chain(STORE_ID, hashed=False), body.replace(stand_in.encode(), name))

    assert short is None
    assert isinstance(long, Fault)
    assert long.reason is Damage.FRAME


@pytest.mark.parametrize(
    ("version", "last_hash", "reason"),
    [
        (0, b"h" * 32, None),
        (1, b"h" * 32, Damage.CHAIN),
        (-1, b"h" * 32, Damage.CHAIN),
        (0, b"g" * 32, Damage.CHAIN),
        (0, b"i" * 32, Damage.CHAIN),
    ],
)
def test_an_event_continues_its_entity(
    version: int, last_hash: bytes, reason: Damage | None
) -> None:
    body = Log().record(Item())
    body = body[:97] + b"h" * 32 + body[129:]
    found = Chain(STORE_ID, hashed=False).follow(body, 0, 0)
    assert found is not None

    fault = link_fault(found, version, last_hash)

    assert (fault and fault.reason) is reason
    assert (found.entity, found.scope) == ("user:1", "acme")
