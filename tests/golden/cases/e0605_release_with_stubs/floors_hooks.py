from gen.floors import hooks as h


class Hooks(h.FloorsHooks):
    def gate_is_dry(self, event: h.Swept, /) -> bool:
        """Say."""
        raise NotImplementedError("later")
