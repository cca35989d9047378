"""A simulated machine with the files of a log on it, for the tests of what an open makes of it."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence

from batpak import codec
from batpak.digest import ZERO_HASH, crc32
from batpak.disk.seam import Directory
from batpak.index import sidx
from batpak.index.sidx import Column, Footer
from batpak.journal import head, layout
from batpak.journal.head import Head
from batpak.platform import REAL
from batpak.recovery import footer, restore
from batpak.recovery.decide import Recorded
from batpak.recovery.restore import Recovered
from batpak.testing.platform import SimPlatform
from tests.unit.journal.logs import STORE_ID, Log

CHANGES = {"create", "replace", "unlink", "write", "truncate", "sync", "syncdir", "reserve"}


def head_of(log: Log, state: int = head.OPEN, row: int | None = None) -> Head:
    """HEAD at the end of a file, or where one of its rows begins."""
    if row is None:
        return Head(
            STORE_ID, state, log.header.segment_id, log.end, log.sequence, log.chain_head, 7
        )
    first = log.header.first_sequence
    before = log.bodies[row - 1][129:161] if row else ZERO_HASH
    if not row and log.header.prev is not None:
        before = log.header.prev.chain_head
    offset = [*log.offsets, log.end][row]
    return Head(STORE_ID, state, log.header.segment_id, offset, first + row, before, 7)


def recorded(log: Log) -> Recorded:
    """Where a file ends, as the next one says it."""
    return Recorded(log.end, log.chain_head, log.sequence)


def lie_in(data: bytes, name: str, change: Mapping[int, int]) -> bytes:
    """A file in whose footer some entries of a column are others, and every checksum is right."""
    changed = bytearray(data)
    found = sidx.read(data, len(data))
    assert isinstance(found, Footer)
    columns: list[Column] = []
    for column in found.toc.columns:
        raw = data[column.offset : column.offset + column.bytes]
        if column.name == name:
            values = array(column.type, raw)
            for at, value in change.items():
                values[at] = value
            raw = values.tobytes()
            changed[column.offset : column.offset + column.bytes] = raw
        columns.append(column._replace(crc=crc32(raw)))
    toc = codec.encode(found.toc._replace(columns=columns))
    trailer = struct.unpack("<8sQQQIIII", data[-sidx.TRAILER_BYTES :])
    fields = struct.pack("<8sQQQIII", *trailer[:4], len(toc), crc32(toc), trailer[6])
    return bytes(changed[: trailer[3]]) + toc + fields + struct.pack("<I", crc32(fields))


class Machine:
    """A directory with the files of a log. All but the newest have a footer unless it is said.

    Args:
        logs: The files, oldest first.
        state: HEAD.
        bare: Numbers of the files that have no footer.
        footed: Whether the newest one has a footer too.
        more: Other files, or bytes behind a file of the log.
        mapped: Whether files are written through a map.
    """

    def __init__(
        self,
        logs: Sequence[Log],
        state: Head | None,
        *,
        bare: Sequence[int] = (),
        footed: bool = False,
        more: Mapping[str, bytes] | None = None,
        mapped: bool = False,
    ) -> None:
        self.sim = SimPlatform(mapped=mapped)
        self.logs = logs
        with self.sim.pause():
            self.directory: Directory = self.sim.open_dir("d", create=True)
            for log in logs:
                number = log.header.segment_id
                name = layout.segment_name(number)
                segment = log.put(self.directory)
                data = bytes(log.data)
                if number not in bare and (footed or log is not logs[-1]):
                    data += b"".join(footer.made(segment, recorded(log), REAL.raw_lock))
                layout.replace(self.directory, name, data + (more or {}).get(name, b""))
            if state is not None:
                head.write(self.directory, state)
            for name, data in (more or {}).items():
                if name not in self.files():
                    layout.replace(self.directory, name, data)

    def put(self, name: str, data: bytes) -> None:
        """Put another file in the place of one, as if it had always been there."""
        with self.sim.pause():
            layout.replace(self.directory, name, data)

    def files(self) -> dict[str, bytes]:
        """Every file, by its name."""
        return {name.removeprefix("d/"): data for name, data in self.sim.files().items()}

    def restore(self, *, writable: bool = True) -> Recovered:
        """Open the log."""
        return restore.restore(self.directory, self.sim, writable=writable, files_max=64)

    def changes(self) -> list[str]:
        """What was done to the disk."""
        return [f"{one.kind} {one.path}" for one in self.sim.trace if one.kind in CHANGES]

    def closed(self, name: str) -> bool:
        """Whether the last thing that was done with a file was to close it."""
        return [one.kind for one in self.sim.trace if one.path == f"d/{name}"][-1:] == ["close"]

    def head(self) -> Head:
        """HEAD as it is now."""
        return head.decode(self.files()["HEAD"], "HEAD")
