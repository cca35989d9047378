"""`batpak decode`: an event of a store, or the bytes of a payload, as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from batpak import codec, registry, wire
from batpak.cli import generated
from batpak.cli.events import told
from batpak.cli.kinds import Kinds, kind_of
from batpak.cli.manner import Manner, shared
from batpak.cli.prose import harmless_lines
from batpak.errors import UnknownKind
from batpak.kind import EventKind
from batpak.reader import StoreReader
from batpak.store import Store

if TYPE_CHECKING:
    from batpak_codegen.config import Config
    from batpak_codegen.console import Outcome

PAYLOAD_BYTES_MAX: int = 16 << 20


@shared("decode", "form")
def decode(
    manner: Manner,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A store; with --kind, a payload in hex, or - for bytes piped in.",
        ),
    ],
    sequence: Annotated[
        int | None, typer.Argument(metavar="SEQUENCE", help="Which event of the store.", min=0)
    ] = None,
    *,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Decode a payload of this kind: 0x2001.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(metavar="N", help="Of the payload; default: the newest.", min=1)
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Without generated classes: as it is stored.")
    ] = False,
) -> None:
    """Print an event of a store, or a payload, as JSON.

    Classes come from the generated code of the project, which is imported. An event of a store is
    told as it is stored where no class reads its kind, or where there is no project. Nothing is
    locked or changed; the store may be open for writing meanwhile.
    """
    if (kind is None) == (sequence is None):
        raise typer.BadParameter("give a store and a sequence, or --kind and a payload")
    if kind is None and version is not None:
        raise typer.BadParameter("--version is of a payload; an event of a store has its own")
    number = None if kind is None else kind_of(kind)
    data = b"" if number is None else _bytes(source)

    if number is None and not plain:
        generated.try_to_load(manner.config)
    elif not plain:
        status = manner.status(lambda: _load(manner.configured()))
        if status:
            raise typer.Exit(status)
    if number is not None:
        found = _payload(number, version, data, plain=plain)
    else:
        with Store.observe(source) as store:
            found = _event(store, sequence or 0, plain=plain)
    typer.echo(harmless_lines(json.dumps(found, ensure_ascii=False, indent=2)))


def _load(config: Config) -> Outcome:
    """Import the generated classes of a project."""
    from batpak_codegen.console import Outcome

    generated.load(config, "run batpak gen, or decode with --plain")
    return Outcome()


def _event(store: StoreReader, sequence: int, *, plain: bool) -> object:
    """Return an event as what JSON can say."""
    kinds = Kinds.of(store)
    if not plain:
        with suppress(UnknownKind):
            return told(store.get(sequence), kinds)
    return told(store.get(sequence, form=wire.DICT), kinds)


def _payload(kind: EventKind, version: int | None, data: bytes, *, plain: bool) -> object:
    """Return a payload as what JSON can say."""
    if plain:
        try:
            return codec.builtins(codec.decode_plain(data))
        except (codec.DecodeError, ValueError) as error:
            raise wire.decode_failed(error, kind, version or 1, None) from error
    entry = registry.lookup(kind)
    newest = 1 if entry is None else entry.version
    return codec.builtins(wire.decode(kind, version or newest, data))


def _bytes(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read(PAYLOAD_BYTES_MAX)
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise typer.BadParameter("a payload is given in hex, like 81a16e01") from error
