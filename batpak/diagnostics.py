"""Diagnostics: everything that helps to see how a handle is doing, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from batpak.config import Durability, Limits, OpenVerify, Signing, SyncMode
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


class SubscriptionHealth(Struct, frozen=True, kw_only=True):
    """How one lossy subscription is doing."""

    pending: int  # how many it would give at once
    lost: int  # how many it has dropped
    is_over: bool


class Diagnostics(Struct, frozen=True, kw_only=True):
    """One picture of one handle. It encodes to JSON as it is: of the config, no key and no code."""

    stats: Stats
    frontier: Frontier
    health: HealthState
    cause: str | None  # why it stopped writing; of an observer, why its last look was refused
    open_report: OpenReport
    open_files: int  # of the log, for reading; `limits.fd_budget` at most
    cache_hits: int  # how often a projection went on from a kept state
    cache_misses: int  # how often there was a cache, and nothing of use in it
    subscriptions: tuple[SubscriptionHealth, ...]  # those that somebody still has
    open_verify: OpenVerify  # from here on what the config says
    signing: Signing
    limits: Limits


class WriterDiagnostics(Diagnostics, frozen=True, kw_only=True):
    """The same of a handle that writes, and how its writing goes."""

    durability: Durability
    sync_mode: SyncMode
    sync_every_n_events: int
    sync_every_ms: int
    lifecycle_events: bool
    pressure: WriterPressure  # how much stands in line
    groups: int  # committed so far
    units: int  # in them
    syncs: int  # counted over the newest ones, as are the next two
    sync_p50_us: int
    sync_p99_us: int
    clock_clamps: int  # readings of the wall clock that were behind the log, or out of its years
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
