"""Another history: events left out, exchanged, moved, doubled; older copies, other stores; notes.

The matrix of attacks in docs/how-to/keep-a-note.md, carried out. What mends the checksums, or the
numbers as well, is found by `verify`, where the histories part; what computes everything anew but
HEAD, by the open; what computes everything anew, or brings yesterday's copy, by a note that was
kept elsewhere, and by nothing else. Would slip through without it: a history that was rewritten
from some event on and passes, a note that any log fits, a text that is taken for a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, product
from typing import Final, NamedTuple

from msgspec import structs

from batpak.digest import ZERO_HASH
from batpak.errors import CorruptStore, InvalidArgument
from batpak.faults import Damage
from batpak.note import CheckpointNote
from batpak.report import NoteFault
from tests.proof.damage import HASH, Found, hold_found, hold_intact
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.forge import (
    Log,
    apart,
    hash_again,
    id_later,
    link_again,
    number,
    number_again,
    together,
    with_field,
)
from tests.proof.golden import (
    Files,
    Golden,
    moments,
    read,
    read_after_verify,
    sibling,
    verified,
    written,
)

# ------------------------------------------------------------------------------------ the log


class Attack(NamedTuple):
    """Another history."""

    what: str
    change: Callable[[Log], int]  # says the first sequence that is not what it was


def dropped(at: int, log: Log) -> int:
    log.remove(at)
    return at


def twice(at: int, log: Log) -> int:
    """The same event once more, a little later."""
    part = log.events[at]
    log.insert(at + 1, id_later(with_field(part, "wall_ms", number(part, "wall_ms") + 1)))
    return at + 1


def moved(at: int, to: int, log: Log) -> int:
    """Two events in each other's places."""
    log.events[at], log.events[to] = log.events[to], log.events[at]
    return min(at, to)


def another_payload(at: int, log: Log) -> int:
    part = log.events[at]
    log.events[at] = structs.replace(part, payload=part.payload[:-1] + b"\x7f")
    return at


def another_entity(at: int, log: Log) -> int:
    log.events[at] = structs.replace(log.events[at], entity="order:9")
    return at


def no_entity(entity: str, log: Log) -> int:
    """Nothing of an entity is left."""
    which = [at for at, part in enumerate(log.events) if part.entity == entity]
    log.remove(*which)
    return which[0]


def exchanged_entities(log: Log) -> int:
    """Each event of two entities belongs to the other one."""
    others = {"order:1": "order:2", "order:2": "order:1"}
    for at, part in enumerate(log.events):
        log.events[at] = structs.replace(part, entity=others.get(part.entity, part.entity))
    return 0


def cut_to(count: int, log: Log) -> int:
    """The log ends earlier."""
    log.remove(*range(count, len(log.events)))
    return count


def attacks(golden: Golden) -> Iterator[Attack]:
    """Every history that can be made of single events; batches stay whole, so that they can be."""
    count = len(golden.events)
    sizes = [number(part, "batch_count") for part in apart(golden).events]
    alone = [at for at, size in enumerate(sizes) if size == 1]
    for at in alone:
        if at + 1 < count:
            yield Attack(f"without event {at}", partial(dropped, at))
            yield Attack(f"event {at} twice", partial(twice, at))
        for to in alone:
            if at < to:
                yield Attack(f"events {at} and {to} exchanged", partial(moved, at, to))
        yield Attack(f"another payload in event {at}", partial(another_payload, at))
        yield Attack(f"event {at} of another entity", partial(another_entity, at))
        yield Attack(f"only {at} events", partial(cut_to, at))
    for entity in ("order:1", "order:2", "order:3"):
        batched = (
            size > 1
            for size, event in zip(sizes, golden.events, strict=True)
            if event.coordinate.entity == entity
        )
        if not any(batched):
            yield Attack(f"without {entity}", partial(no_entity, entity))
    yield Attack("two entities exchanged", exchanged_entities)


def histories(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:  # noqa: ARG001
    """Another history, mended more and more: by checksum, by number, by hash, and as a whole."""
    golden = golden_of()
    hold_intact(golden)
    for what, change in attacks(golden):
        with tally.case(f"{golden.name}: {what}, checksums"):
            tally.count("forgeries")
            log = apart(golden)
            first = change(log)
            link_again(log, and_head=False)
            hold_some(golden, log, first)
        with tally.case(f"{golden.name}: {what}, checksums, and sequences"):
            tally.count("forgeries")
            log = apart(golden)
            first = change(log)
            number_again(log)
            link_again(log, and_head=False)
            hold_some(golden, log, first)
        with tally.case(f"{golden.name}: {what}, everything but HEAD"):
            tally.count("forgeries")
            log = anew(golden, change, and_head=False)
            hold_head(golden, log)
        with tally.case(f"{golden.name}: {what}, everything"):
            tally.count("forgeries")
            log = anew(golden, change, and_head=True)
            hold_noted(golden, together(log, golden.files), first)


def anew(golden: Golden, change: Callable[[Log], int], *, and_head: bool) -> Log:
    """Another history with everything computed anew."""
    log = apart(golden)
    change(log)
    number_again(log)
    hash_again(log)
    link_again(log, and_head=and_head)
    return log


def hold_some(golden: Golden, log: Log, first: int) -> None:
    """Some of it was mended: what is found first is where the histories part, or right behind."""
    files = together(log, golden.files)
    report = verified(files)
    assert report.findings, "verify says nothing"
    found = report.findings[0]
    assert found.sequence in (first, first + 1), f"{found}, and it differs from event {first} on"
    assert not verified(files, golden.note).ok, "verify says nothing with a note"
    opened = read_after_verify(files)
    assert opened.report is None, "it was opened"


def hold_head(golden: Golden, log: Log) -> None:
    """All but HEAD was mended: HEAD tells, already when the store is opened."""
    files = together(log, golden.files)
    assert verified(files).findings, "verify says nothing"
    refused = read(files).refused
    assert refused is not None, "it was opened"
    assert refused.error is CorruptStore, refused


def hold_noted(golden: Golden, files: Files, first: int) -> None:
    """Everything was mended: nothing but a note tells, one that was taken behind the change."""
    report = verified(files)
    assert report.ok, f"it is not mended: {report.findings}"
    due = NoteFault.ROLLED_BACK if report.events < golden.note.events else NoteFault.REWRITTEN
    noted = verified(files, golden.note)
    assert noted.note is due, f"{noted.note}, where {due} is due"
    assert not noted.ok
    assert verified(files, note_at(golden, first)).ok, "a note from before the change does not fit"
    try:
        noted.raise_for_damage()
    except CorruptStore:
        return
    raise AssertionError("nothing is raised")


def note_at(golden: Golden, count: int) -> CheckpointNote:
    """The note of a store when it had so many events."""
    last = golden.events[count - 1].event_hash if count else ZERO_HASH
    return structs.replace(golden.note, events=count, head=last)


# ------------------------------------------------------------------------- other times and stores


def copies(tally: Tally, size: Size) -> None:  # noqa: ARG001  it is little
    """Yesterday's copy has no fault but that it is yesterday's: a note of today tells."""
    states = moments()
    for old, new in combinations(states, 2):
        if len(old.events) == len(new.events):
            continue
        tally.count("forgeries")
        with tally.case(f"{old.name} in the place of {new.name}"):
            assert verified(old.files).ok
            assert verified(old.files, new.note).note is NoteFault.ROLLED_BACK
            assert verified(new.files, old.note).ok, "a log does not go on from its own note"


def identities(tally: Tally, size: Size) -> None:  # noqa: ARG001  it is little
    """Events of another store, under the identity of this one; and the other way round."""
    golden = written("rotated", SEED)
    hold_intact(golden)
    other = sibling(golden)
    with tally.case("another identity, everywhere"):
        tally.count("forgeries")
        log, theirs = apart(golden), apart(other).store_id
        for name, one in log.headers.items():
            log.headers[name] = structs.replace(one, store_id=theirs)
        log.state = log.state._replace(store_id=theirs)
        files = together(log, golden.files)
        hold_found(golden, files, Found(0, Damage.CHAIN, HASH))
        assert verified(files, golden.note).note is NoteFault.OTHER_STORE
    with tally.case("all events of another store"):
        tally.count("forgeries")
        log = apart(golden)
        log.events = apart(other).events
        link_again(log, and_head=True)
        files = together(log, golden.files)
        hold_found(golden, files, Found(0, Damage.CHAIN, HASH))
        assert verified(files, golden.note).note is not None, "the note fits"
    for at in range(len(golden.events)):
        with tally.case(f"the events from {at} on of another store"):
            tally.count("forgeries")
            log = apart(golden)
            log.events[at:] = apart(other).events[at:]
            link_again(log, and_head=True)
            files = together(log, golden.files)
            hold_found(golden, files, Found(at, Damage.CHAIN, HASH))
            assert verified(files, note_at(golden, at)).note is None, "what is before it is whole"
    with tally.case("another store in the place of this one"):
        tally.count("forgeries")
        assert verified(other.files).ok
        assert verified(other.files, golden.note).note is NoteFault.OTHER_STORE


# ------------------------------------------------------------------------------------------ notes


def notes(tally: Tally, size: Size) -> None:
    """Each bit of a note: it is refused, or it is another note, and the log does not go on from it.

    But for the time, which is for people.
    """
    golden = written("single", SEED)
    for note in (golden.note, note_at(golden, 1), note_at(golden, 0)):
        text = str(note)
        assert CheckpointNote.parse(text) == note, "a note is not read back"
        assert verified(golden.files, note).ok, "the log does not go on from its own note"
        for at, bit in product(range(len(text)), range(8)):
            tally.count("forgeries")
            raw_text = bytearray(text.encode())
            raw_text[at] ^= 1 << bit
            with tally.case(f"{note.events} events, byte {at}, bit {bit}"):
                try:
                    other = CheckpointNote.parse(raw_text.decode(errors="surrogateescape"))
                except InvalidArgument:
                    continue
                assert other != note, "a changed note is taken for the same"
                if structs.replace(other, taken_ms=note.taken_ms) == note:
                    continue
                if size is Size.LONG or at % 4 == 0:
                    assert not verified(golden.files, other).ok, f"the log goes on from {other}"


CLOSED: Final = partial(written, seed=SEED)
JOBS: Final = [
    Job("tamper", "other histories", partial(histories, partial(CLOSED, "single"))),
    Job("tamper", "other histories, two files", partial(histories, partial(CLOSED, "rotated"))),
    Job("tamper", "older copies", copies),
    Job("tamper", "identities", identities),
    Job("tamper", "notes", notes),
]
