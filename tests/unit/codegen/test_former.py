"""What is generated for former versions: exact, importable, and reading the bytes that were frozen.

The golden case `versions` pins the text. Without this, a hop could be printed well and give the
wrong value, or a relic could not read what only it is there to read.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from batpak_codegen.diagnostic import SchemaError
from tests import warm
from tests.unit.codegen.version_world import World, codes

CASE = Path(__file__).parents[2] / "golden" / "cases_out" / "versions"

PROGRAM = """\
import sys, types
sys.modules["orders_hooks"] = types.ModuleType("orders_hooks")  # what would be in it stands below
from decimal import Decimal
from batpak import registry, wire
from expected import registry as generated
generated.load()
from expected.common import Currency, Money
from expected.orders import Bank, Box, Card, Carrier, Cents, Paid, Placed, Reason, Sent
from expected.orders.former import BankR1, PaidV1, PlacedV2
from expected.orders.upcasts import OrdersUpcasts, install_upcasts

class Upcasts(OrdersUpcasts):
    def placed_v2(self, old: PlacedV2, /) -> Placed:
        total = Money(amount=Decimal(7), currency=Currency.EUR)
        boxes = tuple(Box(lines=box.lines, weight=0) for box in old.boxes)
        return Placed(order_id=old.order_id, customer_email=old.customer_email, boxes=boxes,
                      total=total, note=old.note)

    def paid_v1(self, old: PaidV1, /) -> Paid:
        paid = old.payment
        payment = Bank(iban=paid.iban) if isinstance(paid, BankR1) else paid
        return Paid(order_id=old.order_id, payment=payment, reason=old.reason, limits=old.limits)

try:
    install_upcasts(object())
    raise SystemExit("anything is taken for upcasts")
except AttributeError as error:
    assert "placed_v2" in str(error) or "paid_v1" in str(error)
install_upcasts(Upcasts())
registry.validate()
read = {}
for line in open("frozen/shop_orders.frozen"):
    if not line.startswith("#"):
        kind, revision, data = line.split()
        version = int(revision.partition(".")[0])
        payload = wire.decode(int(kind, 16), version, bytes.fromhex(data))
        read[kind, revision] = payload
        again = wire.encode(payload)  # passes the checks of the current version
        assert (again.data.hex() == data) is (again.version == version), line
"""
CHECKS = [
    "[type(p) for p in read.values()] == [Placed, Sent, Paid, Placed, Placed, Sent, Paid]",
    "read['0x2001', '1.1'].customer_email == 'x' and read['0x2001', '1.1'].note is None",
    "read['0x2001', '2.1'].note == 'x'",
    "read['0x2002', '1.1'].carrier is Carrier.DHL and read['0x2002', '1.1'].origin == 'x'",
    "str(read['0x2002', '1.1'].fee) == '1.00' and read['0x2002', '1.1'].day == '2026-07-24'",
    "read['0x2002', '1.1'].cents == Cents(cents=1) and read['0x2002', '1.1'].why is Reason.LATE",
    "read['0x2003', '1.1'].payment == Bank(iban='x')",
    "read['0x2003', '2.1'].payment == Card(last4='x')",
]


@pytest.mark.parametrize("check", CHECKS)
def test_frozen_bytes_become_what_the_hops_say(check: str) -> None:
    program = f"{PROGRAM}\nassert {check}, read"

    ran = warm.run(["-c", program], CASE)

    assert ran.returncode == 0, ran.stderr


NULLS = """
from batpak import codec, wire
value = codec.decode_plain(bytes.fromhex(next(
    line.split()[2] for line in open("frozen/shop_orders.frozen") if line.startswith("0x2002 1.1")
)))
null = wire.decode(0x2002, 1, codec.encode(value | {"carrier": None, "fee": None}))
assert null.carrier is None and null.fee is None
post = wire.decode(0x2002, 1, codec.encode(value | {"carrier": "ups"}))
assert post.carrier is Carrier.POST
"""


def test_null_stays_null_through_a_hop() -> None:
    ran = warm.run(["-c", PROGRAM + NULLS], CASE)

    assert ran.returncode == 0, ran.stderr


def test_type_checkers_accept_former_versions_and_hops() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "expected"]

    ran = subprocess.run(command, cwd=CASE, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_name_of_a_former_class_is_not_given_to_another(world: World) -> None:
    world.freeze("events:\n  A: {id: 1, fields: {a: string}}\n")
    taken = "types:\n  AV1: {id: order}\n"
    hop = "version: 2, upcasts: {1: [{rename: {a: b}}]}"

    found = world.refused(
        f"{taken}events:\n  A: {{id: 1, {hop}, fields: {{b: string, c: AV1?}}}}\n"
    )

    assert "E0411" in codes(found)


def test_a_hop_may_lead_from_a_required_value_to_one_that_may_be_null(world: World) -> None:
    world.freeze("events:\n  A: {id: 1, fields: {a: string}}\n")
    hop = "version: 2, upcasts: {1: [{rename: {a: b}}]}"
    world.freeze(f"events:\n  A: {{id: 1, {hop}, fields: {{b: string?}}}}\n")

    text = (world.root / "shop/gen/orders/upcasts.py").read_text()

    assert "return A(b=old.a)" in text


@pytest.mark.parametrize(
    ("old", "new", "fits"),
    [
        ("i32", "i64", True),
        ("i64", "i32", False),
        ("u64", "i64", False),
        ("i8", "u8", False),
        ("i16", "{type: decimal, precision: 7, scale: 2}", True),
        ("i16", "{type: decimal, precision: 6, scale: 2}", False),
        ("uuid", "string", True),
        ("date", "string", True),
        ("timestamp", "string", False),
        ("i32", "string", False),
        ("string", "uuid", False),
    ],
)
def test_a_cast_is_total_or_refused(world: World, old: str, new: str, *, fits: bool) -> None:
    world.freeze(f"events:\n  A: {{id: 1, fields: {{a: {old}}}}}\n")
    word = "decimal" if "decimal" in new else new
    changed = (
        "events:\n  A:\n    id: 1\n    version: 2\n"
        f"    fields: {{a: {new}}}\n    upcasts: {{1: [{{cast: {{a: {word}}}}}]}}\n"
    )

    if fits:
        world.freeze(changed)
        world.python("import shop.gen.orders; from batpak import registry; registry.validate()")
    else:
        (found,) = world.refused(changed)
        assert found.code == "E0803"
        assert "not every" in found.message


def test_a_gap_in_versions_is_an_error_before_anything_is_made(world: World) -> None:
    world.schema("events:\n  A: {id: 1, version: 3, fields: {a: string}}\n")

    with pytest.raises(SchemaError) as caught:
        world.freeze()

    assert codes(caught.value.diagnostics) == ["E0801", "E0801"]
