"""A rotation that an exception from outside cuts short is finished once, and not begun again."""

from __future__ import annotations

import pytest

from batpak.commit.rotation import Rotation
from batpak.journal.segment import Tip
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from tests.facts import SMALL, USER, Counted, Said


def test_an_interrupt_between_the_switch_and_who_asked_for_it_leaves_one_new_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the file that nothing was written to would be recorded to end where the old one did."""
    sim = SimPlatform()
    switch = Rotation.switch

    def interrupted(rotation: Rotation, tip: Tip) -> Tip:
        switch(rotation, tip)
        raise KeyboardInterrupt

    with Store.open("store", SMALL, platform=sim) as store:
        store.append(USER, Said(text="x" * 5000))
        with monkeypatch.context() as patch:
            patch.setattr(Rotation, "switch", interrupted)
            with pytest.raises(KeyboardInterrupt):
                store.append(USER, Counted(n=1))
        assert store.append(USER, Counted(n=2)).sequence == 1

    with Store.open_read_only("store", platform=sim) as reader:
        assert reader.open_report.clean
        assert reader.open_report.segments == 2
        assert [event.sequence for event in reader.query()] == [0, 1]
        assert reader.verify().ok
