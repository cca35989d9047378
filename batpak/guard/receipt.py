"""Receipts: proof that every gate of one policy permitted one proposal, to be spent once.

    ticket   a list of one tag, popped by the first attempt to commit
    tag      BLAKE3, keyed by this process, over MessagePack of
             [kind, payload version, content hash, fingerprint, issued by the wall and by the
              monotonic clock, entity, scope, version, state]

The position (the last four) is that of the handle a move comes from; a proposal has none. Spending
encodes the event again and compares everything with what was judged, so what is stored is what was
permitted, byte for byte. This stops mistakes, replays, other processes and thinner sets of gates.
It does not stop hostile code in the same interpreter; nothing in Python does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, Generic, NoReturn, TypeAlias, TypeVar, cast, final

from msgspec import Struct

from batpak import codec, digest, wire
from batpak.append import OwnExtensions
from batpak.clock import Hlc
from batpak.errors import InvalidArgument, PayloadInvalid, ReceiptRejected
from batpak.faults import ReceiptFault
from batpak.guard.jury import Jury
from batpak.guard.proposal import Proposal
from batpak.override import override
from batpak.payload import EventPayload
from batpak.platform import REAL
from batpak.seal import SEAL, Seal
from batpak.typestate import Guarded
from batpak.wire import Encoded

AnyProposal: TypeAlias = Guarded[Any, Any, EventPayload, Any] | Proposal[EventPayload]
Q = TypeVar("Q", bound=AnyProposal)
Q_co = TypeVar("Q_co", bound=AnyProposal, covariant=True)


class Claim(Struct, frozen=True, array_like=True, gc=False):
    """What a receipt is about: everything that its tag covers."""

    kind: int
    payload_version: int
    content_hash: bytes
    fingerprint: bytes
    issued_ms: int  # since 1970: for people
    issued_ns: int  # by a clock that nobody sets: for its age
    entity: str
    scope: str
    version: int
    state: str


class Sealed(Generic[Q_co]):
    """What may be done once, in this process, with exactly what was encoded when it was made."""

    __slots__ = ("_claim", "_process", "_proposal", "_ticket")

    def __init__(self, _key: Seal, proposal: Q_co, claim: Claim, process: int) -> None:
        if _key is not SEAL:
            raise rejected(ReceiptFault.FORGED)
        self._proposal = proposal
        self._claim = claim
        self._process = process
        self._ticket = [_tag(process, claim)]

    @property
    def proposal(self) -> Q_co:
        """What it is about.

        Raises:
            ReceiptRejected: An empty hull, made around the constructor.
        """
        try:
            return self._proposal
        except AttributeError:
            raise rejected(ReceiptFault.FORGED) from None

    @property
    def issued_at(self) -> dt.datetime:
        """When it was made, by the wall clock, as an aware UTC datetime."""
        return Hlc(self._claim.issued_ms, 0).recorded_at

    def _spend(self, fingerprint: bytes, max_age_ns: int | None = None) -> Encoded:
        """Use it up, whatever comes of it, and return its event as it was, encoded.

        Raises:
            ReceiptRejected: It was spent before, made up, or is about something else.
        """
        try:
            issued, about, process, ticket = (
                self._claim,
                self._proposal,
                self._process,
                self._ticket,
            )
        except AttributeError:  # made around the constructor
            raise rejected(ReceiptFault.FORGED) from None
        try:
            tag = ticket.pop()  # atomic: of many threads one gets it
        except IndexError:
            raise rejected(ReceiptFault.SPENT) from None
        if process != REAL.pid():
            raise rejected(ReceiptFault.FOREIGN)
        try:
            encoded = wire.encode(about.event)
        except (InvalidArgument, PayloadInvalid) as error:
            raise rejected(ReceiptFault.PAYLOAD_CHANGED) from error
        claim = _claim(about, encoded, fingerprint, issued.issued_ms, issued.issued_ns)
        if claim != issued:
            raise rejected(_difference(claim, issued))
        if tag != _tag(process, claim):
            raise rejected(ReceiptFault.FORGED)
        if max_age_ns is not None and REAL.monotonic_ns() - issued.issued_ns > max_age_ns:
            raise rejected(ReceiptFault.EXPIRED)
        return encoded

    @override
    def __reduce__(self) -> NoReturn:
        raise TypeError("a receipt is single-use; it cannot be copied or pickled")


@final
class Spent(Struct, frozen=True):
    """What a receipt was good for: the event as it was judged, and its extensions, stamped."""

    encoded: Encoded
    extensions: Mapping[str, bytes]


@final
class Receipt(Sealed[Q_co]):
    """Every gate permitted this. Spent by committing it, also if the append then fails.

    Cannot be made, copied or pickled; `evaluate` of a set of gates gives one.
    """

    __slots__ = ("_jury",)

    def __init__(self, _key: Seal, proposal: Q_co, claim: Claim, process: int, jury: Jury) -> None:
        """Closed: use `evaluate` of a set of gates."""
        super().__init__(_key, proposal, claim, process)
        self._jury = jury

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates, in the order they were asked."""
        return self._jury.names

    @property
    def fingerprint(self) -> bytes:
        """Of the policy, as it was when it judged."""
        return self._claim.fingerprint

    def spend(
        self,
        jury: Jury,
        extensions: Mapping[str, bytes] | None = None,
        max_age_ns: int | None = None,
    ) -> Spent:
        """Use the receipt up, whatever comes of it, and return what is to be stored.

        This is the only source of a stamp, and the stamp fits no other event.

        Args:
            jury: Of the policy that the event needs, from whoever enforces it.
            extensions: Those of the caller.
            max_age_ns: How old it may be at most, by the monotonic clock.

        Raises:
            ReceiptRejected: It was spent before, made up, too old, or is about something else.
            InvalidArgument: The extensions are no mapping, or have a stamp already.
        """
        encoded = self._spend(jury.fingerprint, max_age_ns)
        if not self._jury.has_judged_as(jury):
            raise rejected(ReceiptFault.WRONG_POLICY)
        if extensions is None:
            extensions = {}
        elif not isinstance(cast("object", extensions), Mapping):
            raise InvalidArgument("extensions", "must be a mapping of names to bytes")
        return Spent(encoded, OwnExtensions(SEAL, extensions, jury.stamp, encoded))


def mint(proposal: Q, encoded: Encoded, jury: Jury) -> Receipt[Q]:
    """A receipt for what every gate has permitted, in the bytes that they saw."""
    claim = claimed(proposal, encoded, jury.fingerprint)
    return Receipt(SEAL, proposal, claim, REAL.pid(), jury)


def claimed(proposal: AnyProposal, encoded: Encoded, fingerprint: bytes) -> Claim:
    """What a receipt that is made now is about."""
    wall_ms = REAL.wall_ns() // 1_000_000
    return _claim(proposal, encoded, fingerprint, wall_ms, REAL.monotonic_ns())


def _claim(
    proposal: AnyProposal, encoded: Encoded, fingerprint: bytes, issued_ms: int, issued_ns: int
) -> Claim:
    entity, scope, version, state = "", "", 0, ""
    if type(proposal) is Guarded:
        source = proposal.source
        coordinate = source.coordinate
        entity, scope = coordinate.entity, coordinate.scope
        version, state = source.version, type(source).__name__
    return Claim(
        int(encoded.kind),
        encoded.version,
        encoded.content_hash,
        fingerprint,
        issued_ms,
        issued_ns,
        entity,
        scope,
        version,
        state,
    )


def _difference(claim: Claim, issued: Claim) -> ReceiptFault:
    """What is not as it was issued."""
    if (
        claim.content_hash != issued.content_hash
        or claim.kind != issued.kind
        or claim.payload_version != issued.payload_version
    ):
        return ReceiptFault.PAYLOAD_CHANGED
    if claim.fingerprint != issued.fingerprint:
        return ReceiptFault.WRONG_POLICY
    return ReceiptFault.MOVED


def rejected(reason: ReceiptFault) -> ReceiptRejected:
    """The refusal of a receipt, in words."""
    return ReceiptRejected(reason, _REASONS[reason])


_REASONS: Final = {
    ReceiptFault.SPENT: "this receipt was used before",
    ReceiptFault.FORGED: "nobody has issued this receipt",
    ReceiptFault.PAYLOAD_CHANGED: "the event is not the one that was judged",
    ReceiptFault.WRONG_POLICY: "other gates have judged this",
    ReceiptFault.MOVED: "the move was judged from another handle",
    ReceiptFault.FOREIGN: "this receipt is from another process",
    ReceiptFault.EXPIRED: "this receipt is too old",
}

_KEYS: Final[dict[int, bytes]] = {}  # process id -> key: a forked child has its own


def _tag(process: int, claim: Claim) -> bytes:
    key = _KEYS.get(process) or _KEYS.setdefault(process, REAL.entropy(32))
    return digest.keyed_tag(key, codec.encode(claim))
