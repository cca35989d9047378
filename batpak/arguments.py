"""Arguments: what callers pass, checked where it comes in. What is wrong with one says so.

Callers may have lied to their type checker, or have none, so nothing is taken for granted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from itertools import islice
from types import CodeType
from typing import Final, TypeGuard, TypeVar
from uuid import UUID

from batpak.errors import InvalidArgument, TooLarge

T = TypeVar("T")

NESTING_MAX: Final = 64
SECONDS_MAX: Final = 1e9  # thirty years

_GENERATOR: Final = 0x20  # in the flags of a code object
_ASYNC: Final = 0x80 | 0x200  # a coroutine, or an asynchronous generator


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


def seconds_of(argument: str, value: object) -> float:
    """A time, 0 or more. What is longer than anybody waits is cut to something that clocks take.

    Raises:
        InvalidArgument: No number, or less than 0.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(min(value, SECONDS_MAX))
    found = value if isinstance(value, float) else _shown(value)
    raise InvalidArgument(argument, f"must be a number of seconds, 0 or more, not {found}")


def text_of(argument: str, value: object) -> str:
    """A text that UTF-8 can hold; of a subclass, such as a member of a StrEnum, what it holds."""
    if not isinstance(value, str):
        raise InvalidArgument(argument, f"must be text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(argument, "has a lone surrogate") from None
    return str.__str__(value)


def uuid_of(argument: str, value: object) -> UUID:
    """A UUID."""
    if not isinstance(value, UUID):
        raise InvalidArgument(argument, f"must be a UUID, not {type(value).__name__}")
    return value


def bytes_of(argument: str, value: object, size: int) -> bytes:
    """So many bytes."""
    if not isinstance(value, bytes) or len(value) != size:
        raise InvalidArgument(argument, f"must be {size} bytes")
    return value


def timeout_of(argument: str, value: object) -> float | None:
    """How long at most; None: for ever."""
    return None if value is None else seconds_of(argument, value)


def require(argument: str, given: object, *classes: type) -> None:
    """Refuse what a checker would have refused, before it fails in some less clear way.

    Raises:
        InvalidArgument: It is of none of these classes, exactly.
    """
    if type(given) not in classes:
        names = " or ".join(map(_named, classes))
        raise InvalidArgument(argument, f"expected {names}, got {_named(type(given))}")


def _named(cls: type) -> str:
    """A type as it is told of: a Receipt, an int, None."""
    name = cls.__name__
    return "None" if cls is type(None) else f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def require_some(argument: str, given: object, cls: type) -> None:
    """As `require`, where a child of the class does as well."""
    if not isinstance(given, cls):
        found = type(given).__name__
        raise InvalidArgument(argument, f"expected a {cls.__name__}, got a {found}")


def require_callable(argument: str, given: object) -> None:
    """Refuse what cannot be called before somebody else calls it.

    Raises:
        InvalidArgument: It cannot.
    """
    if not callable(given):
        raise InvalidArgument(argument, f"must be callable, not {type(given).__name__}")


def answer_of(argument: str, function: Callable[[T], object], given: T) -> object:
    """What a function of the user answers; whoever asked looks at it. No coroutine is left behind.

    Raises:
        InvalidArgument: It has raised StopIteration, which would end whoever iterates.
        As the function raises.
    """
    try:
        answer = function(given)
    except StopIteration as error:
        raise InvalidArgument(argument, "has raised StopIteration") from error
    _forgo(answer)
    return answer


def _forgo(answer: object) -> None:
    """Close a coroutine that nobody will await. In here, so that the answer stays an object."""
    if isinstance(answer, Coroutine):
        answer.close()


def require_direct(argument: str, given: object) -> None:
    """Refuse what gives something to be awaited, or iterated, when it is called, and does nothing.

    Raises:
        InvalidArgument: It cannot be called at all, or is `async def`, or has a `yield`.
    """
    require_callable(argument, given)
    while isinstance(given, partial):
        given = given.func
    code = getattr(given, "__code__", None) or getattr(type(given).__call__, "__code__", None)
    flags = code.co_flags if isinstance(code, CodeType) else 0
    if flags & _ASYNC:
        raise InvalidArgument(
            argument, "is `async def`: it is called where no event loop runs, and would do nothing"
        )
    if flags & _GENERATOR:
        raise InvalidArgument(argument, "has a `yield`: to call it would do nothing")


def check_nesting(argument: str, nested: list[T], inside: Callable[[T], list[T]]) -> None:
    """Make sure that what is `inside` one another nests at most NESTING_MAX deep.

    Level by level, so that the check of what is too deep does not end in a RecursionError.

    Args:
        argument: What the levels are made of.
        nested: The second level, inside the outermost.
        inside: What stands inside one of a level, and is of the next.

    Raises:
        TooLarge: It is deeper.
    """
    depth = 1
    while nested:
        depth += 1
        if depth > NESTING_MAX:
            raise TooLarge(f"the nesting of {argument}", depth, NESTING_MAX)
        nested = [inner for outer in nested for inner in inside(outer)]


def _shown(value: object) -> str:
    return str(value) if type(value) is int and value.bit_length() < 64 else type(value).__name__
