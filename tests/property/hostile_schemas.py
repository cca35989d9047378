"""Schemas with somebody's text in every slot that can hold text, and harmless twins of them.

A schema is drawn as a shape and a list of texts. The shape decides everything but the texts, so
two schemas of one shape have to become the same program, constants aside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final, NamedTuple, TypeAlias

from hypothesis import strategies as st

Tree: TypeAlias = "str | int | bool | list[Tree] | dict[str, Tree]"

INJECTIONS: Final = [
    '"""',
    "'''",
    '"""\nimport os\n"""',
    "\\",
    '\\"""',
    "\\\n",
    "\\N{BULLET}",
    "\\x41\\u0041",
    "'); __import__('os').system('x') #",
    '"); __import__("os").system("x") #',
    "{__import__('os')}",
    "{{7*7}}",
    "{% raw %}",
    "{# x #}",
    "%(x)s %s",
    "# type: ignore",
    "# -*- coding: utf-7 -*-",
    "# fmt: on",
    "x\n\nimport os\nos.system('x')",
    "\n    def f(): pass",
    "f'{x}'",
    "0; exec('x')",
    "]",
    ")",
    "}",
    "\u2013 \u00fc \U0001f600",
    "\u00a0x",
    "None",
    "null",
    "true",
    "1e999",
    "@generated",
]
FILES: Final = ["s", 'a"""b', "a'b", "a\nb", "# coding: utf-7", "a\\", "{{x}}", "\u00e9", "%s"]
NAMES: Final = [  # four types and an event's, two fields, a member
    ["Exec", "Eval", "Import", "Class", "exec", "event", "NAME"],
    ["Lambda", "Lambda", "Print", "Object", "open", "state", "VALUE"],
    ["Super", "Async", "Open", "Globals", "problems", "abi", "STDIN"],
    ["Type", "Self", "List", "Return", "cls", "len", "OS"],
    ["Print", "Dict", "Map", "Import", "value", "super", "EXEC"],
]


class Schema(NamedTuple):
    """A schema as text, the name of its file, and the twin that says nothing of interest."""

    text: str
    file: str
    twin: str


def _texts() -> st.SearchStrategy[str]:
    letters = st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn"])
    pieces = st.sampled_from(INJECTIONS) | st.text(letters, max_size=6)
    return st.lists(pieces, min_size=1, max_size=3).map("".join).map(_legal)


def _legal(text: str) -> str:
    """Leave out what is refused at once, and what makes a doc empty or a scalar plain."""
    return "x" + "".join(c for c in text if c == "\n" or c.isprintable())


def _in_class(character: str) -> str:
    return f"\\{character}" if character in "\\]^-[" else character


class _Writer:
    """Writes one schema of a shape; every text is the next one of a list."""

    def __init__(self, texts: Sequence[str], names: Sequence[str]) -> None:
        self._texts: Iterator[str] = iter([*texts, *(f"more {n}" for n in range(100))])
        self._names = names
        self._numbers = count(1)

    def text(self) -> str:
        return next(self._texts)

    def stored(self) -> str:
        """Return the stored value of an enum: printable, short, unlike any other."""
        line = "".join(c for c in self.text() if c.isprintable())
        return f"{next(self._numbers)}{line.encode()[:100].decode(errors='ignore')}"

    def literal(self, text: str | None = None) -> str:
        """Return a text literal of the expression language."""
        inner = (
            (self.text() if text is None else text)
            .replace("\\", "\\\\")
            .replace("'", "\\'")
            .replace("\n", "\\n")
        )
        return f"'{inner}'"

    def message(self, path: str) -> str:
        before, after = (self.text().replace("{", "{{").replace("}", "}}") for _ in "ab")
        return f"{before} {{{path}}} {after}"

    def pattern(self) -> str:
        """Return a pattern that matches one text: every sign in it is escaped."""
        line = "".join(c for c in self.text()[:60] if c.isprintable())
        return "".join(c if c.isalnum() or c == " " else f"[{_in_class(c)}]" for c in line)

    def scope(self) -> str:
        return "".join(c for c in self.text() if c.isprintable() and c not in "/|=.")

    def schema(self, shape: Sequence[bool]) -> Tree:
        docs, gated, deep, listed, x_keys = shape
        one, two, three, four = self._names[:4]
        field, other = self._names[4:6]
        member = self._names[6]

        def doc() -> dict[str, Tree]:
            return {"doc": self.text()} if docs else {}

        def with_default() -> Tree:
            return {"type": "string", "default": self.text(), **doc()}

        types: dict[str, Tree] = {
            "KeyId": {"id": "key", **doc()},
            f"{one}Kind": {"enum": {member: self.stored(), "OTHER": self.stored()}, **doc()},
            f"{two}Text": {"alias": "string", "min_length": 1, **doc()},
            "Mood": {"enum": {"FINE": self.stored(), member: self.stored()}, "open": True},
            "Card": {"struct": {"code": {"type": "string", "pattern": self.pattern()}}},
            "Bank": {"struct": {"code": {"type": "string", "wire": "class"}}},
            "Way": {"union": {"import-os": "Card", "lambda": "Bank"}, **doc()},
            f"{three}Part": {
                "struct": {
                    field: with_default(),
                    "way": "Way",
                    other: {"type": f"{one}Kind", **doc()},
                    "many": {"type": f"list<{two}Text>" if listed else f"{two}Text?", **doc()},
                },
                **doc(),
            },
        }
        fields: dict[str, Tree] = {
            "key": "KeyId",
            field: with_default(),
            other: {"type": f"{three}Part", **doc()},
            "deep": {"type": f"map<list<{three}Part>>" if deep else "string?", **doc()},
        }
        same = self.text().rstrip()
        condition = (
            f"event.{field} == {self.literal(same)} or event.{field}.startswith({self.literal()})"
        )
        gate: Tree = {
            "event": f"{four}Done",
            "machine": "Flow",
            "require": condition,
            "deny": {"code": "NO", "message": self.message(f"event.{field}")},
            "examples": [{"expect": "permit", "event": {field: same}}],
            **doc(),
        }
        move: dict[str, Tree] = {"from": "Start", "to": "End", "event": f"{four}Done", **doc()}
        machine: Tree = {
            "entity": "flow:{key}",
            "scope": self.scope(),
            "states": {
                "Start": {"initial": True, **doc()},
                "End": {"final": True, "data": {field: with_default()}, **doc()},
            },
            "moves": {"finish": {**move, "gates": ["allowed"]} if gated else move},
            **doc(),
        }
        more: dict[str, Tree] = {"parts": f"list<{three}Part>"} if listed else {}
        tree: dict[str, Tree] = {
            "batpak": 1,
            "package": "hostile.things",
            "category": 3,
            **doc(),
            "types": types,
            "events": {f"{four}Done": {"id": 1, "fields": fields, **doc()}},
            "machines": {"Flow": machine},
            "handlers": {"Every": "all"},
            "projections": {
                "Sum": {"events": "all", "state": {field: with_default(), **more}, **doc()}
            },
        }
        if gated:
            tree["gates"] = {"allowed": gate}
        if x_keys:
            tree["x-other"] = self.text()
            tree["events"] = {f"{four}Done": {"id": 1, "fields": fields, "deprecated": self.text()}}
        return tree


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Draw a schema and its twin."""
    shape = [draw(st.booleans()) for _ in range(5)]
    names = draw(st.sampled_from(NAMES))
    texts = draw(st.lists(_texts(), min_size=8, max_size=24))
    hostile, twin = _Writer(texts, names), _Writer([], names)
    file = draw(st.sampled_from(FILES))
    return Schema(_yaml(hostile.schema(shape)), file, _yaml(twin.schema(shape)))


def _yaml(tree: Tree) -> str:
    return json.dumps(tree, ensure_ascii=False, indent=1)
