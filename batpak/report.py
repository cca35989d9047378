"""Reports: what an open found and did, what a verification found, how a handle is doing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID

from msgspec import Struct

from batpak.errors import CorruptStore
from batpak.faults import Damage

FINDINGS_MAX: Final = 1_000  # listed; all are counted

Progress: TypeAlias = Callable[[int, int], object]
"""Told now and then how many bytes are done, of how many."""


class Mode(StrEnum):
    """What a handle may do."""

    WRITE = "write"
    READ = "read"
    OBSERVE = "observe"  # read, while another process may write


class Torn(Struct, frozen=True, kw_only=True):
    """Bytes at the end of the newest file that were being written when the writer stopped.

    They were never acknowledged as durable. A writable open moves them to `quarantine`; a
    read-only one only leaves them out.
    """

    file: str  # a verification tells its path, like those of findings; an open its name
    offset: int  # of the first of them, in bytes from the start of the file
    bytes: int
    quarantine: str | None  # name inside the store's directory


class OpenReport(Struct, frozen=True, kw_only=True):
    """What an open found, and what it did about it."""

    store_id: UUID
    path: str
    format_version: int
    mode: Mode
    locked: bool  # False: a reader, and there was no lock file to lock
    clean: bool  # the last writer closed in order, or there was none yet
    segments: int
    events: int
    next_sequence: int
    scanned_bytes: int
    elapsed_ms: int
    torn: Torn | None
    dropped_batch_items: int  # whole items of a batch that was not
    rebuilt: tuple[str, ...]  # files whose footer was made anew
    ignored_files: tuple[str, ...]  # names that are none of the store's
    removed_files: tuple[str, ...]  # what a stopped writer was about to publish
    unknown_kinds: Mapping[int, int]  # kind that no imported class reads -> events
    head_checked: bool  # HEAD was there and agreed with the log


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is not as it was written."""

    file: str
    offset: int  # in bytes from the start of the file
    sequence: int | None  # of the event, where it is known
    reason: Damage
    detail: str


class NoteFault(StrEnum):
    """How a log does not go on from a note, or why the note says nothing of it."""

    UNTRUSTED = "untrusted"  # keys are trusted, and none of them has signed the note
    OTHER_STORE = "other-store"
    ROLLED_BACK = "rolled-back"  # it is shorter than it was
    REWRITTEN = "rewritten"  # it has another event where the note was taken


class VerifyReport(Struct, frozen=True, kw_only=True):
    """What recomputing every checksum, hash and link has found."""

    path: str
    store_id: UUID | None  # None: no header could be read
    segments: int
    events: int  # that are as they were written, stubs among them
    dropped: int = 0  # stubs of events that retention has removed
    erased: int = 0  # stubs of events whose payload is gone
    head: bytes  # event_hash of the last event; zeros if there is none
    findings: tuple[Finding, ...]  # the first FINDINGS_MAX
    findings_count: int
    derived: tuple[Finding, ...] = ()  # footers that are wrong; an open makes them anew
    torn: Torn | None  # an unfinished end is no damage
    note: NoteFault | None = None  # why the log does not go on from the note that was given

    @property
    def ok(self) -> bool:
        """Whether all is as it was written, and the log goes on from the note if one was given."""
        return not self.findings_count and self.note is None

    def raise_for_damage(self) -> None:
        """Do nothing if all is well.

        Raises:
            CorruptStore: The first finding.
        """
        if self.findings:
            first = self.findings[0]
            raise CorruptStore(first.file, first.offset, first.reason, first.detail)
        if self.note is not None:
            detail = f"the log does not go on from the note: {self.note.value}"
            if self.note is NoteFault.UNTRUSTED:
                detail = "no key that is trusted has signed the note"
            raise CorruptStore(self.path, 0, Damage.CHAIN, detail)


class RepairReport(Struct, frozen=True, kw_only=True):
    """What of a log verifies, and what a repair gives up, or gave up."""

    path: str
    events: int  # that are kept: those before the first that is lost
    finding: Finding | None = None  # the first damage; None: there is none, and nothing to do
    repaired: bool = False  # whether it was done
    cut: str | None = None  # the file in which the log is cut
    offset: int | None = None  # where, in bytes from its start
    first_lost: int | None = None  # sequences; None: no event is known to be lost
    last_lost: int | None = None
    size: int = 0  # bytes behind the cut, later files included
    quarantine: tuple[str, ...] = ()  # where they are now, inside the store's directory


class CopiedFile(Struct, frozen=True, kw_only=True):
    """One file of a snapshot, as it was written."""

    name: str  # inside the directory
    size: int
    blake3: bytes  # of all of them


class SnapshotReport(Struct, frozen=True, kw_only=True):
    """What a snapshot has: the events before `sequence`, and nothing else."""

    store_id: UUID  # the copy opens as the same store
    sequence: int  # of the event that is due next
    head: bytes  # event_hash of the one before it; zeros if there is none
    bytes: int  # of all files
    files: tuple[CopiedFile, ...]


class ForkReport(Struct, frozen=True, kw_only=True):
    """What a fork has: the events of its origin before `sequence`, and an id of its own."""

    store_id: UUID  # of what is stored there from now on
    origin: UUID
    sequence: int  # of the event that is due next, which is the first of its own
    head: bytes  # event_hash of the one before it; zeros if there is none
    bytes: int  # of the files of the origin
    shared: int  # how many of them were not copied, but are shared until somebody changes them


class Ancestor(Struct, frozen=True, kw_only=True):
    """A store that this one was forked from."""

    store_id: UUID
    sequence: int  # of the first event that is not its own any more
    head: bytes  # event_hash of the one before it; zeros if there is none


class Watermark(StrEnum):
    """How far an event may have come. Each has a bound in `Frontier`, which only moves forward."""

    WRITTEN = "written"  # it is whole in the file
    DURABLE = "durable"  # a sync covers it
    VISIBLE = "visible"  # every reader of the handle sees it
    EMITTED = "emitted"  # every live subscription of the handle was offered it
    APPLIED = "applied"  # every registered applier of the handle has passed it


class Frontier(Struct, frozen=True):
    """How far the log has come, as bounds: `durable == 7` says that 0..6 are durable.

    One picture of one moment: written >= durable, and written >= visible >= emitted, applied. At
    `Durability.COMMIT` durable >= visible as well.
    """

    written: int
    durable: int
    visible: int
    applied: int  # as visible, where no applier is registered
    oldest_unsynced_age_ms: int | None = None  # None: all that is written is durable

    @property
    def emitted(self) -> int:
        """As `visible`, always: a subscription looks at the index itself when it is read.

        So an event is offered to all of them in the moment in which it becomes visible.
        """
        return self.visible

    def of(self, mark: Watermark) -> int:
        """The bound of one mark."""
        bound: int = getattr(self, mark.value)
        return bound

    @property
    def visible_minus_durable(self) -> int:
        """How many visible events a power cut could take back."""
        return max(0, self.visible - self.durable)


class WriterPressure(Struct, frozen=True):
    """How full the line of submissions is. Whichever of the two limits is nearer counts."""

    queued: int  # calls that stand in line
    capacity: int
    queued_bytes: int  # of their payloads
    max_bytes: int

    @property
    def utilization(self) -> float:
        """Which share of it is taken; 1 or more: the next submission commits some first."""
        return max(self.queued / self.capacity, self.queued_bytes / self.max_bytes)

    @property
    def headroom(self) -> float:
        """Which share of it is free."""
        return max(0.0, 1.0 - self.utilization)

    @property
    def is_idle(self) -> bool:
        """Whether nobody stands in line."""
        return self.queued == 0


class BusyReason(StrEnum):
    """Why nothing is taken."""

    PRESSURE = "pressure"  # too much stands in line already
    FENCE = "fence"  # a visibility fence is open


class Busy(Struct, frozen=True):
    """Why `Store.try_submit` has taken nothing, and when to come back."""

    reason: BusyReason
    pressure: WriterPressure
    retry_after_ms: int
    """A guess: as fast as it goes now the line is empty then, or the fence open twice as long."""


class HealthState(StrEnum):
    """What a handle still does."""

    OK = "ok"
    POISONED = "poisoned"  # it reads, and writes no more
    CLOSED = "closed"  # by its owner; with a cause: an observer that has ended of itself
    FORKED = "forked"  # it belongs to the parent of this process


class Health(Struct, frozen=True):
    """Whether a handle works, and if not, why."""

    state: HealthState
    cause: BaseException | None = None


class CompactionOutcome(StrEnum):
    """What came of a compaction."""

    PERFORMED = "performed"
    SKIPPED = "skipped"  # there was nothing to do; nothing was touched


class CompactionReport(Struct, frozen=True, kw_only=True):
    """What a compaction did."""

    outcome: CompactionOutcome
    segments_before: int  # files that were complete
    segments_after: int
    bytes_before: int  # of those files, footers included
    bytes_after: int
    dropped: int = 0  # events, by this run
    erased: int = 0  # payloads, by this run


class Stats(Struct, frozen=True, kw_only=True):
    """What is in a store."""

    events: int  # that can be read
    dropped: int = 0  # events that retention has removed
    erased: int = 0  # of those that can be read: without their payload
    next_sequence: int
    entities: int
    scopes: int
    kinds: Mapping[int, int]  # kind -> events
    segments: int
    bytes: int  # of the segment files, footers and what is reserved included
    quarantine_bytes: int
    checkpoints: int  # of those who follow the log
