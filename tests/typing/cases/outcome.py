"""Misuse of outcomes, and the use of them that is legal.

After the mark: mypy's error codes, then pyright's rules. A dash: the checker accepts the line.
Three lines are mypy's alone. Pyright greys out what cannot be reached and reports nothing. It takes
a union with arguments for a value, where mypy wants it to have a name (`Stock`). And it takes a list
of two variants for a list of either, where mypy takes what they have in common, a private base.
"""
# fmt: off
# ruff: noqa
from __future__ import annotations

from typing import TypeAlias, assert_never, assert_type

import msgspec

from batpak import EventId
from batpak.outcome import (
    Batch, Cancelled, Err, ErrorKind, Ok, Outcome, OutcomeError, Pending, Retry, WaitAll,
    WaitCondition, WaitEvent, WaitUntil, flatten, join_all, join_any, zip_,
)

NO = OutcomeError(ErrorKind.NOT_FOUND, "no")
Stock: TypeAlias = Outcome[int]


def half(number: int) -> Outcome[float]:
    return Ok(number / 2) if number else Err(NO)


def length(text: str) -> int:
    return len(text)


def again(error: OutcomeError) -> Outcome[int]:
    return Ok(0) if error.retryable else Err(error)


# ---------------------------------------------------------------------------------- legal


def reserve(stock: int, wanted: int) -> Outcome[int]:
    if wanted <= stock:
        return Ok(stock - wanted)
    return Retry(after_ms=60_000, attempt=1, max_attempts=3, reason="waiting for a delivery")


def says_all_six(result: Outcome[int]) -> str:
    match result:
        case Ok(value=left):
            return f"{left} left"
        case Err(error=error):
            return error.message
        case Retry() | Pending():
            return "not yet"
        case Cancelled(reason=reason):
            return reason
        case Batch(items=items):
            return f"{len(items)} answers"
        case _:
            assert_never(result)


def needs_no_last_case(result: Outcome[int]) -> int:
    match result:
        case Ok(value):
            return value
        case Err() | Retry() | Pending() | Cancelled() | Batch():
            return 0


def chains(result: Outcome[int], text: Outcome[str], layers: Outcome[Outcome[int]]) -> Outcome[str]:
    assert_type(result.unwrap(), int)
    assert_type(result.unwrap_or(0), int)
    assert_type(result.unwrap_or(None), int | None)
    assert_type(result.unwrap_or_else(lambda: 0), int)
    assert_type(text.map(length).unwrap(), int)
    assert_type(result.to_result(), Ok[int] | Err)
    assert_type(flatten(layers).unwrap(), int)
    assert_type(zip_(result, text).unwrap(), tuple[int, str])
    assert_type(join_all([result, result]).unwrap(), list[int])
    assert_type(join_any([result, Err(NO)]).unwrap(), int)
    wider: Outcome[float] = result
    rescued: Outcome[int] = result.or_else(again).map_err(lambda error: error).inspect(print)
    chosen: Outcome[float] = result.and_then_if(lambda number: number > 1, half)
    batch: Outcome[int] = Batch((Ok(1), Batch((rescued, Err(NO)))))
    stored: Outcome[int] = msgspec.msgpack.decode(b"", type=Stock)
    print(wider, chosen, batch, stored)
    return (
        result.map(lambda number: number + 1)
        .and_then(lambda number: half(number) if number > 1 else Cancelled(reason="too few"))
        .map(str)
        .and_then(lambda shown: Ok(shown.upper()))
    )


# ------------------------------------------------------------------------------- one of six


def forgets_a_batch(result: Outcome[int]) -> str:
    match result:
        case Ok(value=value):
            return str(value)
        case Err() | Cancelled():
            return "no"
        case Retry() | Pending():
            return "later"
        case _:
            assert_never(result)  # E83: arg-type | reportArgumentType


def forgets_to_wait(result: Outcome[int]) -> str:  # E: return | reportReturnType
    match result:  # E: exhaustive-match | reportMatchNotExhaustive
        case Ok(value=value):
            return str(value)
        case Err() | Cancelled() | Batch():
            return "no"


def looks_before_it_asks(result: Outcome[int]) -> None:
    result.value  # E85: union-attr | reportAttributeAccessIssue
    result.error  # E: union-attr | reportAttributeAccessIssue
    result.items  # E: union-attr | reportAttributeAccessIssue
    if result.is_ok:  # E: truthy-function | reportUnnecessaryComparison
        print(result)
    if result.is_ok():
        result.value  # E: union-attr | reportAttributeAccessIssue


def is_no_value(result: Outcome[int]) -> int:
    print(result + 1)  # E: operator | reportOperatorIssue
    return result  # E: return-value | reportReturnType


# ---------------------------------------------------------------------------------- values


def takes_another_type(result: Outcome[int], text: Outcome[str]) -> None:
    total: int = result.unwrap_or("nothing")  # E84: assignment | reportAssignmentType
    number: int = result.unwrap_or_else(str)  # E: assignment | reportAssignmentType
    narrower: Outcome[bool] = result  # E: assignment | reportAssignmentType
    swapped: Outcome[int] = text  # E: assignment | reportAssignmentType
    mapped: Outcome[int] = result.map(str)  # E: arg-type | reportAssignmentType
    both: Outcome[tuple[str, int]] = zip_(result, text)  # E: arg-type | reportAssignmentType
    all_of_them: Outcome[int] = join_all([result])  # E: assignment | reportAssignmentType
    result.map(length)  # E: arg-type | reportArgumentType
    result.inspect(length)  # E: arg-type | reportArgumentType
    text.map(lambda value: value + 1)  # E: operator | reportOperatorIssue
    Batch((Ok(1), 2))  # E: arg-type | reportArgumentType
    print(total, number, narrower, swapped, mapped, both, all_of_them)


def steps_onto_nothing(result: Outcome[int]) -> None:
    result.and_then(length)  # E: arg-type | reportArgumentType
    result.and_then(lambda number: number + 1)  # E: arg-type,return-value | reportArgumentType
    result.and_then_if(half, half)  # E: arg-type | reportArgumentType
    result.or_else(lambda error: error.message)  # E: arg-type,return-value | reportArgumentType
    result.map_err(str)  # E: arg-type | reportArgumentType
    flatten(result)  # E: arg-type | reportArgumentType


def goes_on_after_it_failed(failed: Err) -> int:
    failed.unwrap()
    return 1  # E: unreachable | -


def joins_a_list_without_a_type() -> None:
    join_all([Ok(1), Err(NO)])  # E: arg-type | -


def reads_without_an_alias(data: bytes) -> Outcome[int]:
    return msgspec.msgpack.decode(data, type=Outcome[int])  # E: misc | -


# ------------------------------------------------------------------------------- by hand


def makes(event_id: EventId) -> None:
    Err("no")  # E: arg-type | reportArgumentType
    OutcomeError("NOT_FOUND", "no")  # E: arg-type | reportArgumentType
    OutcomeError(1, "no")  # E: arg-type | reportArgumentType
    OutcomeError(ErrorKind.NOT_FOUND, "no", retryable=True)  # E: call-arg | reportCallIssue
    Retry(500, 1, 3, "busy")  # E: call-arg | reportCallIssue
    Retry(after_ms=500, reason="busy")  # E: call-arg | reportCallIssue
    Cancelled("no")  # E: call-arg | reportCallIssue
    Pending(condition="soon", resume_token=bytes(16))  # E: arg-type | reportArgumentType
    Pending(condition=WaitEvent(event_id), resume_token="soon")  # E: arg-type | reportArgumentType
    WaitAll((Ok(1),))  # E: arg-type | reportArgumentType
    WaitEvent("soon")  # E: arg-type | reportArgumentType
    Batch([Ok(1)])  # E: arg-type | reportArgumentType
    Outcome(1)  # E: operator | reportCallIssue
    waits: WaitCondition = WaitUntil(0)
    done = Ok(1)
    done.value = 2  # E: misc | reportAttributeAccessIssue
    print(waits, done)


class Odd(Ok[int], frozen=True):  # E: misc | reportGeneralTypeIssues
    pass
