"""Shape: what a class of this program says of its event, as it is recorded in a log.

Names, types and stored keys of fields, down into the structs and enums that they name. Types are
written as in a schema; of numbers only whether they are whole, since their limits are no part of
what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cache
from typing import Any, Final

import msgspec

from batpak import registry
from batpak.checks import UNRECOGNIZED
from batpak.registry import Entry
from batpak.system import EventShape, FieldShape, TypeShape

DOC_CHARS_MAX: Final = 500

_PLAIN: Final = {
    "AnyType": "any",
    "BoolType": "bool",
    "ByteArrayType": "bytes",
    "BytesType": "bytes",
    "DateTimeType": "timestamp",
    "DateType": "date",
    "DecimalType": "decimal",
    "FloatType": "float",
    "IntType": "int",
    "MemoryViewType": "bytes",
    "NoneType": "none",
    "RawType": "any",
    "StrType": "string",
    "TimeDeltaType": "duration",
    "TimeType": "time",
    "UUIDType": "uuid",
}
_MANY: Final = {
    "CollectionType": "list",
    "FrozenSetType": "set",
    "ListType": "list",
    "SetType": "set",
    "VarTupleType": "list",
}


def shape_of(entry: Entry) -> EventShape | None:
    """What a class says of its event; None: its annotations cannot be looked into."""
    current = registry.lookup(entry.kind) or entry  # a former class has a name of its own
    return _shape(entry.cls, int(entry.kind), entry.version, _called(current.cls))


@cache
def _shape(cls: type[msgspec.Struct], kind: int, version: int, name: str) -> EventShape | None:
    try:
        types = _Types()
        whole: Any = msgspec.inspect.type_info(cls)
        fields = tuple(types.fields(whole))
        return EventShape(
            kind=kind,
            version=version,
            name=name,
            doc=_doc(cls),
            fields=fields,
            is_array=whole.array_like,
            types=types.named(),
        )
    except Exception:  # noqa: BLE001  annotations are evaluated, and may be anything
        return None


def _called(cls: type) -> str:
    return cls.__qualname__.rpartition("<locals>.")[2]


def _doc(cls: type) -> str | None:
    doc = cls.__dict__.get("__doc__")
    return " ".join(doc.split())[:DOC_CHARS_MAX] or None if isinstance(doc, str) else None


class _Types:
    """The types of one event, as they are met."""

    def __init__(self) -> None:
        self._names: dict[type, str] = {}
        self._found: dict[str, TypeShape | None] = {}  # None: it is being looked at

    def named(self) -> tuple[TypeShape, ...]:
        """Those that have a name, in the order in which they were met."""
        return tuple(one for one in self._found.values() if one is not None)

    def fields(self, node: Any) -> Iterator[FieldShape]:  # noqa: ANN401  msgspec has a class per type
        """The fields of a struct, or of what else has some, in the order of the class."""
        tag = getattr(node, "tag", None)
        if tag is not None:
            kind = "int" if isinstance(tag, int) else "string"
            yield FieldShape(name=node.tag_field, type=kind, required=True)
        for field in node.fields:
            yield FieldShape(
                name=field.name,
                type=self.text(field.type),
                stored_as=None if field.encode_name == field.name else field.encode_name,
                required=field.required,
            )

    def text(self, node: Any) -> str:  # noqa: ANN401  as above
        """A type, as a schema writes it."""
        what = type(node).__name__
        if what in _PLAIN:
            return _PLAIN[what]
        if what in _MANY:
            return f"{_MANY[what]}<{self.text(node.item_type)}>"
        if what == "TupleType":
            return f"tuple<{', '.join(map(self.text, node.item_types))}>"
        if what == "DictType":
            key, value = self.text(node.key_type), self.text(node.value_type)
            return f"map<{value}>" if key == "string" else f"map<{key}, {value}>"
        if what == "UnionType":
            return self._either(node.types)
        if what == "LiteralType":
            return " | ".join(map(repr, node.values))
        if what == "Metadata":
            return self.text(node.type)
        return self._name(node)

    def _either(self, nodes: Sequence[Any]) -> str:
        texts = [self.text(one) for one in nodes]
        real = [one for one in texts if one != "none"]
        either = " | ".join(real)
        if len(real) == len(texts):
            return either
        return f"{either}?" if len(real) == 1 else f"({either})?"

    def _name(self, node: Any) -> str:  # noqa: ANN401  as above
        """The name of a class; what it is made of is noted beside it."""
        cls: type | None = getattr(node, "cls", None)
        if cls is None:
            return "any"
        name = self._names.get(cls)
        if name is None:
            name = _called(cls)
            if name in self._found:  # another class with the same name
                name = f"{cls.__module__}.{name}"
            self._names[cls] = name
            self._found[name] = None
            self._found[name] = self._inside(name, cls, node)
        return name

    def _inside(self, name: str, cls: type, node: Any) -> TypeShape:  # noqa: ANN401  as above
        values: tuple[str, ...] = ()
        if issubclass(cls, Enum):
            values = tuple(str(one.value) for one in cls if one.value != UNRECOGNIZED)
        fields = tuple(self.fields(node)) if hasattr(node, "fields") else ()
        is_array = bool(getattr(node, "array_like", False)) or issubclass(cls, tuple)
        return TypeShape(name=name, fields=fields, values=values, is_array=is_array)
