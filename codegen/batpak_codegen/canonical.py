"""`batpak fmt`: one order of keys and one spelling of numbers; comments stay where they belong.

Keys of a declaration come in the order of `_ORDERS`; keys that are not there keep their places
behind them. Names that are declared (events, fields, states) are never moved: their order means
something. The number of an event is written 0x001, a category 0x2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from batpak_codegen.nodes import MapNode, Node, TextNode
from batpak_codegen.slots import whole_number
from batpak_codegen.source import yaml_text
from batpak_codegen.splice import Edit, Offsets, apply, comments, last_line, meaning

_PASSES_MAX: Final = 40  # a pass sorts what has nothing unsorted inside; nesting is at most 32

_ORDERS: Final[Mapping[str, Sequence[str]]] = {
    role: keys.split()
    for role, keys in {
        "file": """$schema batpak package doc category imports types contexts events retired
            machines gates policies handlers projections""",
        "type": """doc open enum alias struct id tag union pattern min_length max_length precision
            scale ge gt le lt""",
        "field": """type wire pattern min_length max_length precision scale ge gt le lt default
            doc""",
        "event": "id category version doc deprecated fields reserved upcasts",
        "machine": "doc entity scope states moves",
        "state": "doc initial extends final data",
        "move": "doc from to event evolve set gates",
        "gate": "doc event machine context require deny python examples",
        "deny": "code message",
        "policy": "doc event gates",
        "projection": "doc version events state",
    }.items()
}
_EACH: Final = "each "
_INSIDE: Final[Mapping[tuple[str, str], str]] = {
    ("file", "types"): "each type",
    ("file", "contexts"): "each each field",
    ("file", "events"): "each event",
    ("file", "machines"): "each machine",
    ("file", "gates"): "each gate",
    ("file", "policies"): "each policy",
    ("file", "projections"): "each projection",
    ("type", "struct"): "each field",
    ("event", "fields"): "each field",
    ("machine", "states"): "each state",
    ("machine", "moves"): "each move",
    ("state", "data"): "each field",
    ("gate", "deny"): "deny",
    ("projection", "state"): "each field",
}


def canonical(text: str, path: str) -> str:
    """Return the schema in its one order and spelling.

    Args:
        text: With line feeds only.
        path: As it is printed.

    Raises:
        SchemaError: The text is no YAML, or none that schemas are made of.
    """
    before = yaml_text.parse(text, path)
    shaped = text.rstrip() + "\n"
    for _ in range(_PASSES_MAX):
        root, offsets = yaml_text.parse(shaped, path), Offsets(shaped)
        found = _innermost(root, offsets)
        edits = [edit for node, role in found for edit in _sorted(node, role, offsets)]
        if not edits:
            break
        shaped = apply(shaped, edits)
    shaped = apply(shaped, _spelled(yaml_text.parse(shaped, path), Offsets(shaped)))
    after = yaml_text.parse(shaped, path)
    kept = _remarks(after, shaped) == _remarks(before, text)
    if meaning(after) != meaning(before) or not kept:
        raise RuntimeError(f"{path}: formatting would change what the schema says")
    return shaped


def _remarks(root: Node, text: str) -> list[str]:
    return sorted(remark for _, remark in comments(root, Offsets(text)))


def _maps(node: Node, role: str) -> Iterator[tuple[MapNode, str]]:
    """Yield every map with a role, the inner ones first."""
    if not isinstance(node, MapNode):
        return
    for key, value in node.entries:
        inner = role[len(_EACH) :] if role.startswith(_EACH) else _INSIDE.get((role, key.value))
        if inner:
            yield from _maps(value, inner)
    yield node, role


def _innermost(root: Node, offsets: Offsets) -> list[tuple[MapNode, str]]:
    """Return the maps that are out of order and hold no other one that is.

    One in brackets that has a comment is left alone: nobody can tell which entry it is about.
    """
    found: list[tuple[MapNode, str]] = []
    places = [place for place, _ in comments(root, offsets)]
    for node, role in _maps(root, "file"):
        if _order(node, role) != list(range(len(node.entries))):
            start, end = offsets.start(node), offsets.end(node)
            if offsets.is_flow(node) and any(start < place < end for place in places):
                continue
            if not any(start <= offsets.start(one) < end for one, _ in found):
                found.append((node, role))
    return found


def _order(node: MapNode, role: str) -> list[int]:
    """Return the places of the entries, in the order in which they should stand."""
    keys = _ORDERS.get(role)
    if keys is None:
        return list(range(len(node.entries)))
    rank = {key: place for place, key in enumerate(keys)}
    names = [key.value for key, _ in node.entries]
    return sorted(range(len(names)), key=lambda place: (rank.get(names[place], len(rank)), place))


def _sorted(node: MapNode, role: str, offsets: Offsets) -> list[Edit]:
    order = _order(node, role)
    slots = _slots(node, offsets) if offsets.is_flow(node) else _chunks(node, offsets)
    texts = [offsets.text[start:end] for start, end in slots]
    return [
        Edit(*slots[place], texts[source]) for place, source in enumerate(order) if source != place
    ]


def _slots(node: MapNode, offsets: Offsets) -> list[tuple[int, int]]:
    """Return where the entries of a map in brackets stand, commas and comments left out."""
    return [(offsets.start(key), offsets.end(value)) for key, value in node.entries]


def _chunks(node: MapNode, offsets: Offsets) -> list[tuple[int, int]]:
    """Return the lines of each entry of a block map, with the comments right above it.

    What stands behind an entry, further in or parted by a blank line, stays with it.
    """
    rows = offsets.text.split("\n")
    column = node.entries[0][0].span.column
    firsts: list[int] = []
    floor = node.span.line
    for key, value in node.entries:
        line = key.span.line
        while line > floor and _is_comment(rows[line - 2], column):
            line -= 1
        firsts.append(line)
        floor = last_line(value, offsets) + 1
    ends = [*firsts[1:], floor]
    while ends[-1] <= len(rows) and _is_comment(rows[ends[-1] - 1], column):
        ends[-1] += 1
    chunks: list[tuple[int, int]] = []
    for first, end in zip(firsts, ends, strict=True):
        last = end - 1
        while not rows[last - 1].strip():
            last -= 1
        chunks.append((offsets.at(first, 1), offsets.at(last, len(rows[last - 1]) + 1)))
    return chunks


def _is_comment(row: str, column: int) -> bool:
    """Whether a line is a comment at this depth of indentation."""
    return row.lstrip(" ").startswith("#") and len(row) - len(row.lstrip(" ")) == column - 1


def _spelled(root: Node, offsets: Offsets) -> Iterator[Edit]:
    """Yield the numbers that are spelled otherwise."""
    for node, role in _maps(root, "file"):
        for key, value in node.entries:
            if not isinstance(value, TextNode) or value.style:
                continue
            number = whole_number(value.value)
            if number is None or number < 0:
                continue
            spelling = value.value
            if key.value == "category" and role in ("file", "event"):
                spelling = f"0x{number:x}"
            elif key.value == "id" and role == "event":
                spelling = f"0x{number:03x}"
            if spelling.lower() != value.value.lower():
                yield Edit(offsets.start(value), offsets.end(value), spelling)
