"""`batpak shapes`: what a store tells about its events to who has not their code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import typer
from rich.console import Console
from rich.text import Text

from batpak.cli.options import AsJson, Where
from batpak.cli.prose import counted, harmless
from batpak.codec import builtins
from batpak.read.shapes import KindDescription
from batpak.store import Store
from batpak.system import EventShape, FieldShape


def shapes(store: Where, *, as_json: AsJson = False) -> None:
    """Say what a store tells about its events: names, versions, fields and types.

    No code is imported. Nothing is locked or changed.
    """
    with Store.observe(store) as reader:
        kinds = [one for one in reader.describe() if not one.kind.reserved]
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in kinds], ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    if not kinds:
        console.print(Text(f"{store} has no events of a program", style="dim"))
    for one in kinds:
        for line in _lines(one):
            console.print(line)


def _plain(one: KindDescription) -> object:
    shapes = builtins(one.shapes)
    return {"kind": f"{one.kind:#06x}", "events": one.events, "name": one.name, "shapes": shapes}


def _lines(one: KindDescription) -> Iterator[Text]:
    many = counted(one.events, "event")
    name = "nobody has recorded what they are" if one.name is None else harmless(one.name)
    style = "dim" if one.name is None else "bold"
    yield Text.assemble(f"{one.kind:#06x}  ", (name, style), (f"  {many}", "dim"))
    for shape in one.shapes:
        called = f", called {harmless(shape.name)}" if shape.name != one.name else ""
        yield Text.assemble(f"  version {shape.version}{called}", (_about(shape), "dim"))
        yield from _fields(shape.fields, "    ")
        for named in shape.types:
            said = ", ".join(map(harmless, named.values)) or _order(is_array=named.is_array)
            yield Text.assemble(f"    {harmless(named.name)}", (f"  {said}".rstrip(), "dim"))
            yield from _fields(named.fields, "      ")


def _about(shape: EventShape) -> str:
    said = [harmless(shape.doc)] if shape.doc else []
    said += [_order(is_array=True)] if shape.is_array else []
    return "".join(f"  {one}" for one in said)


def _order(*, is_array: bool) -> str:
    return "a list, in this order" if is_array else ""


def _fields(fields: Sequence[FieldShape], begin: str) -> Iterator[Text]:
    width = max((len(harmless(one.name)) for one in fields), default=0)
    for one in fields:
        key = "" if one.stored_as is None else f"  stored as {harmless(one.stored_as)}"
        more = key + ("" if one.required else "  may be missing")
        yield Text.assemble(
            f"{begin}{harmless(one.name):<{width}}  {harmless(one.type)}", (more, "dim")
        )
