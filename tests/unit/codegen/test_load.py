"""Files and directories become schema files in a fixed order, or typed errors that name them.

Without these tests the output could depend on the order of a directory, a file could be skipped
without a word, and a pipe or an endless device could hang the generator.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak_codegen.diagnostic import Diagnostic, SchemaError, render
from batpak_codegen.source import load as load_module
from batpak_codegen.source.load import load


def schema(package: str) -> str:
    return f"batpak: 1\npackage: {package}\n"


def findings(paths: list[Path], root: Path) -> tuple[Diagnostic, ...]:
    with pytest.raises(SchemaError) as caught:
        load(paths, root)
    return caught.value.diagnostics


def test_directories_are_searched_and_files_come_in_the_order_of_their_paths(
    tmp_path: Path,
) -> None:
    for number, name in enumerate(["z", "a/b", "a-c", "a/B"]):
        path = tmp_path / "schemas" / f"{name}.batpak.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(schema(f"p{number}"))
    (tmp_path / "schemas" / "notes.yaml").write_text("a: [")

    loaded = load([tmp_path / "schemas" / "z.batpak.yaml", tmp_path / "schemas"], tmp_path)

    paths = [file.path for file in loaded.files]
    assert paths == sorted(paths) == list(loaded.texts)
    assert paths == [f"schemas/{name}.batpak.yaml" for name in ("a-c", "a/B", "a/b", "z")]


def test_a_path_outside_the_root_is_printed_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "s.batpak.yaml"
    path.write_text(schema("a"))

    loaded = load([path], tmp_path / "project")

    assert loaded.files[0].path == "../s.batpak.yaml"


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfbatpak: 1\r\npackage: a\r\ndoc: |\r\n  x\r\n  y\r\n"]
)
def test_a_byte_order_mark_and_crlf_are_fine(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "s.batpak.yaml"
    path.write_bytes(data)

    (file,) = load([path], tmp_path).files

    assert file.doc is not None
    assert (file.doc.value, file.span.column) == ("x\ny", 1)


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (b"\xef\xbb\xbf\xef\xbb\xbfbatpak: 1\n", "E0105", 1, 1),
        (b"batpak: 1\npackage: \xe9\n", "E0005", 2, 10),
        ("ä: 1\nö: ü".encode() + b"\xff", "E0005", 2, 5),
        ("batpak: 1\n".encode("utf-16"), "E0005", 1, 1),
        (b"batpak: 1\rpackage: a\n", "E0105", 1, 10),
        (b"batpak: 1\r\r\npackage: a\n", "E0105", 1, 10),
        (b"batpak: \xed\xa0\x80\n", "E0005", 1, 9),
        (b"# " + b"x" * (1 << 20), "E0105", 1, 1),
        (b"", "E0101", 1, 1),
    ],
)
def test_bytes_that_are_no_proper_text_are_refused(
    tmp_path: Path, data: bytes, code: str, line: int, column: int
) -> None:
    path = tmp_path / "s.batpak.yaml"
    path.write_bytes(data)

    (found,) = findings([path], tmp_path)

    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == (code, line, column)


def test_paths_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.yaml").touch()
    names = ["empty", "gone", "gone.batpak.yaml", "notes.yaml"]

    found = findings([tmp_path / name for name in names], tmp_path)

    assert sorted(diagnostic.code for diagnostic in found) == ["E0004", "E0004", "E0005", "E0005"]


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    assert findings([], tmp_path)[0].code == "E0004"


def test_pipes_devices_and_directories_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.batpak.yaml")
    (tmp_path / "endless.batpak.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.batpak.yaml").mkdir()
    (tmp_path / "broken.batpak.yaml").symlink_to("nowhere")

    found = findings([tmp_path], tmp_path)

    assert [diagnostic.code for diagnostic in found] == ["E0005"] * 4


def test_a_loop_of_links_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "s.batpak.yaml").write_text(schema("a"))
    (tmp_path / "loop").symlink_to(tmp_path)

    assert len(load([tmp_path], tmp_path).files) == 1


def test_too_many_files_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_module, "FILES_MAX", 3)
    for number in range(4):
        (tmp_path / f"{number}.batpak.yaml").write_text("[")

    (found,) = findings([tmp_path], tmp_path)

    assert found.code == "E0105"


def test_one_file_is_one_package(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.batpak.yaml").write_text(schema("shop"))

    (found,) = findings([tmp_path], tmp_path)

    assert found.code == "E0007"
    assert [place.span.path for place in found.also] == ["a.batpak.yaml"]


def test_findings_of_all_files_come_together_with_the_texts_to_show_them(tmp_path: Path) -> None:
    (tmp_path / "a.batpak.yaml").write_text("a: [\n")
    (tmp_path / "b.batpak.yaml").write_text("a: &x b\nc:\n")

    with pytest.raises(SchemaError) as caught:
        load([tmp_path], tmp_path)

    error = caught.value
    assert [found.code for found in error.diagnostics] == ["E0101", "E0104", "E0107"]
    assert "      1 | a: &x b\n" in render(error.diagnostics, error.texts)


@pytest.mark.parametrize(
    "name", ["# coding: utf-7", "a\rb", 'it\'s "x"', "a\nb", "ä", "-o", "{{x}}"]
)
def test_odd_file_names_are_only_text(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.batpak.yaml").write_text("a: [\n")

    (found,) = findings([tmp_path], tmp_path)

    assert found.span is not None
    assert found.span.path == f"{name}.batpak.yaml"
    where = render([found], {}).partition("error[E0101]")[0]
    assert where.isprintable()


@given(
    data=st.binary(max_size=80)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_a_schema_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    root = tmp_path_factory.getbasetemp()
    path = root / "fuzz.batpak.yaml"
    path.write_bytes(data)

    assert findings([path], root)
