"""What each model of a crash leaves, on scripts of a few calls.

Would slip through without it: a model that keeps too much, so that the harness finds nothing, or
too little, so that an honest program is called a liar.
"""

from __future__ import annotations

import errno
from typing import Final

import pytest

from batpak.disk.seam import Directory
from batpak.errors import InvalidArgument
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform

AFTER_A_CUT: Final = [model for model in CrashModel if model is not CrashModel.KILL]


def started(*, mapped: bool = False) -> tuple[SimPlatform, Directory]:
    """A machine with an empty directory, durable."""
    sim = SimPlatform(mapped=mapped)
    return sim, sim.open_dir("d", create=True)


def put(directory: Directory, name: str, data: bytes) -> None:
    """A file that is durable under a durable name."""
    file = directory.create(name)
    file.write(0, data)
    file.sync(data_only=True)
    file.close()
    directory.sync()


def left(sim: SimPlatform, model: CrashModel, begin: int = 0) -> list[dict[str, bytes]]:
    """All that a model leaves, from some operation on."""
    found = [after for after in sim.crashes([model]) if after.origin is not None]
    return [after.files() for after in found if after.origin and after.origin.at >= begin]


# ----------------------------------------------------------------------------- data, and names


@pytest.mark.parametrize("model", AFTER_A_CUT)
def test_what_was_synced_under_a_synced_name_is_always_there(model: CrashModel) -> None:
    sim, directory = started()
    put(directory, "a", b"kept")
    done = len(sim.operations)
    other = directory.create("b")
    other.write(0, b"perhaps")

    images = left(sim, model, done)

    assert images
    assert all(image["d/a"] == b"kept" for image in images)


def test_a_sync_of_a_file_does_not_keep_its_name() -> None:
    sim, directory = started()
    file = directory.create("a")
    file.write(0, b"data")
    file.sync(data_only=True)

    assert sim.crash(CrashModel.SYNCED).files() == {}


def test_a_sync_of_a_directory_does_not_keep_the_data_of_its_files() -> None:
    sim, directory = started()
    directory.create("a").write(0, b"data")
    directory.sync()

    assert sim.crash(CrashModel.SYNCED).files() == {"d/a": b""}


def test_a_replacement_is_undone_until_its_directory_is_synced() -> None:
    sim, directory = started()
    put(directory, "a", b"old")
    put(directory, "b", b"new")
    directory.replace("b", "a")

    before = sim.crash(CrashModel.SYNCED).files()
    directory.sync()
    after = sim.crash(CrashModel.SYNCED).files()

    assert before == {"d/a": b"old", "d/b": b"new"}
    assert after == {"d/a": b"new"}


def test_a_name_may_survive_a_rename_whose_data_do_not() -> None:
    sim, directory = started()
    put(directory, "a", b"old")
    done = len(sim.operations)
    file = directory.create("b")
    file.write(0, b"new")
    directory.replace("b", "a")

    assert {"d/a": b""} in left(sim, CrashModel.SUBSET, done)


def test_an_unlinked_name_comes_back_until_its_directory_is_synced() -> None:
    sim, directory = started()
    put(directory, "a", b"old")
    directory.unlink("a")

    assert sim.crash(CrashModel.SYNCED).files() == {"d/a": b"old"}
    directory.sync()
    assert sim.crash(CrashModel.SYNCED).files() == {}


def test_a_directory_made_on_demand_is_durable_and_its_files_are_not() -> None:
    sim, directory = started()
    shelf = directory.subdir("shelf", create=True)
    shelf.create("a")

    after = sim.crash(CrashModel.SYNCED).open_dir("d", create=False)

    assert [entry.name for entry in after.entries()] == ["shelf"]
    assert after.subdir("shelf", create=False).entries() == []


def test_a_truncation_is_undone_until_the_file_is_synced() -> None:
    sim, directory = started()
    put(directory, "a", b"0123456789")
    file = directory.append("a")
    file.truncate(4)

    assert sim.crash(CrashModel.SYNCED).files() == {"d/a": b"0123456789"}
    file.sync(data_only=True)
    assert sim.crash(CrashModel.SYNCED).files() == {"d/a": b"0123"}


# --------------------------------------------------------------------------------------- models


def test_a_killed_process_loses_no_write_and_a_later_power_cut_loses_what_was_not_synced() -> None:
    sim, directory = started()
    file = directory.create("a")
    file.write(0, b"data")

    killed = sim.crash(CrashModel.KILL)

    assert killed.files() == {"d/a": b"data"}
    assert killed.crash(CrashModel.SYNCED).files() == {}
    killed.open_dir("d", create=False).sync()
    assert killed.crash(CrashModel.SYNCED).files() == {"d/a": b""}


def test_ordered_writes_are_cut_at_every_byte_and_in_no_other_way() -> None:
    sim, directory = started()
    put(directory, "a", b"")
    done = len(sim.operations)
    file = directory.append("a")
    file.write(0, b"12345")
    file.write(5, b"678")

    images = left(sim, CrashModel.ORDERED, done)

    assert sorted(image["d/a"] for image in images) == [b"12345678"[:n] for n in range(9)]


def test_a_crash_leaves_any_subset_of_the_writes_with_three_kinds_of_holes() -> None:
    sim, directory = started()
    put(directory, "old", b"OLDOLD")
    directory.unlink("old")
    put(directory, "a", b"")
    done = len(sim.operations)
    file = directory.append("a")
    file.write(0, b"one")
    file.write(3, b"two")

    images = {image["d/a"] for image in left(sim, CrashModel.SUBSET, done)}

    holes = (b"\0\0\0", b"\xa5\xa5\xa5", b"OLD")
    lost = {image for hole in holes for image in (hole, hole + b"two", b"one" + hole, hole + hole)}
    assert images == lost | {b"", b"one", b"onetwo"}


def test_reserved_room_never_reads_as_anything_but_zeros_and_what_was_written() -> None:
    sim, directory = started(mapped=True)
    put(directory, "a", b"")
    file = directory.append("a")
    file.reserve(8)
    file.sync(data_only=True)
    done = len(sim.operations)
    file.write(0, b"one")
    file.write(3, b"two")

    images = {image["d/a"] for image in left(sim, CrashModel.SUBSET, done)}

    assert images == {b"\0" * 8, b"one\0\0\0\0\0", b"\0\0\0two\0\0", b"onetwo\0\0"}


def test_eight_pending_writes_leave_all_256_subsets() -> None:
    sim, directory = started()
    put(directory, "a", bytes(8))
    done = len(sim.operations)
    file = directory.append("a")
    for n in range(8):
        file.write(n, bytes([n + 1]))

    images = {image["d/a"] for image in left(sim, CrashModel.SUBSET, done)}

    assert len(images) == 256


def test_many_pending_writes_leave_samples_with_all_and_none_among_them() -> None:
    sim, directory = started()
    put(directory, "a", bytes(40))
    file = directory.append("a")
    for n in range(40):
        file.write(n, bytes([n + 1]))

    images = {image["d/a"] for image in left(sim, CrashModel.SUBSET, len(sim.operations))}

    assert 100 < len(images) <= 256
    assert {bytes(40), bytes(range(1, 41))} <= images


def test_a_torn_write_leaves_any_of_its_sectors() -> None:
    sim, directory = started()
    put(directory, "a", b"o" * 1536)
    done = len(sim.operations)
    directory.append("a").write(100, b"n" * 1000)

    images = {image["d/a"] for image in left(sim, CrashModel.TORN, done)}

    old, new = b"o" * 1536, b"o" * 100 + b"n" * 1000 + b"o" * 436
    sectors = [(old[n : n + 512], new[n : n + 512]) for n in (0, 512, 1024)]
    assert images == {a + b + c for a in sectors[0] for b in sectors[1] for c in sectors[2]}


def test_a_mapped_page_may_be_on_the_disk_before_the_one_in_front_of_it() -> None:
    sim, directory = started(mapped=True)
    put(directory, "a", b"")
    file = directory.append("a")
    file.reserve(3 * 4096)
    file.sync(data_only=True)
    file.write(0, b"x" * 3 * 4096)

    images = {image["d/a"] for image in left(sim, CrashModel.TORN, len(sim.operations))}

    assert bytes(4096) + b"x" * 8192 in images


def test_the_first_moment_of_a_machine_can_be_crashed_too() -> None:
    assert [after.files() for after in SimPlatform().crashes([CrashModel.SYNCED])] == [{}]


# --------------------------------------------------------------------------------- a failed sync


def failing(name: str, refused: str) -> tuple[SimPlatform, Directory]:
    """A durable file, written to once more, and the sync of that was refused."""
    sim, directory = started()
    put(directory, name, b"durable")
    file = directory.append(name)
    file.write(7, b" lost")
    sim.fail_at(1, errno.EIO, kind="sync")
    with pytest.raises(OSError, match="EIO"):
        file.sync(data_only=True)
    assert sim.fired
    assert sim.files()[refused] == b"durable lost"
    return sim, directory


@pytest.mark.parametrize("model", AFTER_A_CUT)
def test_after_a_failed_sync_the_writes_can_be_read_and_are_gone_at_the_next_start(
    model: CrashModel,
) -> None:
    sim, directory = failing("a", "d/a")
    directory.append("a").sync(data_only=True)  # and says that all is well

    assert sim.files() == {"d/a": b"durable lost"}
    assert sim.crash(CrashModel.KILL).files() == {"d/a": b"durable lost"}
    assert sim.crash(model).files() == {"d/a": b"durable"}


def test_a_phantom_outlives_a_kill_and_not_the_power_cut_after_it() -> None:
    sim, _ = failing("a", "d/a")

    killed = sim.crash(CrashModel.KILL)
    killed.open_dir("d", create=False).append("a").sync(data_only=True)

    assert killed.files() == {"d/a": b"durable lost"}
    assert killed.crash(CrashModel.SYNCED).files() == {"d/a": b"durable"}


def test_what_was_lost_and_is_written_again_can_be_synced() -> None:
    sim, directory = failing("a", "d/a")
    file = directory.append("a")
    file.write(7, b" lost")
    file.sync(data_only=True)

    assert sim.crash(CrashModel.SYNCED).files() == {"d/a": b"durable lost"}


def test_the_names_of_a_failed_sync_are_lost_too() -> None:
    sim, directory = started()
    put(directory, "a", b"data")
    directory.replace("a", "b")
    sim.fail_at(1, errno.EIO, kind="syncdir")
    with pytest.raises(OSError, match="EIO"):
        directory.sync()
    directory.sync()

    assert sim.files() == {"d/b": b"data"}
    assert sim.crash(CrashModel.ORDERED, choice=0).files() == {"d/a": b"data"}


# ------------------------------------------------------------------------------------ enumeration


def script(sim: SimPlatform) -> None:
    directory = sim.open_dir("d", create=True)
    for n in range(3):
        file = directory.create(f"{n}.tmp")
        file.write(0, b"header")
        file.write(6, bytes([n]) * 600)
        file.sync(data_only=True)
        directory.replace(f"{n}.tmp", "a")
        directory.sync()
        file.write(606, b"tail")


def test_no_image_is_given_twice_by_a_model_that_cuts_the_power() -> None:
    sim = SimPlatform()
    script(sim)

    images = [after.files() for after in sim.crashes(AFTER_A_CUT)]
    images = [image for image in images if image]  # else they differ in a directory

    assert len({repr(sorted(image.items())) for image in images}) == len(images) > 50


def test_an_image_comes_with_the_last_moment_at_which_a_crash_leaves_it() -> None:
    sim, directory = started()
    put(directory, "a", b"")
    file = directory.append("a")
    file.write(0, b"one")  # told before any sync: a lie
    told = len(sim.operations)
    directory.create("b")

    worst = [after for after in sim.crashes([CrashModel.SYNCED]) if after.files() == {"d/a": b""}]

    assert worst[0].origin is not None
    assert worst[0].origin.at >= told


def test_every_crash_can_be_made_again_from_its_origin() -> None:
    sim = SimPlatform(seed=3)
    script(sim)

    for after in sim.crashes(seed=9):
        assert after.origin is not None
        assert sim.crash(*after.origin).files() == after.files()


def test_equal_seeds_choose_equal_crashes() -> None:
    sim = SimPlatform()
    script(sim)

    def chosen(seed: int) -> list[object]:
        return [after.origin for after in sim.crashes(limit=30, seed=seed)]

    assert chosen(1) == chosen(1)
    assert len(chosen(1)) == 30
    moments = {after.origin.at for after in sim.crashes(limit=30) if after.origin}
    assert len(moments) > 8
    assert min(moments) < 5
    assert max(moments) > len(sim.operations) - 5


def test_a_crash_changes_nothing_on_the_machine_that_it_is_imagined_for() -> None:
    sim = SimPlatform()
    script(sim)
    before, digest, done = sim.files(), sim.trace_digest(), len(sim.operations)

    for after in sim.crashes():
        directory = after.open_dir("d", create=True)
        directory.create("new").write(0, b"new")
        directory.sync()

    assert (sim.files(), sim.trace_digest(), len(sim.operations)) == (before, digest, done)


def test_going_back_and_forth_in_time_gives_what_going_once_gives() -> None:
    sim = SimPlatform()
    script(sim)
    count = len(sim.operations)

    there = [sim.crash(CrashModel.SYNCED, at).files() for at in range(count + 1)]
    back = [sim.crash(CrashModel.SYNCED, at).files() for at in range(count, -1, -1)]

    assert there == back[::-1]


@pytest.mark.parametrize(("at", "choice"), [(99, None), (-1, None), (0, 1), (0, -1)])
def test_a_crash_that_cannot_be_is_refused(at: int, choice: int | None) -> None:
    with pytest.raises(IndexError):
        SimPlatform().crash(CrashModel.KILL, at, choice)


@pytest.mark.parametrize("model", ["KILL", None, 1])
def test_a_model_that_nobody_knows_is_refused(model: CrashModel) -> None:
    with pytest.raises(InvalidArgument, match="model"):
        SimPlatform().crash(model, choice=0)
    with pytest.raises(InvalidArgument, match="model"):
        SimPlatform().crashes([model])


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3"])
def test_a_limit_that_leaves_no_crash_to_try_is_refused(limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        SimPlatform().crashes(limit=limit)


@pytest.mark.parametrize("models", [[], CrashModel.KILL, None])
def test_models_are_one_or_more(models: list[CrashModel]) -> None:
    with pytest.raises(InvalidArgument, match="models"):
        SimPlatform().crashes(models)


def test_directories_of_the_same_name_are_told_apart() -> None:
    sim = SimPlatform()
    for path in ("/one/store", "/two/store", "/two/other"):
        sim.open_dir(path, create=True).create("a").close()

    assert set(sim.files()) == {"/one/store/a", "/two/store/a", "other/a"}


def test_the_machine_after_a_crash_has_no_locks_and_draws_other_bytes() -> None:
    sim, directory = started()
    held = directory.lock("lock", b"1000", shared=False)
    directory.sync()

    after = sim.crash(CrashModel.SYNCED)
    again = after.open_dir("d", create=False).lock("lock", b"1001", shared=False)

    assert held is not None
    assert again is not None
    assert sim.crash(CrashModel.KILL).files() == {"d/lock": b"1000"}
    assert after.entropy(16) != SimPlatform().entropy(16)
    assert after.pid() != sim.pid()
    assert after.wall_ns() > sim.clock.wall_ns()
