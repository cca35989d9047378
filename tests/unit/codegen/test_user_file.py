"""Proves what a run does to users' files: made once, extended, checked, and otherwise left alone.

Without these tests `--check` could edit, a mode could be lost, a link could lead a write out of
the project, or a file that was saved a moment ago could be overwritten.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

import batpak_codegen.render as rendering
from batpak_codegen import user_file
from batpak_codegen.__main__ import main
from batpak_codegen.config import configure
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.run import run
from batpak_codegen.stubs import scaffold
from tests.unit.codegen.hook_world import FILES, doors
from tests.unit.codegen.project_world import DOORS

TABLE = '[tool.batpak]\nout = "house/gen"\npackage_root = "house"\n'
SHORT = "from house.gen.doors import hooks as h\nclass Hooks(h.DoorsHooks):\n    x = 1\n"
UPCASTS = "class Upcasts(h.DoorsUpcasts):\n    opened_v1 = print\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose one package leaves something to its user."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "doors.batpak.yaml").write_text(DOORS)
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "__init__.py").touch()
    plain: Callable[[rendering._Package], dict[str, str]] = rendering._Package.files
    monkeypatch.setattr(rendering._Package, "files", lambda package: plain(package) | FILES)
    return tmp_path


def test_the_first_run_makes_the_file_and_the_second_leaves_it(project: Path) -> None:
    config = configure(start=project)
    checked = run(config, check=True)
    first = run(config, check=False)
    second = run(config, check=False)

    file = project / "house" / "doors_hooks.py"
    assert file.read_bytes() == scaffold(doors())
    assert (checked.yours, first.yours, second.yours) == (("house/doors_hooks.py",),) * 2 + ((),)
    assert "house/doors_hooks.py is missing" in [d.message for d in checked.drift]
    assert stat.S_IMODE(file.stat().st_mode) & 0o111 == 0


def test_the_registry_imports_the_hooks(project: Path) -> None:
    run(configure(start=project), check=False)

    text = (project / "house/gen/registry.py").read_text()

    assert 'HOOKS: Final[tuple[str, ...]] = ("house.doors_hooks",)\n' in text
    assert "    for name in HOOKS:\n        import_module(name)\n" in text


def test_check_counts_a_missing_method_and_never_edits(project: Path) -> None:
    file = project / "house" / "doors_hooks.py"
    run(configure(start=project), check=False)
    file.write_text(SHORT + UPCASTS)

    report = run(configure(start=project), check=True)

    assert report.changed == ("house/doors_hooks.py",)
    (found,) = report.drift
    assert found.code == "E0701"
    assert found.message == ("house/doors_hooks.py lacks `gate_may_open`, `evolve_door_brick_up`")
    assert file.read_text() == SHORT + UPCASTS


def test_the_mode_is_kept_and_nothing_is_left_beside_the_file(project: Path) -> None:
    file = project / "house" / "doors_hooks.py"
    file.write_text(SHORT + UPCASTS)
    file.chmod(0o751)

    report = run(configure(start=project), check=False)

    assert report.yours == ("house/doors_hooks.py",)
    assert stat.S_IMODE(file.stat().st_mode) == 0o751
    assert file.read_text().startswith(SHORT)
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "__init__.py",
        "doors_hooks.py",
        "gen",
    ]


@pytest.mark.parametrize("check", [True, False])
def test_without_stubs_a_users_file_is_not_even_read(project: Path, check: bool) -> None:
    file = project / "house" / "doors_hooks.py"
    file.write_text("this is no Python\n")

    report = run(configure(start=project), check=check, stubs=False)

    assert report.yours == ()
    assert file.read_text() == "this is no Python\n"


def test_a_file_that_cannot_be_extended_stops_the_run_before_anything_is_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "house" / "doors_hooks.py").write_text("x = (\n")

    code = main(["--config", str(project / "pyproject.toml")])

    assert code == 1
    error = capsys.readouterr().err
    assert error.startswith("house/doors_hooks.py:1:5: error[E0601] this file does not parse: ")
    assert "\n      1 | x = (\n" in error
    assert not (project / "house" / "gen").exists()
    assert main(["--no-stubs", "--config", str(project / "pyproject.toml")]) == 0


def test_an_orphan_is_a_warning_and_no_failure(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = scaffold(doors()).decode()
    orphan = "    def gate_old(self) -> None: ...\n\n\n@final\nclass Upcasts"
    file = project / "house" / "doors_hooks.py"
    file.write_text(whole.replace("\n\n@final\nclass Upcasts", orphan))

    code = main(["--config", str(project / "pyproject.toml")])

    assert code == 0
    assert "warning[W0603] no schema asks for `gate_old` any more\n" in capsys.readouterr().err
    assert main(["--check", "--config", str(project / "pyproject.toml")]) == 0


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_is_no_file_of_its_own_is_refused(project: Path, kind: str) -> None:
    file = project / "house" / "doors_hooks.py"
    if kind == "link":
        (project / "elsewhere.py").write_text(SHORT)
        file.symlink_to(project / "elsewhere.py")
    else:
        file.mkdir()

    with pytest.raises(SchemaError, match="E0703"):
        run(configure(start=project), check=False)

    assert kind == "folder" or (project / "elsewhere.py").read_text() == SHORT


def test_a_file_that_was_saved_in_the_meantime_is_not_overwritten(project: Path) -> None:
    file = project / "house" / "doors_hooks.py"
    file.write_text(SHORT + UPCASTS)
    ready = user_file.prepare(project, [owed_file()])
    file.write_text(SHORT + UPCASTS + "# saved\n")

    with pytest.raises(SchemaError, match="it was changed while batpak gen ran"):
        user_file.save(project, ready.changes)

    assert file.read_text().endswith("# saved\n")
    assert [path.name for path in file.parent.iterdir() if path.name[0] == "."] == []


def owed_file() -> user_file.UserFile:
    return user_file.UserFile("house/doors_hooks.py", "house.doors_hooks", doors())


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('hooks = "house/hooks.py"', "E0003"),
        ('hooks = "{package}/hooks.py"', "E0003"),
        ('hooks = "house/{package}_{name}.py"', "E0003"),
        ('hooks = "house/{package}.txt"', "E0003"),
        ('hooks = "{out}/{package}.py"', "E0003"),
        ('hooks = "../{package}.py"', "E0704"),
        ('hooks = "/tmp/{package}.py"', "E0704"),
        ('hooks = "house/a-b/{package}.py"', "E0003"),
        ('tests = "house/gen/tests"', "E0003"),
        ('tests = "../tests"', "E0704"),
    ],
)
def test_a_place_that_is_not_the_users_is_refused(project: Path, line: str, code: str) -> None:
    (project / "pyproject.toml").write_text(TABLE + line + "\n")

    with pytest.raises(SchemaError, match=code):
        run(configure(start=project), check=True)


def test_hooks_may_live_elsewhere_beside_out(project: Path) -> None:
    (project / "pyproject.toml").write_text(TABLE + 'hooks = "house/yours/my_{package}.py"\n')

    report = run(configure(start=project), check=False)

    assert report.yours == ("house/yours/my_doors.py",)
    assert '"house.yours.my_doors"' in (project / "house/gen/registry.py").read_text()


def test_two_packages_cannot_share_a_hooks_file(project: Path) -> None:
    for name in ("house.a.b_c", "house.a_b.c"):
        text = f"batpak: 1\npackage: {name}\n"
        (project / "schemas" / f"{name}.batpak.yaml").write_text(text)

    with pytest.raises(SchemaError, match="would share `house/a_b_c_hooks"):
        run(configure(start=project), check=True)
