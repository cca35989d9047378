"""Moves that nobody applies: writes that were meant and never happen. mypy sees the plain ones.

@pytest.fixture(autouse=True)
def every_move_is_applied() -> Iterator[None]:
    with strict_moves():
        yield
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias
from unittest import mock

from batpak.guard.gates import GateSet
from batpak.guard.verdict import Denial
from batpak.machine import Machine
from batpak.typestate import Handle

Call: TypeAlias = Callable[..., Any]


@contextmanager
def strict_moves() -> Generator[None, None, None]:
    """Inside the block every move that is made has to be used; also as a decorator of a test.

    A plain move is used by applying it. One with gates is used when they deny it, or when its
    receipt is committed. Whether that succeeds does not matter.

    Raises:
        AssertionError: At the end of the block: a move was not used. It says where it was made.
    """
    made: dict[int, tuple[object, str]] = {}  # by id, which is its own as long as it is here

    def make(original: Call) -> Call:
        def watched(handle: object, *what: object) -> object:
            move = original(handle, *what)
            made[id(move)] = move, _where()
            return move

        return watched

    def evaluate(original: Call) -> Call:
        def watched(gates: object, ctx: object, move: object, /) -> object:
            verdict = original(gates, ctx, move)
            if isinstance(verdict, Denial):
                made.pop(id(move), None)
            return verdict

        return watched

    def use(original: Call) -> Call:
        def watched(machine: object, given: object, **more: object) -> object:
            made.pop(id(getattr(given, "proposal", given)), None)  # of a receipt, or itself
            return original(machine, given, **more)

        return watched

    with ExitStack() as stack:
        for cls, name, watch in (
            (Handle, "_move", make),
            (Handle, "_guarded", make),
            (GateSet, "evaluate", evaluate),
            (Machine, "apply", use),
            (Machine, "commit", use),
        ):
            stack.enter_context(mock.patch.object(cls, name, watch(getattr(cls, name))))
        yield
    if made:
        lines = [f"  {where}: {move!r}" for move, where in made.values()]
        raise AssertionError("\n".join(["made, and not used:", *lines]))


def _where() -> str:
    """The line that called the method of the handle that made a move."""
    frame = inspect.currentframe()
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == "batpak":
        frame = frame.f_back
    caller = frame.f_back if frame else None  # behind the method itself
    return f"{caller.f_code.co_filename}:{caller.f_lineno}" if caller else "somewhere"
