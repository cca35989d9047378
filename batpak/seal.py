"""Closes a constructor: only a holder of the seal, the library itself, can call it."""

from __future__ import annotations

from typing import Final, final


@final
class Seal:
    """The type of a constructor's first argument that nobody outside has a value for."""


SEAL: Final = Seal()
"""The only one."""
