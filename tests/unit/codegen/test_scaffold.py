"""Proves that a project begins with one command, and that nothing of anybody's is changed by it.

Without it `init` could overwrite a configuration, or begin with a schema that does not compile.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from batpak_codegen.canonical import canonical
from batpak_codegen.commands import Request, gen
from batpak_codegen.config import configure
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.language import language_schema
from batpak_codegen.scaffold import init

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "My-Shop").mkdir()
    return tmp_path / "My-Shop"


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_an_empty_folder_becomes_a_project_that_generates(folder: Path) -> None:
    init(folder)

    done = gen(configure(folder / "pyproject.toml"), Request())

    assert done.reason is None
    assert done.summary.startswith("1 package, 2 events: 11 files written")
    text = (folder / "schemas/notes.batpak.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=batpak-v1.schema.json\n")
    assert (folder / "schemas/batpak-v1.schema.json").read_text() == language_schema()
    assert canonical(text, "x") == text
    assert (folder / ".gitattributes").read_text().splitlines() == [
        "batpak.lock merge=union",
        "my_shop/gen/** -merge linguist-generated=true",
    ]


def test_neither_a_stamp_nor_a_store_is_offered_to_git(folder: Path) -> None:
    init(folder)

    assert (folder / ".gitignore").read_text().splitlines() == [".batpak/", "*.store/"]


def test_hooks_and_workflow_are_yaml_and_say_the_commands(folder: Path) -> None:
    init(folder)

    hooks = yaml.safe_load((folder / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    flow = yaml.safe_load((folder / ".github/workflows/batpak.yml").read_text())
    assert [hook["entry"] for hook in hooks] == ["batpak check", "batpak gen --check"]
    runs = [step.get("run") for step in flow["jobs"]["schemas"]["steps"]]
    compat = "batpak compat --against git:origin/main"
    assert runs[-3:] == ["batpak check", "batpak gen --check", compat]
    assert re.search(hooks[1]["files"], "my_shop/gen/registry.py")
    assert not re.search(hooks[1]["files"], "other/gen/registry.py")
    published = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    same = ("id", "entry", "pass_filenames")
    assert [[hook.get(key) for key in same] for hook in published] == [
        [hook.get(key) for key in same] for hook in hooks
    ]


@pytest.mark.parametrize("file", [".pre-commit-config.yaml", ".github/workflows/batpak.yml"])
def test_the_how_to_shows_what_is_written(folder: Path, file: str) -> None:
    init(folder)
    page = (ROOT / "docs/how-to/check-in-ci.md").read_text(encoding="utf-8")

    assert f'```yaml title="{file}"\n{(folder / file).read_text()}```\n' in page


def test_a_second_time_changes_nothing(folder: Path) -> None:
    init(folder)
    before = tree(folder)

    told = init(folder)

    assert tree(folder) == before
    assert all("left as it is" in line for line in told)


def test_what_is_there_is_kept_to_the_byte(folder: Path) -> None:
    mine = {
        "pyproject.toml": '[project]\nname = "mine"   # mine',
        ".gitattributes": "*.png binary",
        ".gitignore": "/x\n",
        ".pre-commit-config.yaml": "repos: []\n",
        "schemas/mine.batpak.yaml": "batpak: 1\npackage: my_shop.mine\n",
    }
    (folder / "schemas").mkdir()
    for name, text in mine.items():
        (folder / name).write_text(text)

    init(folder)

    now = tree(folder)
    for name, text in mine.items():
        assert now[name].decode().startswith(text), name
    assert now[".pre-commit-config.yaml"] == b"repos: []\n"
    assert "schemas/notes.batpak.yaml" not in now
    table = tomllib.loads(now["pyproject.toml"].decode())
    assert table["project"] == {"name": "mine"}
    assert table["tool"]["batpak"]["out"] == "my_shop/gen"


def test_bytes_are_added_and_none_is_changed(folder: Path) -> None:
    mine = {
        "pyproject.toml": b'[project]\r\nname = "mine"  \r\n\r\n\r\n',
        ".gitattributes": "# caf\xe9\nbatpak.lock merge=union".encode("latin-1"),
    }
    for name, data in mine.items():
        (folder / name).write_bytes(data)

    init(folder)

    now = tree(folder)
    assert all(now[name].startswith(data) for name, data in mine.items())
    assert now["pyproject.toml"].count(b"\n") == now["pyproject.toml"].count(b"\r\n")
    assert now[".gitattributes"].count(b"merge=union") == 1
    assert gen(configure(folder / "pyproject.toml"), Request()).reason is None


@pytest.mark.parametrize("obstacle", ["pyproject.toml", ".gitattributes", ".github", "schemas"])
def test_what_cannot_be_done_is_not_begun(
    folder: Path, obstacle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "E0703"
    if obstacle == ".gitattributes":
        (folder / obstacle).mkdir()
    else:
        (folder / obstacle).write_bytes(b"# caf\xe9\n")
        code = "E0005" if obstacle == "pyproject.toml" else code
    monkeypatch.chdir(folder)

    with pytest.raises(SchemaError, match=code) as caught:
        init(Path())

    assert "``" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == [obstacle]


def test_a_configuration_that_is_there_says_where_things_go(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.batpak]\nschemas = ["events"]\nout = "lib/gen"\n')

    init(folder)

    now = tree(folder)
    assert "events/notes.batpak.yaml" in now
    assert "my_shop/__init__.py" not in now
    assert b"lib/gen/** -merge" in now[".gitattributes"]
    assert gen(configure(folder / "pyproject.toml"), Request()).reason is None


@pytest.mark.parametrize("text", ["[tool\n", "tool = {x = 1}\n"])
def test_a_configuration_that_cannot_be_added_to_is_left_alone(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)

    with pytest.raises(SchemaError, match="E0003"):
        init(folder)

    assert tree(folder) == {"pyproject.toml": text.encode()}


@pytest.mark.parametrize("name", ["123", "class", "batpak", "---", "json"])
def test_a_folder_whose_name_is_no_module_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(SchemaError, match="E0003"):
        init(tmp_path / name)

    assert tree(tmp_path) == {}
