"""Which classes have values that can change inside: a struct is frozen, a dict in it is not."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec


@cache
def is_changeable(cls: type) -> bool:
    """Whether a part of some value of a class can be changed, as far as its annotations say."""
    from msgspec import inspect  # it takes a while to import, and few programs come here first

    try:
        return _changeable(inspect.type_info(cls), set())
    except Exception:  # noqa: BLE001  annotations are evaluated, and may be anything
        return True


def _changeable(found: Any, seen: set[type]) -> bool:  # noqa: ANN401  msgspec has a class per type
    """Whether a dict, a list, a set or something unknown is in what msgspec says of a type."""
    cls: Any = getattr(found, "cls", None)
    if hasattr(found, "fields"):
        if cls in seen:
            return False
        seen.add(cls)
        config: msgspec.structs.StructConfig | None = getattr(cls, "__struct_config__", None)
        if config is None or not config.frozen:
            return True
        parts = [field.type for field in found.fields]
    elif type(found).__name__ in _CHANGEABLE:
        return True
    else:
        parts = [*getattr(found, "types", ()), *getattr(found, "item_types", ())]
        parts += [found.item_type] if hasattr(found, "item_type") else []
    return any(_changeable(part, seen) for part in parts)


_CHANGEABLE = frozenset(
    {"DictType", "ListType", "SetType", "ByteArrayType", "AnyType", "CustomType", "RawType"}
    | {"MemoryViewType", "ExtType"}
)
