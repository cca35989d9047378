"""Files that are complete: what an open believes of their footers, and of HEAD beside them.

Would slip through without it: a footer whose checksums are right and whose entries are not, which
leads to another event or to no frame at all; a crash while a large closed log is opened again; a
HEAD that points inside an older file and is not what the log was.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from batpak.coordinate import Coordinate
from batpak.errors import CorruptStore
from batpak.faults import Damage
from batpak.journal import head, header
from batpak.platform import REAL
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.facts import FAST, SMALL, Counted, Said
from tests.unit.recovery.machines import lie_in

ENTITIES = [Coordinate(f"order:{n}", "shop") for n in range(3)]


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    with Store.open(path, SMALL) as store:
        for n in range(60):
            store.append(ENTITIES[n % 3], Counted(n=n), idempotency_key=f"key {n}")
    assert len(list(path.glob("*.fbat"))) > 2
    return path


def lie(file: Path, name: str, change: dict[int, int]) -> None:
    """Change entries of a column, and make every checksum right again."""
    file.write_bytes(lie_in(file.read_bytes(), name, change))


def answers(path: Path) -> list[object]:
    """Everything that the log says, by several ways."""
    with Store.open(path, SMALL) as store:
        entities = [str(where.entity) for where in ENTITIES]
        return [
            [event.payload for event in store.query()],
            [event.payload for event in store.query(reverse=True, limit=7)],
            [[event.payload for event in store.stream(entity)] for entity in entities],
            [store.version(entity) for entity in entities],
            [store.get(n).payload for n in range(60)],
            [event.payload for event in store.by_fact(Counted, after=5, before=30)],
            [
                store.append(where, Counted(n=n), idempotency_key=f"key {n}").replayed
                for n, where in zip(range(6), ENTITIES * 2, strict=True)
            ],
            store.append(ENTITIES[0], Said(text="more")).version,
            verify_path_in(store),
        ]


def verify_path_in(store: Store) -> bool:
    return store.verify().ok


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("off", {3: 200}),
        ("off", {3: 0xFFFF_FFFF}),
        ("off", {1: 0, 2: 0}),
        ("plen", dict.fromkeys(range(5), 1)),
        ("plen", {0: 0xFFFF_FFFF}),
        ("key_row", {0: 0, 1: 0, 2: 0}),
        ("id_hi", {4: 1}),
        ("ent_rows", {0: 1, 1: 1}),
    ],
)
def test_a_footer_that_lies_with_right_checksums_changes_no_answer(
    rotated: Path, tmp_path: Path, column: str, change: dict[int, int]
) -> None:
    wanted = answers(shutil.copytree(rotated, tmp_path / "intact"))

    lie(rotated / "000001.fbat", column, change)

    assert verify_path(rotated, REAL).derived
    assert answers(rotated) == wanted


def test_a_crash_while_a_large_closed_log_is_opened_loses_nothing(tmp_path: Path) -> None:
    path, crashed = tmp_path / "store", tmp_path / "crashed"
    with Store.open(path, FAST) as store:
        for n in range(30):
            store.append(ENTITIES[n % 3], Said(text="x" * 50_000))
    shutil.copytree(path, crashed)
    Store.open(path, FAST).close()
    made = header.read(REAL.open_dir(str(path), create=False), "000002.fbat")
    (crashed / "000002.fbat").write_bytes((path / "000002.fbat").read_bytes()[: made.start])

    assert verify_path(crashed, REAL).ok
    with Store.open_read_only(crashed) as reader:
        assert reader.count() == 30
    with Store.open(crashed, FAST) as store:
        assert store.append(ENTITIES[0], Said(text="next")).sequence == 30
    assert verify_path(crashed, REAL).ok


@pytest.mark.parametrize("what", ["hash", "end", "sequence"])
def test_a_head_inside_an_older_file_has_to_fit_the_log(rotated: Path, what: str) -> None:
    newest = max(int(file.stem) for file in rotated.glob("*.fbat"))
    state = head.decode((rotated / "HEAD").read_bytes(), "HEAD")
    data = (rotated / f"{newest - 1:06d}.fbat").read_bytes()
    before = header.decode(data, "f")
    first_end = before[1] + 8 + int.from_bytes(data[before[1] : before[1] + 4], "big")
    event_hash = data[before[1] + 8 + 129 : before[1] + 8 + 161]
    fits = state._replace(
        state=head.OPEN,
        segment_id=newest - 1,
        frames_end=first_end,
        next_sequence=before[0].first_sequence + 1,
        chain_head=event_hash,
    )
    (rotated / "HEAD").write_bytes(head.encode(fits))
    with Store.open_read_only(rotated) as store:
        assert store.count() == 60

    wrong = {
        "hash": fits._replace(chain_head=b"x" * 32),
        "end": fits._replace(frames_end=first_end + 1),
        "sequence": fits._replace(next_sequence=before[0].first_sequence + 2),
    }[what]
    (rotated / "HEAD").write_bytes(head.encode(wrong))

    with pytest.raises(CorruptStore) as caught:
        Store.open(rotated)
    assert caught.value.reason is Damage.HEAD
