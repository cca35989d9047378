"""Faults on demand: the n-th call of the seam fails, in the way that was asked for.

Would slip through without it: a sweep over all calls in which nothing ever fires.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import Final, cast

import pytest

from batpak.disk.seam import Directory
from batpak.errors import InvalidArgument
from batpak.testing.faults import Fault, Kind, Part, Partial, Short
from batpak.testing.platform import SimPlatform

REFUSALS: Final = ["EIO", "ENOSPC", "EDQUOT", "EMFILE", "EROFS", "EACCES", "EINTR"]
ERRORS: Final = [getattr(errno, name) for name in REFUSALS]


def started() -> tuple[SimPlatform, Directory]:
    sim = SimPlatform()
    return sim, sim.open_dir("d", create=True)


def visit(sim: SimPlatform) -> None:
    """A program that makes every kind of call."""
    directory = sim.open_dir("d", create=True)
    file = directory.create("a")
    file.reserve(64)
    file.write(0, b"0123456789")
    file.sync(data_only=True)
    file.truncate(8)
    file.size()
    file.close()
    directory.append("a").close()
    reader = directory.open("a")
    reader.pread(0, 4)
    reader.map()
    reader.close()
    directory.replace("a", "b")
    directory.subdir("shelf", create=True).close()
    directory.unlink("b")
    directory.sync()
    directory.entries()
    held = directory.lock("lock", b"1", shared=False)
    assert held is not None
    held.release()
    directory.close()


def test_raising_the_number_refuses_every_call_once_until_nothing_fires() -> None:
    kinds: list[Kind] = []
    for n in range(1, 1000):
        sim = SimPlatform()
        sim.fail_at(n, errno.EIO)
        with suppress(OSError):
            visit(sim)
        if not sim.fired:
            break
        (refused,) = (call for call in sim.trace if call.error == "EIO")
        kinds.append(refused.kind)

    whole = SimPlatform()
    visit(whole)
    assert kinds == [call.kind for call in whole.trace]
    assert len(set(kinds)) == 18


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.__getitem__)
def test_an_error_is_raised_with_its_number_and_nothing_is_done(code: int) -> None:
    sim, directory = started()
    file = directory.create("a")
    done = len(sim.operations)
    sim.fail_at(2, code, kind="write")

    taken = file.write(0, b"one")
    with pytest.raises(OSError, match="simulated") as caught:
        file.write(3, b"two")

    assert taken == 3
    assert caught.value.errno == code
    assert sim.files() == {"d/a": b"one"}
    assert len(sim.operations) == done + 1
    assert file.write(3, b"two") == 3  # once


def test_a_sticky_fault_lasts_until_it_is_cleared() -> None:
    sim, directory = started()
    file = directory.create("a")
    sim.fail_at(2, errno.ENOSPC, sticky=True, kind=("write", "reserve"))

    assert file.write(0, b"one") == 3
    for _ in range(3):
        with pytest.raises(OSError, match="ENOSPC"):
            file.write(3, b"two")
    with pytest.raises(OSError, match="ENOSPC"):
        file.reserve(100)
    assert file.size() == 3
    sim.faults.clear()

    assert file.write(3, b"two") == 3
    assert sim.faults.fired == 4


@pytest.mark.parametrize(("part", "taken"), [(Part.ONE, 1), (Part.HALF, 5), (Part.ALL_BUT_ONE, 9)])
def test_a_transfer_can_be_short(part: Part, taken: int) -> None:
    sim, directory = started()
    file = directory.create("a")
    sim.fail_at(1, Short(part), kind="write")
    sim.fail_at(1, Short(part), kind="pread")

    written = file.write(0, b"0123456789")
    file.write(0, b"0123456789")
    read = directory.open("a").pread(0, 10)

    assert (written, read) == (taken, b"0123456789"[:taken])


def test_a_transfer_of_one_byte_is_never_shorter_than_that() -> None:
    assert [part.of(1) for part in Part] == [1, 1, 1]
    assert [part.of(0) for part in Part] == [0, 0, 0]


def test_a_write_can_take_some_bytes_and_be_refused_then() -> None:
    sim, directory = started()
    file = directory.create("a")
    sim.fail_at(1, Partial(Part.HALF, errno.EIO))

    with pytest.raises(OSError, match="EIO"):
        file.write(0, b"0123456789")

    assert sim.files() == {"d/a": b"01234"}


def test_a_close_that_is_refused_has_closed() -> None:
    sim, directory = started()
    file = directory.create("a")
    sim.fail_at(1, errno.EIO, kind="close")

    with pytest.raises(OSError, match="EIO"):
        file.close()
    file.close()

    with pytest.raises(OSError, match="EBADF"):
        file.size()


def test_nothing_has_fired_before_its_turn() -> None:
    sim, directory = started()
    sim.fail_at(3, errno.EIO)
    directory.entries()
    directory.entries()

    assert not sim.fired
    with pytest.raises(OSError, match="EIO"):
        directory.entries()
    assert sim.fired


def test_inside_a_pause_nothing_is_refused_counted_or_traced_and_changes_are_changes() -> None:
    sim, directory = started()
    sim.fail_at(1, errno.EIO)
    calls, done = sim.calls, len(sim.operations)

    with sim.pause():
        directory.create("a")

    assert (sim.calls, len(sim.trace), len(sim.operations)) == (calls, calls, done + 1)
    with pytest.raises(OSError, match="EIO"):
        directory.create("b")


@pytest.mark.parametrize(
    ("n", "fault", "kind"),
    [
        (0, errno.EIO, "write"),
        (1.5, errno.EIO, "write"),
        ("1", errno.EIO, "write"),
        (1, 0, "write"),
        (1, -errno.EIO, "write"),
        (1, "EIO", "write"),
        (1, OSError(errno.EIO, "no"), "write"),
        (1, None, "write"),
        (1, Short, "write"),
        (1, Short(cast(Part, "half")), "write"),
        (1, Partial(Part.ONE, cast(int, "EIO")), "write"),
        (1, Short(Part.ONE), "sync"),
        (1, Partial(Part.ONE, errno.EIO), "pread"),
        (1, errno.EIO, "fsync"),
        (1, errno.EIO, ("write", "fsync")),
        (1, errno.EIO, None),
    ],
)
def test_a_fault_that_can_never_happen_is_refused(n: int, fault: Fault, kind: Kind) -> None:
    with pytest.raises(InvalidArgument):
        SimPlatform().fail_at(n, fault, kind=kind)


def test_a_fault_can_be_of_several_kinds_of_calls() -> None:
    sim, directory = started()
    sim.fail_at(2, errno.EIO, kind=("unlink", "create"))

    directory.create("a").close()

    with pytest.raises(OSError, match="EIO"):
        directory.unlink("a")
