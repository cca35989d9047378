"""Teaches: an append that returned is stored, whatever happens to the process after it.

Places orders until somebody kills it, and prints the number and content hash of each event once
its receipt has arrived: `python -m shop.busy shop.store`.
"""

from __future__ import annotations

import sys
from itertools import count

from batpak import Coordinate, Store, new_id
from shop.app import euros, now
from shop.gen.orders import CustomerId, OrderId, OrderLine, OrderPlaced


def main(path: str) -> None:
    """Append for ever; print each receipt, so that a witness outside knows what was promised."""
    with Store.open(path) as store:
        for number in count():
            order_id = new_id(OrderId)
            line = OrderLine(sku="BOOK-1", quantity=number % 9 + 1, unit_price=euros("12.50"))
            receipt = store.append(
                Coordinate(f"order:{order_id.hex}", "shop.orders"),
                OrderPlaced(
                    order_id=order_id,
                    customer_id=new_id(CustomerId),
                    lines=(line,),
                    total=euros("12.50"),
                    labels={},
                    placed_at=now(),
                ),
            )
            print(receipt.sequence, receipt.content_hash.hex(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "shop.store")
