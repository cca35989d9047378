"""The mutants that are made of a few lines, and that each of them is another program.

Would slip through without it: a kind of change that is no longer made, and a share of killed
mutants that is high because the hard ones are missing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.mutants import mutants
from tests.mutation.rooms import ROOMS

ROOT = Path(__file__).parents[2]


def changes(body: str) -> set[str]:
    """What is changed in a function with that body."""
    source = "def f(a, b, c):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return {" ".join(one.change.split()) for one in mutants(source, "f.py")}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (
            "x = a < b",
            {"x = a < b -> x = a <= b", "x = a < b -> x = a != b", "x = a < b -> x = False"},
        ),
        ("x = a is b", {"x = a is b -> x = a is not b"}),
        ("x = a + b", {"x = a + b -> x = a - b"}),
        ("x = 'a' + b", set()),
        ("x = 7", {"x = 7 -> x = 8", "x = 7 -> x = 6"}),
        ("x = True", {"x = True -> x = False"}),
        ("x = b'ab'", {"x = b'ab' -> x = b'`b'"}),
        (
            "x = a and b",
            {"x = a and b -> x = a or b", "x = a and b -> x = a", "x = a and b -> x = b"},
        ),
        ("x = not a", {"x = not a -> x = a"}),
        (
            "x = a if b else c",
            {
                "x = a if b else c -> x = a",
                "x = a if b else c -> x = c",
                "x = a if b else c -> x = a if not b else c",
            },
        ),
        ("x = a[b:c]", {"x = a[b:c] -> x = a[:c]", "x = a[b:c] -> x = a[b:]"}),
        ("x = min(a)", {"x = min(a) -> x = max(a)"}),
        ("x = g(a, b)", {"x = g(a, b) -> x = g(b, a)"}),
        ("x = g(a, k=b)", {"x = g(a, k=b) -> x = g(a)"}),
        ("x = g(a, detail=b)", set()),
        ("g(a)", {"g(a) -> (nothing)"}),
        ("a.x = b", {"a.x = b -> (nothing)"}),
        ("a += b", {"a += b -> (nothing)", "a += b -> a -= b"}),
        ("return a", {"return a -> return None"}),
        (
            "if g(a):\n    return b\nreturn c",
            {
                "g(a) -> not g(a)",
                "return b -> (nothing)",
                "return b -> return None",
                "return c -> return None",
            },
        ),
        ("for x in a:\n    continue", {"a -> ()", "continue -> (nothing)"}),
        (
            "try:\n    raise a\nexcept (B, C):\n    pass",
            {"raise a -> (nothing)", "(B, C) -> ()", "(B, C) -> (C,)", "(B, C) -> (B,)"},
        ),
        ("with a, b:\n    pass", {"with a, b -> with b", "with a, b -> with a"}),
        (
            "with suppress(A):\n    pass",
            {"with suppress(A) -> (no with)", "suppress(A) -> suppress()"},
        ),
        ("log.warning(a, b)", set()),
        ("detail = f'{a + b}'", set()),
        ("raise A(f'{a + b}')", {"raise A(f'{a + b}') -> (nothing)"}),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_every_kind_of_slip_is_made(body: str, wanted: set[str]) -> None:
    assert changes(body) == wanted


def test_what_only_a_reader_sees_is_left_alone() -> None:
    source = '"""1 + 1"""\nfrom a import b\nX: TypeAlias = "int | None"\n\n\n'
    source += 'def f(a: int | None) -> bytes | None:\n    """1 + 1"""\n    x: int | str = a\n'

    assert mutants(source, "f.py") == []


def test_a_default_and_a_constant_are_changed_where_they_are_made() -> None:
    found = mutants("X = 1\n\n\ndef f(a=2, *, b=3): return a\n", "f.py")

    assert [one.function for one in found] == [""] * 6 + ["f"]


def test_a_change_has_one_name_however_often_it_is_made() -> None:
    found = mutants("def f(a):\n    g(1)\n    h()\n    g(1)\n", "f.py")

    names = [one.change for one in found]
    assert len(set(names)) == len(names)
    assert [one.line for one in found] == sorted(one.line for one in found)


@pytest.mark.parametrize("room", ROOMS)
def test_every_mutant_of_a_room_is_a_program_and_another_one(room: str) -> None:
    path = ROOT / ROOMS[room].path
    source = path.read_text(encoding="utf-8")
    plain = compile(source, str(path), "exec", dont_inherit=True)
    found = mutants(source, str(path))

    assert len({(one.function, one.change) for one in found}) == len(found) > 100
    for one in found[::50]:
        assert one.code() != plain
    for place in ROOMS[room].tests:
        assert (ROOT / place).exists()
