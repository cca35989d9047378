"""Teaches: a read model in sqlite, in which each event counts once, even if the program is killed.

Run it twice: `python -m depot.app depot.store depot.db`. The second run adds to what is there.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple, final

from batpak import (
    AtLeastOnce,
    Coordinate,
    EventPayload,
    Region,
    Store,
    StoredEvent,
    Watermark,
    override,
)
from batpak.sqlite import Effects
from depot.gen.goods import GoodsBroken, GoodsEvent, GoodsReceived, GoodsSold
from depot.gen.goods.handlers import GoodsHandler

GOODS: Final = Region(scope="depot", kinds=GoodsHandler.KINDS)
STOCK: Final = "stock"  # the id of the checkpoint, and the name of the table

TABLE: Final = """
    CREATE TABLE IF NOT EXISTS stock (
        sku TEXT PRIMARY KEY,
        on_hand INTEGER NOT NULL,
        sold INTEGER NOT NULL,
        cents INTEGER NOT NULL
    )
"""
ADD: Final = """
    INSERT INTO stock VALUES (?, ?, ?, ?) ON CONFLICT (sku) DO UPDATE SET
        on_hand = on_hand + excluded.on_hand,
        sold = sold + excluded.sold,
        cents = cents + excluded.cents
"""


def report(store: Store, event: GoodsEvent) -> int:
    """Store what happened to some goods; return where that stands in the log."""
    return store.append(Coordinate(f"goods:{event.sku}", "depot"), event).sequence


def last_of(store: Store) -> int | None:
    """Return where the last event stands that concerns goods."""
    return next((event.sequence for event in store.entries(GOODS, limit=1, reverse=True)), None)


# -------------------------------------------------------------------------------- writing rows


@final
class Rows(GoodsHandler[None]):
    """What each event does to the table. It adds, so it has to be done once for each."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    @override
    def on_goods_received(self, event: StoredEvent[GoodsReceived], /) -> None:
        self._add(event.payload.sku, on_hand=event.payload.quantity)

    @override
    def on_goods_sold(self, event: StoredEvent[GoodsSold], /) -> None:
        sale = event.payload
        self._add(sale.sku, on_hand=-sale.quantity, sold=sale.quantity, cents=sale.cents)

    @override
    def on_goods_broken(self, event: StoredEvent[GoodsBroken], /) -> None:
        self._add(event.payload.sku, on_hand=-event.payload.quantity)

    def _add(self, sku: str, *, on_hand: int, sold: int = 0, cents: int = 0) -> None:
        self._database.execute(ADD, (sku, on_hand, sold, cents))


class Writer:
    """Handles a batch of events: their rows and the keys that say so, in one transaction.

    The position of the worker is saved after that. A crash in between delivers the batch again, and
    then no event of it is the first of its key.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._rows = Rows(database)

    def write(self, events: Sequence[StoredEvent[EventPayload]], witness: AtLeastOnce) -> None:
        """Take one batch in."""
        with Effects(self._database) as effects:
            for event in events:
                if self._rows.handles(event) and effects.first(witness.once(event)):
                    self._rows.dispatch(event)


@contextmanager
def kept_current(store: Store, path: Path) -> Generator[None]:
    """Keep the table current while the block lasts, on a thread of the store."""
    with closing(sqlite3.connect(path, check_same_thread=False)) as database:
        database.execute("PRAGMA journal_mode = WAL")  # those who read and the writer do not wait
        database.execute(TABLE)
        write = Writer(database).write
        with store.cursor_worker(GOODS, write, checkpoint_id=STOCK, applied_as=STOCK):
            yield  # whoever waits for what STOCK has applied can read it in the rows


def rebuild(store: Store, path: Path) -> None:
    """Build the table anew, with the next `kept_current`; say so if what a row means has changed.

    In this order a crash in between leaves the old rows, and another `rebuild` does it.
    """
    store.reset_cursor(STOCK, position=0)
    with closing(sqlite3.connect(path)) as database, Effects(database) as effects:
        effects.forget(STOCK)
        database.execute("DROP TABLE IF EXISTS stock")


# ---------------------------------------------------------------------------------- asking it


class Stock(NamedTuple):
    """One row."""

    sku: str
    on_hand: int
    sold: int
    cents: int


class Desk:
    """Asks the table, over a connection of its own that cannot write."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store, self._path = store, path

    def best_sellers(self, limit: int, *, as_of: int | None = None) -> list[Stock]:
        """Return what was sold most. What the log could only say after reading all of it."""
        return self._ask("SELECT * FROM stock ORDER BY sold DESC, sku LIMIT ?", limit, as_of)

    def running_out(self, below: int, *, as_of: int | None = None) -> list[Stock]:
        """Return what there is less of than that."""
        return self._ask("SELECT * FROM stock WHERE on_hand < ? ORDER BY sku", below, as_of)

    def _ask(self, query: str, value: int, as_of: int | None) -> list[Stock]:
        if as_of is not None:  # who has stored an event wants to see it in the rows
            self._store.wait_for(Watermark.APPLIED, as_of, timeout_s=10, applier=STOCK)
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            return [Stock(*row) for row in database.execute(query, (value,))]


# -------------------------------------------------------------------------------------- a story


def tell(store: Store, path: Path) -> list[str]:
    """Receive, sell and break some goods; return what the table says about them."""
    desk = Desk(store, path)
    with kept_current(store, path):
        report(store, GoodsReceived(sku="lamp", quantity=10))
        report(store, GoodsReceived(sku="vase", quantity=5))
        report(store, GoodsSold(sku="lamp", quantity=3, cents=12000))
        report(store, GoodsSold(sku="vase", quantity=1, cents=2500))
        last = report(store, GoodsBroken(sku="vase", quantity=2))
        sold = desk.best_sellers(2, as_of=last)
        low = desk.running_out(3)
    return [
        *(f"{row.sold} × {row.sku}: {row.cents} cents" for row in sold),
        *(f"only {row.on_hand} × {row.sku} left" for row in low),
    ]


def main(log: str, table: str) -> None:
    """Tell the story in a store at `log` and a database at `table`, then build that anew."""
    path = Path(table)
    with Store.open(log) as store:
        for line in tell(store, path):
            print(line)
        before = Desk(store, path).best_sellers(100)
        rebuild(store, path)
        with kept_current(store, path):
            after = Desk(store, path).best_sellers(100, as_of=last_of(store))
        print("built anew:", "the same" if after == before else "another one")


if __name__ == "__main__":
    main(*sys.argv[1:3] if len(sys.argv) > 2 else ("depot.store", "depot.db"))
