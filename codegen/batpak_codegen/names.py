"""Identifier rules: what a schema may name, and which words are taken.

All names are ASCII and matched whole, because Python folds look-alikes (`ﬁ` is `fi` to it). Each
rule answers with a sentence that says what is wrong, or None.
Patterns and reserved words: docs/reference/schema-language.md, "Names".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

Rule: TypeAlias = Callable[[str], str | None]

PACKAGE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
CLASS = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
LOWER = re.compile(r"[a-z][a-z0-9_]{0,62}")
UPPER = re.compile(r"[A-Z][A-Z0-9_]*")
REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}")
PREFIX = re.compile(r"[a-z][a-z0-9_-]*")
TAG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

PACKAGE_CHARS_MAX = 200
UPPER_CHARS_MAX = 64
PREFIX_CHARS_MAX = 64
TAG_CHARS_MAX = 64

# Python 3.11 to 3.14. Written out, so that the answer does not depend on who runs the generator.
_WORDS = """
    False None True and as assert async await break class continue def del elif else except finally
    for from global if import in is lambda nonlocal not or pass raise return try while with yield
"""
KEYWORDS = frozenset(_WORDS.split())
DEVICES = frozenset(
    ["aux", "con", "nul", "prn"] + [f"{port}{n}" for port in ("com", "lpt") for n in range(10)]
)
ANNOTATIONS = frozenset(["bool", "bytes", "dt", "float", "frozenset", "int", "str", "tuple"])
MOVES_TAKEN = frozenset(
    ["data", "coordinate", "version", "apply", "commit", "load", "new", "replay"]
)

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake(name: str) -> str:
    """The module and function spelling of a class name: `HTTPPaid` becomes `http_paid`."""
    return _HUMP.sub("_", name).lower()


def package(name: str) -> str | None:
    """`shop.orders`: dotted lower-case segments that can be directories and modules anywhere."""
    if len(name) > PACKAGE_CHARS_MAX or not PACKAGE.fullmatch(name):
        return "a package is dotted lower-case words, like shop.orders"
    for segment in name.split("."):
        if segment in KEYWORDS:
            return f"`{segment}` is a keyword of Python"
        if segment in DEVICES:
            return f"`{segment}` cannot be a directory on Windows"
    if "batpak" in name.split(".") and name != SYSTEM_PACKAGE:
        return "`batpak` is the library itself"
    return None


SYSTEM_PACKAGE = "batpak.system"


def class_name(name: str) -> str | None:
    """Types, events, machines and states: `OrderPlaced`, at most 64 characters."""
    if not CLASS.fullmatch(name):
        return "this name is written like OrderPlaced: letters and digits, a capital first"
    return "this is a keyword of Python" if name in KEYWORDS else None


def lower_name(name: str) -> str | None:
    """Gates, and the ground rule of fields and moves: `paid_in_full`, at most 63 characters."""
    if not LOWER.fullmatch(name) or "__" in name or name.endswith("_"):
        return "this name is written like paid_in_full: lower case, digits and single _"
    return "this is a keyword of Python" if name in KEYWORDS else None


def field_name(name: str) -> str | None:
    """As `lower_name`; `self` is taken. What hides a type is `hides_a_type`, another code."""
    return "`self` is taken by Python's methods" if name == "self" else lower_name(name)


def hides_a_type(name: str) -> bool:
    """Whether a field or a move of this name would hide a lower-case name of annotations."""
    return name in ANNOTATIONS


def move_name(name: str) -> str | None:
    """As `lower_name`; what every handle and machine already has is taken."""
    if name in MOVES_TAKEN or name == "self":
        return f"`{name}` is taken: every state of a machine has it"
    return lower_name(name)


def member_name(name: str) -> str | None:
    """Members of enums: `DHL`, at most 64 characters."""
    if name == "UNRECOGNIZED":
        return "`UNRECOGNIZED` is taken: it stands for values a reader does not know"
    return _upper(name)


def denial_code(name: str) -> str | None:
    """Codes of denials: `TOO_LATE`, at most 64 characters."""
    if name == "GATE_DEFECT":
        return "`GATE_DEFECT` is taken: it is the denial of a gate that failed"
    return _upper(name)


def _upper(name: str) -> str | None:
    if len(name) > UPPER_CHARS_MAX or not UPPER.fullmatch(name):
        return "this name is written like TOO_LATE: capitals, digits and _"
    return None


def union_tag(name: str) -> str | None:
    """Tags of unions: `card`, at most 64 characters."""
    if len(name) > TAG_CHARS_MAX or not TAG.fullmatch(name):
        return "a tag is written like card: a letter first, then letters, digits, _ and -"
    return None


def stored_key(name: str) -> str | None:
    """What a field is stored under, `from`: at most 64 characters."""
    if len(name) > TAG_CHARS_MAX or not TAG.fullmatch(name):
        return "a stored key is written like from: a letter first, then letters, digits, _ and -"
    return None


def id_prefix(name: str) -> str | None:
    """What stands before the colon of an id in text: `order`, at most 64 characters."""
    if len(name) > PREFIX_CHARS_MAX or not PREFIX.fullmatch(name):
        return "an id prefix is written like order: lower case, digits, _ and -"
    return None
