"""A unit: what is committed at once, and its answer.

The answer is the truth and is set once, `done` last; the bell only wakes whoever waits for it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Struct

from batpak.append import AppendReceipt
from batpak.commit.request import Request
from batpak.platform import RawLock

Call: TypeAlias = Callable[[], None]

log: Final = logging.getLogger("batpak.lane")


class Unit(Struct, eq=False):
    """One event, a batch, or an act that needs the lane for itself.

    Whoever commits it fills in `receipts` or `error`, then `done`.
    """

    requests: tuple[Request, ...]
    thread: int  # of the caller
    conditional: bool = False  # whether an item has a key, an expectation or a parent
    batch: bool = False  # whether refusals name an item
    batch_key: bool = False  # whether the keys of the items come from one key of the batch
    act: Call | None = None  # called on the lane, alone; may be called again if it is cut short
    size: int = 0  # bytes of its payloads
    withdrawn: bool = False  # its caller was interrupted: leave it out, if that is still possible
    receipts: tuple[AppendReceipt, ...] = ()
    error: BaseException | None = None
    done: bool = False
    bell: RawLock | None = None  # made by who waits, held by nobody in particular
    callbacks: deque[Call] | None = None  # called once each, when it is done

    def answer(self, given: tuple[AppendReceipt, ...] | BaseException) -> None:
        """Say what came of it. Saying the same again is harmless."""
        if isinstance(given, BaseException):
            self.error = given
        else:
            self.receipts = given
        self.done = True

    def ring(self) -> None:
        """Wake whoever waits for it."""
        bell = self.bell
        if bell is not None and bell.locked():
            try:
                bell.release()
            except RuntimeError:  # somebody else has rung it in between
                return

    def call(self) -> None:
        """Call who asked to be called. What they raise is theirs, and logged."""
        while self.callbacks:
            try:
                call = self.callbacks.popleft()
            except IndexError:  # another thread has taken the last one
                return
            try:
                call()
            except Exception:
                log.exception("a done-callback failed")
