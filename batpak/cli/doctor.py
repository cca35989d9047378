"""What is the matter with a directory, and what to do about it. Changes nothing.

fine       as it should be
note       nothing to do; the next writable open sees to it, or it is yours to decide
trouble    an open is refused now, and nothing is lost
damage     an open is refused, or an event is not as it was written

A store that a process writes is examined through an observer, as far as it goes now. That it is
written is no trouble, and what its writer is about to do (a file half exchanged) is none either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from enum import IntEnum

from msgspec import Struct

from batpak.cli.prose import counted, events_between
from batpak.disk.seam import Directory, StrPath
from batpak.errors import CorruptStore, FutureVersion, InvalidArgument, StoreLocked
from batpak.faults import Damage
from batpak.journal import head, header, layout
from batpak.journal.head import Head
from batpak.journal.header import Header
from batpak.journal.layout import Listing
from batpak.platform import REAL, Platform
from batpak.recovery import decide
from batpak.report import Progress, RepairReport, VerifyReport
from batpak.store import Store
from batpak.upkeep.repair import foresee
from batpak.upkeep.verify import look, verify_log

NAMES_SHOWN = 5
HOPELESS = "restore a snapshot; there is nothing that a repair could keep"
WHILE_OPEN = (
    "copy the directory; close the store there, and `batpak repair` says what it would give up"
)


class Weight(IntEnum):
    """How bad something is."""

    FINE = 0
    NOTE = 1
    TROUBLE = 2
    DAMAGE = 3


class Remark(Struct, frozen=True):
    """One thing about a directory."""

    weight: Weight
    what: str
    advice: str = ""


def examine(
    path: StrPath, platform: Platform = REAL, progress: Progress | None = None
) -> list[Remark]:
    """Look at everything that an open would look at, and at every event.

    Args:
        path: Of the directory.
        platform: The world.
        progress: Told every few MiB how many bytes are verified, of how many.

    Raises:
        StorageFailed: The directory cannot be read at all.
        InvalidArgument: No path.
    """
    with closing(layout.enter(platform, path, create=False)) as directory:
        return list(_examined(directory, platform, progress))


def _examined(
    directory: Directory, platform: Platform, progress: Progress | None
) -> Iterator[Remark]:
    found = layout.listing(directory)
    if not found.segments and not found.has_head:
        yield Remark(Weight.TROUBLE, "there is no store here", "`Store.open` makes one")
        return
    try:
        lock = layout.lock(directory, platform.pid(), shared=True)
    except StoreLocked as error:
        yield from _observed(directory, platform, progress)
        holder = f"process {error.holder_pid}" if error.holder_pid else "another process"
        what = f"{holder} has it open for writing"
        yield Remark(Weight.NOTE, what, "what it writes from now on is not in this")
        return
    try:
        yield from _contents(directory, platform, found, progress)
    except (FutureVersion, InvalidArgument) as error:
        yield Remark(Weight.TROUBLE, str(error), error.hint)
    finally:
        if lock is not None:
            lock.release()


def _observed(
    directory: Directory, platform: Platform, progress: Progress | None
) -> Iterator[Remark]:
    """The same of a store that is written meanwhile."""
    try:
        with Store.observe(directory.path, platform=platform) as observer:
            verified = observer.verify(progress=progress)
    except CorruptStore as error:
        yield Remark(Weight.DAMAGE, str(error), WHILE_OPEN)
        return
    except (FutureVersion, InvalidArgument) as error:
        yield Remark(Weight.TROUBLE, str(error), error.hint)
        return
    if verified.ok:
        yield _well(verified)
    else:
        yield from _wrong(verified)
        if any(one.reason is not Damage.CHECKPOINT for one in verified.findings):
            count = verified.findings_count
            yield Remark(Weight.DAMAGE, f"{count:,} found to be wrong", WHILE_OPEN)
        yield from _refused(verified)
    yield from _lying_about(directory, layout.listing(directory))


def _contents(
    directory: Directory, platform: Platform, found: Listing, progress: Progress | None
) -> Iterator[Remark]:
    seen = look(directory)
    verified = verify_log(directory, seen, progress=progress)
    replaced = tuple(_replaced(directory, found))
    if verified.ok and seen.state is None:
        what = "its creation was interrupted: there is no store here yet"
        yield Remark(Weight.TROUBLE, what, "`Store.open` completes it")
    elif verified.ok:
        yield _well(verified)
        if isinstance(seen.state, Head) and seen.state.state == head.OPEN:
            what = "its last writer was stopped before it closed it, or was a repair"
            advice = "the next writable open recovers it; nothing acknowledged as durable is lost"
            yield Remark(Weight.NOTE, what, advice)
    else:
        yield from _wrong(verified)
        report = foresee(directory, seen, platform)
        if report is None or report.finding is not None:
            yield _way_out(report, verified)
        yield from _refused(verified)
    if replaced:
        what = f"left over from a compaction that was stopped: {_names(replaced)}"
        yield Remark(Weight.NOTE, what, "the next writable open removes them")
    yield from _beside(directory, found, verified)


def _well(verified: VerifyReport) -> Remark:
    size = f"{counted(verified.events, 'event')} in {counted(verified.segments, 'segment')}"
    return Remark(Weight.FINE, f"{size}, and all of it verifies")


def _wrong(verified: VerifyReport) -> Iterator[Remark]:
    for finding in verified.findings[:NAMES_SHOWN]:
        yield Remark(Weight.DAMAGE, f"{finding.file}:{finding.offset}: {finding.detail}")


def _replaced(directory: Directory, found: Listing) -> Iterator[str]:
    """The files whose place another one has taken; nothing of them is read."""
    before: Header | None = None
    for number in found.segments:
        name = layout.segment_name(number)
        if decide.is_leftover(number, before):
            yield name
            continue
        with suppress(CorruptStore):  # it is told already
            before = header.read(directory, name).header


def _way_out(report: RepairReport | None, verified: VerifyReport) -> Remark:
    """What a repair would give up."""
    if report is None:
        return Remark(Weight.DAMAGE, "not even the first file says whose it is", HOPELESS)
    if report.first_lost is None or report.last_lost is None:
        cost = "which gives up no event that is known of"
    else:
        cost = f"which gives up {events_between(report.first_lost, report.last_lost)}"
    count, before = verified.findings_count, counted(report.events, "event")
    what = f"{count:,} found to be wrong; what verifies before that: {before}"
    return Remark(Weight.DAMAGE, what, f"restore a snapshot, or run `batpak repair`, {cost}")


def _refused(verified: VerifyReport) -> Iterator[Remark]:
    """The consumers whose checkpoint is wrong. A repair is of the log, and leaves those alone."""
    count = sum(one.reason is Damage.CHECKPOINT for one in verified.findings)
    if count:
        are = "is wrong: its consumer is" if count == 1 else "are wrong: their consumers are"
        what = f"{counted(count, 'checkpoint')} {are} refused"
        yield Remark(Weight.DAMAGE, what, "`Store.reset_cursor` says from where on instead")


def _beside(directory: Directory, found: Listing, verified: VerifyReport) -> Iterator[Remark]:
    """What there is beside the log."""
    if verified.torn is not None and verified.ok:
        what = (
            f"{verified.torn.bytes:,} bytes at the end were being written when the writer stopped"
        )
        yield Remark(Weight.NOTE, what, "the next writable open sets them aside")
    if verified.derived:
        count = len(verified.derived)
        are, them = ("is", "it") if count == 1 else ("are", "them")
        what = f"{counted(count, 'footer')} {are} not what the frames say"
        yield Remark(Weight.NOTE, what, f"the next writable open makes {them} anew")
    if found.leftovers:
        what = f"left over from an interrupted replacement: {_names(found.leftovers)}"
        yield Remark(Weight.NOTE, what, "the next writable open removes them")
    if not found.has_lock:
        yield Remark(Weight.NOTE, "there is no lock file", "the next writable open makes one")
    yield from _lying_about(directory, found)


def _lying_about(directory: Directory, found: Listing) -> Iterator[Remark]:
    """What no open sees to."""
    if found.aliens:
        what = f"not of the store: {_names(found.aliens)}"
        yield Remark(Weight.NOTE, what, "they are ignored; whether they may go is yours to know")
    kept = layout.quarantined_bytes(directory)
    if kept:
        what = f"{kept:,} bytes in quarantine/"
        yield Remark(Weight.NOTE, what, "evidence, which is never read; yours to keep or to remove")


def _names(names: tuple[str, ...]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
