"""Teaches: `batpak.aio` behind a web application. Nothing here knows which framework that is.

Each method is what a route awaits. The loop never waits for the disk: appends of many requests
share one sync, which a thread of the store makes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import final

from msgspec import json
from msgspec.structs import replace

from batpak import (
    Coordinate,
    EventPayload,
    Region,
    Store,
    StoredEvent,
    aio,
    new_id,
    operation_key,
    override,
)
from poll.gen.polls import PollId, PollOpened, VoteCast
from poll.gen.polls.projections import TallyProjection, TallyState


class NoSuchPoll(Exception):
    """Nobody has asked that."""


class NoSuchChoice(Exception):
    """That is not among the answers."""


@final
class Tally(TallyProjection):
    """Counts the votes of one poll."""

    @override
    def on_poll_opened(self, state: TallyState, event: StoredEvent[PollOpened], /) -> TallyState:
        poll = event.payload
        none_yet = dict.fromkeys(sorted(poll.choices), 0)
        return replace(state, question=poll.question, votes=none_yet)

    @override
    def on_vote_cast(self, state: TallyState, event: StoredEvent[VoteCast], /) -> TallyState:
        choice = event.payload.choice
        return replace(state, votes={**state.votes, choice: state.votes[choice] + 1})


class Polls:
    """Everything that can be asked and told. A request that was answered is durable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ask(self, question: str, choices: frozenset[str]) -> PollId:
        """Open a poll."""
        poll_id = new_id(PollId)
        event = PollOpened(poll_id=poll_id, question=question, choices=choices)
        await aio.append(self._store, _place(poll_id), event)
        return poll_id

    async def vote(self, poll_id: PollId, voter: str, choice: str) -> int:
        """Cast a vote; return where it stands in the log.

        Somebody who votes twice for the same has voted once: a client that got no answer may repeat
        it. Somebody who changes their mind is refused by the store, in a race of two requests too.

        Raises:
            NoSuchPoll, NoSuchChoice: Nothing was stored.
            IdempotencyConflict: They have voted otherwise.
        """
        if choice not in (await self.tally(poll_id)).votes:
            raise NoSuchChoice(choice)
        receipt = await aio.append(
            self._store,
            _place(poll_id),
            VoteCast(poll_id=poll_id, voter=voter, choice=choice),
            idempotency_key=operation_key("poll.vote", poll_id.bytes, voter),
        )
        return receipt.sequence

    async def tally(self, poll_id: PollId) -> TallyState:
        """Return how a poll stands: folded in another thread.

        Raises:
            NoSuchPoll: It was not opened.
        """
        tally = await aio.project(self._store, Tally(), _place(poll_id).entity)
        if tally is None:
            raise NoSuchPoll(poll_id)
        return tally

    async def watch(
        self, poll_id: PollId, after: int | None = None
    ) -> AsyncGenerator[StoredEvent[EventPayload]]:
        """Give every vote behind a sequence, each once, those that are still to come too.

        It ends when the store is closed. Close it, or cancel who reads it, when nobody listens.
        """
        region = Region(entity=_place(poll_id).entity, kinds=VoteCast)
        with self._store.cursor_guaranteed(region, after=after) as cursor:
            async for event in aio.follow(cursor):
                yield event


def as_sent(event: StoredEvent[EventPayload]) -> bytes:
    """Return an event as a server sends it. A client that comes back says the last id it saw."""
    return b"id: %d\ndata: %s\n\n" % (event.sequence, json.encode(event.payload))


def _place(poll_id: PollId) -> Coordinate:
    return Coordinate(f"poll:{poll_id.hex}", "polls")
