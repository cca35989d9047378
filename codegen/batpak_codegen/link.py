"""Models to IR: names become references, kinds are unique, packages form a DAG.

All that is wrong in this phase is found at once, up to 100 findings. Behind it nothing of the
user's can be.
Codes: docs/reference/diagnostics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Final

import msgspec

from batpak_codegen import hook, names
from batpak_codegen.advice import advise
from batpak_codegen.context import link_contexts
from batpak_codegen.declarations import EventDecl, MachineDecl, SchemaFile
from batpak_codegen.depth import refuse_deep
from batpak_codegen.diagnostic import FINDINGS_MAX, Findings, Place, Span, did_you_mean, quoted
from batpak_codegen.fields import Resolver, doc_of
from batpak_codegen.gate import Gates, World, link_gates
from batpak_codegen.handler import link_handlers
from batpak_codegen.ids import TYPE_ID_MAX
from batpak_codegen.ir import EventDef, MachineDef, PackageDef, Project, TypeDef, listed
from batpak_codegen.kinds import CATEGORY_MAX, SYSTEM_CATEGORIES, Kinds
from batpak_codegen.listed import Offer
from batpak_codegen.machine import link_machine
from batpak_codegen.nodes import TextNode
from batpak_codegen.projection import link_projections
from batpak_codegen.slots import Int
from batpak_codegen.step import link_steps
from batpak_codegen.types import (
    AliasType,
    EnumType,
    IdType,
    ListOf,
    MapOf,
    OptionalOf,
    SetOf,
    StructType,
    Type,
    UnionType,
    bare,
)

VERSION_MAX: Final = 1000

# Capitalised names that generated modules import or assign; a declared name may not be one.
_IMPORTED: Final = """ABC Any AtLeastOnce ClassVar DATA DEPRECATED Decimal Denial EDGES ENTITY
    Edge EventKind EventPayload Final FormerPayload GateSet Generic Guarded HANDLES Handle
    Iterable KEY KIND KINDS Ledger Literal MOVES Machine Mapping NAME Never NewType OpenEnum
    PERMIT POLICY Permit Problems Projection ReactionBatch Reactor Rule SCOPE STATE Scenario
    StateData StoredEvent Struct TYPE_CHECKING Transition TypeAlias TypeGuard TypeVar UUID VERSION
    Verdict WireEnum"""
RESERVED: Final = frozenset(_IMPORTED.split())
# What stands beside the directories of packages; a package may not be called so.
_MODULES: Final = frozenset(
    {"registry", "types", "contexts", "events", "former", "checks", "upcasts", "hooks", "handlers"}
    | {"policies", "projections", "testing"}
)


def link(
    files: Sequence[SchemaFile],
    *,
    out_module: str,
    package_root: str = "",
    system: bool = False,
    installed: Mapping[int, Place] = MappingProxyType({}),
) -> Project:
    """Resolve everything that the given files say.

    Args:
        files: Of different packages.
        out_module: What the directory of generated code is imported as.
        package_root: Prefix that every package has and that is removed: `shop`.
        system: Compile the library's own package, which may use the reserved categories.
        installed: Kinds that other distributions have taken.

    Raises:
        SchemaError: With every finding of this phase.
    """
    return _Linker(files, package_root, system, installed).link(out_module)


class _Linker:
    def __init__(
        self,
        files: Sequence[SchemaFile],
        package_root: str,
        system: bool,
        installed: Mapping[int, Place],
    ) -> None:
        self.findings = Findings(FINDINGS_MAX)
        self.package_root, self.system = package_root, system
        self.files = {file.package.value: file for file in files}
        named = {package: self._imports(file) for package, file in self.files.items()}
        self.imports = {
            package: {alias: home for alias, home in found.items() if home in self.files}
            for package, found in named.items()
        }
        self._acyclic()
        self.kinds = Kinds(files, installed, self.findings)
        self.resolver = Resolver(self.files, named, self.findings)
        self.prefixes: dict[str, tuple[MachineDef, Span]] = {}
        self.out_of_range: set[Span] = set()

    def link(self, out_module: str) -> Project:
        packages = tuple(self._package(file) for _, file in sorted(self.files.items()))
        self._directories(packages)
        refuse_deep(self.files, self.imports, self.findings)
        self.findings.finish()
        parts = {package.name: package.parts for package in packages}
        handled: dict[str, set[str]] = {}
        for home, event in (event for package in packages for event in package.listed):
            handled.setdefault(home, set()).add(event)
        warnings = [
            found
            for name, file in sorted(self.files.items())
            for found in advise(file, handled.get(name, frozenset()))
        ]
        warnings += self.findings.diagnostics
        return Project(packages, parts, out_module, self.system, tuple(warnings))

    def _imports(self, file: SchemaFile) -> dict[str, str]:
        """Return alias → package; what does not exist is reported, once and for all uses."""
        found: dict[str, str] = {}
        for node in file.imports:
            package, as_, alias = node.value.partition(" as ")
            alias = alias if as_ else package.rpartition(".")[2]
            if package not in self.files:
                message = f"there is no package {quoted(package)}"
                hint = did_you_mean(package, self.files)
                self.findings.add("E0207", message, node.span, help=hint)
                found.setdefault(alias, package)
            elif alias in found:
                message = f"two imports are called `{alias}`"
                hint = f"write {package} as another_name"
                self.findings.add("E0202", message, node.span, help=hint)
            else:
                found[alias] = package
        return found

    def _acyclic(self) -> None:
        graph = {package: set(imports.values()) for package, imports in self.imports.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1][::-1]  # each one imports the next
            node = next(
                node
                for node in self.files[cycle[0]].imports
                if node.value.partition(" as ")[0] == cycle[1]
            )
            hint = "move what both need into a third package"
            message = f"packages import each other: {' -> '.join(cycle)}"
            self.findings.add("E0206", message, node.span, help=hint)

    def _package(self, file: SchemaFile) -> PackageDef:
        package = file.package.value
        parts = self._parts(file.package)
        types = self.resolver.type_defs(package)
        events = {name.value: self._event(file, name, decl) for name, decl in file.events}
        taken = self._names(file)
        machines = {
            name.value: link_machine(package, name, decl, events, self.resolver, self.findings)
            for name, decl in file.machines
        }
        generated: dict[str, TextNode] = {}
        for name, decl in file.machines:
            machine = machines[name.value]
            if machine:
                self._prefix(machine, decl.entity.span)
                generated |= self._machine_names(name, decl, machine, taken)
        offer = Offer(file, self.imports[package], self.files)
        handlers = link_handlers(file, offer, self.findings)
        projections = link_projections(file, offer, self.resolver, self.findings)
        hooks = {names.snake(hook.class_name(package)): file.package}
        renamed = self._renamed(file, taken | generated | hooks, listed(handlers, projections))
        enums = self._enums(package, renamed)
        for name, decl in file.machines:
            machine = machines[name.value]
            if machine:
                machines[name.value] = link_steps(decl, machine, events, enums, self.findings)
        contexts = link_contexts(file, self.resolver, self.findings)
        gates = link_gates(file, World(machines, events, contexts, enums), self.findings)
        self._hook_names(file, taken | generated)
        return PackageDef(
            package,
            file.path,
            doc_of(file.doc),
            parts,
            _in_order(package, types),
            tuple(event for event in events.values() if event),
            tuple(_with_gates(machine, gates) for machine in machines.values() if machine),
            renamed,
            self.kinds.retired(package),
            tuple(context for context in contexts.values() if context),
            gates.policies,
            handlers,
            projections,
        )

    def _hook_names(self, file: SchemaFile, package: Mapping[str, TextNode]) -> None:
        """Claim what the module of hooks defines and imports, beside the names of the package."""
        taken: dict[str, TextNode] = {}
        states: dict[str, TextNode] = {}  # state → the machine that it is imported from
        steps: dict[str, TextNode] = {}
        python = {name.value: name for name, decl in file.gates if decl.python is not None}
        stateful = {name.value for name, decl in file.gates if decl.machine} & python.keys()
        for node in python.values():
            self._derive(taken, node, hook.verdict_name(node.value), package)
        for machine, decl in file.machines:
            for name, move in decl.moves:
                nodes = [*move.from_, move.to] if move.evolve else []
                nodes += move.from_ if any(gate.value in stateful for gate in move.gates) else ()
                for node in {node.value: node for node in nodes}.values():
                    if states.setdefault(node.value, machine) is not machine:
                        message = f"two machines leave steps or gates with {node.value} to you"
                        hint = "rename one of the states: their hooks stand in one module"
                        self.findings.add("E0411", message, node.span, help=hint)
                method = hook.step_method(machine.value, name.value)
                if move.evolve and steps.setdefault(method, name) is not name:
                    self.findings.add("E0411", f"there are two hooks {method}", name.span)
        if states or python:
            self._derive(taken, file.package, hook.class_name(file.package.value), package)

    def _parts(self, node: TextNode) -> tuple[str, ...]:
        """Return the directories of a package below `out`."""
        if self.system != (node.value == names.SYSTEM_PACKAGE):
            hint = "[tool.batpak] system = true compiles batpak.system and nothing else"
            message = f"package {node.value} does not belong here"
            self.findings.add("E0208", message, node.span, help=hint)
            return ()
        root = f"{self.package_root}." if self.package_root else ""
        if not node.value.startswith(root):
            message = f"package {node.value} is outside package_root {self.package_root}"
            if node.value == self.package_root:
                message = f"package {node.value} is package_root: nothing is left of its name"
            hint = f"call it {root}{node.value.rpartition('.')[2]}, or change package_root"
            self.findings.add("E0208", message, node.span, help=hint)
            return ()
        return tuple(node.value.removeprefix(root).split("."))

    def _event(self, file: SchemaFile, name: TextNode, decl: EventDecl) -> EventDef | None:
        before = len(self.findings.diagnostics)
        category = decl.category or file.category
        fields = self.resolver.fields(file.package.value, decl.fields)
        broken = len(fields) < len(decl.fields)
        if category is None:
            hint = "write category: 0x2 at the top of the file"
            message = f"event {name.value} has no category"
            self.findings.add("E0109", message, name.span, help=hint)
            return None
        in_range = self._in_range(category)
        if not 0 <= decl.id.value <= TYPE_ID_MAX:
            message = f"id {_hex(decl.id.value)} is out of range"
            self.findings.add("E0204", message, decl.id.span, help="it is 0x000 to 0xFFF")
        self._reserved(decl)
        version = decl.version.value if decl.version else 1
        if decl.version and not 1 <= version <= VERSION_MAX:
            message = f"versions count from 1 to {VERSION_MAX}"
            self.findings.add("E0106", message, decl.version.span)
        if not in_range or (len(self.findings.diagnostics) > before and not broken):
            return None
        doc = doc_of(decl.doc)
        deprecated = doc_of(decl.deprecated)
        event = EventDef(
            name.value, category.value, decl.id.value, version, fields, doc, deprecated
        )
        self.kinds.claim(event, file.package.value, name, decl.id.span)
        return None if broken else event

    def _in_range(self, category: Int) -> bool:
        """Whether events may have a category. That of a file is refused once, not per event."""
        system = category.value in SYSTEM_CATEGORIES
        if 0 <= category.value <= CATEGORY_MAX and (self.system or not system):
            return True
        if category.span not in self.out_of_range:
            self.out_of_range.add(category.span)
            message = f"category {category.value:#x} is out of range"
            hint = "it is 0x1 to 0xC, 0xE or 0xF"
            self.findings.add("E0204", message, category.span, help=hint)
        return False

    def _reserved(self, decl: EventDecl) -> None:
        """Report fields that are called, or stored, by a name that is not to be used."""
        reserved = {node.value: node for node in decl.reserved}
        for node, field in decl.fields:
            for used in (node, field.wire):
                if used and used.value in reserved:
                    message = f"{quoted(used.value)} is reserved: no field may have that name"
                    also = [Place(reserved[used.value].span, "reserved")]
                    self.findings.add("E0202", message, used.span, also=also)

    def _names(self, file: SchemaFile) -> dict[str, TextNode]:
        """Return what a package declares, by module spelling; clashes are reported."""
        taken: dict[str, TextNode] = {}
        for node, _ in (*file.types, *file.events, *file.contexts, *file.policies):
            self._claim(taken, node, node.value)
            if node.value in RESERVED:
                message = f"{quoted(node.value)} is a name that generated code imports"
                self.findings.add("E0411", message, node.span, help="choose another name")
        modules: dict[str, TextNode] = {}
        for node, _ in file.machines:
            self._claim(modules, node, node.value)
        for node, _ in (*file.machines, *file.handlers):
            for suffix in ("Event", "Handler", "Listener", "Reactor"):
                self._derive(taken, node, node.value + suffix)
        for node, _ in file.projections:
            for suffix in ("State", "Projection"):
                self._derive(taken, node, node.value + suffix)
        return taken

    def _claim(self, taken: dict[str, TextNode], node: TextNode, name: str) -> None:
        other = taken.setdefault(names.snake(name), node)
        if other is not node:
            message = f"name {quoted(name)} is taken"
            same = name == other.value
            hint = (
                None if same else f"both are spelled {names.snake(name)} in modules and functions"
            )
            place = Place(other.span, other.value)
            self.findings.add("E0202", message, node.span, help=hint, also=[place])

    def _derive(
        self,
        taken: dict[str, TextNode],
        node: TextNode,
        name: str,
        package: Mapping[str, TextNode] = MappingProxyType({}),
    ) -> None:
        """Claim a name that is made from the one at `node`, beside those of the package."""
        spelling = names.snake(name)
        other = package.get(spelling) or taken.setdefault(spelling, node)
        if other is not node or name in RESERVED:
            message = f"{quoted(node.value)} generates {name}, and that name is taken"
            also = [Place(other.span, other.value)] if other is not node else []
            self.findings.add("E0411", message, node.span, help="rename one of them", also=also)

    def _machine_names(
        self, name: TextNode, decl: MachineDecl, machine: MachineDef, package: dict[str, TextNode]
    ) -> dict[str, TextNode]:
        """Claim what the modules of a machine define, and return it by module spelling."""
        taken: dict[str, TextNode] = {}
        for suffix in ("Data", "State", "Machine", "Scenario"):
            self._derive(taken, name, machine.name + suffix, package)
        for node, _ in decl.states:
            for derived in (node.value, machine.handle(node.value)):
                self._derive(taken, node, derived, package)
        for node, _ in decl.moves:
            for derived in (machine.transition(node.value), machine.policy(node.value)):
                self._derive(taken, node, derived, package)
        return taken

    def _prefix(self, machine: MachineDef, span: Span) -> None:
        other, place = self.prefixes.setdefault(machine.prefix, (machine, span))
        if other is not machine:
            message = f"entity prefix `{machine.prefix}:` is used twice"
            hint = "versions count per entity: two machines cannot share one"
            also = [Place(place, other.name)]
            self.findings.add("E0408", message, span, help=hint, also=also)

    def _renamed(
        self, file: SchemaFile, taken: Mapping[str, TextNode], handled: Set[tuple[str, str]]
    ) -> dict[tuple[str, str], str]:
        """Return the imported types and handled events that need another name: `CommonMoney`.

        `taken` is what the modules of this package define, by module spelling.
        """
        offers: dict[str, list[tuple[str, str, str]]] = {}
        for alias, package in self.imports[file.package.value].items():
            events = (node for node, _ in self.files[package].events)
            named = [node for node in events if (package, node.value) in handled]
            for node in [*(node for node, _ in self.files[package].types), *named]:
                spelling = names.snake(node.value)
                offers.setdefault(spelling, []).append((alias, package, node.value))
        renamed: dict[tuple[str, str], str] = {}
        used = set(taken) | set(offers)
        for spelling, found in offers.items():
            clash = spelling in taken or len(found) > 1
            for alias, package, name in found:
                if not clash and name not in RESERVED:
                    continue
                local = "".join(word[:1].upper() + word[1:] for word in alias.split("_")) + name
                if names.snake(local) in used:
                    message = f"imported {alias}.{name} cannot be called {local} here"
                    hint = "rename the import with `as`"
                    self.findings.add("E0411", message, file.package.span, help=hint)
                used.add(names.snake(local))
                renamed[package, name] = local
        return renamed

    def _enums(self, package: str, renamed: Mapping[tuple[str, str], str]) -> dict[str, EnumType]:
        """Return the enums that conditions of a package can name, by the name they have there."""
        found: dict[str, EnumType] = {}
        for home in (package, *self.imports[package].values()):
            for name, _ in self.files[home].types:
                type_ = self.resolver.named(home, name.value)
                if isinstance(type_, EnumType):
                    found[renamed.get((home, name.value), name.value)] = type_
        return found

    def _directories(self, packages: Iterable[PackageDef]) -> None:
        """Report packages whose directory would hide a module of another one."""
        if self.system:
            return
        homes = {package.parts: package for package in packages if package.parts}
        modules: set[tuple[str, ...]] = {("registry",)}
        for parts, package in homes.items():
            modules |= {(*parts, name) for name in _MODULES}
            for machine in package.machines:
                stem = names.snake(machine.name)
                modules |= {(*parts, f"{stem}_{kind}") for kind in ("states", "gates", "machine")}
        for parts, package in homes.items():
            hidden = {parts[:length] for length in range(1, len(parts) + 1)} & modules
            if hidden:
                node = self.files[package.name].package
                message = f"package {package.name} would hide the module {'.'.join(min(hidden))}"
                self.findings.add("E0411", message, node.span, help="choose another name")


def _hex(number: int) -> str:
    return f"{number:#x}" if number >= 0 else f"{number}"


def _with_gates(machine: MachineDef, gates: Gates) -> MachineDef:
    moves = (
        msgspec.structs.replace(move, context=gates.contexts.get((machine.name, move.name)))
        for move in machine.moves
    )
    found = gates.machines.get(machine.name, ())
    return msgspec.structs.replace(machine, gates=found, moves=tuple(moves))


def _in_order(package: str, types: Mapping[str, TypeDef]) -> tuple[TypeDef, ...]:
    """Return types in declared order, but what is needed to execute a definition before it.

    Aliases that need nothing of this package come before the first struct, so that a reader of
    the struct has met them.
    """
    done: dict[str, TypeDef] = {}

    def visit(name: str) -> None:
        if name not in done:
            for needed in _needed(package, types[name]):
                if needed in types:
                    visit(needed)
            done[name] = types[name]

    simple = [
        name
        for name, definition in types.items()
        if isinstance(definition.type, AliasType) and not _needed(package, definition)
    ]
    for name, definition in types.items():
        if isinstance(definition.type, StructType):
            for alias in simple:
                visit(alias)
            simple.clear()
        visit(name)
    return tuple(done.values())


def _needed(package: str, definition: TypeDef) -> list[str]:
    """Return the types of this package that must exist when `definition` is executed."""
    type_ = definition.type
    if isinstance(type_, AliasType):
        return _mentioned(package, type_.of)
    if isinstance(type_, StructType):
        defaults = (field.type for field in type_.fields if field.default is not None)
        return [name for of in defaults for name in _mentioned(package, of)]
    if isinstance(type_, UnionType):
        return [member.name for member in type_.members]
    return []


def _mentioned(package: str, type_: Type) -> list[str]:
    if isinstance(type_, OptionalOf):
        return _mentioned(package, type_.of)
    if isinstance(type_, ListOf | SetOf | MapOf):
        return _mentioned(package, type_.item)
    if isinstance(type_, AliasType | EnumType | IdType | StructType | UnionType):
        here = [type_.name] if type_.package == package else []
        of = bare(type_)
        inner = [of.name] if isinstance(of, EnumType | IdType) and of.package == package else []
        return here + inner
    return []
