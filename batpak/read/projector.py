"""Projector: the states of projections, each continued from what is kept of it.

A kept state is used if the log still has the event that it was taken at: then it has every event
before that one too. Otherwise, and whenever there is trouble, all events are folded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import MemberDescriptorType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from msgspec import Struct

from batpak import codec, meaning, registry
from batpak.arguments import is_count
from batpak.cache.row import CachedState
from batpak.cache.states import States
from batpak.errors import CorruptStore, InvalidArgument
from batpak.index.query import Rows
from batpak.index.table import Table
from batpak.read.fetch import Fetch
from batpak.read.projection import CONSISTENT, Fold, Freshness, Projected, RebuildReport, S, fold
from batpak.read.removed import removed
from batpak.read.source import Source, identity, relevant, source_of

log: Final = logging.getLogger("batpak.projection")

Q = TypeVar("Q")

BEHIND: Final = 4096  # events that a kept state may be behind, none of them relevant


class _Kept(Struct, Generic[S]):
    """A kept state that may be used."""

    row: CachedState
    state: S


class _Meaning(NamedTuple):
    """What a class of projections says of its states."""

    prefix: str  # of their keys
    decode: Callable[[bytes], Any] | None  # None: they are not kept
    slots: Sequence[MemberDescriptorType]  # where its instances have attributes beside their dict


class Projector:
    """Folds what one handle reads. Safe to share between threads."""

    def __init__(
        self,
        fetch: Fetch,
        table: Table,
        states: States,
        store_id: str,
        wall_ns: Callable[[], int],
    ) -> None:
        self._fetch, self._table, self._states = fetch, table, states
        self._store_id, self._wall_ns = store_id, wall_ns
        self._known: dict[type, _Meaning] = {}

    def project(
        self,
        projection: Fold[S, Q],
        source: Source,
        freshness: Freshness = CONSISTENT,
        upto: int | None = None,
    ) -> Projected[S] | None:
        """The state now; None: no event is relevant. See `Projections.project`."""
        source = _checked(projection, source, freshness)
        epoch, bound = self._table.epoch, self._table.bound
        if upto is not None:
            if not is_count(upto):
                raise InvalidArgument("upto", "must be a sequence, 0 or more")
            return self._folded(projection, source, None, min(upto, bound))[0]
        keyed = self._key(projection, source)
        if keyed is None:
            return self._folded(projection, source, None, bound)[0]
        key, decode = keyed
        kept: _Kept[S] | None = self._usable(key, decode, bound)
        if kept is not None and self._is_young(kept.row, freshness):
            return Projected(kept.state, kept.row.generation)
        found, moved = self._folded(projection, source, kept, bound)
        if found is not None and (
            moved
            or kept is None
            or bound - kept.row.watermark >= BEHIND
            or freshness.max_age_s is not None
        ):
            self._keep(key, decode, found, bound, epoch)
        return found

    def changed(
        self,
        projection: Fold[S, Q],
        source: Source,
        since: int,
        freshness: Freshness = CONSISTENT,
    ) -> Projected[S] | None:
        """The state, if it has a generation above `since`. See `Projections`."""
        source = self.check(projection, source, since, freshness)
        table = self._table
        rows = self._relevant(projection, source, since, table.bound)
        if next(rows, None) is None and not self._newest(projection, source, since, table.bound):
            return None
        found = self.project(projection, source, freshness)
        if found is not None and found.generation <= since:  # it was stale
            found = self.project(projection, source)
        return found

    def check(self, projection: object, source: object, since: object, freshness: object) -> Source:
        """Refuse what `changed` could never answer.

        Raises:
            InvalidArgument: An argument is malformed.
        """
        if not is_count(since):
            raise InvalidArgument("since", "must be a generation, 0 or more")
        return _checked(projection, source, freshness)

    def rebuild(self, projection: Fold[S, Q], source: Source) -> RebuildReport[S]:
        """Fold everything, compare, replace. See `Projections.rebuild_projection`."""
        source = _checked(projection, source, CONSISTENT)
        epoch, bound = self._table.epoch, self._table.bound
        keyed = self._key(projection, source)
        before: Projected[S] | None = None
        if keyed is not None:
            kept: _Kept[S] | None = self._usable(*keyed, bound)
            if kept is not None:
                before, _ = self._folded(projection, source, kept, bound)
        after, _ = self._folded(projection, source, None, bound)
        rows = self._relevant(projection, source, 0, bound)
        report = RebuildReport(
            state=None if after is None else after.state,
            generation=0 if after is None else after.generation,
            events=sum(len(some.rows) for some in rows),
            cached=None if before is None else before.state,
        )
        if not report.same:
            log.warning("the cached state of %s was another one; replaced", projection.NAME)
        if keyed is not None:
            if after is None:
                self._states.forget(keyed[0])
            else:
                self._keep(*keyed, after, bound, epoch)
        return report

    # --------------------------------------------------------------------------------- the fold

    def _folded(
        self, projection: Fold[S, Q], source: Source, kept: _Kept[S] | None, bound: int
    ) -> tuple[Projected[S] | None, bool]:
        """The state at a bound, and whether an event was folded to get there."""
        start, state, generation = 0, None, 0
        if kept is not None:
            start, state, generation = kept.row.watermark, kept.state, kept.row.generation
        rows = self._relevant(projection, source, start, bound)
        entity = source if isinstance(source, str) else None
        events = self._fetch.events(rows, projection.FORM, entity=entity)
        state, last = fold(projection, state, events)
        if last is not None:
            generation = last.sequence + 1
        if self._table.epoch and state is not None:
            generation = max(generation, self._newest(projection, source, generation, bound))
        return None if state is None else Projected(state, generation), last is not None

    def _relevant(
        self, projection: Fold[S, Q], source: Source, start: int, stop: int
    ) -> Iterator[Rows]:
        ask = partial(relevant, self._table, source, projection.KINDS)
        return self._fetch.steady(ask, start, stop)

    def _newest(self, projection: Fold[S, Q], source: Source, start: int, stop: int) -> int:
        """One past the newest event of a range that would be relevant, had it not been removed.

        0: there is none. A stub keeps kind and place, so a generation never goes back.
        """
        gone = removed(self._fetch, self._table, source, projection.KINDS, start, stop)
        return 1 + max(gone, default=-1)

    # ---------------------------------------------------------------------------- what is kept

    def _key(
        self, projection: Fold[S, Q], source: Source
    ) -> tuple[str, Callable[[bytes], S]] | None:
        """Under which key a state is kept, and what reads it back. None: it is not kept."""
        if not self._states.kept:
            return None
        cls = type(projection)
        known = self._known.get(cls)
        if known is None:
            if projection.STATE is None:
                return None
            known = self._known[cls] = self._meaning(projection, projection.STATE)
        prefix, decode, slots = known
        if decode is None:
            return None
        own = vars(projection) | {
            slot.__name__: slot.__get__(projection)
            for slot in slots
            if hasattr(projection, slot.__name__)
        }
        if own:
            try:
                data = codec.encode(own)
            except (TypeError, ValueError, OverflowError, RecursionError):
                return None
            prefix = f"{prefix}{meaning.digest_of((data.hex(),))}/"
        return prefix + identity(source), decode

    def _meaning(self, projection: Fold[S, Q], state: type[Struct]) -> _Meaning:
        """How the keys of a projection begin, and what reads its states back."""
        name, kinds = projection.NAME, projection.KINDS or registry.kinds()
        try:
            decode = codec.decoder(state).decode
            digest = meaning.digest_of(
                (
                    "batpak/projection/1",
                    str(projection.VERSION),
                    repr(projection.FORM),
                    *map(str, sorted(projection.KINDS)),
                    *meaning.shapes(kinds),
                    *meaning.shape(state),
                    *meaning.code(type(projection)),
                )
            )
        except (TypeError, NameError, meaning.Unclear) as error:  # as of a type that nothing reads
            what = type(error).__name__
            log.warning("states of %s are not kept: %s: %s", name, what, error)
            return _Meaning("", None, ())
        slots = [
            member
            for base in type(projection).__mro__
            for member in vars(base).values()
            if isinstance(member, MemberDescriptorType)
        ]
        return _Meaning(f"{self._store_id}/{len(name)}:{name}/{digest}/", decode, slots)

    def _usable(self, key: str, decode: Callable[[bytes], S], bound: int) -> _Kept[S] | None:
        """What is kept under a key, if it is of this log and not ahead of it."""
        found = self._states.get(key, decode)
        if found is None:
            return None
        row, state = found
        is_ours = (
            0 < row.generation <= row.watermark <= bound
            and row.epoch == self._table.epoch  # nothing was removed since
            and self._head(row.watermark) == row.head
        )
        if not is_ours:
            self._states.misses += 1
            return None
        self._states.hits += 1
        return _Kept(row, state)

    def _keep(
        self, key: str, decode: Callable[[bytes], S], found: Projected[S], bound: int, epoch: int
    ) -> None:
        head = self._head(bound)
        if head is not None:
            self._states.put(
                key,
                found.state,
                decode,
                watermark=bound,
                head=head,
                generation=found.generation,
                epoch=epoch,
                taken_ms=self._now_ms(),
            )

    def _head(self, watermark: int) -> bytes | None:
        """The hash of the event in front of a sequence, which is over all before it."""
        part, row = self._table.locate(watermark - 1)
        try:
            return self._fetch.event_hash(part, row)
        except CorruptStore:  # whoever needs that event is told
            return None

    def _is_young(self, row: CachedState, freshness: Freshness) -> bool:
        most = freshness.max_age_s
        return most is not None and 0 <= self._now_ms() - row.taken_ms <= most * 1000

    def _now_ms(self) -> int:
        return self._wall_ns() // 1_000_000


def _checked(projection: object, source: object, freshness: object) -> Source:
    if not isinstance(projection, Fold):
        hint = "make one: Revenue(), not Revenue" if isinstance(projection, type) else ""
        found = type(projection).__name__
        raise InvalidArgument("projection", f"must be a projection, not a {found}", hint=hint)
    if not isinstance(freshness, Freshness):
        found = type(freshness).__name__
        raise InvalidArgument("freshness", f"must be a Freshness, not a {found}")
    return source_of(source)
