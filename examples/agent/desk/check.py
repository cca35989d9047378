"""Teaches: believing a refusal with nothing but a public key. There is no store here.

A receipt says that the log took an event, and when the key vouched for it. A proof has the event
itself, and shows that a signed head of the log covers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from batpak import AppendReceipt, Denial, Invalid, Proof, VerifyKey, verify_receipt
from batpak.system import DenialRecorded


def check(evidence: Path, key: VerifyKey) -> Iterator[str]:
    """Return a line for each refusal that was handed over."""
    for file in sorted(evidence.glob("*.receipt"), key=lambda file: int(file.stem)):
        receipt = AppendReceipt.from_bytes(file.read_bytes())
        proof = Proof.from_bytes(file.with_suffix(".proof").read_bytes())
        yield f"event {receipt.sequence}: {believed(receipt, proof, key)}"


def believed(receipt: AppendReceipt, proof: Proof, key: VerifyKey) -> str:
    """Return what was refused and why, or why that is not to be believed."""
    for verdict in (verify_receipt(receipt, [key]), proof.verify([key])):
        if isinstance(verdict, Invalid):
            return f"not to be believed, {verdict.reason}"
    event = proof.event()
    if event.event_id != receipt.event_id:
        return "the proof is of another event than the receipt"
    if not isinstance(event.payload, DenialRecorded):
        return "no refusal"
    denial = Denial.of(event.payload)
    return f"{denial.gate} refused it, because {denial.message}"
