"""Files to `SchemaFile`s: find them, read them, compose them, check them against the language.

Three steps, and a step begins only when the one before it was clean in every file: bytes to text,
text to nodes, nodes to models. All findings of a step come in one `SchemaError`. Schema modules in
Python join at the second step: a process of their own turns them into the same nodes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from batpak_codegen.declarations import SchemaFile, read_file
from batpak_codegen.diagnostic import (
    FINDINGS_MAX,
    Diagnostic,
    Findings,
    Place,
    SchemaError,
    Span,
    quoted,
)
from batpak_codegen.nodes import Node
from batpak_codegen.source import yaml_text
from batpak_codegen.source.python.answer import Answer

SUFFIX = ".batpak.yaml"
FILES_MAX = 4096
BOM = b"\xef\xbb\xbf"


class Loaded(Struct, frozen=True):
    """What was read. `texts` maps the path of each file, as in the spans, to its text.

    `read` are the printed paths of the files that schema modules have read, themselves included.
    """

    files: tuple[SchemaFile, ...]
    texts: Mapping[str, str]
    read: tuple[str, ...] = ()


class Modules(Struct, frozen=True):
    """Schema modules: their names, and the generated package, which they may not use."""

    names: tuple[str, ...]
    out: Path
    out_module: str


def load(paths: Sequence[Path], root: Path, modules: Modules | None = None) -> Loaded:
    """Read the schema files at `paths`, and load the schema modules that are named.

    Args:
        paths: Files, or directories that are searched down to the leaves.
        root: Directory that printed paths are relative to.
        modules: What to load, or None: loading runs code, so nothing is found by searching.

    Returns:
        The files in the order of their printed paths, whatever the order of `paths`.

    Raises:
        SchemaError: Everything that was found, with the texts to point at in `texts`.
    """
    if not paths and modules is None:
        raise SchemaError([Diagnostic("E0004", "no schemas: nothing to read was named")])
    texts, findings = read_texts(paths, root), Findings()
    try:
        nodes = _parse(texts, findings)
        if modules is None:
            return Loaded(tuple(_understand(nodes, findings)), texts)
        answer = _loaded(modules, root)
        texts |= answer.texts
        return Loaded(tuple(_understand([*nodes, *answer.roots], findings)), texts, answer.read)
    except SchemaError as error:
        error.texts = {**texts, **error.texts}
        raise


def read_texts(paths: Sequence[Path], root: Path) -> dict[str, str]:
    """Return printed path → text of the schema files at `paths`, for any use; see `load`."""
    findings = Findings()
    texts: dict[str, str] = {}
    try:
        for name, path in sorted(_find(paths, root, findings).items()):
            text = _read(path, name, findings)
            if text is not None:
                texts[name] = text
        findings.finish()
    except SchemaError as error:
        error.texts = texts
        raise
    return texts


def _loaded(modules: Modules, root: Path) -> Answer:
    from batpak_codegen.source.python.load import load_modules  # few projects have any

    return load_modules(modules.names, root, modules.out, modules.out_module)


def _parse(texts: Mapping[str, str], findings: Findings) -> list[Node]:
    nodes: list[Node] = []
    for name, text in texts.items():
        try:
            nodes.append(yaml_text.parse(text, name))
        except SchemaError as error:
            findings.diagnostics += error.diagnostics
    findings.finish()
    return nodes


def _understand(nodes: Iterable[Node], findings: Findings) -> list[SchemaFile]:
    files: list[SchemaFile] = []
    for node in nodes:
        inner = Findings(FINDINGS_MAX)
        try:
            if file := read_file(node, inner):
                files.append(file)
            inner.finish()
        except SchemaError as error:
            findings.diagnostics += error.diagnostics
    _refuse_doubles(files, findings)
    findings.finish()
    return files


def _refuse_doubles(files: Iterable[SchemaFile], findings: Findings) -> None:
    first: dict[str, SchemaFile] = {}
    for file in files:
        package = file.package
        other = first.setdefault(package.value, file)
        if other is not file:
            message = f"package {quoted(package.value)} is declared twice"
            also = [Place(other.package.span, "the first one")]
            hint = "one file is one package"
            findings.add("E0007", message, package.span, help=hint, also=also)


def _find(paths: Sequence[Path], root: Path, findings: Findings) -> dict[str, Path]:
    """Return printed path → path of every schema file; a file that is named twice is one file."""
    found: dict[str, Path] = {}
    for path in paths:
        before = len(findings.diagnostics)
        for file in _files(path, root, findings):
            found[_name(file, root)] = file
            if len(found) > FILES_MAX:
                findings.stop("E0105", f"more than {FILES_MAX:,} schema files", None)
        if not found and len(findings.diagnostics) == before:
            message = f"no schemas in {quoted(_name(path, root))}"
            findings.add("E0004", message, None, help=f"their names end in {SUFFIX}")
    return found


def _name(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _files(path: Path, root: Path, findings: Findings) -> Iterator[Path]:
    """Yield the schema files at or below `path`; links to directories are not followed."""
    if not path.is_dir():
        if path.name.endswith(SUFFIX):
            yield path
        elif path.exists():
            message = f"{quoted(_name(path, root))} is not a schema"
            findings.add("E0004", message, None, help=f"their names end in {SUFFIX}")
        else:
            findings.add("E0005", f"there is no {quoted(_name(path, root))}", None)
        return

    def unreadable(error: OSError) -> None:
        name = _name(Path(str(error.filename)), root)
        findings.add("E0005", f"cannot read {quoted(name)}: {error.strerror}", None)

    for folder, folders, names in os.walk(path, onerror=unreadable):
        yield from (Path(folder, name) for name in [*folders, *names] if name.endswith(SUFFIX))


def _read(path: Path, name: str, findings: Findings) -> str | None:
    """Return the text of one file with line feeds only, or None if that is not possible."""
    start = Span(name, 1, 1, 1, 2)
    try:
        if not path.is_file():  # a pipe would wait for ever, a device might never end
            findings.add("E0005", "this is not a file", start)
            return None
        with path.open("rb") as file:
            data = file.read(yaml_text.BYTES_MAX + 1)
    except OSError as error:
        findings.add("E0005", f"cannot read this: {error.strerror}", start)
        return None
    if len(data) > yaml_text.BYTES_MAX:
        findings.add("E0105", "a schema file has at most 1 MiB", start)
        return None
    data = data.removeprefix(BOM)
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line = before.count("\n") + 1
        column = len(before) - before.rfind("\n")
        where = Span(name, line, column, line, column + 1)
        findings.add("E0005", f"not UTF-8: byte 0x{data[error.start]:02x}", where)
        return None
