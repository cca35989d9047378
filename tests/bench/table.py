"""The table, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.bench.line import AtMost, Line, Spread, Times, Verdict


def show(console: Console, lines: Sequence[Line]) -> None:
    table = Table(title="medians of the rounds, lowest to highest in brackets")
    table.add_column("work", max_width=30)
    table.add_column("contender", max_width=34)
    table.add_column("each", justify="right", no_wrap=True)
    table.add_column("per second", justify="right", no_wrap=True)
    table.add_column("ratio of the rounds", justify="right", no_wrap=True)
    table.add_column("aim", no_wrap=True)
    table.add_column("", no_wrap=True)
    for line in lines:
        _add(table, line)
    console.print(table)
    for line in lines:
        for name in line.samples:
            if name in line.remarks:
                console.print(f"{line.title}: {name}: {line.remarks[name]}", highlight=False)


def _add(table: Table, line: Line) -> None:
    what, verdicts = line.title, line.verdicts()
    if not line.samples:
        table.add_row(what, "nothing was measured")
    for name in line.samples:
        spread, ratio = line.spread(name), line.compared(name)
        found = verdicts.get(name, [])
        table.add_row(
            what,
            name,
            f"{_amount(spread.median)} {line.unit.value} {_between(spread)}",
            f"{1e6 / spread.median:,.0f}" if line.per_second else "",
            "" if ratio is None else _ratio(ratio),
            "\n".join(verdict.aim.text for verdict in found),
            "\n".join(_word(verdict) for verdict in found),
        )
        what = ""
    table.add_section()


def _word(verdict: Verdict) -> str:
    if verdict.reached:
        return "[green]PASS[/green]"
    return "[red]short[/red]"


def _ratio(ratio: Spread) -> str:
    if 0 < ratio.high < 0.2:  # rather how many times as long it takes
        turned = Spread(1 / ratio.high, 1 / ratio.median, 1 / ratio.low)
        return f"1/{turned.median:,.1f} {_between(turned)}"
    return f"{ratio.median:,.2f}× {_between(ratio)}"


def _between(spread: Spread) -> str:
    return f"[dim]\\[{_amount(spread.low)}–{_amount(spread.high)}][/dim]"  # noqa: RUF001  a range


def _amount(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def gate_misses(lines: Sequence[Line]) -> list[str]:
    """The ratios and exponents that fell short, in words. Absolutes depend on the machine."""
    return [
        f"{line.title}: {name}: {verdict.value:.3g}, aimed at {verdict.aim.text}"
        for line in lines
        for name, verdicts in line.verdicts().items()
        for verdict in verdicts
        if verdict.gates and not verdict.reached
    ]


def as_json(lines: Sequence[Line]) -> list[dict[str, object]]:
    """Everything that was measured, every sample of it."""
    return [
        {
            "row": line.key,
            "title": line.title,
            "unit": line.unit.value,
            "samples": line.samples,
            "ratios": {
                name: [ratio.low, ratio.median, ratio.high]
                for name in line.samples
                if (ratio := line.compared(name)) is not None
            },
            "remarks": line.remarks,
            "aims": [
                _aim(verdict) for verdicts in line.verdicts().values() for verdict in verdicts
            ],
        }
        for line in lines
    ]


def _aim(verdict: Verdict) -> dict[str, object]:
    aim = verdict.aim
    return {
        "subject": aim.subject,
        "against": aim.against if isinstance(aim, Times) else None,
        "bound": aim.bound if isinstance(aim, AtMost) else aim.factor,
        "said": aim.text,
        "value": verdict.value,
        "reached": verdict.reached,
        "gates": verdict.gates,
    }
