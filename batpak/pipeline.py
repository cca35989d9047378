"""Pipelines: an event that is no move of a machine is judged, then stored exactly as judged.

    evaluate        proposal -> Receipt | Denial; writes nothing
    commit          receipt -> one append, stamped with the policy -> Committed
    bypass          proposal, reason -> BypassReceipt; asks no gate
    commit_bypass   bypass receipt -> the event and its audit, in one batch -> Committed

What was judged is encoded again when it is committed, compared, and stored in those bytes. There
is no bypass without its record: the two are one atomic unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, TypeVar, cast, final
from uuid import UUID

from msgspec import Struct

from batpak import wire
from batpak.append import POLICY, AppendReceipt, BatchItem, Cause, Ledger
from batpak.arguments import require
from batpak.coordinate import Coordinate
from batpak.errors import IdempotencyConflict, InvalidArgument
from batpak.event import P, P_co
from batpak.faults import KeyFault
from batpak.guard.bypass import BypassAudit, BypassReason, BypassReceipt, issue
from batpak.guard.gates import C, GateSet
from batpak.guard.proposal import Proposal
from batpak.guard.receipt import Receipt
from batpak.guard.trace import bypass_item
from batpak.guard.verdict import Denial
from batpak.ids import operation_key
from batpak.payload import EventPayload
from batpak.report import Watermark
from batpak.wire import Encoded

B = TypeVar("B", bound=EventPayload)  # of the static methods: what is bypassed has no policy

_AGE_MAX_S: Final = 10**9
_AUDIT: Final = "batpak/bypass-audit/1"


@final
class Committed(Struct, Generic[P_co], frozen=True):
    """An event that is stored, and how it came to be."""

    event: P_co  # decoded from the bytes that were stored
    receipt: AppendReceipt
    gates: tuple[str, ...]  # that permitted it; none of a bypass
    bypass: BypassAudit | None = None  # why no gate was asked


@final
class Pipeline(Generic[C, P]):
    """One policy in front of a store, for events that are no moves of a machine.

    Immutable and safe to share between threads.
    """

    __slots__ = ("_max_age_ns", "_policy", "_stamps")

    def __init__(
        self,
        policy: GateSet[C, None, P],
        *,
        max_age_s: float | None = None,
        stamp_policy: bool = True,
    ) -> None:
        """Put a policy in front of any store.

        Args:
            policy: A set of gates without state.
            max_age_s: How long a receipt is good for; None: as long as its process.
            stamp_policy: Whether events say which policy permitted them (see `PolicyStamp`).

        Raises:
            InvalidArgument: Not a set of gates, or one that judges the moves of a machine; or an
                age that is no time.
        """
        if not isinstance(cast("object", policy), GateSet):
            raise InvalidArgument("policy", f"must be a GateSet, not {type(policy).__name__}")
        if not policy.stateless:
            name = type(policy).__name__
            raise InvalidArgument("policy", f"{name} judges the moves of a machine, not proposals")
        self._policy = policy
        self._max_age_ns = None if max_age_s is None else _nanoseconds("max_age_s", max_age_s)
        self._stamps = stamp_policy

    def evaluate(self, ctx: C, proposal: Proposal[P], /) -> Receipt[Proposal[P]] | Denial:
        """Ask the gates. A receipt if all permit, else the first denial; nothing is stored.

        Raises:
            InvalidArgument: Not a proposal, or of an event that the policy is not for.
            PayloadInvalid: Every gate permits, but the event may not be stored.
        """
        require("proposal", proposal, Proposal)
        return self._policy.evaluate(ctx, proposal)

    def commit(
        self,
        receipt: Receipt[Proposal[P]],
        store: Ledger,
        coord: Coordinate,
        *,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
    ) -> Committed[P]:
        """Store what the gates have permitted, in one append.

        The receipt is spent by the attempt, whatever comes of it. To repeat after an error, judge
        the same event again and give the same key.

        Args:
            receipt: From this pipeline, or from a set of the same gates in this process: one that
                shares the gates in Python, or their hooks.
            store: Where to.
            coord: See `Store.append`; likewise the rest.
            expected_version: How many events the entity must have.
            idempotency_key: The same key with the same event is stored once. If the pipeline
                stamps, what is stored under it has to have the stamp of this policy.
            caused_by: An event of the store.
            correlation_id: The conversation.
            flags: One byte, stored as given.
            extensions: Stored beside the payload.
            wait_for: See `Store.append`.
            timeout_s: See there.

        Raises:
            InvalidArgument: It is no receipt, or one for the move of a machine.
            ReceiptRejected: The receipt is not for this event, by these gates, now.
            IdempotencyConflict: The event was stored under this key before, and not judged by this
                policy.
            BatpakError: As `Store.append`.
        """
        require("receipt", receipt, Receipt)
        require("receipt", receipt.proposal, Proposal)
        spent = receipt.spend(self._policy.jury, extensions, self._max_age_ns)
        stored = store.append(
            coord,
            spent.encoded,
            expected_version=expected_version,
            idempotency_key=idempotency_key,
            caused_by=caused_by,
            correlation_id=correlation_id,
            flags=flags,
            extensions=spent.extensions if self._stamps else extensions,
            wait_for=wait_for,
            timeout_s=timeout_s,
        )
        if (
            stored.replayed
            and self._stamps
            and stored.extensions.get(POLICY) != self._policy.jury.stamp
        ):
            raise _not_ours(stored, idempotency_key)  # else a bypass would pass for judged
        return Committed(cast("P", _judged(spent.encoded)), stored, receipt.gates)

    @staticmethod
    def bypass(
        proposal: Proposal[B], reason: BypassReason, *, approved_by: str | None = None
    ) -> BypassReceipt[B]:
        """Let an event pass unjudged, with a reason that will be stored beside it.

        Args:
            proposal: Checked like any event; no gate is asked.
            reason: Anything with a `reason` and a `justification`.
            approved_by: Who took it upon themselves.

        Raises:
            InvalidArgument: Not a proposal, or a text is missing or blank.
            PayloadInvalid: The event may not be stored.
        """
        return issue(proposal, reason, approved_by)

    @staticmethod
    def commit_bypass(
        receipt: BypassReceipt[B],
        store: Ledger,
        coord: Coordinate,
        *,
        expected_version: int | None = None,
        idempotency_key: str | bytes | None = None,
        caused_by: Cause | None = None,
        correlation_id: UUID | None = None,
        flags: int = 0,
        extensions: Mapping[str, bytes] | None = None,
        wait_for: Watermark | None = None,
        timeout_s: float | None = None,
    ) -> Committed[B]:
        """Store an event that nobody judged, and why: a `BypassRecorded` in the same batch.

        The record is on the entity `batpak:bypass:` and that of the event, and is caused by it.
        Both are stored or neither is. The receipt is spent by the attempt, whatever comes of it.

        Args:
            receipt: From `bypass`.
            store: Where to.
            coord: As in `commit`; likewise the rest.
            expected_version: See there.
            idempotency_key: See there. A repetition has to give the same reason.
            caused_by: See there.
            correlation_id: See there.
            flags: See there.
            extensions: See there.
            wait_for: See there.
            timeout_s: See there.

        Raises:
            InvalidArgument: It is no bypass receipt.
            ReceiptRejected: The receipt was spent, or is not for this event.
            BatpakError: As `Store.append_batch`.
        """
        require("receipt", receipt, BypassReceipt)
        encoded, audit = receipt.spend(), receipt.audit
        event = _judged(encoded)
        item = BatchItem(
            coord,
            event,
            expected_version=expected_version,
            idempotency_key=idempotency_key,
            caused_by=caused_by,
            correlation_id=correlation_id,
            flags=flags,
            extensions=extensions,
        )
        key = None if idempotency_key is None else operation_key(_AUDIT, idempotency_key)
        items = item, bypass_item(coord, encoded, audit, key)
        stored, _ = store.append_batch(items, wait_for=wait_for, timeout_s=timeout_s)
        return Committed(cast("B", event), stored, (), audit)


def _judged(encoded: Encoded) -> EventPayload:
    """The event as it was judged: a copy that nobody else can change before it is stored."""
    return wire.decode(encoded.kind, encoded.version, encoded.data)


def _not_ours(stored: AppendReceipt, key: str | bytes | None) -> IdempotencyConflict:
    """The refusal of a replay whose event this policy has not judged."""
    known = (key.encode() if isinstance(key, str) else key) or b""
    return IdempotencyConflict(known, KeyFault.DIFFERS, frozenset({"policy"}), stored.sequence)


def _nanoseconds(argument: str, seconds: object) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        name = type(seconds).__name__
        raise InvalidArgument(argument, f"must be a number of seconds, not {name}")
    if not 1e-9 <= seconds <= _AGE_MAX_S:  # nor is it none at all
        limits = f"a nanosecond to {_AGE_MAX_S:,} seconds"
        raise InvalidArgument(argument, f"must be a number of seconds, from {limits}")
    return int(seconds * 1e9)
