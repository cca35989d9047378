"""What a user writes beside the golden case `gates`, and what must hold of it when it runs.

Every public function without arguments is one promise. They run in processes of their own: the
classes here claim kinds that other examples claim too.
"""

# ruff: noqa: ARG002  a hook takes what the schema says, whether it needs it or not
from __future__ import annotations

import datetime as dt
import decimal
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, cast, final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak import (
    PERMIT,
    Coordinate,
    Denial,
    GateSet,
    IllegalTransition,
    InvalidArgument,
    Pipeline,
    PolicyStamp,
    Proposal,
    Receipt,
    Region,
    Store,
    Verdict,
    new_id,
    override,
)
from batpak.exact import EXACT
from batpak.guard.verdict import GATE_DEFECT
from batpak.system import BypassRecorded, DenialRecorded
from batpak.testing import sample
from batpak_codegen import names
from batpak_codegen.config import configure
from batpak_codegen.example import examples
from batpak_codegen.ir import Given
from batpak_codegen.link import link
from batpak_codegen.source.load import load
from batpak_codegen.types import EnumType, ListOf, OptionalOf, Type, bare
from tests.golden.cases_out.gates.expected.common.types import Currency, Money
from tests.golden.cases_out.gates.expected.depot.parcels import (
    Noted,
    Packed,
    ParcelId,
    Repacked,
    Size,
    Weighed,
)
from tests.golden.cases_out.gates.expected.depot.parcels import hooks as p
from tests.golden.cases_out.gates.expected.depot.parcels.parcel_gates import RepackParcelGates
from tests.golden.cases_out.gates.expected.depot.parcels.parcel_machine import (
    ParcelMachine,
    SealedParcel,
)
from tests.golden.cases_out.gates.expected.depot.parcels.policies import Notes
from tests.golden.cases_out.gates.expected.depot.parcels.testing import ParcelScenario
from tests.golden.cases_out.gates.expected.orders import (
    CancelReason,
    Carrier,
    CustomerId,
    OrderId,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
)
from tests.golden.cases_out.gates.expected.orders import hooks as h
from tests.golden.cases_out.gates.expected.orders.contexts import Checkout, Desk, Refund
from tests.golden.cases_out.gates.expected.orders.order_machine import (
    CancelledOrder,
    DraftOrder,
    OrderMachine,
    PaidOrder,
    PlacedOrder,
    PlaceOrder,
    ShippedOrder,
)
from tests.golden.cases_out.gates.expected.orders.policies import RefundPolicy
from tests.golden.cases_out.gates.expected.orders.testing import OrderScenario

GENERATED = "tests.golden.cases_out.gates.expected"
CASE = Path(__file__).parents[2] / "golden" / "cases_out" / "gates"
NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
BLOCKED = CustomerId(UUID(int=13))
CHECKOUT = Checkout(
    credit_limit=Money(amount=Decimal(100), currency=Currency.EUR), blocked=frozenset({BLOCKED})
)


@final
class Hooks(h.OrdersHooks):
    @h.override
    def gate_credit_ok(self, ctx: h.Checkout, event: h.OrderPlaced, /) -> h.CreditOkVerdict:
        if event.customer_id in ctx.blocked:
            return "CREDIT_HOLD"
        if event.total.amount > ctx.credit_limit.amount:
            return "CREDIT_LIMIT"
        return h.PERMIT

    @h.override
    def evolve_order_ship(self, state: h.Paid, event: h.OrderShipped, /) -> h.Shipped:
        return h.Shipped(
            order_id=state.order_id,
            customer_id=state.customer_id,
            lines=state.lines,
            total=state.total,
            placed_at=state.placed_at,
            payment_id=state.payment_id,
            paid_at=state.paid_at,
            carrier=event.carrier,
            label=f"{event.carrier.value}/{event.tracking or state.order_id.hex}",
        )


@final
class Answering(h.OrdersHooks):
    """Says what no type checker would let it say."""

    def __init__(self, answer: Callable[[], object]) -> None:
        self.answer = answer

    @h.override
    def gate_credit_ok(self, ctx: h.Checkout, event: h.OrderPlaced, /) -> h.CreditOkVerdict:
        return cast("h.CreditOkVerdict", self.answer())

    @h.override
    def evolve_order_ship(self, state: h.Paid, event: h.OrderShipped, /) -> h.Shipped:
        return cast("h.Shipped", self.answer())


@final
class ParcelHooks(p.ParcelsHooks):
    @override
    def gate_careful(
        self, ctx: p.Scale, state: p.Full | p.Sealed, event: p.Repacked, /
    ) -> p.CarefulVerdict:
        return "SEALED" if ctx.sealed and isinstance(state, p.Sealed) else p.PERMIT

    @override
    def gate_a_gate_whose_name_is_as_long_as_names_of_gates_can_be_it_seems(
        self, state: p.Full | p.Sealed, event: p.Lost, /
    ) -> p.AGateWhoseNameIsAsLongAsNamesOfGatesCanBeItSeemsVerdict:
        return "NOBODY_HAS_EVER_HEARD_OF_IT"

    @override
    def gate_noted(self, event: p.Noted, /) -> p.NotedVerdict:
        return "RUDE" if "blast" in event.text else p.PERMIT

    @override
    def evolve_parcel_lose(self, state: p.Full | p.Sealed, event: p.Lost, /) -> p.Gone:
        return p.Gone(
            parcel_id=event.parcel_id,
            weight=state.weight,
            was=state.remark,
            label="lost",
            a_very_long_word_about_it="incomprehensible",
        )


def placing(orders: OrderMachine, customer: CustomerId, price: str) -> PlaceOrder:
    line = OrderLine(
        sku="BOOK-1",
        quantity=3,
        unit_price=Money(amount=Decimal(price), currency=Currency.EUR),
    )
    return orders.new(new_id(OrderId)).place(
        customer_id=customer,
        customer_email="ada@example.org",
        lines=(line, line),
        total=Money(amount=Decimal(price) * 6, currency=Currency.EUR),
        placed_at=NOON,
    )


def placed(orders: OrderMachine) -> PlacedOrder:
    move = placing(orders, new_id(CustomerId), "2.50")
    verdict = orders.place_gates.evaluate(CHECKOUT, move)
    assert not isinstance(verdict, Denial), verdict
    return orders.commit(verdict)


def paid(orders: OrderMachine) -> PaidOrder:
    order = placed(orders)
    move = order.pay(payment_id=UUID(int=1), amount=order.data.total, paid_at=NOON)
    verdict = orders.pay_gates.evaluate(None, move)
    assert not isinstance(verdict, Denial), verdict
    return orders.commit(verdict)


def again(order: DraftOrder, event: OrderPlaced) -> PlaceOrder:
    return order.place(
        customer_id=event.customer_id,
        customer_email=event.customer_email,
        lines=event.lines,
        total=event.total,
        placed_at=event.placed_at,
    )


def denied(verdict: object) -> Denial:
    assert isinstance(verdict, Denial), verdict
    return verdict


def a_python_gate_permits_or_denies_with_the_message_of_the_schema() -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        orders = OrderMachine(store, Hooks())
        too_much = placing(orders, new_id(CustomerId), "25.00")
        blocked = placing(orders, BLOCKED, "1.00")

        first = denied(orders.place_gates.evaluate(CHECKOUT, too_much))
        second = denied(orders.place_gates.evaluate(CHECKOUT, blocked))

        assert (first.gate, first.code) == ("credit_ok", "CREDIT_LIMIT")
        assert first.message == "150.00 is over the limit of 100"
        assert (second.code, second.defect) == ("CREDIT_HOLD", None)
        assert second.message == f"orders of {BLOCKED.hex} are on hold"
        assert placed(orders).version == 1


def whatever_else_a_python_gate_answers_is_a_defect_and_denies() -> None:
    def fails() -> object:
        raise LookupError("no such customer")

    async def later() -> object:
        return PERMIT

    answers: list[Callable[[], object]] = [
        lambda: "CREDIT_LIMITS",
        lambda: "",
        lambda: None,
        lambda: True,
        lambda: b"CREDIT_HOLD",
        object,
        lambda: Denial("credit_ok", "CREDIT_HOLD", "by hand"),
        fails,
    ]
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        for answer in answers:
            orders = OrderMachine(store, Answering(answer))
            move = placing(orders, new_id(CustomerId), "1.00")

            denial = denied(orders.place_gates.evaluate(CHECKOUT, move))

            assert (denial.gate, denial.code) == ("credit_ok", GATE_DEFECT)
            assert denial.defect is not None
        coroutine = later()
        orders = OrderMachine(store, Answering(lambda: coroutine))
        move = placing(orders, new_id(CustomerId), "1.00")
        assert denied(orders.place_gates.evaluate(CHECKOUT, move)).code == GATE_DEFECT
        coroutine.close()


def a_python_gate_that_gets_the_wrong_context_denies_and_without_hooks_there_is_none() -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        orders = OrderMachine(store, Hooks())
        move = placing(orders, new_id(CustomerId), "1.00")
        gates: Any = orders.place_gates

        verdict = gates.evaluate(Desk(roles=frozenset()), move)
        nothing: Any = None

        assert denied(verdict).code == GATE_DEFECT
        with pytest.raises(AttributeError, match="gate_careful"):
            RepackParcelGates(nothing)


def a_context_decides_what_the_event_alone_cannot() -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        orders = OrderMachine(store, Hooks())
        order = placed(orders)
        move = order.cancel(reason=CancelReason.STOCK, cancelled_at=NOON + dt.timedelta(days=2))

        late = orders.cancel_gates.evaluate(Desk(roles=frozenset({"sales"})), move)
        helped = orders.cancel_gates.evaluate(Desk(roles=frozenset({"support"})), move)

        assert denied(late).code == "TOO_LATE"
        assert not isinstance(helped, Denial)
        cancelled: CancelledOrder = orders.commit(helped)
        assert cancelled.data.pieces == 6
        again = orders.load(order.data.order_id)
        assert isinstance(again, CancelledOrder)
        assert again.data == cancelled.data


def a_step_of_the_users_own_runs_on_every_load() -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        orders = OrderMachine(store, Hooks())
        order = paid(orders)
        shipped: ShippedOrder = orders.apply(
            order.ship(carrier=Carrier.DHL, tracking="JD1", shipped_at=NOON)
        )
        assert shipped.data.label == "dhl/JD1"

        other = OrderMachine(store, Answering(lambda: replace(shipped.data, label="another rule")))
        again = other.load(order.data.order_id)

        assert isinstance(again, ShippedOrder)
        assert again.data.label == "another rule"


def a_step_that_fails_or_gives_another_state_leaves_nothing_behind() -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        order = paid(OrderMachine(store, Hooks()))
        for answer in (lambda: order.data, lambda: None):
            orders = OrderMachine(store, Answering(answer))
            with pytest.raises(IllegalTransition, match="the step of Paid"):
                orders.apply(order.ship(carrier=Carrier.UPS, shipped_at=NOON))
            assert len(list(store.stream(order.coordinate.entity))) == 2


def what_a_move_computes_is_exact_under_any_context_of_the_thread() -> None:
    parcel = ParcelId(UUID(int=7))
    history: list[Packed | Repacked | Weighed] = [
        Packed(
            parcel_id=parcel,
            grams=(600, 500),
            price=Money(amount=Decimal("1234567.89"), currency=Currency.EUR),
            size=Size.LARGE,
            note="fragile",
        ),
        Weighed(parcel_id=parcel, at=NOON),
    ]
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        parcels = ParcelMachine(store, ParcelHooks())
        with decimal.localcontext(decimal.Context(prec=5, traps=[])):
            found = parcels.replay(parcel, history)

        assert isinstance(found, SealedParcel)
        assert found.data.fee == Decimal("18518.51835")
        assert found.data.due == NOON + dt.timedelta(days=2)
        assert (found.data.weight, found.data.remark) == (1100, "fragile")


def a_move_computes_enums_and_nulls_and_forgets_the_rest() -> None:
    parcel = ParcelId(UUID(int=7))
    history: list[Packed | Repacked] = [
        Packed(
            parcel_id=parcel,
            grams=(1,),
            price=Money(amount=Decimal(1), currency=Currency.EUR),
            size=Size.SMALL,
            note="fragile",
        ),
        Repacked(parcel_id=parcel, grams=(-1, *range(10)), at=NOON),
    ]
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        found = ParcelMachine(store, ParcelHooks()).replay(parcel, history)

        assert isinstance(found.data, p.Full)
        assert (found.data.weight, found.data.size, found.data.remark) == (45, Size.LARGE, None)


def a_policy_judges_an_event_that_is_no_move() -> None:
    amount = Money(amount=Decimal("5.00"), currency=Currency.EUR)
    event = OrderRefunded(order_id=new_id(OrderId), amount=amount, refunded_at=NOON)
    policy = RefundPolicy()

    assert policy.evaluate_all(Refund(paid=amount, approved_by="ada"), None, event) == ()
    (denial,) = policy.evaluate_all(Refund(paid=amount), None, event)

    assert (denial.policy, denial.code) == ("shop.orders.RefundPolicy", "REFUND_TOO_HIGH")
    assert denial.message == "a refund of 5.00 needs approval and at least that payment"


def a_policy_asks_hooks_as_a_machine_does() -> None:
    policy = Notes(ParcelHooks())

    def codes(text: str) -> list[str]:
        event = Noted(parcel_id=ParcelId(UUID(int=1)), text=text)
        return [denial.code for denial in policy.evaluate_all(None, None, event)]

    assert codes("mind the step") == []
    assert codes("blast it") == ["RUDE"]
    assert codes("blast " * 20) == ["LONG", "RUDE"]


def refunding(amount: str = "5.00") -> OrderRefunded:
    money = Money(amount=Decimal(amount), currency=Currency.EUR)
    return OrderRefunded(order_id=new_id(OrderId), amount=money, refunded_at=NOON)


REFUND = Refund(paid=Money(amount=Decimal(10), currency=Currency.EUR), approved_by="ada")
PLACE = Coordinate("refund:1", "shop.orders")


@dataclass(frozen=True)
class Incident:
    reason: str = "outage"
    justification: str = "INC-4711: the payment provider lost its answers"


def a_policy_of_a_schema_works_with_a_pipeline_from_end_to_end() -> None:
    pipeline = Pipeline(RefundPolicy(), max_age_s=30)
    event = refunding()
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        refused = denied(pipeline.evaluate(REFUND, Proposal(refunding("10.01"))))
        store.append_denial(PLACE, refused.with_context(desk=4), pipeline="refunds")
        verdict = pipeline.evaluate(REFUND, Proposal(event))
        assert isinstance(verdict, Receipt)
        committed = pipeline.commit(verdict, store, PLACE, expected_version=0)
        passing = Pipeline.bypass(Proposal(refunding("99.00")), Incident(), approved_by="ada")
        Pipeline.commit_bypass(passing, store, PLACE, expected_version=1)

        assert [found.payload.amount.amount for found in store.by_fact(OrderRefunded)] == [
            Decimal("5.00"),
            Decimal("99.00"),
        ]
        first = store.get(committed.receipt.event_id, OrderRefunded)
        assert first.payload == committed.event == event
        assert PolicyStamp.of(first.extensions) == PolicyStamp(
            "shop.orders.RefundPolicy", RefundPolicy().fingerprint, ("refund_within_payment",)
        )
        (record,) = store.query(Region(entity="batpak:denial:refund:1"))
        assert isinstance(record.payload, DenialRecorded)
        assert Denial.of(record.payload).explain().splitlines() == [
            f"refund_within_payment: {refused.message} [REFUND_TOO_HIGH]",
            f"policy shop.orders.RefundPolicy {RefundPolicy().fingerprint.hex()[:16]}",
            "  denied    refund_within_payment",
            "  desk: 4",
        ]
        (audit,) = store.query(Region(entity="batpak:bypass"))
        assert isinstance(audit.payload, BypassRecorded)
        assert (audit.payload.reason, audit.payload.approved_by) == ("outage", "ada")
        assert store.verify().ok


def a_policy_with_hooks_works_with_a_pipeline() -> None:
    pipeline = Pipeline(Notes(ParcelHooks()))
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        for text, code in (("mind the step", None), ("blast it", "RUDE")):
            event = Noted(parcel_id=ParcelId(UUID(int=1)), text=text)
            verdict = pipeline.evaluate(None, Proposal(event))
            assert getattr(verdict, "code", None) == code
            if isinstance(verdict, Receipt):
                pipeline.commit(verdict, store, Coordinate("note:1", "shop.depot"))
        assert [found.payload.text for found in store.by_fact(Noted)] == ["mind the step"]


class Unsure:
    name = "unsure"

    def judge(self, ctx: Refund, state: None, event: OrderRefunded, /) -> bool:
        return True


class Forgetful:
    name = "forgetful"

    def judge(self, ctx: Refund, state: None, event: OrderRefunded, /) -> Verdict:
        return PERMIT if ctx.approved_by == "nobody" else cast("Verdict", None)


class PaidOnly:
    name = "paid_only"

    def judge(self, ctx: Refund, state: None, event: OrderPaid, /) -> Verdict:
        return PERMIT if event.payment_id.int else Denial("paid_only", "UNPAID", "not paid")


class OtherGates(GateSet[None, p.Full, OrderPaid]):
    """Of the shape of another set, and permits everything."""


def what_a_checker_refuses_about_moves_is_refused_without_one_too() -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        orders = OrderMachine(store, Hooks())
        order = placed(orders)
        pay = order.pay(payment_id=UUID(int=1), amount=order.data.total, paid_at=NOON)
        cancel_gates, pay_gates = cast("Any", orders.cancel_gates), cast("Any", orders.pay_gates)
        before = store.count()

        # a set of the same shape does not judge it; nor do the gates of another move
        with pytest.raises(InvalidArgument, match="needs PayOrderGates, and this is OtherGates"):
            cast("Any", OtherGates()).evaluate(None, pay)
        with pytest.raises(InvalidArgument, match="needs PayOrderGates"):
            cancel_gates.evaluate(Desk(roles=frozenset()), pay)
        # the wrong context
        assert (
            denied(
                cancel_gates.evaluate(
                    REFUND, order.cancel(reason=CancelReason.STOCK, cancelled_at=NOON)
                )
            ).code
            == GATE_DEFECT
        )
        # a proposal for the set of a machine; a pipeline over it
        with pytest.raises(InvalidArgument, match="judges the moves of a machine"):
            pay_gates.evaluate(None, Proposal(pay.event))
        with pytest.raises(InvalidArgument, match="judges the moves of a machine"):
            Pipeline(pay_gates)
        # a verdict is no move, and a receipt is made by nobody
        verdict = pay_gates.evaluate(None, pay)
        with pytest.raises(InvalidArgument, match="expected a Transition or a Guarded"):
            orders.apply(verdict)
        with pytest.raises(TypeError):
            cast("Any", Receipt)(pay)

        assert store.count() == before


def what_a_checker_refuses_about_proposals_is_refused_without_one_too() -> None:
    pipeline: Any = Pipeline(RefundPolicy())
    bypass: Any = Pipeline.bypass
    proposal = Proposal(refunding())
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        before = store.count()
        paid_event = OrderPaid(
            order_id=new_id(OrderId),
            payment_id=UUID(int=1),
            amount=proposal.event.amount,
            paid_at=NOON,
        )

        with pytest.raises(InvalidArgument, match="expected a Receipt, got a Proposal"):
            pipeline.commit(proposal, store, PLACE)
        assert denied(pipeline.evaluate(Desk(roles=frozenset()), proposal)).code == GATE_DEFECT
        # it has all that the gate looks at, and is another event all the same
        with pytest.raises(InvalidArgument, match="is for OrderRefunded, not for OrderPaid"):
            pipeline.evaluate(REFUND, Proposal(paid_event))
        with pytest.raises(InvalidArgument, match="expected a Receipt, got a BypassReceipt"):
            pipeline.commit(bypass(proposal, Incident()), store, PLACE)
        for wrong in ("in a hurry", None, Incident(reason=" ")):
            with pytest.raises(InvalidArgument):
                bypass(proposal, wrong)
        for gate in (Unsure(), Forgetful(), PaidOnly()):
            loose: Any = GateSet[Refund, None, OrderRefunded](cast("Any", gate))
            assert denied(loose.evaluate(REFUND, proposal)).code == GATE_DEFECT

        assert store.count() == before


class Loose:
    """Has the values of an example, and for a message something else under every other name."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values

    def __getattr__(self, name: str) -> object:
        return self.values.get(name, "?")


def classes(package: str) -> dict[str, Any]:
    """The types that a package knows, its own and those it imports."""
    parts = package.split(".")[1:]
    module = import_module(f"{GENERATED}.{'.'.join(parts)}.types")
    return {**vars(import_module(f"{GENERATED}.common.types")), **vars(module)}


def made(known: dict[str, Any], type_: Type, value: object) -> object:
    """A value of an example as generated code gets it."""
    of = bare(type_)
    of = bare(of.of) if isinstance(of, OptionalOf) else of
    if isinstance(value, Given):
        fields = {
            f.name: made(known, f.type, value.fields[f.name])
            for f in value.type.fields
            if f.name in value.fields
        }
        whole = len(fields) == len(value.type.fields)
        return known[value.type.name](**fields) if whole else Loose(fields)
    if isinstance(of, EnumType) and value is not None:
        return known[of.name](value)
    if isinstance(of, ListOf):
        return tuple(made(known, of.item, item) for item in cast("tuple[object, ...]", value))
    return value


def every_example_of_the_schema_holds_for_the_python_that_was_printed() -> None:
    config = configure(CASE / "pyproject.toml")
    files = load([CASE / "schemas"], CASE).files
    project = link(files, out_module=config.out_module, package_root=config.package_root)
    judged = 0
    for package in project.packages:
        known = classes(package.name)
        modules = [f"{names.snake(machine.name)}_gates" for machine in package.machines]
        modules += ["policies"] if package.policies else []
        judges: dict[str, Any] = {}
        for module in modules:
            path = ".".join((GENERATED, *package.parts, module))
            judges |= vars(import_module(path))
        for gate, example in examples(package):
            given = [
                Loose(
                    {
                        f.name: made(known, f.type, part.fields[f.name])
                        for f in part.type.fields
                        if f.name in part.fields
                    }
                )
                if part
                else None
                for part in (example.ctx, example.state, example.event)
            ]
            with decimal.localcontext(EXACT):
                verdict = judges[f"judge_{gate.name}"](*given)
            assert getattr(verdict, "code", None) == example.code, (gate.name, example)
            judged += 1
    assert judged >= 9


def a_machine_with_gates_and_hooks_walks_along_its_edges() -> None:
    @settings(database=None, deadline=None, derandomize=True, max_examples=20)
    @given(st.data())
    def walks(data: st.DataObject) -> None:
        OrderScenario(Hooks()).walk(data)
        ParcelScenario(ParcelHooks()).walk(data)

    walks()


def a_rule_with_gates_and_hooks_is_a_scenario() -> None:
    orders = OrderScenario(Hooks())
    order_id, total = new_id(OrderId), Money(amount=Decimal("2.50"), currency=Currency.EUR)
    event = sample(OrderPlaced, order_id=order_id, customer_id=BLOCKED, total=total)

    denial = (
        orders.given(order_id)
        .when(DraftOrder, lambda order: again(order, event), CHECKOUT)
        .denied("TOTAL_MISMATCH")
    )
    paid: PaidOrder = (
        orders.given(order_id, event)
        .when(
            PlacedOrder, lambda o: o.pay(payment_id=UUID(int=1), amount=total, paid_at=NOON), None
        )
        .stores(OrderPaid(order_id=order_id, payment_id=UUID(int=1), amount=total, paid_at=NOON))
    )

    assert denial.gate == "total_matches_lines"
    assert paid.data.total == total


def hooks_that_miss_a_method_cannot_be_made() -> None:
    class Partial(h.OrdersHooks):
        @override
        def gate_credit_ok(self, ctx: h.Checkout, event: h.OrderPlaced, /) -> h.CreditOkVerdict:
            return PERMIT

    partial: Any = Partial

    with pytest.raises(TypeError, match="evolve_order_ship"):
        partial()
