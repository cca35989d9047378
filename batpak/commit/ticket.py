"""Tickets: the answer to a submission, when it comes."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeAlias, TypeVar

from msgspec import Struct

from batpak.append import AppendReceipt
from batpak.arguments import require_callable
from batpak.commit.unit import Unit
from batpak.errors import WaitTimeout
from batpak.faults import WriteState
from batpak.override import override
from batpak.platform import Platform

R = TypeVar("R")

Receipts: TypeAlias = Callable[[Unit], tuple[AppendReceipt, ...]]
"""What gives the receipts of a unit that was stored, signed if that is to be."""

PATIENCE_S: Final = 1.0

log: Final = logging.getLogger("batpak.lane")


class Ticket(ABC, Generic[R]):
    """One submission. Any thread may ask it, any number of times; also inside a done-callback.

    Dropping it is fire and forget; a failure that nobody asked for is logged as an error.
    """

    _asked = True  # whether somebody knows what came of it; there is nothing to know yet

    def __init__(
        self,
        unit: Unit,
        platform: Platform,
        hurry: Callable[[float | None], None],
        receipts: Receipts,
        facts: Mapping[str, object],
    ) -> None:
        self._unit, self._platform, self._hurry, self._receipts = unit, platform, hurry, receipts
        self._facts = facts  # which log it is
        self._calls = unit.callbacks = deque()
        self._asked = False

    def done(self) -> bool:
        """Whether it has been decided."""
        return self._unit.done

    def result(self, timeout_s: float | None = None) -> R:
        """Wait until it is decided. On return the events are stored, to the level of the receipts.

        Args:
            timeout_s: How long at most; None: until it is decided.

        Raises:
            WaitTimeout: It is still in line, and stays there.
            BatpakError: It was refused; as `Store.append` would have raised it.
            SigningError: It is stored, and the receipt could not be signed.
            ForkedStoreError: A forked child asks, and it stood in line when that was forked.
        """
        self._wait(timeout_s)
        self._asked = True
        if self._unit.error is not None:
            raise self._unit.error
        return self._result()

    def exception(self, timeout_s: float | None = None) -> BaseException | None:
        """Wait until it is decided; why it was refused, or None.

        Raises:
            WaitTimeout: It is still in line, and stays there.
            ForkedStoreError: A forked child asks, and it stood in line when that was forked.
        """
        self._wait(timeout_s)
        self._asked = True
        return self._unit.error

    def hasten(self) -> None:
        """Help it along, as somebody does who is going to wait for it.

        Raises:
            InvalidArgument: It is of a fence that is open, and is decided when that is committed.
            ForkedStoreError: A forked child asks, and it stood in line when that was forked.
        """
        if self._unit.answer is None:
            self._hurry(None)

    def add_done_callback(self, call: Callable[[], None]) -> None:
        """Have a function called once when it is decided, at once if it is already.

        It is called by whichever thread committed the unit, after the lane is released; or by a
        thread of the store, if that one is compacting, verifying or copying. What it raises is
        logged.
        """
        require_callable("call", call)
        unit = self._unit
        self._calls.append(call)
        if unit.done:
            unit.call()

    def _wait(self, timeout_s: float | None) -> None:
        unit, now = self._unit, self._platform.monotonic_ns
        began = now()
        if unit.answer is None:
            self._hurry(timeout_s)
        while not unit.done:
            waited = (now() - began) / 1e9
            if timeout_s is not None and waited >= timeout_s:
                raise WaitTimeout("a submission", timeout_s, WriteState.UNDECIDED)
            if unit.bell is None:
                unit.bell = self._platform.raw_lock()
                unit.bell.acquire()
                continue
            rest = PATIENCE_S if timeout_s is None else min(PATIENCE_S, timeout_s - waited)
            unit.bell.acquire(timeout=rest)
        unit.ring()  # there may be others

    @abstractmethod
    def _result(self) -> R: ...

    def __del__(self) -> None:
        if self._asked:
            return
        unit, facts = self._unit, self._facts
        if unit.done:
            _complain(unit, facts)
        else:
            self.add_done_callback(lambda: _complain(unit, facts))


class AppendTicket(Ticket[AppendReceipt]):
    """The answer to `Store.submit`."""

    @override
    def _result(self) -> AppendReceipt:
        return self._receipts(self._unit)[0]


class BatchTicket(Ticket[tuple[AppendReceipt, ...]]):
    """The answer to `Store.submit_batch`."""

    @override
    def _result(self) -> tuple[AppendReceipt, ...]:
        return self._receipts(self._unit)


def _complain(unit: Unit, facts: Mapping[str, object]) -> None:
    if unit.error is not None:
        said = {**facts, "events": len(unit.requests)}
        log.error("a submission failed and nobody asked: %s", unit.error, extra=said)


class _Remembered(Struct, frozen=True):
    """What was stored before an exception; unlike a function it can be pickled with that."""

    receipts: tuple[AppendReceipt, ...]

    def __call__(self) -> tuple[AppendReceipt, ...]:
        return self.receipts


def remember(error: BaseException, receipts: tuple[AppendReceipt, ...]) -> None:
    """Have an exception know what was stored before it, for `interrupted_receipt`."""
    error.__dict__["batpak_outcome"] = _Remembered(receipts)


def interrupted_receipt(error: BaseException) -> AppendReceipt | None:
    """What came of the append that an exception from outside (Ctrl-C) has interrupted.

    Likewise of one that was stored and then waited (`wait_for=`), whatever has ended the wait.
    None: nothing was stored, or the exception did not interrupt an append. For a batch it is the
    receipt of the first item.
    """
    outcome: Callable[[], tuple[AppendReceipt, ...]] | None
    outcome = getattr(error, "batpak_outcome", None)
    receipts = () if outcome is None else outcome()
    return receipts[0] if receipts else None
