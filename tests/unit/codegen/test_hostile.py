"""Hostile text in every place where a schema can hold text ends in a typed error, and quickly.

Without these tests one slot could be the one in which an alias, a tag, an unfinished quote or an
invisible character gets through. Other attacks have their own tests beside the room they attack.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from batpak_codegen.diagnostic import SchemaError, render
from batpak_codegen.source.load import load

HEAD = "batpak: 1\npackage: shop\n"
PLACES = [
    "doc: @",
    "x-any: @",
    "category: @",
    "imports: [@]",
    "imports:\n  - @",
    "types: @",
    "types:\n  A: @",
    "types: {A: {enum: {A: @}}}",
    "types:\n  A:\n    alias: string\n    max_length: @",
    "types:\n  A: {alias: string, pattern: @}",
    "types: {A: {union: {card: @, bank: B}, tag: kind}}",
    "types: {A: {union: {card: A, bank: B}, tag: @}}",
    "types: {A: {open: @, enum: {B: b}}}",
    "types: {A: {struct: {b: {type: string, wire: @}}}}",
    "events:\n  E: {id: 1, fields: {}, deprecated: @}",
    "events:\n  E: {id: 1, fields: {}, reserved: [@]}",
    "retired: {0x1: @}",
    "retired: @",
    "events:\n  E: {id: @, fields: {}}",
    "events:\n  E:\n    id: 1\n    fields:\n      a: @",
    "events: {E: {id: 1, fields: {a: {type: string, default: @}}}}",
    "machines:\n  M:\n    states:\n      S: {initial: @}",
    "machines:\n  M:\n    moves:\n      pay:\n        from: @",
    "gates:\n  g:\n    require: @",
    "gates:\n  g:\n    deny:\n      message: @",
]
ATTACKS = [
    "*a",
    "&a x",
    "!x y",
    "! y",
    "!!python/object/apply:os.system [ls]",
    "!<tag:yaml.org,2002:python/none> x",
    "{<<: {a: b}}",
    "{<<: *a, b: c}",
    "[" * 40 + "]" * 40,
    "{a: " * 40 + "}" * 40,
    "{[a, b]: c}",
    "{{a: b}: c}",
    "{? [a] : b}",
    "{a: 1, a: 2}",
    "{a: 1, 'a': 2}",
    "{x: }",
    "{x}",
    "[a, , b]",
    "{a: map<string, i64>}",
    "'unclosed",
    '"unclosed',
    "[unclosed",
    "{unclosed",
    "]",
    '"\\u202e"',
    '"\\0"',
    '"\\x1b[2J"',
    '"\\q"',
    "\tx",
    "x\ty",
    "x\x00y",
    "x\x1b[2Jy",
    "x\x7fy",
    "x\x85y",
    "x\u2028y",
    "x\u2066y",
    "x\ufeffy",
    "x\rdoc: y",
    "x\ud800y",
]


def test_there_are_as_many_as_promised() -> None:
    assert len({(place, attack) for place in PLACES for attack in ATTACKS}) >= 500


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_text_is_refused_in_every_place(tmp_path: Path, attack: str) -> None:
    path = tmp_path / "s.batpak.yaml"

    for place in PLACES:
        text = HEAD + place.replace("@", attack) + "\n"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        start = time.process_time()
        with pytest.raises(SchemaError) as caught:
            load([path], tmp_path)
        seconds = time.process_time() - start

        found = caught.value.diagnostics
        assert all(re.fullmatch(r"E0005|E01\d\d", each.code) for each in found), place
        assert all(each.span and each.span.line >= 3 for each in found), place
        assert render(found, caught.value.texts).replace("\n", "").isprintable()
        assert seconds < 0.5
