"""The door to the file system, where what it promises is more than one call of the system."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from batpak.disk import posix


def test_threads_that_list_one_directory_at_once_each_see_every_name(tmp_path: Path) -> None:
    for n in range(300):
        (tmp_path / f"{n}.txt").touch()
    directory = posix.open_dir(str(tmp_path), create=False)
    seen = list[int]()

    def look() -> None:
        seen.extend(len(directory.entries()) for _ in range(50))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    directory.close()

    assert seen == [300] * 200


def test_a_closed_directory_is_not_taken_for_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stranger.txt").touch()
    monkeypatch.chdir(tmp_path)
    directory = posix.open_dir(str(tmp_path), create=False)
    directory.close()

    with pytest.raises(OSError, match=os.strerror(9)):
        directory.entries()
    with pytest.raises(OSError, match=os.strerror(9)):
        directory.is_empty()


def test_what_was_closed_refuses_like_the_system_does(tmp_path: Path) -> None:
    directory = posix.open_dir(str(tmp_path), create=False)
    file = directory.create("a")
    file.close()
    directory.close()

    for call in (
        lambda: file.sync(data_only=True),
        lambda: file.sync(data_only=False),
        lambda: file.truncate(0),
        lambda: file.write(0, b"x"),
        file.size,
        directory.sync,
    ):
        with pytest.raises(OSError, match=os.strerror(9)):
            call()


def test_a_new_directory_whose_name_could_not_be_made_durable_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later sync of a name that one has failed for says that all is well, and may be wrong."""
    there = posix.open_dir(str(tmp_path), create=False)

    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), fd)

    monkeypatch.setattr(os, "fsync", refuse)

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        posix.open_dir(str(tmp_path / "store"), create=True)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        there.subdir("quarantine", create=True)

    assert list(tmp_path.iterdir()) == []
