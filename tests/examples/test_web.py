"""The polls of the web example are driven as a server drives them, in this process, without one.

It is what people copy who serve a store; without this a stream would keep a server from ending, or
a vote that was answered would be lost.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from batpak import Store
from poll.app import App, Message
from poll.gen.polls import VoteCast

T = TypeVar("T")
TEA = b'{"question": "Tea?", "choices": ["yes", "no"]}'


class Client:
    """What a server does: it calls the application, and has it begin and end."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> tuple[int, object]:
        exchange = Exchange(self._app, method, path, headers)
        exchange.say({"type": "http.request", "body": body[:5], "more_body": True})
        exchange.say({"type": "http.request", "body": body[5:]})
        await exchange.task
        return exchange.status, json.loads(exchange.text)

    async def ask(self) -> str:
        status, answer = await self.call("POST", "/polls", TEA)
        assert status == 201
        assert isinstance(answer, dict)
        return f"/polls/{answer['poll_id']}"

    async def vote(self, poll: str, voter: str, choice: str) -> tuple[int, object]:
        body = json.dumps({"voter": voter, "choice": choice}).encode()
        return await self.call("POST", f"{poll}/votes", body)

    def watch(self, poll: str, last: int | None = None) -> Exchange:
        headers = () if last is None else ((b"last-event-id", b"%d" % last),)
        exchange = Exchange(self._app, "GET", f"{poll}/votes", headers)
        exchange.say({"type": "http.request", "body": b""})
        return exchange


class Exchange:
    """One request, while it is answered."""

    def __init__(
        self, app: App, method: str, path: str, headers: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        self._heard: asyncio.Queue[Message] = asyncio.Queue()
        self._came = asyncio.Event()
        self.status, self.text, self.ended = 0, "", False
        scope: Message = {"type": "http", "method": method, "path": path, "headers": [*headers]}
        self.task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: App, scope: Message) -> None:
        await app(scope, self._heard.get, self._take)

    def say(self, message: Message) -> None:
        self._heard.put_nowait(message)

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            assert isinstance(message["status"], int)
            self.status = message["status"]
        else:
            body = message.get("body", b"")
            assert isinstance(body, bytes)
            self.text += body.decode()
            self.ended = not message.get("more_body")
        self._came.set()

    async def voters(self, count: int) -> list[str]:
        """Who has voted, once so many have."""
        while self.text.count("\n\n") < count:
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 10)
        parts = self.text.split("\n\n")[:-1]
        return [json.loads(part.partition("data: ")[2])["voter"] for part in parts]

    def sequences(self) -> list[int]:
        return [int(line[4:]) for line in self.text.splitlines() if line.startswith("id: ")]


@asynccontextmanager
async def served(path: Path) -> AsyncGenerator[Client]:
    app = App(str(path))
    heard: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    life = asyncio.create_task(_live(app, heard, said))
    heard.put_nowait({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    yield Client(app)
    heard.put_nowait({"type": "lifespan.shutdown"})
    assert (await asyncio.wait_for(said.get(), 10))["type"] == "lifespan.shutdown.complete"
    await life


async def _live(app: App, heard: asyncio.Queue[Message], said: asyncio.Queue[Message]) -> None:
    await app({"type": "lifespan"}, heard.get, said.put)


def run(main: Coroutine[object, object, T]) -> T:
    return asyncio.run(main)


def test_a_poll_is_asked_voted_in_and_counted_and_is_there_after_a_restart(tmp_path: Path) -> None:
    async def first() -> str:
        async with served(tmp_path / "poll.store") as client:
            poll = await client.ask()
            for voter, choice in (("Ada", "yes"), ("Ben", "no"), ("Cleo", "yes")):
                assert (await client.vote(poll, voter, choice))[0] == 201
        return poll

    async def second(poll: str) -> object:
        async with served(tmp_path / "poll.store") as client:
            return await client.call("GET", poll)

    poll = run(first())

    assert run(second(poll)) == (200, {"question": "Tea?", "votes": {"no": 1, "yes": 2}})


def test_a_vote_that_is_repeated_counts_once_and_one_that_is_changed_is_refused(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with served(tmp_path / "poll.store") as client:
            poll = await client.ask()
            answers = await asyncio.gather(*[client.vote(poll, "Ada", "yes") for _ in range(20)])
            assert len({str(answer) for answer in answers}) == 1
            assert (await client.vote(poll, "Ada", "no"))[0] == 409
            votes = {"no": 0, "yes": 1}
            assert await client.call("GET", poll) == (200, {"question": "Tea?", "votes": votes})

    run(main())


def test_what_is_wrong_with_a_request_is_what_it_is_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path / "poll.store") as client:
            poll = await client.ask()
            wrong = {
                ("POST", "/polls", b"{"): 400,
                ("POST", "/polls", b"[" * 20_000): 400,
                ("POST", "/polls", b'{"question": "", "choices": ["a", "b"]}'): 400,
                ("POST", "/polls", b'{"question": "One?", "choices": ["a"]}'): 400,
                ("POST", f"{poll}/votes", b'{"voter": "Ada", "choice": "perhaps"}'): 400,
                ("POST", f"{poll}/votes", b'{"voter": "", "choice": "yes"}'): 400,
                ("POST", f"/polls/{uuid4()}/votes", b'{"voter": "Ada", "choice": "yes"}'): 404,
                ("GET", f"/polls/{uuid4()}", b""): 404,
                ("GET", f"/polls/{uuid4()}/votes", b""): 404,
                ("GET", "/polls/1", b""): 404,
                ("GET", "/", b""): 404,
                ("DELETE", poll, b""): 404,
            }
            found = {asked: (await client.call(*asked))[0] for asked in wrong}
            assert found == wrong

    run(main())
    with Store.open_read_only(tmp_path / "poll.store") as store:
        assert list(store.by_fact(VoteCast)) == []


def test_who_watches_gets_each_vote_once_those_of_before_and_those_to_come(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path / "poll.store") as client:
            poll, other = await client.ask(), await client.ask()
            await client.vote(poll, "Ada", "yes")
            await client.vote(other, "elsewhere", "yes")
            early = client.watch(poll)
            assert await early.voters(1) == ["Ada"]
            assert early.status == 200
            names = [f"voter {n}" for n in range(30)]
            await asyncio.gather(*[client.vote(poll, name, "no") for name in names])
            assert sorted(await early.voters(31)) == sorted(["Ada", *names])

            seen = early.sequences()
            late = client.watch(poll, last=seen[20])
            await late.voters(10)
            assert late.sequences() == seen[21:]
            strange = client.watch(poll, last=10**30)
            assert await strange.voters(31) == await early.voters(31)

    run(main())


def test_who_leaves_ends_the_stream_and_a_server_that_ends_ends_them_all(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path / "poll.store") as client:
            poll = await client.ask()
            await client.vote(poll, "Ada", "yes")
            leaves, stays, is_cut = (client.watch(poll) for _ in range(3))
            for each in (leaves, stays, is_cut):
                await each.voters(1)
            leaves.say({"type": "http.disconnect"})
            await asyncio.wait_for(leaves.task, 10)
            assert not leaves.ended
            is_cut.task.cancel()
            await asyncio.gather(is_cut.task, return_exceptions=True)
            assert is_cut.task.cancelled()
            await client.vote(poll, "Ben", "no")
            assert await stays.voters(2) == ["Ada", "Ben"]
        await asyncio.wait_for(stays.task, 10)
        assert stays.ended
        assert (await client.vote(poll, "Cleo", "no"))[0] == 503
        assert len(asyncio.all_tasks()) == 1

    run(main())


def test_a_store_that_is_held_by_another_one_is_said_when_the_server_begins(tmp_path: Path) -> None:
    async def main() -> Message:
        heard: asyncio.Queue[Message] = asyncio.Queue()
        said: asyncio.Queue[Message] = asyncio.Queue()
        heard.put_nowait({"type": "lifespan.startup"})
        await _live(App(str(tmp_path / "poll.store")), heard, said)
        return said.get_nowait()

    with Store.open(tmp_path / "poll.store"):
        message = run(main())

    assert message["type"] == "lifespan.startup.failed"
    assert "poll.store" in str(message["message"])
