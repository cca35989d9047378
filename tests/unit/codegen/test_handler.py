"""Proves that handler groups hold exactly the events they name, of their own package and others.

Without these tests `all` could forget an event, two events of one name could share a method, or a
listener could stumble over what it did not ask for.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from batpak_codegen.ir import HandlerDef
from tests import warm
from tests.unit.codegen.project_world import DOORS, changed, linked, package, refused

ROOT = Path(__file__).parents[3]
CASE = ROOT / "tests" / "golden" / "cases_out" / "handlers" / "expected"
GROUPS = "handlers: {Every: all, Some: [Closed, Fitted]}\n"
DISPATCH = """
from typing import final
from uuid import UUID
from shop.gen.billing.events import Paid as Elsewhere
from shop.gen.orders.events import Paid, Placed
from shop.gen.orders.handlers import LedgerHandler, LedgerListener, LedgerReactor
from shop.gen.orders.types import OrderId
from decimal import Decimal

@final
class Ledger(LedgerHandler[str]):
    def on_paid(self, event, /): return "ours"
    def on_invoiced(self, event, /): return "invoice"
    def on_billing_paid(self, event, /): return "theirs"

@final
class Bell(LedgerListener):
    def on_paid(self, event, /): print("ding")

@final
class Answers(LedgerReactor):
    def on_paid(self, event, out, witness, /): out.append("ours")
    def on_invoiced(self, event, out, witness, /): out.append("invoice")
    def on_billing_paid(self, event, out, witness, /): out.append("theirs")

class Event:
    def __init__(self, payload): self.payload = payload

ours, theirs = Paid(order_id=OrderId(UUID(int=1))), Elsewhere(amount=Decimal(1))
other = Placed(order_id=OrderId(UUID(int=1)))
ledger = Ledger()
print(ledger.dispatch(Event(ours)), ledger.dispatch(Event(theirs)), ledger.handles(Event(other)))
print(sorted(hex(kind) for kind in Ledger.KINDS))
bell = Bell()
print(bell.dispatch(Event(ours)), bell.dispatch(Event(theirs)), bell.KINDS == Ledger.KINDS)
answers, out = Answers(), []
answers.react(Event(ours), out, None); answers.react(Event(theirs), out, None)
print(out, answers.KINDS == Ledger.KINDS, answers.NAME)
"""


def test_a_group_has_at_most_256_events(tmp_path: Path) -> None:
    head = "batpak: 1\npackage: house.many\ncategory: 3\nhandlers: {All: all}\nevents:\n"
    rows = [f"  E{number}: {{id: {number}, fields: {{}}}}\n" for number in range(257)]

    (found,) = refused(tmp_path, head + "".join(rows))

    assert (found.code, found.message) == (
        "E0105",
        "a handler group has at most 256 events, All 257",
    )
    assert len(package(tmp_path, head + "".join(rows[1:])).handlers[0].events) == 256


def test_all_is_every_event_in_declared_order(tmp_path: Path) -> None:
    every, some = package(tmp_path, DOORS + GROUPS).handlers

    home = "house.doors"
    names = ("Fitted", "Opened", "Closed", "Bricked")
    assert every == HandlerDef("Every", tuple((home, name) for name in names))
    assert some.events == ((home, "Closed"), (home, "Fitted"))


def test_machines_come_first_and_are_groups_too(tmp_path: Path) -> None:
    found = package(tmp_path, DOORS + GROUPS)

    assert [(group.name, group.noun) for group in found.groups] == [
        ("Door", "machine"),
        ("Every", "group"),
        ("Some", "group"),
    ]


def test_an_imported_event_is_renamed_only_where_its_name_is_taken(tmp_path: Path) -> None:
    windows = changed(DOORS, {"house.doors": "house.windows", "0x3": "0x4", "door:{": "win:{"})
    windows = windows.replace("category: 0x4", "category: 0x4\nimports: [house.doors]")
    windows = windows.replace("Bricked", "Barred")
    groups = "handlers: {Both: [Opened, doors.Opened, doors.Bricked]}\n"

    found = linked(tmp_path, DOORS, windows + groups).packages[1]

    assert found.handlers[0].events == (
        ("house.windows", "Opened"),
        ("house.doors", "Opened"),
        ("house.doors", "Bricked"),
    )
    assert found.renamed["house.doors", "Opened"] == "DoorsOpened"
    assert ("house.doors", "Bricked") not in found.renamed
    assert ("house.doors", "Closed") not in found.renamed


def test_events_of_one_name_from_two_packages_have_methods_of_their_own(tmp_path: Path) -> None:
    shutil.copytree(CASE, tmp_path / "shop" / "gen")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])

    done = warm.run(["-c", DISPATCH], tmp_path, os.environ | {"PYTHONPATH": path})

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "ours theirs False",
        "['0x2002', '0x3001', '0x3002']",
        "ding",
        "None None True",
        "['ours', 'theirs'] True __main__.Answers",
    ]
