"""What holds for every test: how far properties go, that Ctrl-C arrives, what is collected."""

from __future__ import annotations

import gc
import signal
import warnings
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

for name, examples in {"bounded": 40, "long": 1000}.items():  # how fast a machine is fails no test
    unhurried = [HealthCheck.too_slow]
    settings.register_profile(
        name, max_examples=examples, deadline=None, suppress_health_check=unhurried
    )
settings.load_profile("bounded")  # `--hypothesis-profile long` goes further

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so does a shell with what it runs by `&`
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test may lose stores on purpose: they are collected before the next one begins.

    Otherwise the collector finds some of them there, where the warning that nobody has closed
    them is an error.
    """
    done = yield
    marks = item.iter_markers("filterwarnings")
    if any("ResourceWarning" in str(ignored) for mark in marks for ignored in mark.args):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    return done
