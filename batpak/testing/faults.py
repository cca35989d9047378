"""Faults on demand: the n-th call of the disk's seam is refused, or done in part.

    28 (an errno)                    refused; nothing was done
    Short(Part.HALF)                 a write or read that takes less than it was given
    Partial(Part.ONE, errno.EIO)     a write that takes some bytes and is refused then

A sync that is refused loses what it should have made durable, though it can still be read until the
machine stops. A close that is refused has closed all the same.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

from batpak.arguments import is_count
from batpak.errors import InvalidArgument

Kind: TypeAlias = Literal[
    "open_dir", "entries", "create", "append", "open", "replace", "unlink", "rmdir", "subdir",
    "way_up", "intact", "syncdir", "lock", "reserve", "write", "sync", "truncate", "size", "pread",
    "map", "close",
]  # fmt: skip
"""A call of the seam: the name of its method. `syncdir` is the sync of a directory."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
TRANSFERS: Final[tuple[Kind, ...]] = ("write", "pread")


class Part(Enum):
    """How much of a transfer is done; always at least a byte."""

    ONE = "one byte"
    HALF = "half"
    ALL_BUT_ONE = "all but one byte"

    def of(self, size: int) -> int:
        """That part of so many bytes."""
        if self is Part.ONE:
            return min(size, 1)
        return min(size, max(1, size // 2 if self is Part.HALF else size - 1))


class Short(Struct, frozen=True):
    """A transfer that stops early, without an error."""

    part: Part


class Partial(Struct, frozen=True):
    """A write that stops early, with an error."""

    part: Part
    error: int  # an errno


Fault: TypeAlias = int | Short | Partial
"""What happens instead of the call; a number is an errno."""


class _Armed(Struct):
    fault: Fault
    kinds: tuple[Kind, ...]  # none: any
    left: int  # calls until it happens; below 1: it has happened
    sticky: bool


class Faults:
    """What is going to fail, and how often something did."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self.fired = 0
        """How many calls have met a fault."""

    def fail_at(
        self, n: int, fault: Fault, *, sticky: bool = False, kind: Kind | tuple[Kind, ...] = ()
    ) -> None:
        """Let the n-th call from now fail; sticky: that one and all after it.

        Faults add up until they are cleared; if several meet one call, the oldest is what happens.

        Args:
            n: 1 is the next one.
            fault: What happens to it.
            sticky: Whether it goes on.
            kind: Which calls count. By default all, or those that can be done in part.

        Raises:
            InvalidArgument: There is no such call, or no such fault.
        """
        if not is_count(n) or n < 1:
            raise InvalidArgument("n", f"{n!r} is no number from 1 on; 1 is the next call")
        kinds = _kinds_of(kind)
        possible = _possible(fault)
        if possible and not set(kinds) <= set(possible):
            raise InvalidArgument("kind", f"only {', '.join(possible)} can be done in part")
        self._armed.append(_Armed(fault, kinds or possible, n, sticky))

    def clear(self) -> None:
        """Let everything succeed from now on."""
        self._armed.clear()

    def meet(self, kind: Kind) -> Fault | None:
        """Count a call, and say what happens to it."""
        met: Fault | None = None
        for armed in self._armed:
            if armed.kinds and kind not in armed.kinds:
                continue
            armed.left -= 1
            if armed.left == 0 or (armed.sticky and armed.left < 0):
                met = armed.fault if met is None else met
        if met is not None:
            self.fired += 1
        return met


def _kinds_of(kind: Kind | tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Kinds of calls. One that there is not would never be met, and a test would pass by that."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    for one in kinds:
        if one not in KINDS:
            raise InvalidArgument("kind", f"{one!r} is none of {', '.join(KINDS)}")
    return kinds


def _possible(fault: object) -> tuple[Kind, ...]:
    """The calls that a fault can happen to; none: any."""
    if _is_errno(fault):
        return ()
    if isinstance(fault, Short) and _is_part(fault.part):
        return TRANSFERS
    if isinstance(fault, Partial) and _is_part(fault.part) and _is_errno(fault.error):
        return ("write",)
    raise InvalidArgument("fault", f"{fault!r} is no errno, no Short and no Partial of a Part")


def _is_errno(value: object) -> bool:
    return is_count(value) and value > 0


def _is_part(value: object) -> bool:
    return isinstance(value, Part)
