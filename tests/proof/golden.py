"""Stores that are written once, to be damaged then; and all that is asked of a damaged copy.

    written("rotated", SEED)     a program is run on a simulated machine, and its files are taken
    machine(files)               any files on a disk of their own: one case costs microseconds
    read(files) · write(files)   what a reader, and a writer, says of them: events, or a refusal
    verified(files)              the same of `verify`

Every job writes its own stores, with the engine that is being judged: a broken one may not profit
from what a whole one has written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from batpak.append import AppendReceipt, BatchItem, RawPayload
from batpak.config import Durability, Limits, OpenVerify, StoreConfig
from batpak.coordinate import Coordinate
from batpak.digest import ZERO_HASH
from batpak.errors import CorruptStore, FutureVersion, StorageFailed
from batpak.event import StoredEvent
from batpak.faults import Damage
from batpak.journal import header, layout
from batpak.kind import EventKind
from batpak.note import CheckpointNote
from batpak.reader import StoreReader
from batpak.record import SEQUENCE_AT
from batpak.region import Region
from batpak.report import OpenReport, VerifyReport
from batpak.store import Store
from batpak.testing.image import ROOT, Content, Image, Names, Saved
from batpak.testing.platform import SimPlatform
from batpak.upkeep.verify import verify_path
from batpak.wire import RAW
from tests.facts import Counted, Said
from tests.proof.family import SEED

T = TypeVar("T")

HEAD: Final = layout.HEAD
LOCK: Final = layout.LOCK
ENTITIES: Final = ("order:1", "order:2", "order:3")
SCOPES: Final = ("north", "south")
LARGE: Final = 140_000  # two such events, and the file has a footer also if it is the last one
RAW_KIND: Final = EventKind.custom(0xE, 0x7FF)  # of no class
APART_NS: Final = 20_000_000  # between two commits, so that a forged time finds room

_PATH: Final = "/store"
_CONVERSATION: Final = UUID(int=0x2026)

Files: TypeAlias = Mapping[str, bytes]
"""What is in the directory of a store, by name."""


# --------------------------------------------------------------------------------- writing a store


class Frame(NamedTuple):
    """Where an event is, and what the program knew when it was written."""

    file: str
    offset: int
    end: int
    sequence: int
    unit: int  # sequence of the first event that was stored together with it
    durable: int  # how many events had been synced by then


class Golden(NamedTuple):
    """A store, as its program left it."""

    name: str
    content: str  # which of `CONTENTS`
    files: Files
    config: StoreConfig
    closed: bool  # in order; or by a kill
    events: list[StoredEvent[bytes]]
    frames: list[Frame]
    batches: list[list[BatchItem]]  # as they were given to the store
    bound: int  # how many events there were when the last session began: HEAD says so
    note: CheckpointNote  # of its end

    @property
    def segments(self) -> list[str]:
        """The names of its files that have events."""
        return sorted(name for name in self.files if name.endswith(".fbat"))

    def in_file(self, name: str) -> list[Frame]:
        """The frames of one file."""
        return [frame for frame in self.frames if frame.file == name]

    def truth(self, name: str) -> int:
        """How many bytes of a file are the truth; what is behind them can be made anew."""
        frames = self.in_file(name)
        return frames[-1].end if frames else len(self.files[name])

    def bytes_of(self, frame: Frame) -> bytes:
        """The bytes of a frame."""
        return self.files[frame.file][frame.offset : frame.end]

    def frame_at(self, name: str, at: int) -> Frame | None:
        """The frame that has a byte; None: it is of a header, or of HEAD."""
        found = (one for one in self.in_file(name) if one.offset <= at < one.end)
        return next(found, None)


class Program:
    """A store that is being written. Content, times and ids depend on nothing but the seed."""

    def __init__(self, seed: int, durability: Durability, *, mapped: bool = False) -> None:
        self.sim = SimPlatform(seed=seed, mapped=mapped)
        self.config = StoreConfig(
            lifecycle_events=False,
            durability=durability,
            sync_every_n_events=3,
            limits=Limits(segment_max_bytes=4 << 10),
        )
        self.batches: list[list[BatchItem]] = []
        self._place: list[tuple[int, int]] = []  # per event: its unit, and what was durable
        self._receipts: list[AppendReceipt] = []
        self._bound = 0

    def open(self) -> Store:
        self._bound = len(self._place)
        return Store.open(_PATH, self.config, platform=self.sim)

    def store(self, store: Store, *sizes: int) -> None:
        """Append a unit: an event of each size, with some of everything that an event can have."""
        number, receipts = len(self.batches), self._receipts
        items = [
            BatchItem(
                Coordinate(ENTITIES[(number + n) % 3], SCOPES[(number + n) // 2 % 2]),
                Said(text="é" + "x" * size) if size else Counted(n=number),
                idempotency_key=f"key {number} {n}" if number % 2 else None,
                caused_by=receipts[-1] if receipts and number % 3 == 1 else None,
                correlation_id=_CONVERSATION if number % 4 == 2 else None,
                flags=number % 4,
                extensions={"app.trace": bytes([number, n])} if number % 4 > 1 else None,
            )
            for n, size in enumerate(sizes)
        ]
        self._append(store, items)

    def store_raw(self, store: Store, data: bytes) -> None:
        """Append an event with this payload, one MessagePack value."""
        payload = RawPayload(RAW_KIND, data)
        self._append(store, [BatchItem(Coordinate(ENTITIES[0], SCOPES[0]), payload)])

    def _append(self, store: Store, items: list[BatchItem]) -> None:
        durable = store.frontier().durable
        self.batches.append(items)
        self._receipts += store.append_batch(items)
        unit = self._receipts[-1].sequence + 1 - len(items)
        self._place += [(unit, durable)] * len(items)
        self.sim.clock.advance(APART_NS)

    def golden(self, name: str, *, closed: bool, content: str = "") -> Golden:
        """The store as it is now."""
        files = files_of(self.sim)
        with Store.open_read_only(_PATH, platform=machine(files)) as reader:
            events, store_id = list(reader.query(form=RAW)), reader.open_report.store_id
        frames: list[Frame] = []
        for file in sorted(one for one in files if one.endswith(".fbat")):
            data, at = files[file], header.decode(files[file], file)[1]
            while len(frames) < len(events) and _sequence(data, at) == len(frames):
                end = at + 8 + int.from_bytes(data[at : at + 4], "big")
                frames.append(Frame(file, at, end, len(frames), *self._place[len(frames)]))
                at = end
        assert len(frames) == len(events) == len(self._receipts), "the store is not what was stored"
        head = events[-1].event_hash if events else ZERO_HASH
        return Golden(
            name=name,
            content=content,
            files=files,
            config=self.config,
            closed=closed,
            events=events,
            frames=frames,
            batches=self.batches.copy(),
            bound=self._bound,
            note=CheckpointNote(store_id, len(events), head, self.sim.wall_ns() // 1_000_000),
        )


def _sequence(data: bytes, at: int) -> int:
    """The sequence that a frame says."""
    return int.from_bytes(data[at + 8 + SEQUENCE_AT : at + 16 + SEQUENCE_AT], "big")


def single(program: Program, store: Store) -> None:
    """One file, little in it: single events and a batch."""
    for sizes in ([0], [9], [0, 5, 0], [0], [30]):
        program.store(store, *sizes)


def brief(program: Program, store: Store) -> None:
    """Two events, before a close: HEAD has a bound inside the file."""
    for sizes in ([0], [9]):
        program.store(store, *sizes)


def again(program: Program, store: Store) -> None:
    """What is appended to an older store."""
    for sizes in ([0], [7, 0], [0], [11]):
        program.store(store, *sizes)


def unsynced(program: Program, store: Store) -> None:
    """Some events that somebody has synced, and some behind them."""
    again(program, store)
    store.sync()
    for sizes in ([0], [3, 0], [0]):
        program.store(store, *sizes)


def rotated(program: Program, store: Store) -> None:
    """Two files, the first with a footer."""
    for sizes in ([0], [7, 3500, 0], [0], [20], [0, 0]):
        program.store(store, *sizes)
    program.sim.run_background()


def several(program: Program, store: Store) -> None:
    """Four files, one of them with frames of equal length, and a batch that is larger than one."""
    for sizes in ([0], [0], [4000], [2300, 10, 2300], [0], [4000], [0], [0], [0]):
        program.store(store, *sizes)
    program.sim.run_background()


def large(program: Program, store: Store) -> None:
    """A last file that is so large that a close gives it a footer."""
    for sizes in ([0], [4000], [0], [LARGE, 0, LARGE]):
        program.store(store, *sizes)
    program.sim.run_background()


CONTENTS: Final[dict[str, list[Callable[[Program, Store], None]]]] = {  # by session
    "single": [single],
    "rotated": [rotated],
    "several": [several],
    "large": [large],
    "reopened": [brief, again],
    "unsynced": [brief, unsynced],
    "rotated and reopened": [rotated, again],
}


def written(
    name: str,
    seed: int,
    *,
    closed: bool = True,
    durability: Durability = Durability.COMMIT,
    mapped: bool = False,
) -> Golden:
    """The store that a program leaves, closed in order or killed at the end of its last session."""
    program = Program(seed, durability, mapped=mapped)
    *before, last = CONTENTS[name]
    for content in before:
        with program.open() as store:
            content(program, store)
    label = f"{name}, {'closed' if closed else 'killed'}, {durability.name}"
    with program.open() as store:
        last(program, store)
        if not closed:
            return program.golden(label, closed=False, content=name)
    return program.golden(label, closed=True, content=name)


def sibling(golden: Golden) -> Golden:
    """A store that stored the same, at the same places and times, and has another identity."""
    durability = golden.config.durability
    other = written(golden.content, SEED + 1, closed=golden.closed, durability=durability)
    assert other.frames == golden.frames, "the other store is not alike"
    assert other.note.store_id != golden.note.store_id, "the other store is the same"
    return other


def moments() -> list[Golden]:
    """One store at many moments of its life: while it is written to, and when it is closed."""
    program, found = Program(SEED, Durability.COMMIT), list[Golden]()
    for session, sizes in enumerate(([0, 30], [3000, 0, 900], [0, 2500, 2000, 0], [0])):
        with program.open() as store:
            found.append(program.golden(f"{session}, opened", closed=False))
            for size in sizes:
                program.store(store, size)
                found.append(program.golden(f"{session}, {size} stored", closed=False))
            program.sim.run_background()
        found.append(program.golden(f"{session}, closed", closed=True))
    return [one for one in found if one.events]


# ------------------------------------------------------------------------------ what is damaged


def machine(files: Files) -> SimPlatform:
    """A machine that was just started, with these files in the directory of the store."""
    names: dict[str, int] = {}
    contents: dict[int, Saved[Content]] = {}
    for inode, (name, data) in enumerate(files.items(), ROOT + 2):
        content = Content(data, len(data))
        names[name], contents[inode] = inode, Saved(content, content, [], 0, 0)
    directories = {ROOT: _saved({_PATH: ROOT + 1}), ROOT + 1: _saved(names)}
    return SimPlatform(image=Image(contents, directories, ROOT + 2 + len(files)))


def _saved(names: Names) -> Saved[Names]:
    return Saved(names, names, [], 0, 0)


def files_of(sim: SimPlatform) -> dict[str, bytes]:
    """The files of the store on a machine; those of `quarantine/` have that in their names."""
    return {name.partition("/")[2]: data for name, data in sim.files().items()}


def put(files: Files, name: str, data: bytes | None) -> Files:
    """The files, and one of them with other bytes; None: without it."""
    changed = {**files, name: data or b""}
    if data is None:
        del changed[name]
    return changed


def patched(files: Files, name: str, at: int, data: bytes) -> Files:
    """The files, and some bytes of one of them replaced by as many others."""
    before = files[name]
    return put(files, name, before[:at] + data + before[at + len(data) :])


# --------------------------------------------------------------------------- what is said of it


class Refused(NamedTuple):
    """How a store does not answer."""

    error: type[Exception]
    file: str = ""
    offset: int = 0
    reason: Damage | None = None


class Told(NamedTuple):
    """How a store answers, and what is in its directory then."""

    events: list[StoredEvent[bytes]]  # or those in front of the one that cannot be read
    report: OpenReport | None  # None: it did not open
    refused: Refused | None
    files: Files


def told(store_of: Callable[[SimPlatform], StoreReader], files: Files) -> Told:
    """Open a store and read all of it, until something is refused."""
    sim, events = machine(files), list[StoredEvent[bytes]]()
    report: OpenReport | None = None
    refused: Refused | None = None
    with sim.pause():  # no trace is needed
        try:
            with store_of(sim) as store:
                report = store.open_report
                events.extend(store.query(form=RAW))
        except (CorruptStore, FutureVersion, StorageFailed) as error:
            refused = refusal_of(error)
    return Told(events, report, refused, files_of(sim) if sim.operations else files)


def refusal_of(error: CorruptStore | FutureVersion | StorageFailed) -> Refused:
    """What an exception says of where the damage is."""
    if isinstance(error, CorruptStore):
        return Refused(CorruptStore, base(error.path), error.offset, error.reason)
    path = error.path if isinstance(error, StorageFailed) else error.what
    return Refused(type(error), base(path))


def base(path: str) -> str:
    """The name of a file, of its path."""
    return path.partition(":")[0].rpartition("/")[2]


def read(files: Files) -> Told:
    """What a reader says. It changes nothing."""
    said = told(lambda sim: Store.open_read_only(_PATH, platform=sim), files)
    assert said.files is files, "a reader has changed something"
    return said


def read_after_verify(files: Files) -> Told:
    """What a reader says who wants everything verified at the open."""
    config = StoreConfig(open_verify=OpenVerify.FULL)
    return told(lambda sim: Store.open_read_only(_PATH, config, platform=sim), files)


def write(files: Files, config: StoreConfig) -> Told:
    """What a writer says, and what is there after it has closed the store."""
    return told(lambda sim: Store.open(_PATH, config, platform=sim), files)


def verified(files: Files, since: CheckpointNote | None = None) -> VerifyReport:
    """What `verify` says. It changes nothing."""
    sim = machine(files)
    with sim.pause():
        report = verify_path(_PATH, sim, since)
    assert not sim.operations, "verify has changed something"
    return report


def asked(files: Files, question: Callable[[StoreReader], T]) -> T:
    """The answer of a reader."""
    with Store.open_read_only(_PATH, platform=machine(files)) as store:
        return question(store)


def answers(store: StoreReader) -> list[object]:
    """Everything that a log says, in every way in which it can be asked."""
    events = list(store.query())
    return [
        events,
        list(store.query(reverse=True)),
        list(store.entries()),
        [(entity, store.version(entity), list(store.stream(entity))) for entity in ENTITIES],
        [list(store.stream(entity, reverse=True)) for entity in ENTITIES],
        [(list(store.entities(scope=scope)), list(store.by_scope(scope))) for scope in SCOPES],
        [list(store.by_fact(fact)) for fact in (Counted, Said)],
        [(store.get(event.event_id), store.get(event.sequence)) for event in events],
        [store.count(Region(entity=entity, scope=SCOPES[0])) for entity in ("order", *ENTITIES)],
        list(store.by_correlation(_CONVERSATION)),
        [store.why(event.event_id) for event in events],
        [list(store.impact(event.event_id)) for event in events],
        list(store.entities()),
        store.count(),
    ]


def repeated(files: Files, golden: Golden) -> list[object]:
    """What a program is told that is run again with the same keys; and what comes next."""
    with Store.open(_PATH, golden.config, platform=machine(files)) as store:
        keyed = [items for items in golden.batches if items[0].idempotency_key is not None]
        receipts = [one for items in keyed for one in store.append_batch(items)]
        more = [
            store.append(Coordinate(entity, SCOPES[0]), Counted(n=-1), expected_version=version)
            for entity in ENTITIES
            for version in [store.version(entity)]
        ]
        return [
            [(one.replayed, one.claim) for one in receipts],
            [(one.sequence, one.version) for one in more],
            answers(store)[:5],
        ]
