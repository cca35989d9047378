"""Commands about causes: `batpak why`, `batpak impact`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.segment import Segment
from rich.text import Text
from rich.tree import Tree

from batpak.cli import generated
from batpak.cli.events import entry_row, found, time_of
from batpak.cli.kinds import Kinds
from batpak.cli.options import AsJson, ConfigFile, Where
from batpak.event import IndexEntry
from batpak.ids import EventId
from batpak.read.causes import CausalEnd
from batpak.store import Store

LIMIT: Final = 1000
COLUMNS_MAX: Final = 1 << 30  # of a drawing, before it is cut where a terminal ends

Which = Annotated[
    str, typer.Argument(metavar="EVENT", help="Which event: its sequence, or its id.")
]
Limit = Annotated[int, typer.Option(help="How many events at most.", min=1)]


def why(
    store: Where,
    event: Which,
    *,
    limit: Limit = LIMIT,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Draw what caused an event, and what caused that, up to what nothing caused.

    Nothing is locked or changed.
    """
    generated.try_to_load(config)
    with Store.observe(store) as reader:
        path, kinds = reader.why(found(reader, event), limit=limit), Kinds.of(reader)
    if as_json:
        entries = [_plain(one, kinds) for one in path.entries]
        typer.echo(json.dumps({"entries": entries, "end": path.end.value}, indent=2))
        return
    anchor, *causes = path.entries
    tree = Tree(_label(anchor, kinds, "bold"))
    for one in causes:
        tree.add(Text.assemble(("because of ", "dim"), _label(one, kinds)))
    ends = {
        CausalEnd.ROOT: ("which nothing caused" if causes else "nothing caused it", "dim"),
        CausalEnd.DROPPED: ("because of an event that was dropped", "yellow"),
        CausalEnd.LIMIT: ("… and so on; --limit shows more", "yellow"),
    }
    tree.add(Text(*ends[path.end]))
    _draw(tree)


def impact(
    store: Where,
    event: Which,
    *,
    limit: Limit = LIMIT,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Draw everything that an event caused, directly or not.

    Nothing is locked or changed.
    """
    generated.try_to_load(config)
    with Store.observe(store) as reader:
        anchor = found(reader, event)
        impacts = reader.impact(anchor, limit=limit)
        caused = list(impacts)
        truncated, kinds = impacts.truncated, Kinds.of(reader)
    if as_json:
        told = [{**_plain(one.entry, kinds), "depth": one.depth} for one in caused]
        whole = {
            "event": _plain(anchor, kinds),
            "caused": told,
            "truncated": truncated,
            "dropped": impacts.dropped,
        }
        typer.echo(json.dumps(whole, indent=2))
        return
    tree = Tree(_label(anchor, kinds, "bold"))
    nodes: dict[EventId, Tree] = {anchor.event_id: tree}
    for one in caused:  # parents come first
        nodes[one.entry.event_id] = nodes[one.parent].add(_label(one.entry, kinds))
    if impacts.dropped:
        tree.add(Text(f"and {impacts.dropped:,} that were dropped, with theirs", style="yellow"))
    elif not caused:
        tree.add(Text("it caused nothing", style="dim"))
    if truncated:
        tree.add(Text("… and more; --limit shows them", style="yellow"))
    _draw(tree)


def _label(entry: IndexEntry, kinds: Kinds, style: str = "") -> Text:
    return Text(entry_row(entry, kinds), style=style)


def _draw(tree: Tree) -> None:
    """Print each node on a row. A deep one begins far to the right, and is still a row."""
    console = Console(highlight=False)
    options = console.options.update(width=COLUMNS_MAX)
    for line in console.render_lines(tree, options, pad=False):
        row = Text.assemble(*((part.text, part.style or "") for part in Segment.simplify(line)))
        if console.is_terminal:
            row.truncate(console.width, overflow="ellipsis")
        console.print(row, soft_wrap=True)


def _plain(entry: IndexEntry, kinds: Kinds) -> Mapping[str, object]:
    cause = entry.causation_id
    return {
        "sequence": entry.sequence,
        "event_id": str(entry.event_id),
        "causation_id": None if cause is None else str(cause),
        "entity": entry.coordinate.entity,
        "scope": entry.coordinate.scope,
        "version": entry.version,
        "kind": f"{entry.kind:#06x}",
        "event": kinds.name(entry.kind),
        "recorded_at": time_of(entry.hlc.wall_ms),
    }
