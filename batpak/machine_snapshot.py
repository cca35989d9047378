"""Snapshots: the state data of machines, kept so that a load begins behind most of the history.

One is used if the entity still has the event that it was taken at, which a load reads first. It
belongs to the machine as it is now: to its table, its classes, and the code of its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, Final, NamedTuple, Union

from batpak import codec, meaning
from batpak.append import Ledger
from batpak.cache.states import States
from batpak.edge_table import Row, row_names
from batpak.errors import IllegalHistory, InvalidArgument
from batpak.event import StoredEvent
from batpak.system import Tombstoned
from batpak.typestate import Edge, StateData

EVERY: Final = 64  # events of one load beyond the last snapshot: fewer are as soon folded again


class Snapshot(NamedTuple):
    """What was known of an entity at one of its versions."""

    version: int
    head: bytes  # event_hash of the event that made it that version
    data: StateData


class Snapshots:
    """Those of one machine, in the cache of its ledger."""

    def __init__(self, ledger: Ledger, name: str, table: Mapping[Row, Edge]) -> None:
        cache: object = getattr(ledger, "projection_cache", None)
        if cache is None:
            raise InvalidArgument("ledger", f"a {type(ledger).__name__} has no projection_cache")
        self._states, self._ledger = States(ledger.projection_cache), ledger
        self.kept: Final = self._states.kept
        """Whether there is a cache."""
        self._begin: Final = f"{ledger.store_id.hex}/machine {len(name)}:{name}/"
        self._table: Final = table
        self._known: tuple[str, Callable[[bytes], Any]] | None = None

    def newest(self, entity: str, start: StateData) -> Snapshot | None:
        """The one that is kept of an entity, if any."""
        begin, decode = self._meaning()
        found = self._states.get(begin + _of(entity, start), decode)
        if found is not None and found[0].epoch != self.epoch:
            found = None  # events were removed since
        return None if found is None else Snapshot(found[0].watermark, found[0].head, found[1])

    @property
    def epoch(self) -> int:
        """How often events were removed from the ledger."""
        return self._ledger.retention_epoch

    def keep(self, entity: str, start: StateData, taken: Snapshot, epoch: int) -> None:
        """Keep what is known of an entity, as of an epoch."""
        begin, decode = self._meaning()
        version = taken.version
        self._states.put(
            begin + _of(entity, start),
            taken.data,
            decode,
            watermark=version,
            head=taken.head,
            generation=version,
            epoch=epoch,
        )

    def _meaning(self) -> tuple[str, Callable[[bytes], Any]]:
        """How the keys of this machine begin, and what reads its states back."""
        if self._known is None:
            parts: list[str] = ["batpak/machine/1"]
            rows = sorted(self._table.items(), key=lambda item: row_names(item[0]))
            for row, edge in rows:
                parts += [row_names(row), edge.target.__name__, *meaning.code(edge.step)]
            events = {event for _, event in self._table}
            datas = {data for data, _ in self._table}
            datas |= {edge.target.DATA for edge in self._table.values()}
            parts += meaning.shapes(event.KIND for event in events)
            for data in sorted(datas, key=lambda cls: cls.__qualname__):
                parts += meaning.shape(data)
            union: Any = Union[tuple(datas)]  # noqa: UP007  of classes that are not written here
            decode: Callable[[bytes], Any] = codec.decoder(union).decode
            self._known = f"{self._begin}{meaning.digest_of(parts)}/", decode
        return self._known


def unbroken(
    events: Iterator[StoredEvent[bytes]],
    version: int,
    due: int,
    machine: str,
    kinds: Container[int],
) -> Iterator[StoredEvent[bytes]]:
    """The events of an entity, if all of them are there, payloads of the machine's included.

    Args:
        events: Those behind a version.
        version: That one.
        due: How many there have to be at least, in all.
        machine: Its name.
        kinds: Those of its events.

    Raises:
        IllegalHistory: One was removed: what came of it cannot be known.
    """
    for event in events:
        version += 1
        if event.version != version:
            break
        if event.kind == Tombstoned.KIND and _erased_kind(event.payload) in kinds:
            raise IllegalHistory(machine, "an event that was erased", version, "it is loaded")
        yield event
    else:
        if version >= due:
            return
        version += 1
    raise IllegalHistory(machine, "an event that was dropped", version, "it is loaded")


def _erased_kind(data: bytes) -> int:
    return codec.decoder(Tombstoned).decode(data).kind


def _of(entity: str, start: StateData) -> str:
    """What a key says of an entity, and of what was known of it before it was stored."""
    begun = meaning.digest_of((codec.encode(start).hex(),))
    return f"entity|{len(entity)}:{entity}/{begun}/"
