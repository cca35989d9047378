"""Proves the outside of a run: what is configured, what is printed where, and the exit code.

Without it a typo in the configuration could be ignored, `--check` could write, two machines
could generate different bytes from one schema, or a broken library could not be repaired.
"""

from __future__ import annotations

import ast
import gc
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from batpak_codegen.__main__ import main
from batpak_codegen.config import configure
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.run import exit_code, run
from tests.unit.codegen.project_world import DOORS, changed

TABLE = '[tool.batpak]\nout = "house/gen"\npackage_root = "house"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "doors.batpak.yaml").write_text(DOORS)
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "__init__.py").touch()
    return tmp_path


def outputs(project: Path) -> dict[str, bytes]:
    out = project / "house" / "gen"
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def batpak_gen(
    *arguments: str, cwd: Path, seed: str = "0", program: tuple[str, ...] = ("-m", "batpak_codegen")
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONHASHSEED": seed, "GITHUB_ACTIONS": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_writes_everything_once_and_check_then_finds_nothing(project: Path) -> None:
    config = configure(start=project)

    first = run(config, check=False)
    second = run(config, check=False)
    checked = run(config, check=True)

    assert (first.packages, first.events, len(first.written)) == (1, 4, len(outputs(project)))
    assert (second.written, second.unchanged) == ((), len(first.written))
    assert (checked.changed, checked.drift) == ((), ())


def test_check_writes_nothing_and_gives_a_reason_for_every_file(project: Path) -> None:
    config = configure(start=project)
    run(config, check=False)
    (project / "house/gen/doors/types.py").unlink()
    stale = project / "house/gen/doors/old.py"
    stale.write_bytes((project / "house/gen/__init__.py").read_bytes())
    with (project / "house/gen/doors/events.py").open("a") as file:
        file.write("\n")
    before = outputs(project)

    report = run(config, check=True)

    assert report.changed == ("doors/events.py", "doors/old.py", "doors/types.py")
    assert [d.code for d in report.drift] == ["E0701"] * 3
    assert outputs(project) == before


def test_a_finding_in_any_stage_leaves_the_disk_alone(project: Path) -> None:
    config = configure(start=project)
    run(config, check=False)
    before = outputs(project)
    schema = project / "schemas" / "doors.batpak.yaml"
    schema.write_text(
        changed(DOORS, {"id: 4,": "id: 3,", "width: i32}}\n  Open": "width: i64}}\n  Open"})
    )

    with pytest.raises(SchemaError, match="E0203") as caught:
        run(config, check=False)

    assert outputs(project) == before
    assert "schemas/doors.batpak.yaml" in caught.value.texts


@pytest.mark.parametrize("seed", ["1", "2"])
def test_bytes_depend_on_nothing_but_schemas_and_configuration(project: Path, seed: str) -> None:
    run(configure(start=project), check=False)
    expected = outputs(project)
    for path in sorted((project / "house" / "gen").rglob("*.py")):
        path.unlink()
    elsewhere = project.parent

    done = batpak_gen("--config", str(project / "pyproject.toml"), cwd=elsewhere, seed=seed)

    assert done.returncode == 0, done.stderr
    assert outputs(project) == expected
    assert str(project).encode() not in b"".join(expected.values())


def test_the_order_of_files_does_not_matter(project: Path) -> None:
    roof = "batpak: 1\npackage: house.roof\ncategory: 4\nevents: {Leaked: {id: 1, fields: {}}}\n"
    (project / "schemas" / "roof.batpak.yaml").write_text(roof)
    run(configure(start=project), check=False)
    expected = outputs(project)
    paths = '"schemas/roof.batpak.yaml", "schemas/doors.batpak.yaml"'
    (project / "pyproject.toml").write_text(f"{TABLE}schemas = [{paths}]\n")

    report = run(configure(start=project), check=True)

    assert report.changed == ()
    assert len(expected) == report.unchanged


BAD_TABLES = [
    ("E0002", TABLE + 'hook = "x"\n'),
    ("E0003", "[tool.other]\n"),
    ("E0003", "[tool.batpak]\n"),
    ("E0003", '[tool.batpak]\nout = ""\n'),
    ("E0003", '[tool.batpak]\nout = "."\n'),
    ("E0003", "[tool.batpak]\nout = 3\n"),
    ("E0003", "[tool]\nbatpak = 3\n"),
    ("E0003", TABLE + 'schemas = "schemas"\n'),
    ("E0003", TABLE + 'system = "yes"\n'),
    ("E0003", '[tool.batpak]\nout = "gen"\npackage_root = "No Package"\n'),
    ("E0003", TABLE + 'out_module = "a-b"\n'),
    ("E0003", '[tool.batpak]\nout = "house/class"\n'),
    ("E0003", TABLE + 'lock = "house/gen/events.py"\n'),
    ("E0003", TABLE + 'lock = "./house//gen"\n'),
    ("E0003", TABLE + 'schemas = ["house/gen/x.batpak.yaml"]\n'),
    ("E0003", "[tool.batpak\n"),
    ("E0704", '[tool.batpak]\nout = "/tmp/gen"\n'),
    ("E0704", '[tool.batpak]\nout = "a/../../gen"\n'),
    ("E0704", '[tool.batpak]\nout = "~/gen"\n'),
]


@pytest.mark.parametrize(("code", "table"), BAD_TABLES)
def test_a_configuration_that_cannot_be_meant_is_refused(
    project: Path, code: str, table: str
) -> None:
    file = project / "pyproject.toml"
    file.write_text(table)

    with pytest.raises(SchemaError) as caught:
        configure(file)

    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]
    assert exit_code(caught.value) == 2


def test_schemas_that_lead_out_are_blamed_and_not_a_lock_that_nobody_set(project: Path) -> None:
    file = project / "pyproject.toml"
    file.write_text(TABLE + 'schemas = ["/etc"]\n')

    with pytest.raises(SchemaError, match="schemas `/etc` leads out of the project") as caught:
        configure(file)

    assert caught.value.diagnostics[0].help == 'say where the lock file is: lock = "batpak.lock"'
    file.write_text(TABLE + 'schemas = ["/etc"]\nlock = "batpak.lock"\n')
    assert configure(file).lock == "batpak.lock"


@pytest.mark.parametrize("out", ["gen", "gen/deep", "loop"])
def test_a_link_cannot_lead_generated_code_out_of_the_project(
    project: Path, out: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (project / "gen").symlink_to(outside)
    (project / "loop").symlink_to(outside / "not_there")
    (project / "pyproject.toml").write_text(f'[tool.batpak]\nout = "{out}"\n')

    with pytest.raises(SchemaError, match="E0704"):
        configure(start=project)

    assert list(outside.iterdir()) == []


def test_the_configuration_is_looked_for_upwards_to_the_root_of_the_repository(
    project: Path,
) -> None:
    deep = project / "house" / "rooms"
    deep.mkdir()
    (deep / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    assert configure(start=deep).root == project

    (deep / ".git").mkdir()
    with pytest.raises(SchemaError, match="here or above") as missing:
        configure(start=deep)
    (found,) = missing.value.diagnostics
    assert found.help == "go to the folder of the project, or begin one: batpak init"


@pytest.mark.parametrize(
    ("out", "module"),
    [("house/gen", "house.gen"), ("house/rooms/gen", "house.rooms.gen"), ("lib/gen", "gen")],
)
def test_the_module_of_out_is_found_by_its_packages(project: Path, out: str, module: str) -> None:
    (project / "house" / "rooms").mkdir()
    (project / "house" / "rooms" / "__init__.py").touch()
    (project / "pyproject.toml").write_text(f'[tool.batpak]\nout = "./{out}/"\n')

    config = configure(start=project)

    assert (config.out, config.out_module) == (out, module)


def test_success_is_one_line_on_standard_output(project: Path) -> None:
    written = batpak_gen(cwd=project)
    checked = batpak_gen("--check", cwd=project)

    pattern = r"1 package, 4 events: \d+ files written, 0 removed, 0 unchanged \(\d+\.\d\d s\)\n"
    assert re.fullmatch(pattern, written.stdout), written
    assert re.fullmatch(r"1 package, 4 events: \d+ files up to date \(.*\)\n", checked.stdout)
    assert (written.returncode, checked.returncode) == (0, 0)
    assert written.stderr + checked.stderr == ""


def test_findings_are_printed_with_their_line_and_end_in_code_1(project: Path) -> None:
    (project / "schemas" / "doors.batpak.yaml").write_text(changed(DOORS, {"id: 4,": "id: 3,"}))

    done = batpak_gen(cwd=project)

    assert done.returncode == 1
    assert done.stdout == ""
    assert "schemas/doors.batpak.yaml:11:17: error[E0203] kind 0x3003 is used twice" in done.stderr
    assert "^" in done.stderr


def test_check_of_a_stale_tree_ends_in_code_1_and_no_configuration_in_code_2(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    (empty / ".git").mkdir()

    drift = batpak_gen("--check", cwd=project)
    lost = batpak_gen(cwd=empty)
    flag = batpak_gen("--chek", cwd=project)
    unreadable = batpak_gen("--config", "missing.toml", cwd=project)

    assert (drift.returncode, lost.returncode, flag.returncode) == (1, 2, 2)
    assert (unreadable.returncode, "E0005" in unreadable.stderr) == (2, True)
    assert "error[E0701] house/gen/__init__.py is missing" in drift.stderr
    assert "error[E0003]" in lost.stderr
    assert "usage" in flag.stderr


def test_a_defect_of_the_generator_ends_in_code_3_and_shows_where(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.chdir(project)
    monkeypatch.setattr("batpak_codegen.run.link", broken)

    code = main([])

    assert code == 3
    told = re.search(r"RuntimeError: a defect; the traceback is in (\S+)", capsys.readouterr().err)
    assert told
    assert "in broken" in Path(told[1]).read_text()
    Path(told[1]).unlink()
    assert outputs(project) == {}


def test_the_spare_key_works_without_the_library(project: Path) -> None:
    locked = "import sys; sys.modules['batpak'] = None; sys.argv = ['x'];"

    done = batpak_gen(cwd=project, program=("-c", f"{locked} {SPARE_KEY}"))

    assert done.returncode == 0, done.stderr
    assert outputs(project)


COMMAND = "from batpak.cli import schemas; import typer; typer.run(schemas.gen)"
SPARE_KEY = "import runpy; runpy.run_module('batpak_codegen', run_name='__main__')"


@pytest.mark.parametrize(
    ("module", "program"),
    [("yaml", COMMAND), ("jinja2", COMMAND), ("yaml", SPARE_KEY), ("pydantic", SPARE_KEY)],
)
def test_a_missing_extra_is_one_line_and_code_2(project: Path, module: str, program: str) -> None:
    missing = f"import sys; sys.modules['{module}'] = None; sys.argv = ['x'];"

    done = batpak_gen(cwd=project, program=("-c", f"{missing} {program}"))

    assert done.returncode == 2
    assert done.stderr.startswith("error[E0008] ")
    assert done.stderr.count("\n") == 1
    assert "pip install 'batpak[gen]'" in done.stderr


def test_the_command_does_what_the_spare_key_does(project: Path) -> None:
    command = ("-c", COMMAND)

    drift = batpak_gen("--check", cwd=project, program=command)
    written = batpak_gen("--config", "pyproject.toml", cwd=project, program=command)
    checked = batpak_gen("--check", cwd=project)

    assert (drift.returncode, written.returncode, checked.returncode) == (1, 0, 0)
    assert written.stdout.startswith("1 package, 4 events: ")


def test_a_run_is_not_disturbed_by_what_the_garbage_collector_runs(project: Path) -> None:
    def parse(phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            ast.parse("a + b")

    thresholds = gc.get_threshold()
    gc.callbacks.append(parse)
    gc.set_threshold(50)
    try:
        report = run(configure(project / "pyproject.toml"), check=False)
        assert gc.isenabled()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(parse)

    assert report.written
