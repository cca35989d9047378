"""The two ways through a frame, one at a time."""

from __future__ import annotations

from batpak.errors import FutureVersion
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
    try:
        units.extend(scanned)
    except FutureVersion as error:
        return units, [], str(error)
    return units, scanned.open_unit, scanned.stop.why


def judged(known: Chain, body: bytes) -> tuple[Placed | None, Placed | Fault | None]:
    """What the short way and the long way make of a record. None: not ordinary; of the future."""
    found = frame.decode(body)
    verdict: Placed | Fault | None
    if not isinstance(found, Frame):
        verdict = found
    else:
        try:
            verdict = known.fault(found) or placed(found, 7, 9)
        except FutureVersion:
            verdict = None
    return known.follow(body, 7, 9), verdict
