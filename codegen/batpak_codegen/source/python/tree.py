"""Loaded modules to the root nodes of their packages: what a YAML file of each would have given."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import ModuleType

from batpak_codegen.declarations import LANGUAGE_VERSION
from batpak_codegen.diagnostic import Findings, Span
from batpak_codegen.nodes import MapNode, Node, SeqNode, TextNode
from batpak_codegen.schema import Declared, Package
from batpak_codegen.source.python.calls import Calls
from batpak_codegen.source.python.classes import Classes, Entry, Tag
from batpak_codegen.source.python.known import Known, SchemaModule, definitions
from batpak_codegen.source.python.places import Places, headed

_SECTIONS = (
    "types",
    "contexts",
    "events",
    "machines",
    "gates",
    "policies",
    "handlers",
    "projections",
)


def trees(loaded: Mapping[str, tuple[ModuleType, Places]], findings: Findings) -> list[MapNode]:
    """Return one root node per module, in the given order.

    Args:
        loaded: Name of each schema module → the module and its text.
        findings: Gets everything that has no place in a schema.
    """
    modules = {name: _module(name, *found, findings) for name, found in loaded.items()}
    known = Known(modules)
    tags: dict[tuple[type, str], Tag] = {}
    claimed: set[tuple[type, str]] = set()
    readers = [Classes(module, known, findings, tags, claimed) for module in modules.values()]
    for reader in readers:
        reader.note_tags()
    roots = [_root(reader, known, findings) for reader in readers]
    for (cls, name), tag in tags.items():
        if (cls, name) not in claimed:
            message = f"`{name}` of `{cls.__name__}` is the tag of no union"
            hint = f"name a union: Annotated[{cls.__name__} | …, Field(discriminator={name!r})]"
            findings.add("E0307", message, tag.at, help=hint)
    return roots


def _module(name: str, module: ModuleType, places: Places, findings: Findings) -> SchemaModule:
    space = vars(module)
    made = tuple((one, site) for one, site in Declared.made if site.module == name)
    packages = [(one, site) for one, site in made if isinstance(one, Package)]
    if not packages:
        hint = f'write package = Package("…") in {name}'
        findings.add("E0109", "this module declares no package", places.start, help=hint)
    for _, site in packages[1:]:
        message = "a second package; one module is one package"
        findings.add("E0105", message, places.line_of(site))
    package = packages[0][0] if packages else None
    found = tuple(definitions(name, places, space, findings))
    return SchemaModule(name, places, space, package, found, made)


def _root(classes: Classes, known: Known, findings: Findings) -> MapNode:
    places, module = classes.places, classes.module
    calls = Calls(classes, findings)
    start = places.start
    entries: list[Entry] = [(TextNode("batpak", start), TextNode(str(LANGUAGE_VERSION), start))]
    if module.package:
        call = calls.call(module.package)
        entries.append((TextNode("package", call.span), calls.text(call, "name")))
        entries += calls.map(call).entries
    entries += classes.doc(places.tree)
    if imports := _imports(module, known):
        entries.append((TextNode("imports", imports[0].span), SeqNode(imports, imports[0].span)))
    sections: dict[str, list[Entry]] = {"types": [], "contexts": [], "events": []}
    for found in module.definitions:
        span = (
            places.name(found.at) if isinstance(found.at, ast.ClassDef) else places.span(found.at)
        )
        key = TextNode(found.name, _first_word(span, found.name))
        if event := classes.event(found):
            cls, at, fields = event
            node: Node = MapNode((*calls.event(cls, at), *fields), span, key.span)
            sections["events"].append((key, node))
        elif context := classes.context(found):
            sections["contexts"].append((key, context))
        elif type_ := classes.named(found):
            sections["types"].append((key, headed(type_, key.span)))
    sections |= calls.sections()
    calls.refuse_unread()
    for word in _SECTIONS:
        if inner := sections.get(word):
            span = inner[0][0].span
            entries.append((TextNode(word, span), MapNode(tuple(inner), span)))
    return MapNode(tuple(entries), start)


def _imports(module: SchemaModule, known: Known) -> tuple[TextNode, ...]:
    """Return the packages that a module imports from, with the names they have there."""
    found: list[TextNode] = []
    for home, at in known.imported(module.name):
        package = known.modules[home].package
        if package:
            alias = known.alias(home, module.name)
            is_last = alias == package.name.rpartition(".")[2]
            text = package.name if is_last else f"{package.name} as {alias}"
            found.append(TextNode(text, module.places.span(at)))
    return tuple(found)


def _first_word(span: Span, name: str) -> Span:
    return Span(span.path, span.line, span.column, span.line, span.column + len(name))
