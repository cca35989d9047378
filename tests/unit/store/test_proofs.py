"""Proofs: an event, the way from it to a note, and nothing else that one has to have.

Would slip through without it: an event for which there is no proof, a proof that shows the payloads
of others, one that grows without a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from batpak import proof as proofs
from batpak.append import BatchItem, Cause
from batpak.config import Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import (
    CorruptStore,
    DecodeFailed,
    EventNotFound,
    InvalidArgument,
    TooLarge,
    UnknownKind,
)
from batpak.ids import EventId, new_id
from batpak.kind import EventKind
from batpak.note import CheckpointNote
from batpak.proof import Proof
from batpak.read import path as paths
from batpak.signing.verdict import Invalid, InvalidReason, Signed, Unsigned
from batpak.store import Store
from batpak.wire import DICT, RAW
from tests.facts import PLAIN, USER, Counted, Said
from tests.keys import OURS, STRANGER

SIGNED: Final = StoreConfig(signer=OURS, limits=Limits(segment_max_bytes=4 << 10))
BELIEVED: Final = Signed(OURS.key_id)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Several files, batches, keys, extensions, and the store's own events."""
    with Store.open(tmp_path / "store", SIGNED) as first:
        for n in range(12):
            where = Coordinate(f"user:{n % 3}", "acme")
            first.append(where, Counted(n=n), idempotency_key=f"k{n}" if n % 2 else None)
            first.append_batch([BatchItem(where, Said(text=f"said {n} {i}")) for i in range(3)])
        first.append(USER, Counted(n=99), extensions={"app.trace": b"t" * 50}, flags=3)
    with Store.open(tmp_path / "store", SIGNED) as opened:
        assert opened.open_report.segments > 2
        yield opened


def test_every_event_is_proved_to_who_has_only_the_public_key(store: Store) -> None:
    note = store.checkpoint()
    count = note.events
    for sequence in range(count):
        event = store.get(sequence)
        proof = Proof.from_bytes(store.prove(event, note).to_bytes())

        assert proof.verify([OURS.public]) == BELIEVED
        assert len(proof.links) == count - 1 - sequence
        proved = proof.event()
        assert proved.payload == event.payload
        assert proved.head[:158] == event.head[:158]  # all but the stamp, which is of the disk
        assert proved.coordinate == event.coordinate
        assert proved.extensions == event.extensions
        assert proved.idempotency_key == event.idempotency_key
        assert proved.content_hash == event.content_hash


def test_an_event_is_proved_however_it_is_at_hand(store: Store, tmp_path: Path) -> None:
    receipt = store.append(USER, Counted(n=1))
    event = store.get(receipt.event_id)
    (entry,) = store.entries(after=receipt.sequence - 1)
    same = [store.prove(which) for which in (receipt, event, entry, event.event_id)]
    note = store.checkpoint()
    store.close()

    assert [proof.verify([OURS.public]) for proof in same] == [BELIEVED] * 4
    assert {proof.proved for proof in same} == {same[0].proved}
    with Store.open_read_only(tmp_path / "store") as reader:  # which needs no key for it
        assert reader.prove(receipt, note).verify([OURS.public]) == BELIEVED


def test_what_was_removed_is_not_proved_and_what_stands_before_it_is(store: Store) -> None:
    first, erased, dropped = (store.append(USER, Counted(n=n)) for n in range(3))
    note = store.checkpoint()
    early = store.prove(erased, note)
    store.compact(tombstone=lambda event: event.sequence == erased.sequence)
    store.compact(retain=lambda event: event.sequence != dropped.sequence)

    with pytest.raises(InvalidArgument, match="payload was removed"):
        store.prove(erased, note)
    with pytest.raises(EventNotFound):
        store.prove(dropped, note)
    for proof in (early, store.prove(first, note)):
        assert proof.verify([OURS.public]) == BELIEVED


def test_a_proof_goes_to_any_note_that_was_taken_later(store: Store) -> None:
    receipt = store.append(USER, Counted(n=1))
    notes = [store.checkpoint()]
    for n in range(3):
        store.append(USER, Counted(n=n))
        notes.append(store.checkpoint())

    for behind, note in enumerate(notes):
        proof = store.prove(receipt, note)
        assert (len(proof.links), proof.note) == (behind, note)
        assert proof.verify([OURS.public]) == BELIEVED
    assert store.prove(receipt).verify([STRANGER.public]) == Invalid(InvalidReason.UNKNOWN_KEY)


def test_a_proof_to_an_unsigned_note_proves_something_to_who_has_kept_the_note(
    tmp_path: Path,
) -> None:
    with Store.open(tmp_path / "plain", PLAIN) as store:
        receipt = store.append(USER, Counted(n=1))
        store.append(USER, Counted(n=2))
        kept = store.checkpoint()
        proof = store.prove(receipt, kept)

    assert proof.verify([OURS.public]) == Invalid(InvalidReason.UNSIGNED)
    assert proof.verify([], accept_unsigned=True) == Unsigned()
    assert proof.note == kept


def test_a_payload_is_read_in_every_form(store: Store) -> None:
    proof = store.prove(store.append(USER, Counted(n=1)))

    assert proof.event().payload == Counted(n=1)
    assert proof.event(form=DICT).payload == {"n": 1}
    assert proof.event(form=RAW).payload == b"\x81\xa1n\x01"


def test_a_payload_that_cannot_be_read_says_why(store: Store) -> None:
    unknown = EventKind.custom(0xE, 0x7FF)
    proof = store.prove(store.append_raw(USER, unknown, b"\xc0"))
    counted = store.prove(store.append(USER, Counted(n=1)))
    bent = replace(counted, proved=replace(counted.proved, content=b"\xc0"))

    assert proof.verify([OURS.public]) == BELIEVED
    with pytest.raises(UnknownKind):
        proof.event()
    with pytest.raises(DecodeFailed):
        bent.event()
    with pytest.raises(InvalidArgument):
        counted.event(form="raw")  # type: ignore[call-overload]  # what a checker refuses


def test_a_proof_shows_no_payload_but_that_of_its_event(store: Store) -> None:
    receipt = store.append(USER, Said(text="the one that is proved"))
    store.append(Coordinate("user:other", "acme"), Said(text="nobody else's business"))
    store.append(USER, Said(text="nor is this one"))

    data = store.prove(receipt).to_bytes()

    assert b"the one that is proved" in data
    assert b"business" not in data
    assert b"nor is this one" not in data
    assert b"user:other" in data  # but what else is said of the events behind it is there


def test_the_size_of_a_proof_grows_with_the_events_behind(store: Store) -> None:
    receipt = store.append(USER, Counted(n=1))
    sizes = [len(store.prove(receipt).to_bytes())]
    for _ in range(2):
        for n in range(20):
            store.append(USER, Counted(n=n))
        sizes.append(len(store.prove(receipt).to_bytes()))

    each = [(after - before) / 20 for before, after in pairwise(sizes)]
    assert each[0] == pytest.approx(each[1], abs=2)
    assert 150 < each[0] < 200


# ------------------------------------------------------------------------------------- refusals


def test_there_is_no_proof_of_an_event_that_is_not_there(store: Store) -> None:
    note = store.checkpoint()

    with pytest.raises(EventNotFound):
        store.prove(new_id(EventId), note)
    for hostile in (None, 7, "event", b"e" * 16):
        with pytest.raises(InvalidArgument):
            store.prove(hostile, note)  # type: ignore[arg-type]  # what a checker refuses
    for hostile in (str(note), b"", 7):
        with pytest.raises(InvalidArgument) as caught:
            store.prove(store.get(0), hostile)  # type: ignore[arg-type]  # likewise
        assert caught.value.argument == "note"


def test_a_note_that_does_not_lead_to_the_event_is_refused(store: Store, tmp_path: Path) -> None:
    event, note = store.get(3), store.checkpoint()
    late = store.append(USER, Counted(n=1))
    with Store.open(tmp_path / "other", SIGNED) as other:
        other.append(USER, Counted(n=1))
        foreign = other.checkpoint()

    refused: dict[str, tuple[Cause, CheckpointNote]] = {
        "another store": (event, foreign),
        "before the event": (late, note),
        "more events": (event, replace(note, events=note.events + 2)),
        "another event": (event, replace(note, head=b"\x11" * 32)),
    }
    for what, (which, hostile) in refused.items():
        with pytest.raises(InvalidArgument, match=what):
            store.prove(which, hostile)


def test_a_damaged_event_on_the_way_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store.open(path, replace(SIGNED, lifecycle_events=False)) as store:
        receipts = [store.append(USER, Said(text=f"said {n} " + "x" * 200)) for n in range(60)]
        note = store.checkpoint()
    segment = path / "000001.fbat"
    data = bytearray(segment.read_bytes())
    data[data.index(b"said 5 ")] ^= 1
    segment.write_bytes(data)

    with Store.open_read_only(path) as reader:
        assert reader.prove(receipts[40], note).verify([OURS.public]) == BELIEVED
        for receipt in receipts[:6]:
            with pytest.raises(CorruptStore):
                reader.prove(receipt, note)


def test_a_proof_of_too_many_events_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = store.append(USER, Counted(n=1))
    for n in range(5):
        store.append(USER, Counted(n=n))
    whole = store.prove(receipt)
    for module in (paths, proofs):
        monkeypatch.setattr(module, "PROOF_EVENTS_MAX", 5)

    assert Proof.from_bytes(whole.to_bytes()) == whole == store.prove(receipt, whole.note)
    store.append(USER, Counted(n=6))
    with pytest.raises(TooLarge) as caught:
        store.prove(receipt)
    assert (caught.value.size, caught.value.limit) == (6, 5)
    monkeypatch.setattr(proofs, "PROOF_EVENTS_MAX", 4)
    with pytest.raises(InvalidArgument):
        Proof.from_bytes(whole.to_bytes())


def test_a_proof_of_too_many_bytes_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = store.append(USER, Said(text="x" * 1000))
    store.append(USER, Counted(n=1), extensions={"app.large": bytes(60_000)})
    whole = store.prove(receipt)
    size = len(whole.to_bytes())
    monkeypatch.setattr(paths, "PROOF_BYTES_MAX", size - 1000)
    monkeypatch.setattr(proofs, "PROOF_BYTES_MAX", size - 1)

    with pytest.raises(TooLarge):
        store.prove(receipt)
    with pytest.raises(InvalidArgument):
        Proof.from_bytes(whole.to_bytes())
    monkeypatch.setattr(proofs, "PROOF_BYTES_MAX", size)
    assert Proof.from_bytes(whole.to_bytes()) == whole


def test_the_limits_are_such_that_what_is_made_can_be_read() -> None:
    note = CheckpointNote.parse(str(CheckpointNote(new_id(EventId), 1, b"h" * 32, 0).signed(OURS)))
    link = proofs.Link(b"h" * 125, "e" * 1024, "s" * 1024, None, b"c" * 32)
    proof = Proof(note, b"b" * 32, link, (link,) * 100)

    told = 101 * (3 + 166 + 2 * 1027 + 1 + 2 + 32)  # as `prove` counts, or less
    assert len(proof.to_bytes()) < told
