"""The house has one direction: every import goes down.

Plain `ast`, no plug-in: the rule is the tables below, and a reader can check them by eye.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOME = {"batpak": ROOT, "batpak_codegen": ROOT / "codegen", "batpak_command": ROOT / "codegen"}
LINES_MAX = 500

# One table per package, top floor first, floors parted by "/". A module imports from lower floors
# of the table in which the two names part; names on one floor are strangers.
FLOORS = {
    "batpak": """cli testing aio sqlite / store / compactions / appends observer / fence outbox
        / flow reader workers / feeds / projections / waits / opened queries / upkeep / read
        / commit / recovery / journal index
        / pipeline machine abi
        / machine_snapshot / edge_table / guard append_receipt / typestate append proof
        / note claim / event shape / record system / diagnostics / wire meaning / region / payload
        / registry / config / cache / platform / report / outcome / reason / ids checks signing
        / kind coordinate clock codec digest disk / arguments / errors
        / exact faults frozen override seal stack""",
    "batpak.cache": "states / file memory / row",
    "batpak.disk": "secret / posix whole / seam",
    "batpak.signing": "trust / signing_key / verify_key / verdict",
    "batpak.testing": """scenario / given / walk ledger samples moves / platform sabotage contract
        / crash handles threads watched / history disk switches
        / reading tampering / image switch / clock faults model""",
    "batpak.cli": """main / schemas pictures stores moving care signatures decode demo tail
        bench causes copies versions shapes / show doctor
        / events manner original places progress readable states trusted
        / generated kinds options / prose""",
    "batpak.read": """ancestry causes claims path watch projector subscription parking reactor
        shapes / worker / cursor / checkpoint removed gap
        / fetch lookout lossy_ops page projection source witness / declared restart""",
    "batpak.upkeep": """repair fork
        / rust / draft outfile snapshot stats verify intake lines compaction / removals output
        / groups / imported""",
    "batpak.upkeep.rust": "source export / numbers / scan / files",
    "batpak.recovery": "sight / picture / growing gone / restore / footer ends / decide",
    "batpak.commit": """lane / flight / fence line rotation / sealer stage ticket applier
        / judge waiters / unit worker / request limit alone exclusive clamps""",
    "batpak.journal": "active scan head rewritten / segment chain v1 / frame / header / layout",
    "batpak.journal.v1": "index footer ranges / row / frame header",
    "batpak.index": "query merged / table sealed / sidx / tail / row",
    "batpak.guard": "gates trace / bypass / receipt / jury / stamp / proposal verdict",
    "batpak_codegen": """commands / versions / console stamp scaffold numbering plain page changelog
        canary captures unsealed
        / catalog draft / canonical / language splice formats watch graph / escape / run
        / unfrozen handwritten / config user_file contract_tests / hook_classes
        / render write stubs installed promises / user_source places
        / machine_view gate_view former_view scenario_view example_view projection_view
        / hooks_door strategies payload_view outside
        / checks / namespace link compiled compat history
        / layout machine gate hook handler projection thaw depth
        / step context example advice listed
        / fields kinds steps freeze / literal limits stored / ir source
        / declarations template outline expr difference hop frozen_bytes
        / slots types text lock matched
        / names nodes pattern shape ids schema whole_file / codes / diagnostic""",
    "batpak_command": "main",
    "batpak_codegen.codes": "table / environment text types machines expressions versions / code",
    "batpak_codegen.source": "load / python / yaml_text",
    "batpak_codegen.source.python": """child / load tree guard / calls / classes models
        / annotations known / places answer / values""",
    "batpak_codegen.expr": """emit evaluate / check / operands / layout constants / algebra parse
        / tokens / nodes""",
}
LEAVES = {"batpak.outcome"}  # for callers: no other module of the library uses them
RANK = {
    package: {name: depth for depth, floor in enumerate(table.split("/")) for name in floor.split()}
    for package, table in FLOORS.items()
}
DOORS = {  # room of the runtime -> the parts of the outside world that only it may touch
    "disk": {"os", "fcntl", "mmap"},
    "clock": {"time"},
    "platform": {"secrets", "threading", "queue"},
    "codec": {"msgspec.msgpack"},
    "digest": {"blake3", "zlib"},
    "signing": {"cryptography"},
    "cli": {"typer", "rich", "batpak_codegen"},
    "aio": {"asyncio"},
    "sqlite": {"sqlite3"},
}
FOLDERS = {"codegen", "schemas", "tests", "examples", "docs"}  # importable by accident of layout
NEVER = {
    "batpak": {"pydantic", "jinja2", "libcst", "yaml", "pickle", "concurrent"} | FOLDERS,
    "batpak_codegen": {"batpak", "pickle"} | FOLDERS,
    "batpak_command": {"typer", "rich", "pickle"} | FOLDERS,
}


def modules() -> list[str]:
    """Return the dotted name of every module of all houses; package fronts are left out."""
    return [
        ".".join(path.relative_to(home).with_suffix("").parts)
        for house, home in HOME.items()
        for path in sorted((home / house).rglob("*.py"))
        if not path.stem.startswith("__")
    ]


def file_of(module: str) -> Path:
    return (HOME[module.partition(".")[0]] / Path(*module.split("."))).with_suffix(".py")


def imports(module: str) -> Iterator[tuple[str, str]]:
    """Yield every imported module with its `file:line`; imports inside functions count too."""
    for node in ast.walk(ast.parse(file_of(module).read_text(encoding="utf-8"))):
        where = f"{file_of(module).relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            yield from ((alias.name, where) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{where}: write absolute imports"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [
                name for name in names if name.split(".")[0] in HOME and file_of(name).is_file()
            ]
            yield from (
                (name, where) for name in found or [node.module]
            )  # modules out of a package
            if node.module == "msgspec":
                yield from ((f"msgspec.{alias.name}", where) for alias in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "msgspec.msgpack":
            yield "msgspec.msgpack", where


@pytest.mark.parametrize("module", modules())
def test_imports_go_down_and_the_world_has_doors(module: str) -> None:
    here = module.split(".")
    for name, where in imports(module):
        there = name.split(".")
        if there[0] == here[0]:
            assert file_of(name).is_file(), f"{where}: import the module, not the package front"
            part = next(i for i, (a, b) in enumerate(zip(here, there, strict=False)) if a != b)
            rank = RANK[".".join(here[:part])]
            down = rank[there[part]] > rank[here[part]]
            assert down, f"{where}: {here[part]} may not import {there[part]}"
        assert name not in LEAVES, f"{where}: {name} is for callers only"
        assert there[0] not in NEVER[here[0]], f"{where}: {here[0]} never imports {there[0]}"
        for door, behind in DOORS.items() if here[0] == "batpak" else ():
            free = here[1] == door or not {name, there[0]} & behind
            assert free, f"{where}: {name} is behind batpak.{door}"


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_a_floor_and_no_module_is_too_long(package: str) -> None:
    folder = file_of(package).with_suffix("")
    rooms = {p.parent.name for p in folder.glob("*/__init__.py")}
    for path in folder.glob("*.py"):
        rooms.add(path.stem)
        size = len(path.read_text(encoding="utf-8").splitlines())
        assert size <= LINES_MAX, f"{path}: {size} lines; split it by noun"
    assert rooms - {"__init__", "__main__"} == set(RANK[package])
