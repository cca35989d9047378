"""The simulated disk: maps, locks, hooks, traces, and files that have lost their names."""

from __future__ import annotations

from contextlib import suppress

import pytest

from batpak.disk.seam import Directory
from batpak.testing.disk import Call, nothing
from batpak.testing.platform import SimPlatform


class PowerCut(BaseException):
    """The machine is gone."""


def started(*, mapped: bool = False) -> tuple[SimPlatform, Directory]:
    sim = SimPlatform(mapped=mapped)
    return sim, sim.open_dir("d", create=True)


def test_a_map_of_reserved_room_shows_what_is_written_below_its_size() -> None:
    _, directory = started(mapped=True)
    file = directory.create("a")
    file.write(0, b"before")

    view = file.reserve(4096)
    file.write(6, b" after")
    file.write(4090, b"over the end")

    assert view is not None
    assert len(view) == 4096
    assert view[:12] == b"before after"
    assert view[4090:] == b"over t"
    assert file.size() == 4102


def test_an_old_map_goes_on_showing_what_is_written() -> None:
    _, directory = started(mapped=True)
    file = directory.create("a")
    old = file.reserve(100)
    new = file.reserve(200)
    file.write(50, b"both")

    assert old is not None
    assert new is not None
    assert old[50:54] == new[50:54] == b"both"
    assert file.reserve(150) is new


def test_positional_files_have_no_map() -> None:
    sim, directory = started()

    assert directory.create("a").reserve(4096) is None
    assert sim.files() == {"d/a": b""}


def test_a_file_without_a_name_is_still_there_for_whoever_has_it_open() -> None:
    sim, directory = started()
    file = directory.create("a")
    reader = directory.open("a")
    directory.unlink("a")
    file.write(0, b"data")

    assert reader.pread(0, 10) == b"data"
    assert sim.files() == {}


def test_one_writer_or_many_readers_hold_a_lock_also_within_a_process() -> None:
    _, directory = started()
    first = directory.lock("lock", b"1", shared=False)
    assert first is not None

    refused = [directory.lock("lock", b"2", shared=shared) for shared in (False, True)]
    first.release()
    readers = [directory.lock("lock", b"", shared=True) for _ in range(2)]

    assert refused == [None, None]
    assert all(readers)
    assert directory.lock("lock", b"3", shared=False) is None


def test_a_lock_that_nobody_can_reach_any_more_is_free_and_an_abandoned_one_is_not() -> None:
    _, directory = started()
    held = directory.lock("lock", b"1", shared=False)
    assert held is not None
    del held
    again = directory.lock("lock", b"2", shared=False)
    assert again is not None
    again.abandon()
    del again

    assert directory.lock("lock", b"3", shared=False) is None


def test_a_lock_that_is_lost_on_the_way_out_of_the_call_is_free() -> None:
    sim, directory = started()

    def stop(call: Call) -> None:
        sim.disk.after = nothing
        raise KeyboardInterrupt(call.kind)

    sim.disk.after = stop
    with suppress(KeyboardInterrupt):
        directory.lock("lock", b"1", shared=False)

    assert sim.disk.after is nothing
    assert directory.lock("lock", b"2", shared=False) is not None


def test_a_lock_is_intact_as_long_as_its_name_leads_to_it() -> None:
    _, directory = started()
    held = directory.lock("lock", b"1", shared=False)
    assert held is not None
    assert held.intact()

    directory.unlink("lock")
    directory.create("lock")

    assert not held.intact()


def test_hooks_are_called_around_every_call_and_may_stop_it() -> None:
    sim, directory = started()
    seen: list[str] = []

    def before(call: Call) -> None:
        seen.append(f"before {call.kind}")
        if call.kind == "unlink":
            raise PowerCut

    sim.disk.before = before
    sim.disk.after = lambda call: seen.append(f"after {call.kind}")
    directory.create("a")
    with pytest.raises(PowerCut):
        directory.unlink("a")
    sim.disk.before = sim.disk.after = nothing
    directory.sync()

    assert seen == ["before create", "after create", "before unlink"]
    assert sim.files() == {"d/a": b""}


def test_every_write_can_be_made_short() -> None:
    sim, directory = started()
    sim.disk.write_max = 4

    assert directory.create("a").write(0, b"0123456789") == 4
    assert sim.files() == {"d/a": b"0123"}


def test_the_trace_says_in_words_what_was_called_and_what_was_refused() -> None:
    sim, directory = started()
    directory.create("a").write(3, b"data")
    with pytest.raises(FileNotFoundError):
        directory.open("b")

    assert [str(call) for call in sim.trace] == [
        "0 open_dir d",
        "1 syncdir ",
        "2 create d/a",
        "3 write d/a 3+4",
        "4 open d/b: ENOENT",
    ]
    assert [str(one) for one in sim.operations] == [
        "open_dir d",
        "syncdir ",
        "create d/a",
        "write d/a 3+4",
    ]


def test_a_different_byte_is_a_different_trace() -> None:
    digests: list[str] = []
    for data in (b"one", b"one", b"two"):
        sim, directory = started()
        directory.create("a").write(0, data)
        digests.append(sim.trace_digest())

    assert digests[0] == digests[1] != digests[2]


def test_a_directory_below_one_that_is_known_is_in_it() -> None:
    sim = SimPlatform()
    store = sim.open_dir("/somewhere/store", create=True)
    copy = sim.open_dir("/somewhere/store/copy", create=True)
    copy.create("a")

    assert [entry.name for entry in store.entries()] == ["copy"]
    assert sim.files() == {"store/copy/a": b""}
    with pytest.raises(FileNotFoundError):
        sim.open_dir("/somewhere/store/none/below", create=True)
    with pytest.raises(FileNotFoundError):
        sim.open_dir("/elsewhere", create=False)
    with pytest.raises(NotADirectoryError):
        sim.open_dir("/somewhere/store/copy/a", create=False)
