"""SimPlatform: a whole machine in memory, and the power switch.

    sim = SimPlatform(seed=7)
    with Store.open("store", platform=sim) as store:
        store.append(coordinate, payload)
        told = len(sim.operations)
    for after in sim.crashes():
        with Store.open("store", platform=after) as store:
            ...                     # after.origin says which crash it was

Everything that a store takes from the world comes from here, and is the same in every run: the
disk, the clocks, what is random, and whose turn it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from random import Random
from typing import Final, Never

from msgspec import field
from msgspec.structs import force_setattr

from batpak.arguments import limit_of
from batpak.digest import blake3_of
from batpak.errors import InvalidArgument
from batpak.platform import OpenDirectory, OpenParent, Platform, RawLock, Thread
from batpak.testing.clock import SimClock
from batpak.testing.crash import Crash, CrashModel, Points, survivors
from batpak.testing.disk import Call, SimDisk
from batpak.testing.faults import Fault, Faults, Kind
from batpak.testing.handles import open_dir, open_parent
from batpak.testing.history import History
from batpak.testing.image import BLANK, ROOT, Image, Operation
from batpak.testing.threads import Turns

DOWN_NS: Final = 1_000_000_000  # from a crash to the next start
FIRST_PID: Final = 1_000
ALL: Final = tuple(CrashModel)


def _ours(*_given: object, **_named: object) -> Never:
    """Stands for a part of the machine until there is one."""
    raise RuntimeError("this machine was not started")


_NO_DISK: Final = SimDisk(BLANK, Faults(), mapped=False)  # likewise
_NO_TURNS: Final = Turns(SimClock())


class SimPlatform(Platform, frozen=True, eq=False, kw_only=True):
    """One simulated machine. A crash gives another one, with what the disk still has.

    Any verb of `Platform` may be given by hand; what is not is simulated.

    Args:
        seed: Of what is random. Equal seeds and equal programs have equal traces.
        mapped: Whether files are written through a map of reserved room, as on ext4 and xfs, or by
            position, as elsewhere.
    """

    seed: int = 0
    mapped: bool = False
    clock: SimClock = field(default_factory=SimClock)
    faults: Faults = field(default_factory=Faults)
    origin: Crash | None = None
    """The crash that this machine comes after."""
    boots: int = 0
    """How many crashes it comes after."""
    image: Image = BLANK
    """What was on the disk when the machine was started."""
    disk: SimDisk = _NO_DISK
    """Set its `before`, `after` and `write_max` to take part in every call of the seam."""
    turns: Turns = _NO_TURNS
    points: dict[int, Points] = field(default_factory=dict[int, Points])
    """Of the crashes that were asked for so far, by seed."""

    open_dir: OpenDirectory = _ours
    open_parent: OpenParent = _ours
    wall_ns: Callable[[], int] = _ours
    monotonic_ns: Callable[[], int] = _ours
    entropy: Callable[[int], bytes] = _ours
    raw_lock: Callable[[], RawLock] = _ours
    thread: Callable[[Callable[[], None], str], Thread] = _ours
    thread_id: Callable[[], int] = _ours
    pid: Callable[[], int] = _ours

    def __post_init__(self) -> None:
        if self.disk is _NO_DISK:
            force_setattr(self, "disk", SimDisk(self.image, self.faults, mapped=self.mapped))
        if self.turns is _NO_TURNS:
            force_setattr(self, "turns", Turns(self.clock))
        turns, pid = self.turns, FIRST_PID + self.boots
        for name, verb in (
            ("open_dir", partial(open_dir, self.disk)),
            ("open_parent", partial(open_parent, self.disk)),
            ("wall_ns", self.clock.wall_ns),
            ("monotonic_ns", self.clock.monotonic_ns),
            ("entropy", _Entropy(self.seed, self.boots).draw),
            ("raw_lock", turns.raw_lock),
            ("thread", turns.thread),
            ("thread_id", turns.thread_id),
            ("pid", lambda: pid),
        ):
            if getattr(self, name) is _ours:
                force_setattr(self, name, verb)

    # ------------------------------------------------------------------------------ what happened

    @property
    def operations(self) -> Sequence[Operation]:
        """Every change of the disk so far. Its length is a moment that `crash` can go back to."""
        return self.disk.operations

    @property
    def trace(self) -> Sequence[Call]:
        """Every call of the disk's seam so far; `str` of one is for people."""
        return self.disk.trace

    @property
    def calls(self) -> int:
        """How many there were."""
        return self.disk.calls

    def trace_digest(self) -> str:
        """A hash of the trace and of every byte that was written."""
        return self.disk.trace_digest()

    def pause(self) -> AbstractContextManager[None]:
        """Inside the block nothing is refused, counted or traced; what it changes is changed."""
        return self.disk.paused()

    def files(self) -> dict[str, bytes]:
        """Every file as a reader sees it now, by its path from the directory that was opened.

        That one goes by its last name, `shop.store/HEAD`; where two have the same, by their paths.
        """
        found: dict[str, bytes] = {}
        opened = self.disk.names(ROOT)
        count = Counter(path.rpartition("/")[2] for path in opened)
        pending = [
            (path if count[name] > 1 else name, inode)
            for path, inode in opened.items()
            for name in [path.rpartition("/")[2]]
        ]
        for path, inode in pending:
            if self.disk.is_dir(inode):
                pending += [(f"{path}/{name}", n) for name, n in self.disk.names(inode).items()]
            else:
                file = self.disk.file(inode)
                found[path] = file.read(0, file.size)
        return found

    # ------------------------------------------------------------------------- what is to happen

    def fail_at(
        self, n: int, fault: Fault, *, sticky: bool = False, kind: Kind | tuple[Kind, ...] = ()
    ) -> None:
        """Let the n-th call of the disk's seam from now on fail; sticky: and all after it.

        Args:
            n: 1 is the next one.
            fault: An errno, or how much of it is done; see `faults`.
            sticky: Whether it goes on.
            kind: Which calls count. By default all, or those that can be done in part.

        Raises:
            InvalidArgument: There is no such call, or no such fault.
        """
        self.faults.fail_at(n, fault, sticky=sticky, kind=kind)

    @property
    def fired(self) -> bool:
        """Whether any call has failed on demand."""
        return self.faults.fired > 0

    def run_background(self) -> None:
        """Give every thread its turn, until none of them has anything to do."""
        self.turns.run()

    # -------------------------------------------------------------------------- the power switch

    def crash(
        self,
        model: CrashModel = CrashModel.SYNCED,
        at: int | None = None,
        choice: int | None = None,
        seed: int = 0,
    ) -> SimPlatform:
        """The machine after a crash, started again: what is left of the disk, and no locks.

        This machine is not changed: it can crash at other moments, and go on.

        Args:
            model: What is left.
            at: After so many operations. None: now.
            choice: Which of the images that the model leaves there. None: any one.
            seed: Of what is chosen.

        Raises:
            IndexError: There are fewer operations, or choices.
            InvalidArgument: That is no `CrashModel`.
        """
        _require_model(model)
        operations = self.disk.operations
        at = len(operations) if at is None else at
        if not 0 <= at <= len(operations):
            raise IndexError(f"there were {len(operations)} operations")
        points = self.points.get(seed)
        if points is None:
            points = self.points[seed] = Points(History(self.image, operations), seed)
        point = points.of(model, at)
        if choice is None:
            choice = Random(f"{seed}:{at}:{model.name}").randrange(point.choice_count)  # noqa: S311  can be repeated
        elif not 0 <= choice < point.choice_count:
            raise IndexError(f"there are {point.choice_count} choices")
        _, made = point.make(choice)
        return self._after(Crash(model, at, choice, seed), made())

    def crashes(
        self,
        models: Iterable[CrashModel] = ALL,
        *,
        limit: int | None = None,
        seed: int = 0,
    ) -> Iterator[SimPlatform]:
        """Every machine that some crash so far could have left, each distinct disk once.

        They come from the last moment to the first, so each has to hold what was acknowledged by
        `origin.at`, the latest moment at which a crash leaves just that.

        Args:
            models: Which crashes.
            limit: How many at most, spread over all moments. None: all of them, which for more
                than 8 pending operations still means samples.
            seed: Of what is chosen.

        Raises:
            InvalidArgument: One is no `CrashModel`, or there are none; a limit below 1 would try
                none either.
        """
        chosen = _models_of(models)
        if limit_of("limit", limit) == 0:
            raise InvalidArgument("limit", "0 crashes prove nothing")
        found = survivors(self.image, self.disk.operations, chosen, limit=limit, seed=seed)
        return (self._after(crash, image) for crash, image in found)

    def _after(self, crash: Crash, image: Image) -> SimPlatform:
        return SimPlatform(
            seed=self.seed,
            mapped=self.mapped,
            clock=self.clock.rebooted(DOWN_NS),
            origin=crash,
            boots=self.boots + 1,
            image=image,
        )


def _require_model(model: object) -> None:
    """A model that there is not would be tried as another one."""
    if not isinstance(model, CrashModel):
        raise InvalidArgument("model", f"{model!r} is no CrashModel")


def _models_of(models: Iterable[CrashModel]) -> list[CrashModel]:
    """Models, at least one."""
    try:
        chosen = list(models)
    except TypeError:
        raise InvalidArgument("models", f"must be several CrashModels, not {models!r}") from None
    for model in chosen:
        _require_model(model)
    if not chosen:
        raise InvalidArgument("models", "no crashes prove nothing")
    return chosen


class _Entropy:
    """Bytes that nobody can foresee who does not know the seed."""

    def __init__(self, seed: int, boots: int) -> None:
        self._key = f"{seed}:{boots}:"
        self._drawn = 0

    def draw(self, count: int) -> bytes:
        """So many of them, never the same again."""
        self._drawn += 1
        return blake3_of(f"{self._key}{self._drawn}".encode()).digest(count)
