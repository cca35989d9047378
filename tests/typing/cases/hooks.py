"""Misuse of gates with contexts, policies and hooks: undeclared answers, wrong contexts, gaps.

After the mark: mypy's error codes, then pyright's rules. A dash: the checker accepts the line.
"""
# fmt: off
# ruff: noqa
from __future__ import annotations

from decimal import Decimal
from typing import final

from batpak import PERMIT, Denial, Store, StoredEvent, Verdict, override

from tests.golden.cases_out.gates.expected.depot.parcels.parcel_machine import ParcelMachine, RepackParcel
from tests.golden.cases_out.gates.expected.depot.parcels.policies import Notes
from tests.golden.cases_out.gates.expected.orders import OrderPaid, OrderRefunded, OrderShipped
from tests.golden.cases_out.gates.expected.orders import hooks as h
from tests.golden.cases_out.gates.expected.orders.contexts import Checkout, Desk, Refund
from tests.golden.cases_out.gates.expected.orders.handlers import OrderHandler
from tests.golden.cases_out.gates.expected.orders.order_gates import PayOrderGates, PlaceOrderGates
from tests.golden.cases_out.gates.expected.orders.order_machine import (
    CancelOrder, OrderMachine, PayOrder, PlaceOrder,
)
from tests.golden.cases_out.gates.expected.orders.order_states import Paid, Placed
from tests.golden.cases_out.gates.expected.orders.policies import RefundPolicy
from tests.typing.legal import Hooks, ParcelHooks


# ----------------------------------------------------------------------------------- hooks


@final
class NoEvolve(h.OrdersHooks):  # E74: misc | reportGeneralTypeIssues
    @override
    def gate_credit_ok(self, ctx: Checkout, event: h.OrderPlaced, /) -> h.CreditOkVerdict:
        return "CREDIT_LIMITS"  # E75: return-value | reportReturnType


class NoneMeansYes(h.OrdersHooks):
    @override
    def gate_credit_ok(self, ctx: Checkout, event: h.OrderPlaced, /) -> h.CreditOkVerdict:
        return None  # E76: return-value | reportReturnType

    @override
    def evolve_order_ship(self, state: Placed, event: OrderShipped, /) -> h.Shipped:  # E77: override | reportIncompatibleMethodOverride
        raise LookupError


class TrueMeansYes(h.OrdersHooks):
    @override
    def gate_credit_ok(self, ctx: Checkout, event: h.OrderPlaced, /) -> h.CreditOkVerdict:
        return event.total.amount < ctx.credit_limit.amount  # E: return-value | reportReturnType

    @override
    def evolve_order_ship(self, state: Paid, event: OrderShipped, /) -> Paid:  # E: override | reportIncompatibleMethodOverride
        return state


class DeniesByHand(h.OrdersHooks):
    @override
    def gate_credit_ok(self, ctx: Checkout, event: h.OrderPlaced, /) -> h.CreditOkVerdict:
        return Denial("credit_ok", "CREDIT_HOLD", "no")  # E: return-value | reportReturnType


class OtherContext(h.OrdersHooks):
    @override
    def gate_credit_ok(self, ctx: Desk, event: h.OrderPlaced, /) -> h.CreditOkVerdict:  # E: override | reportIncompatibleMethodOverride
        return PERMIT

    @override
    def gate_that_is_gone(self, event: h.OrderPlaced, /) -> h.CreditOkVerdict:  # E: misc | reportGeneralTypeIssues
        return PERMIT


class LooseHooks:
    limit = Decimal(1)


def wiring(db: Store) -> None:
    OrderMachine(db)  # E80: call-arg | reportCallIssue
    OrderMachine(db, LooseHooks())  # E79: arg-type | reportArgumentType
    OrderMachine(db, ParcelHooks())  # E: arg-type | reportArgumentType
    ParcelMachine(db)  # E: call-arg | reportCallIssue
    PlaceOrderGates()  # E: call-arg | reportCallIssue
    PayOrderGates(Hooks())  # E: call-arg | reportCallIssue
    Notes()  # E: call-arg | reportCallIssue
    NoEvolve()  # E: abstract | reportAbstractUsage


# -------------------------------------------------------------------------------- contexts


def contexts(orders: OrderMachine, parcels: ParcelMachine, place: PlaceOrder, pay: PayOrder, cancel: CancelOrder, repack: RepackParcel, checkout: Checkout, desk: Desk) -> None:
    orders.place_gates.evaluate(desk, place)  # E: arg-type | reportArgumentType
    orders.place_gates.evaluate(None, place)  # E: arg-type | reportArgumentType
    orders.pay_gates.evaluate(checkout, pay)  # E: arg-type | reportArgumentType
    orders.cancel_gates.evaluate(checkout, cancel)  # E: arg-type | reportArgumentType
    parcels.repack_gates.evaluate(desk, repack)  # E: arg-type | reportArgumentType
    print(orders.place_gates.evaluate(checkout, place), orders.cancel_gates.evaluate(desk, cancel))
    Desk(frozenset())  # E: call-arg | reportCallIssue
    Desk(roles={"support"})  # E: arg-type | reportArgumentType
    desk.roles = frozenset()  # E: misc | reportAttributeAccessIssue


# -------------------------------------------------------------------------------- handlers


def dispatches(handler: OrderHandler[str], refund: StoredEvent[OrderRefunded], paid: StoredEvent[OrderPaid]) -> None:
    handler.dispatch(refund)  # E69: arg-type | reportArgumentType
    print(handler.dispatch(paid))


# -------------------------------------------------------------------------------- policies


def policies(refund: OrderRefunded, paid: OrderPaid, ctx: Refund, desk: Desk) -> Verdict:
    policy = RefundPolicy()
    policy.evaluate_all(desk, None, refund)  # E: arg-type | reportArgumentType
    policy.evaluate_all(ctx, None, paid)  # E: arg-type | reportArgumentType
    policy.evaluate_all(ctx, desk, refund)  # E: arg-type | reportArgumentType
    for denial in policy.evaluate_all(ctx, None, refund):
        return denial
    return PERMIT
