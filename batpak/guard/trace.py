"""The trace: what gates refused, and what was stored without them, as events of the store itself.

They stand beside their subject, on an entity of their own, so that its version stays: a refused
attempt must not make every loaded handle stale.

    batpak:denial:order:7     Region(entity="batpak:denial") has all of them
    batpak:bypass:order:7
    batpak:denial:#<BLAKE3>   where the whole name would be too long
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from batpak import digest, wire
from batpak.append import OwnItem, PriorItem
from batpak.arguments import text_of
from batpak.coordinate import BYTES_MAX, Coordinate
from batpak.errors import InvalidArgument, PayloadInvalid
from batpak.frozen import is_changeable
from batpak.guard.bypass import BypassAudit
from batpak.guard.verdict import Denial, Judgement
from batpak.payload import EventPayload
from batpak.seal import SEAL
from batpak.system import BypassRecorded, DenialRecorded
from batpak.wire import Encoded

_DENIAL: Final = "batpak:denial:"
_BYPASS: Final = "batpak:bypass:"


def denial_record(
    subject: Coordinate, denial: Denial, pipeline: str | None
) -> tuple[Coordinate, DenialRecorded]:
    """Where a denial is stored, and as what.

    Raises:
        InvalidArgument: It is no denial, or no set of gates gave it, or not like this; or its
            context cannot be written as text.
    """
    if type(denial) is not Denial:
        raise InvalidArgument("denial", f"must be a Denial, not {type(denial).__name__}")
    event, judgement = denial.event, denial.judgement
    if event is None or judgement is None:
        raise InvalidArgument("denial", "is from no set of gates; store what `evaluate` returned")
    if not judgement.covers(denial):
        raise InvalidArgument("denial", "is not what a set of gates of this process said")
    record = DenialRecorded(
        entity=subject.entity,
        scope=subject.scope,
        kind=int(event.KIND),
        content_hash=_content_hash(event, judgement),
        policy=denial.policy,
        fingerprint=denial.fingerprint,
        gate=denial.gate,
        code=denial.code,
        message=denial.message,
        context=_told(denial.context),
        evaluations=denial.evaluations,
        pipeline=None if pipeline is None else text_of("pipeline", pipeline),
    )
    return _beside(_DENIAL, subject), record


def _content_hash(event: EventPayload, judgement: Judgement) -> bytes | None:
    """Of what was judged; None: it may not be stored."""
    if is_changeable(type(event)):
        return judgement.content_hash
    try:
        return wire.encode(event).content_hash
    except PayloadInvalid:
        return None


def _told(context: object) -> dict[str, str]:
    if not isinstance(context, Mapping):
        raise InvalidArgument("denial", "its context is no mapping")
    facts = cast("Mapping[str, object]", context)
    try:
        return {name: str(value) for name, value in facts.items()}
    except Exception as error:
        raise InvalidArgument("denial", f"its context is no text: {error!r:.200}") from error


def bypass_item(
    subject: Coordinate, encoded: Encoded, audit: BypassAudit, key: bytes | None
) -> OwnItem:
    """What goes into a batch behind an event that nobody judged."""
    place = _beside(_BYPASS, subject)
    record = BypassRecorded(
        entity=subject.entity,
        scope=subject.scope,
        kind=int(encoded.kind),
        content_hash=encoded.content_hash,
        reason=audit.reason,
        justification=audit.justification,
        approved_by=audit.approved_by,
    )
    return OwnItem(place, record, caused_by=PriorItem(0), idempotency_key=key, seal=SEAL)


def _beside(prefix: str, subject: Coordinate) -> Coordinate:
    if not isinstance(cast("object", subject), Coordinate):
        raise InvalidArgument("coord", f"must be a Coordinate, not {type(subject).__name__}")
    entity = subject.entity.encode()
    if len(prefix) + len(entity) <= BYTES_MAX:
        return Coordinate(prefix + subject.entity, subject.scope)
    return Coordinate(f"{prefix}#{digest.content_hash(entity).hex()}", subject.scope)
