"""Annotations to types of the language: a closed set, everything else is refused with a way out.

Types and metadata are what Pydantic collected, never its JSON Schema, which knows no decimals, no
UUIDs and no widths. What belongs to a field beside its type (limits, lengths, `doc`) is an option.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
)
from uuid import UUID

import annotated_types as at
from msgspec import Struct as Record
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from batpak_codegen import names
from batpak_codegen.schema import Context, Event, Id, Struct, Width, Wire
from batpak_codegen.source.python.values import is_class

Lookup: TypeAlias = Callable[[object], str | None]
"""A class or a named annotation → how the module that is read calls it, or None."""

SCALARS: Final[Mapping[object, str]] = {
    bool: "bool",
    str: "string",
    bytes: "bytes",
    int: "i64",
    float: "f64",
    Decimal: "decimal",
    UUID: "uuid",
    AwareDatetime: "timestamp",
    dt.date: "date",
    dt.timedelta: "duration",
}
VALUES: Final[Mapping[str, tuple[type, ...]]] = {  # of a default, exactly
    "bool": (bool,),
    "string": (str,),
    "i64": (int,),
    "f64": (float, int),
    "decimal": (Decimal, int),
    "uuid": (UUID,),
    "timestamp": (dt.datetime,),
    "date": (dt.date,),
    "duration": (dt.timedelta,),
}
WIDTHS: Final = frozenset(["i8", "i16", "i32", "u8", "u16", "u32", "u64"])
_WAYS: Final[Mapping[object, str]] = {
    dt.datetime: "write Timestamp: it has a zone",
    dt.time: "keep a duration since midnight",
    dict: "write Mapping[str, T]",
    set: "write frozenset[T]",
    object: "say what it is: the set of types is closed",
    Any: "say what it is: the set of types is closed",
}
_GENERAL: Final = {"max_digits": "precision", "decimal_places": "scale", "pattern": "pattern"}
_NEUTRAL: Final = {"annotation", "default", "description", "discriminator", "metadata"}
_UNSET: Final = FieldInfo()
_MODULES: Final = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")
NAME_IT: Final = "give it a name: Name = Annotated[...] at the top of the module"


class Refused(Exception):
    """An annotation, or a part of one, that has no place in a schema."""

    def __init__(
        self, code: str, message: str, way_out: str | None = None, word: str | None = None
    ) -> None:
        """Take what a diagnostic says; `word` is the keyword that is to blame, if it is one."""
        super().__init__(message)
        self.code, self.message, self.way_out, self.word = code, message, way_out, word


class FieldRead(Record, frozen=True):
    """A field as the language has it: its type, what stands beside it, its default if any."""

    type: str
    options: Mapping[str, object] = {}
    default: object = PydanticUndefined

    @property
    def default_fits(self) -> bool:
        """Whether the default is of exactly the Python type that the annotation says."""
        base = self.type.rstrip("?")
        allowed = VALUES.get("i64" if base in WIDTHS else base)
        if allowed is None or (self.default is None and self.type.endswith("?")):
            return True
        return type(self.default) in allowed


def read_field(hint: object, info: FieldInfo, lookup: Lookup) -> FieldRead:
    """Read one field.

    Args:
        hint: Its annotation, evaluated, with everything in `Annotated`.
        info: What Pydantic knows of it.
        lookup: Finds the names of classes and aliases.

    Raises:
        Refused: Something about it is not in the language.
    """
    found = _finished(_outer(hint, _options([info]), lookup))
    default = PydanticUndefined if info.default is ... else info.default
    if default is None and found.type.endswith("?"):
        default = PydanticUndefined  # that is what the question mark means
    return FieldRead(found.type, found.options, default)


def read_alias(name: str, hint: object, lookup: Lookup) -> FieldRead:
    """Read what stands behind an alias; its own name is not it.

    Raises:
        Refused: Something about it is not in the language.
    """

    def others(value: object) -> str | None:
        found = lookup(value)
        return None if found == name else found

    return _finished(_outer(hint, {}, others))


def _finished(found: FieldRead) -> FieldRead:
    """Turn options that are none in the language into what they mean."""
    options = dict(found.options)
    if "discriminator" in options:
        message = "a discriminator belongs to a union that has a name"
        raise Refused("E0303", message, NAME_IT, "discriminator")
    return FieldRead(_widened(found.type, options.pop("width", None)), options)


def _outer(hint: object, beside: Mapping[str, object], lookup: Lookup) -> FieldRead:
    """Read the outermost type, whose options belong to the field."""
    if get_origin(hint) is Annotated:
        return _annotated(hint, beside, lookup)
    if name := lookup(hint):
        return FieldRead(name, beside)
    items = _choices(hint)
    others = [item for item in items if item is not type(None)]
    if len(others) == 1:
        found = _outer(others[0], beside, lookup)
        return FieldRead(found.type.rstrip("?") + "?", found.options)
    return FieldRead(spell(hint, lookup), beside)


def _annotated(hint: object, beside: Mapping[str, object], lookup: Lookup) -> FieldRead:
    """Read `Annotated[...]`; Python joins it with an alias inside, which is found again here.

    An alias keeps its name unless the field adds limits of its own.
    """
    base, *metadata = get_args(hint)
    shared: dict[str, object] = {}
    own = _options(metadata)
    for length in range(len(metadata), 0, -1):
        name = lookup(Annotated[(base, *metadata[:length])])
        if name:
            shared, own = _options(metadata[:length]), _options(metadata[length:])
            rest = _joined(own, _without(beside, shared))
            if not set(rest) - {"doc", "wire"}:
                return FieldRead(name, rest)
            shared.pop("doc", None)
            break
    limits = _joined(shared, own)
    return _outer(base, _joined(limits, _without(beside, limits)), lookup)


def _without(options: Mapping[str, object], shared: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in options.items() if shared.get(key) != value}


def spell(hint: object, lookup: Lookup) -> str:
    """Spell a type that stands inside another one, where options need a name.

    Raises:
        Refused: It is not one of the language's.
    """
    if name := lookup(hint):
        return name
    if isinstance(hint, type) and hint in SCALARS:
        return SCALARS[hint]
    if get_origin(hint) is Annotated:
        return _inner_annotated(hint, lookup)
    items = _choices(hint)
    if items:
        return _union(items, lookup)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list and len(arguments) == 1:
        return f"list<{spell(arguments[0], lookup)}>"
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return f"list<{spell(arguments[0], lookup)}>"
    if origin is frozenset and len(arguments) == 1:
        return f"set<{spell(arguments[0], lookup)}>"
    if origin is Mapping and len(arguments) == 2:
        if arguments[0] is not str:
            raise Refused("E0301", "the keys of a map are text", "use a list of structs")
        return f"map<{spell(arguments[1], lookup)}>"
    raise _stranger(hint, origin)


def _inner_annotated(hint: object, lookup: Lookup) -> str:
    base, *metadata = get_args(hint)
    options = _options(metadata)
    if set(options) == {"width"}:
        return _widened(spell(base, lookup), options["width"])
    raise Refused("E0303", "a type inside another one has no options", NAME_IT)


def _union(items: tuple[object, ...], lookup: Lookup) -> str:
    others = [item for item in items if item is not type(None)]
    if len(others) == 1 and len(items) == 2:
        text = spell(others[0], lookup)
        return text if text.endswith("?") else f"{text}?"
    way_out = (
        "name it: Payment = Annotated[Card | Bank, Field(discriminator='type')], and give each"
        " struct a Literal field `type`"
    )
    raise Refused("E0301", "a union has a name and a discriminator", way_out)


def _stranger(hint: object, origin: object) -> Refused:
    shown, kind = name_of(hint), origin or hint
    if isinstance(hint, type) and not origin:
        if issubclass(hint, Struct | Id | enum.Enum):
            way_out = "put it at the top of a module that python_schemas names"
            return Refused("E0302", f"`{shown}` belongs to no schema", way_out)
        if issubclass(hint, Event | Context):
            return Refused("E0302", f"`{shown}` is no type of a field", "derive it from Struct")
        if issubclass(hint, BaseModel):
            return Refused("E0302", f"`{shown}` is no struct of a schema", "derive it from Struct")
    if origin is Literal:
        return Refused(
            "E0301", "a Literal is the tag of a union", "write an enum, or give it a union"
        )
    if isinstance(hint, TypeVar | ForwardRef | str):
        return Refused("E0301", f"`{shown}` is not a type", "nothing here is generic or in quotes")
    known = _WAYS.get(kind) if is_class(kind) or kind is Any else None
    if isinstance(hint, type) and hint in (list, tuple, frozenset):
        known = f"say of what: {hint.__name__}[str{', ...' if hint is tuple else ''}]"
    if origin is tuple:
        known = "write tuple[T, ...], or a struct"
    words = "bool str bytes int float Decimal UUID Timestamp date timedelta"
    return Refused(
        "E0301", f"`{shown}` is not a type of the language", known or f"there are {words}"
    )


def name_of(hint: object) -> str:
    """Spell a type for a message, without modules and addresses."""
    name = getattr(hint, "__name__", None)
    if isinstance(name, str) and not get_args(hint):
        return name
    return _MODULES.sub("", str(hint)) if get_args(hint) else type(hint).__name__


def _choices(hint: object) -> tuple[object, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()


def _widened(text: str, width: object) -> str:
    if width is None:
        return text
    base, mark = text.rstrip("?"), text[len(text.rstrip("?")) :]
    if base != "i64":
        raise Refused("E0303", f"a Width is for int, not for {base}", "leave it out")
    return f"{width}{mark}"


def _options(metadata: Iterable[object]) -> dict[str, object]:
    """Return what metadata say in the words of the language."""
    found: dict[str, object] = {}
    for item in metadata:
        for key, value in _option(item):
            if found.setdefault(key, value) != value:
                raise Refused("E0303", f"two values for `{key}`", "keep one")
    return found


def _joined(left: Mapping[str, object], right: Mapping[str, object]) -> dict[str, object]:
    for key, value in right.items():
        if left.get(key, value) != value:
            raise Refused("E0303", f"two values for `{key}`", "keep one")
    return {**left, **right}


def _option(item: object) -> Iterator[tuple[str, object]]:
    if isinstance(item, FieldInfo):
        _refuse_attributes(item)
        if item.description:
            yield "doc", item.description
        if item.discriminator is not None:
            yield "discriminator", item.discriminator
        yield from _options(item.metadata).items()
    elif isinstance(item, at.GroupedMetadata):
        yield from _options(item).items()
    elif isinstance(item, at.Ge | at.Gt | at.Le | at.Lt):
        key = type(item).__name__.lower()
        yield key, getattr(item, key)
    elif isinstance(item, at.MinLen):
        yield "min_length", item.min_length
    elif isinstance(item, at.MaxLen):
        yield "max_length", item.max_length
    elif isinstance(item, Wire):
        yield "wire", item.name
    elif isinstance(item, Width):
        yield "width", item.name
    else:
        yield from _general(item)


def _general(item: object) -> Iterator[tuple[str, object]]:
    """Read what Pydantic has no public class for; it keeps the words it was given."""
    words = getattr(item, "__dict__", {})
    strangers = [word for word in words if word not in _GENERAL]
    if strangers or not words:
        shown = strangers[0] if strangers else names.snake(type(item).__name__)
        way_out = (
            "there are ge gt le lt, min_length, max_length, pattern, max_digits, decimal_places"
        )
        raise Refused("E0303", f"`{shown}` means nothing in a schema", way_out, shown)
    for word, value in words.items():
        if value is not None:
            yield _GENERAL[word], value


def _refuse_attributes(info: FieldInfo) -> None:
    for name in FieldInfo.__slots__:
        if name.startswith("_") or name in _NEUTRAL:
            continue
        if getattr(info, name, None) != getattr(_UNSET, name, None):
            way_out = "write Wire('key') for another stored key" if "alias" in name else None
            way_out = "a default is a literal" if name == "default_factory" else way_out
            raise Refused("E0303", f"`{name}` means nothing in a schema", way_out, name)
