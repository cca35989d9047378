"""Teaches: entries that are judged, signed and never changed, and notes that are kept elsewhere.

Run it: `python -m books.app`. It tells a story of an honest week, of somebody who wants to be
forgotten, and of a dishonest week.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, final

import msgspec

from batpak import (
    Committed,
    Coordinate,
    Denial,
    Limits,
    Pipeline,
    Proposal,
    SigningKey,
    Store,
    StoreConfig,
    StoredEvent,
    StoreReader,
    override,
)
from books.audit import audit
from books.gen.ledger import Account, CustomerId, EntryPosted, Posting
from books.gen.ledger.contexts import Chart
from books.gen.ledger.policies import PostingPolicy
from books.gen.ledger.projections import BalancesProjection, BalancesState
from books.people import People

CHART: Final[frozenset[Account]] = frozenset({"bank", "sales", "owed-by-customers"})
JOURNAL: Final = Coordinate("journal", "books.ledger")
POSTING: Final = Pipeline(PostingPolicy())
"""The only way into the journal."""


# ------------------------------------------------------------------------------------- posting


def post(
    store: Store,
    text: str,
    amounts: Mapping[Account, str],
    *,
    customer_id: CustomerId | None = None,
    reverses: int | None = None,
) -> Committed[EntryPosted] | Denial:
    """Post the next entry if the policy permits it; keep the refusal if it does not.

    Entries have no gaps, because the number is the version that the journal gets: of two that were
    judged as the same number, the second raises `VersionConflict`.
    """
    last = store.version(JOURNAL.entity)
    entry = EntryPosted(
        number=last + 1,
        text=text,
        postings=tuple(Posting(account=a, amount=Decimal(n)) for a, n in amounts.items()),
        customer_id=customer_id,
        reverses=reverses,
    )
    chart = Chart(accounts=CHART, next_number=last + 1)
    verdict = POSTING.evaluate(chart, Proposal(entry))
    if isinstance(verdict, Denial):
        store.append_denial(JOURNAL, verdict, pipeline="books")
        return verdict
    return POSTING.commit(verdict, store, JOURNAL, expected_version=last)


def reverse(store: Store, number: int, why: str) -> Committed[EntryPosted] | Denial:
    """Take an entry back by its opposite. What was posted stays."""
    (event,) = store.stream(JOURNAL.entity, first_version=number, last_version=number)
    entry = event.payload
    if not isinstance(entry, EntryPosted):
        raise TypeError(f"{entry} in the journal")
    amounts = {posting.account: str(-posting.amount) for posting in entry.postings}
    return post(store, why, amounts, customer_id=entry.customer_id, reverses=number)


@final
class Balances(BalancesProjection):
    """What stands on each account."""

    @override
    def on_entry_posted(
        self, state: BalancesState, event: StoredEvent[EntryPosted], /
    ) -> BalancesState:
        amounts = dict(state.amounts)
        for posting in event.payload.postings:
            amounts[posting.account] = amounts.get(posting.account, Decimal(0)) + posting.amount
        return BalancesState(entries=state.entries + 1, amounts=amounts)


def balances(store: StoreReader) -> str:
    """Return a line about all accounts."""
    state = store.project(Balances(), JOURNAL.entity)
    amounts = sorted(state.amounts.items()) if state else []
    return ", ".join(f"{account} {amount}" for account, amount in amounts)


# ----------------------------------------------------------------------------------- evidence


def hand_over(done: Committed[EntryPosted], folder: Path) -> None:
    """Give the signed receipt of an entry to whoever wants to be able to prove it."""
    (folder / f"{done.event.number}.receipt").write_bytes(done.receipt.to_bytes())


def close_week(store: Store, folder: Path) -> None:
    """Write down where the log stands, where the bookkeeper cannot reach it."""
    note = store.checkpoint()
    (folder / f"{note.events:06}.note").write_text(str(note), encoding="utf-8")


# -------------------------------------------------------------------------------------- a story


def honest_week(store: Store, evidence: Path, ada: CustomerId) -> list[str]:
    """Post a sale, its payment, a mistake and its reversal; return what happened."""
    said: list[str] = []

    def attempt(done: Committed[EntryPosted] | Denial) -> None:
        if isinstance(done, Denial):
            said.append(f"refused: {done.message}")
        else:
            hand_over(done, evidence)
            said.append(f"entry {done.event.number}: {done.event.text}")

    sale = {"owed-by-customers": "120.00", "sales": "-120.00"}
    attempt(post(store, "ten cups", sale, customer_id=ada))
    attempt(post(store, "paid", {"bank": "120.00", "owed-by-customers": "-102.00"}))
    attempt(post(store, "paid", {"bank": "120.00", "owed-by-customers": "-120.00"}))
    attempt(post(store, "lunch", {"bank": "-30.00", "own-pocket": "30.00"}))
    attempt(post(store, "ten cups, again", sale, customer_id=ada))
    attempt(reverse(store, 3, "posted twice"))
    said.append(balances(store))
    close_week(store, evidence)
    return said


def dishonest_week(path: Path, yesterday: Path, config: StoreConfig) -> None:
    """Put an older copy in the place of the books, and post something else on top of it."""
    shutil.rmtree(path)
    shutil.copytree(yesterday, path)
    with Store.open(path, config) as store:
        for _ in range(9):
            post(store, "two cups", {"bank": "24.00", "sales": "-24.00"})


def forgotten(path: Path, config: StoreConfig, people: People, customer_id: CustomerId) -> str:
    """Forget a customer; return what became of the store.

    The smallest limit makes the newest file complete, so that the sweep comes to it, too.
    """
    people.forget(customer_id)
    small = msgspec.structs.replace(config, limits=Limits(segment_max_bytes=4 << 10))
    with Store.open(path, small) as store:
        return f"{people.sweep(store)} name erased"


def customer(path: Path, people: People, customer_id: CustomerId) -> str:
    """Return who a copy of the books says the customer is."""
    with Store.open_read_only(path) as reader:
        return people.who(reader, customer_id) or "somebody who was forgotten"


def tell(folder: Path) -> list[str]:
    """Tell the whole story in a folder; the evidence is what the auditor has taken away."""
    path, evidence, yesterday = folder / "books.store", folder / "evidence", folder / "yesterday"
    evidence.mkdir()
    key = SigningKey.generate()
    config = StoreConfig(signer=key)
    with People(folder / "people.keys") as people:
        with Store.open(path, config) as store:
            ada = people.name(store, "Ada")
            close_week(store, evidence)
        shutil.copytree(path, yesterday)

        with Store.open(path, config) as store:
            said = honest_week(store, evidence, ada)
        said.append(f"entry 1 is for {customer(path, people, ada)}")
        said += ["", "Ada wants to be forgotten:", forgotten(path, config, people, ada)]
        said.append(f"entry 1 is for {customer(path, people, ada)}")
        said.append(f"yesterday's copy knows {customer(yesterday, people, ada)}")
    said += ["", "the auditor:", *audit(path, evidence, key.public)]
    dishonest_week(path, yesterday, config)
    return [*said, "", "a week later, the auditor:", *audit(path, evidence, key.public)]


def main() -> None:
    """Tell the story in a folder that is gone afterwards."""
    with TemporaryDirectory(prefix="batpak-books-") as folder:
        print(*tell(Path(folder)), sep="\n")


if __name__ == "__main__":
    main()
