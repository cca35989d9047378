"""Proves that every code is told, that what is told is true, and that no code is told in vain.

Without it `batpak explain` would not know a code that somebody just added, an example would show
something that is no error any more, and the page of codes would drift from the source.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batpak_codegen.codes.table import CODES, explain, nearest
from batpak_codegen.config import configure
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.run import understand

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "codegen" / "batpak_codegen"
PAGE = ROOT / "docs" / "reference" / "diagnostics.md"
LITERAL = re.compile(r"[\"\[]([EWC]\d{3,4})[\"\]]")
TABLE = '[tool.batpak]\nout = "gen"\n'

# Told already, and emitted by parts of the compiler that are on their way. A code leaves this list
# when its part arrives: then the tests below hold it to its example.
HEAD = "batpak: 1\npackage: a.b\ncategory: 1\n"
EVENTS = """\
types:
  OrderId: {id: order}
  Currency: {enum: {EUR: eur, USD: usd}}
  Money: {struct: {amount: {type: decimal, precision: 18, scale: 2}, currency: Currency}}
events:
  OrderPlaced: {id: 1, fields: {order_id: OrderId, price: Money}}
  OrderPaid:
    id: 2
    fields: {order_id: OrderId, amount: Money, paid_times: i64, note: string?, lines: list<Money>}
  Noted: {id: 3, fields: {note: string}}
"""
GATE = "gates:\n  paid:\n    event: OrderPaid\n"
REQUIRE = "    require: event.amount.amount > 0\n"
DENY = "    deny: {code: NOT_PAID, message: not paid}\n"


def schema(example: str) -> str | None:
    """The smallest schema around an example; None if the example is none."""
    if example.startswith("require:"):
        return f"{HEAD}{EVENTS}{GATE}    {example}\n{DENY}"
    if example.startswith("message:"):
        return f"{HEAD}{EVENTS}{GATE}{REQUIRE}    deny:\n      code: NOT_PAID\n      {example}\n"
    if example.startswith(("machines:", "gates:")):
        return f"{HEAD}{EVENTS}{example}\n"
    if re.match(r"(types|events|doc|imports|retired):", example):
        return f"{HEAD}{example}\n"
    return None


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_example_of_a_code_produces_it(code: str, tmp_path: Path) -> None:
    one = CODES[code]
    text, table = schema(one.example), TABLE
    if one.example.startswith("["):
        text, table = HEAD, one.example
    if text is None:
        assert one.example.endswith(".")  # a sentence: tested where the thing itself is
        return
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "a.batpak.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")

    with pytest.raises(SchemaError) as caught:
        understand(configure(tmp_path / "pyproject.toml"))

    assert {found.code for found in caught.value.diagnostics} == {one.code}


def emitted() -> set[str]:
    """Every code that stands in the source as a literal, or between brackets in a message."""
    files = [path for path in SOURCE.rglob("*.py") if path.parent.name != "codes"]
    files += (ROOT / "batpak" / "cli").glob("*.py")
    texts = [path.read_text(encoding="utf-8") for path in files]
    return {code for text in texts for code in LITERAL.findall(text)}


def test_every_code_of_the_source_is_told_and_every_told_code_is_in_the_source() -> None:
    assert sorted(emitted()) == sorted(CODES)


def test_the_page_of_codes_is_the_table() -> None:
    rows = "".join(f"| {code.code} | {code.title} |\n" for code in CODES.values())
    text = PAGE.read_text(encoding="utf-8")
    head, found, tail = re.split(r"(?<=\| Code \| What \|\n\| --- \| --- \|\n)((?:\|.*\n)+)", text)

    if found != rows:
        PAGE.write_text(head + rows + tail, encoding="utf-8")  # the fix is there; still fail
    assert found == rows


def test_a_code_is_explained_with_its_example_and_lines_fit_a_small_terminal() -> None:
    for code in CODES:
        told = explain(code)

        assert told is not None
        assert told.startswith(f"{code}: {CODES[code].title}\n")
        assert "Example:" in told
        assert max(map(len, told.splitlines())) <= 100


def test_case_does_not_count_and_a_near_miss_is_named() -> None:
    assert explain("e0203") == explain("E0203")
    assert "raise `version`" in (explain("versions") or "")
    assert explain("E0209") is None
    assert nearest("E0209") in CODES
