"""What generated tests hold a package to: its events survive, its tables are what was declared.

Generated test files are thin; what they mean is here. A breach is an AssertionError that names
what broke.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import isabstract, signature
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest import SkipTest

import msgspec

from batpak import registry, wire
from batpak.errors import PayloadInvalid
from batpak.event import P
from batpak.guard.gates import C, D, GateSet
from batpak.kind import EventKind
from batpak.machine import Machine
from batpak.payload import EventPayload
from batpak.wire import DICT

V = TypeVar("V")

_LINE: Final = re.compile(
    r"(?P<kind>0x[0-9a-fA-F]{4}) (?P<version>\d+)\.(?P<revision>\d+) (?P<hex>([0-9a-f]{2})+)"
)


def survives(event: EventPayload) -> None:
    """Hold an event to the promise that what is accepted is read back as it was.

    Raises:
        AssertionError: An append would refuse it, or its bytes decode to another value, or that
            value has other bytes.
    """
    try:
        stored = _encoded(event)
    except PayloadInvalid as error:
        raise AssertionError(f"an append refuses {event!r}: {error}") from error
    again = wire.decode(stored.kind, stored.version, stored.data)
    if type(again) is not type(event) or again != event:
        raise AssertionError(f"{event!r} is read back as {again!r}")
    twice = _encoded(again).data
    if twice != stored.data:
        raise AssertionError(f"{event!r} is stored as {stored.data!r}, then as {twice!r}")


def _encoded(event: EventPayload) -> wire.Encoded:
    """Encode an event; one that is deprecated has to survive as well as any other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return wire.encode(event)


def edges(machine: type[Machine[Any]]) -> set[tuple[str, str, str]]:
    """The table that a machine runs by: state, event, state."""
    return {
        (state.__name__, event.__name__, edge.target.STATE)
        for (state, event), edge in machine.EDGES.items()
    }


def answers(gates: GateSet[C, D, P], gate: str, expected: str, ctx: C, state: D, event: P) -> None:
    """Hold one gate of a set to an example of its schema. Other gates may say what they like.

    Args:
        gates: The set, as a move or a policy has it.
        gate: The name of the gate.
        expected: `permit`, or the code of a denial.
        ctx: What the set looks up; None if there is nothing.
        state: State data; None for a set that is no machine's.
        event: What is judged.

    Raises:
        AssertionError: It answers something else, it failed, or the set does not have it.
    """
    if gate not in gates.names:
        raise AssertionError(f"{type(gates).__name__} has no gate {gate!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        denials = {denial.gate: denial for denial in gates.evaluate_all(ctx, state, event)}
    denial = denials.get(gate)
    answer = "permit" if denial is None else denial.code
    if answer != expected:
        defect = None if denial is None else denial.defect
        said = f"{gate}: expected {expected}, {type(gates).__name__} answers {answer}"
        raise AssertionError(f"{said} to {event!r} in {state!r} with {ctx!r}") from defect


def implemented(module: str, base: Callable[..., V]) -> V:
    """What a user's module has made of an abstract class: its hooks, for a machine under test.

    Args:
        module: As it is imported: `shop.orders_hooks`.
        base: `OrdersHooks`. Not a `type[V]`: mypy takes no abstract class for one.

    Raises:
        AssertionError: The module has none that is whole, or several.
        SkipTest: It cannot be made without arguments; tests of the user's own can make it.
    """
    abstract: Any = base
    found = [
        cls
        for cls in vars(import_module(module)).values()
        if isinstance(cls, type) and issubclass(cls, abstract) and cls.__module__ == module
    ]
    whole: list[Callable[..., V]] = [cls for cls in found if not isabstract(cls)]
    if len(whole) != 1:
        raise AssertionError(f"{module} has {len(whole)} whole subclasses of {abstract.__name__}")
    try:
        signature(whole[0]).bind()
    except TypeError as error:
        raise SkipTest(f"{module}: {whole[0].__name__}: {error}") from None
    return whole[0]()


def registered(kinds: Mapping[int, tuple[str, str, int]], package: str) -> set[str]:
    """The events of a package, each of them held to the kind that the table gives it.

    Args:
        kinds: `KINDS` of the generated registry.
        package: The generated package: `shop.gen.orders`.

    Raises:
        AssertionError: A kind of the table belongs to another class than the table says.
    """
    found: set[str] = set()
    for kind, (module, name, version) in kinds.items():
        if module != f"{package}.events":
            continue
        cls: type[EventPayload] = getattr(import_module(module), name)
        entry = registry.lookup(kind)
        if entry is None or entry.cls != cls or (kind, version) != (cls.KIND, cls.VERSION):
            raise AssertionError(f"kind 0x{kind:04x} is not {name} version {version}")
        if name in found:
            raise AssertionError(f"{name} has two kinds")
        found.add(name)
    return found


class Frozen(msgspec.Struct, frozen=True):
    """A payload as it was stored when its shape was frozen."""

    kind: EventKind
    version: int
    revision: int
    data: bytes

    @property
    def label(self) -> str:
        """How a test names it: `0x2001-3.1`."""
        return f"0x{self.kind:04x}-{self.version}.{self.revision}"


def frozen(test: str) -> tuple[Frozen, ...]:
    """Return the payloads in the `.frozen` file of a generated test; without one, none.

    Args:
        test: `__file__` of the test: `…/test_shop_orders.py` belongs to `…/shop_orders.frozen`.

    Raises:
        ValueError: A line that is none of ours.
    """
    path = Path(test)
    path = path.with_name(path.stem.removeprefix("test_") + ".frozen")
    if not path.is_file():
        return ()
    found: list[Frozen] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise ValueError(f"{path.name}:{number}: not `kind version.revision hex`")
        kind = EventKind.from_wire(int(match["kind"], 16))
        version, revision = int(match["version"]), int(match["revision"])
        found.append(Frozen(kind, version, revision, bytes.fromhex(match["hex"])))
    return tuple(found)


def still_reads(old: Frozen, kinds: Mapping[int, tuple[str, str, int]]) -> None:
    """Hold frozen bytes to the promise that they stay readable.

    Raises:
        AssertionError: They do not become the current version; or, if the event is retired, plain
            values.
        BatpakError: They cannot be read at all.
    """
    if old.kind not in kinds:
        wire.decoder(old.kind, old.version, DICT, None)(old.data)
        return
    event = wire.decode(old.kind, old.version, old.data)
    current = kinds[old.kind][2]
    if (old.kind, current) != (event.KIND, event.VERSION):
        raise AssertionError(f"{old.label} is read as {event!r}, not as version {current}")
