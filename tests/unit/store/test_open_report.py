"""The open report: what an open has found shows up in its own field, and in no other.

Would slip through without it: a crash that goes by unsaid, a field that cries wolf.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import Final

import pytest
from msgspec.structs import asdict, replace

from batpak.config import Durability
from batpak.disk import posix
from batpak.errors import DurabilityUnknown, StorePoisoned
from batpak.journal import layout
from batpak.kind import EventKind
from batpak.report import HealthState, Mode, OpenReport
from batpak.store import Store
from batpak.system import CloseCompleted, OpenCompleted
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from tests.facts import SMALL, USER, Counted, Said

UNKNOWN: Final = EventKind.custom(0xE, 0x7FE)
MEASURED: Final = {"elapsed_ms", "scanned_bytes", "events", "next_sequence"}


def filled() -> SimPlatform:
    """A machine with a closed store of several files, each with its footer."""
    sim = SimPlatform()
    with Store.open("store", SMALL, platform=sim) as store:
        for n in range(50):
            store.append(USER, Counted(n=n))
    return sim


def report_of(sim: SimPlatform) -> OpenReport:
    with Store.open("store", SMALL, platform=sim) as store:
        return store.open_report


def unharmed(sim: SimPlatform) -> SimPlatform:
    return sim


def with_alien(sim: SimPlatform) -> SimPlatform:
    directory = sim.open_dir(posix.full_path("store"), create=False)
    layout.replace(directory, "notes.txt", b"mine")
    return sim


def without_footer(sim: SimPlatform) -> SimPlatform:
    directory = sim.open_dir(posix.full_path("store"), create=False)
    layout.replace(directory, "000001.fbat", sim.files()["store/000001.fbat"][:-1])
    return sim


def with_unknown(sim: SimPlatform) -> SimPlatform:
    with Store.open("store", SMALL, platform=sim) as store:
        store.append_raw(USER, UNKNOWN, b"\x80")
    return sim


def killed(sim: SimPlatform) -> SimPlatform:
    store = Store.open("store", SMALL, platform=sim)
    store.append(USER, Counted(n=1))
    after = sim.crash(CrashModel.KILL)
    store.close()
    return after


def torn(sim: SimPlatform) -> SimPlatform:
    store = Store.open("store", SMALL, platform=sim)
    store.append(USER, Said(text="x" * 300))
    at = max(n for n, one in enumerate(sim.operations) if one.kind == "write")
    size = len(sim.operations[at].data)
    after = sim.crash(CrashModel.ORDERED, at, size // 2)
    store.close()
    return after


@pytest.mark.parametrize(
    ("harm", "changed"),
    [
        (unharmed, set[str]()),
        (with_alien, {"ignored_files"}),
        (without_footer, {"rebuilt"}),
        (with_unknown, {"unknown_kinds"}),
        (killed, {"clean"}),
        (torn, {"clean", "torn"}),
    ],
)
def test_what_was_found_is_in_its_field_and_in_no_other(
    harm: Callable[[SimPlatform], SimPlatform], changed: set[str]
) -> None:
    plain, found = asdict(report_of(filled())), asdict(report_of(harm(filled())))

    assert {name for name in plain if plain[name] != found[name]} - MEASURED == changed


def test_the_report_has_all_that_is_promised_of_a_first_open() -> None:
    sim = SimPlatform()
    with Store.open("store", SMALL, platform=sim) as store:
        report = store.open_report

    assert (report.mode, report.locked, report.clean, report.head_checked) == (
        Mode.WRITE,
        True,
        True,
        True,
    )
    assert (report.segments, report.events, report.next_sequence) == (1, 0, 0)
    assert (report.format_version, report.torn, report.rebuilt) == (2, None, ())
    assert report.store_id == store.store_id
    assert report.path == posix.full_path("store")


def test_an_observer_is_told_once_for_each_open_and_before_the_first_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[OpenReport] = []

    def tell(report: OpenReport) -> None:
        told.append(report)
        raise RuntimeError("it is only logged")

    sim, config = SimPlatform(), replace(SMALL, on_open=tell, lifecycle_events=True)
    with caplog.at_level(logging.ERROR), Store.open("store", config, platform=sim) as store:
        assert told == [store.open_report]
        assert isinstance(store.get(0).payload, OpenCompleted)
    with caplog.at_level(logging.ERROR), Store.open_read_only("store", config, platform=sim):
        assert [report.mode for report in told] == [Mode.WRITE, Mode.READ]
        assert told[1].events == 2
    assert caplog.text.count("on_open failed") == 2


def test_a_close_says_how_far_the_log_had_come() -> None:
    sim = SimPlatform()
    with Store.open("store", replace(SMALL, lifecycle_events=True), platform=sim) as store:
        store.append(USER, Counted(n=1))
    with Store.open_read_only("store", SMALL, platform=sim) as store:
        assert store.get(3).payload == CloseCompleted(written=2, durable=2)


def test_a_poisoned_store_is_closed_without_a_word_and_opens_again() -> None:
    """The only way on from a failed sync: what was acknowledged is there, and writing goes on."""
    sim = SimPlatform()
    store = Store.open("store", replace(SMALL, lifecycle_events=True), platform=sim)
    store.append(USER, Counted(n=1))
    sim.fail_at(1, errno.EIO, kind="sync")
    with pytest.raises(DurabilityUnknown):
        store.append(USER, Counted(n=2))
    sim.faults.clear()
    assert store.health.state is HealthState.POISONED
    for write in (store.sync, store.checkpoint, lambda: store.append(USER, Counted(n=3))):
        with pytest.raises(StorePoisoned):
            write()
    assert store.get(1).payload == Counted(n=1)
    before = len([one for one in sim.operations if one.kind in ("write", "sync")])

    store.close()

    assert len([one for one in sim.operations if one.kind in ("write", "sync")]) == before
    with Store.open("store", SMALL, platform=sim) as again:
        assert not again.open_report.clean
        assert again.get(1).payload == Counted(n=1)
        again.append(USER, Counted(n=4))
        assert again.verify().ok


def test_a_handle_that_is_dropped_drains_what_was_submitted_and_writes_no_last_event() -> None:
    sim = SimPlatform()
    config = replace(SMALL, lifecycle_events=True, durability=Durability.OS)
    handles = [Store.open("store", config, platform=sim)]
    tickets = [handles[0].submit(USER, Counted(n=n)) for n in range(5)]

    with pytest.warns(ResourceWarning, match="unclosed store"):
        handles.clear()

    assert all(ticket.done for ticket in tickets)
    with Store.open("store", SMALL, platform=sim) as again:
        assert not again.open_report.clean
        assert again.open_report.events == 1 + 5
        assert list(again.by_fact(CloseCompleted)) == []
