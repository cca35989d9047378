"""A note kept elsewhere finds what recomputing the log cannot: that it was another one before.

The table of attacks in docs/how-to/keep-a-note.md, carried out. Would slip through without it: a
log that was rolled back or written anew with every hash right, and passes for what it was; a text
that is taken for a note and is none.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak.clock import WALL_MS_MAX
from batpak.config import StoreConfig
from batpak.coordinate import Coordinate
from batpak.digest import ZERO_HASH
from batpak.errors import CorruptStore, InvalidArgument, StoreReadOnly
from batpak.faults import Damage
from batpak.journal import header
from batpak.note import CheckpointNote
from batpak.platform import REAL
from batpak.report import NoteFault, VerifyReport
from batpak.store import Store
from tests.facts import FAST, PLAIN, SMALL, USER, Counted

OTHER: Final = Coordinate("user:2", "acme")
COUNT: Final = 50

heads = st.binary(min_size=32, max_size=32).filter(lambda head: head != ZERO_HASH)
notes = st.one_of(
    st.builds(
        CheckpointNote,
        st.uuids(),
        st.integers(1, 10**19 - 1),
        heads,
        st.integers(0, WALL_MS_MAX),
    ),
    st.builds(CheckpointNote, st.uuids(), st.just(0), st.just(ZERO_HASH), st.integers(0, 1)),
    st.builds(
        CheckpointNote,
        st.uuids(),
        st.integers(1, 10**19 - 1),
        heads,
        st.integers(0, WALL_MS_MAX),
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=64, max_size=64),
    ),
)


@given(note=notes)
@settings(deadline=None)
def test_a_note_is_read_back_as_it_was_written(note: CheckpointNote) -> None:
    text = str(note)

    assert CheckpointNote.parse(text) == note
    assert CheckpointNote.parse(text.replace("\n", "\r\n")) == note
    assert CheckpointNote.parse(text.rstrip("\n")) == note
    assert text.isascii()
    assert len(text.splitlines()) == (5 if note.signature is None else 7)


@given(note=notes, at=st.integers(0, 400), put=st.text(max_size=3), drop=st.integers(0, 3))
@settings(max_examples=400, deadline=None)
def test_a_changed_text_is_refused_or_is_another_note(
    note: CheckpointNote, at: int, put: str, drop: int
) -> None:
    text = str(note)
    changed = text[:at] + put + text[at + drop :]

    try:
        found = CheckpointNote.parse(changed)
    except InvalidArgument:
        return

    assert str(found) == changed.replace("\r\n", "\n").rstrip("\n") + "\n"


@given(text=st.text(max_size=300))
@settings(deadline=None)
def test_any_text_is_refused_with_a_type(text: str) -> None:
    with pytest.raises(InvalidArgument):
        CheckpointNote.parse(text)


GOOD: Final = str(CheckpointNote(UUID(int=7), 12, bytes(range(32)), 1_700_000_000_123))


@pytest.mark.parametrize(
    "hostile",
    [
        b"batpak note 1",
        None,
        "",
        GOOD.replace("note 1", "note 2"),
        GOOD.replace("events 12", "events 012"),
        GOOD.replace("events 12", "events -12"),
        GOOD.replace("events 12", "events +12"),
        GOOD.replace("events 12", "events 1_2"),
        GOOD.replace("events 12", "events \u0661\u0662"),
        GOOD.replace("events 12", "events 0"),  # a head of no event
        GOOD.replace("events 12", "events 1" + "0" * 40),
        GOOD.replace(bytes(range(32)).hex(), "00" * 32),  # events and no head
        GOOD.replace("0a0b", "0A0B"),
        GOOD.replace("0a0b", "0a"),
        GOOD.replace("store 0", "store g"),
        GOOD.replace("-", ""),
        GOOD.replace("taken 2023-11", "taken 2023-13"),
        GOOD.replace("taken 2023-11-14", "taken 2023-02-30"),
        GOOD.replace("taken 2023", "taken 0000"),
        GOOD.replace("taken 2023", "taken 0999"),  # before there were stores
        GOOD.replace("taken 2023", "taken 1969"),
        GOOD.replace("T22", "T24"),
        GOOD.replace("Z", "+00:00"),
        GOOD.replace("\n", "\n\n"),
        GOOD.replace("\n", "\r"),
        GOOD.replace("\n", " \n"),
        " " + GOOD,
        GOOD + "x",
        GOOD + GOOD,
        "\n".join(sorted(GOOD.splitlines())),
        GOOD[: len(GOOD) // 2],
        GOOD.replace("0", "\uff10"),
        "batpak note 1\n" * 200_000,
    ],
)
def test_what_is_not_as_a_store_writes_it_is_refused(hostile: object) -> None:
    with pytest.raises(InvalidArgument):
        CheckpointNote.parse(hostile)


def fill(
    path: Path, facts: list[tuple[Coordinate, int]], config: StoreConfig = SMALL
) -> CheckpointNote:
    """Write events into a store with a fixed id, and take a note at the end."""
    first = [b"\x11" * header.STORE_ID_BYTES]

    def entropy(count: int) -> bytes:
        return first.pop() if first else REAL.entropy(count)

    with Store.open(path, config, platform=replace(REAL, entropy=entropy)) as store:
        for where, n in facts:
            store.append(where, Counted(n=n))
        return store.checkpoint()


FACTS: Final = [(USER if n % 2 else OTHER, n) for n in range(COUNT)]


@pytest.fixture
def noted(tmp_path: Path) -> tuple[Path, CheckpointNote]:
    """A closed store in several files, and a note that was taken at its end."""
    path = tmp_path / "store"
    note = fill(path, FACTS)
    assert note.store_id.bytes == b"\x11" * 16
    return path, CheckpointNote.parse(str(note))


def verify(path: Path, since: CheckpointNote | None = None) -> VerifyReport:
    with Store.open_read_only(path) as store:
        return store.verify(since=since)


def test_a_note_says_where_the_log_stands(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", PLAIN) as store:
        empty = store.checkpoint()
        receipts = [store.append(USER, Counted(n=n)) for n in range(3)]

        note = store.checkpoint()

        assert (empty.events, empty.head) == (0, ZERO_HASH)
        assert (note.store_id, note.events) == (store.open_report.store_id, 3)
        assert note.head == receipts[-1].event_hash == store.verify().head
        assert abs(note.taken_ms - receipts[-1].hlc.wall_ms) < 60_000
        for since in (empty, note):
            assert store.verify(since=since).ok


def test_a_checkpoint_makes_everything_durable_first(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        store.append(USER, Counted(n=1))
        assert store.frontier().durable < 1

        note = store.checkpoint()

        assert note.events == store.frontier().durable == 1


def test_only_a_writer_takes_notes(noted: tuple[Path, CheckpointNote]) -> None:
    with Store.open_read_only(noted[0]) as store, pytest.raises(StoreReadOnly):
        store.checkpoint()  # type: ignore[attr-defined]  # what a checker refuses


def test_a_log_goes_on_from_every_note_that_was_taken(tmp_path: Path) -> None:
    path, taken = tmp_path / "store", list[CheckpointNote]()
    for _ in range(4):  # with the events of opens and closes in between
        with Store.open(path, StoreConfig(limits=SMALL.limits)) as store:
            for n in range(12):
                store.append(USER, Counted(n=n))
                if n % 5 == 0:
                    taken.append(store.checkpoint())
            assert all(store.verify(since=note).ok for note in taken)

    assert len({note.events for note in taken}) == len(taken) == 12
    with Store.open_read_only(path) as reader:
        for note in taken:
            report = reader.verify(since=note)
            assert report.ok
            assert report.note is None
            report.raise_for_damage()


def test_a_note_of_another_store_is_told(
    noted: tuple[Path, CheckpointNote], tmp_path: Path
) -> None:
    with Store.open(tmp_path / "other", PLAIN) as other:
        other.append(USER, Counted(n=1))
        foreign = other.checkpoint()
        empty = replace(foreign, events=0, head=ZERO_HASH)

    for since in (foreign, empty):
        report = verify(noted[0], since)
        assert (report.ok, report.note, report.findings_count) == (
            False,
            NoteFault.OTHER_STORE,
            0,
        )
        with pytest.raises(CorruptStore) as caught:
            report.raise_for_damage()
        assert caught.value.reason is Damage.CHAIN


@pytest.mark.parametrize("hostile", [str(GOOD), b"", 7, object()])
def test_what_is_no_note_is_refused(
    noted: tuple[Path, CheckpointNote], hostile: CheckpointNote
) -> None:
    with Store.open_read_only(noted[0]) as store, pytest.raises(InvalidArgument):
        store.verify(since=hostile)


Facts = list[tuple[Coordinate, int]]
ATTACKS: Final[dict[str, Callable[[Facts], Facts]]] = {
    "edit the first": lambda facts: [(facts[0][0], 99), *facts[1:]],
    "edit one": lambda facts: [*facts[:20], (facts[20][0], 99), *facts[21:]],
    "edit the last": lambda facts: [*facts[:-1], (facts[-1][0], 99)],
    "reorder": lambda facts: [*facts[:9], facts[11], facts[10], facts[9], *facts[12:]],
    "duplicate": lambda facts: [*facts[:9], facts[9], *facts[9:]],
    "move": lambda facts: [*facts[:9], (Coordinate("user:3", "acme"), 9), *facts[10:]],
    "drop": lambda facts: [*facts[:9], *facts[10:]],
    "drop an entity": lambda facts: [fact for fact in facts if fact[0] != OTHER],
    "change nothing": lambda facts: facts,  # but the times
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("padded", [False, True])
def test_a_log_written_anew_with_every_hash_right_is_found_by_the_note_alone(
    noted: tuple[Path, CheckpointNote], name: str, padded: bool
) -> None:
    path, note = noted
    facts = ATTACKS[name](FACTS)
    if padded:
        facts = facts + [(USER, 0)] * (COUNT + 1)
    shutil.rmtree(path)
    fill(path, facts)

    assert verify(path).ok
    report = verify(path, note)

    assert not report.ok
    shorter = len(facts) < note.events
    assert report.note is (NoteFault.ROLLED_BACK if shorter else NoteFault.REWRITTEN)


@pytest.mark.parametrize("keep", [0, 1, 30, COUNT - 1])
def test_an_older_copy_is_found_by_the_note_alone(tmp_path: Path, keep: int) -> None:
    path, older = tmp_path / "store", tmp_path / "older"
    fill(path, FACTS[:keep])
    shutil.copytree(path, older)
    with Store.open(path, SMALL) as store:
        for where, n in FACTS[keep:]:
            store.append(where, Counted(n=n))
        note = store.checkpoint()
    assert verify(path, note).ok

    assert verify(older).ok
    assert verify(older, note).note is NoteFault.ROLLED_BACK
    with Store.open(older, SMALL) as store:  # and grown again, past the note
        for n in range(COUNT + 5):
            store.append(USER, Counted(n=n))
    assert verify(older).ok
    assert verify(older, note).note is NoteFault.REWRITTEN


def test_a_log_cut_below_what_head_records_is_found_without_a_note(
    noted: tuple[Path, CheckpointNote],
) -> None:
    path, note = noted
    newest = max(path.glob("*.fbat"))
    newest.write_bytes(newest.read_bytes()[:-300])

    with pytest.raises(CorruptStore):
        Store.open(path)
    with pytest.raises(CorruptStore):
        verify(path, note)


def test_files_cut_off_with_a_fitting_head_are_found_by_the_note(tmp_path: Path) -> None:
    path, older = tmp_path / "store", tmp_path / "older"
    fill(path, FACTS[:20])
    shutil.copytree(path, older)
    with Store.open(path, SMALL) as store:
        for where, n in FACTS[20:]:
            store.append(where, Counted(n=n))
        note = store.checkpoint()

    for file in path.glob("*.fbat"):
        file.unlink()
    for file in older.iterdir():  # its HEAD too
        shutil.copy(file, path)

    assert verify(path).ok
    assert verify(path, note).note is NoteFault.ROLLED_BACK


def test_what_is_newer_than_the_note_is_the_window_that_stays_open(tmp_path: Path) -> None:
    path, older = tmp_path / "store", tmp_path / "older"
    note = fill(path, FACTS)
    shutil.copytree(path, older)
    with Store.open(path, SMALL) as store:
        store.append(USER, Counted(n=1))
    with Store.open(older, SMALL) as store:
        store.append(USER, Counted(n=666))

    assert verify(path, note).ok
    assert verify(older, note).ok


@pytest.mark.parametrize("which", ["first", "middle", "noted"])
def test_damage_is_told_beside_the_note(noted: tuple[Path, CheckpointNote], which: str) -> None:
    path, note = noted
    with Store.open(path, SMALL) as store:
        store.append(USER, Counted(n=1))
        at = {"first": 0, "middle": COUNT // 2, "noted": COUNT - 1}[which]
        record = store.get(at).record
        file = next(one for one in path.glob("*.fbat") if record in one.read_bytes())
        place = file.read_bytes().index(record) + len(record) - 1
        with file.open("r+b") as opened:
            opened.seek(place)
            opened.write(b"\x7e")

        report = store.verify(since=note)

    assert not report.ok
    assert report.findings[0].sequence == at
    assert report.findings[0].file == str(file)
    with pytest.raises(CorruptStore):
        report.raise_for_damage()
    if which != "noted":
        assert report.note is None
