"""Every exception of batpak, in one tree, grouped by the operation that raises it.

Catch `BatpakError` for all of them, a group for a kind of trouble, a class for one case. Details
are attributes: nobody has to read message text. Messages hold no payload values, except the problem
strings of `PayloadInvalid` and what a gate or an outcome says in `Denied` and `OutcomeFailure`.
Instances pickle. Misuse in Python (copying a key) is a TypeError. See docs/reference/errors.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final
from uuid import UUID

from batpak.faults import (
    COORDINATE_RULES,
    KEY_HINTS,
    SIGNING_HINTS,
    WAIT_HINTS,
    CoordinateFault,
    Damage,
    DecodeStage,
    KeyFault,
    KindFault,
    ParentFault,
    ReceiptFault,
    SigningFault,
    WriteState,
)
from batpak.override import override


class BatpakError(Exception):
    """The root. `hint` is the next step; `retryable` says whether repeating as is can help."""

    code: ClassVar[str] = "batpak"
    retryable: bool = False
    item_index: int | None = None
    """Position of the item in its batch that the error is about."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # so that a traceback shows the way out

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(
    cls: type[BatpakError], args: tuple[object, ...], state: Mapping[str, object]
) -> BatpakError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


# ------------------------------------------------------------------ the call itself was wrong


class UsageError(BatpakError, ValueError):
    """The call cannot succeed as written. Nothing was changed."""

    code = "usage"


@final
class InvalidArgument(UsageError):
    """A setting or argument is malformed, out of bounds, or not allowed here."""

    code = "invalid-argument"

    def __init__(self, argument: str, reason: str, *, hint: str = "") -> None:
        self.argument, self.reason = argument, reason
        super().__init__(f"{argument}: {reason}", hint=hint)


@final
class InvalidCoordinate(UsageError):
    """An entity or a scope breaks a rule of docs/reference/limits.md, "Coordinates"."""

    code = "invalid-coordinate"

    def __init__(self, component: str, reason: CoordinateFault, value: str) -> None:
        self.component, self.reason, self.value = component, reason, value
        shown = ascii(value if len(value) <= 64 else value[:64] + "…")
        super().__init__(f"{component} {shown}: {COORDINATE_RULES[reason]}")


@final
class InvalidKind(UsageError):
    """A category or id is out of range, or a reserved category was given to a user call."""

    code = "invalid-kind"

    def __init__(self, raw: int, reason: KindFault, message: str) -> None:
        self.raw, self.reason = raw, reason
        super().__init__(message)


@final
class KindMismatch(UsageError):
    """A typed read asked for one kind and the event has another."""

    code = "kind-mismatch"

    def __init__(self, expected: int, got: int, event_id: UUID) -> None:
        self.expected, self.got, self.event_id = expected, got, event_id
        super().__init__(f"event {event_id} has kind {got:#06x}, not {expected:#06x}")


@final
class UnknownKind(UsageError):
    """A typed read met a kind that no imported class claims."""

    code = "unknown-kind"

    def __init__(self, kind: int, payload_version: int, sequence: int | None) -> None:
        self.kind, self.payload_version, self.sequence = kind, payload_version, sequence
        at = "" if sequence is None else f" (event {sequence})"
        super().__init__(
            f"no imported class has kind {kind:#06x}{at}",
            hint="import the generated package that declares it, or call its registry.load()",
        )


@final
class RegistryError(UsageError):
    """Two classes claim one kind, or a class has a bad KIND or VERSION."""

    code = "registry"

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@final
class PayloadInvalid(UsageError):
    """The payload may not be stored: every problem is listed, none was written."""

    code = "payload-invalid"

    def __init__(self, name: str, kind: int, problems: tuple[str, ...]) -> None:
        self.kind, self.problems = kind, problems
        super().__init__(f"{name}: {'; '.join(problems)}")


@final
class TooLarge(UsageError):
    """A size is over its limit (docs/reference/limits.md)."""

    code = "too-large"

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.what, self.size, self.limit = what, size, limit
        super().__init__(f"{what} is {size:,}, at most {limit:,} is allowed")


# ------------------------------------------------------- the log is not as the call expected it


class ConflictError(BatpakError):
    """The request is well formed, but the log says otherwise. Nothing was written."""

    code = "conflict"


class VersionConflict(ConflictError):
    """`expected_version` does not hold."""

    code = "version-conflict"

    def __init__(self, entity: str, expected: int, actual: int, message: str | None = None) -> None:
        self.entity, self.expected, self.actual = entity, expected, actual
        if message is None:
            super().__init__(f"{entity} has {actual} events, not {expected}", hint="load it again")
        else:
            super().__init__(message)


@final
class StaleState(VersionConflict):
    """The handle is old: the entity has moved on since it was read."""

    code = "stale-state"

    def __init__(self, handle: str, entity: str, expected: int, actual: int) -> None:
        if expected == 0:
            text = f"{handle} {entity!r} exists already, at version {actual}; load it"
        else:
            text = (
                f"{handle} {entity!r} was read at version {expected},"
                f" the entity is now at version {actual}; load it again"
            )
        super().__init__(entity, expected, actual, text)


@final
class IdempotencyConflict(ConflictError):
    """A key means one thing for ever, and this call means another.

    `differs` names what differs from the event at `sequence`, if there is one.
    """

    code = "idempotency-conflict"

    def __init__(
        self,
        key: bytes,
        reason: KeyFault,
        differs: frozenset[str] = frozenset(),
        sequence: int | None = None,
    ) -> None:
        self.key, self.reason, self.differs, self.sequence = key, reason, differs, sequence
        super().__init__(_key_sentence(self), hint=KEY_HINTS[reason])


def _key_sentence(error: IdempotencyConflict) -> str:
    if error.reason is KeyFault.DIFFERS:
        names = ", ".join(sorted(error.differs))
        first = "an earlier item" if error.sequence is None else f"event {error.sequence}"
        return f"the key of {first} was used again with another {names}"
    return {
        KeyFault.PARTIAL: "some items of the batch are stored already, and some are not",
        KeyFault.MIXED: "some items of the batch have an idempotency key, and some have none",
        KeyFault.DUPLICATE: "two items of the batch have the same idempotency key",
    }.get(error.reason, "the batch stored under this key has another number of items")


@final
class UnknownParent(ConflictError):
    """`caused_by` names no event of this store, or no earlier item of the batch."""

    code = "unknown-parent"

    def __init__(self, parent: UUID | int, reason: ParentFault = ParentFault.ABSENT) -> None:
        self.parent, self.reason = parent, reason
        if reason is ParentFault.ABSENT:
            super().__init__(f"no event {parent} in this store to be caused by")
        else:
            super().__init__(f"item {parent} does not come earlier in the batch")


@final
class EventNotFound(ConflictError):
    """No event has this id or sequence, or compaction has `dropped` the one that had it."""

    code = "event-not-found"

    def __init__(self, which: UUID | int, *, dropped: bool = False) -> None:
        self.which, self.dropped = which, dropped
        super().__init__(f"no event {which} in this store" + " any more" * dropped)


# ------------------------------------------------------------- the handle cannot serve this now


class UnavailableError(BatpakError):
    """The store, or this handle on it, cannot do that now."""

    code = "unavailable"


@final
class StoreLocked(UnavailableError):
    """Another handle holds the directory: one writer, or any number of readers."""

    code = "store-locked"
    retryable = True

    def __init__(self, path: str, mode: str, holder_pid: int | None) -> None:
        self.path, self.mode, self.holder_pid = path, mode, holder_pid
        by = f" by process {holder_pid}" if holder_pid is not None else ""
        super().__init__(
            f"{path} is in use{by}; cannot open it for {mode}",
            hint="close the other handle; one process writes at a time",
        )


@final
class StoreClosed(UnavailableError):
    """The handle was closed before or during the call; nothing was written by it."""

    code = "store-closed"

    def __init__(self) -> None:
        super().__init__("this store handle is closed", hint="open the store again")


@final
class StoreReadOnly(UnavailableError, AttributeError):
    """A writing verb was called on a handle that only reads."""

    code = "store-read-only"

    def __init__(self, verb: str) -> None:
        self.verb = verb
        super().__init__(
            f"this store was opened for reading; it has no {verb}()",
            hint="open it with Store.open to write",
        )


@final
class ForkedStoreError(UnavailableError):
    """The handle was opened before a fork and used in the child."""

    code = "forked-store"

    def __init__(self, opener_pid: int) -> None:
        self.opener_pid = opener_pid
        super().__init__(
            f"this store was opened by process {opener_pid}, before a fork",
            hint="open the store in the process that uses it",
        )


@final
class WaitTimeout(UnavailableError, TimeoutError):
    """Time ran out: `reached` is not past `target`. `state` says what is known of a write."""

    code = "wait-timeout"
    target: int | None = None
    reached: int | None = None

    def __init__(self, waiting_for: str, waited_s: float, state: WriteState | None = None) -> None:
        self.waiting_for, self.waited_s, self.state = waiting_for, waited_s, state
        self.retryable = state is not WriteState.COMMITTED
        text = f"{waiting_for} took longer than {waited_s:g} s"
        super().__init__(text, hint="" if state is None else WAIT_HINTS[state])


@final
class StorePoisoned(UnavailableError):
    """The writer stopped itself after a failure it could not undo. Reads go on."""

    code = "store-poisoned"

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause
        super().__init__(
            f"this store stopped writing after: {cause}", hint="close it and open it again"
        )


# ------------------------------------------------------------------ the operating system refused


class StorageError(BatpakError):
    """The operating system refused something."""

    code = "storage"


@final
class StorageFailed(StorageError):
    """The operating system refused, and nothing became visible. Retryable iff the disk was full."""

    code = "storage-failed"

    def __init__(self, operation: str, path: str, errno: int | None, reason: str) -> None:
        self.operation, self.path, self.errno = operation, path, errno
        self.full = errno in (28, 122)  # ENOSPC, EDQUOT
        self.retryable = self.full
        hint = "free some space, then repeat" if self.full else ""
        super().__init__(f"{operation} {path}: {reason}", hint=hint)


@final
class DurabilityUnknown(StorageError):
    """A sync failed, or a write that cannot be undone: only reopening can tell what is there."""

    code = "durability-unknown"

    def __init__(self, first_sequence: int, last_sequence: int, cause: BaseException) -> None:
        self.first_sequence, self.last_sequence, self.cause = first_sequence, last_sequence, cause
        super().__init__(
            f"whether events {first_sequence}..{last_sequence} are stored is not known: {cause}",
            hint="open the store again; repeating with the same idempotency key is safe",
        )


# ------------------------------------------------------------------------ stored bytes are wrong


class DamageError(BatpakError):
    """Stored bytes are wrong, or newer than this code."""

    code = "damage"


@final
class CorruptStore(DamageError):
    """Bytes that cannot be rebuilt are wrong. Nothing was repaired by guessing.

    `offset` counts bytes from the start of the file `path`.
    """

    code = "corrupt-store"

    def __init__(self, path: str, offset: int, reason: Damage, detail: str) -> None:
        self.path, self.offset, self.reason, self.detail = path, offset, reason, detail
        super().__init__(
            f"{path}: offset {offset}: {detail} [{reason.value}]",
            hint="see `batpak repair`, or restore a copy; keep this one, it is the evidence",
        )


@final
class FutureVersion(DamageError):
    """The bytes are from a newer version of the format or of a payload."""

    code = "future-version"

    def __init__(self, what: str, found: int, supported: int) -> None:
        self.what, self.found, self.supported = what, found, supported
        super().__init__(
            f"{what} has version {found}; this code knows versions up to {supported}",
            hint="upgrade the program that reads this store",
        )


@final
class DecodeFailed(DamageError):
    """The kind is right and its bytes do not decode. Never skipped."""

    code = "decode-failed"

    def __init__(
        self, kind: int, payload_version: int, sequence: int | None, stage: DecodeStage, reason: str
    ) -> None:
        self.kind, self.payload_version, self.sequence = kind, payload_version, sequence
        self.stage = stage
        at = "" if sequence is None else f" of event {sequence}"
        text = f"payload {kind:#06x} v{payload_version}{at}: {reason} [{stage.value}]"
        hint = at and f"`batpak show STORE {sequence}` prints it as it is stored"
        super().__init__(text, hint=hint)


# --------------------------------------------------------------------------- policy said no


class PolicyError(BatpakError):
    """A gate, a receipt or a state machine refused. Nothing was written."""

    code = "policy"


@final
class ReceiptRejected(PolicyError):
    """The receipt does not prove what is to be committed. Judge it again, for another one."""

    code = "receipt-rejected"

    def __init__(self, reason: ReceiptFault, message: str) -> None:
        self.reason = reason
        super().__init__(
            f"{message} [{reason.value}]", hint="a receipt is for one use; evaluate again"
        )


@final
class IllegalTransition(PolicyError, AttributeError, TypeError):
    """The move is not legal from this state, or not without its gates."""

    code = "illegal-transition"


@final
class IllegalHistory(PolicyError):
    """The stored events of an entity are not a walk of its machine."""

    code = "illegal-history"

    def __init__(
        self, machine: str, event: str, version: int, state: str, detail: str = ""
    ) -> None:
        self.machine, self.event, self.version, self.state = machine, event, version, state
        super().__init__(f"{machine}: {event} at version {version} while {state}{detail}")


# ------------------------------------------------------------------------- there is no such key


@final
class SigningError(BatpakError):
    """A key cannot be taken, or nothing can be signed. Never holds what a key is made of.

    `sequence` is None unless an event was stored before its receipt could not be signed.
    """

    code = "signing"

    def __init__(self, reason: SigningFault, message: str, sequence: int | None = None) -> None:
        self.reason, self.sequence = reason, sequence
        super().__init__(f"{message} [{reason.value}]", hint=SIGNING_HINTS[reason])
