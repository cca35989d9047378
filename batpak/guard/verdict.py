"""Verdicts: what a gate answers. There is one way to say yes, and everything else is no."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NoReturn, TypeAlias, final

from msgspec import Struct
from msgspec.structs import replace

from batpak.errors import InvalidArgument, PolicyError
from batpak.override import override
from batpak.payload import EventPayload
from batpak.seal import SEAL, Seal
from batpak.system import DenialRecorded, GateEvaluation

GATE_DEFECT: Final = "GATE_DEFECT"
"""The code of a gate that raised, or that answered neither `PERMIT` nor a `Denial`."""


@final
class Permit(Enum):
    """Yes. An enum, so that there is only one, also after copying and pickling."""

    PERMIT = "permit"


PERMIT: Final[Permit] = Permit.PERMIT
"""The one permission."""


@final
class Judgement:
    """That a set of gates gave a denial: what it said then, of which event, in which bytes.

    It does not leave its process: of a pickled denial, it says nothing.
    """

    __slots__ = ("_content_hash", "_said")

    def __init__(self, _key: Seal, said: tuple[object, ...], content_hash: bytes | None) -> None:
        """Closed: use `evaluate` of a set of gates.

        Args:
            _key: Proves that the caller is the library.
            said: See `Denial.said`.
            content_hash: Of the event, if that can change: as it was when it was judged.
        """
        if _key is not SEAL:
            raise InvalidArgument("denial", "is vouched for by the library only")
        self._said: tuple[object, ...] | None = said
        self._content_hash = content_hash

    def covers(self, denial: Denial) -> bool:
        """Whether the denial says, but for its context, what it said when it was given."""
        said = self._said
        return said is not None and said[0] is denial.event and said[1:] == denial.said[1:]

    @property
    def content_hash(self) -> bytes | None:
        """Of an event that could change; None: it could not, or it could not be stored."""
        return self._content_hash

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Judgement)  # what it is about stands beside it

    @override
    def __hash__(self) -> int:
        return hash(Judgement)

    @override
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Judgement._empty, ()

    @staticmethod
    def _empty() -> Judgement:
        empty = object.__new__(Judgement)
        empty._said = empty._content_hash = None
        return empty


@final
class Denial(Struct, frozen=True):
    """No, and why. A value: not an exception, and neither true nor false.

    A gate gives the first three; the set of gates that asked it fills in the rest, over whatever
    the gate wrote there, its name included.
    """

    gate: str
    code: str
    message: str
    context: Mapping[str, object] = {}
    policy: str = ""
    fingerprint: bytes = b""
    evaluations: tuple[GateEvaluation, ...] = ()  # one per gate, in the order of the set
    defect: Exception | None = None  # what went wrong inside the gate; the code is GATE_DEFECT
    event: EventPayload | None = None  # what was judged; not part of what is shown
    judgement: Judgement | None = None  # that a set of gates gave it; likewise

    @staticmethod
    def of(record: DenialRecorded) -> Denial:
        """A denial as it was stored: its context as text, without the event and the defect."""
        return Denial(
            record.gate,
            record.code,
            record.message,
            record.context,
            record.policy,
            record.fingerprint,
            record.evaluations,
        )

    def __bool__(self) -> NoReturn:
        raise TypeError("a denial is neither true nor false: `isinstance(verdict, Denial)`")

    @property
    def said(self) -> tuple[object, ...]:
        """What a judgement covers: the event first, and then what is compared by value."""
        return (
            self.event,
            self.gate,
            self.code,
            self.message,
            self.policy,
            self.fingerprint,
            self.evaluations,
        )

    def with_context(self, **extra: object) -> Denial:
        """The same denial with more facts; of two with one name the later stays."""
        return replace(self, context={**self.context, **extra})

    def explain(self) -> str:
        """Which gate said what, and the facts that were added, line by line."""
        lines = [str(self)]
        if self.policy:
            lines.append(f"policy {self.policy} {self.fingerprint.hex()[:16]}")
        lines += (f"  {line.answer.value:<9} {line.gate}" for line in self.evaluations)
        lines += (f"  {name}: {value}" for name, value in self.context.items())
        return "\n".join(lines)

    def raise_(self) -> NoReturn:
        """Raise it, for callers who prefer an exception.

        Raises:
            Denied: Always; its `denial` is this.
        """
        raise Denied(self) from self.defect

    @override
    def __str__(self) -> str:
        return f"{self.gate}: {self.message} [{self.code}]"

    @override
    def __repr__(self) -> str:
        of = f", policy={self.policy!r}" if self.policy else ""
        return f"Denial(gate={self.gate!r}, code={self.code!r}, message={self.message!r}{of})"


Verdict: TypeAlias = Permit | Denial


@final
class Denied(PolicyError):
    """`Denial.raise_()` was called: the denial, as an exception."""

    code = "denied"

    def __init__(self, denial: Denial) -> None:
        self.denial = denial
        super().__init__(str(denial))
