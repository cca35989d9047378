"""Expression text to tokens, one at a time, each with its place.

Lazy on purpose: the parser meets `lambda` before this module trips over the colon behind it, so
what is reported is what the author did. Everything outside text literals is ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal, NamedTuple, TypeAlias

from batpak_codegen.diagnostic import printable
from batpak_codegen.expr.nodes import ExpressionError

TEXT_BYTES_MAX = 4096
STRING_BYTES_MAX = 1024
DEPTH_MAX = 32

Kind: TypeAlias = Literal["name", "int", "text", "operator", "end"]


class Token(NamedTuple):
    """`text` as written; for a text literal what it says, without quotes and escapes."""

    kind: Kind
    text: str
    start: int
    end: int


_SPACE = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"\.?[0-9](?:(?<=[eE])[+-](?=[0-9])|[A-Za-z0-9_.])*")
_INT = re.compile(r"0|[1-9](?:_?[0-9])*")
_FLOAT = re.compile(r"(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?")
_PLAIN_FLOAT = re.compile(r"[0-9]+\.[0-9]+")
_STRING = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_PREFIX = re.compile(r"[bfru]{1,2}", re.IGNORECASE)
_OPERATOR = re.compile(
    r"\*\*=?|//|==|!=|<=|>=|:=|->|&&|\|\||<>|<<|>>|\.\.\.|[-+*/%<>=()\[\],.{}:;@&|^~!?#$`\\]"
)
_SPOKEN = frozenset([*"+-*%<>()[],.", "//", "==", "!=", "<=", ">="])
# What other languages have: code, and what to write instead.
_FOREIGN = {
    "/": ("E0507", "multiply the other side instead"),
    "**": ("E0507", "multiply as often as needed"),
    "&&": ("E0507", "write `and`"),
    "||": ("E0507", "write `or`"),
    "!": ("E0507", "write `not`"),
    "<>": ("E0507", "write `!=`"),
    "&": ("E0507", "write `and`"),
    "|": ("E0507", "write `or`"),
    "~": ("E0507", "write `not`"),
    "=": ("E0508", "write `==` to compare"),
    ":=": ("E0508", "nothing can be assigned; write the value where it is used"),
    "?": ("E0508", "write `a if condition else b`"),
    "{": ("E0508", "write a list: [a, b]"),
    "#": ("E0508", "write comments in YAML, outside the expression"),
    "\\": ("E0508", "a line needs no mark to go on; use `>-` and start a new one"),
}


class Tokens:
    """A position in the text and the token that stands there."""

    def __init__(self, text: str) -> None:
        """Stand at the first token.

        Raises:
            ExpressionError: The text is longer than 4 KiB, or does not start with a token.
        """
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > TEXT_BYTES_MAX:
            message = f"the text has {size} bytes, {TEXT_BYTES_MAX} are allowed"
            raise ExpressionError("E0511", message, 0, len(text), "split it")
        self.text = text
        self._depth = 0
        self.before = 0  # where the last token taken ended
        self.token = self._read(0)

    def at(self, *words: str) -> bool:
        """Whether an operator or a word of the language stands here, and it is one of these."""
        return self.token.kind in ("operator", "name") and self.token.text in words

    def take(self) -> Token:
        """Return the token that stands here and go on to the next."""
        token = self.token
        self.before = token.end
        self.token = self._read(token.end)
        return token

    def expect(self, word: str, expected: str) -> Token:
        """Take `word`, or say what was hoped for."""
        if not self.at(word):
            raise self.unexpected(expected)
        return self.take()

    def unexpected(self, expected: str) -> ExpressionError:
        """The error for a token that cannot stand here."""
        token = self.token
        if token.kind == "end":
            at = max(0, len(self.text.rstrip()) - 1)
            message = f"the expression ends where {expected} should stand"
            return ExpressionError("E0501", message, at, at + 1)
        shown = " ".join(self.text[token.start : min(token.end, token.start + 40)].split())
        message = f"expected {expected}, found `{printable(shown)}`"
        return ExpressionError("E0501", message, token.start, token.end)

    @contextmanager
    def nested(self) -> Generator[None, None, None]:
        """One level deeper; 32 are allowed, so no text can exhaust the stack."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            message = f"nested deeper than {DEPTH_MAX} levels"
            raise ExpressionError("E0511", message, self.token.start, self.token.end, "split it")
        yield
        self._depth -= 1

    def _read(self, position: int) -> Token:
        found = _SPACE.match(self.text, position)
        start = found.end() if found else position
        if start == len(self.text):
            return Token("end", "", start, start)
        for pattern, make in _RULES:
            found = pattern.match(self.text, start)
            if found:
                return make(self.text, found)
        character = self.text[start]
        if character in "'\"":
            message = "this text has no closing quote on its line"
            raise ExpressionError("E0501", message, start, start + 1)
        message, way = f"`{printable(character)}` cannot stand here", "names are ASCII"
        raise ExpressionError("E0501", message, start, start + 1, way)


def _name(text: str, found: re.Match[str]) -> Token:
    if text[found.end() : found.end() + 1] in ("'", '"') and _PREFIX.fullmatch(found[0]):
        message = f"`{found[0]}'...'` is not in the language"
        way = "write the value itself, or plain text in quotes"
        raise ExpressionError("E0508", message, found.start(), found.end(), way)
    return Token("name", found[0], found.start(), found.end())


def _number(_: str, found: re.Match[str]) -> Token:
    start, end, digits = found.start(), found.end(), found[0]
    if _INT.fullmatch(digits):
        value = digits.replace("_", "")
        if len(value) > 20 or int(value) >= 1 << 64:
            raise ExpressionError("E0511", "an int has at most 64 bits", start, end)
        return Token("int", value, start, end)
    if _FLOAT.fullmatch(digits) and not digits.replace("_", "").isdigit():
        # Only plain digits are echoed: an exponent may stand for more digits than fit anywhere.
        way = f"write decimal('{digits}')" if _PLAIN_FLOAT.fullmatch(digits) else None
        way = way or "write decimal('...') with plain digits"
        raise ExpressionError("E0510", "float literals are not exact", start, end, way)
    shown = digits if len(digits) <= 40 else f"{digits[:40]}..."
    plain = digits.lstrip("0")
    way = f"write {plain}" if _INT.fullmatch(plain) else "write plain decimal digits"
    raise ExpressionError("E0501", f"`{shown}` is not a number here", start, end, way)


def _string(_: str, found: re.Match[str]) -> Token:
    start, end = found.start(), found.end()
    for escape in _ESCAPE.finditer(found[0][1:-1]):
        if escape[1] not in _ESCAPED:
            at = start + 1 + escape.start()
            way = r"only \\ \' \" \n \t are known; other characters stand for themselves"
            raise ExpressionError("E0501", f"unknown escape `{escape[0]}`", at, at + 2, way)
    value = _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], found[0][1:-1])
    if unseen := re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", found[0]):
        at = start + unseen.start()
        raise ExpressionError("E0501", "a character that cannot be seen", at, at + 1)
    size = len(value.encode("utf-8"))
    if size > STRING_BYTES_MAX:
        message = f"this text has {size} bytes, {STRING_BYTES_MAX} are allowed"
        raise ExpressionError("E0511", message, start, end)
    return Token("text", value, start, end)


def _operator(_: str, found: re.Match[str]) -> Token:
    if found[0] in _SPOKEN:
        return Token("operator", found[0], found.start(), found.end())
    code, way = _FOREIGN.get(found[0], ("E0508", None))
    message = f"`{found[0]}` is not in the language"
    raise ExpressionError(code, message, found.start(), found.end(), way)


_RULES = ((_NAME, _name), (_NUMBER, _number), (_STRING, _string), (_OPERATOR, _operator))
