"""Former versions are read and never appended; a hop leads to the next version and nowhere else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, final

from batpak import BatchItem, Coordinate, EventKind, EventPayload, FormerPayload, ReactionBatch, Store, abi
from batpak.override import override
from tests.golden.cases_out.versions.expected.orders import hooks as h


@final
class SeenV1(FormerPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x777)
    VERSION: ClassVar[int] = 1

    text: str


@final
class Seen(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x777)
    VERSION: ClassVar[int] = 2

    words: str


class ShopUpcasts(ABC):
    @abstractmethod
    def seen_v1(self, old: SeenV1, /) -> Seen: ...


def appends(store: Store, where: Coordinate, old: SeenV1, new: Seen) -> None:
    store.append(where, new)
    store.append(where, old)  # E19: arg-type | reportArgumentType
    store.submit(where, old)  # E: arg-type | reportArgumentType
    BatchItem(where, old)  # E21: arg-type | reportArgumentType
    ReactionBatch().push(where, old)  # E73: arg-type | reportArgumentType
    store.by_fact(SeenV1)  # E22: type-var | reportArgumentType,reportCallIssue


@abi.upcast_from(SeenV1)  # E: arg-type | reportArgumentType
def from_another(old: Seen) -> Seen:
    return old


@abi.upcast_from(SeenV1)
def upcast_seen_v1(old: SeenV1) -> Seen:
    return Seen(words=old.words)  # E: attr-defined | reportAttributeAccessIssue


abi.upcast_from(Seen)  # E: type-var | reportArgumentType
abi.install_upcast(SeenV1, lambda old: old.text)  # E: type-var | reportArgumentType
abi.install_upcast(Seen, lambda old: old)  # E: type-var | reportArgumentType


@final
class Backward(ShopUpcasts):
    @override
    def seen_v1(self, old: SeenV1, /) -> SeenV1:  # E78: override | reportIncompatibleMethodOverride
        return old


@final
class Forgotten(ShopUpcasts):  # E: misc | reportGeneralTypeIssues
    pass


Forgotten()  # E: abstract | reportAbstractUsage


class Hooks:
    """Not what upcasts are."""


h.install_upcasts(Hooks())  # E81: arg-type | reportArgumentType
h.install_upcasts(Backward())  # E: arg-type | reportArgumentType
