"""The public names, exactly. Adding one is a decision; so is losing one.

Without this, a name that slips out of `batpak`, `batpak.abi` or `batpak.testing` breaks generated
files everywhere at their next import, and one that slips in has to be kept. `batpak.outcome` is a
surface of its own: `Cancelled` is also a likely name of a state.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import batpak
from batpak import abi, outcome, testing

ROOT = Path(__file__).parents[1]

FRONT = """
    Coordinate Region KindFilter EventKind AnyPayload EventPayload FormerPayload WireEnum OpenEnum
    EventFlags EventId CorrelationId new_id operation_key Hlc
    Gate GateSet Verdict PERMIT Permit Denial Receipt PolicyStamp
    Proposal Pipeline Committed BypassReason BypassReceipt BypassAudit
    Machine Handle StateData Transition Guarded Ledger edge edges
    Store StoreReader Observer StoreConfig Limits Durability SyncMode OpenVerify BatchItem
    PriorItem RawPayload Cause AppendReceipt Claim AppendTicket BatchTicket Busy BusyReason
    WriterPressure interrupted_receipt Outbox VisibilityFence
    SigningKey VerifyKey Signing verify_receipt Proof TrustVerdict Signed Unsigned Invalid
    InvalidReason
    StoredEvent IndexEntry EventHeader Form Page Ancestry AncestryEnd CausalPath CausalEnd Impact
    Impacts
    Subscription Notification Overflow LossyOps
    Cursor Gap CursorCheckpoint CursorWorker Step OnFailure RestartPolicy
    AtLeastOnce ObservedOnce Reactor ReactionBatch WorkerState WorkerHealth
    Projection DictProjection RawProjection Freshness Projected ProjectionWatcher RebuildReport
    ProjectionCache CachedState NoCache MemoryCache FileCache
    ImportedEvent ImportReport Origin RustSource RustReport RustPosition LeftOut
    OpenReport Mode Torn VerifyReport Finding CheckpointNote NoteFault Health HealthState
    SnapshotReport CopiedFile ForkReport Ancestor repair RepairReport Stats Diagnostics
    WriterDiagnostics SubscriptionHealth
    KindDescription CompactionReport CompactionOutcome
    Frontier Watermark Applier
    BatpakError
    UsageError InvalidArgument InvalidCoordinate CoordinateFault InvalidKind KindFault KindMismatch
    UnknownKind RegistryError PayloadInvalid TooLarge
    ConflictError VersionConflict StaleState IdempotencyConflict KeyFault UnknownParent
    ParentFault EventNotFound FenceError FenceState
    UnavailableError StoreLocked StoreClosed StoreReadOnly ForkedStoreError StorePoisoned
    WaitTimeout WriteState SubscriptionEnded EndReason
    StorageError StorageFailed DurabilityUnknown RolledBack StoreGone
    DamageError CorruptStore Damage FutureVersion DecodeFailed DecodeStage
    CheckpointInvalid CheckpointFault WorkerFailed
    PolicyError Denied ReceiptRejected ReceiptFault IllegalTransition IllegalHistory
    SigningError SigningFault
    abi override system
"""
ABI = """
    require_abi exact
    WireEnum OpenEnum StateData Edge Rule Problems check_for canonical_for
    upcast_from install_upcast
    is_bool is_int is_float is_text is_bytes is_decimal is_uuid is_timestamp is_date is_duration
    is_member is_list is_set is_map is_exactly
    canonical_decimal canonical_float canonical_each canonical_items canonical_set
    text duration decimal timestamp
"""
OUTCOME = """
    Outcome Ok Err Retry Pending Cancelled Batch flatten zip_ join_all join_any
    OutcomeError ErrorKind OutcomeFailure
    Compensation Rollback Notify Release CustomAction
    WaitCondition WaitUntil WaitEvent WaitAll WaitAny WaitCustom
"""

TESTING = "Given MemoryLedger Scenario Then sample strict_moves survives"


@pytest.mark.parametrize(
    ("module", "names"), [(batpak, FRONT), (abi, ABI), (outcome, OUTCOME), (testing, TESTING)]
)
def test_the_public_names_are_these_and_no_others(module: object, names: str) -> None:
    public = set(getattr(module, "__all__", ()))

    assert public == set(names.split())
    assert all(hasattr(module, name) for name in public)


@pytest.mark.parametrize("module", [batpak, abi])
def test_a_name_comes_from_where_type_checkers_read_that_it_does(module: ModuleType) -> None:
    """What is imported late stands there twice: once for programs, once for type checkers."""
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    for_checkers = next(
        node.body
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    folder = Path(batpak.__file__).parent
    imports = [node for node in for_checkers if isinstance(node, ast.ImportFrom)]
    read = {alias.name: node.module for node in imports for alias in node.names}

    for name, home in read.items():
        module.__dict__.pop(name, None)  # as if nobody had asked for it yet
        found = getattr(module, name)
        wanted = import_module(str(home))
        assert found is getattr(wanted, name, None) or found is import_module(f"{home}.{name}")
        assert isinstance(found, ModuleType) or not (folder / f"{name}.py").exists(), (
            "its module wins"
        )
    late = set(module.__all__) - set(read)
    assert all(name in vars(module) for name in late), "neither read late nor there at once"
    with pytest.raises(AttributeError, match="nowhere"):
        _ = module.nowhere


def test_generated_code_imports_the_public_surfaces_only() -> None:
    fronts = {"batpak": FRONT, "batpak.abi": ABI, "batpak.testing": TESTING}
    surfaces = {module: set(names.split()) for module, names in fronts.items()}
    taken = [
        (node.module, alias.name, str(path))
        for path in ROOT.glob("examples/*/*/gen/**/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
        if node.module.partition(".")[0] == "batpak"
    ]

    private = [item for item in taken if item[1] not in surfaces.get(item[0], set())]

    assert len(taken) > 10
    assert private == []
