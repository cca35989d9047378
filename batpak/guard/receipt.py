"""Receipts: proof that every gate of one policy permitted one move, to be spent once.

    ticket   a list of one tag, popped by the first attempt to commit
    tag      BLAKE3, keyed by this process, over msgpack of
             (kind, payload version, content hash, fingerprint, issued,
              entity, scope, version, state)

Spending encodes the event again and compares everything with what was judged, so what is stored
is what was permitted, byte for byte. This stops mistakes, replays, other processes and thinner
sets of gates. It does not stop hostile code in the same interpreter; nothing in Python does.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, Generic, NamedTuple, NoReturn, TypeAlias, TypeVar, final

from batpak import codec, digest, wire
from batpak.clock import Hlc
from batpak.errors import PayloadInvalid, ReceiptRejected
from batpak.faults import ReceiptFault
from batpak.override import override
from batpak.payload import EventPayload
from batpak.platform import REAL
from batpak.seal import SEAL, Seal
from batpak.typestate import Guarded
from batpak.wire import Encoded

AnyMove: TypeAlias = Guarded[Any, Any, EventPayload, Any]
Q = TypeVar("Q", bound=AnyMove)
Q_co = TypeVar("Q_co", bound=AnyMove, covariant=True)


class Claim(NamedTuple):
    """What a receipt is about: everything that its tag covers."""

    kind: int
    payload_version: int
    content_hash: bytes
    fingerprint: bytes
    issued_ms: int
    entity: str
    scope: str
    version: int
    state: str


@final
class Receipt(Generic[Q_co]):
    """Every gate permitted this move. Spent by committing it, also if the append then fails.

    Cannot be made, copied or pickled; `evaluate` of a set of gates gives one.
    """

    __slots__ = ("_claim", "_gates", "_process", "_proposal", "_ticket")

    def __init__(
        self, _key: Seal, proposal: Q_co, claim: Claim, gates: tuple[str, ...], process: int
    ) -> None:
        """Closed: use `evaluate` of a set of gates."""
        if _key is not SEAL:
            raise _rejected(ReceiptFault.FORGED)
        self._proposal = proposal
        self._claim = claim
        self._gates = gates
        self._process = process
        self._ticket = [_tag(process, claim)]

    @property
    def proposal(self) -> Q_co:
        """The move that was judged.

        Raises:
            ReceiptRejected: An empty hull, made around the constructor.
        """
        try:
            return self._proposal
        except AttributeError:
            raise _rejected(ReceiptFault.FORGED) from None

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates, in the order they were asked."""
        return self._gates

    @property
    def fingerprint(self) -> bytes:
        """Of the policy, as it was when it judged."""
        return self._claim.fingerprint

    @property
    def issued_at(self) -> dt.datetime:
        """When it was judged, by the wall clock, as an aware UTC datetime."""
        return Hlc(self._claim.issued_ms, 0).recorded_at

    def spend(self, fingerprint: bytes) -> Encoded:
        """Use the receipt up, whatever comes of it, and return its event as judged, encoded.

        Args:
            fingerprint: Of the policy that the move needs, from whoever enforces it.

        Raises:
            ReceiptRejected: It was spent before, made up, or is about something else.
        """
        try:
            issued, move, process, ticket = self._claim, self._proposal, self._process, self._ticket
        except AttributeError:  # made around the constructor
            raise _rejected(ReceiptFault.FORGED) from None
        try:
            tag = ticket.pop()  # atomic: of many threads one gets it
        except IndexError:
            raise _rejected(ReceiptFault.SPENT) from None
        if process != REAL.pid():
            raise _rejected(ReceiptFault.FOREIGN)
        try:
            encoded = wire.encode(move.event)
        except PayloadInvalid as error:
            raise _rejected(ReceiptFault.PAYLOAD_CHANGED) from error
        claim = _claim(move, encoded, fingerprint, issued.issued_ms)
        if claim[:3] != issued[:3]:
            raise _rejected(ReceiptFault.PAYLOAD_CHANGED)
        if claim.fingerprint != issued.fingerprint:
            raise _rejected(ReceiptFault.WRONG_POLICY)
        if claim != issued:
            raise _rejected(ReceiptFault.MOVED)
        if tag != _tag(process, claim):
            raise _rejected(ReceiptFault.FORGED)
        return encoded

    @override
    def __reduce__(self) -> NoReturn:
        raise TypeError("a receipt is single-use; it cannot be copied or pickled")


def mint(proposal: Q, encoded: Encoded, gates: tuple[str, ...], fingerprint: bytes) -> Receipt[Q]:
    """A receipt for a move that every gate has permitted, in the bytes that they saw."""
    claim = _claim(proposal, encoded, fingerprint, REAL.wall_ns() // 1_000_000)
    return Receipt(SEAL, proposal, claim, gates, REAL.pid())


def _claim(move: AnyMove, encoded: Encoded, fingerprint: bytes, issued_ms: int) -> Claim:
    source = move.source
    return Claim(
        int(encoded.kind),
        encoded.version,
        encoded.content_hash,
        fingerprint,
        issued_ms,
        source.coordinate.entity,
        source.coordinate.scope,
        source.version,
        type(source).__name__,
    )


def _rejected(reason: ReceiptFault) -> ReceiptRejected:
    return ReceiptRejected(reason, _REASONS[reason])


_REASONS: Final = {
    ReceiptFault.SPENT: "this receipt was used before",
    ReceiptFault.FORGED: "no set of gates made this receipt",
    ReceiptFault.PAYLOAD_CHANGED: "the event is not the one that was judged",
    ReceiptFault.WRONG_POLICY: "other gates have judged this move",
    ReceiptFault.MOVED: "the move was judged from another handle",
    ReceiptFault.FOREIGN: "this receipt is from another process",
}

_KEYS: Final[dict[int, bytes]] = {}  # process id -> key: a forked child has its own


def _tag(process: int, claim: Claim) -> bytes:
    key = _KEYS.get(process) or _KEYS.setdefault(process, REAL.entropy(32))
    return digest.keyed_tag(key, codec.encode(claim))
