"""A first schema, written from Pydantic models: theirs is what can be said, the rest is a comment.

The compiler itself is the judge. What it refuses is commented out with its reason, until the rest
compiles; nothing is guessed, and nothing is lost without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from batpak_codegen.canonical import canonical
from batpak_codegen.declarations import read_file
from batpak_codegen.diagnostic import Diagnostic, Findings, SchemaError, printable
from batpak_codegen.escape import one_line
from batpak_codegen.language import NAME
from batpak_codegen.link import link
from batpak_codegen.source import yaml_text
from batpak_codegen.source.python.answer import Model, ModelField
from batpak_codegen.source.python.values import ValueText

LEFT_OUT: Final = "left out"
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.<>?]*|-?[0-9]+(\.[0-9]+)?|\[\]")
_WORDS: Final = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])


class Draft:
    """A schema that grows out of models. `refused` says what is left out, and why."""

    def __init__(self, models: Sequence[Model], package: str, origin: str) -> None:
        """Take the models, what the package is called, and where the models are from."""
        self.models, self.package, self.origin = models, package, origin
        self.refused: dict[str, str] = {m.name: m.refused for m in models if m.refused}
        for model in models:
            for field in model.fields:
                if field.refused:
                    self.refused[f"{model.name}.{field.name}"] = field.refused

    def compiled(self, path: str) -> str:
        """Leave out what the compiler refuses, and return the text of the rest.

        Args:
            path: What the file will be called.

        Raises:
            SchemaError: What is wrong has no place that could be left out.
        """
        while True:
            rows = list(self.rows())
            text = "".join(f"{row}\n" for row, _ in rows)
            found = _findings(text, path)
            if not found:
                return canonical(text, path)
            places = [(found.span and rows[found.span.line - 1][1], found) for found in found]
            fresh = {place: one for place, one in places if place and place not in self.refused}
            if not fresh:
                raise SchemaError(found, {path: text})
            for place, one in fresh.items():
                self.refused[place] = f"{one.message}; {one.help}" if one.help else one.message

    @property
    def counts(self) -> tuple[int, int]:
        """How many events and types there are."""
        kinds = [model.kind for model in self.models if model.name not in self.refused]
        events = kinds.count("event")
        return events, len(kinds) - events

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the rows of the schema, each with what it would take to leave it out."""
        yield f"# yaml-language-server: $schema={NAME}", ""
        yield f"# Written from {one_line(self.origin)}. It is yours from now on.", ""
        yield "batpak: 1", ""
        yield f"package: {self.package}", ""
        yield "category: 0x1", ""
        for section, kinds in (("types", ("enum", "struct")), ("events", ("event",))):
            members = [model for model in self.models if model.kind in kinds]
            told = [model for model in members if model.name not in self.refused]
            yield "", ""
            if told:
                yield f"{section}:", ""
            for number, model in enumerate(told, 1):
                if number > 1:
                    yield "", ""
                yield from self._model(model, number)
            for model in members:
                if model.name in self.refused:
                    yield self._comment("  ", model.name), ""

    def _model(self, model: Model, number: int) -> Iterator[tuple[str, str]]:
        yield f"  {_scalar(model.name)}:", model.name
        if model.kind == "event":
            yield f"    id: 0x{number:03x}", model.name
        if model.doc:
            yield f"    doc: {_quoted(one_line(model.doc))}", model.name
        word = {"enum": "enum", "struct": "struct", "event": "fields"}[model.kind]
        fields = [field for field in model.fields if self._name(model, field) not in self.refused]
        yield f"    {word}:" + " {}" * (not fields and not model.members), model.name
        for name, text in model.members:
            yield f"      {_scalar(name)}: {_scalar(text)}", model.name
        for field in model.fields:
            name = self._name(model, field)
            if name in self.refused:
                yield self._comment("      ", name), ""
            else:
                yield f"      {_scalar(field.name)}: {_spelled(field)}", name

    def _name(self, model: Model, field: ModelField) -> str:
        return f"{model.name}.{field.name}"

    def _comment(self, margin: str, name: str) -> str:
        reason = printable(one_line(self.refused[name]))
        return f"{margin}# {LEFT_OUT}: {printable(one_line(name.rpartition('.')[2]))}: {reason}"


def _findings(text: str, path: str) -> tuple[Diagnostic, ...]:
    """Return what the compiler says about a schema."""
    try:
        findings = Findings()
        file = read_file(yaml_text.parse(text, path), findings)
        findings.finish()
        if file:
            link([file], out_module="gen")
    except SchemaError as error:
        return error.diagnostics
    return ()


def _spelled(field: ModelField) -> str:
    """Return a field as one row has it."""
    options = [*field.options]
    if field.default is not None:
        options.append(("default", field.default))
    if not options:
        return _scalar(field.type)
    rest = ", ".join(f"{key}: {_value(value)}" for key, value in options)
    type_ = _quoted(field.type) if "?" in field.type else _scalar(field.type)
    return f"{{type: {type_}, {rest}}}"


def _value(value: ValueText) -> str:
    is_plain = not value.quoted and _PLAIN.fullmatch(value.text)
    return value.text if is_plain else _quoted(value.text)


def _scalar(text: str) -> str:
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text)
