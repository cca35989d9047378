"""`batpak demo`: the whole story, once, in a temporary folder, with the real thing in every step.

A schema is read, code generated and type-checked, events judged by a gate and appended, the
process killed, the store opened again, the chain verified, the state rebuilt.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from rich.console import Console, Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text

from batpak.store import Store

RECEIPTS_BEFORE_KILL = 200
_RECEIPT = re.compile(r"(?P<sequence>\d+) (?P<content>[0-9a-f]{64})\n")
ILLEGAL = """\
from shop.app import now
from shop.gen.orders import Carrier
from shop.gen.orders.order_machine import OrderMachine, PlacedOrder

def hurry(orders: OrderMachine, order: PlacedOrder) -> None:
    orders.apply(order.ship(carrier=Carrier.DHL, shipped_at=now()))
"""


def demo() -> None:
    """Show the whole story in a temporary folder, in a few seconds."""
    console = Console(highlight=False)
    work = Path(tempfile.mkdtemp(prefix="batpak-demo-"))
    shop = work / "orders"
    shutil.copytree(_example(), shop, ignore=shutil.ignore_patterns("gen", "__pycache__"))
    console.print(Panel("[b]batpak[/b]: describe events once, and never lose one", expand=False))
    for number, (title, step) in enumerate(_STEPS, 1):
        console.print(f"\n[b cyan]{number}[/] [b]{title}[/]")
        step(console, shop)
    _farewell(console, shop)


def _example() -> Path:
    """Find the orders example: in a checkout beside the package, or where a wheel puts it."""
    inside = Path("examples") / "orders"
    for root in (Path(__file__).parents[2], Path(sysconfig.get_path("data")) / "share" / "batpak"):
        if (root / inside).is_dir():
            return root / inside
    sys.exit("batpak demo: the orders example is not part of this installation")


def _run(shop: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python in the example's folder; whatever it printed is ours to show."""
    return subprocess.run(  # noqa: S603  our own interpreter, our own arguments
        [sys.executable, *arguments], cwd=shop, capture_output=True, text=True, check=False
    )


def _done(text: str) -> Text:
    return Text.assemble(("  ✓ ", "green"), text)


# ------------------------------------------------------------------------------------- the steps


def _schema(console: Console, shop: Path) -> None:
    text = (shop / "schemas" / "orders.batpak.yaml").read_text(encoding="utf-8")
    moves = text.partition("    moves:\n")[2].partition("\ngates:")[0]
    gate = text[text.index("  paid_in_full:") :].partition("\nprojections:")[0]
    shown = "\n".join((dedent(moves).rstrip(), "", dedent(gate).rstrip()))
    excerpt = Syntax(shown, "yaml", background_color="default")
    console.print(
        Panel(excerpt, title="schemas/orders.batpak.yaml", title_align="left", expand=False)
    )


def _generate(console: Console, shop: Path) -> None:
    result = _run(shop, "-m", "batpak", "gen")
    _demand(result)
    console.print(_done(result.stdout.strip()))
    for path in sorted((shop / "shop" / "gen" / "orders").glob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        console.print(f"    [dim]shop/gen/orders/{path.name:<20}{lines:>5} lines[/]")


def _typecheck(console: Console, shop: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        console.print("  [yellow]skipped[/]: mypy is not installed (pip install mypy)")
        return
    (shop / "shop" / "hurry.py").write_text(ILLEGAL, encoding="utf-8")
    result = _run(shop, "-m", "mypy", "--no-error-summary", "--hide-error-context")
    (shop / "shop" / "hurry.py").unlink()
    errors = [line for line in result.stdout.splitlines() if "error:" in line]
    legal = [line for line in errors if "hurry.py" not in line]
    if legal or not errors:
        sys.exit(f"batpak demo: mypy answered otherwise than promised:\n{result.stdout}")
    console.print(_done("mypy --strict: the shop and its generated code have no error"))
    console.print("  [b]and shipping an order that is not paid[/]")
    console.print(Syntax(ILLEGAL.splitlines()[-1], "python", background_color="default"))
    for line in errors:
        console.print(Text("    " + line.partition("error:")[2].strip(), "red"))


def _append(console: Console, shop: Path) -> None:
    result = _run(shop, "-m", "shop.app", "shop.store")
    _demand(result)
    for line in result.stdout.splitlines():
        if not line:
            break
        refused = line.startswith("refused")
        console.print(Text.assemble(("  ✗ ", "red") if refused else ("  ✓ ", "green"), line))


def _kill(console: Console, shop: Path) -> None:
    receipts = _receipts_until_killed(shop)
    console.print(
        _done(f"a child placed orders; it was killed (SIGKILL) after {len(receipts)} receipts")
    )
    _check_survivors(console, shop, receipts)


def _receipts_until_killed(shop: Path) -> Mapping[int, str]:
    """Read the child's receipts, kill it in the middle, and read what it had said by then."""
    receipts: dict[int, str] = {}
    command = [sys.executable, "-m", "shop.busy", "shop.store"]
    with subprocess.Popen(  # noqa: S603  our own interpreter, our own arguments
        command, cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        for line in child.stdout or ():
            said = _RECEIPT.fullmatch(line)
            if said is not None:
                receipts[int(said["sequence"])] = said["content"]
            elif len(receipts) < RECEIPTS_BEFORE_KILL:  # after that, a line may be cut
                sys.exit(f"batpak demo: the child said: {line}")
            if len(receipts) == RECEIPTS_BEFORE_KILL:
                child.kill()
    return receipts


def _check_survivors(console: Console, shop: Path, receipts: Mapping[int, str]) -> None:
    sys.path.insert(0, str(shop))
    story = importlib.import_module("shop.app")
    with Store.open(shop / "shop.store") as store:
        lost = [n for n, content in receipts.items() if store.get(n).content_hash.hex() != content]
        if lost:
            sys.exit(f"batpak demo: acknowledged events are gone: {lost[:10]}")
        report = store.open_report
        console.print(
            _done(
                f"opened again in {report.elapsed_ms} ms: {report.events} events, "
                "every receipt is there, byte for byte"
            )
        )
        verified = store.verify()
        verified.raise_for_damage()
        console.print(_done(f"verified: {verified.events} events, every hash and every link"))
        balances = story.balances(store)
        received = sum(balance.received for balance in balances.values())
        console.print(_done(f"projected: {len(balances)} orders, {received} EUR received so far"))


def _demand(result: subprocess.CompletedProcess[str]) -> None:
    if result.returncode != 0:
        sys.exit(f"batpak demo: a step failed:\n{result.stdout}{result.stderr}")


_STEPS = (
    ("One schema: a machine, its moves, and a gate", _schema),
    ("Generate typed Python", _generate),
    ("The type checker knows the rules", _typecheck),
    ("Place, pay, ship, cancel; a gate judges first", _append),
    ("Kill it in the middle, open it again", _kill),
)


def _farewell(console: Console, shop: Path) -> None:
    console.print(
        Panel(
            Group(
                Text.assemble("the store lies in ", (str(shop / "shop.store"), "b")),
                Text(f"the code beside it: {shop / 'shop' / 'app.py'}"),
                Text.assemble("read next: ", ("docs/tutorial/first-store.md", "b")),
            ),
            expand=False,
        )
    )
