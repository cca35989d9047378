"""Operators over a lossy subscription, carried out in the order in which they are written.

A pipeline is a description: nothing is received until somebody iterates, and each `for` begins
anew, with a fresh `scan` and a fresh `take`. What the buffer has dropped, no operator sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

from batpak.arguments import count_of, require_direct
from batpak.event import IndexEntry
from batpak.override import override

T = TypeVar("T")
U = TypeVar("U")

Stage: TypeAlias = Callable[[Iterator[Any]], Iterator[Any]]


class LossyOps(Generic[T]):
    """A lazy pipeline. Made by `Subscription.ops`; it ends, and is as lossy, as that.

    Its functions are called by the thread that iterates and may use the store. What they raise
    passes through, with a note that names the event.
    """

    def __init__(self, source: Iterable[IndexEntry], stages: tuple[Stage, ...] = ()) -> None:
        self._source, self._stages = source, stages

    def filter(self, keep: Callable[[T], bool]) -> LossyOps[T]:
        """Those for which a function says yes.

        Raises:
            InvalidArgument: No function, or one that would do nothing; as in `map` and `scan`.
        """
        require_direct("keep", keep)
        return self._then(lambda found: (one for one in found if keep(one)))

    def map(self, change: Callable[[T], U | None]) -> LossyOps[U]:
        """What a function makes of each; where it makes None, nothing."""
        require_direct("change", change)
        return self._then(
            lambda found: (made for one in found if (made := change(one)) is not None)
        )

    def scan(self, initial: U, step: Callable[[U, T], U | None]) -> LossyOps[U]:
        """Each new state of a fold; where the step gives None the state stays, and nothing comes.

        Args:
            initial: The state before the first. It does not come itself.
            step: Makes the next state from the last one and what has come.
        """
        require_direct("step", step)

        def fold(found: Iterator[T]) -> Iterator[U]:
            state = initial
            for one in found:
                following = step(state, one)
                if following is not None:
                    state = following
                    yield state

        return self._then(fold)

    def take(self, limit: int) -> LossyOps[T]:
        """So many of what comes here, and then the end: nothing more is waited for.

        Raises:
            InvalidArgument: Not a number, 0 or more.
        """
        wanted = count_of("limit", limit)
        return self._then(lambda found: islice(found, wanted))

    def _then(self, stage: Stage) -> LossyOps[Any]:
        return LossyOps(self._source, (*self._stages, stage))

    def __iter__(self) -> Iterator[T]:
        source = _Source(iter(self._source))
        found: Iterator[T] = source  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  the first stage takes what it gives
        for stage in self._stages:
            found = stage(found)
        try:
            yield from found
        except Exception as error:
            if error is not source.error:
                error.add_note(f"in an operator of a subscription, at event {source.sequence}")
            raise


class _Source(Iterator[IndexEntry]):
    """What comes in, and which of it was the last."""

    def __init__(self, source: Iterator[IndexEntry]) -> None:
        self._source = source
        self.sequence = -1
        self.error: Exception | None = None  # of its own, and not of an operator

    @override
    def __next__(self) -> IndexEntry:
        try:
            one = next(self._source)
        except Exception as error:
            self.error = error
            raise
        self.sequence = one.sequence
        return one
