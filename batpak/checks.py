"""Append-time predicates, called by generated checks. They take `object`: callers may have lied."""

from __future__ import annotations

from collections.abc import Iterator


class Problems:
    """What is wrong with one payload. Empty (and falsy) when it may be appended."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, at: str, value: object, expected: str) -> None:
        """Note that the value at a path like `$.lines[0].quantity` is not what was expected."""
        shown = ascii(value)
        shown = shown if len(shown) <= 64 else shown[:63] + "…"
        self._found.append(f"{at}: expected {expected}, got {shown}")

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)
