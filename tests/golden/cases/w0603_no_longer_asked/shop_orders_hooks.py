from typing import final

from gen.shop.orders import hooks as h


@final
class Hooks(h.OrdersHooks):
    def gate_polite(self, event: h.Noted, /) -> h.PoliteVerdict:
        return "RUDE" if "damn" in event.text else h.PERMIT

    def gate_short(self, event: h.Noted, /) -> str:
        return "LONG"

    def shorten(self, text: str) -> str:
        return text[:80]
