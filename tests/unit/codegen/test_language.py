"""Proves that the JSON Schema for editors is current, and agrees with the compiler where it can.

Without it an editor would mark a correct schema as wrong, or miss a key that was renamed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import cast

import pytest
import yaml

from batpak_codegen.language import language_schema

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "schemas" / "batpak-v1.schema.json"
SAMPLES = sorted(
    path
    for folder in ("schemas", "examples", "tests/golden/cases_out", "tests/golden/features")
    for path in (ROOT / folder).rglob("*.batpak.yaml")
)
Schema = dict[str, object]


def test_the_shipped_file_is_current() -> None:
    old = SHIPPED.read_text(encoding="utf-8")
    fresh = language_schema()

    if old != fresh:
        SHIPPED.write_text(fresh, encoding="utf-8")  # the fix is in the work tree; still fail
    assert old == fresh


def problems(value: object, schema: object, whole: Schema, at: str = "$") -> list[str]:
    """What draft 7 has against a value, as far as our schema uses it; other words are errors."""
    if schema is True:
        return []
    assert isinstance(schema, dict), f"{at}: {schema!r}"
    known = {"$ref", "anyOf", "const", "type", "pattern", "items", "properties", "required"}
    known |= {"patternProperties", "additionalProperties", "description", "title", "$schema"}
    assert set(schema) <= known | {"definitions"}, f"{at}: {set(schema) - known}"
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix("#/definitions/")
        return problems(value, cast(Schema, whole["definitions"])[name], whole, at)
    if "anyOf" in schema:
        found = [problems(value, one, whole, at) for one in cast(list[object], schema["anyOf"])]
        return [] if any(not one for one in found) else found[-1]
    wrong: list[str] = []
    if "const" in schema and value != schema["const"]:
        wrong.append(f"{at}: not {schema['const']}")
    if "type" in schema and not _is(value, schema["type"]):
        return [f"{at}: not {schema['type']}"]
    if "pattern" in schema and not re.search(str(schema["pattern"]), str(value)):
        wrong.append(f"{at}: does not match")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            wrong += problems(item, schema["items"], whole, f"{at}[{number}]")
    if isinstance(value, dict):
        wrong += _map(value, schema, whole, at)
    return wrong


def _map(value: dict[str, object], schema: Schema, whole: Schema, at: str) -> list[str]:
    required = cast(list[str], schema.get("required", []))
    wrong = [f"{at}: {key} is missing" for key in required if key not in value]
    named = cast(Schema, schema.get("properties", {}))
    patterns = cast(Schema, schema.get("patternProperties", {}))
    for key, item in value.items():
        fitting = [named[key]] if key in named else []
        fitting += [one for pattern, one in patterns.items() if re.search(pattern, key)]
        other = schema.get("additionalProperties", True)
        for one in fitting or ([] if other is False else [other]):
            wrong += problems(item, one, whole, f"{at}.{key}")
        if not fitting and other is False:
            wrong.append(f"{at}: unknown key {key}")
    return wrong


def _is(value: object, names: object) -> bool:
    kinds: dict[object, bool] = {
        "string": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
        "null": value is None,
    }
    return any(kinds[name] for name in (names if isinstance(names, list) else [names]))


class _Core(yaml.CSafeLoader):
    """YAML as editors read it: dates, `on` and `no` are text."""


_Core.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in found
        if "timestamp" not in tag and ("bool" not in tag or first in "tf")
    ]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def judged(text: str) -> list[str]:
    schema = json.loads(language_schema())
    return problems(yaml.load(text, _Core), schema, schema)  # noqa: S506  a SafeLoader without dates


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_schema_of_ours_is_accepted(path: Path) -> None:
    assert judged(path.read_text(encoding="utf-8")) == []


GOOD = "batpak: 1\npackage: a.b\n"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("package: a\n", "$: batpak is missing"),
        ("batpak: 2\npackage: a\n", "$.batpak: not 1"),
        (f"{GOOD}event: {{}}\n", "$: unknown key event"),
        ("batpak: 1\npackage: A.b\n", "$.package: does not match"),
        (f"{GOOD}events: {{A: {{fields: {{}}}}}}\n", "$.events.A: id is missing"),
        (f"{GOOD}events: {{a: {{id: 1, fields: {{}}}}}}\n", "$.events: unknown key a"),
        (f"{GOOD}events: {{A: {{id: x, fields: {{}}}}}}\n", "$.events.A.id: does not match"),
        (f"{GOOD}types: {{A: {{struct: {{x: {{typ: i8}}}}}}}}\n", "unknown key typ"),
        (f"{GOOD}types: {{A: {{alias: string, max_lenght: 3}}}}\n", "unknown key max_lenght"),
    ],
)
def test_what_an_editor_can_know_to_be_wrong_is_marked(text: str, wrong: str) -> None:
    found = judged(text)

    assert any(wrong in one for one in found), found


def test_keys_of_other_tools_and_the_mark_of_the_schema_itself_pass() -> None:
    assert judged(f"{GOOD}$schema: x.json\nx-team: [a]\n") == []
