"""What the schema leaves to its user."""

from __future__ import annotations

from typing import final

from fair.gen.stalls import hooks as h


@final
class Hooks(h.StallsHooks):  # +: misc | reportGeneralTypeIssues
    @h.override
    def evolve_stall_pitch(self, state: h.Empty, event: h.StallPitched, /) -> h.Open:
        return h.Open(stall_id=state.stall_id, goods=event.goods, pieces=3)

    #+ @h.override
    #+ def gate_unguarded(self, ctx: h.Guard, event: h.StallRobbed, /) -> h.UnguardedVerdict:
    #+     return "GUARDED" if ctx.awake else h.PERMIT
    #+
    #+ @h.override
    #+ def evolve_stall_rob(self, state: h.Open, event: h.StallRobbed, /) -> h.Robbed:
    #+     return h.Robbed(stall_id=state.stall_id, taken=event.taken, angry=state.pieces > 0)
