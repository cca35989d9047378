"""Proves that a declared projection folds the events it names, and is called as its schema says.

Without these tests a fold could miss the events of another package, begin with a state that no
fold made, or lose its name to the class that extends it, and its caches with that.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from batpak_codegen import versions
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.ir import ProjectionDef
from batpak_codegen.render import render
from batpak_codegen.run import run
from tests import warm
from tests.unit.codegen.project_world import DOORS, changed, linked, package, refused
from tests.unit.codegen.version_world import World

ROOT = Path(__file__).parents[3]
CASE = ROOT / "tests" / "golden" / "cases_out" / "handlers" / "expected"
FOLD = """\
projections:
  Width:
    doc: How wide.
    version: 4
    events: [Closed, Fitted]
    state: {width: i32?, ids: set<DoorId>}
"""
RUN = """
import tempfile
from decimal import Decimal
from typing import final
from uuid import UUID
from msgspec.structs import replace
from batpak import Coordinate, Store
from shop.gen.billing.events import Invoiced, Paid as Elsewhere
from shop.gen.orders.events import Paid, Placed
from shop.gen.orders.projections import LedgerProjection, LedgerState
from shop.gen.orders.types import OrderId
from shop.gen.reports.projections import (
    SeenProjection, SeenState, TurnoverProjection, TurnoverState,
)

one, two = (OrderId(UUID(int=n)) for n in (1, 2))

@final
class Turnover(TurnoverProjection):
    def initial(self): return TurnoverState(sums=(), first=two)
    def on_billing_paid(self, state, event, /):
        return replace(state, sums=(*state.sums, event.payload.amount))
    def on_orders_paid(self, state, event, /): return replace(state, first=event.payload.order_id)
    def on_placed(self, state, event, /): return state

@final
class Ids(LedgerProjection):
    def on_placed(self, state, event, /): return LedgerState(ids=(*state.ids, event.sequence))
    def on_paid(self, state, event, /): return LedgerState(ids=(*state.ids, event.version))

class Other(Ids.__mro__[1]):
    NAME = "mine"

try:
    SeenProjection()
except TypeError as error:
    print("abstract" in str(error))
print(SeenProjection.initial(None))
print(Turnover.NAME, Turnover.VERSION, Turnover.STATE is TurnoverState)
print(sorted(map(hex, Turnover.KINDS)), Ids.NAME, Other.NAME)
with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
    at = Coordinate("order:1", "orders")
    for event in (
        Placed(order_id=one), Invoiced(amount=Decimal(9)), Elsewhere(amount=Decimal("1.5")),
        Paid(order_id=one), Elsewhere(amount=Decimal(2)),
    ):
        store.append(at, event)
    print(store.project(Turnover(), "order:1"))
    print(store.project(Ids(), "order:1"), store.project(Ids(), "order:2"))
    (invoiced,) = store.by_fact(Invoiced)
    print(Turnover().apply(Turnover().initial(), invoiced) == Turnover().initial())
"""


def test_a_projection_has_what_its_schema_says(tmp_path: Path) -> None:
    (found,) = package(tmp_path, DOORS + FOLD).projections

    assert (found.name, found.version, found.doc) == ("Width", 4, "How wide.")
    assert found.events == (("house.doors", "Closed"), ("house.doors", "Fitted"))
    assert [field.name for field in found.fields] == ["width", "ids"]


def test_the_first_version_is_the_default_and_all_are_the_events_of_the_package(
    tmp_path: Path,
) -> None:
    text = DOORS + "projections: {Every: {events: all, state: {n: i64}}}\n"

    (found,) = package(tmp_path, text).projections

    assert isinstance(found, ProjectionDef)
    assert found.version == 1
    assert [name for _, name in found.events] == ["Fitted", "Opened", "Closed", "Bricked"]


STARTS = [
    ("{n: i64}", None),
    ("{n: {type: i64, default: 3}}", "WidthState()"),
    ("{n: i64?, s: set<string>}", "WidthState(s=frozenset())"),
    ("{l: list<i64>, m: map<i64>, o: list<i64>?}", "WidthState(l=(), m={})"),
    ("{l: list<i64>, n: string}", None),
]


@pytest.mark.parametrize(("state", "start"), STARTS)
def test_the_first_state_is_known_if_every_field_begins_somewhere(
    tmp_path: Path, state: str, start: str | None
) -> None:
    text = DOORS + f"projections: {{Width: {{events: [Fitted], state: {state}}}}}\n"

    module = render(linked(tmp_path, text))["doors/projections.py"]

    assert ("def initial(self) -> WidthState:" in module) is (start is not None)
    assert start is None or f"return {start}\n" in module


WRONG = [
    ("E0405", {"Closed, Fitted": "Closed, Shut"}, "no event `Shut`"),
    ("E0405", {"[Closed, Fitted]": "[]"}, "projection Width has no events"),
    ("E0405", {"Closed, Fitted": "Closed, Closed"}, "in this projection twice"),
    ("E0106", {"version: 4": "version: 0"}, "count from 1"),
    ("E0106", {"{width: i32?, ids: set<DoorId>}": "{}"}, "has no field"),
    ("E0302", {"set<DoorId>": "set<DoorIds>"}, "unknown type `DoorIds`"),
    ("E0303", {"width: i32?": "width: {type: i32, ge: 1}"}, "`ge` of width would never be checked"),
    ("E0303", {"width: i32?": "width: {type: i32, wire: w}"}, "`wire` of width means nothing"),
    ("E0411", {"  Width:": "  Door:"}, "generates DoorState, and that name is taken"),
]


@pytest.mark.parametrize(("code", "changes", "said"), WRONG)
def test_a_projection_that_cannot_be_is_refused(
    tmp_path: Path, code: str, changes: dict[str, str], said: str
) -> None:
    found = refused(tmp_path, changed(DOORS + FOLD, changes))

    assert [one.code for one in found] == [code]
    assert said in found[0].message


BODY = """\
types:
  Part: {struct: {n: i64}}
events:
  Paid: {id: 1, fields: {amount: i64}}
projections:
  Revenue: {events: all, state: {net: i64, parts: list<Part>}}
"""
SAME = [
    {"{net: i64, parts: list<Part>}": "{parts: list<Part>, net: {type: i64, doc: In cents.}}"},
    {"  Revenue: {events: all": "  Revenue: {version: 2, events: all", "net: i64": "net: i32"},
    {"fields: {amount: i64}": "fields: {amount: i64, by: string?}"},
]
OTHER = [
    {"net: i64": "net: i32"},
    {"net: i64": "net: {type: i64, default: 0}"},
    {"net: i64, ": ""},
    {"struct: {n: i64}": "struct: {n: i64, m: string?}"},
]


def warnings(world: World) -> list[str]:
    return [one.code for one in run(world.config, check=True).warnings]


@pytest.mark.parametrize("changes", SAME)
def test_a_state_that_looks_the_same_or_has_another_version_is_fine(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    world = World(tmp_path)
    world.freeze(BODY)

    world.schema(changed(BODY, changes))

    assert warnings(world) == []


@pytest.mark.parametrize("changes", OTHER)
def test_a_state_that_changed_under_its_version_is_a_warning_until_it_is_locked(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    world = World(tmp_path)
    world.freeze(BODY)

    world.schema(changed(BODY, changes))

    assert warnings(world) == ["W0404"]
    world.table('ignore = ["W0404"]\n')
    assert warnings(world) == []
    world.table("warnings_as_errors = true\n")
    with pytest.raises(SchemaError) as caught:
        run(world.config, check=True)
    assert [(one.code, one.is_error) for one in caught.value.diagnostics] == [("W0404", True)]
    versions.lock(world.config, check=False)
    assert warnings(world) == []
    assert sum(line.startswith("fold shop.orders.Revenue 1 ") for line in world.lines) == 2


def test_what_only_a_state_mentions_is_not_promised(tmp_path: Path) -> None:
    world = World(tmp_path)

    world.freeze(BODY)

    assert not [line for line in world.lines if "Part" in line]
    assert versions.lock(world.config, check=True).diagnostics == ()


def test_a_package_cannot_hide_the_module_of_projections(tmp_path: Path) -> None:
    inner = "batpak: 1\npackage: house.doors.projections\ndoc: Hidden.\n"

    assert [one.code for one in refused(tmp_path, DOORS + FOLD, inner)] == ["E0411"]


def test_a_fold_runs_over_a_store_under_the_name_that_was_declared(tmp_path: Path) -> None:
    shutil.copytree(CASE, tmp_path / "shop" / "gen")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])

    done = warm.run(["-c", RUN], tmp_path, os.environ | {"PYTHONPATH": path})

    assert done.stderr == ""
    first = "first=UUID('00000000-0000-0000-0000-000000000001')"
    assert done.stdout.splitlines() == [
        "True",
        "SeenState(days=frozenset(), by_day={}, last=None)",
        "shop.reports.Turnover 3 True",
        "['0x2001', '0x2002', '0x3002'] shop.orders.Ledger mine",
        f"TurnoverState(sums=(Decimal('1.50'), Decimal('2.00')), {first})",
        "LedgerState(ids=(1, 4)) None",
        "True",
    ]
