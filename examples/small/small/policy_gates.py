"""Teaches: nothing is stored that the gates have not permitted, and refusals can be kept.

$ python -m small policy_gates
blue cup: permitted by can_afford
gold cup: refused, TOO_DEAR: gold cup costs 90000, and there are 50
the same receipt again: spent
stored: 1 order; beside it: 1 denial
"""

from __future__ import annotations

from pathlib import Path

from batpak import Coordinate, Denial, Pipeline, Proposal, ReceiptRejected, Region, Store
from small.gen.shop import Ordered
from small.gen.shop.contexts import Purse
from small.gen.shop.policies import OrderPolicy

ADA = Coordinate("cart:ada", "shop")


def main(folder: Path) -> None:
    """Order one cup that Ada can afford, and one that she cannot."""
    orders = Pipeline(OrderPolicy())
    with Store.open(folder / "shop.store") as store:
        verdict = orders.evaluate(Purse(cents=1000), Proposal(Ordered(item="blue cup", cents=950)))
        if isinstance(verdict, Denial):
            verdict.raise_()
        done = orders.commit(verdict, store, ADA)
        print(f"{done.event.item}: permitted by {', '.join(done.gates)}")

        gold = Proposal(Ordered(item="gold cup", cents=90_000))
        denial = orders.evaluate(Purse(cents=50), gold)
        if isinstance(denial, Denial):
            store.append_denial(ADA, denial, pipeline="web")
            print(f"{gold.event.item}: refused, {denial.code}: {denial.message}")

        try:
            orders.commit(verdict, store, ADA)
        except ReceiptRejected as error:
            print(f"the same receipt again: {error.reason}")

        denials = store.count(Region(entity="batpak:denial"))
        print(f"stored: {store.version(ADA.entity)} order; beside it: {denials} denial")
