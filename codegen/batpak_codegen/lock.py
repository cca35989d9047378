"""`batpak.lock`: what has been promised to stored bytes. One fact per line, lines only added.

The order of lines means nothing, and a line twice is the line once, so two branches merge as a
union of lines. What a merge cannot settle is data here (`heads`, two names of one kind) and an
error where it matters.
The lines: docs/reference/lock-file.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final, TypeVar

from msgspec import Struct

from batpak_codegen.diagnostic import FINDINGS_MAX, Findings, Place, Span, quoted
from batpak_codegen.shape import NotAShape, Ref, Shape, parse, parse_ref, references, spell_ref

BYTES_MAX: Final = 16 * 1024 * 1024
NESTING_MAX: Final = 64
HEAD: Final = "# batpak.lock 1 -- written by `batpak lock`; commit it. Lines are only ever added."
WIRE: Final = "wire 1"

_ORDER: Final = ("wire", "kind", "shape", "hop", "type", "tag", "enum", "id", "entity", "fold")
_KIND: Final = re.compile(r"0x[0-9a-f]{4}")
_REVISION: Final = re.compile(r"([1-9][0-9]{0,4})\.([1-9][0-9]{0,5})")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,4}")
_FOLD: Final = re.compile(r"[1-9][0-9]{0,9}")
_DIGEST: Final = re.compile(r"[0-9a-f]{16}")
_MEMBER: Final = re.compile(r"([A-Z][A-Z0-9_]{0,63})=(.+)")

X = TypeVar("X")


class Frozen(Struct, frozen=True):
    """A shape and the line that promises it."""

    shape: Shape
    span: Span


class Members(Struct):
    """What an enum stores, and whether readers survive other values."""

    open: bool
    stored: dict[str, str]


class Lock(Struct):
    """All lines, by what they are about. A revision with two shapes has two heads."""

    path: str
    lines: set[str] = set()
    kinds: dict[int, dict[str, Span]] = {}
    shapes: dict[tuple[int, int, int], dict[str, Frozen]] = {}
    hops: dict[tuple[int, int], dict[str, Span]] = {}
    types: dict[Ref, dict[str, Frozen]] = {}
    enums: dict[Ref, Members] = {}
    tags: dict[Ref, dict[str, set[Ref]]] = {}
    ids: dict[str, dict[str, Span]] = {}
    entities: dict[str, dict[tuple[str, str], Span]] = {}
    folds: dict[tuple[str, int], dict[str, Span]] = {}

    def versions(self) -> dict[int, dict[int, dict[int, list[Frozen]]]]:
        """Return kind → version → revision → shapes, in order."""
        found: dict[int, dict[int, dict[int, list[Frozen]]]] = {}
        for (kind, version, revision), shapes in sorted(self.shapes.items()):
            revisions = found.setdefault(kind, {}).setdefault(version, {})
            revisions[revision] = list(shapes.values())
        return found

    def name_of(self, kind: int) -> str | None:
        """Return the name that a kind was promised to, if it was."""
        return next(iter(self.kinds.get(kind, ())), None)


class _Reader:
    """Reads lines into a lock; what is wrong goes to the findings of the file."""

    def __init__(self, lock: Lock, findings: Findings) -> None:
        self.lock, self.findings = lock, findings
        self.readers: Mapping[str, tuple[int, Callable[[list[str], Span], None]]] = {
            "wire": (1, self.wire),
            "kind": (2, self.kind),
            "shape": (3, self.shape),
            "hop": (3, self.hop),
            "type": (2, self.type),
            "tag": (3, self.tag),
            "enum": (3, self.enum),
            "id": (2, self.id),
            "entity": (3, self.entity),
            "fold": (3, self.fold),
        }

    def line(self, text: str, span: Span) -> None:
        word, _, rest = text.partition(" ")
        if word not in self.readers:
            message = f"`batpak lock` writes no line that begins with {quoted(word)}"
            hint = "restore the file, or use the batpak that wrote it"
            if word[:7] in ("<<<<<<<", "=======", ">>>>>>>"):
                hint = "keep the lines of both sides; .gitattributes: batpak.lock merge=union"
            self.findings.add("E0804", message, span, help=hint)
            return
        count, read = self.readers[word]
        parts = rest.split(" ", count - 1)
        try:
            if len(parts) != count or not all(parts):
                raise NotAShape(f"a line `{word}` has {count} parts behind it")
            read(parts, span)
        except NotAShape as error:
            self.findings.add("E0804", str(error), span, help="restore the line as it was")
            return
        self.lock.lines.add(text)

    def wire(self, parts: list[str], _: Span) -> None:
        if parts != ["1"]:
            raise NotAShape(f"wire rules {quoted(parts[0])} are not known here")

    def kind(self, parts: list[str], span: Span) -> None:
        name = parse_ref(parts[1]).name
        self.lock.kinds.setdefault(_kind(parts[0]), {}).setdefault(name, span)

    def shape(self, parts: list[str], span: Span) -> None:
        match = _REVISION.fullmatch(parts[1])
        if not match:
            raise NotAShape("a revision is written like 3.1")
        key = _kind(parts[0]), int(match[1]), int(match[2])
        frozen = Frozen(parse(parts[2]), span)
        self.lock.shapes.setdefault(key, {}).setdefault(parts[2], frozen)

    def hop(self, parts: list[str], span: Span) -> None:
        if not _NUMBER.fullmatch(parts[1]):
            raise NotAShape("a version is a number")
        key = _kind(parts[0]), int(parts[1])
        self.lock.hops.setdefault(key, {}).setdefault(parts[2], span)

    def type(self, parts: list[str], span: Span) -> None:
        ref = parse_ref(parts[0])
        if not ref.revision:
            raise NotAShape("a struct has a revision: shop.common.Money#1")
        self.lock.types.setdefault(ref, {}).setdefault(parts[1], Frozen(parse(parts[1]), span))

    def tag(self, parts: list[str], _: Span) -> None:
        tags = self.lock.tags.setdefault(parse_ref(parts[0]), {})
        tags.setdefault(parts[1], set()).add(parse_ref(parts[2]))

    def enum(self, parts: list[str], _: Span) -> None:
        match = _MEMBER.fullmatch(parts[2])
        if parts[1] not in ("open", "closed") or not match:
            raise NotAShape("an enum is written like `enum shop.Currency closed EUR=eur`")
        members = self.lock.enums.setdefault(parse_ref(parts[0]), Members(False, {}))
        members.open |= parts[1] == "open"
        if members.stored.setdefault(match[1], match[2]) != match[2]:
            raise NotAShape(f"{match[1]} is stored in two ways")

    def id(self, parts: list[str], span: Span) -> None:
        self.lock.ids.setdefault(parse_ref(parts[0]).name, {}).setdefault(parts[1], span)

    def entity(self, parts: list[str], span: Span) -> None:
        name = parse_ref(parts[0]).name
        self.lock.entities.setdefault(name, {}).setdefault((parts[1], parts[2]), span)

    def fold(self, parts: list[str], span: Span) -> None:
        if not _FOLD.fullmatch(parts[1]) or not _DIGEST.fullmatch(parts[2]):
            raise NotAShape("a fold has a version and a digest of 16 hex digits")
        key = parse_ref(parts[0]).name, int(parts[1])
        self.lock.folds.setdefault(key, {}).setdefault(parts[2], span)


def _kind(text: str) -> int:
    if not _KIND.fullmatch(text):
        raise NotAShape("a kind is written like 0x2001")
    return int(text, 16)


def read(text: str, path: str, findings: Findings) -> Lock:
    """Read a lock file; what is wrong with it goes to `findings`, and is left out.

    Args:
        text: Of the file; an empty one is a lock that promises nothing.
        path: As it is printed.
        findings: E0804 syntax; E0203 two names for one kind.
    """
    lock = Lock(path)
    inner = Findings(FINDINGS_MAX)
    reader = _Reader(lock, inner)
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.removesuffix("\r")
        if stripped and not stripped.startswith("#"):
            reader.line(stripped, Span(path, number, 1, number, len(stripped) + 1))
        if len(inner.diagnostics) >= FINDINGS_MAX - 1:
            break
    for kind, names in sorted(lock.kinds.items()):
        if len(names) > 1:
            (one, first), (other, second) = list(names.items())[:2]
            message = f"kind 0x{kind:04x} belongs to {one} and to {other}"
            hint = f"two branches took it: give one of them another id; `batpak id next {other}`"
            inner.add("E0203", message, second, help=hint, also=[Place(first, one)])
    _finite(lock, inner)
    findings.diagnostics += inner.diagnostics
    return lock


def _finite(lock: Lock, findings: Findings) -> None:
    """Make sure that every named type ends somewhere, and soon."""
    graph: dict[Ref, set[Ref]] = {
        ref: {inner for frozen in shapes.values() for inner in references(frozen.shape)}
        for ref, shapes in lock.types.items()
    }
    graph |= {ref: {r for refs in tags.values() for r in refs} for ref, tags in lock.tags.items()}
    depth: dict[Ref, int] = {}
    try:
        for ref in TopologicalSorter(graph).static_order():
            depth[ref] = 1 + max((depth[inner] for inner in graph.get(ref, ())), default=0)
    except CycleError as error:
        names = " -> ".join(spell_ref(ref) for ref in error.args[1][:8])
        start = Span(lock.path, 1, 1, 1, 2)
        findings.add("E0804", f"types contain each other: {names}", start)
        lock.types.clear()
        lock.tags.clear()
        return
    if max(depth.values(), default=0) > NESTING_MAX:
        start = Span(lock.path, 1, 1, 1, 2)
        findings.add("E0804", f"types are nested more than {NESTING_MAX} levels deep", start)
        lock.types.clear()
        lock.tags.clear()


def check(
    lock: Lock, findings: Findings, joining: Collection[tuple[int, int]] = frozenset()
) -> None:
    """Report what a merge left behind.

    E0805, a type that is mentioned and has no line; E0806, a newest revision that two branches
    froze in two ways. Versions that are `joining`, and types with them, get one head now.
    """
    mentions = [
        frozen for of in (lock.types, lock.shapes) for f in of.values() for frozen in f.values()
    ]
    for frozen in mentions:
        for ref in references(frozen.shape):
            if not any(
                (ref in lock.types, ref in lock.enums, ref in lock.tags, ref.name in lock.ids)
            ):
                message = f"the line that says what {spell_ref(ref)} is was lost"
                hint = "lines are never removed: restore it from the history of this file"
                findings.add("E0805", message, frozen.span, help=hint)
    for what, version, shapes in _newest(lock):
        if len(shapes) > 1 and not (joining and (version is None or version in joining)):
            one, other = list(shapes.values())[:2]
            message = f"{what} has two heads"
            hint = "two branches froze it; run `batpak lock`: what it writes must read both"
            also = [Place(one.span, "the other one")]
            findings.add("E0806", message, other.span, help=hint, also=also)
    for (kind, start), hops in sorted(lock.hops.items()):
        if len(hops) > 1:
            one_span, other_span = list(hops.values())[:2]
            message = f"the hop of 0x{kind:04x} from version {start} is frozen in two ways"
            hint = "events mean one thing only: give one branch's change a version of its own"
            also = [Place(one_span, "the other one")]
            findings.add("E0806", message, other_span, help=hint, also=also)


def _newest(
    lock: Lock,
) -> Iterator[tuple[str, tuple[int, int] | None, dict[str, Frozen]]]:
    shapes: dict[tuple[int, int], tuple[int, dict[str, Frozen]]] = {}
    for (kind, version, revision), found in lock.shapes.items():
        if revision > shapes.get((kind, version), (0, {}))[0]:
            shapes[kind, version] = revision, found
    for (kind, version), (revision, found) in sorted(shapes.items()):
        yield f"0x{kind:04x} {version}.{revision}", (kind, version), found
    for name, revision in sorted(newest_revisions(lock.types).items()):
        ref = Ref(name, revision)
        yield spell_ref(ref), None, lock.types[ref]


def newest_revisions(of: Mapping[Ref, X]) -> dict[str, int]:
    """Return name → newest revision."""
    newest: dict[str, int] = {}
    for ref in of:
        newest[ref.name] = max(ref.revision, newest.get(ref.name, 0))
    return newest


def spell_file(lines: Iterable[str]) -> str:
    """Return the text of a lock file: the head, then all lines in their order."""
    return "\n".join([HEAD, *sorted(set(lines), key=_place), ""])


def _place(line: str) -> tuple[int, str, list[int], str]:
    word, _, rest = line.partition(" ")
    parts = rest.split(" ")
    numbers = [int(n) for n in parts[1].split(".")] if word in ("shape", "hop", "fold") else []
    return _ORDER.index(word), parts[0], numbers, rest
