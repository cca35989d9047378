"""Trust: the keys that somebody believes, and what a signature is worth to them.

Keys come from who asks, never from what is asked about: that only names one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from batpak.digest import HASH_BYTES
from batpak.errors import InvalidArgument
from batpak.signing.signing_key import SigningKey
from batpak.signing.verdict import Invalid, InvalidReason, Signed, TrustVerdict, Unsigned
from batpak.signing.verify_key import SIGNATURE_BYTES, VerifyKey

_NO_KEY: Final = bytes(HASH_BYTES)


def judge(
    message: bytes,
    key_id: bytes | None,
    signature: bytes | None,
    trusted: Iterable[VerifyKey],
    *,
    accept_unsigned: bool = False,
) -> TrustVerdict:
    """What a signature says of a message.

    Args:
        message: What is to be signed.
        key_id: What it says of who has signed it, if anything.
        signature: What it has, if anything.
        trusted: The keys of the caller.
        accept_unsigned: Whether nobody has to have signed it.

    Raises:
        InvalidArgument: Something among `trusted` is no VerifyKey.
    """
    keys = {key.key_id: key for key in trusted_of("trusted", trusted)}
    if not (_is_bytes(key_id, HASH_BYTES) and _is_bytes(signature, SIGNATURE_BYTES)):
        return Invalid(InvalidReason.MALFORMED)
    if signature is None:
        if key_id is not None:
            return Invalid(InvalidReason.MISSING_SIGNATURE)
        return Unsigned() if accept_unsigned else Invalid(InvalidReason.UNSIGNED)
    if key_id is None or key_id == _NO_KEY:
        return Invalid(InvalidReason.ZERO_KEY)
    key = keys.get(key_id)
    if key is None:
        return Invalid(InvalidReason.UNKNOWN_KEY)
    if not key.has_signed(message, signature):
        return Invalid(InvalidReason.BAD_SIGNATURE)
    return Signed(key_id)


def trusted_of(argument: str, keys: object) -> tuple[VerifyKey, ...]:
    """Public keys as a caller gives them, checked.

    Raises:
        InvalidArgument: Something else is among them.
    """
    if not isinstance(keys, Iterable) or isinstance(keys, str | bytes):
        raise InvalidArgument(argument, f"must be VerifyKeys, not {type(keys).__name__}")
    found = tuple(cast("Iterable[object]", keys))
    for key in found:
        if isinstance(key, SigningKey):
            raise InvalidArgument(argument, "has a SigningKey; give its `public`")
        if not isinstance(key, VerifyKey):
            raise InvalidArgument(argument, f"must be VerifyKeys, not {type(key).__name__}")
    return cast("tuple[VerifyKey, ...]", found)


def _is_bytes(value: object, size: int) -> bool:
    return value is None or (type(value) is bytes and len(value) == size)
