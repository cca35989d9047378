"""What reads values and text from outside: payloads, notes, names. See `fuzz_bytes`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Final, cast
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from batpak import codec, wire
from batpak.coordinate import Coordinate
from batpak.errors import (
    DecodeFailed,
    InvalidArgument,
    InvalidCoordinate,
    InvalidKind,
    PayloadInvalid,
    UnknownKind,
)
from batpak.faults import CoordinateFault
from batpak.kind import EventKind
from batpak.note import CheckpointNote
from batpak.payload import EventPayload
from batpak.region import Region
from tests.facts import Counted, Said
from tests.proof import fuzz_format as reference
from tests.proof.fuzz_bytes import attempt, due
from tests.proof.fuzz_format import is_name
from tests.proof.fuzz_msgpack import Bad, Ext, same, unpack
from tests.unit.parcels import ParcelCancelled, ParcelPacked, ParcelSeen, ParcelSent

STRANGE: Final = EventKind.custom(0xE, 0x7F0)  # of no class
UNREADABLE: Final = (codec.DecodeError, UnicodeDecodeError, TypeError)
CLASSES: Final[tuple[type[EventPayload], ...]] = (
    Counted,
    Said,
    ParcelPacked,
    ParcelSent,
    ParcelCancelled,
    ParcelSeen,
)


# ------------------------------------------------------------------------------------------- notes

_HEX: Final = frozenset("0123456789abcdef")
_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001  only differences count


def parse_note(data: bytes) -> bool:
    """A note, as somebody has kept it."""
    text = data.decode("utf-8", "surrogateescape")
    wanted = due(_note_of, data)
    found = attempt(lambda: CheckpointNote.parse(text), InvalidArgument)
    if isinstance(found, Exception):
        assert wanted is None, f"a right note is refused: {found}"
        return False
    assert wanted is not None, f"accepted: {found}"
    assert astuple(found) == wanted, f"{found}, not {wanted}"
    assert str(found) == text.replace("\r\n", "\n").rstrip("\n") + "\n", "written in another way"
    assert CheckpointNote.parse(str(found)) == found
    return True


def _note_of(data: bytes) -> tuple[object, ...]:
    """The note, read line by line.

    Raises:
        Bad: It is none.
    """
    lines = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").rstrip("\n").split("\n")
    names = "batpak", "store", "events", "head", "taken", "key", "signature"
    if len(lines) not in (5, 7) or any(
        not line.startswith(f"{name} ") for line, name in zip(lines, names, strict=False)
    ):
        raise Bad("lines")
    mark, store, events, last, taken, *signed = (line.partition(" ")[2] for line in lines)
    if mark != "note 1" or len(store) != 36 or store[14 - 1] == " ":
        raise Bad("mark")
    try:
        store_id = UUID(store)
        number = int(events)
        moment = dt.datetime.fromisoformat(taken.removesuffix("Z")).replace(tzinfo=None)
        since = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise Bad("values") from error
    spelt = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z".rjust(24, "0")
    right = (
        str(store_id) == store,
        str(number) == events and 0 <= number < 10**19,
        len(last) == 64 and set(last) <= _HEX,
        spelt == taken and since >= dt.timedelta(0),
        (number == 0) == (set(last) == {"0"}),
        [len(text) for text in signed] in ([], [64, 128]) and set("".join(signed)) <= _HEX,
    )
    if not all(right):
        raise Bad("another spelling")
    key_id, signature = map(bytes.fromhex, signed) if signed else (None, None)
    taken_ms = since // dt.timedelta(milliseconds=1)
    return store_id, number, bytes.fromhex(last), taken_ms, key_id, signature


# ---------------------------------------------------------------------------------------- payloads


def parse_payload(data: bytes) -> bool:
    """Stored payload bytes, as every class that there is."""
    accepted = False
    for cls in CLASSES:
        kind, version = cls.KIND, cls.VERSION
        payload = attempt(partial(wire.decode, kind, version, data, 7), DecodeFailed)
        if isinstance(payload, DecodeFailed):
            told = payload.kind, payload.payload_version, payload.sequence
            assert told == (kind, version, 7), f"{told}"
            assert _check_raw(kind, data, version) is None, f"{cls.__name__} takes what it refuses"
            continue
        accepted = True
        assert isinstance(payload, cls), f"{payload}"
        _require_one_spelling(payload, data)
    return accepted


def _require_one_spelling(payload: EventPayload, data: bytes) -> None:
    """What was decoded is encoded in one way, which decodes to the same; nothing else is taken."""
    kind, version = payload.KIND, payload.VERSION
    raw = _check_raw(kind, data, version)
    stored = attempt(lambda: wire.encode(payload), PayloadInvalid)
    if isinstance(stored, Exception):
        assert raw is None, f"taken as bytes, and not as a value: {stored}"
        return
    unpack(stored.data)
    again = wire.encode(wire.decode(kind, version, stored.data))
    assert again.data == stored.data, f"{again.data!r} is read from {stored.data!r}"
    assert stored.content_hash == reference.hashed(stored.data), "another content hash"
    assert (raw == data) == (stored.data == data), f"{data!r} is taken, {stored.data!r} is due"


def _check_raw(kind: EventKind, data: bytes, version: int) -> bytes | None:
    found = attempt(lambda: wire.check_raw(kind, data, version), PayloadInvalid)
    if isinstance(found, Exception):
        assert isinstance(found, PayloadInvalid)
        assert found.problems, "refused, and nobody says why"
        return None
    assert (found.kind, found.version, found.data) == (kind, version, data)
    return found.data


def parse_plain(data: bytes) -> bool:
    """One value of MessagePack without a schema."""
    try:
        value: object = unpack(data)
        wanted = True
    except Bad:
        value, wanted = None, False
    found = attempt(lambda: codec.decode_plain(data), *UNREADABLE)
    if isinstance(found, UNREADABLE):
        assert not wanted, f"a right value is refused: {found}"
        assert _check_raw(STRANGE, data, 1) is None, "refused, and taken as a payload"
        return False
    assert wanted, f"accepted: {found!r}"
    assert same(_plain(found), value), f"{found!r}, not {value!r}"
    assert _check_raw(STRANGE, data, 1) == data, "read, and refused as a payload"
    try:
        wire.decode(STRANGE, 1, data)
    except UnknownKind:
        return True
    raise AssertionError("a payload of no class is read")


def _plain(value: object) -> object:
    match value:
        case msgspec.msgpack.Ext():
            return Ext(value.code, bytes(value.data))
        case list():
            return [_plain(one) for one in cast("list[object]", value)]
        case dict():
            return {key: _plain(one) for key, one in cast("dict[object, object]", value).items()}
        case _:
            return value


# ------------------------------------------------------------------------------------------- names


def parse_names(data: bytes) -> bool:
    """An entity and a scope with an `@` between them; the first bytes also as numbers of kinds."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    entity, _, scope = text.partition("@")
    wanted = _name_fault(entity, scope)
    where = attempt(lambda: Coordinate(entity, scope), InvalidCoordinate)
    if isinstance(where, InvalidCoordinate):
        assert (where.component, where.reason) == wanted, f"{where}; {wanted} is due"
    else:
        assert isinstance(where, Coordinate)
        assert wanted is None, f"accepted: {where!r}; {wanted} is due"
        assert (str(where), where.reserved) == (f"{entity}@{scope}", entity[:7] == "batpak:")
    _require_region(entity, scope)
    _require_kinds(data)
    return wanted is None


_CONTROL: Final = frozenset([*map(chr, range(1, 0x20)), *map(chr, range(0x7F, 0xA0))])


def _name_fault(entity: str, scope: str) -> tuple[str, CoordinateFault] | None:
    """The first rule that is broken: lengths before characters, entity before scope."""
    both = ("entity", entity), ("scope", scope)
    for component, text in both:
        if not text:
            return component, CoordinateFault.EMPTY
    for component, text in both:
        if any("\ud800" <= one <= "\udfff" for one in text):
            return component, CoordinateFault.NOT_UTF8
        if len(text.encode()) > 1024:
            return component, CoordinateFault.TOO_LONG
    for component, text in both:
        if "\0" in text:
            return component, CoordinateFault.NUL
        if _CONTROL & set(text):
            return component, CoordinateFault.CONTROL
        if "/" in text or ".." in text:
            return component, CoordinateFault.PATH
        if "|" in text or "=" in text:
            return component, CoordinateFault.SEPARATOR
    return None


def _require_region(entity: str, scope: str) -> None:
    """A region by these names is refused, or has its namespace and nothing else."""
    prefix = entity.rstrip(":")
    try:
        region = Region(entity=entity, scope=scope)
    except (InvalidArgument, InvalidCoordinate):
        known = is_name(entity) and is_name(scope)
        assert not (known and prefix), f"{entity!r}, {scope!r} is refused"
        return
    parts = prefix.split(":")
    for name in (prefix, f"{prefix}:1", f"{prefix}s", f"{prefix}:a:b", "user:1", parts[0]):
        if is_name(name):
            inside = name.split(":")[: len(parts)] == parts
            assert region.matches(Coordinate(name, scope), STRANGE, 1) is inside, f"{name!r}"
            assert not region.matches(Coordinate(name, f"not {scope}"[:40]), STRANGE, 1)
    assert region == Region(entity=prefix, scope=scope)
    assert region != Region(entity="z" if prefix == "y" else "y", scope=scope)


def _require_kinds(data: bytes) -> None:
    raw, category, type_id = int.from_bytes(data[:3], "big"), *(data + b"\0\0")[:2]
    _require_kind(partial(EventKind.from_wire, raw), right=raw <= 0xFFFF)
    ours = category in (0x0, 0xD) or category > 0xF
    made = partial(EventKind.custom, category, type_id << 5)
    _require_kind(made, right=not ours and type_id << 5 <= 0xFFF)


def _require_kind(make: Callable[[], EventKind], *, right: bool) -> None:
    kind = attempt(make, InvalidKind)
    assert isinstance(kind, EventKind) == right, f"{kind!r}"
    if isinstance(kind, EventKind):
        assert kind == kind.category << 12 | kind.type_id, f"{kind!r}"
