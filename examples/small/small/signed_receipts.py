"""Teaches: a receipt that somebody can believe who has your public key and not your store.

$ python -m small signed_receipts
signed by the shop's key: True
for another cart: not to be believed, bad-signature
by a stranger's key: not to be believed, unknown-key
held against the log: True
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from batpak import (
    AppendReceipt,
    Coordinate,
    Invalid,
    Signed,
    SigningKey,
    Store,
    StoreConfig,
    TrustVerdict,
    verify_receipt,
)
from small.gen.shop import Paid


def said(verdict: TrustVerdict) -> str:
    """Say what a verdict means. It is neither true nor false; one has to look."""
    return f"not to be believed, {verdict.reason}" if isinstance(verdict, Invalid) else "fine"


def main(folder: Path) -> None:
    """Sign a receipt, carry it away, and check it there and here."""
    key, stranger = SigningKey.generate(), SigningKey.generate()
    with Store.open(folder / "shop.store", StoreConfig(signer=key)) as store:
        receipt = store.append(Coordinate("cart:ada", "shop"), Paid(cents=950))
        (folder / "receipt").write_bytes(receipt.to_bytes())

        carried = AppendReceipt.from_bytes((folder / "receipt").read_bytes())
        print(
            "signed by the shop's key:", verify_receipt(carried, [key.public]) == Signed(key.key_id)
        )
        forged = replace(carried, coordinate=Coordinate("cart:eve", "shop"))
        print("for another cart:", said(verify_receipt(forged, [key.public])))
        print("by a stranger's key:", said(verify_receipt(carried, [stranger.public])))
        print("held against the log:", store.verify_receipt(carried) == Signed(key.key_id))
