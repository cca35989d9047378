"""What is refused has its own typed error and leaves nothing behind: no byte, no file, no class.

Without this, a refusal that half happened (a created directory, a registered class, a written
package) would be found by whoever meets it next.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from batpak import (
    CorruptStore,
    EventKind,
    EventPayload,
    RegistryError,
    Store,
    StoreClosed,
    StoreLocked,
    StoreReadOnly,
    registry,
)
from batpak_codegen import run
from batpak_codegen.config import Config, configure
from batpak_codegen.diagnostic import SchemaError
from tests.facts import USER, Counted

FACT = Counted(n=1)


def tree(path: Path) -> dict[str, str]:
    """Every file below `path` with the hash of its bytes."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "store") as store:
        store.append(USER, FACT)
    return tmp_path / "store"


def append_to_closed(path: Path) -> None:
    store = Store.open_read_only(path)
    store.close()
    list(store.query())


def append_to_locked(path: Path) -> None:
    with Store.open_read_only(path):
        Store.open(path)


def append_to_read_only(path: Path) -> None:
    with Store.open_read_only(path) as store:
        getattr(store, "append")(USER, FACT)  # noqa: B009  no type checker lets it pass


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (append_to_closed, StoreClosed),
        (append_to_locked, StoreLocked),
        (append_to_read_only, StoreReadOnly),
    ],
)
def test_a_handle_that_cannot_write_says_why_and_writes_nothing(
    path: Path, act: Callable[[Path], None], error: type[Exception]
) -> None:
    before = tree(path)

    with pytest.raises(error):
        act(path)

    assert before == tree(path)


def test_an_append_after_close_writes_nothing(path: Path) -> None:
    store = Store.open(path)
    store.close()
    before = tree(path)

    with pytest.raises(StoreClosed):
        store.append(USER, FACT)

    assert before == tree(path)


def test_a_corrupt_store_is_refused_with_file_and_offset_and_stays_as_it_is(path: Path) -> None:
    segment = path / "000001.fbat"
    data = bytearray(segment.read_bytes())
    data[-20] ^= 1
    segment.write_bytes(data)
    before = tree(path)

    with pytest.raises(CorruptStore) as caught:
        Store.open(path)

    assert (caught.value.path, caught.value.offset > 0) == (str(segment), True)
    assert before == tree(path)


def test_a_second_class_on_one_kind_is_refused_and_the_first_one_stays() -> None:
    with pytest.raises(RegistryError, match=r"tests\.facts\.Counted"):

        class Twice(EventPayload, frozen=True, kw_only=True):
            KIND: ClassVar[EventKind] = Counted.KIND
            VERSION: ClassVar[int] = 1

    entry = registry.lookup(Counted.KIND)
    assert entry is not None
    assert entry.cls is Counted


HOSTILE = {
    "a bad name": ("events: {'Order-Placed': {id: 0x001, fields: {}}}", "E0201"),
    "a package that climbs": (None, "E0201"),
    "a carriage return": ('doc: "a\\rb"\nevents: {Placed: {id: 0x001, fields: {}}}', "E0105"),
    "an alias bomb": ("x-a: &a [1]\nx-b: [*a, *a]", "E0104"),
    "a key twice": ("doc: a\ndoc: b", "E0102"),
    "an unknown key": ("evnts: {}", "E0108"),
}


def project(folder: Path, text: str) -> Config:
    (folder / "schemas").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.batpak]\nout = "gen"\n', encoding="utf-8")
    (folder / "schemas" / "a.batpak.yaml").write_text(text, encoding="utf-8")
    return configure(folder / "pyproject.toml")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_is_an_error_with_a_position_and_writes_nothing(
    name: str, tmp_path: Path
) -> None:
    text, code = HOSTILE[name]
    package = "../../etc" if text is None else "shop"
    config = project(
        tmp_path / "p", f"batpak: 1\npackage: {package}\ncategory: 0x2\n{text or ''}\n"
    )
    before = tree(tmp_path)

    with pytest.raises(SchemaError) as caught:
        run.run(config, check=False)

    first = caught.value.diagnostics[0]
    assert first.code == code
    assert first.span is not None
    assert before == tree(tmp_path)
    assert not (tmp_path / "p" / "gen").exists()


def test_a_docstring_cannot_end_itself_and_run(tmp_path: Path) -> None:
    text = '\'"""\n__import__("os").environ["OWNED"] = "yes"\n"""\''
    config = project(
        tmp_path / "p",
        f"batpak: 1\npackage: shop\ncategory: 0x2\n"
        f"events: {{Placed: {{id: 0x0ee, doc: {text}, fields: {{}}}}}}\n",
    )

    run.run(config, check=False)

    command = "import events; print(events.Placed.__doc__, 'OWNED' in __import__('os').environ)"
    ran = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path / "p/gen/shop",
        capture_output=True,
        text=True,
        check=True,
    )
    assert '__import__("os")' in ran.stdout
    assert ran.stdout.endswith(" False\n")
