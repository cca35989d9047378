"""Append receipts: signed by the key of a store, and judged by whoever trusts it.

Store-free: nothing is read but the receipt and the keys. `batpak.read.claims` asks the log as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from msgspec.structs import replace

from batpak.append import AppendReceipt
from batpak.config import Durability
from batpak.errors import InvalidArgument, SigningError
from batpak.signing.signing_key import SigningKey
from batpak.signing.trust import judge
from batpak.signing.verdict import SHAPELESS, Invalid, InvalidReason, TrustVerdict
from batpak.signing.verify_key import VerifyKey


def signed(receipt: AppendReceipt, signer: SigningKey) -> AppendReceipt:
    """A receipt with a signature of everything that it says.

    One that promises no more than that the system took the bytes stays as it is: a power cut may
    still take the event back, and nothing that was signed must turn out wrong.

    Raises:
        SigningError: SIGNER, with the sequence of the event, which is stored.
    """
    if receipt.durability is Durability.OS:
        return receipt
    try:
        signature = signer.sign(receipt.claim.cover(receipt.durability))
    except SigningError as error:
        error.sequence = receipt.sequence
        raise
    return replace(receipt, key_id=signer.key_id, signature=signature)


def verify_receipt(
    receipt: AppendReceipt, trusted: Iterable[VerifyKey], *, accept_unsigned: bool = False
) -> TrustVerdict:
    """What a receipt is worth to somebody who trusts these keys. Needs no store.

    Args:
        receipt: Perhaps from a stranger.
        trusted: Public keys that the caller has from elsewhere; the receipt names one of them.
        accept_unsigned: Whether one that nobody has signed may pass, as `Unsigned`.

    Raises:
        InvalidArgument: No receipt, or no keys.
    """
    given = cast("object", receipt)  # callers may have no type checker
    if not isinstance(given, AppendReceipt):
        raise InvalidArgument("receipt", f"must be an AppendReceipt, not {type(given).__name__}")
    try:
        read = AppendReceipt.from_bytes(given.to_bytes())
    except SHAPELESS:
        return Invalid(InvalidReason.MALFORMED)
    cover = read.claim.cover(read.durability)
    return judge(cover, read.key_id, read.signature, trusted, accept_unsigned=accept_unsigned)
