"""What is no file at all, in the place of a file: links, pipes, devices, directories.

On the real disk, since no simulated one has them. Each answer has a type, comes within a second,
and nothing outside of the directory is read as the store's, or changed. Would slip through without
it: an open that waits at a pipe for ever, one that follows a link out of the directory, a write
that shows through another name of the same file.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Final, TypeAlias

from batpak.errors import BatpakError, CorruptStore, StorageFailed
from batpak.platform import REAL
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from batpak.wire import RAW
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.golden import HEAD, LOCK, Files, Golden, Told, put, refusal_of, written

WITHIN_S: Final = 1.0

Way: TypeAlias = Callable[[Path, Path], None]
"""Puts something in a place; beside the store is the file that was there."""


def to_the_file(place: Path, beside: Path) -> None:
    place.symlink_to(beside)


def to_itself(place: Path, beside: Path) -> None:  # noqa: ARG001  likewise below: all have two
    place.symlink_to(place.name)


def to_nothing(place: Path, beside: Path) -> None:  # noqa: ARG001
    place.symlink_to("nothing")


def to_another(place: Path, beside: Path) -> None:  # noqa: ARG001
    place.symlink_to("000003.fbat")


def to_a_device(place: Path, beside: Path) -> None:  # noqa: ARG001
    place.symlink_to("/dev/zero")


def pipe(place: Path, beside: Path) -> None:  # noqa: ARG001
    os.mkfifo(place)


def device(place: Path, beside: Path) -> None:  # noqa: ARG001
    os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # as /dev/zero


def directory(place: Path, beside: Path) -> None:  # noqa: ARG001
    place.mkdir()


def directory_with_it(place: Path, beside: Path) -> None:
    place.mkdir()
    shutil.copy(beside, place / place.name)


def hard_link(place: Path, beside: Path) -> None:
    place.hardlink_to(beside)


def unreadable(place: Path, beside: Path) -> None:
    shutil.copy(beside, place)
    place.chmod(0)


WAYS: Final[dict[str, Way]] = {
    "a link to the very file": to_the_file,
    "a link to itself": to_itself,
    "a link to nothing": to_nothing,
    "a link to another file": to_another,
    "a link to a device": to_a_device,
    "a pipe": pipe,
    "a device": device,
    "a directory": directory,
    "a directory with the file in it": directory_with_it,
    "a second name of the file": hard_link,
    "the file, that may not be read": unreadable,
}


@contextmanager
def on_disk(files: Files) -> Generator[Path]:
    """The files of a store in a directory of the real disk, with room beside it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        path.mkdir()
        for name, data in files.items():
            (path / name).write_bytes(data)
        yield path


def in_time(work: Callable[[], Told]) -> Told:
    """The answer of some work that must not wait for anything."""
    answers, errors = list[Told](), list[BaseException]()

    def run() -> None:
        try:
            answers.append(work())
        except BaseException as error:  # noqa: BLE001  raised again below
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(WITHIN_S)
    assert not thread.is_alive(), "it waits for something"
    for error in errors:
        raise error
    return answers[0]


def told(path: Path, golden: Golden, *, writing: bool) -> Told:
    """What a handle says of a store on the real disk."""
    try:
        opened = Store.open(path, golden.config) if writing else Store.open_read_only(path)
        with opened as store:
            return Told(list(store.query(form=RAW)), store.open_report, None, {})
    except (CorruptStore, StorageFailed) as error:
        return Told([], None, refusal_of(error), {})


def verified(path: Path) -> Told:
    """What `verify` says, in the same words."""
    try:
        verify_path(path, REAL).raise_for_damage()
    except (CorruptStore, StorageFailed) as error:
        return Told([], None, refusal_of(error), {})
    return Told([], None, None, {})


def refusal_due(golden: Golden, name: str, way: str, *, writing: bool) -> type[BatpakError] | None:
    """How a store has to refuse with that in the place of a file. None: it has to open."""
    if way == "the file, that may not be read":
        return StorageFailed if os.geteuid() else None  # root may read everything
    if way == "a second name of the file":
        # What others would see being written is refused. HEAD, and the newest file of a store that
        # was killed, are replaced.
        written_to = name == LOCK or (writing and golden.closed and name == golden.segments[-1])
        return StorageFailed if written_to else None
    return StorageFailed if name in (HEAD, LOCK) else CorruptStore


def in_the_place(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:  # noqa: ARG001  it is little
    """Each of them in the place of each file, and of the lock."""
    golden = golden_of()
    for name, (what, way) in product((*golden.segments, HEAD, LOCK), WAYS.items()):
        for writing in (False, True):
            with (
                on_disk(golden.files) as path,
                tally.case(f"{golden.name}: {what} as {name}, writing: {writing}"),
            ):
                beside = path.parent / "beside"
                shutil.move(path / name, beside)
                try:
                    way(path / name, beside)
                except PermissionError:  # not everybody may make a device
                    tally.count("skipped")
                    continue
                tally.count("mutations")
                due = refusal_due(golden, name, what, writing=writing)
                hold(golden, path, name, due, writing=writing)


def hold(
    golden: Golden, path: Path, name: str, due: type[BatpakError] | None, *, writing: bool
) -> None:
    """A handle and `verify` say what is due, and nothing beside the store was touched."""
    beside = path.parent / "beside"
    before = beside.read_bytes(), beside.stat().st_mtime_ns
    says = in_time(partial(told, path, golden, writing=writing))
    refused = says.refused[:2] if says.refused else None
    assert refused == (None if due is None else (due, name)), says.refused
    if due is None:
        assert says.events == golden.events, f"{len(says.events)} events"
    assert (beside.read_bytes(), beside.stat().st_mtime_ns) == before, "it was written to"
    verdict = in_time(partial(verified, path)).refused
    if verdict is not None or (due is not None and not writing):
        assert verdict is not None, "verify says nothing"
        assert verdict[:2] == (due, name), verdict


def shelf(tally: Tally, size: Size) -> None:  # noqa: ARG001  it is little
    """What is torn is kept in `quarantine/`; where that is something else, nothing is thrown away.

    Nor is it kept anywhere else, and once the thing is gone the store recovers.
    """
    golden = written("reopened", SEED, closed=False)
    name = golden.segments[-1]
    torn = golden.files[name][: golden.truth(name)] + b"torn"
    for what in (
        "a link to a directory",
        "a link to nothing",
        "a link to itself",
        "a pipe",
        "a file",
    ):
        tally.count("mutations")
        with on_disk(put(golden.files, name, torn)) as path, tally.case(f"{what} as quarantine"):
            elsewhere = path.parent / "elsewhere"
            elsewhere.mkdir()
            place = path / "quarantine"
            if what == "a file":
                place.write_bytes(b"")
            elif what == "a pipe":
                os.mkfifo(place)
            else:
                targets = {"directory": elsewhere, "nothing": Path("nothing"), "itself": place}
                place.symlink_to(targets[what.rpartition(" ")[2]])
            says = in_time(partial(told, path, golden, writing=True))
            assert says.refused is not None, "it was opened"
            assert says.refused[:2] == (StorageFailed, "quarantine"), says.refused
            assert (path / name).read_bytes() == torn, "the evidence was touched"
            assert not list(elsewhere.iterdir()), "it was followed"
            place.unlink()
            again = in_time(partial(told, path, golden, writing=True))
            assert again.events == golden.events, again.refused
            kept = [one.read_bytes() for one in place.iterdir()]
            assert kept == [b"torn"], "not what was torn"


KILLED: Final = partial(written, "rotated", SEED, closed=False)
JOBS: Final = [
    Job("files", "no file, closed", partial(in_the_place, partial(written, "several", SEED))),
    Job("files", "no file, killed", partial(in_the_place, KILLED)),
    Job("files", "no quarantine", shelf),
]
