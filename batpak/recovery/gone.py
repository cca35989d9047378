"""Gone: why an observer cannot go on, since what it has shown is not there any more."""

from __future__ import annotations

from typing import final

from batpak.errors import StorageError


@final
class RolledBack(StorageError):
    """Events that an observer has shown are not in the log any more. The observer has ended.

    The disk refused a write, and the writer took it back, before it was acknowledged to anybody; or
    the log was cut by a repair, or replaced by an older copy. What is below `kept` is as it was.
    """

    code = "rolled-back"

    def __init__(self, path: str, kept: int, shown: int) -> None:
        self.path, self.kept, self.shown = path, kept, shown
        super().__init__(
            f"{path}: events {kept}..{shown - 1} were shown, and are not in the log any more",
            hint=f"observe the store again, and go on behind event {kept - 1}"
            if kept
            else "observe the store again, from its first event on",
        )


@final
class StoreGone(StorageError):
    """The store that an observer shows is not at its path any more. The observer has ended.

    Its directory was removed, renamed or exchanged for another one, perhaps with a copy of the same
    store in it; or its files were. `replaced`: something else is there by now.
    """

    code = "store-gone"

    def __init__(self, path: str, *, replaced: bool) -> None:
        self.path, self.replaced = path, replaced
        super().__init__(
            f"{path}: something else is there now, and not the store that was observed"
            if replaced
            else f"{path}: the store that was observed is not there any more",
            hint="observe it again, and compare its `store_id` before going on where this one was"
            if replaced
            else "observe it again once it is there",
        )
