"""A walk to the first event of an entity proves every link, and says why it ended.

Each way for a walk to end is provoked, the bad ones by editing the files. Would slip through
without it: a list that is shorter than the history and claims to be all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from batpak import codec
from batpak.append import BatchItem
from batpak.coordinate import Coordinate
from batpak.errors import CorruptStore, DecodeFailed, UnknownKind
from batpak.ids import EventId, new_id
from batpak.journal import frame, header
from batpak.kind import EventKind
from batpak.read.ancestry import AncestryEnd
from batpak.record import Parts, decode_parts
from batpak.store import Store
from batpak.wire import DICT, RAW
from tests.facts import FAST, SMALL, USER, Counted, Said

PREV_HASH: Final = 94  # places in the head
EVENT_HASH: Final = 126
VERSION: Final = 38
OTHER: Final = Coordinate("user:2", "acme")
BULK: Final = 30_000
"""Bytes of a payload that makes the log so large that an open does not read all of it."""


def test_equal_payloads_give_different_ancestors_down_to_the_first(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", SMALL) as store:
        for _ in range(49):
            store.append(USER, Counted(n=7))
            store.append(OTHER, Counted(n=7))
        newest = store.append(USER, Counted(n=7))

        ancestry = store.walk_ancestors(newest.event_id)

        assert ancestry.end is AncestryEnd.GENESIS
        assert ancestry.detail is None
        assert [event.version for event in ancestry.events] == list(range(50, 0, -1))
        assert list(ancestry.events) == list(store.stream("user:1", reverse=True))
        for form in (DICT, RAW):
            again = store.walk_ancestors(newest.event_id, form=form)
            assert again.end is AncestryEnd.GENESIS
            assert [one.head for one in again.events] == [one.head for one in ancestry.events]


@pytest.mark.parametrize("reopened", [False, True])
def test_a_walk_may_begin_anywhere_and_stop_early(tmp_path: Path, reopened: bool) -> None:
    store = Store.open(tmp_path / "store", SMALL)
    ids = [store.append(USER, Counted(n=n)).event_id for n in range(40)]
    if reopened:
        store.close()
        store = Store.open(tmp_path / "store", SMALL)

    with store:
        for at in (0, 1, 17, 39):
            whole = store.walk_ancestors(ids[at])
            assert [event.event_id for event in whole.events] == ids[: at + 1][::-1]
            assert whole.end is AncestryEnd.GENESIS
            entry = next(store.entries(after=at - 1 if at else None))
            assert store.walk_ancestors(entry) == whole
            for limit in range(at + 3):
                some = store.walk_ancestors(ids[at], limit=limit)
                assert some.events == whole.events[:limit]
                complete = limit > at
                assert some.end is (AncestryEnd.GENESIS if complete else AncestryEnd.LIMIT)


def test_an_unknown_anchor_is_told(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        known = store.append(USER, Counted(n=1)).event_id
        almost = EventId(UUID(int=known.int ^ 1))

        for unknown in (new_id(EventId), almost):
            ancestry = store.walk_ancestors(unknown)
            assert (ancestry.events, ancestry.end) == ((), AncestryEnd.NO_ANCHOR)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A closed log of more than a mebibyte: its frames are read when they are asked for."""
    path = tmp_path / "store"
    with Store.open(path, FAST) as store:
        for at in range(6):
            store.append(USER, Counted(n=at))
            items = [BatchItem(OTHER, Said(text="x" * BULK)) for _ in range(7)]
            store.append_batch(items)
    assert (path / "000001.fbat").stat().st_size > 1 << 20
    return path


def edit(path: Path, n: int, change: Callable[[Parts], Parts], *, mend: bool = True) -> None:
    """Change the event of user:1 with that number; the frame keeps its size."""
    file = path / "000001.fbat"
    data = file.read_bytes()
    decoded, at = header.decode(data, file.name)
    seed = frame.seed(decoded)
    while True:
        body = frame.body_at(data, at, len(data), at, seed)
        assert isinstance(body, bytes)
        parts = decode_parts(body)
        if parts.payload == codec.encode(Counted(n=n)):
            break
        at += 8 + len(body)
    forged = frame.encode(codec.encode(change(parts)), at, seed)
    assert len(forged) == 8 + len(body)
    if not mend:
        forged = data[at : at + 8] + forged[8:]
    file.write_bytes(data[:at] + forged + data[at + len(forged) :])


def with_byte(at: int) -> Callable[[Parts], Parts]:
    def change(parts: Parts) -> Parts:
        head = bytearray(parts.head)
        head[at] ^= 1
        return replace(parts, head=bytes(head))

    return change


def walk(path: Path) -> tuple[list[int], AncestryEnd, BaseException | None]:
    with Store.open_read_only(path) as store:
        newest = next(store.by_fact(Counted, reverse=True))
        ancestry = store.walk_ancestors(newest.event_id)
        numbers = [
            event.payload.n for event in ancestry.events if isinstance(event.payload, Counted)
        ]
        return numbers, ancestry.end, ancestry.detail


def test_the_unedited_log_walks_to_its_genesis(large: Path) -> None:
    assert walk(large) == ([5, 4, 3, 2, 1, 0], AncestryEnd.GENESIS, None)


@pytest.mark.parametrize(
    ("edited", "at", "numbers"),
    [
        (3, PREV_HASH, [5, 4, 3]),  # the child claims another parent
        (3, EVENT_HASH, [5, 4]),  # the parent is not what its child says
        (3, VERSION + 7, [5, 4]),
        (0, PREV_HASH, [5, 4, 3, 2, 1, 0]),  # the first one claims a parent
        (0, VERSION + 7, [5, 4, 3, 2, 1]),
    ],
)
def test_a_link_that_does_not_hold_ends_the_walk(
    large: Path, edited: int, at: int, numbers: list[int]
) -> None:
    edit(large, edited, with_byte(at))

    found, end, _ = walk(large)

    assert (found, end) == (numbers, AncestryEnd.LINK_MISMATCH)


def test_a_parent_that_is_damaged_ends_the_walk_and_says_where(large: Path) -> None:
    edit(large, 2, lambda parts: replace(parts, payload=codec.encode(Counted(n=3))), mend=False)

    found, end, detail = walk(large)

    assert (found, end) == ([5, 4, 3], AncestryEnd.UNREADABLE)
    assert isinstance(detail, CorruptStore)
    assert detail.path == str(large / "000001.fbat")


def test_a_parent_that_does_not_decode_ends_the_walk_in_the_forms_that_decode(
    large: Path,
) -> None:
    edit(large, 2, lambda parts: replace(parts, payload=b"\x82\xa1n\x02"))

    found, end, detail = walk(large)

    assert (found, end) == ([5, 4, 3], AncestryEnd.UNREADABLE)
    assert isinstance(detail, DecodeFailed)
    with Store.open_read_only(large) as store:
        newest = next(store.by_fact(Counted, reverse=True))
        raw = store.walk_ancestors(newest.event_id, form=RAW)
        assert (len(raw.events), raw.end) == (6, AncestryEnd.GENESIS)
        assert not store.verify().ok


def test_a_parent_of_an_unknown_kind_ends_a_typed_walk(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        store.append_raw(USER, EventKind.custom(0xE, 0x7B0), b"\x01")
        newest = store.append(USER, Counted(n=1))

        ancestry = store.walk_ancestors(newest.event_id)

        assert (len(ancestry.events), ancestry.end) == (1, AncestryEnd.UNREADABLE)
        assert isinstance(ancestry.detail, UnknownKind)
        plain = store.walk_ancestors(newest.event_id, form=DICT)
        assert (len(plain.events), plain.end) == (2, AncestryEnd.GENESIS)


def test_an_anchor_that_cannot_be_read_is_damage(large: Path) -> None:
    with Store.open_read_only(large) as store:
        entry = next(store.entries(after=39, limit=1))
        assert store.get(entry).payload == Counted(n=5)
    edit(large, 5, lambda parts: replace(parts, payload=codec.encode(Counted(n=4))), mend=False)

    with Store.open_read_only(large) as store, pytest.raises(CorruptStore) as caught:
        store.walk_ancestors(entry)

    assert caught.value.path == str(large / "000001.fbat")
