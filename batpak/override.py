"""`override` (PEP 698) on Python 3.11, where `typing` does not have it yet."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if sys.version_info >= (3, 12):
    from typing import override
elif TYPE_CHECKING:
    from typing_extensions import override
else:
    F = TypeVar("F")

    def override(method: F, /) -> F:
        """Say that a method replaces one of a base class; type checkers hold it to that."""
        with suppress(AttributeError, TypeError):  # a property takes none
            method.__override__ = True
        return method


__all__ = ["override"]
