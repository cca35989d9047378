"""What has to hold of a store after a crash, whatever the program was."""

from __future__ import annotations

from typing import NamedTuple

from batpak.coordinate import Coordinate
from batpak.digest import content_hash
from batpak.payload import EventPayload
from batpak.reader import StoreReader
from batpak.store import Store
from batpak.system import BypassRecorded, Tombstoned
from batpak.testing.crash import CrashModel
from batpak.testing.platform import SimPlatform
from batpak.wire import encode
from tests.facts import Said
from tests.proof.workload import Diary

LATER = "on it goes"


class Seen(NamedTuple):
    """All that a store shows of a program's events."""

    texts: list[str]
    records: list[bytes]
    dropped: int = 0  # events that compaction has taken out
    erased: tuple[bytes, ...] = ()  # content hashes of those whose payload it has taken
    own: int = 0  # events that the store wrote about itself


def seen(store: StoreReader) -> Seen:
    """What is there, held against itself: dense sequences, versions without a gap, in every way.

    What compaction has dropped has left its number and its version, and nothing else; what it has
    erased, the hash of its content as well.
    """
    events = list(store.query())
    versions: dict[str, list[int]] = {}
    for event in events:
        versions.setdefault(event.coordinate.entity, []).append(event.version)
    dropped = store.stats().dropped
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences)), "out of order"
    assert len(events) + dropped == max(sequences, default=-1) + 1, "a gap"
    missing = sum(store.version(entity) - len(some) for entity, some in versions.items())
    assert missing == dropped, "other versions"
    for entity, some in versions.items():
        due = range(1, store.version(entity) + 1)
        assert some == sorted(set(some)), f"versions of {entity}"
        assert set(some) <= set(due), f"versions of {entity}"
    said = [(text_of(one.payload), one.record) for one in events]
    told = [(text, record) for text, record in said if text is not None]
    erased = [one.payload for one in events if isinstance(one.payload, Tombstoned)]
    assert len(erased) == store.stats().erased, "another number of payloads is gone"
    hashes = tuple(one.content_hash for one in erased)
    own = len(said) - len(told) - len(erased)
    texts, records = [text for text, _ in told], [record for _, record in told]
    return Seen(texts, records, dropped, hashes, own)


def text_of(payload: EventPayload) -> str | None:
    """What a program said with an event; None: the store wrote it about itself."""
    match payload:
        case Said(text=text) | BypassRecorded(justification=text):
            return text
        case _:
            return None


def prefix_of(units: list[list[str]], texts: list[str]) -> int:
    """How many whole units some texts are; they must be the first ones, in order."""
    found = 0
    for count, unit in enumerate(units):
        if found == len(texts):
            return count
        assert texts[found : found + len(unit)] == unit, f"unit {count} is torn, or another one"
        found += len(unit)
    assert found == len(texts), "more than was ever written"
    return len(units)


def whole(found: Seen, diary: Diary, after: SimPlatform | None = None) -> list[str]:
    """The texts with those that were removed: all of these are gone, or none."""
    gone = [
        *(diary.dropped if found.dropped else ()),
        *(diary.erased if found.erased else ()),
    ]
    assert found.dropped + len(found.erased) == len(gone), "half of a compaction"
    assert not set(gone) & set(found.texts), "removed, and there"
    hashes = tuple(content_hash(encode(Said(text=text)).data) for text in diary.erased)
    assert found.erased in ((), hashes), "another event is erased"
    origin = None if after is None or after.boots != 1 else after.origin
    if origin is not None and diary.gone_at is not None and origin.at >= diary.gone_at:
        assert gone, "what was removed is back"
    return sorted([*found.texts, *gone], key=lambda text: tuple(map(int, text.split()[:2])))


class Due(NamedTuple):
    """What there may be after a crash: a prefix of some units, of at least so many."""

    units: list[list[str]]
    least: int


def due(diary: Diary, at: int, *, killed: bool) -> Due:
    """What is due after a crash.

    Args:
        diary: What was told when.
        at: The operation at which it came.
        killed: Whether only the process was gone, so what the system had is there.
    """
    told = diary.answered if killed else diary.durable
    count = max((units for moment, units in told if moment <= at), default=0)
    return Due(diary.units_at(at), len(diary.units_at(at, count)))


def hold(after: SimPlatform, diary: Diary, wanted: Due, *, thorough: bool) -> None:
    """Start a machine again and hold it against what the program had done.

    Args:
        after: The machine.
        diary: What it had done, and been told.
        wanted: What is due.
        thorough: Whether to ask for more than that it opens, has what was told, and goes on: that
            readers see the same, that a second recovery does, and that none of it is lost when
            the power goes again.
    """
    with Store.open("store", diary.config, platform=after) as store:
        found = seen(store)
        there = prefix_of(wanted.units, whole(found, diary, after))
        assert there >= wanted.least, f"{wanted.least} units were told, {there} are there"
        require_tidy(store, after, diary)
        if thorough:
            assert store.verify().ok, "verify finds damage after an honest crash"
            hold_again(after, found, diary)
        later = store.append(Coordinate("writer:0", "acme"), Said(text=LATER))
        store.sync()
        assert store.get(later.event_id).payload == Said(text=LATER), "it does not go on"
        if not thorough:
            return
        assert seen(store).texts == [*found.texts, LATER], "it does not go on from there"
        cut_off = after.crash(CrashModel.SYNCED)
    with Store.open_read_only("store", diary.config, platform=after) as reader:
        assert reader.open_report.clean, "closed in order, and not clean"
        assert seen(reader).texts == [*found.texts, LATER], "a close changed the log"
        assert reader.verify().ok, "a close did damage"
    with Store.open("store", diary.config, platform=cut_off) as store:
        again = seen(store)
        assert again.texts == [*found.texts, LATER], "lost by a second power cut"
        assert again.records[: len(found.records)] == found.records, "changed by a second recovery"


def require_tidy(store: Store, after: SimPlatform, diary: Diary) -> None:
    """What a recovery leaves beside the log: torn bytes as evidence, and nothing half done."""
    torn = store.open_report.torn
    files = {path: data for path, data in after.files().items() if path.startswith("store/")}
    # The file of a checkpoint that was being written stays until that one is written again.
    files = {path: data for path, data in files.items() if not path.startswith("store/cursors/")}
    if torn is not None:
        assert torn.quarantine is not None, "torn bytes are not kept"
        assert len(files[f"store/{torn.quarantine}"]) == torn.bytes, "not all of them are kept"
    assert not [name for name in files if name.endswith(".tmp")], "a leftover stays"
    segments = sum(name.startswith("store/0") for name in files)
    assert segments == len(store._opened.log.segments), "a file that was replaced stays"
    origin, first = after.origin, after.boots == 1 and not diary.refused
    if first and origin is not None and origin.model is CrashModel.KILL:
        assert torn is None, "torn, though every write was a whole one"


def hold_again(after: SimPlatform, found: Seen, diary: Diary) -> None:
    """What one recovery has found the next one finds, whichever way the first one ends."""
    for model in (CrashModel.KILL, CrashModel.SYNCED):
        twice = after.crash(model)
        with Store.open_read_only("store", diary.config, platform=twice) as reader:
            assert seen(reader).records == found.records, f"{model.name} after the recovery"
