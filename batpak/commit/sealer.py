"""The sealer: files that are complete get their footer, beside the appends.

A footer is written behind an end that the next file's header, or a clean HEAD, has recorded, and is
never synced: what it says can be made anew from the frames. It is packed from the index of the
file as it was in memory, in steps short enough not to be felt by whoever appends meanwhile.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

from msgspec import Struct

from batpak.commit.exclusive import Exclusive
from batpak.commit.worker import Worker
from batpak.index.table import Table
from batpak.index.tail import Tail
from batpak.journal.active import ActiveFile
from batpak.journal.segment import Segment, Tip
from batpak.platform import Platform
from batpak.recovery import footer
from batpak.recovery.decide import Recorded

WAITING_MAX: Final = 2  # files; one more, and the appender helps

log: Final = logging.getLogger("batpak.lane")


class Complete(Struct, frozen=True):
    """A file that gets no more frames."""

    tail: Tail
    segment: Segment
    active: ActiveFile
    tip: Tip  # at its end


class Sealer:
    """Writes footers. One thread of its own, started by the first file.

    Args:
        table: Where the sealed index takes the place of the one in memory.
        platform: Where threads come from.
    """

    def __init__(self, table: Table, platform: Platform) -> None:
        self._table, self._lock = table, platform.raw_lock
        self._waiting: deque[Complete] = deque()
        self._sealing = Exclusive("sealing a file", platform)
        self._worker = Worker(platform, "batpak-seal", self._seal_all)

    def take(self, complete: Complete) -> None:
        """Seal a file soon."""
        self._waiting.append(complete)
        while len(self._waiting) > WAITING_MAX and not self._sealing.is_mine:
            self._seal_next()
        self._worker.wake()

    def finish(self) -> None:
        """Return once everything that was taken is sealed, or could not be."""
        self._seal_all()

    def stop(self, timeout_s: float) -> None:
        """Seal what waits, and end the thread."""
        self._worker.stop(timeout_s)
        self._seal_all()

    def abandon(self) -> None:
        """Seal nothing more."""
        self._waiting.clear()
        self._worker.stop(0)

    def _seal_all(self) -> None:
        while self._waiting or self._sealing.is_taken:
            self._seal_next()

    def _seal_next(self) -> None:
        self._sealing.run(self._seal_first)

    def _seal_first(self) -> None:
        try:
            complete = self._waiting.popleft()
        except IndexError:  # another thread was quicker
            return
        try:
            seal(complete, self._table, self._lock)
        except OSError as error:  # the store is whole without; the next open makes it
            path = complete.segment.path
            log.warning("%s: no footer: %s", path, error, extra={"path": path})
        finally:
            complete.active.close()


def seal(complete: Complete, table: Table, lock: footer.NewLock) -> None:
    """Cut a file to its end and write its footer.

    Raises:
        OSError: The system refused. The frames are not touched.
    """
    tip, segment = complete.tip, complete.segment
    recorded = Recorded(tip.end, tip.chain_head, tip.sequence)
    pieces = footer.pack(segment, complete.tail, recorded)
    complete.active.finish(tip.end, pieces)
    segment.close()  # the map of the writer is longer than the file now
    table.sealed(footer.over_pieces(segment, pieces, recorded, lock))
