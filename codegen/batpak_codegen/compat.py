"""What a change of the schemas does to what is stored, or to code that still runs: C101 to C122.

Every event is compared with each frozen revision of its version; what a hop takes care of is
cited and does not count. A break stops the run unless the configuration suppresses it.
The rules: docs/reference/compatibility.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from batpak_codegen.declarations import EventDecl, SchemaFile
from batpak_codegen.diagnostic import Diagnostic, Place, Span
from batpak_codegen.difference import Change, changes
from batpak_codegen.freeze import Freeze, Promise, entity_line, fold
from batpak_codegen.ir import Project
from batpak_codegen.lock import Frozen, Lock
from batpak_codegen.nodes import TextNode
from batpak_codegen.types import IdType

Mode: TypeAlias = Literal["backward_transitive", "full_transitive"]
Versions: TypeAlias = Mapping[int, Mapping[int, Mapping[int, list[Frozen]]]]

_COMINGS: Final = frozenset(["C101", "C102", "C103", "C104", "C120"])
_WAYS: Final[Mapping[str, str]] = {
    "C102": "give it a `?` or a default",
    "C103": "keep it until no old code runs",
    "C104": "keep the stored key with `wire:`",
    "C105": "add a field beside it",
    "C106": "put the `?` back",
    "C112": "make the enum open before it grows",
    "C113": "put the member back; events that have it are stored",
    "C114": "put the member back; add new ones when no old code runs",
    "C115": "put the default back",
    "C120": "put the old key back with `wire:`",
    "C122": "choose a name that was never used",
}


class Suppression(Struct, frozen=True):
    """A break that the configuration takes upon itself until a day."""

    rule: str
    target: str
    reason: str


class Verdict(Struct, frozen=True):
    """What breaks, and what is worth knowing though it does not."""

    breaks: tuple[Diagnostic, ...]
    notes: tuple[str, ...]


def judge(
    project: Project,
    files: Sequence[SchemaFile],
    freezing: Freeze,
    modes: Mapping[str, Mode],
    suppressed: Sequence[Suppression] = (),
) -> Verdict:
    """Compare what a project declares with what is frozen.

    Args:
        project: What the schemas say.
        files: The same with positions.
        freezing: What is frozen, and what would be.
        modes: Package → what may not break.
        suppressed: Breaks that are allowed.
    """
    judge = _Judge(project, files, freezing, modes, suppressed)
    judge.run()
    return Verdict(tuple(judge.breaks), tuple(dict.fromkeys(judge.notes)))


def refolded(project: Project, files: Sequence[SchemaFile], base: Lock) -> tuple[Diagnostic, ...]:
    """Return W0404 for every projection whose state is another one under the same version."""
    spans = {
        f"{file.package.value}.{name.value}": decl.version.span if decl.version else name.span
        for file in files
        for name, decl in file.projections
    }
    found: list[Diagnostic] = []
    for package in project.packages:
        for projection in package.projections:
            name, version, digest = fold(package, projection)
            frozen = base.folds.get((name, version), {})
            if frozen and digest not in frozen:
                message = f"the state of {projection.name} has changed, and its version has not"
                hint = f"write version: {version + 1}, or run batpak lock if it means the same"
                also = (Place(next(iter(frozen.values())), "frozen here"),)
                found.append(Diagnostic("W0404", message, spans[name], hint, also))
    return tuple(found)


class _Judge:
    def __init__(
        self,
        project: Project,
        files: Sequence[SchemaFile],
        freezing: Freeze,
        modes: Mapping[str, Mode],
        suppressed: Sequence[Suppression],
    ) -> None:
        self.project, self.freezing, self.modes = project, freezing, modes
        self.files = {file.package.value: file for file in files}
        self.suppressed = {(one.rule, one.target) for one in suppressed}
        self.versions: Versions = freezing.base.versions()
        self.breaks: list[Diagnostic] = []
        self.notes: list[str] = []

    def run(self) -> None:
        decls = {
            (package, name.value): (name, decl)
            for package, file in self.files.items()
            for name, decl in file.events
        }
        for promise in self.freezing.promises.values():
            name, decl = decls[promise.package, promise.name]
            self.within(promise, name, decl)
            self.between(promise, name)
        self.numbers()
        self.places()

    def within(self, promise: Promise, name: TextNode, decl: EventDecl) -> None:
        """Compare an event with every frozen revision of its version."""
        revisions = self.versions.get(promise.kind, {}).get(promise.version, {})
        if not revisions:
            return
        newest = {field.key for head in revisions[max(revisions)] for field in head.shape}
        places = {node.value: node.span for node, _ in decl.fields}
        seen: set[tuple[str, str]] = set()
        for revision, heads in sorted(revisions.items(), reverse=True):
            for head in heads:
                for change in self.changes(head, promise):
                    change = self.reused(change, newest)  # noqa: PLW2901  seen in another light
                    if (change.rule, change.path) in seen:
                        continue
                    seen.add((change.rule, change.path))
                    first = change.path.partition(".")[0].removesuffix("[]")
                    span = places.get(first, name.span)
                    number = f"{promise.version}.{revision}"
                    self.change(promise, change, span, head.span, number)

    def changes(self, head: Frozen, promise: Promise) -> list[Change]:
        was, now = self.freezing.base, self.freezing.lock
        return changes(was, now, head.shape, promise.shape)

    def reused(self, change: Change, newest: set[str]) -> Change:
        """Tell a field that changed from a name that was free for a while."""
        first = change.path.partition(".")[0].removesuffix("[]")
        if first in newest or change.rule in _COMINGS or not change.backward:
            return change
        words = f"uses a name again that held something else: it {change.words}"
        return Change("C122", change.path, words, True, True)

    def change(
        self, promise: Promise, change: Change, span: Span, frozen: Span, number: str
    ) -> None:
        full = self.modes[promise.package] == "full_transitive"
        if not change.backward and not (full and change.full):
            if change.note:
                self.notes.append(f"{promise.name}: {change.path} {change.words} [{change.rule}]")
            return
        who = (
            "events of revision {} cannot be read as they were meant"
            if change.backward
            else "code of revision {} cannot read new events"
        ).format(number)
        version = promise.version
        hop = f"raise the version to {version + 1} and write upcasts: {{{version}: …}}"
        ways = [way for way in (_WAYS.get(change.rule), hop if change.backward else None) if way]
        hint = ", or ".join(ways) or "use a new event while old code runs"
        message = f"{promise.name}: {change.path} {change.words}; {who}"
        self.found(change.rule, f"{promise.package}.{promise.name}", message, span, hint, frozen)

    def found(
        self, rule: str, target: str, message: str, span: Span | None, hint: str, frozen: Span
    ) -> None:
        if (rule, target) in self.suppressed:
            self.notes.append(f"{message} [{rule}] (suppressed)")
            return
        also = (Place(frozen, "frozen here"),)
        self.breaks.append(Diagnostic(rule, message, span, hint, also))

    def between(self, promise: Promise, name: TextNode) -> None:
        """Cite what a new hop takes care of; in full mode, old code still refuses the result."""
        frozen = self.versions.get(promise.kind, {})
        version = promise.version - 1
        if promise.version in frozen or version not in frozen:
            return
        head = frozen[version][max(frozen[version])][0]
        for change in self.changes(head, promise):
            words = f"{promise.name}: {change.path} {change.words}"
            if change.backward:
                by = f"mitigated by {promise.name}.upcasts[{version}]"
                self.notes.append(f"{words} [{change.rule}], {by}")
            if change.full and self.modes[promise.package] == "full_transitive":
                message = f"{words}; code of version {version} refuses version {promise.version}"
                hint = "a hop helps new code only: in this mode, use a new event"
                target = f"{promise.package}.{promise.name}"
                self.found(change.rule, target, message, name.span, hint, head.span)

    def numbers(self) -> None:
        """Find kinds that nobody declares any more."""
        retired = {kind for package in self.project.packages for kind, _ in package.retired}
        for kind, names in sorted(self.freezing.base.kinds.items()):
            if kind in self.freezing.promises or kind in retired:
                continue
            name, frozen = next(iter(names.items()))
            message = f"{name} is gone, and its kind 0x{kind:04x} could be taken by another event"
            hint = f"put it back, or run `batpak lock --retire 0x{kind:04x}`"
            file = self.files.get(name.rpartition(".")[0])
            span = file.package.span if file else None
            self.found("C121", name, message, span, hint, frozen)

    def places(self) -> None:
        """Find machines whose streams, and ids whose text, would be called otherwise."""
        base = self.freezing.base
        for package in self.project.packages:
            file = self.files[package.name]
            entities = {name.value: decl.entity.span for name, decl in file.machines}
            for machine in package.machines:
                full = f"{package.name}.{machine.name}"
                _, _, template, scope = entity_line(package, machine).split(" ", 3)
                for (was, scope_was), frozen in base.entities.get(full, {}).items():
                    if (was, scope_was) != (template, scope):
                        message = f"{full} lived in {was}, scope {scope_was}, until now"
                        hint = "its streams would be orphans: put it back, or add a machine"
                        self.found("C120", full, message, entities[machine.name], hint, frozen)
            names = {name.value: name.span for name, _ in file.types}
            for definition in package.types:
                type_ = definition.type
                full = f"{package.name}.{type_.name}"
                for prefix, frozen in base.ids.get(full, {}).items():
                    if not isinstance(type_, IdType) or type_.prefix != prefix:
                        message = f"{full} was an id that is written `{prefix}:` in text"
                        hint = "texts with it are out there: put it back"
                        self.found("C120", full, message, names[type_.name], hint, frozen)
