"""The tree of exceptions: told apart by class and code, carried across processes whole.

Without this, an error could lose its details in a worker pool, or two faults could share a code
that somebody's dashboard counts.
"""

from __future__ import annotations

import pickle
import traceback
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest

from batpak import errors as e
from batpak import faults as f
from batpak.commit.fence import FenceError
from batpak.guard.verdict import Denial, Denied
from batpak.outcome import ErrorKind, OutcomeError, OutcomeFailure, Release
from batpak.read.checkpoint import CheckpointInvalid
from batpak.read.subscription import EndReason, SubscriptionEnded
from batpak.read.worker import WorkerFailed
from batpak.recovery.gone import RolledBack, StoreGone

ID = UUID(int=7)
SAMPLES: list[e.BatpakError] = [
    e.InvalidArgument("limit", "must be positive", hint="leave it out"),
    e.InvalidCoordinate("entity", f.CoordinateFault.NUL, "a\x00"),
    e.InvalidKind(0x1_0000, f.KindFault.CATEGORY, "no kind"),
    e.KindMismatch(0x2001, 0x2002, ID),
    e.UnknownKind(0x2001, 1, 5),
    e.RegistryError("one", "two"),
    e.PayloadInvalid("OrderPaid", 0x2002, ("$.amount: expected a Money, got 1",)),
    e.TooLarge("the payload", 2_000_000, 1_000_000),
    e.VersionConflict("order:1", 1, 2),
    e.StaleState("PlacedOrder", "order:1", 1, 2),
    e.IdempotencyConflict(b"k", f.KeyFault.DIFFERS, frozenset({"kind", "content"}), 3),
    e.UnknownParent(ID),
    e.EventNotFound(ID),
    FenceError(f.FenceState.ACTIVE, 7),
    e.StoreLocked("shop.store", "writing", 4711),
    e.StoreClosed(),
    e.StoreReadOnly("append"),
    e.ForkedStoreError(4711),
    e.StorePoisoned(OSError(5, "Input/output error")),
    e.WaitTimeout("a submission", 0.5, f.WriteState.UNDECIDED),
    SubscriptionEnded(EndReason.OVERFLOW, 7),
    e.StorageFailed("write", "shop.store/1", 28, "No space left on device"),
    e.DurabilityUnknown(3, 5, OSError(5, "Input/output error")),
    e.CorruptStore("shop.store/1", 4096, f.Damage.CRC, "the checksum is wrong"),
    e.FutureVersion("the segment", 3, 2),
    e.DecodeFailed(0x2001, 1, 5, f.DecodeStage.SHAPE, "expected str"),
    Denied(Denial("paid_in_full", "AMOUNT_MISMATCH", "paid 1").with_context(paid=1)),
    e.ReceiptRejected(f.ReceiptFault.SPENT, "this receipt was used before"),
    e.IllegalTransition("ship() is legal from PaidOrder only; this is PlacedOrder"),
    e.IllegalHistory("shop.orders.Order", "OrderShipped", 1, "Draft"),
    OutcomeFailure(OutcomeError(ErrorKind.NOT_FOUND, "no such seat", 9, Release(("seat",)))),
    CheckpointInvalid("mailer", f.CheckpointFault.AHEAD, "it stands at 7, the log ends at 5"),
    RolledBack("/shop.store", 5, 7),
    StoreGone("/shop.store", replaced=True),
    WorkerFailed("mailer", 5, 2, OSError(5, "Input/output error")),
    e.SigningError(f.SigningFault.SIGNER, "nothing was signed", 7),
]


def tree(root: type[e.BatpakError] = e.BatpakError) -> Iterator[type[e.BatpakError]]:
    yield root
    for cls in root.__subclasses__():
        if cls.__module__.partition(".")[0] == "batpak":
            yield from tree(cls)


CLASSES = list(tree())


def test_there_is_a_sample_of_every_class_that_is_raised() -> None:
    raised = {cls for cls in CLASSES if getattr(cls, "__final__", False)} | {e.VersionConflict}

    assert {type(sample) for sample in SAMPLES} == raised


def details(error: e.BatpakError) -> dict[str, object]:
    """The attributes; exceptions among them have no equality, and sets no order in their text."""
    return {
        name: value if isinstance(value, frozenset) else repr(value)
        for name, value in vars(error).items()
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_an_error_survives_pickling_with_its_text_and_all_details(sample: e.BatpakError) -> None:
    again: e.BatpakError = pickle.loads(pickle.dumps(sample))  # noqa: S301  our own bytes

    assert type(again) is type(sample)
    assert str(again) == str(sample)
    assert details(again) == details(sample)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_an_error_says_something_and_says_it_on_one_line(sample: e.BatpakError) -> None:
    assert str(sample)
    assert "\n" not in f"{sample}{sample.hint}"


def test_every_class_has_a_code_of_its_own() -> None:
    counted = Counter(cls.code for cls in CLASSES)

    assert max(counted.values()) == 1
    assert all("code" in cls.__dict__ for cls in CLASSES)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_class_is_final_or_a_group_and_says_what_it_means(cls: type[e.BatpakError]) -> None:
    group = any(sub.__module__.startswith("batpak.") for sub in cls.__subclasses__())

    assert group != getattr(cls, "__final__", False)
    assert cls.__doc__


def test_only_what_may_pass_by_itself_is_retryable() -> None:
    full = e.StorageFailed("write", "f", 28, "No space left on device")
    broken = e.StorageFailed("write", "f", 5, "Input/output error")

    retryable = {type(sample) for sample in SAMPLES if sample.retryable}
    assert retryable == {FenceError, e.StoreLocked, e.StorageFailed, e.WaitTimeout}
    assert (full.retryable, broken.retryable) == (True, False)


def test_the_python_exceptions_that_people_catch_still_catch_ours() -> None:
    assert issubclass(e.InvalidArgument, ValueError)
    assert issubclass(e.StoreReadOnly, AttributeError)
    assert issubclass(e.IllegalTransition, AttributeError | TypeError)
    assert issubclass(e.StaleState, e.VersionConflict)


def test_a_traceback_shows_the_way_out() -> None:
    error = e.VersionConflict("order:1", 0, 1)

    shown = "".join(traceback.format_exception(error))

    assert shown.endswith("order:1 has 1 events, not 0\nhint: load it again\n")


def test_the_way_out_of_damage_is_a_command_that_changes_nothing() -> None:
    damaged = e.CorruptStore("shop.store/1", 4096, f.Damage.CRC, "the checksum is wrong")
    undecoded = e.DecodeFailed(0x2001, 1, 5, f.DecodeStage.SHAPE, "expected str")
    of_no_store = e.DecodeFailed(0x2001, 1, None, f.DecodeStage.SHAPE, "expected str")

    assert "`batpak repair`" in damaged.hint
    assert "restore a copy" in damaged.hint
    assert "`batpak show STORE 5`" in undecoded.hint
    assert of_no_store.hint == ""
