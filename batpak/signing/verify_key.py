"""VerifyKey: the public half of a key, and whether it can be trusted with anything.

A point of small order is a public key for which anybody can make signatures; one of them fits every
message. There are eight, and their y-coordinates tell them:

    order 1, 2, 4   y = 1, -1, 0
    order 8         twice the point has y = 0, so x² = -y²; on the curve, d·y⁴ + 2·y² - 1 = 0

Source: RFC 8032 §5.1.3 (decoding).
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, final

from msgspec import Struct

from batpak.digest import content_hash
from batpak.errors import SigningError
from batpak.faults import SigningFault
from batpak.override import override

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P


@final
class VerifyKey(Struct, frozen=True):
    """An Ed25519 public key, 32 bytes as in RFC 8032. There is none that is weak.

    Raises:
        SigningError: NO_EXTRA, or BAD_KEY: not 32 bytes, or no point in its one spelling; or
            WEAK_KEY: a point of small order.
    """

    raw: bytes

    def __post_init__(self) -> None:
        given: object = self.raw
        if type(given) is not bytes or len(given) != KEY_BYTES:
            raise SigningError(SigningFault.BAD_KEY, f"a public key is {KEY_BYTES} bytes")
        y = int.from_bytes(given, "little") & (1 << 255) - 1
        if _is_weak(y % _P):
            raise SigningError(SigningFault.WEAK_KEY, "this public key is a point of small order")
        if y >= _P or not _is_on_curve(y):
            raise SigningError(SigningFault.BAD_KEY, "these bytes are no Ed25519 public key")
        require_extra()

    @staticmethod
    def from_bytes(raw: bytes) -> VerifyKey:
        """A key from its 32 bytes. Raises as the class does."""
        return VerifyKey(raw)

    def to_bytes(self) -> bytes:
        """The 32 bytes."""
        return self.raw

    @property
    def key_id(self) -> bytes:
        """BLAKE3 of the 32 bytes: how a receipt or a note names who has signed it."""
        return content_hash(self.raw)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the owner of the other half has signed exactly this."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    @override
    def __repr__(self) -> str:
        return f"VerifyKey({self.raw.hex()})"


def require_extra() -> None:
    """Make sure that signatures can be made and checked.

    Raises:
        SigningError: The extra `sign` is not installed.
    """
    try:
        import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    except ImportError as error:
        raise SigningError(SigningFault.NO_EXTRA, "signing needs the extra `sign`") from error


def _is_weak(y: int) -> bool:
    """Whether a point with this y has small order."""
    return y in (0, 1, _P - 1) or (_D * y**4 + 2 * y * y - 1) % _P == 0


def _is_on_curve(y: int) -> bool:
    """Whether -x² + y² = 1 + d·x²·y² has an x for this y."""
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return x_squared == 0 or pow(x_squared, (_P - 1) // 2, _P) == 1
