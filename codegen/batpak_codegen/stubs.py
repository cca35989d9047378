"""Yours is sacred: what is missing in a user's file is appended to it, and not a byte is changed.

A new file is scaffolded. In an old one, `ast` says which methods are missing (see `user_source`);
only then libcst is loaded and appends them at the end of the class. What it gives back must be the
old lines with one block of new ones between them, compile, lack nothing, and end as the old file
did; otherwise the file stays as it is and the stubs are printed. Nothing here touches the disk.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from batpak_codegen.diagnostic import Diagnostic, Findings, Span
from batpak_codegen.ir import HookClass, HookMethod
from batpak_codegen.layout import STEP, Call, statement
from batpak_codegen.text import doc
from batpak_codegen.user_source import Debt, Source, parse

HANDLE: Final = "h"
_OPENING: Final = '''\
"""Yours. batpak appends methods that are missing here; it never changes a line you wrote."""

from __future__ import annotations

from typing import final

'''
_BODY: Final = "raise NotImplementedError  # batpak: write me"
_WAY_OUT: Final = "or run batpak gen --no-stubs"


class Merged(Struct, frozen=True):
    """What a user's file should hold, and which methods that adds.

    `orphans` are what it should not have, `unwritten` what nobody has written yet.
    """

    data: bytes
    added: tuple[str, ...]
    orphans: tuple[Diagnostic, ...] = ()
    unwritten: tuple[Diagnostic, ...] = ()


def merge(data: bytes | None, classes: Sequence[HookClass], *, path: str, module: str) -> Merged:
    """Return the file with a stub for every method that is missing.

    Args:
        data: The file as it is, or None if there is none yet.
        classes: What it has to implement; at least one.
        path: How the file is printed.
        module: What it is imported as.

    Raises:
        SchemaError: E0601, the file does not parse, or cannot be extended without changing it;
            E0602, something is missing and no single class is the place for it.
    """
    if data is None:
        names = tuple(method.name for each in classes for method in each.methods)
        return Merged(scaffold(classes), names, (), _lacking(path, names))
    findings = Findings()
    try:
        source = Source(parse(data), module)
    except (SyntaxError, ValueError) as error:
        findings.stop("E0601", *_unreadable(path, error), help=f"mend it, {_WAY_OUT}")
    orphans = [orphan for wanted in classes for orphan in _orphans(source, wanted, path)]
    owing = [(wanted, _owing(source, wanted, path, findings)) for wanted in classes]
    added: list[str] = []
    for wanted, debt in sorted(owing, key=_from_below):
        if debt is None:
            continue
        handle = source.handle(wanted.homes[0])
        longer = _extended(data, debt, handle) if handle else None
        if longer is None:
            message = f"{debt.node.name} lacks {_listed(debt.missing)}, and has no place for it"
            _refuse(findings, "E0602", message, path, wanted, debt)
        elif not _keeps_promises(data, longer, wanted, module):
            message = f"{debt.node.name} cannot be extended without a change to your lines"
            _refuse(findings, "E0601", message, path, wanted, debt)
        else:
            data = longer
            added[:0] = [method.name for method in debt.missing]
    findings.finish()
    unwritten = [stub for wanted in classes for stub in _unwritten(source, wanted, path)]
    return Merged(data, tuple(added), tuple(orphans), (*unwritten, *_lacking(path, added)))


def _from_below(pair: tuple[HookClass, Debt | None]) -> int:
    """Order classes from the end of the file: then what is above keeps its lines."""
    return -pair[1].index if pair[1] else 0


def _refuse(
    findings: Findings, code: str, message: str, path: str, wanted: HookClass, debt: Debt
) -> None:
    pasted = _pasted(wanted, debt.missing)
    help_ = f"paste this at its end, {_WAY_OUT}:\n{pasted}"
    findings.add(code, message, _span(path, debt.node), help=help_)


def scaffold(classes: Sequence[HookClass]) -> bytes:
    """Return a new file."""
    package, _, name = classes[0].homes[0].rpartition(".")
    lines = [_OPENING + f"from {package} import {name} as {HANDLE}"]
    for wanted in classes:
        stubs = [
            "\n".join(_stub(method, HANDLE, " " * STEP, " " * STEP)) for method in wanted.methods
        ]
        indented = "\n\n".join(stubs).split("\n")
        lines += ["", "", *_class_head(wanted)]
        lines += [_indented(row) for row in indented]
    installs = [f"{HANDLE}.{each.install}({each.name}())" for each in classes if each.install]
    lines += ["", "", *installs] if installs else []
    return ("\n".join(lines) + "\n").encode("ascii")


def _class_head(wanted: HookClass) -> list[str]:
    return ["@final", f"class {wanted.name}({HANDLE}.{wanted.base}):"]


def _indented(row: str) -> str:
    """Indent a row of code; those of docstrings that go on come with their whole margin."""
    if row.startswith(_CONTINUED):
        return row.removeprefix(_CONTINUED)
    return " " * STEP + row if row else row


_NAMES: Final = re.compile(rf"\b{HANDLE}\.")
_CONTINUED: Final = "\0"  # before a row that is inside a docstring


def _stub(method: HookMethod, handle: str, margin: str, unit: str) -> list[str]:
    """Return the rows of a method as they stand in a class body, without its margin.

    Args:
        method: What to write.
        handle: The module that the names are from, as the file calls it.
        margin: The indentation of the class body.
        unit: One more level of it.
    """
    parameters = tuple(_NAMES.sub(f"{handle}.", each) for each in method.parameters)
    result = f") -> {_NAMES.sub(f'{handle}.', method.result)}:"
    head = statement("", Call(f"def {method.name}(", parameters, result), indent=STEP)
    rows = [f"@{handle}.override"]
    for row in head.split("\n"):
        body = row.lstrip(" ")
        depth = (len(row) - len(body)) // STEP
        rows.append(unit * (depth - 1 if depth else 0) + body)
    if method.doc:
        first, *rest = doc(method.doc, 2 * STEP).text.split("\n")
        rows.append(unit + first)
        inside = margin + unit
        rows += [_CONTINUED + (inside + row[2 * STEP :] if row else "") for row in rest]
    return [*rows, unit + _BODY]


def _listed(methods: Sequence[HookMethod]) -> str:
    return ", ".join(f"`{method.name}`" for method in methods)


def _pasted(wanted: HookClass, methods: Sequence[HookMethod], *, whole: bool = False) -> str:
    """Return stubs as a person would paste them."""
    stubs = ["\n".join(_stub(method, HANDLE, " " * STEP, " " * STEP)) for method in methods]
    rows = [_indented(row) for row in "\n\n".join(stubs).split("\n")]
    if whole:
        rows = [*_class_head(wanted), *rows]
        rows += ["", f"{HANDLE}.{wanted.install}({wanted.name}())"] if wanted.install else []
    package, _, name = wanted.homes[0].rpartition(".")
    imports = ["# from typing import final"] if whole else []
    return "\n".join([*imports, f"# from {package} import {name} as {HANDLE}", *rows])


def _span(path: str, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Span:
    """Return the place of `class` or `def`; only white space can stand before it."""
    column = node.col_offset + 1
    word = "class" if isinstance(node, ast.ClassDef) else "def"
    return Span(path, node.lineno, column, node.lineno, column + len(word))


def _unreadable(path: str, error: Exception) -> tuple[str, Span]:
    line = error.lineno if isinstance(error, SyntaxError) else None
    column = error.offset if isinstance(error, SyntaxError) else None
    at, column = max(line or 1, 1), max(column or 1, 1)
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"this file does not parse: {reason}", Span(path, at, column, at, column + 1)


def _orphans(source: Source, wanted: HookClass, path: str) -> list[Diagnostic]:
    hint = "it is never called; delete it when you no longer need its text"
    return [
        Diagnostic("W0603", f"no schema asks for `{node.name}` any more", _span(path, node), hint)
        for node in source.orphans(wanted)
    ]


def _unwritten(source: Source, wanted: HookClass, path: str) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    for name, at in source.unwritten(wanted):
        column = at.col_offset + 1  # only white space can stand before it
        span = Span(path, at.lineno, column, at.lineno, column + len("raise"))
        message = f"`{name}` is not written yet"
        found.append(Diagnostic("E0605", message, span, "whoever needs it gets this exception"))
    return found


def _lacking(path: str, names: Sequence[str]) -> tuple[Diagnostic, ...]:
    hint = "run batpak gen, and write what it adds"
    return tuple(Diagnostic("E0605", f"{path} lacks `{name}`", None, hint) for name in names)


def _owing(source: Source, wanted: HookClass, path: str, findings: Findings) -> Debt | None:
    """Return the one class to extend, or None: nothing is missing, or it is reported."""
    debts = source.debts(wanted)
    if not debts:
        message = f"no class here implements {wanted.base}"
        pasted = _pasted(wanted, wanted.methods, whole=True)
        place = Span(path, 1, 1, 1, 2)
        findings.add("E0602", message, place, help=f"paste this, {_WAY_OUT}:\n{pasted}")
        return None
    owing = [debt for debt in debts if debt.missing]
    if len(debts) == 1 or not owing:
        return owing[0] if owing else None
    for debt in owing:
        message = f"{debt.node.name} lacks {_listed(debt.missing)}, and is not the only class"
        message += f" that implements {wanted.base}"
        _refuse(findings, "E0602", message, path, wanted, debt)
    return None


def _extended(data: bytes, debt: Debt, handle: str) -> bytes | None:
    """Return the file with stubs at the end of a class, or None if its body is one line."""
    import libcst  # 126 ms, and only needed when something is missing
    from libcst import matchers

    try:
        module = libcst.parse_module(data)
    except (libcst.ParserSyntaxError, SyntaxError, UnicodeError, LookupError):
        return b""  # what Python reads and libcst does not is left to the person
    found = matchers.findall(module, matchers.ClassDef())[debt.index]
    if not isinstance(found, libcst.ClassDef) or not isinstance(found.body, libcst.IndentedBlock):
        return None
    block = found.body
    unit = block.indent if block.indent is not None else module.default_indent
    margin = _margin(data, debt.node, module.encoding)
    body, opening = [*block.body], block.footer
    for method in debt.missing:
        rows = (row.removeprefix(_CONTINUED) for row in _stub(method, handle, margin, unit))
        text = "".join(row + module.default_newline for row in rows)
        (stub,) = libcst.parse_module(text, module.config_for_parsing).body
        gap = libcst.EmptyLine(indent=False)
        body.append(stub.with_changes(leading_lines=(*opening, gap)))
        opening = ()
    longer = found.with_changes(body=block.with_changes(body=body, footer=()))
    extended = module.deep_replace(found, longer)
    return extended.bytes if isinstance(extended, libcst.Module) else None


def _margin(data: bytes, node: ast.ClassDef, encoding: str) -> str:
    """Return the white space before the statements of a class body."""
    rows = data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    row = rows[node.body[0].lineno - 1]
    return row[: len(row) - len(row.lstrip(" \t"))]


def _keeps_promises(old: bytes, new: bytes, wanted: HookClass, module: str) -> bool:
    """Whether `new` is `old` with one block of lines more, whole, and lacks nothing."""
    before, after = old.splitlines(), new.splitlines()
    top = 0
    while top < len(before) and top < len(after) and before[top] == after[top]:
        top += 1
    rest = before[top:]
    if len(after) <= len(before) or (rest and after[-len(rest) :] != rest):
        return False
    if _ending(old) != _ending(new) or _newlines(new) - _newlines(old):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(new, "<user file>", "exec", dont_inherit=True)
        debts = Source(parse(new), module).debts(wanted)
    except (SyntaxError, ValueError):
        return False
    return not any(debt.missing for debt in debts)


def _ending(data: bytes) -> bytes:
    return data[len(data.rstrip(b"\r\n")) :][-2:]


def _newlines(data: bytes) -> set[bytes]:
    return {line[len(line.rstrip(b"\r\n")) :] for line in data.splitlines(keepends=True)} - {b""}
