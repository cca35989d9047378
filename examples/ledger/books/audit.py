"""Teaches: an audit. It needs the store to read, a public key, and what was taken away before.

Nothing that the bookkeeper says is believed: not the store alone, not its hashes, not the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from batpak import (
    AppendReceipt,
    CheckpointNote,
    Invalid,
    PolicyStamp,
    Store,
    StoreConfig,
    StoreReader,
    VerifyKey,
)
from books.gen.ledger import EntryPosted
from books.gen.ledger.policies import PostingPolicy


def audit(path: Path, evidence: Path, key: VerifyKey) -> list[str]:
    """Return a line for each thing that was looked at. Changes nothing."""
    with Store.open_read_only(path, StoreConfig(trusted=(key,))) as reader:
        whole = "whole" if reader.verify().ok else "damaged"
        return [
            f"the store by itself is {whole}",
            *notes(reader, evidence),
            *receipts(reader, evidence),
            entries(reader),
        ]


def notes(reader: StoreReader, evidence: Path) -> Iterator[str]:
    """Hold the log against each note. Every one has to be a beginning of it."""
    for file in sorted(evidence.glob("*.note")):
        note = CheckpointNote.parse(file.read_text(encoding="utf-8"))
        fault = reader.verify(since=note).note
        said = "goes on from it" if fault is None else f"does not go on from it: {fault}"
        yield f"the note at {note.events} events: the log {said}"


def receipts(reader: StoreReader, evidence: Path) -> Iterator[str]:
    """Hold the log against each receipt that somebody was given."""
    good = 0
    for file in sorted(evidence.glob("*.receipt")):
        receipt = AppendReceipt.from_bytes(file.read_bytes())
        verdict = reader.verify_receipt(receipt)
        if isinstance(verdict, Invalid):
            yield f"the receipt of entry {file.stem}: {verdict.reason}"
        else:
            good += 1
    yield f"{good} receipts are good"


def entries(reader: StoreReader) -> str:
    """Look at the entries themselves: was each judged by the policy that we know?"""
    count, fingerprint = 0, PostingPolicy().fingerprint
    for event in reader.by_fact(EntryPosted):
        count += 1
        stamp = PolicyStamp.of(event.extensions)
        if stamp is None or stamp.fingerprint != fingerprint:
            return f"entry {event.payload.number} was judged by nobody, or by another policy"
    return f"{count} entries, all judged by {PostingPolicy.POLICY}"
