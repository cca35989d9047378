r"""Patterns of text: a deterministic subset of regular expressions, read, judged and printed.

A pattern is deterministic if at every point the next character decides where to go: no two
branches, and no repeat and what follows it, accept the same character. Then matching never has
to try again. The pattern is printed with possessive quantifiers and atomic branches, which tell
`re` just that, and takes time linear in the text.

    pattern = branch { "|" branch } ;            branch = piece { piece } ;
    piece   = atom [ "?" | "*" | "+" | "{" INT [ "," [ INT ] ] "}" ] ;
    atom    = literal | "." | "\d" | "\w" | "\s" | class | "(" pattern ")" ;

A pattern is matched against the whole text. Classes are ASCII; `.` is any character but a newline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Final, NoReturn, TypeAlias

from msgspec import Struct

CHARS_MAX: Final = 512
TIMES_MAX: Final = 1000
DEPTH_MAX: Final = 32
WAYS_MAX: Final = 64

Ranges: TypeAlias = tuple[tuple[int, int], ...]  # sorted, apart from each other, ends included


class PatternError(Exception):
    """What is wrong with a pattern, and at which of its characters; `other` is a second place."""

    def __init__(
        self,
        code: str,
        message: str,
        place: tuple[int, int],
        help_: str | None = None,
        other: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help_
        self.place, self.other = place, other


class Chars(Struct, frozen=True):
    """One character out of some. `text` is how `re` spells it."""

    ranges: Ranges
    text: str
    place: tuple[int, int]


class Row(Struct, frozen=True):
    """One piece after the other."""

    items: tuple[Node, ...]


class Choice(Struct, frozen=True):
    """One of several branches."""

    branches: tuple[Node, ...]
    place: tuple[int, int]


class Repeat(Struct, frozen=True):
    """`body` from `low` to `high` times; no `high` is no limit. `place` is the quantifier."""

    body: Node
    low: int
    high: int | None
    place: tuple[int, int]


Node: TypeAlias = Chars | Row | Choice | Repeat


class Way(Struct, frozen=True):
    """A character that may come next, and the place in the pattern that takes it."""

    ranges: Ranges
    place: tuple[int, int]


class Facts(Struct, frozen=True):
    """What a part of a pattern accepts: what begins it, and what may continue a complete match."""

    empty: bool
    first: tuple[Way, ...]
    after: tuple[Way, ...]
    shortest: int
    longest: int | None


class Pattern(Struct, frozen=True):
    """A deterministic pattern: how `re` spells it, and what it admits."""

    source: str
    regex: str
    is_ascii: bool  # it has a class whose meaning depends on `re.ASCII`
    ranges: Ranges  # every character that can be in a match
    shortest: int
    longest: int | None
    node: Node

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        return _compiled(self).fullmatch(text) is not None


@cache
def _compiled(pattern: Pattern) -> re.Pattern[str]:
    return re.compile(pattern.regex, re.ASCII if pattern.is_ascii else 0)


@cache
def read(source: str) -> Pattern:
    """Read a pattern.

    Raises:
        PatternError: E0306, it is not in the subset; E0305, it is ambiguous.
    """
    if len(source) > CHARS_MAX:
        message = f"a pattern has at most {CHARS_MAX} characters"
        raise PatternError("E0306", message, (0, len(source)))
    parser = _Parser(source)
    node = parser.pattern(0)
    facts = _facts(node)
    ranges = _merged(pair for chars in parser.chars for pair in chars.ranges)
    regex = _printed(node)
    return Pattern(source, regex, parser.is_ascii, ranges, facts.shortest, facts.longest, node)


_DIGITS: Final[Ranges] = ((48, 57),)
_WORD: Final[Ranges] = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Final[Ranges] = ((9, 13), (32, 32))
_CLASSES: Final = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_LAST: Final = 0x10FFFF
_SPECIAL: Final = frozenset("\\.^$*+?{}[]|()")
_SPECIAL_IN_CLASS: Final = frozenset("\\]^[-&|~")
_TIMES: Final = re.compile(r"\{([0-9]{1,6})(,([0-9]{0,6}))?\}")
_ESCAPES: Final = "an escape is \\d, \\w, \\s or a punctuation mark"


class _Parser:
    """Recursive descent over one text; every rule of the grammar is a method."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.chars: list[Chars] = []
        self.is_ascii = False

    def refuse(self, message: str, start: int, end: int, help_: str | None = None) -> NoReturn:
        raise PatternError("E0306", message, (start, max(end, start + 1)), help_)

    @property
    def next(self) -> str:
        return self.source[self.at : self.at + 1]

    def pattern(self, depth: int) -> Node:
        start = self.at
        if depth > DEPTH_MAX:
            self.refuse(f"groups are nested more than {DEPTH_MAX} deep", start, start)
        branches = [self.branch(depth)]
        while self.next == "|":
            self.at += 1
            branches.append(self.branch(depth))
        if self.next == ")" and not depth:
            self.refuse("this bracket closes nothing", self.at, self.at, "write \\) for the mark")
        return branches[0] if len(branches) == 1 else Choice(tuple(branches), (start, self.at))

    def branch(self, depth: int) -> Node:
        start = self.at
        items: list[Node] = []
        while self.next not in ("", "|", ")"):
            items.append(self.piece(depth))
        if not items:
            self.refuse("nothing stands here", start, start, "write (...)? for what may be missing")
        return items[0] if len(items) == 1 else Row(tuple(items))

    def piece(self, depth: int) -> Node:
        atom = self.atom(depth)
        start = self.at
        times = self.times()
        if times is None:
            return atom
        if self.next in ("?", "+", "*", "{"):
            hint = "matching is always greedy and never goes back"
            self.refuse("a second quantifier", self.at, self.at, hint)
        return Repeat(atom, *times, (start, self.at))

    def times(self) -> tuple[int, int | None] | None:
        """Read a quantifier, if there is one."""
        mark, start = self.next, self.at
        if mark in ("?", "*", "+") and mark:
            self.at += 1
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}[mark]
        if mark != "{":
            return None
        match = _TIMES.match(self.source, start)
        if not match:
            hint = "write {3}, {3,} or {0,3}, and \\{ for the mark"
            self.refuse("this is no number of times", start, start, hint)
        self.at = match.end()
        low = int(match[1])
        high = low if match[2] is None else int(match[3]) if match[3] else None
        if max(low, high or 0) > TIMES_MAX:
            self.refuse(f"a repeat has at most {TIMES_MAX} rounds", start, self.at)
        if high is not None and not (low <= high and high):
            self.refuse("no number of times is within these", start, self.at)
        return low, high

    def atom(self, depth: int) -> Node:
        mark, start = self.next, self.at
        self.at += 1
        if mark == "(":
            return self.group(depth, start)
        if mark == "[":
            return self.keep(*self.class_(start), start)
        if mark == "\\":
            return self.keep(*self.escape(_SPECIAL), start)
        if mark == ".":
            return self.keep(((0, 9), (11, _LAST)), ".", start)
        if mark in ("^", "$"):
            hint = f"a pattern matches the whole text; write \\{mark} for the mark"
            self.refuse("there are no anchors", start, start, hint)
        if mark in _SPECIAL:
            hint = f"write \\{mark} for the mark"
            self.refuse(f"`{mark}` means nothing here", start, start, hint)
        return self.keep(_one(mark), mark, start)

    def keep(self, ranges: Ranges, text: str, start: int) -> Chars:
        found = Chars(ranges, text, (start, self.at))
        self.chars.append(found)
        return found

    def group(self, depth: int, start: int) -> Node:
        if self.next == "?":
            hint = "there are plain groups only: no flags, names, lookaround or references"
            self.refuse("this group has a special meaning", start, self.at + 1, hint)
        found = self.pattern(depth + 1)
        if self.next != ")":
            self.refuse("this bracket is not closed", start, start, "write \\( for the mark")
        self.at += 1
        return found

    def escape(self, special: frozenset[str]) -> tuple[Ranges, str]:
        """Read what stands behind a backslash."""
        mark, start = self.next, self.at - 1
        self.at += 1
        if mark in _CLASSES and mark:
            self.is_ascii = True
            return _CLASSES[mark], f"\\{mark}"
        if not mark or mark.isalnum() or not (mark.isascii() and mark.isprintable()):
            self.refuse("this escape is not known", start, self.at, _ESCAPES)
        return _one(mark), f"\\{mark}" if mark in special else mark

    def class_(self, start: int) -> tuple[Ranges, str]:
        negative = self.next == "^"
        self.at += negative
        ranges: list[tuple[int, int]] = []
        text = ""
        while self.next != "]":
            if not self.next:
                self.refuse("this class is not closed", start, start, "write \\[ for the mark")
            found, shown = self.range()
            ranges += found
            text += shown
        self.at += 1
        if not ranges:
            self.refuse("this class is empty", start, self.at, "write \\] for the mark in it")
        whole = _merged(ranges)
        whole = _others(whole) if negative else whole
        if not whole:
            self.refuse("this class has no character", start, self.at)
        return whole, f"[{'^' if negative else ''}{text}]"

    def range(self) -> tuple[Ranges, str]:
        """Read one member of a class: a character, a class, or from one character to another."""
        start = self.at
        first, shown = self.member()
        following = self.source[self.at : self.at + 2]
        if following[:1] != "-" or following in ("-", "-]"):
            return first, shown
        self.at += 1
        last, last_shown = self.member()
        if shown[1:] in _CLASSES or last_shown[1:] in _CLASSES or first[0] > last[0]:
            hint = "from a lower character to a higher one, like a-z; write \\- for the mark"
            self.refuse("this is no range of characters", start, self.at, hint)
        return ((first[0][0], last[0][0]),), f"{shown}-{last_shown}"

    def member(self) -> tuple[Ranges, str]:
        mark, start = self.next, self.at
        self.at += 1
        if mark == "\\":
            return self.escape(_SPECIAL_IN_CLASS)
        if mark in ("[", "]", ""):
            self.refuse("a bracket in a class", start, start, f"write \\{mark or ']'} for the mark")
        if mark == "-" and self.next == "]":
            return _one(mark), mark
        return _one(mark), f"\\{mark}" if mark in _SPECIAL_IN_CLASS else mark


def _one(mark: str) -> Ranges:
    return ((ord(mark), ord(mark)),)


def _merged(pairs: Iterable[tuple[int, int]]) -> Ranges:
    found: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def _others(ranges: Ranges) -> Ranges:
    """Return every character that is not in `ranges`."""
    found: list[tuple[int, int]] = []
    begin = 0
    for low, high in ranges:
        if low > begin:
            found.append((begin, low - 1))
        begin = high + 1
    return (*found, (begin, _LAST)) if begin <= _LAST else tuple(found)


def common(left: Ranges, right: Ranges) -> int | None:
    """Return a character that is in both, one that can be shown if possible."""
    found: int | None = None
    i = j = 0
    while i < len(left) and j < len(right):
        low, high = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if max(low, 33) <= min(high, 126):
            return max(low, 33)
        if low <= high and found is None:
            found = low
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return found


def _facts(node: Node) -> Facts:
    """Return what is known of a part; a part that is ambiguous is refused."""
    match node:
        case Chars():
            return Facts(False, (Way(node.ranges, node.place),), (), 1, 1)
        case Row():
            found = _facts(node.items[0])
            for item in node.items[1:]:
                found = _joined(found, _facts(item))
            return found
        case Choice():
            return _chosen(node, [_facts(branch) for branch in node.branches])
        case Repeat():
            return _repeated(node, _facts(node.body))


def _joined(one: Facts, two: Facts) -> Facts:
    _apart((*one.after, *(one.first if one.empty else ())), two.first)
    after = (*one.after, *two.first) if two.empty else ()
    return Facts(
        one.empty and two.empty,
        _few((*one.first, *two.first)) if one.empty else one.first,
        _few((*after, *two.after)),
        one.shortest + two.shortest,
        None if one.longest is None or two.longest is None else one.longest + two.longest,
    )


def _chosen(node: Choice, facts: list[Facts]) -> Facts:
    first: list[Way] = []
    for found in facts:
        _apart(first, found.first)
        first += found.first
        _few(tuple(first))
    if sum(found.empty for found in facts) > 1:
        message = "more than one of these branches may be empty"
        hint = "put ? behind the group instead"
        raise PatternError("E0305", message, node.place, hint)
    ends = [found.longest for found in facts if found.longest is not None]
    return Facts(
        any(found.empty for found in facts),
        _few(tuple(first)),
        _few(tuple(way for found in facts for way in found.after)),
        min(found.shortest for found in facts),
        max(ends) if len(ends) == len(facts) else None,
    )


def _repeated(node: Repeat, body: Facts) -> Facts:
    if body.empty:
        message = "what is repeated here may be empty: nothing says how often it was there"
        hint = "let one of the two quantifiers do the work"
        inner = node.body.place if isinstance(node.body, Repeat | Choice) else None
        raise PatternError("E0305", message, node.place, hint, inner)
    again = tuple(Way(way.ranges, node.place) for way in body.first)
    is_loop = node.high is None or node.high > 1
    if is_loop:
        _apart(body.after, again)
    is_open = is_loop and node.low != node.high
    return Facts(
        node.low == 0,
        body.first,
        (*body.after, *(again if is_open else ())),
        body.shortest * node.low,
        None if body.longest is None or node.high is None else body.longest * node.high,
    )


def _few(ways: tuple[Way, ...]) -> tuple[Way, ...]:
    """Return the ways if they are so few that holding each against each takes no time."""
    if len(ways) > WAYS_MAX:
        message = f"more than {WAYS_MAX} parts of this pattern could come next"
        raise PatternError("E0306", message, ways[-1].place, "a class holds many characters: [...]")
    return ways


def _apart(one: Iterable[Way], two: Iterable[Way]) -> None:
    """Make sure that no character fits both here and there."""
    for left in one:
        for right in two:
            both = common(left.ranges, right.ranges)
            if both is not None:
                shown = chr(both) if 33 <= both <= 126 else f"U+{both:04X}"
                message = f"this pattern is ambiguous: `{shown}` could be taken here and there"
                hint = "the next character must decide; make the two differ, or count: {3}"
                raise PatternError("E0305", message, right.place, hint, left.place)


def _printed(node: Node) -> str:
    """Return what `re` is given: nothing in it ever gives back what it took."""
    match node:
        case Chars():
            return node.text
        case Row():
            return "".join(map(_printed, node.items))
        case Choice():  # the branch that may be empty stands last: it would always do
            branches = sorted(node.branches, key=_may_be_empty)
            return f"(?>{'|'.join(map(_printed, branches))})"
        case Repeat():
            body = _printed(node.body)
            grouped = f"(?:{body})" if isinstance(node.body, Row | Repeat) else body
            return f"{grouped}{_quantifier(node)}+"


def _may_be_empty(node: Node) -> bool:
    match node:
        case Chars():
            return False
        case Row():
            return all(map(_may_be_empty, node.items))
        case Choice():
            return any(map(_may_be_empty, node.branches))
        case Repeat():
            return not node.low


def _quantifier(node: Repeat) -> str:
    if (node.low, node.high) == (0, 1):
        return "?"
    if node.high is None and node.low < 2:
        return "+" if node.low else "*"
    if node.low == node.high:
        return f"{{{node.low}}}"
    return f"{{{node.low},{'' if node.high is None else node.high}}}"
