"""Signed notes under attack, and the table of docs/how-to/keep-a-note.md with signed ones.

Would slip through without it: a note that whoever rewrote the log has written as well, one whose
signature covers less than its text says, notes of today that tomorrow's store does not read.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from msgspec.structs import replace

from batpak.config import Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.digest import HASH_BYTES, ZERO_HASH
from batpak.errors import CorruptStore, InvalidArgument
from batpak.journal import header
from batpak.note import CheckpointNote
from batpak.platform import REAL
from batpak.report import NoteFault
from batpak.signing.signing_key import SigningKey
from batpak.signing.verdict import Invalid, InvalidReason, Signed
from batpak.store import Store
from tests.facts import USER, Counted
from tests.keys import OLD, OURS, STRANGER, needs_openssl

OTHER: Final = Coordinate("user:2", "acme")
CONFIG: Final = StoreConfig(
    lifecycle_events=False, signer=OURS, limits=Limits(segment_max_bytes=4 << 10)
)
BELIEVED: Final = Signed(OURS.key_id)
BAD: Final = Invalid(InvalidReason.BAD_SIGNATURE)
PLAIN: Final = CheckpointNote(UUID(int=7), 12, bytes(range(32)), 1_700_000_000_123)
NOTE: Final = PLAIN.signed(OURS)
WRITTEN_BEFORE_THERE_WERE_SIGNATURES: Final = """\
batpak note 1
store 018bcfe5-6800-7000-8000-000000000001
events 1204
head 876804b1cc52a97920ad02eb29541b4faa692b891db73547c14a8b5bca3f2a72
taken 2026-11-21T06:41:00.123Z
"""


def test_a_note_without_a_signature_is_read_as_ever() -> None:
    note = CheckpointNote.parse(WRITTEN_BEFORE_THERE_WERE_SIGNATURES)

    assert str(note) == WRITTEN_BEFORE_THERE_WERE_SIGNATURES
    assert (note.events, note.key_id, note.signature) == (1204, None, None)
    assert note.verify([OURS.public]) == Invalid(InvalidReason.UNSIGNED)
    assert str(note.signed(OURS)).startswith(WRITTEN_BEFORE_THERE_WERE_SIGNATURES)


@pytest.mark.parametrize("change", [str, lambda text: text.replace("\n", "\r\n"), str.strip])
def test_a_signed_note_is_read_back_and_believed(change: Callable[[str], str]) -> None:
    text = str(NOTE)
    assert text.splitlines()[5:] == [
        f"key {OURS.key_id.hex()}",
        f"signature {(NOTE.signature or b'').hex()}",
    ]

    assert CheckpointNote.parse(change(text)) == NOTE
    assert CheckpointNote.parse(change(text)).verify([OLD.public, OURS.public]) == BELIEVED


@needs_openssl
def test_any_program_can_check_a_note(tmp_path: Path) -> None:
    OURS.save(tmp_path / "key")
    lines = str(NOTE).splitlines(keepends=True)
    (tmp_path / "text").write_text("".join(lines[:5]))
    (tmp_path / "signature").write_bytes(bytes.fromhex(lines[6].split()[1]))
    subprocess.run(
        ["openssl", "pkey", "-in", "key", "-pubout", "-out", "public"], cwd=tmp_path, check=True
    )

    command = "openssl pkeyutl -verify -pubin -inkey public -rawin -in text -sigfile signature"
    checked = subprocess.run(
        command.split(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "Verified Successfully" in checked.stdout


# --------------------------------------------------------------------------------- forged notes


def flips(data: bytes) -> Iterator[bytes]:
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        yield bytes(changed)


def test_a_note_with_any_bit_changed_is_not_what_was_signed() -> None:
    changed = [replace(NOTE, store_id=UUID(bytes=raw)) for raw in flips(NOTE.store_id.bytes)]
    changed += [replace(NOTE, events=NOTE.events ^ 1 << at) for at in range(60)]
    changed += [replace(NOTE, head=raw) for raw in flips(NOTE.head)]
    changed += [replace(NOTE, taken_ms=NOTE.taken_ms ^ 1 << at) for at in range(40)]
    changed += [replace(NOTE, signature=raw) for raw in flips(NOTE.signature or b"")]

    for note in changed:
        assert note.verify([OURS.public]) == BAD
    for raw in flips(OURS.key_id):
        assert replace(NOTE, key_id=raw).verify([OURS.public]) == Invalid(InvalidReason.UNKNOWN_KEY)


def test_a_text_with_any_character_changed_is_refused_or_not_believed() -> None:
    text = str(NOTE)
    for at in range(len(text)):
        for put in ("0", "1", "a", "f", " ", "\n", "-", ""):
            changed = text[:at] + put + text[at + 1 :]
            try:
                note = CheckpointNote.parse(changed)
            except InvalidArgument:
                continue
            assert note == NOTE or isinstance(note.verify([OURS.public]), Invalid), changed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"signature": None}, InvalidReason.MISSING_SIGNATURE),
        ({"key_id": None}, InvalidReason.ZERO_KEY),
        ({"key_id": bytes(HASH_BYTES)}, InvalidReason.ZERO_KEY),
        ({"key_id": None, "signature": None}, InvalidReason.UNSIGNED),
        ({"key_id": OLD.key_id}, InvalidReason.BAD_SIGNATURE),
        ({"key_id": STRANGER.key_id}, InvalidReason.UNKNOWN_KEY),
        ({"head": bytes(31)}, InvalidReason.MALFORMED),
        ({"head": ZERO_HASH}, InvalidReason.MALFORMED),
        ({"events": -1}, InvalidReason.MALFORMED),
        ({"events": "12"}, InvalidReason.MALFORMED),
        ({"store_id": None}, InvalidReason.MALFORMED),
        ({"taken_ms": 1 << 70}, InvalidReason.MALFORMED),
        ({"taken_ms": None}, InvalidReason.MALFORMED),
        ({"key_id": b"k"}, InvalidReason.MALFORMED),
        ({"signature": b"s" * 63}, InvalidReason.MALFORMED),
        ({"signature": "s" * 64}, InvalidReason.MALFORMED),
    ],
)
def test_a_note_that_was_made_by_hand_is_refused_with_the_reason(
    change: dict[str, object], why: InvalidReason
) -> None:
    note = replace(NOTE, **change)

    assert note.verify([OURS.public, OLD.public]) == Invalid(why)


@pytest.mark.parametrize("line", [5, 6])
def test_half_a_signature_is_no_text_of_a_note(line: int) -> None:
    lines = str(NOTE).splitlines(keepends=True)

    for changed in (lines[:line] + lines[line + 1 :], [*lines, lines[line]], lines[5:] + lines[:5]):
        with pytest.raises(InvalidArgument):
            CheckpointNote.parse("".join(changed))


# ------------------------------------------------------------------------------ the whole table


def fill(path: Path, facts: list[tuple[Coordinate, int]], signer: SigningKey) -> CheckpointNote:
    """Write events into a store with a fixed id, and take a note at the end."""
    first = [b"\x11" * header.STORE_ID_BYTES]

    def entropy(count: int) -> bytes:
        return first.pop() if first else REAL.entropy(count)

    config = replace(CONFIG, signer=signer)
    with Store.open(path, config, platform=replace(REAL, entropy=entropy)) as store:
        for where, n in facts:
            store.append(where, Counted(n=n))
        return store.checkpoint()


Facts = list[tuple[Coordinate, int]]
FACTS: Final = [(USER if n % 2 else OTHER, n) for n in range(30)]
ATTACKS: Final[dict[str, Callable[[Facts], Facts]]] = {
    "edit": lambda facts: [*facts[:20], (facts[20][0], 99), *facts[21:]],
    "reorder": lambda facts: [*facts[:9], facts[10], facts[9], *facts[11:]],
    "duplicate": lambda facts: [*facts[:9], facts[9], *facts[9:]],
    "move": lambda facts: [*facts[:9], (Coordinate("user:3", "acme"), 9), *facts[10:]],
    "drop one and add one": lambda facts: [*facts[:9], *facts[10:], (USER, 7)],
    "drop an entity": lambda facts: [fact for fact in facts if fact[0] != OTHER],
    "cut": lambda facts: facts[:-1],
    "cut and go on": lambda facts: facts[:-1] + [(USER, 1)] * 5,
}


def verify(path: Path, note: CheckpointNote | None, *, believed: bool = True) -> NoteFault | None:
    """What `verify` says about a note; everything else is well."""
    config = StoreConfig(trusted=(OURS.public,) if believed else ())
    with Store.open_read_only(path, config) as store:
        report = store.verify(since=note)
    assert not report.findings
    assert report.ok == (report.note is None)
    return report.note


@pytest.mark.parametrize("name", ATTACKS)
def test_a_log_written_anew_is_found_by_the_note_that_was_kept_and_no_other_passes_for_it(
    tmp_path: Path, name: str
) -> None:
    path, facts = tmp_path / "store", ATTACKS[name](FACTS)
    kept = fill(path, FACTS, OURS)
    assert verify(path, kept) is None
    shutil.rmtree(path)
    theirs = fill(path, facts, STRANGER)  # who can write the directory has no key of ours

    assert verify(path, None) is None
    is_shorter = len(facts) < len(FACTS)
    assert verify(path, kept) is (NoteFault.ROLLED_BACK if is_shorter else NoteFault.REWRITTEN)
    forged = [
        theirs,
        replace(theirs, key_id=OURS.key_id),
        replace(theirs, key_id=kept.key_id, signature=kept.signature),
        replace(theirs, key_id=None, signature=None),
    ]
    for note in forged:
        assert verify(path, note) is NoteFault.UNTRUSTED
        assert verify(path, note, believed=False) is None  # that is what a key is for


@pytest.mark.parametrize("name", ATTACKS)
def test_a_key_that_was_stolen_signs_anything_and_the_note_that_was_kept_still_finds_it(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "store"
    kept = fill(path, FACTS, OURS)
    shutil.rmtree(path)
    theirs = fill(path, ATTACKS[name](FACTS), OURS)

    assert verify(path, theirs) is None  # missed: the published limit
    assert verify(path, kept) in (NoteFault.ROLLED_BACK, NoteFault.REWRITTEN)


def test_an_older_copy_is_found_back_to_the_newest_note_that_was_kept(tmp_path: Path) -> None:
    path, older = tmp_path / "store", tmp_path / "older"
    early = fill(path, FACTS[:10], OURS)
    shutil.copytree(path, older)
    with Store.open(path, CONFIG) as store:
        for where, n in FACTS[10:]:
            store.append(where, Counted(n=n))
        late = store.checkpoint()

    assert verify(path, early) is verify(path, late) is None
    assert verify(older, early) is None  # what is newer than the note is the window that stays open
    assert verify(older, late) is NoteFault.ROLLED_BACK


def test_a_note_that_is_not_believed_says_so_before_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path, FACTS, OURS)

    for note in (NOTE, NOTE.signed(STRANGER), PLAIN):
        due = NoteFault.OTHER_STORE if note is NOTE else NoteFault.UNTRUSTED
        with Store.open_read_only(path, StoreConfig(trusted=(OURS.public,))) as store:
            report = store.verify(since=note)
        assert report.note is due
        with pytest.raises(CorruptStore) as caught:
            report.raise_for_damage()
        if due is NoteFault.UNTRUSTED:
            assert "no key that is trusted has signed the note" in str(caught.value)
