"""A machine walked at random over a real store, held against its table and the fold in memory.

    a move             legal here: it is stored, and leads where the table says, with the data that
                       the fold gives; not legal here: there is no such method, and the table
                       refuses it in disguise
    repeat the move    from the handle it was made from: the same answer, and stored once
    use an old handle  another move from one is refused
    store an aside     an event that is none of the machine's counts, and changes nothing else
    reopen the store   what was stored is still there

After each the entity is loaded and compared, and nothing else has come into its stream. What the
gates say is not asked: a walk that had to please them would get nowhere. The store is a real one,
on a simulated disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, TypeVar, cast

from batpak import registry, wire
from batpak.append import Ledger
from batpak.config import StoreConfig
from batpak.edge_table import Row
from batpak.errors import BatpakError, IllegalTransition, InvalidArgument, StaleState
from batpak.guard.receipt import Receipt, mint
from batpak.kind import EventKind
from batpak.payload import EventPayload
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from batpak.typestate import Edge, G, Guarded, Handle, StateData, T, Transition

if TYPE_CHECKING:
    from hypothesis import strategies as st

K = TypeVar("K")
V = TypeVar("V")
E = TypeVar("E", bound=EventPayload)
K_contra = TypeVar("K_contra", contravariant=True)
E_contra = TypeVar("E_contra", bound=EventPayload, contravariant=True)
S_co = TypeVar("S_co", bound=Handle[Any], covariant=True)

AnyGuarded: TypeAlias = Guarded[Any, T, Any, Any]
Move: TypeAlias = Transition[Any, T, Any] | AnyGuarded[T]
"""Any move of any machine."""

STEPS_MAX: Final = 12
VARIETY: Final = 2  # events of a move in one walk: with large ones hypothesis loses its patience
_CONFIG: Final = StoreConfig(lifecycle_events=False)


class KeyedMachine(Protocol[K_contra, E_contra, S_co]):
    """A `Machine` with the three methods that know its key, as generated ones have."""

    @property
    def ledger(self) -> Ledger:
        """See `Machine.ledger`."""
        ...

    def policy(self, of: type[G]) -> G:
        """See `Machine.policy`."""
        ...

    def new(self, key: K_contra, /) -> Handle[Any]:
        """An entity that is not stored yet."""
        ...

    def load(self, key: K_contra, /) -> S_co:
        """The entity as the ledger has it now."""
        ...

    def replay(self, key: K_contra, events: Iterable[E_contra], /) -> S_co:
        """The same fold over the given events."""
        ...

    def apply(self, move: Transition[Any, T, Any], /) -> T:
        """See `Machine.apply`."""
        ...

    def commit(self, receipt: Receipt[AnyGuarded[T]], /) -> T:
        """See `Machine.commit`."""
        ...


def walk(
    data: st.DataObject,
    make: Callable[[Ledger], KeyedMachine[K, E, Handle[Any]]],
    keys: st.SearchStrategy[K],
    moves: Mapping[str, st.SearchStrategy[E]],
) -> None:
    """Walk a machine once; hypothesis says where to, and repeats it.

    Args:
        data: What `@given(st.data())` gives.
        make: Makes the machine over a ledger. Called again after each reopening.
        keys: Of entities.
        moves: Move -> events such as it makes. Their fields are the arguments of the move, by
            name; the key is that of the entity.

    Raises:
        AssertionError: The machine did what its table does not say.
    """
    one = _Walk(data, make, data.draw(keys, label="key"), moves)
    try:
        for _ in range(data.draw(_up_to(STEPS_MAX), label="steps")):
            one.step()
            one.compare()
    finally:
        one.store.close()


class _Walk(Generic[K, E]):
    """One entity: where it should be, and how it came there."""

    def __init__(
        self,
        data: st.DataObject,
        make: Callable[[Ledger], KeyedMachine[K, E, Handle[Any]]],
        key: K,
        moves: Mapping[str, st.SearchStrategy[E]],
    ) -> None:
        self.data, self.make, self.key, self.moves = data, make, key, moves
        self.platform = SimPlatform()
        self.store = Store.open("walk", _CONFIG, platform=self.platform)
        self.machine = machine = make(self.store)
        self.edges: Mapping[Row, Edge] = cast("Any", machine).EDGES
        self.here = self.machine.new(key)
        self.before: list[tuple[Handle[Any], int]] = []  # stale now; events when it was true
        self.folded = 0
        self.known: dict[str, list[E]] = {}  # move -> events that were drawn for it
        self.events: list[E] = []  # what the machine has stored
        self.last: tuple[Move[Any], Handle[Any]] | None = None  # and the handle that it gave
        self.asides = {
            "repeat the move": self.repeat,
            "use an old handle": self.stale,
            "store an aside": self.aside,
            "reopen the store": self.reopen,
        }

    def step(self) -> None:
        """Do one thing or another; rather a legal move, so that it gets somewhere."""
        legal = self.legal(self.here)
        name = self.drawn("step", [*legal, *legal, *self.moves, *self.asides])
        if name in self.asides:
            self.asides[name]()
        elif name in legal:
            self.move(name)
        else:
            self.forbid(name)

    def move(self, name: str) -> None:
        """Make a move that is legal here."""
        move = self.made(self.here, name)
        edge = self.edges.get(_row(self.here, move.event))
        if edge is None:
            raise AssertionError(f"{name}() makes {move!r}, which is not in the table")
        if isinstance(move, Guarded):
            self.refused(_disguised(self.here, move.target, move.event), IllegalTransition)
        if (defect := self.defect(move, len(self.events))) is not None:
            self.refused(move, defect)
            return
        after: Handle[Any] = self.stored(move)
        _same(f"{move!r} leads to", type(after), edge.target)
        self.events.append(move.event)
        self.last = move, after
        self.arrive(after)

    def forbid(self, name: str) -> None:
        """Try a move that is not legal here."""
        event = self.event(name)
        try:
            raise AssertionError(f"{getattr(self.here, name)} is there, and not legal")
        except IllegalTransition:
            pass
        if _row(self.here, event) not in self.edges:
            self.refused(_disguised(self.here, type(self.here), event), IllegalTransition)

    def repeat(self) -> None:
        """Make the last move again, as after an answer that got lost."""
        if self.last is not None:
            move, after = self.last
            _same(f"{move!r} made again gives", self.stored(move), after)

    def stale(self) -> None:
        """Make another move from a handle that is stale."""
        older = [pair for pair in self.before if self.legal(pair[0])]
        if not older:
            return
        old, count = self.drawn("an older handle", older)
        move = self.made(old, self.drawn("move", self.legal(old)))
        now = [*self.store.stream(old.coordinate.entity, form=wire.RAW)][old.version]
        encoded = wire.encode(move.event)
        if (now.kind, now.payload) != (encoded.kind, encoded.data):
            self.refused(move, self.defect(move, count) or StaleState)
        else:  # it is the move that was made then
            again: Handle[Any] = self.stored(move)
            _same(f"{move!r} made again has the version", again.version, old.version + 1)

    def aside(self) -> None:
        """Store an event that is none of the machine's."""
        kinds = (EventKind.custom(0xF, 0xFFF - back) for back in range(0x1000))
        free = next(kind for kind in kinds if registry.lookup(kind) is None)
        self.store.append_raw(self.here.coordinate, free, b"\xc0")
        self.arrive(self.machine.load(self.key))

    def reopen(self) -> None:
        """Close the store and open it again. Handles live on: they hold no store."""
        self.store.close()
        self.store = Store.open("walk", _CONFIG, platform=self.platform)
        self.machine = self.make(self.store)

    def compare(self) -> None:
        """Hold the store against what should be in it."""
        loaded, folded = self.machine.load(self.key), self.machine.replay(self.key, self.events)
        _same("load gives", loaded, self.here)
        _same("the fold gives", (type(folded), folded.data), (type(loaded), loaded.data))
        _same("its version is", loaded.version, len(self.before))
        _same("in its stream are", self.store.version(self.here.coordinate.entity), loaded.version)

    # ----------------------------------------------------------------------------------- how

    def legal(self, handle: Handle[Any]) -> list[str]:
        """The moves that a handle has."""
        return [name for name in self.moves if hasattr(handle, name)]

    def event(self, name: str) -> E:
        """An event such as a move makes: one of those that were drawn before, or a new one."""
        from hypothesis import strategies as st

        known = self.known.setdefault(name, [])
        place = self.data.draw(st.integers(0, min(len(known), VARIETY - 1)), label=f"which {name}")
        if place == len(known):
            known.append(self.data.draw(self.moves[name], label=name))
        return known[place]

    def drawn(self, label: str, among: Sequence[V]) -> V:
        """One of several."""
        from hypothesis import strategies as st

        return self.data.draw(st.sampled_from(among), label=label)

    def defect(self, move: Move[Any], count: int) -> type[Exception] | None:
        """What the step of a move raises, after so many events: its gates may see to that."""
        try:
            self.machine.replay(self.key, [*self.events[:count], move.event])
        except BatpakError:
            raise
        except Exception as error:  # noqa: BLE001  it is the user's
            return type(error)
        return None

    def arrive(self, handle: Handle[Any]) -> None:
        """Go on from another handle."""
        self.before.append((self.here, self.folded))
        self.here, self.folded = handle, len(self.events)

    def made(self, handle: Handle[Any], name: str) -> Move[Any]:
        """A move from a handle, its arguments from an event that is drawn."""
        event, method = self.event(name), getattr(handle, name)
        names = signature(method).parameters
        missing = [name for name in names if name not in event.__struct_fields__]
        if missing:
            of = type(event).__name__
            raise InvalidArgument("moves", f"{name}() takes {missing[0]}, which {of} does not have")
        move: Move[Any] = method(**{name: getattr(event, name) for name in names})
        return move

    def stored(self, move: Move[T]) -> T:
        """Store a move, as if its gates had permitted it."""
        if not isinstance(move, Guarded):
            return self.machine.apply(move)
        policy = self.machine.policy(move.policy)
        encoded = wire.encode(move.event)
        return self.machine.commit(mint(move, encoded, policy.jury))

    def refused(self, move: Move[Any], error: type[Exception]) -> None:
        """Make sure that a move is refused; `compare` makes sure that nothing was stored."""
        try:
            self.stored(move)
        except error:
            return
        raise AssertionError(f"{move!r} was stored, where {error.__name__} was due")


def _row(handle: Handle[Any], event: EventPayload) -> Row:
    state: StateData = handle.data
    return type(state), type(event)


def _disguised(handle: Any, target: type[T], event: EventPayload) -> Transition[Any, T, Any]:  # noqa: ANN401  its protected method is called
    """A plain move, whatever the table says."""
    move: Transition[Any, T, Any] = handle._move(target, event)
    return move


def _up_to(most: int) -> st.SearchStrategy[int]:
    from hypothesis import strategies as st

    return st.integers(1, most)


def _same(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise AssertionError(f"{what} {got!r}, not {wanted!r}")
