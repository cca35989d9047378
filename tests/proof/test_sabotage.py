"""Every sabotage of the engine is noticed. `python -m tests.proof --sabotage` shows as what."""

from __future__ import annotations

import pytest

from batpak.testing.switches import SWITCHES
from tests.proof.sabotaged import NOTICED_BY, noticed

# A machine that was cut off has nobody to close its store, or to drain it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed store:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


def test_every_switch_has_a_job_that_has_to_notice_it() -> None:
    assert set(NOTICED_BY) == set(SWITCHES)
    assert len(SWITCHES) >= 30


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_sabotaged_engine_is_found_out(switch: str) -> None:
    assert noticed(switch)
