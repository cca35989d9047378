"""Machines over a real store: a lost answer, a crash and a race leave one event.

With a list for a ledger, a retry that the store would refuse, or store twice, looks fine: the key
that makes it one event has to survive a refused sync, a crash and a reopen.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import ClassVar
from uuid import UUID

import pytest

from batpak import EventKind, Store
from batpak.errors import StaleState, StorageError, UnknownKind
from batpak.guard.verdict import Denial
from batpak.testing.crash import CrashModel
from batpak.testing.faults import Kind
from batpak.testing.platform import SimPlatform
from tests.facts import FAST, PLAIN
from tests.unit.parcels import (
    DESK,
    NOON,
    Carrier,
    PackedParcel,
    ParcelId,
    ParcelMachine,
    ParcelPacked,
    ParcelSent,
    ParcelState,
    SendParcel,
    SentParcel,
)

ID = ParcelId(UUID(int=7))
UNHEARD = EventKind.custom(0xE, 0x7FF)


def pack(parcels: ParcelMachine, note: str | None = None) -> PackedParcel:
    verdict = parcels.pack_gates.evaluate(DESK, parcels.new(ID).pack(note=note))
    assert not isinstance(verdict, Denial), verdict
    return parcels.commit(verdict)


def counted(store: Store) -> Counter[type]:
    return Counter(type(event.payload) for event in store.query())


# ------------------------------------------------------------------------------ a lost answer


@pytest.mark.parametrize("kind", ["sync", "write"])
@pytest.mark.parametrize("model", [CrashModel.KILL, CrashModel.SYNCED], ids=str)
def test_a_move_repeated_after_an_unknown_outcome_and_a_reopen_is_stored_once(
    kind: Kind, model: CrashModel
) -> None:
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        move = pack(ParcelMachine(store)).send(sent_at=NOON)
        sim.fail_at(1, errno.EIO, kind=kind)
        with pytest.raises(StorageError):
            ParcelMachine(store).apply(move)
        after = sim.crash(model)
    assert sim.fired

    with Store.open("store", PLAIN, platform=after) as again:
        parcels = ParcelMachine(again)
        first, second = parcels.apply(move), parcels.apply(move)

        assert counted(again) == {ParcelPacked: 1, ParcelSent: 1}
        assert first == second == parcels.load(ID)
        with pytest.raises(StaleState):
            parcels.apply(move.source.send(carrier=Carrier.POST, sent_at=NOON))


def test_a_crash_at_any_moment_of_a_move_leaves_it_to_be_repeated() -> None:
    """From the handle and with the values of before the crash, plain or judged again."""
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        begin = len(sim.operations)
        move = pack(ParcelMachine(store)).send(sent_at=NOON)
        ParcelMachine(store).apply(move)
        end = len(sim.operations)
    kept: Counter[int] = Counter()

    for at in range(begin, end + 1):
        for model in CrashModel:
            with Store.open("store", PLAIN, platform=sim.crash(model, at)) as again:
                parcels = ParcelMachine(again)
                kept[again.count()] += 1
                assert pack(parcels) == move.source
                assert parcels.apply(move) == parcels.load(ID)
                assert counted(again) == {ParcelPacked: 1, ParcelSent: 1}

    assert kept.keys() == {0, 1, 2}  # else no crash came at a moment that matters


# -------------------------------------------------------------------------------------- races


def race(attempts: list[Callable[[], ParcelState]]) -> list[ParcelState | None]:
    ready = Barrier(len(attempts))

    def attempt(run: Callable[[], ParcelState]) -> ParcelState | None:
        ready.wait()
        try:
            return run()
        except StaleState:
            return None

    with ThreadPoolExecutor(len(attempts)) as pool:
        return list(pool.map(attempt, attempts))


def moves(packed: PackedParcel, different: bool) -> list[SendParcel]:
    return [packed.send(sent_at=NOON.replace(minute=n if different else 0)) for n in range(16)]


@pytest.mark.parametrize(("different", "winners"), [(True, 1), (False, 16)])
def test_of_sixteen_threads_with_one_handle_one_event_comes(
    tmp_path: Path, different: bool, winners: int
) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        parcels = ParcelMachine(store)
        packed = pack(parcels)

        came = race([partial(parcels.apply, move) for move in moves(packed, different)])

        won = [handle for handle in came if handle is not None]
        assert len(won) == winners
        assert set(won) == {parcels.load(ID)}
        assert counted(store) == {ParcelPacked: 1, ParcelSent: 1}


def test_two_machines_over_one_store_make_each_others_handles_stale(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", FAST) as store:
        one, other = ParcelMachine(store), ParcelMachine(store)
        packed = pack(one)
        sent = other.apply(packed.send(sent_at=NOON))

        assert isinstance(sent, SentParcel)
        with pytest.raises(StaleState, match=r"was read at version 1, .* now at version 2"):
            one.apply(packed.send(carrier=Carrier.POST, sent_at=NOON))
        with pytest.raises(StaleState, match="exists already, at version 2"):
            pack(one, note="another")


# ------------------------------------------------------------------- what else is in the stream


def test_an_event_that_no_class_is_known_of_is_skipped_and_counts(tmp_path: Path) -> None:
    """It may be of a kind that is retired, or of a package that this program does not import."""
    with Store.open(tmp_path / "store", FAST) as store:
        parcels = ParcelMachine(store)
        packed = pack(parcels)
        store.append_raw(packed.coordinate, UNHEARD, b"\xc0")

        loaded = parcels.load(ID)

        assert (type(loaded), loaded.version, loaded.data) == (PackedParcel, 2, packed.data)


def test_an_event_of_the_machine_that_does_not_decode_is_never_skipped(tmp_path: Path) -> None:
    class Wider(ParcelMachine):
        KINDS: ClassVar[frozenset[EventKind]] = ParcelMachine.KINDS | {UNHEARD}

    with Store.open(tmp_path / "store", FAST) as store:
        packed = pack(ParcelMachine(store))
        store.append_raw(packed.coordinate, UNHEARD, b"\xc0")

        with pytest.raises(UnknownKind):
            Wider(store).load(ID)
