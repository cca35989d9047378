"""Commands about signatures: `batpak key`, `batpak receipt`, `batpak proof`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from batpak import codec
from batpak.append import AppendReceipt
from batpak.append_receipt import verify_receipt
from batpak.claim import RECEIPT_BYTES_MAX
from batpak.cli.options import Where
from batpak.cli.prose import counted
from batpak.cli.trusted import Keys, keys_of
from batpak.coordinate import Coordinate
from batpak.errors import BatpakError, InvalidArgument, StorageFailed
from batpak.event import EventHeader
from batpak.note import CheckpointNote
from batpak.proof import PROOF_BYTES_MAX, Proof
from batpak.signing.signing_key import SigningKey
from batpak.signing.verdict import Invalid, InvalidReason, Signed, TrustVerdict
from batpak.signing.verify_key import VerifyKey
from batpak.store import Store
from batpak.wire import Form

INVALID: int = 3  # exit code
NOTE_BYTES_MAX: int = 4096
REASONS: dict[InvalidReason, str] = {
    InvalidReason.MALFORMED: "it does not have the shape of one",
    InvalidReason.UNSIGNED: "nobody has signed it",
    InvalidReason.MISSING_SIGNATURE: "it names a key and has no signature",
    InvalidReason.ZERO_KEY: "it has a signature and names no key",
    InvalidReason.UNKNOWN_KEY: "another key has signed it, if any has",
    InvalidReason.BAD_SIGNATURE: "it is not what the key has signed",
    InvalidReason.SEQUENCE: "it is not about events that follow each other up to the note",
    InvalidReason.EVENT_HASH: "the chain does not lead from the event to the note",
}

keys = typer.Typer(help="Make a key that signs receipts and notes, or print its public half.")
receipts = typer.Typer(help="Check a receipt without the store that it is from.")
proofs = typer.Typer(help="Prove to others that a store has an event, or check such a proof.")


@keys.command()
def new(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Where the key is put; there is no such file yet."),
    ],
) -> None:
    """Make a key, put it into a file that only you may read, and print its public half."""
    key = SigningKey.generate()
    key.save(file)
    typer.echo(key.public.to_bytes().hex())


@keys.command()
def public(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A key, as `new` has made it.")],
) -> None:
    """Print the public half of a key: what others need to check what it has signed."""
    typer.echo(SigningKey.load(file).public.to_bytes().hex())


@receipts.callback()
def _receipts() -> None:
    """Make `verify` a word of its own: a group of one command would swallow it."""


@receipts.command("verify")
def verify_a_receipt(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `AppendReceipt.to_bytes` gave.")
    ],
    key: Keys,
) -> None:
    """Tell whether a trusted key has signed a receipt. Exit code 3: none has.

    The log is not asked: that is `Store.verify_receipt`.
    """
    trusted, data = keys_of(key), _read(file, RECEIPT_BYTES_MAX)
    try:
        receipt = AppendReceipt.from_bytes(data)
    except InvalidArgument:
        raise _exit(file, Invalid(InvalidReason.MALFORMED), trusted) from None
    verdict = verify_receipt(receipt, trusted)
    status = _exit(file, verdict, trusted)
    if isinstance(verdict, Signed):
        _tell(receipt, receipt.coordinate, receipt.store_id)
        _dim(f"durability {receipt.durability.name}")
    raise status


@proofs.command()
def make(
    store: Where,
    sequence: Annotated[int, typer.Argument(metavar="SEQUENCE", help="Which event of it.", min=0)],
    *,
    note: Annotated[
        Path,
        typer.Option(
            help="A file with a signed note that `Store.checkpoint` gave after the event.",
            metavar="NOTE",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Where the proof is put; there is no such file yet.", metavar="FILE"),
    ],
) -> None:
    """Write a proof that a store has an event, for `batpak proof verify`.

    It discloses the payload of that event, and of those behind it, up to the note, all but the
    payloads. Nothing is locked or changed; the store may be open for writing meanwhile.
    """
    taken = CheckpointNote.parse(_read(note, NOTE_BYTES_MAX).decode(errors="replace"))
    with Store.observe(store) as reader:
        proof = reader.prove(reader.get(sequence, form=Form.RAW), taken)
    data = proof.to_bytes()
    try:
        with out.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise _failed("write", out, error) from error
    behind = f"{len(proof.links):,} event" + "s" * (len(proof.links) != 1)
    typer.echo(f"event {sequence}, {behind} behind it, {len(data):,} bytes", err=True)


@proofs.command("verify")
def verify_a_proof(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `batpak proof make` wrote.")],
    key: Keys,
) -> None:
    """Tell whether a store that a trusted key vouches for has an event. Exit code 3: none does.

    Prints the event. No store is needed.
    """
    trusted, data = keys_of(key), _read(file, PROOF_BYTES_MAX)
    try:
        proof = Proof.from_bytes(data)
    except InvalidArgument:
        raise _exit(file, Invalid(InvalidReason.MALFORMED), trusted) from None
    verdict = proof.verify(trusted)
    status = _exit(file, verdict, trusted)
    if isinstance(verdict, Signed):
        event, taken = proof.event(form=Form.RAW), proof.note
        _tell(event, event.coordinate, taken.store_id)
        _dim(f"in the log when it had {counted(taken.events, 'event')}, at {taken.taken}")
        try:
            payload = codec.builtins(proof.event(form=Form.DICT).payload)
            typer.echo(json.dumps(payload, indent=2))  # in ASCII: it is a stranger's text
        except BatpakError:
            _dim(f"a payload of {len(event.payload):,} bytes that is not plain")
    raise status


def _read(file: Path, size_max: int) -> bytes:
    """A file, and of one that is too large enough to find that out."""
    try:
        with file.open("rb") as opened:
            return opened.read(size_max + 1)
    except OSError as error:
        raise _failed("read", file, error) from error


def _failed(operation: str, file: Path, error: OSError) -> StorageFailed:
    return StorageFailed(operation, str(file), error.errno, error.strerror or str(error))


def _exit(file: Path, verdict: TrustVerdict, trusted: Sequence[VerifyKey]) -> typer.Exit:
    """Say what came of it; the end of the command."""
    console = Console(highlight=False, soft_wrap=True)
    if isinstance(verdict, Signed):
        (key,) = (one for one in trusted if one.key_id == verdict.key_id)
        by = f"  signed by {key.to_bytes().hex()}"
        console.print(Text.assemble(("✓ ", "green"), (str(file), "bold"), by))
        return typer.Exit(0)
    reason = verdict.reason if isinstance(verdict, Invalid) else InvalidReason.UNSIGNED
    text = f"  {REASONS[reason]} "
    console.print(
        Text.assemble(("✗ ", "red"), (str(file), "bold"), text, (f"[{reason.value}]", "dim"))
    )
    return typer.Exit(INVALID)


def _tell(event: EventHeader, coordinate: Coordinate, store_id: UUID) -> None:
    where = f"{coordinate}, version {event.version}, kind {event.kind}"
    _dim(f"event {event.sequence} of store {store_id}: {where}")
    _dim(f"{event.event_id}, at {event.recorded_at.isoformat()}")


def _dim(text: str) -> None:
    Console(highlight=False, soft_wrap=True).print(Text(f"  {text}", style="dim"))
