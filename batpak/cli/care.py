"""Commands that take care of a store: `batpak doctor`, `batpak repair`, `batpak compact`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec.structs import asdict
from rich.console import Console
from rich.text import Text

from batpak.cli.doctor import HOPELESS, Remark, Weight, examine
from batpak.cli.options import AsJson, Where
from batpak.cli.progress import bar
from batpak.cli.prose import counted, events_between, harmless, wrapped
from batpak.disk import posix
from batpak.errors import CorruptStore, StoreLocked
from batpak.report import CompactionOutcome, RepairReport
from batpak.store import Store
from batpak.upkeep.repair import repair as repair_path

DAMAGE: Final = 3  # exit codes
TROUBLE: Final = 1
FREE_BYTES_MIN: Final = 256 << 20  # below, a rotation or a recovery may find no room
MARKS: Final = {
    Weight.FINE: ("✓", "green"),
    Weight.NOTE: ("·", "dim"),
    Weight.TROUBLE: ("!", "yellow"),
    Weight.DAMAGE: ("✗", "red"),
}


def doctor(path: Where, *, as_json: AsJson = False) -> None:
    """Say what is the matter with a store, and what to do. Changes nothing.

    A store that a process writes is examined as far as it goes now. Exit code 0: there is nothing
    to do. 1: something keeps it from being opened, and nothing is lost: it is newer than this
    program, there is little room. 3: damage.
    """
    with bar(f"examining {path}") as progress:
        remarks = [*examine(path, progress=progress), _room(path)]
    worst = max(remark.weight for remark in remarks)
    if as_json:
        told = [
            {"weight": one.weight.name.lower(), "what": one.what, "advice": one.advice}
            for one in remarks
        ]
        typer.echo(json.dumps({"path": str(path), "remarks": told}, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        console.print(Text(harmless(str(path)), style="bold"))
        for remark in remarks:
            _show(console, remark)
    if worst >= Weight.TROUBLE:
        raise typer.Exit(DAMAGE if worst is Weight.DAMAGE else TROUBLE)


def _room(path: Path) -> Remark:
    free = posix.free_bytes(str(path))
    what = f"{free / (1 << 20):,.0f} MiB are free"
    if free >= FREE_BYTES_MIN:
        return Remark(Weight.FINE, what)
    return Remark(Weight.TROUBLE, what, "a new segment, or a recovery, may find no room")


def _show(console: Console, remark: Remark) -> None:
    mark, style = MARKS[remark.weight]
    width, begin = console.width if console.is_terminal else None, "    "
    console.print(
        Text.assemble("  ", (mark, style), " ", wrapped(harmless(remark.what), begin, width))
    )
    if remark.advice:
        console.print(Text(begin + wrapped(harmless(remark.advice), begin, width), style="dim"))


def repair(
    path: Where,
    *,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Do it: cut the log, keep the rest aside.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing, which is the default.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what of a damaged store would be given up; with consent, do it.

    What is kept is the longest beginning of the log in which everything verifies; all bytes behind
    it go to quarantine/. Without --accept-loss nothing is changed, and damage is exit code 3. No
    other process may have it open for writing.
    """
    if accept_loss and dry_run:
        raise typer.BadParameter("--dry-run changes nothing, and --accept-loss does; give one")
    try:
        with bar(f"verifying {path}") as progress:
            report = repair_path(path, accept_loss=accept_loss, progress=progress)
    except StoreLocked as error:
        error.hint = "close it there first; `batpak doctor` examines it while it is open"
        raise
    except CorruptStore as error:  # not even the first file says whose it is
        error.hint = f"{HOPELESS}; keep this one, it is the evidence"
        raise
    if as_json:
        typer.echo(json.dumps(_plain(report), indent=2))
    else:
        _tell(report, path)
    if report.finding is not None and not report.repaired:
        raise typer.Exit(DAMAGE)


def compact(
    path: Where,
    *,
    min_segments: Annotated[
        int, typer.Option(metavar="N", min=1, help="With fewer complete files none are merged.")
    ] = 2,
    as_json: AsJson = False,
) -> None:
    """Make the complete files of a store fewer. No event is changed or goes away.

    The store is opened for writing, so no other process may have it open: a running one calls
    `Store.compact`, which also drops events and erases payloads.
    """
    with Store.open(path, create=False) as store, bar(f"compacting {path}") as progress:
        report = store.compact(min_segments=min_segments, progress=progress)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
        return
    if report.outcome is CompactionOutcome.SKIPPED:
        print(f"{harmless(str(path))}: nothing to do; complete files: {report.segments_before:,}")
        return
    files = f"{report.segments_before:,} complete files are {report.segments_after:,} now"
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text.assemble(("✓ ", "green"), (harmless(str(path)), "bold"), f"  {files}"))
    console.print(Text(f"  {report.bytes_before:,} bytes were, {report.bytes_after:,} are"))


def _tell(report: RepairReport, path: Path) -> None:
    if report.finding is None:
        events = {0: "no event is in it", 1: "its only event verifies"}.get(
            report.events, f"all {report.events:,} events verify"
        )
        print(f"{harmless(str(path))}: {events}; there is nothing to repair")
        return
    print(harmless(f"{report.finding.file}:{report.finding.offset}: {report.finding.detail}"))
    kept, gone = ("is kept", "was given up") if report.repaired else ("stays", "would be given up")
    cut = f"{report.cut}, offset {report.offset}"
    print(f"  what {kept}: {counted(report.events, 'event')}, up to {cut}")
    lost = "no event that is known of"
    if report.first_lost is not None and report.last_lost is not None:
        lost = events_between(report.first_lost, report.last_lost)
    print(f"  what {gone}: {lost}; {report.size:,} bytes")
    for name in report.quarantine:
        print(harmless(f"    {path}/{name}"))
    if not report.repaired:
        print("  nothing was changed; --accept-loss does it")


def _plain(report: RepairReport) -> dict[str, object]:
    finding = report.finding
    return {
        "path": report.path,
        "repaired": report.repaired,
        "finding": None
        if finding is None
        else {
            "file": finding.file,
            "offset": finding.offset,
            "reason": finding.reason.value,
            "detail": finding.detail,
        },
        "events": report.events,
        "cut": report.cut,
        "offset": report.offset,
        "first_lost": report.first_lost,
        "last_lost": report.last_lost,
        "size": report.size,
        "quarantine": list(report.quarantine),
    }
