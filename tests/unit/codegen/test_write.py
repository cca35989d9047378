"""Proves that writing is all or nothing, touches only what is ours, and never leaves its place.

Without it a run that fails could leave half a tree, a hand-written file could be overwritten, or
a link could send generated code somewhere else.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import pytest

from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.write import MARKER, plan, write

OURS = MARKER.decode() + " Change the schema, then run: batpak gen\n"
FILES = {"__init__.py": OURS, "a/__init__.py": OURS, "a/b/c.py": OURS + "x = 1\n", "py.typed": ""}


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder; directories are None."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def generate(out: Path, files: dict[str, str]) -> None:
    write(out, files, plan(out, files))


def refused(out: Path, files: dict[str, str]) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        plan(out, files)
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_what_was_written_is_what_was_asked_for_and_a_second_run_has_nothing_to_do(
    tmp_path: Path,
) -> None:
    out = tmp_path / "deep" / "gen"

    generate(out, FILES)

    found = plan(out, FILES)
    assert {path: text for path, text in tree(out).items() if text is not None} == {
        path: text.encode() for path, text in FILES.items()
    }
    assert (found.missing, found.changed, found.stale, found.unchanged) == ((), (), (), 4)


def test_only_what_changed_is_touched(tmp_path: Path) -> None:
    generate(tmp_path, FILES)
    before = {path: (tmp_path / path).stat().st_ino for path in FILES}

    generate(tmp_path, FILES | {"a/b/c.py": OURS + "x = 2\n"})

    after = {path: (tmp_path / path).stat().st_ino for path in FILES}
    assert [path for path in FILES if before[path] != after[path]] == ["a/b/c.py"]


def test_a_plan_says_what_differs_and_writes_nothing(tmp_path: Path) -> None:
    generate(tmp_path, FILES)
    (tmp_path / "a/__init__.py").unlink()
    before = tree(tmp_path)
    wanted = {"__init__.py": OURS + "\n", "a/__init__.py": OURS, "py.typed": ""}

    found = plan(tmp_path, wanted)

    assert [d.message for d in found.drift("gen")] == [
        "gen/__init__.py is not what the schemas give",
        "gen/a/__init__.py is missing",
        "gen/a/b/c.py is stale: no schema gives it any more",
    ]
    assert tree(tmp_path) == before


def test_stale_files_go_and_so_do_the_directories_they_leave_empty(tmp_path: Path) -> None:
    generate(tmp_path, FILES)
    cache = tmp_path / "a/b/__pycache__"
    cache.mkdir()
    (cache / "c.cpython-311.pyc").touch()

    generate(tmp_path, {"__init__.py": OURS})

    assert list(tree(tmp_path)) == ["__init__.py", "py.typed"]


def test_what_is_not_marked_is_never_deleted(tmp_path: Path) -> None:
    generate(tmp_path, FILES)
    (tmp_path / "a/b/mine.py").write_text("mine = 1\n")
    (tmp_path / "a/notes.txt").write_text(OURS)
    outside = tmp_path.parent / "outside.py"
    outside.write_text(OURS)
    (tmp_path / "a/link.py").symlink_to(outside)
    (tmp_path / "a/linked").symlink_to(tmp_path.parent)

    generate(tmp_path, {"__init__.py": OURS})

    kept = {"__init__.py", "a", "a/b", "a/b/mine.py", "a/link.py", "a/linked", "a/notes.txt"}
    assert {path for path in tree(tmp_path) if not path.startswith("a/linked/")} == kept | {
        "py.typed"
    }
    assert outside.exists()


@pytest.mark.parametrize("sign", ["other/registry.py", "other/pyproject.toml"])
def test_what_belongs_to_another_project_or_output_is_never_stale(
    tmp_path: Path, sign: str
) -> None:
    theirs = {"other/tests/test_a.py": OURS, "other/gen/events.py": OURS, sign: OURS}
    for path, text in theirs.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    generate(tmp_path, {"registry.py": OURS})

    assert all((tmp_path / path).read_text() == text for path, text in theirs.items())


@pytest.mark.parametrize("text", ["mine = 1\n", "\n" + OURS, ""])
def test_a_file_of_yours_in_the_way_stops_everything(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/__init__.py").write_text(text)
    before = tree(tmp_path)

    codes = refused(tmp_path, FILES)

    assert codes == ["E0702"]
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "path",
    ["../x.py", "/x.py", "a/../../x.py", "a/./x.py", "./x.py", "", "a\\..\\x.py", "a//../x.py"],
)
def test_no_path_leads_out(tmp_path: Path, path: str) -> None:
    out = tmp_path / "gen"

    codes = refused(out, {path: OURS})

    assert codes == ["E0704"]
    assert tree(tmp_path) == {}


def test_links_are_not_followed(tmp_path: Path) -> None:
    out, outside = tmp_path / "gen", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (outside / "c.py").write_text(OURS)
    (out / "a").symlink_to(outside)
    (out / "__init__.py").symlink_to(outside / "c.py")

    codes = refused(out, FILES)

    assert codes == ["E0703", "E0703"]
    assert tree(outside) == {"c.py": OURS.encode()}


def test_one_obstacle_is_one_finding_however_many_files_are_behind_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file of yours, where a directory belongs\n")

    with pytest.raises(SchemaError) as whole:
        plan(tmp_path / "a", FILES)
    with pytest.raises(SchemaError) as part:
        plan(tmp_path, FILES)

    assert [d.message for d in whole.value.diagnostics] == ["cannot replace `a`: Not a directory"]
    (found,) = part.value.diagnostics
    assert found.message == f"cannot replace `{tmp_path.name}/a`: Not a directory"


@pytest.mark.parametrize("thing", ["directory", "pipe"])
def test_what_is_no_file_cannot_be_replaced(tmp_path: Path, thing: str) -> None:
    path = tmp_path / "__init__.py"
    if thing == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)

    codes = refused(tmp_path, {"__init__.py": OURS})

    assert codes == ["E0703"]


@pytest.mark.parametrize("step", range(8))
def test_a_failure_before_the_first_rename_leaves_the_tree_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    generate(tmp_path, {"__init__.py": OURS, "old.py": OURS})
    files = {f"new/{name}.py": OURS for name in "abcd"} | {"__init__.py": OURS + "\n"}
    before, planned = tree(tmp_path), plan(tmp_path, files)
    opened = iter(range(1000))
    real = os.open

    def failing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT and next(opened) == step:
            raise OSError(28, "No space left on device")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", failing)
    if step < len(files):
        with pytest.raises(SchemaError, match="E0703"):
            write(tmp_path, files, planned)
        assert tree(tmp_path) == before
    else:
        write(tmp_path, files, planned)
        assert set(files) <= set(tree(tmp_path))


def test_of_two_runs_at_once_the_second_waits_and_both_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(tmp_path, {"old/x.py": OURS})
    planned, real = plan(tmp_path, FILES), os.replace
    failed: list[SchemaError] = []

    def second_run() -> None:
        try:
            write(tmp_path, FILES, planned)
        except SchemaError as error:
            failed.append(error)

    second = Thread(target=second_run)

    def meanwhile(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if second.ident is None:
            second.start()
            second.join(0.1)
        real(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "replace", meanwhile)
    write(tmp_path, FILES, planned)
    second.join()

    assert failed == []
    assert {path for path, text in tree(tmp_path).items() if text is not None} == set(FILES)


def test_a_run_that_died_between_two_renames_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(tmp_path, FILES)
    wanted = {path: text + "\n" if text else text for path, text in FILES.items()}
    renamed = iter(range(1000))
    real = os.replace

    def dying(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if next(renamed) == 1:
            raise KeyboardInterrupt
        real(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            generate(tmp_path, wanted)
    torn = [p for p in FILES if (tmp_path / p).read_text() not in (FILES[p], wanted[p])]
    generate(tmp_path, wanted)

    assert torn == []
    assert {p: t for p, t in tree(tmp_path).items() if t is not None} == {
        path: text.encode() for path, text in wanted.items()
    }
