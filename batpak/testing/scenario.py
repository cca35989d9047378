"""Scenarios: the tests of one machine, for whoever knows how to make it.

Generated code has one for every machine (`OrderScenario`). A machine written by hand gets one by
subclassing `Scenario` in the same way:

    class DoorScenario(Scenario[DoorId, DoorEvent, DoorState]):
        def machine(self, ledger: Ledger) -> DoorMachine:
            return DoorMachine(ledger)
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

from batpak.append import Ledger
from batpak.payload import EventPayload
from batpak.testing.given import Given
from batpak.testing.ledger import MemoryLedger
from batpak.testing.walk import KeyedMachine, walk
from batpak.typestate import Handle, StateData

if TYPE_CHECKING:
    from hypothesis import strategies as st

K = TypeVar("K")
E = TypeVar("E", bound=EventPayload)
S = TypeVar("S", bound=Handle[StateData])


class Scenario(ABC, Generic[K, E, S]):
    """The tests of one machine: `K` is its key, `E` the union of its events, `S` of its handles."""

    @abstractmethod
    def machine(self, ledger: Ledger) -> KeyedMachine[K, E, S]:
        """Make the machine."""

    @abstractmethod
    def keys(self) -> st.SearchStrategy[K]:
        """Keys of entities."""

    @abstractmethod
    def moves(self) -> Mapping[str, st.SearchStrategy[E]]:
        """Move -> events such as it makes. Their fields are the arguments of the move."""

    def given(self, key: K, /, *events: E) -> Given[S]:
        """A history of one entity, in a ledger of its own.

        Raises:
            PayloadInvalid: An event that no store would have taken.
            IllegalHistory: The events are no walk of the machine.
        """
        ledger = MemoryLedger()
        machine = self.machine(ledger)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # histories have old events
            for event in events:
                ledger.append(machine.new(key).coordinate, event)
        return Given(machine, machine.load(key))

    def walk(self, data: st.DataObject) -> None:
        """Walk the machine at random over a real store, and hold it against the fold in memory.

            @given(st.data())
            def test_it_walks_as_its_table_says(data: st.DataObject) -> None:
                OrderScenario(Hooks()).walk(data)

        Raises:
            AssertionError: The machine did what its table does not say.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it walks old ways too
            walk(data, self.machine, *self._drawn)

    @cached_property
    def _drawn(self) -> tuple[st.SearchStrategy[K], Mapping[str, st.SearchStrategy[E]]]:
        """What a walk draws from; making a strategy anew costs more than drawing from it."""
        return self.keys(), self.moves()
