"""What the schema leaves to Python: the gate that knows how people pay."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, final

from bank.gen.transfers import hooks as h

STRANGERS_LIMIT: Final = Decimal("200.00")


@final
class Hooks(h.TransfersHooks):
    """Pure: everything it knows is in its arguments."""

    @h.override
    def gate_plausible(self, ctx: h.Standing, event: h.MoneyTransferred, /) -> h.PlausibleVerdict:
        """Refuse payments to oneself, and large ones to somebody who was never paid before."""
        if event.payee == event.payer:
            return "TO_ITSELF"
        if event.money.amount > STRANGERS_LIMIT and event.payee not in ctx.paid_before:
            return "STRANGER"
        return h.PERMIT
