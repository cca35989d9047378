"""Frames that were moved: exchanged, copied, left out, zeroed, or taken from somewhere else.

As they are, none of them passes at another place, in another file or in another store: it is bytes
and no frame, and found as such. With checksums that were made right for the new place the frames
pass, and the events do not: their order, hashes and links are found. Would slip through without it:
a checksum that does not bind a frame to its place, zeros that are read as nothing, a payload that
poses as frames when the end of the log is torn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import Final, NamedTuple

from batpak import codec
from batpak.config import Durability
from batpak.errors import CorruptStore
from batpak.faults import Damage
from tests.proof import forge
from tests.proof.damage import Place, ends_early, fate_of, hold, hold_several, refused, unchanged
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.golden import (
    Files,
    Frame,
    Golden,
    Program,
    brief,
    patched,
    put,
    read,
    read_after_verify,
    sibling,
    verified,
    written,
)

OF_EVENTS: Final = frozenset({Damage.ORDER, Damage.CHAIN, Damage.BATCH})


def over(files: Files, frame: Frame, data: bytes) -> Files:
    """The files with other bytes in the place of a frame."""
    return patched(files, frame.file, frame.offset, data)


def body(frame: Frame) -> Place:
    """A place in a frame behind its length."""
    return frame.file, frame.offset + 8


# ---------------------------------------------------------------------------------- as they are


def as_they_are(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:  # noqa: ARG001
    """Frames at places that are not theirs, byte for byte."""
    golden = golden_of()
    for what, files, places in exchanged(golden):
        tally.count("mutations")
        with tally.case(f"{golden.name}: {what}"):
            hold_several(golden, files, places)
    newest = golden.segments[-1]
    for frame in golden.frames:
        tally.count("mutations", 3)
        with tally.case(f"{golden.name}: frame {frame.sequence} is zeros"):
            hold_zeroed(golden, frame)
        with tally.case(f"{golden.name}: frame {frame.sequence} is left out"):
            data = golden.files[frame.file]
            files = put(golden.files, frame.file, data[: frame.offset] + data[frame.end :])
            hold_shifted(golden, files, frame)
        with tally.case(f"{golden.name}: frame {frame.sequence} once more, behind the end"):
            end = golden.truth(newest)
            data = golden.files[newest][:end] + golden.bytes_of(frame)
            files = put(golden.files, newest, data)
            if golden.closed:
                unchanged(golden, files)
            else:
                ends_early(golden, files, end)


def exchanged(golden: Golden) -> Iterator[tuple[str, Files, list[Place]]]:
    """Two frames of equal length that have changed places, or are there twice."""
    for one, other in permutations(golden.frames, 2):
        if one.end - one.offset == other.end - other.offset:
            copied = over(golden.files, one, golden.bytes_of(other))
            yield f"frame {other.sequence} over {one.sequence}", copied, [body(one)]
            if one.sequence < other.sequence:
                swapped = over(copied, other, golden.bytes_of(one))
                what = f"frames {one.sequence} and {other.sequence} exchanged"
                yield what, swapped, [body(one), body(other)]
    other_store = sibling(golden)
    for one in golden.frames:
        files = over(golden.files, one, other_store.bytes_of(one))
        yield f"frame {one.sequence} of another store", files, [body(one)]


def hold_zeroed(golden: Golden, frame: Frame) -> None:
    """Zeros are no frame; at the end of a killed store nothing was ever written there."""
    files = over(golden.files, frame, bytes(frame.end - frame.offset))
    fate = fate_of(golden, [(frame.file, frame.offset)])
    if fate.torn:
        ends_early(golden, files, frame.offset)
    else:
        hold(golden, files, fate, thorough=True)


def hold_shifted(golden: Golden, files: Files, frame: Frame) -> None:
    """Frames in front of their place are no frames: what is left is the log up to there."""
    if golden.closed or frame.file != golden.segments[-1]:
        refused(golden, files, frame.file)
        said = read(files).refused
        assert said is not None
        end, is_sealed = len(files[frame.file]), frame.file != golden.segments[-1]
        is_short = is_sealed and end < golden.truth(frame.file)
        assert said.offset == (end if is_short else frame.offset), said
    else:
        ends_early(golden, files, frame.offset)


# ------------------------------------------------------------------------- with right checksums


def mended(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:  # noqa: ARG001
    """The same with checksums that are right for the place: the events do not fit."""
    golden = golden_of()
    count, theirs = len(golden.frames), forge.apart(sibling(golden))
    for one in range(count):
        for other in range(count):
            if one != other:
                with tally.case(f"{golden.name}: event {other} in the place of {one}"):
                    log = forge.apart(golden)
                    log.events[one] = log.events[other]
                    forged(golden, log, tally, one)
            if one < other:
                with tally.case(f"{golden.name}: events {one} and {other} exchanged"):
                    log = forge.apart(golden)
                    log.events[one], log.events[other] = log.events[other], log.events[one]
                    forged(golden, log, tally, one)
        if one + 1 < count:  # without the last one it is an older log, which only a note can tell
            with tally.case(f"{golden.name}: event {one} is left out"):
                log = forge.apart(golden)
                log.remove(one)
                forged(golden, log, tally, one, OF_EVENTS | {Damage.SEGMENT})
        with tally.case(f"{golden.name}: event {one} twice"):
            log = forge.apart(golden)
            log.insert(one, log.events[one])
            forged(golden, log, tally, one + 1)
        with tally.case(f"{golden.name}: event {one} of another store"):
            log = forge.apart(golden)
            log.events[one] = theirs.events[one]
            forged(golden, log, tally, one, frozenset({Damage.CHAIN}))


def forged(
    golden: Golden,
    log: forge.Log,
    tally: Tally,
    first: int,
    reasons: frozenset[Damage] = OF_EVENTS,
) -> None:
    """`verify` finds the first event that does not fit; no open that verifies lets it in.

    Nor does the open of a store that was not closed, which computes hashes anyway.
    """
    tally.count("mutations")
    forge.link_again(log, and_head=True)  # so that nothing but the events themselves is wrong
    files = forge.together(log, golden.files)
    report = verified(files)
    assert report.findings, "verify says nothing"
    found = report.findings[0]
    assert found.sequence == first, f"{found}, and event {first} is the first that does not fit"
    assert found.reason in reasons, found
    said = read_after_verify(files)
    assert said.report is None, "it was opened"
    assert said.refused is not None
    assert said.refused.error is CorruptStore, said.refused
    is_sealed = log.file_of[min(first, len(log.events) - 1)] != golden.segments[-1]
    assert golden.closed or is_sealed or read(files).refused, "a killed store was opened"


# ------------------------------------------------------------------------------- posing as frames


class Posing(NamedTuple):
    """A killed store whose last event has frames in its payload, and where they are."""

    golden: Golden
    frames_at: int  # where in its file the first of them begins


def posing(what: str) -> Posing:
    """A store whose last event holds the bytes of frames of its own.

    Args:
        what: "past": the whole file so far. "future": the frames that would come next if the
            history were another one: same identity, same file, plausible numbers and stamps.
    """
    program = Program(SEED, Durability.COMMIT)
    with program.open() as store:
        brief(program, store)
        past = program.golden("past", closed=False)
    future = past
    if what == "future":
        twin = Program(SEED, Durability.COMMIT)
        with twin.open() as store:
            brief(twin, store)
            for sizes in ([30], [0], [0, 0], [0]):
                twin.store(store, *sizes)
            future = twin.golden("future", closed=False)
    (name,) = past.segments
    assert future.files[name].startswith(past.files[name]), "another history"
    begin = past.truth(name) if what == "future" else 0
    hidden = future.files[name][begin : future.truth(name)]
    return stored_with(what, hidden)


def stored_with(what: str, hidden: bytes) -> Posing:
    """The same program once more, and then an event that holds these bytes."""
    program = Program(SEED, Durability.COMMIT)
    with program.open() as store:
        brief(program, store)
        program.store_raw(store, codec.encode(hidden))
        golden = program.golden(f"frames of the {what} in a payload", closed=False)
    data = golden.files[golden.segments[0]]
    return Posing(golden, data.rindex(hidden))


def in_payloads(tally: Tally, size: Size) -> None:
    """An event that holds frames is torn at every byte: none of them is ever taken for a frame."""
    for what in ("past", "future"):
        golden, frames_at = posing(what)
        (name,) = golden.segments
        last = golden.frames[-1]
        data = golden.files[name]
        assert last.offset < frames_at < last.end
        step = 1 if size is Size.LONG else 11
        for at in range(last.offset, last.end, step):
            tally.count("mutations", 2)
            with tally.case(f"{golden.name}: cut to {at}"):
                ends_early(golden, put(golden.files, name, data[:at]), at, thorough=at % 3 == 0)
            with tally.case(f"{golden.name}: {at} is another byte"):
                flipped = patched(golden.files, name, at, bytes([data[at] ^ 1 << at % 8]))
                hold(golden, flipped, fate_of(golden, [(name, at)]), thorough=at % 3 == 0)


CLOSED: Final = partial(written, seed=SEED)
KILLED: Final = partial(written, seed=SEED, closed=False)
JOBS: Final = [
    Job("files", "frames moved, one file", partial(as_they_are, partial(CLOSED, "single"))),
    Job("files", "frames moved, four files", partial(as_they_are, partial(CLOSED, "several"))),
    Job("files", "frames moved, killed", partial(as_they_are, partial(KILLED, "reopened"))),
    Job("files", "frames moved and mended", partial(mended, partial(CLOSED, "single"))),
    Job("files", "frames moved and mended, killed", partial(mended, partial(KILLED, "rotated"))),
    Job("files", "frames in payloads", in_payloads),
]
