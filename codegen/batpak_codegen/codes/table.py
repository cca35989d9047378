"""All codes by name, and how one of them is told: `batpak explain CODE`."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent, fill, indent
from typing import Final

from batpak_codegen.codes import environment, expressions, machines, text, types, versions
from batpak_codegen.codes.code import Code
from batpak_codegen.diagnostic import closest

_AREAS: Final = (environment, text, types, machines, expressions, versions)
CODES: Final[Mapping[str, Code]] = {
    code.code: code
    for code in sorted((one for area in _AREAS for one in area.CODES), key=lambda one: one.code)
}
COLUMNS: Final = 80

VERSIONS: Final = """\
Which tool when an event has to change

  You want to                                      Do                             Version
  add a field that may be null or has a default    just add it                    same
  rename, drop, split, retype, make required       raise `version`, write a hop   +1
  say something old events cannot supply           declare a new event            new id
  change what a writer may store                   change the constraints         same

A stored event stays readable for ever: constraints bind the writer, never the reader, and what an
event was stored with is not changed by what its schema says today.
"""


def explain(topic: str) -> str | None:
    """Return what there is to say about a code, or about `versions`; None if it is neither."""
    if topic.lower() == "versions":
        return VERSIONS
    code = CODES.get(topic.upper())
    if code is None:
        return None
    paragraphs = "\n\n".join(fill(part, COLUMNS) for part in code.text.split("\n\n"))
    example = indent(dedent(code.example).strip("\n"), "    ")
    return f"{code.code}: {code.title}\n\n{paragraphs}\n\nExample:\n\n{example}\n"


def nearest(topic: str) -> str | None:
    """Return the code that was probably meant."""
    return closest(topic.upper(), CODES)
