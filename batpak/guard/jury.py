"""Juries: the gates of one policy, as a receipt remembers who has judged."""

from __future__ import annotations

from typing import final

from msgspec import Struct

from batpak.guard.stamp import PolicyStamp


@final
class Jury(Struct, frozen=True, eq=False):
    """The gates that a set asks, in order, and what stands for them."""

    policy: str
    names: tuple[str, ...]
    fingerprint: bytes
    stamp: bytes

    @staticmethod
    def of(policy: str, names: tuple[str, ...], fingerprint: bytes) -> Jury:
        """That of a set of gates."""
        stamp = PolicyStamp(policy, fingerprint, names).to_bytes()
        return Jury(policy, names, fingerprint, stamp)
