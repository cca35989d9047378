"""The ledger example tells its story: an honest week passes the audit, a dishonest one does not.

A customer is forgotten in between, and no entry, balance or receipt with them.
It is what people copy whose records have to convince somebody else; without this it would rot.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak import Committed, Denial, Limits, Region, SigningKey, Store, StoreConfig
from books.app import JOURNAL, Balances, balances, post, reverse, tell
from books.audit import audit
from books.gen.ledger import CustomerNamed, EntryPosted
from books.people import People

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


def test_no_file_of_the_store_has_the_name_of_a_customer(tmp_path: Path) -> None:
    path = tmp_path / "books.store"
    with People(tmp_path / "people.keys") as people, Store.open(path) as store:
        ada = people.name(store, "Ada Lovelace")
        post(store, "a cup", SALE, customer_id=ada)

        assert people.who(store, ada) == "Ada Lovelace"
        assert {one.coordinate.scope for one in store.by_fact(CustomerNamed)} == {"books.people"}

    files = [file for file in path.rglob("*") if file.is_file()]
    assert files
    assert not any(b"Lovelace" in file.read_bytes() for file in files)


def test_who_is_forgotten_is_forgotten_in_every_copy_and_nobody_else_is(tmp_path: Path) -> None:
    path, copy = tmp_path / "books.store", tmp_path / "copy.store"
    small = StoreConfig(limits=Limits(segment_max_bytes=4 << 10))
    with People(tmp_path / "people.keys") as people:
        with Store.open(path) as store:
            ada, ben = people.name(store, "Ada"), people.name(store, "Ben")
            for number in range(20):
                post(store, f"cup {number}", SALE, customer_id=ada)
            was, note = balances(store), store.checkpoint()
            store.snapshot(copy)

        people.forget(ada)

        with Store.open_read_only(copy) as reader:
            assert people.who(reader, ada) is None
            assert people.who(reader, ben) == "Ben"
        with Store.open(path, small) as store:
            assert people.sweep(store) == 1
            assert people.sweep(store) == 0
            assert people.who(store, ben) == "Ben"
            assert balances(store) == was
            assert store.verify(since=note).ok
