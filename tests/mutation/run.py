"""Break one thing at a time in the rooms that decide what is true, and see that a test notices.

    python tests/mutation/run.py [ROOM ...] [--function NAME] [--verbose]

Rooms: frame scan chain decide restore layout rotation sidx lane tail; all of them if none is named.
For each: how many mutants were made (`mutants.py` lists the kinds), how many made a test fail,
how many ran into their limit of time, how many nobody noticed. Those have to stand in
`survivors.md` with a reason. One that does not is an error, and so is an entry without a mutant.

Why not a library: mutmut 3 changes mostly texts here, leaves out properties, module constants and
statements, and numbers its mutants anew with every edit, so that no list of accepted ones lasts;
cosmic-ray starts the tests anew for each of 2,700 mutants of four rooms, of which a third are in
annotations. Here a mutant takes a fork and the tests of its own lines.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

if __name__ == "__main__":
    ROOT = Path(__file__).absolute().parents[2]
    sys.path[0:1] = [str(ROOT), str(ROOT / "codegen"), str(ROOT / "examples" / "orders")]

from tests.mutation.mutants import Mutant
from tests.mutation.rooms import ROOMS
from tests.mutation.trial import Broken, Verdict, verdicts

HOME: Final = Path(__file__).absolute().parents[2]
LIST: Final = HOME / "tests" / "mutation" / "survivors.md"
_ENTRY: Final = re.compile(r"- `(?P<name>[^`]*)`: `(?P<change>[^`]+)`\n  (?P<why>\S.*)")


def accepted(room: str) -> dict[tuple[str, str], str]:
    """The survivors of a room that have a reason: function and change, and the reason."""
    _, _, section = LIST.read_text(encoding="utf-8").partition(f"\n## {room}\n")
    found = _ENTRY.finditer(section.partition("\n## ")[0])
    return {(one["name"], one["change"]): one["why"] for one in found}


def run(
    rooms: Annotated[list[str] | None, typer.Argument(help="Only these rooms.")] = None,
    function: Annotated[str, typer.Option(help="Only functions whose name begins so.")] = "",
    verbose: Annotated[bool, typer.Option(help="Say what became of every mutant.")] = False,
) -> None:
    """Try every mutant of some rooms; fail if one survives that is not listed."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    failed = False
    for name in rooms or ROOMS:
        began = time.monotonic()
        reasons, counts, unlisted = accepted(name), Counter[Verdict](), list[Mutant]()
        gone = {key for key in reasons if key[0].startswith(function)}

        def wanted(mutant: Mutant) -> bool:
            return mutant.function.startswith(function)

        try:
            for mutant, verdict in verdicts(HOME, ROOMS[name], wanted):
                counts[verdict] += 1
                key = mutant.function, mutant.change
                gone.discard(key)
                where = f"{ROOMS[name].path}:{mutant.line} {mutant.function or '(module)'}"
                text = f"{verdict.value:9}  {where}  {mutant.change}"
                if verdict is Verdict.SURVIVED and key not in reasons:
                    unlisted.append(mutant)
                    console.print(text)
                elif verbose or verdict is Verdict.TIMED_OUT:
                    console.print(text)
        except Broken as error:
            console.print(f"{name}: {error}")
            raise typer.Exit(2) from error
        total, survived = counts.total(), counts[Verdict.SURVIVED]
        share = (total - survived) / total if total else 1.0
        console.print(
            f"{name:9} mutants {total:4}  killed {counts[Verdict.KILLED]:4}"
            f"  timed out {counts[Verdict.TIMED_OUT]:3}  survived {survived:3}"
            f"  ({len(unlisted)} not listed)  {share:.1%}  {time.monotonic() - began:.0f} s"
        )
        for missing in sorted(gone):
            console.print(f"listed, and there is no such mutant: {name} {missing}")
        failed = failed or bool(unlisted or gone)
    raise typer.Exit(failed)


if __name__ == "__main__":
    typer.run(run)
