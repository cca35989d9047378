from gen.shop.orders import hooks as h


class Hooks(h.OrdersHooks)
    pass
