"""MemoryCache: states in memory, those that were not asked for the longest forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import final

from batpak.arguments import is_count, require, text_of
from batpak.cache.row import CachedState
from batpak.errors import InvalidArgument


@final
class MemoryCache:
    """States in memory. It may be shared by threads, and by stores.

    Args:
        max_entries: How many states at most.

    Raises:
        InvalidArgument: Less than 1.
    """

    def __init__(self, max_entries: int = 1024) -> None:
        if not is_count(max_entries) or not max_entries:
            raise InvalidArgument("max_entries", "must be 1 or more")
        self._most = max_entries
        self._rows: OrderedDict[str, CachedState] = OrderedDict()  # changed by single steps only

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str, /) -> CachedState | None:
        """What is kept under a key."""
        text_of("key", key)
        row = self._rows.get(key)
        with suppress(KeyError):  # it is not there, or not any more
            self._rows.move_to_end(key)
        return row

    def put(self, key: str, row: CachedState, /) -> None:
        """Keep a state; if there are too many, forget the one that nobody asked for longest."""
        text_of("key", key)
        require("row", row, CachedState)
        rows = self._rows
        rows[key] = row
        with suppress(KeyError):  # likewise
            rows.move_to_end(key)
            while len(rows) > self._most:
                rows.popitem(last=False)

    def delete(self, prefix: str, /) -> int:
        """Forget every key that begins so."""
        text_of("prefix", prefix)
        found = [key for key in list(self._rows) if key.startswith(prefix)]
        return sum(self._rows.pop(key, None) is not None for key in found)

    def sync(self) -> None:
        """Nothing happens: memory does not outlive a process."""
