"""Judging: one gate, three of them to a receipt, and what a commit adds to an append.

The event is `MoneyTransferred` of the transfer example, and the gates are those that its schema
declares. There is no peer: nothing else here judges.
"""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import UUID

from bank.gen.transfers import AccountId, Currency, Money, MoneyTransferred
from bank.gen.transfers.contexts import Standing
from bank.gen.transfers.policies import judge_covered, judge_not_frozen, judge_within_limit
from batpak import Coordinate, Denial, Durability, GateSet, Pipeline, Proposal, wire
from batpak.abi import Rule
from tests.bench.contenders import batpak_store
from tests.bench.line import OURS, AtMost, Line
from tests.bench.rounds import Contender, Plan, measure

ENCODED = "check and encode alone"
DENIED = "the first of them denies"
BARE = "without the stamp of the policy"
PLACE = Coordinate("account:1", "bank.transfers")
STANDING = Standing(
    payer_frozen=False,
    payee_frozen=False,
    payer_currency=Currency.EUR,
    payee_currency=Currency.EUR,
    balance=Decimal("1000000.00"),
    limit=Decimal("1000000.00"),
    paid_before=frozenset(),
)


class Three(GateSet[Standing, None, MoneyTransferred]):
    """Three gates of a schema."""

    POLICY = "bench.Three"

    def __init__(self) -> None:
        super().__init__(
            Rule("covered", judge_covered, source="covered", codes=("NOT_COVERED",)),
            Rule("not_frozen", judge_not_frozen, source="not_frozen", codes=("FROZEN",)),
            Rule("within_limit", judge_within_limit, source="within_limit", codes=("OVER_LIMIT",)),
        )


def lines(plan: Plan) -> list[Line]:
    """Microseconds an event, for each of the three."""
    events = [_event(number) for number in range(len(plan.work))]
    return [_gate(plan, events), _receipt(plan, events), _commit(plan, events)]


def _event(number: int) -> MoneyTransferred:
    return MoneyTransferred(
        payer=AccountId(UUID(int=1)),
        payee=AccountId(UUID(int=2)),
        money=Money(amount=Decimal(number + 1).scaleb(-2), currency=Currency.EUR),
        purpose="rent",
        transferred_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=number),
    )


def _gate(plan: Plan, events: list[MoneyTransferred]) -> Line:
    line = Line("gate", "ask one compiled gate", OURS, aims=[AtMost(OURS, 0.15, "≤ 0.15 µs")])

    def ours() -> float:
        began = time.perf_counter()
        for event in events:
            judge_within_limit(STANDING, None, event)
        return _each(began, events)

    return measure(line, plan.rounds, [(OURS, ours)])


def _receipt(plan: Plan, events: list[MoneyTransferred]) -> Line:
    line = Line(
        "judge",
        "three gates to a receipt",
        OURS,
        aims=[AtMost(OURS, 4, "≤ 4 µs"), AtMost(DENIED, 1.6, "≤ 1.6 µs")],
    )
    policy, proposals = Three(), [Proposal(event) for event in events]
    poor = Standing(
        payer_frozen=False,
        payee_frozen=False,
        payer_currency=Currency.EUR,
        payee_currency=Currency.EUR,
        balance=Decimal(0),
        limit=Decimal(0),
        paid_before=frozenset(),
    )

    def judged(standing: Standing) -> float:
        began = time.perf_counter()
        for proposal in proposals:
            policy.evaluate(standing, proposal)
        return _each(began, events)

    def encoded() -> float:
        began = time.perf_counter()
        for event in events:
            wire.encode(event)
        return _each(began, events)

    contenders = [
        (OURS, lambda: judged(STANDING)),
        (DENIED, lambda: judged(poor)),
        (ENCODED, encoded),
    ]
    return measure(line, plan.rounds, contenders)


def _commit(plan: Plan, events: list[MoneyTransferred]) -> Line:
    line = Line(
        "commit",
        "what a commit adds to encode and append, no sync",
        OURS,
        per_second=False,
        aims=[AtMost(OURS, 2.5, "≤ 2.5 µs")],
    )

    def beyond(folder: Path, *, stamps: bool) -> float:
        committed = _committed(folder / "a", events, stamps=stamps)
        return committed - _appended(folder / "b", events)

    contenders: list[Contender] = [
        (OURS, plan.fresh(partial(beyond, stamps=True))),
        (BARE, plan.fresh(partial(beyond, stamps=False))),
    ]
    return measure(line, plan.rounds, contenders)


def _committed(folder: Path, events: list[MoneyTransferred], *, stamps: bool) -> float:
    folder.mkdir()
    pipeline = Pipeline(Three(), stamp_policy=stamps)
    verdicts = [pipeline.evaluate(STANDING, Proposal(event)) for event in events]
    receipts = [verdict for verdict in verdicts if not isinstance(verdict, Denial)]
    with batpak_store.create(folder, Durability.OS) as store:
        began = time.perf_counter()
        for receipt in receipts:
            pipeline.commit(receipt, store, PLACE)
        return _each(began, events)


def _appended(folder: Path, events: list[MoneyTransferred]) -> float:
    """An append of each, and encoding it once more, as whoever compares it with what was judged."""
    folder.mkdir()
    with batpak_store.create(folder, Durability.OS) as store:
        began = time.perf_counter()
        for event in events:
            wire.encode(event)
            store.append(PLACE, event)
        return _each(began, events)


def _each(began: float, events: list[MoneyTransferred]) -> float:
    return (time.perf_counter() - began) / len(events) * 1e6
