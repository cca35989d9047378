"""Verdicts: what a gate answers. There is one way to say yes, and everything else is no."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Final, NoReturn, TypeAlias, final

from msgspec import Struct
from msgspec.structs import replace

from batpak.errors import PolicyError

GATE_DEFECT: Final = "GATE_DEFECT"
"""The code of a gate that raised, or that answered neither `PERMIT` nor a `Denial`."""


@final
class Permit(Enum):
    """Yes. An enum, so that there is only one, also after copying and pickling."""

    PERMIT = "permit"


PERMIT: Final[Permit] = Permit.PERMIT
"""The one permission."""


class GateAnswer(StrEnum):
    """What came of one gate while a move was judged."""

    PERMITTED = "permitted"
    DENIED = "denied"
    SKIPPED = "skipped"  # an earlier gate had denied


@final
class GateEvaluation(Struct, frozen=True):
    """One line of the trace of a judgement."""

    gate: str
    answer: GateAnswer


@final
class Denial(Struct, frozen=True, repr_omit_defaults=True):
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

    def with_context(self, **extra: object) -> Denial:
        """The same denial with more facts; of two with one name the later stays."""
        return replace(self, context={**self.context, **extra})

    def raise_(self) -> NoReturn:
        """Raise it, for callers who prefer an exception.

        Raises:
            Denied: Always; its `denial` is this.
        """
        raise Denied(self) from self.defect


Verdict: TypeAlias = Permit | Denial


@final
class Denied(PolicyError):
    """`Denial.raise_()` was called: the denial, as an exception."""

    code = "denied"

    def __init__(self, denial: Denial) -> None:
        self.denial = denial
        super().__init__(f"{denial.gate}: {denial.message} [{denial.code}]")
