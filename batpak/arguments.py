"""Arguments: what callers pass, checked where it comes in. What is wrong with one says so.

Callers may have lied to their type checker, or have none, so nothing is taken for granted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import TypeGuard, TypeVar
from uuid import UUID

from batpak.errors import InvalidArgument

T = TypeVar("T")


def is_count(value: object) -> TypeGuard[int]:
    """Whether it is an integer, 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def count_of(argument: str, value: object) -> int:
    """How many at most. What is beyond any number of events is as good as no limit.

    Raises:
        InvalidArgument: Not an integer, or less than 0; likewise below.
    """
    if not is_count(value):
        raise InvalidArgument(argument, f"must be a number, 0 or more, not {_shown(value)}")
    return min(value, sys.maxsize)


def limit_of(argument: str, value: object) -> int | None:
    """How many at most; None: all."""
    return None if value is None else count_of(argument, value)


def some_of(found: Iterator[T], limit: object) -> Iterator[T]:
    """The first of what was found."""
    checked = limit_of("limit", limit)
    return found if checked is None else islice(found, checked)


def text_of(argument: str, value: object) -> str:
    """A text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise InvalidArgument(argument, f"must be text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(argument, "has a lone surrogate") from None
    return value


def uuid_of(argument: str, value: object) -> UUID:
    """A UUID."""
    if not isinstance(value, UUID):
        raise InvalidArgument(argument, f"must be a UUID, not {type(value).__name__}")
    return value


def _shown(value: object) -> str:
    return str(value) if type(value) is int and value.bit_length() < 64 else type(value).__name__
