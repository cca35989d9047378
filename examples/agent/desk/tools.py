"""The tools: what happens in the folder of the agent once a call was permitted and stored."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from desk.gen.calls import CallAsked, Tool


def use(folder: Path, call: CallAsked) -> str:
    """Do what a call says; return what there is to see.

    Raises:
        OSError: The system refused, or the path leads out of the folder by a link.
    """
    path = (folder / call.target).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise PermissionError(f"{call.target} leads out of the folder")
    match call.tool:
        case Tool.LIST:
            return "\n".join(sorted(entry.name for entry in path.iterdir()))
        case Tool.READ:
            return path.read_text(encoding="utf-8")
        case Tool.WRITE:
            path.write_text(call.content or "", encoding="utf-8")
            return f"{len(call.content or '')} characters written"
        case Tool.DELETE:
            path.unlink()
            return "deleted"
        case _:
            assert_never(call.tool)
