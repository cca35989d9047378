"""One thread at a time, for what has a place in the log that two would fight about."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final

from batpak.errors import InvalidArgument


class Alone:
    """A context manager for one thread at a time. A thread that was interrupted in it may go on.

    Args:
        what: Which thing has one user, for messages.
        thread_id: Which thread this is.
    """

    def __init__(self, what: str, thread_id: Callable[[], int]) -> None:
        self._what: Final = what
        self._thread_id = thread_id
        self._user: dict[None, int] = {}  # the thread that is in

    def __enter__(self) -> None:
        me = self._thread_id()
        if self._user.setdefault(None, me) != me:
            raise InvalidArgument("thread", f"concurrent: another thread is using {self._what}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._user.clear()
