"""A small project for tests of the back of the generator, and ways to change it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from batpak_codegen.declarations import SchemaFile
from batpak_codegen.diagnostic import Diagnostic, SchemaError
from batpak_codegen.ir import MachineDef, PackageDef, Project
from batpak_codegen.link import link
from batpak_codegen.source.load import load

DOORS = """\
batpak: 1
package: house.doors
category: 0x3
types:
  DoorId: {id: door}
  Side: {enum: {IN: in, OUT: out}}
events:
  Fitted: {id: 1, fields: {door_id: DoorId, width: i32}}
  Opened: {id: 2, fields: {door_id: DoorId, side: Side, at: timestamp}}
  Closed: {id: 3, fields: {door_id: DoorId, at: timestamp}}
  Bricked: {id: 4, fields: {door_id: DoorId}}
machines:
  Door:
    entity: "door:{door_id}"
    states:
      Planned: {initial: true}
      Shut: {data: {width: i32}}
      Open: {extends: Shut, data: {side: Side, at: timestamp}}
      Wall: {final: true}
    moves:
      fit: {from: Planned, to: Shut, event: Fitted}
      open_it: {from: Shut, to: Open, event: Opened, gates: [wide]}
      close_it: {from: Open, to: Shut, event: Closed}
      brick_up: {from: [Planned, Shut], to: Wall, event: Bricked}
gates:
  wide:
    event: Opened
    machine: Door
    require: state.width > 50 and event.side == 'in'
    deny: {code: NARROW, message: "only {state.width} wide"}
"""


def files_of(folder: Path, *texts: str) -> tuple[SchemaFile, ...]:
    """Load schemas from text, as from files `0.batpak.yaml` and so on."""
    for number, text in enumerate(texts):
        (folder / f"{number}.batpak.yaml").write_text(text, encoding="utf-8")
    return load([folder], folder).files


def linked(folder: Path, *texts: str, root: str = "house", system: bool = False) -> Project:
    files = files_of(folder, *texts)
    return link(files, out_module="gen", package_root=root, system=system)


def package(folder: Path, *texts: str) -> PackageDef:
    return linked(folder, *texts).packages[0]


def door(folder: Path, text: str = DOORS) -> MachineDef:
    return package(folder, text).machines[0]


def refused(folder: Path, *texts: str, root: str = "house") -> tuple[Diagnostic, ...]:
    """Every diagnostic of the link phase; the phases before it must be clean."""
    files = files_of(folder, *texts)
    with pytest.raises(SchemaError) as caught:
        link(files, out_module="gen", package_root=root)
    return caught.value.diagnostics


def changed(text: str, changes: Mapping[str, str]) -> str:
    """Replace stretches of a schema, each of which must be there exactly once."""
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def pointed(text: str, found: Diagnostic) -> str:
    """What stands above the caret."""
    assert found.span is not None
    line = text.split("\n")[found.span.line - 1]
    return line[found.span.column - 1 : found.span.end_column - 1]
