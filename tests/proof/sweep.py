"""Every call of the disk refused in turn, in every way, once or for ever.

Short programs run on a disk that refuses its n-th call, n rising until nothing is refused any more,
and go on as far as the store lets them. Then the process starts again on the same machine, and on
one whose power was cut. Would slip through without it: a refusal that comes out as a bare OSError,
garbage behind a refused write, an append that is acknowledged after a failed sync, a sync that is
tried again, a store that a full disk has made useless.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count, pairwise
from typing import Final

from batpak.commit.ticket import BatchTicket
from batpak.config import Durability, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError, DurabilityUnknown
from batpak.override import override
from batpak.report import CompactionReport, HealthState
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.faults import Fault, Part, Partial, Short
from batpak.testing.platform import SimPlatform
from tests.facts import Said
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.oracle import LATER, seen, whole
from tests.proof.workload import PROGRAMS, Diary, config_of

FAULTS: Final[dict[str, Fault]] = {
    "EIO": errno.EIO,
    "one byte": Short(Part.ONE),
    "half": Short(Part.HALF),
    "all but one byte": Short(Part.ALL_BUT_ONE),
    "half, then EIO": Partial(Part.HALF, errno.EIO),
    "one byte, then ENOSPC": Partial(Part.ONE, errno.ENOSPC),
    "ENOSPC": errno.ENOSPC,
    "EDQUOT": errno.EDQUOT,
    "EMFILE": errno.EMFILE,
    "EROFS": errno.EROFS,
    "EACCES": errno.EACCES,
    "EINTR": errno.EINTR,
}
THOROUGH: Final = 7  # every so many faults by default
TOO_SLOW: Final = {("one byte", True)}  # a batch would take ten thousand calls
STEP: Final = {  # by default every so many calls; dear programs have many
    "singles": 3,
    "batches": 1,
    "groups": 11,
    "keyed": 11,
    "rotations": 17,
    "reopened": 13,
    "abandoned": 29,
    "bypassed": 11,
    "fenced": 19,
    "refused": 11,
    "compacted": 41,
    "erased": 41,
    "mixed": 17,
}


class Hardy(Diary):
    """A program that goes on after a refusal, as far as the store lets it."""

    def __init__(self, sim: SimPlatform, config: StoreConfig) -> None:
        super().__init__(sim, config)
        self.stored: set[int] = set()  # units that were acknowledged
        self.safe: set[int] = set()  # of those, what is known to be durable
        self.undone: set[int] = set()  # units of which the store says that they are not stored
        self.opened: list[int] = []  # calls there were when a handle was opened
        self.acknowledged: list[int] = []  # and when a unit, a sync or a close was

    @override
    def open(self) -> Store:
        self.opened.append(self.sim.calls)
        return super().open()

    @override
    def attempt(self, write: Callable[[], object]) -> None:
        number = len(self.units) - 1
        try:
            super().attempt(write)
        except BatpakError as error:
            self._leave(number, error)
        else:
            self._keep(number)

    @override
    def store_together(self, store: Store, *units: tuple[int, ...]) -> None:
        first = len(self.units)
        tickets: list[BatchTicket] = []
        for sizes in units:
            with suppress(BatpakError):
                tickets.append(store.submit_batch(self.unit(sizes)))
        for number, ticket in enumerate(tickets, first):
            error = ticket.exception()
            if isinstance(error, BatpakError):
                self._leave(number, error)
            else:
                self._keep(number)

    @override
    def sync(self, store: Store) -> None:
        with suppress(BatpakError):
            super().sync(store)
            self._keep_all()

    @override
    def close(self, store: Store) -> None:
        writes = store.health.state is HealthState.OK  # else a close promises nothing, by design
        with suppress(BatpakError):
            super().close(store)
            if writes:
                self._keep_all()

    @override
    def rewrite(self, compact: Callable[[], CompactionReport]) -> None:
        with suppress(BatpakError):
            super().rewrite(compact)

    @override
    def again(self, store: Store, number: int) -> None:
        if number in self.stored:  # else it would be a new one, at another place
            with suppress(BatpakError):
                super().again(store, number)

    @override
    def refuse(self, store: Store, *units: tuple[int, ...]) -> None:
        self.store_together(store, *units)  # one fault at a time

    def _leave(self, number: int, error: BatpakError) -> None:
        if not isinstance(error, DurabilityUnknown):
            self.undone.add(number)

    def _keep(self, number: int) -> None:
        self.stored.add(number)
        self.acknowledged.append(self.sim.calls)
        if self.config.durability is Durability.COMMIT:
            self.safe |= self.stored

    def _keep_all(self) -> None:
        self.safe |= self.stored
        self.acknowledged.append(self.sim.calls)

    def require_stopped(self) -> None:
        """A handle whose file refused a sync syncs that file no more, and acknowledges nothing."""
        trace = self.sim.trace
        for begin, end in pairwise([*self.opened, len(trace)]):
            syncs = [n for n in range(begin, end) if trace[n].kind == "sync"]
            refused = [n for n in syncs if trace[n].error and trace[n].path.endswith(".fbat")]
            if refused:
                first = refused[0]
                again = [n for n in syncs if n > first and trace[n].path == trace[first].path]
                assert not again, f"call {again[0]} is a sync again after {first} was refused"
                later = [n for n in self.acknowledged if first < n < end]
                assert not later, f"acknowledged at {later[0]}, after sync {first} was refused"


def units_of(texts: list[str], units: list[list[str]]) -> list[int]:
    """Which units some texts are: each whole, none twice, in the order of the program."""
    numbers = list(dict.fromkeys(int(text.split()[0]) for text in texts))
    assert [text for number in numbers for text in units[number]] == texts, "torn, or doubled"
    assert numbers == sorted(numbers), "out of order"
    return numbers


def hold(after: SimPlatform, diary: Hardy, due: set[int], *, thorough: bool) -> None:
    """What was told is there after a restart, what was undone is not, and the store goes on.

    Thorough: nothing is damaged, and another power cut takes none of it away.
    """
    with Store.open("store", diary.config, platform=after) as store:
        found = seen(store)
        there = set(units_of(whole(found, diary), diary.units))
        assert due <= there, f"gone: {sorted(due - there)}"
        assert not there & diary.undone, f"undone, and there: {sorted(there & diary.undone)}"
        later = store.append(Coordinate("writer:0", "acme"), Said(text=LATER))
        store.sync()
        assert store.get(later.event_id).payload == Said(text=LATER), "it does not go on"
        if not thorough:
            return
        cut_off = after.crash(CrashModel.SYNCED)
        assert store.verify().ok
    with Store.open_read_only("store", diary.config, platform=cut_off) as reader:
        assert seen(reader).texts == [*found.texts, LATER], "lost by a power cut after a recovery"


def sweep(
    program: str, fault: str, sticky: bool, durability: Durability, tally: Tally, size: Size
) -> None:
    """Whatever call is refused, it is typed, and nothing that was told is gone."""
    step = STEP[program] if size is Size.DEFAULT else 1
    for n in count(1 + len(program + fault) % step, step):
        sim = SimPlatform(seed=SEED, mapped=bool(n // 2 % 2))  # writes and syncs come in turns
        diary = Hardy(sim, config_of(durability))
        sim.fail_at(n, FAULTS[fault], sticky=sticky)
        with tally.case(f"call {n}"):
            with suppress(BatpakError):  # the open itself may be refused
                PROGRAMS[program](diary)
            diary.require_stopped()
        if not sim.fired:
            return
        tally.count("faults")
        thorough = size is Size.LONG or n // step % THOROUGH == 0
        with tally.case(f"call {n}, started again"):
            hold(sim.crash(CrashModel.KILL), diary, diary.stored, thorough=thorough)
        with tally.case(f"call {n}, and a power cut"):
            hold(sim.crash(CrashModel.SYNCED), diary, diary.safe, thorough=thorough)


def sweep_all(program: str, durability: Durability, tally: Tally, size: Size) -> None:
    """Every kind of fault."""
    for fault in FAULTS:
        for sticky in (False, True):
            if (fault, sticky) not in TOO_SLOW:
                with tally.inside(f"{fault} {'for ever' if sticky else 'once'}"):
                    sweep(program, fault, sticky, durability, tally, size)


JOBS: Final = [
    Job("sweep", f"{program} {durability.name}", partial(sweep_all, program, durability))
    for program in STEP
    for durability in (Durability.COMMIT, Durability.OS)
]
