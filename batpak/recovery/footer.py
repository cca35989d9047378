"""The footer of one segment: read from its file, or made anew from its frames.

Whatever is wrong with a footer, the frames decide: they have to end exactly where it is recorded,
with the event that is recorded as the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from batpak import record
from batpak.errors import CorruptStore
from batpak.faults import Damage
from batpak.index import sidx
from batpak.index.row import NO_ROW, Change, EntityHead, Row, Scope
from batpak.index.sealed import Sealed
from batpak.index.sidx import Footer, Identity
from batpak.index.tail import Tail
from batpak.journal.chain import Chain, Placed
from batpak.journal.frame import Fault
from batpak.journal.header import Ends
from batpak.journal.scan import Scan, Unit
from batpak.journal.segment import Segment, block_crcs
from batpak.platform import RawLock
from batpak.recovery.decide import Recorded, before_any

FOOTER_BYTES_MIN: Final = 256 << 10
"""Bytes of frames from which the newest file of a closed log has a footer.

A smaller one is read frame by frame, and the next writer goes on in it.
"""

NewLock = Callable[[], RawLock]


def identity(segment: Segment, recorded: Recorded) -> Identity:
    """What the footer of a segment has to say of itself."""
    first = segment.header.first_sequence
    return Identity(
        store_id=segment.header.store_id,
        segment_id=segment.header.segment_id,
        first_sequence=first,
        rows=recorded.next_sequence - first,
        chain_head=recorded.chain_head,
        frames_end=recorded.frames_end,
    )


def read(segment: Segment, ends: Ends, recorded: Recorded, lock: NewLock) -> Sealed:
    """The index of a sealed segment over the footer in its file.

    Raises:
        sidx.BadFooter: There is none that can be used.
    """
    footer = sidx.read(ends.tail, ends.size)
    if isinstance(footer, int):
        footer = sidx.read(bytes(segment.whole()[-footer:]), ends.size)
    if isinstance(footer, int):
        raise sidx.BadFooter("its table of contents is longer than it says")
    sidx.check(footer, identity(segment, recorded))
    return over_file(segment, footer, ends.size, recorded, lock)


def over_file(
    segment: Segment, footer: Footer, size: int, recorded: Recorded, lock: NewLock
) -> Sealed:
    """The index over a footer that is in the file."""
    return Sealed(
        footer,
        lambda: segment.data(size),
        lambda: rebuild(segment, recorded, lock),
        segment.columns,
        segment_id=segment.segment_id,
    )


def over_pieces(segment: Segment, pieces: list[bytes], recorded: Recorded, lock: NewLock) -> Sealed:
    """The index over a footer that was just written behind the frames."""
    ending = b"".join(pieces[-3:])  # the table of contents and the trailer
    size = recorded.frames_end + sum(map(len, pieces))
    return over_file(segment, parsed(ending, size), size, recorded, lock)


def in_memory(segment: Segment, recorded: Recorded, lock: NewLock) -> tuple[Sealed, list[bytes]]:
    """The index over a footer that was just made from the frames, and the footer's bytes.

    Raises:
        CorruptStore: The frames are not what was recorded.
        StorageFailed: The system refused.
    """
    pieces = made(segment, recorded, lock)
    image = b"".join(pieces)
    footer = parsed(image, recorded.frames_end + len(image))
    part = Sealed(
        footer,
        lambda: image,
        lambda: rebuild(segment, recorded, lock),
        {},
        base=recorded.frames_end,
        segment_id=segment.segment_id,
    )
    return part, pieces


def rebuild(segment: Segment, recorded: Recorded, lock: NewLock) -> tuple[Footer, bytes]:
    """A footer made from the frames, and its bytes from the end of the frames on.

    Raises:
        CorruptStore: The frames are not what was recorded.
        StorageFailed: The system refused.
    """
    image = b"".join(made(segment, recorded, lock))
    return parsed(image, recorded.frames_end + len(image)), image


def parsed(ending: bytes, size: int) -> Footer:
    """A footer that was just written, from its last three pieces at least, and a file's size."""
    footer = sidx.read(ending, size)
    if isinstance(footer, int):  # it was given whole
        raise sidx.BadFooter("its table of contents is longer than it says")
    return footer


def made(segment: Segment, recorded: Recorded, lock: NewLock) -> list[bytes]:
    """The bytes of a footer, in pieces, from the frames of a segment."""
    header = segment.header
    tail = Tail(segment.segment_id, header.first_sequence, segment.start, lock)
    chain = Chain(
        header.store_id,
        hashed=False,
        sequence=header.first_sequence,
        chain_head=before_any(header),
    )
    chain.stubs = header.replaces is not None
    data = segment.whole()
    end = min(recorded.frames_end, len(data))
    walk = Scan(data, segment.start, end, segment.seed, chain)
    for unit in walk:
        take(tail, unit)
    why = walk.stop.why
    if isinstance(why, Fault):
        raise segment.corrupt(walk.stop.offset, why)
    if walk.unit != recorded.frames_end:
        detail = f"{why.value}; its frames are recorded to end at {recorded.frames_end}"
        raise CorruptStore(segment.path, walk.stop.offset, Damage.CRC, detail)
    if (chain.chain_head, chain.sequence) != (recorded.chain_head, recorded.next_sequence):
        detail = "the event before this offset is not the one recorded as the last"
        raise CorruptStore(segment.path, walk.unit, Damage.CHAIN, detail)
    tail.freeze()
    return pack(segment, tail, recorded)


def pack(segment: Segment, tail: Tail, recorded: Recorded) -> list[bytes]:
    """The bytes of a footer, in pieces, from the index of a complete segment."""
    data = segment.data(recorded.frames_end)
    offsets = tail.offsets
    first = last = 0
    if len(tail):
        first, last = (
            int.from_bytes(data[at : at + 8], "big")
            for at in (
                offsets[0] + 8 + record.WALL_MS_AT,
                offsets[-2] + 8 + record.WALL_MS_AT,
            )
        )
    return sidx.pack(
        tail,
        identity(segment, recorded),
        first_wall_ms=first,
        last_wall_ms=last,
        block_crcs=block_crcs(data, recorded.frames_end),
    )


def take(tail: Tail, unit: Unit) -> None:
    """Add the events of one unit to an index, as the commit that wrote them did."""
    for found in unit:
        if found.type != record.EVENT:
            tail.stubs[tail.count] = found.type
        tail.publish(_change(tail, found))


def _change(tail: Tail, found: Placed) -> Change:
    names, row, key = found.names, tail.count, found.key
    entity = names.entity
    head = tail.heads.get(entity)
    code, previous = (tail.entity_count, NO_ROW) if head is None else (head.code, head.row)
    scope = tail.scopes_by_name.get(names.scope)
    scopes: dict[str, Scope] = {}
    if scope is None:
        scope = Scope(len(tail.scopes_by_name), names.scope_stored, names.scope_hashed)
        scopes = {names.scope: scope}
    added: Row = (
        found.end,
        found.size,
        found.kind,
        found.id_hi,
        code,
        scope.code,
        previous,
        found.correlation,
        found.cause,
        key,
    )
    after = EntityHead(
        found.version, found.event_hash, code, row, names.entity_stored, names.entity_hashed
    )
    return Change(
        row,
        [added],
        {entity: after},
        {} if key is None else {key: row},
        scopes,
        tail.entity_count,
        [entity] if head is None else [],
    )
