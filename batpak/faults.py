"""Faults: what exactly is wrong, as an exception tells it in one of its attributes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class CoordinateFault(StrEnum):
    """What is wrong with one component of a coordinate; checked in this order."""

    EMPTY = "empty"
    TOO_LONG = "too-long"
    NOT_UTF8 = "not-utf8"
    NUL = "nul"
    CONTROL = "control"
    PATH = "path"
    SEPARATOR = "separator"
    RESERVED = "reserved"


COORDINATE_RULES: Final = {
    CoordinateFault.EMPTY: "must not be empty",
    CoordinateFault.TOO_LONG: "must be at most 1024 bytes of UTF-8",
    CoordinateFault.NOT_UTF8: "has a lone surrogate, which UTF-8 cannot hold",
    CoordinateFault.NUL: "must not contain U+0000",
    CoordinateFault.CONTROL: "must not contain control characters",
    CoordinateFault.PATH: "must not contain '/' or '..'",
    CoordinateFault.SEPARATOR: "must not contain '|' or '='",
    CoordinateFault.RESERVED: "begins with 'batpak:', which only the store itself writes",
}


class KindFault(StrEnum):
    """Why a number is not a kind that a user may write."""

    CATEGORY = "category"
    RESERVED = "reserved"
    TYPE_ID = "type-id"


class KeyFault(StrEnum):
    """Why an idempotency key cannot be taken at its word."""

    DIFFERS = "differs"  # it belongs to another event
    PARTIAL = "partial"  # some keys of the batch are known, and some are not
    MIXED = "mixed"  # some items of the batch have keys, and some have none
    DUPLICATE = "duplicate"  # two items of the batch have one key
    COUNT = "count"  # the batch of this key had another number of items


KEY_HINTS: Final = {
    KeyFault.DIFFERS: "one key means one event for ever; use a new key for a new event",
    KeyFault.PARTIAL: "repeat the batch exactly as it was, or use new keys",
    KeyFault.MIXED: "give every item a key, or none, or the batch one key",
    KeyFault.DUPLICATE: "give every item a key of its own",
    KeyFault.COUNT: "repeat the batch exactly as it was, or use a new key",
}


class ParentFault(StrEnum):
    """Why `caused_by` names nothing that can have caused an event."""

    ABSENT = "absent"
    PRIOR_ITEM = "prior-item"  # not an earlier item of the same batch


class FenceState(StrEnum):
    """How a visibility fence stands."""

    ACTIVE = "active"  # open: nothing but what it stages is stored
    COMMITTED = "committed"
    CANCELLED = "cancelled"  # by its owner, or because it was lost or the store was closed
    EXPIRED = "expired"  # it was left open for too long, and somebody else was to write
    UNKNOWN = "unknown"  # its commit was not known to be durable: only an open can tell


FENCE_HINTS: Final = {
    FenceState.ACTIVE: "repeat it when the fence is over, or stage it on the fence",
    FenceState.COMMITTED: "open another fence",
    FenceState.CANCELLED: "nothing of it is stored; do it again in another fence",
    FenceState.EXPIRED: "nothing of it is stored; commit sooner, or raise limits.fence_timeout_s",
    FenceState.UNKNOWN: "open the store again; repeating with the same idempotency keys is safe",
}


class WriteState(StrEnum):
    """What is known of a write when time ran out."""

    NOT_WRITTEN = "not-written"
    UNDECIDED = "undecided"  # it may still be written
    COMMITTED = "committed"


WAIT_HINTS: Final = {
    WriteState.NOT_WRITTEN: "nothing is stored; repeat it when there is time",
    WriteState.UNDECIDED: "ask again, or drop it: it stays in line",
    WriteState.COMMITTED: "do not repeat it without its key; interrupted_receipt has its receipt",
}


class Damage(StrEnum):
    """Which promise of the format the bytes break."""

    CRC = "crc"
    FRAME = "frame"
    SEGMENT = "segment"
    LAYOUT = "layout"
    ORDER = "order"
    CHAIN = "chain"
    BATCH = "batch"
    HEAD = "head"
    CHECKPOINT = "checkpoint"


class DecodeStage(StrEnum):
    """Where a payload stopped decoding."""

    MSGPACK = "msgpack"
    SHAPE = "shape"
    UPCAST = "upcast"


class ReceiptFault(StrEnum):
    """Why a receipt does not commit."""

    SPENT = "spent"
    FORGED = "forged"
    PAYLOAD_CHANGED = "payload-changed"
    WRONG_POLICY = "wrong-policy"
    MOVED = "moved"
    FOREIGN = "foreign"
    EXPIRED = "expired"


class CheckpointFault(StrEnum):
    """Why a consumer may not go on from where its checkpoint says it is."""

    CORRUPT = "corrupt"  # the file is not as it was written
    REGION = "region"  # it is of another region, or of another form
    FOREIGN = "foreign"  # of another store, or of another history of this one
    AHEAD = "ahead"  # the log has fewer events: it is an older copy
    IN_USE = "in-use"  # somebody else goes on from it now


CHECKPOINT_HINTS: Final = {
    CheckpointFault.CORRUPT: "look where the consumer stood, then Store.reset_cursor",
    CheckpointFault.REGION: "use another id for another region, or Store.reset_cursor",
    CheckpointFault.FOREIGN: "restore the store and its cursors/ together, or Store.reset_cursor",
    CheckpointFault.AHEAD: "restore the newer copy of the store, or Store.reset_cursor",
    CheckpointFault.IN_USE: "stop the other one and wait for it with join(), or use another id",
}


class SigningFault(StrEnum):
    """Why a key cannot be taken, or why nothing is signed."""

    NO_EXTRA = "no-extra"  # `cryptography` is not installed
    BAD_KEY = "bad-key"  # not what an Ed25519 key looks like
    WEAK_KEY = "weak-key"  # one signature under it would fit every message
    KEY_FILE_MODE = "key-file-mode"  # others may read the file of a key
    REQUIRED = "required"  # a store is to sign everything, and there is no key
    SIGNER = "signer"  # the library that signs has failed


SIGNING_HINTS: Final = {
    SigningFault.NO_EXTRA: "pip install 'batpak[sign]'",
    SigningFault.BAD_KEY: "`batpak key new FILE` makes one, `batpak key public FILE` tells it",
    SigningFault.WEAK_KEY: "ask for another public key, and for the reason",
    SigningFault.KEY_FILE_MODE: "chmod 600 it, and make a new key if others could read it",
    SigningFault.REQUIRED: "give StoreConfig a signer",
    SigningFault.SIGNER: "what was stored is stored; the same idempotency key gives its receipt",
}
