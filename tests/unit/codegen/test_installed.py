"""Numbers that somebody else has: installed distributions, and events that are gone.

Without this, two packages that meet in one process could claim one number, and nobody would know
before the second import.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from batpak_codegen.config import Config
from batpak_codegen.diagnostic import Diagnostic, Place, SchemaError, Span
from batpak_codegen.installed import installed_kinds
from batpak_codegen.link import link
from batpak_codegen.run import run
from tests.unit.codegen.project_world import DOORS, files_of, package

REGISTRY = """\
import os
os.abort()
KINDS: Final[Mapping[int, tuple[str, str, int]]] = {
    0x3002: ("lib.gen.events", "Knocked", 1),
}

RETIRED: Final[Mapping[int, str]] = {
    0x3009: "lib.Rang",
}
"""


def install(
    site: Path, monkeypatch: pytest.MonkeyPatch, text: str, module: str = "lib.gen.registry"
) -> None:
    """Lay out a distribution as an installer does, in a folder that is looked into."""
    info = site / "house_lib-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-lib\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[batpak.schemas]\nlib = {module}\n")
    target = site / (module.replace(".", "/") + ".py")
    target.parent.mkdir(parents=True)
    target.write_text(text)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])


def found(folder: Path) -> tuple[Diagnostic, ...]:
    (folder / "doors.batpak.yaml").write_text(DOORS, encoding="utf-8")
    with pytest.raises(SchemaError) as caught:
        run(Config(folder, (".",), "gen", "gen"), check=True)
    return caught.value.diagnostics


def test_a_kind_of_an_installed_distribution_is_taken_and_both_places_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", monkeypatch, REGISTRY)

    (one,) = found(tmp_path)

    assert one.code == "E0203"
    assert one.message == "kind 0x3002 is used twice"
    (also,) = one.also
    assert (also.span.path, also.span.line) == ("lib/gen/registry.py", 4)
    assert also.note == "Knocked of the distribution house-lib"


def test_retired_kinds_of_a_distribution_are_taken_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, REGISTRY)

    taken = installed_kinds("gen")

    assert sorted(taken) == [0x3002, 0x3009]
    assert taken[0x3009].note == "Rang of the distribution house-lib"


def test_a_project_that_is_installed_does_not_clash_with_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, REGISTRY)

    assert installed_kinds("lib.gen") == {}


@pytest.mark.parametrize(
    "text", ["KINDS: int = {", "KINDS = 3", "KINDS: int = {**a, 'x': 1, f(): 2}"]
)
def test_a_file_that_is_no_registry_claims_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    install(tmp_path, monkeypatch, text)

    assert installed_kinds("gen") == {}


def test_an_entry_point_to_nothing_claims_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "")
    (tmp_path / "lib/gen/registry.py").unlink()

    assert installed_kinds("gen") == {}


def test_a_retired_number_may_not_be_one_of_a_distribution(tmp_path: Path) -> None:
    place = Place(Span("lib/gen/registry.py", 4, 5, 4, 6), "Knocked of the distribution lib")
    files = files_of(tmp_path, DOORS + "retired: {0x099: Rung}\n")

    with pytest.raises(SchemaError) as caught:
        link(files, out_module="gen", package_root="house", installed={0x3099: place})

    (one,) = caught.value.diagnostics
    assert one.code == "E0205"
    assert one.also == (place,)


def test_a_retired_number_is_an_id_of_the_file_or_a_whole_kind(tmp_path: Path) -> None:
    text = DOORS + "retired: {0x099: Rung, 0xF001: Rang, 7: Knocked}\n"

    gone = package(tmp_path, text).retired

    assert gone == (
        (0x3099, "house.doors.Rung"),
        (0xF001, "house.doors.Rang"),
        (0x3007, "house.doors.Knocked"),
    )


def test_a_free_number_is_free_of_what_is_retired_and_installed(tmp_path: Path) -> None:
    place = Place(Span("lib.py", 1, 1, 1, 2), "lib")
    text = DOORS.replace("Closed: {id: 3", "Closed: {id: 2") + "retired: {0x000: Rung}\n"
    files = files_of(tmp_path, text)

    with pytest.raises(SchemaError) as caught:
        link(files, out_module="gen", package_root="house", installed={0x3003: place})

    (one,) = caught.value.diagnostics
    assert one.help == "`batpak id next house.doors.Closed` proposes 0x8a9"
