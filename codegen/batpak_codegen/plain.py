"""The linked schemas as JSON: what other tools may build on, instead of reading YAML again.

Every record says what it `is`. Sets are sorted, and positions in expressions are left out, so that
the same schemas give the same bytes.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias, cast
from uuid import UUID

from msgspec import Struct

from batpak_codegen.ir import Project

FORMAT: Final = 1
Json: TypeAlias = "str | int | float | Sequence[Json] | Mapping[str, Json] | None"

_LEFT_OUT: Final = frozenset({"start", "end", "starts", "warnings"})


def project_json(project: Project) -> str:
    """Return the project as a JSON document that ends in a line feed."""
    document = {"format": FORMAT, "project": plain(project)}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def plain(value: object) -> Json:
    """Return a value of the IR as what JSON can say.

    Raises:
        TypeError: Something is in the IR that was not thought of here.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Struct):
        return _record(value, value.__struct_fields__)
    if dataclasses.is_dataclass(value):
        return _record(value, [field.name for field in dataclasses.fields(value)])
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value)
        return {_key(key): plain(item) for key, item in entries.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, frozenset | set):
        return [plain(item) for item in sorted(cast("frozenset[str]", value))]
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, dt.date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no JSON for {type(value).__name__}")


def _record(value: object, names: Sequence[str]) -> dict[str, Json]:
    told = {name: plain(getattr(value, name)) for name in names if name not in _LEFT_OUT}
    return {"is": type(value).__name__, **told}


def _key(key: object) -> str:
    return ".".join(cast("tuple[str, ...]", key)) if isinstance(key, tuple) else str(key)
