"""Sqlite: effects that happen once, in a database of your own. Only this imports sqlite3.

    with Effects(database) as effects:
        for event in events:
            if effects.first(witness.once(event)):
                database.execute("UPDATE sales SET ...")

A worker hands out an event again if it was interrupted. What the event led to and the key that says
so are written in one transaction of the database: it has both, or neither.
"""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Final, Self, final

from batpak.errors import InvalidArgument
from batpak.read.witness import ObservedOnce

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS batpak_effects (
        checkpoint_id TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (checkpoint_id, key)
    ) WITHOUT ROWID
"""


@final
class Effects:
    """One transaction of a connection: it is committed at the end of the block, or rolled back.

    What has happened is kept in the table `batpak_effects`, which is made if it is not there.

    Args:
        connection: For this thread, and outside of a transaction. How it treats transactions by
            itself does not matter, unless it is always in one (`autocommit=False`).

    Raises:
        InvalidArgument: The block begins inside a transaction, or somebody else has ended its own.
        sqlite3.Error: The database refused; nothing of the block is stored.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._database: Final = connection

    def __enter__(self) -> Self:
        if self._database.in_transaction:
            reason = "is in a transaction already; commit it, or use another connection"
            raise InvalidArgument("connection", reason)
        self._database.execute("BEGIN IMMEDIATE")  # what cannot be written says so here
        try:
            self._database.execute(_TABLE)
        except BaseException:
            self._roll_back()
            raise
        return self

    def first(self, once: ObservedOnce) -> bool:
        """Whether an effect is still to happen. From now on it has, if the block is committed."""
        self._expect_open()
        added = self._database.execute(
            "INSERT OR IGNORE INTO batpak_effects VALUES (?, ?)", (once.checkpoint_id, once.key)
        )
        return added.rowcount == 1

    def forget(self, checkpoint_id: str) -> int:
        """Forget all effects of a worker, so that they happen again; how many those were.

        That is for building something anew. Take what they have led to away in the same block.
        """
        self._expect_open()
        gone = self._database.execute(
            "DELETE FROM batpak_effects WHERE checkpoint_id = ?", (checkpoint_id,)
        )
        return gone.rowcount

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._roll_back()
            return
        self._expect_open()
        try:
            self._database.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._database.in_transaction:  # some failures have ended it already
            self._database.execute("ROLLBACK")

    def _expect_open(self) -> None:
        if not self._database.in_transaction:
            reason = "its transaction is not that of this block; leave commit and rollback to it"
            raise InvalidArgument("connection", reason)
