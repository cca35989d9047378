"""A schema that is changed five times, and a log that every version of its code has written.

Without this, each piece could be right by itself, and the last code still not read the first
event: this is the promise of the lock, made and kept by programs that never met.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.codegen.version_world import World, codes

IDS = "types:\n  OrderId: {id: order}\n"
ARCHIVED = "  Archived: {id: 0x003, fields: {order_id: OrderId}}\n"
PAID = "  Paid: {id: 0x002, fields: {order_id: OrderId, cents: i32}}\n"
STEPS = """\
      1:
        - rename: {email: customer_email}
        - drop: [promo]
"""


def placed(fields: str, version: int = 1, upcasts: str = "") -> str:
    head = f"events:\n  Placed:\n    id: 0x001\n    version: {version}\n"
    return f"{IDS}{head}    fields: {{order_id: OrderId, {fields}}}\n" + (
        f"    upcasts:\n{upcasts}" if upcasts else ""
    )


FIRST = placed("email: string, promo: string?") + PAID + ARCHIVED
ADDED = placed("email: string, promo: string?, note: string?") + PAID + ARCHIVED
RENAMED = placed("customer_email: string, note: string?", 2, STEPS) + PAID + ARCHIVED
SPLIT_PLACED = placed(
    "mailbox: string, host: string, note: string?", 3, STEPS + "      2: python\n"
)
SPLIT = SPLIT_PLACED + PAID + ARCHIVED
RETYPED_PAID = """\
  Paid:
    id: 0x002
    version: 2
    fields: {order_id: OrderId, amount: {type: decimal, precision: 20, scale: 2}}
    upcasts:
      1:
        - rename: {cents: amount}
        - cast: {amount: decimal}
"""
RETYPED = SPLIT_PLACED + RETYPED_PAID + ARCHIVED
RETIRED = SPLIT_PLACED + RETYPED_PAID + "retired: {0x003: Archived}\n"

HOOKS = '''
"""Yours."""

from typing import final

from shop.gen.orders import Placed
from shop.gen.orders.former import PlacedV2
from shop.gen.orders.upcasts import OrdersUpcasts, install_upcasts


@final
class Upcasts(OrdersUpcasts):
    def placed_v2(self, old: PlacedV2, /) -> Placed:
        mailbox, _, host = old.customer_email.partition("@")
        return Placed(order_id=old.order_id, mailbox=mailbox, host=host, note=old.note)


install_upcasts(Upcasts())
'''
WRITE = """
from decimal import Decimal
from uuid import UUID
from batpak import Coordinate, Store
from shop.gen.registry import load
load()
{hooks}
from shop.gen.orders import *
from shop.gen.orders import events
with Store.open("log") as store:
    at = Coordinate("order:1", "shop")
    for event in ({events}):
        store.append(at, event)
"""
READ = """
from batpak import Store
from shop.gen.registry import load
load()
import shop.orders_hooks
from shop.gen.orders import Paid, Placed
with Store.open_read_only("log") as store:
    for fact in (Placed, Paid):
        for event in store.by_fact(fact):
            assert type(event.payload) is fact
            assert store.get(event.sequence).payload == event.payload
            row = {n: getattr(event.payload, n) for n in fact.__struct_fields__ if n != "order_id"}
            print(event.payload_version, row)
"""
ID = "order_id=OrderId(UUID(int=1))"


def write(world: World, schema: str, events: str, *, hooks: bool = False) -> None:
    world.freeze(schema)
    load = "import shop.orders_hooks" if hooks else ""
    world.python(WRITE.format(events=events, hooks=load))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_last_code_reads_what_every_version_before_it_has_written(world: World) -> None:
    write(world, FIRST, f"Placed({ID}, email='a@x', promo='p'), Paid({ID}, cents=5),"
                        f" Archived({ID})")  # fmt: skip
    write(world, ADDED, f"Placed({ID}, email='b@x', note='n'),")
    write(world, RENAMED, f"Placed({ID}, customer_email='c@x'),")
    (world.root / "shop" / "orders_hooks.py").write_text(HOOKS)
    write(world, SPLIT, f"Placed({ID}, mailbox='d', host='x'),", hooks=True)
    write(world, RETYPED, f"Paid({ID}, amount=Decimal('7.25')),", hooks=True)
    world.freeze(RETIRED)

    assert world.python(READ).splitlines() == [
        "1 {'mailbox': 'a', 'host': 'x', 'note': None}",
        "1 {'mailbox': 'b', 'host': 'x', 'note': 'n'}",
        "2 {'mailbox': 'c', 'host': 'x', 'note': None}",
        "3 {'mailbox': 'd', 'host': 'x', 'note': None}",
        "1 {'amount': Decimal('5.00')}",
        "2 {'amount': Decimal('7.25')}",
    ]
    told = world.batpak("compat", "--store", "log")
    assert (told.returncode, told.stderr) == (0, "")
    assert "0x2003 is retired: its events (1) stay readable as plain values" in told.stdout
    assert "log: all 21 events of 5 kinds are readable" in told.stdout


def test_frozen_bytes_of_every_revision_are_read_by_the_last_code(world: World) -> None:
    for schema in (FIRST, ADDED, RENAMED, SPLIT, RETYPED, RETIRED):
        world.freeze(schema)
    (world.root / "shop" / "orders_hooks.py").write_text(HOOKS)

    read = world.python(
        "from shop.gen.registry import load; load(); import shop.orders_hooks\n"
        "from batpak import wire\n"
        "for line in open('tests/batpak/shop_orders.frozen'):\n"
        "    if line[0] != '#':\n"
        "        kind, revision, data = line.split()\n"
        "        version = int(revision.partition('.')[0])\n"
        "        if kind != '0x2003':\n"
        "            payload = wire.decode(int(kind, 16), version, bytes.fromhex(data))\n"
        "            again = wire.encode(payload).data.hex()\n"
        "            print(kind, revision, type(payload).__name__, again == data)\n"
    )

    assert read.splitlines() == [
        "0x2001 1.1 Placed False",
        "0x2002 1.1 Paid False",
        "0x2001 1.2 Placed False",
        "0x2001 2.1 Placed False",
        "0x2001 3.1 Placed True",
        "0x2002 2.1 Paid True",
    ]


def test_a_forgotten_upcast_is_stopped_before_anything_is_written(world: World) -> None:
    world.freeze(ADDED)

    (found,) = world.refused(placed("customer_email: string, note: string?", 2) + PAID + ARCHIVED)

    assert found.code == "E0801"
    assert found.message == "Placed: nothing leads from version 1 to 2"
    assert found.help == "write upcasts: {1: [steps]}, or {1: python}"


def test_an_upcast_that_is_not_installed_keeps_a_store_from_opening(world: World) -> None:
    for schema in (ADDED, RENAMED, SPLIT):
        world.freeze(schema)

    told = world.python(
        "from batpak import RegistryError, Store\n"
        "import shop.gen.orders\n"
        "try:\n    Store.open('log')\n"
        "except RegistryError as error:\n    print(error)\n"
    )

    assert told == (
        "Placed v2 -> v3 is not installed: OrdersUpcasts.placed_v2;"
        " import the module that calls shop.gen.orders.upcasts.install_upcasts\n"
    )


def test_a_reused_kind_is_stopped_with_the_name_it_belongs_to(world: World) -> None:
    world.freeze(FIRST)

    (found,) = world.refused(FIRST.replace("Archived", "Stored"))

    assert found.code == "E0203"
    assert found.message == "kind 0x2003 belongs to shop.orders.Archived for ever"
    assert found.help == "stored events have that number: give Stored another id"
    assert [place.span.path for place in found.also] == ["schemas/batpak.lock"]


def test_a_changed_frozen_shape_is_stopped_and_the_ways_out_are_named(world: World) -> None:
    world.freeze(FIRST)

    (found,) = world.refused(FIRST.replace("email: string", "email: i64"))

    assert found.code == "C111"
    assert found.message == (
        "Placed: email is i64, and was string;"
        " events of revision 1.1 cannot be read as they were meant"
    )
    assert found.help == "raise the version to 2 and write upcasts: {1: …}"
    assert codes(world.breaks(FIRST.replace("email: string", "email: i64"))) == ["C111"]


def test_a_store_that_the_schemas_do_not_read_is_told_kind_by_kind(world: World) -> None:
    write(world, FIRST, f"Placed({ID}, email='a@x'), Paid({ID}, cents=5)")
    world.python(
        "from batpak import Coordinate, EventKind, Store\n"
        "with Store.open('log') as store:\n"
        "    at = Coordinate('order:1', 'shop')\n"
        "    store.append_raw(at, EventKind.custom(2, 1), b'\\x80', payload_version=1)\n"
        "    store.append_raw(at, EventKind.custom(2, 9), b'\\x80', payload_version=1)\n"
        "    store.append_raw(at, EventKind.custom(2, 2), b'\\x80', payload_version=4)\n"
    )

    told = world.batpak("compat", "--store", "log")

    assert told.returncode == 1
    assert "kind 0x2001 (Placed) version 1: 1 of its events, the first is event " in told.stderr
    assert "put version 1 back as it was written" in told.stderr
    assert "kind 0x2009 (no event) version 1: 1 of its events" in told.stderr
    assert "or run `batpak lock --retire 0x2009`" in told.stderr
    assert "kind 0x2002 (Paid) version 4: 1 of its events" in told.stderr
    assert "these schemas are older than the store" in told.stderr
    assert "compatible with lock" in told.stdout
    document = json.loads(world.batpak("compat", "--store", "log", "--format", "json").stdout)
    assert document["reason"] == "breaking"
    assert [found["code"] for found in document["diagnostics"]] == ["E0811"] * 3
    assert document["diagnostics"][2]["help"].startswith("declare its event again")


def test_a_store_is_not_read_with_code_that_is_not_there(world: World) -> None:
    write(world, ADDED, f"Placed({ID}, email='a@x'),")
    world.schema(RENAMED)
    old_code = world.batpak("compat", "--store", "log")
    world.freeze()
    world.freeze(SPLIT)

    no_upcast = world.batpak("compat", "--store", "log")
    no_store = world.batpak("compat", "--store", "nowhere")
    no_mode = world.batpak("compat", "--mode", "sideways")

    assert old_code.returncode == 1
    assert "shop/gen/orders/former.py is missing" in old_code.stderr
    assert no_upcast.returncode == 1
    assert "not readable: kind 0x2001 (Placed) version 1: 1 of its events" in no_upcast.stderr
    assert "mend the upcast of version" in no_upcast.stderr  # gen has left a stub for it
    assert no_mode.returncode == 2
    (world.root / "shop" / "orders_hooks.py").write_text(HOOKS)
    assert world.batpak("compat", "--store", "nowhere").returncode == 2
    assert no_store.returncode == 2
