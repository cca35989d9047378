"""Proves the command line as a whole: exit codes of every command, help, speed of the short ways.

Without it a command could end with 0 after a defect, the table that answers `--help` would forget
a command, or an import would creep in front of a help text.
"""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT

import pytest
import typer

from batpak import registry
from batpak.cli.main import application, main
from batpak.coordinate import Coordinate
from batpak.kind import EventKind
from batpak.store import Store
from batpak_command import main as door
from tests.facts import PLAIN, USER, Counted
from tests.unit.codegen.python_world import HEAD

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples" / "orders"
GOOD = ROOT / "examples" / "orders" / "schemas"
DOOR = "from batpak_command.main import main; main()"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shop, without its user code: the place where commands run."""
    shutil.copytree(GOOD, tmp_path / "schemas")
    shutil.copy(SHOP / "pyproject.toml", tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def status(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run `batpak WORDS` in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["batpak", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    return code if isinstance(code, int) else 0


COMMANDS = {
    "gen": "batpak_codegen.run.load",
    "gen --check": "batpak_codegen.run.load",
    "gen --diff": "batpak_codegen.run.load",
    "check": "batpak_codegen.run.load",
    "lock": "batpak_codegen.run.load",
    "lock --check": "batpak_codegen.run.load",
    "compat": "batpak_codegen.run.load",
    "compat --against schemas": "batpak_codegen.run.load",
    "fmt": "batpak_codegen.commands.read_texts",
    "fmt --check": "batpak_codegen.commands.read_texts",
    "id list": "batpak_codegen.run.load",
    "id next shop.orders.OrderLost": "batpak_codegen.commands.read_texts",
    "graph": "batpak_codegen.run.load",
    "docs": "batpak_codegen.run.load",
    "docs --format html": "batpak_codegen.run.load",
    "ir": "batpak_codegen.run.load",
    "schema": "batpak_codegen.language.language_schema",
    "init new_one": "batpak_codegen.scaffold.init",
    "decode --kind 0x2001 80": "batpak_codegen.config.configure",
}
WITH_CONFIG = [words for words in COMMANDS if words.split()[0] not in ("init", "schema")]
READERS = [words for words in WITH_CONFIG if not words.startswith("decode")]
CLEAN = [words for words in COMMANDS if not words.startswith(("decode", "gen -", "lock -"))]


@pytest.mark.parametrize("words", CLEAN)
@pytest.mark.usefixtures("project")
def test_a_clean_run_ends_with_0(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    assert status(monkeypatch, *words.split()) == 0


@pytest.mark.parametrize("words", READERS)
def test_findings_end_with_1_or_with_0_when_that_is_asked_for(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
) -> None:
    (project / "schemas" / "orders.batpak.yaml").write_text("batpak: 1\npackage: [\n")

    assert status(monkeypatch, *words.split()) == 1
    assert "error[E0101]" in capsys.readouterr().err
    assert status(monkeypatch, *words.split(), "--exit-zero") == 0


@pytest.mark.parametrize("words", WITH_CONFIG)
@pytest.mark.usefixtures("project")
def test_a_run_that_could_not_be_made_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    assert status(monkeypatch, *words.split(), "--config", "not_there.toml") == 2
    assert status(monkeypatch, *words.split(), "--exit-zero", "--config", "not_there.toml") == 2


@pytest.mark.parametrize("words", [*COMMANDS, "explain E0001", "verify x", "id"])
@pytest.mark.usefixtures("project")
def test_an_unknown_flag_ends_with_2(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    assert status(monkeypatch, *words.split(), "--no-such-flag") == 2


@pytest.mark.parametrize(("words", "inner"), COMMANDS.items())
@pytest.mark.usefixtures("project")
def test_a_defect_ends_with_3_and_says_where_its_traceback_is(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    inner: str,
) -> None:
    sabotage(monkeypatch, inner, RuntimeError("a defect"))

    assert status(monkeypatch, *words.split()) == 3

    told = re.search(r"RuntimeError: a defect; the traceback is in (\S+)", capsys.readouterr().err)
    assert told
    assert "sabotaged" in Path(told[1]).read_text()
    Path(told[1]).unlink()


@pytest.mark.parametrize(("words", "inner"), COMMANDS.items())
@pytest.mark.usefixtures("project")
def test_an_interrupt_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, words: str, inner: str
) -> None:
    sabotage(monkeypatch, inner, KeyboardInterrupt())

    assert status(monkeypatch, *words.split()) == 130


def test_an_interrupt_while_modules_are_imported_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def find_spec(self, *_: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "batpak.cli.main")
    monkeypatch.setattr(sys, "meta_path", [Interrupted()])
    monkeypatch.setattr(sys, "argv", ["batpak", "stat", "x"])

    with pytest.raises(SystemExit) as ended:
        door.main()

    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("words", [["gen"], ["check"], ["stat", "x"]])
def test_a_working_directory_that_is_gone_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(sys, "argv", ["batpak", *words])

    with pytest.raises(SystemExit) as ended:
        door.main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == "batpak: the working directory: No such file or directory\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("words", ["--help", "ir"])
def test_a_full_disk_behind_the_output_is_told_as_that(project: Path, words: str) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", DOOR, words],
            cwd=project,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    said = "batpak: standard output: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (2, said)


def test_a_path_is_one_line_of_a_message_whatever_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, "stat", str(tmp_path / "no\nstore")) == 2
    expected = f"batpak: open {tmp_path}/no\\nstore: No such file or directory\n"
    assert capsys.readouterr().err == expected


def test_what_cannot_run_ends_with_2_where_standard_error_is_closed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", DOOR, "stat", str(tmp_path / "none")]
    script = f"{shlex.join(words)} 2>&-"

    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (2, "")


def sabotage(monkeypatch: pytest.MonkeyPatch, inner: str, error: BaseException) -> None:
    def sabotaged(*_: object, **__: object) -> None:
        raise error

    importlib.import_module(inner.rpartition(".")[0])
    monkeypatch.setattr(inner, sabotaged)


@pytest.mark.usefixtures("project")
def test_drift_ends_with_1_in_every_way_of_asking(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, "gen", "--check") == 1
    assert status(monkeypatch, "gen", "--diff") == 1
    capsys.readouterr()
    assert status(monkeypatch, "gen", "--check", "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["reason"] == "drift"
    assert {found["code"] for found in document["diagnostics"]} == {"E0701"}
    assert status(monkeypatch, "gen", "-q") == 0
    assert capsys.readouterr().out == ""
    assert status(monkeypatch, "gen", "--check", "--format", "sarif") == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"] == []


@pytest.mark.usefixtures("project")
def test_watching_does_not_go_with_writing_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert status(monkeypatch, "gen", "--watch", "--check") == 2


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "words",
    [
        "--check --depfile x.d",
        "--diff --depfile x.d",
        "--diff --format json",
        "--diff --format sarif",
        "--list-outputs --format json",
    ],
)
def test_what_cannot_go_together_is_refused(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    assert status(monkeypatch, "gen", *words.split()) == 2
    assert not Path("x.d").exists()


def test_a_code_is_explained_and_an_unknown_one_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, "explain", "E0203") == 0
    assert capsys.readouterr().out.startswith("E0203: a kind used twice\n")
    assert status(monkeypatch, "explain", "versions") == 0
    assert status(monkeypatch, "explain", "E0999") == 2
    assert "there is no code" in capsys.readouterr().err


def test_a_folder_that_names_no_module_cannot_be_begun_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "123").mkdir()

    assert status(monkeypatch, "init", str(tmp_path / "123")) == 2
    assert list((tmp_path / "123").iterdir()) == []


# -------------------------------------------------------------------------- help and version


def batpak(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = "import sys; from batpak_command.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_table_of_commands_is_what_there_is() -> None:
    told = dict(re.findall(r"^  (\w+) {2,}(\S.*)\.$", door.HELP, re.MULTILINE))
    group = typer.main.get_group(application())

    assert sorted(told) == sorted(group.commands)
    for name, command in group.commands.items():
        assert (command.help or "").startswith(told[name]), name
    assert max(map(len, door.HELP.splitlines())) <= 80


def test_the_version_that_is_printed_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["version"] == door.VERSION
    assert project["scripts"]["batpak"] == "batpak_command.main:main"


def test_help_and_version_load_neither_the_library_nor_typer() -> None:
    for word in ("--help", "--version"):
        program = (
            f"import sys; sys.argv = ['batpak', {word!r}]; from batpak_command.main import main; "
            "main(); print(*sys.modules, file=sys.stderr)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        loaded = {name.partition(".")[0] for name in ran.stderr.split()}
        assert loaded & {"batpak", "typer", "rich", "msgspec", "batpak_codegen"} == set()
        assert ran.stdout.startswith("batpak 0." if word == "--version" else "Usage: batpak")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_a_terminal_has_no_letters_for_is_escaped_as_json_does(
    tmp_path: Path, encoding: str
) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        store.append(Coordinate("\u65e5\u672c:1", "\U0001f600"), Counted(n=1))
    said: dict[str, str] = {}
    for words in (["verify"], ["doctor"], ["dump"], ["why", "0"], ["show", "0", "--json"]):
        command, *more = words
        done = subprocess.run(
            [sys.executable, "-c", DOOR, command, str(tmp_path / "s"), *more],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b""), words
        said[command] = done.stdout.decode()

    assert said["verify"].startswith("\\u2713 ")
    assert "\\u65e5\\u672c:1@\\ud83d\\ude00" in said["why"]
    assert json.loads(said["show"])["scope"] == "\U0001f600"


def cpu_ms(program: str, *words: str, cwd: Path | None = None) -> float:
    """Processor time of a fresh Python, the least of five; what else runs here counts little."""
    spent: list[float] = []
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", program, *words], cwd=cwd, stdout=subprocess.DEVNULL
        ) as child:
            _, ended, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(ended)
        assert child.returncode == 0
        spent.append((usage.ru_utime + usage.ru_stime) * 1000)
    return min(spent)


def test_help_and_version_take_60_ms_more_than_nothing() -> None:
    nothing = cpu_ms("pass")

    assert cpu_ms(DOOR, "--help") - nothing <= 60
    assert cpu_ms(DOOR, "--version") - nothing <= 60


def test_a_gen_with_nothing_to_do_loads_no_compiler_and_takes_150_ms(project: Path) -> None:
    events = "".join(
        f"  Event{n}: {{id: {n}, fields: {{a: i64, b: string?}}}}\n" for n in range(100)
    )
    text = f"batpak: 1\npackage: shop.many\ncategory: 0x5\nevents:\n{events}"
    (project / "schemas" / "many.batpak.yaml").write_text(text)
    first = batpak("gen", cwd=project)
    second = batpak("gen", cwd=project)
    program = f"import sys; {DOOR}; print(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run(
        [sys.executable, "-c", program, "gen"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    ).stderr.split()

    assert "3 packages, 104 events: " in first.stdout
    assert re.fullmatch(
        r"3 packages, 104 events: 0 files written, 0 removed, \d+ unchanged \(.*\)\n", second.stdout
    )
    assert {"pydantic", "jinja2", "libcst", "yaml", "typer", "msgspec"} & set(loaded) == set()
    assert cpu_ms(DOOR, "gen", cwd=project) <= 150


def test_a_gen_with_nothing_to_do_warns_as_the_first_one_did(project: Path) -> None:
    text = (
        "batpak: 1\npackage: shop.idle\ncategory: 0x5\n"
        "events: {Noted: {id: 2, fields: {text: string}}}\n"
        "gates: {polite: {event: Noted, require: \"event.text != ''\","
        " deny: {code: EMPTY, message: it is empty}}}\n"
    )
    (project / "schemas" / "idle.batpak.yaml").write_text(text)
    first = batpak("gen", cwd=project)

    second = batpak("gen", cwd=project)
    quiet = batpak("gen", "-q", cwd=project)

    assert "warning[W" in first.stderr
    assert ": 0 files written" in second.stdout
    assert [second.stderr, quiet.stderr] == [first.stderr, first.stderr]
    assert quiet.stdout == ""


def test_check_never_reads_the_stamp(project: Path) -> None:
    batpak("gen", cwd=project)
    stamp = project / ".batpak" / "stamp"
    held = json.loads(stamp.read_text())
    (project / "shop" / "gen" / "registry.py").unlink()
    del held["outputs"]["shop/gen/registry.py"]
    stamp.write_text(json.dumps(held))  # a stamp that is wrong

    assert "0 files written" in batpak("gen", cwd=project).stdout
    assert batpak("gen", "--check", cwd=project).returncode == 1


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_findings_and_help_are_whole_at_any_width_of_the_terminal(
    project: Path, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project / "schemas" / "orders.batpak.yaml"
    file.write_text(file.read_text().replace("carrier: Carrier", "carrier: Carier"))
    monkeypatch.setenv("COLUMNS", columns)

    found, helped = batpak("check", cwd=project), batpak("gen", "--help", cwd=project)

    assert "unknown type `Carier`" in found.stderr
    assert "did you mean `Carrier`?" in found.stderr
    assert helped.returncode == 0
    assert max(map(len, helped.stdout.splitlines())) <= int(columns)


def test_a_terminal_is_told_what_goes_on_and_a_pipe_is_not(project: Path) -> None:
    (project / "schemas" / "orders.batpak.yaml").write_text("batpak: 1\npackage: [\n")
    ours, theirs = pty.openpty()
    environment = {name: os.environ[name] for name in os.environ if name != "NO_COLOR"}
    program = [sys.executable, "-c", DOOR, "check"]

    subprocess.run(
        program, cwd=project, stderr=theirs, check=False, env=environment | {"TERM": "xterm"}
    )
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    os.close(theirs)
    piped = batpak("check", cwd=project).stderr

    assert shown.startswith("batpak check …\r\x1b[K\x1b[1mschemas/orders.batpak.yaml:")
    assert "\x1b[1;31merror[E0101]" in shown
    assert piped.startswith("schemas/orders.batpak.yaml:")
    assert "\x1b" not in piped


def test_watching_writes_after_a_change_and_ends_with_130(project: Path) -> None:
    program = [sys.executable, "-u", "-c", DOOR, "gen", "--watch"]
    with subprocess.Popen(program, cwd=project, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        file = project / "schemas" / "orders.batpak.yaml"
        file.write_text(file.read_text().replace("le: 1000", "le: 2000"))
        second = child.stdout.readline()
        child.send_signal(SIGINT)
        code = child.wait(timeout=20)

    assert "18 files written" in first
    assert "2 files written" in second
    assert code == 130


def test_watching_sees_schema_modules_what_they_import_and_a_lock_elsewhere(project: Path) -> None:
    shutil.rmtree(project / "schemas")
    (project / "pyproject.toml").write_text(
        '[tool.batpak]\nschemas = []\npython_schemas = ["shop.schema"]\n'
        'out = "shop/gen"\npackage_root = "shop"\nlock = "promises"\n'
    )
    schema, words = project / "shop" / "schema.py", project / "shop" / "words.py"
    words.write_text('NAME = "shop.orders"\n')
    schema.write_text(
        "from batpak_codegen.schema import Event, Package\nfrom shop.words import NAME\n"
        "package = Package(NAME, category=2)\nclass Placed(Event, id=1): ...\n"
    )
    changes = [
        (schema, schema.read_text() + "class Paid(Event, id=2): ...\n", "1 package, 2 events: "),
        (words, "NAME = 1 / 0\n", None),  # nothing is printed where we listen
        (words, 'NAME = "shop.others"\n', "1 package, 2 events: "),
        (project / "promises", "wire 1\n", "1 package, 2 events: 0 files written"),
    ]

    program = [sys.executable, "-u", "-c", DOOR, "gen", "--watch"]
    with subprocess.Popen(
        program, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        told = [child.stdout.readline()]
        for path, text, said in changes:
            path.write_text(text)
            if said is None:
                assert "error[E0111]" in child.stderr.readline()
            else:
                told.append(child.stdout.readline())
        child.send_signal(SIGINT)
        code = child.wait(timeout=20)

    assert told[0].startswith("1 package, 1 event: ")
    for line, said in zip(told[1:], [said for _, _, said in changes if said], strict=True):
        assert line.startswith(said)
    assert code == 130


def test_nobody_listening_is_no_error(project: Path) -> None:
    ran = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -c '{DOOR}' ir | head -1"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [["check"], ["lock", "--check"], ["compat"], ["docs"], ["graph"], ["ir"], ["id", "list"]],
)
def test_a_module_is_allowed_for_one_run_of_any_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.batpak]\nschemas = []\nout = "gen"\n')
    (tmp_path / "doors.py").write_text(HEAD + "class Opened(Event, id=1):\n    width: int\n")
    allowed = ["--allow-import", "doors"]

    assert status(monkeypatch, *words) == 2
    assert status(monkeypatch, *words, *allowed) == (1 if "--check" in words else 0)
    assert status(monkeypatch, *words, "--allow-import", "no-module") == 2


def test_init_says_where_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, way in (
        (["new_shop"], "cd new_shop && batpak gen"),
        (["my things/shop"], "cd 'my things/shop' && batpak gen"),
        (["."], "batpak gen"),
        ([], "batpak gen"),
    ):
        assert status(monkeypatch, "init", *words) == 0
        assert capsys.readouterr().out.endswith(f"\nnext: {way}\n")


# --------------------------------------------------------------------------------------- decode


@pytest.fixture
def keep_registry() -> Iterator[None]:
    """Forget the classes that a test lets `decode` import."""
    before = dict(registry._BY_KIND), dict(registry._BY_CLASS), set(sys.modules), list(sys.path)
    yield
    for now, then in ((registry._BY_KIND, before[0]), (registry._BY_CLASS, before[1])):
        now.clear()
        now.update(then)  # type: ignore[arg-type]  # each is its own
    for name in set(sys.modules) - before[2]:
        if name.partition(".")[0] == "shop":
            del sys.modules[name]
    sys.path[:] = before[3]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "s", PLAIN) as opened:
        opened.append(USER, Counted(n=7))
    return tmp_path / "s"


def test_an_event_is_decoded_with_or_without_its_class(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(monkeypatch, "decode", str(store), "0", "--plain") == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["sequence"], told["entity"], told["payload"]) == (0, USER.entity, {"n": 7})
    assert told["kind"] == f"{Counted.KIND:#06x}"
    assert status(monkeypatch, "decode", str(store), "5", "--plain") == 2
    assert "no event 5" in capsys.readouterr().err


def test_an_event_is_decoded_where_there_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.open("s", PLAIN) as opened:
        opened.append_raw(USER, EventKind.custom(0xE, 0x7C1), b"\x81\xa1n\x07")
        opened.append(USER, Counted(n=8))

    assert status(monkeypatch, "decode", "s", "0") == 0
    assert json.loads(capsys.readouterr().out)["payload"] == {"n": 7}
    assert status(monkeypatch, "decode", "s", "1") == 0
    assert json.loads(capsys.readouterr().out)["payload"] == {"n": 8}


@pytest.mark.usefixtures("project", "keep_registry")
def test_a_payload_is_decoded_with_the_generated_class(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, name)
    paid = "81a86f726465725f6964c410" + "00" * 16  # not all fields of it

    assert status(monkeypatch, "decode", "--kind", "0x2001", paid) == 1  # nothing generated yet
    assert "run batpak gen" in capsys.readouterr().err
    assert status(monkeypatch, "gen", "-q") == 0
    assert status(monkeypatch, "decode", "--kind", "0x2001", paid) == 3
    assert "missing required field `customer_id`" in capsys.readouterr().err
    assert status(monkeypatch, "decode", "--kind", "0x2001", paid, "--plain") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["decode", "s"],
        ["decode", "s", "1", "--kind", "0x2001"],
        ["decode", "s", "1", "--version", "2"],
        ["decode", "zz", "--kind", "0x2001", "--plain"],
        ["decode", "80", "--kind", "0x20010", "--plain"],
        ["decode", "80", "--kind", "kind", "--plain"],
    ],
)
def test_what_cannot_be_decoded_is_said_before_anything_is_opened(
    monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    assert status(monkeypatch, *words) == 2
