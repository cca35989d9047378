"""`batpak compat --store`: whether generated code reads every event of a real log.

A lock says what was frozen; a store says what was written. Every event is read as code would read
it: decoded as the version it was written as, then upcast.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from batpak import registry, wire
from batpak.errors import BatpakError, DecodeFailed, FutureVersion, RegistryError, UnknownKind
from batpak.store import Store
from batpak.wire import RAW

CLEAN, FINDINGS, COULD_NOT_RUN = 0, 1, 2


class Trouble(Struct, frozen=True):
    """Events of one kind and version that cannot be read: how many, the first, why, the way out."""

    kind: int
    version: int
    events: int
    first: int
    reason: str
    hint: str


class Readable(Struct, frozen=True):
    """What was found: (kind, version) → events that are read; what is not; what is retired."""

    read: Mapping[tuple[int, int], int]
    troubles: tuple[Trouble, ...]
    retired: Mapping[int, int]


def check(store: Path, retired: Mapping[int, str]) -> Readable:
    """Read every event of a store with the classes that are imported.

    Args:
        store: Its directory; it is opened for reading.
        retired: Kinds that were given up: their events are counted, and not read.

    Raises:
        BatpakError: The store cannot be opened or read at all.
    """
    read: Counter[tuple[int, int]] = Counter()
    gone: Counter[int] = Counter()
    failed: dict[tuple[int, int], Trouble] = {}
    with Store.open_read_only(store) as reader:
        for event in reader.query(form=RAW):
            kind, version = int(event.kind), event.payload_version
            if kind in retired and registry.lookup(kind) is None:
                gone[kind] += 1
                continue
            try:
                wire.decode(kind, version, event.payload, event.sequence)
                read[kind, version] += 1
            except (UnknownKind, FutureVersion, DecodeFailed, RegistryError) as error:
                new = Trouble(
                    kind, version, 0, event.sequence, str(error), _hint(error, kind, version)
                )
                known = failed.get((kind, version), new)
                failed[kind, version] = replace(known, events=known.events + 1)
    troubles = tuple(failed[key] for key in sorted(failed))
    return Readable(dict(read), troubles, dict(gone))


def _hint(error: BatpakError, kind: int, version: int) -> str:
    if isinstance(error, UnknownKind):
        return f"declare its event again, or run `batpak lock --retire 0x{kind:04x}`"
    if isinstance(error, FutureVersion):
        return "these schemas are older than the store: compare with newer ones"
    if isinstance(error, RegistryError):
        return "write the upcast, and install it where this command imports it"
    stage = error.stage.value if isinstance(error, DecodeFailed) else ""
    if stage == "upcast":
        return f"mend the upcast of version {version}: it must take every event that is stored"
    return f"put version {version} back as it was written, or raise the version and write upcasts"


def main(store: Path, config: Path | None) -> int:
    """Run the check for a project, print, and return the exit code of the process."""
    from batpak_codegen import run
    from batpak_codegen.config import configure
    from batpak_codegen.diagnostic import SchemaError, render

    try:
        found = configure(config)
        drift = run.run(found, check=True).drift
        if drift:
            print(render(drift, {}), file=sys.stderr)
            return FINDINGS
        retired = load(found.root, found.out, found.out_module)
        registry.validate()
        report = check(store, retired)
    except SchemaError as error:
        print(render(error.diagnostics, error.texts), file=sys.stderr)
        return run.exit_code(error)
    except RegistryError as error:
        for problem in error.problems:
            print(f"not readable: {problem}", file=sys.stderr)
        return FINDINGS
    except (BatpakError, ImportError) as error:
        print(f"batpak compat: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    return tell(report, store)


def load(root: Path, out: str, module: str) -> Mapping[int, str]:
    """Import the generated code of a project and what users wrote for it; return what is retired.

    Raises:
        ImportError: It cannot be imported.
    """
    home = root.joinpath(out)
    for _ in module.split("."):
        home = home.parent
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))
    registry_module = import_module(f"{module}.registry")
    registry_module.load()
    parent = module.rpartition(".")[0]
    for hooks in sorted(root.joinpath(out).parent.glob("*_hooks.py")):
        import_module(f"{parent}.{hooks.stem}" if parent else hooks.stem)
    retired: Mapping[int, str] = getattr(registry_module, "RETIRED", {})
    return retired


def tell(report: Readable, store: Path) -> int:
    """Print what was found; return the exit code."""
    for trouble in report.troubles:
        known = registry.lookup(trouble.kind)
        name = known.cls.__qualname__ if known else "no event"
        what = f"kind 0x{trouble.kind:04x} ({name}) version {trouble.version}"
        count = f"{trouble.events:,} of its events, the first is event {trouble.first}"
        print(f"not readable: {what}: {count}: {trouble.reason}", file=sys.stderr)
        print(f"    = help: {trouble.hint}", file=sys.stderr)
    for kind, events in sorted(report.retired.items()):
        print(f"0x{kind:04x} is retired: its events ({events:,}) stay readable as plain values")
    if report.troubles:
        return FINDINGS
    kinds = len({kind for kind, _ in report.read})
    print(f"{store}: all {sum(report.read.values()):,} events of {kinds:,} kinds are readable")
    return CLEAN
