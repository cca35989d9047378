"""One event as it comes to the lane: every argument checked, the payload encoded.

All that can be refused without knowing the log is refused here, in the order of
docs/reference/errors.md, before anything is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from batpak import registry, wire
from batpak.append import (
    POLICY,
    AppendReceipt,
    BatchItem,
    Cause,
    OwnExtensions,
    OwnItem,
    PriorItem,
    RawPayload,
)
from batpak.arguments import is_count, uuid_of
from batpak.config import Limits
from batpak.coordinate import RESERVED_PREFIX, Coordinate
from batpak.errors import (
    BatpakError,
    IdempotencyConflict,
    InvalidArgument,
    InvalidCoordinate,
    InvalidKind,
    TooLarge,
    UnknownParent,
)
from batpak.event import IndexEntry, StoredEvent
from batpak.faults import CoordinateFault, KeyFault, KindFault, ParentFault
from batpak.ids import operation_key
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.record import KEY_BYTES_MAX
from batpak.wire import Encoded

EXTENSIONS_MAX: Final = 64
EXTENSIONS_BYTES_MAX: Final = 64 << 10  # names and values
EXTENSION_NAME_BYTES_MAX: Final = 256
FLAGS_MAX: Final = 0xFF


class Request(Struct, frozen=True, gc=False):
    """What to store, and on which conditions."""

    coordinate: Coordinate
    payload: Encoded
    expected_version: int | None = None
    key: bytes | None = None
    parent: bytes | None = None  # event id
    prior: int | None = None  # or an earlier item of the same batch
    correlation_id: bytes | None = None
    flags: int = 0
    extensions: Mapping[str, bytes] | None = None

    @property
    def conditional(self) -> bool:
        """Whether it can be refused by what is in the log."""
        return self.key is not None or self.expected_version is not None or self.parent is not None

    @property
    def size(self) -> int:
        """Bytes of the payload and of the extensions."""
        size = len(self.payload.data)
        if self.extensions:
            for name, value in self.extensions.items():
                size += len(name) + len(value)
        return size


def check(  # by position, since it is called for every event
    coord: Coordinate,
    payload: EventPayload | RawPayload | Encoded,
    expected_version: int | None,
    idempotency_key: str | bytes | None,
    caused_by: Cause | None,
    correlation_id: UUID | None,
    flags: int,
    extensions: Mapping[str, bytes] | None,
    payload_bytes_max: int,
    own: bool = False,
) -> Request:
    """Make a request from the arguments of `Store.append`; what is the library's own if `own`.

    Raises:
        InvalidArgument, InvalidCoordinate, InvalidKind, PayloadInvalid, TooLarge: The first thing
            that is wrong.
    """
    if type(coord) is not Coordinate or RESERVED_PREFIX in (coord.entity[:7], coord.scope[:7]):
        check_place(coord, own)
    entry, raw = registry.of_class(type(payload)), None
    if type(payload) is Encoded:
        _check_kind(payload.kind)
    elif entry is None or (entry.reserved and not own):
        raw = _check_raw(payload)
    if expected_version is not None and not is_count(expected_version):
        raise InvalidArgument("expected_version", "must be a count of events, 0 or more")
    key = None if idempotency_key is None else _key(idempotency_key)
    parent = None if caused_by is None else _parent(caused_by)
    correlation = None if correlation_id is None else _correlation(correlation_id)
    if flags != 0:
        if not is_count(flags) or flags > FLAGS_MAX:
            raise InvalidArgument("flags", "must be one byte, 0..255")
        flags = int(flags)
    own_name = POLICY if type(extensions) is OwnExtensions else ""
    copied = None if extensions is None else _extensions(extensions, own_name)
    if raw is not None:
        encoded = wire.check_raw(raw.kind, raw.data, raw.version)
    else:
        encoded = wire.encode(cast("EventPayload | Encoded", payload), entry)
    if len(encoded.data) > payload_bytes_max:
        raise TooLarge("payload", len(encoded.data), payload_bytes_max)
    if type(extensions) is OwnExtensions and (raw is not None or not extensions.belong_to(encoded)):
        raise InvalidArgument("extensions", f"{POLICY} is for the event that was judged only")
    return Request(coord, encoded, expected_version, key, parent, None, correlation, flags, copied)


def check_batch(
    items: Iterable[BatchItem],
    *,
    idempotency_key: str | bytes | None,
    caused_by: Cause | None,
    correlation_id: UUID | None,
    limits: Limits,
) -> tuple[tuple[Request, ...], int]:
    """Make the requests of one batch, each item checked like a single append, in order.

    Returns:
        Them, and the bytes of their payloads and extensions.

    Raises:
        As `check`, with `item_index` set.
        UnknownParent: A PriorItem does not come earlier.
        IdempotencyConflict: Keys are mixed or repeated.
        TooLarge: Too many items, or too many bytes in all.
    """
    key = None if idempotency_key is None else _key(idempotency_key)
    parent = None if caused_by is None else _parent(caused_by)
    correlation = None if correlation_id is None else _correlation(correlation_id)
    if not isinstance(cast("object", items), Iterable):
        raise InvalidArgument("items", f"must be BatchItems, not {type(items).__name__}")
    requests: list[Request] = []
    size = keyed = 0
    for index, item in enumerate(items):
        if index == limits.batch_max_items:
            raise TooLarge("number of items in a batch", index + 1, limits.batch_max_items)
        try:
            one = check_item(item, index, limits.payload_max_bytes)
            if key is not None and one.key is not None:
                raise InvalidArgument("idempotency_key", "give the batch a key, or its items")
        except BatpakError as error:
            error.item_index = index
            raise
        if one.parent is None and one.prior is None and parent is not None:
            one = replace(one, parent=parent)
        if one.correlation_id is None and correlation is not None:
            one = replace(one, correlation_id=correlation)
        if key is not None:
            one = replace(one, key=item_key(key, index))
        elif one.key is not None:
            keyed += 1
        size += one.size if one.extensions else len(one.payload.data)
        requests.append(one)
    if keyed:
        _check_keys(requests)
    if size > limits.batch_max_bytes:
        raise TooLarge("batch", size, limits.batch_max_bytes)
    return tuple(requests), size


def item_key(key: bytes, index: int) -> bytes:
    """The key of an item of a batch that has one."""
    return operation_key("batpak/batch/1", key, index)


def key_behind(key: str | bytes | None, count: int) -> bytes | None:
    """The key that an item behind so many has, in a batch of this key; no key: none.

    A batch that was stored under the key had no more items than are known if that one is not known.
    """
    return None if key is None else item_key(_key(key), count)


def check_item(item: object, index: int, payload_bytes_max: int) -> Request:
    """Make the request of one item, of which so many come before it in its batch.

    Raises:
        As `check`.
        UnknownParent: Its PriorItem is none of those.
    """
    if not isinstance(item, BatchItem):
        raise InvalidArgument("items", f"must be BatchItems, not {type(item).__name__}")
    prior = item.caused_by
    if isinstance(item.extensions, OwnExtensions):  # what is judged is stored alone
        raise InvalidArgument("extensions", f"{POLICY} is written by the library only")
    one = check(
        item.coord,
        item.payload,
        item.expected_version,
        item.idempotency_key,
        None if isinstance(prior, PriorItem) else prior,
        item.correlation_id,
        item.flags,
        item.extensions,
        payload_bytes_max,
        type(item) is OwnItem,
    )
    if not isinstance(prior, PriorItem):
        return one
    if not is_count(prior.index) or prior.index >= index:
        raise UnknownParent(prior.index, ParentFault.PRIOR_ITEM)
    return replace(one, prior=prior.index)


def _check_keys(requests: Sequence[Request]) -> None:
    """All items have a key of their own, or none has one."""
    seen: set[bytes] = set()
    for index, one in enumerate(requests):
        if (one.key is None) != (requests[0].key is None):
            fault = KeyFault.MIXED
        elif one.key is not None and one.key in seen:
            fault = KeyFault.DUPLICATE
        else:
            seen.add(one.key or b"")
            continue
        error = IdempotencyConflict(one.key or b"", fault)
        error.item_index = index
        raise error


def check_place(coord: object, own: bool = False) -> None:
    """Hold a coordinate against what callers may name.

    Raises:
        InvalidArgument: It is none.
        InvalidCoordinate: Not `own`, and it is the library's.
    """
    if not isinstance(coord, Coordinate):
        raise InvalidArgument("coord", f"must be a Coordinate, not {type(coord).__name__}")
    if own:
        return
    if coord.entity.startswith(RESERVED_PREFIX):
        raise InvalidCoordinate("entity", CoordinateFault.RESERVED, coord.entity)
    if coord.scope.startswith(RESERVED_PREFIX):
        raise InvalidCoordinate("scope", CoordinateFault.RESERVED, coord.scope)


def _check_raw(payload: object) -> RawPayload:
    """A payload of no class that callers may use; anything but an encoded one is refused."""
    if isinstance(payload, RawPayload):
        _check_kind(payload.kind)
        return payload
    entry = registry.of_class(type(payload))
    if entry is None:
        raise wire.not_a_fact(type(payload))
    detail = f"{entry.cls.__qualname__} is an event of the store itself"
    raise InvalidKind(entry.kind, KindFault.RESERVED, detail)


def _check_kind(kind: object) -> None:
    if not isinstance(kind, EventKind):
        raise InvalidArgument("kind", f"must be an EventKind, not {type(kind).__name__}")
    if kind.reserved:
        raise InvalidKind(kind, KindFault.RESERVED, f"kind {kind} belongs to the library")


def _key(key: object) -> bytes:
    if isinstance(key, str):
        try:
            key = key.encode()
        except UnicodeEncodeError:
            raise InvalidArgument("idempotency_key", "has a lone surrogate") from None
    if not isinstance(key, bytes) or not 1 <= len(key) <= KEY_BYTES_MAX:
        raise InvalidArgument("idempotency_key", f"must be text or bytes, 1..{KEY_BYTES_MAX} bytes")
    return bytes(key)  # of a subclass: only what is stored


def _parent(cause: object) -> bytes:
    if isinstance(cause, StoredEvent | AppendReceipt | IndexEntry):
        return cause.event_id.bytes
    return uuid_of("caused_by", cause).bytes


def _correlation(correlation_id: object) -> bytes:
    return uuid_of("correlation_id", correlation_id).bytes


def _extensions(extensions: object, allowed: str) -> Mapping[str, bytes]:
    """Copy them, each checked: the caller's mapping may change. One more name may be allowed."""
    if not isinstance(extensions, Mapping):
        raise InvalidArgument("extensions", "must be a mapping of names to bytes")
    copied: dict[str, bytes] = {}
    size = 0
    for name, value in cast("Mapping[object, object]", extensions).items():
        if not isinstance(name, str) or not (_is_extension_name(name) or name == allowed):
            detail = f"{name!a} must be ASCII text with one dot inside, not beginning batpak"
            raise InvalidArgument("extensions", detail)
        if not isinstance(value, bytes):
            raise InvalidArgument("extensions", f"the value of {name} must be bytes")
        copied[str.__str__(name)] = bytes(value)
        size += len(name) + len(value)
    if len(copied) > EXTENSIONS_MAX:
        raise TooLarge("number of extensions", len(copied), EXTENSIONS_MAX)
    if size > EXTENSIONS_BYTES_MAX:
        raise TooLarge("extensions", size, EXTENSIONS_BYTES_MAX)
    return copied


def _is_extension_name(name: str) -> bool:
    if not name.isascii() or len(name) > EXTENSION_NAME_BYTES_MAX:
        return False
    before, dot, after = name.partition(".")
    return bool(before and dot and after) and "." not in after and not name.startswith("batpak")
