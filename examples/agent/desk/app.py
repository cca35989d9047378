"""Teaches: gates in front of an agent's tools, and a log that proves to others what was refused.

Run it: `python -m desk.app`. The agent follows a script; put a model in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from batpak import (
    AppendReceipt,
    Coordinate,
    Denial,
    Pipeline,
    Proposal,
    SigningKey,
    Store,
    StoreConfig,
    StoreReader,
    new_id,
)
from desk.calls_hooks import Hooks
from desk.check import check
from desk.gen.calls import CallAnswered, CallAsked, CallId, Tool
from desk.gen.calls.contexts import Session
from desk.gen.calls.policies import CallPolicy
from desk.tools import use

CALLS: Final = Pipeline(CallPolicy(Hooks()), max_age_s=30)
"""The only way to a tool."""

OUTPUT_MAX: Final = 10_000  # as the schema says


@dataclass(frozen=True)
class Refused:
    """A call that was not made: why, and the receipt of that."""

    denial: Denial
    receipt: AppendReceipt


@dataclass(frozen=True)
class Desk:
    """One session of an agent: its folder, its tools, its log."""

    store: Store
    folder: Path
    name: str
    allowed: frozenset[Tool]
    calls_max: int

    @property
    def place(self) -> Coordinate:
        """Where the calls of this session are."""
        return Coordinate(f"session:{self.name}", "desk.calls")

    def call(self, tool: Tool, target: str, content: str | None = None) -> str | Refused:
        """Use a tool if the policy permits it; return what it said.

        What was permitted is stored before it is done, and what came of it after. So a call without
        an answer is one in which the process died: nobody knows whether it was done.

        A refusal is stored too. With a signer in the config its receipt is signed.

        Raises:
            VersionConflict: Somebody else has used a tool of this session in between.
        """
        version = self.store.version(self.place.entity)
        asked = sum(1 for _ in calls(self.store, self.name))
        session = Session(allowed=self.allowed, calls=asked, calls_max=self.calls_max)
        call = CallAsked(call_id=new_id(CallId), tool=tool, target=target, content=content)
        verdict = CALLS.evaluate(session, Proposal(call))
        if isinstance(verdict, Denial):
            receipt = self.store.append_denial(self.place, verdict, pipeline=self.name)
            return Refused(verdict, receipt)
        done = CALLS.commit(verdict, self.store, self.place, expected_version=version)
        try:
            ok, output = True, use(self.folder, done.event)[:OUTPUT_MAX]
        except OSError as error:
            ok, output = False, f"{type(error).__name__}: {error.strerror or error}"
        answer = CallAnswered(call_id=call.call_id, ok=ok, output=output)
        self.store.append(self.place, answer, caused_by=done.receipt)
        return output


# ------------------------------------------------------------------------- looking at the log


def calls(store: StoreReader, name: str) -> Iterator[CallAsked]:
    """Return the calls of a session that were permitted, oldest first."""
    for event in store.stream(f"session:{name}"):
        if isinstance(event.payload, CallAsked):
            yield event.payload


def unanswered(store: StoreReader, name: str) -> list[CallAsked]:
    """Return the calls that were begun, and of which nobody knows the end. Ask a person."""
    answered = {
        event.payload.call_id
        for event in store.stream(f"session:{name}")
        if isinstance(event.payload, CallAnswered)
    }
    return [call for call in calls(store, name) if call.call_id not in answered]


def export(store: Store, receipt: AppendReceipt, folder: Path) -> None:
    """Write what a third party needs to believe in one event: its receipt, and its proof."""
    (folder / f"{receipt.sequence}.receipt").write_bytes(receipt.to_bytes())
    (folder / f"{receipt.sequence}.proof").write_bytes(store.prove(receipt).to_bytes())


# -------------------------------------------------------------------------------------- a story

SCRIPT: Final = (
    (Tool.LIST, ".", None),
    (Tool.READ, "task.txt", None),
    (Tool.READ, "../secrets.txt", None),
    (Tool.DELETE, "task.txt", None),
    (Tool.WRITE, "answer.txt", "42"),
    (Tool.READ, "missing.txt", None),
    (Tool.LIST, ".", None),
)


def tell(home: Path, key: SigningKey) -> list[str]:
    """Let the agent follow its script; return what came of it, and what a stranger believes."""
    folder, evidence = home / "agent", home / "evidence"
    folder.mkdir()
    evidence.mkdir()
    (folder / "task.txt").write_text("What is six times seven?", encoding="utf-8")
    allowed = frozenset({Tool.LIST, Tool.READ, Tool.WRITE})
    said: list[str] = []
    with Store.open(home / "desk.store", StoreConfig(signer=key)) as store:
        desk = Desk(store, folder, "monday", allowed, calls_max=4)
        for tool, target, content in SCRIPT:
            answer = desk.call(tool, target, content)
            if isinstance(answer, Refused):
                said.append(f"{tool.value} {target}: refused, {answer.denial.code}")
                export(store, answer.receipt, evidence)
            else:
                said.append(f"{tool.value} {target}: {' '.join(answer.split())}")
        said.append(f"calls without an answer: {len(unanswered(store, 'monday'))}")
    return [*said, "", "a third party, with the public key:", *check(evidence, key.public)]


def main() -> None:
    """Tell the story in a folder that is gone afterwards."""
    with TemporaryDirectory(prefix="batpak-desk-") as home:
        print(*tell(Path(home), SigningKey.generate()), sep="\n")


if __name__ == "__main__":
    main()
