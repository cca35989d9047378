"""The flow: one DEBUG record for each operation of a handle, on the logger `batpak.flow`.

Whether anybody wants them is asked when a handle is opened, so one that nobody watches pays nothing
for it. A record says the operation and its outcome, never what was stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, wraps
from inspect import isfunction
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar, cast

from batpak.append import AppendReceipt
from batpak.report import OpenReport

log: Final = logging.getLogger("batpak.flow")


class Handle(Protocol):
    """What is watched."""

    @property
    def open_report(self) -> OpenReport:
        """Which store it is."""
        ...


H = TypeVar("H", bound=Handle)
P = ParamSpec("P")
R = TypeVar("R")


def watched(cls: type[H]) -> type[H]:
    """The class of handles to open: itself, or one whose public methods log what came of them."""
    return _logging(cls) if log.isEnabledFor(logging.DEBUG) else cls


@cache
def _logging(cls: type[H]) -> type[H]:
    methods = {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}
    logged = {
        name: _logged(method)
        for name, method in methods.items()
        if isfunction(method) and "self" in method.__code__.co_varnames[:1]
    }
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    return cast("type[H]", type(cls.__name__, (cls,), {**logged, **names}))


def _logged(method: Callable[Concatenate[H, P], R]) -> Callable[Concatenate[H, P], R]:
    name = method.__name__

    @wraps(method)
    def call(self: H, /, *args: P.args, **kwargs: P.kwargs) -> R:
        report = self.open_report
        facts: dict[str, object] = {"store_id": str(report.store_id), "path": report.path}
        try:
            answer = method(self, *args, **kwargs)
        except BaseException as error:
            log.debug("%s: %s", name, type(error).__name__, extra=facts)
            raise
        if isinstance(answer, AppendReceipt):
            facts["sequence"] = answer.sequence
        log.debug("%s: ok", name, extra=facts)
        return answer

    return call
