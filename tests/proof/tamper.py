"""An event that is edited by somebody who can write the directory and knows the format.

Every field of every event is changed, one at a time, and the checksums are made right: `verify`
finds the very event that was changed. If its hash is made right as well, it finds the event behind
it. Would slip through without it: a field that no hash covers, a chain that can be mended in the
middle. What is done to the log as a whole is in `histories`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from msgspec import structs

from batpak import codec
from batpak.clock import WALL_MS_MAX
from batpak.digest import ZERO_HASH
from batpak.faults import Damage
from batpak.journal import frame
from batpak.journal.chain import Chain
from batpak.journal.frame import Fault, Frame
from batpak.record import Parts
from batpak.report import NoteFault, VerifyReport
from tests.proof import forge, histories
from tests.proof.damage import HASH, Found, hold_found, hold_intact
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.forge import apart, id_later, link_again, number, raw, together, with_field
from tests.proof.golden import Files, Golden, verified, written

Change = Callable[[Parts], Parts]


# -------------------------------------------------------------------------------- a field


def flipped(name: str) -> Change:
    """Another value of a field, as near as can be to the one it has."""

    def change(part: Parts) -> Parts:
        value = raw(part, name)
        return with_field(part, name, value[:-1] + bytes([value[-1] ^ 1]))

    return change


def later(name: str) -> Change:
    """The next value of a field that is a number."""
    return lambda part: with_field(part, name, number(part, name) + 1)


COVERED: Final[dict[str, Change]] = {
    "flags": flipped("flags"),
    "kind": flipped("kind"),
    "payload_version": later("payload_version"),
    "key_ref": flipped("key_ref"),
    "batch_count": later("batch_count"),
    "wall_ms": later("wall_ms"),
    "counter": later("counter"),
    "version": later("version"),
    "event_id, its time": id_later,
    "event_id": flipped("event_id"),
    "correlation_id": flipped("correlation_id"),
    "causation_id": flipped("causation_id"),
    "prev_hash": flipped("prev_hash"),
    "event_hash": flipped("event_hash"),
}
"""Fields that `event_hash` covers, changed so that nothing but a hash can tell."""


def other_opts(part: Parts) -> Iterator[tuple[str, Parts]]:
    """Keys and extensions that an event does not have."""
    key, extensions = part.opt or (None, None)
    more = (("app.zzz", b"1"),)
    opts = {
        "another key": (b"another", extensions),
        "no key": (None, extensions) if extensions else None,
        "one extension more": (key, (extensions or ()) + more),
        "no extensions": (key, None) if key else None,
        "another value": (key, tuple((name, b"?" + value) for name, value in extensions or more)),
        "another name": (key, tuple((name + "x", value) for name, value in extensions or more)),
        "nothing": None,
    }
    for what, opt in opts.items():
        if opt != part.opt:
            yield what, structs.replace(part, opt=opt)


def edits(part: Parts) -> Iterator[tuple[str, Parts]]:
    """An event with something else in it."""
    for name, change in COVERED.items():
        yield name, change(part)
    yield "payload", structs.replace(part, payload=part.payload[:-1] + b"\x7f")
    yield "a longer payload", structs.replace(part, payload=part.payload + b"\x7f")
    yield "no payload", structs.replace(part, payload=b"")
    for entity in ("order:1", "order:2", "order:9", part.scope):
        if entity != part.entity:
            yield f"entity {entity}", structs.replace(part, entity=entity)
    yield "scope", structs.replace(part, scope=part.scope + "x")
    yield "entity and scope", structs.replace(part, entity=part.scope, scope=part.entity)
    yield from other_opts(part)


def one_event(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:  # noqa: ARG001
    """Each field of each event, with a checksum that is right: the event itself is found."""
    golden = golden_of()
    hold_intact(golden)
    log = apart(golden)
    assert together(log, golden.files) == bare(golden), "it cannot be put together again"
    for at, part in enumerate(log.events):
        for name, edited in edits(part):
            tally.count("forgeries")
            with tally.case(f"{golden.name}: {name} of event {at}"):
                due = Found(at, Damage.CHAIN, HASH)
                if name == "batch_count" and number(part, "batch_index"):
                    due = Found(at, Damage.BATCH)
                hold_found(golden, with_event(golden, at, edited), due)
        its_place(golden, at, part, tally)
        uncovered(golden, at, part, tally)


def bare(golden: Golden) -> Files:
    """The files of a store without footers, and without what is reserved."""
    ends = {name: golden.files[name][: golden.truth(name)] for name in golden.segments}
    return {**golden.files, **ends}


def with_event(golden: Golden, at: int, part: Parts) -> Files:
    """The files with another event in a place; what is recorded of their ends is made right."""
    log = apart(golden)
    is_as_long = len(codec.encode(part)) == len(codec.encode(log.events[at]))
    log.events[at] = part
    if not is_as_long:
        link_again(log, and_head=True)
    return together(log, golden.files)


def its_place(golden: Golden, at: int, part: Parts, tally: Tally) -> None:
    """Sequence, and place in a batch: what is due is known, so no hash is needed to find them.

    That the hash covers them too is seen where the other sequence, or the other place, is due.
    """
    index, count = number(part, "batch_index"), number(part, "batch_count")
    other = index + 1 if index + 1 < count else index - 1
    edited = {
        "sequence": with_field(part, "sequence", at + 1),
        "batch_index": with_field(part, "batch_index", other if other >= 0 else 1),
    }
    for name, reason in (("sequence", Damage.ORDER), ("batch_index", Damage.BATCH)):
        tally.count("forgeries")
        with tally.case(f"{golden.name}: {name} of event {at}"):
            hold_found(golden, with_event(golden, at, edited[name]), Found(at, reason))
        if name == "batch_index" and count == 1:
            continue
        tally.count("forgeries")
        with tally.case(f"{golden.name}: {name} of event {at}, where it is due"):
            assert fault_of(golden, at, part) is None, "the true event does not fit"
            fault = fault_of(golden, at, edited[name])
            assert fault == Fault(Damage.CHAIN, HASH), f"{fault}, and the hash should not match"


def fault_of(golden: Golden, at: int, part: Parts) -> Fault | None:
    """What a chain finds that has reached an event, and in which another one is due there."""
    log = apart(golden)
    before = raw(log.events[at - 1], "event_hash") if at else ZERO_HASH
    due = number(part, "sequence")
    chain = Chain(log.store_id, hashed=True, sequence=due, chain_head=before)
    chain.item, chain.count = number(part, "batch_index"), number(part, "batch_count")
    body = codec.encode(part)
    found = frame.decode(body)
    assert isinstance(found, Frame), found
    fault = chain.fault(found)
    taken = chain.follow(body, 0, len(body))
    assert fault is None or taken is None, "the short way takes what the long way does not"
    return fault


def uncovered(golden: Golden, at: int, part: Parts, tally: Tally) -> None:
    """What the hash leaves out: the stamp, and the type: a stub stands only in a compacted file."""
    for type_ in (0, 2, 3, 4, 255):
        tally.count("forgeries")
        with tally.case(f"{golden.name}: event {at} is of type {type_}"):
            files = with_event(golden, at, with_field(part, "type", type_))
            hold_found(golden, files, Found(at, Damage.FRAME))
    stamp = number(part, "durable_through")
    before = golden.frames[at - 1].durable if at else 0
    for value in {0, before - 1, before, stamp - 1, at, at + 1, (1 << 64) - 1} - {stamp, -1}:
        tally.count("forgeries")
        with tally.case(f"{golden.name}: the stamp of event {at} is {value}, not {stamp}"):
            files = with_event(golden, at, with_field(part, "durable_through", value))
            after = golden.frames[min(at + 1, len(golden.frames) - 1)].durable
            if not before <= value <= at:
                hold_found(golden, files, Found(at, Damage.ORDER))
            elif at + 1 < len(golden.frames) and value > after:
                hold_found(golden, files, Found(at + 1, Damage.ORDER))
            else:
                assert verified(files, golden.note).ok, "the note does not fit any more"


# ------------------------------------------------------------------------------------ one hash


def impossible(part: Parts) -> Iterator[tuple[str, Parts]]:
    """Times and ids that no store gives."""
    value = raw(part, "event_id")
    yield "a time beyond the year 9999", with_field(part, "wall_ms", WALL_MS_MAX + 1)
    yield "an id behind all others", with_field(part, "event_id", b"\xff" * 16)
    yield "an id of another version", with_field(part, "event_id", value[:6] + b"\x80" + value[7:])
    yield "an id of another variant", with_field(part, "event_id", value[:8] + b"\0" + value[9:])
    yield "the id of no event", with_field(part, "event_id", bytes(16))


def own_hash(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:  # noqa: ARG001
    """An event whose own hash was computed anew: the one behind it in the log is found.

    Also where nothing of its entity follows; and behind the last one, what is recorded of the end.
    """
    golden = golden_of()
    names = ("payload", "flags", "kind", "version", "event_id", "prev_hash", "scope")
    for at, part in enumerate(apart(golden).events):
        for name, edited in impossible(part):
            tally.count("forgeries")
            with tally.case(f"{golden.name}: {name} in event {at}, and its hash"):
                files = with_event(golden, at, hashed(golden, at, edited))
                hold_found(golden, files, Found(at, Damage.ORDER))
        for name, edited in edits(part):
            if name not in names:
                continue
            tally.count("forgeries")
            with tally.case(f"{golden.name}: {name} of event {at}, and its hash"):
                log = apart(golden)
                log.events[at] = hashed(golden, at, edited)
                if len(edited.scope) != len(part.scope):
                    link_again(log, and_head=True)
                    if at + 1 == len(log.events):
                        continue  # the last event, and HEAD: a note tells, see `rewritten`
                report = verified(together(log, golden.files), golden.note)
                hold_behind(golden, report, at, is_linked=name not in ("version", "prev_hash"))


def hashed(golden: Golden, at: int, part: Parts) -> Parts:
    """An event with its own hash, behind the events that are in front of it."""
    log = apart(golden)
    before = raw(log.events[at - 1], "event_hash") if at else ZERO_HASH
    return with_field(part, "event_hash", forge.own_hash(part, log.store_id, before))


def hold_behind(golden: Golden, report: VerifyReport, at: int, *, is_linked: bool) -> None:
    """What is found behind an event that has another hash than it had."""
    if at + 1 == len(golden.events):
        assert report.note is NoteFault.REWRITTEN, "the note fits"
    found = [(one.sequence, one.reason) for one in report.findings]
    if not is_linked:  # its link to the entity is wrong as well
        assert found[:1] == [(at, Damage.CHAIN)], report.findings
        found = found[1:]
    is_last = at + 1 == len(golden.events)
    is_last_of_file = is_last or golden.frames[at + 1].file != golden.frames[at].file
    if is_last and not golden.closed:
        return  # nothing is behind it, and HEAD does not record it: the note has told
    assert found, "nothing behind it is found"
    assert found[0] == (at + 1, Damage.CHAIN), report.findings
    if not is_last_of_file:
        assert HASH in {one.detail for one in report.findings}, report.findings
    entity = golden.events[at].coordinate.entity
    follows = [
        n
        for n, one in enumerate(golden.events[at + 1 :], at + 1)
        if one.coordinate.entity == entity
    ]
    due = {at + 1, *follows[:1]}
    assert {sequence for sequence, _ in found} <= due, f"{report.findings}, where {due} are due"


CLOSED: Final = partial(written, seed=SEED)
KILLED: Final = partial(written, seed=SEED, closed=False)
JOBS: Final = [
    Job("tamper", "one event, closed", partial(one_event, partial(CLOSED, "single"))),
    Job("tamper", "one event, two files", partial(one_event, partial(CLOSED, "rotated"))),
    Job("tamper", "one event, killed", partial(one_event, partial(KILLED, "reopened"))),
    Job("tamper", "its own hash", partial(own_hash, partial(CLOSED, "rotated"))),
    Job("tamper", "its own hash, killed", partial(own_hash, partial(KILLED, "reopened"))),
    *histories.JOBS,
]
