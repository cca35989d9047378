"""What passes between the generator and the process that loads modules: data only."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from batpak_codegen.diagnostic import Diagnostic
from batpak_codegen.nodes import MapNode
from batpak_codegen.source.python.values import ValueText


class Request(Struct, frozen=True):
    """What to load. `search` is where modules are looked for, `out` is never read or imported.

    The modules are of schemas, or, with `are_models`, of Pydantic models for a first schema.
    """

    modules: tuple[str, ...]
    root: str
    search: tuple[str, ...]
    out: str
    out_module: str
    seconds: int
    answer: int
    are_models: bool = False


class ModelField(Struct, frozen=True):
    """A field of a model in the words of the language, or the reason why it has none."""

    name: str
    type: str
    options: tuple[tuple[str, ValueText], ...] = ()
    default: ValueText | None = None
    refused: str | None = None


class Model(Struct, frozen=True):
    """A model or an enum: what it would be in a schema. `members` are names and stored texts."""

    name: str
    kind: Literal["enum", "struct", "event"]
    doc: str | None
    fields: tuple[ModelField, ...] = ()
    members: tuple[tuple[str, str], ...] = ()
    refused: str | None = None


class Answer(Struct, frozen=True):
    """The root node of each module, or the models in it, or what was found instead.

    `texts` maps printed paths to the texts that spans point into; `read` are the printed paths of
    all files of the project that loading has read.
    """

    roots: tuple[MapNode, ...] = ()
    texts: dict[str, str] = {}
    read: tuple[str, ...] = ()
    found: tuple[Diagnostic, ...] = ()
    models: tuple[Model, ...] = ()
