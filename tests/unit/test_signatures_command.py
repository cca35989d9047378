"""`batpak key`, `batpak receipt`, `batpak proof`: exit codes, and what a person reads.

Would slip through without it: a forged receipt that ends with exit code 0, a secret on a screen, a
proof that shows control characters of somebody else's text to a terminal.
"""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from batpak.append import AppendReceipt
from batpak.cli.main import main
from batpak.cli.signatures import REASONS
from batpak.config import StoreConfig
from batpak.errors import SigningError
from batpak.faults import SigningFault
from batpak.kind import EventKind
from batpak.proof import Proof
from batpak.signing.signing_key import SigningKey
from batpak.signing.verdict import InvalidReason
from batpak.store import Store
from tests.facts import USER, Counted, Said
from tests.keys import OLD, OURS, STRANGER

KEY: Final = OURS.public.to_bytes().hex()
OTHER_KEY: Final = OLD.public.to_bytes().hex()
SIGNED: Final = StoreConfig(signer=OURS, lifecycle_events=False)


class Told:
    """What a run of the command came to."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


class Run:
    """`batpak WORDS`, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str | Path | int) -> Told:
        self._monkeypatch.setattr(sys, "argv", ["batpak", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        shown = self._capsys.readouterr()
        return Told(code if isinstance(code, int) else 0, shown.out, shown.err)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, `receipt` of its event 1, and a signed note of its end in `note`."""
    monkeypatch.chdir(tmp_path)
    with Store.open("store", SIGNED) as store:
        store.append(USER, Said(text="the \x1b[31mfirst\x1b[0m"))
        Path("receipt").write_bytes(store.append(USER, Counted(n=7)).to_bytes())
        store.append(USER, Counted(n=8))
        Path("note").write_text(str(store.checkpoint()))
    return tmp_path


# ---------------------------------------------------------------------------------------- keys


def test_a_new_key_is_kept_for_its_owner_and_its_public_half_is_printed(
    run: Run, folder: Path
) -> None:
    made = run("key", "new", "store.key")
    told = run("key", "public", "store.key")

    key = SigningKey.load(folder / "store.key")
    assert (made.status, told.status) == (0, 0)
    assert made.out == told.out == key.public.to_bytes().hex() + "\n"
    assert made.err == told.err == ""
    assert stat.S_IMODE((folder / "store.key").stat().st_mode) == 0o600


@pytest.mark.usefixtures("folder")
def test_a_key_is_not_put_over_a_file(run: Run) -> None:
    before = Path("note").read_bytes()

    made = run("key", "new", "note")

    assert made.status == 2
    assert "File exists" in made.err
    assert Path("note").read_bytes() == before


@pytest.mark.usefixtures("folder")
def test_a_key_file_that_others_may_read_is_refused_with_the_way_out(run: Run) -> None:
    run("key", "new", "store.key")
    Path("store.key").chmod(0o644)

    told = run("key", "public", "store.key")

    assert told.status == 2
    assert "[key-file-mode]" in told.err
    assert "chmod 600" in told.err


def test_without_the_extra_the_command_says_what_to_install(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)

    for words in (
        ("key", "new", "k"),
        ("receipt", "verify", "receipt", "--key", KEY),
        ("proof", "verify", "receipt", "--key", KEY),
    ):
        told = run(*words)
        assert told.status == 2
        assert "pip install 'batpak[sign]'" in told.err
        assert "Traceback" not in told.err
    assert not (folder / "k").exists()


# ------------------------------------------------------------------------------------- receipts


@pytest.mark.usefixtures("folder")
def test_a_receipt_that_a_key_has_signed_ends_with_0_and_is_told(run: Run) -> None:
    told = run("receipt", "verify", "receipt", "--key", OTHER_KEY, "--key", KEY.upper())

    assert told.status == 0
    assert told.out.startswith(f"✓ receipt  signed by {KEY}\n")
    assert "event 1 of store " in told.out
    assert "user:1@acme, version 2, kind 0xe701" in told.out
    assert "durability COMMIT" in told.out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda one: replace(one, content_hash=b"c" * 32), InvalidReason.BAD_SIGNATURE),
        (lambda one: replace(one, signature=None), InvalidReason.MISSING_SIGNATURE),
        (lambda one: replace(one, key_id=None), InvalidReason.ZERO_KEY),
        (lambda one: replace(one, key_id=None, signature=None), InvalidReason.UNSIGNED),
        (lambda one: replace(one, key_id=STRANGER.key_id), InvalidReason.UNKNOWN_KEY),
    ],
)
def test_a_forged_receipt_ends_with_3_and_says_why(
    run: Run, forge: object, why: InvalidReason
) -> None:
    assert callable(forge)
    receipt = AppendReceipt.from_bytes(Path("receipt").read_bytes())
    Path("receipt").write_bytes(forge(receipt).to_bytes())

    told = run("receipt", "verify", "receipt", "--key", KEY)

    assert told.status == 3
    assert told.out == f"✗ receipt  {REASONS[why]} [{why.value}]\n"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("group", ["receipt", "proof"])
@pytest.mark.parametrize("data", [b"", b"a shopping list", bytes(300_000), "receipt cut"])
def test_what_is_none_ends_with_3(run: Run, group: str, data: bytes | str) -> None:
    whole = Path("receipt").read_bytes()
    Path("file").write_bytes(data if isinstance(data, bytes) else whole[:-1])

    told = run(group, "verify", "file", "--key", KEY)

    assert told.status == 3
    assert told.out == "✗ file  it does not have the shape of one [malformed]\n"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words",
    [
        ["receipt", "verify", "receipt"],
        ["receipt", "verify", "nothing", "--key", KEY],
        ["receipt", "verify", "receipt", "--key", KEY[:-1]],
        ["receipt", "verify", "receipt", "--key", "store.key"],
        ["receipt", "verify", "receipt", "--key", "00" * 32],
        ["proof", "verify", "receipt"],
        ["proof", "make", "store", "1", "--out", "out"],
        ["proof", "make", "store", "1", "--note", "nothing", "--out", "out"],
        ["proof", "make", "store", "1", "--note", "receipt", "--out", "out"],
        ["proof", "make", "store", "3", "--note", "note", "--out", "out"],
        ["proof", "make", "store", "-1", "--note", "note", "--out", "out"],
        ["proof", "make", "nothing", "1", "--note", "note", "--out", "out"],
        ["proof", "make", "store", "1", "--note", "note", "--out", "nothing/out"],
        ["proof", "make", "store", "1", "--note", "store", "--out", "out"],
        ["key", "public", "nothing"],
        ["key", "new", "nothing/key"],
    ],
)
def test_what_could_not_be_done_ends_with_2_and_makes_nothing(run: Run, words: list[str]) -> None:
    told = run(*words)

    assert told.status == 2
    assert told.err
    assert "Traceback" not in told.err
    assert not Path("out").exists()


# --------------------------------------------------------------------------------------- proofs


@pytest.mark.usefixtures("folder")
def test_an_event_is_proved_from_a_store_to_a_file_to_a_person(run: Run) -> None:
    made = run("proof", "make", "store", 1, "--note", "note", "--out", "proof")
    told = run("proof", "verify", "proof", "--key", KEY)
    head, _, payload = told.out.partition("{")

    assert (made.status, made.out) == (0, "")
    assert made.err.startswith("event 1, 1 event behind it, ")
    assert told.status == 0
    assert head.startswith(f"✓ proof  signed by {KEY}\n")
    assert "in the log when it had 3 events" in head
    assert json.loads("{" + payload) == {"n": 7}
    assert Proof.from_bytes(Path("proof").read_bytes()).event().payload == Counted(n=7)


@pytest.mark.usefixtures("folder")
def test_a_proof_that_was_bent_ends_with_3_and_shows_nothing_of_the_event(run: Run) -> None:
    run("proof", "make", "store", 0, "--note", "note", "--out", "proof")
    data = bytearray(Path("proof").read_bytes())
    data[data.index(b"first")] ^= 0x20
    Path("proof").write_bytes(data)

    told = run("proof", "verify", "proof", "--key", KEY)
    unknown = run("proof", "verify", "proof", "--key", OTHER_KEY)

    assert (told.status, unknown.status) == (3, 3)
    assert told.out.splitlines() == [
        "✗ proof  the chain does not lead from the event to the note [event-hash]"
    ]
    assert "[unknown-key]" in unknown.out


@pytest.mark.usefixtures("folder")
def test_the_text_of_a_proved_event_does_not_steer_the_terminal(run: Run) -> None:
    run("proof", "make", "store", 0, "--note", "note", "--out", "proof")

    told = run("proof", "verify", "proof", "--key", KEY)

    assert told.status == 0
    assert "\x1b" not in told.out
    assert "\\u001b[31mfirst" in told.out


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("c70105ff", {"ext": 5, "data": "ff"}),
        ("81a16ec70005", {"n": {"ext": 5, "data": ""}}),
        ("81c0c0", {"null": None}),
    ],
)
def test_any_payload_of_a_proved_event_is_shown(
    run: Run, folder: Path, payload: str, said: object
) -> None:
    with Store.open("other", SIGNED) as store:
        store.append_raw(USER, EventKind.custom(0xA, 0x123), bytes.fromhex(payload))
        (folder / "note").write_text(str(store.checkpoint()))
    run("proof", "make", "other", 0, "--note", "note", "--out", "proof")

    proved = run("proof", "verify", "proof", "--key", KEY)
    decoded = run("decode", "--kind", "0xa123", "--plain", payload)

    assert proved.status == decoded.status == 0
    assert json.loads(proved.out[proved.out.index("{") :]) == said
    assert json.loads(decoded.out) == said


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("out", ["note", "receipt"])
def test_a_proof_is_not_put_over_a_file(run: Run, out: str) -> None:
    before = Path(out).read_bytes()

    made = run("proof", "make", "store", 1, "--note", "note", "--out", out)

    assert made.status == 2
    assert "File exists" in made.err
    assert Path(out).read_bytes() == before


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("again", [KEY, KEY.upper()])
def test_a_key_that_is_given_twice_is_one_key(run: Run, again: str) -> None:
    told = run("receipt", "verify", "receipt", "--key", KEY, "--key", again)

    assert told.status == 0
    assert told.out.startswith(f"✓ receipt  signed by {KEY}\n")


def test_every_reason_that_a_file_alone_can_give_has_words() -> None:
    of_the_log = {
        InvalidReason.OTHER_STORE,
        InvalidReason.NO_SUCH_EVENT,
        InvalidReason.ID,
        InvalidReason.VERSION,
        InvalidReason.COORDINATE,
        InvalidReason.KIND,
        InvalidReason.CONTENT,
        InvalidReason.PREV,
        InvalidReason.EXTENSIONS,
        InvalidReason.HEADER,
    }

    assert set(REASONS) == set(InvalidReason) - of_the_log
    assert SigningError(SigningFault.BAD_KEY, "m").hint.count("batpak key") == 2
