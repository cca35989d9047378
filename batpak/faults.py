"""Faults: what exactly is wrong, as an exception tells it in one of its attributes."""

from __future__ import annotations

from enum import StrEnum


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


class ParentFault(StrEnum):
    """Why `caused_by` names nothing that can have caused an event."""

    ABSENT = "absent"
    PRIOR_ITEM = "prior-item"  # not an earlier item of the same batch


class WriteState(StrEnum):
    """What is known of a write when time ran out."""

    NOT_WRITTEN = "not-written"
    UNDECIDED = "undecided"  # it may still be written
    COMMITTED = "committed"


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
