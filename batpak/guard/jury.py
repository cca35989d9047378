"""Juries: the gates of one policy, as a receipt remembers who has judged."""

from __future__ import annotations

from types import MethodType
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
    deciders: tuple[object, ...]  # one per gate; None: the fingerprint says it all

    @staticmethod
    def of(
        policy: str, names: tuple[str, ...], fingerprint: bytes, deciders: tuple[object, ...]
    ) -> Jury:
        """That of a set of gates."""
        stamp = PolicyStamp(policy, fingerprint, names).to_bytes()
        return Jury(policy, names, fingerprint, stamp, deciders)

    def has_judged_as(self, other: Jury) -> bool:
        """Whether a verdict of this one is one of the other: the same gates, in the same order."""
        return self is other or (
            self.fingerprint == other.fingerprint and all(map(_same, self.deciders, other.deciders))
        )


def _same(one: object, other: object) -> bool:
    """The same object, or the same method of the same object: that is a new one at every look."""
    return one is other or (type(one) is MethodType and one == other)
