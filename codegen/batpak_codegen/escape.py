"""Text of a schema in other people's languages: HTML, Markdown, Mermaid, DOT.

Each function takes any text and returns what its reader shows as exactly that text, on one line
where the language knows lines only. Whoever writes such a file lets no schema text by another way.
"""

from __future__ import annotations

import html as standard
import re
from typing import Final

# What means something anywhere; bare addresses; what means something where a line begins.
_MARKDOWN: Final = re.compile(
    r"[\\`*_\[\]<&#|~$]|:(?=//)|(?<=www)\.|(?<=\w)@(?=\w)|^[>=+\-]|(?<=^\d)[.)]|(?<=^\d\d)[.)]",
    re.IGNORECASE,
)
_MERMAID: Final = re.compile(r"[^A-Za-z0-9 _.,\u00c0-\U0010ffff]")
_BLANKS: Final = re.compile(r"\s+")


def html(text: str) -> str:
    """Return text for the content of an element or a quoted attribute."""
    return standard.escape(_visible(text), quote=True)


def markdown(text: str) -> str:
    """Return text for a paragraph, a heading or a cell of a table, as one line."""
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", one_line(text))


def mermaid(text: str) -> str:
    """Return text for a label of a Mermaid diagram."""
    return _MERMAID.sub(lambda found: f"#{ord(found[0])};", one_line(text))


def dot(text: str) -> str:
    """Return text as a quoted string of DOT, quotes included."""
    return '"' + one_line(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def one_line(text: str) -> str:
    """Return text without line ends, and without blanks at its edges."""
    return _BLANKS.sub(" ", _visible(text)).strip()


def _visible(text: str) -> str:
    """Show characters that would act instead of being seen; line ends may act."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
