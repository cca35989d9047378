"""Meaning: what a cached state depends on besides the log, as a digest that changes with it.

    shapes    of the payload classes that it is folded from, former versions included, and its own
    code      of the functions that fold it, and of what those call by name; what is bound to them,
              as defaults and in closures

A digest that changes needlessly, as with another version of Python, costs one replay. What is bound
and cannot be digested is `Unclear`: no state is kept then. What no digest sees is said in words: a
`VERSION` that goes up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Final, cast

import msgspec

from batpak import codec, registry
from batpak.digest import joined_hash
from batpak.ids import framed

_PLAIN: Final = (bool, int, float, complex, str, bytes, Decimal, type(None), type(...))
_METHODS: Final = (FunctionType, staticmethod, classmethod, property)


class Unclear(Exception):
    """Something that a state depends on has no digest: it may mean anything."""


def digest_of(parts: Iterable[str]) -> str:
    """Thirty-two hex digits for some texts, each framed by its length."""
    return joined_hash(*map(framed, parts))[:16].hex()


# ------------------------------------------------------------------------------------- shapes


def shapes(kinds: Iterable[int]) -> Iterator[str]:
    """The shapes of the classes that read some kinds, in whatever version they are stored."""
    for kind in sorted(kinds):
        yield f"kind {kind}"
        for entry in registry.versions(kind):
            yield f"version {entry.version}"
            yield from shape(entry.cls)
            if entry.upcast is not None:
                yield from code(entry.upcast)


def shape(cls: type[msgspec.Struct]) -> Iterator[str]:
    """What bytes have to be like to be read as a class: fields, types, defaults, tags."""
    return _node(msgspec.inspect.type_info(cls), set())


def _node(node: object, seen: set[type]) -> Iterator[str]:
    if isinstance(node, type):
        yield f"{node.__module__}.{node.__qualname__}"
        if issubclass(node, Enum):
            yield from (f"{member.name}={member.value!r}" for member in node)
    elif isinstance(node, msgspec.inspect.StructType) and node.cls in seen:
        yield f"{node.cls.__module__}.{node.cls.__qualname__}"  # a struct inside itself
    elif isinstance(node, msgspec.Struct):
        if isinstance(node, msgspec.inspect.StructType):
            seen = {*seen, node.cls}
        yield type(node).__name__
        for name in node.__struct_fields__:
            yield name
            yield from _node(getattr(node, name), seen)
    elif isinstance(node, tuple):
        parts = cast("tuple[object, ...]", node)
        yield f"{len(parts)} of"
        for one in parts:
            yield from _node(one, seen)
    elif isinstance(node, _PLAIN):
        yield repr(node)
    else:
        yield type(node).__qualname__  # a default that may have an address in its repr


# --------------------------------------------------------------------------------------- code


def code(*owners: object) -> Iterator[str]:
    """The code of functions, methods and classes, and of what they call by name.

    What they reach in other ways, as through an attribute or a variable, is not seen.

    Raises:
        Unclear: What is bound to one of them has no stored form.
    """
    seen: set[object] = set()
    for owner in owners:
        yield from _code(owner, seen)


def _code(owner: object, seen: set[object]) -> Iterator[str]:
    owner = getattr(owner, "__func__", owner)
    if isinstance(owner, property):
        owner = owner.fget
    if isinstance(owner, FunctionType | type):
        if owner in seen or _is_of_a_library(owner.__module__):
            yield owner.__qualname__
            return
        seen.add(owner)
    if isinstance(owner, FunctionType):
        yield from _text(owner.__code__)
        for name in _names(owner.__code__):
            yield from _global(owner.__globals__.get(name), seen)
        yield from _bound(owner.__defaults__ or (), seen)
        for name, value in sorted((owner.__kwdefaults__ or {}).items()):
            yield name
            yield from _bound((value,), seen)
        for cell in owner.__closure__ or ():
            with suppress(ValueError):  # nothing is in it yet
                yield from _bound((cell.cell_contents,), seen)
    elif isinstance(owner, type):
        for base in reversed(owner.__mro__):
            if not _is_of_a_library(base.__module__):
                for name, member in sorted(vars(base).items()):
                    if type(member) in _METHODS:
                        yield name
                        yield from _code(member, seen)


def _global(value: object, seen: set[object]) -> Iterator[str]:
    if isinstance(value, FunctionType | type):
        yield from _code(value, seen)
    elif isinstance(value, _PLAIN):
        yield repr(value)


def _bound(values: Iterable[object], seen: set[object]) -> Iterator[str]:
    """What is bound to a function, and so belongs to its code."""
    for value in values:
        yield type(value).__qualname__
        if isinstance(value, FunctionType | MethodType | type):
            yield from _code(value, seen)
        elif isinstance(value, ModuleType):
            yield value.__name__
        elif isinstance(value, _PLAIN):
            yield repr(value)
        else:
            try:
                yield codec.encode(value).hex()
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                raise Unclear(type(value).__qualname__) from error


def _names(of: CodeType) -> Iterator[str]:
    yield from of.co_names
    for constant in of.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _text(of: CodeType) -> Iterator[str]:
    yield of.co_code.hex()
    yield " ".join((*of.co_names, *of.co_varnames))
    for constant in of.co_consts:
        if isinstance(constant, CodeType):
            yield from _text(constant)
        elif isinstance(constant, frozenset):
            yield " ".join(sorted(map(repr, cast("frozenset[object]", constant))))
        else:
            yield repr(constant)


def _is_of_a_library(module: str) -> bool:
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in ("batpak", "msgspec")
