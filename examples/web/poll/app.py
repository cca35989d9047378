"""Polls as an ASGI application, which any ASGI server runs: `uvicorn poll.app:app`.

    POST /polls               {"question": "Tea?", "choices": ["yes", "no"]}
    GET  /polls/ID            how it stands
    POST /polls/ID/votes      {"voter": "Ada", "choice": "yes"}
    GET  /polls/ID/votes      each vote as a server-sent event; goes on from Last-Event-ID

It is written by hand so that it needs nothing. A framework takes the place of this file; the README
shows it for FastAPI.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from batpak import (
    BatpakError,
    ConflictError,
    EventPayload,
    Store,
    StoredEvent,
    UnavailableError,
    UsageError,
)
from poll.gen.polls import PollId
from poll.polls import NoSuchChoice, NoSuchPoll, Polls, as_sent

Message: TypeAlias = dict[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

BODY_MAX: Final = 16 << 10
DIGITS: Final = 19  # as many as no sequence has
JSON: Final = [(b"content-type", b"application/json")]
EVENTS: Final = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


class NewPoll(msgspec.Struct, frozen=True):
    """What opens a poll."""

    question: str
    choices: frozenset[str]


class NewVote(msgspec.Struct, frozen=True):
    """What casts a vote."""

    voter: str
    choice: str


class Request(msgspec.Struct, frozen=True):
    """What is needed of the scope of a request."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]] = []

    @property
    def last_event_id(self) -> int | None:
        """Return what a client has seen last, if it was there before."""
        said = dict(self.headers).get(b"last-event-id", b"")
        return int(said) if said.isdigit() and len(said) < DIGITS else None


class App:
    """The application. The server says when it begins and ends; the store is open in between."""

    _polls: Polls  # from startup on

    def __init__(self, path: str) -> None:
        self._path = path

    async def __call__(self, scope: Mapping[str, object], receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(msgspec.convert(scope, Request), receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # startup
        try:
            store = await asyncio.to_thread(Store.open, self._path)
        except BatpakError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._polls = Polls(store)
        await send({"type": "lifespan.startup.complete"})
        await receive()  # shutdown
        await asyncio.to_thread(store.close)  # ends every stream; waits for the disk
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        try:
            match (request.method, *request.path.strip("/").split("/")):
                case ("POST", "polls"):
                    new = msgspec.json.decode(await _body(receive), type=NewPoll)
                    poll_id = await self._polls.ask(new.question, new.choices)
                    await _reply(send, 201, {"poll_id": poll_id})
                case ("GET", "polls", key):
                    await _reply(send, 200, await self._polls.tally(_poll_id(key)))
                case ("POST", "polls", key, "votes"):
                    vote = msgspec.json.decode(await _body(receive), type=NewVote)
                    at = await self._polls.vote(_poll_id(key), vote.voter, vote.choice)
                    await _reply(send, 201, {"sequence": at})
                case ("GET", "polls", key, "votes"):
                    await self._polls.tally(_poll_id(key))  # is there one?
                    votes = self._polls.watch(_poll_id(key), request.last_event_id)
                    await _stream(votes, receive, send)
                case _:
                    await _reply(send, 404, {"error": "there is nothing here"})
        except NoSuchPoll:
            await _reply(send, 404, {"error": "there is no such poll"})
        except NoSuchChoice:
            await _reply(send, 400, {"error": "there is no such choice"})
        except (msgspec.DecodeError, UsageError) as error:
            await _reply(send, 400, {"error": str(error)})
        except ConflictError as error:
            await _reply(send, 409, {"error": str(error)})
        except UnavailableError as error:
            await _reply(send, 503, {"error": str(error)})


def _poll_id(key: str) -> PollId:
    try:
        return PollId(UUID(key))
    except ValueError:
        raise NoSuchPoll(key) from None


async def _body(receive: Receive) -> bytes:
    body = b""
    while len(body) <= BODY_MAX:
        message = await receive()
        part = message.get("body", b"")
        body += part if isinstance(part, bytes) else b""
        if not message.get("more_body"):
            return body
    raise msgspec.DecodeError("the body is too long")


async def _reply(send: Send, status: int, content: object) -> None:
    await send({"type": "http.response.start", "status": status, "headers": JSON})
    await send({"type": "http.response.body", "body": msgspec.json.encode(content)})


async def _stream(
    events: AsyncGenerator[StoredEvent[EventPayload]], receive: Receive, send: Send
) -> None:
    """Send events until there are no more, or nobody listens."""
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    listening = asyncio.create_task(_gone(receive))
    sending = asyncio.create_task(_send_each(events, send))
    listening.add_done_callback(lambda _: sending.cancel())
    try:
        await sending
    except asyncio.CancelledError:
        if not listening.done():  # it is the server that ends, not the client that has left
            raise
    finally:
        listening.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_each(events: AsyncGenerator[StoredEvent[EventPayload]], send: Send) -> None:
    async with aclosing(events):
        async for event in events:
            part = as_sent(event)
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


app = App("poll.store")
