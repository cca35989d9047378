"""What commands about stores say of a store of the Rust original."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import typer
from msgspec.structs import asdict
from rich.console import Console
from rich.text import Text

from batpak.cli.kinds import UNTOLD, Kinds
from batpak.cli.prose import counted, harmless
from batpak.errors import CorruptStore
from batpak.upkeep.rust.source import RustReport, RustSource

SHOWN_MAX: int = 20  # findings on a terminal; --json has them all
KINDS_MAX: int = 20  # likewise


def verify(path: Path, *, as_json: bool) -> bool:
    """Read every frame, and say what is wrong. Whether nothing is."""
    report: RustReport | None = None
    findings: list[CorruptStore] = []
    try:
        with RustSource.open(path) as source:
            report = source.report
            findings += source.faults()
    except CorruptStore as error:
        findings.append(error)
    if as_json:
        told = {
            "ok": not findings,
            "path": str(path) if report is None else report.path,
            "findings_count": len(findings),
            "findings": [
                {"file": one.path, "offset": one.offset, "reason": one.reason, "detail": one.detail}
                for one in findings
            ],
            "report": None if report is None else _plain(report),
        }
        typer.echo(json.dumps(told, indent=2))
        return not findings
    console = Console(highlight=False, soft_wrap=True)
    if report is not None:
        _head(console, path, report, "✗" if findings else "✓")
        _left_out(console, report)
    for one in findings[:SHOWN_MAX]:
        where = (f"  {one.path}:{one.offset}", "bold")
        console.print(Text.assemble(where, f"  {one.detail} ", (f"[{one.reason}]", "dim")))
    if len(findings) > SHOWN_MAX:
        more = f"  … and {len(findings) - SHOWN_MAX:,} more; --json lists them"
        console.print(Text(more, style="dim"))
    return not findings


def stat(path: Path, *, as_json: bool) -> None:
    """Say what is in it."""
    with RustSource.open(path) as source:
        report = source.report
        names = [(one.entity, one.scope) for one in source.events()]
    entities, scopes = len({entity for entity, _ in names}), len({scope for _, scope in names})
    if as_json:
        told = {**_plain(report), "entities": entities, "scopes": scopes}
        typer.echo(json.dumps(told, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    _head(console, path, report, "")
    show_names(console, entities, scopes)
    console.print(Text(f"  numbers by {report.numbered_by}", style="dim"))
    show_kinds(console, report.kinds)
    _left_out(console, report)


def show_names(console: Console, entities: int, scopes: int) -> None:
    """How many of each there are."""
    many = f"{entities:,} entities" if entities != 1 else "1 entity"
    console.print(Text(f"  {many}, {scopes:,} scope{'s' * (scopes != 1)}"))


def show_kinds(console: Console, kinds: Mapping[int, int], known: Kinds = UNTOLD) -> None:
    """How many events there are of each kind, the most first."""
    ordered = sorted(kinds.items(), key=lambda one: (-one[1], one[0]))
    for kind, count in ordered[:KINDS_MAX]:
        name = f"  {known.known(kind) or ''}".rstrip()
        console.print(Text(f"  {kind:#06x}  {count:>10,}{name}"))
    if len(ordered) > KINDS_MAX:
        more = f"  … and {len(ordered) - KINDS_MAX:,} more kinds; --json lists them"
        console.print(Text(more, style="dim"))


def _head(console: Console, path: Path, report: RustReport, mark: str) -> None:
    style = {"✓": "green", "✗": "red"}.get(mark, "")
    size = f"{counted(report.events, 'event')} in {counted(report.segments, 'segment')}"
    what = f"  {size}, {report.bytes:,} bytes, of the Rust original"
    console.print(
        Text.assemble((f"{mark} " if mark else "", style), (harmless(str(path)), "bold"), what)
    )


def _left_out(console: Console, report: RustReport) -> None:
    if report.hidden:
        console.print(Text(f"  {report.hidden:,} hidden by a cancelled fence", style="dim"))
    for one in report.left_out[:SHOWN_MAX]:
        events = f", {counted(one.events, 'event')}" if one.events else ""
        console.print(
            Text(f"  {harmless(one.file)}:{one.offset}  {one.reason}{events}", style="yellow")
        )


def _plain(report: RustReport) -> dict[str, object]:
    return {
        **asdict(report),
        "kinds": {f"{kind:#06x}": count for kind, count in report.kinds.items()},
        "left_out": [asdict(one) for one in report.left_out],
    }
