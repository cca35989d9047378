"""Appending: what a caller asks for, and the proof that it was stored.

`Ledger` is all that machines and pipelines need of a store; `Store` satisfies it, and so does a
list in a test. `OwnItem` and `OwnExtensions` are what only the library makes: a store lets them
pass where it refuses the same from a caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, final
from uuid import UUID

from msgspec import Struct

from batpak import codec
from batpak.cache.row import ProjectionCache
from batpak.claim import Claim, ReceiptFile, read_receipt
from batpak.config import Durability
from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument
from batpak.event import EventHeader, IndexEntry, StoredEvent
from batpak.ids import EventId
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload
from batpak.report import Watermark
from batpak.seal import SEAL, Seal
from batpak.wire import Encoded, Form, Q


class AppendReceipt(Struct, EventHeader, frozen=True, kw_only=True):
    """Proof that the store took an event: what is stored of it, and who vouches for that.

    The log has everything but `durability`, `replayed`, `key_id` and `signature`.
    """

    store_id: UUID
    coordinate: Coordinate
    head: bytes  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]  held, not computed
    content_hash: bytes
    extensions: Mapping[str, bytes]
    durability: Durability  # the level that was true when the call returned
    replayed: bool = False  # the key was known: this is the receipt of the first append
    key_id: bytes | None = None  # of the key that has signed it
    signature: bytes | None = None  # of the claim and the durability

    @property
    def claim(self) -> Claim:
        """What it says of the log, which stays true and is the same for a replay."""
        return Claim(self.store_id, self.coordinate, self.head, self.content_hash, self.extensions)

    def to_bytes(self) -> bytes:
        """The receipt as bytes, to be kept or given to somebody. `from_bytes` reads it back."""
        names = tuple(sorted(self.extensions.items())) or None
        file = ReceiptFile(
            "batpak receipt 1",
            self.store_id,
            self.coordinate.entity,
            self.coordinate.scope,
            self.head,
            self.content_hash,
            names,
            self.durability,
            self.replayed,
            self.key_id,
            self.signature,
        )
        return codec.encode(file)

    @staticmethod
    def from_bytes(data: bytes) -> AppendReceipt:
        """Read a receipt back. That it has the shape of one says nothing: see `verify_receipt`.

        Raises:
            InvalidArgument: These bytes are no receipt.
        """
        file = read_receipt(data)
        return AppendReceipt(
            store_id=file.store_id,
            coordinate=Coordinate(file.entity, file.scope),
            head=file.head,
            content_hash=file.content_hash,
            extensions=dict(file.extensions or ()),
            durability=file.durability,
            replayed=file.replayed,
            key_id=file.key_id,
            signature=file.signature,
        )

    @override
    def __hash__(self) -> int:
        return hash(self.head)  # its hash covers everything that is stored

    @override
    def __repr__(self) -> str:
        return (
            f"AppendReceipt(sequence={self.sequence}, coordinate={self.coordinate!s},"
            f" version={self.version}, kind={self.kind}, event_id={self.event_id},"
            f" durability={self.durability.name}, replayed={self.replayed},"
            f" signed={self.signature is not None})"
        )


Cause: TypeAlias = EventId | IndexEntry | StoredEvent[Any] | AppendReceipt
"""What may have caused an event: another one, however it is at hand."""


class PriorItem(Struct, frozen=True):
    """An earlier item of the same batch, by position, as the cause of a later one."""

    index: int


class RawPayload(Struct, frozen=True):
    """A payload that is encoded already: one MessagePack value."""

    kind: EventKind
    data: bytes
    version: int = 1


class _Fact(Struct, frozen=True):
    """The two things that are given by position."""

    coord: Coordinate
    payload: EventPayload | RawPayload


class BatchItem(_Fact, frozen=True, kw_only=True):
    """One event of a batch, with the conditions that `Store.append` takes as keywords."""

    expected_version: int | None = None  # judged with the earlier items of the batch counted
    idempotency_key: str | bytes | None = None
    caused_by: Cause | PriorItem | None = None
    correlation_id: UUID | None = None
    flags: int = 0
    extensions: Mapping[str, bytes] | None = None


@final
class OwnItem(BatchItem, frozen=True, kw_only=True):
    """An item whose entity and kind are the library's own."""

    seal: Seal

    def __post_init__(self) -> None:
        if self.seal is not SEAL:
            raise InvalidArgument("items", "an OwnItem is made by the library only")


POLICY: Final = "batpak.policy"
"""The extension that says which policy permitted an event."""


@final
class OwnExtensions(Mapping[str, bytes]):
    """Extensions of one event, with the library's own among them. A spent receipt gives them."""

    __slots__ = ("_all", "_of")

    def __init__(
        self, _key: Seal, extensions: Mapping[str, bytes], policy: bytes, of: Encoded
    ) -> None:
        """Closed: yours are in any other mapping.

        Raises:
            InvalidArgument: The library's name is taken.
        """
        if _key is not SEAL or POLICY in extensions:
            raise InvalidArgument("extensions", f"{POLICY} is written by the library only")
        self._all = MappingProxyType({**extensions, POLICY: policy})
        self._of = of

    def belong_to(self, event: Encoded) -> bool:
        """Whether this is the event that was judged."""
        return self._of is event or self._of == event

    @override
    def __getitem__(self, name: str) -> bytes:
        return self._all[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    @override
    def __len__(self) -> int:
        return len(self._all)


class Ledger(Protocol):
    """What a machine or a pipeline needs of a store.

    A move comes encoded: `wire.encode` lets that pass.
    """

    @property
    def store_id(self) -> UUID:
        """Which store this is, also after a reopening. Handles write to the one they are from."""
        ...

    @property
    def projection_cache(self) -> ProjectionCache:
        """Where a machine keeps what it has folded. `NoCache()`: nowhere."""
        ...

    @property
    def retention_epoch(self) -> int:
        """How often events were removed: what was folded before may be another thing now."""
        ...

    def version(self, entity: str, /) -> int:
        """How many events an entity has had, those that were removed included."""
        ...

    def append(
        self,
        coord: Coordinate,
        payload: EventPayload | Encoded,
        *,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
    ) -> AppendReceipt:
        """Store one event. See `Store.append`."""
        ...

    def append_batch(
        self,
        items: Iterable[BatchItem],
        *,
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
    ) -> tuple[AppendReceipt, ...]:
        """Store several events as one. See `Store.append_batch`."""
        ...

    def stream(
        self, entity: str, *, first_version: int = 1, form: Form[Q]
    ) -> Iterator[StoredEvent[Q]]:
        """The events of one entity in version order. See `StoreReader.stream`."""
        ...
