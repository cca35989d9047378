"""The reference pages name what the code has: every exception, every diagnostic, every page cited.

Without this a new code or class is documented when somebody stumbles over it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest

import batpak.outcome  # noqa: F401  its exception is no name of `batpak`
from batpak import BatpakError, Limits, StoreConfig

ROOT = Path(__file__).parents[1]
SOURCES = [*ROOT.glob("batpak/**/*.py"), *ROOT.glob("codegen/**/*.py")]


def classes(cls: type[BatpakError] = BatpakError) -> Iterator[type[BatpakError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from classes(sub)


@pytest.mark.parametrize("cls", list(classes()), ids=lambda cls: cls.__name__)
def test_every_exception_is_in_the_reference_under_its_code(cls: type[BatpakError]) -> None:
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")

    row = f"| `{cls.__name__}` | `{cls.code}` |"

    assert row in page or (cls.__subclasses__() and f"`{cls.__name__}`" in page)


def test_every_way_to_a_type_error_of_ours_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    said = {
        "batpak/codec.py": None,  # an append says PayloadInvalid instead
        "batpak/guard/receipt.py": "policy receipt",
        "batpak/guard/verdict.py": "`bool()` of a denial",
        "batpak/reader.py": "store handle",
        "batpak/signing/signing_key.py": "`SigningKey`",
        "batpak/signing/verdict.py": "or of a trust verdict",
    }
    _, _, section = page.partition("`TypeError`, as Python itself")

    raising = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("batpak/**/*.py")
        if "raise TypeError(" in path.read_text(encoding="utf-8")
    }

    assert raising == set(said)
    assert [words for words in said.values() if words and words not in section] == []


def test_every_diagnostic_code_is_in_the_reference() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    page = (ROOT / "docs/reference/diagnostics.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"E\d{4}", page))
    for low, high in re.findall(r"(E\d{4}) … (E\d{4})", page):
        listed |= {f"E{number:04}" for number in range(int(low[1:]), int(high[1:]) + 1)}

    raised = set(re.findall(r'"(E\d{4})"', text))

    assert raised - listed == set()
    assert len(raised) > 40


def test_every_page_and_section_cited_in_the_code_exists() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    cited = set(re.findall(r'(docs/[a-z/-]+\.md)(?:, "([^"]+)")?', text))

    missing = [
        (page, section)
        for page, section in sorted(cited)
        if not (ROOT / page).is_file()
        or (section and f"\n## {section}\n" not in (ROOT / page).read_text(encoding="utf-8"))
    ]

    assert missing == []


@pytest.mark.parametrize("settings", [StoreConfig(), Limits()], ids=lambda one: type(one).__name__)
def test_every_setting_is_in_the_reference_with_its_default(settings: StoreConfig | Limits) -> None:
    page = (ROOT / "docs/reference/config.md").read_text(encoding="utf-8")

    _, _, table = page.partition(f"| Field of `{type(settings).__name__}` |")
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", table.partition("\n\n")[0], re.MULTILINE)

    assert dict(rows) == {
        name: default(getattr(settings, name)) for name in settings.__struct_fields__
    }


def default(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    return f"{type(value).__name__}()" if "batpak" in type(value).__module__ else repr(value)
