"""Receipts under attack: none is believed that is not exactly what a trusted key has signed.

Would slip through without it: a field that no signature covers, a receipt without one that passes
for a signed one, one of another store, one whose two judges disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final
from uuid import UUID

import blake3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from batpak.append import AppendReceipt, BatchItem
from batpak.append_receipt import signed, verify_receipt
from batpak.claim import RECEIPT_BYTES_MAX
from batpak.config import Durability, StoreConfig
from batpak.coordinate import Coordinate
from batpak.digest import HASH_BYTES
from batpak.errors import CorruptStore, InvalidArgument, InvalidCoordinate
from batpak.reader import StoreReader
from batpak.record import HEAD_BYTES
from batpak.signing.signing_key import SigningKey
from batpak.signing.verdict import Invalid, InvalidReason, Signed, TrustVerdict, Unsigned
from batpak.store import Store
from tests.facts import USER, Counted, Said
from tests.keys import OLD, OURS, STRANGER

SEED: Final = 20261121
OTHER: Final = Coordinate("user:2", "acme")
SIGNED: Final = StoreConfig(lifecycle_events=False, signer=OURS, trusted=(OLD.public,))
TRUSTED: Final = (OURS.public, OLD.public)
BELIEVED: Final = Signed(OURS.key_id)
BAD: Final = Invalid(InvalidReason.BAD_SIGNATURE)
MALFORMED: Final = Invalid(InvalidReason.MALFORMED)

OF_HEAD: Final = {  # where each field of the head begins, and why one that was changed is refused
    0: InvalidReason.MALFORMED,  # type
    1: InvalidReason.HEADER,  # flags
    2: InvalidReason.KIND,
    4: InvalidReason.CONTENT,  # payload_version
    6: InvalidReason.HEADER,  # key_ref, place in a batch, wall_ms, counter
    30: InvalidReason.SEQUENCE,
    38: InvalidReason.VERSION,
    46: InvalidReason.ID,
    62: InvalidReason.HEADER,  # correlation, causation
    94: InvalidReason.PREV,
    126: InvalidReason.EVENT_HASH,
    158: InvalidReason.HEADER,  # durable_through
}


class Kept:
    """A store, open for reading, and receipts of it, each signed and each different."""

    def __init__(self, reader: StoreReader, receipts: list[AppendReceipt]) -> None:
        self.reader, self.receipts = reader, receipts

    @property
    def rich(self) -> AppendReceipt:
        """One with something in every field."""
        return self.receipts[-1]

    def both(self, receipt: AppendReceipt, *, accept_unsigned: bool = False) -> TrustVerdict:
        """What the log says, after a look that it is what is said without it."""
        alone = verify_receipt(receipt, TRUSTED, accept_unsigned=accept_unsigned)
        asked = self.reader.verify_receipt(receipt, accept_unsigned=accept_unsigned)
        assert asked == alone or not isinstance(alone, Invalid), f"{alone} alone, {asked} asked"
        return asked


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    path = tmp_path_factory.mktemp("kept") / "store"
    with Store.open(path, SIGNED) as store:
        receipts = [store.append(USER, Counted(n=n)) for n in range(5)]
        receipts.append(store.append(OTHER, Counted(n=5), idempotency_key="k"))
        receipts.append(store.append(OTHER, Counted(n=5), idempotency_key="k"))
        receipts += store.append_batch(
            [BatchItem(USER, Said(text="a")), BatchItem(OTHER, Said(text="b"))]
        )
        receipts.append(
            store.append(
                Coordinate("user:ünïcode", "a scope"),
                Counted(n=7),
                caused_by=receipts[0],
                flags=5,
                extensions={"app.trace": b"\x00\xff" * 20, "app.empty": b""},
            )
        )
    with Store.open_read_only(path, SIGNED) as reader:
        yield Kept(reader, receipts)


# ---------------------------------------------------------------------------- what is covered


def test_the_signature_is_of_what_the_format_says(kept: Kept) -> None:
    for receipt in kept.receipts:
        opt = b"\xc0"
        if receipt.extensions:
            opt = b"\x92\xc0\x92\x92\xa9app.empty\xc4\x00\x92\xa9app.trace\xc4\x28" + b"\0\xff" * 20
        entity, scope = receipt.coordinate.entity.encode(), receipt.coordinate.scope.encode()
        preimage = (
            b"batpak.receipt.v1\0"
            + receipt.store_id.bytes
            + receipt.head
            + len(entity).to_bytes(2, "big")
            + entity
            + len(scope).to_bytes(2, "big")
            + scope
            + receipt.content_hash
            + len(opt).to_bytes(4, "big")
            + opt
            + bytes([receipt.durability.value])
        )
        assert receipt.signature is not None
        assert OURS.public.has_signed(blake3.blake3(preimage).digest(), receipt.signature)


def test_the_bytes_of_a_receipt_are_what_the_format_says() -> None:
    receipt = signed(
        AppendReceipt(
            store_id=UUID(int=7),
            coordinate=USER,
            head=b"\x01" + bytes(range(1, HEAD_BYTES)),
            content_hash=b"c" * 32,
            extensions={"a.b": b"x"},
            durability=Durability.COMMIT,
        ),
        OURS,
    )
    key_id, signature = receipt.key_id or b"", receipt.signature or b""

    assert receipt.to_bytes() == (
        b"\x9b\xb0batpak receipt 1"
        + (b"\xc4\x10" + bytes(15) + b"\x07")
        + b"\xa6user:1\xa4acme"
        + (b"\xc4\xa6\x01" + bytes(range(1, HEAD_BYTES)))
        + (b"\xc4\x20" + b"c" * 32)
        + b"\x91\x92\xa3a.b\xc4\x01x"
        + b"\x03\xc2"
        + (b"\xc4\x20" + key_id + b"\xc4\x40" + signature)
    )
    assert signature.hex() == (
        "87bd03c4106b6cd52c513967db3359ffad670079670b802461a3816cb0d3853e"
        "20f5f51693dcf4507061e323826b798ddf69301ccc6fbbf41ed1a25e045d9d0b"
    )


# ------------------------------------------------------------------------------- single bits


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every change of one bit, and the byte that it is in."""
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        yield at // 8, bytes(changed)


def reason_of(at: int) -> InvalidReason:
    """Why a receipt is refused in which this byte of the head is another one."""
    return OF_HEAD[max(begin for begin in OF_HEAD if begin <= at)]


def changes(receipt: AppendReceipt) -> Iterator[tuple[AppendReceipt, InvalidReason]]:
    """Every change of one bit of the claim, and of which field the log says something else."""
    for _, raw in flips(receipt.store_id.bytes):
        yield replace(receipt, store_id=UUID(bytes=raw)), InvalidReason.OTHER_STORE
    for name in ("entity", "scope"):
        for _, raw in flips(getattr(receipt.coordinate, name).encode()):
            try:
                coordinate = replace(receipt.coordinate, **{name: raw.decode()})
            except (UnicodeDecodeError, InvalidCoordinate):  # nobody can make such a receipt
                continue
            yield replace(receipt, coordinate=coordinate), InvalidReason.COORDINATE
    for at, raw in flips(receipt.head):
        yield replace(receipt, head=raw), reason_of(at)
    for _, raw in flips(receipt.content_hash):
        yield replace(receipt, content_hash=raw), InvalidReason.CONTENT
    for name, value in receipt.extensions.items():
        rest = {other: held for other, held in receipt.extensions.items() if other != name}
        for _, raw in flips(value):
            yield replace(receipt, extensions={**rest, name: raw}), InvalidReason.EXTENSIONS
        for _, raw in flips(name.encode()):
            text = raw.decode(errors="replace")
            yield replace(receipt, extensions={**rest, text: value}), InvalidReason.EXTENSIONS
        yield replace(receipt, extensions=rest), InvalidReason.EXTENSIONS


def test_a_receipt_with_any_bit_changed_is_not_what_was_signed(kept: Kept) -> None:
    tried = 0
    for receipt in (kept.receipts[0], kept.rich):
        for changed, why in changes(receipt):
            tried += 1
            due = MALFORMED if why is InvalidReason.MALFORMED else BAD
            assert kept.both(changed) == kept.both(changed, accept_unsigned=True) == due
        for level in set(Durability) - {receipt.durability}:
            assert kept.both(replace(receipt, durability=level)) == BAD
        for _, raw in flips(receipt.key_id or b""):
            tried += 1
            due = Invalid(InvalidReason.UNKNOWN_KEY)
            assert kept.both(replace(receipt, key_id=raw)) == due
        for _, raw in flips(receipt.signature or b""):
            tried += 1
            assert kept.both(replace(receipt, signature=raw)) == BAD
        assert kept.both(replace(receipt, replayed=True)) == BELIEVED
    assert tried > 5_000


@pytest.mark.parametrize("by", [OURS, None], ids=["signed", "unsigned"])
def test_of_a_receipt_that_nothing_else_speaks_against_the_log_names_what_is_wrong(
    kept: Kept, by: SigningKey | None
) -> None:
    """Whoever has the key may sign anything, and an unsigned receipt may be accepted."""
    tried = 0
    for receipt in (kept.receipts[0], kept.rich):
        for changed, why in changes(receipt):
            if by is None:
                changed = replace(changed, key_id=None, signature=None)  # noqa: PLW2901
            elif why is not InvalidReason.MALFORMED:
                changed = signed(changed, by)  # noqa: PLW2901
            tried += 1
            assert kept.both(changed, accept_unsigned=True) == Invalid(why)
    assert tried > 3_000


def test_any_bit_of_the_bytes_changed_is_another_receipt_or_none(kept: Kept) -> None:
    data = kept.rich.to_bytes()
    believed = 0
    for _, raw in flips(data):
        try:
            read = AppendReceipt.from_bytes(raw)
        except InvalidArgument:
            continue
        assert read.to_bytes() == raw
        if kept.both(read) == BELIEVED:
            believed += 1
            assert replace(read, replayed=False) == kept.rich
    assert believed == 1  # `replayed`


# ---------------------------------------------------------------------------- known attacks


def test_a_signature_that_was_taken_off_is_missed(kept: Kept) -> None:
    receipt = kept.rich
    stripped = replace(receipt, signature=None)
    bare = replace(receipt, signature=None, key_id=None)

    for may_be in (False, True):
        assert kept.both(stripped, accept_unsigned=may_be) == Invalid(
            InvalidReason.MISSING_SIGNATURE
        )
    assert kept.both(bare) == Invalid(InvalidReason.UNSIGNED)
    assert kept.both(bare, accept_unsigned=True) == Unsigned()


@pytest.mark.parametrize("key_id", [None, bytes(HASH_BYTES)])
def test_a_key_that_is_not_named_signs_nothing(kept: Kept, key_id: bytes | None) -> None:
    for may_be in (False, True):
        changed = replace(kept.rich, key_id=key_id)
        assert kept.both(changed, accept_unsigned=may_be) == Invalid(InvalidReason.ZERO_KEY)


def test_a_stranger_signs_nothing(kept: Kept) -> None:
    own = signed(kept.rich, STRANGER)
    in_our_name = replace(own, key_id=OURS.key_id)
    in_the_old_name = replace(kept.rich, key_id=OLD.key_id)

    assert kept.both(own) == Invalid(InvalidReason.UNKNOWN_KEY)
    assert kept.both(in_our_name) == BAD
    assert kept.both(in_the_old_name) == BAD
    assert verify_receipt(own, [STRANGER.public]) == Signed(STRANGER.key_id)
    assert verify_receipt(kept.rich, []) == Invalid(InvalidReason.UNKNOWN_KEY)


def test_the_receipt_of_another_store_is_told(kept: Kept, tmp_path: Path) -> None:
    with Store.open(tmp_path / "other", SIGNED) as other:
        for n in range(12):
            foreign = other.append(USER, Counted(n=n))
            assert kept.both(foreign) == Invalid(InvalidReason.OTHER_STORE)
            assert kept.both(replace(foreign, store_id=kept.rich.store_id)) == BAD
            lied = signed(replace(foreign, store_id=kept.rich.store_id), OURS)
            assert kept.both(lied) == Invalid(InvalidReason.NO_SUCH_EVENT)


def test_a_receipt_of_an_event_that_is_not_there_is_told(kept: Kept) -> None:
    rich, head = kept.rich, kept.rich.head
    beyond = (1 << 40).to_bytes(8, "big")
    made_up = head[:30] + beyond + head[38:46] + b"\x7f" * 16 + head[62:]

    assert kept.both(signed(replace(rich, head=made_up), OURS)) == Invalid(
        InvalidReason.NO_SUCH_EVENT
    )
    elsewhere = head[:46] + b"\x7f" * 16 + head[62:126] + b"\x7f" * 32 + head[158:]
    assert kept.both(signed(replace(rich, head=elsewhere), OURS)) == Invalid(
        InvalidReason.NO_SUCH_EVENT
    )


def test_a_receipt_from_before_a_roll_back_is_told(tmp_path: Path) -> None:
    import shutil

    path, older = tmp_path / "store", tmp_path / "older"
    with Store.open(path, SIGNED) as store:
        store.append(USER, Counted(n=1))
    shutil.copytree(path, older)
    with Store.open(path, SIGNED) as store:
        receipt = store.append(USER, Counted(n=2))
    with Store.open(older, SIGNED) as store:
        assert store.verify_receipt(receipt) == Invalid(InvalidReason.NO_SUCH_EVENT)
        store.append(USER, Counted(n=666))
        assert store.verify_receipt(receipt) == Invalid(InvalidReason.NO_SUCH_EVENT)
        assert store.verify().ok


def test_an_event_that_was_edited_does_not_bear_its_receipt_out(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store.open(path, SIGNED) as store:
        receipts = [store.append(USER, Counted(n=n)) for n in range(3)]
    segment = path / "000001.fbat"
    data = bytearray(segment.read_bytes())
    data[data.index(b"\x81\xa1n\x01")] ^= 1
    segment.write_bytes(data)

    with pytest.raises(CorruptStore), Store.open(path, SIGNED) as store:
        store.verify_receipt(receipts[1])


def test_a_verdict_is_not_true_or_false(kept: Kept) -> None:
    for verdict in (
        kept.both(kept.rich),
        kept.both(replace(kept.rich, durability=Durability.INTERVAL)),
        kept.both(replace(kept.rich, key_id=None, signature=None), accept_unsigned=True),
    ):
        for ask in (bool, lambda verdict: not verdict, lambda verdict: 1 if verdict else 0):
            with pytest.raises(TypeError, match="not true or false"):
                ask(verdict)
    match kept.both(kept.rich):
        case Signed(key_id=key_id):
            assert key_id == OURS.key_id
        case other:
            pytest.fail(str(other))


HOSTILE: Final[dict[str, Callable[[AppendReceipt], AppendReceipt]]] = {
    "no head": lambda one: replace(one, head=b""),
    "a longer head": lambda one: replace(one, head=one.head + b"\0"),
    "a head that is text": lambda one: replace(one, head="x" * HEAD_BYTES),
    "a short hash": lambda one: replace(one, content_hash=b"c" * 31),
    "no id": lambda one: replace(one, store_id=None),
    "an id as text": lambda one: replace(one, store_id=str(one.store_id)),
    "no coordinate": lambda one: replace(one, coordinate=None),
    "another coordinate": lambda one: replace(one, coordinate=("user:1", "acme")),
    "no extensions": lambda one: replace(one, extensions=None),
    "extensions of text": lambda one: replace(one, extensions={"a.b": "text"}),
    "extensions by number": lambda one: replace(one, extensions={1: b""}),
    "names of two types": lambda one: replace(one, extensions={1: b"", "a.b": b""}),
    "a lone surrogate": lambda one: replace(one, extensions={"a.\ud800": b""}),
    "too much": lambda one: replace(one, extensions={"a.b": bytes(RECEIPT_BYTES_MAX)}),
    "no durability": lambda one: replace(one, durability=None),
    "an unknown durability": lambda one: replace(one, durability=7),
    "a huge durability": lambda one: replace(one, durability=1 << 70),
    "a number for replayed": lambda one: replace(one, replayed=2),
    "a short key id": lambda one: replace(one, key_id=b"k" * 31),
    "a key for its id": lambda one: replace(one, key_id=OURS.public),
    "a short signature": lambda one: replace(one, signature=b"s" * 63),
    "a long signature": lambda one: replace(one, signature=b"s" * 65),
    "an empty signature": lambda one: replace(one, signature=b""),
    "a signature in hex": lambda one: replace(one, signature=(one.signature or b"").hex()),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_does_not_have_the_shape_of_a_receipt_is_malformed(kept: Kept, name: str) -> None:
    for may_be in (False, True):
        assert kept.both(HOSTILE[name](kept.rich), accept_unsigned=may_be) == MALFORMED


# --------------------------------------------------------------------------- 10,000 mutations


def mutations(receipts: list[AppendReceipt], random: Random) -> Iterator[AppendReceipt | None]:
    """Receipts that were bent in bytes, or put together out of several; None: these are none."""
    fields = ("store_id", "coordinate", "head", "content_hash", "extensions", "durability")
    while True:
        one, other = random.choice(receipts), random.choice(receipts)
        how = random.randrange(6)
        if how < 4:
            data = bytearray(one.to_bytes())
            if how == 0:
                for _ in range(random.randint(1, 8)):
                    data[random.randrange(len(data))] = random.randrange(256)
            elif how == 1:
                begin, size = random.randrange(len(data)), random.randint(1, 40)
                data[begin : begin + size] = random.randbytes(size)
            elif how == 2:
                begin, size = random.randrange(len(data)), random.randint(0, 20)
                data[begin : begin + size] = random.randbytes(random.randint(0, 20))
            else:
                begin, more = random.randrange(len(data)), other.to_bytes()
                data[begin:] = more[begin:]
            try:
                yield AppendReceipt.from_bytes(bytes(data))
            except InvalidArgument:
                yield None
        elif how == 4:
            taken = random.sample([*fields, "key_id", "signature"], random.randint(1, 4))
            yield replace(one, **{name: getattr(other, name) for name in taken})
        else:
            head = bytearray(one.head)
            begin, end = sorted(random.sample(range(1, HEAD_BYTES + 1), 2))
            head[begin:end] = other.head[begin:end]
            drop = {"key_id": None, "signature": None} if random.random() < 0.3 else {}
            yield replace(one, head=bytes(head), **drop)


def test_of_10_000_bent_receipts_none_is_believed_and_both_judges_agree(kept: Kept) -> None:
    random = Random(SEED)  # noqa: S311  can be repeated
    genuine = {(receipt.to_bytes()) for receipt in kept.receipts}
    genuine |= {replace(one, replayed=not one.replayed).to_bytes() for one in kept.receipts}
    tried, read, reasons = 0, 0, set[InvalidReason]()
    for bent in mutations(kept.receipts, random):
        if tried == 10_000:
            break
        tried += 1
        if bent is None or bent.to_bytes() in genuine:
            continue
        read += 1
        for may_be in (False, True):
            verdict = kept.both(bent, accept_unsigned=may_be)
            assert isinstance(verdict, Invalid) or (verdict == Unsigned() and may_be), bent
            if isinstance(verdict, Invalid):
                reasons.add(verdict.reason)
            else:  # then the log has all of it
                whole = replace(bent, key_id=None, signature=None, replayed=False)
                ours = [replace(one, key_id=None, signature=None) for one in kept.receipts]
                levels = [replace(whole, durability=level) for level in Durability]
                assert any(level in ours for level in levels)
    assert read > 5_000
    assert {
        InvalidReason.BAD_SIGNATURE,
        InvalidReason.UNSIGNED,
        InvalidReason.UNKNOWN_KEY,
        InvalidReason.ID,
        InvalidReason.SEQUENCE,
        InvalidReason.HEADER,
    } <= reasons


@given(data=st.binary(max_size=600))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused_with_a_type(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        AppendReceipt.from_bytes(data)


@pytest.mark.parametrize(
    "hostile",
    [
        None,
        "batpak receipt 1",
        bytearray(b"\x9b"),
        b"\xdd\xff\xff\xff\xff",
        b"\x9b\xb0batpak receipt 2",
        b"\x91" * 100_000,
        bytes(RECEIPT_BYTES_MAX + 1),
    ],
)
def test_what_are_no_bytes_of_a_receipt_is_refused(hostile: bytes) -> None:
    with pytest.raises(InvalidArgument):
        AppendReceipt.from_bytes(hostile)


def test_a_receipt_as_large_as_can_be_is_carried_whole(tmp_path: Path) -> None:
    from batpak.commit.request import EXTENSIONS_BYTES_MAX, EXTENSIONS_MAX

    names = [f"{'n' * 200}.{n:02}" for n in range(EXTENSIONS_MAX)]
    room = EXTENSIONS_BYTES_MAX - sum(map(len, names))
    extensions = dict.fromkeys(names, bytes(room // len(names)))
    widest = Coordinate("\u20ac" * 341, "\u20ac" * 341)
    with Store.open(tmp_path / "store", SIGNED) as store:
        receipt = store.append(widest, Counted(n=1), extensions=extensions)

        assert AppendReceipt.from_bytes(receipt.to_bytes()) == receipt
        assert store.verify_receipt(receipt) == BELIEVED
