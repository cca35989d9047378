"""Outcomes: the laws they keep, what goes before what, and how they are stored.

Without this, a chain of steps could depend on how it is bracketed, a batch could lose an item, and
an outcome that one process stored could come back in another as something else.
"""

from __future__ import annotations

import copy
import itertools
import operator
import pickle
from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Decoder

from batpak import EventId, InvalidArgument, TooLarge, codec
from batpak.outcome import (
    Batch,
    Cancelled,
    Compensation,
    CustomAction,
    Err,
    ErrorKind,
    Notify,
    Ok,
    Outcome,
    OutcomeError,
    OutcomeFailure,
    Pending,
    Release,
    Retry,
    Rollback,
    WaitAll,
    WaitAny,
    WaitCondition,
    WaitCustom,
    WaitEvent,
    WaitUntil,
    flatten,
    join_all,
    join_any,
    zip_,
)

TOKEN = bytes(range(16))
LATER = Retry(after_ms=500, attempt=1, max_attempts=3, reason="busy")
WAITING = Pending(condition=WaitUntil(1_700_000_000_000), resume_token=TOKEN)
OFF = Cancelled(reason="the order is gone")
NONE: Batch[int] = Batch(())

# ------------------------------------------------------------------------- any outcome at all

EVENT_IDS = st.uuids().map(EventId)
CONDITIONS: st.SearchStrategy[WaitCondition] = st.recursive(
    st.builds(WaitUntil, st.integers(0, 2**53))
    | st.builds(WaitEvent, EVENT_IDS)
    | st.builds(WaitCustom, st.text(max_size=4), st.binary(max_size=4)),
    lambda inner: (
        st.builds(WaitAll, st.lists(inner, max_size=3).map(tuple))
        | st.builds(WaitAny, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=4,
)
COMPENSATIONS: st.SearchStrategy[Compensation] = (
    st.builds(Rollback, st.lists(EVENT_IDS, max_size=2).map(tuple))
    | st.builds(Notify, st.text(max_size=4), st.text(max_size=4))
    | st.builds(Release, st.lists(st.text(max_size=4), max_size=2).map(tuple))
    | st.builds(CustomAction, st.text(max_size=4), st.binary(max_size=4))
)
ERRORS = st.builds(
    OutcomeError,
    st.sampled_from(ErrorKind),
    st.text(max_size=4),
    st.integers(-(2**63), 2**64 - 1),
    st.none() | COMPENSATIONS,
)
ERRS = st.builds(Err, ERRORS)
RETRIES = st.builds(
    Retry,
    after_ms=st.integers(0, 2**40),
    attempt=st.integers(1, 9),
    max_attempts=st.integers(1, 9),
    reason=st.text(max_size=4),
)
PENDINGS = st.builds(
    Pending, condition=CONDITIONS, resume_token=st.binary(min_size=16, max_size=16)
)
CANCELLEDS = st.builds(Cancelled, reason=st.text(max_size=4))
WITHOUT = ERRS | RETRIES | PENDINGS | CANCELLEDS


def outcomes_of(values: st.SearchStrategy[int]) -> st.SearchStrategy[Outcome[int]]:
    return st.recursive(
        st.builds(Ok, values) | WITHOUT,
        lambda inner: st.builds(Batch, st.lists(inner, max_size=4).map(tuple)),
        max_leaves=8,
    )


OUTCOMES = outcomes_of(st.integers(-9, 9))
NESTED: st.SearchStrategy[Outcome[Outcome[int]]] = st.recursive(
    st.builds(Ok, OUTCOMES) | WITHOUT,
    lambda inner: st.builds(Batch, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=4,
)
FUNCTIONS = st.functions(like=lambda value: value, returns=st.integers(-9, 9), pure=True)
STEPS = st.functions(like=lambda value: value, returns=OUTCOMES, pure=True)
PREDICATES = st.functions(like=lambda value: value, returns=st.booleans(), pure=True)
ERROR_FUNCTIONS = st.functions(like=lambda error: error, returns=ERRORS, pure=True)
RESCUES = st.functions(like=lambda error: error, returns=OUTCOMES, pure=True)

Function = Callable[[int], int]
Step = Callable[[int], Outcome[int]]
ErrorFunction = Callable[[OutcomeError], OutcomeError]
Rescue = Callable[[OutcomeError], Outcome[int]]


def error(kind: ErrorKind = ErrorKind.CUSTOM, message: str = "no") -> OutcomeError:
    return OutcomeError(kind, message)


def leaves(outcome: Outcome[int]) -> list[Outcome[int]]:
    """What stands in no batch and is none, from left to right."""
    if isinstance(outcome, Batch):
        return [leaf for item in outcome.items for leaf in leaves(item)]
    return [outcome]


def nested(depth: int) -> Outcome[int]:
    outcome: Outcome[int] = Ok(1)
    for _ in range(depth):
        outcome = Batch((outcome, Err(error())))
    return outcome


# -------------------------------------------------------------------------------- the laws


@given(st.integers(-9, 9), STEPS)
def test_a_value_and_then_a_step_is_the_step_of_the_value(value: int, step: Step) -> None:
    assert Ok(value).and_then(step) == step(value)


@given(OUTCOMES)
def test_and_then_ok_changes_nothing(outcome: Outcome[int]) -> None:
    assert outcome.and_then(Ok) == outcome


@given(OUTCOMES, STEPS, STEPS)
def test_how_steps_are_bracketed_changes_nothing(
    outcome: Outcome[int], first: Step, second: Step
) -> None:
    one_by_one = outcome.and_then(first).and_then(second)

    at_once = outcome.and_then(lambda value: first(value).and_then(second))

    assert one_by_one == at_once


@given(OUTCOMES)
def test_to_map_to_the_same_changes_nothing(outcome: Outcome[int]) -> None:
    assert outcome.map(lambda value: value) == outcome


@given(OUTCOMES, FUNCTIONS, FUNCTIONS)
def test_to_map_twice_is_to_map_both_at_once(
    outcome: Outcome[int], first: Function, second: Function
) -> None:
    assert outcome.map(first).map(second) == outcome.map(lambda value: second(first(value)))


@given(OUTCOMES, FUNCTIONS)
def test_to_map_is_a_step_that_always_succeeds(outcome: Outcome[int], f: Function) -> None:
    assert outcome.map(f) == outcome.and_then(lambda value: Ok(f(value)))


@given(NESTED)
def test_to_flatten_is_a_step_that_does_nothing(outcome: Outcome[Outcome[int]]) -> None:
    assert flatten(outcome) == outcome.and_then(lambda inner: inner)


@given(OUTCOMES)
def test_to_flatten_takes_off_what_a_layer_put_on(outcome: Outcome[int]) -> None:
    assert flatten(Ok(outcome)) == outcome
    assert flatten(outcome.map(Ok)) == outcome


@given(OUTCOMES, STEPS)
def test_a_step_is_a_map_that_is_flattened(outcome: Outcome[int], step: Step) -> None:
    assert outcome.and_then(step) == flatten(outcome.map(step))


@given(OUTCOMES, PREDICATES, STEPS)
def test_a_step_that_depends_is_taken_where_the_predicate_holds(
    outcome: Outcome[int], pred: Callable[[int], bool], step: Step
) -> None:
    def either(value: int) -> Outcome[int]:
        return step(value) if pred(value) else Ok(value)

    assert outcome.and_then_if(pred, step) == outcome.and_then(either)


@given(OUTCOMES)
def test_or_else_err_changes_nothing(outcome: Outcome[int]) -> None:
    assert outcome.or_else(Err) == outcome


@given(OUTCOMES, RESCUES, RESCUES)
def test_how_rescues_are_bracketed_changes_nothing(
    outcome: Outcome[int], first: Rescue, second: Rescue
) -> None:
    one_by_one = outcome.or_else(first).or_else(second)

    assert one_by_one == outcome.or_else(lambda why: first(why).or_else(second))


@given(OUTCOMES, ERROR_FUNCTIONS, ERROR_FUNCTIONS)
def test_errors_map_as_values_do(
    outcome: Outcome[int], first: ErrorFunction, second: ErrorFunction
) -> None:
    assert outcome.map_err(lambda why: why) == outcome
    assert outcome.map_err(first) == outcome.or_else(lambda why: Err(first(why)))
    assert outcome.map_err(first).map_err(second) == outcome.map_err(lambda why: second(first(why)))


# ------------------------------------------------------------------------- one by one


@given(OUTCOMES)
def test_inspecting_shows_each_value_and_each_error_from_left_to_right(
    outcome: Outcome[int],
) -> None:
    values: list[int] = []
    errors: list[OutcomeError] = []

    assert outcome.inspect(values.append) is outcome
    assert outcome.inspect_err(errors.append) is outcome

    assert values == [leaf.value for leaf in leaves(outcome) if isinstance(leaf, Ok)]
    assert errors == [leaf.error for leaf in leaves(outcome) if isinstance(leaf, Err)]


@given(OUTCOMES)
def test_functions_are_called_once_for_each_value_from_left_to_right(
    outcome: Outcome[int],
) -> None:
    seen: list[int] = []

    def step(value: int) -> Outcome[int]:
        seen.append(value)
        return Ok(value)

    outcome.map(step)
    outcome.and_then(step)
    outcome.and_then_if(lambda _: True, step)

    assert seen == [leaf.value for leaf in leaves(outcome) if isinstance(leaf, Ok)] * 3


def never(_: object) -> Ok[int]:
    raise AssertionError("called for nothing")


@given(WITHOUT)
def test_where_no_value_is_nothing_about_values_happens(
    outcome: Err | Retry | Pending | Cancelled,
) -> None:
    for passed in (
        outcome.map(never),
        outcome.and_then(never),
        outcome.and_then_if(never, never),
        outcome.inspect(never),
    ):
        assert passed is outcome


@given(st.builds(Ok, st.integers()) | RETRIES | PENDINGS | CANCELLEDS)
def test_where_no_error_is_nothing_about_errors_happens(
    outcome: Ok[int] | Retry | Pending | Cancelled,
) -> None:
    for passed in (outcome.or_else(never), outcome.inspect_err(never)):
        assert passed is outcome
    assert outcome.map_err(lambda why: never(why).error) is outcome  # type: ignore[attr-defined]  # never called


def test_what_a_function_raises_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        Batch((Ok(1), Ok(0))).map(lambda value: 1 // value)


ALL: list[tuple[Outcome[int], str, ErrorKind | None]] = [
    (Ok(7), "is_ok", None),
    (Err(error(ErrorKind.NOT_FOUND)), "is_err", ErrorKind.NOT_FOUND),
    (LATER, "is_retry", ErrorKind.TIMEOUT),
    (WAITING, "is_pending", ErrorKind.PENDING),
    (OFF, "is_cancelled", ErrorKind.CANCELLED),
    (Batch((Ok(7),)), "is_batch", ErrorKind.BATCH_COLLAPSE),
]
EACH = pytest.mark.parametrize(
    ("outcome", "name", "kind"), ALL, ids=[type(one[0]).__name__ for one in ALL]
)


@EACH
def test_an_outcome_is_one_of_the_six(
    outcome: Outcome[int], name: str, kind: ErrorKind | None
) -> None:
    answers = [each for _, each, _ in ALL if operator.methodcaller(each)(outcome)]

    assert answers == [name]
    assert outcome.is_terminal() == (name in {"is_ok", "is_err", "is_cancelled"})
    assert kind is None or not outcome.is_ok()


@EACH
def test_only_a_value_can_be_unwrapped(
    outcome: Outcome[int], name: str, kind: ErrorKind | None
) -> None:
    result = outcome.to_result()

    if isinstance(result, Ok):
        assert (name, kind) == ("is_ok", None)
        assert result is outcome
        assert outcome.unwrap() == outcome.unwrap_or(0) == outcome.unwrap_or_else(int) == 7
    else:
        assert result.error.kind == kind
        assert (result is outcome) == (name == "is_err")
        assert outcome.unwrap_or(0) == outcome.unwrap_or_else(int) == 0
        with pytest.raises(OutcomeFailure) as failed:
            outcome.unwrap()
        assert failed.value.error == result.error
        assert failed.value.retryable == result.error.retryable


def test_a_result_says_what_it_was_made_of() -> None:
    said = [
        result.error.message
        for outcome, _, _ in ALL
        if isinstance(result := outcome.to_result(), Err)
    ]

    assert said == [
        "no",
        "try again in 500 ms, attempt 1 of 3: busy",
        "still waiting: WaitUntil",
        "cancelled: the order is gone",
        "a batch of 1 has no one value; join_all makes one of them",
    ]


@given(ERRORS)
def test_the_kind_alone_says_whether_repeating_can_help(why: OutcomeError) -> None:
    assert why.retryable == (why.kind in {ErrorKind.STORAGE, ErrorKind.TIMEOUT})


def test_outcomes_do_not_change_and_can_be_keys() -> None:
    for outcome, _, _ in ALL:
        for field in outcome.__struct_fields__:
            with pytest.raises(AttributeError):
                setattr(outcome, field, None)
        assert {outcome: 1}[copy.deepcopy(outcome)] == 1


def broken_pending(token: bytes) -> Pending:
    return Pending(condition=WaitAll(()), resume_token=token)


@pytest.mark.parametrize(
    ("argument", "make"),
    [
        ("after_ms", lambda: Retry(after_ms=-1, attempt=1, max_attempts=1, reason="")),
        ("attempt", lambda: Retry(after_ms=0, attempt=0, max_attempts=1, reason="")),
        ("attempt", lambda: Retry(after_ms=0, attempt=True, max_attempts=1, reason="")),
        ("max_attempts", lambda: Retry(after_ms=0, attempt=1, max_attempts=0, reason="")),
        ("resume_token", lambda: broken_pending(b"")),
        ("resume_token", lambda: broken_pending(bytes(15))),
        ("resume_token", lambda: broken_pending(bytes(17))),
        ("resume_token", lambda: broken_pending(bytearray(16))),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_what_counts_backwards_or_has_half_a_token_is_refused(
    argument: str, make: Callable[[], object]
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        make()

    assert refused.value.argument == argument


# ------------------------------------------------------------------------ several become one

ORDER: list[Outcome[int]] = [Err(error()), OFF, LATER, WAITING]
OTHERS: list[Outcome[int]] = [
    Err(error(message="other")),
    Cancelled(reason="other"),
    Retry(after_ms=0, attempt=2, max_attempts=2, reason="other"),
    Pending(condition=WaitAny(()), resume_token=bytes(16)),
]


@pytest.mark.parametrize(("left", "right"), list(itertools.product(range(4), range(4))), ids=str)
def test_of_two_without_a_value_the_worse_one_is_taken_and_of_two_alike_the_left(
    left: int, right: int
) -> None:
    zipped = zip_(ORDER[left], OTHERS[right])

    assert zipped is (ORDER[left] if left <= right else OTHERS[right])


@given(WITHOUT, OUTCOMES.filter(lambda outcome: outcome.is_ok() or outcome.is_batch()))
def test_what_has_no_value_goes_before_values_and_batches(
    without: Outcome[int], other: Outcome[int]
) -> None:
    assert zip_(without, other) is without
    assert zip_(other, without) is without


@given(OUTCOMES, st.integers())
def test_a_value_is_zipped_with_each_item_of_a_batch(outcome: Outcome[int], value: int) -> None:
    assert zip_(outcome, Ok(value)) == outcome.map(lambda one: (one, value))
    assert zip_(Ok(value), outcome) == outcome.map(lambda one: (value, one))


@given(st.lists(st.tuples(OUTCOMES, OUTCOMES), max_size=4))
def test_batches_are_zipped_item_by_item(pairs: list[tuple[Outcome[int], Outcome[int]]]) -> None:
    left = Batch(tuple([a for a, _ in pairs]))
    right = Batch(tuple([b for _, b in pairs]))

    assert zip_(left, right) == Batch(tuple([zip_(a, b) for a, b in pairs]))


@given(st.lists(OUTCOMES, max_size=3), st.lists(OUTCOMES, max_size=3))
def test_batches_of_different_length_do_not_zip(
    left: list[Outcome[int]], right: list[Outcome[int]]
) -> None:
    zipped = zip_(Batch(tuple(left)), Batch(tuple(right)))

    if len(left) == len(right):
        assert isinstance(zipped, Batch)
    else:
        assert isinstance(zipped, Err)
        assert zipped.error.kind is ErrorKind.INTERNAL
        assert zipped.error.message == f"a batch of {len(left)} beside one of {len(right)}"


@given(OUTCOMES, OUTCOMES, FUNCTIONS, FUNCTIONS)
def test_to_map_before_zipping_is_to_map_after(
    a: Outcome[int], b: Outcome[int], f: Function, g: Function
) -> None:
    assert zip_(a.map(f), b.map(g)) == zip_(a, b).map(lambda pair: (f(pair[0]), g(pair[1])))


@given(st.lists(OUTCOMES, max_size=5))
def test_all_joined_are_all_values_or_the_first_that_is_none(
    outcomes: list[Outcome[int]],
) -> None:
    flat = leaves(Batch(tuple(outcomes)))
    without = [leaf for leaf in flat if not isinstance(leaf, Ok)]

    joined = join_all(outcomes)

    if without:
        assert joined is without[0]
    else:
        assert joined == Ok([leaf.value for leaf in flat if isinstance(leaf, Ok)])


@given(st.lists(OUTCOMES, max_size=5))
def test_any_joined_is_the_first_that_decides_or_the_last_error(
    outcomes: list[Outcome[int]],
) -> None:
    flat = leaves(Batch(tuple(outcomes)))
    deciding = [leaf for leaf in flat if not isinstance(leaf, Err)]

    joined = join_any(outcomes)

    if deciding:
        assert joined is deciding[0]
    elif flat:
        assert joined is flat[-1]
    else:
        assert isinstance(joined, Err)
        assert joined.error.kind is ErrorKind.INTERNAL


def test_joining_nothing_is_no_values_and_no_choice() -> None:
    assert join_all(()) == join_all([NONE]) == Ok([])
    assert join_any([NONE]) == join_any(())
    assert join_any(()).to_result().is_err()


def test_joining_asks_no_further_than_the_answer() -> None:
    listed: list[Outcome[int]] = [Ok(1), OFF, Ok(2)]
    for join, answer, rest in ((join_all, OFF, [Ok(2)]), (join_any, Ok(1), [OFF, Ok(2)])):
        outcomes = iter(listed)

        assert join(outcomes) == answer
        assert list(outcomes) == rest


# ------------------------------------------------------------------------------- stored

Ints: TypeAlias = Outcome[int]  # mypy takes no `Outcome[int]` where a value is expected
Layers: TypeAlias = Outcome[Outcome[int]]
Details: TypeAlias = WaitCondition | Compensation

INTS: Decoder[Ints] = Decoder(Ints)


@given(OUTCOMES)
def test_an_outcome_is_read_as_it_was_written_and_written_as_it_was_read(
    outcome: Outcome[int],
) -> None:
    data = codec.encode(outcome)

    again = INTS.decode(data)

    assert again == outcome
    assert type(again) is type(outcome)
    assert codec.encode(again) == data


@given(NESTED)
def test_an_outcome_of_an_outcome_is_read_as_it_was_written(
    outcome: Outcome[Outcome[int]],
) -> None:
    assert Decoder(Layers).decode(codec.encode(outcome)) == outcome


STORED: list[tuple[Outcome[int], dict[str, object]]] = [
    (Ok(7), {"type": "Ok", "value": 7}),
    (
        Err(OutcomeError(ErrorKind.CUSTOM, "no", 9, Release(("seat",)))),
        {
            "type": "Err",
            "error": {
                "kind": 4095,
                "message": "no",
                "custom_code": 9,
                "compensation": {"type": "Release", "resource_ids": ["seat"]},
            },
        },
    ),
    (
        LATER,
        {"type": "Retry", "after_ms": 500, "attempt": 1, "max_attempts": 3, "reason": "busy"},
    ),
    (
        WAITING,
        {
            "type": "Pending",
            "condition": {"type": "WaitUntil", "epoch_ms": 1_700_000_000_000},
            "resume_token": TOKEN,
        },
    ),
    (OFF, {"type": "Cancelled", "reason": "the order is gone"}),
    (
        Batch((Ok(7), NONE)),
        {"type": "Batch", "items": [{"type": "Ok", "value": 7}, {"type": "Batch", "items": []}]},
    ),
]


@pytest.mark.parametrize(
    ("outcome", "stored"), STORED, ids=[type(one[0]).__name__ for one in STORED]
)
def test_a_variant_is_stored_as_a_map_that_says_its_type(
    outcome: Outcome[int], stored: dict[str, object]
) -> None:
    assert codec.decode_plain(codec.encode(outcome)) == stored
    assert INTS.decode(codec.encode(stored)) == outcome


@pytest.mark.parametrize(
    ("detail", "stored"),
    [
        (WaitEvent(EventId(UUID(int=5))), {"type": "WaitEvent", "event_id": UUID(int=5).bytes}),
        (
            WaitAll((WaitAny(()),)),
            {"type": "WaitAll", "conditions": [{"type": "WaitAny", "conditions": []}]},
        ),
        (WaitCustom("t", b"d"), {"type": "WaitCustom", "tag": "t", "data": b"d"}),
        (Rollback((EventId(UUID(int=5)),)), {"type": "Rollback", "event_ids": [UUID(int=5).bytes]}),
        (Notify("ops", "look"), {"type": "Notify", "target": "ops", "message": "look"}),
        (CustomAction("t", b"d"), {"type": "CustomAction", "action_type": "t", "data": b"d"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_condition_or_compensation_is_stored_as_a_map_that_says_its_type(
    detail: WaitCondition | Compensation, stored: dict[str, object]
) -> None:
    assert codec.decode_plain(codec.encode(detail)) == stored
    assert Decoder(Details).decode(codec.encode(stored)) == detail


def test_the_numbers_of_kinds_are_what_is_stored() -> None:
    assert {kind.name: kind.value for kind in ErrorKind} == {
        "NOT_FOUND": 1,
        "CONFLICT": 2,
        "VALIDATION": 3,
        "POLICY_REJECTION": 4,
        "CANCELLED": 5,
        "STORAGE": 6,
        "TIMEOUT": 7,
        "PENDING": 8,
        "SERIALIZATION": 9,
        "INTERNAL": 10,
        "BATCH_COLLAPSE": 11,
        "CUSTOM": 4095,
    }


@pytest.mark.parametrize(
    "stored",
    [
        {"type": "Maybe", "value": 7},
        {"value": 7},
        {"type": "Ok", "value": "7"},
        {"type": "Batch", "items": [{"type": "Batch", "items": [{"type": "Ok", "value": "7"}]}]},
        {"type": "Err", "error": {"kind": 12, "message": ""}},
        {"type": "Retry", "after_ms": 1, "attempt": 0, "max_attempts": 1, "reason": ""},
        {
            "type": "Pending",
            "condition": {"type": "WaitAll", "conditions": []},
            "resume_token": b"x",
        },
    ],
    ids=str,
)
def test_what_is_no_outcome_is_not_read_as_one(stored: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        INTS.decode(codec.encode(stored))


# ------------------------------------------------------------------------------ nested deep


def test_what_nests_as_deep_as_may_be_can_be_used_like_any_other() -> None:
    deep = nested(64)

    assert INTS.decode(codec.encode(deep)) == deep == copy.deepcopy(deep)
    assert pickle.loads(pickle.dumps(deep)) == deep  # noqa: S301  our own bytes
    assert hash(deep) == hash(nested(64))
    assert repr(deep).count("Batch") == 64
    assert deep.map(str).and_then(lambda text: Ok(int(text))) == deep
    assert deep.or_else(Err).map_err(lambda why: why) == deep
    assert deep.inspect(str).inspect_err(str) is deep
    assert zip_(deep, deep) == deep.map(lambda value: (value, value))
    assert join_all([deep]) == Err(error())
    assert join_any([deep]) == Ok(1)


def test_what_nests_deeper_is_refused_when_it_is_made() -> None:
    deep = nested(64)

    deeper: list[Callable[[], object]] = [
        lambda: Batch((Ok(1), deep)),
        lambda: nested(1).and_then(lambda _: deep),
        lambda: nested(1).and_then_if(lambda _: True, lambda _: deep),
        lambda: nested(1).or_else(lambda _: deep),
    ]
    for make in deeper:
        with pytest.raises(TooLarge, match="nesting of batches is 65, at most 64"):
            make()


def test_conditions_nest_as_deep_as_batches() -> None:
    deep: WaitCondition = WaitUntil(0)
    for _ in range(32):
        deep = WaitAll((WaitAny((deep,)),))

    assert hash(deep) == hash(copy.deepcopy(deep))
    deeper: list[Callable[[], object]] = [
        lambda: WaitAll((WaitUntil(0), deep)),
        lambda: WaitAny((deep,)),
    ]
    for make in deeper:
        with pytest.raises(TooLarge, match="nesting of conditions is 65, at most 64"):
            make()


@pytest.mark.parametrize("more", [1, 100, 100_000])
def test_bytes_that_nest_deeper_are_refused_when_they_are_read(more: int) -> None:
    head = codec.encode(Batch((Ok(1),))).removesuffix(codec.encode(Ok(1)))
    assert INTS.decode(head * 64 + codec.encode(Ok(1))).is_batch()

    with pytest.raises((msgspec.ValidationError, RecursionError)):
        INTS.decode(head * (64 + more) + codec.encode(Ok(1)))
