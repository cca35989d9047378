"""`pytest tests/golden --update` rewrites what is expected; read the difference first."""

from __future__ import annotations

import pytest

collect_ignore = ["cases", "cases_out", "features"]  # tests there belong to the projects there


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite what golden cases expect")
