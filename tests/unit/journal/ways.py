"""The two ways through a frame, one at a time."""

from __future__ import annotations

from batpak.journal import frame
from batpak.journal.chain import Chain, Placed, placed
from batpak.journal.frame import Fault, Frame, Why
from batpak.journal.scan import Scan
from batpak.override import override
from tests.unit.journal.logs import STORE_ID, Log


class LongWay(Chain):
    """A chain to which no frame is an ordinary one."""

    __slots__ = ()

    @override
    def follow(self, body: bytes, offset: int, end: int) -> Placed | None:
        del body, offset, end
        return None


def outcome(
    data: bytes, log: Log, cls: type[Chain], *, hashed: bool
) -> tuple[list[list[Placed]], list[Placed], Why | Fault | str]:
    scanned = Scan(data, log.start, len(data), log.seed, cls(STORE_ID, hashed=hashed))
    units: list[list[Placed]] = []
    units.extend(scanned)
    return units, scanned.open_unit, scanned.stop.why


def judged(known: Chain, body: bytes) -> tuple[Placed | None, Placed | Fault]:
    """What the short way and the long way make of a record. None: not ordinary."""
    found = frame.decode(body)
    if not isinstance(found, Frame):
        return known.follow(body, 7, 9), found
    verdict = known.fault(found) or placed(found, 7, 9)
    return known.follow(body, 7, 9), verdict
