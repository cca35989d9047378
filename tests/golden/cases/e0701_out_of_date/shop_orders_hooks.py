from typing import final

from gen.shop.orders import hooks as h


@final
class Hooks(h.OrdersHooks):
    pass
