"""What keeps states: each gives back what was put, or nothing, and never something else.

Would slip through without it: a state under the key of another one; a file that a crash or a
stranger has left half written, and that is believed; a link that is written through.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak.cache.file import OF_A_STORE, FileCache
from batpak.cache.memory import MemoryCache
from batpak.cache.row import CachedState, NoCache, ProjectionCache
from batpak.cache.states import States
from batpak.config import StoreConfig
from batpak.errors import InvalidArgument, StorageFailed, TooLarge
from batpak.journal import layout
from batpak.store import Store
from batpak.testing.faults import Kind
from batpak.testing.platform import SimPlatform


def row(state: bytes = b"\x01", watermark: int = 3) -> CachedState:
    return CachedState(watermark=watermark, head=bytes(32), generation=2, state=state)


@pytest.fixture(params=["memory", "file"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> ProjectionCache:
    return MemoryCache() if request.param == "memory" else FileCache(tmp_path / "states")


def test_what_is_no_key_and_no_state_is_refused(cache: ProjectionCache) -> None:
    given: Any = cache
    wrong: list[tuple[str, Callable[[], object]]] = [
        ("key", lambda: given.get(None)),
        ("key", lambda: given.get([])),
        ("key", lambda: given.put(3, row())),
        ("row", lambda: given.put("a", b"state")),
        ("prefix", lambda: given.delete(None)),
        ("prefix", lambda: given.delete("\ud800")),
    ]
    for argument, act in wrong:
        with pytest.raises(InvalidArgument) as caught:
            act()
        assert caught.value.argument == argument
    assert cache.get("a") is None


def test_a_cache_is_not_kept_in_the_directory_of_a_store(tmp_path: Path) -> None:
    assert {layout.HEAD, layout.LOCK} == OF_A_STORE
    path = tmp_path / "store"
    early = [FileCache(path), FileCache(path / "states")]  # before it is one
    for cache in early:
        for opens in (Store.open, Store.open_read_only):
            with pytest.raises(InvalidArgument) as caught:
                opens(path, StoreConfig(projection_cache=cache))
            assert caught.value.argument == "projection_cache"
    assert sorted(entry.name for entry in path.iterdir()) == ["states"]

    beside = StoreConfig(projection_cache=FileCache(tmp_path / "store.states"))
    with Store.open(path, beside):
        (path / "HEAD.tmp").write_bytes(b"about to be published")
        with pytest.raises(InvalidArgument) as caught:
            FileCache(path)
        assert caught.value.argument == "directory"
        assert (path / "HEAD.tmp").exists()
        for inside in (path / "states", path / "cursors"):
            with pytest.raises(InvalidArgument, match="in that of a store"):
                FileCache(inside)
        assert not (path / "cursors").exists()
    with pytest.raises(InvalidArgument, match="zero character"):
        FileCache("a\0b")


def test_what_was_put_last_is_there(cache: ProjectionCache) -> None:
    assert cache.get("a") is None

    cache.put("a", row(b"\x01"))
    cache.put("a", row(b"\x02"))
    cache.put("b", row(b"\x03", 9))

    assert cache.get("a") == row(b"\x02")
    assert cache.get("b") == row(b"\x03", 9)
    assert cache.get("c") is None


def test_a_key_of_a_subclass_of_text_is_what_it_holds(cache: ProjectionCache) -> None:
    class Key(str):
        __slots__ = ()

    cache.put(Key("a"), row())

    assert cache.get("a") == cache.get(Key("a")) == row()
    assert cache.delete(Key("a")) == 1


def test_deleting_forgets_what_begins_so_and_counts_it(cache: ProjectionCache) -> None:
    for key in ("s/p/1/", "s/p/10/", "s/q/1/", "t/p/1/"):
        cache.put(key, row())

    assert cache.delete("s/p/1/") == 1
    assert cache.delete("s/") == 2
    assert cache.get("s/q/1/") is None
    assert cache.get("t/p/1/") == row()
    assert cache.delete("") == 1
    assert cache.delete("") == 0


def test_syncing_changes_nothing(cache: ProjectionCache) -> None:
    cache.put("a", row())

    cache.sync()

    assert cache.get("a") == row()


def test_no_cache_keeps_nothing() -> None:
    none = NoCache()

    none.put("a", row())
    none.sync()

    assert none.get("a") is None
    assert none.delete("") == 0


def test_memory_forgets_what_nobody_has_asked_for_longest() -> None:
    cache = MemoryCache(max_entries=2)
    cache.put("a", row())
    cache.put("b", row())

    assert cache.get("a")  # younger than b now
    cache.put("c", row())

    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]
    assert len(cache) == 2


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "9"])
def test_memory_for_less_than_one_state_is_refused(most: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidArgument, match="max_entries: must be 1 or more"):
        MemoryCache(most)


# --------------------------------------------------------------------------------------- files


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_states_outlive_the_process(tmp_path: Path) -> None:
    FileCache(tmp_path / "states").put("a", row())

    assert FileCache(tmp_path / "states").get("a") == row()
    assert [file.suffix for file in files(tmp_path / "states")] == [".state"]
    assert (tmp_path / "states").stat().st_mode & 0o777 == 0o700
    assert files(tmp_path / "states")[0].stat().st_mode & 0o777 == 0o600


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_file_with_any_bit_flipped_is_removed_and_was_never_there(at: int, bit: int) -> None:
    sim = SimPlatform()
    cache = FileCache("states", platform=sim)
    cache.put("a", row())
    [(name, data)] = sim.files().items()
    at %= len(data)
    broken = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
    directory = sim.open_dir(str(Path("states").absolute()), create=False)
    directory.append(name.rpartition("/")[2]).write(0, broken)

    assert cache.get("a") is None
    assert sim.files() == {}


@pytest.mark.parametrize("size", [0, 1, 9, 30])
def test_a_file_that_is_cut_is_removed_and_said(
    size: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = FileCache(tmp_path / "states")
    cache.put("a", row())
    [file] = files(tmp_path / "states")
    file.write_bytes(file.read_bytes()[:size])

    assert cache.get("a") is None

    assert files(tmp_path / "states") == []
    [said] = caplog.records
    assert (said.name, said.levelno) == ("batpak.projection", logging.WARNING)
    assert str(file) in said.getMessage()


def test_a_file_under_the_name_of_another_key_is_not_that_one(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "states")
    cache.put("a", row(b"\x01"))
    [a] = files(tmp_path / "states")
    data = a.read_bytes()
    cache.put("b", row(b"\x02"))
    [b] = [file for file in files(tmp_path / "states") if file != a]
    b.write_bytes(data)

    assert cache.get("b") is None
    assert cache.get("a") == row(b"\x01")


def test_any_file_may_go_at_any_time(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "states")
    cache.put("a", row())
    cache.put("b", row())
    for file in files(tmp_path / "states"):
        file.unlink()

    assert cache.get("a") is None
    cache.sync()
    assert cache.delete("") == 0
    cache.put("a", row())
    assert cache.get("a") == row()


def test_a_link_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "states")
    cache.put("a", row(b"\x01"))
    [file] = files(tmp_path / "states")
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    before = elsewhere.read_bytes()

    with pytest.raises(StorageFailed):
        cache.get("a")
    cache.put("a", row(b"\x02"))

    assert elsewhere.read_bytes() == before
    assert not file.is_symlink()
    assert cache.get("a") == row(b"\x02")


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    FileCache(tmp_path / "states").put("a", row())
    (tmp_path / "states" / "0123.state.feed.tmp").write_bytes(b"half")

    cache = FileCache(tmp_path / "states")

    assert [file.suffix for file in files(tmp_path / "states")] == [".state"]
    assert cache.get("a") == row()


@pytest.mark.parametrize("kind", ["create", "write", "replace"])
def test_a_full_disk_leaves_what_was_there(kind: Kind) -> None:
    sim = SimPlatform()
    cache = FileCache("states", platform=sim)
    cache.put("a", row(b"\x01"))
    sim.fail_at(1, errno.ENOSPC, kind=kind)

    with pytest.raises(StorageFailed) as refused:
        cache.put("a", row(b"\x02"))

    assert refused.value.full
    assert cache.get("a") == row(b"\x01")
    assert len(sim.files()) == 1


def test_a_state_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batpak.cache.file.FILE_BYTES_MAX", 100)
    cache = FileCache(tmp_path / "states")

    with pytest.raises(TooLarge):
        cache.put("a", row(bytes(100)))

    assert files(tmp_path / "states") == []


@pytest.mark.parametrize("directory", ["", None, 7])
def test_what_is_no_path_is_refused(directory: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidArgument, match="directory"):
        FileCache(directory)


def test_a_directory_that_cannot_be_made_is_a_refusal_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageFailed):
        FileCache(tmp_path / "file")
    with pytest.raises(StorageFailed):
        FileCache(tmp_path / "not" / "there")


# ------------------------------------------------------------------------------------ the config


@pytest.mark.parametrize("cache", [None, MemoryCache, object(), "states"])
def test_what_is_no_cache_is_refused_by_the_config(cache: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidArgument, match="is no ProjectionCache"):
        StoreConfig(projection_cache=cache)


# ------------------------------------------------------------------------------ asked by the store


def decode(data: bytes) -> list[int]:
    return list(data)


class Sly:
    """A cache that gives what it was told to."""

    def __init__(self, given: object) -> None:
        self.given = given

    def get(self, _key: str, /) -> Any:  # noqa: ANN401
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    def put(self, _key: str, _row: CachedState, /) -> None:
        raise OSError("no")

    def delete(self, _prefix: str, /) -> int:
        raise KeyError("no")

    def sync(self) -> None: ...


_ANY: Any = CachedState
NONSENSE: CachedState = _ANY(watermark="x", head=None, generation=1, state=None)


@pytest.mark.parametrize(
    "given",
    [
        OSError("disk"),
        KeyError("bug"),
        RecursionError(),
        "no row",
        row(),  # never sealed
        row().sealed("another key"),
        NONSENSE,
        row(watermark=0).sealed("key"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_trouble_with_a_cache_is_logged_once_and_counts_as_nothing_kept(
    given: object, caplog: pytest.LogCaptureFixture
) -> None:
    states = States(Sly(given))

    assert states.get("key", decode) is None

    [said] = caplog.records
    assert (said.name, said.levelno) == ("batpak.projection", logging.WARNING)
    assert states.misses == 1


def test_a_row_is_whole_under_its_key_alone() -> None:
    sealed = row().sealed("key")

    assert sealed.is_whole("key")
    for other in ("watermark", "generation", "epoch", "taken_ms"):
        assert not replace(sealed, **{other: 7}).is_whole("key"), other
    assert not replace(sealed, state=b"\x02").is_whole("key")
    assert not replace(sealed, head=b"\x02" * 32).is_whole("key")


def test_a_cache_that_takes_nothing_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    states = States(Sly(None))

    states.put("key", b"x", lambda data: data[1:][1:], watermark=1, head=b"", generation=1)
    states.forget("key")

    assert [said.levelno for said in caplog.records] == [logging.WARNING] * 2


def test_a_state_that_does_not_come_back_equal_is_not_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = MemoryCache()

    put: Any = States(cache).put
    put("key", (1, 2), list[int], watermark=1, head=b"", generation=1)

    assert len(cache) == 0
    assert "does not come back equal" in caplog.text


def test_a_state_is_a_fresh_object_each_time() -> None:
    states = States(MemoryCache())
    states.put("key", b"ab", lambda data: data[2:], watermark=1, head=b"", generation=1)

    one, other = states.get("key", decode), states.get("key", decode)

    assert one is not None
    assert other is not None
    assert one[1] == other[1]
    assert one[1] is not other[1]


def test_a_signal_handler_may_use_the_memory_that_its_thread_is_using() -> None:
    """Each line is interrupted by a use of the same cache; no lock is taken."""
    codes = {getattr(MemoryCache, name).__code__ for name in ("get", "put", "delete")}
    for turn in range(1, 25):
        cache, left = MemoryCache(2), [turn]

        def trace(
            frame: FrameType,
            event: str,
            _arg: Any,  # noqa: ANN401
            left: list[int] = left,
            cache: MemoryCache = cache,
        ) -> Any:  # noqa: ANN401  of the kind that `settrace` takes
            if frame.f_code not in codes:
                return None
            if event == "line":
                left[0] -= 1
                if left[0] == 0:
                    sys.settrace(None)
                    cache.put("c", row())
                    cache.delete("a")
                    cache.put("d", row())
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            cache.put("a", row())
            cache.put("b", row())
            cache.get("a")
            cache.delete("b")
        finally:
            sys.settrace(before)
        assert len(cache) <= 2
        assert cache.get("b") is None
