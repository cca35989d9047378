"""A wall clock that is wrong is told, counted, and not believed.

Would slip through without it: a machine whose clock is a year behind, and a log whose times stand
still for that year, without a word.
"""

from __future__ import annotations

import logging

import pytest

from batpak.clock import WALL_MS_MAX
from batpak.store import Store
from batpak.testing.clock import START_NS
from batpak.testing.platform import SimPlatform
from tests.facts import PLAIN, USER, Counted

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("shown_ns", "told"),
    [
        (START_NS - 90 * SECOND_NS, "ms behind the last event"),
        (-SECOND_NS, "before 1970"),
        ((WALL_MS_MAX + 1) * 1_000_000, "beyond the year 9999"),
    ],
)
def test_readings_that_are_not_taken_are_counted_and_told_once_a_minute(
    caplog: pytest.LogCaptureFixture, shown_ns: int, told: str
) -> None:
    sim = SimPlatform()
    with Store.open("store", PLAIN, platform=sim) as store:
        first = store.append(USER, Counted(n=0))
        assert (store.diagnostics().clock_clamps, caplog.records) == (0, [])

        sim.clock.set(shown_ns)
        sim.clock.frozen = True
        times = [store.append(USER, Counted(n=n)).hlc for n in range(1, 6)]

        assert store.diagnostics().clock_clamps == 5
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("batpak.lane", logging.WARNING)
        assert told in record.message
        facts = vars(record)
        assert (facts["path"], facts["sequence"]) == (store.open_report.path, 1)
        assert facts["store_id"] == str(store.store_id)
        assert times == sorted({first.hlc, *times})[1:]

        sim.clock.advance(60 * SECOND_NS)
        store.append(USER, Counted(n=6))
        store.append_batch([])
        assert store.diagnostics().clock_clamps == 6
        assert len(caplog.records) == 2


def test_a_clock_before_1970_is_told_in_an_empty_log_too(caplog: pytest.LogCaptureFixture) -> None:
    sim = SimPlatform()
    sim.clock.set(-SECOND_NS)
    with Store.open("store", PLAIN, platform=sim) as store:
        store.append(USER, Counted(n=0))

    assert "before 1970" in caplog.text
