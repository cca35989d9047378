from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, computed_field, field_validator

from batpak_codegen.schema import *

package = Package("house.doors", category=0x1)

class Opened(Event, id=1):
    width: Annotated[str, Field(description="\ud800 is no word")]
