"""`batpak verify`: exit codes, what a person reads, what a program reads.

Would slip through without it: damage that ends with exit code 0, a finding without file and offset.
"""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import typer
from msgspec.structs import replace
from typer.testing import CliRunner

from batpak.cli.stores import stat, verify
from batpak.errors import InvalidArgument, StorageFailed
from batpak.platform import REAL
from batpak.store import Store
from batpak.testing.disk import Call
from batpak.testing.watched import watched
from batpak.upkeep.verify import verify_path
from tests.facts import FAST, PLAIN, SMALL, USER, Counted, Said
from tests.keys import OLD, OURS

app = typer.Typer()
app.command()(verify)
counting = typer.Typer()
counting.command()(stat)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "s", PLAIN) as opened:
        for n in range(3):
            opened.append(USER, Counted(n=n))
    return tmp_path / "s"


def damage(store: Path) -> int:
    data = bytearray((store / "000001.fbat").read_bytes())
    at = data.index(b"\x81\xa1n\x01")
    data[at] ^= 1
    (store / "000001.fbat").write_bytes(data)
    return at


def test_a_whole_store_exits_with_0_and_names_its_head(store: Path) -> None:
    with Store.open_read_only(store) as reader:
        head = reader.get(2).event_hash.hex()

    done = CliRunner().invoke(app, [str(store)])

    assert done.exit_code == 0
    assert "3 events in 1 segment, all well" in done.output
    assert head in done.output


def test_how_far_a_verification_is_is_told_inside_of_files_too(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batpak.upkeep.verify.TOLD_BYTES", 1)
    size, said = (store / "000001.fbat").stat().st_size, list[tuple[int, int]]()

    verify_path(store, REAL, progress=lambda done, total: said.append((done, total)))

    done = [one for one, _ in said]
    assert done == sorted(done)
    assert (done[0], done[-1], {total for _, total in said}) == (0, size, {size})
    assert len(done) == 2 + 3  # the beginning, the end, and each unit


def test_a_handle_tells_how_far_its_verification_is(store: Path) -> None:
    said = list[tuple[int, int]]()

    with Store.open(store, PLAIN) as opened, Store.observe(store) as observer:
        for handle in (opened, observer):
            said.clear()
            assert handle.verify(progress=lambda done, total: said.append((done, total))).ok
            assert (said[0][0], said[-1][0]) == (0, said[-1][1])


def test_nothing_is_mapped_so_what_a_disk_cannot_read_is_refused(store: Path) -> None:
    calls = list[str]()
    assert verify_path(store, watched(REAL, before=lambda call: calls.append(call.kind))).ok
    assert "pread" in calls
    assert "map" not in calls

    def fail(call: Call) -> None:
        if call.kind == "pread" and call.path.endswith(".fbat") and call.size > 4096:
            raise OSError(errno.EIO, "a bad sector")

    with Store.open(store, FAST) as opened:
        opened.append(USER, Said(text="x" * 5000))
    with pytest.raises(StorageFailed, match="a bad sector"):
        verify_path(store, watched(REAL, before=fail))


def test_a_path_is_printed_as_it_was_given(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.parent)
    well = CliRunner().invoke(app, ["s"])
    damage(store)
    ill = CliRunner().invoke(app, ["s"])

    assert well.output.startswith("✓ s  3 events")
    first, second, *_ = ill.output.splitlines()
    assert first.startswith("✗ s  ")
    assert second.startswith("  s/000001.fbat:")


def test_damage_exits_with_3_and_names_file_and_offset(store: Path) -> None:
    damage(store)

    done = CliRunner().invoke(app, [str(store)])

    assert done.exit_code == 3
    assert f"{store}/000001.fbat:" in done.output
    assert "event 1" in done.output
    assert "1 finding" in done.output


def test_json_lists_every_finding(store: Path) -> None:
    at = damage(store)

    done = CliRunner().invoke(app, [str(store), "--json"])

    report = json.loads(done.output)
    assert done.exit_code == 3
    assert not report["ok"]
    assert report["findings_count"] == len(report["findings"]) == 1
    found = report["findings"][0]
    assert (found["file"], found["sequence"], found["reason"]) == (
        f"{store}/000001.fbat",
        1,
        "crc",
    )
    assert at - 250 < found["offset"] < at


@pytest.mark.parametrize("name", ["HEAD", "000001.fbat"])
def test_a_damaged_or_missing_truth_file_is_a_finding_not_a_failure(store: Path, name: str) -> None:
    data = (store / name).read_bytes()
    (store / name).write_bytes(b"x" + data[1:])
    first = CliRunner().invoke(app, [str(store)])
    (store / name).unlink()
    second = CliRunner().invoke(app, [str(store)])

    for done in (first, second):
        assert done.exit_code == 3
        assert f"{name}:0" in done.output


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_without_head_a_footer_is_not_taken_for_what_a_stopped_writer_left(
    tmp_path: Path, harm: str
) -> None:
    with Store.open(tmp_path / "s", FAST) as opened:
        for _ in range(6):  # the last file of a closed store has a footer from 256 KiB on
            opened.append(USER, Said(text="x" * 60_000))
    (tmp_path / "s/HEAD").unlink()
    if harm == "damaged":
        (tmp_path / "s/HEAD").write_bytes(b"x" * 80)

    done = CliRunner().invoke(app, [str(tmp_path / "s")])

    assert done.exit_code == 3
    assert "6 events in 1 segment, 1 finding" in done.output
    assert "HEAD:0" in done.output
    assert "stopped" not in done.output


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A store of three, the first two of which have a footer."""
    with Store.open(tmp_path / "several", SMALL) as opened:
        for n in range(60):
            opened.append(USER, Counted(n=n))
    return tmp_path / "several"


@pytest.mark.parametrize("number", [2, 3])
def test_the_footer_before_a_missing_file_was_left_by_nobody_who_stopped(
    files: Path, number: int
) -> None:
    (files / f"00000{number}.fbat").unlink()

    done = CliRunner().invoke(app, [str(files)])

    assert done.exit_code == 3
    assert "in 2 segments, 1 finding" in done.output
    assert f"00000{number}.fbat:0  is missing" in done.output
    assert "stopped" not in done.output


def test_a_header_that_is_damaged_is_one_finding(files: Path) -> None:
    second = files / "000002.fbat"
    data = bytearray(second.read_bytes())
    data[20] ^= 1
    second.write_bytes(data)

    done = CliRunner().invoke(app, [str(files)])

    assert done.exit_code == 3
    assert "in 2 segments, 1 finding" in done.output
    assert "000002.fbat:0  the checksum of the header does not match" in done.output
    assert "is missing" not in done.output  # it is there
    assert "stopped" not in done.output  # the footer of the file before


@pytest.mark.parametrize(
    ("left", "said"), [(b"\x00\x00\x01\x00torn", "8 bytes were"), (b"\x01", "1 byte was")]
)
def test_a_torn_end_is_told_and_is_no_damage(store: Path, left: bytes, said: str) -> None:
    import shutil

    with Store.open(store, PLAIN) as opened:
        opened.append(USER, Counted(n=3))
        copy = shutil.copytree(store, store.parent / "crashed")
    with (copy / "000001.fbat").open("r+b") as file:
        at = file.seek(len(file.read().rstrip(b"\0")))
        file.write(left)

    done = CliRunner().invoke(app, [str(copy)])

    assert done.exit_code == 0
    assert f"{copy}/000001.fbat:{at}  {said} being written" in done.output
    told = json.loads(CliRunner().invoke(app, [str(copy), "--json"]).output)
    assert told["torn"] == {"file": f"{copy}/000001.fbat", "offset": at, "bytes": len(left)}
    counted = json.loads(CliRunner().invoke(counting, [str(copy), "--json"]).output)
    assert counted["torn"] == told["torn"]
    assert json.loads(CliRunner().invoke(counting, [str(store), "--json"]).output)["torn"] is None


def test_what_is_no_store_could_not_be_verified(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [str(tmp_path)])

    assert isinstance(done.exception, StorageFailed)


def note_of(store: Path, taken_after: int) -> str:
    """The path of a file with a note that was taken so many events ago."""
    with Store.open(store, PLAIN) as opened:
        (store.parent / "note.txt").write_text(str(opened.checkpoint()))
        for n in range(taken_after):
            opened.append(USER, Counted(n=n))
    return str(store.parent / "note.txt")


def test_a_log_that_goes_on_from_a_note_is_said_to(store: Path) -> None:
    note = note_of(store, 2)

    done = CliRunner().invoke(app, [str(store), "--since", note])

    assert done.exit_code == 0
    assert "5 events" in done.output
    assert "goes on from the note of 20" in done.output
    assert "3 events" in done.output


def test_a_log_that_was_replaced_is_found_out_by_a_note(store: Path, tmp_path: Path) -> None:
    note = note_of(store, 0)
    with Store.open(tmp_path / "other", PLAIN) as other:
        for n in range(9):
            other.append(USER, Counted(n=n))

    done = CliRunner().invoke(app, [str(tmp_path / "other"), "--since", note])
    told = CliRunner().invoke(app, [str(tmp_path / "other"), "--since", note, "--json"])

    assert done.exit_code == told.exit_code == 3
    assert "1 finding" in done.output
    assert "the note is of another store [other-store]" in done.output
    found = json.loads(told.output)
    assert (found["ok"], found["note"], found["findings"]) == (False, "other-store", [])


@pytest.mark.parametrize("text", ["", "a shopping list", "batpak note 1\nstore x\n", "\0" * 9000])
def test_what_is_no_note_is_refused(store: Path, text: str) -> None:
    (store.parent / "list.txt").write_text(text)

    done = CliRunner().invoke(app, [str(store), "--since", str(store.parent / "list.txt")])

    assert isinstance(done.exception, InvalidArgument)
    assert done.exception.hint is not None


def signed_note(store: Path) -> str:
    """The path of a file with a note that our key has signed."""
    with Store.open(store, replace(PLAIN, signer=OURS)) as opened:
        (store.parent / "note.txt").write_text(str(opened.checkpoint()))
    return str(store.parent / "note.txt")


def test_a_note_has_to_be_signed_by_one_of_the_keys_that_are_given(store: Path) -> None:
    signed, keys = signed_note(store), [key.public.to_bytes().hex() for key in (OLD, OURS)]
    words = [str(store), "--since", signed]

    known = CliRunner().invoke(app, [*words, "--key", keys[0], "--key", keys[1]])
    unknown = CliRunner().invoke(app, [*words, "--key", keys[0]])
    told = CliRunner().invoke(app, [*words, "--key", keys[0], "--json"])
    without = CliRunner().invoke(app, words)
    Path(signed).write_text("".join(Path(signed).read_text().splitlines(keepends=True)[:5]))
    stripped = CliRunner().invoke(app, [*words, "--key", keys[1]])

    assert (known.exit_code, without.exit_code) == (0, 0)
    assert (unknown.exit_code, stripped.exit_code) == (3, 3)
    for done in (unknown, stripped):
        assert "none of the keys has signed the note" in done.output
        assert "[untrusted]" in done.output
    assert json.loads(told.output)["note"] == "untrusted"


@pytest.mark.parametrize(
    "words",
    [
        ["--key", "00"],
        ["--key", "key.pem"],
        ["--since", "NOTE", "--key", "zz" * 32],
        ["--key", OURS.public.to_bytes().hex()],  # and no note that it could have signed
    ],
)
def test_a_key_that_says_nothing_could_not_be_used(store: Path, words: list[str]) -> None:
    note = signed_note(store)

    done = CliRunner().invoke(app, [str(store), *[note if w == "NOTE" else w for w in words]])

    assert done.exit_code == 2
    assert "--key" in done.output or "64 hex digits" in done.output


def test_a_note_that_is_not_there_could_not_be_read(store: Path) -> None:
    done = CliRunner().invoke(app, [str(store), "--since", str(store.parent / "nothing.txt")])

    assert done.exit_code == 2
    assert "--since" in done.output
