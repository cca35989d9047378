"""Sabotage: the engine with one line of its reasoning broken, to see whether the tests notice.

    with sabotage("ack-before-sync"):
        ...                            # COMMIT answers before the data is durable

A test that cannot fail proves nothing. `switches.SWITCHES` lists what can be broken, each as an
edit of the source of one or more functions. Inside the block they run the edited code, in this
process and for everybody, whatever name they were imported by. Blocks may lie inside each other as
long as their switches do not edit the same function.
"""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import reduce
from types import CodeType, FunctionType
from typing import Final

from batpak.errors import InvalidArgument
from batpak.testing.switch import Edit
from batpak.testing.switches import SWITCHES

_OUTER: Final = "_outer"
_DEF: Final = re.compile(r"^((?:async )?def )", re.MULTILINE)
_BROKEN: Final = set[FunctionType]()  # by some block, at this moment


@contextmanager
def sabotage(name: str) -> Generator[None]:
    """Run the block with a broken engine.

    Args:
        name: Of a switch in `switches.SWITCHES`.

    Raises:
        InvalidArgument: There is no such switch, or another block has broken one of its functions.
        LookupError: The engine has no such line any more: the switch has to be mended.
    """
    switch = SWITCHES.get(name)
    if switch is None:
        raise InvalidArgument("name", f"no switch is called {name!r}")
    with ExitStack() as stack:
        for edit in switch.edits:
            stack.enter_context(_edited(edit))
        yield


@contextmanager
def _edited(edit: Edit) -> Generator[None]:
    """Exchange the code of one function."""
    function = _function(edit.function)
    if function in _BROKEN:
        raise InvalidArgument("name", f"{edit.function} is broken by another switch already")
    before = function.__code__
    function.__code__ = _code_of(function, edit)
    _BROKEN.add(function)
    try:
        yield
    finally:
        function.__code__ = before
        _BROKEN.remove(function)


def _function(path: str) -> FunctionType:
    """The function at `module:name` or `module:Class.name`."""
    module, _, name = path.partition(":")
    found: object = importlib.import_module(module)
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    if not isinstance(found, FunctionType):
        raise LookupError(f"{path} is no function")
    return found


def _code_of(function: FunctionType, edit: Edit) -> CodeType:
    """What a function would be if its source were edited."""
    source = inspect.getsource(function)
    for old, new in edit.changes:
        if source.count(old) != 1:
            raise LookupError(f"{edit.function} has this {source.count(old)} times: {old}")
        source = source.replace(old, new)
    free = function.__code__.co_freevars  # such as `__class__`: they have to be somebody's locals
    outer = f"from __future__ import annotations\ndef {_OUTER}({', '.join(free)}):\n"
    _, start, body = _DEF.split(textwrap.dedent(source), maxsplit=1)
    text = outer + textwrap.indent(start + body, "    ")  # decorators are left out
    # Without a tree of it: before 3.11.8 making one fails now and then (CPython gh-106905).
    whole = compile(text, function.__code__.co_filename, "exec")
    return reduce(_inner, (_OUTER, function.__name__), whole)


def _inner(code: CodeType, name: str) -> CodeType:
    """The code of the function of that name inside another code."""
    return next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
