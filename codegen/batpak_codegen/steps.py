"""Upcast steps: read from the schema, applied to a frozen shape without running anything.

Each step is total, so a declared hop never fails when an event is read. What the fields of the
next version are made of comes out as `Source`s, which the generator prints as Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from batpak_codegen.diagnostic import Findings, Span, did_you_mean, quoted
from batpak_codegen.hop import Added, Cast, Mapped, Source, Taken, Wrapped
from batpak_codegen.ir import INT_RANGES
from batpak_codegen.lock import Lock
from batpak_codegen.nodes import MapNode, Node, SeqNode, TextNode
from batpak_codegen.shape import INTEGERS, Frozen, Maybe, Plain, Ref, Shape, spell_type
from batpak_codegen.types import SCALARS

STEPS_MAX: Final = 1000
PYTHON: Final = "python"
_WORDS: Final = ("rename", "add", "drop", "wrap", "cast", "map_enum")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Held(Struct, frozen=True):
    """A field on its way from one version to the next; what was added has its type yet to come."""

    type: Frozen | None
    source: Source


Fields: TypeAlias = dict[str, Held]


class Step(Struct, frozen=True):
    """One change of one field: `rename(email,customer_email)`."""

    word: str
    field: str
    argument: TextNode | None
    span: Span
    members: tuple[tuple[str, str], ...] = ()

    def spell(self, literals: Mapping[str, str]) -> str:
        """Spell the step as a lock does; `literals` are the values of what was added, as JSON."""
        words = [self.field]
        if self.word == "add":
            words.append(literals[self.field])
        elif self.argument is not None:
            words.append(self.argument.value)
        words += [f"{old}={new}" for old, new in self.members]
        return f"{self.word}({','.join(words)})"


class _Bad(Exception):
    """A step cannot be taken: a sentence and the way out."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def read_steps(node: Node, findings: Findings) -> tuple[Step, ...] | None:
    """Read the steps of one hop; None stands for a hop that is Python.

    What is no step is reported as E0803 and left out.
    """
    if isinstance(node, TextNode):
        if node.value != PYTHON or node.style:
            hint = f"write {PYTHON}, or a list of steps"
            findings.add("E0803", f"{quoted(node.value)} is no hop", node.span, help=hint)
        return None
    steps: list[Step] = []
    for item in node.items if isinstance(node, SeqNode) else [node]:
        if not isinstance(item, MapNode):
            hint = f"a step is one of {', '.join(_WORDS)}"
            findings.add("E0803", "this is no step", item.span, help=hint)
            continue
        for word, argument in item.entries:
            steps += _read(word, argument, findings)
    if len(steps) > STEPS_MAX:
        findings.add("E0803", f"a hop has at most {STEPS_MAX:,} steps", steps[STEPS_MAX].span)
        return ()
    return tuple(steps)


def _read(word: TextNode, argument: Node, findings: Findings) -> list[Step]:
    if word.value not in _WORDS:
        hint = did_you_mean(word.value, _WORDS) or f"a step is one of {', '.join(_WORDS)}"
        findings.add("E0803", f"unknown step {quoted(word.value)}", word.span, help=hint)
        return []
    if word.value == "drop":
        names = argument.items if isinstance(argument, SeqNode) else (argument,)
        found = [name for name in names if isinstance(name, TextNode)]
        if len(found) < len(names):
            hint = "write drop: [field]"
            findings.add("E0803", "drop takes names of fields", argument.span, help=hint)
        return [Step("drop", name.value, None, name.span) for name in found]
    if not isinstance(argument, MapNode):
        findings.add("E0803", f"{word.value} takes a map", argument.span, help=_like(word.value))
        return []
    steps: list[Step] = []
    for key, value in argument.entries:
        if word.value == "map_enum" and isinstance(value, MapNode):
            pairs = [(old.value, new) for old, new in value.entries]
            members = tuple((old, new.value) for old, new in pairs if isinstance(new, TextNode))
            if len(members) == len(pairs):
                steps.append(Step("map_enum", key.value, None, key.span, members))
                continue
        elif word.value != "map_enum" and isinstance(value, TextNode):
            steps.append(Step(word.value, key.value, value, key.span))
            continue
        message = f"this is no argument of {word.value}"
        findings.add("E0803", message, value.span, help=_like(word.value))
    return steps


def _like(word: str) -> str:
    examples = {
        "rename": "{old: new}",
        "add": "{field: literal}",
        "wrap": "{field: field_of_the_struct}",
        "cast": "{field: type}",
        "map_enum": "{field: {OLD: NEW}}",
    }
    return f"write {word}: {examples[word]}"


def apply(
    steps: Sequence[Step], old: Shape, new: Shape, lock: Lock, findings: Findings
) -> Fields | None:
    """Take the steps from `old`; what is wrong with one is reported as E0803.

    Args:
        steps: In order.
        old: The frozen shape they start from.
        new: The shape they lead to: it says what is wrapped into which struct.
        lock: What the named types are.
        findings: Take what is wrong.

    Returns:
        The fields that came out by name, or None if a step could not be taken.
    """
    fields: Fields = {field.name: Held(field.type, Taken(field.name)) for field in old}
    walk = _Walk(fields, new, lock)
    fine = True
    for step in steps:
        try:
            walk.take(step)
        except _Bad as bad:
            fine = False
            findings.add("E0803", f"{step.word}: {bad}", step.span, help=bad.hint)
    return fields if fine else None


class _Walk:
    def __init__(self, fields: Fields, new: Shape, lock: Lock) -> None:
        self.fields, self.lock = fields, lock
        self.wanted = {field.name: field.type for field in new}
        self.takers: Mapping[str, Callable[[Step], None]] = {
            "rename": self.rename,
            "add": self.add,
            "drop": self.drop,
            "wrap": self.wrap,
            "cast": self.cast,
            "map_enum": self.map_enum,
        }

    def take(self, step: Step) -> None:
        self.takers[step.word](step)

    def held(self, name: str) -> Held:
        if name not in self.fields:
            hint = did_you_mean(name, self.fields) or f"fields here: {', '.join(self.fields)}"
            raise _Bad(f"there is no field {quoted(name)}", hint)
        return self.fields[name]

    def kept(self, step: Step) -> Held:
        """Return a field that was there before."""
        held = self.held(step.field)
        if held.type is None:
            raise _Bad(f"{quoted(step.field)} was added by a step", "add it as it should be")
        return held

    def typed(self, step: Step) -> tuple[Frozen, bool, Source]:
        """Return what a field holds besides null, whether it may be null, and where it is from."""
        held = self.kept(step)
        if isinstance(held.type, Maybe):
            return held.type.of, True, held.source
        return held.type or Plain("string"), False, held.source

    def free(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise _Bad(f"{quoted(name)} is no name of a field")
        if name in self.fields:
            raise _Bad(f"there is a field {quoted(name)} already", "drop or rename that one first")

    def rename(self, step: Step) -> None:
        new = step.argument.value if step.argument else ""
        held = self.kept(step)
        self.free(new)
        del self.fields[step.field]
        self.fields[new] = held

    def add(self, step: Step) -> None:
        self.free(step.field)
        if step.argument is not None:
            self.fields[step.field] = Held(None, Added(step.argument))

    def drop(self, step: Step) -> None:
        self.kept(step)
        del self.fields[step.field]

    def wrap(self, step: Step) -> None:
        held = self.kept(step)
        wanted = self.wanted.get(step.field)
        inside = wanted.of if isinstance(wanted, Maybe) else wanted
        if not isinstance(inside, Ref) or inside not in self.lock.types:
            raise _Bad(f"{quoted(step.field)} is no struct in the next version")
        name = step.argument.value if step.argument else ""
        shape = next(iter(self.lock.types[inside].values())).shape
        inner = {field.name: field for field in shape}
        if name not in inner:
            hint = did_you_mean(name, inner) or f"its fields: {', '.join(inner)}"
            raise _Bad(f"{inside.name} has no field {quoted(name)}", hint)
        missing = [f.name for f in shape if f.name != name and not f.may_be_absent]
        if missing:
            words = f"{inside.name} needs {', '.join(missing)} as well"
            raise _Bad(words, f"give it a default, or write the hop in {PYTHON}")
        if held.type is None or not fits(held.type, inner[name].type):
            given = "" if held.type is None else spell_type(held.type)
            raise _Bad(f"{inside.name}.{name} is {spell_type(inner[name].type)}, not {given}")
        self.fields[step.field] = Held(inside, Wrapped(inside, name, held.source))

    def cast(self, step: Step) -> None:
        inner, nullable, source = self.typed(step)
        word = step.argument.value if step.argument else ""
        wanted = self.wanted.get(step.field)
        to = wanted.of if isinstance(wanted, Maybe) else wanted
        if SCALARS.get(word.partition("(")[0].removesuffix("?")) != getattr(to, "name", None):
            raise _Bad(f"{quoted(word)} is not what the next version has", "write that type")
        if not isinstance(to, Plain) or not self.total(inner, to):
            words = f"not every {spell_type(inner)} fits {word}"
            raise _Bad(words, f"write the hop in {PYTHON}")
        type_: Frozen = Maybe(to) if nullable else to
        self.fields[step.field] = Held(type_, Cast(to, nullable, source))

    def total(self, old: Frozen, to: Plain) -> bool:
        """Whether every value of `old` has exactly one value in `to`."""
        if to.name == "string":
            enum = isinstance(old, Ref) and (old in self.lock.enums or old.name in self.lock.ids)
            return enum or old in (Plain("uuid"), Plain("date"))
        if not isinstance(old, Plain) or old.name not in INTEGERS:
            return False
        low, high = INT_RANGES[old.name]
        if to.name == "decimal":
            return len(str(max(high, -low))) <= to.precision - to.scale
        if to.name not in INTEGERS:
            return False
        lowest, highest = INT_RANGES[to.name]
        return lowest <= low and high <= highest

    def map_enum(self, step: Step) -> None:
        inner, nullable, source = self.typed(step)
        if not isinstance(inner, Ref) or inner not in self.lock.enums:
            raise _Bad(f"{quoted(step.field)} is {spell_type(inner)}, no enum")
        wanted = self.wanted.get(step.field)
        to = wanted.of if isinstance(wanted, Maybe) else wanted
        if not isinstance(to, Ref) or to not in self.lock.enums:
            raise _Bad(f"{quoted(step.field)} is no enum in the next version")
        old, new = self.lock.enums[inner], self.lock.enums[to]
        if old.open:
            raise _Bad(f"{inner.name} is open: it has members nobody knows", f"write {PYTHON}")
        given = dict(step.members)
        missing, strange = old.stored.keys() - given.keys(), given.keys() - old.stored.keys()
        unknown = set(given.values()) - new.stored.keys()
        if missing:
            raise _Bad(f"{', '.join(sorted(missing))} of {inner.name} leads nowhere")
        if strange or unknown:
            raise _Bad(f"there is no member {', '.join(sorted(strange or unknown))}")
        type_: Frozen = Maybe(to) if nullable else to
        self.fields[step.field] = Held(type_, Mapped(inner, to, step.members, nullable, source))


def fits(old: Frozen, new: Frozen) -> bool:
    """Whether every value of a type is one of another as it is: the same one, or nullable."""
    return old == new or (isinstance(new, Maybe) and new.of == old)
