"""What reads bytes from outside, each held against a second reader of the same format.

A parser here takes any bytes, says whether they were accepted, and fails an assertion where the
engine has taken what is not of the format, refused what is, read something else in it than there
is, or raised what nobody was told of.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar, cast

from msgspec.structs import asdict, astuple

from batpak import codec
from batpak.errors import CorruptStore, FutureVersion, InvalidArgument
from batpak.event import StoredEvent
from batpak.faults import Damage
from batpak.journal import frame, head, header, scan
from batpak.journal.chain import Chain, Placed
from batpak.journal.frame import Fault, Frame, Why
from batpak.journal.header import Header
from batpak.journal.scan import RestKind, Scan
from batpak.record import decode_parts
from batpak.recovery import decide
from batpak.recovery.decide import Open, Recorded, Refuse, TornAt
from tests.proof import fuzz_format as reference
from tests.proof.fuzz_corpus import ONE
from tests.proof.fuzz_format import Event, Place, Walk, is_name
from tests.proof.fuzz_msgpack import Bad, same, unpack

T = TypeVar("T")

Parser: TypeAlias = Callable[[bytes], bool]
"""Whether some bytes are accepted. Raises AssertionError where a promise is broken."""

FILE: Final = "the file"


def attempt(act: Callable[[], T], *refusals: type[Exception]) -> T | Exception:
    """What is answered, or the refusal if it is one of those that were told of."""
    try:
        return act()
    except refusals as refusal:
        return refusal


def due(read: Callable[[bytes], T], data: bytes) -> T | None:
    """What the second reader says. None: that it is not of the format."""
    try:
        return read(data)
    except Bad:
        return None


# ------------------------------------------------------------------------------- header and HEAD


def parse_header(data: bytes) -> bool:
    """A segment header, from the start of a file."""
    wanted = due(reference.header_of, data)
    read = attempt(lambda: header.decode(data, FILE), CorruptStore, FutureVersion, InvalidArgument)
    if isinstance(read, Exception):
        assert wanted is None, f"a right header is refused: {read}"
        length = int.from_bytes(data[4:8], "big")
        whole = reference.sealed_header(data[8 : 8 + length]) == data[: 12 + length]
        _require_reason(read, Damage.SEGMENT, data[8 : 8 + length], whole=whole)
        return False
    found, start = read
    assert wanted is not None, f"accepted: {found}"
    values = asdict(found)
    values["prev"] = None if found.prev is None else list(found.prev)
    assert same(values, wanted[0]), f"{values}, not {wanted[0]}"
    assert start == wanted[1], f"frames from {start} on, not {wanted[1]}"
    return True


def parse_header_map(data: bytes) -> bool:
    """Any bytes as the map of a header whose length and checksum are right."""
    return parse_header(reference.sealed_header(data))


def parse_head(data: bytes) -> bool:
    """HEAD."""
    wanted = due(reference.head_of, data)
    found = attempt(lambda: head.decode(data, FILE), CorruptStore, FutureVersion)
    if isinstance(found, Exception):
        assert wanted is None, f"a right HEAD is refused: {found}"
        whole = data[-4:] == zlib.crc32(data[:-4]).to_bytes(4, "big")
        newer = int.from_bytes(data[4:6], "big") > head.VERSION
        assert newer or not isinstance(found, FutureVersion), f"{found}"
        _require_reason(found, Damage.HEAD, None, whole=whole)
        return False
    assert wanted is not None, f"accepted: {found}"
    assert same(list(found), list(wanted)), f"{found}, not {wanted}"
    assert head.encode(found) == data, "it would be written in another way"
    return True


def parse_head_array(data: bytes) -> bool:
    """Any bytes as the array of a HEAD whose length and checksum are right."""
    return parse_head(reference.sealed_head(data))


def _require_reason(error: Exception, reason: Damage, body: bytes | None, *, whole: bool) -> None:
    """Make sure that a refusal says what is wrong: newer only if its bytes are right."""
    if isinstance(error, CorruptStore):
        told = error.path, error.offset, error.reason
        assert told == (FILE, 0, reason), f"{told}"
    elif isinstance(error, InvalidArgument):
        assert not whole, f"a right checksum, and taken for version 1: {error}"
    else:
        assert whole, f"a wrong checksum, and taken for a newer version: {error}"
        if body is not None:
            fields = cast("dict[str, Any]", due(unpack, body) or {"version": 1 << 32})
            assert fields["version"] > header.VERSION, f"{fields}"


# -------------------------------------------------------------------------------- frame and record


def parse_frame(data: bytes) -> bool:
    """A frame at the place of the first one of a file."""
    offset, place = ONE.start, ONE.place
    seed = frame.seed(header.decode(bytes(ONE.data), FILE)[0])
    wanted = place.body_at(bytes(offset) + data, offset, offset + len(data))
    found = frame.body_at(data, 0, len(data), offset, seed)
    assert found == wanted, f"{_shown(found)}, not {_shown(wanted)}"
    inside = frame.body_at(b"\xff" * 9 + data + b"\xff" * 9, 9, 9 + len(data), offset, seed)
    assert inside == found, f"{_shown(inside)} inside other bytes, {_shown(found)} alone"
    if not isinstance(found, bytes):
        return False
    for elsewhere, other in ((offset + 1, seed), (offset, seed ^ 1)):
        moved = frame.body_at(data, 0, len(data), elsewhere, other)
        assert moved is Why.CRC, "a frame passes at a place that it was not made for"
    assert frame.encode(found, offset, seed) == data[: 8 + len(found)]
    return parse_record(found)


def _shown(found: bytes | Why) -> str:
    return found.name if isinstance(found, Why) else f"{len(found)} bytes"


def parse_record(data: bytes) -> bool:
    """A record: the body of a frame whose checksum is right."""
    wanted = due(reference.event_of, data)
    found = frame.decode(data)
    if isinstance(found, Fault):
        assert wanted is None, f"a right record is refused: {found}"
        assert found.reason is Damage.FRAME, f"{found}"
        return False
    assert wanted is not None, f"accepted: {found}"
    values = astuple(found)
    assert same([*values[:17], *values[18:]], list(wanted)), f"{found}, not {wanted}"
    assert found.head == wanted.head, "another head"
    assert codec.encode(decode_parts(data)) == data, "it would be written in another way"
    log_prev = wanted.prev_hash
    hashed = found.expected_hash(ONE.place.store_id, log_prev)
    assert hashed == wanted.hash_behind(ONE.place.store_id, log_prev), "another event hash"
    _require_told(StoredEvent(None, data), found, wanted)
    return True


def _require_told(told: StoredEvent[None], found: Frame, wanted: Event) -> None:
    """What an event and its frame say of themselves is what is in the record."""
    key, extensions = wanted.opt or (None, None)
    pairs = dict(extensions or ())
    assert (told.idempotency_key, told.extensions) == (key, pairs) == (found.key, found.extensions)
    assert told.content_hash == wanted.content_hash, "another content hash"
    plain = (told.sequence, told.version, told.kind, told.payload_version, told.flags)
    assert plain == (wanted.sequence, wanted.version, *wanted[2:4], wanted.flags), f"{plain}"
    assert (told.hlc.wall_ms, told.hlc.counter) == (wanted.wall_ms, wanted.counter)
    ids = told.event_id.bytes, told.correlation_id.bytes
    assert ids == (wanted.event_id, wanted.correlation_id), f"{ids}"
    cause = told.causation_id
    assert (bytes(16) if cause is None else cause.bytes) == wanted.causation_id, f"{cause}"
    assert (told.prev_hash, told.event_hash) == (wanted.prev_hash, wanted.event_hash)
    if is_name(wanted.entity) and is_name(wanted.scope):
        where = told.coordinate
        assert (where.entity, where.scope) == (wanted.entity, wanted.scope), f"{where}"


# --------------------------------------------------------------------------------------- a segment


def parse_segment(data: bytes) -> bool:
    """A whole file: its header, its frames with hashes and without, and the verdict on its end."""
    if not parse_header(data):
        return False
    found, start = header.decode(data, FILE)
    place = Place(found.store_id, found.segment_id, found.salt)
    before = decide.before_any(found)
    whole = False
    for rehash in (False, True):
        wanted = reference.walk(
            data, start, len(data), place, found.first_sequence, before, rehash=rehash
        )
        chain = Chain(
            found.store_id, hashed=rehash, sequence=found.first_sequence, chain_head=before
        )
        walk = Scan(data, start, len(data), frame.seed(found), chain)
        if _require_same_walk(walk, wanted):
            _require_verdict(data, found, walk, wanted, place)
            _require_end(data, found, start, wanted, place)
        whole = bool(wanted.units)
    return whole


def _require_same_walk(walk: Scan, wanted: Walk) -> bool:
    """Hold a scan against the second reader; whether it came to its end."""
    units: list[list[Placed]] = []
    try:
        units.extend(walk)
    except FutureVersion:
        assert wanted.why is None, f"a newer frame where there is none; {wanted.why} is due"
        return False
    found = [[_row(one) for one in unit] for unit in units]
    due_rows = [[_due_row(*one) for one in unit] for unit in wanted.units]
    assert found == due_rows, f"{found}, not {due_rows}"
    stop = walk.stop
    reason = stop.why.reason if isinstance(stop.why, Fault) else stop.why
    ended = reason, stop.offset, walk.unit, walk.sequence, walk.chain_head
    due_end = wanted.why, wanted.stop, wanted.unit, wanted.sequence, wanted.chain_head
    assert ended == due_end, f"{ended}, not {due_end}"
    loose, due_loose = list(map(_row, walk.open_unit)), [_due_row(*one) for one in wanted.loose]
    assert loose == due_loose, f"{loose}, not {due_loose}"
    return True


def _row(one: Placed) -> tuple[object, ...]:
    return (
        one.offset, one.end, one.size, one.kind, one.sequence, one.version, one.wall_ms,
        one.counter, one.id_hi, one.correlation, one.cause, one.key, one.entity, one.scope,
        one.prev_hash, one.event_hash,
    )  # fmt: skip


def _due_row(offset: int, end: int, one: Event) -> tuple[object, ...]:
    other, caused = one.correlation_id != one.event_id, any(one.causation_id)
    return (
        offset, end, len(one.payload), one.kind, one.sequence, one.version, one.wall_ms,
        one.counter, int.from_bytes(one.event_id[:8], "big"),
        int.from_bytes(one.correlation_id[8:], "big") if other else None,
        int.from_bytes(one.causation_id[8:], "big") if caused else None,
        one.opt[0] if one.opt else None, one.entity, one.scope, one.prev_hash, one.event_hash,
    )  # fmt: skip


_TESTIFIES: Final = {
    RestKind.EMPTY: "zeros",
    RestKind.JUNK: "junk",
    RestKind.FRAMES: "frames",
    RestKind.UNSEARCHED: "too much",
}


def _require_verdict(data: bytes, of: Header, walk: Scan, wanted: Walk, place: Place) -> None:
    """The verdict on a file whose end nobody has recorded."""
    stop = walk.stop
    rest = scan.rest_of(data, stop.offset, len(data), frame.seed(of), wanted.due)
    witness = reference.behind(data, stop.offset, len(data), place, wanted.due)
    told = _TESTIFIES[rest.kind], rest.stamp
    assert told == tuple(witness), f"{told}, not {witness}"
    verdict = decide.frames(decide.facts(FILE, walk, stop, rest, None, None))
    assert _verdict(verdict) == _due_verdict(wanted, *witness), f"{verdict}"


def _require_end(data: bytes, of: Header, start: int, wanted: Walk, place: Place) -> None:
    """The verdict on a file that is recorded to end with its last whole unit."""
    end = Recorded(wanted.unit, wanted.chain_head, wanted.sequence)
    before = decide.before_any(of)
    chain = Chain(of.store_id, hashed=False, sequence=of.first_sequence, chain_head=before)
    walk = Scan(data, start, end.frames_end, frame.seed(of), chain)
    for _ in walk:
        pass
    verdict = decide.frames(decide.facts(FILE, walk, walk.stop, None, end, None))
    goes_on = isinstance(place.body_at(data, end.frames_end, len(data)), bytes)
    due_here = (Refuse, Damage.HEAD, end.frames_end) if goes_on else (Open,)
    assert _verdict(verdict) == due_here, f"recorded to end at {end.frames_end}: {verdict}"


def _verdict(verdict: decide.Verdict) -> tuple[object, ...]:
    match verdict:
        case Refuse():
            return Refuse, verdict.reason, verdict.offset
        case TornAt():
            return TornAt, verdict.offset
        case Open():
            return (Open,)


def _due_verdict(wanted: Walk, kind: str, stamp: int) -> tuple[object, ...]:
    if isinstance(wanted.why, Damage):
        return Refuse, wanted.why, wanted.stop
    if kind == "too much" or (kind == "frames" and stamp > wanted.sequence):
        return Refuse, Damage.CRC, wanted.stop
    return (Open,) if kind == "zeros" and wanted.unit == wanted.stop else (TornAt, wanted.unit)


def parse_checked_segment(data: bytes) -> bool:
    """A file in which every checksum was made right again."""
    return parse_segment(reference.mended(data, rehash=False))


def parse_hashed_segment(data: bytes) -> bool:
    """A file in which every checksum and every event hash was made right again."""
    return parse_segment(reference.mended(data, rehash=True))
