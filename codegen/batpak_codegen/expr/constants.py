"""What may stand in `decimal('...')`, `duration('...')` and `timestamp('...')`.

Stricter than what the run time reads, so that a literal means one thing: plain digits, whole ISO
8601 durations in days and smaller, RFC 3339 times with an offset and at most microseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from batpak_codegen.diagnostic import quoted
from batpak_codegen.expr import algebra
from batpak_codegen.expr.algebra import Digits
from batpak_codegen.expr.nodes import Constant, ExpressionError
from batpak_codegen.types import Type

DECIMAL_DIGITS_MAX = 38

_DECIMAL = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")
_DURATION = re.compile(
    r"-?P(?:[0-9]+D)?(?:T(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+(?:\.[0-9]{1,6})?S)?)?"
)
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_EXAMPLES = {
    "decimal": "write digits, and a point if needed: decimal('10.50')",
    "duration": "write ISO 8601 in days and smaller: duration('P1DT12H')",
    "timestamp": "write RFC 3339 with an offset: timestamp('2024-01-02T03:04:05Z')",
}


def check(node: Constant) -> tuple[Type, Digits]:
    """The type of a constant and a bound of its digits.

    Raises:
        ExpressionError: E0501, its text is not of that kind; E0511, it has too many digits.
    """
    text = node.text.value
    if node.function == "decimal":
        return algebra.DECIMAL, _decimal(node, text)
    known = _duration(text) if node.function == "duration" else _timestamp(text)
    if not known:
        raise _misfit(node)
    return (algebra.DURATION if node.function == "duration" else algebra.TIMESTAMP), Digits(0)


def _decimal(node: Constant, text: str) -> Digits:
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise _misfit(node)
    digits = Digits(len(found[1]), len(found[2] or ""))
    if digits.whole + digits.scale > DECIMAL_DIGITS_MAX:
        message = f"a decimal has at most {DECIMAL_DIGITS_MAX} digits"
        raise ExpressionError("E0511", message, node.text.start, node.text.end)
    return digits


def _duration(text: str) -> bool:
    if not _DURATION.fullmatch(text):
        return False
    try:
        msgspec.convert(text, timedelta)
    except msgspec.ValidationError:
        return False
    return True


def _timestamp(text: str) -> bool:
    if not _TIMESTAMP.fullmatch(text):
        return False
    try:
        msgspec.convert(text, datetime).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return False
    return True


def _misfit(node: Constant) -> ExpressionError:
    message = f"{quoted(node.text.value)} is not a {node.function}"
    way = _EXAMPLES[node.function]
    return ExpressionError("E0501", message, node.text.start, node.text.end, way)
