"""One thing that can be broken in the engine: a switch, as edits of the source of functions.

A change is an exact piece of a function's source, so that a switch which no longer fits says so.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Edit(NamedTuple):
    """Changes of the source of one function."""

    function: str  # module:name, or module:Class.name
    changes: tuple[tuple[str, str], ...]  # what stands there once, and what is to stand there


class Switch(NamedTuple):
    """One line of reasoning that can be broken."""

    breaks: str
    edits: tuple[Edit, ...]


def edit(function: str, *changes: tuple[str, str]) -> Edit:
    """Changes of one function of the library."""
    return Edit(f"batpak.{function}", changes)


def one(breaks: str, function: str, *changes: tuple[str, str]) -> Switch:
    """A switch that edits one function."""
    return Switch(breaks, (edit(function, *changes),))


def lines(*written: str) -> str:
    """Lines of a function's source, as they stand in a method."""
    return "".join(f"        {line}\n" for line in written)


NEVER: Final = "if False:"

# Fields of a record that event_hash covers: their first and last byte among the covered ones.
FIELDS: Final = {
    "flags": (0, 1),
    "kind": (1, 3),
    "payload_version": (3, 5),
    "key_ref": (5, 9),
    "batch_index": (9, 13),
    "batch_count": (13, 17),
    "wall_ms": (17, 25),
    "counter": (25, 29),
    "sequence": (29, 37),
    "version": (37, 45),
    "event_id": (45, 61),
    "correlation_id": (61, 77),
    "causation_id": (77, 93),
}


def unhashed(
    what: str, written: tuple[str, str], followed: tuple[str, str], checked: tuple[str, str]
) -> Switch:
    """Something is not hashed: neither when it is written, nor on either way it is checked."""
    return Switch(
        f"event_hash does not cover {what}",
        (
            edit("commit.stage:Stage._event", written),
            edit("journal.chain:Chain.follow", followed),
            edit("journal.frame:Frame.expected_hash", checked),
        ),
    )


def unhashed_field(field: str) -> Switch:
    """A field of the record is not hashed."""
    begin, end = FIELDS[field]

    def masked(covered: str) -> tuple[str, str]:
        return covered, f"{covered}[:{begin}] + bytes({end - begin}) + {covered}[{end}:]"

    return unhashed(
        field, masked("fields[1:]"), masked("body[_COVERED]"), masked("self.head[COVERED]")
    )
