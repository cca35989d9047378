"""Commands about stores: `batpak verify`, `batpak stat`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from msgspec.structs import asdict
from rich.console import Console
from rich.text import Text

from batpak.cli import original
from batpak.cli.kinds import Kinds
from batpak.cli.options import AsJson, Where
from batpak.cli.progress import bar
from batpak.cli.prose import counted, harmless
from batpak.cli.trusted import Keys, keys_of
from batpak.config import StoreConfig
from batpak.errors import StoreLocked
from batpak.note import CheckpointNote
from batpak.platform import REAL
from batpak.report import Finding, NoteFault, Torn, VerifyReport
from batpak.store import Store
from batpak.upkeep.rust.source import is_rust
from batpak.upkeep.verify import verify_path

DAMAGE: int = 3  # exit code
SHOWN_MAX: int = 20  # findings on a terminal; --json has them all
NOTE_CHARS_MAX: int = 4096
BROKEN: dict[NoteFault, str] = {
    NoteFault.UNTRUSTED: "none of the keys has signed the note: it says nothing",
    NoteFault.ROLLED_BACK: "the log ends before the note, or is damaged there",
    NoteFault.REWRITTEN: "the log has another event where the note was taken",
    NoteFault.OTHER_STORE: "the note is of another store",
}


def verify(
    path: Where,
    *,
    since: Annotated[
        typer.FileText | None,
        typer.Option(
            encoding="utf-8",
            errors="replace",
            help="A file with a note that `Store.checkpoint` gave; the log must go on from it.",
            metavar="NOTE",
        ),
    ] = None,
    key: Keys = [],  # noqa: B006  read only
    as_json: AsJson = False,
) -> None:
    """Recompute every checksum, hash and link of a store. Exit code 3: damage was found.

    Nothing is changed. A store that is open for writing is verified as far as it goes now. It may
    be one of the Rust original.
    """
    if is_rust(path):
        if since is not None or key:
            raise typer.BadParameter("a store of the Rust original has no notes")
        if not original.verify(path, as_json=as_json):
            raise typer.Exit(DAMAGE)
        return
    note = None if since is None else CheckpointNote.parse(since.read(NOTE_CHARS_MAX))
    if key and note is None:
        raise typer.BadParameter("--key says who has signed the note of --since")
    believed = keys_of(key) if key else None
    try:
        with bar(f"verifying {path}") as progress:
            report = verify_path(path, REAL, note, believed, progress)
    except StoreLocked:
        config = StoreConfig(trusted=tuple(believed or ()))
        with Store.observe(path, config) as observer, bar(f"verifying {path}") as progress:
            report = observer.verify(since=note, progress=progress)
    if as_json:
        typer.echo(json.dumps(_plain(report), indent=2))
    else:
        _show(report, note, str(path))
    if not report.ok:
        raise typer.Exit(DAMAGE)


def stat(
    path: Where,
    *,
    as_json: AsJson = False,
) -> None:
    """Say what is in a store. Nothing is changed. It may be one of the Rust original."""
    if is_rust(path):
        original.stat(path, as_json=as_json)
        return
    try:
        store = Store.open_read_only(path)
    except StoreLocked:  # somebody is writing: what a crash has left is not of interest
        store = Store.observe(path)
    with store:
        stats, report, kinds = store.stats(), store.open_report, Kinds.of(store)
    if as_json:
        found = {"path": report.path, "store_id": str(report.store_id), **asdict(stats)}
        found["kinds"] = {f"{kind:#06x}": count for kind, count in stats.kinds.items()}
        found["names"] = {f"{kind:#06x}": kinds.known(kind) for kind in stats.kinds}
        found["torn"] = _torn(report.torn, report.path + "/")
        typer.echo(json.dumps(found, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    size = f"{counted(stats.events, 'event')} in {counted(stats.segments, 'segment')}"
    console.print(Text.assemble((harmless(str(path)), "bold"), f"  {size}, {stats.bytes:,} bytes"))
    original.show_names(console, stats.entities, stats.scopes)
    original.show_kinds(console, stats.kinds, kinds)
    if report.torn is not None:
        console.print(Text(f"  {_unfinished(report.torn)}", style="yellow"))


def _show(report: VerifyReport, note: CheckpointNote | None, path: str) -> None:
    console, whole = Console(highlight=False, soft_wrap=True), report.path
    size = f"{counted(report.events, 'event')} in {counted(report.segments, 'segment')}"
    if report.ok:
        console.print(
            Text.assemble(("✓ ", "green"), (harmless(path), "bold"), f"  {size}, all well")
        )
        console.print(Text(f"  head {report.head.hex()}", style="dim"))
        if note is not None:
            kept = f"  goes on from the note of {note.taken}, {counted(note.events, 'event')}"
            console.print(Text(kept, style="dim"))
    else:
        count = counted(report.findings_count + (report.note is not None), "finding")
        console.print(
            Text.assemble(("✗ ", "red"), (harmless(path), "bold"), f"  {size}, ", (count, "red"))
        )
        if report.note is not None:
            broken = f"[{report.note.value}]"
            console.print(Text.assemble("  ", BROKEN[report.note], " ", (broken, "dim")))
        for finding in report.findings[:SHOWN_MAX]:
            console.print(_line(finding, path + finding.file.removeprefix(whole)))
        if report.findings_count > SHOWN_MAX:
            more = report.findings_count - SHOWN_MAX
            console.print(Text(f"  … and {more:,} more; --json lists them", style="dim"))
    if report.torn is not None:
        torn = report.torn
        where = f"{path}{torn.file.removeprefix(whole)}:{torn.offset}"
        console.print(Text(harmless(f"  {where}  {_unfinished(torn)}"), style="yellow"))


def _line(finding: Finding, file: str) -> Text:
    event = "" if finding.sequence is None else f"  event {finding.sequence}"
    return Text.assemble(
        "  ",
        (f"{harmless(file)}:{finding.offset}", "bold"),
        f"{event}  {harmless(finding.detail)} ",
        (f"[{finding.reason.value}]", "dim"),
    )


def _unfinished(torn: Torn) -> str:
    were = "was" if torn.bytes == 1 else "were"
    return f"{counted(torn.bytes, 'byte')} {were} being written when the writer stopped"


def _torn(torn: Torn | None, folder: str = "") -> dict[str, object] | None:
    """An unfinished end as JSON says it. An open tells the name of the file, and not its path."""
    if torn is None:
        return None
    return {"file": folder + torn.file, "offset": torn.offset, "bytes": torn.bytes}


def _plain(report: VerifyReport) -> dict[str, object]:
    return {
        "ok": report.ok,
        "path": report.path,
        "store_id": None if report.store_id is None else str(report.store_id),
        "segments": report.segments,
        "events": report.events,
        "head": report.head.hex(),
        "note": None if report.note is None else report.note.value,
        "findings_count": report.findings_count,
        "findings": [
            {
                "file": one.file,
                "offset": one.offset,
                "sequence": one.sequence,
                "reason": one.reason.value,
                "detail": one.detail,
            }
            for one in report.findings
        ],
        "torn": _torn(report.torn),
    }
