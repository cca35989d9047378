"""What is given to people who have no store, to be judged by them: receipts and proofs.

Would slip through without it: a second spelling of a receipt, and a bent one that somebody's key
seems to have signed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.structs import replace

from batpak import codec
from batpak.append import AppendReceipt
from batpak.append_receipt import verify_receipt
from batpak.config import StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument
from batpak.proof import Proof
from batpak.signing.verdict import Invalid, Signed
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from tests.facts import USER, Counted, Said
from tests.keys import OURS
from tests.proof.fuzz_bytes import attempt

_SHOP: Final = Coordinate("bœr:1", "shop")


class Evidence(NamedTuple):
    """What a small store gave, as files."""

    receipts: list[bytes]
    proofs: list[bytes]


def _evidence() -> Evidence:
    with Store.open("store", StoreConfig(signer=OURS), platform=SimPlatform(seed=1)) as store:
        first = store.append(USER, Counted(n=1))
        receipts = [
            first,
            store.append(_SHOP, Said(text="é" * 40), extensions={"app.trace": b"\0\xff"}),
            store.append(USER, Counted(n=2), idempotency_key="again", caused_by=first.event_id),
            store.append(USER, Counted(n=2), idempotency_key="again", caused_by=first.event_id),
        ]
        note = store.checkpoint()
        proofs = [store.prove(receipt, note).to_bytes() for receipt in receipts[:3]]
    return Evidence([receipt.to_bytes() for receipt in receipts], proofs)


EVIDENCE: Final = _evidence()
RECEIPT_TREES: Final[list[object]] = [codec.decode_plain(one) for one in EVIDENCE.receipts]
PROOF_TREES: Final[list[object]] = [codec.decode_plain(one) for one in EVIDENCE.proofs]


def parse_receipt(data: bytes) -> bool:
    """The file of a receipt: one spelling, and trusted only as it was signed."""
    found = attempt(lambda: AppendReceipt.from_bytes(data), InvalidArgument)
    if isinstance(found, Exception):
        assert data not in EVIDENCE.receipts, f"a right receipt is refused: {found}"
        return False
    assert found.to_bytes() == data, "written in another way"
    verdict = verify_receipt(found, [OURS.public])
    assert isinstance(verdict, Signed | Invalid), f"{verdict} of what nobody has signed"
    is_ours = any(
        replace(found, replayed=again).to_bytes() in EVIDENCE.receipts for again in (False, True)
    )
    assert isinstance(verdict, Signed) == is_ours, f"{verdict}: {found}"
    return is_ours


def parse_proof(data: bytes) -> bool:
    """The file of a proof: one spelling, and trusted only as the store gave it."""
    found = attempt(lambda: Proof.from_bytes(data), InvalidArgument)
    if isinstance(found, Exception):
        assert data not in EVIDENCE.proofs, f"a right proof is refused: {found}"
        return False
    assert found.to_bytes() == data, "written in another way"
    verdict = found.verify([OURS.public])
    assert isinstance(verdict, Signed) == (data in EVIDENCE.proofs), f"{verdict}: {found}"
    return isinstance(verdict, Signed)
