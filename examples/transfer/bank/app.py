"""Teaches: a policy in front of a store, refusals that are kept, and a bypass that says why.

Run it: `python -m bank.app bank.store`.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, final

from bank.gen.transfers import (
    AccountFrozen,
    AccountId,
    AccountOpened,
    Currency,
    Money,
    MoneyDeposited,
    MoneyTransferred,
)
from bank.gen.transfers.account_machine import AccountMachine, ActiveAccount
from bank.gen.transfers.contexts import Standing
from bank.gen.transfers.handlers import BookHandler
from bank.gen.transfers.policies import TransferPolicy
from bank.transfers_hooks import Hooks
from batpak import (
    Committed,
    Coordinate,
    Denial,
    Pipeline,
    Proposal,
    Region,
    Store,
    StoredEvent,
    StoreReader,
    new_id,
    override,
)
from batpak.system import BypassRecorded, DenialRecorded

LIMIT: Final = Decimal("500.00")
SCOPE: Final = "bank.transfers"
TRANSFERS: Final = Pipeline(TransferPolicy(Hooks()), max_age_s=30)
"""The only way for money to move. What was judged half a minute ago is judged again."""


def now() -> dt.datetime:
    """Return the time that goes into events. Gates and folds never ask for it themselves."""
    return dt.datetime.now(dt.UTC)


def euros(amount: str) -> Money:
    """Return an amount in euros from its text, so that no float comes near it."""
    return Money(amount=Decimal(amount), currency=Currency.EUR)


def place(account_id: AccountId) -> Coordinate:
    """Return where the events of an account are; the machine has its moves there as well."""
    return Coordinate(f"account:{account_id.hex}", SCOPE)


# ------------------------------------------------------------------------------------ the book


@final
@dataclass
class Account:
    """What the book says of one account."""

    owner: str
    currency: Currency
    balance: Decimal = Decimal(0)
    is_frozen: bool = False
    paid: set[AccountId] = field(default_factory=set[AccountId])


@final
class Book(BookHandler[None]):
    """Every account, as of the events that were read. Gates are told what stands here."""

    def __init__(self) -> None:
        self.accounts: dict[AccountId, Account] = {}

    @staticmethod
    def read(store: StoreReader) -> Book:
        """Fold the whole log."""
        book = Book()
        for event in store.query():
            if book.handles(event):
                book.dispatch(event)
        return book

    @override
    def on_account_opened(self, event: StoredEvent[AccountOpened], /) -> None:
        opened = event.payload
        self.accounts[opened.account_id] = Account(opened.owner, opened.currency)

    @override
    def on_money_deposited(self, event: StoredEvent[MoneyDeposited], /) -> None:
        self.accounts[event.payload.account_id].balance += event.payload.money.amount

    @override
    def on_account_frozen(self, event: StoredEvent[AccountFrozen], /) -> None:
        self.accounts[event.payload.account_id].is_frozen = True

    @override
    def on_money_transferred(self, event: StoredEvent[MoneyTransferred], /) -> None:
        transfer = event.payload
        payer, payee = self.accounts[transfer.payer], self.accounts[transfer.payee]
        payer.balance -= transfer.money.amount
        payee.balance += transfer.money.amount
        payer.paid.add(transfer.payee)

    def standing(self, payer_id: AccountId, payee_id: AccountId) -> Standing:
        """Return what the gates may know of a transfer between two accounts."""
        payer, payee = self.accounts[payer_id], self.accounts[payee_id]
        return Standing(
            payer_frozen=payer.is_frozen,
            payee_frozen=payee.is_frozen,
            payer_currency=payer.currency,
            payee_currency=payee.currency,
            balance=max(payer.balance, Decimal(0)),
            limit=LIMIT,
            paid_before=frozenset(payer.paid),
        )


# ------------------------------------------------------------------------------- moving money


def transfer(
    store: Store, payer: AccountId, payee: AccountId, money: Money, purpose: str
) -> Committed[MoneyTransferred] | Denial:
    """Move money if the policy permits it; keep the refusal if it does not.

    The transfer is stored only if the payer's account is still as it was when the book was read:
    of two transfers that were judged by one balance, the second raises `VersionConflict`.
    """
    version = store.version(place(payer).entity)
    standing = Book.read(store).standing(payer, payee)
    event = MoneyTransferred(
        payer=payer, payee=payee, money=money, purpose=purpose, transferred_at=now()
    )
    verdict = TRANSFERS.evaluate(standing, Proposal(event))
    if isinstance(verdict, Denial):
        store.append_denial(place(payer), verdict.with_context(purpose=purpose), pipeline="desk")
        return verdict
    return TRANSFERS.commit(verdict, store, place(payer), expected_version=version)


@dataclass(frozen=True)
class Ruling:
    """Why a transfer is not judged by our own policy."""

    reason: str
    justification: str


def transfer_by_ruling(
    store: Store, event: MoneyTransferred, ruling: Ruling, approved_by: str
) -> Committed[MoneyTransferred]:
    """Move money whatever the policy says. Who did it and why is stored with it, or neither is."""
    receipt = Pipeline.bypass(Proposal(event), ruling, approved_by=approved_by)
    return Pipeline.commit_bypass(receipt, store, place(event.payer))


# ------------------------------------------------------------------------- looking at the log


def denials(store: StoreReader, account: AccountId | None = None) -> Iterator[Denial]:
    """Return what was refused to one account, or to all of them, oldest first."""
    beside = "batpak:denial" if account is None else f"batpak:denial:{place(account).entity}"
    for event in store.query(Region(entity=beside)):
        if isinstance(event.payload, DenialRecorded):
            yield Denial.of(event.payload)


def bypasses(store: StoreReader) -> Iterator[str]:
    """Return a line for every transfer that nobody judged."""
    for audit in store.by_fact(BypassRecorded):
        cause = audit.causation_id
        said = audit.payload
        if cause is not None:
            money = store.get(cause, MoneyTransferred).payload.money
            amount = f"{money.amount} {money.currency.value}"
            yield f"{amount} by {said.reason}, approved by {said.approved_by}: {said.justification}"


# -------------------------------------------------------------------------------------- a story


def open_account(store: Store, owner: str, currency: Currency) -> ActiveAccount:
    """Open an account with 1,000.00 of its currency on it."""
    accounts = AccountMachine(store)
    new = accounts.new(new_id(AccountId))
    account = accounts.apply(new.open(owner=owner, currency=currency, opened_at=now()))
    money = Money(amount=Decimal("1000.00"), currency=currency)
    verdict = accounts.deposit_gates.evaluate(
        None, account.deposit(money=money, deposited_at=now())
    )
    if isinstance(verdict, Denial):
        verdict.raise_()
    return accounts.commit(verdict)


def tell(store: Store) -> list[str]:
    """Move some money, fail to move some more; return what happened, line by line."""
    ada = open_account(store, "Ada", Currency.EUR).data.account_id
    ben = open_account(store, "Ben", Currency.EUR).data.account_id
    cleo = open_account(store, "Cleo", Currency.USD).data.account_id
    said: list[str] = []

    def attempt(payer: AccountId, payee: AccountId, amount: str, purpose: str) -> None:
        done = transfer(store, payer, payee, euros(amount), purpose)
        if isinstance(done, Denial):
            said.append(f"{purpose}: refused by {done.gate}: {done.message}")
        else:
            said.append(f"{purpose}: {amount} moved, permitted by {len(done.gates)} gates")

    attempt(ada, ben, "300.00", "a car")
    attempt(ada, ben, "50.00", "rent")
    attempt(ada, ben, "300.00", "a car, again")
    attempt(ada, ben, "500.01", "a boat")
    attempt(ada, cleo, "10.00", "a souvenir")
    attempt(ben, ben, "10.00", "nothing")

    accounts = AccountMachine(store)
    account = accounts.load(ben)
    if isinstance(account, ActiveAccount):
        accounts.apply(account.freeze(frozen_at=now()))
    attempt(ben, ada, "20.00", "a favour")

    seizure = MoneyTransferred(
        payer=ben,
        payee=ada,
        money=euros("100.00"),
        purpose="case 12/34",
        transferred_at=now(),
    )
    ruling = Ruling("court order", "judgement of 2 March, 12/34")
    transfer_by_ruling(store, seizure, ruling, approved_by="Dora")
    said.append("case 12/34: 100.00 moved by court order")
    return said


def main(path: str) -> None:
    """Tell the story in a store at `path`, then ask the store what it remembers."""
    with Store.open(path) as store:
        for line in tell(store):
            print(line)
        print("\nthe last refusal:")
        *_, last = denials(store)
        print(last.explain())
        print("\nrefusals:", dict(Counter(denial.code for denial in denials(store))))
        for line in bypasses(store):
            print("not judged:", line)
        print()
        for account in Book.read(store).accounts.values():
            print(f"{account.owner}: {account.balance} {account.currency.value}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bank.store")
