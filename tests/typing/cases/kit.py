"""Misuse of the test kit: a forgotten context, another state, another event.

After the mark: mypy's error codes, then pyright's rules. A dash: the checker accepts the line.
"""
# fmt: off
# ruff: noqa
from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import final

from hypothesis import strategies as st

from batpak import Ledger, override
from batpak.testing import Given, MemoryLedger, Scenario, sample, survives
from dungeon.door import DoorEvent, DoorId, DoorMachine, DoorOpened, DoorState
from tests.golden.cases_out.gates.expected.orders import Carrier, OrderId, OrderPaid, OrderPlaced, OrderRefunded, OrderShipped
from tests.golden.cases_out.gates.expected.orders.contexts import Desk
from tests.golden.cases_out.gates.expected.orders.order_machine import (
    CancelOrder, OrderMachine, OrderState, PaidOrder, PayOrder, PlacedOrder, ShippedOrder, ShipOrder,
)
from tests.golden.cases_out.gates.expected.orders.order_states import Placed
from tests.golden.cases_out.gates.expected.orders.testing import OrderScenario
from tests.typing.legal import Hooks


def pay(order: PlacedOrder) -> PayOrder:
    raise NotImplementedError


def cancel(order: PlacedOrder | PaidOrder) -> CancelOrder:
    raise NotImplementedError


def ship(order: PaidOrder) -> ShipOrder:
    raise NotImplementedError


def given(orders: OrderScenario, order_id: OrderId, placed: OrderPlaced, refund: OrderRefunded, door: DoorOpened) -> None:
    orders.given(order_id, refund)  # E: arg-type | reportArgumentType
    orders.given(order_id, door)  # E: arg-type | reportArgumentType
    orders.given("order:1", placed)  # E: arg-type | reportArgumentType
    OrderScenario()  # E: call-arg | reportCallIssue
    door_state: Given[DoorState] = orders.given(order_id, placed)  # E: assignment | reportAssignmentType
    print(door_state, MemoryLedger("a path"))  # E: call-arg | reportCallIssue


def when(history: Given[OrderState], desk: Desk, paid: OrderPaid, shipped: OrderShipped, at: dt.datetime) -> None:
    history.when(PlacedOrder, pay)  # E: arg-type,call-overload | reportArgumentType,reportCallIssue
    history.when(PlacedOrder, pay, desk)  # E: arg-type,call-overload,misc | reportArgumentType,reportCallIssue
    history.when(PlacedOrder, cancel, None)  # E: arg-type,call-overload,misc | reportArgumentType,reportCallIssue
    history.when(PaidOrder, ship, None)  # E: arg-type,call-overload,misc | reportArgumentType,reportCallIssue
    history.when(PlacedOrder, ship)  # E: arg-type,call-overload | reportArgumentType,reportCallIssue
    history.when(PlacedOrder, lambda order: order.ship(carrier=Carrier.DHL, shipped_at=at))  # E: attr-defined,call-overload | reportAttributeAccessIssue
    history.when(Placed, pay, None)  # E: arg-type,call-overload,type-var | reportArgumentType,reportCallIssue
    history.when(PlacedOrder, pay, None).stores(shipped)  # E: arg-type | reportArgumentType
    after: ShippedOrder = history.when(PlacedOrder, pay, None).stores(paid)  # E: assignment | reportAssignmentType
    history.when(PaidOrder, ship).denied(1)  # E: arg-type | reportArgumentType
    print(after)


def values(order_id: OrderId) -> None:
    sample(int)  # E: type-var | reportArgumentType
    survives(sample(Placed))  # E: arg-type | reportArgumentType
    total: OrderPaid = sample(OrderPlaced, order_id=order_id)  # E: assignment,arg-type | reportAssignmentType,reportArgumentType
    print(total)


@final
class Unfinished(Scenario[DoorId, DoorEvent, DoorState]):  # E: misc | reportGeneralTypeIssues
    @override
    def machine(self, ledger: Ledger) -> DoorMachine:
        return DoorMachine(ledger)


class WrongMachine(Scenario[DoorId, DoorEvent, DoorState]):
    @override
    def machine(self, ledger: Ledger) -> OrderMachine:  # E: override | reportIncompatibleMethodOverride
        return OrderMachine(ledger, Hooks())

    @override
    def keys(self) -> st.SearchStrategy[OrderId]:  # E: override | reportIncompatibleMethodOverride
        return st.builds(OrderId, st.uuids())

    @override
    def moves(self) -> Mapping[str, st.SearchStrategy[DoorOpened]]:
        return {"open": st.builds(DoorOpened)}
