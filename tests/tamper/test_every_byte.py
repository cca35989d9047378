"""No byte of a closed store can change without somebody saying so.

Every byte of every file is changed: one bit of it; and all eight bits of every fourth byte, or with
`-m slow` of each. Each time an open refuses or `verify` reports, with file and offset; or the file
is one that is made anew. Would slip through without it: a field that no checksum, hash or link
covers.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from batpak.coordinate import Coordinate
from batpak.errors import CorruptStore
from batpak.journal import header
from batpak.platform import REAL
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.facts import SMALL, Counted, Said

EVENTS: Final = 30
REBUILT: Final = {".batpak.lock"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tamper") / "store"
    with Store.open(path, SMALL) as store:
        first = None
        for n in range(EVENTS):
            where = Coordinate(f"order:{n % 3}", "shop")
            fact = Counted(n=n) if n % 2 else Said(text="é" * n)
            receipt = store.append(
                where,
                fact,
                idempotency_key=f"key {n}" if n % 5 == 0 else None,
                caused_by=first,
                flags=n % 4,
                extensions={"app.trace": bytes([n])} if n % 7 == 0 else None,
            )
            first = receipt if n % 4 == 0 else None
    assert len(list(path.glob("*.fbat"))) == 2
    return path


def frames_end(path: Path, name: str) -> int:
    """Where the truth in a file ends; behind it is a footer, which is made anew."""
    if name != "000001.fbat":
        return (path / name).stat().st_size
    prev = header.read(REAL.open_dir(str(path), create=False), "000002.fbat").header.prev
    assert prev is not None
    return prev.frames_end


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


@pytest.mark.parametrize("name", ["000001.fbat", "000002.fbat", "HEAD"])
@pytest.mark.parametrize(
    ("flip", "step"),
    [
        ("one bit", 1),
        ("all bits", 4),
        pytest.param("all bits", 1, marks=pytest.mark.slow),
    ],
)
def test_every_changed_byte_is_reported_with_file_and_offset(
    closed: Path, tmp_path: Path, name: str, flip: str, step: int
) -> None:
    path = shutil.copytree(closed, tmp_path / "store")
    good = (path / name).read_bytes()

    for at in range(0, len(good), step):
        data = bytearray(good)
        data[at] ^= 0xFF if flip == "all bits" else 1 << at % 8
        (path / name).write_bytes(data)
        report = verify_path(path, REAL)
        if at >= frames_end(closed, name):
            assert report.ok
            assert report.derived, f"{name}:{at} changed and verify says nothing"
            continue
        assert not report.ok, f"{name}:{at} changed and verify says nothing"
        found = report.findings[0]
        assert found.file.startswith(str(path))
        assert 0 <= found.offset <= at or found.file != str(path / name), f"{name}:{at}: {found}"


@pytest.mark.parametrize("name", ["000001.fbat", "000002.fbat", "HEAD"])
def test_an_open_refuses_every_changed_byte_too(closed: Path, tmp_path: Path, name: str) -> None:
    path = shutil.copytree(closed, tmp_path / "store")
    good = (path / name).read_bytes()
    with Store.open_read_only(closed) as store:
        intact = list(store.query())

    for at in range(0, len(good), 5):
        data = bytearray(good)
        data[at] ^= 1 << at % 8
        (path / name).write_bytes(data)
        refused: str | None = None
        try:
            with Store.open_read_only(path) as store:
                told = store.open_report.rebuilt
                events = list(store.query())
                keyed = list(store.by_scope("shop"))
        except CorruptStore as error:
            refused = Path(error.path).name
        else:
            assert told in ((), ("000001.fbat",))
            assert events == keyed == intact
        assert (refused is None) == (at >= frames_end(closed, name)), f"{name}:{at}"
        assert refused in {None, *names(path), "000003.fbat"}


def test_the_other_files_are_made_anew(closed: Path, tmp_path: Path) -> None:
    path = shutil.copytree(closed, tmp_path / "store")
    others = {*names(path)} - {"000001.fbat", "000002.fbat", "HEAD"}
    assert others - {file.name for file in path.glob("*.fbat")} == REBUILT

    (path / ".batpak.lock").write_bytes(b"anything at all")

    with Store.open(path, SMALL) as store:
        assert store.count() == EVENTS
    assert verify_path(path, REAL).ok


def test_one_damaged_event_is_one_finding(closed: Path, tmp_path: Path) -> None:
    path = shutil.copytree(closed, tmp_path / "store")
    data = bytearray((path / "000001.fbat").read_bytes())
    at = data.index(b"\x81\xa1n\x05")
    data[at + 3] ^= 1
    (path / "000001.fbat").write_bytes(data)

    report = verify_path(path, REAL)

    assert report.findings_count == 1
    assert report.findings[0].sequence == 5
    assert report.events >= EVENTS - 2


def test_two_damaged_events_are_two_findings(closed: Path, tmp_path: Path) -> None:
    path = shutil.copytree(closed, tmp_path / "store")
    data = bytearray((path / "000001.fbat").read_bytes())
    for n in (3, 7):
        data[data.index(b"\x81\xa1n" + bytes([n])) + 3] ^= 1
    (path / "000001.fbat").write_bytes(data)

    report = verify_path(path, REAL)

    assert [one.sequence for one in report.findings] == [3, 7]
    with pytest.raises(CorruptStore):
        report.raise_for_damage()
