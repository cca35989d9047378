"""Proves that a first schema is written from Pydantic models, and what that leaves out is said.

Without it a rule of a model could be lost in silence, or `init` could write a schema that does not
compile.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak_codegen.canonical import canonical
from batpak_codegen.commands import Request, gen
from batpak_codegen.config import configure
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.scaffold import init
from tests.unit.codegen.version_world import World

MONEY = '''\
from decimal import Decimal
from enum import Enum

from pydantic import BaseModel, Field


class Currency(Enum):
    """What we take."""

    eur = "eur"
    NOK = "no"


class Money(BaseModel):
    amount: Decimal = Field(max_digits=18, decimal_places=2, ge=0)
    currency: Currency = Currency.eur
'''
EVENTS = '''\
from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, field_validator

from app.money import Money


class About(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order_id: UUID
    at: datetime


class _Private(BaseModel):
    x: int


class Line(BaseModel):
    sku: Annotated[str, Field(pattern=r"^[A-Z]+$", max_length=20)]
    pieces: PositiveInt
    weight: float = 0.5


class OrderPlaced(About):
    """A customer: one
    who pays."""

    lines: list[Line] = Field(min_length=1, description="What: they want")
    total: Money
    labels: dict[str, str] = Field(default_factory=dict)
    tags: set[str] = set()
    note: str | None = Field(None, max_length=500, alias="Note")
    parts: tuple[bytes | None, ...]
    nick: Annotated[str, AfterValidator(str.strip)] = "x"
    day: date = date(2020, 1, 1)
    wait: timedelta | None = None
    is_gift: bool = False

    @field_validator("nick")
    @classmethod
    def short(cls, value: str) -> str:
        return value[:10]


class OrderPaid(About):
    amount: Money
'''
SCHEMA = """\
# yaml-language-server: $schema=batpak-v1.schema.json
# Written from app.events. It is yours from now on.
batpak: 1
package: my_shop.events
category: 0x1

types:
  Line:
    struct:
      sku: {type: string, pattern: "[A-Z]+", max_length: 20}
      pieces: {type: i64, gt: 0}
      weight: {type: f64, default: 0.5}

  Money:
    struct:
      amount: {type: decimal, precision: 18, scale: 2, ge: 0}
      currency: {type: Currency, default: "eur"}

  Currency:
    doc: "What we take."
    enum:
      EUR: eur
      NOK: "no"

events:
  OrderPlaced:
    id: 0x001
    doc: "A customer: one who pays."
    fields:
      order_id: uuid
      at: timestamp
      lines: {type: list<Line>, min_length: 1, doc: "What: they want"}
      total: Money
      labels: map<string>
      tags: set<string>
      note: {type: "string?", max_length: 500}
      parts: list<bytes?>
      nick: {type: string, default: "x"}
      day: {type: date, default: "2020-01-01"}
      wait: duration?
      is_gift: {type: bool, default: false}

  OrderPaid:
    id: 0x002
    fields:
      order_id: uuid
      at: timestamp
      amount: Money
"""
ODD = """\
import enum
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar
from pydantic import BaseModel, Field, RootModel

T = TypeVar("T")
class Level(enum.IntEnum):
    LOW = 1
class Names(RootModel[list[str]]): ...
class Box(BaseModel, Generic[T]):
    of: T
class Tree(BaseModel):
    below: list["Tree"]
class Seen(BaseModel):
    plain: int
    field: {}
"""
LEFT_OUT = {  # an annotation -> why it is left out
    "Any": "`Any` is not a type of the language; say what it is: the set of types is closed",
    "Level": "unknown type `Level`",
    "Names": "`Names` is no struct of a schema; derive it from Struct",
    "Box[int]": "`Box[int]` is no struct of a schema; derive it from Struct",
    "Decimal": "a decimal needs precision and scale; for example {type: decimal, precision: 18,"
    " scale: 2}",
    'Literal["a", "b"]': "a Literal is the tag of a union; write an enum, or give it a union",
    "dict[int, str]": "the keys of a map are text; use a list of structs",
    "list[Annotated[int, Field(ge=1)]]": "a type inside another one has no options;",
    "list[list[int] | str]": "a union has a name and a discriminator;",
    'Annotated[str, Field(pattern="[a-z]+")]': "its pattern may match a part; here it is the whole",
    r'Annotated[str, Field(pattern=r"^\bx$")]': "",
    "tuple[int, str]": "`tuple[int, str]` is not a type of the language;",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "My-Shop" / "app").mkdir(parents=True)
    (tmp_path / "My-Shop" / "app" / "money.py").write_text(MONEY)
    (tmp_path / "My-Shop" / "app" / "events.py").write_text(EVENTS)
    return tmp_path / "My-Shop"


def odd(folder: Path, annotation: str, name: str = "field") -> tuple[list[str], str]:
    """What is said about a module with one odd field, and the schema that comes of it."""
    text = ODD.format(annotation).replace("    field:", f"    {name}:")
    (folder / "app" / "odd.py").write_text(text)
    done = init(folder, "app.odd")
    return done, (folder / "schemas" / "odd.batpak.yaml").read_text()


def test_models_become_structs_and_events(folder: Path) -> None:
    done = init(folder, "app.events")

    text = (folder / "schemas" / "events.batpak.yaml").read_text()
    assert text == SCHEMA
    assert canonical(text, "x") == text
    assert done[2:4] == [
        "schemas/events.batpak.yaml written",
        "  2 events, 3 types from app.events",
    ]
    assert not any("left out" in line for line in done)
    assert not (folder / "schemas" / "notes.batpak.yaml").exists()


def test_the_schema_generates(folder: Path) -> None:
    init(folder, "app.events")

    done = gen(configure(folder / "pyproject.toml"), Request())

    assert done.summary.startswith("1 package, 2 events: ")


@pytest.mark.parametrize("annotation", LEFT_OUT)
def test_what_a_schema_cannot_say_is_a_comment_with_the_reason(
    folder: Path, annotation: str
) -> None:
    done, text = odd(folder, annotation)

    said = [line for line in done if line.startswith("  left out: Seen.field: ")]
    assert len(said) == 1
    assert said[0].startswith(f"  left out: Seen.field: {LEFT_OUT[annotation]}")
    assert text.endswith(
        f"      plain: i64\n      # left out: field: {said[0].partition('field: ')[2]}\n"
    )
    assert gen(configure(folder / "pyproject.toml"), Request(check=True)).reason == "drift"


@pytest.mark.parametrize("name", ["camelCase", "for_", "bool_", "self_", "å"])
def test_names_that_are_none_are_left_out_as_well(folder: Path, name: str) -> None:
    done, text = odd(folder, "int", name)

    assert any(line.startswith(f"  left out: Seen.{name}: ") for line in done)
    assert f"# left out: {name}: " in text


def test_a_type_that_contains_itself_loses_the_field_that_does(folder: Path) -> None:
    done, text = odd(folder, "Optional[Tree]")

    assert any(line.startswith("  left out: Tree.below: a type cannot contain") for line in done)
    assert "  left out: Tree: a struct has at least one field" in done
    assert "      # left out: field: unknown type `Tree`\n" in text


def test_what_is_written_is_text_whatever_the_models_are_called(folder: Path) -> None:
    (folder / "app" / "odd.py").write_text(
        "from enum import Enum\nfrom pydantic import BaseModel, Field, create_model\n"
        'Evil = Enum("Evil", {"A": "a\\"}\\nevents: {}"}, module="app.odd")\n'
        'Bad = create_model("Bad: {}", __module__="app.odd", x=(int, 1))\n'
        "class Seen(BaseModel):\n"
        '    evil: Evil = Field(description="\\n# x: \\"")\n'
        '    text: str = "\\n}\\u202e"\n'
    )

    done = init(folder, "app.odd")
    text = (folder / "schemas" / "odd.batpak.yaml").read_text()

    assert any(line.startswith("  left out: Bad: {}: ") for line in done)
    assert any(line.startswith("  left out: Seen.text: ") for line in done)
    assert text.count("\nevents:") == 1
    assert text.replace("\n", "").isprintable()
    assert gen(configure(folder / "pyproject.toml"), Request(check=True)).reason == "drift"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1 / 0\n", "E0111"),
        ("x = (\n", "E0101"),
        ("import my_shop.gen\n", "E0111"),
        ("x = 1\n", "E0003"),
        ("from app.events import OrderPaid\n", "E0003"),
    ],
)
def test_a_module_without_models_changes_nothing(folder: Path, text: str, code: str) -> None:
    (folder / "app" / "odd.py").write_text(text)
    before = sorted(folder.rglob("*"))

    with pytest.raises(SchemaError, match=code):
        init(folder, "app.odd")

    assert sorted(folder.rglob("*")) == before


def test_schemas_that_are_there_stay_alone(folder: Path) -> None:
    init(folder)

    done = init(folder, "app.events")

    assert "schemas has schemas; nothing is written from app.events" in done
    assert not (folder / "schemas" / "events.batpak.yaml").exists()


def test_the_command_says_what_it_has_left_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.batpak]\nout = "lib/gen"\n')
    (tmp_path / "models.py").write_text(ODD.format("int"))

    told = world.batpak("init", str(tmp_path), "--from-pydantic", "models")
    wrong = world.batpak("init", str(tmp_path), "--from-pydantic", "nothing")

    assert told.returncode == 0
    assert "schemas/models.batpak.yaml written\n  1 event, 0 types from models\n" in told.stdout
    assert "  left out: Level: what an enum stores is text\n" in told.stdout
    assert wrong.returncode == 1
    assert "error[E0111] module `nothing` is not there" in wrong.stderr
