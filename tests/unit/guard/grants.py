"""A small domain outside of machines: money is granted, if the budget has it and nobody minds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, final

from msgspec import Struct

from batpak import abi
from batpak.abi import Rule
from batpak.coordinate import Coordinate
from batpak.guard.gates import GateSet
from batpak.guard.verdict import PERMIT, Denial, Verdict
from batpak.kind import EventKind
from batpak.payload import EventPayload


@final
class Granted(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x1A1)
    VERSION: ClassVar[int] = 1

    to: str
    amount: int
    labels: Mapping[str, str]  # what a caller can still change after it was judged


@abi.check_for(Granted)
def check_granted(value: Granted, problems: abi.Problems) -> None:
    if not abi.is_text(value.to, 1, 50):
        problems.add("$.to", value.to, "text of 1..50 characters")
    if not abi.is_int(value.amount, 0, 1_000_000):
        problems.add("$.amount", value.amount, "an integer in 0..1000000")
    if not abi.is_map(value.labels):
        problems.add("$.labels", value.labels, "a dict with text keys")
    else:
        for key, label in value.labels.items():
            if not abi.is_text(label):
                problems.add(f"$.labels[{key!r}]", label, "text")


@final
class Withdrawn(EventPayload, frozen=True, kw_only=True, gc=False):
    """Looks like `Granted` to a gate that looks at amounts only."""

    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x1A2)
    VERSION: ClassVar[int] = 1

    to: str
    amount: int


@final
class Budget(Struct, frozen=True, kw_only=True):
    left: int
    unwelcome: frozenset[str] = frozenset()


def judge_positive(_ctx: object, _state: object, event: Granted) -> Verdict:
    return PERMIT if event.amount > 0 else Denial("positive", "NOTHING", "nothing to grant")


def judge_affordable(ctx: Budget, _state: object, event: Granted) -> Verdict:
    if event.amount <= ctx.left:
        return PERMIT
    return Denial("affordable", "TOO_MUCH", f"{event.amount} of {ctx.left}")


@final
class Welcome:
    """A gate that is a class of its own."""

    name = "welcome"

    def judge(self, ctx: Budget, state: None, event: Granted, /) -> Verdict:
        del state
        if event.to in ctx.unwelcome:
            return Denial("welcome", "UNWELCOME", f"not {event.to}").with_context(asked=event.to)
        return PERMIT


POSITIVE: Final = Rule("positive", judge_positive, source="event.amount > 0", codes=("NOTHING",))
AFFORDABLE: Final = Rule(
    "affordable", judge_affordable, source="event.amount <= ctx.left", codes=("TOO_MUCH",)
)
WELCOME: Final = Welcome()


@final
class GrantPolicy(GateSet[Budget, None, Granted]):
    POLICY: ClassVar[str] = "test.grants.GrantPolicy"

    def __init__(self) -> None:
        super().__init__(POSITIVE, AFFORDABLE, WELCOME)


@dataclass(frozen=True)
class Incident:
    """Why no gate is asked."""

    reason: str = "outage"
    justification: str = "INC-4711: the budget service is down"


ADA: Final = Coordinate("grant:ada", "acme")
BUDGET: Final = Budget(left=100, unwelcome=frozenset({"eve"}))


def granted(amount: int = 40, to: str = "ada", labels: Mapping[str, str] | None = None) -> Granted:
    return Granted(to=to, amount=amount, labels={"for": "tea"} if labels is None else labels)
