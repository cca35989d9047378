"""A domain of any size, as schemas for the compiler and as JSON Schema for its peer.

Every event has the same eight fields, in both forms with the same limits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

EVENTS_PER_PACKAGE: Final = 50  # a file each, as a team would cut it
PACKAGES_PER_CATEGORY: Final = 80  # a category holds 4,096 events
CATEGORIES: Final = (*range(0x1, 0xD), 0xE, 0xF)

FIELDS: Final = """\
      account_id: uuid
      name: {type: string, max_length: 80}
      note: string?
      amount: {type: decimal, precision: 18, scale: 2}
      quantity: {type: i64, ge: 1}
      is_paid: {type: bool, default: false}
      tags: list<string>
      placed_at: timestamp
"""
_PROPERTIES: Final = {
    "account_id": {"type": "string", "format": "uuid"},
    "name": {"type": "string", "maxLength": 80},
    "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    "amount": {"type": "string", "format": "decimal"},
    "quantity": {"type": "integer", "minimum": 1},
    "is_paid": {"type": "boolean", "default": False},
    "tags": {"type": "array", "items": {"type": "string"}},
    "placed_at": {"type": "string", "format": "date-time"},
}


def project(folder: Path, events: int) -> Path:
    """Write a project with so many events, and return its folder."""
    (folder / "schemas").mkdir(parents=True)
    (folder / "app").mkdir()
    (folder / "app" / "__init__.py").touch()
    (folder / "pyproject.toml").write_text('[tool.batpak]\nout = "app/gen"\n', encoding="utf-8")
    for number, first in enumerate(range(0, events, EVENTS_PER_PACKAGE)):
        category, place = divmod(number, PACKAGES_PER_CATEGORY)
        count = min(EVENTS_PER_PACKAGE, events - first)
        head = f"package: app.part{number}\ncategory: {CATEGORIES[category]:#x}"
        lines = ["batpak: 1", head, "events:"]
        for at in range(count):
            type_id = place * EVENTS_PER_PACKAGE + at
            lines.append(f"  Happened{first + at}:\n    id: {type_id:#05x}\n    fields:\n{FIELDS}")
        path = folder / "schemas" / f"part{number}.batpak.yaml"
        path.write_text("\n".join(lines), encoding="utf-8")
    return folder


def json_schema(folder: Path, events: int) -> Path:
    """Write the same shapes as one JSON Schema, and return its path."""
    shape = {
        "type": "object",
        "properties": _PROPERTIES,
        "required": [name for name in _PROPERTIES if name not in ("note", "is_paid")],
    }
    names = [f"Happened{number}" for number in range(events)]
    root = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "All",
        "type": "object",
        "properties": {name.lower(): {"$ref": f"#/$defs/{name}"} for name in names},
        "$defs": {name: {"title": name, **shape} for name in names},
    }
    path = folder / "shapes.json"
    path.write_text(json.dumps(root), encoding="utf-8")
    return path
