"""The orders example tells its story, and the story is in the store afterwards.

It is the first code a newcomer reads; without this it would rot first.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from batpak import Store
from batpak.system import CloseCompleted, OpenCompleted
from shop.app import Balance, Journal, balances, euros, history, tell
from shop.gen.orders import OrderCancelled, OrderPaid, OrderPlaced
from shop.gen.orders.projections import BalanceState
from tests import warm

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders"


def test_the_story_places_pays_ships_and_cancels_and_a_gate_refuses_twice(tmp_path: Path) -> None:
    with Store.open(tmp_path / "shop.store") as store:
        said = tell(store)

    assert said == [
        "refused by lines_add_up: the lines do not add up to 20.00",
        "placed, waiting for 65.00 eur",
        "refused by paid_in_full: paid 60.00 for an order of 65.00",
        "paid, 2 line(s) to pack",
        "shipped with dhl, JD0001",
        "cancelled: customer",
    ]
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    told = readme.partition("$ python -m shop.app shop.store\n")[2].partition("```")[0]
    assert said == told.splitlines()


def test_a_reopened_store_gives_the_same_balances_and_history(tmp_path: Path) -> None:
    with Store.open(tmp_path / "shop.store") as store:
        tell(store)
        before = balances(store)
        orders = [event.payload.order_id for event in store.by_fact(OrderPlaced)]
        histories = [history(store, order) for order in orders]

    with Store.open_read_only(tmp_path / "shop.store") as reader:
        events = list(reader.query())
    with Store.open(tmp_path / "shop.store") as store:
        after = balances(store)
        again = [history(store, order) for order in orders]

    amount = euros("65.00").amount
    assert before == after
    assert histories == again
    assert next(iter(after.values())) == BalanceState(owed=amount, received=amount)
    assert histories[0] == ["placed for 65.00", "paid 65.00", "shipped with dhl"]
    assert [type(event.payload) for event in (events[0], events[-1])] == [
        OpenCompleted,
        CloseCompleted,
    ]


def test_a_balance_is_the_fold_of_what_one_order_owed_and_got(tmp_path: Path) -> None:
    with Store.open(tmp_path / "shop.store") as store:
        tell(store)
        first, second = balances(store).values()
        empty = store.project(Balance(), "order:nobody")

    assert (first.owed, first.received) == (Decimal(65), Decimal(65))
    assert (second.owed, second.received) == (Decimal(0), Decimal(0))
    assert first.cancelled_at is None
    assert second.cancelled_at is not None
    assert empty is None
    assert Balance.NAME == "shop.orders.Balance"
    assert Balance.STATE is BalanceState
    assert {OrderPlaced.KIND, OrderPaid.KIND, OrderCancelled.KIND} == Balance.KINDS


def test_the_handler_passes_over_what_is_not_an_order(tmp_path: Path) -> None:
    journal = Journal()
    with Store.open(tmp_path / "shop.store") as store:
        tell(store)

        handled = [event.sequence for event in store.query() if journal.handles(event)]

        assert handled == [1, 2, 3, 4, 5]


def test_the_generated_tests_of_the_example_pass() -> None:
    done = warm.run(["-m", *warm.PYTEST, "-q", "tests"], EXAMPLE)

    assert done.returncode == 0, done.stdout
