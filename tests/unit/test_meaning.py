"""What a cached state depends on: another class, another line of code, another digest.

Would slip through without it: a state that was folded by code that is no more, given as the answer
of the code that is; or a digest with an address in it, which no second process would find again.
"""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from msgspec import Struct, defstruct

from batpak import meaning
from tests.facts import Counted, Said

RATE = Decimal("0.20")


def helped(n: int) -> int:
    return n + 1


def uses(n: int) -> Decimal:
    return helped(n) * RATE


def digest(*owners: object) -> str:
    return meaning.digest_of(meaning.code(*owners))


def shaped(*fields: Any, **more: Any) -> str:  # noqa: ANN401
    return meaning.digest_of(meaning.shape(defstruct("Thing", fields, **more)))


def test_the_same_is_the_same() -> None:
    assert digest(uses) == digest(uses)
    assert meaning.digest_of(("ab", "c")) != meaning.digest_of(("a", "bc"))
    assert shaped(("n", int)) == shaped(("n", int))


class Small(Enum):
    A = "a"


class Large(Enum):
    A = "a"
    B = "b"


class Tree(Struct):
    left: Tree | None = None


@pytest.mark.parametrize(
    "other",
    [
        shaped(("m", int)),
        shaped(("n", str)),
        shaped(("n", int, 7)),
        shaped(("n", int), ("m", int)),
        shaped(("n", int), rename="upper"),
        shaped(("n", int), tag=True),
        shaped(("n", list[int])),
        shaped(("n", list[str])),
        shaped(("n", Small)),
        shaped(("n", Large)),
        shaped(("n", Tree)),
    ],
)
def test_every_difference_in_shape_is_seen(other: str) -> None:
    assert other != shaped(("n", int))


def test_members_of_an_enum_and_fields_of_a_struct_inside_belong_to_the_shape() -> None:
    one: Any = defstruct("Inner", [("a", int)])
    other: Any = defstruct("Inner", [("a", str)])
    many: Any = dict

    assert shaped(("n", Small)) != shaped(("n", Large))
    assert shaped(("n", one)) != shaped(("n", other))
    assert shaped(("n", many[str, one])) != shaped(("n", many[str, other]))


def test_kinds_have_the_shapes_of_their_classes() -> None:
    counted, said = (meaning.digest_of(meaning.shapes([cls.KIND])) for cls in (Counted, Said))
    both = meaning.digest_of(meaning.shapes([Said.KIND, Counted.KIND]))

    assert counted != said
    assert both == meaning.digest_of(meaning.shapes([Counted.KIND, Said.KIND]))
    assert meaning.digest_of(meaning.shapes([0xE999])) != meaning.digest_of(meaning.shapes([]))


def made(text: str) -> dict[str, Any]:
    """What a module with this text has."""
    space: dict[str, Any] = {"__name__": "somebody"}
    exec(text, space)  # noqa: S102  two texts of one function are what is compared
    return space


BASE = "def helped(n):\n    return n + 1\ndef fold(n):\n    return helped(n) * RATE\nRATE = 2\n"


@pytest.mark.parametrize(
    "other",
    [
        BASE.replace("helped(n) * RATE", "helped(n) + RATE"),
        BASE.replace("n + 1", "n + 2"),
        BASE.replace("n + 1", "n - 1"),
        BASE.replace("RATE = 2", "RATE = 3"),
        BASE.replace("return helped(n) * RATE", "return [helped(m) for m in range(n)]"),
    ],
)
def test_another_line_in_a_fold_or_in_what_it_calls_by_name_is_seen(other: str) -> None:
    assert digest(made(other)["fold"]) != digest(made(BASE)["fold"])


def test_where_the_code_stands_does_not_count() -> None:
    assert digest(made("\n\n# moved\n" + BASE)["fold"]) == digest(made(BASE)["fold"])


CLASS = """
class Base:
    def apply(self, n):
        return self.step(n)
    @staticmethod
    def step(n):
        return n + 1
    @property
    def rate(self):
        return 2
class Child(Base):
    @classmethod
    def made(cls):
        return cls()
"""


@pytest.mark.parametrize(
    ("old", "new"), [("n + 1", "n + 2"), ("return 2", "return 3"), ("cls()", "None")]
)
def test_a_class_is_all_of_its_methods_inherited_ones_too(old: str, new: str) -> None:
    assert digest(made(CLASS)["Child"]) == digest(made(CLASS)["Child"])
    assert digest(made(CLASS.replace(old, new))["Child"]) != digest(made(CLASS)["Child"])


def test_bound_methods_and_what_calls_itself_have_an_end() -> None:
    space = made("def even(n):\n    return odd(n - 1)\ndef odd(n):\n    return even(n - 1)\n")

    assert digest(space["even"]) != digest(space["odd"])
    assert digest(made(CLASS)["Child"]().apply) != digest(made(CLASS)["Child"]().step)


PROGRAM = """
from tests.unit.test_meaning import digest, uses
from tests.unit.test_projection import Places
def among(n):
    return n in {"one", "two", "three", "four"}
print(digest(uses, among, Places))
"""


def test_another_process_finds_the_same_digest() -> None:
    def run(seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert run("1") == run("2")
