r"""Proof: that a log has an event, for somebody who has the public key of the store and no store.

    note     a signed note: how many events there were, and the event_hash of the last one
    before   event_hash of the event in front of the proved one, or zeros
    event    the proved event, with its payload
    links    every event behind it, up to the last one of the note, without their payloads

From `before` and the event its event_hash is computed; from that and the first link the next one,
and so on; the last has to be the head of the note. Each hash covers the one before it, so nobody
can put another event there. A link has what its hash covers: header, coordinate, key, extensions
and the *hash* of its payload. So payloads of others stay where they are; the rest of what is said
of these events is disclosed, and a payload that is easy to guess can be guessed from its hash. The
size is linear in the number of links: take the note soon after the event.

    file     MessagePack ["batpak proof 1", note text, before, event, [link, …]]
    link     [head[1:126], entity, scope, opt, content_hash]; of the event itself: …, payload]

Reference: docs/reference/file-format.md, "Proofs".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, TypeAlias, cast, overload

from msgspec import Meta, Struct

from batpak import codec, event, wire
from batpak.coordinate import Coordinate
from batpak.digest import HASH_BYTES, content_hash
from batpak.errors import BatpakError, InvalidArgument
from batpak.event import Q, StoredEvent
from batpak.note import CheckpointNote
from batpak.override import override
from batpak.payload import EventPayload
from batpak.record import COVERED, EVENT, HEAD_BYTES, Opt, Parts
from batpak.signing.verdict import SHAPELESS, Invalid, InvalidReason, TrustVerdict, Unsigned
from batpak.signing.verify_key import VerifyKey
from batpak.wire import TYPED, Form, form_of

PROOF_EVENTS_MAX: Final = 100_000  # links
PROOF_BYTES_MAX: Final = 64 << 20
HASHED: Final = slice(COVERED.start, 126)  # of the head: what is covered, and prev_hash

_COVERED_BYTES: Final = COVERED.stop - COVERED.start
_HASHED_BYTES: Final = HASHED.stop - HASHED.start
_SEQUENCE: Final = slice(30 - HASHED.start, 38 - HASHED.start)
_Hash: TypeAlias = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
_Hashed: TypeAlias = Annotated[bytes, Meta(min_length=_HASHED_BYTES, max_length=_HASHED_BYTES)]


class Link(Struct, frozen=True, array_like=True, gc=False):
    """What is hashed of one event, but for the hash in front of it."""

    hashed: _Hashed
    entity: str
    scope: str
    opt: Opt | None
    content: bytes  # of the proved event its payload, of one behind it the hash of that

    @property
    def sequence(self) -> int:
        """Place in the store."""
        return int.from_bytes(self.hashed[_SEQUENCE], "big")

    def event_hash(self, store_id: bytes, log_prev: bytes, content: bytes) -> bytes:
        """The hash that this event has behind that one."""
        return event.event_hash(
            store_id,
            log_prev,
            self.hashed[_COVERED_BYTES:],
            self.hashed[:_COVERED_BYTES],
            self.entity.encode(),
            self.scope.encode(),
            codec.encode(self.opt),
            content,
        )


class _ProofFile(Struct, frozen=True, array_like=True):
    tag: Literal["batpak proof 1"]
    note: str
    before: _Hash
    proved: Link
    links: tuple[Link, ...]


_decode: Final = codec.decoder(_ProofFile).decode


class Proof(Struct, frozen=True):
    """What `Store.prove` gives. That there is one says nothing: `verify` does."""

    note: CheckpointNote
    before: bytes
    proved: Link
    links: tuple[Link, ...]

    def verify(
        self, trusted: Iterable[VerifyKey], *, accept_unsigned: bool = False
    ) -> TrustVerdict:
        """Whether a log that ended with this event, or with others behind it, was signed.

        Args:
            trusted: Public keys that the caller has from elsewhere; the note names one of them.
            accept_unsigned: Whether the note may be unsigned. `Unsigned` says that the event is in
                the log which the note is of: compare the note with one that was kept.

        Raises:
            InvalidArgument: Something among `trusted` is no key.
        """
        verdict: TrustVerdict = self.note.verify(trusted)
        if accept_unsigned and verdict == Invalid(InvalidReason.UNSIGNED):
            verdict = Unsigned()
        if isinstance(verdict, Invalid):
            return verdict
        reason = self._contradiction()
        return verdict if reason is None else Invalid(reason)

    def _contradiction(self) -> InvalidReason | None:
        """Why the chain does not lead from the event to the head of the note, if it does not."""
        try:
            Proof.from_bytes(self.to_bytes())
        except SHAPELESS:
            return InvalidReason.MALFORMED
        due = range(self.note.events - len(self.links) - 1, self.note.events)
        if [link.sequence for link in (self.proved, *self.links)] != list(due):
            return InvalidReason.SEQUENCE
        store_id = self.note.store_id.bytes
        head = self.proved.event_hash(store_id, self.before, content_hash(self.proved.content))
        for link in self.links:
            head = link.event_hash(store_id, head, link.content)
        return None if head == self.note.head else InvalidReason.EVENT_HASH

    @overload
    def event(self) -> StoredEvent[EventPayload]: ...

    @overload
    def event(self, *, form: Form[Q]) -> StoredEvent[Q]: ...

    def event(self, *, form: Form[Any] = TYPED) -> StoredEvent[Any]:
        """The proved event, as `Store.get` gives it. Verify first.

        Args:
            form: Of the payload.

        Raises:
            UnknownKind, FutureVersion, DecodeFailed: The payload cannot be read as that.
        """
        proved = self.proved
        content = content_hash(proved.content)
        own = proved.event_hash(self.note.store_id.bytes, self.before, content)
        head = b"".join((bytes([EVENT]), proved.hashed, own, bytes(HEAD_BYTES - HASHED.stop - 32)))
        record = codec.encode(Parts(head, proved.entity, proved.scope, proved.opt, proved.content))
        raw = StoredEvent(proved.content, record)
        kind, version = raw.kind, raw.payload_version
        try:
            payload = wire.decoder(kind, version, form_of(form), raw.sequence)(proved.content)
        except wire.UNDECODABLE as error:
            if isinstance(error, BatpakError):
                raise
            raise wire.decode_failed(error, kind, version, raw.sequence) from error
        return StoredEvent(payload, record)

    def to_bytes(self) -> bytes:
        """The proof as bytes, to be given to somebody. `from_bytes` reads it back."""
        file = _ProofFile("batpak proof 1", str(self.note), self.before, self.proved, self.links)
        return codec.encode(file)

    @staticmethod
    def from_bytes(data: bytes) -> Proof:
        """Read a proof back. That it has the shape of one says nothing: see `verify`.

        Raises:
            InvalidArgument: These bytes are no proof.
        """
        given = cast("object", data)  # callers may have no type checker
        if not isinstance(given, bytes):
            raise InvalidArgument("proof", f"must be bytes, not {type(given).__name__}")
        if len(given) > PROOF_BYTES_MAX:
            raise InvalidArgument("proof", f"has more than {PROOF_BYTES_MAX:,} bytes")
        try:
            file = _decode(given)
            note = CheckpointNote.parse(file.note)
            is_right = (
                str(note) == file.note
                and len(file.links) <= PROOF_EVENTS_MAX
                and all(len(link.content) == HASH_BYTES for link in file.links)
                and codec.encode(file) == given
            )
            for link in (file.proved, *file.links):
                Coordinate(link.entity, link.scope)
        except (codec.DecodeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidArgument("proof", f"these bytes are none: {error}") from error
        if not is_right:
            raise InvalidArgument("proof", "these bytes are none, in its one spelling")
        return Proof(note, file.before, file.proved, file.links)

    @override
    def __repr__(self) -> str:
        sequence, events = self.proved.sequence, self.note.events
        return f"Proof(sequence={sequence}, links={len(self.links)}, events={events})"
