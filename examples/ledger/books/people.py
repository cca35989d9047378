"""Teaches: data of a person that can be forgotten, in every copy that there is of it.

A name is stored encrypted, under a key of that customer alone. The keys are in a database beside
the store, and are never copied with it: without the key no copy of the log, wherever it went, says
the name. Backups of the keys have to be short-lived.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from batpak import Coordinate, EventPayload, Form, Store, StoredEvent, StoreReader, new_id
from books.gen.ledger import CustomerId, CustomerNamed

NONCE: Final = 12  # bytes, drawn for each name and stored in front of it


@final
class People:
    """Who the customers are, as long as they want it to be known. For one thread.

    Args:
        path: The database of the keys. It is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._keys = sqlite3.connect(path, isolation_level=None)
        self._keys.execute("PRAGMA secure_delete = ON")  # zeros over what is deleted
        self._keys.execute("PRAGMA synchronous = FULL")
        self._keys.execute(
            "CREATE TABLE IF NOT EXISTS keys (customer BLOB PRIMARY KEY, key BLOB NOT NULL)"
        )

    def __enter__(self) -> People:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._keys.close()

    def name(self, store: Store, name: str) -> CustomerId:
        """Say who a new customer is, beside the journal: an entry has the id and nothing else.

        The key is durable before the event is: a crash in between leaves a key that opens nothing.
        """
        customer_id, key = new_id(CustomerId), ChaCha20Poly1305.generate_key()
        self._keys.execute("INSERT INTO keys VALUES (?, ?)", (customer_id.bytes, key))
        nonce = secrets.token_bytes(NONCE)
        sealed = ChaCha20Poly1305(key).encrypt(nonce, name.encode(), customer_id.bytes)
        event = CustomerNamed(customer_id=customer_id, sealed_name=nonce + sealed)
        store.append(_place(customer_id), event)
        return customer_id

    def who(self, reader: StoreReader, customer_id: CustomerId) -> str | None:
        """Return the name of a customer; None if they were forgotten, or never were."""
        key = self._key(customer_id)
        for event in reader.stream(_place(customer_id).entity):
            if key is not None and isinstance(event.payload, CustomerNamed):
                return _opened(event.payload, key)
        return None

    def forget(self, customer_id: CustomerId) -> None:
        """Make a name unreadable: here, and in every copy of the log. There is no way back."""
        self._keys.execute("DELETE FROM keys WHERE customer = ?", (customer_id.bytes,))

    def sweep(self, store: Store) -> int:
        """Take out of the complete files what nobody can read any more; return how many events.

        Their hashes stay, and tell nobody anything: they are of what was encrypted, so a guess at
        the name cannot be held against them.
        """
        return store.compact(tombstone=self._unreadable, form=Form.TYPED, min_segments=1).erased

    def _unreadable(self, event: StoredEvent[EventPayload]) -> bool:
        named = event.payload
        return isinstance(named, CustomerNamed) and self._key(named.customer_id) is None

    def _key(self, customer_id: CustomerId) -> bytes | None:
        asked = self._keys.execute("SELECT key FROM keys WHERE customer = ?", (customer_id.bytes,))
        with closing(asked):
            row: tuple[bytes] | None = asked.fetchone()
        return row[0] if row else None


def _opened(named: CustomerNamed, key: bytes) -> str:
    nonce, sealed = named.sealed_name[:NONCE], named.sealed_name[NONCE:]
    return ChaCha20Poly1305(key).decrypt(nonce, sealed, named.customer_id.bytes).decode()


def _place(customer_id: CustomerId) -> Coordinate:
    return Coordinate(f"customer:{customer_id.hex}", "books.people")
