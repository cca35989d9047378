"""Notes: where a log stood at one moment, as a text to keep somewhere else.

    batpak note 1
    store 018bcfe5-6800-7000-8000-000000000001
    events 1204
    head 876804b1cc52a97920ad02eb29541b4faa692b891db73547c14a8b5bca3f2a72
    taken 2026-11-21T06:41:00.123Z

The head is the event_hash of the last of those events, which covers every event before it. A log
that goes on from a note has that event at that place; whoever changed or removed anything before it
had to change the head. It is evidence only where whoever can change the log cannot change it.
Source: RFC 6962 §3.5 (signed tree heads) for the idea; there is no signature in it yet.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final
from uuid import UUID

from msgspec import Struct

from batpak.digest import HASH_BYTES, ZERO_HASH
from batpak.errors import InvalidArgument
from batpak.override import override

_LINES: Final = re.compile(
    r"batpak note 1\n"
    r"store ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\n"
    r"events (0|[1-9][0-9]{0,18})\n"
    r"head ([0-9a-f]{64})\n"
    r"taken ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)\n"
)


class CheckpointNote(Struct, frozen=True):
    """What `Store.checkpoint` says and `StoreReader.verify(since=…)` asks for."""

    store_id: UUID
    events: int  # how many were in the log, all durable
    head: bytes  # event_hash of the last of them; zeros if there was none
    taken_ms: int  # since 1970, by the wall clock of the store

    @property
    def taken(self) -> str:
        """When it was taken, in UTC, to the millisecond; as in RFC 3339."""
        moment = dt.datetime.fromtimestamp(self.taken_ms // 1000, dt.UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self.taken_ms % 1000:03d}Z"

    @override
    def __str__(self) -> str:
        """The text. `parse` reads it back."""
        return (
            f"batpak note 1\nstore {self.store_id}\nevents {self.events}\n"
            f"head {self.head.hex()}\ntaken {self.taken}\n"
        )

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
                "note", "is not as a store writes it", hint="keep all five lines as they were"
            )
        store_id, events, head, taken = match.groups()
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
        return CheckpointNote(UUID(store_id), int(events), raw, taken_ms)


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
