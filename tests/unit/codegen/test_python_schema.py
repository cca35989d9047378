"""Proves that the classes of a schema module are what they say to Pydantic and to Python.

Without it a schema could be written, but none of its classes could be made, and a test that wants
a value would stumble over a validator that was never built.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import pytest
from pydantic import ValidationError

from batpak_codegen.schema import Declared, Drop, Event, Id, Rename, Struct, Timestamp


class DoorId(Id, prefix="door"): ...


class Part(Struct):
    type: Literal["part"] = "part"
    width: int


class Opened(Event, id=1):
    door_id: DoorId
    part: Part
    at: Timestamp


VALUE = {"door_id": UUID(int=7), "part": {"width": 3}, "at": "2024-02-29T10:00:00Z"}


def test_an_event_is_a_model_and_its_ids_keep_their_class() -> None:
    opened = Opened(**VALUE)  # type: ignore[arg-type]  # Pydantic reads what it is given

    assert type(opened.door_id) is DoorId
    assert opened.door_id == UUID(int=7)
    assert opened.part.width == 3


def test_a_time_without_a_zone_is_no_timestamp() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Opened(**VALUE | {"at": "2024-02-29T10:00:00"})  # type: ignore[arg-type]  # as above


def test_an_event_without_a_number_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="id"):
        type("Nameless", (Event,), {})


def test_a_declaration_remembers_the_very_call() -> None:
    rename, drop = Rename("a", "b"), Drop("c", "d")

    (_, first), (_, second) = Declared.made[-2:]

    assert (rename.old, rename.new, drop.fields) == ("a", "b", ("c", "d"))
    assert first.module == second.module == __name__
    assert first.line == second.line
    assert (first.column, first.end_column, second.column, second.end_column) == (19, 35, 37, 51)
