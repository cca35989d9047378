"""The work: the same events for every contender, and what each of them has to do with one.

The payload is `OrderPaid` of the orders example, seven values in about 105 bytes of MessagePack,
spread over 1,000 entities. Payloads are made before any clock starts.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle, islice
from typing import Final
from uuid import UUID

import blake3
import msgspec

from batpak import Coordinate
from shop.gen.common import Currency, Money
from shop.gen.orders import OrderId, OrderPaid

SCOPE: Final = "shop.orders"
ENTITIES: Final = 1000
KIND: Final = int(OrderPaid.KIND)
PLAIN_BYTES: Final = 288  # of one plain write; a frame of such an event is a little longer
FRAME_BYTES: Final = 340  # of such a frame, near enough to say how many segments events will fill
_ID_POOL: Final = 4096

encode: Final = msgspec.msgpack.Encoder(
    order="deterministic", uuid_format="bytes", decimal_format="string"
).encode
decode: Final = msgspec.msgpack.Decoder(OrderPaid).decode


@dataclass(frozen=True)
class Work:
    """Payments with the entities they belong to; `placed` says the same with coordinates."""

    pairs: list[tuple[str, OrderPaid]]
    placed: list[tuple[Coordinate, OrderPaid]]

    def __len__(self) -> int:
        return len(self.pairs)

    def first(self, count: int) -> Work:
        return Work(self.pairs[:count], self.placed[:count])

    def entities(self) -> list[str]:
        return sorted({entity for entity, _ in self.pairs})

    def over(self, count: int) -> Iterator[tuple[str, OrderPaid]]:
        """As many as asked for, over and over: a million payloads need not be held."""
        return islice(cycle(self.pairs), count)

    def placed_over(self, count: int) -> Iterator[tuple[Coordinate, OrderPaid]]:
        return islice(cycle(self.placed), count)

    def payload_bytes(self) -> float:
        sizes = [len(encode(payload)) for _, payload in self.pairs[:1000]]
        return sum(sizes) / len(sizes)


def make(count: int) -> Work:
    """Make the work; the same count gives the same work in every run."""
    seeded = random.Random(count)  # noqa: S311  names, not secrets
    ids = [OrderId(UUID(int=seeded.getrandbits(128), version=4)) for _ in range(ENTITIES)]
    coordinates = [Coordinate(f"order:{order_id.hex}", SCOPE) for order_id in ids]
    began = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    placed = [
        (
            coordinates[number % ENTITIES],
            OrderPaid(
                order_id=ids[number % ENTITIES],
                payment_id=UUID(int=number),
                amount=Money(amount=Decimal(number).scaleb(-2), currency=Currency.EUR),
                paid_at=began + dt.timedelta(seconds=number),
            ),
        )
        for number in range(count)
    ]
    return Work([(coordinate.entity, payload) for coordinate, payload in placed], placed)


class Ids:
    """Time-ordered ids of 16 bytes for the peers, made as cheaply as Python can.

    Entropy is bought 4 KiB at a time, so that no peer loses because of `uuid`.
    """

    def __init__(self) -> None:
        self._pool, self._at = os.urandom(_ID_POOL), 0

    def next(self) -> bytes:
        at = self._at
        if at == _ID_POOL:
            self._pool, at = os.urandom(_ID_POOL), 0
        self._at = at + 8
        return time.time_ns().to_bytes(8, "big") + self._pool[at : at + 8]


class Prepared:
    """What a store has to make of an event before it can keep it: the peers' equal share.

    A row is (sequence, id, entity, version, scope, kind, time, correlation, hash, payload).
    """

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._next_id = Ids().next
        self._sequence = 0

    def row(self, entity: str, payload: OrderPaid) -> Row:
        data = encode(payload)
        version = self._versions.get(entity, 0) + 1
        self._versions[entity] = version
        sequence = self._sequence
        self._sequence = sequence + 1
        event_id = self._next_id()
        return (
            sequence,
            event_id,
            entity,
            version,
            SCOPE,
            KIND,
            time.time_ns(),
            event_id,
            blake3.blake3(data).digest(),
            data,
        )


Row = tuple[int, bytes, str, int, str, int, int, bytes, bytes, bytes]
