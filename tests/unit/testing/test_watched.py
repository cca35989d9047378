"""A disk that tells what is asked of it, and is otherwise the one it was.

Would slip through without it: a program that is killed at a point it never reaches in production,
because what watches it has changed what it does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from batpak.coordinate import Coordinate
from batpak.errors import StorageFailed
from batpak.platform import REAL, Platform
from batpak.store import Store
from batpak.testing.disk import Call
from batpak.testing.platform import SimPlatform
from batpak.testing.watched import watched
from tests.facts import SMALL, USER, Said
from tests.unit.testing.test_same_as_real import by_position, is_mapped

TEXT = "x" * 1_200  # so that a file of 4 KiB holds a few events


def like(sim: SimPlatform) -> Platform:
    """The real disk in a world that is otherwise that of a simulated machine."""
    names = ("wall_ns", "monotonic_ns", "entropy", "raw_lock", "thread", "thread_id", "pid")
    return replace(REAL, **{name: getattr(sim, name) for name in names})


def play(platform: Platform, path: str, background: Callable[[], None]) -> None:
    """Several files, a footer, what an earlier writer left over, and a second open."""
    store = Store.open(path, SMALL, platform=platform)
    for n in range(7):
        store.append(USER, Said(text=f"{n}{TEXT}"))
    background()
    store.append(Coordinate("user:2", "acme"), Said(text="last"))
    store.close()
    directory = platform.open_dir(str(Path(path).absolute()), create=False)
    directory.create("HEAD.tmp").close()
    directory.close()
    with Store.open(path, SMALL, platform=platform) as again:
        assert again.count() == 8
        again.append(USER, Said(text="again"))
        assert again.verify().ok
        background()


def files(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.iterdir()}


def alone(calls: list[Call]) -> list[str]:
    """Calls without their numbers, and without the syncs that belong to the call before them."""
    told: list[str] = []
    parent = ""
    for call in calls:
        inside = call.kind == "syncdir" and parent in ("open_dir", "subdir")
        if not inside:
            told.append(str(call._replace(number=0)))
        parent = call.kind
    return told


@pytest.mark.parametrize("first", ["as it is here", "by position"])
def test_a_watched_store_is_byte_for_byte_the_same_and_its_calls_are_those_of_a_simulated_one(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if first == "by position":
        monkeypatch.setattr("batpak.disk.posix._can_reserve", by_position)
    told: list[Call] = []
    after: list[Call] = []
    plain, seen = SimPlatform(seed=1), SimPlatform(seed=1)
    sim = SimPlatform(seed=1, mapped=is_mapped(tmp_path))

    play(like(plain), str(tmp_path / "plain"), plain.run_background)
    both = watched(like(seen), before=told.append, after=after.append)
    play(both, str(tmp_path / "store"), seen.run_background)
    play(sim, "store", sim.run_background)

    assert files(tmp_path / "store") == files(tmp_path / "plain")
    assert files(tmp_path / "store") == {
        path.removeprefix("store/"): data for path, data in sim.files().items()
    }
    assert alone(told) == alone(list(sim.trace))
    assert [call.data for call in told if call.kind == "write"] == [
        call.data for call in sim.trace if call.kind == "write"
    ]
    assert [call.number for call in told] == list(range(len(told)))
    assert after == told
    kinds = {call.kind for call in told}
    assert kinds >= {"create", "append", "write", "sync", "truncate", "replace", "syncdir", "lock"}
    assert kinds >= {"reserve", "map", "pread", "size", "entries", "unlink", "close", "open_dir"}
    assert len(list((tmp_path / "store").glob("*.fbat"))) > 2


def test_a_simulated_disk_can_be_watched_as_well() -> None:
    told: list[Call] = []
    sim = SimPlatform(seed=1)

    play(watched(sim, before=told.append), "store", sim.run_background)

    assert alone(told) == alone(list(sim.trace))


def test_a_hook_refuses_the_call_it_is_told_of_and_no_other(tmp_path: Path) -> None:
    def refuse(call: Call) -> None:
        if call.kind == "reserve":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    after: list[Call] = []
    platform = watched(REAL, before=refuse, after=after.append)
    with Store.open(tmp_path / "s", SMALL, platform=platform) as store:
        with pytest.raises(StorageFailed) as caught:
            store.append(USER, Said(text="no room"))
        assert store.count() == 0

    assert caught.value.full
    assert "reserve" not in {call.kind for call in after}


def test_a_close_that_a_hook_refuses_has_closed_all_the_same(tmp_path: Path) -> None:
    def refuse(call: Call) -> None:
        if call.kind == "close":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    directory = watched(REAL, before=refuse).open_dir(str(tmp_path), create=False)
    file = directory.create("a")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        file.close()
    file.close()
    reader = directory.open("a")
    reader.close()
    directory.close()

    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        file.sync(data_only=True)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        reader.pread(0, 1)
