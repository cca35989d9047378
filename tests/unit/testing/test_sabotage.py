"""Sabotage breaks what it says, for everybody, and nothing else, and only inside its block."""

from __future__ import annotations

import pytest

from batpak.errors import InvalidArgument
from batpak.journal import layout
from batpak.store import Store
from batpak.testing import switches
from batpak.testing.platform import SimPlatform
from batpak.testing.sabotage import sabotage
from batpak.testing.switch import Edit, Switch
from batpak.testing.switches import SWITCHES
from tests.facts import USER, Counted


def syncs_of_names() -> int:
    sim = SimPlatform()
    with Store.open("store", platform=sim) as store:
        store.append(USER, Counted(n=1))
    return sum(call.kind == "syncdir" for call in sim.trace)


def test_inside_the_block_the_engine_is_broken_and_behind_it_as_it_was() -> None:
    before = syncs_of_names()

    with sabotage("no-dirsync-replace"):
        inside = syncs_of_names()

    assert inside < before == syncs_of_names()


def test_it_is_mended_also_if_the_block_raises() -> None:
    code = layout.publish.__code__

    with pytest.raises(InvalidArgument), sabotage("no-dirsync-create"):
        Store.open("", platform=SimPlatform())

    assert layout.publish.__code__ is code


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_fits_the_engine_as_it_is_now(name: str) -> None:
    with sabotage(name):
        pass


def test_a_switch_that_nobody_knows_is_refused() -> None:
    with (
        pytest.raises(InvalidArgument, match="no switch is called 'drop tables'"),
        sabotage("drop tables"),
    ):
        pass


@pytest.mark.parametrize("other", ["no-dirsync-replace", "no-dirsync-create"])
def test_a_function_is_broken_by_one_block_at_a_time(other: str) -> None:
    code = layout.publish.__code__

    with sabotage("no-dirsync-replace"):
        broken = layout.publish.__code__
        with pytest.raises(InvalidArgument, match="already"), sabotage(other):
            pass
        assert layout.publish.__code__ is broken

    assert layout.publish.__code__ is code


def test_blocks_that_break_different_functions_may_lie_inside_each_other() -> None:
    with sabotage("no-dirsync-replace"), sabotage("ack-before-sync"):
        inside = syncs_of_names()

    assert inside < syncs_of_names()


def test_a_line_that_is_not_there_any_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    edit = Edit("batpak.journal.layout:publish", (("directory.sync_all()", "pass"),))
    monkeypatch.setitem(switches.SWITCHES, "old", Switch("nothing", (edit,)))

    with pytest.raises(LookupError, match=r"directory.sync_all\(\)"), sabotage("old"):
        pass
