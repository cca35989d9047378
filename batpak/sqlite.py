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

from batpak.arguments import require_some, text_of
from batpak.errors import InvalidArgument
from batpak.read.witness import ObservedOnce

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS batpak_effects (
        checkpoint_id TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (checkpoint_id, key)
    ) WITHOUT ROWID
"""

_NOT_OURS: Final = "its transaction is not that of this block; leave commit and rollback to it"


@final
class Effects:
    """One transaction of a connection: it is committed at the end of the block, or rolled back.

    What has happened is kept in the table `batpak_effects`, which is made if it is not there.

    Args:
        connection: For this thread, and outside of a transaction. How it treats transactions by
            itself does not matter, unless it is always in one (`autocommit=False`).

    Whoever commits or rolls back inside the block breaks it. Then no key of the block is kept: what
    was committed so early may happen again, and nothing is left out.

    Raises:
        InvalidArgument: No connection; or the block begins inside a transaction, or somebody else
            has ended its own.
        sqlite3.Error: The database refused; nothing of the block is stored.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        require_some("connection", connection, sqlite3.Connection)
        self._database: Final = connection
        self._added: list[tuple[str, bytes]] = []  # in this block

    def __enter__(self) -> Self:
        if self._database.in_transaction:
            reason = "is in a transaction already; commit it, or use another connection"
            raise InvalidArgument("connection", reason)
        self._database.execute("BEGIN IMMEDIATE")  # what cannot be written says so here
        self._added.clear()
        try:
            self._database.execute("SAVEPOINT batpak_effects")  # goes with this transaction
            self._database.execute(_TABLE)
        except BaseException:
            self._roll_back()
            raise
        return self

    def first(self, once: ObservedOnce) -> bool:
        """Whether an effect is still to happen. From now on it has, if the block is committed."""
        require_some("once", once, ObservedOnce)
        self._expect_open()
        row = once.checkpoint_id, once.key
        added = self._database.execute("INSERT OR IGNORE INTO batpak_effects VALUES (?, ?)", row)
        if added.rowcount != 1:
            return False
        self._added.append(row)
        return True

    def forget(self, checkpoint_id: str) -> int:
        """Forget all effects of a worker, so that they happen again; how many those were.

        That is for building something anew. Take what they have led to away in the same block.
        """
        text_of("checkpoint_id", checkpoint_id)
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
        if not self._is_whole():
            self._roll_back()
            self._forget_added()
            if error is None:
                raise InvalidArgument("connection", _NOT_OURS)
            return
        if error is not None:
            self._roll_back()
            return
        try:
            self._database.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _is_whole(self) -> bool:
        """Whether the transaction is still that of the block: its savepoint tells."""
        try:
            self._database.execute("RELEASE batpak_effects")
        except sqlite3.OperationalError:
            return False
        return True

    def _forget_added(self) -> None:
        """Take away the keys of the block, which somebody else has committed, or rolled back."""
        with self._database:
            self._database.execute(_TABLE)
            self._database.executemany(
                "DELETE FROM batpak_effects WHERE checkpoint_id = ? AND key = ?", self._added
            )

    def _roll_back(self) -> None:
        if self._database.in_transaction:  # some failures have ended it already
            self._database.execute("ROLLBACK")

    def _expect_open(self) -> None:
        if not self._database.in_transaction:
            raise InvalidArgument("connection", _NOT_OURS)
