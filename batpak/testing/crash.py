"""What survives a crash: the models, and every image that a disk may be found with afterwards.

    Point        what one model leaves after a crash at one operation: so many choices
    survivors    the distinct images of many points

A crash "at" k comes after k operations; the next one may be in flight. By then the program was told
what it was told while the disk had at most k operations. Points are visited from the last to the
first, so an image that several of them leave is met where most had been acknowledged.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from itertools import accumulate
from math import prod
from random import Random
from typing import Final, NamedTuple

from batpak.testing.history import History, Kept
from batpak.testing.image import (
    EMPTY,
    Buffer,
    Content,
    Image,
    Names,
    Operation,
    Saved,
    content_after,
    names_after,
)

PENDING_MAX: Final = 8  # operations of which all subsets are tried
SAMPLES: Final = 256  # otherwise
SECTORS: Final = (512, 4096)  # bytes that a device writes at once
NOISE: Final = b"\xa5"


class CrashModel(Enum):
    """What a crash may leave. After all but the first the machine was off: caches are gone."""

    KILL = "the process is gone, the system goes on: every write is there, synced or not"
    SYNCED = "what was synced, and nothing else"
    ORDERED = "what was synced, then what came first; the last write cut at any byte"
    SUBSET = "what was synced, and any other operations; holes read as zeros, 0xA5, old bytes"
    NAMES = "all that was written, and any of the names that were given or taken away since a sync"
    TORN = "what was synced, and any sectors (512) or pages (4,096) that were written since"


class Crash(NamedTuple):
    """Which crash it was: with the same program, `SimPlatform.crash(*crash)` is the same again."""

    model: CrashModel
    at: int  # operations
    choice: int  # of those that the model leaves there
    seed: int  # of what is chosen where not all is tried


# ---------------------------------------------------------------------- what one file may be then


class _Recipe(NamedTuple):
    """How one variant of a file is made."""

    subset: int  # as bits: of the operations, or of the sectors
    detail: int = 0  # which holes, or which sectors
    is_whole_size: bool = False  # whether the size is that of the whole, whatever there is in it


def _subsets(count: int, random: Random) -> Iterable[int]:
    """Subsets of so many things, as bits: all of them, or the likely ones and samples."""
    if count <= PENDING_MAX:
        return range(1 << count)
    everything = (1 << count) - 1
    last = range(max(0, count - 32), count)
    chosen = [everything, 0]
    chosen += [everything ^ (1 << one) for one in last]
    chosen += [(1 << one) - 1 for one in last]
    while len(chosen) < SAMPLES:
        chosen.append(random.getrandbits(count))
    return dict.fromkeys(chosen)


class _Variants:
    """What a file may be: all of it at once if that is little, else one by one as it is asked for.

    Args:
        recipes: How each of them is made; equal ones are left out where all are made at once.
        make: Makes one.
        lazy: Whether there are too many for that.
    """

    def __init__(
        self, recipes: list[_Recipe], make: Callable[[_Recipe], Content], *, lazy: bool
    ) -> None:
        self._recipes, self._make = recipes, make
        self._made: dict[int, Content] = {}
        if not lazy:
            contents = [make(recipe) for recipe in recipes]
            distinct = {content.digest: content for content in contents}
            self._made = dict(enumerate(distinct.values()))
        self.count = len(recipes) if lazy else len(self._made)

    def get(self, index: int) -> Content:
        """One of them."""
        content = self._made.get(index)
        if content is None:
            content = self._made[index] = self._make(self._recipes[index])
        return content


def _whole(saved: Saved[Content]) -> _Variants:
    """ORDERED: everything up to here."""
    return _Variants([_Recipe(0)], lambda _: content_after(saved.durable, saved.pending), lazy=True)


def _any_writes(saved: Saved[Content], random: Random) -> _Variants:
    """SUBSET: any of the operations, and what is seen where one is missing."""
    pending, durable = saved.pending, saved.durable
    whole = content_after(durable, pending)
    holes: tuple[Content | None, ...] = (EMPTY, None, saved.stale)
    lazy = len(pending) > PENDING_MAX

    def make(recipe: _Recipe) -> Content:
        kept = [operation for i, operation in enumerate(pending) if recipe.subset >> i & 1]
        lost = [o for i, o in enumerate(pending) if not recipe.subset >> i & 1]
        size = content_after(durable, kept).size
        if recipe.is_whole_size:
            size = max(size, whole.size)
        return _with_holes(durable, kept, lost, size, holes[recipe.detail])

    recipes: list[_Recipe] = []
    for subset in _subsets(len(pending), random):
        looks = range(2 * len(holes))
        chosen = (random.choice(looks),) if lazy else looks
        recipes += [_Recipe(subset, n // 2, n % 2 == 1) for n in chosen]
    return _Variants(recipes, make, lazy=lazy)


def _with_holes(
    durable: Content, kept: list[Operation], lost: list[Operation], size: int, fill: Content | None
) -> Content:
    """Some operations, and something else where the others would have been the first ones."""
    buffer = Buffer(durable)
    known = max([durable.size, *(o.size for o in kept if o.kind == "reserve")])
    for operation in lost:
        if operation.kind != "write":
            continue
        begin = max(operation.offset, known)
        end = min(operation.offset + len(operation.data), size)
        if begin < end:
            there = NOISE * (end - begin) if fill is None else fill.data[begin:end]
            buffer.write(begin, there.ljust(end - begin, b"\0"))
    for operation in kept:
        buffer.apply(operation)
    buffer.reserve(size)
    return buffer.content()


def _any_names(saved: Saved[Names], random: Random) -> list[Names]:
    pending = saved.pending
    found: dict[tuple[tuple[str, int], ...], Names] = {}
    for subset in _subsets(len(pending), random):
        kept = [operation for i, operation in enumerate(pending) if subset >> i & 1]
        names = names_after(saved.durable, kept)
        found.setdefault(tuple(sorted(names.items())), names)
    return list(found.values())


def _any_sectors(saved: Saved[Content], random: Random) -> _Variants:
    """TORN: the file as it was, with any of the sectors that were written since."""
    durable, pending = saved.durable, saved.pending
    whole = content_after(durable, pending)
    changed = [
        [
            n
            for n in _sectors(pending, sector)
            if _piece(whole, n, sector) not in (b"", _piece(durable, n, sector))
        ]
        for sector in SECTORS
    ]

    def make(recipe: _Recipe) -> Content:
        buffer, sector = Buffer(durable), SECTORS[recipe.detail]
        if whole.size < durable.size:
            buffer.truncate(whole.size)
        for i, number in enumerate(changed[recipe.detail]):
            if recipe.subset >> i & 1:
                buffer.write(number * sector, _piece(whole, number, sector))
        if recipe.is_whole_size:
            buffer.reserve(whole.size)
        return buffer.content()

    recipes = [
        _Recipe(subset, n // 2, n % 2 == 1)
        for n in range(2 * len(SECTORS))
        for subset in _subsets(len(changed[n // 2]), random)
    ]
    return _Variants(recipes, make, lazy=max(map(len, changed)) > PENDING_MAX)


def _sectors(pending: list[Operation], sector: int) -> list[int]:
    """The numbers of the sectors that were written to."""
    return sorted(
        {
            number
            for o in pending
            if o.kind == "write"
            for number in range(o.offset // sector, -(-(o.offset + len(o.data)) // sector))
        }
    )


def _piece(content: Content, number: int, sector: int) -> bytes:
    """The bytes of one sector, as far as the file goes."""
    begin = number * sector
    end = min(begin + sector, content.size)
    return content.data[begin:end].ljust(max(0, end - begin), b"\0")


# ------------------------------------------------------------------------------ points of a crash


class Point(NamedTuple):
    """What one model leaves after a crash at one operation."""

    choice_count: int
    pending: int  # operations that decide about it
    make: Callable[[int], tuple[bytes, Callable[[], Image]]]
    """A choice: a hash of the image, and how it is made."""

    def choices(self, wanted: int | None, random: Random) -> Iterable[int]:
        """All of them, or enough to find so many different images, or samples."""
        count, tries = self.choice_count, self.choice_count
        if self.pending > PENDING_MAX:
            tries = SAMPLES
        if wanted is not None:
            tries = min(tries, 2 * wanted + 8)
        if tries >= count:
            return range(count)
        return sorted({0, count - 1, *(random.randrange(count) for _ in range(tries - 2))})


def _only(made: Callable[[], tuple[bytes, Callable[[], Image]]]) -> Point:
    """A point without a choice."""

    def make(choice: int) -> tuple[bytes, Callable[[], Image]]:  # noqa: ARG001  there is one
        return made()

    return Point(1, 0, make)


class Points:
    """The points of one history.

    Args:
        history: Of the disk. It is moved.
        seed: Of what is chosen where not all is tried.
    """

    def __init__(self, history: History, seed: int) -> None:
        self._history, self._seed = history, seed
        self._contents: dict[tuple[int, CrashModel], tuple[Saved[Content], _Variants]] = {}

    def of(self, model: CrashModel, at: int) -> Point:
        """What a model leaves after so many operations."""
        history = self._history
        history.seek(at)
        if model is CrashModel.KILL:
            return _only(history.going_on)
        if model is CrashModel.SYNCED:
            return _only(lambda: history.rebooted(Kept({}, {})))
        if model is CrashModel.ORDERED:
            return self._ordered(at)
        return self._subsets(model)

    def _ordered(self, at: int) -> Point:
        """Everything up to an operation, and a piece of that one; since the last sync."""
        history, operations = self._history, self._history.operations
        begin = at
        while begin and not is_barrier(operations[begin - 1]):
            begin -= 1
        # Per operation: all before it and nothing of it, its first byte, … all but its last one.
        counts = [
            max(1, len(o.data)) if o.kind == "write" else 1 for o in operations[begin : at + 1]
        ]
        if len(counts) == at - begin:  # nothing is in flight
            counts.append(1)
        starts = [0, *accumulate(counts)]

        def make(choice: int) -> tuple[bytes, Callable[[], Image]]:
            index = bisect_right(starts, choice) - 1
            history.seek(begin + index)
            return history.rebooted(self._up_to(choice - starts[index]))

        return Point(starts[-1], 0, make)  # all of them, however many are pending

    def _up_to(self, taken: int) -> Kept:
        """All that is pending, and so many bytes of the write that comes next."""
        history = self._history
        files, directories = history.unsettled()
        model = CrashModel.ORDERED
        contents = {n: self._variants(n, saved, model).get(0) for n, saved in files.items()}
        if taken:
            cut = history.operations[history.at]
            buffer = Buffer(contents.get(cut.inode) or history.files[cut.inode].durable)
            buffer.write(cut.offset, cut.data[:taken])
            contents[cut.inode] = buffer.content()
        names = {n: names_after(saved.durable, saved.pending) for n, saved in directories.items()}
        return Kept(contents, names)

    def _subsets(self, model: CrashModel) -> Point:
        """Of every file and directory, independently, anything that the model leaves of it."""
        history = self._history
        files, directories = history.unsettled()
        written = CrashModel.ORDERED if model is CrashModel.NAMES else model  # the whole of it
        contents = [(n, self._variants(n, saved, written)) for n, saved in files.items()]
        if model is not CrashModel.TORN:
            named = [
                [{n: kept} for kept in _any_names(saved, self._random(n))]
                for n, saved in directories.items()
            ]
        else:  # the names are not what is torn: all of them, or none
            live = {n: names_after(s.durable, s.pending) for n, s in directories.items()}
            named = [[live, {}]] if live else []
        sizes = [variants.count for _, variants in contents] + [len(one) for one in named]

        def make(choice: int) -> tuple[bytes, Callable[[], Image]]:
            kept = Kept({}, {})
            for inode, variants in contents:
                choice, which = divmod(choice, variants.count)
                kept.contents[inode] = variants.get(which)
            for one in named:
                choice, which = divmod(choice, len(one))
                kept.names.update(one[which])
            return history.rebooted(kept)

        pending = sum(saved.end - saved.begin for saved in files.values())
        pending += sum(saved.end - saved.begin for saved in directories.values())
        return Point(prod(sizes), pending, make)

    def _variants(self, inode: int, saved: Saved[Content], model: CrashModel) -> _Variants:
        """What a file may be; kept until something is done to it."""
        known = self._contents.get((inode, model))
        if known is not None and known[0] is saved:
            return known[1]
        if model is CrashModel.ORDERED:
            found = _whole(saved)
        elif model is CrashModel.SUBSET:
            found = _any_writes(saved, self._random(inode))
        else:
            found = _any_sectors(saved, self._random(inode))
        self._contents[inode, model] = saved, found
        return found

    def _random(self, inode: int) -> Random:
        return Random(f"{self._seed}:{inode}")  # noqa: S311  chance that can be repeated


def is_barrier(operation: Operation) -> bool:
    """Whether everything before it is durable, on a disk that keeps the order."""
    return operation.kind in ("sync", "syncdir") and not operation.failed


def survivors(
    image: Image,
    operations: Sequence[Operation],
    models: Iterable[CrashModel],
    *,
    limit: int | None,
    seed: int,
) -> Iterator[tuple[Crash, Image]]:
    """Every image that is left by some crash, once; with a limit, samples of all points.

    Args:
        image: At the beginning.
        operations: Since then.
        models: Which crashes.
        limit: How many images at most.
        seed: Of what is chosen where not all is tried.
    """
    operations, models = list(operations), tuple(models)
    points = Points(History(image, operations), seed)
    random = Random(seed)  # noqa: S311  likewise
    seen: set[bytes] = set()
    rounding = random.random
    while True:  # once; with a limit, again as long as that gives anything
        before = len(seen)
        visits = (len(operations) + 1) * len(models)
        for at in range(len(operations), -1, -1):
            for model in models:
                wanted = None
                if limit is not None:
                    left = limit - len(seen)
                    share = left if model is CrashModel.NAMES else int(left / visits + rounding())
                    wanted = min(left, share)  # names are few, and each matters
                visits -= 1
                if wanted == 0 or (
                    # All of it is left by the next barrier too.
                    model is CrashModel.ORDERED and not _ends_here(operations, at)
                ):
                    continue
                stop = None if wanted is None else len(seen) + wanted
                point = points.of(model, at)
                for choice in point.choices(wanted, random):
                    key, made = point.make(choice)
                    if key not in seen:
                        seen.add(key)
                        yield Crash(model, at, choice, seed), made()
                        if len(seen) == stop:
                            break
        if limit is None or len(seen) in (limit, before):
            return
        rounding = _up


def _up() -> float:
    """What is left of a limit goes to whoever is asked first."""
    return 1.0


def _ends_here(operations: Sequence[Operation], at: int) -> bool:
    """Whether this is the last point before a barrier."""
    return at == len(operations) or is_barrier(operations[at])
