"""A file that is gone, cut, overwritten, exchanged or not a file at all is named, or made up for.

Every file of a store of several is damaged in every way; then the store either refuses with an
error that has a type and names the file, or answers as before. A reader and a writer agree. Would
slip through without it: an open that waits for ever at a FIFO, follows a link out of the directory,
takes in the file of another store, or gives an answer that is shorter and looks whole.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import pytest

from batpak.coordinate import Coordinate
from batpak.errors import BatpakError, CorruptStore, StorageError, StorageFailed
from batpak.journal import header
from batpak.platform import REAL
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.facts import SMALL, Counted, Said

EVENTS: Final = 80
HEAD: Final = "HEAD"

Damaging: TypeAlias = Callable[[Path], object]


def fill(path: Path, offset: int) -> None:
    with Store.open(path, SMALL) as store:
        for n in range(EVENTS):
            where = Coordinate(f"order:{n % 3}", "shop")
            fact = Said(text="é" * n) if n % 8 == 7 else Counted(n=n + offset)
            store.append(where, fact, idempotency_key=f"key {n}" if n % 5 == 0 else None)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`closed`, `crashed`, and `other` with as many files."""
    folder = tmp_path_factory.mktemp("files")
    fill(folder / "closed", 0)
    fill(folder / "other", 1000)
    with Store.open(folder / "live", SMALL) as store:
        for n in range(EVENTS):
            store.append(Coordinate("order:1", "shop"), Counted(n=n))
        shutil.copytree(folder / "live", folder / "crashed")
    for name in ("closed", "crashed", "other"):
        assert len(segments(folder / name)) >= 4
    return folder


def segments(path: Path) -> list[str]:
    return sorted(file.name for file in path.glob("*.fbat"))


class Refused(NamedTuple):
    """How a store did not answer."""

    error: type[BatpakError]
    file: str


Answers: TypeAlias = tuple[object, ...]


def ask(path: Path, *, writing: bool) -> Answers | Refused:
    """Everything that the log says, in several ways; or how it refuses."""
    try:
        with Store.open(path, SMALL) if writing else Store.open_read_only(path) as store:
            return (
                list(store.query()),
                list(store.query(reverse=True)),
                list(store.entries()),
                [list(store.stream(f"order:{n}")) for n in range(3)],
                [store.version(entity) for entity in store.entities()],
                list(store.by_scope("shop", limit=9)),
                store.count(),
                store.verify().head,
            )
    except CorruptStore as error:
        return Refused(CorruptStore, Path(error.path).name)
    except StorageFailed as error:
        return Refused(StorageFailed, Path(str(error.path)).name)


def damaged(stores: Path, tmp_path: Path, which: str, damage: Damaging) -> Answers | Refused:
    """What a reader says of a damaged copy; a writer has to say the same."""
    path, copy = tmp_path / "store", tmp_path / "copy"
    for place in (path, copy):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(stores / which, place)
        damage(place)

    told = ask(path, writing=False)

    assert ask(path, writing=False) == told, "a reader changed something"
    assert ask(copy, writing=True) == told
    if not isinstance(told, Refused):
        assert verify_path(copy, REAL).ok
        assert ask(copy, writing=False) == told
    return told


def intact(stores: Path, which: str) -> Answers:
    told = ask(stores / which, writing=False)
    assert not isinstance(told, Refused)
    return told


def frames_end(path: Path, name: str) -> int:
    """Where the truth in a file ends; behind it is what is made anew."""
    names = segments(path)
    if name == names[-1]:
        return (path / name).stat().st_size
    after = names[names.index(name) + 1]
    prev = header.read(REAL.open_dir(str(path), create=False), after).header.prev
    assert prev is not None
    return prev.frames_end


def put(name: str, data: Callable[[bytes], bytes]) -> Damaging:
    """Replace the bytes of a file."""

    def damage(path: Path) -> None:
        (path / name).write_bytes(data((path / name).read_bytes()))

    return damage


def instead(name: str, make: Damaging) -> Damaging:
    """Put something else in the place of a file; the file goes on beside the store."""

    def damage(path: Path) -> None:
        beside = path.parent / f"beside {path.name}"
        shutil.move(path / name, beside)
        make(path / name)

    return damage


def link_beside(place: Path) -> None:
    place.symlink_to(place.parent.parent / f"beside {place.parent.name}")


NAMES: Final = ["000001.fbat", "000002.fbat", "newest", HEAD]
WAYS: Final[dict[str, Callable[[str], Damaging]]] = {
    "missing": lambda name: lambda path: (path / name).unlink(),
    "empty": lambda name: put(name, lambda _: b""),
    "one byte": lambda name: put(name, lambda data: data[:1]),
    "zeros": lambda name: put(name, lambda data: bytes(len(data))),
    "many zeros": lambda name: put(name, lambda _: bytes(1 << 20)),
    "zeros from the middle on": lambda name: put(
        name, lambda data: data[: len(data) // 3] + bytes(len(data) - len(data) // 3)
    ),
    "random bytes": lambda name: put(name, lambda data: random.Random(7).randbytes(len(data))),  # noqa: S311
    "random bytes behind the magic": lambda name: put(
        name,
        lambda data: data[:8] + random.Random(8).randbytes(len(data)),  # noqa: S311
    ),
    "text": lambda name: put(name, lambda _: b"not found\n" * 100),
    "itself twice": lambda name: put(name, lambda data: data + data),
    "shifted by a byte": lambda name: put(name, lambda data: b"\0" + data),
    "a directory": lambda name: instead(name, Path.mkdir),
    "a directory with the file in it": lambda name: instead(
        name, lambda place: shutil.copytree(place.parent, place)
    ),
    "a link to itself": lambda name: instead(name, lambda place: place.symlink_to(place.name)),
    "a link to nothing": lambda name: instead(name, lambda place: place.symlink_to("nothing")),
    "a link to the very file": lambda name: instead(name, link_beside),
    "a link to another file": lambda name: instead(
        name, lambda place: place.symlink_to("000003.fbat")
    ),
    "a FIFO": lambda name: instead(name, os.mkfifo),
    "a device": lambda name: instead(name, lambda place: place.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_file_is_named(stores: Path, tmp_path: Path, name: str, way: str) -> None:
    if name == "newest":
        name = segments(stores / "closed")[-1]

    told = damaged(stores, tmp_path, "closed", WAYS[way](name))

    if isinstance(told, Refused):
        assert told.file == name
        assert issubclass(told.error, CorruptStore | StorageError)
    else:
        assert way == "itself twice", "what stands behind the recorded end is not the log"
        assert name != HEAD
        assert told == intact(stores, "closed")


@pytest.mark.parametrize("name", ["000001.fbat", "000002.fbat"])
@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_file_of_a_crashed_store_is_named(
    stores: Path, tmp_path: Path, name: str, way: str
) -> None:
    told = damaged(stores, tmp_path, "crashed", WAYS[way](name))

    if isinstance(told, Refused):
        assert told.file == name
    else:
        assert told == intact(stores, "crashed")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_cut_anywhere_is_named_or_its_footer_made_anew(
    stores: Path, tmp_path: Path, name: str
) -> None:
    if name == "newest":
        name = segments(stores / "closed")[-1]
    size = (stores / "closed" / name).stat().st_size
    truth = size if name == HEAD else frames_end(stores / "closed", name)
    whole = intact(stores, "closed")
    lengths = {*range(0, size, max(1, size // 24)), truth - 1, truth, truth + 1, size - 1}

    for length in sorted(lengths - {size, size + 1}):
        told = damaged(stores, tmp_path, "closed", put(name, lambda data, n=length: data[:n]))  # type: ignore[misc]  # bound now

        if length < truth:
            assert isinstance(told, Refused), length
            assert told.file == name
        else:
            assert told == whole, length


@pytest.mark.parametrize(
    ("one", "two"), list(combinations(["000001.fbat", "000002.fbat", "newest", HEAD], 2))
)
@pytest.mark.parametrize("how", ["swapped", "copied", "copied back"])
def test_files_that_changed_places_are_named(
    stores: Path, tmp_path: Path, one: str, two: str, how: str
) -> None:
    one, two = (segments(stores / "closed")[-1] if n == "newest" else n for n in (one, two))

    def swap(path: Path) -> None:
        first, second = (path / one).read_bytes(), (path / two).read_bytes()
        if how != "copied back":
            (path / one).write_bytes(second)
        if how != "copied":
            (path / two).write_bytes(first)

    told = damaged(stores, tmp_path, "closed", swap)

    assert isinstance(told, Refused)
    assert told.error is CorruptStore
    assert told.file in {one, two}


@pytest.mark.parametrize("name", NAMES)
def test_the_file_of_another_store_is_named(stores: Path, tmp_path: Path, name: str) -> None:
    if name == "newest":
        name = segments(stores / "closed")[-1]
    foreign = stores / "other" / name
    assert foreign.exists()

    told = damaged(stores, tmp_path, "closed", lambda path: shutil.copy(foreign, path))

    assert isinstance(told, Refused)
    assert told.error is CorruptStore
    assert told.file in {name, HEAD} | ({"000002.fbat"} if name == "000001.fbat" else set())


def test_all_files_of_another_store_under_our_head_are_refused(
    stores: Path, tmp_path: Path
) -> None:
    def exchange(path: Path) -> None:
        for name in segments(path):
            (path / name).unlink()
        for name in segments(stores / "other"):
            shutil.copy(stores / "other" / name, path)

    assert damaged(stores, tmp_path, "closed", exchange) == Refused(CorruptStore, HEAD)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_file_more_than_there_were_is_refused(stores: Path, tmp_path: Path, first: int) -> None:
    names = segments(stores / "closed")
    extra = f"{len(names) + 1:06d}.fbat"

    told = damaged(
        stores,
        tmp_path,
        "closed",
        lambda path: shutil.copy(path / names[first], path / extra),
    )

    assert isinstance(told, Refused)
    assert told.file in {extra, HEAD}


def test_an_older_head_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store"
    heads: list[bytes] = []
    for n in range(5):
        with Store.open(path, SMALL) as store:
            heads.append((path / HEAD).read_bytes())  # open
            for _ in range(20):
                store.append(Coordinate("order:1", "shop"), Counted(n=n))
        heads.append((path / HEAD).read_bytes())  # clean
    whole = ask(path, writing=False)

    for old in heads[:-1]:
        put_back = put(HEAD, partial(_instead_of, old))
        told = damaged(tmp_path, tmp_path / "try", "store", put_back)
        assert told == whole or (isinstance(told, Refused) and told.file in {HEAD, *segments(path)})


def _instead_of(data: bytes, _: bytes) -> bytes:
    return data


@pytest.mark.parametrize("hostile", ["a file", "a link", "a FIFO"])
def test_what_is_torn_is_kept_or_the_open_says_why_not(
    stores: Path, tmp_path: Path, hostile: str
) -> None:
    path, shelf = tmp_path / "store", tmp_path / "store" / "quarantine"
    shutil.copytree(stores / "crashed", path)
    newest = path / segments(path)[-1]
    whole = newest.read_bytes().rstrip(b"\0")
    newest.write_bytes(whole + b"torn")
    (tmp_path / "elsewhere").mkdir()
    if hostile == "a file":
        shelf.write_bytes(b"")
    elif hostile == "a link":
        shelf.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(shelf)

    with pytest.raises(StorageFailed) as caught:
        Store.open(path, SMALL)

    assert "quarantine" in str(caught.value)
    assert newest.read_bytes() == whole + b"torn"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    shelf.unlink()
    with Store.open(path, SMALL) as store:
        assert store.count() == EVENTS
        assert store.stats().quarantine_bytes == 4
