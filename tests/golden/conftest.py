"""`pytest tests/golden --update` rewrites what is expected; read the difference first."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite expected.err of golden cases")
