"""The compiled patterns of one generated module: what each is called, and the lines that make it.

A pattern is named after the alias or the field that has it, `_SKU`; where two of them differ, the
second is named after its owner as well, `_ORDER_LINE_SKU`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, count

from batpak_codegen import pattern
from batpak_codegen.layout import Call, statement
from batpak_codegen.text import python_literal


class Compiled:
    """The patterns of one module, by the names of their constants."""

    def __init__(self) -> None:
        self._patterns: dict[str, str] = {}

    def constant(self, source: str, names: Iterable[str]) -> str:
        """Return the constant of a pattern: the first of `names` that is free, or has it."""
        wanted = [f"_{name.upper()}" for name in names]
        numbered = (f"{wanted[-1]}_{number}" for number in count(2))
        for name in chain(wanted, numbered):
            if self._patterns.setdefault(name, source) == source:
                return name
        raise AssertionError("numbers do not end")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the constants."""
        return tuple(self._patterns)

    def lines(self) -> list[str]:
        """Return the statements, and an empty line behind them."""
        found: list[str] = []
        for name, source in self._patterns.items():
            read = pattern.read(source)
            flags = ("re.ASCII",) if read.is_ascii else ()
            call = Call("re.compile(", (python_literal(read.regex), *flags))
            found.append(statement(f"{name}: Final = ", call))
        return [*found, ""] if found else []
