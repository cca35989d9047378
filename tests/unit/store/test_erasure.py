"""What a compaction was asked to take out is nowhere in the directory of the store any more.

Would slip through without it: a payload that stays because its file still grows, or because there
are too few files to merge, and a caller who is told that all is well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from batpak.config import Durability
from batpak.event import StoredEvent
from batpak.report import CompactionOutcome, CompactionReport
from batpak.store import Store
from batpak.testing.faults import Kind
from batpak.testing.platform import SimPlatform
from batpak.upkeep.output import Builder, Output
from tests.facts import SMALL, USER, Counted, Said

WHO = "the person's name"
QUIET = replace(SMALL, durability=Durability.OS)


def remove(store: Store, how: str, least: int = 2) -> CompactionReport:
    def hits(event: StoredEvent[bytes]) -> bool:
        return WHO.encode() in event.payload

    if how == "retain":
        return store.compact(retain=lambda event: not hits(event), min_segments=least)
    return store.compact(tombstone=hits, min_segments=least)


def holders(path: Path) -> list[str]:
    """The files that have the name."""
    every = [one for one in path.rglob("*") if one.is_file()]
    return [one.name for one in every if WHO.encode() in one.read_bytes()]


@pytest.mark.parametrize("how", ["retain", "tombstone"])
@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("least", [2, 1000])
def test_a_payload_of_a_small_store_is_gone_from_the_disk(
    tmp_path: Path, how: str, least: int, *, reopened: bool
) -> None:
    path = tmp_path / "store"
    store = Store.open(path)
    for text in ("first", WHO, "third"):
        store.append(USER, Said(text=text))
    if reopened:
        store.close()
        store = Store.open(path)
    assert holders(path)

    report = remove(store, how, least)

    assert report.outcome is CompactionOutcome.PERFORMED
    assert report.dropped + report.erased == 1
    assert not holders(path)
    left = [event.payload.text for event in store.by_fact(Said)]
    assert left == ["first", "third"]
    note = store.checkpoint()
    store.close()
    with Store.open(path) as again:
        assert not holders(path)
        assert [event.payload.text for event in again.by_fact(Said)] == left
        assert again.verify(since=note).ok
        assert (
            again.append(USER, Said(text="on it goes")).sequence
            == again.count() + report.dropped - 1
        )


def test_nothing_is_begun_for_a_removal_that_finds_nothing() -> None:
    sim = SimPlatform()
    with Store.open("store", QUIET, platform=sim) as store:
        store.append(USER, Said(text="harmless"))
        before = sim.files()
        for _ in range(3):
            assert remove(store, "tombstone").outcome is CompactionOutcome.SKIPPED
        assert sim.files() == before


def test_a_second_removal_finds_what_came_later_and_asks_for_no_file_twice() -> None:
    sim = SimPlatform()
    with Store.open("store", QUIET, platform=sim) as store:
        for n in range(3):
            store.append(USER, Said(text=f"{WHO} {n}"))
            assert remove(store, "retain").dropped == 1
        assert remove(store, "retain").outcome is CompactionOutcome.SKIPPED
        assert store.stats().dropped == 3
        assert store.verify().ok
    assert not any(WHO.encode() in data for data in sim.files().values())


def test_what_is_stored_while_it_is_asked_stays(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", QUIET) as store:
        store.append(USER, Counted(n=1))

        def everything(_: StoredEvent[bytes]) -> bool:
            if store.count() < 4:
                store.append(USER, Counted(n=2))
            return True

        assert store.compact(tombstone=everything).erased == 1
        assert [event.payload.n for event in store.by_fact(Counted)] == [2]
        assert store.verify().ok


@pytest.mark.parametrize("kind", ["create", "write", "sync", "replace"])
def test_a_refusal_while_a_file_is_begun_loses_nothing(kind: Kind) -> None:
    for n in range(1, 30):
        sim = SimPlatform()
        with Store.open("store", SMALL, platform=sim) as store:
            store.append(USER, Said(text=WHO))
            sim.fail_at(n, 5, kind=kind)
            try:
                remove(store, "tombstone")
            except Exception:  # noqa: BLE001  whichever; what counts is what is left
                assert sim.fired
            fired = sim.fired
            sim.faults.clear()
        with Store.open("store", SMALL, platform=sim) as store:
            assert store.stats().events >= 1
            assert store.verify().ok
            remove(store, "tombstone")
        assert not any(WHO.encode() in data for data in sim.files().values()), n
        if not fired:
            return
    raise AssertionError("there is no end to it")


@pytest.mark.parametrize("how", ["retain", "tombstone", "close"])
def test_what_an_interrupted_run_has_left_is_gone_after_the_next_one_and_after_a_close(
    tmp_path: Path, how: str
) -> None:
    path = tmp_path / "store"
    store = Store.open(path, QUIET)
    for n in range(12):
        store.append(USER, Said(text="y" * 1200 + (WHO if n == 4 else str(n))))
    merged = [path / "000001.fbat", path / "000002.fbat"]  # only the second one has it
    (path / "000001.fbat.tmp").write_bytes(b"".join(one.read_bytes() for one in merged))
    assert sorted(holders(path)) == ["000001.fbat.tmp", "000002.fbat"]

    if how != "close":  # that finds it without a run
        report = remove(store, how, 1000)
        assert report.dropped + report.erased == 1
        assert not holders(path)
    store.close()
    assert not [one.name for one in path.iterdir() if one.name.endswith(".tmp")]


def test_a_ctrl_c_right_behind_the_new_file_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Builder.build

    def interrupted(*given: Any) -> Output:  # noqa: ANN401  as it was called
        build(*given)
        raise KeyboardInterrupt

    path = tmp_path / "store"
    with Store.open(path, QUIET) as store:
        for n in range(12):
            store.append(USER, Said(text="y" * 1200 + str(n)))
        monkeypatch.setattr(Builder, "build", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.compact()
        assert not [one.name for one in path.iterdir() if one.name.endswith(".tmp")]
