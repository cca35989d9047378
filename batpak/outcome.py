"""Outcomes: results that are data. A value, or why there is none yet, or a batch of both.

    Ok         there is a value
    Err        there is none, and why; data, not an exception
    Retry      not now: try again later
    Pending    waiting for something, with a token to go on from
    Cancelled  called off
    Batch      several outcomes as one

`Outcome[T]` is their plain union. Every method is a method of each of the six, so it can be called
before anybody looks which one it is; it reaches into batches, however they nest, and passes by what
it is not about. Faults stay exceptions, and what a function raises passes through unchanged.

For callers: the store neither returns outcomes nor takes them. Reference:
docs/reference/outcome.md.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Generic, NoReturn, Self, TypeAlias, TypeVar, final

from msgspec import Struct

from batpak.arguments import bytes_of, check_nesting, is_count
from batpak.errors import InvalidArgument
from batpak.ids import ID_BYTES
from batpak.override import override
from batpak.reason import (
    Compensation,
    CustomAction,
    ErrorKind,
    Notify,
    OutcomeError,
    OutcomeFailure,
    Release,
    Rollback,
    WaitAll,
    WaitAny,
    WaitCondition,
    WaitCustom,
    WaitEvent,
    WaitUntil,
)

__all__ = [  # noqa: RUF022  in reading order
    "Outcome", "Ok", "Err", "Retry", "Pending", "Cancelled", "Batch",
    "flatten", "zip_", "join_all", "join_any",
    "OutcomeError", "ErrorKind", "OutcomeFailure",
    "Compensation", "Rollback", "Notify", "Release", "CustomAction",
    "WaitCondition", "WaitUntil", "WaitEvent", "WaitAll", "WaitAny", "WaitCustom",
]  # fmt: skip

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)

_Unused: TypeAlias = Callable[[Any], object]
"""A function that is never called. With `Never` for `Any`, mypy would take the body of a lambda for
unreachable, and report its conditions."""


class _Variant(Struct, frozen=True, tag=True):
    """What all six answer."""

    def is_ok(self) -> bool:
        """Whether it is an `Ok`; a batch is none, whatever it holds. Likewise below."""
        return isinstance(self, Ok)

    def is_err(self) -> bool:
        """Whether it is an `Err`."""
        return isinstance(self, Err)

    def is_retry(self) -> bool:
        """Whether it is a `Retry`."""
        return isinstance(self, Retry)

    def is_pending(self) -> bool:
        """Whether it is a `Pending`."""
        return isinstance(self, Pending)

    def is_cancelled(self) -> bool:
        """Whether it is a `Cancelled`."""
        return isinstance(self, Cancelled)

    def is_batch(self) -> bool:
        """Whether it is a `Batch`."""
        return isinstance(self, Batch)

    def is_terminal(self) -> bool:
        """Whether it is over: `Ok`, `Err` or `Cancelled`. A batch never is."""
        return isinstance(self, (Ok, Err, Cancelled))


class _Failing(_Variant, frozen=True):
    """All but `Ok`: there is no one value to unwrap."""

    @abstractmethod
    def to_result(self) -> Err:
        """An `Err` that says why there is no value; an `Err` is its own."""
        ...

    def unwrap(self) -> NoReturn:
        """Fail, for there is no value.

        Raises:
            OutcomeFailure: Always; its `error` is that of `to_result`.
        """
        raise OutcomeFailure(self.to_result().error)

    def unwrap_or(self, default: U, /) -> U:
        """The default, for there is no value."""
        return default

    def unwrap_or_else(self, f: Callable[[], U], /) -> U:
        """What `f` makes, for there is no value."""
        return f()


class _Valueless(_Failing, frozen=True):
    """`Err`, `Retry`, `Pending` and `Cancelled`: what is about a value passes them by."""

    def map(self, _f: _Unused, /) -> Self:
        """Itself: there is no value."""
        return self

    def and_then(self, _f: _Unused, /) -> Self:
        """Itself: there is no value."""
        return self

    def and_then_if(self, _pred: _Unused, _f: _Unused, /) -> Self:
        """Itself: there is no value."""
        return self

    def inspect(self, _f: _Unused, /) -> Self:
        """Itself: there is no value."""
        return self


class _Errorless(_Variant, frozen=True):
    """`Ok`, `Retry`, `Pending` and `Cancelled`: what is about an error passes them by."""

    def map_err(self, _f: Callable[[OutcomeError], OutcomeError], /) -> Self:
        """Itself: there is no error."""
        return self

    def or_else(self, _f: Callable[[OutcomeError], Outcome[object]], /) -> Self:
        """Itself: there is no error."""
        return self

    def inspect_err(self, _f: Callable[[OutcomeError], object], /) -> Self:
        """Itself: there is no error."""
        return self


@final
class Ok(_Errorless, Generic[T_co], frozen=True):
    """There is a value."""

    value: T_co

    def map(self, f: Callable[[T_co], U], /) -> Ok[U]:
        """What `f` makes of the value."""
        return Ok(f(self.value))

    def and_then(self, f: Callable[[T_co], Outcome[U]], /) -> Outcome[U]:
        """The outcome of `f`, given the value."""
        return f(self.value)

    def and_then_if(
        self, pred: Callable[[T_co], bool], f: Callable[[T_co], Outcome[U]], /
    ) -> Ok[T_co] | Outcome[U]:
        """The outcome of `f` if `pred` holds for the value; itself if not."""
        return f(self.value) if pred(self.value) else self

    def inspect(self, f: Callable[[T_co], object], /) -> Self:
        """Show the value to `f`, whatever that answers."""
        f(self.value)
        return self

    def unwrap(self) -> T_co:
        """The value."""
        return self.value

    def unwrap_or(self, _default: object, /) -> T_co:
        """The value."""
        return self.value

    def unwrap_or_else(self, _f: Callable[[], object], /) -> T_co:
        """The value; nothing is called."""
        return self.value

    def to_result(self) -> Self:
        """Itself."""
        return self


@final
class Err(_Valueless, frozen=True):
    """There is no value, and `error` says why."""

    error: OutcomeError

    def map_err(self, f: Callable[[OutcomeError], OutcomeError], /) -> Err:
        """The same with another error."""
        return Err(f(self.error))

    def or_else(self, f: Callable[[OutcomeError], Outcome[U]], /) -> Outcome[U]:
        """The outcome of `f`, given the error: another way to a value, or another error."""
        return f(self.error)

    def inspect_err(self, f: Callable[[OutcomeError], object], /) -> Self:
        """Show the error to `f`, whatever that answers."""
        f(self.error)
        return self

    @override
    def to_result(self) -> Self:
        return self


@final
class Retry(_Valueless, _Errorless, frozen=True, kw_only=True):
    """Not now. Try again in `after_ms`; this was attempt `attempt`, counted from 1.

    Raises InvalidArgument if it counts from 0 or backwards. An attempt may be the last or beyond:
    whether there is another one is for the caller to say.
    """

    after_ms: int
    attempt: int
    max_attempts: int
    reason: str

    def __post_init__(self) -> None:
        for name, low, value in (
            ("after_ms", 0, self.after_ms),
            ("attempt", 1, self.attempt),
            ("max_attempts", 1, self.max_attempts),
        ):
            if not is_count(value) or value < low:
                raise InvalidArgument(name, f"must be a number, {low} or more")

    @override
    def to_result(self) -> Err:
        text = f"try again in {self.after_ms} ms, attempt {self.attempt} of {self.max_attempts}"
        return Err(OutcomeError(ErrorKind.TIMEOUT, f"{text}: {self.reason}"))


@final
class Pending(_Valueless, _Errorless, frozen=True, kw_only=True):
    """Not before `condition` holds; `resume_token` says to its maker where to go on.

    Raises InvalidArgument if the token is not 16 bytes.
    """

    condition: WaitCondition
    resume_token: bytes

    def __post_init__(self) -> None:
        bytes_of("resume_token", self.resume_token, ID_BYTES)

    @override
    def to_result(self) -> Err:
        text = f"still waiting: {type(self.condition).__name__}"
        return Err(OutcomeError(ErrorKind.PENDING, text))


@final
class Cancelled(_Valueless, _Errorless, frozen=True, kw_only=True):
    """Called off: nobody wants the value any more."""

    reason: str

    @override
    def to_result(self) -> Err:
        return Err(OutcomeError(ErrorKind.CANCELLED, f"cancelled: {self.reason}"))


@final
class Batch(_Failing, Generic[T_co], frozen=True):
    """Several outcomes as one; each goes its own way, and none is over before somebody looks.

    Methods ask its items from left to right, batches among them likewise. Raises TooLarge where
    batches nest more than 64 deep, also from a method that would make such a batch.
    """

    items: tuple[Outcome[T_co], ...]

    def __post_init__(self) -> None:
        check_nesting("batches", _batches(self), _batches)

    def map(self, f: Callable[[T_co], U], /) -> Batch[U]:
        """What `f` makes of each value."""
        return Batch(tuple([item.map(f) for item in self.items]))

    def and_then(self, f: Callable[[T_co], Outcome[U]], /) -> Batch[U]:
        """The outcome of `f` in place of each value."""
        return Batch(tuple([item.and_then(f) for item in self.items]))

    def and_then_if(
        self, pred: Callable[[T_co], bool], f: Callable[[T_co], Outcome[U]], /
    ) -> Batch[T_co | U]:
        """The outcome of `f` in place of each value that `pred` holds for."""
        return Batch(tuple([item.and_then_if(pred, f) for item in self.items]))

    def map_err(self, f: Callable[[OutcomeError], OutcomeError], /) -> Batch[T_co]:
        """What `f` makes of each error."""
        return Batch(tuple([item.map_err(f) for item in self.items]))

    def or_else(self, f: Callable[[OutcomeError], Outcome[U]], /) -> Batch[T_co | U]:
        """The outcome of `f` in place of each error."""
        return Batch(tuple([item.or_else(f) for item in self.items]))

    def inspect(self, f: Callable[[T_co], object], /) -> Self:
        """Show each value to `f`."""
        for item in self.items:
            item.inspect(f)
        return self

    def inspect_err(self, f: Callable[[OutcomeError], object], /) -> Self:
        """Show each error to `f`."""
        for item in self.items:
            item.inspect_err(f)
        return self

    @override
    def to_result(self) -> Err:
        text = f"a batch of {len(self.items)} has no one value; join_all makes one of them"
        return Err(OutcomeError(ErrorKind.BATCH_COLLAPSE, text))


Outcome: TypeAlias = Ok[T] | Err | Retry | Pending | Cancelled | Batch[T]
"""One of the six: match it, or go on with its methods. Stored as a map, tagged by `type`."""


# ------------------------------------------------------------------- several become one


def flatten(outcome: Outcome[Outcome[T]], /) -> Outcome[T]:
    """Take one layer off: the outcome of an outcome is an outcome."""
    return outcome.and_then(_itself)


def zip_(a: Outcome[A], b: Outcome[B], /) -> Outcome[tuple[A, B]]:
    """Both values as a pair, or what stands in the way of one.

    Err goes before Cancelled, that before Retry, and Retry before Pending; of two alike the left
    one is taken. Two batches are zipped item by item, and an `Ok` beside a batch with each item.
    Batches of different length are an Err, of kind INTERNAL.
    """
    match a, b:
        case Ok(), Ok():
            return Ok((a.value, b.value))
        case Batch(), Ok():
            return Batch(tuple([zip_(item, b) for item in a.items]))
        case Ok(), Batch():
            return Batch(tuple([zip_(a, item) for item in b.items]))
        case Batch(), Batch():
            if len(a.items) == len(b.items):
                return Batch(tuple(map(zip_, a.items, b.items)))
            text = f"a batch of {len(a.items)} beside one of {len(b.items)}"
            return Err(OutcomeError(ErrorKind.INTERNAL, text))
        case _:
            return _in_the_way(a, b)


def join_all(outcomes: Iterable[Outcome[T]], /) -> Outcome[list[T]]:
    """All values, or the first outcome that is none. A batch counts as its items.

    No outcomes have no values: `Ok([])`.
    """
    values: list[T] = []
    for outcome in _single(outcomes):
        if not isinstance(outcome, Ok):
            return outcome
        values.append(outcome.value)
    return Ok(values)


def join_any(outcomes: Iterable[Outcome[T]], /) -> Outcome[T]:
    """The first value, or the last error. A batch counts as its items.

    A Retry, Pending or Cancelled before the first value is the answer: what it will become, or
    should not, is not known. No outcomes are an Err, of kind INTERNAL.
    """
    last = Err(OutcomeError(ErrorKind.INTERNAL, "there is no outcome to choose from"))
    for outcome in _single(outcomes):
        if not isinstance(outcome, Err):
            return outcome
        last = outcome
    return last


def _itself(outcome: Outcome[T], /) -> Outcome[T]:
    return outcome


def _in_the_way(*outcomes: Outcome[object]) -> _Single:
    """The one that goes before the others, the first of those alike."""
    return min(
        (one for one in outcomes if not isinstance(one, (Ok, Batch))),
        key=lambda one: _PRECEDENCE.index(type(one)),
    )


_Single: TypeAlias = Err | Cancelled | Retry | Pending
_PRECEDENCE: Final[tuple[type[_Single], ...]] = (Err, Cancelled, Retry, Pending)


def _single(outcomes: Iterable[Outcome[T]]) -> Iterator[Ok[T] | _Single]:
    """From left to right, with the items of batches in their place."""
    for outcome in outcomes:
        if isinstance(outcome, Batch):
            yield from _single(outcome.items)
        else:
            yield outcome


def _batches(outer: Batch[object]) -> list[Batch[object]]:
    return [item for item in outer.items if type(item) is Batch]
