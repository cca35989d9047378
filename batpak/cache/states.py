"""States: a cache, asked so that no trouble with it is ever seen in an answer.

What it raises, gives that is no state, or cannot decode, is logged once and counts as nothing kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from batpak import codec
from batpak.cache.row import CachedState, NoCache, ProjectionCache

log: Final = logging.getLogger("batpak.projection")

T = TypeVar("T")


class States:
    """The states that a cache keeps for one reader."""

    def __init__(self, cache: ProjectionCache) -> None:
        self._cache = cache
        self.kept: Final = not isinstance(cache, NoCache)
        """Whether there is anything to ask."""
        self.hits = 0
        self.misses = 0

    def get(self, key: str, decode: Callable[[bytes], T]) -> tuple[CachedState, T] | None:
        """A row, and the state in it; a fresh object each time.

        Args:
            key: Of the state.
            decode: What reads the state.
        """
        try:
            row: object = self._cache.get(key)
            if row is None:
                self.misses += 1
                return None
            if type(row) is CachedState and row.is_whole(key):
                return row, decode(row.state)
            self._ignored("get", row)
        except Exception as error:  # noqa: BLE001  it is logged, and answered by a replay
            self._ignored("get", error)
        self.misses += 1
        return None

    def put(
        self,
        key: str,
        state: T,
        decode: Callable[[bytes], T],
        *,
        watermark: int,
        head: bytes,
        generation: int,
        epoch: int = 0,
        taken_ms: int = 0,
    ) -> None:
        """Keep a state, if it comes back equal from being stored.

        Args:
            key: Of the state.
            state: To be kept.
            decode: What will read it.
            watermark: See `CachedState`, likewise the rest.
            head: See there.
            generation: See there.
            epoch: See there.
            taken_ms: See there.
        """
        try:
            data = codec.encode(state)
            if decode(data) != state:  # a list in the place of a tuple, for one
                name = type(state).__name__
                log.warning("a %s is not kept: it does not come back equal", name)
                return
            row = CachedState(
                watermark=watermark,
                head=head,
                generation=generation,
                epoch=epoch,
                taken_ms=taken_ms,
                state=data,
            )
            self._cache.put(key, row.sealed(key))
        except Exception as error:  # noqa: BLE001  likewise
            self._ignored("put", error)

    def forget(self, key: str) -> None:
        """Have nothing under a key any more."""
        try:
            self._cache.delete(key)
        except Exception as error:  # noqa: BLE001  likewise
            self._ignored("delete", error)

    def _ignored(self, operation: str, why: object) -> None:
        name = type(self._cache).__name__
        # Without the message: a decoder quotes what is stored.
        log.warning("%s.%s: %s; ignored", name, operation, type(why).__name__)
