"""Verdicts: what a check of a receipt, a note or a proof says. None of them is true or false."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NoReturn, TypeAlias

from msgspec import Struct

from batpak.override import override

SHAPELESS: Final = (
    AttributeError, TypeError, ValueError, OverflowError, OSError, RecursionError,
)  # fmt: skip
"""What looking at a receipt, a note or a proof may raise: anybody can make one, of anything."""


class InvalidReason(StrEnum):
    """Why something is not to be believed; the first that was found, in this order."""

    MALFORMED = "malformed"  # it does not have the shape of what it claims to be
    UNSIGNED = "unsigned"  # nobody vouches for it, and that was not asked for
    MISSING_SIGNATURE = "missing-signature"  # it names a key and has no signature
    ZERO_KEY = "zero-key"  # it has a signature and names no key, or the zero one
    UNKNOWN_KEY = "unknown-key"  # none of the trusted keys has the id that it names
    BAD_SIGNATURE = "bad-signature"  # it is not what that key has signed
    # What it says of the log is not what is stored there.
    OTHER_STORE = "other-store"
    NO_SUCH_EVENT = "no-such-event"
    ID = "id"
    SEQUENCE = "sequence"
    VERSION = "version"
    COORDINATE = "coordinate"
    KIND = "kind"
    CONTENT = "content"  # the payload, or its version
    PREV = "prev"
    EVENT_HASH = "event-hash"
    EXTENSIONS = "extensions"
    HEADER = "header"  # flags, place in a batch, times, correlation, causation


class _Verdict(Struct, frozen=True):
    """Ask which one it is, with `match` or `isinstance`."""

    def __bool__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(f"a verdict is not true or false; ask whether it is {name}, with match")


class Signed(_Verdict, frozen=True):
    """A trusted key has signed it, exactly as it is."""

    key_id: bytes

    @override
    def __repr__(self) -> str:
        return f"Signed(key_id={self.key_id.hex()})"


class Unsigned(_Verdict, frozen=True):
    """Nobody has signed it, and the caller has said that this may be. Else nothing is wrong."""


class Invalid(_Verdict, frozen=True):
    """It is not to be believed."""

    reason: InvalidReason


TrustVerdict: TypeAlias = Signed | Unsigned | Invalid
"""What a check says. Its truth value raises: an unsigned receipt must not pass for a signed one."""
