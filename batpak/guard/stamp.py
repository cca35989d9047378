"""Stamps: an event says which policy it has passed, in an extension that its hash covers.

batpak.policy = MessagePack [policy, fingerprint, [gate, ...]]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

from msgspec import Struct

from batpak import codec
from batpak.append import POLICY
from batpak.errors import InvalidArgument


@final
class PolicyStamp(Struct, frozen=True, array_like=True):
    """Which policy permitted an event, and which gates that were."""

    policy: str
    fingerprint: bytes
    gates: tuple[str, ...]

    @staticmethod
    def of(extensions: Mapping[str, bytes]) -> PolicyStamp | None:
        """The stamp among the extensions of a stored event; None: it has none.

        Raises:
            InvalidArgument: What stands there is no stamp.
        """
        data = extensions.get(POLICY)
        if data is None:
            return None
        try:
            return _decode(data)
        except codec.DecodeError as error:
            raise InvalidArgument("extensions", f"{POLICY} is no stamp: {error}") from error

    def to_bytes(self) -> bytes:
        """It as it is stored."""
        return codec.encode(self)


_decode: Final = codec.decoder(PolicyStamp).decode
