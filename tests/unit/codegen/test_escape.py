"""Proves that text of a schema stays text in HTML, Markdown, Mermaid and DOT (H12).

Without it a doc text could run a script in the page of the catalog, end a table, or add an edge
to a diagram.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from batpak.override import override
from batpak_codegen import escape
from batpak_codegen.catalog import catalog, markdown
from batpak_codegen.graph import PICTURES, graph
from batpak_codegen.ir import Project
from batpak_codegen.page import html
from tests.unit.codegen.project_world import DOORS, changed, linked

PIECES = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title></style></pre>",
    "&lt;b&gt; &amp; &#60;", "' onmouseover='x", "<!-- -->", "]]>", "javascript:alert(1)",
    "| a | b |", "\\| \\\\", "`code` ``` ~~~", "# head", "## head ##", "- item", "* item", "+ item",
    "1. one", "23) two", "> quote", "---", "===", "***bold*** __x__ _y_", "[a](http://b)",
    "![a](b)",
    "<http://x.y>", "https://x.y/z", "www.x.y", "a@b.cc", "[ref]: x", "[^1]", "$x$", "~~gone~~",
    "a --> b : c", "state x {", "}", "%% comment", "; [*] --> z", "note left of x", "#35;",
    "#quot;",
    '"]; evil -> evil; x [label="', "\\", '\\"', "\\n\\l\\r", "a\nb", "a\r\nb", "a\n\nb", "\tx",
    "x ", "\x1b[2J", "\u202ereversed", "\u2028", "\x00", "ünï ✓ 😀", "{{ x }} {% y %}", "${x}",
    "end", "class x", "direction LR", "digraph {", "a->b", "/* */ // x", "subgraph", "1",
]  # fmt: skip
TEXTS = [*PIECES, *(f"{a} {b}" for a, b in zip(PIECES, PIECES[7:], strict=False))][:100]


def test_there_are_a_hundred_texts() -> None:
    assert len(set(TEXTS)) == 100


def shown(text: str) -> str:
    """What a person should see of a text in one line."""
    visible = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return " ".join(visible.split())


class _Texts(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> _Texts:
    parser = _Texts()
    parser.feed(page)
    parser.close()
    return parser


@pytest.mark.parametrize("text", TEXTS)
def test_html_shows_the_text_and_makes_nothing_of_it(text: str) -> None:
    found = parsed(f'<p title="{escape.html(text)}">{escape.html(text)}</p>')

    assert found.tags == ["p"]
    assert [name for name, _ in found.attributes] == ["title"]
    assert shown(found.text) == shown(text)
    assert shown(found.attributes[0][1] or "") == shown(text)


@pytest.mark.parametrize("text", TEXTS)
def test_markdown_shows_the_text_and_makes_nothing_of_it(text: str) -> None:
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    spelled = escape.markdown(text)

    paragraph = parsed(reader.render(spelled))
    cell = parsed(reader.render(f"| a | b |\n| --- | --- |\n| {spelled} | z |"))

    assert set(paragraph.tags) <= {"p"}
    assert shown(paragraph.text) == shown(text)
    assert cell.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert " ".join(cell.text.split()) == f"a b {shown(text)} z".replace("  ", " ")


@pytest.mark.parametrize("text", TEXTS)
def test_mermaid_labels_hold_nothing_that_its_grammar_knows(text: str) -> None:
    spelled = escape.mermaid(text)

    assert not re.search(r'[:;%{}\[\]"<>|\n\r\\`]', re.sub(r"#\d+;", "", spelled))
    assert re.sub(r"#(\d+);", lambda code: chr(int(code[1])), spelled) == shown(text)


@pytest.mark.parametrize("text", TEXTS)
def test_dot_strings_end_where_they_should(text: str) -> None:
    spelled = escape.dot(text)

    assert re.fullmatch(r'"(?:[^"\\\n]|\\["\\])*"', spelled)
    assert re.sub(r'\\(["\\])', r"\1", spelled[1:-1]) == shown(text)


def hostile(tmp_path_factory: pytest.TempPathFactory, doc: str) -> Project:
    quoted = '"' + doc.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    changes = {
        "category: 0x3": f"category: 0x3\ndoc: {quoted}",
        "Fitted: {id: 1,": f"Fitted: {{doc: {quoted}, id: 1,",
        "Planned: {initial: true}": f"Planned: {{initial: true, doc: {quoted}}}",
        "OUT: out": 'OUT: "o|`<u>t"',
        "to: Shut, event: Fitted}": f"to: Shut, event: Fitted, doc: {quoted}}}",
    }
    return linked(tmp_path_factory.mktemp("hostile"), changed(DOORS, changes))


@pytest.mark.parametrize("doc", [text for text in PIECES if text.strip() and text.isprintable()])
def test_whole_pages_and_pictures_have_the_same_structure_with_any_text(
    doc: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain, nasty = (hostile(tmp_path_factory, text) for text in ("harmless", doc))

    assert parsed(html(catalog(nasty))).tags == parsed(html(catalog(plain))).tags
    reader = MarkdownIt("commonmark").enable("table")
    pages = [parsed(reader.render(markdown(catalog(project)))).tags for project in (plain, nasty)]
    assert pages[0] == pages[1]
    for picture in PICTURES:
        drawn = [graph(project, picture).count("\n") for project in (plain, nasty)]
        assert drawn[0] == drawn[1]


def test_the_page_asks_nobody_for_anything(tmp_path_factory: pytest.TempPathFactory) -> None:
    page = html(catalog(hostile(tmp_path_factory, "see https://example.org/x.js")))

    found = parsed(page)

    assert set(found.tags) & {"script", "link", "img", "iframe", "object", "base", "form"} == set()
    links = [value or "" for name, value in found.attributes if name in ("href", "src")]
    assert links
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"url\(|@import|@font-face", page)
    anchors = [value for name, value in found.attributes if name == "id"]
    assert len(set(anchors)) == len(anchors)
    assert {link[1:] for link in links} <= set(anchors)
