"""Verdicts: what a gate answers. There is one way to say yes, and everything else is no."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NoReturn, TypeAlias, final

from msgspec import Struct
from msgspec.structs import replace

from batpak.errors import PolicyError
from batpak.override import override
from batpak.payload import EventPayload
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
class Denial(Struct, frozen=True):
    """No, and why. A value: not an exception, and not falsy.

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
