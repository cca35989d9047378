"""Bypasses: storing an event without asking its gates, with a reason that is stored beside it."""

from __future__ import annotations

from typing import Generic, Protocol, final

from msgspec import Struct

from batpak import wire
from batpak.arguments import text_of
from batpak.errors import InvalidArgument
from batpak.event import P_co
from batpak.faults import ReceiptFault
from batpak.guard.proposal import Proposal, R
from batpak.guard.receipt import Claim, Sealed, claimed, rejected
from batpak.ids import operation_key
from batpak.platform import REAL
from batpak.seal import SEAL, Seal
from batpak.wire import Encoded


class BypassReason(Protocol):
    """Why gates are not asked. Both are text and not blank; their meaning is the program's."""

    @property
    def reason(self) -> str:
        """What kind of reason it is, such as `outage`: for counting."""
        ...

    @property
    def justification(self) -> str:
        """What it was this time, for whoever asks later."""
        ...


@final
class BypassAudit(Struct, frozen=True):
    """Why an event was not judged, and who said so."""

    reason: str
    justification: str
    approved_by: str | None = None


@final
class BypassReceipt(Sealed[Proposal[P_co]], Generic[P_co]):
    """Nobody judged this, and it says why. No `Receipt`, and so it never passes for one.

    Spent by committing it, also if the append then fails. Cannot be made, copied or pickled;
    `Pipeline.bypass` gives one.
    """

    __slots__ = ("_audit",)

    def __init__(
        self, _key: Seal, proposal: Proposal[P_co], claim: Claim, process: int, audit: BypassAudit
    ) -> None:
        """Closed: use `Pipeline.bypass`."""
        super().__init__(_key, proposal, claim, process)
        self._audit = audit

    @property
    def audit(self) -> BypassAudit:
        """What will be stored beside the event."""
        return self._audit

    def spend(self) -> Encoded:
        """Use the receipt up, whatever comes of it, and return its event, encoded.

        Raises:
            ReceiptRejected: It was spent before, made up, or is about something else.
        """
        try:
            audit = self._audit
        except AttributeError:  # made around the constructor
            raise rejected(ReceiptFault.FORGED) from None
        return self._spend(_fingerprint(audit))


def issue(proposal: Proposal[R], reason: BypassReason, approved_by: str | None) -> BypassReceipt[R]:
    """A receipt for what nobody judged, in the bytes that it has now.

    Raises:
        InvalidArgument: Not a proposal, or a text of the audit is none or blank.
        PayloadInvalid: The event may not be stored.
    """
    if type(proposal) is not Proposal:
        raise InvalidArgument("proposal", f"must be a Proposal, not {type(proposal).__name__}")
    audit = BypassAudit(
        _text("reason", getattr(reason, "reason", None)),
        _text("justification", getattr(reason, "justification", None)),
        None if approved_by is None else _text("approved_by", approved_by),
    )
    claim = claimed(proposal, wire.encode(proposal.event), _fingerprint(audit))
    return BypassReceipt(SEAL, proposal, claim, REAL.pid(), audit)


def _text(argument: str, value: object) -> str:
    text = text_of(argument, value)
    if not text.strip():
        raise InvalidArgument(argument, "must not be blank")
    return text


def _fingerprint(audit: BypassAudit) -> bytes:
    approved = [] if audit.approved_by is None else [audit.approved_by]
    return operation_key("batpak/bypass/1", audit.reason, audit.justification, *approved)
