"""Notes: where a log stood at one moment, as a text to keep somewhere else.

    batpak note 1
    store 018bcfe5-6800-7000-8000-000000000001
    events 1204
    head 876804b1cc52a97920ad02eb29541b4faa692b891db73547c14a8b5bca3f2a72
    taken 2026-11-21T06:41:00.123Z
    key 1c19dd78a04c1a1d3a0ebc9cb5c6a3b2b1e2b8ac8a3a1c4f33b41a1d9f0b5f7e
    signature 5f0d…

The head is the event_hash of the last of those events, which covers every event before it. A log
that goes on from a note has that event at that place; whoever changed or removed anything before it
had to change the head. It is evidence only where whoever can change the log cannot change it.
The last two lines are there if the store has a key. What is signed is the five lines before them,
as they stand, line ends included: any program that knows Ed25519 can check it.
Source: RFC 6962 §3.5 (signed tree heads); C2SP signed-note (a text, then the signature of it).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from batpak.digest import HASH_BYTES, ZERO_HASH
from batpak.errors import InvalidArgument
from batpak.override import override
from batpak.signing.signing_key import SigningKey
from batpak.signing.trust import judge
from batpak.signing.verdict import SHAPELESS, Invalid, InvalidReason, TrustVerdict
from batpak.signing.verify_key import VerifyKey

_LINES: Final = re.compile(
    r"batpak note 1\n"
    r"store ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\n"
    r"events (0|[1-9][0-9]{0,18})\n"
    r"head ([0-9a-f]{64})\n"
    r"taken ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)\n"
    r"(?:key ([0-9a-f]{64})\nsignature ([0-9a-f]{128})\n)?"
)


class CheckpointNote(Struct, frozen=True):
    """What `Store.checkpoint` says and `StoreReader.verify(since=…)` asks for."""

    store_id: UUID
    events: int  # how many were in the log, all durable
    head: bytes  # event_hash of the last of them; zeros if there was none
    taken_ms: int  # since 1970, by the wall clock of the store
    key_id: bytes | None = None  # of the key that has signed it
    signature: bytes | None = None

    @property
    def taken(self) -> str:
        """When it was taken, in UTC, to the millisecond; as in RFC 3339."""
        moment = dt.datetime.fromtimestamp(self.taken_ms // 1000, dt.UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self.taken_ms % 1000:03d}Z"

    @property
    def statement(self) -> str:
        """The five lines that are signed."""
        return (
            f"batpak note 1\nstore {self.store_id}\nevents {self.events}\n"
            f"head {self.head.hex()}\ntaken {self.taken}\n"
        )

    @override
    def __str__(self) -> str:
        """The text. `parse` reads it back."""
        if self.key_id is None or self.signature is None:
            return self.statement
        return f"{self.statement}key {self.key_id.hex()}\nsignature {self.signature.hex()}\n"

    def signed(self, signer: SigningKey) -> CheckpointNote:
        """The same note with a signature.

        Raises:
            SigningError: SIGNER.
        """
        signature = signer.sign(self.statement.encode())
        return replace(self, key_id=signer.key_id, signature=signature)

    def verify(self, trusted: Iterable[VerifyKey]) -> TrustVerdict:
        """Whether one of these keys has signed it. The log is not asked.

        Args:
            trusted: Public keys that the caller has from elsewhere; the note names one of them.

        Raises:
            InvalidArgument: Something among them is no key.
        """
        try:
            statement = self.statement
            is_note = CheckpointNote.parse(statement) == replace(self, key_id=None, signature=None)
        except SHAPELESS:
            is_note, statement = False, ""
        if not is_note:
            return Invalid(InvalidReason.MALFORMED)
        return judge(statement.encode(), self.key_id, self.signature, trusted)

    @staticmethod
    def parse(text: object) -> CheckpointNote:
        """Read a note back. Line ends may have become CRLF on the way, or the last one lost.

        Raises:
            InvalidArgument: It is no note, or not as a store writes it.
        """
        if not isinstance(text, str):
            raise InvalidArgument("note", f"must be text, not {type(text).__name__}")
        match = _LINES.fullmatch(text.replace("\r\n", "\n").rstrip("\n") + "\n")
        if match is None:
            raise InvalidArgument(
                "note", "is not as a store writes it", hint="keep all of its lines as they were"
            )
        store_id, events, head, taken, key_id, signature = match.groups()
        try:
            moment = dt.datetime.strptime(taken, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.UTC)
        except ValueError as error:
            raise InvalidArgument("note", f"there is no such moment: {taken}") from error
        if moment < _EPOCH:
            raise InvalidArgument("note", f"there was no store then: {taken}")
        raw = bytes.fromhex(head)
        if (raw == ZERO_HASH) != (events == "0") or len(raw) != HASH_BYTES:
            raise InvalidArgument("note", "its head does not fit its number of events")
        taken_ms = round((moment - _EPOCH) / dt.timedelta(milliseconds=1))
        return CheckpointNote(
            UUID(store_id),
            int(events),
            raw,
            taken_ms,
            None if key_id is None else bytes.fromhex(key_id),
            None if signature is None else bytes.fromhex(signature),
        )


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
