"""The API page says of every public name what its docstring says.

Without this a name could be public and nowhere explained, or explained as it once was. On a
difference the fresh page is written *and* the test fails: the fix is already in the work tree.
"""

from __future__ import annotations

import ast
import inspect
import re
import tokenize
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import NewType, cast

from msgspec import Struct

import batpak
from batpak import BatpakError

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/api.md"
INTRO = """\
# The API

Every public name of `batpak`, in the order of its `__all__`, with what its docstring promises
first; `help(name)` has the rest: arguments, units, what is durable on return, what is raised. A
test writes this page. Beside it there are `batpak.aio`, [for asyncio](../how-to/use-asyncio.md),
`batpak.outcome` ([Outcomes](outcome.md)) and `batpak.testing`
([Test your domain](../how-to/test-your-domain.md)). Exceptions are by group in
[Errors](errors.md).
"""


def sections() -> dict[str, list[str]]:
    """The public names by the comments that part them in `__all__`."""
    found: dict[str, list[str]] = {}
    public, names = set(batpak.__all__), list[str]()
    with (ROOT / "batpak/__init__.py").open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.NAME and token.string == "_NAMES":
                break
            if token.type == tokenize.COMMENT and token.line.startswith("    # "):
                names = found.setdefault(token.string.lstrip("# "), [])
            if token.type == tokenize.STRING and ast.literal_eval(token.string) in public:
                names.append(ast.literal_eval(token.string))
    return found


def first_line(text: str) -> str:
    """The first paragraph of a docstring, on one line, fit for a table."""
    paragraph = " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())
    return re.sub(r"([|<\[\]])", r"\\\1", paragraph) if "`" not in paragraph else paragraph


def of_alias(name: str, value: object) -> str:
    """What stands under an assignment in the module that makes it; or what it stands for."""
    home = import_module(f"batpak.{batpak._HOMES[name]}")
    for node, after in pairwise(ast.parse(inspect.getsource(home)).body):
        target = getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == name:
            said = after.value if isinstance(after, ast.Expr) else None
            if isinstance(said, ast.Constant) and isinstance(said.value, str):
                return first_line(said.value)
    return f"`{re.sub(r'batpak[.a-z]*[.]', '', str(value))}`"


def promise(name: str, value: object) -> str:
    if isinstance(value, type | ModuleType) or inspect.isroutine(value):
        return first_line(value.__doc__ or "")
    if isinstance(value, NewType):
        return f"A `{value.__supertype__.__name__}` with a type of its own."
    return of_alias(name, value)


def call(name: str, function: Callable[..., object]) -> str:
    """A name with the names of its parameters."""
    shown: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "cls", "_key"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        has_default = parameter.default is not parameter.empty
        shown.append(f"{star}{parameter.name}{'=' if has_default else ''}")
    return f"{name}({', '.join(shown)})"


def public_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__[1:] if getattr(batpak, base.__name__, None) is base]


def members(cls: type) -> Iterator[tuple[str, str]]:
    """The public methods and properties of a class that no public class of ours has given it."""
    if issubclass(cls, Enum):
        return
    ours = [base for base in cls.__mro__ if base.__module__.startswith("batpak")]
    theirs = {name for base in public_bases(cls) for part in base.__mro__ for name in vars(part)}
    names = dict.fromkeys(name for base in reversed(ours) for name in vars(base))
    for name in names:
        attribute = inspect.getattr_static(cls, name)
        if name.startswith("_") or (name in theirs and name not in vars(cls)):
            continue
        if isinstance(attribute, property | cached_property):
            yield name, first_line(attribute.__doc__ or "")
        elif isinstance(attribute, staticmethod | classmethod) or inspect.isfunction(attribute):
            function = getattr(cls, name)
            yield call(name, function), first_line(function.__doc__ or "")


def entries(name: str, value: object) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{promise(name, value)}\n"
    if isinstance(value, type):
        if bases := [base.__name__ for base in public_bases(value) if base is not BatpakError]:
            yield f"Has everything of [{bases[0]}](#{bases[0].lower()}).\n"
        if issubclass(value, Enum) and value.__members__:
            yield "One of " + ", ".join(f"`{one}`" for one in value.__members__) + ".\n"
        elif issubclass(value, Struct) and (fields := value.__struct_fields__):
            yield "Fields: " + ", ".join(f"`{field}`" for field in fields) + ".\n"
        if not issubclass(value, BaseException) and (rows := list(members(value))):
            yield "| | |\n|---|---|"
            yield from (f"| `{shown}` | {said} |" for shown, said in rows)
            yield ""
    elif inspect.isfunction(value):
        yield f"`{call(name, cast('Callable[..., object]', value))}`\n"


def page() -> str:
    lines = [INTRO]
    for section, names in sections().items():
        lines.append(f"## {section[0].upper()}{section[1:]}\n")
        if section.startswith("what goes wrong"):
            lines += ["| | |\n|---|---|"]
            lines += [f"| `{name}` | {promise(name, getattr(batpak, name))} |" for name in names]
            lines.append("")
            continue
        for name in names:
            lines += entries(name, getattr(batpak, name))
    return "\n".join(lines).rstrip() + "\n"


def test_every_public_name_is_in_one_section() -> None:
    found = [name for names in sections().values() for name in names]

    assert found == batpak.__all__


def test_the_page_says_what_the_docstrings_say() -> None:
    fresh = page()

    stale = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    if stale != fresh:
        PAGE.write_text(fresh, encoding="utf-8")
    assert stale == fresh


def test_nothing_public_is_without_a_promise() -> None:
    silent = [
        f"{name}.{shown}"
        for name in batpak.__all__
        if isinstance(value := getattr(batpak, name), type)
        for shown, said in [("", promise(name, value)), *members(value)]
        if not said
    ]

    assert silent == []
