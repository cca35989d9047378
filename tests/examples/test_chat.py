"""The chat example tells its story: nobody's screen is wrong for long, and no message is lost.

It is what people copy when they build something live; without this it would rot first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batpak import Durability, Store, StoreConfig, new_id
from chat.app import Badge, Presence, Screen, history, join, leave, post, start_typing, tell
from chat.gen.rooms import RoomId
from tests import warm

EXAMPLE = Path(__file__).parents[2] / "examples" / "chat"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "chat.store", StoreConfig(durability=Durability.OS)) as opened:
        yield opened


def test_the_story_shows_the_same_to_the_quick_and_to_the_slow(store: Store) -> None:
    assert tell(store) == [
        "at first: Ada here",
        "quick: Ada and Ben here, Ben typing",
        "quick: Ada and Cleo here, Ada typing, read again 0 times",
        "slow: Ada and Cleo here, Ada typing, read again 1 times",
        "Ben: Hello, Ada",
        "Ada: Hello, Ben. Are you gone?",
    ]


def test_history_goes_back_page_by_page(store: Store) -> None:
    room_id, other = new_id(RoomId), new_id(RoomId)
    for number in range(7):
        post(store, room_id, "Ada", f"{number}")
        post(store, other, "Ben", "elsewhere")

    pages: list[list[str]] = []
    before: int | None = None
    while page := history(store, room_id, before=before, limit=3):
        pages.append([event.payload.text for event in page])
        before = page[0].sequence

    assert pages == [["4", "5", "6"], ["1", "2", "3"], ["0"]]


def test_a_screen_that_drops_most_of_it_ends_with_what_the_log_says(store: Store) -> None:
    room_id = new_id(RoomId)

    def live(member: str) -> None:
        for _ in range(20):
            join(store, room_id, member)
            start_typing(store, room_id, member)
            post(store, room_id, member, "hello")
            leave(store, room_id, member)
        join(store, room_id, member)

    threads = [threading.Thread(target=live, args=(name,)) for name in ("Ada", "Ben", "Cleo")]
    with Screen(store, room_id, capacity=3) as screen:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            screen.refresh()
        screen.refresh()

        assert screen.presence.here == {"Ada", "Ben", "Cleo"}
        assert vars(screen.presence) == vars(Presence.read(store, room_id))
    assert len(history(store, room_id, limit=1000)) == 60


def test_a_badge_counts_what_others_say(store: Store) -> None:
    room_id = new_id(RoomId)
    badge = Badge(store, room_id, "Dora")
    try:
        for author in ("Emil", "Dora", "Emil"):
            post(store, room_id, author, "?")
        until = time.monotonic() + 20
        while badge.shown < 2 and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        badge.close()

    assert badge.shown == 2


def test_the_story_is_told_by_its_own_command(tmp_path: Path) -> None:
    done = warm.run(["-m", "chat.app", tmp_path / "chat.store"], EXAMPLE)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "slow: Ada and Cleo here, Ada typing, read again 1 times" in done.stdout
