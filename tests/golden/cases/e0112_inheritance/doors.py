from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, computed_field, field_validator

from batpak_codegen.schema import *

package = Package("house.doors", category=0x1)

T = TypeVar("T")


class Door(Struct):
    width: int


class BigDoor(Door):
    height: int


class Opened(Event, id=1):
    width: int


class OpenedWide(Opened, id=2):
    by: str


class Shut(Event, Generic[T], id=3):
    what: T


class Seen(Context, BaseModel):
    by: str
