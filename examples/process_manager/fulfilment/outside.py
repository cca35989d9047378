"""Stands in for what is elsewhere: a bank, a depot, the time. They know events, and no process."""

# ruff: noqa: ARG002  a reactor is handed a witness, whether it needs it or not
from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar, Final, final

from batpak import AtLeastOnce, ReactionBatch, Store, StoredEvent, operation_key, override
from fulfilment.gen.orders import (
    DeadlinePassed,
    DeadlineSet,
    GoodsReleased,
    GoodsReserved,
    ParcelRequested,
    ParcelSent,
    PaymentRefused,
    PaymentRequested,
    PaymentTaken,
    RefundRequested,
)
from fulfilment.gen.orders.handlers import BankReactor, DepotReactor

LIMIT: Final = 100_000  # cents; the bank refuses more


@final
class Bank(BankReactor):
    """Takes what is not too much."""

    NAME: ClassVar[str] = "bank"

    @override
    def on_payment_requested(
        self,
        event: StoredEvent[PaymentRequested],
        out: ReactionBatch,
        witness: AtLeastOnce | None,
        /,
    ) -> None:
        order_id = event.payload.order_id
        if event.payload.cents <= LIMIT:
            out.push(event.coordinate, PaymentTaken(order_id=order_id))
        else:
            out.push(event.coordinate, PaymentRefused(order_id=order_id))

    @override
    def on_refund_requested(
        self,
        event: StoredEvent[RefundRequested],
        out: ReactionBatch,
        witness: AtLeastOnce | None,
        /,
    ) -> None: ...


@final
class Depot(DepotReactor):
    """Sends what it is asked to."""

    NAME: ClassVar[str] = "depot"

    @override
    def on_goods_reserved(
        self, event: StoredEvent[GoodsReserved], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None: ...

    @override
    def on_goods_released(
        self, event: StoredEvent[GoodsReleased], out: ReactionBatch, witness: AtLeastOnce | None, /
    ) -> None: ...

    @override
    def on_parcel_requested(
        self,
        event: StoredEvent[ParcelRequested],
        out: ReactionBatch,
        witness: AtLeastOnce | None,
        /,
    ) -> None:
        order_id = event.payload.order_id
        out.push(event.coordinate, ParcelSent(order_id=order_id, parcel=f"P-{event.sequence}"))


@contextmanager
def at_work(store: Store) -> Generator[None]:
    """Let the bank and the depot answer while the block lasts."""
    with (
        store.react(Bank(), checkpoint_id="bank"),
        store.react(Depot(), checkpoint_id="depot"),
    ):
        yield


def ring(store: Store, now: dt.datetime) -> None:
    """Say of each deadline that it has passed, if it has. Saying so again stores nothing."""
    for event in store.by_fact(DeadlineSet):
        if event.payload.at <= now:
            store.append(
                event.coordinate,
                DeadlinePassed(order_id=event.payload.order_id),
                caused_by=event,
                idempotency_key=operation_key("fulfilment.deadline", event.event_id.bytes),
            )
