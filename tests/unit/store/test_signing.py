"""A store with a key: what it signs, when, by whom, and what it believes.

Would slip through without it: a receipt that is signed before its event is safe, a signature that
holds up every other writer, a store that was to be signed and is written without a key, receipts
from before a change of keys that are suddenly worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from batpak.append import AppendReceipt, BatchItem
from batpak.append_receipt import verify_receipt
from batpak.commit.ticket import interrupted_receipt
from batpak.config import Durability, Limits, Signing, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument, RegistryError, SigningError, StoreClosed
from batpak.faults import SigningFault
from batpak.note import CheckpointNote
from batpak.registry import validate
from batpak.report import NoteFault
from batpak.signing.signing_key import SigningKey
from batpak.signing.verdict import Invalid, InvalidReason, Signed, Unsigned
from batpak.store import Store
from tests.facts import FAST, PLAIN, USER, Counted
from tests.keys import OLD, OURS, STRANGER

OTHER: Final = Coordinate("user:2", "acme")
SIGNED: Final = replace(PLAIN, signer=OURS)
BELIEVED: Final = Signed(OURS.key_id)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def judged(receipt: AppendReceipt) -> object:
    return verify_receipt(receipt, [OURS.public])


# ------------------------------------------------------------------------------- what is signed


def test_every_way_to_append_gives_signed_receipts(path: Path) -> None:
    with Store.open(path, SIGNED) as store:
        receipts = [
            store.append(USER, Counted(n=1)),
            store.append_raw(USER, Counted.KIND, b"\x81\xa1n\x02"),
            *store.append_batch([BatchItem(USER, Counted(n=3)), BatchItem(OTHER, Counted(n=4))]),
            store.submit(USER, Counted(n=5)).result(),
            *store.submit_batch([BatchItem(USER, Counted(n=6))]).result(),
        ]

        for receipt in receipts:
            assert receipt.key_id == OURS.key_id
            assert judged(receipt) == store.verify_receipt(receipt) == BELIEVED
    assert [receipt.sequence for receipt in receipts] == list(range(6))


def test_a_store_without_a_key_signs_nothing(path: Path) -> None:
    with Store.open(path, PLAIN) as store:
        receipt = store.append(USER, Counted(n=1))
        note = store.checkpoint()

        assert (receipt.key_id, receipt.signature) == (None, None)
        assert judged(receipt) == Invalid(InvalidReason.UNSIGNED)
        assert store.verify_receipt(receipt) == Invalid(InvalidReason.UNSIGNED)
        assert store.verify_receipt(receipt, accept_unsigned=True) == Unsigned()
        assert (note.key_id, note.signature) == (None, None)


def test_what_may_still_be_lost_is_not_signed(path: Path) -> None:
    with Store.open(path, replace(FAST, signer=OURS)) as store:
        first = store.append(USER, Counted(n=1), idempotency_key="k")
        store.sync()
        again = store.append(USER, Counted(n=1), idempotency_key="k")

        assert (first.durability, first.signature) == (Durability.OS, None)
        assert again.replayed
        assert again.durability is Durability.COMMIT  # as is true now, so it is signed
        assert judged(again) == BELIEVED
        assert store.checkpoint().verify([OURS.public]) == BELIEVED


def test_a_receipt_of_a_timed_sync_says_and_signs_that(path: Path) -> None:
    config = replace(SIGNED, durability=Durability.INTERVAL)
    with Store.open(path, config) as store:
        receipt = store.append(USER, Counted(n=1))

    assert receipt.durability is Durability.INTERVAL
    assert judged(receipt) == BELIEVED
    assert judged(replace(receipt, durability=Durability.COMMIT)) == Invalid(
        InvalidReason.BAD_SIGNATURE
    )


def test_a_replay_has_the_claim_of_the_first_append_and_a_signature_of_its_own(path: Path) -> None:
    with Store.open(path, replace(SIGNED, signer=OLD)) as store:
        first = store.append(USER, Counted(n=1), idempotency_key="k")
    with Store.open(path, SIGNED) as store:
        again = store.append(USER, Counted(n=1), idempotency_key="k")

    assert again.claim == first.claim
    assert (first.key_id, again.key_id) == (OLD.key_id, OURS.key_id)
    assert verify_receipt(first, [OLD.public]) == Signed(OLD.key_id)
    assert judged(again) == BELIEVED
    assert judged(replace(again, replayed=False)) == BELIEVED  # the one field that is not covered


def test_a_receipt_that_is_asked_for_twice_is_the_same(path: Path) -> None:
    with Store.open(path, SIGNED) as store:
        ticket = store.submit(USER, Counted(n=1))

        assert ticket.result() == ticket.result()
        assert ticket.exception() is None


def test_receipts_are_carried_elsewhere_whole(path: Path) -> None:
    with Store.open(path, SIGNED) as store:
        extensions = {"app.b": b"", "app.a": bytes(1000)}
        receipt = store.append(USER, Counted(n=1), extensions=extensions, idempotency_key="k")
        again = store.append(USER, Counted(n=1), idempotency_key="k")
        plain = replace(receipt, key_id=None, signature=None)

        for one in (receipt, again, plain):
            read = AppendReceipt.from_bytes(one.to_bytes())
            assert read == one
            assert read.to_bytes() == one.to_bytes()
        assert store.verify_receipt(AppendReceipt.from_bytes(receipt.to_bytes())) == BELIEVED


def test_threads_that_share_a_commit_sign_for_themselves(path: Path) -> None:
    with Store.open(path, SIGNED) as store:

        def append(n: int) -> AppendReceipt:
            return store.append(Coordinate(f"user:{n}", "acme"), Counted(n=n))

        with ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(append, range(64)))

        assert sorted(one.sequence for one in receipts) == list(range(64))
        assert all(store.verify_receipt(one) == BELIEVED for one in receipts)


# --------------------------------------------------------------------------- on whose time it is


def while_signing(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Call a function once, in the middle of the next signature."""
    sign, acts = SigningKey.sign, [act]

    def signing(key: SigningKey, message: bytes) -> bytes:
        if acts:
            acts.pop()()
        return sign(key, message)

    monkeypatch.setattr(SigningKey, "sign", signing)


@pytest.mark.parametrize("way", ["append", "ticket"])
def test_nobody_waits_for_the_signature_of_another(
    path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with Store.open(path, SIGNED) as store, ThreadPoolExecutor(1) as pool:
        ticket = store.submit(USER, Counted(n=1)) if way == "ticket" else None
        between: list[AppendReceipt] = []

        def other() -> None:  # would never end if the lane were held
            between.append(pool.submit(store.append, OTHER, Counted(n=2)).result(timeout=30))

        while_signing(monkeypatch, other)
        receipt = ticket.result() if ticket else store.append(USER, Counted(n=1))

        assert (receipt.sequence, between[0].sequence) == (0, 1)
        assert judged(receipt) == judged(between[0]) == BELIEVED


def test_an_interrupt_while_signing_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with Store.open(path, SIGNED) as store:
        while_signing(monkeypatch, interrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            store.append(USER, Counted(n=1))
        receipt = interrupted_receipt(caught.value)

        assert receipt is not None
        assert store.verify_receipt(receipt) == BELIEVED
        assert store.append(USER, Counted(n=2)).version == 2


class Broken:
    """What `cryptography` would be if it failed."""

    def sign(self, _: bytes) -> bytes:
        raise RuntimeError("out of order")


def broken() -> SigningKey:
    key = SigningKey.from_seed(bytes(32))
    key._private = Broken()  # type: ignore[assignment]  # sabotage
    return key


def test_a_signature_that_fails_says_which_event_is_stored(path: Path) -> None:
    with Store.open(path, replace(PLAIN, signer=broken())) as store:
        with pytest.raises(SigningError) as caught:
            store.append(USER, Counted(n=1), idempotency_key="k")
        ticket = store.submit(USER, Counted(n=2))
        with pytest.raises(SigningError) as later:
            ticket.result()
        with pytest.raises(SigningError) as noted:
            store.checkpoint()

        assert [one.n for one in counted(store)] == [1, 2]
        assert ticket.exception() is None

    for error, sequence in ((caught, 0), (later, 1), (noted, None)):
        assert error.value.reason is SigningFault.SIGNER
        assert error.value.sequence == sequence
    with Store.open(path, SIGNED) as store:
        again = store.append(USER, Counted(n=1), idempotency_key="k")
        assert (again.sequence, again.replayed) == (0, True)
        assert judged(again) == BELIEVED


def counted(store: Store) -> list[Counted]:
    return [event.payload for event in store.stream("user:1") if type(event.payload) is Counted]


# ------------------------------------------------------------------------------------- the config


def test_a_store_that_has_to_be_signed_is_not_opened_without_a_key(path: Path) -> None:
    required = StoreConfig(signing=Signing.REQUIRED, trusted=(OURS.public,))
    with pytest.raises(SigningError) as caught:
        Store.open(path, required)

    assert caught.value.reason is SigningFault.REQUIRED
    assert not path.exists()
    with Store.open(path, SIGNED) as store:
        receipt = store.append(USER, Counted(n=1))
    with pytest.raises(SigningError):
        Store.open(path, required)
    with Store.open_read_only(path, required) as reader:  # which writes nothing that could be
        assert reader.verify_receipt(receipt) == BELIEVED


def test_where_signing_is_required_nothing_unsigned_is_accepted(path: Path) -> None:
    with Store.open(path, SIGNED) as store:
        receipt, note = store.append(USER, Counted(n=1)), store.checkpoint()
    plain = replace(receipt, key_id=None, signature=None)
    bare = replace(note, key_id=None, signature=None)

    for config in (
        replace(SIGNED, signing=Signing.REQUIRED),
        replace(PLAIN, signing=Signing.REQUIRED, signer=OURS),
    ):
        with Store.open(path, config) as store:
            assert store.verify_receipt(receipt) == BELIEVED
            assert store.verify_receipt(plain, accept_unsigned=True) == Invalid(
                InvalidReason.UNSIGNED
            )
            assert store.verify(since=note).ok
            assert store.verify(since=bare).note is NoteFault.UNTRUSTED
    keyless = StoreConfig(signing=Signing.REQUIRED)
    with Store.open_read_only(path, keyless) as reader:
        assert reader.verify_receipt(receipt) == Invalid(InvalidReason.UNKNOWN_KEY)
        assert reader.verify(since=note).note is NoteFault.UNTRUSTED


def test_the_registry_is_looked_at_before_the_keys(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gap() -> None:
        raise RegistryError("a gap")

    monkeypatch.setattr(f"{validate.__module__}.validate", gap)

    with pytest.raises(RegistryError):
        Store.open(path, StoreConfig(signing=Signing.REQUIRED))
    with pytest.raises(InvalidArgument):  # and the bounds of the config before both
        Store.open(path, StoreConfig(signing=Signing.REQUIRED, limits=Limits(fd_budget=0)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("signer", OURS.public),
        ("signer", b"s" * 32),
        ("trusted", OURS.public),
        ("trusted", [OURS.public]),
        ("trusted", (OURS,)),
        ("trusted", (OURS.public.to_bytes(),)),
        ("trusted", None),
        ("signing", True),
        ("signing", "required"),
    ],
)
def test_a_setting_that_is_no_key_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        StoreConfig(**{field: value})  # type: ignore[arg-type]  # what a checker refuses

    assert caught.value.argument == field
    assert (b"s" * 32).hex() not in str(caught.value)
    assert "ssss" not in str(caught.value)


def test_keys_are_changed_and_what_the_old_one_signed_is_still_believed(path: Path) -> None:
    with Store.open(path, replace(PLAIN, signer=OLD)) as store:
        before, old_note = store.append(USER, Counted(n=1)), store.checkpoint()

    with Store.open(path, replace(SIGNED, trusted=(OLD.public,))) as store:
        after = store.append(USER, Counted(n=2))

        assert store.verify_receipt(before) == Signed(OLD.key_id)
        assert store.verify_receipt(after) == BELIEVED
        assert store.verify(since=old_note).ok
        assert store.verify(since=store.checkpoint()).ok
    with Store.open(path, SIGNED) as store:  # the old one has become known to others
        assert store.verify_receipt(before) == Invalid(InvalidReason.UNKNOWN_KEY)
        assert store.verify_receipt(after) == BELIEVED
        assert store.verify(since=old_note).note is NoteFault.UNTRUSTED


def test_a_reader_believes_the_keys_that_it_is_given(path: Path) -> None:
    with Store.open(path, SIGNED) as store:
        receipt, note = store.append(USER, Counted(n=1)), store.checkpoint()

    with Store.open_read_only(path, StoreConfig(trusted=(OURS.public,))) as reader:
        assert reader.verify_receipt(receipt) == BELIEVED
        assert reader.verify(since=note).ok
    with Store.open_read_only(path, StoreConfig(trusted=(STRANGER.public,))) as reader:
        assert reader.verify_receipt(receipt) == Invalid(InvalidReason.UNKNOWN_KEY)
        assert reader.verify(since=note).note is NoteFault.UNTRUSTED
    with Store.open_read_only(path) as reader:
        assert reader.verify_receipt(receipt) == Invalid(InvalidReason.UNKNOWN_KEY)
        assert reader.verify(since=note).ok  # no keys: only the log is held against it


def test_a_handle_that_is_closed_checks_nothing(path: Path) -> None:
    with Store.open(path, SIGNED) as store:
        receipt, note = store.append(USER, Counted(n=1)), store.checkpoint()

    for act in (lambda: store.verify_receipt(receipt), lambda: store.prove(receipt, note)):
        with pytest.raises(StoreClosed):
            act()


@pytest.mark.parametrize("hostile", [None, b"", "receipt", OURS])
def test_what_is_no_receipt_is_refused(path: Path, hostile: AppendReceipt) -> None:
    with Store.open(path, SIGNED) as store, pytest.raises(InvalidArgument):
        store.verify_receipt(hostile)
    with pytest.raises(InvalidArgument):
        verify_receipt(hostile, [OURS.public])


@pytest.mark.parametrize("hostile", [OURS.public, OURS, [OURS], [b"k" * 32], b"k" * 32, None, 7])
def test_what_are_no_keys_is_refused(path: Path, hostile: object) -> None:
    with Store.open(path, SIGNED) as store:
        receipt, note = store.append(USER, Counted(n=1)), store.checkpoint()

    with pytest.raises(InvalidArgument):
        verify_receipt(receipt, hostile)  # type: ignore[arg-type]  # what a checker refuses
    with pytest.raises(InvalidArgument):
        note.verify(hostile)  # type: ignore[arg-type]  # likewise
    assert CheckpointNote.parse(str(note)) == note
