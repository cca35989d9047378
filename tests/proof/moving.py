"""Events that come from elsewhere: an import that is cut, and stores of the Rust original, spoiled.

Would slip through without it: an event that is imported twice, or in half a batch, when the power
goes in between; a byte of a real store that is changed, and read as if it were not.
"""

from __future__ import annotations

import errno
import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from batpak import codec
from batpak.append import BatchItem
from batpak.config import Durability
from batpak.errors import (
    BatpakError,
    CorruptStore,
    FutureVersion,
    InvalidArgument,
    StorageFailed,
)
from batpak.kind import EventKind
from batpak.report import HealthState
from batpak.store import Store
from batpak.testing.crash import CrashModel
from batpak.testing.faults import Fault, Part, Partial
from batpak.testing.platform import SimPlatform
from batpak.upkeep.imported import ImportedEvent, Origin
from batpak.upkeep.rust.source import RustSource
from batpak.wire import RAW
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.fuzz_corpus import Files
from tests.proof.fuzz_mutation import bent
from tests.proof.fuzz_store import PATH
from tests.proof.golden import machine
from tests.proof.workload import config_of

FIXTURE: Final = Path(__file__).parents[1] / "fixtures" / "rust-0.7"
STORES: Final = ("A", "GO", "M")
STORE: Final = "store"
CONFIG: Final = config_of(Durability.COMMIT)
KIND: Final = EventKind.custom(0xF, 0x001)
COUNT: Final = 9
BATCH: Final = 3
MUTATIONS: Final = {Size.DEFAULT: 1_000, Size.LONG: 20_000}
INTERRUPTS: Final = {Size.DEFAULT: 20, Size.LONG: 400}
FAULTS: Final[dict[str, Fault]] = {
    "EIO": errno.EIO,
    "ENOSPC": errno.ENOSPC,
    "half, then EIO": Partial(Part.HALF, errno.EIO),
}
CRASHES: Final = {Size.DEFAULT: 120, Size.LONG: None}

EVENTS: Final = [
    ImportedEvent(
        event_id=UUID(int=number + 1),
        sequence=number,
        entity=f"user:{number % 2}",
        scope="acme",
        kind=KIND,
        payload=codec.encode({"n": number}),
        causation_id=UUID(int=number) if number else None,
        batch=number // BATCH * BATCH,
    )
    for number in range(COUNT)
]


# ----------------------------------------------------------------------------- imports that are cut


def imported(store: Store) -> list[int]:
    """The numbers that the events of a store had in their source."""
    found = [Origin.of(one) for one in store.query(form=RAW)]
    return [origin.sequence for origin in found if origin is not None]


def again(store: Store) -> None:
    """Whatever is there of an import, another one completes it."""
    before = imported(store)
    assert before == list(range(len(before))), f"there are {before}"
    assert len(before) % BATCH == 0, f"half of a batch: {before}"
    report = store.import_events(EVENTS, namespace="there", chunk=BATCH - 1)
    assert report.imported == COUNT - len(before), f"{report} after {before}"
    after = imported(store)
    assert after == list(range(COUNT)), f"{after} after {before}"
    events = list(store.query(form=RAW))
    causes = [one.causation_id for one in events]
    assert causes == [None, *(one.event_id for one in events)][:-1], "a cause that is another event"
    assert [one.payload for one in events] == [one.payload for one in EVENTS]
    report_of = store.verify()
    assert report_of.ok, report_of.findings


def cut(durability: Durability, batch_max_items: int, tally: Tally, size: Size) -> None:
    """Cut the power at each moment of an import, and import again."""
    sim = SimPlatform(seed=SEED)
    config = config_of(durability)
    config = replace(config, limits=replace(config.limits, batch_max_items=batch_max_items))
    with Store.open(STORE, config, platform=sim) as store:
        store.import_events(EVENTS, namespace="there", chunk=BATCH - 1)
    for after in sim.crashes(limit=CRASHES[size]):
        with tally.case(after.origin), Store.open(STORE, config, platform=after) as store:
            tally.count("states")
            again(store)


def interrupted(tally: Tally, size: Size) -> None:
    """Interrupt an import anywhere, several times, and import again."""
    random = Random(SEED)  # noqa: S311  can be repeated
    for number in range(INTERRUPTS[size]):
        left = [random.randrange(1, COUNT) for _ in range(3)]

        def stop(event: ImportedEvent, left: list[int] = left) -> BatchItem:
            left[-1] -= 1
            if not left[-1]:
                left.pop()
                raise KeyboardInterrupt
            return event.item()

        config = config_of(Durability.COMMIT)
        sim = SimPlatform(seed=number)
        with tally.case(left), Store.open(STORE, config, platform=sim) as store:
            tally.count("interrupts")
            while left:
                try:
                    store.import_events(EVENTS, namespace="there", transform=stop, chunk=BATCH - 1)
                except KeyboardInterrupt:
                    continue
                break
            again(store)


def refused(tally: Tally, size: Size) -> None:
    """Refuse each call of an import: what it has told is there, and another one completes it."""
    for name, fault in FAULTS.items():
        for n in count(1, 2 if size is Size.DEFAULT else 1):
            sim = SimPlatform(seed=SEED, mapped=bool(n // 2 % 2))
            sim.fail_at(n, fault)
            told = 0
            with tally.case(f"{name}, call {n}"):
                with suppress(BatpakError), Store.open(STORE, CONFIG, platform=sim) as store:
                    try:
                        store.import_events(EVENTS, namespace="there", chunk=2)
                        told = COUNT
                    except BatpakError:
                        assert sim.fired, "nothing was refused"
                    if store.health.state is HealthState.OK:
                        again(store)
                        told = COUNT
                for model in (CrashModel.KILL, CrashModel.SYNCED):
                    with Store.open(STORE, CONFIG, platform=sim.crash(model)) as store:
                        assert len(imported(store)) >= told, f"told, and gone: {model.name}"
                        again(store)
            if not sim.fired:
                break
            tally.count("faults")


# -------------------------------------------------------------------------- stores that are spoiled


@cache
def files_of(name: str) -> Files:
    """The files of a real store, without its list of receipts."""
    folder = FIXTURE / name
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.suffix != ".jsonl"}


@cache
def due(name: str) -> list[tuple[int, str, str, str, str, int, int]]:
    """What the original says of its events."""
    lines = (FIXTURE / f"{name}.expected.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        (
            one["gseq"],
            one["id"],
            one["entity"],
            one["scope"],
            one["hash"],
            one["get"]["flags"],
            one["get"]["ts"],
        )
        for one in map(json.loads, lines)
    ]


def read(files: Files) -> list[tuple[int, str, str, str, str, int, int]] | None:
    """The events of a store, or None: it is refused, as was promised."""
    try:
        with RustSource.open(PATH, platform=machine(files)) as source:
            return [
                (
                    number,
                    one.event_id.hex(),
                    one.entity,
                    one.scope,
                    one.event_hash.hex(),
                    one.flags,
                    one.timestamp_us,
                )
                for number, one in source.frames()
            ]
    except (CorruptStore, FutureVersion, InvalidArgument, StorageFailed):
        return None


def each_byte(name: str, tally: Tally, size: Size) -> None:
    """Change one byte of a real store: it is noticed, or the answer is the same.

    The index, whose checksum is right, has the numbers; what else a footer says nobody believes.
    """
    files, step = files_of(name), 1 if size is Size.LONG else 5
    random = Random(f"{SEED} {name}")  # noqa: S311  can be repeated
    assert read(files) == due(name)
    for file, data in files.items():
        for at in range(0, len(data), step):
            place = min(at + random.randrange(step), len(data) - 1)
            changed = bytearray(data)
            changed[place] ^= 1 << random.randrange(8)
            with tally.case(f"{file}:{place}"):
                tally.count("bytes")
                found = read({**files, file: bytes(changed)})
                assert found is None or found == due(name), "a changed byte changes the answer"
                covered = file.endswith(".fbat") and _is_framed(data, place)
                assert not covered or found is None, "a checksum has not caught it"


def _is_framed(data: bytes, at: int) -> bool:
    """Whether a byte of a segment is in a frame."""
    start = 8 + int.from_bytes(data[4:8], "big")
    return start <= at < int.from_bytes(data[-16:-8], "little")


def bent_frames(name: str, tally: Tally, size: Size) -> None:
    """Bend what frames say, and make their checksums right again.

    Then nothing but the hash of the payload is left: no payload is given out that it is not of, and
    whatever else is in the files, there is an answer or a typed refusal.
    """
    files, random = files_of(name), Random(f"{SEED} {name} bent")  # noqa: S311  can be repeated
    segments = [one for one in files if one.endswith(".fbat")]
    hashes = {line[4] for line in due(name)} | _hidden(name)
    accepted = 0
    for number in range(MUTATIONS[size]):
        file = random.choice(segments)
        parts = list(pieces(files[file]))
        which = random.randrange(1, len(parts) - 1)
        body = bent([parts[which][8:]], random)
        parts[which] = struct.pack(">II", len(body), zlib.crc32(body)) + body
        changed = {**files, file: _closed(b"".join(parts[:-1]), parts[-1])}
        if random.random() < 0.5:
            del changed["index.fbati"]
        with tally.case(f"{number}: frame {which} of {file}"):
            tally.count("mutations")
            found = read(changed)
            assert found is None or {line[4] for line in found} <= hashes, "a payload of nobody"
            accepted += found is not None
    if not accepted:
        tally.violated("all", "none was accepted: that proves nothing")


def _hidden(name: str) -> set[str]:
    """Hashes of events that are there and not shown."""
    with RustSource.open(PATH, platform=machine(_shown(name))) as source:
        return {one.event_hash.hex() for _, one in source.frames()}


def _shown(name: str) -> Files:
    return {file: data for file, data in files_of(name).items() if file.endswith(".fbat")}


def pieces(data: bytes) -> Iterator[bytes]:
    """The header, each frame, the footer."""
    at, end = 8 + int.from_bytes(data[4:8], "big"), struct.unpack("<Q", data[-16:-8])[0]
    yield data[:at]
    while at < end:
        size = 8 + int.from_bytes(data[at : at + 4], "big")
        yield data[at : at + size]
        at += size
    yield data[at:]


def _closed(frames: bytes, footer: bytes) -> bytes:
    """A segment whose footer says where the frames end now."""
    return frames + footer[:-16] + struct.pack("<Q", len(frames)) + footer[-8:]


JOBS: Final[list[Job]] = [
    *(
        Job("move", f"import, cut, {level.name}", partial(cut, level, COUNT))
        for level in (Durability.COMMIT, Durability.OS)
    ),
    Job("move", "import of more than batches, cut", partial(cut, Durability.COMMIT, BATCH - 1)),
    Job("move", "import, interrupted", interrupted),
    Job("move", "import, refused", refused),
    *(Job("move", f"each byte of {name}", partial(each_byte, name)) for name in STORES),
    *(Job("move", f"bent frames of {name}", partial(bent_frames, name)) for name in STORES),
]
