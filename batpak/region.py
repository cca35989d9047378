"""Region: which events. `matches` is the one predicate that every query answers to.

    entity    a namespace: `order` is `order`, `order:1`, `order:1:line`; never `orders`
    scope     exact
    kinds     a KindFilter, a kind, payload classes, or a mixture of the last two
    versions  (first, last), inclusive, by each entity's own count

All parts must hold; a part that is left out always does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias, cast, final

from msgspec import Struct

from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument
from batpak.kind import EFFECT, SYSTEM, EventKind
from batpak.override import override
from batpak.payload import EventPayload

OneKind: TypeAlias = EventKind | type[EventPayload]

CATEGORY_MAX: Final = 0xF


@final
class KindFilter(Struct, frozen=True):
    """Which kinds. Made by its static methods; filters that mean the same are equal.

    One of the two is set, or neither: every kind.
    """

    kinds: frozenset[EventKind] | None = None
    categories: frozenset[int] | None = None

    def __post_init__(self) -> None:
        if self.kinds is not None and self.categories is not None:
            raise InvalidArgument("kinds", "a filter has kinds or categories, not both")
        _require_set("kinds", self.kinds, EventKind)
        _require_set("category", self.categories, int)

    @staticmethod
    def any() -> KindFilter:
        """Every kind, the library's own included."""
        return KindFilter()

    @staticmethod
    def exact(kind: OneKind) -> KindFilter:
        """One kind."""
        return KindFilter(kinds=frozenset({kind_of("kinds", kind)}))

    @staticmethod
    def one_of(kinds: Iterable[OneKind]) -> KindFilter:
        """Any of these.

        Raises:
            InvalidArgument: There are none, or one of them is no kind.
        """
        if not isinstance(cast("object", kinds), Iterable):
            raise InvalidArgument("kinds", f"{kinds!r} is no kind, filter or set of kinds")
        found = frozenset(kind_of("kinds", kind) for kind in kinds)
        if not found:
            raise InvalidArgument("kinds", "an empty set of kinds would match nothing")
        return KindFilter(kinds=found)

    @staticmethod
    def category(category: int) -> KindFilter:
        """Every kind of one category.

        Raises:
            InvalidArgument: Not in 0x0..0xF.
        """
        if type(category) is not int or category not in range(CATEGORY_MAX + 1):
            raise InvalidArgument("category", f"{category!r} is not in 0x0..0xF")
        return KindFilter(categories=frozenset({category}))

    @staticmethod
    def user() -> KindFilter:
        """Everything but the categories of the library itself."""
        return KindFilter(categories=frozenset(range(CATEGORY_MAX + 1)) - {SYSTEM, EFFECT})

    def matches(self, kind: EventKind) -> bool:
        """Whether events of this kind are meant."""
        if self.kinds is not None:
            return kind in self.kinds
        return self.categories is None or kind.category in self.categories

    @property
    def identity(self) -> str:
        """Text that is equal exactly where filters are."""
        if self.kinds is not None:
            return "kinds " + ",".join(str(kind) for kind in sorted(self.kinds))
        if self.categories is not None:
            return "categories " + ",".join(f"{category:x}" for category in sorted(self.categories))
        return "any"


def kind_of(argument: str, kind: object) -> EventKind:
    """A kind, or that of a payload class.

    Raises:
        InvalidArgument: It is neither.
    """
    if isinstance(kind, EventKind):
        return kind
    if isinstance(kind, type) and issubclass(kind, EventPayload) and kind is not EventPayload:
        return kind.KIND
    raise InvalidArgument(argument, f"{kind!r} is neither an EventKind nor a payload class")


def _require_set(name: str, given: object, cls: type) -> None:
    if given is None:
        return
    values = cast("frozenset[object]", given) if isinstance(given, frozenset) else None
    if values is None or any(type(one) is not cls for one in values):
        raise InvalidArgument(name, f"must be a frozenset of {cls.__name__}")


def region_of(region: object) -> Region:
    """A region, checked.

    Raises:
        InvalidArgument: It is none.
    """
    if not isinstance(region, Region):
        raise InvalidArgument("region", f"must be a Region, not {type(region).__name__}")
    return region


def _is_span(versions: object) -> bool:
    match versions:
        case (int(first), int(last)):
            return 1 <= first <= last and bool not in (type(first), type(last))
        case _:
            return False


def _filter(kinds: KindFilter | OneKind | Iterable[OneKind] | None) -> KindFilter:
    if kinds is None:
        return KindFilter.any()
    if isinstance(kinds, KindFilter):
        return kinds
    if isinstance(kinds, EventKind | type):
        return KindFilter.exact(kinds)
    return KindFilter.one_of(kinds)


@final
class Region:
    """A part of the log. Immutable; equal regions match the same events, however spelled.

    Args:
        entity: A namespace prefix, whole components only; trailing colons do not matter. There
            is no glob: `*` is an ordinary character.
        scope: Exactly this scope.
        kinds: None means every kind, the library's own included.
        versions: `(first, last)` with 1 <= first <= last.

    Raises:
        InvalidArgument: An empty prefix, an empty set of kinds, versions out of order.
        InvalidCoordinate: No entity or scope can look like that.
    """

    __slots__ = ("_entity", "_kinds", "_scope", "_versions")

    def __init__(
        self,
        *,
        entity: str | None = None,
        scope: str | None = None,
        kinds: KindFilter | OneKind | Iterable[OneKind] | None = None,
        versions: tuple[int, int] | None = None,
    ) -> None:
        prefix = ":" if entity is None or entity == "" else entity
        place = Coordinate(prefix, "-" if scope is None else scope)
        if entity is not None:
            entity = place.entity.rstrip(":")
            if not entity:
                raise InvalidArgument("entity", "an empty prefix; leave it out to match all")
        if versions is not None and not _is_span(versions):
            raise InvalidArgument("versions", f"{versions!r} is not (first, last) from 1 up")
        self._entity, self._scope = entity, None if scope is None else place.scope
        self._kinds = _filter(kinds)
        self._versions = versions

    @staticmethod
    def all() -> Region:
        """The whole log."""
        return Region()

    @property
    def entity(self) -> str | None:
        """The prefix without trailing colons."""
        return self._entity

    @property
    def scope(self) -> str | None:
        """The exact scope."""
        return self._scope

    @property
    def kinds(self) -> KindFilter:
        """The filter of kinds."""
        return self._kinds

    @property
    def versions(self) -> tuple[int, int] | None:
        """First and last version, both included."""
        return self._versions

    def matches(self, coordinate: Coordinate, kind: EventKind, version: int) -> bool:
        """Whether an event at this place, of this kind, with this version in its entity is in."""
        return self.matches_names(coordinate.entity, coordinate.scope, kind, version)

    def matches_names(self, entity: str, scope: str, kind: EventKind, version: int) -> bool:
        """As `matches`, also for names that no coordinate has."""
        prefix, versions = self._entity, self._versions
        return (
            (prefix is None or entity == prefix or entity.startswith(f"{prefix}:"))
            and (self._scope is None or scope == self._scope)
            and (versions is None or versions[0] <= version <= versions[1])
            and self._kinds.matches(kind)
        )

    @property
    def identity(self) -> str:
        """Text that is equal exactly where regions are; every part is framed by its length."""
        versions = None if self._versions is None else "{}..{}".format(*self._versions)
        parts = (self._entity, self._scope, self._kinds.identity, versions)
        return "region" + "".join(
            "|-" if part is None else f"|{len(part)}:{part}" for part in parts
        )

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Region) and self.identity == other.identity

    @override
    def __hash__(self) -> int:
        return hash(self.identity)

    @override
    def __repr__(self) -> str:
        return (
            f"Region(entity={self._entity!r}, scope={self._scope!r},"
            f" kinds={self._kinds.identity!r}, versions={self._versions!r})"
        )
