"""What a checker says about a schema in Python before the compiler ever sees it."""

import enum
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from batpak_codegen.schema import (
    Add,
    Cast,
    Context,
    Deny,
    Drop,
    Event,
    Example,
    Gate,
    Handler,
    Id,
    Machine,
    MapEnum,
    Move,
    OpenEnum,
    Package,
    Policy,
    Projection,
    Python,
    Rename,
    State,
    Struct,
    Timestamp,
    Width,
    Wire,
    Wrap,
)

package = Package("house.doors", category=0x1, retired={0x006: "Painted"})


class DoorId(Id, prefix="door"): ...


class Colour(OpenEnum):
    RED = "red"


Small = Annotated[int, Width("u8")]
Price = Annotated[Decimal, Field(max_digits=9, decimal_places=2, ge=0)]


class Card(Struct):
    type: Literal["card"]
    last4: str


class Desk(Context):
    roles: frozenset[str]


class Opened(
    Event,
    id=0x001,
    category=0x2,
    version=8,
    deprecated="use Moved",
    reserved=["colour"],
    upcasts={
        1: [Rename("a", "b"), Add("note", None), Drop("c", "d"), Wrap("n", "value")],
        2: (Cast("width", "i64"), MapEnum("colour", {"RED": "BLUE"})),
        3: Python,
    },
):
    """It opened."""

    door_id: DoorId
    at: Timestamp
    width: Small = 3
    source: Annotated[str, Wire("from")] | None = None
    colour: Colour = Colour.RED
    prices: tuple[Price, ...] = Field(min_length=1)


example: Example = {"expect": "permit", "event": {"width": 3}}
gate = Gate("g", event=Opened, context=Desk, require="x", deny=Deny("NO", "no"), examples=[example])
other = Gate("h", event=Opened, python={"NO": "no"})
move = Move("open", ["A", "B"], "C", Opened, gates=[gate], set={"n": "1"}, evolve=Python)
state = State("A", initial=True, data={"width": int, "note": str | None, "price": Price})
machine = Machine("Door", entity="door:{door_id}", states=[state], moves=[move])
policy = Policy("P", event=Opened, gates=[gate])
handlers = [Handler("Ledger", [Opened]), Handler("All", "all")]
projection = Projection("Sum", version=1, events=[Opened], state={"n": int})

reveal = Opened(door_id=DoorId(int=1), at=package, prices=())  # E: arg-type | reportArgumentType


class NoNumber(Event):  # E: call-arg | reportCallIssue
    width: int


class TextNumber(Event, id="1"):  # E: arg-type | reportArgumentType
    width: int


class Misspelled(Event, id=2, versio=3):  # E: call-arg | reportCallIssue
    width: int


class NotAStep(Event, id=3, upcasts={1: ["rename"]}):  # E: list-item | reportArgumentType
    width: int


class NoPrefix(Id): ...  # E: call-arg | reportCallIssue


class Plain(enum.Enum):
    RED = "red"


Wide = Annotated[int, Width("i24")]  # E: - | reportArgumentType
no_event = Gate("g", event=Card, require="x")  # E: arg-type | reportArgumentType
no_context = Gate("g", event=Opened, context=Card)  # E: arg-type | reportArgumentType
no_deny = Gate("g", event=Opened, require="x", deny="no")  # E: arg-type | reportArgumentType
no_gate = Move("open", "A", "B", Opened, gates=["g"])  # E: list-item | reportArgumentType
no_target = Move("open", "A", event=Opened)  # E: call-arg | reportCallIssue
no_state = Machine("D", entity="d:{n}", states=["A"], moves=[])  # E: list-item | reportArgumentType
no_events = Handler("Ledger", "some")  # E: arg-type | reportArgumentType
no_expect: Example = {"event": {}}  # E: typeddict-item | reportAssignmentType
no_number = Package("house", category="2")  # E: arg-type | reportArgumentType
