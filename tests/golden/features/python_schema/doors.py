"""Doors of a house."""

from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from batpak_codegen.schema import *

package = Package("house.doors", category=0x1)
Label: TypeAlias = Annotated[str, Field(max_length=9, pattern="[A-Z]+")]


class DoorId(Id, prefix="door"):
    """Names a door."""


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Wood(Struct):
    kind: Literal["wood"]
    oiled: bool = False


class Steel(Struct):
    kind: Literal["steel"]
    weight: Annotated[Decimal, Field(max_digits=9, decimal_places=3, gt=0)]


Leaf: TypeAlias = Annotated[Wood | Steel, Field(discriminator="kind")]


class Opened(Event, id=1):
    """Somebody came in."""

    door_id: DoorId
    at: Timestamp
    label: Label
    colour: Colour | None = None
    leaf: Leaf
    width: Annotated[int, Width("u8")] = Field(80, description="In centimetres.")
    who: Annotated[tuple[str, ...], Wire("from")]
