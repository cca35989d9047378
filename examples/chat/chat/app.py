"""Teaches: a lossy feed for what is only worth knowing now, and queries for what must not be lost.

Run it: `python -m chat.app chat.store`.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Final, Self, final

from batpak import (
    Coordinate,
    EventPayload,
    Region,
    Store,
    StoredEvent,
    StoreReader,
    new_id,
    override,
)
from chat.gen.rooms import MemberJoined, MemberLeft, MessagePosted, RoomId, TypingStarted
from chat.gen.rooms.handlers import PresenceHandler

SCOPE: Final = "chat.rooms"
NOTHING: Final = -1  # the sequence before all others


def place(room_id: RoomId) -> Coordinate:
    """Return where the events of a room are."""
    return Coordinate(f"room:{room_id.hex}", SCOPE)


def said_in(room_id: RoomId) -> Region:
    """Return everything that concerns who is in a room and what is said there."""
    return Region(entity=place(room_id).entity, kinds=PresenceHandler.KINDS)


# ------------------------------------------------------------------------------- taking part


def join(store: Store, room_id: RoomId, member: str) -> None:
    """Let somebody in."""
    store.append(place(room_id), MemberJoined(room_id=room_id, member=member))


def leave(store: Store, room_id: RoomId, member: str) -> None:
    """Let somebody out."""
    store.append(place(room_id), MemberLeft(room_id=room_id, member=member))


def start_typing(store: Store, room_id: RoomId, member: str) -> None:
    """Say that somebody is writing."""
    store.append(place(room_id), TypingStarted(room_id=room_id, member=member))


def post(store: Store, room_id: RoomId, author: str, text: str) -> None:
    """Say something."""
    store.append(place(room_id), MessagePosted(room_id=room_id, author=author, text=text))


def history(
    store: StoreReader, room_id: RoomId, *, before: int | None = None, limit: int = 20
) -> list[StoredEvent[MessagePosted]]:
    """Return the last messages, oldest first. `before` is where the page behind them begins."""
    region = Region(entity=place(room_id).entity, kinds=MessagePosted)
    newest_first = store.entries(region, before=before, limit=limit, reverse=True)
    return [store.get(event.sequence, MessagePosted) for event in newest_first][::-1]


# ---------------------------------------------------------------------------- who is there


@final
class Presence(PresenceHandler[None]):
    """Who is in a room, and who is writing, as of the last event that it has seen."""

    def __init__(self) -> None:
        self.here: set[str] = set()
        self.typing: set[str] = set()
        self.as_of = NOTHING

    @staticmethod
    def read(store: StoreReader, room_id: RoomId) -> Presence:
        """Fold everything that the log has."""
        presence = Presence()
        for event in store.query(said_in(room_id)):
            presence.see(event)
        return presence

    def see(self, event: StoredEvent[EventPayload]) -> None:
        """Take one event in. One that was seen before changes nothing."""
        if self.handles(event) and event.sequence > self.as_of:
            self.dispatch(event)
            self.as_of = event.sequence

    @override
    def on_member_joined(self, event: StoredEvent[MemberJoined], /) -> None:
        self.here.add(event.payload.member)

    @override
    def on_member_left(self, event: StoredEvent[MemberLeft], /) -> None:
        self.here.discard(event.payload.member)
        self.typing.discard(event.payload.member)

    @override
    def on_typing_started(self, event: StoredEvent[TypingStarted], /) -> None:
        self.typing.add(event.payload.member)

    @override
    def on_message_posted(self, event: StoredEvent[MessagePosted], /) -> None:
        self.typing.discard(event.payload.author)

    @override
    def __str__(self) -> str:
        typing = f", {' and '.join(sorted(self.typing))} typing" if self.typing else ""
        return f"{' and '.join(sorted(self.here)) or 'nobody'} here{typing}"


class Screen:
    """What one member sees of who is there.

    The feed says that something has changed, and is allowed to lose what a slow member did not
    take in time: it says so, and then the log is asked. First the feed, then the log: what comes
    in between is in both, and seen once.
    """

    def __init__(self, store: StoreReader, room_id: RoomId, *, capacity: int | None = None) -> None:
        self._store, self._room_id = store, room_id
        self._feed = store.subscribe_lossy(said_in(room_id), capacity=capacity)
        self.presence = Presence.read(store, room_id)
        self.read_again = 0

    def refresh(self) -> None:
        """Take in what has come, without waiting."""
        while (heard := self._feed.recv(timeout_s=0)) is not None:
            if heard.missed:
                self.presence = Presence.read(self._store, self._room_id)
                self.read_again += 1
            else:
                self.presence.see(self._store.get(heard))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._feed.close()


class Badge:
    """Counts what others say, on a thread of its own that sleeps until something is said."""

    def __init__(self, store: StoreReader, room_id: RoomId, member: str) -> None:
        self._feed = store.subscribe_lossy(
            Region(entity=place(room_id).entity, kinds=MessagePosted)
        )
        self._unread = (
            self._feed.ops()
            .map(lambda heard: store.get(heard, MessagePosted).payload)
            .filter(lambda message: message.author != member)
            .scan(0, lambda unread, _: unread + 1)
        )
        self.shown = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for unread in self._unread:
            self.shown = unread

    def close(self) -> None:
        """End the feed, and with it the loop and the thread."""
        self._feed.close()
        self._thread.join()


# -------------------------------------------------------------------------------------- a story


def tell(store: Store) -> list[str]:
    """Let some people talk; return what their screens show, line by line."""
    room_id = new_id(RoomId)
    said: list[str] = []
    join(store, room_id, "Ada")
    with (
        Screen(store, room_id) as quick,
        Screen(store, room_id, capacity=2) as slow,
    ):
        said.append(f"at first: {quick.presence}")
        join(store, room_id, "Ben")
        start_typing(store, room_id, "Ben")
        quick.refresh()
        said.append(f"quick: {quick.presence}")
        post(store, room_id, "Ben", "Hello, Ada")
        join(store, room_id, "Cleo")
        start_typing(store, room_id, "Ada")
        leave(store, room_id, "Ben")
        quick.refresh()
        slow.refresh()
        said.append(f"quick: {quick.presence}, read again {quick.read_again} times")
        said.append(f"slow: {slow.presence}, read again {slow.read_again} times")
        post(store, room_id, "Ada", "Hello, Ben. Are you gone?")
    said += [f"{one.payload.author}: {one.payload.text}" for one in history(store, room_id)]
    return said


def main(path: str) -> None:
    """Tell the story in a store at `path`."""
    with Store.open(path) as store:
        for line in tell(store):
            print(line)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "chat.store")
