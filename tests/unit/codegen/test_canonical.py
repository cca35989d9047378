"""Proves that `fmt` changes order and spelling and nothing else.

Without it a comment could end up above another event, a field could move and with it what is
stored, or a file could come out that means something else.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batpak_codegen import canonical as module
from batpak_codegen.canonical import canonical
from batpak_codegen.commands import fmt
from batpak_codegen.config import Config
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.source import yaml_text
from batpak_codegen.splice import Edit, Offsets, comments, meaning

ROOT = Path(__file__).parents[3]

MIXED = """\
# about the file
package: a.b   # the package

batpak: 1
# about the events
events:
  # about A
  A:
    fields:
      # about x
      x: {doc: hi, type: i64}

      y: string
      # behind y
    # about the id
    id: 4  # four
    doc: >-
      long
      text

  B: {fields: {x: {doc: "a, b", type: string}}, id: 0xAb}

# about the category
category: 12
x-tool: 1
doc: z
"""
TIDY = """\
# about the file
batpak: 1

package: a.b   # the package
doc: z

# about the category
category: 0xc
# about the events
events:
  # about A
  A:
    # about the id
    id: 0x004  # four
    doc: >-
      long
      text
    fields:
      # about x
      x: {type: i64, doc: hi}

      y: string
      # behind y

  B: {id: 0x0ab, fields: {x: {type: string, doc: "a, b"}}}
x-tool: 1
"""


def remarks(text: str) -> list[str]:
    """The comments of a schema, sorted."""
    return sorted(remark for _, remark in comments(yaml_text.parse(text, "x"), Offsets(text)))


def test_keys_come_in_one_order_and_comments_stay_with_what_they_stand_above() -> None:
    assert canonical(MIXED, "x") == TIDY


def test_what_is_tidy_stays_as_it_is() -> None:
    assert canonical(TIDY, "x") == TIDY
    assert canonical(TIDY.rstrip(), "x") == TIDY


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "examples").rglob("*.batpak.yaml")), ROOT / "schemas/system.batpak.yaml"],
    ids=lambda path: path.name,
)
def test_our_own_schemas_are_tidy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert canonical(text, path.name) == text


def test_names_that_are_declared_are_never_moved() -> None:
    types = "  Z: {struct: {id: i8, doc: i8, batpak: i8}}\n  A: {id: a}\n"
    text = f"batpak: 1\npackage: a.b\ntypes:\n{types}"

    assert canonical(text, "x") == text


@settings(deadline=None)
@given(
    order=st.permutations(["batpak: 1", "package: a.b", "doc: d", "category: 3", "events:"]),
    keys=st.permutations(["id: 1", "doc: |\n      some\n\n      text", "fields: {}", "version: 1"]),
    blanks=st.lists(st.sampled_from(["", "\n", "# c\n", "# c\n\n", "\n# c\n"]), min_size=5),
)
def test_any_order_becomes_the_same_and_says_the_same(
    order: list[str], keys: list[str], blanks: list[str]
) -> None:
    event = "\n  E:\n" + "".join(f"    {key}\n" for key in keys)
    parts = [part + event if part == "events:" else f"{part}\n" for part in order]
    text = "".join(blank + part for blank, part in zip(blanks, parts, strict=False))

    tidy = canonical(text, "x")

    keys_found = [row.partition(":")[0] for row in tidy.split("\n") if row[:1].isalpha()]
    assert keys_found == ["batpak", "package", "doc", "category", "events"]
    assert canonical(tidy, "x") == tidy
    assert meaning(yaml_text.parse(tidy, "x")) == meaning(yaml_text.parse(text, "x"))
    assert remarks(tidy) == remarks(text)


@pytest.mark.parametrize(
    "entry",
    ["{fields: {}, id: 7}", "{\n    fields: {},\n    id: 7\n  }", '{"fields": {}, "id": 7}'],
)
def test_maps_in_brackets_are_put_in_order_as_well(entry: str) -> None:
    text = f"batpak: 1\npackage: a.b\nevents:\n  E: {entry}\n"

    tidy = canonical(text, "x")

    assert tidy.index("id") < tidy.index("fields")
    assert "0x007" in tidy


@pytest.mark.parametrize("number", ["017", "0x_1", "1__0_", "0o17", "'7'"])
def test_what_is_no_number_to_check_is_left_to_be_refused(number: str) -> None:
    text = f"batpak: 1\npackage: a.b\ncategory: 0x2\nevents:\n  E: {{id: {number}, fields: {{}}}}\n"

    assert canonical(text, "x") == text.replace("1__0_", "0x00a")


def test_a_map_in_brackets_that_has_a_comment_is_left_as_it_is() -> None:
    sku = "{max_length: 3, # at most three\n    alias: string, # text\n  }"
    other = "{max_length: 3, alias: string}"
    text = f"batpak: 1\npackage: a.b\ntypes:\n  Sku: {sku}\n  Other: {other} # a comment\n"

    assert canonical(text, "x") == text.replace(other, "{alias: string, max_length: 3}")


def test_text_that_looks_like_a_comment_is_none() -> None:
    doc = '"one\n    # two"'
    text = f"batpak: 1\npackage: a.b\ntypes:\n  Sku: {{alias: string, doc: {doc}}}\n"
    block = "  Id:\n    id: a\n    doc: | # why\n      # not\n    # but this\n"

    tidy = canonical(text + block, "x")

    assert f"{{doc: {doc}, alias: string}}" in tidy
    assert remarks(tidy) == ["# but this", "# why"]


def test_a_defect_ends_in_an_error_and_changes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.batpak.yaml"
    file.write_text(MIXED)
    monkeypatch.setattr(module, "_sorted", lambda *_: [Edit(0, 0, "# more\n")])

    with pytest.raises(RuntimeError, match="would change what the schema says"):
        fmt(Config(tmp_path, (".",), "gen", "gen"), (), check=False)

    assert file.read_text() == MIXED


def test_the_command_writes_what_is_not_tidy_and_check_only_names_it(tmp_path: Path) -> None:
    mixed, tidy = tmp_path / "mixed.batpak.yaml", tmp_path / "tidy.batpak.yaml"
    mixed.write_bytes(b"\xef\xbb\xbf" + MIXED.replace("\n", "\r\n").encode())
    mixed.chmod(0o640)
    tidy.write_text(TIDY)
    before = os.stat(tidy).st_mtime_ns  # noqa: PTH116  as the file system has it
    config = Config(tmp_path, (".",), "gen", "gen")

    named = fmt(config, (), check=True)
    unnamed = fmt(config, [tidy], check=True)
    assert mixed.read_bytes().startswith(b"\xef\xbb\xbf")
    done = fmt(config, (), check=False)

    assert [found.message.split()[0] for found in named.diagnostics] == ["mixed.batpak.yaml"]
    assert (named.reason, unnamed.reason, done.reason) == ("drift", None, None)
    assert done.summary.startswith("1 file formatted, 1 unchanged (")
    assert mixed.read_bytes() == b"\xef\xbb\xbf" + TIDY.replace("\n", "\r\n").encode()
    assert fmt(config, (), check=True).diagnostics == ()
    assert mixed.stat().st_mode & 0o777 == 0o640
    assert tidy.stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [mixed.name, tidy.name]


def test_a_file_that_is_no_yaml_is_left_alone_with_all_others(tmp_path: Path) -> None:
    (tmp_path / "a.batpak.yaml").write_text(MIXED)
    (tmp_path / "b.batpak.yaml").write_text("a: [")

    with pytest.raises(SchemaError, match="E0101"):
        fmt(Config(tmp_path, (".",), "gen", "gen"), (), check=False)

    assert (tmp_path / "a.batpak.yaml").read_text() == MIXED
