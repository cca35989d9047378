"""Given a history, when a move, then what is stored or denied: the rules of a machine as tests.

    paid = orders.given(ORDER, placed).when(PlacedOrder, pay_in_full, None).stores(OrderPaid(...))
    orders.given(ORDER, placed).when(PlacedOrder, cancel_late, Desk(...)).denied("TOO_LATE")

Nothing is simulated but the disk: the real machine asks its real gates and writes to a ledger in
memory. A breach is an AssertionError that says what happened instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, overload

from batpak.errors import InvalidArgument
from batpak.guard.gates import GateSet
from batpak.guard.receipt import Receipt
from batpak.guard.verdict import GATE_DEFECT, Denial
from batpak.payload import EventPayload
from batpak.testing.walk import AnyGuarded, KeyedMachine, Move
from batpak.typestate import Guarded, Handle, StateData, Transition
from batpak.wire import TYPED

S = TypeVar("S", bound=Handle[StateData])
H = TypeVar("H", bound=Handle[StateData])
T = TypeVar("T", bound=Handle[StateData])
P = TypeVar("P", bound=EventPayload)
C = TypeVar("C")


class Given(Generic[S]):
    """A history, folded into the state it leads to. A scenario gives one."""

    def __init__(self, machine: KeyedMachine[Any, Any, S], state: S) -> None:
        self._machine: Final = machine
        self._state: Final = state

    @property
    def state(self) -> S:
        """Where the history leads."""
        return self._state

    @overload
    def when(
        self, state: type[H], act: Callable[[H], Transition[Handle[StateData], T, P]], /
    ) -> Then[T, P]: ...

    @overload
    def when(
        self,
        state: type[H],
        act: Callable[[H], Guarded[Handle[StateData], T, P, GateSet[C, Any, P]]],
        ctx: C,
        /,
    ) -> Then[T, P]: ...

    def when(self, state: type[H], act: Callable[[H], Any], /, *ctx: Any) -> Then[Any, Any]:
        """Make a move. Nothing is stored yet.

        Args:
            state: The handle that the history has to lead to.
            act: Makes the move from it.
            ctx: What the gates of a guarded move look at; None, where that is nothing.

        Raises:
            AssertionError: The history leads to another state.
            InvalidArgument: A guarded move without a context, or a plain one with one.
        """
        here = self._state
        if not isinstance(here, state):
            raise AssertionError(
                f"the history leads to {type(here).__name__}, not to {state.__name__}"
            )
        move: Move[Any] = act(here)
        if isinstance(move, Guarded) and not ctx:
            raise InvalidArgument("ctx", f"{move!r} has gates: give what they look at, or None")
        if ctx and not isinstance(move, Guarded):
            raise InvalidArgument("ctx", f"{move!r} has no gates that could look at it")
        return Then(self._machine, move, *ctx)


class Then(Generic[T, P]):
    """A move that is about to be made."""

    def __init__(
        self, machine: KeyedMachine[Any, Any, Any], move: Move[T], ctx: object = None
    ) -> None:
        self._machine: Final = machine
        self._move: Final = move
        self._ctx: Final = ctx

    def stores(self, event: P) -> T:
        """Make the move, and return the state after it.

        Raises:
            AssertionError: It was denied, or what is stored is not exactly this event.
        """
        before = self._stored()
        move, machine = self._move, self._machine
        if isinstance(move, Guarded):
            verdict = self._verdict(move)
            if isinstance(verdict, Denial):
                raise AssertionError(f"{move!r} was denied: {_said(verdict)}") from verdict.defect
            after = machine.commit(verdict)
        else:
            after = machine.apply(move)
        stored = self._stored()[len(before) :]
        if stored != [event]:
            raise AssertionError(_difference(stored, event))
        return after

    def denied(self, code: str) -> Denial:
        """Make the move, which its gates do not permit, and return what they say.

        Raises:
            AssertionError: It was permitted, or denied with another code, or something is stored.
        """
        before, move = self._stored(), self._move
        if not isinstance(move, Guarded):
            raise AssertionError(f"{move!r} has no gates: nothing denies it")
        verdict = self._verdict(move)
        if not isinstance(verdict, Denial):
            raise AssertionError(f"{move!r} was permitted by {', '.join(verdict.gates)}")
        if verdict.code != code:
            raise AssertionError(f"{move!r} was denied: {_said(verdict)}") from verdict.defect
        if self._stored() != before:
            raise AssertionError(f"{move!r} was denied, and something was stored")
        return verdict

    def _verdict(self, move: AnyGuarded[T]) -> Receipt[AnyGuarded[T]] | Denial:
        policy = self._machine.policy(move.policy)
        verdict: Receipt[AnyGuarded[T]] | Denial = policy.evaluate(self._ctx, move)
        return verdict

    def _stored(self) -> list[EventPayload]:
        entity = self._move.source.coordinate.entity
        return [event.payload for event in self._machine.ledger.stream(entity, form=TYPED)]


def _said(denial: Denial) -> str:
    why = repr(denial.defect) if denial.code == GATE_DEFECT else denial.message
    return f"{denial.code} by {denial.gate}: {why}"


def _difference(stored: list[EventPayload], event: EventPayload) -> str:
    """What is stored, held against what was to be stored, field by field where that helps."""
    if len(stored) != 1 or type(stored[0]) is not type(event):
        return f"{stored} was stored, not {event!r}"
    got = stored[0]
    lines = [
        f"  {name}: {getattr(got, name)!r}, not {getattr(event, name)!r}"
        for name in event.__struct_fields__
        if getattr(got, name) != getattr(event, name)
    ]
    return "\n".join([f"another {type(event).__name__} was stored:", *lines])
