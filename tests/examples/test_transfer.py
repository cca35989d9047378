"""The transfer example tells its story, and the store remembers refusals and bypasses.

It is what people copy when money is at stake; without this it would rot first.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bank import app
from bank.app import Book, bypasses, denials, euros, open_account, place, tell, transfer
from bank.gen.transfers import Currency, MoneyTransferred
from bank.gen.transfers.policies import TransferPolicy
from bank.transfers_hooks import Hooks
from batpak import Committed, Denial, PolicyStamp, Store, VersionConflict
from batpak.system import BypassRecorded
from tests import warm

EXAMPLE = Path(__file__).parents[2] / "examples" / "transfer"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "bank.store") as opened:
        yield opened


def test_the_story_moves_money_is_refused_for_five_reasons_and_passes_by_order(
    store: Store,
) -> None:
    assert tell(store) == [
        "a car: refused by plausible: 300.00 is too much for somebody who was never paid before",
        "rent: 50.00 moved, permitted by 5 gates",
        "a car, again: 300.00 moved, permitted by 5 gates",
        "a boat: refused by within_limit: 500.01 is over the limit of 500.00",
        "a souvenir: refused by one_currency: eur does not go from eur to usd",
        "nothing: refused by plausible: an account does not pay itself",
        "a favour: refused by not_frozen: one of the accounts is frozen",
        "case 12/34: 100.00 moved by court order",
    ]
    balances = [account.balance for account in Book.read(store).accounts.values()]
    assert balances == [Decimal("750.00"), Decimal("1250.00"), Decimal("1000.00")]


def test_a_reopened_store_remembers_refusals_and_bypasses(tmp_path: Path) -> None:
    with Store.open(tmp_path / "bank.store") as store:
        tell(store)

    with Store.open_read_only(tmp_path / "bank.store") as reader:
        ada, ben, cleo = Book.read(reader).accounts

        assert [one.code for one in denials(reader)] == [
            "STRANGER",
            "OVER_LIMIT",
            "CURRENCY",
            "TO_ITSELF",
            "FROZEN",
        ]
        assert [one.code for one in denials(reader, ben)] == ["TO_ITSELF", "FROZEN"]
        assert list(denials(reader, cleo)) == []
        assert next(denials(reader, ada)).context == {"purpose": "a car"}
        assert list(bypasses(reader)) == [
            "100.00 eur by court order, approved by Dora: judgement of 2 March, 12/34"
        ]
        assert reader.verify().ok


def test_every_transfer_says_which_policy_permitted_it_or_why_none_was_asked(
    store: Store,
) -> None:
    tell(store)
    policy = TransferPolicy(Hooks())

    *judged, seized = store.by_fact(MoneyTransferred)

    for event in judged:
        assert PolicyStamp.of(event.extensions) == PolicyStamp(
            "bank.transfers.TransferPolicy", policy.fingerprint, policy.names
        )
    assert PolicyStamp.of(seized.extensions) is None
    (audit,) = store.by_fact(BypassRecorded)
    assert audit.causation_id == seized.event_id


def test_a_refusal_does_not_move_the_account_and_a_concurrent_transfer_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = open_account(store, "Ada", Currency.EUR).data.account_id
    ben = open_account(store, "Ben", Currency.EUR).data.account_id
    entity = place(ada).entity
    before = store.version(entity)
    assert isinstance(transfer(store, ada, ben, euros("500.01"), "a boat"), Denial)
    assert store.version(entity) == before

    read = Book.read

    def read_and_be_late(reader: Store) -> Book:
        book = read(reader)
        monkeypatch.setattr(app.Book, "read", read)
        assert isinstance(transfer(store, ada, ben, euros("100.00"), "first"), Committed)
        return book

    monkeypatch.setattr(app.Book, "read", read_and_be_late)
    with pytest.raises(VersionConflict):
        transfer(store, ada, ben, euros("100.00"), "second")

    assert [event.payload.purpose for event in store.by_fact(MoneyTransferred)] == ["first"]


def run(*command: str) -> str:
    done = warm.run(["-m", *command], EXAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_generated_tests_of_the_example_pass() -> None:
    assert "passed" in run(*warm.PYTEST, "-q", "tests")


def test_the_story_is_told_by_its_own_command(tmp_path: Path) -> None:
    said = run("bank.app", str(tmp_path / "bank.store"))

    assert "not judged: 100.00 eur by court order, approved by Dora" in said
    assert "refusals: {'STRANGER': 1, 'OVER_LIMIT': 1" in said
