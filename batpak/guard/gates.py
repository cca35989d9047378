"""Gates: pure questions about a proposal, asked in order. Whatever is not a yes is a no.

A set of gates is a policy. Its fingerprint covers the policy's name and every gate's name, source
and codes, in order, so a receipt from a thinner or reordered set does not pass for one of this. Of
gates in Python, whose code has no fingerprint, a receipt knows which objects have judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import localcontext
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Final,
    Generic,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    final,
    get_args,
    get_origin,
    overload,
)

from msgspec.structs import replace

from batpak import wire
from batpak.errors import InvalidArgument, PayloadInvalid
from batpak.event import P
from batpak.exact import EXACT
from batpak.frozen import is_changeable
from batpak.guard.jury import Jury
from batpak.guard.proposal import Proposal
from batpak.guard.receipt import Receipt, mint
from batpak.guard.verdict import GATE_DEFECT, PERMIT, Denial, Judgement, Verdict
from batpak.ids import operation_key
from batpak.override import override
from batpak.payload import EventPayload
from batpak.seal import SEAL
from batpak.system import GateAnswer, GateEvaluation
from batpak.typestate import F, Guarded, Policy, T
from batpak.wire import Encoded

C = TypeVar("C")
D = TypeVar("D")
C_contra = TypeVar("C_contra", contravariant=True)
D_contra = TypeVar("D_contra", contravariant=True)
P_contra = TypeVar("P_contra", bound=EventPayload, contravariant=True)

PYTHON: Final = "python"
"""The source of a rule whose source is not in the schema."""

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

    __slots__ = ("asks", "codes", "function", "name", "source")

    def __init__(
        self,
        name: str,
        judge: Callable[[C_contra, D_contra, P_contra], Verdict],
        *,
        source: str,
        codes: Iterable[str],
        exact: bool = False,
        asks: Callable[..., object] | None = None,
    ) -> None:
        """Make a gate.

        Args:
            name: In messages and traces.
            judge: Pure.
            source: What the schema says, normalised; part of the policy's fingerprint. `python`:
                that the function decides alone.
            codes: Every code it can deny with; part of the fingerprint too.
            exact: It does decimal arithmetic: run it with 100 digits, and trap inexact results.
            asks: The method of the program's own that the function asks, if it asks one.
        """
        self.name: Final = name
        self.source: Final = source
        self.codes: Final = tuple(codes)
        self.function: Final = _exactly(judge) if exact else judge
        self.asks: Final = asks

    def judge(self, ctx: C_contra, state: D_contra, event: P_contra, /) -> Verdict:
        """Ask the function."""
        return self.function(ctx, state, event)


def _exactly(
    judge: Callable[[C_contra, D_contra, P_contra], Verdict],
) -> Callable[[C_contra, D_contra, P_contra], Verdict]:
    def judge_exactly(ctx: C_contra, state: D_contra, event: P_contra, /) -> Verdict:
        with localcontext(EXACT):
            return judge(ctx, state, event)

    return judge_exactly


class GateSet(Policy, Generic[C, D, P]):
    """Ordered gates over one context, one state and one event. One subclass per policy.

    A set whose state is `None` judges proposals; any other judges the moves of a machine.
    Immutable and safe to share between threads.
    """

    # What a subclass says in its brackets, for those who have no type checker.
    _stateful: ClassVar[bool] = False
    _event: ClassVar[type | UnionType] = EventPayload

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in cls.__dict__.get("__orig_bases__", ()):
            if get_origin(base) is GateSet:
                _, state, event = get_args(base)
                cls._stateful = state not in (Any, NoneType) and not isinstance(state, TypeVar)
                if event is not Any and isinstance(event, type | UnionType):
                    cls._event = event

    def __init__(self, *gates: Gate[C, D, P]) -> None:
        """Take the gates in the order in which they are to be asked.

        Raises:
            InvalidArgument: Something is no gate, two gates have one name, or a name is not 1..128
                printable ASCII.
        """
        names = tuple(map(_name, gates))
        for place, name in enumerate(names):
            if name in names[:place]:
                raise InvalidArgument("gates", f"there are two gates {name!r}")
        self._policy: Final = _policy(type(self))
        self._judges: Final = tuple(_function(gate) for gate in gates)
        self._names: Final = names
        self._fingerprint: Final = _fingerprint(self._policy, gates)
        self._jury: Final = Jury.of(
            self._policy, names, self._fingerprint, tuple(map(_decider, gates))
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The gates, in the order they are asked."""
        return self._names

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that stand for this policy: its name and all its gates, in order."""
        return self._fingerprint

    @property
    def jury(self) -> Jury:
        """Its gates, as its receipts remember them; for whoever spends one."""
        return self._jury

    @overload
    def evaluate(
        self, ctx: C, move: Guarded[F, T, P, Self], /
    ) -> Receipt[Guarded[F, T, P, Self]] | Denial: ...

    @overload
    def evaluate(
        self: GateSet[C, None, P], ctx: C, proposal: Proposal[P], /
    ) -> Receipt[Proposal[P]] | Denial: ...

    def evaluate(
        self, ctx: C, proposal: Guarded[F, T, P, Self] | Proposal[P], /
    ) -> Receipt[Guarded[F, T, P, Self] | Proposal[P]] | Denial:
        """Ask the gates in order. A receipt if all permit, else the first denial.

        A gate that raises an `Exception`, answers anything but `PERMIT` or a `Denial`, or changes a
        dict inside the event, denies with code `GATE_DEFECT`.

        Args:
            ctx: What the gates look up beside state and event.
            proposal: A move that needs a receipt from this policy; or an event as a `Proposal`,
                if this policy has no state.

        Raises:
            InvalidArgument: It is neither, or not what this policy is for.
            PayloadInvalid: Every gate permits, but the event may not be stored.
        """
        if type(proposal) is Guarded:
            state = cast("D", self._source(proposal).data)
        else:
            self._require(proposal)
            state = cast("D", None)
        event = proposal.event
        changeable = is_changeable(type(event))
        before = _stored(event) if changeable else None
        for place, judge in enumerate(self._judges):
            denial = _asked(judge, ctx, state, event)
            if denial is None and changeable and _stored(event) != before:
                denial = _defect(TypeError("it changed the event"))
            if denial is not None:
                answers = [GateAnswer.PERMITTED] * place + [GateAnswer.DENIED]
                return self._stamped(place, denial, self._trace(answers), event, before)
        return mint(proposal, before or wire.encode(event), self._jury)

    def evaluate_all(self, ctx: C, state: D, event: P, /) -> tuple[Denial, ...]:
        """Ask every gate, also after a denial, and return all denials. Never gives a receipt."""
        before = _stored(event) if is_changeable(type(event)) else None
        asked = [_asked(judge, ctx, state, event) for judge in self._judges]
        trace = self._trace(
            [GateAnswer.PERMITTED if denial is None else GateAnswer.DENIED for denial in asked]
        )
        return tuple(
            self._stamped(place, denial, trace, event, before)
            for place, denial in enumerate(asked)
            if denial is not None
        )

    @property
    def stateless(self) -> bool:
        """Whether it may judge what is no move of a machine, as far as its class says."""
        return not self._stateful

    def _require(self, proposal: object) -> None:
        if type(proposal) is not Proposal:
            name = type(proposal).__name__
            raise InvalidArgument("proposal", f"{name} is neither a guarded move nor a Proposal")
        if self._stateful:
            raise InvalidArgument("proposal", f"{self._policy} judges the moves of a machine")
        event: object = cast("Proposal[EventPayload]", proposal).event
        if not isinstance(event, self._event):
            due = getattr(self._event, "__name__", self._event)
            name = type(event).__name__
            raise InvalidArgument("proposal", f"{self._policy} is for {due}, not for {name}")

    def _source(self, move: Guarded[F, T, P, Self]) -> F:
        """The handle of a move that this set is for."""
        try:
            needs, source = move.policy, move.source
        except AttributeError:
            raise InvalidArgument("move", "an empty hull, made around the constructor") from None
        if needs is not type(self):
            names = f"{needs.__name__}, and this is {type(self).__name__}"
            raise InvalidArgument("move", f"{type(move.event).__name__} needs {names}")
        return source

    def _trace(self, answers: list[GateAnswer]) -> tuple[GateEvaluation, ...]:
        answers += [GateAnswer.SKIPPED] * (len(self._names) - len(answers))
        return tuple(
            GateEvaluation(gate=name, answer=answer)
            for name, answer in zip(self._names, answers, strict=True)
        )

    def _stamped(
        self,
        place: int,
        denial: Denial,
        trace: tuple[GateEvaluation, ...],
        event: EventPayload,
        before: Encoded | None,
    ) -> Denial:
        given = replace(
            denial,
            gate=self._names[place],
            policy=self._policy,
            fingerprint=self._fingerprint,
            evaluations=trace,
            event=event,
        )
        content_hash = None if before is None else before.content_hash
        return replace(given, judgement=Judgement(SEAL, given.said, content_hash))


AnyGates: TypeAlias = GateSet[Any, Any, Any]


def _asked(judge: Callable[[C, D, P], Verdict], ctx: C, state: D, event: P) -> Denial | None:
    """One gate's answer: None is a permission."""
    try:
        verdict: object = judge(ctx, state, event)
    except Exception as error:  # noqa: BLE001  a gate that fails has not permitted
        return _defect(error)
    if verdict is PERMIT:
        return None
    if type(verdict) is not Denial:
        answer = type(verdict).__name__
        return _defect(TypeError(f"it answered {answer}, which is neither PERMIT nor a Denial"))
    code, message, context = verdict.code, verdict.message, cast("object", verdict.context)
    if type(code) is not str or type(message) is not str or not isinstance(context, Mapping):
        return _defect(TypeError("its Denial has a code or message that is no text, or no context"))
    return verdict if verdict.defect is None else replace(verdict, defect=None)


def _stored(event: EventPayload) -> Encoded | None:
    """An event as it would be stored now; None: it may not be, which is said in the end."""
    try:
        return wire.encode(event)
    except (InvalidArgument, PayloadInvalid):
        return None


def _defect(error: Exception) -> Denial:
    return Denial("", GATE_DEFECT, f"the gate failed: {_said(error)}", defect=error)


def _said(error: Exception) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:  # noqa: BLE001  even its text may fail
        return name


def _function(gate: Gate[C, D, P]) -> Callable[[C, D, P], Verdict]:
    return gate.function if isinstance(gate, Rule) else gate.judge  # a method is a detour


def _decider(gate: Gate[C, D, P]) -> object:
    """What decides in a gate, as far as the fingerprint does not say it."""
    if not isinstance(gate, Rule):
        return gate
    if gate.source != PYTHON:
        return None
    return gate if gate.asks is None else gate.asks


def _name(gate: object) -> str:
    """The name of a gate.

    Raises:
        InvalidArgument: It has none that is a name, or it is no gate.
    """
    if not callable(getattr(gate, "judge", None)):
        raise InvalidArgument("gates", f"a {type(gate).__name__} has no judge()")
    name: object = getattr(gate, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidArgument("gates", f"{name!r} is not 1..128 printable ASCII characters")
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
