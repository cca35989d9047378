from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, computed_field, field_validator

from batpak_codegen.schema import *

package = Package("house.doors", category=0x1)

class Door(Struct):
    model_config = {"extra": "allow"}
    width: int
    """How wide it is, in centimetres."""
    """And a word too many."""
    height: Annotated[int, Field(description="how high")]
    """How high it is."""
    _secret: int
    LIMIT: ClassVar[int] = 3

    @field_validator("width")
    @classmethod
    def positive(cls, value: int) -> int:
        return abs(value)

    @computed_field
    def area(self) -> int:
        return self.width


class Colour(enum.Enum):
    RED = "red"
    """Like a rose."""

    def shade(self) -> str:
        return "dark"


class Opened(Event, id=1, title="An opening"):
    width: int


class Plain(BaseModel):
    width: int


if package:

    class Hidden(Struct):
        width: int


class DoorId(Id, prefix="door"):
    number: int


class Desk(Context):
    """Who sits there."""

    roles: frozenset[str]
