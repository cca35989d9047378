"""The process of the example answers each event once, and gives back what it has to.

It is what people copy who let one thing follow from another; without this, a crash would send two
parcels, or keep somebody's money.
"""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batpak import Durability, ReactionBatch, Region, Store, StoreConfig, WorkerFailed, WorkerState
from batpak.read.checkpoint import Checkpoint
from fulfilment.app import awaited, history, place, tell
from fulfilment.gen.orders import (
    DeadlineSet,
    OrderCancelled,
    OrderId,
    OrderSent,
    ParcelRequested,
    PaymentTaken,
    Reason,
    RefundRequested,
)
from fulfilment.gen.orders.order_machine import (
    CancelledOrder,
    OrderMachine,
    OrderState,
    PlacedOrder,
    SentOrder,
)
from fulfilment.outside import at_work, ring
from fulfilment.process import CHECKPOINT, payment, running

EXAMPLE = Path(__file__).parents[2] / "examples" / "process_manager"
TOMORROW = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)
SCOPE = Region(scope="fulfilment.orders")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    config = StoreConfig(durability=Durability.OS)
    with Store.open(tmp_path / "fulfilment.store", config) as opened:
        yield opened


def settle(store: Store) -> None:
    """Let the process answer everything that there is."""
    with running(store) as worker:
        while worker.lag and worker.state is WorkerState.RUNNING:
            time.sleep(0.001)


def causes(store: Store, order_id: OrderId) -> list[tuple[str, str | None]]:
    """What was said about an order, and what each of it followed from."""
    said = list(history(store, order_id))
    names = {event.event_id: type(event.payload).__name__ for event in said}
    return [
        (names[event.event_id], names[event.causation_id] if event.causation_id else None)
        for event in said
    ]


LAMP = [
    ("OrderPlaced", None),
    ("GoodsReserved", "OrderPlaced"),
    ("PaymentRequested", "OrderPlaced"),
    ("DeadlineSet", "OrderPlaced"),
    ("PaymentTaken", "PaymentRequested"),
    ("OrderPaid", "PaymentTaken"),
    ("ParcelRequested", "PaymentTaken"),
    ("ParcelSent", "ParcelRequested"),
    ("OrderSent", "ParcelSent"),
]


def test_an_order_that_is_paid_is_sent_and_each_step_says_what_it_follows_from(
    store: Store,
) -> None:
    with running(store), at_work(store):
        lamp = place(store, "lamp", 4_000, TOMORROW)
        sent = awaited(store, lamp, OrderSent)

    order = OrderMachine(store).load(lamp)
    assert isinstance(order, SentOrder)
    assert order.data.parcel == sent.payload.parcel
    assert causes(store, lamp) == LAMP


def test_a_refused_payment_gives_the_goods_back(store: Store) -> None:
    with running(store), at_work(store):
        palace = place(store, "palace", 400_000_000, TOMORROW)
        awaited(store, palace, OrderCancelled)

    order = OrderMachine(store).load(palace)
    assert isinstance(order, CancelledOrder)
    assert order.data.reason is Reason.REFUSED
    assert causes(store, palace)[4:] == [
        ("PaymentRefused", "PaymentRequested"),
        ("OrderCancelled", "PaymentRefused"),
        ("GoodsReleased", "PaymentRefused"),
    ]


def test_money_that_comes_too_late_is_given_back(store: Store) -> None:
    with running(store):
        vase = place(store, "vase", 2_500, TOMORROW)
        awaited(store, vase, DeadlineSet)
        ring(store, TOMORROW - dt.timedelta(seconds=1))
        ring(store, TOMORROW)
        awaited(store, vase, OrderCancelled)
        with at_work(store):
            refund = awaited(store, vase, RefundRequested)

    assert refund.payload.cents == 2_500
    assert causes(store, vase)[4:] == [
        ("DeadlinePassed", "DeadlineSet"),
        ("OrderCancelled", "DeadlinePassed"),
        ("GoodsReleased", "DeadlinePassed"),
        ("PaymentTaken", "PaymentRequested"),
        ("RefundRequested", "PaymentTaken"),
    ]


def test_a_deadline_says_nothing_about_an_order_that_is_paid_and_passes_once(store: Store) -> None:
    with running(store), at_work(store):
        lamp = place(store, "lamp", 4_000, TOMORROW)
        awaited(store, lamp, OrderSent)
    for _ in range(2):
        ring(store, TOMORROW)
    settle(store)

    assert causes(store, lamp) == [*LAMP, ("DeadlinePassed", "DeadlineSet")]


def test_what_comes_again_is_not_answered_again(store: Store) -> None:
    tell(store)
    said = store.count(SCOPE)
    for checkpoint in store.cursor_checkpoints():
        store.reset_cursor(checkpoint.checkpoint_id, position=0)

    with at_work(store):
        settle(store)

    assert store.count(SCOPE) == said


def test_a_bank_that_says_so_twice_is_answered_once(store: Store) -> None:
    with running(store):
        lamp = place(store, "lamp", 4_000, TOMORROW)
        awaited(store, lamp, DeadlineSet)
        for _ in range(2):
            store.append(payment(lamp), PaymentTaken(order_id=lamp))
        awaited(store, lamp, ParcelRequested)
    settle(store)

    assert store.count(Region(kinds=ParcelRequested)) == 1


def test_a_process_that_dies_before_its_answer_is_stored_answers_when_it_is_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    push, died = ReactionBatch.push, False

    def die(out: ReactionBatch, *args: object, **options: object) -> None:
        nonlocal died
        push(out, *args, **options)  # type: ignore[arg-type]  # as it was called
        if len(out) == 2 and not died:
            died = True
            raise KeyboardInterrupt  # no failure that is answered by a restart

    lamp = place(store, "lamp", 4_000, TOMORROW)
    monkeypatch.setattr(ReactionBatch, "push", die)
    with pytest.raises(WorkerFailed):
        settle(store)
    assert causes(store, lamp) == LAMP[:1]

    with running(store), at_work(store):
        awaited(store, lamp, OrderSent)

    assert causes(store, lamp) == LAMP


def test_a_process_that_dies_between_its_answer_and_its_checkpoint_has_answered_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_checkpoint: Checkpoint, _position: int) -> None:
        raise OSError("gone")

    lamp = place(store, "lamp", 4_000, TOMORROW)
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", die)
        with pytest.raises(WorkerFailed):
            settle(store)
    assert causes(store, lamp) == LAMP[:4]
    assert CHECKPOINT not in {one.checkpoint_id for one in store.cursor_checkpoints()}

    with running(store), at_work(store):
        awaited(store, lamp, OrderSent)

    assert causes(store, lamp) == LAMP


def test_an_order_that_somebody_moves_in_between_is_looked_at_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = OrderMachine.load

    def cancel_behind_its_back(orders: OrderMachine, order_id: OrderId) -> OrderState:
        order = load(orders, order_id)
        if isinstance(order, PlacedOrder):
            orders.apply(order.cancel(reason=Reason.LATE))
        return order

    with running(store):
        lamp = place(store, "lamp", 4_000, TOMORROW)
        awaited(store, lamp, DeadlineSet)
        monkeypatch.setattr(OrderMachine, "load", cancel_behind_its_back)
        with at_work(store):
            refund = awaited(store, lamp, RefundRequested)

    assert refund.payload.cents == 4_000
    assert store.count(Region(kinds=ParcelRequested)) == 0


def test_the_story_is_the_one_that_the_readme_tells(store: Store, tmp_path: Path) -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    told = readme.partition("fulfilment.store\n")[2].partition("```")[0].splitlines()
    done = subprocess.run(
        [sys.executable, "-m", "fulfilment.app", tmp_path / "other.store"],
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == told, done.stderr
    assert tell(store) == told
