"""What changed between two frozen shapes, and whom it hurts: the change classes C101 to C117.

A change breaks *backward* if new code cannot read old bytes as they were meant, and *full* if
code of the old shape cannot read new bytes. Both are facts of the wire form alone: constraints
are not checked when bytes are read.
The classes: docs/reference/compatibility.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from batpak_codegen.lock import Lock
from batpak_codegen.shape import (
    INTEGERS,
    Box,
    Frozen,
    Maybe,
    Plain,
    Ref,
    Shape,
    ShapeField,
    spell_type,
)

_TEXTUAL: Final = frozenset(["decimal", "uuid", "date"])


class Change(Struct, frozen=True):
    """One change: its class, the path of the field, what happened in words."""

    rule: str
    path: str
    words: str
    backward: bool
    full: bool
    note: bool = False  # nothing breaks, and it is worth a word


def changes(was: Lock, now: Lock, old: Shape, new: Shape) -> list[Change]:
    """Return what is different in `new`; `was` and `now` say what named types are in each."""
    return list(_Compare(was, now).shapes(old, new, ""))


def reads(lock: Lock, old: Frozen, new: Frozen) -> bool:
    """Whether code of the type `new` reads the bytes of the type `old`, meaning the same."""
    return not any(change.backward for change in _Compare(lock, lock).types(old, new, ""))


_UUID: Final = Plain("uuid")  # what an id is to those who read it; names of ids are not stored


class _Compare:
    def __init__(self, was: Lock, now: Lock) -> None:
        self.was, self.now = was, now

    def shapes(self, old: Shape, new: Shape, at: str) -> Iterator[Change]:
        before = {field.key: field for field in old}
        after = {field.key: field for field in new}
        gone = [field for key, field in before.items() if key not in after]
        added = [field for key, field in after.items() if key not in before]
        for key, field in after.items():
            if key in before:
                yield from self.fields(before[key], field, f"{at}{field.name}")
        for field in list(added):
            same = [one for one in gone if (one.name, one.type) == (field.name, field.type)]
            for one in same:
                words = f"is stored as {field.key}, and was stored as {one.key}"
                yield Change("C120", f"{at}{field.name}", words, True, True)
                gone.remove(one)
                added.remove(field)
        renamed = _renamed(gone, added)
        for field in added:
            if field.key in renamed:
                words = f"was called {renamed[field.key]}"
                yield Change("C104", f"{at}{field.name}", words, True, True)
            elif field.may_be_absent:
                yield Change("C101", f"{at}{field.name}", "is new, and may be absent", False, False)
            else:
                words = "is new and required: no old event has it"
                yield Change("C102", f"{at}{field.name}", words, True, True)
        for field in gone:
            if field.key in renamed.values():
                continue
            words = "was removed" if field.may_be_absent else "was removed, and old code needs it"
            yield Change("C103", f"{at}{field.name}", words, False, not field.may_be_absent)

    def fields(self, old: ShapeField, new: ShapeField, at: str) -> Iterator[Change]:
        yield from self.types(old.type, new.type, at)
        both = old.default is not None and new.default is not None
        if both and old.default != new.default:
            words = f"has the default {new.default}, and had {old.default}"
            yield Change("C115", at, words, True, True)

    def types(self, old: Frozen, new: Frozen, at: str) -> Iterator[Change]:
        if isinstance(old, Maybe) and not isinstance(new, Maybe):
            yield Change("C106", at, "may not be null any more, and stored values are", True, True)
        if isinstance(new, Maybe) and not isinstance(old, Maybe):
            yield Change("C105", at, "may be null now, which old code refuses", False, True)
        yield from self.values(_inner(old), _inner(new), at)

    def values(self, old: Frozen, new: Frozen, at: str) -> Iterator[Change]:
        if isinstance(old, Ref) and old.name in self.was.ids:
            old = _UUID
        if isinstance(new, Ref) and new.name in self.now.ids:
            new = _UUID
        if isinstance(old, Box) and isinstance(new, Box) and old.base == new.base:
            yield from self.types(old.item, new.item, f"{at}[]")
        elif isinstance(old, Ref) and isinstance(new, Ref):
            yield from self.named(old, new, at)
        elif old != new:
            yield self.retyped(old, new, at)

    def named(self, old: Ref, new: Ref, at: str) -> Iterator[Change]:
        was, now = self.was, self.now
        if old in was.types and new in now.types:
            for before in was.types[old].values():
                for after in now.types[new].values():
                    yield from self.shapes(before.shape, after.shape, f"{at}.")
        elif old in was.enums and new in now.enums:
            yield from self.enums(old, new, at)
        elif old in was.tags and new in now.tags:
            yield from self.unions(old, new, at)
        else:
            yield self.retyped(old, new, at)

    def enums(self, old: Ref, new: Ref, at: str) -> Iterator[Change]:
        before, after = self.was.enums[old], self.now.enums[new]
        gone = sorted(m for m, v in before.stored.items() if after.stored.get(m) != v)
        if gone:
            words = f"lost {', '.join(gone)} of {old.name}, or stores it otherwise"
            yield Change("C113", at, words, True, True)
        added = sorted(after.stored.keys() - before.stored.keys())
        if added:
            words = f"has {', '.join(added)} in {new.name}, which old code does not know"
            yield Change("C112", at, words, False, not before.open)
        if before.open != after.open:
            words = f"is of {'an open' if after.open else 'a closed'} enum now"
            yield Change("C116", at, words, False, False, note=True)

    def unions(self, old: Ref, new: Ref, at: str) -> Iterator[Change]:
        before, after = self.was.tags[old], self.now.tags[new]
        gone = sorted(before.keys() - after.keys())
        if gone:
            words = f"lost {', '.join(gone)} of {old.name}, or tags it otherwise"
            yield Change("C114", at, words, True, True)
        added = sorted(after.keys() - before.keys())
        if added:
            words = f"has {', '.join(added)} in {new.name}, which old code does not know"
            yield Change("C114", at, words, False, True)
        for tag in sorted(before.keys() & after.keys()):
            newest = max(after[tag])
            for ref in sorted(before[tag] - {newest}):
                yield from self.named(ref, newest, f"{at}.{tag}")

    def retyped(self, old: Frozen, new: Frozen, at: str) -> Change:
        words = f"is {spell_type(new)}, and was {spell_type(old)}"
        before = old.name if isinstance(old, Plain) else ""
        after = new.name if isinstance(new, Plain) else ""
        if before in INTEGERS and after in INTEGERS:
            return Change("C107", at, words, False, False, note=True)
        if before == after == "decimal":
            return Change("C110", at, words, False, False, note=True)
        if {before, after} <= {"f64", *INTEGERS}:
            return Change("C108", at, words, True, True)
        enum = isinstance(new, Ref) and new in self.now.enums
        if before == "string" and (after in _TEXTUAL or enum):
            return Change("C109", at, f"{words}: not every text is one", True, True)
        return Change("C111", at, words, True, True)


def _inner(type_: Frozen) -> Frozen:
    return type_.of if isinstance(type_, Maybe) else type_


def _renamed(gone: Sequence[ShapeField], added: Sequence[ShapeField]) -> dict[str, str]:
    """Return new key → old key, where one field of a type is gone and one of that type is new.

    Beside other changes only required fields are paired: to drop an optional field and to add
    another one breaks nothing, and is not made a break because their types are the same.
    """
    if len(gone) > 1 or len(added) > 1:
        gone = [field for field in gone if not field.may_be_absent]
        added = [field for field in added if not field.may_be_absent]
    pairs: dict[str, str] = {}
    for old in gone:
        olds = [field for field in gone if field.type == old.type]
        news = [field for field in added if field.type == old.type]
        if len(olds) == len(news) == 1:
            pairs[news[0].key] = old.key
    return pairs
