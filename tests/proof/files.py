"""Files that are not where, or what, they were: gone, cut, exchanged, doubled, rolled back.

Whatever is done to the files of a store, a reader, a writer and `verify` say the same: either which
file it is, and then nothing was touched; or everything is as before. Would slip through without it:
a log that is shorter and looks whole, the file of another store or of yesterday, an open that
refuses because of a file that does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, permutations, product
from random import Random
from typing import Final, TypeAlias

from batpak.digest import crc32
from batpak.errors import CorruptStore, FutureVersion
from batpak.journal import header
from tests.proof import footers, forge, frames, special
from tests.proof.damage import ends_early, evidence, refused, unchanged
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.golden import (
    HEAD,
    LOCK,
    Files,
    Golden,
    base,
    moments,
    put,
    read,
    sibling,
    verified,
    write,
    written,
)

Way: TypeAlias = Callable[[bytes], bytes | None]

_NOISE: Final = Random(SEED).randbytes(1 << 13)  # noqa: S311  chance that can be repeated

WAYS: Final[dict[str, Way]] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "one byte": lambda data: data[:1],
    "without its first byte": lambda data: data[1:],
    "without its last byte": lambda data: data[:-1],
    "shifted by a byte": lambda data: b"\0" + data,
    "zeros": lambda data: bytes(len(data)),
    "many zeros": lambda _: bytes(1 << 16),
    "zeros from a third on": lambda data: data[: len(data) // 3].ljust(len(data), b"\0"),
    "noise": lambda data: _NOISE[: len(data)],
    "noise behind its magic": lambda data: data[:4] + _NOISE[: len(data) - 4],
    "noise from the middle on": lambda data: data[: len(data) // 2] + _NOISE[: len(data) // 2],
    "text": lambda _: b"not found\n" * 100,
    "itself twice": lambda data: data + data,
    "more zeros": lambda data: data + bytes(100),
    "more noise": lambda data: data + _NOISE[:100],
}


def hold(golden: Golden, files: Files, name: str) -> None:
    """Look at a store of which one file is another one, by how much of it is as it was."""
    truth, data = golden.truth(name), files.get(name)
    if data is None:
        refused(golden, files, name)
        return
    pairs = zip(data, golden.files[name][:truth], strict=False)
    kept = next(
        (at for at, (one, other) in enumerate(pairs) if one != other), min(len(data), truth)
    )
    if name == HEAD:
        if data == golden.files[HEAD]:
            unchanged(golden, files)
        else:
            refused(golden, files, HEAD)
    elif golden.closed or name != golden.segments[-1]:
        if kept < truth:
            refused(golden, files, name)
        else:
            unchanged(golden, files)
    else:
        ends_early(golden, files, kept)


# ---------------------------------------------------------------------------------- single files


def single_files(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:
    """Every file in every way; all pairs of two files if there is time."""
    golden = golden_of()
    names = (*golden.segments, HEAD)
    for name, (what, way) in product(names, WAYS.items()):
        tally.count("mutations")
        with tally.case(f"{golden.name}: {name} {what}"):
            hold(golden, put(golden.files, name, way(golden.files[name])), name)
    if size is Size.LONG:
        pairs = product(combinations(names, 2), product(WAYS.items(), repeat=2))
        for (one, other), ((what, way), (also, second)) in pairs:
            tally.count("mutations")
            with tally.case(f"{golden.name}: {one} {what}, {other} {also}"):
                files = put(golden.files, one, way(golden.files[one]))
                hold_both(golden, put(files, other, second(files[other])), one, other)


def hold_both(golden: Golden, files: Files, one: str, other: str) -> None:
    """Two files are others: it is refused because of one of them, or as if only one were."""
    alone = [put(golden.files, name, files.get(name)) for name in (one, other)]
    said = [read(single) for single in alone]
    blamed = [name for name, told in zip((one, other), said, strict=True) if told.refused]
    if blamed:
        refused(golden, files, *blamed)
        return
    now = read(files)
    assert now.refused is None, now.refused
    assert now.events == min((told.events for told in said), key=len)


def lengths(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:
    """Every file cut to every length."""
    golden = golden_of()
    for name in (*golden.segments, HEAD):
        data, truth = golden.files[name], golden.truth(name)
        edges = {frame.end for frame in golden.in_file(name)} | {truth - 1, truth, truth + 1}
        for length in range(len(data)):
            far = length > truth and length % 16
            if size is Size.DEFAULT and far and length not in edges:
                continue
            tally.count("mutations")
            with tally.case(f"{golden.name}: {name} cut to {length}"):
                files = put(golden.files, name, data[:length])
                thorough = size is Size.LONG or length in edges or length % 32 == 0
                if thorough:
                    hold(golden, files, name)
                elif name == golden.segments[-1] and not golden.closed:
                    ends_early(golden, files, length, thorough=False)
                else:
                    said = read(files)
                    named = said.refused.file if said.refused else None
                    assert named == (name if length < truth else None), said.refused
                    assert named or said.events == golden.events, "other events than were stored"


# --------------------------------------------------------------------------------- several files


def exchanged(tally: Tally, size: Size) -> None:
    """Files that have changed places, have another number, or are there twice."""
    golden = written("several", SEED)
    files, names = golden.files, golden.segments
    for one, other in combinations((*names, HEAD), 2):
        with tally.case(f"{one} and {other}"):
            tally.count("mutations", 3)
            refused(golden, put(files, one, files[other]), one)
            refused(golden, put(files, other, files[one]), other)
            swapped = put(put(files, one, files[other]), other, files[one])
            refused(golden, swapped, one, other)
    for order in permutations(names):
        if list(order) != names and (size is Size.LONG or order[0] != names[0]):
            tally.count("mutations")
            with tally.case(f"in the order {order}"):
                moved = dict(zip(names, (files[name] for name in order), strict=True))
                refused(golden, {**files, **moved}, *names)
    following = f"{len(names) + 1:06d}.fbat"
    for name in names:
        for far in (f"{len(names) + 2:06d}.fbat", "999999.fbat", "1000000.fbat"):
            tally.count("mutations", 2)
            with tally.case(f"{name} as {far}"):
                refused(golden, put(files, far, files[name]), following, far)
                refused(golden, put(put(files, name, None), far, files[name]), name, far)
        tally.count("mutations")
        with tally.case(f"{name} as {following}"):
            refused(golden, put(files, following, files[name]), following)
    for behind, where in forged_behind(golden, following):
        tally.count("mutations")
        with tally.case(f"another file behind, {where or 'empty'}"):
            if where:
                refused(golden, behind, where)
            else:
                unchanged(golden, behind)


def forged_behind(golden: Golden, name: str) -> Iterator[tuple[Files, str]]:
    """A file that fits behind the last one: empty, as an interrupted open leaves it; or not."""
    log = forge.apart(golden)
    newest = log.headers[golden.segments[-1]]
    link = header.Link(newest.segment_id, log.state.frames_end, log.state.chain_head)
    made = header.encode(
        store_id=log.store_id,
        segment_id=newest.segment_id + 1,
        created_ns=newest.created_ns,
        first_sequence=len(golden.events),
        salt=newest.salt,
        prev=link,
    )
    yield put(golden.files, name, made), ""
    yield put(golden.files, name, made + b"x"), HEAD


def of_another(tally: Tally, size: Size) -> None:  # noqa: ARG001  it is little
    """Files of a store that stored the same, and has another identity."""
    golden = written("several", SEED)
    other, names = sibling(golden), golden.segments
    for name in (*names, HEAD):
        tally.count("mutations")
        with tally.case(f"{name} of another store"):
            files = put(golden.files, name, other.files[name])
            refused(golden, files, *({name, names[1]} if name == names[0] else {name}))
    for count in range(1, len(names)):
        tally.count("mutations", 2)
        with tally.case(f"the first {count} files of another store, and the others"):
            first = {name: other.files[name] for name in names[:count]}
            rest = {name: other.files[name] for name in (*names[count:], HEAD)}
            refused(golden, {**golden.files, **first}, names[count])
            refused(golden, {**golden.files, **rest}, names[count])
    tally.count("mutations")
    with tally.case("all files of another store"):
        refused(golden, {**other.files, HEAD: golden.files[HEAD]}, HEAD)


def mixed(tally: Tally, size: Size) -> None:
    """Some files of one moment and the others of a later one: never less than the older had."""
    states = moments()
    for number, (old, new) in enumerate(combinations(states, 2)):
        if size is Size.DEFAULT and number % 3:
            continue
        names = sorted(name for name in {*old.files, *new.files} if name != LOCK)
        differing = [name for name in names if old.files.get(name) != new.files.get(name)]
        for picks in product((old, new), repeat=len(differing)):
            if len({id(pick) for pick in picks}) < 2:
                continue
            mixture = dict(zip(differing, picks, strict=True))
            from_old = {name for name, pick in mixture.items() if pick is old}
            files = {name: data for name, data in new.files.items() if name not in from_old}
            files |= {name: data for name, data in old.files.items() if name in from_old}
            tally.count("mutations")
            with tally.case({name: pick.name for name, pick in mixture.items()}):
                hold_mixed(files, old, new)


def hold_mixed(files: Files, old: Golden, new: Golden) -> None:
    """It is refused, or it is the log as it was at some moment from the older to the later one."""
    said, report = read(files), verified(files)
    if said.refused is not None:
        assert said.refused.error is CorruptStore, said.refused
        assert not report.ok, f"a reader: {said.refused}, and verify says nothing"
        assert write(files, new.config).refused == said.refused
        return
    assert report.ok, report.findings
    count = len(said.events)
    assert len(old.events) <= count, f"{count} events, and there were {len(old.events)} at first"
    assert said.events == new.events[:count], "events that were never stored"
    after = write(files, new.config)
    assert after.events == said.events, "a writer sees others"
    assert read(after.files).events == said.events, "a writer lost something"


# --------------------------------------------------------------------------------- other versions


def versions(tally: Tally, size: Size) -> None:  # noqa: ARG001  it is little
    """Truth of a newer version, whose checksums are right, is told as such."""
    golden = written("rotated", SEED)
    for name in golden.segments:
        data = golden.files[name]
        length = int.from_bytes(data[4:8], "big")
        newer = data[: 8 + length].replace(b"\xa7version\x02", b"\xa7version\x03")
        assert newer != data[: 8 + length]
        files = put(golden.files, name, newer + crc(newer) + data[12 + length :])
        newer_versions(golden, files, name, tally)
    newer = golden.files[HEAD][:4] + b"\0\2" + golden.files[HEAD][6:-4]
    newer_versions(golden, put(golden.files, HEAD, newer + crc(newer)), HEAD, tally)


def crc(data: bytes) -> bytes:
    return crc32(data).to_bytes(4, "big")


def newer_versions(golden: Golden, files: Files, name: str, tally: Tally) -> None:
    tally.count("mutations")
    with tally.case(f"{name} of a newer version"):
        for said in (read(files), write(files, golden.config)):
            assert said.refused is not None, "it was opened"
            assert said.refused[:2] == (FutureVersion, name), said.refused
            assert evidence(golden, said.files) == evidence(golden, files), "it was touched"
        assert newer_for_verify(files) == name, "verify says nothing of it"


def newer_for_verify(files: Files) -> str | None:
    """The file that `verify` finds to be of a newer version."""
    try:
        verified(files)
    except FutureVersion as error:
        return base(error.what)
    return None


# -------------------------------------------------------------------------------------- strangers

ALIENS: Final = (
    "foo.txt", "000001.fbat.bak", "000001.fbat~", "0000001.fbat", "000000.fbat", "1.fbat",
    "000001.FBAT", "head", "HEAD.old", "HEAD.tmp.tmp", "000001.fbat.tmp.tmp", "foo.tmp", " HEAD",
    "\u0660\u0660\u0660\u0660\u0660\u0661.fbat", ".batpak.lock.old", "quarantine.bin", "é",
)  # fmt: skip
LEFTOVERS: Final = ("HEAD.tmp", "000001.fbat.tmp", "000002.fbat.tmp", "999999.fbat.tmp")


def strangers(golden_of: Callable[[], Golden], tally: Tally, size: Size) -> None:  # noqa: ARG001
    """Names that are none of the store's are listed and left alone; leftovers go."""
    golden = golden_of()
    contents = (b"", golden.files["000001.fbat"], golden.files[HEAD], _NOISE[:200])
    for number, name in enumerate((*ALIENS, *LEFTOVERS)):
        tally.count("mutations")
        with tally.case(f"{golden.name}: {name!a}"):
            files = put(golden.files, name, contents[number % 4])
            after = unchanged(golden, files)
            ignored = read(files).report
            assert ignored is not None
            assert ignored.ignored_files == ((name,) if name in ALIENS else ()), ignored
            kept = contents[number % 4] if name in ALIENS else None
            assert after.files.get(name) == kept, "an alien was touched, or a leftover was not"
    tally.count("mutations")
    with tally.case(f"{golden.name}: all of them"):
        everything = dict.fromkeys((*ALIENS, *LEFTOVERS), contents[1])
        after = unchanged(golden, {**golden.files, **everything})
        assert after.report is not None
        assert after.report.ignored_files == tuple(sorted(ALIENS))
        assert not set(after.files) & set(LEFTOVERS)


# --------------------------------------------------------------------------------------- the jobs

CLOSED: Final = partial(written, seed=SEED)
KILLED: Final = partial(written, seed=SEED, closed=False)
TWICE: Final = partial(KILLED, "rotated and reopened")
JOBS: Final = [
    Job("files", "each file, closed", partial(single_files, partial(CLOSED, "several"))),
    Job("files", "each file, killed", partial(single_files, partial(KILLED, "rotated"))),
    Job("files", "each file, reopened and killed", partial(single_files, TWICE)),
    Job("files", "every length, closed", partial(lengths, partial(CLOSED, "rotated"))),
    Job("files", "every length, killed", partial(lengths, partial(KILLED, "reopened"))),
    Job("files", "exchanged", exchanged),
    Job("files", "of another store", of_another),
    Job("files", "mixed moments", mixed),
    Job("files", "newer versions", versions),
    Job("files", "strangers, closed", partial(strangers, partial(CLOSED, "several"))),
    Job("files", "strangers, killed", partial(strangers, partial(KILLED, "rotated"))),
    *frames.JOBS,
    *footers.JOBS,
    *special.JOBS,
]
