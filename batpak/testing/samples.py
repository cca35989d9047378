"""One valid value of a class, always the same: what a test says of it, and the simplest rest.

    sample(OrderPlaced, order_id=ORDER, total=TEN)

The rest comes from the strategies of the package, which stand in `testing.py` beside the class. For
what has none there (state data, contexts, what is written by hand) the types of the fields say it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Set
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import FunctionType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    TypeAlias,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from msgspec import Struct

from batpak.platform import REAL

if TYPE_CHECKING:
    from hypothesis import strategies as st

    Strategy: TypeAlias = st.SearchStrategy[Any]

V = TypeVar("V", bound=Struct)

_EMPTY: Final[Mapping[object, object]] = {tuple: (), frozenset: frozenset[object](), Mapping: {}}


def sample(cls: type[V], /, **given: object) -> V:
    """Make a value. Fields that are not given are as simple as they can be: 0, None, no text.

    The first one of a class takes some milliseconds, so do not make it inside a property test.

    Args:
        cls: An event, a type, state data or a context, generated or written by hand.
        given: Fields, taken as they are.

    Raises:
        TypeError: `cls` has no such field.
        Exception: What `cls` raises about such a value: give the fields that it refuses.
    """
    return cls(**{**_simplest(cls, frozenset(given)), **given})


@cache
def _simplest(cls: type[Struct], given: Set[str]) -> Mapping[str, object]:
    """Field -> value, of the simplest value of a class, for the fields that are not given."""
    from hypothesis import HealthCheck, Phase, find, settings

    quick = settings(
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
    )
    found: list[Any] = []
    failed: list[Exception] = []

    def look() -> None:
        try:
            found.append(find(_rest(cls, given), lambda _: True, settings=quick))
        except Exception as error:  # noqa: BLE001  it is raised below, in the thread of the caller
            failed.append(error)

    thread = REAL.thread(look, "sample")  # hypothesis looks for nothing inside a test of its own
    thread.start()
    thread.join()
    for error in failed:
        raise error
    rest: Mapping[str, object] = found[0]
    return rest


def _rest(cls: type[Struct], given: Set[str]) -> Strategy:
    """What gives field -> value, for the fields that are not given."""
    from hypothesis import strategies as st

    rest = [name for name in cls.__struct_fields__ if name not in given]
    if made := _generated(cls.__module__).get(cls):
        return made().map(lambda value: {name: getattr(value, name) for name in rest})
    fields = get_type_hints(cls)
    return st.fixed_dictionaries({name: _strategy(fields[name]) for name in rest})


def _strategy(of: Any) -> Strategy:  # noqa: ANN401  a type, as annotations have it
    """What gives values of a type, simple ones first."""
    from hypothesis import strategies as st

    if _is_struct(of):
        if made := _generated(of.__module__).get(of):
            return made()
        fields = get_type_hints(of)
        return st.builds(of, **{name: _strategy(fields[name]) for name in of.__struct_fields__})
    origin, inner = get_origin(of), get_args(of)
    if origin in _EMPTY:
        return st.just(_EMPTY[origin])
    if origin in (Union, UnionType):
        return st.none() if type(None) in inner else _strategy(inner[0])
    if of is dt.datetime:
        return st.datetimes(timezones=st.just(dt.UTC))
    return st.from_type(of)


def _is_struct(of: object) -> TypeGuard[type[Struct]]:
    return isinstance(of, type) and issubclass(of, Struct)


@cache
def _generated(module: str) -> Mapping[object, Callable[[], Strategy]]:
    """Struct -> its strategy, of those that were generated beside a module."""
    package = module.rpartition(".")[0]
    if not package or find_spec(f"{package}.testing") is None:
        return {}
    beside = vars(import_module(f"{package}.testing"))
    functions = (beside[name] for name in beside.get("__all__", ()))
    made = {
        get_args(get_type_hints(function).get("return"))[:1]: function
        for function in functions
        if isinstance(function, FunctionType)
    }
    return {of[0]: function for of, function in made.items() if of}
