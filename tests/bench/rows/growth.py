"""Growth: what an append and an open cost as a store gets bigger.

An exponent is the slope of log cost over log events: 0 is flat, 1 is as much more as there is
more. Stores whose opening is fitted have equally many segments, because an open may cost something
for each segment; how much is a line of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from batpak import Durability
from tests.bench import fresh
from tests.bench.contenders import batpak_store
from tests.bench.line import AtMost, Line, Unit
from tests.bench.rounds import Plan, measure
from tests.bench.rows.opening import some_id
from tests.bench.work import FRAME_BYTES

ROUNDS = 3
FEW = 2  # segments
MANY = 8
FLAT = 0.1  # the largest exponent that counts as flat
DECADES = (10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Made:
    """A closed store that is opened again and again."""

    folder: Path
    files: int
    find: UUID

    def opened_ms(self) -> float:
        return fresh.run("batpak-read", self.folder, find=self.find).opened_us / 1e3


def lines(plan: Plan) -> list[Line]:
    """Appends and opens over the decades, their exponents, and the price of a segment."""
    rounds = min(plan.rounds, ROUNDS)
    sizes = [size for size in DECADES if size <= max(plan.sizes)] or [max(plan.sizes)]
    appends = Line("growth", "append one, no sync, close left out", "")
    opens = Line(
        "growth",
        f"open to read, {FEW} segments each, fresh process, hot",
        "",
        Unit.MILLISECONDS,
        per_second=False,
    )
    measure(appends, rounds, [(_named(size), _appending(plan, size)) for size in sizes])
    with plan.folder() as home:
        made = {size: _make(plan, home / str(size), size, FEW) for size in sizes}
        measure(opens, rounds, [(_named(size), made[size].opened_ms) for size in sizes])
        smallest = min(size for size in sizes if size >= min(max(sizes), DECADES[1]))
        many = _make(plan, home / "many", smallest, MANY)
        price = _price(rounds, made[smallest], many)
    return [appends, opens, _exponents(sizes, {"append": appends, "open": opens}), price]


def _exponents(sizes: Sequence[int], lines: dict[str, Line]) -> Line:
    line = Line(
        "growth",
        "growth with the number of events, exponent",
        "",
        Unit.EXPONENT,
        per_second=False,
        aims=[AtMost(name, FLAT, f"≤ {FLAT:g}") for name in lines],
    )
    if len(sizes) > 1:
        for name, grown in lines.items():
            for values in zip(*grown.samples.values(), strict=True):
                line.took(name, exponent(sizes, values))
    return line


def _price(rounds: int, few: Made, many: Made) -> Line:
    """What one more segment costs an open, at the same number of events."""
    line = Line("growth", "open to read, for each further segment", "", per_second=False)
    files = many.files - few.files

    def once() -> float:
        return (many.opened_ms() - few.opened_ms()) * 1e3 / files

    return measure(line, rounds, [(f"{few.files} → {many.files} segments", once)])


def _named(size: int) -> str:
    return f"{size:,} events"


def _appending(plan: Plan, size: int) -> Callable[[], float]:
    def run(folder: Path) -> float:
        with batpak_store.create(folder, Durability.OS) as store:
            append = store.append
            began = time.perf_counter()
            for coordinate, payload in plan.work.placed_over(size):
                append(coordinate, payload)
            return (time.perf_counter() - began) / size * 1e6

    return plan.fresh(run)


def _make(plan: Plan, folder: Path, size: int, files: int) -> Made:
    """A store of so many segments, the last nearly full: a short one would be scanned."""
    folder.mkdir()
    segment_bytes = int(FRAME_BYTES * size / (files - 0.3))
    batpak_store.fill(plan.work, folder, size, segment_bytes=segment_bytes)
    return Made(folder, batpak_store.segments(folder), some_id(folder, size))


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The slope of a straight line through the logarithms, by least squares."""
    xs, ys = [math.log(size) for size in sizes], [math.log(value) for value in values]
    x0, y0 = sum(xs) / len(xs), sum(ys) / len(ys)
    over = sum((x - x0) * (y - y0) for x, y in zip(xs, ys, strict=True))
    return over / sum((x - x0) ** 2 for x in xs)
