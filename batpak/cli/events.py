"""An event, as the command line tells of it."""

from __future__ import annotations

from collections.abc import Mapping

from batpak import codec, registry
from batpak.event import StoredEvent


def told(event: StoredEvent[object]) -> Mapping[str, object]:
    """Return an event and what its frame says about it."""
    entry = registry.lookup(event.kind)
    return {
        "sequence": event.sequence,
        "entity": event.coordinate.entity,
        "scope": event.coordinate.scope,
        "version": event.version,
        "kind": f"{event.kind:#06x}",
        "event": None if entry is None else entry.cls.__qualname__,
        "payload_version": event.payload_version,
        "event_id": str(event.event_id),
        "correlation_id": str(event.correlation_id),
        "causation_id": None if event.causation_id is None else str(event.causation_id),
        "recorded_at": event.recorded_at.isoformat(),
        "event_hash": event.event_hash.hex(),
        "payload": codec.builtins(event.payload),
    }
