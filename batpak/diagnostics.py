"""Diagnostics: everything that helps to see how a handle is doing, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from batpak.config import Durability, SyncMode
from batpak.report import Frontier, HealthState, OpenReport, Stats, WriterPressure


class WorkerState(StrEnum):
    """Whether a worker runs, and if not, how it ended."""

    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"


class WorkerHealth(Struct, frozen=True, kw_only=True):
    """How one worker is doing."""

    name: str
    state: WorkerState
    position: int  # the next sequence it will look at
    lag: int  # visible events that it has not looked at
    delivered: int
    restarts: int
    last_error: str | None


class Diagnostics(Struct, frozen=True, kw_only=True):
    """One picture of one handle. It encodes to JSON as it is."""

    stats: Stats
    frontier: Frontier
    health: HealthState
    cause: str | None  # why it stopped writing
    durability: Durability
    sync_mode: SyncMode
    open_report: OpenReport
    pressure: WriterPressure  # how much stands in line
    groups: int  # committed so far
    units: int  # in them
    syncs: int  # counted over the newest ones, as are the next two
    sync_p50_us: int
    sync_p99_us: int
    cache_hits: int  # how often a projection went on from a kept state
    cache_misses: int  # how often there was a cache, and nothing of use in it
    workers: tuple[WorkerHealth, ...]  # those that run

    @property
    def units_per_group(self) -> float:
        """How many calls shared one write and one sync, on average."""
        return self.units / self.groups if self.groups else 0.0


def percentile_us(nanoseconds: Sequence[int], share: float) -> int:
    """The duration that such a share stays below, in microseconds; 0 if there are none."""
    if not nanoseconds:
        return 0
    ordered = sorted(nanoseconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] // 1000
