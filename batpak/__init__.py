"""Describe events once; get typed Python and an embedded, tamper-evident event store.

coordinate -> event -> guard -> machine -> store
"""

import logging

from batpak import abi, system
from batpak.append import AppendReceipt, Cause, Ledger
from batpak.clock import Hlc
from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import (
    BatpakError,
    ConflictError,
    CoordinateFault,
    CorruptStore,
    Damage,
    DamageError,
    DecodeFailed,
    DecodeStage,
    DurabilityUnknown,
    EventNotFound,
    ForkedStoreError,
    FutureVersion,
    IdempotencyConflict,
    IllegalHistory,
    IllegalTransition,
    InvalidArgument,
    InvalidCoordinate,
    InvalidKind,
    KindFault,
    KindMismatch,
    PayloadInvalid,
    PolicyError,
    ReceiptFault,
    ReceiptRejected,
    RegistryError,
    StaleState,
    StorageError,
    StorageFailed,
    StoreClosed,
    StoreLocked,
    StorePoisoned,
    StoreReadOnly,
    TooLarge,
    UnavailableError,
    UnknownKind,
    UnknownParent,
    UsageError,
    VersionConflict,
)
from batpak.event import EventFlags, StoredEvent
from batpak.guard.gates import Gate, GateSet
from batpak.guard.receipt import Receipt
from batpak.guard.verdict import PERMIT, Denial, Denied, Permit, Verdict
from batpak.ids import CorrelationId, EventId, new_id, operation_key
from batpak.kind import EventKind
from batpak.machine import Machine
from batpak.override import override
from batpak.payload import EventPayload
from batpak.read.projection import Projection
from batpak.reader import StoreReader
from batpak.region import KindFilter, Region
from batpak.report import OpenReport, VerifyReport
from batpak.store import Store
from batpak.typestate import Guarded, Handle, Transition

logging.getLogger("batpak").addHandler(logging.NullHandler())

__all__ = [  # noqa: RUF022  in reading order
    # where, and what
    "Coordinate", "Region", "KindFilter", "EventKind", "EventPayload", "EventFlags",
    "EventId", "CorrelationId", "new_id", "operation_key", "Hlc",
    # may it: gates, verdicts, receipts
    "Gate", "GateSet", "Verdict", "PERMIT", "Permit", "Denial", "Receipt",
    # moves of a state machine
    "Machine", "Handle", "Transition", "Guarded", "Ledger",
    # kept, and read back
    "Store", "StoreReader", "StoreConfig", "Limits", "Durability", "AppendReceipt", "Cause",
    "StoredEvent", "Projection", "OpenReport", "VerifyReport",
    # what goes wrong, by group
    "BatpakError",
    "UsageError", "InvalidArgument", "InvalidCoordinate", "CoordinateFault", "InvalidKind",
    "KindFault", "KindMismatch", "UnknownKind", "RegistryError", "PayloadInvalid", "TooLarge",
    "ConflictError", "VersionConflict", "StaleState", "IdempotencyConflict", "UnknownParent",
    "EventNotFound",
    "UnavailableError", "StoreLocked", "StoreClosed", "StoreReadOnly", "ForkedStoreError",
    "StorePoisoned",
    "StorageError", "StorageFailed", "DurabilityUnknown",
    "DamageError", "CorruptStore", "Damage", "FutureVersion", "DecodeFailed", "DecodeStage",
    "PolicyError", "Denied", "ReceiptRejected", "ReceiptFault", "IllegalTransition",
    "IllegalHistory",
    # for generated code, and for those who write what it writes
    "abi", "override", "system",
]  # fmt: skip
