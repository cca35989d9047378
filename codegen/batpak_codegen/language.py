"""The JSON Schema of the language, for editors: made from the models that read it.

An editor completes keys and marks what cannot be right while one types. It knows less than
`batpak check`: what a name refers to, and whether things fit each other, is not said here. Slots
that a reader of their own fills, and that are not known here, accept what YAML makes of them.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Final, TypeAlias, Union, get_args, get_origin

from pydantic import BeforeValidator

from batpak_codegen import names
from batpak_codegen.declarations import (
    LANGUAGE_VERSION,
    Declaration,
    FieldDecl,
    SchemaFile,
    TypeDecl,
)
from batpak_codegen.nodes import TextNode
from batpak_codegen.slots import Bool, Int

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json]"

NAME: Final = "batpak-v1.schema.json"
_DIALECT: Final = "http://json-schema.org/draft-07/schema#"  # the one that editors know
_TEXT: Final[Mapping[str, Json]] = {"$ref": "#/definitions/text"}
_WHOLE: Final[Mapping[str, Json]] = {"$ref": "#/definitions/whole"}
_SLOTS: Final[Mapping[str, Json]] = {
    "text": {"type": ["string", "number", "boolean", "null"]},  # YAML guesses what text means
    "whole": {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[+-]?[0-9][0-9_]*$"}]},
}
_PATTERNS: Final[Mapping[object, str]] = {  # of the rules of names
    names.package: names.PACKAGE.pattern,
    names.class_name: names.CLASS.pattern,
    names.lower_name: names.LOWER.pattern,
    names.field_name: names.LOWER.pattern,
    names.move_name: names.LOWER.pattern,
    names.member_name: names.UPPER.pattern,
    names.denial_code: names.UPPER.pattern,
    names.id_prefix: names.PREFIX.pattern,
}


def language_schema() -> str:
    """Return the JSON Schema as text that ends in a line feed."""
    definitions: dict[str, Json] = dict(_SLOTS)
    root = _object(SchemaFile, definitions)
    file = {
        "$schema": _DIALECT,
        "title": "A schema of batpak",
        **root,
        "properties": {
            "batpak": {"const": LANGUAGE_VERSION, "description": "The version of the language."},
            "$schema": {"type": "string"},
            **_properties(SchemaFile, definitions),
        },
        "required": ["batpak", *_required(SchemaFile)],
        "definitions": dict(sorted(definitions.items())),
    }
    return json.dumps(file, indent=2) + "\n"


def _object(of: type[Declaration], definitions: dict[str, Json]) -> dict[str, Json]:
    schema: dict[str, Json] = {
        "description": " ".join((of.__doc__ or "").split()),
        "type": "object",
        "properties": _properties(of, definitions),
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
    }
    required = _required(of)
    return schema | ({"required": required} if required else {})


def _keys(of: type[Declaration]) -> list[tuple[str, str]]:
    """Return the key in the file and the name of the attribute."""
    return [(n.rstrip("_"), n) for n in of.model_fields if n not in ("span", "path")]


def _required(of: type[Declaration]) -> list[str]:
    return [key for key, name in _keys(of) if of.model_fields[name].is_required()]


def _properties(of: type[Declaration], definitions: dict[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, name in _keys(of):
        field = of.model_fields[name]
        found[key] = _slot(field.annotation, field.metadata, definitions)
    if of is TypeDecl:  # the options of an alias stand beside it
        options = _properties(FieldDecl, definitions)
        found["alias"] = options.pop("type")
        found = {**options, **found}
    return found


def _slot(of: object, metadata: Sequence[object], definitions: dict[str, Json]) -> Json:
    """Return the schema of what may stand in a slot of the type `of`."""
    if get_origin(of) is Annotated:
        inner, *more = get_args(of)
        return _slot(inner, [*metadata, *more], definitions)
    if get_origin(of) in (Union, UnionType):
        parts = [part for part in get_args(of) if part is not NoneType]
        slots = [_slot(part, metadata if len(parts) == 1 else (), definitions) for part in parts]
        return slots[0] if len(slots) == 1 else {"anyOf": slots}
    rule = _rule(metadata)
    if isinstance(of, type) and issubclass(of, Declaration):
        return _reference(of, definitions)
    if of is Int:
        return _WHOLE
    if of is Bool:
        return {"type": "boolean"}
    if of is TextNode:
        return {"type": "string", "pattern": f"^({rule})$"} if rule else _TEXT
    if get_origin(of) is tuple:
        return _several(get_args(of)[0], rule, definitions)
    return True


def _several(of: object, rule: str | None, definitions: dict[str, Json]) -> Json:
    """Return the schema of a map, which is read into pairs, or of a list."""
    if get_origin(of) is not tuple:
        item = _slot(of, (), definitions)
        return {"anyOf": [{"type": "array", "items": item}, item]}
    value = _slot(get_args(of)[1], (), definitions)
    if rule is None:
        return {"type": "object", "additionalProperties": value}
    return {
        "type": "object",
        "patternProperties": {f"^({rule})$": value},
        "additionalProperties": False,
    }


def _reference(of: type[Declaration], definitions: dict[str, Json]) -> Json:
    name = of.__name__.removesuffix("Decl")
    if name not in definitions:
        definitions[name] = True  # while it is made, for what contains itself
        whole = _object(of, definitions)
        short = of is FieldDecl  # text alone is the type
        definitions[name] = {"anyOf": [{"type": "string"}, whole]} if short else whole
    return {"$ref": f"#/definitions/{name}"}


def _rule(metadata: Sequence[object]) -> str | None:
    """Return the pattern of the names that a reader demands; None if it demands none."""
    for one in metadata:
        if isinstance(one, BeforeValidator) and inspect.isfunction(one.func):
            demanded = inspect.getclosurevars(one.func).nonlocals.get("rule")
            if demanded in _PATTERNS:
                return _PATTERNS[demanded]
    return None
