"""The `eventsourcing` package: an application with one kind of aggregate, on SQLite or in memory.

It gets a MessagePack transcoder instead of its JSON one, an id and a content hash for each event,
and `synchronous=normal` where nobody asked for durability (its own default is full): equal work
at an equal level. *Save* is `Application.save` of one triggered event; *insert* is its recorder
given a finished record, which is its raw variant.
"""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import blake3
import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import StoredEvent, Transcoder
from eventsourcing.sqlite import SQLiteFactory

from batpak import override
from shop.gen.orders import OrderPaid
from tests.bench.work import Ids, Work, decode, encode


class Account(Aggregate):
    """An order that payments belong to."""

    class Opened(Aggregate.Created):
        """The first event of one."""

    class Paid(Aggregate.Event):
        """One payment."""

        payload: OrderPaid
        event_id: bytes

        @override
        def apply(self, aggregate: Account) -> None:
            aggregate.last = self.payload

    def __init__(self) -> None:
        self.last: OrderPaid | None = None


class State(msgspec.Struct, omit_defaults=True):
    """What is stored of an event beside its place."""

    timestamp: dt.datetime
    originator_topic: str | None = None
    event_id: bytes | None = None
    content_hash: bytes | None = None
    payload: msgspec.Raw = msgspec.Raw()


_decode_state = msgspec.msgpack.Decoder(State).decode


class PackedState(Transcoder):
    """MessagePack, with the payload encoded once and hashed."""

    @override
    def encode(self, obj: dict[str, Any]) -> bytes:
        payload = obj.get("payload")
        if payload is not None:
            data = encode(payload)
            obj["content_hash"] = blake3.blake3(data).digest()
            obj["payload"] = msgspec.Raw(data)
        return encode(obj)

    @override
    def decode(self, data: bytes) -> dict[str, object]:
        state = _decode_state(data)
        if state.event_id is None:
            return {"timestamp": state.timestamp, "originator_topic": state.originator_topic}
        return {
            "timestamp": state.timestamp,
            "event_id": state.event_id,
            "content_hash": state.content_hash,
            "payload": decode(state.payload),
        }


class Accounts(Application[UUID]):
    """All of them."""

    @override
    def construct_transcoder(self) -> Transcoder:
        return PackedState()


def start(folder: Path | None, *, full: bool = False) -> Accounts:
    """An application on SQLite in `folder`, or in memory without one."""
    if folder is None:
        return Accounts(env={"PERSISTENCE_MODULE": "eventsourcing.popo"})
    path = str(folder / "eventsourcing.db")
    app = Accounts(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path})
    if not full:
        datastore = cast(SQLiteFactory, app.factory).datastore
        with datastore.get_connection(commit=True) as connection:
            connection.cursor().execute("pragma synchronous=normal")
    return app


def accounts(app: Accounts, work: Work) -> dict[str, Account]:
    """An aggregate for each entity, saved before the clock starts."""
    made = {
        entity: Account._create(Account.Opened, id=UUID(entity.partition(":")[2]))
        for entity in work.entities()
    }
    app.save(*made.values())
    return made


def save(work: Work, folder: Path | None, *, full: bool = False) -> float:
    """`Application.save` after each event."""
    app = start(folder, full=full)
    by_entity, next_id = accounts(app, work), Ids().next
    began = time.perf_counter()
    for entity, payload in work.pairs:
        account = by_entity[entity]
        account.trigger_event(Account.Paid, payload=payload, event_id=next_id())
        app.save(account)
    app.close()
    return time.perf_counter() - began


def save_batches(work: Work, folder: Path, size: int) -> float:
    """`Application.save` of many aggregates: one transaction for each batch."""
    app = start(folder)
    by_entity, next_id = accounts(app, work), Ids().next
    began = time.perf_counter()
    for batch in range(0, len(work), size):
        touched = {}
        for entity, payload in work.pairs[batch : batch + size]:
            account = touched[entity] = by_entity[entity]
            account.trigger_event(Account.Paid, payload=payload, event_id=next_id())
        app.save(*touched.values())
    app.close()
    return time.perf_counter() - began


def insert(work: Work, folder: Path) -> float:
    """The recorder alone, with bytes that were encoded before."""
    app = start(folder)
    versions: dict[str, int] = {}
    records = []
    for entity, payload in work.pairs:
        versions[entity] = version = versions.get(entity, 0) + 1
        owner = UUID(entity.partition(":")[2])
        records.append(StoredEvent(owner, version, "bench:Paid", encode(payload)))
    insert_events = app.recorder.insert_events
    began = time.perf_counter()
    for record in records:
        insert_events([record])
    app.close()
    return time.perf_counter() - began


def fill(work: Work, folder: Path) -> Accounts:
    """An application on SQLite that holds the work, to read from."""
    app = start(folder)
    by_entity, next_id = accounts(app, work), Ids().next
    for entity, payload in work.pairs:
        by_entity[entity].trigger_event(Account.Paid, payload=payload, event_id=next_id())
    app.save(*by_entity.values())
    return app


def load(app: Accounts, entities: list[str]) -> int:
    """`repository.get` of each aggregate: its events, decoded and applied. Says how many."""
    count = 0
    for entity in entities:
        account: Account = app.repository.get(UUID(entity.partition(":")[2]))
        count += account.version
    return count
