"""Whole directories whose files are not what they were.

An input is a script: a store, and what to do to its files. Whatever comes of it, an open, a reader
and `verify` answer with what is true, or with a typed refusal, and do not contradict each other.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from batpak.config import StoreConfig
from batpak.digest import HASH_BYTES
from batpak.errors import (
    BatpakError,
    CorruptStore,
    FutureVersion,
    InvalidArgument,
    StorageFailed,
)
from batpak.journal import layout
from batpak.platform import REAL
from batpak.reader import StoreReader
from batpak.record import EVENT_HASH_AT
from batpak.report import VerifyReport
from batpak.store import Store
from batpak.testing.platform import SimPlatform
from batpak.upkeep.verify import verify_path
from batpak.wire import Form
from tests.proof import fuzz_format as reference
from tests.proof.fuzz_bytes import attempt
from tests.proof.fuzz_corpus import EVENTS, STORES, Files
from tests.proof.fuzz_format import Event
from tests.proof.fuzz_msgpack import Bad
from tests.proof.golden import files_of, machine

PATH: Final = "/store"
CONFIG: Final = StoreConfig(lifecycle_events=False)
IMAGES: Final = list(STORES.values())
NAMES: Final = (
    "000001.fbat", "000002.fbat", "HEAD", "000003.fbat", "HEAD.tmp", "000001.fbat.tmp", "notes",
    "999999.fbat", "0000001.fbat", "quarantine", ".batpak.lock",
)  # fmt: skip
WRITTEN: Final = 4  # one directory in so many is opened for writing as well
REFUSALS: Final = (CorruptStore, StorageFailed)
LEFTOVERS: Final = {"HEAD.tmp", "000001.fbat.tmp"}
NEWER: Final = (FutureVersion, InvalidArgument)  # what right checksums, or a version 1, say


# --------------------------------------------------------------------------------------- scripts


class Script:
    """Bytes, read as decisions; behind their end every decision is 0."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self, below: int = 256) -> int:
        """A small number."""
        return int.from_bytes(self.bytes(1), "big") % below

    def word(self, below: int) -> int:
        """A number."""
        return int.from_bytes(self.bytes(4), "big") % below

    def bytes(self, count: int) -> bytes:
        """Some bytes."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found.ljust(count, b"\0")


class Damaged(NamedTuple):
    """A directory, and what is known of it."""

    files: Files
    events: list[Event]  # of the store that it was
    only_bytes: bool  # no file came, went or was exchanged
    harmless: bool  # and nothing was changed but what can be made anew


def scripts(random: Random) -> Iterator[bytes]:
    """Scripts without end: first each store as it is, then one change or a few."""
    for number in range(len(IMAGES)):
        yield bytes([number])
    while True:
        yield random.randbytes(random.choice((12, 20, 60)))


def damaged(data: bytes) -> Damaged:
    """What a script makes of the store that it begins with."""
    script = Script(data)
    store = IMAGES[script.byte(len(IMAGES))]
    files, only_bytes = dict(store.files), True
    for _ in range((1, 1, 1, 2, 3)[script.byte(5)] if script else 0):
        what, name = script.byte(16), NAMES[script.byte(3)]
        was = files.get(name, b"")
        only_bytes = only_bytes and what < 12 and name in files
        if what < 12:
            files[name] = _bent(was, script, what)
        else:
            other = NAMES[script.byte(len(NAMES))]
            if what == 12:
                files.pop(other, None)
            elif what == 13:
                files[other] = was
            elif what == 14:
                files[name], files[other] = files.get(other, b""), was
            else:
                files[name] = IMAGES[script.byte(len(IMAGES))].files.get(name, b"?")
    harmless = only_bytes and all(
        files[name][:size] == store.files[name][:size] for name, size in store.truth.items()
    )
    return Damaged(files, store.events, only_bytes, harmless)


def _bent(data: bytes, script: Script, what: int) -> bytes:
    at = script.word(len(data) + 1)
    if what < 5:
        size, patch = script.byte(24), script.bytes(script.byte(24))
        return data[:at] + patch + data[at + size :]
    if what < 9:
        byte = data[at] if at < len(data) else 0
        return data[:at] + bytes([byte ^ 1 << what % 8]) + data[at + 1 :]
    if what == 9:
        return data[:at]
    if what == 10:
        return data + bytes(script.word(5000))
    return data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]


def mended(files: Files, *, rehash: bool) -> Files:
    """The files, with right checksums of headers and frames, and HEAD with its own."""
    found = {
        name: reference.mended(data, rehash=rehash) if name.endswith(".fbat") else data
        for name, data in files.items()
    }
    state = found.get("HEAD", b"")
    if len(state) > 12:
        found["HEAD"] = reference.sealed_head(state[8:-4], int.from_bytes(state[4:6], "big"))
    return found


# ------------------------------------------------------------------------------------- directories


class Told(NamedTuple):
    """What a handle says of a directory."""

    events: list[bytes]  # records
    opened: bool
    error: BatpakError | None
    files: Files


def told(files: Files, open_it: Callable[[SimPlatform], StoreReader]) -> Told:
    """Open a directory and read all of it."""
    sim, records, opened = machine(files), list[bytes](), False
    error: BatpakError | None = None
    with sim.pause():
        try:
            with open_it(sim) as store:
                opened = True
                records.extend(event.record for event in store.query(form=Form.RAW))
                assert store.count() == len(records), "another count"
        except BatpakError as refused:
            error = refused
    return Told(records, opened, error, files_of(sim) if sim.operations else files)


def _read(files: Files) -> Told:
    said = told(files, lambda sim: Store.open_read_only(PATH, platform=sim))
    assert said.files is files, "a reader has changed something"
    return said


def _verified(files: Files) -> VerifyReport | BatpakError:
    sim = machine(files)
    try:
        with sim.pause():
            return verify_path(PATH, sim)
    except BatpakError as error:
        return error
    finally:
        assert not sim.operations, "verify has changed something"


def parse_directory(data: bytes) -> bool:
    """A directory in which bytes and names are not what they were."""
    files, events, only_bytes, harmless = damaged(data)
    said, report = _read(files), _verified(files)
    _require_agreement(said, report, REFUSALS)
    if harmless:
        assert said.events == [one.record() for one in events], f"{said.error}, for nothing"
    if said.error is None:
        records = [one.record() for one in _written(files)]
        assert _is_prefix(said.events, records), f"{len(said.events)} events, and they are others"
        if only_bytes and reference.head_of(files["HEAD"]).state:
            count = f"{len(said.events)} of {len(events)}"
            assert len(said.events) == len(events), f"{count} events of a store that was closed"
    if zlib.crc32(data) % WRITTEN == 0:
        _require_same_writer(files, said)
    return said.error is None


def parse_mended_directory(data: bytes) -> bool:
    """The same, by somebody who knows the format: every checksum is right, perhaps every hash."""
    files = damaged(data[1:]).files
    rehash = data[:1] > b"\x7f"
    files = mended(files, rehash=rehash)
    said, report = _read(files), _verified(files)
    _require_agreement(
        said, report, REFUSALS + NEWER, forged=rehash or not _is_hashed_at_open(files)
    )
    if not isinstance(report, VerifyReport) or not report.ok:
        return False
    assert said.error is None, f"verify finds nothing, and it does not open: {said.error}"
    assert report.events == len(said.events), f"{report.events} events, and {len(said.events)}"
    _require_links([reference.event_of(record) for record in said.events])
    if not rehash:
        hashes = [record[EVENT_HASH_AT : EVENT_HASH_AT + HASH_BYTES] for record in said.events]
        due = [one.event_hash for one in _written(files)]
        assert _is_prefix(hashes, due), f"{len(hashes)} events, and they are others"
    return True


def _is_hashed_at_open(files: Files) -> bool:
    """Whether an open computes every hash anew: one file, and nobody has closed it."""
    try:
        unclosed = reference.head_of(files.get("HEAD", b"")).state == 0
    except Bad:
        return False
    return unclosed and "000002.fbat" not in files


def _require_links(events: list[Event]) -> None:
    """Every event continues the one before it in its entity."""
    heads: dict[str, tuple[int, bytes]] = {}
    for one in events:
        version, last = heads.get(one.entity, (0, reference.ZERO))
        link = one.version - 1, one.prev_hash
        assert link == (version, last), (
            f"verify finds nothing, and event {one.sequence} has no link"
        )
        heads[one.entity] = one.version, one.event_hash


def _require_agreement(
    said: Told,
    report: VerifyReport | BatpakError,
    refusals: tuple[type[BatpakError], ...],
    *,
    forged: bool = False,
) -> None:
    """What opens and can be read is well; what does not is not; and the refusal is of a kind."""
    for error in (said.error, report):
        kind = isinstance(error, refusals) or not isinstance(error, BatpakError)
        assert kind, f"{type(error).__name__}: {error}"
    well = isinstance(report, VerifyReport) and report.ok
    shown = report.findings[:2] if isinstance(report, VerifyReport) else report
    if said.error is not None:
        assert not well, f"verify finds nothing, and a reader is refused: {said.error}"
    elif not forged:  # an open of a closed store does not compute its hashes anew
        assert well, f"it can be read, and verify says {shown}"
    if isinstance(report, VerifyReport) and well:
        assert report.events == len(said.events), f"{report.events}, and {len(said.events)} read"


def _written(files: Files) -> list[Event]:
    """All that the store which these files say they are has ever had."""
    fields, _ = reference.header_of(files["000001.fbat"])
    return EVENTS[fields["store_id"]]


def _is_prefix(some: list[Any], whole: list[Any]) -> bool:
    return some == whole[: len(some)]


def hold_sparse(size: int) -> None:
    """A file that has grown to some size without data is read, or refused, at once."""
    store = STORES["killed"]
    with TemporaryDirectory() as folder:
        path = Path(folder)
        for name, data in store.files.items():
            (path / name).write_bytes(data)
        with (path / "000001.fbat").open("ab") as file:
            file.truncate(size)
        if size > layout.SEGMENT_BYTES_MAX:
            refused = attempt(lambda: Store.open(folder, CONFIG), CorruptStore)
            assert isinstance(refused, CorruptStore), f"{size:,} bytes are taken for a segment"
            return
        report = verify_path(folder, REAL)
        assert report.ok, f"{report.findings}"
        with Store.open(folder, CONFIG) as opened:
            records = [event.record for event in opened.query(form=Form.RAW)]
        assert records == [one.record() for one in store.events], "other events"
        left = (path / "000001.fbat").stat().st_size
        assert left < size, f"{left:,} bytes after it was closed"


def _require_same_writer(files: Files, said: Told) -> None:
    """A writer reads what a reader does and leaves a store that is well, or changes nothing."""
    wrote = told(files, lambda sim: Store.open(PATH, CONFIG, platform=sim))
    if isinstance(said.error, StorageFailed):  # there is no store, and a writer makes one
        assert wrote.error is None or isinstance(wrote.error, REFUSALS), f"{wrote.error}"
        return
    if said.error is not None:
        same = type(wrote.error) is type(said.error)
        assert same, f"a reader is told {said.error}, a writer {wrote.error}"
        assert wrote.opened == said.opened, "it opens for one of them only"
        if wrote.opened:
            return
        after = {name: data for name, data in wrote.files.items() if name != ".batpak.lock"}
        before = {name: data for name, data in files.items() if name != ".batpak.lock"}
        assert after == before, "refused, and something was changed"
        return
    if "quarantine" in files and isinstance(wrote.error, StorageFailed):
        return  # a file is where evidence would have to go
    assert wrote.error is None, f"a reader reads it, a writer is told {wrote.error}"
    assert wrote.events == said.events, "other events for a writer"
    left = {name: data for name, data in wrote.files.items() if "/" not in name}
    assert not LEFTOVERS & left.keys(), "what an interrupted replacement has left is there still"
    _require_evidence(files, wrote.files)
    report, again = _verified(left), _read(left)
    assert isinstance(report, VerifyReport), f"{report}"
    assert report.ok, f"closed in order, and verify says {report.findings}"
    assert again.events == said.events, "closed in order, and other events"


def _require_evidence(before: Files, after: Files) -> None:
    """What a recovery has cut off a file that nobody closed is kept as it was."""
    if reference.head_of(before["HEAD"]).state:
        return
    newest = max(name for name in NAMES[:2] if name in before)
    cut = before[newest][len(after[newest]) :].rstrip(b"\0")
    kept = [data for name, data in after.items() if "/" in name]
    assert not cut or cut in kept, f"{len(cut)} bytes are gone, and nobody has kept them"
