"""Commands that look closely: `batpak show` an event, `batpak entity` with its states."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from batpak import codec
from batpak.cli import generated, states
from batpak.cli.events import entry_row, found, put, row, told
from batpak.cli.kinds import Kinds
from batpak.cli.options import AsJson, ConfigFile, Where
from batpak.cli.prose import harmless, harmless_lines
from batpak.cli.states import State
from batpak.errors import BatpakError, DecodeFailed, UnknownKind
from batpak.event import StoredEvent
from batpak.guard.stamp import PolicyStamp
from batpak.reader import StoreReader
from batpak.store import Store
from batpak.upkeep import imported, lines
from batpak.upkeep.imported import Origin
from batpak.wire import DICT, RAW

LINKS_MAX: Final = 5  # events that it has caused, named one by one; `impact` has all


def show(
    store: Where,
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="Which one: its sequence, or its id.")
    ],
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Print all that a store knows of an event.

    With the names and types of generated code, if the folder has a project and its code can be
    imported; else as it is stored. Nothing is locked or changed.
    """
    generated.try_to_load(config)
    with Store.observe(store) as reader:
        entry = found(reader, event)
        stored = reader.get(entry, form=RAW)
        caused = [one.entry for one in reader.impact(entry, max_depth=1)]
        cause = entry.causation_id
        parent = None if cause is None else reader.why(entry, limit=2).entries[-1]
        kinds = Kinds.of(reader)
        payload, trouble = _payload(reader, stored, kinds)
    if as_json:
        full = {
            **told(stored.map(lambda _: payload), kinds),
            "flags": stored.flags,
            "prev_hash": stored.prev_hash.hex(),
            "content_hash": stored.content_hash.hex(),
            "idempotency_key": _hex(stored.idempotency_key),
            "extensions": {name: value.hex() for name, value in stored.extensions.items()},
            "caused": [one.sequence for one in caused],
            "trouble": trouble,
        }
        typer.echo(harmless_lines(json.dumps(full, ensure_ascii=False, indent=2)))
        return
    console = Console(highlight=False, soft_wrap=True)
    title = f"event {stored.sequence}  {kinds.name(stored.kind)}"
    console.print(Text(title, style="bold"))
    facts: dict[str, str] = {
        "id": str(stored.event_id),
        "recorded": stored.recorded_at.isoformat(timespec="milliseconds"),
        "entity": f"{stored.coordinate}, version {stored.version}",
        "kind": f"{stored.kind:#06x}, payload version {stored.payload_version}",
        "conversation": str(stored.correlation_id) if stored.is_correlated else "its own",
        "caused by": "nothing" if parent is None else entry_row(parent, kinds),
        **_about_links(caused),
        "hash": stored.event_hash.hex(),
        "before it": stored.prev_hash.hex() if not stored.is_genesis else "nothing",
        **_about_key(stored),
        **about_extensions(stored.extensions),
    }
    for name, value in facts.items():
        console.print(Text.assemble((f"  {harmless(name):<13} ", "dim"), harmless(value)))
    if trouble is not None:
        console.print(Text(f"  {harmless(trouble)}", style="yellow"))
    said = json.dumps(codec.builtins(payload), ensure_ascii=False, indent=2)
    for line in said.split("\n"):
        typer.echo(harmless(line))


def _payload(
    reader: StoreReader, stored: StoredEvent[bytes], kinds: Kinds
) -> tuple[object, str | None]:
    """The payload as code reads it; if it does not, as it is stored, and why."""
    try:
        return reader.get(stored.sequence).payload, None
    except UnknownKind:
        trouble = None
    except BatpakError as error:
        trouble = str(error)
    try:
        plain = reader.get(stored.sequence, form=DICT).payload
        return kinds.legible(stored.kind, stored.payload_version, plain), trouble
    except DecodeFailed as error:
        return stored.payload, str(error)


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def _about_links(caused: Sequence[object]) -> Mapping[str, str]:
    if not caused:
        return {}
    names = [str(getattr(one, "sequence", "")) for one in caused[:LINKS_MAX]]
    more = f" and {len(caused) - LINKS_MAX:,} more" if len(caused) > LINKS_MAX else ""
    return {"caused": "event " + ", ".join(names) + more}


def _about_key(stored: StoredEvent[bytes]) -> Mapping[str, str]:
    said: dict[str, str] = {}
    if stored.idempotency_key is not None:
        said["key"] = stored.idempotency_key.hex()
    if stored.flags:
        said["flags"] = str(stored.flags)
    try:
        origin = Origin.of(stored)
    except BatpakError as error:
        return {**said, "imported": str(error)}
    if origin is not None:
        said["imported"] = f"event {origin.sequence} of {origin.namespace}, {origin.event_id}"
    return said


def about_extensions(extensions: Mapping[str, bytes]) -> Mapping[str, str]:
    """What stands beside a payload, and which policy has permitted it."""
    said: dict[str, str] = {}
    try:
        stamp = PolicyStamp.of(extensions)
    except BatpakError as error:
        said["malformed"], stamp = str(error), None
    if stamp is not None:
        said["permitted by"] = f"{stamp.policy}: {', '.join(stamp.gates)}"
    for name, value in extensions.items():
        said[f"+ {name}"] = f"{len(value):,} bytes"
    return said


def entity(
    store: Where,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its exact name: order:1.")],
    *,
    number: Annotated[
        int | None, typer.Option("--number", "-n", help="Only so many of the last.", min=1)
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Print the history of an entity, with its state after each event.

    States come from the generated machine of the project in this folder, if its code can be
    imported. Nothing is locked or changed.
    """
    generated.try_to_load(config, machines=True)
    with Store.observe(store) as reader:
        if not reader.version(name):
            typer.echo(f"batpak: no event of {name!r} is in {harmless(str(store))}", err=True)
            raise typer.Exit(2)
        first = 1 if number is None else max(1, reader.version(name) - number + 1)
        events = list(reader.stream(name, first_version=first, form=RAW))
        machine = states.machine_of(name, events[0].coordinate.scope)
        known = None if machine is None else states.after_each(reader, machine, name, first)
        told, kinds = list(imported.of_store(events, reader.store_id)), Kinds.of(reader)
    if as_json:
        for one, state in zip(told, known or repeat(None, len(told)), strict=True):
            line = lines.told(one, kinds.names)
            plain = None if state is None else {"name": state.name, "data": state.data}
            said = json.loads(next(iter(lines.encoded([line]))))
            typer.echo(harmless(json.dumps({**said, "state": plain}, ensure_ascii=False)))
        return
    put(_rows([row(one, kinds) for one in told], known))


def _rows(rows: Sequence[str], known: Sequence[State] | None) -> Iterator[str]:
    before: Mapping[str, object] = {}
    for index, one in enumerate(rows):
        yield one
        if known is not None:
            state = known[index]
            changed = {k: v for k, v in state.data.items() if before.get(k, before) != v}
            yield f"         → {state.name}  {json.dumps(changed, ensure_ascii=False)}"
            before = state.data
