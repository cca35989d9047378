"""Proves what `gen` and `check` do beyond a plain run, and that the stamp never hides a change.

Without it `--diff` could write, `--package` could delete another package, a build tool would get a
wrong list of files, and a stamp could say "nothing to do" when there is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from batpak_codegen import stamp
from batpak_codegen.commands import Request, check, gen
from batpak_codegen.config import Config, configure
from batpak_codegen.declarations import SchemaFile
from batpak_codegen.diagnostic import Diagnostic, Place, SchemaError
from batpak_codegen.formats import spell
from batpak_codegen.ir import Project
from batpak_codegen.link import link
from batpak_codegen.run import read, run, understand
from batpak_codegen.source.load import Loaded
from batpak_codegen.watch import look, watch
from tests.unit.codegen.project_world import DOORS, changed

TABLE = '[tool.batpak]\nout = "house/gen"\npackage_root = "house"\n'
ROOF = "batpak: 1\npackage: house.roof\ncategory: 4\nevents: {Leaked: {id: 1, fields: {}}}\n"
FLOOR = """\
batpak: 1
package: house.floor
category: 5
events: {Swept: {id: 1, fields: {}}}
gates: {is_dry: {event: Swept, python: {WET: mind the floor}}}
policies: {Sweep: {event: Swept, gates: [is_dry]}}
"""
ATTIC = """\
from batpak_codegen.schema import Event, Package

package = Package("house.attic", category=6)


class Aired(Event, id=1): ...
"""
WARNING = Diagnostic("W0402", "nothing uses this gate")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "doors.batpak.yaml").write_text(DOORS)
    (tmp_path / "schemas" / "roof.batpak.yaml").write_text(ROOF)
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "__init__.py").touch()
    return configure(tmp_path / "pyproject.toml")


def tree(config: Config) -> dict[str, bytes]:
    files = (config.root / "house").rglob("*")
    return {str(path): path.read_bytes() for path in files if path.is_file()}


def snapshot(config: Config) -> dict[Path, tuple[int, int]]:
    """When each file and folder of a project was changed."""
    found = {path: path.stat() for path in config.root.rglob("*")}
    return {path: (told.st_mode, told.st_mtime_ns) for path, told in found.items()}


def widen(config: Config) -> None:
    """Change a schema so that code changes."""
    file = config.root / "schemas" / "doors.batpak.yaml"
    file.write_text(changed(DOORS, {"state.width > 50": "state.width > 60"}))


@pytest.mark.parametrize(
    "request_", [Request(check=True), Request(diff=True), Request(list_outputs=True)]
)
def test_what_was_asked_to_write_nothing_writes_nothing(config: Config, request_: Request) -> None:
    before = tree(config)

    gen(config, request_)

    assert tree(config) == before
    assert not (config.root / ".batpak").exists()


def test_a_diff_shows_every_line_that_would_change_and_fails(config: Config) -> None:
    gen(config, Request())
    widen(config)
    stale = config.root / "house/gen/doors/old.py"
    stale.write_bytes((config.root / "house/gen/__init__.py").read_bytes())

    shown = gen(config, Request(diff=True))

    assert shown.reason == "drift"
    lines = shown.product.splitlines()
    assert "--- a/house/gen/doors/door_gates.py" in lines
    assert any(line.startswith("-") and "state.width > 50" in line for line in lines)
    assert any(line.startswith("+") and "state.width > 60" in line for line in lines)
    assert lines[lines.index("--- a/house/gen/doors/old.py") + 1] == "+++ /dev/null"


def test_a_clean_tree_has_no_diff_and_no_drift(config: Config) -> None:
    gen(config, Request())

    diff, checked = gen(config, Request(diff=True)), gen(config, Request(check=True))

    assert (diff.product, diff.reason) == ("", None)
    assert (checked.diagnostics, checked.reason) == ((), None)
    assert "up to date" in checked.summary


def test_one_package_is_written_and_the_others_are_left_as_they_are(config: Config) -> None:
    gen(config, Request(package="house.roof"))

    written = {Path(path).parent.name for path in tree(config) if path.endswith("events.py")}
    assert written == {"roof"}

    gen(config, Request())
    widen(config)
    stale = config.root / "house/gen/doors/old.py"
    stale.write_bytes((config.root / "house/gen/__init__.py").read_bytes())
    before = tree(config)
    done = gen(config, Request(package="house.roof", check=True))
    gen(config, Request(package="house.roof"))
    assert done.reason is None
    assert tree(config) == before

    with pytest.raises(SchemaError, match="E0003"):
        gen(config, Request(package="house.rof"))


def test_another_folder_gets_the_same_bytes(config: Config, tmp_path: Path) -> None:
    gen(config, Request())
    elsewhere = tmp_path / "else" / "where"

    gen(config, Request(out=elsewhere))

    home = config.root / "house" / "gen"
    files = sorted(path.relative_to(home) for path in home.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(elsewhere) for p in elsewhere.rglob("*") if p.is_file())
    assert all((home / path).read_bytes() == (elsewhere / path).read_bytes() for path in files)


@pytest.fixture
def owing(config: Config) -> Config:
    """A project that also has a hooks file to write, and tests."""
    (config.root / "schemas" / "floor.batpak.yaml").write_text(FLOOR)
    with (config.root / "pyproject.toml").open("a") as file:
        file.write('tests = "tests/batpak"\n')
    return configure(config.root / "pyproject.toml")


def test_another_folder_may_be_called_as_the_one_of_the_project(
    owing: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("else") / "house" / "gen"

    gen(owing, Request(out=elsewhere))

    assert '"house.floor_hooks"' in (elsewhere / "registry.py").read_text()


@pytest.mark.parametrize(
    "request_", [Request(), Request(check=True), Request(diff=True), Request(list_outputs=True)]
)
def test_with_another_folder_the_source_tree_stays_as_it_is(
    owing: Config, tmp_path_factory: pytest.TempPathFactory, request_: Request
) -> None:
    elsewhere = tmp_path_factory.mktemp("else") / "gen"
    before = snapshot(owing)

    done = gen(owing, replace(request_, out=elsewhere))

    assert snapshot(owing) == before
    told = [*done.details, *(found.message for found in done.diagnostics)]
    assert not any("hooks.py" in one and str(elsewhere) not in one for one in told)
    assert str(owing.root) not in done.product


def test_generated_tests_are_left_alone_on_request(owing: Config) -> None:
    gen(owing, Request(tests=False))
    assert not (owing.root / "tests").exists()

    gen(owing, Request())
    ours = owing.root / "tests" / "batpak" / "test_house_floor.py"
    ours.unlink()
    stale = owing.root / "tests" / "batpak" / "test_house_attic.py"
    stale.write_bytes((owing.root / "house/gen/__init__.py").read_bytes())

    assert gen(owing, Request(tests=False, check=True)).reason is None
    assert gen(owing, Request(check=True)).reason == "drift"
    gen(owing, Request(tests=False))
    assert stale.exists()
    assert not ours.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_another_folder_is_written_from_a_tree_that_is_read_only(
    owing: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("else") / "gen"
    folders = [owing.root, *(path for path in owing.root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        gen(owing, Request(out=elsewhere))
    finally:
        for folder in folders:
            folder.chmod(0o755)

    assert (elsewhere / "floor" / "hooks.py").is_file()


@pytest.mark.parametrize("folder", ["", "house", "house/gen/roof", "link"])
def test_another_folder_holds_not_the_code_of_the_project_and_is_not_inside_it(
    config: Config, folder: str
) -> None:
    gen(config, Request())
    (config.root / "link").symlink_to(config.root)
    before = tree(config)

    with pytest.raises(SchemaError, match="E0006"):
        gen(config, Request(out=config.root / folder))

    assert tree(config) == before


@pytest.mark.parametrize("out", ["..", "../alpha/gen/deeper"])
def test_gen_leaves_the_code_of_other_projects_alone(config: Config, out: str) -> None:
    other = config.root / "alpha"
    (other / "schemas").mkdir(parents=True)
    (other / "schemas" / "roof.batpak.yaml").write_text(ROOF)
    (other / "pyproject.toml").write_text('[tool.batpak]\nout = "gen"\n')
    gen(configure(other / "pyproject.toml"), Request())
    before = {path: path.read_bytes() for path in other.rglob("*.py")}

    with pytest.raises(SchemaError) as caught:
        gen(config, Request(out=config.root / "house" / out))

    assert [found.code for found in caught.value.diagnostics] == ["E0006"]
    (config.root / "pyproject.toml").write_text('[tool.batpak]\nout = "alpha"\n')
    with pytest.raises(SchemaError, match="another output"):
        gen(configure(config.root / "pyproject.toml"), Request())
    assert {path: path.read_bytes() for path in other.rglob("*.py")} == before


def test_the_outputs_that_are_listed_are_those_that_are_written(config: Config) -> None:
    listed = gen(config, Request(list_outputs=True)).product.splitlines()

    gen(config, Request())

    written = [str(Path(path).relative_to(config.root)) for path in tree(config)]
    assert listed == sorted(path for path in written if path.startswith("house/gen/"))


def test_a_depfile_names_outputs_and_inputs_and_escapes_blanks(
    config: Config, tmp_path: Path
) -> None:
    (config.root / "schemas" / "doors.batpak.yaml").rename(config.root / "schemas/d $.batpak.yaml")

    gen(config, Request(depfile=tmp_path / "d.mk", list_outputs=True))

    targets, _, sources = (tmp_path / "d.mk").read_text().partition(": ")
    assert f"{config.root}/house/gen/doors/events.py" in targets.split()
    assert f"{config.root}/schemas/d\\ $$.batpak.yaml" in sources
    assert f"{config.root}/pyproject.toml" in sources.split()
    with pytest.raises(SchemaError, match="E0703"):
        gen(config, Request(depfile=tmp_path / "no" / "d.mk"))


@pytest.mark.parametrize(
    "name",
    [
        *("schemas/roof.batpak.yaml", "pyproject.toml", "schemas/batpak.lock", "link"),
        *("house/gen/registry.py", "house/floor_hooks.py", "tests/batpak/test_house_floor.py"),
    ],
)
def test_a_depfile_overwrites_nothing_that_a_run_reads_or_writes(owing: Config, name: str) -> None:
    (owing.root / "link").symlink_to("schemas/roof.batpak.yaml")
    gen(owing, Request())
    before = snapshot(owing)

    with pytest.raises(SchemaError, match="E0003"):
        gen(owing, Request(depfile=owing.root / name))

    assert snapshot(owing) == before


@pytest.mark.parametrize("name", ["pyproject.toml", "house/gen/registry.py"])
def test_a_depfile_that_is_refused_is_refused_before_anything_is_written(
    owing: Config, name: str
) -> None:
    before = snapshot(owing)

    with pytest.raises(SchemaError, match="E0003"):
        gen(owing, Request(depfile=owing.root / name))

    assert snapshot(owing) == before


# ------------------------------------------------------------------------------------- the stamp


def test_after_a_run_there_is_nothing_to_do(config: Config) -> None:
    assert stamp.unchanged(start=config.root) is None

    gen(config, Request())

    told = ("2 packages, 5 events: 0 files written, 0 removed, 16 unchanged", "", "")
    assert stamp.unchanged(start=config.root / "house") == told
    assert stamp.unchanged(config.root / "pyproject.toml") == told


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a schema": lambda root: _append(root / "schemas/roof.batpak.yaml"),
    "a new schema": lambda root: (root / "schemas/x.batpak.yaml").touch(),
    "a lock elsewhere": lambda root: (root / "promises").touch(),
    "a lock beside them": lambda root: (root / "schemas/batpak.lock").touch(),
    "a schema gone": lambda root: (root / "schemas/roof.batpak.yaml").unlink(),
    "the configuration": lambda root: _append(root / "pyproject.toml"),
    "an output": lambda root: _append(root / "house/gen/registry.py"),
    "an output gone": lambda root: (root / "house/gen/registry.py").unlink(),
    "a file among the outputs": lambda root: (root / "house/gen/mine.py").touch(),
    "no outputs at all": lambda root: (root / "house/gen").rename(root / "gone"),
    "half a stamp": lambda root: (root / ".batpak/stamp").write_bytes(b'{"file": "pypro'),
    "a stamp of another make": lambda root: (root / ".batpak/stamp").write_bytes(b"[]"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_change_is_something_to_do(config: Config, name: str) -> None:
    if name == "a lock elsewhere":
        (config.root / "pyproject.toml").write_text(f'{TABLE}lock = "promises"\n')
        config = configure(config.root / "pyproject.toml")
    gen(config, Request())
    assert stamp.unchanged(start=config.root) is not None

    CHANGES[name](config.root)

    assert stamp.unchanged(start=config.root) is None


def test_a_suppression_that_has_ended_is_something_to_do(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "[[tool.batpak.suppress]]\nrule = 'C102'\ntarget = 'x'\nreason = 'y'\nuntil = {}\n"
    (config.root / "pyproject.toml").write_text(
        TABLE + rows.format("9999-12-30") + rows.format("9999-12-29")
    )
    gen(configure(config.root / "pyproject.toml"), Request())

    monkeypatch.setattr(stamp, "_today", lambda: "9999-12-29")
    assert stamp.unchanged(start=config.root) is not None
    monkeypatch.setattr(stamp, "_today", lambda: "9999-12-30")
    assert stamp.unchanged(start=config.root) is None


def test_another_generator_is_something_to_do(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    gen(config, Request())

    monkeypatch.setattr(stamp, "_generator", lambda: "another")

    assert stamp.unchanged(start=config.root) is None


@pytest.mark.parametrize(
    "name", ["schemas/roof.batpak.yaml", "attic/schema.py", "attic/words.py", "promises"]
)
def test_what_changed_while_the_run_was_reading_is_not_taken_for_read(
    config: Config, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (config.root / "attic").mkdir()
    (config.root / "attic" / "schema.py").write_text(f"import attic.words\n{ATTIC}")
    (config.root / "attic" / "words.py").touch()
    (config.root / "promises").write_text("wire 1\n")
    with (config.root / "pyproject.toml").open("a") as file:
        file.write('python_schemas = ["attic.schema"]\nlock = "promises"\n')
    config = configure(config.root / "pyproject.toml")

    def late(config: Config) -> Loaded:
        found = read(config)
        _append(config.root / name)
        return found

    monkeypatch.setattr("batpak_codegen.run.read", late)

    gen(config, Request())

    assert stamp.unchanged(start=config.root) is None


def test_a_stamp_keeps_the_warnings_as_they_were_printed(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned(monkeypatch)

    done = gen(config, Request())
    told = stamp.unchanged(start=config.root)

    assert (done.diagnostics, done.reason) == ((WARNING,), None)
    assert told is not None
    assert told.warnings == spell(done.diagnostics, done.texts)
    assert told.colored == spell(done.diagnostics, done.texts, color=True) != told.warnings


def test_a_module_that_was_allowed_for_one_run_leaves_no_stamp(config: Config) -> None:
    (config.root / "attic.py").write_text(ATTIC)

    done = gen(config, Request(modules=("attic",)))

    assert done.summary.startswith("3 packages, 6 events: ")
    assert stamp.unchanged(start=config.root) is None


def test_partial_runs_leave_no_stamp(config: Config, tmp_path: Path) -> None:
    gen(config, Request(package="house.roof"))
    gen(config, Request(out=tmp_path / "x"))

    assert stamp.unchanged(start=config.root) is None


def test_files_beside_the_schemas_and_the_outputs_count_as_well(config: Config) -> None:
    hooks = config.root / "house" / "doors_hooks.py"
    hooks.write_text("# mine\n")
    report = run(config, check=False)

    report = replace(report, beside=("house/doors_hooks.py",))
    stamp.write(config, report, stamp.digests(config), time.time_ns())
    assert stamp.unchanged(start=config.root) is not None
    hooks.write_text("# changed\n")
    assert stamp.unchanged(start=config.root) is None
    hooks.unlink()
    assert stamp.unchanged(start=config.root) is None


def test_a_stamp_that_cannot_be_written_is_no_reason_to_fail(config: Config) -> None:
    (config.root / ".batpak").touch()

    assert gen(config, Request()).reason is None
    assert stamp.unchanged(start=config.root) is None


# ---------------------------------------------------------------------------------- the warnings


def warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `link` find something that is only worth a warning."""

    def warning(
        files: Sequence[SchemaFile],
        *,
        out_module: str,
        package_root: str,
        system: bool,
        installed: Mapping[int, Place],
    ) -> Project:
        found = link(
            files,
            out_module=out_module,
            package_root=package_root,
            system=system,
            installed=installed,
        )
        return replace(found, warnings=(WARNING,))

    monkeypatch.setattr("batpak_codegen.run.link", warning)


def test_warnings_can_be_ignored_by_code_or_be_errors(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned(monkeypatch)

    assert understand(config)[0].warnings == (WARNING,)
    assert understand(replace(config, ignore=("W0402",)))[0].warnings == ()
    with pytest.raises(SchemaError, match="W0402") as caught:
        understand(replace(config, warnings_as_errors=True))
    assert [one.severity for one in caught.value.diagnostics] == ["error"]
    both = replace(config, warnings_as_errors=True, ignore=("W0402",))
    assert understand(both)[0].warnings == ()


@pytest.mark.parametrize("code", ["E0203", "W04", "W0999", "all", ""])
def test_only_warnings_can_be_ignored(config: Config, code: str) -> None:
    file = config.root / "pyproject.toml"
    file.write_text(f'{TABLE}ignore = ["{code}"]\n')

    with pytest.raises(SchemaError, match="E0003"):
        configure(file)


@pytest.mark.parametrize("rule", ["C117", "C123", "E0003"])
def test_only_rules_can_be_suppressed(config: Config, rule: str) -> None:
    file = config.root / "pyproject.toml"
    row = f"rule = '{rule}'\ntarget = 'x'\nreason = 'y'\nuntil = 9999-12-30\n"
    file.write_text(f"{TABLE}[[tool.batpak.suppress]]\n{row}")

    with pytest.raises(SchemaError, match="E0003") as caught:
        configure(file)

    assert caught.value.diagnostics[0].help == "rules are C101 to C122"


def test_a_mode_of_a_package_that_is_none_is_refused(config: Config) -> None:
    file = config.root / "pyproject.toml"
    file.write_text(f'{TABLE}modes = {{"house.rof" = "full_transitive"}}\n')

    with pytest.raises(SchemaError, match=r"E0003: .* no package `house.rof`") as caught:
        gen(configure(file), Request())

    assert caught.value.diagnostics[0].help == "did you mean `house.roof`?"


def test_all_unknown_keys_are_told_at_once_with_what_was_meant(config: Config) -> None:
    file = config.root / "pyproject.toml"
    file.write_text(f'{TABLE}schema = ["x"]\nignored = []\n')

    with pytest.raises(SchemaError) as caught:
        configure(file)

    assert [found.code for found in caught.value.diagnostics] == ["E0002", "E0002"]
    assert [found.help for found in caught.value.diagnostics] == [
        "did you mean `ignore`?",
        "did you mean `schemas`?",
    ]


# --------------------------------------------------------------------------------------- `check`


def test_check_says_what_it_read_and_writes_nothing(config: Config) -> None:
    before = tree(config)

    done = check(config)

    assert done.summary.startswith("2 packages, 5 events: all well (")
    assert done.details == ("schemas/doors.batpak.yaml read", "schemas/roof.batpak.yaml read")
    assert tree(config) == before


def test_check_of_a_file_tells_what_is_in_it_and_counts_the_rest(config: Config) -> None:
    roof, doors = (config.root / f"schemas/{name}.batpak.yaml" for name in ("roof", "doors"))
    roof.write_text(ROOF.replace("fields: {}", "fields: {x: nothing}"))
    doors.write_text(changed(DOORS, {"width: i32}}\n  Open": "width: i33}}\n  Open"}))

    for path, wanted in ((roof, ["roof"]), (doors, ["doors"]), (config.root, ["doors", "roof"])):
        with pytest.raises(SchemaError) as caught:
            check(config, [path])
        files = [found.span.path for found in caught.value.diagnostics if found.span]
        assert files == [f"schemas/{name}.batpak.yaml" for name in wanted]
    roof.write_text(ROOF)
    with pytest.raises(SchemaError, match="1 finding in other files"):
        check(config, [roof])


# --------------------------------------------------------------------------------------- `watch`


def test_watching_acts_once_per_change_and_waits_until_all_of_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("1")
    acted: list[str] = []
    steps = iter(["2", "2+", None, None, None, "3", None, None])

    def sleep(_: float) -> None:
        text = next(steps)
        if text is not None:
            file.write_text(text * 2)

    def act() -> Sequence[Path] | None:
        acted.append(file.read_text())
        return () if len(acted) < 3 else None

    watch(lambda: [tmp_path], act, sleep)

    assert acted == ["1", "2+2+", "33"]


def test_what_turns_out_to_be_read_is_watched_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    helper, lock = tmp_path / "helper.py", tmp_path / "lock"
    helper.write_text("1")
    os.utime(helper, ns=(1, 1))
    acted: list[str] = []
    steps = iter([None, None, "22", None, None, "4444", None])

    def sleep(_: float) -> None:
        text = next(steps)
        if text is not None:
            helper.write_text(text)

    def act() -> Sequence[Path] | None:
        acted.append(helper.read_text())
        if len(acted) == 2:
            lock.touch()  # it was not there when this began
        return [helper, lock] if len(acted) < 4 else None

    watch(lambda: [tmp_path / "schemas"], act, sleep)

    assert acted == ["1", "22", "22", "4444"]


def test_what_is_saved_while_it_is_read_for_the_first_time_is_read_again(tmp_path: Path) -> None:
    helper = tmp_path / "helper.py"
    helper.write_text("1")
    os.utime(helper, ns=(1, 1))
    acted: list[str] = []

    def act() -> Sequence[Path] | None:
        acted.append(helper.read_text())
        helper.write_text("22")
        return [helper] if len(acted) < 2 else None

    watch(list, act, lambda _: None)

    assert acted == ["1", "22"]


def test_a_file_that_comes_goes_or_is_replaced_is_a_change(tmp_path: Path) -> None:
    first = look([tmp_path, tmp_path / "not_there"])
    (tmp_path / "a").write_text("1")
    second = look([tmp_path])
    os.utime(tmp_path / "a", ns=(1, 1))
    third = look([tmp_path])

    assert len({repr(sorted(seen.items())) for seen in (first, second, third)}) == 3
