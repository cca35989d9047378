"""What passes between the generator and the process that loads schema modules: data only."""

from __future__ import annotations

from msgspec import Struct

from batpak_codegen.diagnostic import Diagnostic
from batpak_codegen.nodes import MapNode


class Request(Struct, frozen=True):
    """What to load. `search` is where modules are looked for, `out` is never read or imported."""

    modules: tuple[str, ...]
    root: str
    search: tuple[str, ...]
    out: str
    out_module: str
    seconds: int
    answer: int


class Answer(Struct, frozen=True):
    """The root node of each module, or what was found instead.

    `texts` maps printed paths to the texts that spans point into; `read` are the printed paths of
    all files of the project that loading has read.
    """

    roots: tuple[MapNode, ...] = ()
    texts: dict[str, str] = {}
    read: tuple[str, ...] = ()
    found: tuple[Diagnostic, ...] = ()
