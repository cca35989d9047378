"""Whatever the bytes are, the answer is typed, bounded, and the same from `open` and `verify`.

Would slip through without it: a length that is believed, an exception of the standard library, a
store that opens although `verify` calls it damaged.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batpak.errors import BatpakError
from batpak.platform import REAL
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.facts import FAST, PLAIN, USER, Counted


def image(*, clean: bool, synced: bool) -> dict[str, bytes]:
    """The files of a small store, closed or as a crash would leave them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        with Store.open(path, PLAIN if synced else FAST) as store:
            for n in range(6):
                store.append(USER, Counted(n=n), idempotency_key=f"{n}")
            files = {one.name: one.read_bytes() for one in path.iterdir()}
        closed = {one.name: one.read_bytes() for one in path.iterdir()}
        return closed if clean else files


IMAGES: Final = [
    image(clean=clean, synced=synced) for clean in (True, False) for synced in (True, False)
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    yield path
    shutil.rmtree(path)


@given(
    which=st.sampled_from(IMAGES),
    name=st.sampled_from(["000001.fbat", "HEAD"]),
    at=st.floats(0, 1),
    length=st.integers(0, 300),
    patch=st.binary(max_size=60),
)
@settings(max_examples=150, deadline=None)
def test_any_damage_gives_a_typed_and_consistent_answer(
    folder: Path, which: dict[str, bytes], name: str, at: float, length: int, patch: bytes
) -> None:
    path = folder / "s"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for file, data in which.items():
        (path / file).write_bytes(data)
    start = int(len(which[name]) * at)
    (path / name).write_bytes(which[name][:start] + patch + which[name][start + length :])

    try:
        report = verify_path(path, REAL)
    except BatpakError:
        report = None
    try:
        with Store.open_read_only(path) as store:
            events = list(store.query())
    except BatpakError:
        assert report is None or not report.ok
    else:
        assert report is not None
        assert report.ok
        assert report.events == len(events)
        assert [event.payload for event in events] == [Counted(n=n) for n in range(len(events))]


def test_a_length_of_four_gigabytes_in_a_short_file_costs_nothing(tmp_path: Path) -> None:
    for name, data in IMAGES[2].items():
        (tmp_path / name).write_bytes(data)
    segment = tmp_path / "000001.fbat"
    segment.write_bytes(segment.read_bytes() + b"\xff\xff\xff\xff" + bytes(40))

    with Store.open(tmp_path, PLAIN) as store:
        assert store.count() == 6
        assert store.open_report.torn is not None


def test_a_sparse_file_is_refused_or_read_in_bounded_time(tmp_path: Path) -> None:
    for name, data in IMAGES[2].items():
        (tmp_path / name).write_bytes(data)
    with (tmp_path / "000001.fbat").open("ab") as file:
        file.truncate(64 << 20)

    with Store.open(tmp_path, PLAIN) as store:
        assert store.count() == 6
