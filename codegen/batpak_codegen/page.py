"""The catalog as one HTML page that needs nothing else: no script, no font, no request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batpak_codegen import escape
from batpak_codegen.catalog import TITLE, Block, Cell, Heading, Listing, Paragraph

_STYLE: Final = """\
:root { color-scheme: light dark; --line: #d4d7dd; --soft: #f5f6f8; --link: #0a58ca; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a3f47; --soft: #1d2025; --link: #7ab7ff; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; display: flex; }
nav { width: 18rem; height: 100vh; position: sticky; top: 0; overflow: auto; flex: none;
  padding: 1.5rem 1rem; border-right: 1px solid var(--line); background: var(--soft); }
nav ul { list-style: none; margin: 0 0 1rem; padding-left: .75rem; font-size: .9rem; }
nav p { margin: .5rem 0 .25rem; font-weight: 600; }
main { padding: 1.5rem 2.5rem 6rem; max-width: 70rem; min-width: 0; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
h3 { margin-top: 2.25rem; }
h4 { margin-bottom: .25rem; }
code, pre { font: .875em/1.5 ui-monospace, Menlo, Consolas, monospace; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px;
  padding: .75rem 1rem; overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: .925rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0;
  border-bottom: 1px solid var(--line); }
@media (max-width: 50rem) { body { display: block; }
  nav { position: static; width: auto; height: auto; } }
@media print { nav { display: none; } }
"""


def html(blocks: Sequence[Block]) -> str:
    """Return the page as HTML."""
    head = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{TITLE}</title>",
        f"<style>\n{_STYLE}</style>",
        "</head>",
        "<body>",
    ]
    body = ["<main>", f"<h1>{TITLE}</h1>", *map(_block, blocks), "</main>"]
    return "\n".join([*head, *_contents(blocks), *body, "</body>", "</html>"]) + "\n"


def _contents(blocks: Sequence[Block]) -> list[str]:
    """Return the list of what is on the page: packages, and what they declare."""
    lines = ["<nav>"]
    is_open = False
    for block in blocks:
        if not isinstance(block, Heading) or block.level > 2:
            continue
        link = f'<a href="#{escape.html(block.anchor)}">{escape.html(block.text)}</a>'
        if block.level == 1:
            lines += ["</ul>"] * is_open
            lines += [f"<p>{link}</p>", "<ul>"]
            is_open = True
        else:
            lines.append(f"<li>{link}</li>")
    return [*lines, *["</ul>"] * is_open, "</nav>"]


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        tag = f"h{block.level + 1}"
        return f'<{tag} id="{escape.html(block.anchor)}">{escape.html(block.text)}</{tag}>'
    if isinstance(block, Paragraph):
        return f"<p>{escape.html(block.text)}</p>"
    if isinstance(block, Listing):
        return f"<pre>{escape.html(block.text)}</pre>"
    lines = ["<table>", _row("th", block.head), *(_row("td", row) for row in block.rows)]
    return "\n".join([*lines, "</table>"])


def _row(tag: str, cells: Sequence[Cell]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_cell(cell)}</{tag}>' for cell in cells)}</tr>"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escape.html(cell)
    code = f"<code>{escape.html(cell.text)}</code>"
    return f'<a href="#{escape.html(cell.anchor)}">{code}</a>' if cell.anchor else code
