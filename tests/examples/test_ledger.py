"""The ledger example tells its story: an honest week passes the audit, a dishonest one does not.

It is what people copy whose records have to convince somebody else; without this it would rot.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak import Committed, Denial, Region, SigningKey, Store, StoreConfig
from books.app import JOURNAL, Balances, balances, name_customer, post, reverse, tell
from books.audit import audit
from books.gen.ledger import CustomerNamed, EntryPosted

EXAMPLE = Path(__file__).parents[2] / "examples" / "ledger"
SALE = {"bank": "24.00", "sales": "-24.00"}


def test_the_story_is_the_one_that_the_readme_tells(tmp_path: Path) -> None:
    said = tell(tmp_path)

    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    told = readme.partition("$ python -m books.app\n")[2].partition("```")[0]
    assert said == told.splitlines()


def test_a_reversed_entry_leaves_the_balances_and_both_entries(tmp_path: Path) -> None:
    with Store.open(tmp_path / "books.store") as store:
        post(store, "a cup", SALE)
        before = balances(store)
        post(store, "a cup, again", SALE)

        done = reverse(store, 2, "posted twice")

        assert isinstance(done, Committed)
        assert done.event.reverses == 2
        assert balances(store) == before == "bank 24.00, sales -24.00"
        state = store.project(Balances(), JOURNAL.entity)
        assert state is not None
        assert state.entries == store.version(JOURNAL.entity) == 3


@pytest.mark.parametrize(
    ("amounts", "code"),
    [
        ({"bank": "1.00", "sales": "-1.01"}, "NOT_BALANCED"),
        ({"bank": "1.00", "pocket": "-1.00"}, "UNKNOWN_ACCOUNT"),
    ],
)
def test_a_refused_entry_is_kept_beside_the_journal_and_leaves_no_gap(
    tmp_path: Path, amounts: dict[str, str], code: str
) -> None:
    with Store.open(tmp_path / "books.store") as store:
        denial = post(store, "wrong", amounts)
        done = post(store, "right", SALE)

        assert isinstance(denial, Denial)
        assert denial.code == code
        assert isinstance(done, Committed)
        assert done.event.number == 1
        assert store.count(Region(entity="batpak:denial")) == 1


def test_an_entry_that_passed_no_gate_is_found(tmp_path: Path) -> None:
    key = SigningKey.generate()
    with Store.open(tmp_path / "books.store", StoreConfig(signer=key)) as store:
        done = post(store, "right", SALE)
        assert isinstance(done, Committed)
        past = EntryPosted(number=2, text="mine", postings=done.event.postings)
        store.append(JOURNAL, past)

    said = audit(tmp_path / "books.store", tmp_path, key.public)

    assert said[-1] == "entry 2 was judged by nobody, or by another policy"


def test_no_entry_holds_the_name_of_a_customer(tmp_path: Path) -> None:
    with Store.open(tmp_path / "books.store") as store:
        ada = name_customer(store, "Ada Lovelace")
        post(store, "a cup", SALE, customer_id=ada)

        people = {event.coordinate.scope for event in store.by_fact(CustomerNamed)}
        entries = list(store.stream(JOURNAL.entity))

    assert people == {"books.people"}
    assert all("Lovelace" not in repr(event.payload) for event in entries)
