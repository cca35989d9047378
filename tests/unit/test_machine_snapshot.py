"""A long history is loaded from a snapshot, and the handle is the one that the whole fold gives.

Would slip through without it: a snapshot of another history, of another machine, or of steps that
are no more; and a load that is wrong where only a replay would say so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from msgspec.structs import replace

from batpak.append import BatchItem
from batpak.cache.file import FileCache
from batpak.cache.memory import MemoryCache
from batpak.coordinate import Coordinate
from batpak.edge_table import edge, edges
from batpak.machine_snapshot import EVERY
from batpak.override import override
from batpak.payload import EventPayload
from batpak.store import Store
from batpak.typestate import StateData
from tests.facts import FAST, Counted
from tests.unit.test_machine_by_hand import (
    Dark,
    DarkLamp,
    LampId,
    LampLit,
    LampMachine,
    LampOut,
    Lit,
    LitLamp,
    light,
    put_out,
)

LAMP = LampId(7)
AT = Coordinate("lamp:7", "house")


class Counting(LampMachine):
    """Knows how many events it has folded."""

    steps = 0

    @override
    def _replayed(self, data: StateData, event: EventPayload, version: int) -> StateData:
        Counting.steps += 1
        return super()._replayed(data, event, version)


def lit(store: Store, *watts: int) -> None:
    store.append_batch([BatchItem(AT, LampLit(watts=w)) for w in watts])


def folds(store: Store) -> int:
    before = Counting.steps
    Counting(store).load(LAMP)
    return Counting.steps - before


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    cache = MemoryCache() if request.param == "memory" else FileCache(tmp_path / "states")
    with Store.open(tmp_path / "store", replace(FAST, projection_cache=cache)) as opened:
        yield opened


def test_a_load_goes_on_from_a_snapshot_and_gives_the_same_handle(store: Store) -> None:
    for number in range(5):
        lit(store, *range(number + 1, number + 1 + EVERY))
        first, second = (Counting(store).load(LAMP) for _ in range(2))

        assert folds(store) == 0
        assert first == second
        assert isinstance(first, LitLamp)
        assert (first.version, first.data.watts) == ((number + 1) * EVERY, number + EVERY)
    lit(store, 1)
    assert folds(store) == 1
    lamp = LampMachine(store).load(LAMP)
    assert isinstance(lamp, LitLamp)
    out = LampMachine(store).apply(lamp.put_out())
    assert LampMachine(store).load(LAMP) == out


def test_a_short_history_is_as_soon_folded_again(store: Store) -> None:
    lit(store, *range(1, EVERY))

    assert [folds(store) for _ in range(2)] == [EVERY - 1] * 2
    assert store.projection_cache.delete("") == 0


def test_events_that_are_no_moves_count_for_the_version(store: Store) -> None:
    lit(store, *range(1, EVERY + 1))
    assert folds(store) == EVERY
    store.append(AT, Counted(n=1))

    assert LampMachine(store).load(LAMP).version == EVERY + 1


def test_another_history_of_the_entity_is_folded_from_its_beginning(tmp_path: Path) -> None:
    cache = MemoryCache()
    config = replace(FAST, projection_cache=cache)
    with Store.open(tmp_path / "store", config) as store:
        lit(store, 1)
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    with Store.open(tmp_path / "store", config) as store:
        lit(store, *range(100, 100 + EVERY))
        assert folds(store) == EVERY + 1

    for more in ((), tuple(range(500, 500 + 2 * EVERY))):  # behind the snapshot, then beyond it
        with Store.open(tmp_path / "backup", config) as store:
            lit(store, *more)
            loaded = LampMachine(store).load(LAMP)
        assert isinstance(loaded, LitLamp)
        assert loaded.data.watts == (more[-1] if more else 1)
        assert loaded.version == len(more) + 1


def brighter(state: Dark | Lit, event: LampLit) -> Lit:
    return Lit(lamp=state.lamp, watts=event.watts * 2)


class Brighter(LampMachine):
    EDGES = edges(
        edge(Dark, LampLit, LitLamp, brighter),
        edge(Lit, LampLit, LitLamp, brighter),
        edge(Lit, LampOut, DarkLamp, put_out),
    )


class Other(LampMachine):
    NAME: ClassVar[str] = "house.Other"


def test_other_steps_and_another_machine_have_other_snapshots(store: Store) -> None:
    lit(store, *range(1, EVERY + 1))
    assert folds(store) == EVERY

    bright = Brighter(store).load(LAMP)
    assert isinstance(bright, LitLamp)
    assert bright.data.watts == 2 * EVERY
    assert Other(store).load(LAMP) == Counting(store).load(LAMP)
    assert store.projection_cache.delete(f"{store.store_id.hex}/") == 3
    assert light is not brighter


def test_a_snapshot_that_is_damaged_costs_a_replay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = MemoryCache()
    with Store.open(tmp_path / "store", replace(FAST, projection_cache=cache)) as store:
        lit(store, *range(1, EVERY + 1))
        assert folds(store) == EVERY
        rows = cast("Any", cache)._rows
        for key, row in list(rows.items()):
            rows[key] = replace(row, watermark=3)

        assert folds(store) == EVERY
        assert folds(store) == 0
    assert len(caplog.records) == 1
