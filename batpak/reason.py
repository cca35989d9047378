"""Reasons: why there is no value, as data. An error and how to make it good; what is waited for.

Public as names of `batpak.outcome`, which they are the details of. Nothing in the library acts on
them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeAlias, final

from msgspec import Struct

from batpak.arguments import check_nesting
from batpak.errors import BatpakError
from batpak.ids import EventId

# --------------------------------------------------------------------- what is waited for


@final
class WaitUntil(Struct, frozen=True, tag=True):
    """A moment, in milliseconds since 1970 (UTC)."""

    epoch_ms: int


@final
class WaitEvent(Struct, frozen=True, tag=True):
    """One event, from this store or another."""

    event_id: EventId


@final
class WaitAll(Struct, frozen=True, tag=True):
    """All of these. Raises TooLarge where conditions nest more than 64 deep."""

    conditions: tuple[WaitCondition, ...]

    def __post_init__(self) -> None:
        check_nesting("conditions", _inside(self), _inside)


@final
class WaitAny(Struct, frozen=True, tag=True):
    """One of these, whichever comes first. Nests as `WaitAll` does."""

    conditions: tuple[WaitCondition, ...]

    def __post_init__(self) -> None:
        check_nesting("conditions", _inside(self), _inside)


@final
class WaitCustom(Struct, frozen=True, tag=True):
    """Something of your own; `tag` says what `data` is."""

    tag: str
    data: bytes


WaitCondition: TypeAlias = WaitUntil | WaitEvent | WaitAll | WaitAny | WaitCustom
"""What is waited for. Nothing in the library waits for it: whoever resumes does."""


def _inside(outer: WaitAll | WaitAny) -> list[WaitAll | WaitAny]:
    return [one for one in outer.conditions if isinstance(one, (WaitAll, WaitAny))]


# ------------------------------------------------------------------ what is to be made good


@final
class Rollback(Struct, frozen=True, tag=True):
    """Undo what these events did."""

    event_ids: tuple[EventId, ...]


@final
class Notify(Struct, frozen=True, tag=True):
    """Tell somebody."""

    target: str
    message: str


@final
class Release(Struct, frozen=True, tag=True):
    """Let go of what was held."""

    resource_ids: tuple[str, ...]


@final
class CustomAction(Struct, frozen=True, tag=True, rename={"type": "action_type"}):
    """Something of your own; `type` says what `data` is, and is stored as `action_type`."""

    type: str
    data: bytes


Compensation: TypeAlias = Rollback | Notify | Release | CustomAction
"""How to make good what an error leaves behind. Nothing in the library does it: the caller does."""


# ----------------------------------------------------------------------- what went wrong


@final
class ErrorKind(IntEnum):
    """What sort of error it is. The numbers are stored, and never change."""

    NOT_FOUND = 1
    CONFLICT = 2
    VALIDATION = 3
    POLICY_REJECTION = 4
    CANCELLED = 5
    STORAGE = 6
    TIMEOUT = 7
    PENDING = 8
    SERIALIZATION = 9
    INTERNAL = 10
    BATCH_COLLAPSE = 11
    CUSTOM = 4095


@final
class OutcomeError(Struct, frozen=True):
    """What went wrong, as data. `custom_code` is yours to number, for `ErrorKind.CUSTOM`."""

    kind: ErrorKind
    message: str
    custom_code: int = 0
    compensation: Compensation | None = None

    @property
    def retryable(self) -> bool:
        """Whether repeating as is can help; the kind alone decides."""
        return self.kind in _RETRYABLE


_RETRYABLE: Final = frozenset({ErrorKind.STORAGE, ErrorKind.TIMEOUT})


@final
class OutcomeFailure(BatpakError):
    """`unwrap()` was called on anything but an `Ok`; `error` is why there is no value."""

    code = "outcome"

    def __init__(self, error: OutcomeError) -> None:
        self.error = error
        self.retryable = error.retryable
        super().__init__(
            f"{error.message} [{error.kind.name}]", hint="match the outcome, or use unwrap_or"
        )
