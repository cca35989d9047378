"""`batpak compat --store`: whether generated code reads every event of a real log.

A lock says what was frozen; a store says what was written. Every event is read as code would read
it: decoded as the version it was written as, then upcast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from batpak import registry, wire
from batpak.cli import generated
from batpak.cli.kinds import Kinds
from batpak.errors import BatpakError, DecodeFailed, FutureVersion, RegistryError, UnknownKind
from batpak.store import Store
from batpak.wire import RAW

if TYPE_CHECKING:
    from batpak_codegen.config import Config
    from batpak_codegen.console import Outcome


class Trouble(Struct, frozen=True):
    """Events of one kind and version that cannot be read: how many, the first, why, the way out."""

    kind: int
    version: int
    name: str  # as a class, or the store, says; perhaps neither does
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
        store: Its directory; it may be open for writing.
        retired: Kinds that were given up: their events are counted, and not read.

    Raises:
        BatpakError: The store cannot be opened or read at all.
    """
    read: Counter[tuple[int, int]] = Counter()
    gone: Counter[int] = Counter()
    failed: dict[tuple[int, int], Trouble] = {}
    with Store.observe(store) as reader:
        names = Kinds.of(reader)
        for event in reader.query(form=RAW):
            kind, version = int(event.kind), event.payload_version
            if kind in retired and registry.lookup(kind) is None:
                gone[kind] += 1
                continue
            try:
                wire.decode(kind, version, event.payload, event.sequence)
                read[kind, version] += 1
            except (UnknownKind, FutureVersion, DecodeFailed, RegistryError) as error:
                hint, name = _hint(error, kind, version), names.known(kind) or "no event"
                new = Trouble(kind, version, name, 0, event.sequence, str(error), hint)
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


def outcome(config: Config, store: Path) -> Outcome:
    """Say whether the generated code of a project reads every event of a store.

    Raises:
        SchemaError: E0005, the store cannot be opened or read at all; E0701, the code cannot be
            imported; and what is wrong with the schemas.
    """
    from batpak_codegen import run
    from batpak_codegen.console import Outcome
    from batpak_codegen.diagnostic import Diagnostic, SchemaError

    drift = run.run(config, check=True).drift
    if drift:
        return Outcome(diagnostics=drift, reason="drift")
    retired = generated.load(config)
    try:
        registry.validate()
        report = check(store, retired)
    except RegistryError as error:
        found = tuple(Diagnostic("E0811", f"not readable: {said}") for said in error.problems)
        return Outcome(diagnostics=found, reason="breaking")
    except BatpakError as error:
        message = f"cannot read the store {store}: {error}"
        raise SchemaError([Diagnostic("E0005", message, None, error.hint or None)]) from error
    return _told(report, store)


def _told(report: Readable, store: Path) -> Outcome:
    """Return what was found, in words."""
    from batpak_codegen.console import Outcome
    from batpak_codegen.diagnostic import Diagnostic

    said = [
        f"0x{kind:04x} is retired: its events ({events:,}) stay readable as plain values"
        for kind, events in sorted(report.retired.items())
    ]
    if report.troubles:
        found = tuple(Diagnostic("E0811", _trouble(one), None, one.hint) for one in report.troubles)
        return Outcome("", "\n".join(said), (), found, reason="breaking")
    kinds = len({kind for kind, _ in report.read})
    said += [f"{store}: all {sum(report.read.values()):,} events of {kinds:,} kinds are readable"]
    return Outcome("", "\n".join(said))


def _trouble(trouble: Trouble) -> str:
    what = f"kind 0x{trouble.kind:04x} ({trouble.name}) version {trouble.version}"
    count = f"{trouble.events:,} of its events, the first is event {trouble.first}"
    return f"not readable: {what}: {count}: {trouble.reason}"
