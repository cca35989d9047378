"""What generated code leaves to a person: the abstract classes that `hooks.py` shows.

They are read from the rendered text, so what a user's file gets is what type checkers will ask
it for. A class that `hooks.py` only passes on is looked up in the module that defines it.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from batpak_codegen.ir import HookClass, HookMethod
from batpak_codegen.stubs import HANDLE

_SUFFIXES: Final = ("Hooks", "Upcasts")
_INSTALL: Final = "install_"
_PREFIXES: Final = ("gate_", "judge_", "evolve_")


class _Definition(Struct, frozen=True):
    node: ast.ClassDef
    home: str
    install: str | None


def hook_classes(files: Mapping[str, str], folder: str, module: str) -> tuple[HookClass, ...]:
    """Return the classes that a package leaves to its user, in the order of `hooks.py`.

    Args:
        files: Path below the output directory → rendered text.
        folder: The package's directory there: `orders`.
        module: What that directory is imported as: `shop.gen.orders`.
    """
    text = files.get(f"{folder}/hooks.py")
    if text is None:
        return ()
    door = ast.parse(text)
    known = set(_names(door))
    found: list[HookClass] = []
    for each in sorted(_definitions(door, files, folder), key=_hooks_first):
        name = next(suffix for suffix in _SUFFIXES if each.node.name.endswith(suffix))
        methods = tuple(_method(node, known) for node in _abstract(each.node))
        homes = dict.fromkeys([f"{module}.hooks", f"{module}.{each.home}"])
        prefixes = _PREFIXES if name == "Hooks" else _versions(methods)
        found.append(HookClass(name, each.node.name, (*homes,), methods, prefixes, each.install))
    return tuple(found)


def _hooks_first(each: _Definition) -> int:
    return next(n for n, suffix in enumerate(_SUFFIXES) if each.node.name.endswith(suffix))


def _versions(methods: tuple[HookMethod, ...]) -> tuple[str, ...]:
    """Return `order_placed_v` for `order_placed_v2`: a hop that was undone leaves an orphan."""
    return (*dict.fromkeys(method.name.rstrip("0123456789") for method in methods),)


def _definitions(door: ast.Module, files: Mapping[str, str], folder: str) -> Iterator[_Definition]:
    """Yield the abstract classes that `hooks.py` defines or imports from beside it."""
    yield from _defined(door, "hooks", set(_names(door)))
    for node in door.body:
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            text = files.get(f"{folder}/{node.module}.py")
            imported = {alias.name for alias in node.names if alias.asname == alias.name}
            if text and any(name.endswith(_SUFFIXES) for name in imported):
                yield from _defined(ast.parse(text), node.module, imported)


def _defined(tree: ast.Module, home: str, shown: set[str]) -> Iterator[_Definition]:
    installs = {
        ast.unparse(node.args.args[0].annotation): node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith(_INSTALL)
        and node.args.args
        and node.args.args[0].annotation
    }
    for node in tree.body:
        if (
            isinstance(node, ast.ClassDef)
            and node.name in shown
            and node.name.endswith(_SUFFIXES)
            and any(_abstract(node))
        ):
            yield _Definition(node, home, installs.get(node.name))


def _abstract(node: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    for method in node.body:
        if isinstance(method, ast.FunctionDef):
            marks = (ast.unparse(mark).rpartition(".")[2] for mark in method.decorator_list)
            if "abstractmethod" in marks:
                yield method


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield what a module binds, as `h.` can reach it."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _through(annotation: ast.expr, known: set[str]) -> str:
    """Spell a type with `h.` before every name that the module knows."""
    for name in ast.walk(annotation):
        if isinstance(name, ast.Name) and (name.id in known or not hasattr(builtins, name.id)):
            name.id = f"{HANDLE}.{name.id}"
    return ast.unparse(annotation)


def _method(node: ast.FunctionDef, known: set[str]) -> HookMethod:
    def typed(argument: ast.arg) -> str:
        if argument.annotation is None:
            return argument.arg
        return f"{argument.arg}: {_through(argument.annotation, known)}"

    arguments = node.args
    parameters = [*map(typed, arguments.posonlyargs)]
    parameters += ["/"] if arguments.posonlyargs else []
    parameters += map(typed, arguments.args)
    parameters += ["*", *map(typed, arguments.kwonlyargs)] if arguments.kwonlyargs else []
    result = _through(node.returns, known) if node.returns else "None"
    return HookMethod(node.name, (*parameters,), result, ast.get_docstring(node))
