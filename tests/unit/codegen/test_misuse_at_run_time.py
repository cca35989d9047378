"""What checkers reject fails at run time too, as far as Python lets it come, and says why.

Without this, code that no checker has seen (a cast, a notebook, an `Any` from a library) could
write what the types forbid. The rows are those of the table of misuse: tests/typing/cases.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEFECT = "GATE_DEFECT.*the gate failed: "
SAID = {
    1: "^TypeError: Extra positional arguments",
    2: "^TypeError: Missing required argument 'cancelled_at'",
    3: "^TypeError: Unexpected keyword argument 'why'",
    4: r"^PayloadInvalid: OrderCancelled: \$\.cancelled_at: expected a datetime with a time zone,"
    " got 'today'$",
    5: r"^PayloadInvalid: OrderShipped: \$\.carrier: expected a Carrier, got 'dhl'$",
    8: r"^PayloadInvalid: OrderPaid: \$\.amount\.amount: expected a decimal .* got 1\.5$",
    9: r"^PayloadInvalid: OrderPlaced: \$\.lines: expected a tuple of 1\.\.200 items, got \[",
    11: "^AttributeError: immutable type: 'OrderPaid'",
    12: "^AttributeError: immutable type: 'Money'",
    15: "^TypeError: .* missing 1 required positional argument",
    16: "^RegistryError: .*Special has no KIND",
    17: "^RegistryError: .*Thawed has no KIND",
    18: "^InvalidArgument: payload: dict is not a registered EventPayload class",
    19: "^InvalidArgument: payload: SeenV1 is a former version, .*; append a Seen$",
    20: "^InvalidArgument: coord: must be a Coordinate, not str",
    21: "^InvalidArgument: payload: SeenV1 is a former version, .*; append a Seen$",
    22: "^InvalidArgument: fact: .*SeenV1.* is neither an EventKind nor a payload class",
    23: "^KindMismatch: event .* has kind 0x2002, not 0x2003",
    24: "^AttributeError: 'OrderCancelled' object has no attribute 'amount'",
    25: r"^IllegalTransition: ship\(\) is legal from PaidOrder only; this is PlacedOrder$",
    26: r"^IllegalTransition: ship\(\) is legal from PaidOrder only; this is DraftOrder$",
    27: r"^IllegalTransition: cancel\(\) is legal from PlacedOrder or PaidOrder only; this is",
    28: "^InvalidArgument: order_id: .*Order is named by a UUID, not by a str",
    29: "^TypeError: .* got an unexpected keyword argument 'order_id'",
    30: "^TypeError: .* missing 1 required keyword-only argument: 'shipped_at'",
    31: r"^IllegalTransition: shop\.orders\.Order: PlacedOrder \+ OrderPaid needs PayOrderGates$",
    32: r"^IllegalTransition: shop\.orders\.Order: PackedParcel \+ ParcelSent is no move$",
    33: "^InvalidArgument: move: expected a Transition or a Guarded, got an OrderPaid",
    35: "^AssertionError: made, and not used:\n.*<Transition PaidOrder",
    36: "^IllegalTransition: a Transition comes from a handle only",
    37: "^IllegalTransition: PaidOrder comes from a machine only",
    38: "^AttributeError: 'Placed' object has no attribute 'payment_id'",
    39: "^AttributeError: immutable type: 'Placed'",
    40: "^AttributeError: property 'version' of 'PlacedOrder' object has no setter",
    41: "^AttributeError: 'Draft' object has no attribute 'total'",
    43: "^AssertionError: Expected code to be unreachable, but got: <PlacedOrder",
    44: "^AssertionError: Expected code to be unreachable, but got: OrderPaid",
    45: "^InvalidArgument: receipt: expected a Receipt, got a Denial",
    46: "^InvalidArgument: receipt: expected a Receipt, got a Guarded",
    47: "^InvalidArgument: receipt: expected a Receipt, got a Denial",
    48: "^InvalidArgument: move: OrderPaid needs PayOrderGates, and this is OtherGates$",
    49: "^InvalidArgument: move: OrderPaid needs PayOrderGates, and this is CancelOrderGates$",
    50: f"{DEFECT}AttributeError: .*'roles'",
    52: "^InvalidArgument: move: expected a Transition or a Guarded, got a Receipt",
    53: "^TypeError: .* missing 4 required positional arguments",
    60: f"{DEFECT}TypeError: it answered NoneType, which is neither PERMIT nor a Denial",
    61: f"{DEFECT}TypeError: it answered bool, which is neither PERMIT nor a Denial",
    62: f"{DEFECT}AttributeError: 'OrderPaid' object has no attribute 'shipped_at'",
    63: "^TypeError: Can't instantiate abstract class Half .*on_order_cancelled",
    64: "^TypeError: Can't instantiate abstract class Half .*on_order_cancelled",
    65: "^TypeError: Can't instantiate abstract class Half .*on_order_cancelled",
    69: "^KeyError: .*OrderRefunded",
    70: "^KeyError: .*ParcelSent",
    71: "^TypeError: Can't instantiate abstract class Deaf .*on_order_cancelled",
    73: "^InvalidArgument: payload: SeenV1 is a former version, .*; append a Seen$",
    74: "^TypeError: Can't instantiate abstract class NoEvolve .*evolve_order_ship",
    75: f"{DEFECT}AssertionError: Expected code to be unreachable, but got: 'CREDIT_LIMITS'",
    76: f"{DEFECT}AssertionError: Expected code to be unreachable, but got: None",
    79: "^AttributeError: 'object' object has no attribute 'gate_credit_ok'",
    80: "^TypeError: .* missing 1 required positional argument: 'hooks'",
}
FOR_CHECKERS_ONLY = {
    6: "an OrderId is a UUID when the program runs",
    7: "and so is a CustomerId",
    13: "a member is not equal to its text: the comparison is False, which is no error",
    34: "the handle is what it is, whatever the variable is said to hold",
    42: "a subclass of a handle can be written; nothing makes one",
    66: "Python does not compare signatures",
    67: "nor what they return",
    68: "a method that nobody calls is not called",
    72: "Python does not compare signatures",
    77: "Python does not compare signatures",
    82: "Python does not compare signatures",
    84: "a default of another type is what is asked for",
}
TRIED_ELSEWHERE = {
    10: "test_render, with unions",
    14: "test_render: a DeprecationWarning where it is appended",
    78: "test_upcast: DecodeFailed in stage UPCAST",
    81: "test_former: an AttributeError when they are installed",
    **dict.fromkeys((51, *range(54, 60)), "gates_world: proposals and pipelines"),
    83: "as rows 43 and 44: assert_never raises",
    85: "nothing of ours to try: an attribute that a struct does not have",
}


@pytest.fixture(scope="module")
def came_of() -> dict[int, str]:
    """What came of every misuse, by its row."""
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-m", "tests.unit.codegen.misuse_world"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {int(row): said for row, said in json.loads(done.stdout).items()}


@pytest.mark.parametrize("row", SAID)
def test_what_got_past_the_checkers_is_refused(row: int, came_of: dict[int, str]) -> None:
    assert re.search(SAID[row], came_of[row], re.DOTALL), came_of[row]


def test_every_row_that_a_checker_rejects_here_is_tried_or_has_a_reason(
    came_of: dict[int, str],
) -> None:
    cases = (ROOT / "tests/typing/cases").glob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in cases)
    rows = {int(row) for row in re.findall(r"# E(\d+):", text)}

    assert came_of.keys() == SAID.keys()
    assert rows <= {*SAID, *FOR_CHECKERS_ONLY, *TRIED_ELSEWHERE}
