"""Gates: pure questions about a move, asked in order. Whatever is not a yes is a no.

A set of gates is a policy. Its fingerprint covers the policy's name and every gate's name, source
and codes, in order, so a receipt from a thinner or reordered set does not pass for one of this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import localcontext
from typing import Any, Final, Generic, Protocol, Self, TypeAlias, TypeVar, cast, final

from msgspec.structs import replace

from batpak import wire
from batpak.errors import InvalidArgument
from batpak.event import P
from batpak.exact import EXACT
from batpak.guard.receipt import Receipt, mint
from batpak.guard.verdict import (
    GATE_DEFECT,
    PERMIT,
    Denial,
    GateAnswer,
    GateEvaluation,
    Verdict,
)
from batpak.ids import operation_key
from batpak.payload import EventPayload
from batpak.typestate import F, Guarded, Policy, T

C = TypeVar("C")
D = TypeVar("D")
C_contra = TypeVar("C_contra", contravariant=True)
D_contra = TypeVar("D_contra", contravariant=True)
P_contra = TypeVar("P_contra", bound=EventPayload, contravariant=True)

_NAME: Final = re.compile(r"[ -~]{1,128}")


class Gate(Protocol[C_contra, D_contra, P_contra]):
    """A pure question about context, state data and event: no clock, no I/O."""

    @property
    def name(self) -> str:
        """1..128 printable ASCII characters, unique in its set."""
        ...

    def judge(self, ctx: C_contra, state: D_contra, event: P_contra, /) -> Verdict:
        """`PERMIT` or a `Denial`. Anything else, an exception included, denies."""
        ...


@final
class Rule(Generic[C_contra, D_contra, P_contra]):
    """One gate made from a function; for generated code."""

    __slots__ = ("_exact", "_judge", "codes", "name", "source")

    def __init__(
        self,
        name: str,
        judge: Callable[[C_contra, D_contra, P_contra], Verdict],
        *,
        source: str,
        codes: Iterable[str],
        exact: bool = False,
    ) -> None:
        """Make a gate.

        Args:
            name: In messages and traces.
            judge: Pure.
            source: What the schema says, normalised; part of the policy's fingerprint.
            codes: Every code it can deny with; part of the fingerprint too.
            exact: It does decimal arithmetic: run it with 100 digits, and trap inexact results.
        """
        self.name: Final = name
        self.source: Final = source
        self.codes: Final = tuple(codes)
        self._judge = judge
        self._exact = exact

    def judge(self, ctx: C_contra, state: D_contra, event: P_contra, /) -> Verdict:
        """Ask the function."""
        if not self._exact:
            return self._judge(ctx, state, event)
        with localcontext(EXACT):
            return self._judge(ctx, state, event)


class GateSet(Policy, Generic[C, D, P]):
    """Ordered gates over one context, one state and one event. One subclass per policy.

    Immutable and safe to share between threads.
    """

    def __init__(self, *gates: Gate[C, D, P]) -> None:
        """Take the gates in the order in which they are to be asked.

        Raises:
            InvalidArgument: Two gates have one name, or a name is not 1..128 printable ASCII.
        """
        names = tuple(gate.name for gate in gates)
        for place, name in enumerate(names):
            if not _NAME.fullmatch(name):
                raise InvalidArgument("gates", f"{name!r} is not 1..128 printable ASCII characters")
            if name in names[:place]:
                raise InvalidArgument("gates", f"there are two gates {name!r}")
        self._gates: Final = gates
        self._names: Final = names
        self._fingerprint: Final = _fingerprint(_policy(type(self)), gates)

    @property
    def names(self) -> tuple[str, ...]:
        """The gates, in the order they are asked."""
        return self._names

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that stand for this policy: its name and all its gates, in order."""
        return self._fingerprint

    def evaluate(
        self, ctx: C, move: Guarded[F, T, P, Self], /
    ) -> Receipt[Guarded[F, T, P, Self]] | Denial:
        """Ask the gates in order. A receipt if all permit, else the first denial.

        A gate that raises an `Exception`, or answers anything but `PERMIT` or a `Denial`, denies
        with code `GATE_DEFECT`.

        Raises:
            InvalidArgument: Not a guarded move.
            PayloadInvalid: Every gate permits, but the event may not be stored.
        """
        if type(move) is not Guarded:
            raise InvalidArgument("move", f"{type(move).__name__} is not a guarded move")
        state, event = cast("D", move.source.data), move.event
        for place, gate in enumerate(self._gates):
            denial = self._ask(place, gate, ctx, state, event)
            if denial is not None:
                answers = [GateAnswer.PERMITTED] * place + [GateAnswer.DENIED]
                return self._stamped(denial, self._trace(answers))
        return mint(move, wire.encode(event), self._names, self._fingerprint)

    def evaluate_all(self, ctx: C, state: D, event: P, /) -> tuple[Denial, ...]:
        """Ask every gate, also after a denial, and return all denials. Never gives a receipt."""
        asked = [
            self._ask(place, gate, ctx, state, event) for place, gate in enumerate(self._gates)
        ]
        trace = self._trace(
            [GateAnswer.PERMITTED if denial is None else GateAnswer.DENIED for denial in asked]
        )
        return tuple(self._stamped(denial, trace) for denial in asked if denial is not None)

    def _ask(self, place: int, gate: Gate[C, D, P], ctx: C, state: D, event: P) -> Denial | None:
        """One gate's answer: None is a permission."""
        name = self._names[place]
        defect: Exception
        try:
            verdict: object = gate.judge(ctx, state, event)
        except Exception as error:  # noqa: BLE001  a gate that fails has not permitted
            defect = error
        else:
            if verdict is PERMIT:
                return None
            if type(verdict) is Denial:
                return replace(verdict, gate=name, defect=None)
            answer = type(verdict).__name__
            defect = TypeError(f"it answered {answer}, which is neither PERMIT nor a Denial")
        return Denial(name, GATE_DEFECT, f"the gate failed: {_said(defect)}", defect=defect)

    def _trace(self, answers: list[GateAnswer]) -> tuple[GateEvaluation, ...]:
        answers += [GateAnswer.SKIPPED] * (len(self._names) - len(answers))
        return tuple(map(GateEvaluation, self._names, answers))

    def _stamped(self, denial: Denial, trace: tuple[GateEvaluation, ...]) -> Denial:
        return replace(
            denial,
            policy=_policy(type(self)),
            fingerprint=self._fingerprint,
            evaluations=trace,
        )


AnyGates: TypeAlias = GateSet[Any, Any, Any]


def _said(error: Exception) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:  # noqa: BLE001  even its text may fail
        return name


def _policy(cls: type[Policy]) -> str:
    return getattr(cls, "POLICY", f"{cls.__module__}.{cls.__qualname__}")


def _fingerprint(policy: str, gates: tuple[Gate[C, D, P], ...]) -> bytes:
    parts: list[str | int] = [policy, len(gates)]
    for gate in gates:
        if isinstance(gate, Rule):
            parts += [gate.name, gate.source, len(gate.codes), *gate.codes]
        else:  # its code is its own business; its class says which gate it is
            parts += [gate.name, f"{type(gate).__module__}.{type(gate).__qualname__}"]
    return operation_key("batpak/policy/1", *parts)
