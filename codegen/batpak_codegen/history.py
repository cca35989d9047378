"""Schemas against the lock: former versions, the hops between them, and what was promised.

Everything here is an error of the schemas (E02xx, E08xx); what a change of a frozen shape breaks
is the business of `compat`. Behind it every version of every event has a shape and a way up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from batpak_codegen.declarations import EventDecl, SchemaFile
from batpak_codegen.diagnostic import Findings, Place, Span, quoted
from batpak_codegen.freeze import Freeze, Promise, freeze
from batpak_codegen.hop import Added, FormerDef, Given, HopDef, Past, Source
from batpak_codegen.ir import PackageDef, Project
from batpak_codegen.literal import Misfit, read
from batpak_codegen.lock import Frozen, Lock
from batpak_codegen.nodes import Node, TextNode
from batpak_codegen.shape import Shape, ShapeField, spell_type, spell_value
from batpak_codegen.steps import PYTHON, Held, Step, apply, read_steps
from batpak_codegen.thaw import Thaw
from batpak_codegen.types import OptionalOf, Type


def recall(
    project: Project, files: Sequence[SchemaFile], base: Lock, findings: Findings
) -> tuple[Project, Freeze]:
    """Find the past of a project.

    Args:
        project: What the schemas say.
        files: The same with positions.
        base: What is frozen.
        findings: Take what is wrong.

    Returns:
        The project with its past, and what it promises.
    """
    freezing = freeze(project, base)
    versions = base.versions()
    pasts: dict[str, Past] = {}
    packages = {package.name: package for package in project.packages}
    for file in sorted(files, key=lambda file: file.path):
        package = packages[file.package.value]
        decls = {name.value: (name, decl) for name, decl in file.events}
        history = _History(project, package, freezing, versions, findings)
        history.retired({node.value: node.span for _, node in file.retired})
        for promise in freezing.promises.values():
            if promise.package == package.name:
                history.event(promise, *decls[promise.name])
        pasts[package.name] = history.past()
    return replace(project, pasts=pasts), freezing


class _History:
    """The past of one package."""

    def __init__(
        self,
        project: Project,
        package: PackageDef,
        freezing: Freeze,
        versions: Mapping[int, Mapping[int, Mapping[int, list[Frozen]]]],
        findings: Findings,
    ) -> None:
        self.package, self.freezing, self.versions = package, freezing, versions
        self.findings = findings
        self.thaw = Thaw(freezing, project, package.name)
        self.formers: list[FormerDef] = []
        self.hops: list[HopDef] = []
        self.kinds = {name: kind for kind, of in freezing.base.kinds.items() for name in of}

    def past(self) -> Past:
        relics = tuple(self.thaw.relics[name] for name in self.thaw.relics)
        return Past(
            tuple(self.formers),
            tuple(self.hops),
            relics,
            dict(self.thaw.types),
            self.freezing.base.path,
        )

    def retired(self, places: Mapping[str, Span]) -> None:
        """Make sure that a kind is retired under the name it was promised to."""
        for kind, full in self.package.retired:
            owners = self.freezing.base.kinds.get(kind, {})
            if owners and full not in owners:
                owner, place = next(iter(owners.items()))
                message = f"kind 0x{kind:04x} belongs to {owner} for ever"
                hint = f"retire it as {owner.rpartition('.')[2]}, in its own package"
                also = [Place(place, owner)]
                span = places[full.rpartition(".")[2]]
                self.findings.add("E0203", message, span, help=hint, also=also)

    def event(self, promise: Promise, name: TextNode, decl: EventDecl) -> None:
        """Look at one event: its number, its versions, its hops."""
        if not self.number(promise, name, decl):
            return
        where = decl.version.span if decl.version else name.span
        frozen = self.versions.get(promise.kind, {})
        if frozen and max(frozen) > promise.version:
            message = f"{promise.name} is version {promise.version}, {max(frozen)} is frozen"
            hint = f"versions count up: write version: {max(frozen)}, or {max(frozen) + 1}"
            self.findings.add("E0808", message, where, help=hint)
            return
        upcasts = self.upcasts(promise, decl)
        for version in range(1, promise.version):
            former = self.newest(promise, version)
            if former is None:
                message = f"the shape of {promise.name} version {version} is not frozen"
                hint = "put the old fields back, run `batpak lock`, then raise the version"
                self.findings.add("E0801", message, where, help=hint)
            elif version not in upcasts:
                message = f"{promise.name}: nothing leads from version {version} to {version + 1}"
                hint = f"write upcasts: {{{version}: [steps]}}, or {{{version}: python}}"
                self.findings.add("E0801", message, where, help=hint)
            else:
                self.hop(promise, version, former, *upcasts[version])

    def number(self, promise: Promise, name: TextNode, decl: EventDecl) -> bool:
        """Whether the event has the number that it was promised, and nobody else was."""
        full = f"{promise.package}.{promise.name}"
        base = self.freezing.base
        owners = base.kinds.get(promise.kind, {})
        if owners and full not in owners:
            owner, place = next(iter(owners.items()))
            message = f"kind 0x{promise.kind:04x} belongs to {owner} for ever"
            hint = f"stored events have that number: give {promise.name} another id"
            also = [Place(place, owner)]
            self.findings.add("E0203", message, decl.id.span, help=hint, also=also)
            return False
        kind = self.kinds.get(full, promise.kind)
        if kind != promise.kind:
            message = f"{full} has been kind 0x{kind:04x} until now"
            hint = f"write id: 0x{kind & 0xFFF:03x} again, or give the new event a new name"
            also = [Place(base.kinds[kind][full], full)]
            self.findings.add("E0807", message, decl.id.span, help=hint, also=also)
            return False
        former = [f"{promise.name}V{version}" for version in range(1, promise.version)]
        taken = {definition.type.name for definition in self.package.types}
        taken |= {event.name for event in self.package.events}
        for clash in sorted(taken & set(former)):
            message = f"{quoted(promise.name)} generates {clash}, and that name is taken"
            self.findings.add("E0411", message, name.span, help="rename one of them")
        return True

    def upcasts(self, promise: Promise, decl: EventDecl) -> dict[int, tuple[TextNode, Node]]:
        found: dict[int, tuple[TextNode, Node]] = {}
        for key, node in decl.upcasts:
            version = int(key.value)
            if version < promise.version:
                found[version] = (key, node)
                continue
            message = f"{promise.name} is version {promise.version}: nothing leads from {version}"
            hint = "upcasts begin at former versions"
            self.findings.add("E0803", message, key.span, help=hint)
        return found

    def newest(self, promise: Promise, version: int) -> Shape | None:
        """Return the newest frozen shape of a version; of the current one, what it is now."""
        if version == promise.version:
            return promise.shape
        revisions = self.versions.get(promise.kind, {}).get(version, {})
        return revisions[max(revisions)][0].shape if revisions else None

    def hop(self, promise: Promise, version: int, former: Shape, key: TextNode, node: Node) -> None:
        fields = self.thaw.fields(former)
        definition = FormerDef(promise.name, version, fields)
        self.formers.append(definition)
        new = self.newest(promise, version + 1)
        if new is None:
            return
        before = len(self.findings.diagnostics)
        steps = read_steps(node, self.findings)
        literals: dict[str, str] = {}
        values: tuple[tuple[str, Source], ...] | None = None
        if steps is not None:
            values = self.values(steps, former, new, key.span, literals)
        if len(self.findings.diagnostics) > before:
            return
        text = PYTHON if steps is None else " ".join(step.spell(literals) for step in steps)
        self.keep(promise, version, text, key.span)
        last = version + 1 == promise.version
        target = promise.name if last else f"{promise.name}V{version + 1}"
        changed = self.changed(former, new)
        self.hops.append(HopDef(promise.name, version, definition.name, target, values, changed))

    def keep(self, promise: Promise, version: int, text: str, span: Span) -> None:
        """Hold a hop against the one that was frozen."""
        text = text or "nothing"
        frozen = self.freezing.base.hops.get((promise.kind, version), {})
        if frozen and text not in frozen:
            known, place = next(iter(frozen.items()))
            message = f"the hop from version {version} of {promise.name} is frozen, and differs"
            hint = "stored events would mean something else: put it back, and add a version"
            also = [Place(place, known)]
            self.findings.add("E0810", message, span, help=hint, also=also)
        self.freezing.promise_hop(promise.kind, version, text, span)

    def values(
        self,
        steps: tuple[Step, ...],
        former: Shape,
        new: Shape,
        span: Span,
        literals: dict[str, str],
    ) -> tuple[tuple[str, Source], ...] | None:
        """Return what each field of the next version is made of, in its order."""
        held = apply(steps, former, new, self.freezing.lock, self.findings)
        if held is None:
            return None
        wanted = {field.name: field for field in new}
        problems = [f"{name} is left over: drop it" for name in sorted(held.keys() - wanted.keys())]
        problems += [
            f"{name}: {spell_type(wanted[name].type)} is missing: add it"
            for name in sorted(wanted.keys() - held.keys())
        ]
        found: list[tuple[str, Source]] = []
        for name in sorted(wanted.keys() & held.keys()):
            type_ = self.thaw.type(wanted[name].type)
            given = held[name].type
            if given is not None and not _is(self.thaw.type(given), type_):
                problems.append(
                    f"{name} is {spell_type(given)}, not {spell_type(wanted[name].type)}"
                )
        if problems:
            message = f"the steps do not give the next version: {'; '.join(problems)}"
            self.findings.add("E0802", message, span, help=f"or write {PYTHON}")
            return None
        for name, field in wanted.items():
            source = self.source(held[name], field, literals)
            if source is not None:
                found.append((name, source))
        return tuple(found)

    def source(self, held: Held, field: ShapeField, literals: dict[str, str]) -> Source | None:
        """Return a source in which literals are values."""
        if not isinstance(held.source, Added):
            return held.source
        type_ = self.thaw.type(field.type)
        try:
            value = read(type_, held.source.text)
        except Misfit as misfit:
            message = f"{quoted(held.source.text.value)} is not a value of {spell_type(field.type)}"
            self.findings.add("E0803", message, held.source.text.span, help=str(misfit))
            return None
        literals[field.name] = spell_value(value)
        return Given(type_, value)

    def changed(self, old: Shape, new: Shape) -> tuple[str, ...]:
        """Say in words what a hop has to do: ``total`` from string to Money."""
        before = {field.name: field.type for field in old}
        after = {field.name: field.type for field in new}
        found = [f"without ``{name}``" for name in sorted(before.keys() - after.keys())]
        for name in sorted(after):
            if name not in before:
                found.append(f"``{name}`` is new")
            elif not _is(self.thaw.type(before[name]), self.thaw.type(after[name])):
                words = [_short(spell_type(type_)) for type_ in (before[name], after[name])]
                how = f"from {words[0]} to {words[1]}" if words[0] != words[1] else "within"
                found.append(f"``{name}`` {how}")
        return tuple(found)


def _is(old: Type, new: Type) -> bool:
    """Whether a value of one type is one of the other as it is."""
    return old == new or (isinstance(new, OptionalOf) and new.of == old)


def _short(spelled: str) -> str:
    return spelled.rpartition(".")[2].partition("#")[0]
