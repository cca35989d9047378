"""A case is a directory: schemas in, and the exact text a person sees because of them.

Without these cases a code could change its meaning, a caret could slip, or a hint could go, and
no assertion about data would notice. `pytest tests/golden --update` writes what is printed now.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak_codegen.config import Config, configure
from batpak_codegen.diagnostic import SchemaError, render
from batpak_codegen.run import run

CASES = Path(__file__).parent / "cases"


def printed(case: Path) -> str:
    """What the generator says about the schemas of a case."""
    own = case / "pyproject.toml"
    with pytest.raises(SchemaError) as caught:
        run(configure(own) if own.exists() else Config(case, (".",), "gen", "gen"), check=True)
    return render(caught.value.diagnostics, caught.value.texts) + "\n"


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir()))
def test_a_wrong_schema_gets_exactly_this_answer(name: str, pytestconfig: pytest.Config) -> None:
    expected = CASES / name / "expected.err"

    text = printed(CASES / name)

    if pytestconfig.getoption("--update", default=False):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def test_every_case_is_named_after_a_code_that_it_produces() -> None:
    for case in CASES.iterdir():
        code = case.name.partition("_")[0]

        assert f"error[{code.upper()}] " in (case / "expected.err").read_text(encoding="utf-8")
