"""Stack: the calls that a thread is in. It cannot be left wrong by an interrupt, as a flag can."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType


def callers() -> Iterator[FrameType]:
    """Who asks, who called that, and so on."""
    return _outwards(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]  the only way to ask


def calls_of(thread: int) -> Iterator[FrameType]:
    """What another thread is in, innermost first. None, if it has ended."""
    return _outwards(sys._current_frames().get(thread))  # pyright: ignore[reportPrivateUsage]  likewise


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
