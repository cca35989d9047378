"""Every call of the disk refused in turn, in every way, once or for ever.

The programs of `test_crashes` run on a disk that refuses its n-th call, and go on as far as they
can. Then the process starts again on the same machine, or the power is cut first. Would slip
through without it: a refusal that comes out as a bare OSError, garbage behind a refused write, an
append that is acknowledged after a failed sync, a store that a full disk has made useless.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from itertools import count
from typing import Final

import pytest

from batpak.append import BatchItem
from batpak.config import Durability, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError
from batpak.override import override
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.faults import Fault, Part, Partial, Short
from batpak.testing.platform import SimPlatform
from tests.crash.test_crashes import PROGRAMS, SEED, Diary, config_of, seen
from tests.facts import Said

FAULTS: Final[dict[str, Fault]] = {
    "EIO": errno.EIO,
    "ENOSPC": errno.ENOSPC,
    "EDQUOT": errno.EDQUOT,
    "EMFILE": errno.EMFILE,
    "EROFS": errno.EROFS,
    "EACCES": errno.EACCES,
    "EINTR": errno.EINTR,
    "one byte": Short(Part.ONE),
    "half": Short(Part.HALF),
    "half, then EIO": Partial(Part.HALF, errno.EIO),
    "one byte, then ENOSPC": Partial(Part.ONE, errno.ENOSPC),
}
STEP: Final = 7  # by default every so many calls; all of them when it may be slow

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Hardy(Diary):
    """A program that goes on after a refusal, as far as the store lets it."""

    def __init__(self, sim: SimPlatform, config: StoreConfig) -> None:
        super().__init__(sim, config)
        self.stored: set[int] = set()  # units that were acknowledged
        self.safe: set[int] = set()  # of those, what is known to be durable

    @override
    def attempt(self, store: Store, items: list[BatchItem], key: str | None) -> None:
        with suppress(BatpakError):
            super().attempt(store, items, key)
            self.stored.add(len(self.units) - 1)
            if self.config.durability is Durability.COMMIT:
                self.safe |= self.stored

    @override
    def sync(self, store: Store) -> None:
        with suppress(BatpakError):
            super().sync(store)
            self.safe |= self.stored

    @override
    def close(self, store: Store) -> None:
        with suppress(BatpakError):
            super().close(store)
            self.safe |= self.stored


def units_of(texts: list[str], units: list[list[str]]) -> list[int]:
    """Which units some texts are: each whole, none twice, in the order of the program."""
    numbers = list(dict.fromkeys(int(text.split()[0]) for text in texts))
    assert [text for number in numbers for text in units[number]] == texts
    assert numbers == sorted(numbers)
    return numbers


def hold(after: SimPlatform, diary: Hardy, due: set[int]) -> None:
    with Store.open("store", diary.config, platform=after) as store:
        found = seen(store)
        numbers = units_of(found.texts, diary.units)
        assert due <= set(numbers), f"gone: {sorted(due - set(numbers))}"
        assert store.verify().ok
        store.append(Coordinate("writer:0", "acme"), Said(text="on it goes"))
        store.sync()
    with Store.open_read_only("store", diary.config, platform=after) as reader:
        assert seen(reader).texts == [*found.texts, "on it goes"]


@pytest.mark.parametrize("step", [STEP, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("fault", "sticky"),
    [
        pytest.param(fault, sticky, id=f"{fault} {'for ever' if sticky else 'once'}")
        for fault in FAULTS
        for sticky in (False, True)
        if (fault, sticky) != ("one byte", True)  # a batch would take ten thousand calls
    ],
)
@pytest.mark.parametrize("durability", [Durability.COMMIT, Durability.OS], ids=lambda d: d.name)
def test_whatever_call_is_refused_it_is_typed_and_nothing_that_was_told_is_gone(
    durability: Durability, fault: str, sticky: bool, step: int
) -> None:
    fired = 0
    for index, program in enumerate(PROGRAMS.values()):
        for n in count(1 + index % step, step):
            sim = SimPlatform(seed=SEED, mapped=bool(n % 2))
            diary = Hardy(sim, config_of(durability))
            sim.fail_at(n, FAULTS[fault], sticky=sticky)
            with suppress(BatpakError):  # anything else is a fault of ours
                program(diary)
            if not sim.fired:
                break
            fired += 1
            hold(sim.crash(CrashModel.KILL), diary, diary.stored)
            hold(sim.crash(CrashModel.SYNCED), diary, diary.safe)

    assert fired > 5
