"""Random domains, each written twice: in YAML and in Python."""

from __future__ import annotations

import json
from typing import NamedTuple

from hypothesis import strategies as st

WORDS = st.text("abc xyzÄ\"'\\#:%-$", min_size=1, max_size=30).map(str.strip).filter(bool)
WIDTHS = ["i8", "i16", "i32", "u8", "u16", "u32", "u64"]
PLAIN = {
    "bool": "bool",
    "string": "str",
    "bytes": "bytes",
    "i64": "int",
    "f64": "float",
    "uuid": "UUID",
    "timestamp": "Timestamp",
    "date": "dt.date",
    "duration": "dt.timedelta",
}
DEFAULTS = {  # type -> in YAML, in Python
    "bool": [("true", "True"), ("false", "False")],
    "string": [('"x y"', "'x y'"), ('"null"', "'null'"), ('"true"', "'true'"), ('"3"', "'3'")],
    "i64": [("0", "0"), ("-7", "-7"), ("1000000", "1_000_000")],
    "f64": [("1.5", "1.5"), ("2", "2"), ("-1e-05", "-0.00001")],
    "uuid": [("00000000000000000000000000000007", "UUID(int=7)")],
    "timestamp": [("2024-02-29T10:00:00Z", "dt.datetime(2024, 2, 29, 10, tzinfo=dt.UTC)")],
    "date": [("2024-02-29", "dt.date(2024, 2, 29)")],
    "duration": [
        ("PT0.5S", "dt.timedelta(milliseconds=500)"),
        ("-P1DT1S", "-dt.timedelta(days=1, seconds=1)"),
    ],
}


class Way(NamedTuple):
    """A type in both languages; options in YAML and what makes them in Python."""

    yaml: str
    python: str
    options: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    default: tuple[str, str] | None = None


class Named(NamedTuple):
    """A type that has a name: `kind` says what it is."""

    package: int
    name: str
    kind: str


class Domain:
    """Draws packages; later ones use types of earlier ones."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.named: list[Named] = []
        self.package = 0

    def one(self, *choices: str) -> str:
        return self.data.draw(st.sampled_from(choices))

    def chance(self) -> bool:
        return self.data.draw(st.booleans())

    def number(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))

    def words(self) -> str:
        return self.data.draw(WORDS)

    def reference(self, *kinds: str) -> Way | None:
        found = [named for named in self.named if named.kind in kinds]
        if not found:
            return None
        named = self.data.draw(st.sampled_from(found))
        before = "" if named.package == self.package else f"p{named.package}."
        return Way(before + named.name, before + named.name)

    def inner(self, depth: int = 0) -> Way:
        """Draw a type that can stand inside another one."""
        kind = self.one("plain", "width", "named", "list", "map", "optional")
        if kind == "width":
            width = self.one(*WIDTHS)
            return Way(width, f"Annotated[int, Width({width!r})]")
        if kind == "named" and (found := self.reference("alias", "enum", "struct", "id")):
            return found
        if depth < 2 and kind in ("list", "map", "optional"):
            of = self.inner(depth + 1)
            if kind == "list":
                return self.listed(of)
            if kind == "map":
                return Way(f"map<{of.yaml}>", f"Mapping[str, {of.python}]")
            return of if of.yaml.endswith("?") else Way(f"{of.yaml}?", f"{of.python} | None")
        name = self.one(*PLAIN)
        return Way(name, PLAIN[name])

    def listed(self, of: Way) -> Way:
        python = f"list[{of.python}]" if self.chance() else f"tuple[{of.python}, ...]"
        return Way(f"list<{of.yaml}>", python)

    def outer(self) -> Way:
        """Draw a type with its options, as a field or an alias has it."""
        kind = self.one("plain", "number", "decimal", "text", "container", "inner")
        if kind == "plain":
            name = self.one(*DEFAULTS)
            default = self.data.draw(st.none() | st.sampled_from(DEFAULTS[name]))
            return Way(name, PLAIN[name], default=default)
        if kind == "number":
            width, low = self.one(*WIDTHS), self.number(1, 50)
            default = (f"{low}", f"{low}") if self.chance() else None
            python = f"Annotated[int, Width({width!r}), Field(ge={low}, le={low + 20})]"
            return Way(width, python, (f"ge: {low}", f"le: {low + 20}"), (), default)
        if kind == "decimal":
            scale = self.number(0, 4)
            default = ('"3"', "Decimal(3)") if self.chance() else None
            return Way(
                "decimal",
                "Decimal",
                (f"precision: {scale + 9}", f"scale: {scale}", 'gt: "-2.5"'),
                (f"max_digits={scale + 9}", f"decimal_places={scale}", "gt=Decimal('-2.5')"),
                default,
            )
        if kind == "text":
            name, most = self.one("string", "bytes"), self.number(3, 99)
            least = ("min_length: 1", "min_length=1") if self.chance() else None
            options = (f"max_length: {most}", least[0]) if least else (f"max_length: {most}",)
            fields = (f"max_length={most}", least[1]) if least else (f"max_length={most}",)
            return Way(name, PLAIN[name], options, fields)
        if kind == "container":
            if self.chance() and (item := self.reference("enum")):  # which may have one value
                found, fewest = Way(f"set<{item.yaml}>", f"frozenset[{item.python}]"), 1
            elif self.chance():
                item = self.reference("id") or Way("i64", "int")
                found, fewest = Way(f"set<{item.yaml}>", f"frozenset[{item.python}]"), 2
            else:
                found, fewest = self.listed(self.inner()), 2
            return found._replace(
                options=(f"min_length: {fewest}",), fields=(f"min_length={fewest}",)
            )
        return self.inner()

    def field(self, name: str) -> tuple[str, str]:
        """Draw a field; return its line in YAML and in Python."""
        way = self.outer()
        options, fields = list(way.options), list(way.fields)
        optional = self.chance() and not way.yaml.endswith("?")
        yaml = f"{way.yaml}?" if optional else way.yaml
        inside = self.chance()  # where the options stand
        doc = self.words() if self.chance() else None
        python = way.python
        if doc:
            options.append(f"doc: {json.dumps(doc, ensure_ascii=False)}")
        if inside and fields:
            python = f"Annotated[{python}, Field({', '.join(fields)})]"
            fields = []
        if optional:
            python += " | None"
        if doc:
            fields.append(f"description={doc!r}")
        if fields:
            python = f"Annotated[{python}, Field({', '.join(fields)})]"
        if way.default:
            options.append(f"default: {way.default[0]}")
            python += f" = {way.default[1]}"
        elif optional and self.chance():
            python += " = None"
        quoted = json.dumps(yaml)
        line = (
            f"{name}: {{type: {', '.join([quoted, *options])}}}" if options else f"{name}: {quoted}"
        )
        return line, f"    {name}: {python}"

    def fields(self, least: int, key: tuple[str, str] | None = None) -> tuple[str, list[str]]:
        count = self.number(least, 4)
        drawn = [self.field(f"f{n}") for n in range(count)]
        drawn = [key, *drawn] if key else drawn
        return f"{{{', '.join(line for line, _ in drawn)}}}", [line for _, line in drawn]

    def type(self, name: str) -> tuple[str, list[str]]:
        """Draw a named type; return its entry in YAML and its lines in Python."""
        kind = self.one("alias", "enum", "struct", "id")
        doc = self.words() if self.chance() else None
        beside = f", doc: {json.dumps(doc, ensure_ascii=False)}" if doc else ""
        body = [f"    {doc!r}"] if doc else []
        if kind == "alias":
            way = self.outer()
            if way.yaml.endswith("?") or "." in way.yaml or way.yaml[0].isupper():
                way = Way("i64", "int", ("ge: 1",), ("ge=1",))
            fields = [f"Field({', '.join(way.fields)})"] if way.fields else []
            if not fields and "Annotated" not in way.python:
                fields = ["Field()"]
            python = f"Annotated[{', '.join([way.python, *fields])}]" if fields else way.python
            options = "".join(f", {option}" for option in way.options)
            entry = f"{{alias: {json.dumps(way.yaml)}{options}{beside}}}"
            lines = [f"{name} = {python}", *([repr(doc)] if doc else [])]
        elif kind == "enum":
            values = [self.words() + str(n) for n in range(self.number(1, 4))]
            members = [f"M{n}: {json.dumps(v, ensure_ascii=False)}" for n, v in enumerate(values)]
            entry = f"{{enum: {{{', '.join(members)}}}{beside}}}"
            base = self.one("enum.Enum", "enum.StrEnum", "str, enum.Enum")
            lines = [f"class {name}({base}):", *body]
            lines += [f"    M{n} = {value!r}" for n, value in enumerate(values)]
        elif kind == "id":
            entry = f"{{id: {name.lower()}{beside}}}"
            lines = [f'class {name}(Id, prefix="{name.lower()}"):', *(body or ["    ..."])]
        else:
            shown, rows = self.fields(1)
            entry = f"{{struct: {shown}{beside}}}"
            lines = [f"class {name}(Struct):", *body, *rows]
        self.named.append(Named(self.package, name, kind))
        return entry, lines

    def write(self, package: int) -> tuple[str, str]:
        """Draw a package; return it in YAML and in Python."""
        self.package = package
        doc = self.words()
        yaml = ["batpak: 1", f"package: world.p{package}", f"category: {package + 1}"]
        yaml += [f"doc: {json.dumps(doc, ensure_ascii=False)}"]
        yaml += [f"imports: [{', '.join(f'world.p{n}' for n in range(package))}]", "types:"]
        python = [repr(doc), HEAD, *(f"from . import p{n}" for n in range(package))]
        python += [f'package = Package("world.p{package}", category={package + 1})']
        yaml.append(f"  Key{package}: {{id: key{package}}}")
        python.append(f'class Key{package}(Id, prefix="key{package}"): ...')
        for n in range(self.number(1, 5)):
            entry, lines = self.type(f"T{package}{n}")
            yaml.append(f"  T{package}{n}: {entry}")
            python += lines
        key = f"key: Key{package}", f"    key: Key{package}"
        yaml.append("events:")
        for n in range(3):
            shown, rows = self.fields(0, key)
            doc = self.words()
            said = f"id: {n}, doc: {json.dumps(doc, ensure_ascii=False)}"
            yaml.append(f"  E{package}{n}: {{{said}, fields: {shown}}}")
            python += [f"class E{package}{n}(Event, id={n}):", f"    {doc!r}", *rows]
        return "\n".join([*yaml, *self.machine_yaml()]) + "\n", "\n".join(
            [*python, *self.machine_python()]
        ) + "\n"

    def machine_yaml(self) -> list[str]:
        n = self.package
        return [
            "machines:",
            f"  M{n}:",
            f'    entity: "m{n}:{{key}}"',
            "    states: {Fresh: {initial: true}, Used: {}, Gone: {final: true}}",
            "    moves:",
            f"      use: {{from: [Fresh, Used], to: Used, event: E{n}0, gates: [is_one]}}",
            f"      end: {{from: Used, to: Gone, event: E{n}1}}",
            "gates:",
            "  is_one:",
            f"    event: E{n}0",
            "    require: event.key == event.key and (1 < 2 or 'a' in 'ab')",
            "    deny: {code: NOT_ONE, message: 'it is {event.key}'}",
        ]

    def machine_python(self) -> list[str]:
        n = self.package
        return [
            f"is_one = Gate('is_one', event=E{n}0, require='event.key == event.key'",
            """    " and (1 < 2 or 'a' in 'ab')", deny=Deny('NOT_ONE', 'it is {event.key}'))""",
            f"Machine('M{n}', 'm{n}:{{key}}',",
            "  [State('Fresh', initial=True), State('Used'), State('Gone', final=True)],",
            f"  [Move('use', ['Fresh', 'Used'], 'Used', E{n}0, gates=[is_one]),",
            f"   Move('end', 'Used', 'Gone', E{n}1)])",
        ]


HEAD = """\
import datetime as dt
import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated
from uuid import UUID
from pydantic import Field
from batpak_codegen.schema import *
"""
