"""Proves that a user's file only ever gains lines, in the right class, and that it is left alone.

Without these tests a person's comment could move, a CRLF file could get mixed line ends, a stub
could override what a mixin implements, or a method could land in somebody else's class.
"""

from __future__ import annotations

import ast
import difflib
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import libcst
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak_codegen.diagnostic import Diagnostic, SchemaError, render
from batpak_codegen.hook_classes import hook_classes
from batpak_codegen.ir import HookClass, HookMethod
from batpak_codegen.stubs import Merged, merge, scaffold
from tests.unit.codegen.hook_world import FILES, doors

HOOKS, UPCASTS = doors()
IMPORT = "from house.gen.doors import hooks as h\n"
WHOLE = scaffold([HOOKS, UPCASTS]).decode()


def merged(text: str | bytes, *classes: HookClass, module: str = "house.doors_hooks") -> Merged:
    data = text.encode() if isinstance(text, str) else text
    return merge(data, classes or [HOOKS], path="house/doors_hooks.py", module=module)


def refused(text: str | bytes, *classes: HookClass) -> tuple[Diagnostic, ...]:
    with pytest.raises(SchemaError) as caught:
        merged(text, *classes)
    return caught.value.diagnostics


def added(old: str, new: bytes) -> str:
    """Return the lines that are new; nothing else may differ."""
    rows = difflib.ndiff(old.splitlines(), new.decode().splitlines())
    assert not [row for row in rows if row[0] in "-?"]
    before, after = old.splitlines(), new.decode().splitlines()
    return "\n".join(row[2:] for row in difflib.ndiff(before, after) if row[0] == "+")


def methods_of(data: bytes, name: str) -> list[str]:
    node = next(
        node
        for node in ast.walk(ast.parse(data))
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [each.name for each in node.body if isinstance(each, kinds)]


def test_a_new_file_has_a_stub_for_everything_and_installs_the_upcasts() -> None:
    assert (
        WHOLE
        == '''\
"""Yours. batpak appends methods that are missing here; it never changes a line you wrote."""

from __future__ import annotations

from typing import final

from house.gen.doors import hooks as h


@final
class Hooks(h.DoorsHooks):
    @h.override
    def gate_may_open(self, ctx: object, event: h.Opened, /) -> h.MayOpenVerdict:
        """Asks the porter.

        Return PERMIT or a code.
        """
        raise NotImplementedError  # batpak: write me

    @h.override
    def evolve_door_brick_up(
        self, state: tuple[int, h.Opened | None], event: h.Bricked, /
    ) -> tuple[str, ...]:
        """One line."""
        raise NotImplementedError  # batpak: write me


@final
class Upcasts(h.DoorsUpcasts):
    @h.override
    def opened_v1(self, old: h.OpenedV1, /) -> h.Opened:
        """Version 1 -> 2."""
        raise NotImplementedError  # batpak: write me


h.install_upcasts(Upcasts())
'''
    )
    again = merged(WHOLE, HOOKS, UPCASTS)
    assert replace(again, unwritten=()) == Merged(WHOLE.encode(), ())
    assert [found.message for found in again.unwritten] == [
        f"`{name}` is not written yet"
        for name in ("gate_may_open", "evolve_door_brick_up", "opened_v1")
    ]


def test_a_scaffold_is_as_a_formatter_would_leave_it() -> None:
    ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "100", "-"]
    done = subprocess.run(ruff, input=WHOLE, capture_output=True, text=True, check=True)

    assert done.stdout == WHOLE


def test_what_is_missing_is_appended_in_the_order_of_the_schema() -> None:
    text = IMPORT + "class Hooks(h.DoorsHooks):\n    x = 1\n    # last words\n\n\nrest = 2\n"

    result = merged(text)

    assert result.added == ("gate_may_open", "evolve_door_brick_up")
    assert result.data.decode() == text.replace(
        "words\n",
        "words\n\n" + WHOLE.partition("DoorsHooks):\n")[2].partition("\n\n\n@final")[0] + "\n",
    )


def test_only_the_method_that_is_missing_is_added() -> None:
    text = WHOLE.replace("def opened_v1", "def helper")

    result = merged(text, HOOKS, UPCASTS)

    assert added(text, result.data).count("def ") == 1
    assert methods_of(result.data, "Upcasts") == ["helper", "opened_v1"]


def test_both_classes_are_extended_in_one_go() -> None:
    text = IMPORT + "class Upcasts(h.DoorsUpcasts):\n\tx = 1\nclass Hooks(h.DoorsHooks):\n\tx = 1"

    result = merged(text, HOOKS, UPCASTS)

    assert methods_of(result.data, "Hooks") == ["gate_may_open", "evolve_door_brick_up"]
    assert methods_of(result.data, "Upcasts") == ["opened_v1"]
    assert not result.data.endswith(b"\n")
    assert set(result.added) == {"gate_may_open", "evolve_door_brick_up", "opened_v1"}
    assert merged(result.data, HOOKS, UPCASTS).data == result.data


@pytest.mark.parametrize(
    ("imports", "base", "handle"),
    [
        ("from house.gen.doors import hooks", "hooks.DoorsHooks", "hooks"),
        (
            "import house.gen.doors.hooks",
            "house.gen.doors.hooks.DoorsHooks",
            "house.gen.doors.hooks",
        ),
        ("import house.gen.doors.hooks as hh", "hh.DoorsHooks", "hh"),
        ("from .gen.doors import hooks as h", "h.DoorsHooks", "h"),
        (IMPORT + "Base = h.DoorsHooks", "Base", "h"),
        (IMPORT + "Base: type = h.DoorsHooks", "Base", "h"),
        (IMPORT + "from house.gen.doors.hooks import DoorsHooks as B", "B", "h"),
        ("if True:\n    " + IMPORT, "h.DoorsHooks", "h"),
        ("try:\n    " + IMPORT + "except ImportError:\n    raise", "h.DoorsHooks", "h"),
    ],
)
def test_the_base_is_known_by_whatever_name_it_is_imported(
    imports: str, base: str, handle: str
) -> None:
    text = f"{imports}\nclass Mine({base}):\n    x = 1\n"

    result = merged(text)

    assert f"    @{handle}.override\n    def gate_may_open(".encode() in result.data
    assert added(text, result.data).count(f"event: {handle}.") == 2


@pytest.mark.parametrize(
    "body",
    [
        "gate_may_open = evolve_door_brick_up = print",
        "gate_may_open, evolve_door_brick_up = print, print",
        "from builtins import print as gate_may_open, len as evolve_door_brick_up",
        "if True:\n        def gate_may_open(self): ...\n    evolve_door_brick_up: object = len",
        "async def gate_may_open(self): ...\n    class evolve_door_brick_up: ...",
    ],
)
def test_whatever_binds_the_name_is_the_method_and_libcst_is_not_asked(body: str) -> None:
    text = IMPORT + f"class Hooks(h.DoorsHooks):\n    {body}\n"

    assert merged(text) == Merged(text.encode(), ())


def test_an_annotation_alone_is_no_method() -> None:
    text = IMPORT + "class Hooks(h.DoorsHooks):\n    gate_may_open: object\n"

    assert "gate_may_open" in merged(text).added


def test_libcst_is_loaded_only_when_something_is_missing() -> None:
    script = """
import sys
from batpak_codegen.stubs import merge, scaffold
from tests.unit.codegen.hook_world import doors
whole = scaffold(doors())
merge(whole, doors(), path="x.py", module="x")
assert "libcst" not in sys.modules
merge(whole.replace(b"def opened", b"def shut"), doors(), path="x.py", module="x")
assert "libcst" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_a_class_that_inherits_from_elsewhere_is_not_judged() -> None:
    text = IMPORT + "from x import Mixin\nclass Hooks(Mixin, h.DoorsHooks):\n    y = 1\n"

    assert merged(text) == Merged(text.encode(), ())


def test_what_a_class_of_the_same_file_gives_is_not_missing() -> None:
    mixin = "class Mixin:\n    def gate_may_open(self): ...\n"
    text = IMPORT + mixin + "class Hooks(Mixin, h.DoorsHooks):\n    y = 1\n"

    result = merged(text)

    assert result.added == ("evolve_door_brick_up",)
    assert methods_of(result.data, "Hooks") == ["evolve_door_brick_up"]


def test_of_a_class_and_its_heir_the_heir_is_extended() -> None:
    base = "class Base(h.DoorsHooks):\n    def gate_may_open(self): ...\n"
    text = IMPORT + base + "class Hooks(Base):\n    y = 1\n"

    assert methods_of(merged(text).data, "Hooks") == ["evolve_door_brick_up"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (IMPORT + "class Hooks(h.DoorsHooks): pass\n", 2),
        (IMPORT + "class Hooks(h.DoorsHooks): x = 1; y = 2\n", 2),
        (IMPORT + "class A(h.DoorsHooks):\n    x = 1\nclass B(h.DoorsHooks):\n    x = 1\n", 2),
        ("from house.gen.doors.hooks import *\nclass A(DoorsHooks):\n    x = 1\n", 2),
        ("from house.gen.doors.hooks import DoorsHooks\nclass A(DoorsHooks):\n    x = 1\n", 2),
        (IMPORT + "h = 3\nclass A(h.DoorsHooks):\n    x = 1\n", 3),
        (IMPORT, 1),
        ("", 1),
        ("from other import hooks as h\nclass Hooks(h.DoorsHooks):\n    x = 1\n", 1),
    ],
)
def test_where_no_single_place_is_right_the_stub_is_printed(text: str, line: int) -> None:
    first, *_ = refused(text)

    assert first.code == "E0602"
    assert first.span is not None
    assert first.span.line == line
    shown = render([first], {"house/doors_hooks.py": text})
    assert "def gate_may_open(self, ctx: object, event: h.Opened, /) -> h.MayOpenVerdict:" in shown
    assert "# from house.gen.doors import hooks as h" in shown


def test_the_only_complete_one_of_several_classes_is_enough_for_nobody_else() -> None:
    text = WHOLE + "\n\nclass Half(h.DoorsHooks):\n    x = 1\n"

    (found,) = refused(text, HOOKS)

    assert found.message.startswith("Half lacks `gate_may_open`, `evolve_door_brick_up`")


@pytest.mark.parametrize(
    "text", ["class Hooks(:\n", "x = '\0'\n", "# coding: nonsense\n", "\tx\n x"]
)
def test_a_file_that_does_not_parse_is_left_alone(text: str) -> None:
    (found,) = refused(text)

    assert found.code == "E0601"
    assert found.span is not None


def test_two_findings_are_reported_at_once() -> None:
    text = IMPORT + "class Hooks(h.DoorsHooks): pass\nclass Upcasts(h.DoorsUpcasts): pass\n"

    assert [d.code for d in refused(text, HOOKS, UPCASTS)] == ["E0602", "E0602"]


def test_a_method_that_no_schema_asks_for_is_named_and_kept() -> None:
    text = WHOLE.replace("def gate_may_open", "def gate_old") + "# end\n"

    result = merged(text, HOOKS, UPCASTS)

    (orphan,) = result.orphans
    assert (orphan.code, orphan.span and orphan.span.line) == ("W0603", 13)
    assert b"def gate_old" in result.data
    assert "warning[W0603] no schema asks for `gate_old` any more" in render([orphan], {})


def test_a_coding_cookie_and_a_byte_order_mark_are_kept() -> None:
    body = IMPORT + "class Hooks(h.DoorsHooks):\n  x = '\u00e9'\n"
    latin = b"# coding: latin-1\n" + body.encode("latin-1")
    marked = b"\xef\xbb\xbf" + body.replace("\n", "\r\n").encode()

    for data in (latin, marked):
        result = merged(data)

        assert result.data.startswith(data)
        assert b"\r\n" in result.data.removeprefix(data) or data is latin
    assert b"\n  @h.override\n  def gate_may_open" in merged(latin).data


def test_the_classes_come_from_what_hooks_shows() -> None:
    assert hook_classes({}, "doors", "house.gen.doors") == ()
    assert hook_classes({"doors/upcasts.py": FILES["doors/upcasts.py"]}, "doors", "x") == ()
    assert HOOKS.methods[0] == HookMethod(
        "gate_may_open",
        ("self", "ctx: object", "event: h.Opened", "/"),
        "h.MayOpenVerdict",
        "Asks the porter.\n\nReturn PERMIT or a code.",
    )
    assert UPCASTS.homes == ("house.gen.doors.hooks", "house.gen.doors.upcasts")
    assert UPCASTS.prefixes == ("opened_v",)


# -------------------------------------------------------------------------- whatever they wrote

NAMES = [*(method.name for method in HOOKS.methods), "helper", "_private"]
BEFORE = [
    "",
    "#!/usr/bin/env python\n",
    "# coding: latin-1\n# \u00e9\u00fc\n",
    '"""Doc.\n\n  odd\n"""\n',
    "import os, sys\n",
    "x = (\n  1,\n\n   2)\n",
    "\f\n",
    "class Other:\n    def gate_may_open(self): ...\n\n",
    "def f():\n    class Hooks2: pass\n    return 1\n",
]
AFTER = [
    "",
    "\n\n# the end",
    "# flush comment\n",
    "x = 1\n",
    "\n\n\nhooks = Hooks()\n",
    "if __name__ == '__main__':\n    pass\n",
    "\n   # stray\n",
]
MEMBERS = [
    '"""Doc\n{m}with lines.\n{m}"""',
    "x = 1; y = 2",
    "x: int  # a comment",
    "pass",
    "...",
    "@property\n{m}def p(self): return 1",
    "@h.override\n\n{m}# why\n{m}def {n}(self, a, b, /): return a",
    "def {n}(self, *a):\n{m}{u}if a:\n{m}{u}{u}return 1\n{m}{u}# tail\n\n{m}{u}return 2",
    "def {n}(self, *a):\n{m}{u}'''text\nflush left'''\n{m}{u}{u}# deep\n{m}# shallow",
    "async def {n}(self): ...",
    "class Inner:\n{m}{u}z = 1\n\n{m}{u}class Deep: ...",
    "if x:\n{m}{u}y = 1\n{m}else:\n{m}{u}y = 2",
    "z = \\\n  1",
    "s = '''\n\t mixed \n'''",
    "# only a comment\n{m}q = 1\n\n\n{m}# trailing",
    "lambda_ = lambda self: 1  ;",
]
HEADS = [
    "class Hooks(h.DoorsHooks):\n",
    "@final\nclass Hooks(h.DoorsHooks):  # mine\n",
    "class Hooks(\n  h.DoorsHooks,\n  metaclass=M,\n):\n\n",
    "@a(1)\n@b\nclass Hooks(object, h.DoorsHooks):\n    \n",
    "class Hooks(h.DoorsHooks):\n\t# odd comment\n",
]
WRAPS = ["", "if True:\n", "try:\n"]


@st.composite
def user_files(draw: st.DrawFn) -> bytes:
    unit = draw(st.sampled_from(["    ", "  ", "\t", "   "]))
    wrap = draw(st.sampled_from(WRAPS))
    margin = unit if wrap else ""
    inner = margin + unit
    members: Sequence[str] = draw(st.lists(st.sampled_from(MEMBERS), min_size=1, max_size=5))
    rows = [inner + row.format(m=inner, u=unit, n=draw(st.sampled_from(NAMES))) for row in members]
    gaps = [draw(st.sampled_from(["\n", "\n\n", "\n   \n"])) for _ in rows]
    head = draw(st.sampled_from(HEADS))
    if wrap:
        head = "".join(margin + row for row in head.splitlines(keepends=True))
    body = head + "".join(row + gap for row, gap in zip(rows, gaps, strict=True))
    closing = "except E:\n    pass\n" if wrap == "try:\n" else ""
    before = draw(st.lists(st.sampled_from(BEFORE), max_size=3, unique=True))
    before.sort(key=lambda row: not row.startswith("#"))
    text = "".join(before) + IMPORT + wrap + body + closing + draw(st.sampled_from(AFTER))
    if draw(st.booleans()):
        text = text.rstrip("\n")
    text = text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])))
    latin = "coding: latin-1" in "\n".join(text.splitlines()[:2])
    mark = not latin and draw(st.booleans())
    return (b"\xef\xbb\xbf" if mark else b"") + text.encode("latin-1" if latin else "utf-8")


def parses(data: bytes) -> bool:
    try:
        ast.parse(data)
    except (SyntaxError, ValueError):
        return False
    return True


@given(user_files().filter(parses))
def test_any_file_with_one_class_gains_one_block_of_lines_and_keeps_every_byte(data: bytes) -> None:
    try:
        result = merged(data)
    except SchemaError:
        assert [d.code for d in refused(data)] == ["E0601"]
        with suppress(SyntaxError):  # a coding cookie before a lone CR
            assert libcst.parse_module(data).bytes != data  # it loses lines with stray comments
        return

    old, new = data.splitlines(), result.data.splitlines()
    assert is_one_block_longer(old, new)
    assert set(methods_of(result.data, "Hooks")) >= {method.name for method in HOOKS.methods}
    again = merged(result.data)
    assert (again.data, again.added) == (result.data, ())
    assert bool(result.added) == (result.data != data)
    assert ends(result.data) & {*ends(data)} == ends(result.data)
    assert result.data.endswith((b"\r", b"\n")) == data.endswith((b"\r", b"\n"))
    assert result.data.startswith(b"\xef\xbb\xbf") == data.startswith(b"\xef\xbb\xbf")


def is_one_block_longer(old: list[bytes], new: list[bytes]) -> bool:
    cuts = range(len(old) + 1)
    return any(old[:at] == new[:at] and old[at:] == new[len(new) - len(old) + at :] for at in cuts)


def ends(data: bytes) -> set[bytes]:
    return {line[len(line.rstrip(b"\r\n")) :] for line in data.splitlines(keepends=True)} - {b""}


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_bytes_that_are_no_python_are_refused_and_not_touched(data: bytes) -> None:
    assert {d.code for d in refused(data)} <= {"E0601", "E0602"}
