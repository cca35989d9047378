"""Latency of single calls: throughput alone hides stalls."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of samples in ascending order, the one below which that share of them lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def describe(seconds: Sequence[float]) -> str:
    """The line's remark: median, tail and worst of the calls, in microseconds."""
    ordered = sorted(seconds)
    p50, p99, p999 = (percentile(ordered, share) * 1e6 for share in (0.5, 0.99, 0.999))
    return (
        f"one call, last round: p50 {p50:,.0f} µs, p99 {p99:,.0f}, p99.9 {p999:,.0f},"
        f" max {ordered[-1] * 1e6:,.0f}"
    )
