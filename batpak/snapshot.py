"""Snapshots: the state data of machines, kept so that a load begins behind most of the history.

One is used if the entity still has the event that it was taken at, which a load reads first. It
belongs to the machine as it is now: to its table, its classes, and the code of its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Union

from batpak import codec, meaning
from batpak.append import Ledger
from batpak.cache.states import States
from batpak.edge_table import Row, row_names
from batpak.errors import InvalidArgument
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
        self._states = States(ledger.projection_cache)
        self.kept: Final = self._states.kept
        """Whether there is a cache."""
        self._begin: Final = f"{ledger.store_id.hex}/machine {len(name)}:{name}/"
        self._table: Final = table
        self._known: tuple[str, Callable[[bytes], Any]] | None = None

    def newest(self, entity: str, start: StateData) -> Snapshot | None:
        """The one that is kept of an entity, if any."""
        begin, decode = self._meaning()
        found = self._states.get(begin + _of(entity, start), decode)
        return None if found is None else Snapshot(found[0].watermark, found[0].head, found[1])

    def keep(self, entity: str, start: StateData, taken: Snapshot) -> None:
        """Keep what is known of an entity now."""
        begin, decode = self._meaning()
        version = taken.version
        self._states.put(
            begin + _of(entity, start),
            taken.data,
            decode,
            watermark=version,
            head=taken.head,
            generation=version,
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


def _of(entity: str, start: StateData) -> str:
    """What a key says of an entity, and of what was known of it before it was stored."""
    begun = meaning.digest_of((codec.encode(start).hex(),))
    return f"entity|{len(entity)}:{entity}/{begun}/"
