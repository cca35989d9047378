"""What a user's file has of the classes that it owes: found with `ast`, nothing is executed.

A class counts if one of its bases is the generated one, by whatever name the file calls it; what
it inherits from classes of the same file counts as its own. What it inherits from elsewhere
cannot be seen: of such a class nothing is said to be missing.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from typing import Final, TypeGuard

from msgspec import Struct

from batpak_codegen.ir import HookClass, HookMethod

_EMPTY_BASES: Final = frozenset(["ABC", "Generic", "Protocol", "object"])


class Debt(Struct, frozen=True):
    """One class that implements a `HookClass`, and the methods that it lacks.

    `index` counts the classes of the file in the order of their first lines.
    """

    node: ast.ClassDef
    index: int
    missing: tuple[HookMethod, ...]


def parse(data: bytes | str) -> ast.Module:
    """Read Python source, whatever its coding cookie says.

    Raises:
        SyntaxError: It is none.
        ValueError: It holds NUL bytes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape is between a person and Python
        return ast.parse(data)


class Source:
    """One user's file, read."""

    def __init__(self, tree: ast.Module, module: str) -> None:
        """Take the file and the name it is imported by, which relative imports need."""
        self.module = module
        self.names: dict[str, set[str]] = {}
        self.modules: set[str] = set()
        self.stars: set[str] = set()
        found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        self.classes = sorted(found, key=lambda node: (node.lineno, node.col_offset))
        self._by_name: dict[str, list[ast.ClassDef]] = {}
        for node in self.classes:
            self._by_name.setdefault(node.name, []).append(node)
        for statement in _statements(tree.body):
            self._bind(statement)

    def _bind(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                self._add(alias.asname or first, alias.name if alias.asname else first)
                if not alias.asname:
                    self.modules.add(alias.name)
        elif isinstance(node, ast.ImportFrom):
            home = self._absolute(node)
            for alias in node.names:
                if alias.name == "*":
                    self.stars.add(home)
                else:
                    self._add(alias.asname or alias.name, f"{home}.{alias.name}")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            meant = self._resolve(node.value)
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                        self._add(name.id, *(meant or [f"<{self.module}>.{name.id}"]))

    def _add(self, name: str, *meanings: str) -> None:
        self.names.setdefault(name, set()).update(meanings)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.module.split(".")[: -node.level]
        return ".".join([*parts, node.module] if node.module else parts)

    def _resolve(self, node: ast.expr) -> set[str]:
        """Return the full names that an expression may stand for."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, set()) | {f"{star}.{node.id}" for star in self.stars}
        if isinstance(node, ast.Attribute):
            return {f"{home}.{node.attr}" for home in self._resolve(node.value)}
        return set()

    def handle(self, module: str) -> str | None:
        """Return the expression by which the file calls a module and nothing else."""
        for name, meanings in sorted(self.names.items()):
            if meanings == {module}:
                return name
        return module if module in self.modules else None

    def debts(self, wanted: HookClass) -> list[Debt]:
        """Return the classes of the file that implement `wanted`; of bases, the last heirs."""
        bases = {f"{home}.{wanted.base}" for home in wanted.homes}
        found: list[Debt] = []
        for node in self.heirs(bases):
            known = self._provided(node, bases, frozenset())
            missing = (m for m in wanted.methods if known is not None and m.name not in known)
            found.append(Debt(node, self.classes.index(node), tuple(missing)))
        return found

    def heirs(self, bases: set[str]) -> list[ast.ClassDef]:
        """Return the classes that have one of `bases`, by its full name, and have no heirs here."""
        heirs = [node for node in self.classes if self._inherits(node, bases, frozenset())]
        inherited = {id(base) for node in heirs for base in self._local_bases(node)}
        return [node for node in heirs if id(node) not in inherited]

    def _local_bases(self, node: ast.ClassDef) -> list[ast.ClassDef]:
        bases = map(_bare, node.bases)
        names = [base.id for base in bases if isinstance(base, ast.Name)]
        return [found for name in names for found in self._by_name.get(name, []) if found != node]

    def _inherits(self, node: ast.ClassDef, bases: set[str], seen: frozenset[int]) -> bool:
        if any(self._resolve(_bare(base)) & bases for base in node.bases):
            return True
        return id(node) not in seen and any(
            self._inherits(base, bases, seen | {id(node)}) for base in self._local_bases(node)
        )

    def _provided(
        self, node: ast.ClassDef, bases: set[str], seen: frozenset[int]
    ) -> set[str] | None:
        """Return what a class defines or inherits, or None if that cannot be seen from here."""
        found = set(_bound(node.body))
        if id(node) in seen:
            return found
        for base in node.bases:
            bare = _bare(base)
            last = bare.attr if isinstance(bare, ast.Attribute) else ast.unparse(bare)
            local = self._by_name.get(last, []) if isinstance(bare, ast.Name) else []
            if self._resolve(bare) & bases or last in _EMPTY_BASES:
                continue
            if not local:
                return None
            for each in local:
                inner = self._provided(each, bases, seen | {id(node)})
                if inner is None:
                    return None
                found |= inner
        return found

    def orphans(self, wanted: HookClass) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield the methods that only a schema can have asked for, and none does any more."""
        names = {method.name for method in wanted.methods}
        for debt in self.debts(wanted):
            for node in _statements(debt.node.body):
                if (
                    isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                    and node.name.startswith(wanted.prefixes)
                    and node.name not in names
                ):
                    yield node

    def unwritten(self, wanted: HookClass) -> Iterator[tuple[str, ast.Raise]]:
        """Yield the methods that only raise `NotImplementedError`, and where they do."""
        names = {method.name for method in wanted.methods}
        for debt in self.debts(wanted):
            for node in _statements(debt.node.body):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in names:
                    *before, last = node.body
                    if _is_stub(last) and not any(map(_does, before)):
                        yield node.name, last


def _bare(base: ast.expr) -> ast.expr:
    """Return a base class without what it is of: `OrderHandler[str]`."""
    return base.value if isinstance(base, ast.Subscript) else base


def _is_stub(node: ast.stmt) -> TypeGuard[ast.Raise]:
    raised = node.exc if isinstance(node, ast.Raise) else None
    raised = raised.func if isinstance(raised, ast.Call) else raised
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _does(node: ast.stmt) -> bool:
    """Whether a statement is more than a docstring."""
    return not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements and those inside them, but not what functions and classes hold."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.stmt):
                    yield from _statements([child])
                elif isinstance(child, ast.ExceptHandler | ast.match_case):
                    yield from _statements(child.body)


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield the names that a class body binds; an annotation alone binds none."""
    for node in _statements(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                        yield name.id
