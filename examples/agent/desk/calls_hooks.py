"""What the schema leaves to Python: the gate that knows what a path is."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import final

from desk.gen.calls import hooks as h


@final
class Hooks(h.CallsHooks):
    """Pure: it looks at the text of a path and never at a disk."""

    @h.override
    def gate_plausible_target(
        self, _ctx: h.Session, event: h.CallAsked, /
    ) -> h.PlausibleTargetVerdict:
        """Refuse what leads out of the folder, and what begins with a dot."""
        path = PurePosixPath(event.target)
        if path.is_absolute() or ".." in path.parts:
            return "OUTSIDE"
        if any(part.startswith(".") for part in path.parts):
            return "HIDDEN"
        return h.PERMIT
