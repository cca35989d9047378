"""A unit: what is committed at once, and its answer.

The answer is the truth and is set once; the bell only wakes whoever waits for it.
"""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from batpak.append import AppendReceipt
from batpak.commit.limit import Limit
from batpak.commit.request import Request
from batpak.errors import BatpakError
from batpak.platform import RawLock
from batpak.report import Watermark

Call: TypeAlias = Callable[[], object]
Answer: TypeAlias = tuple[AppendReceipt, ...] | BaseException
"""What came of a unit: the receipts of its events, or why there are none."""

log: Final = logging.getLogger("batpak.lane")


class Unit(Struct, eq=False):
    """One event, a batch, or an act that needs the lane for itself.

    Whoever commits it gives the answer.
    """

    requests: tuple[Request, ...]
    thread: int  # of the caller
    size: int = 0  # bytes of its payloads
    batch: bool = False  # whether refusals name an item
    key_behind: bytes | None = None  # of one more item, if theirs come from one key of the batch
    judged: bool = False  # held against the log already, and nobody has written since
    durable: bool = False  # whether it is synced before it is visible, whatever the level
    limit: Limit | None = None  # of the time that it may stand in line
    act: Call | None = None  # called on the lane, alone; may be called again if it is cut short
    submitted: bool = False  # its caller does not stand in line with it
    withdrawn: bool = False  # its caller was interrupted: leave it out, if that is still possible
    answer: Answer | None = None
    bell: RawLock | None = None  # made by who waits, held by nobody in particular
    callbacks: deque[Call] | None = None  # called once each, when it is done

    @property
    def done(self) -> bool:
        """Whether it is decided."""
        return self.answer is not None

    @property
    def receipts(self) -> tuple[AppendReceipt, ...]:
        """Of its events, if it was stored."""
        return self.answer if isinstance(self.answer, tuple) else ()

    @property
    def error(self) -> BaseException | None:
        """Why it was refused, if it was."""
        return self.answer if isinstance(self.answer, BaseException) else None

    def ring(self) -> None:
        """Wake whoever waits for it."""
        bell = self.bell
        if bell is not None and bell.locked():
            try:
                bell.release()
            except RuntimeError:  # somebody else has rung it in between
                return

    def call(self) -> None:
        """Call who asked to be called. What they raise is theirs, and logged; but not a Ctrl-C."""
        while self.callbacks:
            try:
                call = self.callbacks.popleft()
            except IndexError:  # another thread has taken the last one
                return
            try:
                call()
            except KeyboardInterrupt:
                raise
            except BaseException:  # a SystemExit would end whoever has committed the unit
                log.exception("a callback failed")


class Storing(Protocol):
    """Stores a unit, and waits for it."""

    def __call__(
        self,
        unit: Unit,
        wait_for: Watermark | None,
        timeout_s: float | None,
        commit: Callable[[Unit], tuple[AppendReceipt, ...]] | None = None,
    ) -> tuple[AppendReceipt, ...]:
        """The receipts."""
        ...


def each(error: BaseException, units: Sequence[Unit]) -> list[BaseException]:
    """One failure for everybody, each with an exception of its own to raise."""
    if not isinstance(error, BatpakError):
        return [error] * len(units)
    return [error, *(copy.copy(error) for _ in units[1:])]
