"""What a user writes. What a mark with a plus says comes with the growth."""

from __future__ import annotations

from typing import assert_never, final

from batpak import Ledger, Store, StoredEvent, override
from fair.gen.stalls import StallEvent, StallPitched, StallStruck
from fair.gen.stalls.handlers import StallHandler, StallListener
from fair.gen.stalls.projections import TakingsProjection, TakingsState
from fair.gen.stalls.stall_machine import EmptyStall, OpenStall, StallMachine, StallState, StruckStall
from fair.gen.stalls.testing import StallScenario
from fair.stalls_hooks import Hooks

#+ from fair.gen.stalls import StallRobbed
#+ from fair.gen.stalls.stall_machine import RobbedStall


def describe(stall: StallState) -> str:
    match stall:
        case EmptyStall():
            return "a pitch"
        case OpenStall(data=data):
            return data.goods
        case StruckStall():
            return "gone"
        #+ case RobbedStall():
        #+     return "robbed"
        case _:
            assert_never(stall)  # +: arg-type | reportArgumentType


def is_over(event: StallEvent) -> bool:
    match event:
        case StallPitched():
            return False
        case StallStruck():
            return True
        #+ case StallRobbed():
        #+     return True
        case _:
            assert_never(event)  # +: arg-type | reportArgumentType


def struck(event: StallEvent) -> StallStruck | None:
    if isinstance(event, StallPitched):
        return None
    #+ if isinstance(event, StallRobbed):
    #+     return None
    return event  # +: return-value | reportReturnType


@final
class Diary(StallHandler[str]):  # +: misc | reportGeneralTypeIssues
    @override
    def on_stall_pitched(self, event: StoredEvent[StallPitched], /) -> str:
        return event.payload.goods

    @override
    def on_stall_struck(self, event: StoredEvent[StallStruck], /) -> str:
        return "the end"

    #+ @override
    #+ def on_stall_robbed(self, event: StoredEvent[StallRobbed], /) -> str:
    #+     return f"{event.payload.taken} pieces"


@final
class Broom(StallListener):
    """Has opted out: what is new does not concern it."""

    @override
    def on_stall_struck(self, event: StoredEvent[StallStruck], /) -> None:
        print("swept")


@final
class Takings(TakingsProjection):  # +: misc | reportGeneralTypeIssues
    @override
    def on_stall_pitched(self, state: TakingsState, event: StoredEvent[StallPitched], /) -> TakingsState:
        return TakingsState(pieces=state.pieces + 3)

    #+ @override
    #+ def on_stall_robbed(self, state: TakingsState, event: StoredEvent[StallRobbed], /) -> TakingsState:
    #+     return TakingsState(pieces=state.pieces - event.payload.taken)


def taken(store: Store) -> TakingsState | None:
    return store.project(Takings(), "stall:1")  # +: abstract | reportAbstractUsage


def opened(ledger: Ledger) -> StallMachine:
    return StallMachine(ledger, Hooks())  # +: abstract | reportAbstractUsage


def read(event: StoredEvent[StallEvent]) -> str:
    Broom().dispatch(event)
    return Diary().dispatch(event)  # +: abstract | reportAbstractUsage


def tested() -> StallScenario:
    return StallScenario(Hooks())  # +: abstract | reportAbstractUsage
