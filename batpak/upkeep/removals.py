"""Removals: what compaction has taken out of a log, beside what the log itself says of it.

A run announces what it will remove before it does, in an event. It may be cut short then: so more
may be announced than is gone, never less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from batpak import codec
from batpak.faults import Damage
from batpak.journal.frame import Fault
from batpak.record import DROPPED, ERASED
from batpak.system import Compacted

_decode: Final = codec.decoder(Compacted).decode


class Removals:
    """Counts both, and says where they do not fit."""

    def __init__(self) -> None:
        self._gone: dict[int, list[tuple[int, int, str]]] = {DROPPED: [], ERASED: []}
        self._records: list[Compacted] = []

    def take(self, stub: int, sequence: int, offset: int, file: str) -> None:
        """A stub, and where it stands."""
        self._gone[stub].append((sequence, offset, file))

    def record(self, payload: bytes) -> None:
        """What one run has announced. One that does not decode announces nothing."""
        try:
            self._records.append(_decode(payload))
        except codec.DecodeError:
            return

    def count(self, stub: int) -> int:
        """How many stubs of a type there are."""
        return len(self._gone[stub])

    def unrecorded(self) -> Iterator[tuple[str, int, Fault, int]]:
        """Where payloads have vanished that nobody has announced: file, offset, what, sequence."""
        for stub, word in ((DROPPED, "dropped"), (ERASED, "erased")):
            gone = self._gone[stub]
            runs = [(one.first, one.last, getattr(one, word)) for one in self._records]
            outside = [
                place
                for place in gone
                if not any(first <= place[0] <= last and some for first, last, some in runs)
            ]
            announced = sum(some for _, _, some in runs)
            if outside or len(gone) > announced:
                sequence, offset, file = (outside or gone)[0]
                detail = f"{len(gone)} events are {word}, and the log announces {announced}"
                yield file, offset, Fault(Damage.CHAIN, detail), sequence

    def missing(self) -> Compacted | None:
        """The record that would announce all of it; None: what there are announce enough."""
        if next(self.unrecorded(), None) is None:
            return None
        sequences = [place[0] for gone in self._gone.values() for place in gone]
        return Compacted(
            dropped=self.count(DROPPED),
            erased=self.count(ERASED),
            first=min(sequences),
            last=max(sequences),
        )
