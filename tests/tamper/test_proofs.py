"""Proofs under attack: what is not in the log is not proved, whatever somebody puts together.

Would slip through without it: an event that was never stored, proved; a true one with another
payload; a chain that is mended with links of another log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

import blake3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak.config import StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import InvalidArgument
from batpak.note import CheckpointNote
from batpak.proof import PROOF_BYTES_MAX, Proof
from batpak.signing.verdict import Invalid, InvalidReason, Signed, Unsigned
from batpak.store import Store
from tests.facts import USER, Counted, Said
from tests.keys import OLD, OURS, STRANGER

SEED: Final = 20261121
SIGNED: Final = StoreConfig(lifecycle_events=False, signer=OURS)
BELIEVED: Final = Signed(OURS.key_id)


def stored(path: str, words: str) -> list[Proof]:
    """A store of one event for each word; the proof of each of them, to one note."""
    with Store.open(path, SIGNED) as store:
        for n, word in enumerate(words.split()):
            store.append(
                Coordinate(f"user:{n % 2}", "acme"),
                Said(text=word),
                idempotency_key=word if n % 2 else None,
                extensions={"app.word": word.encode()} if n % 3 == 0 else None,
            )
        note = store.checkpoint()
        return [store.prove(event, note) for event in store.query()]


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> list[Proof]:
    return stored(str(tmp_path_factory.mktemp("one") / "s"), "once upon a time there was")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[Proof]:
    return stored(str(tmp_path_factory.mktemp("two") / "s"), "once upon a day there was")


def test_a_proof_is_checked_as_the_format_says(proofs: list[Proof]) -> None:
    """With nothing of the library but the parts of the proof."""
    for proof in proofs:
        head = proof.before
        for at, link in enumerate((proof.proved, *proof.links)):
            content = blake3.blake3(link.content).digest() if at == 0 else link.content
            opt = b"\xc0"
            if link.opt is not None:
                key, extensions = link.opt
                opt = b"\x92" + (b"\xc0" if key is None else b"\xc4" + bytes([len(key)]) + key)
                opt += b"\xc0" if extensions is None else b"\x91"
                for name, value in extensions or ():
                    opt += b"\x92" + bytes([0xA0 + len(name)]) + name.encode()
                    opt += b"\xc4" + bytes([len(value)]) + value
            head = blake3.blake3(
                b"batpak.event.v2\0"
                + proof.note.store_id.bytes
                + head
                + link.hashed[93:]
                + link.hashed[:93]
                + len(link.entity).to_bytes(2, "big")
                + link.entity.encode()
                + len(link.scope).to_bytes(2, "big")
                + link.scope.encode()
                + len(opt).to_bytes(4, "big")
                + opt
                + content
            ).digest()
        assert head == proof.note.head
        assert proof.verify([OURS.public]) == BELIEVED


def test_a_proof_with_any_bit_changed_proves_nothing(proofs: list[Proof]) -> None:
    read = 0
    for proof in (proofs[-3], proofs[-1]):
        data = proof.to_bytes()
        for at in range(len(data) * 8):
            changed = bytearray(data)
            changed[at // 8] ^= 1 << at % 8
            try:
                bent = Proof.from_bytes(bytes(changed))
            except InvalidArgument:
                continue
            read += 1
            assert isinstance(bent.verify([OURS.public]), Invalid), f"bit {at}"
            assert bent.verify([], accept_unsigned=True) != Unsigned()
    assert read > 5_000


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("hashed", InvalidReason.EVENT_HASH),
        ("entity", InvalidReason.EVENT_HASH),
        ("scope", InvalidReason.EVENT_HASH),
        ("opt", InvalidReason.EVENT_HASH),
        ("content", InvalidReason.EVENT_HASH),
    ],
)
def test_every_part_of_every_event_is_covered(
    proofs: list[Proof], name: str, why: InvalidReason
) -> None:
    proof = proofs[0]
    values: dict[str, Callable[[bytes], object]] = {
        "hashed": lambda raw: bytes([raw[0] ^ 1]) + raw[1:],
        "content": lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
    }
    others = {"entity": "user:9", "scope": "acme2", "opt": (b"k", None)}
    for at, link in enumerate((proof.proved, *proof.links)):
        value = values[name](getattr(link, name)) if name in values else others[name]
        bent = replace(link, **{name: value})
        links = list(proof.links)
        if at:
            links[at - 1] = bent
        changed = replace(proof, proved=proof.proved if at else bent, links=tuple(links))
        assert changed.verify([OURS.public]) == Invalid(why)


def test_events_are_not_left_out_exchanged_or_put_in(proofs: list[Proof]) -> None:
    proof = proofs[0]
    links = proof.links
    sequence = {
        "one left out": (*links[:2], *links[3:]),
        "the last left out": links[:-1],
        "all left out": (),
        "one twice": (*links[:2], links[1], *links[2:]),
        "two exchanged": (links[1], links[0], *links[2:]),
    }
    for what, changed in sequence.items():
        verdict = replace(proof, links=changed).verify([OURS.public])
        assert verdict == Invalid(InvalidReason.SEQUENCE), what
    for before in (proofs[1].before, b"\x11" * 32):
        verdict = replace(proof, before=before).verify([OURS.public])
        assert verdict == Invalid(InvalidReason.EVENT_HASH)


def test_links_of_another_log_do_not_mend_a_chain(proofs: list[Proof], others: list[Proof]) -> None:
    for ours, theirs in zip(proofs, others, strict=True):
        for at in range(len(ours.links) + 1):
            mixed = replace(ours, links=ours.links[:at] + theirs.links[at:])
            if mixed != ours:
                assert mixed.verify([OURS.public]) == Invalid(InvalidReason.EVENT_HASH)
        for mixed in (
            replace(ours, proved=theirs.proved),
            replace(ours, note=theirs.note),
            replace(theirs, note=ours.note),
        ):
            assert mixed.verify([OURS.public]) == Invalid(InvalidReason.EVENT_HASH)


def test_a_note_that_no_trusted_key_has_signed_proves_nothing(proofs: list[Proof]) -> None:
    proof = proofs[0]
    note = proof.note
    lied = replace(proof.proved, content=b"\x81\xa4text\xa4lied")
    head = lied.event_hash(note.store_id.bytes, proof.before, blake3.blake3(lied.content).digest())
    forged = CheckpointNote(note.store_id, 1, head, note.taken_ms)

    def with_note(changed: CheckpointNote) -> Proof:
        return Proof(changed, proof.before, lied, ())

    for key, why in (
        (OURS, None),
        (STRANGER, InvalidReason.UNKNOWN_KEY),
        (OLD, InvalidReason.UNKNOWN_KEY),
    ):
        due = BELIEVED if why is None else Invalid(why)  # with the key one can prove anything
        assert with_note(forged.signed(key)).verify([OURS.public]) == due
    borrowed = replace(forged, key_id=note.key_id, signature=note.signature)
    assert with_note(borrowed).verify([OURS.public]) == Invalid(InvalidReason.BAD_SIGNATURE)
    assert with_note(forged).verify([OURS.public]) == Invalid(InvalidReason.UNSIGNED)
    half = replace(forged, key_id=OURS.key_id)
    assert with_note(half).verify([OURS.public]) == Invalid(InvalidReason.MISSING_SIGNATURE)


@pytest.mark.parametrize(
    "change",
    [
        {"before": b""},
        {"before": None},
        {"links": None},
        {"links": (b"link",)},
        {"proved": None},
        {"proved": b"event"},
    ],
)
def test_what_does_not_have_the_shape_of_a_proof_is_malformed(
    proofs: list[Proof], change: dict[str, object]
) -> None:
    assert replace(proofs[-1], **change).verify([OURS.public]) == Invalid(InvalidReason.MALFORMED)


@pytest.mark.parametrize(
    "change",
    [
        {"hashed": b"h"},
        {"entity": ""},
        {"entity": "a/b"},
        {"entity": "x" * 70_000},
        {"scope": None},
        {"opt": 7},
        {"content": "text"},
    ],
)
def test_an_event_that_cannot_be_is_malformed(
    proofs: list[Proof], change: dict[str, object]
) -> None:
    bent = replace(proofs[-1], proved=replace(proofs[-1].proved, **change))
    linked = replace(proofs[-2], links=(replace(proofs[-2].links[0], **change),))

    for proof in (bent, linked):
        assert proof.verify([OURS.public]) == Invalid(InvalidReason.MALFORMED)


def mutated(data: bytes, other: bytes, random: Random) -> Iterator[bytes]:
    while True:
        bent = bytearray(data)
        begin, size = random.randrange(len(bent)), random.randint(0, 30)
        how = random.randrange(3)
        if how == 0:
            bent[begin : begin + size] = random.randbytes(size)
        elif how == 1:
            bent[begin : begin + size] = random.randbytes(random.randint(0, 30))
        else:
            bent[begin : begin + size] = other[begin : begin + size]
        yield bytes(bent)


def test_of_2_000_bent_proofs_none_is_believed(proofs: list[Proof], others: list[Proof]) -> None:
    random = Random(SEED)  # noqa: S311  can be repeated
    data = proofs[2].to_bytes()
    read = 0
    bent = mutated(data, others[2].to_bytes(), random)
    for _ in range(2_000):
        changed = next(bent)
        if changed == data:
            continue
        try:
            proof = Proof.from_bytes(changed)
        except InvalidArgument:
            continue
        read += 1
        assert isinstance(proof.verify([OURS.public]), Invalid)
    assert read > 500


@given(data=st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused_with_a_type(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        Proof.from_bytes(data)


@pytest.mark.parametrize(
    "hostile",
    [
        None,
        "batpak proof 1",
        bytearray(b"\x95"),
        b"\x95\xaebatpak proof 1\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 100_000,
        bytes(PROOF_BYTES_MAX + 1),
    ],
)
def test_what_are_no_bytes_of_a_proof_is_refused(hostile: bytes) -> None:
    with pytest.raises(InvalidArgument):
        Proof.from_bytes(hostile)


def test_a_proof_of_an_event_that_was_rolled_back_still_convicts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It says that the log once had the event, which is more than the log does now."""
    path = tmp_path_factory.mktemp("rolled") / "s"
    with Store.open(path, SIGNED) as store:
        receipt = store.append(USER, Counted(n=1))
        proof = store.prove(receipt)
    for file in path.iterdir():
        file.unlink()

    assert proof.verify([OURS.public]) == BELIEVED
    assert proof.event().payload == Counted(n=1)
