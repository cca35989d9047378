"""Misuse of generated projections: folds that miss events, take others, or give no state.

After the mark: mypy's error codes, then pyright's rules. A dash: the checker accepts the line.
"""
# fmt: off
# ruff: noqa
from __future__ import annotations

from decimal import Decimal
from typing import final

from batpak import EventPayload, Store, StoredEvent, override

from tests.golden.cases_out.gates.expected.orders import OrderPaid, OrderPlaced, OrderRefunded
from tests.golden.cases_out.gates.expected.orders.projections import RevenueProjection, RevenueState
from tests.golden.cases_out.handlers.expected.reports.projections import TurnoverProjection
from tests.typing.legal import Revenue


@final
class Unfinished(RevenueProjection):  # E: misc | reportGeneralTypeIssues
    @override
    def on_order_paid(self, state: RevenueState, event: StoredEvent[OrderPaid], /) -> RevenueState:
        return state


@final
class WrongFold(RevenueProjection):
    @override
    def on_order_paid(self, state: RevenueState, event: StoredEvent[OrderPaid], /) -> RevenueState:
        return RevenueState(orders=state.orders + 1)

    @override
    def on_order_refunded(self, state: RevenueState, event: StoredEvent[OrderPaid], /) -> RevenueState:  # E82: override | reportIncompatibleMethodOverride
        return state


class ThePayload(RevenueProjection):
    @override
    def on_order_paid(self, state: RevenueState, event: OrderPaid, /) -> RevenueState:  # E: override | reportIncompatibleMethodOverride
        return state

    @override
    def on_order_refunded(self, state: RevenueState, event: StoredEvent[OrderRefunded], /) -> None:  # E: override | reportIncompatibleMethodOverride
        return None

    @override
    def on_order_lost(self, state: RevenueState, event: StoredEvent[OrderPaid], /) -> RevenueState:  # E: misc | reportGeneralTypeIssues
        return state

    @override  # E: misc | -
    def apply(self, state: RevenueState, event: StoredEvent[EventPayload], /) -> RevenueState:  # E: - | reportIncompatibleMethodOverride
        return state


@final
class NoStart(TurnoverProjection):  # E: misc | reportGeneralTypeIssues
    """Its state has fields that nobody knows the first value of."""


def folded(store: Store, revenue: Revenue, paid: StoredEvent[OrderPaid], placed: StoredEvent[OrderPlaced]) -> None:
    Unfinished()  # E: abstract | reportAbstractUsage
    RevenueProjection()  # E: abstract | reportAbstractUsage
    store.project(RevenueState(), "order:1")  # E: arg-type | reportArgumentType
    total: Decimal = store.project(revenue, "order:1")  # E: assignment | reportAssignmentType
    revenue.on_order_paid(RevenueState(), placed)  # E: arg-type | reportArgumentType
    revenue.initial().net = Decimal(1)  # E: misc | reportAttributeAccessIssue
    RevenueState(net=1.5)  # E: arg-type | reportArgumentType
    RevenueState(total=Decimal(1))  # E: call-arg | reportCallIssue
    print(total, revenue.apply(RevenueState(), paid))
