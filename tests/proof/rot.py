"""Bits that turn over while nobody looks: in every byte of a store, one at a time and in bursts.

A store that was closed in order: whatever byte is changed, `verify` says which file and frame it
is, and a reader gets every event in front of it, and then an error that says the same. A store that
was killed: only what was being written may pass for torn; it is set aside and reported, and all
before it is as it was. What can be made anew changes no answer. Would slip through without it: a
byte that no checksum covers, damage that is taken for the end of the log, an error that is not
ours, or one that names another place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Final

from batpak.config import Durability
from tests.proof.damage import Fate, Place, fate_of, hold, hold_intact, hold_several
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.golden import (
    HEAD,
    LOCK,
    Files,
    Golden,
    answers,
    asked,
    base,
    patched,
    put,
    repeated,
    verified,
    written,
)

NEAR: Final = 320  # bytes of a frame; those behind them are payload, and one is like the other …
SPARSE: Final = 16  # … so that by default one in so many is changed
BURST_MAX: Final = 64  # bytes


# ------------------------------------------------------------------------------------ the truth


def truth(golden: Golden) -> Iterator[Place]:
    """Every byte of a store that cannot be made anew."""
    for file in (*golden.segments, HEAD):
        for at in range(golden.truth(file)):
            yield file, at


def is_near(golden: Golden, place: Place) -> bool:
    """Whether a byte is in front of where there is nothing but payload."""
    frame = golden.frame_at(*place)
    return frame is None or place[1] - frame.offset < NEAR


def bits(size: Size, at: int) -> range:
    """Which bits of a byte are turned over: one, another one each time; or all."""
    return range(8) if size is Size.LONG else range(at % 8, at % 8 + 1)


def flipped(golden: Golden, place: Place, bit: int) -> Files:
    """The files of a store with one bit turned over."""
    file, at = place
    return patched(golden.files, file, at, bytes([golden.files[file][at] ^ 1 << bit]))


def every_byte(golden_of: Callable[[], Golden], step: int, tally: Tally, size: Size) -> None:
    """One bit of each byte, or by default of each so many of them."""
    golden = golden_of()
    hold_intact(golden)
    for number, place in enumerate(truth(golden)):
        if size is Size.DEFAULT and number % (step if is_near(golden, place) else SPARSE):
            continue
        fate = fate_of(golden, [place])
        for bit in bits(size, place[1]):
            tally.count("bytes")
            with tally.case(f"{golden.name}: {place}, bit {bit}"):
                thorough = size is Size.LONG or number % (2 + step) == 0
                hold(golden, flipped(golden, place, bit), fate, thorough=thorough)


def several_bits(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:
    """Two bits anywhere, and bursts that reach over the end of a frame."""
    golden = golden_of()
    random = Random(SEED)  # noqa: S311  chance that can be repeated
    where = list(truth(golden))
    for number in range(200 if size is Size.DEFAULT else 40_000):
        files = golden.files
        if number % 2:
            places = random.sample(where, 2)
            for file, at in places:
                files = patched(files, file, at, bytes([files[file][at] ^ 1 << at % 8]))
        else:
            file, at = random.choice(where)
            before = files[file][at : golden.truth(file)][: random.randint(2, BURST_MAX)]
            places = [(file, at + n) for n in range(len(before))]
            after = bytes(byte ^ random.randint(1, 255) for byte in before)
            files = patched(files, file, at, after)
        tally.count("bytes", len(places))
        with tally.case(f"{golden.name}: number {number}, from {places[0]} to {places[-1]}"):
            hold_several(golden, files, places)


def room(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:
    """What stands in the room behind the end of a killed store is no event, and is set aside."""
    golden = golden_of()
    file = golden.segments[-1]
    end, reserved = golden.truth(file), len(golden.files[file])
    assert reserved > end, "no room is reserved"
    fate = Fate(file, end, len(golden.events), torn=True, at_open=False, reasons=frozenset())
    for at in range(end, reserved, 1021 if size is Size.DEFAULT else 31):
        tally.count("bytes")
        with tally.case(f"{golden.name}: {file}:{at} in the room"):
            hold(golden, patched(golden.files, file, at, b"\x01"), fate, thorough=at % 3 == 0)


# ------------------------------------------------------------------------- what can be made anew


def derived(golden_of: Callable[[], Golden], step: int, tally: Tally, size: Size) -> None:
    """A bit in each byte of the footers, or in each so many, and anything in the lock."""
    golden = golden_of()
    intact, again = asked(golden.files, answers), repeated(golden.files, golden)
    places = [
        (file, at)
        for file in golden.segments
        for at in range(golden.truth(file), len(golden.files[file]))
    ]
    for number, place in enumerate(places):
        if size is Size.DEFAULT and number % step:
            continue
        for bit in bits(size, place[1]):
            tally.count("bytes")
            with tally.case(f"{golden.name}: {place}, bit {bit}, of a footer"):
                files = flipped(golden, place, bit)
                report = verified(files)
                assert report.ok, f"a footer is taken for the truth: {report.findings}"
                found = [(base(one.file), one.offset) for one in report.derived]
                assert found == [place], f"{found}, where {place} is due"
                if number % (8 if size is Size.LONG else 8 * step) == 0:
                    assert asked(files, answers) == intact, "other answers"
                if number % (64 * step) == 0:
                    assert repeated(files, golden) == again, "a writer gives other answers"
    for note in (b"", b"1", b"\0" * 40, b"9" * 5000, b"\xff\xfe"):
        tally.count("bytes")
        with tally.case(f"{golden.name}: {note[:9]!r} in the lock"):
            files = put(golden.files, LOCK, note)
            assert asked(files, answers) == intact, "other answers"
            assert repeated(files, golden) == again, "a writer gives other answers"


# --------------------------------------------------------------------------------------- the jobs


def store(
    name: str, durability: Durability | None = None, *, mapped: bool = False
) -> Callable[[], Golden]:
    """A store that is written when a job begins; of some durability: and killed."""
    if durability is None:
        return partial(written, name, SEED)
    return partial(written, name, SEED, closed=False, durability=durability, mapped=mapped)


COMMIT, INTERVAL, OS = Durability.COMMIT, Durability.INTERVAL, Durability.OS
JOBS: Final = [
    Job("rot", "one file, closed", partial(every_byte, store("single"), 1)),
    Job("rot", "two files, closed", partial(every_byte, store("rotated"), 1)),
    Job("rot", "killed", partial(every_byte, store("reopened", COMMIT), 1)),
    Job("rot", "killed, INTERVAL", partial(every_byte, store("unsynced", INTERVAL), 4)),
    Job("rot", "killed, OS", partial(every_byte, store("unsynced", OS), 4)),
    Job("rot", "two files, killed", partial(every_byte, store("rotated and reopened", COMMIT), 8)),
    Job("rot", "several bits, closed", partial(several_bits, store("rotated"))),
    Job("rot", "several bits, killed", partial(several_bits, store("unsynced", INTERVAL))),
    Job("rot", "reserved room", partial(room, store("reopened", COMMIT, mapped=True))),
    Job("rot", "footer of a sealed file", partial(derived, store("rotated"), 2)),
    Job("rot", "footer of the last file", partial(derived, store("large"), 12)),
]
