from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, computed_field, field_validator

from batpak_codegen.schema import *

package = Package("house.doors", category=0x1)

Small = Annotated[int, Width("u8"), Field(le=99)]


class Door(Struct):
    renamed: str = Field(alias="from")
    stepped: Annotated[int, Field(multiple_of=3)]
    inner: tuple[Annotated[str, Field(max_length=3)], ...]
    twice: Annotated[int, Field(ge=1), Field(ge=2)]
    wide: Annotated[Decimal, Width("i32")]
    made: int = Field(default_factory=int)
    strict: Annotated[int, Field(strict=True)]
    ok: Annotated[Small, Field(ge=3)]
    told: str = Field(discriminator="kind")
    stored: Annotated[str, Wire("from"), Wire("source")]
