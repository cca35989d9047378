"""Misuse of receipts, proposals, pipelines and bypasses.

After the mark: mypy's error codes, then pyright's rules. A dash: the checker accepts the line.
That the same is refused where no checker looks is proved in tests/unit/codegen/gates_world.py.
"""
# fmt: off
# ruff: noqa
from __future__ import annotations

from dataclasses import dataclass
from typing import final

from batpak import (
    PERMIT, BypassReceipt, BypassReason, Committed, Coordinate, Denial, GateSet, Pipeline, Proposal, Receipt, Store,
    Verdict,
)

from tests.golden.cases_out.gates.expected.orders import OrderPaid, OrderRefunded, OrderShipped
from tests.golden.cases_out.gates.expected.orders.contexts import Desk, Refund
from tests.golden.cases_out.gates.expected.orders.order_gates import PayOrderGates
from tests.golden.cases_out.gates.expected.orders.order_machine import OrderMachine, PayOrder
from tests.golden.cases_out.gates.expected.orders.order_states import Placed
from tests.golden.cases_out.gates.expected.orders.policies import RefundPolicy


@final
class OtherGates(GateSet[None, Placed, OrderPaid]):
    pass


def moves(orders: OrderMachine, pay: PayOrder, desk: Desk) -> None:
    OtherGates().evaluate(None, pay)  # E: arg-type,call-overload | reportCallIssue,reportArgumentType
    orders.cancel_gates.evaluate(desk, pay)  # E: arg-type,call-overload | reportCallIssue,reportArgumentType
    orders.pay_gates.evaluate(desk, pay)  # E: arg-type,call-overload | reportCallIssue,reportArgumentType
    orders.pay_gates.evaluate(None, Proposal(pay.event))  # E51: arg-type,call-overload,misc | reportCallIssue,reportArgumentType
    orders.apply(orders.pay_gates.evaluate(None, pay))  # E: arg-type | reportArgumentType
    Receipt(pay)  # E: call-arg,arg-type | reportCallIssue,reportArgumentType


def proposals(db: Store, at: Coordinate, desk: Desk, refund: OrderRefunded, pay: PayOrder, reason: BypassReason, ctx: Refund) -> None:
    pipeline = Pipeline(RefundPolicy(), max_age_s=30)
    pipeline.commit(Proposal(refund), db, at)  # E54: arg-type | reportArgumentType
    pipeline.commit(pipeline.evaluate(ctx, Proposal(refund)), db, at)  # E: arg-type | reportArgumentType
    pipeline.evaluate(desk, Proposal(refund))  # E55: arg-type | reportArgumentType
    pipeline.evaluate(ctx, Proposal(pay.event))  # E56: arg-type | reportArgumentType
    pipeline.evaluate(ctx, pay)  # E: arg-type | reportArgumentType
    pipeline.commit(Pipeline.bypass(Proposal(refund), reason), db, at)  # E57: arg-type | reportArgumentType
    Pipeline(PayOrderGates())  # E58: arg-type | reportArgumentType
    Pipeline.bypass(Proposal(refund), "in a hurry")  # E59: arg-type | reportArgumentType
    Pipeline.bypass(refund, reason)  # E: arg-type | reportArgumentType
    Pipeline.commit_bypass(Proposal(refund), db, at)  # E: arg-type | reportArgumentType
    BypassReceipt(Proposal(refund))  # E: call-arg,arg-type | reportCallIssue,reportArgumentType
    verdict = RefundPolicy().evaluate(ctx, Proposal(refund))
    if not isinstance(verdict, Denial):
        db.append_denial(at, verdict)  # E: arg-type | reportArgumentType
        other: Committed[OrderPaid] = pipeline.commit(verdict, db, at)  # E: arg-type,assignment | reportAssignmentType,reportArgumentType
        print(other)


def truth(denial: Denial) -> None:
    if denial:  # E: - | reportGeneralTypeIssues
        print("refused")  # E: unreachable | -


def truth_of_a_verdict(orders: OrderMachine, pay: PayOrder) -> None:
    if orders.pay_gates.evaluate(None, pay):  # E: - | reportGeneralTypeIssues
        print("permitted, or refused")


class Forgetful:
    name = "forgetful"

    def judge(self, ctx: Refund, state: None, event: OrderRefunded, /) -> Verdict:  # E: return | reportReturnType
        if ctx.approved_by is not None:
            return PERMIT


class Unsure:
    name = "unsure"

    def judge(self, ctx: Refund, state: None, event: OrderRefunded, /) -> bool:
        return True


class ShippedOnly:
    name = "shipped_only"

    def judge(self, ctx: Refund, state: None, event: OrderShipped, /) -> Verdict:
        return PERMIT


GateSet[Refund, None, OrderRefunded](Unsure())  # E: arg-type | reportArgumentType
GateSet[Refund, None, OrderRefunded](ShippedOnly())  # E: arg-type | reportArgumentType


# ------------------------------------------------------------------------- the use that is legal


@dataclass(frozen=True)
class Incident:
    reason: str
    justification: str


def legal(db: Store, at: Coordinate, refund: OrderRefunded, ctx: Refund) -> Committed[OrderRefunded]:
    pipeline = Pipeline(RefundPolicy(), max_age_s=30)
    verdict = pipeline.evaluate(ctx, Proposal(refund))
    if isinstance(verdict, Denial):
        db.append_denial(at, verdict.with_context(asked=1), pipeline="refunds")
        passing = Pipeline.bypass(Proposal(refund), Incident("outage", "INC-1"), approved_by="ada")
        bypassed: Committed[OrderRefunded] = Pipeline.commit_bypass(passing, db, at)
        return bypassed
    receipt: Receipt[Proposal[OrderRefunded]] = verdict
    return pipeline.commit(receipt, db, at)
