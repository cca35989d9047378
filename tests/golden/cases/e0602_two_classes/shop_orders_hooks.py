from typing import final

from gen.shop.orders import hooks as h


@final
class Hooks(h.OrdersHooks):
    def gate_polite(self, event: h.Noted, /) -> h.PoliteVerdict:
        return h.PERMIT


@final
class Strict(h.OrdersHooks):
    def gate_short(self, event: h.Noted, /) -> h.ShortVerdict:
        return h.PERMIT
