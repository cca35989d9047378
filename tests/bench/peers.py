"""Peers that may be missing: a bench without them says so and goes on."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

EXTRA: Final = "pip install -e '.[bench]'"


def has(package: str) -> bool:
    """Whether a peer can be imported."""
    return find_spec(package) is not None


def missing() -> list[str]:
    """What there is to say about the peers that are not here."""
    return [
        f"{package} is not installed and was left out; {EXTRA} brings it"
        for package in ("lmdb", "eventsourcing")
        if not has(package)
    ]
