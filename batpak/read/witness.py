"""The witness: for a handler that may meet an event twice, and wants its effect to happen once.

At least once, with a sink that knows a key when it sees it again, is once. In this store the sink
is an append under an idempotency key; elsewhere whatever takes the same key.
"""

from __future__ import annotations

from typing import Final, final

from msgspec import Struct

from batpak.arguments import require_some
from batpak.errors import InvalidArgument
from batpak.event import EventHeader
from batpak.ids import EventId, operation_key
from batpak.seal import SEAL, Seal

_DOMAIN: Final = "batpak/witness/1"


@final
class ObservedOnce(Struct, frozen=True):
    """One effect of one event, under the key by which its sink knows it again.

    A sink that asks for this, and not for bytes, is not called by mistake without a durable
    checkpoint. That is against mistakes: who has one witness can make others of it.
    """

    checkpoint_id: str
    event_id: EventId
    key: bytes
    seal: Seal

    def __post_init__(self) -> None:
        _closed(self.seal, "ObservedOnce")


@final
class AtLeastOnce(Struct, frozen=True):
    """Every event of the region comes at least once, whatever happens. A worker gives it."""

    checkpoint_id: str
    seal: Seal

    def __post_init__(self) -> None:
        _closed(self.seal, "AtLeastOnce")

    def operation_key(self, event: EventHeader, *parts: str) -> bytes:
        """A key for one effect of an event: the same whenever that event is delivered again.

        Args:
            event: Which is being handled.
            parts: Which effect, if an event has several: `"invoice"`.

        Raises:
            InvalidArgument: That is no event, or a part is no text.
        """
        require_some("event", event, EventHeader)
        return operation_key(_DOMAIN, self.checkpoint_id, event.event_id.bytes, *parts)

    def once(self, event: EventHeader, *parts: str) -> ObservedOnce:
        """The same key, as a value that comes from a durable worker."""
        key = self.operation_key(event, *parts)
        return ObservedOnce(self.checkpoint_id, event.event_id, key, SEAL)


def _closed(seal: object, name: str) -> None:
    if seal is not SEAL:
        raise InvalidArgument("witness", f"an {name} is made by a worker with a checkpoint only")
