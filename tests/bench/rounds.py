"""Interleaved rounds: every contender once a round, in fresh folders, garbage collected before."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.line import Line
from tests.bench.work import Work

Contender = tuple[str, Callable[[], float]]


@dataclass(frozen=True)
class Plan:
    """How much of everything, and where."""

    work: Work
    rounds: int
    home: Path  # fresh folders are made in it
    sizes: tuple[int, ...]  # of the stores that are opened, ascending
    synced: bool = True  # whether a sync means anything in `home`

    @property
    def durable(self) -> Work:
        """So much less of it as a sync takes longer."""
        return self.work.first(max(100, len(self.work) // 20))

    @contextmanager
    def folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="batpak-bench-", dir=self.home) as name:
            yield Path(name)

    def fresh(self, run: Callable[[Path], float]) -> Callable[[], float]:
        """The same run, in a new folder each time."""

        def in_folder() -> float:
            with self.folder() as folder:
                return run(folder)

        return in_folder


def measure(line: Line, rounds: int, contenders: Sequence[Contender]) -> Line:
    """Run all contenders in turn, every other round backwards; the first round warms up."""
    for number in range(rounds + 1):
        for name, run in contenders if number % 2 else reversed(contenders):
            gc.collect()
            sample = run()
            if number:
                line.took(name, sample)
    return line
