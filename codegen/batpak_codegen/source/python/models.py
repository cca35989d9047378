"""Pydantic models that know nothing of schemas: what of them a schema can say.

Nothing is refused here. A field that has no place in a schema carries the reason, and whoever
reads the draft decides. What a model inherits counts as its own; what is only there to be
inherited from is left out.
"""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from pydantic import AwareDatetime, BaseModel, RootModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from batpak_codegen.source.python.annotations import FieldRead, Refused, read_field
from batpak_codegen.source.python.answer import Model, ModelField
from batpak_codegen.source.python.values import ValueText, value_text


def read_models(module: types.ModuleType) -> tuple[Model, ...]:
    """Return the models and enums that a module defines, and those that they mention.

    A model that another one mentions is a struct; all others are events.
    """
    found = [value for value in vars(module).values() if _is_ours(value, module.__name__)]
    known = list(dict.fromkeys(found))
    mentioned: set[type] = set()
    for cls in known:  # it grows while it is looked at
        for other in _mentions(cls):
            mentioned.add(other)
            if other not in known:
                known.append(other)
    ancestors = {base for cls in known for base in cls.__bases__}
    names = {id(cls): cls.__name__ for cls in known}
    return tuple(
        _enum(cls) if issubclass(cls, enum.Enum) else _model(cls, names, cls in mentioned)
        for cls in known
        if cls in mentioned or not (cls in ancestors or cls.__name__.startswith("_"))
    )


def _is_ours(value: object, home: str) -> bool:
    return _is_model(value) and getattr(value, "__module__", None) == home


def _is_model(value: object) -> bool:
    """Whether this is an enum, or a model that is one thing: not generic, and no single value."""
    if not isinstance(value, type):
        return False
    if issubclass(value, enum.Enum):
        return bool(value.__members__)
    if not issubclass(value, BaseModel) or issubclass(value, RootModel) or value is BaseModel:
        return False
    generic = value.__pydantic_generic_metadata__
    return not generic["parameters"] and not generic["origin"]


def _mentions(cls: type) -> Iterator[type]:
    if issubclass(cls, BaseModel):
        for hint in _hints(cls).values():
            yield from (part for part in _parts(hint) if _is_model(part))


def _hints(cls: type[BaseModel]) -> dict[str, object]:
    """Return the types of the fields, without what is said beside them."""
    return {name: _hint(cls, name, info) for name, info in cls.model_fields.items()}


def _hint(cls: type[BaseModel], name: str, info: FieldInfo) -> object:
    """Return the type of a field; what was in quotes when the class was made is known by now."""
    for base in cls.__mro__:
        if name in (annotations := inspect.get_annotations(base)):
            holder = types.SimpleNamespace(__annotations__={"it": annotations[name]})
            space = vars(sys.modules[base.__module__])
            try:
                found: object = get_type_hints(holder, space, include_extras=True)["it"]
            except Exception:  # noqa: BLE001  an annotation is code and may raise anything
                break
            return get_args(found)[0] if get_origin(found) is Annotated else found
    return info.annotation


def _parts(hint: object) -> Iterator[type]:
    if isinstance(hint, type) and not get_args(hint):
        yield hint
    for part in get_args(hint):
        yield from _parts(part)


def _enum(cls: type[enum.Enum]) -> Model:
    values = {name: member.value for name, member in cls.__members__.items()}
    members = tuple((name.upper(), str(value)) for name, value in values.items())
    refused = None
    if not all(isinstance(value, str) for value in values.values()):
        refused = "what an enum stores is text"
    return Model(cls.__name__, "enum", _doc(cls), members=members, refused=refused)


def _model(cls: type[BaseModel], names: Mapping[int, str], is_struct: bool) -> Model:
    hints = _hints(cls)
    fields = tuple(_field(n, hints[n], info, names) for n, info in cls.model_fields.items())
    return Model(cls.__name__, "struct" if is_struct else "event", _doc(cls), fields)


def _field(name: str, hint: object, info: FieldInfo, names: Mapping[int, str]) -> ModelField:
    def lookup(value: object) -> str | None:
        return names.get(id(value))

    metadata = [item for item in info.metadata if _is_known(item)]
    hint = _meant(hint)
    plain = FieldInfo(default=info.default, description=info.description)
    try:
        read = read_field(Annotated[(hint, *metadata)] if metadata else hint, plain, lookup)
    except Refused as refused:
        reason = f"{refused.message}; {refused.way_out}" if refused.way_out else refused.message
        return ModelField(name, "", refused=reason)
    pattern = str(read.options.get("pattern", "^$"))
    if not (pattern.startswith("^") and pattern.endswith("$")):
        return ModelField(name, "", refused="its pattern may match a part; here it is the whole")
    whole = {"pattern": pattern[1:-1]} if "pattern" in read.options else {}
    told = {**read.options, **whole}
    options = [(key, value_text(_exact(value))) for key, value in told.items()]
    return ModelField(
        name,
        read.type,
        tuple((key, text) for key, text in options if text),
        _default(read),
    )


def _is_known(item: object) -> bool:
    """Whether a constraint means something in a schema; validators and the like do not."""
    try:
        read_field(Annotated[str, item], FieldInfo(), lambda _: None)
    except Refused:
        return False
    return True


def _exact(value: object) -> object:
    return Decimal(repr(value)) if isinstance(value, float) else value


def _default(read: FieldRead) -> ValueText | None:
    """Return a default that a schema can spell; lists, sets and maps have none."""
    if read.default is PydanticUndefined or not read.default_fits:
        return None
    return value_text(_exact(read.default))


def _meant(hint: object) -> object:
    """Return an annotation in which what has a near relative in the language is that one."""
    if hint is dt.datetime:
        return AwareDatetime
    origin, parts = get_origin(hint), tuple(map(_meant, get_args(hint)))
    if origin is Annotated:
        known = [item for item in get_args(hint)[1:] if _is_known(item)]
        return Annotated[(parts[0], *known)] if known else parts[0]
    if origin in (Union, types.UnionType):
        union: Any = Union  # checkers want its members to be written out
        return cast("object", union[parts])
    if origin in (dict, Mapping) and len(parts) == 2:
        return types.GenericAlias(Mapping, parts)
    if origin is set and len(parts) == 1:
        return types.GenericAlias(frozenset, parts)
    if origin in (list, tuple, frozenset):
        return types.GenericAlias(origin, parts)
    return hint


def _doc(cls: type) -> str | None:
    words: object = vars(cls).get("__doc__")
    return inspect.cleandoc(words) if isinstance(words, str) and words.strip() else None
