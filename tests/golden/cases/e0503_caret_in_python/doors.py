from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, computed_field, field_validator

from batpak_codegen.schema import *

package = Package("house.doors", category=0x1)

class Opened(Event, id=1):
    width: int
    by: str


one = Gate("one", event=Opened, require="event.widht > 3", deny=Deny("ONE", "is {event.widht}"))
two = Gate(
    "two",
    event=Opened,
    require=(
        "event.width > 3"
        " and event.by != '\x41\u00e9' and event.bye != ''"
    ),
    deny=Deny(
        code="TWO",
        message="""it is
        {event.bi}""",
    ),
)
three = Gate(
    "three",
    event=Opened,
    require=r"""
        event.width > 3
        and event.wide
    """,
    deny=Deny("THREE", "über {event.bi}"),
)
