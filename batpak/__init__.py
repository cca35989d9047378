"""Describe events once; get typed Python and an embedded, tamper-evident event store.

coordinate -> event -> guard -> machine -> store
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Final

from batpak.override import override  # now: its module has the same name, and would win

if TYPE_CHECKING:
    from batpak import abi, system
    from batpak.append import (
        AppendReceipt,
        BatchItem,
        Cause,
        Ledger,
        PriorItem,
        RawPayload,
    )
    from batpak.append_receipt import verify_receipt
    from batpak.cache.file import FileCache
    from batpak.cache.memory import MemoryCache
    from batpak.cache.row import CachedState, NoCache, ProjectionCache
    from batpak.claim import Claim
    from batpak.clock import Hlc
    from batpak.commit.applier import Applier
    from batpak.commit.fence import FenceError
    from batpak.commit.ticket import AppendTicket, BatchTicket, interrupted_receipt
    from batpak.config import Durability, Limits, OpenVerify, Signing, StoreConfig, SyncMode
    from batpak.coordinate import Coordinate
    from batpak.diagnostics import (
        Diagnostics,
        SubscriptionHealth,
        WorkerHealth,
        WorkerState,
        WriterDiagnostics,
    )
    from batpak.edge_table import edge, edges
    from batpak.errors import (
        BatpakError,
        ConflictError,
        CorruptStore,
        DamageError,
        DecodeFailed,
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
        KindMismatch,
        PayloadInvalid,
        PolicyError,
        ReceiptRejected,
        RegistryError,
        SigningError,
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
        WaitTimeout,
    )
    from batpak.event import EventFlags, EventHeader, IndexEntry, StoredEvent
    from batpak.faults import (
        CheckpointFault,
        CoordinateFault,
        Damage,
        DecodeStage,
        FenceState,
        KeyFault,
        KindFault,
        ParentFault,
        ReceiptFault,
        SigningFault,
        WriteState,
    )
    from batpak.fence import VisibilityFence
    from batpak.guard.bypass import BypassAudit, BypassReason, BypassReceipt
    from batpak.guard.gates import Gate, GateSet
    from batpak.guard.proposal import Proposal
    from batpak.guard.receipt import Receipt
    from batpak.guard.stamp import PolicyStamp
    from batpak.guard.verdict import PERMIT, Denial, Denied, Permit, Verdict
    from batpak.ids import CorrelationId, EventId, new_id, operation_key
    from batpak.kind import EventKind
    from batpak.machine import Machine
    from batpak.note import CheckpointNote
    from batpak.observer import Observer
    from batpak.outbox import Outbox
    from batpak.payload import AnyPayload, EventPayload, FormerPayload, OpenEnum, WireEnum
    from batpak.pipeline import Committed, Pipeline
    from batpak.proof import Proof
    from batpak.read.ancestry import Ancestry, AncestryEnd
    from batpak.read.causes import CausalEnd, CausalPath, Impact, Impacts
    from batpak.read.checkpoint import CheckpointInvalid, CursorCheckpoint
    from batpak.read.cursor import Cursor
    from batpak.read.gap import Gap
    from batpak.read.lossy_ops import LossyOps
    from batpak.read.page import Page
    from batpak.read.projection import (
        DictProjection,
        Freshness,
        Projected,
        Projection,
        RawProjection,
        RebuildReport,
    )
    from batpak.read.reactor import ReactionBatch, Reactor
    from batpak.read.restart import OnFailure, RestartPolicy
    from batpak.read.shapes import KindDescription
    from batpak.read.subscription import (
        EndReason,
        Notification,
        Overflow,
        Subscription,
        SubscriptionEnded,
    )
    from batpak.read.watch import ProjectionWatcher
    from batpak.read.witness import AtLeastOnce, ObservedOnce
    from batpak.read.worker import CursorWorker, Step, WorkerFailed
    from batpak.reader import StoreReader
    from batpak.recovery.gone import RolledBack, StoreGone
    from batpak.region import KindFilter, Region
    from batpak.report import (
        Ancestor,
        Busy,
        BusyReason,
        CompactionOutcome,
        CompactionReport,
        CopiedFile,
        Finding,
        ForkReport,
        Frontier,
        Health,
        HealthState,
        Mode,
        NoteFault,
        OpenReport,
        RepairReport,
        SnapshotReport,
        Stats,
        Torn,
        VerifyReport,
        Watermark,
        WriterPressure,
    )
    from batpak.signing.signing_key import SigningKey
    from batpak.signing.verdict import Invalid, InvalidReason, Signed, TrustVerdict, Unsigned
    from batpak.signing.verify_key import VerifyKey
    from batpak.store import Store
    from batpak.typestate import Guarded, Handle, StateData, Transition
    from batpak.upkeep.imported import ImportedEvent, Origin, RustPosition
    from batpak.upkeep.intake import ImportReport
    from batpak.upkeep.repair import repair
    from batpak.upkeep.rust.scan import LeftOut
    from batpak.upkeep.rust.source import RustReport, RustSource
    from batpak.wire import Form

logging.getLogger("batpak").addHandler(logging.NullHandler())

__all__ = [  # noqa: RUF022  in reading order
    # where, and what
    "Coordinate", "Region", "KindFilter", "EventKind", "AnyPayload", "EventPayload",
    "FormerPayload", "EventFlags", "WireEnum", "OpenEnum",
    "EventId", "CorrelationId", "new_id", "operation_key", "Hlc",
    # may it: gates, verdicts, receipts
    "Gate", "GateSet", "Verdict", "PERMIT", "Permit", "Denial", "Receipt", "PolicyStamp",
    # events that are no moves
    "Proposal", "Pipeline", "Committed", "BypassReason", "BypassReceipt", "BypassAudit",
    # moves of a state machine
    "Machine", "Handle", "StateData", "Transition", "Guarded", "Ledger", "edge", "edges",
    # kept
    "Store", "StoreReader", "Observer", "StoreConfig", "Limits", "Durability", "SyncMode",
    "OpenVerify",
    "BatchItem", "PriorItem", "RawPayload", "Cause", "AppendReceipt", "Claim", "AppendTicket",
    "BatchTicket", "Busy", "BusyReason", "WriterPressure", "interrupted_receipt", "Outbox",
    "VisibilityFence",
    # vouched for, and proved to others
    "SigningKey", "VerifyKey", "Signing", "verify_receipt", "Proof", "TrustVerdict", "Signed",
    "Unsigned", "Invalid", "InvalidReason",
    # read back
    "StoredEvent", "IndexEntry", "EventHeader", "Form", "Page", "Ancestry", "AncestryEnd",
    "CausalPath", "CausalEnd", "Impact", "Impacts",
    # followed, and handled
    "Subscription", "Notification", "Overflow", "LossyOps",
    "Cursor", "Gap", "CursorCheckpoint", "CursorWorker", "Step", "OnFailure", "RestartPolicy",
    "AtLeastOnce", "ObservedOnce", "Reactor", "ReactionBatch", "WorkerState", "WorkerHealth",
    # folded into states, and kept
    "Projection", "DictProjection", "RawProjection", "Freshness", "Projected", "ProjectionWatcher",
    "RebuildReport", "ProjectionCache", "CachedState", "NoCache", "MemoryCache", "FileCache",
    # brought over from elsewhere
    "ImportedEvent", "ImportReport", "Origin", "RustSource", "RustReport", "RustPosition",
    "LeftOut",
    # how it is
    "OpenReport", "Mode", "Torn", "VerifyReport", "Finding", "CheckpointNote", "NoteFault",
    "Health", "HealthState", "Stats", "KindDescription", "Diagnostics", "WriterDiagnostics",
    "SubscriptionHealth", "CompactionReport", "CompactionOutcome",
    # copied to another place, and cut where it is damaged
    "SnapshotReport", "CopiedFile", "ForkReport", "Ancestor", "repair", "RepairReport",
    # how far it has come
    "Frontier", "Watermark", "Applier",
    # what goes wrong, by group
    "BatpakError",
    "UsageError", "InvalidArgument", "InvalidCoordinate", "CoordinateFault", "InvalidKind",
    "KindFault", "KindMismatch", "UnknownKind", "RegistryError", "PayloadInvalid", "TooLarge",
    "ConflictError", "VersionConflict", "StaleState", "IdempotencyConflict", "KeyFault",
    "UnknownParent", "ParentFault", "EventNotFound", "FenceError", "FenceState",
    "UnavailableError", "StoreLocked", "StoreClosed", "StoreReadOnly", "ForkedStoreError",
    "StorePoisoned", "WaitTimeout", "WriteState", "SubscriptionEnded", "EndReason",
    "StorageError", "StorageFailed", "DurabilityUnknown", "RolledBack", "StoreGone",
    "DamageError", "CorruptStore", "Damage", "FutureVersion", "DecodeFailed", "DecodeStage",
    "CheckpointInvalid", "CheckpointFault", "WorkerFailed",
    "PolicyError", "Denied", "ReceiptRejected", "ReceiptFault", "IllegalTransition",
    "IllegalHistory",
    "SigningError", "SigningFault",
    # for generated code, and for those who write what it writes
    "abi", "override", "system",
]  # fmt: skip

_NAMES: Final = {  # module -> what is public of it: imported when it is asked for first
    "append": "AppendReceipt BatchItem Cause Ledger PriorItem RawPayload",
    "append_receipt": "verify_receipt",
    "cache.file": "FileCache",
    "cache.memory": "MemoryCache",
    "cache.row": "CachedState NoCache ProjectionCache",
    "claim": "Claim",
    "clock": "Hlc",
    "commit.applier": "Applier",
    "commit.fence": "FenceError",
    "commit.ticket": "AppendTicket BatchTicket interrupted_receipt",
    "config": "Durability Limits OpenVerify Signing StoreConfig SyncMode",
    "coordinate": "Coordinate",
    "diagnostics": "Diagnostics SubscriptionHealth WorkerHealth WorkerState WriterDiagnostics",
    "edge_table": "edge edges",
    "errors": """
        BatpakError ConflictError CorruptStore DamageError DecodeFailed DurabilityUnknown
        EventNotFound ForkedStoreError FutureVersion IdempotencyConflict IllegalHistory
        IllegalTransition InvalidArgument InvalidCoordinate InvalidKind KindMismatch
        PayloadInvalid PolicyError ReceiptRejected RegistryError SigningError StaleState
        StorageError StorageFailed StoreClosed StoreLocked StorePoisoned StoreReadOnly TooLarge
        UnavailableError UnknownKind UnknownParent UsageError VersionConflict WaitTimeout""",
    "event": "EventFlags EventHeader IndexEntry StoredEvent",
    "faults": """
        CheckpointFault CoordinateFault Damage DecodeStage FenceState KeyFault KindFault
        ParentFault ReceiptFault SigningFault WriteState""",
    "fence": "VisibilityFence",
    "guard.bypass": "BypassAudit BypassReason BypassReceipt",
    "guard.gates": "Gate GateSet",
    "guard.proposal": "Proposal",
    "guard.receipt": "Receipt",
    "guard.stamp": "PolicyStamp",
    "guard.verdict": "PERMIT Denial Denied Permit Verdict",
    "ids": "CorrelationId EventId new_id operation_key",
    "kind": "EventKind",
    "machine": "Machine",
    "note": "CheckpointNote",
    "observer": "Observer",
    "outbox": "Outbox",
    "payload": "AnyPayload EventPayload FormerPayload OpenEnum WireEnum",
    "pipeline": "Committed Pipeline",
    "proof": "Proof",
    "read.ancestry": "Ancestry AncestryEnd",
    "read.causes": "CausalEnd CausalPath Impact Impacts",
    "read.checkpoint": "CheckpointInvalid CursorCheckpoint",
    "read.cursor": "Cursor",
    "read.gap": "Gap",
    "read.lossy_ops": "LossyOps",
    "read.page": "Page",
    "read.projection": "DictProjection Freshness Projected Projection RawProjection RebuildReport",
    "read.reactor": "ReactionBatch Reactor",
    "read.shapes": "KindDescription",
    "read.subscription": "EndReason Notification Overflow Subscription SubscriptionEnded",
    "read.watch": "ProjectionWatcher",
    "read.witness": "AtLeastOnce ObservedOnce",
    "read.restart": "OnFailure RestartPolicy",
    "read.worker": "CursorWorker Step WorkerFailed",
    "reader": "StoreReader",
    "recovery.gone": "RolledBack StoreGone",
    "region": "KindFilter Region",
    "report": """
        Ancestor Busy BusyReason CompactionOutcome CompactionReport CopiedFile Finding ForkReport
        Frontier Health HealthState Mode NoteFault OpenReport RepairReport SnapshotReport Stats
        Torn VerifyReport Watermark WriterPressure""",
    "signing.signing_key": "SigningKey",
    "signing.verdict": "Invalid InvalidReason Signed TrustVerdict Unsigned",
    "signing.verify_key": "VerifyKey",
    "store": "Store",
    "typestate": "Guarded Handle StateData Transition",
    "upkeep.imported": "ImportedEvent Origin RustPosition",
    "upkeep.intake": "ImportReport",
    "upkeep.repair": "repair",
    "upkeep.rust.scan": "LeftOut",
    "upkeep.rust.source": "RustReport RustSource",
    "wire": "Form",
}
_ROOMS: Final = ("abi", "system")
_HOMES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:  # a type checker has to see that a name is not there

    def __getattr__(name: str) -> object:
        """What is asked for by a public name. Reference: docs/adr/0029."""
        if name in _ROOMS:
            return import_module(f"batpak.{name}")
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'batpak' has no attribute {name!r}")
        value = getattr(import_module(f"batpak.{home}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
