"""A state as it is kept, and what keeps it: the protocol of caches, and the one that keeps nothing.

A cache may forget anything at any time. What it gives is checked against the log before it is used.
"""

from __future__ import annotations

from typing import Protocol, final

from msgspec import Struct
from msgspec.structs import replace

from batpak.digest import crc32


@final
class CachedState(Struct, frozen=True, kw_only=True, array_like=True):
    """A state, encoded, and the place in the log that it is true for."""

    watermark: int  # it is the fold of everything in front of this sequence (of this version)
    head: bytes  # event_hash of the event in front of that: a log that has it has all before it
    generation: int  # one past the newest event that was folded
    epoch: int = 0  # how often the log had lost events by then
    taken_ms: int = 0  # when, in milliseconds since 1970
    state: bytes
    crc: int = 0  # of the key and all that is above

    def sealed(self, key: str) -> CachedState:
        """The same with its checksum, under a key."""
        return replace(self, crc=self._crc(key))

    def is_whole(self, key: str) -> bool:
        """Whether it is as it was sealed, under this key."""
        return min(self.generation, self.watermark) > 0 and self.crc == self._crc(key)

    def _crc(self, key: str) -> int:
        numbers = f"{key} {self.watermark} {self.generation} {self.epoch} {self.taken_ms}"
        return crc32(self.state, crc32(self.head, crc32(numbers.encode())))


class ProjectionCache(Protocol):
    """What keeps states. Any thread may call it at any time.

    What it raises is logged and answered by a full replay.
    """

    def get(self, key: str, /) -> CachedState | None:
        """What was put last under a key; None: nothing, or it is gone."""
        ...

    def put(self, key: str, row: CachedState, /) -> None:
        """Keep a state, in the place of what was there."""
        ...

    def delete(self, prefix: str, /) -> int:
        """Forget every key that begins so, and say how many those were."""
        ...

    def sync(self) -> None:
        """Return once what was put survives a power cut, as far as this cache outlives one."""
        ...


@final
class NoCache:
    """Keeps nothing: every state is folded anew. The default."""

    def get(self, _key: str, /) -> CachedState | None:
        """None."""
        return None

    def put(self, _key: str, _row: CachedState, /) -> None:
        """Nothing happens."""

    def delete(self, _prefix: str, /) -> int:
        """0."""
        return 0

    def sync(self) -> None:
        """Nothing happens."""
