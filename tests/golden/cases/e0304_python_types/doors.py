from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, computed_field, field_validator

from batpak_codegen.schema import *

package = Package("house.doors", category=0x1)

class Door(Struct):
    width: int = "wide"
    number: int = True
    wide: Annotated[int, Width("u8")] = 1.5
    maybe: str | None = 3
    ok: str | None = None
    fine: float = 1
