"""`batpak.flow`: who asks for it sees one record for each operation; who does not pays nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import pytest

from batpak.append import BatchItem
from batpak.errors import VersionConflict
from batpak.store import Store
from tests.facts import PLAIN, USER, Counted

FLOW: Final = "batpak.flow"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said since the last time."""
    messages = [one.getMessage() for one in caplog.records if one.name == FLOW]
    caplog.clear()
    return messages


def test_each_operation_is_one_record_with_its_outcome(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger=FLOW):
        store = Store.open(tmp_path / "s", PLAIN)
        receipt = store.append(USER, Counted(n=1))
        (record,) = [one for one in caplog.records if one.name == FLOW]
        store.append_batch([BatchItem(USER, Counted(n=2))])
        store.submit(USER, Counted(n=3)).result()
        with pytest.raises(VersionConflict):
            store.append(USER, Counted(n=4), expected_version=9)
        assert told(caplog) == [
            "append: ok",
            "append_batch: ok",
            "submit: ok",
            "append: VersionConflict",
        ]

        asked = [
            store.get(receipt.event_id), list(store.stream(USER.entity)), store.count(),
            store.stats(), store.version(USER.entity), store.verify(), store.checkpoint(),
            store.sync(), store.frontier(), store.diagnostics(), store.page(),
            store.walk_ancestors(receipt.event_id), store.impact(receipt.event_id),
        ]  # fmt: skip
        assert len(told(caplog)) == len(asked)
        store.close()
        assert told(caplog) == ["close: ok"]

    assert (record.__dict__["sequence"], record.__dict__["path"]) == (0, str(tmp_path / "s"))
    assert record.__dict__["store_id"] == str(store.open_report.store_id)


def test_no_record_shows_what_was_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger=FLOW), Store.open(tmp_path / "s", PLAIN) as store:
        store.append(USER, Counted(n=987654321), idempotency_key="a secret")
        with pytest.raises(VersionConflict):
            store.append(USER, Counted(n=987654321), expected_version=9)

    for record in caplog.records:
        assert "987654321" not in str(record.__dict__)
        assert "secret" not in str(record.__dict__)


def test_a_handle_that_nobody_watches_is_the_plain_class(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", PLAIN) as store:
        assert type(store) is Store


def test_a_watched_handle_is_a_store_with_the_same_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger=FLOW):
        with Store.open(tmp_path / "s", PLAIN) as store:
            assert isinstance(store, Store)
            assert type(store).__qualname__ == "Store"
        with Store.open_read_only(tmp_path / "s", PLAIN) as reader:
            assert reader.count() == 0
            assert told(caplog) == ["close: ok", "count: ok"]
