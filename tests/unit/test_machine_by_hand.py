"""A machine written by hand says what cannot be derived, and its table is checked when it is made.

Without this, a hand-written machine would have to repeat what its classes say already, and a row
that leads nowhere would be found by the first entity that takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NewType, TypeAlias, cast, final
from uuid import UUID

import pytest

from batpak import (
    EventKind,
    EventPayload,
    GateSet,
    Guarded,
    Handle,
    IllegalTransition,
    InvalidArgument,
    InvalidKind,
    Ledger,
    Machine,
    StateData,
    Transition,
    edge,
    edges,
)
from batpak.system import CloseCompleted
from batpak.testing import MemoryLedger, sample

LampId = NewType("LampId", int)
LAMP = LampId(7)


class LampLit(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x331)
    VERSION: ClassVar[int] = 1

    watts: int


class LampOut(EventPayload, frozen=True, kw_only=True):
    KIND: ClassVar[EventKind] = EventKind.custom(0xE, 0x332)
    VERSION: ClassVar[int] = 1


@final
class Dark(StateData, frozen=True, kw_only=True):
    lamp: LampId


@final
class Lit(StateData, frozen=True, kw_only=True, tag="LIT"):
    lamp: LampId
    watts: int


@final
class LampGates(GateSet[None, Dark, LampLit]):
    pass


class DarkLamp(Handle[Dark]):
    __slots__ = ()

    def light(self, *, watts: int) -> Transition[DarkLamp, LitLamp, LampLit]:
        return self._move(LitLamp, LampLit(watts=watts))

    def glow(self) -> Guarded[DarkLamp, LitLamp, LampLit, LampGates]:
        return self._guarded(LitLamp, LampLit(watts=1), LampGates)

    def _hidden(self) -> None: ...


class LitLamp(Handle[Lit]):
    __slots__ = ()

    def put_out(self) -> Transition[LitLamp, DarkLamp, LampOut]:
        return self._move(DarkLamp, LampOut())

    def light(self, *, watts: int) -> Transition[LitLamp, LitLamp, LampLit]:
        return self._move(LitLamp, LampLit(watts=watts))


def light(state: Dark | Lit, event: LampLit) -> Lit:
    return Lit(lamp=state.lamp, watts=event.watts)


def put_out(state: Lit, _: LampOut) -> Dark:
    return Dark(lamp=state.lamp)


LampState: TypeAlias = DarkLamp | LitLamp


class LampMachine(Machine[LampState]):
    NAME = "house.Lamp"
    SCOPE = "house"
    ENTITY = "lamp"
    EDGES = edges(
        edge(Dark, LampLit, LitLamp, light),
        edge(Lit, LampLit, LitLamp, light),
        edge(Lit, LampOut, DarkLamp, put_out),
    )

    def new(self, lamp: LampId) -> DarkLamp:
        return self._fresh(lamp, DarkLamp, Dark(lamp=lamp))

    def load(self, lamp: LampId) -> LampState:
        return self._load(lamp, Dark(lamp=lamp))


def test_a_handle_takes_its_data_and_its_state_from_the_brackets() -> None:
    assert DarkLamp.DATA is Dark
    assert DarkLamp.STATE == "Dark"
    assert LitLamp.DATA is Lit
    assert LitLamp.STATE == "LIT"


def test_what_a_handle_says_itself_stands() -> None:
    class Other(Handle[Lit]):
        STATE: ClassVar[str] = "Glowing"
        MOVES: ClassVar[Mapping[str, str]] = {"dim": "DimLamp"}
        __slots__ = ()

    class Others(Machine[Other]):
        KINDS: ClassVar[frozenset[EventKind]] = frozenset()
        EDGES = edges(edge(Lit, LampLit, LitLamp, light))

    assert Other.STATE == "Glowing"
    assert Other.MOVES == {"dim": "DimLamp"}
    assert frozenset() == Others.KINDS


def test_a_machine_takes_its_handles_from_the_brackets_and_its_kinds_from_the_table() -> None:
    assert dict(LampMachine.HANDLES) == {Dark: DarkLamp, Lit: LitLamp}
    assert {LampLit.KIND, LampOut.KIND} == LampMachine.KINDS


@pytest.mark.parametrize("name", ["NAME", "SCOPE", "ENTITY", "EDGES", "HANDLES"])
def test_a_machine_that_leaves_out_what_it_has_to_say_is_not_made(name: str) -> None:
    told = {one: getattr(LampMachine, one) for one in ("NAME", "SCOPE", "ENTITY", "EDGES")}
    told["HANDLES"] = LampMachine.HANDLES
    del told[name]
    silent = type("Silent", (Machine,), told)

    with pytest.raises(InvalidArgument, match=f"{name}: Silent does not say it"):
        silent(MemoryLedger())


def test_a_machine_takes_one_of_each_policy() -> None:
    with pytest.raises(InvalidArgument, match=r"policies: house\.Lamp: there are two LampGates"):
        LampMachine(MemoryLedger(), policies=(LampGates(), LampGates()))


def test_a_machine_of_one_state_needs_no_union() -> None:
    class Eternal(Machine[LitLamp]):
        NAME, SCOPE, ENTITY = "house.Eternal", "house", "flame"
        EDGES = edges(edge(Lit, LampLit, LitLamp, light))

    assert dict(Eternal.HANDLES) == {Lit: LitLamp}


def test_what_a_subclass_does_not_say_again_it_inherits() -> None:
    class Other(LampMachine):
        NAME = "house.Other"

    assert Other.HANDLES is LampMachine.HANDLES
    assert Other.KINDS is LampMachine.KINDS


def test_its_moves_are_stored_and_loaded() -> None:
    lamps = LampMachine(MemoryLedger())

    lit = lamps.apply(lamps.new(LAMP).light(watts=40))
    brighter = lamps.apply(lit.light(watts=60))

    assert lamps.load(LAMP) == brighter
    assert (brighter.version, brighter.data) == (2, Lit(lamp=LAMP, watts=60))
    assert brighter.coordinate.entity == "lamp:7"
    assert lamps.apply(brighter.put_out()).data == Dark(lamp=LAMP)


def test_a_move_that_is_not_legal_says_where_it_is() -> None:
    dark: Any = LampMachine(MemoryLedger()).new(LAMP)

    with pytest.raises(
        IllegalTransition, match=r"^put_out\(\) is legal from LitLamp only; this is DarkLamp$"
    ):
        dark.put_out()
    assert dark.MOVES["light"] == "DarkLamp or LitLamp"
    assert "_hidden" not in dark.MOVES
    with pytest.raises(AttributeError, match="no attribute 'dim'"):
        dark.dim()


def test_a_guarded_move_that_the_table_lets_pass_without_gates_needs_none() -> None:
    lamps = LampMachine(MemoryLedger())
    guarded: Any = lamps.new(LAMP).glow()

    with pytest.raises(InvalidArgument, match=r"house\.Lamp does not ask a LampGates"):
        lamps.policy(guarded.policy)
    receipt: Any = LampGates().evaluate(None, guarded)
    with pytest.raises(IllegalTransition, match=r"DarkLamp \+ LampLit needs no receipt"):
        lamps.commit(receipt)


def test_two_rows_that_begin_alike_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"there are two rows for Lit \+ LampOut"):
        edges(edge(Lit, LampOut, DarkLamp, put_out), edge(Lit, LampOut, DarkLamp, put_out))


def test_a_row_that_leads_out_of_the_machine_is_refused_when_it_is_made() -> None:
    class Half(Machine[DarkLamp]):
        NAME, SCOPE, ENTITY = "house.Half", "house", "half"
        EDGES = edges(edge(Dark, LampLit, LitLamp, light))

    class Other(Machine[LitLamp]):
        NAME, SCOPE, ENTITY = "house.Other", "house", "other"
        EDGES = edges(edge(Dark, LampLit, LitLamp, light))

    for cls in (Half, Other):
        with pytest.raises(InvalidArgument, match=r"Dark \+ LampLit -> LitLamp leads out of the"):
            cls(MemoryLedger())


def test_an_edge_needs_a_step_and_its_policy_an_instance() -> None:
    class Gated(LampMachine):
        EDGES = edges(edge(Dark, LampLit, LitLamp, light, LampGates))

    class Stepless(LampMachine):
        EDGES = edges(edge(Dark, LampLit, LitLamp, cast("Any", None)))

    gates = LampGates()

    with pytest.raises(InvalidArgument, match="LampGates is missing"):
        Gated(MemoryLedger())
    assert Gated(MemoryLedger(), policies=[gates]).policy(LampGates) is gates
    with pytest.raises(InvalidArgument, match=r"Dark \+ LampLit has none"):
        Stepless(MemoryLedger())
    assert Stepless(MemoryLedger(), {(Dark, LampLit): light}).new(LAMP).version == 0


def test_an_event_of_the_library_is_no_move_of_anybodys() -> None:
    class Forged(LampMachine):
        EDGES = edges(edge(Dark, CloseCompleted, DarkLamp, lambda state, _: state))

    forged = Forged(MemoryLedger())
    dark: Any = forged.new(LAMP)

    with pytest.raises(InvalidKind):
        forged.apply(dark._move(DarkLamp, sample(CloseCompleted)))


def test_a_machine_says_what_it_writes_to() -> None:
    ledger: Ledger = MemoryLedger()

    assert LampMachine(ledger).ledger is ledger


def test_the_table_of_a_machine_cannot_be_changed() -> None:
    table: Any = LampMachine.EDGES

    with pytest.raises(TypeError):
        table[Dark, LampOut] = None
    assert UUID(int=0) not in table


@pytest.mark.parametrize("key", [None, True, 1.5, b"1"])
def test_without_a_field_for_it_a_key_is_still_a_uuid_text_or_an_integer(key: object) -> None:
    lamps: Any = LampMachine(MemoryLedger())

    with pytest.raises(InvalidArgument, match="named by a UUID or str or int"):
        lamps.load(key)


@pytest.mark.parametrize(
    ("key", "entity"), [("a-1", "lamp:a-1"), (12, "lamp:12"), (UUID(int=15), f"lamp:{15:032x}")]
)
def test_a_key_is_spelled_as_it_is_in_decimal_or_in_hex(key: object, entity: str) -> None:
    lamps: Any = LampMachine(MemoryLedger())

    assert lamps.load(key).coordinate.entity == entity
