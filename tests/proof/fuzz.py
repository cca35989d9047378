"""Hostile bytes and hostile text, for everything that reads any.

Each parser gets hundreds of inputs, or thousands, by what one costs; a million if it may take long:
what is valid, bent; checksums made right again, so that it is not they that stop it; values
misspelt; noise. Whatever it is, the answer is right or a typed refusal, at once and in little
memory. Would slip through without it: a length that is believed, an exception of the standard
library, a second spelling of an event, a verdict that depends on the way it was come to.

    PARSERS     what reads bytes, by name; `atheris_fuzz` feeds them as well
"""

from __future__ import annotations

import logging
import struct
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from random import Random
from typing import Final, NamedTuple, TypeAlias

from batpak import wire
from batpak.override import override
from tests.proof import (
    fuzz_bytes,
    fuzz_evidence,
    fuzz_footer,
    fuzz_rust,
    fuzz_store,
    fuzz_text,
    fuzz_values,
)
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.fuzz_bytes import Parser
from tests.proof.fuzz_corpus import (
    NOTES,
    ONE,
    PAYLOADS,
    PLAIN_NAMES,
    RECORD_TREES,
    RECORDS,
    STORES,
    TREES,
    TWO,
)
from tests.proof.fuzz_evidence import EVIDENCE, PROOF_TREES, RECEIPT_TREES
from tests.proof.fuzz_footer import BEHIND
from tests.proof.fuzz_msgpack import pack
from tests.proof.fuzz_mutation import mutations, texts
from tests.proof.fuzz_schemas import (
    EXPRESSION_WORDS,
    MESSAGES,
    WORDS,
    condition_seeds,
    schema_seeds,
)

Inputs: TypeAlias = Callable[[Random], Iterator[bytes]]

LONG_COUNT: Final = 1_000_000
LONG_SECONDS: Final = 60.0  # of one parser
SECONDS_MAX: Final = 2.0  # of one input
MOMENT: Final = 0.2  # of one that has few characters
MIB: Final = 1 << 20
SAMPLED: Final = 40  # inputs of each parser whose memory is traced


class Subject(NamedTuple):
    """A parser and what it is fed with."""

    parse: Parser
    inputs: Inputs
    number: int  # of inputs by default
    seconds: float = SECONDS_MAX


class Input(NamedTuple):
    """One input, as it is shown when it is a finding."""

    number: int
    data: bytes

    @override
    def __str__(self) -> str:
        return f"input {self.number}, {len(self.data)} bytes: {self.data[:400].hex()}"


def _bent(seeds: list[bytes], trees: list[object] | None = None) -> Inputs:
    return partial(mutations, seeds, trees or [])


def _text(seeds: Callable[[], list[str]], words: tuple[str, ...]) -> Inputs:
    def inputs(random: Random) -> Iterator[bytes]:
        for text in texts(seeds(), words, random):
            yield text.encode("utf-8", "surrogatepass")

    return inputs


def _mended(random: Random) -> Iterator[bytes]:
    """Scripts for directories, each with a byte before it that says how much is made right."""
    for script in fuzz_store.scripts(random):
        yield random.randbytes(1) + script


def _lies(random: Random) -> Iterator[bytes]:
    """Scripts for footers: a byte that says what is asked first, and one lie or a few."""
    for first in range(len(fuzz_footer.QUESTIONS)):
        yield bytes([first])
    while True:
        yield random.randbytes(random.choice((10, 10, 10, 19, 28)))


_HEADERS: Final[list[object]] = [ONE.header, TWO.header]
_HEADS: Final[list[object]] = [list(ONE.head(clean=True)), list(TWO.head(clean=False, count=1))]
_STUNTED: Final = (  # behind damage there is a frame, its checksum right, that ends inside its head
    bytes(ONE.data)
    + b"\xff" * 9
    + ONE.place.frame(len(ONE.data) + 9, RECORDS[0][:33])
    + (ONE.sequence + 1).to_bytes(8, "big")
    + b"\xff" * 400
)
_FILES: Final = [file for store in STORES.values() for file in store.files.items()]
_SEGMENTS: Final = [*dict.fromkeys(data for name, data in _FILES if "fbat" in name), _STUNTED]

SUBJECTS: Final[dict[str, Subject]] = {
    "header": Subject(
        fuzz_bytes.parse_header, _bent([bytes(log.data[: log.start]) for log in (ONE, TWO)]), 5_000
    ),
    "header, right checksum": Subject(
        fuzz_bytes.parse_header_map, _bent([pack(one) for one in _HEADERS], _HEADERS), 7_000
    ),
    "HEAD": Subject(
        fuzz_bytes.parse_head, _bent([one.files["HEAD"] for one in STORES.values()]), 5_000
    ),
    "HEAD, right checksum": Subject(
        fuzz_bytes.parse_head_array, _bent([pack(one) for one in _HEADS], _HEADS), 7_000
    ),
    "frame": Subject(
        fuzz_bytes.parse_frame, _bent([ONE.place.frame(ONE.start, one) for one in RECORDS]), 10_000
    ),
    "record": Subject(fuzz_bytes.parse_record, _bent(RECORDS, RECORD_TREES), 10_000),
    "segment": Subject(fuzz_bytes.parse_segment, _bent(_SEGMENTS), 4_000),
    "segment, right checksums": Subject(fuzz_bytes.parse_checked_segment, _bent(_SEGMENTS), 4_000),
    "segment, right hashes": Subject(fuzz_bytes.parse_hashed_segment, _bent(_SEGMENTS), 4_000),
    "footer": Subject(fuzz_footer.parse_footer, _bent([BEHIND, *fuzz_footer.OTHERS]), 9_000),
    "footer, right checksums": Subject(fuzz_footer.parse_lying_footer, _lies, 1_000),
    "Rust frame": Subject(fuzz_rust.parse_rust_frame, _bent(fuzz_rust.BODIES), 5_000),
    "Rust segment": Subject(fuzz_rust.parse_rust_segment, _bent(fuzz_rust.SEGMENTS), 1_000),
    "Rust index": Subject(fuzz_rust.parse_rust_index, _bent(fuzz_rust.INDEXES), 3_000),
    "Rust ranges": Subject(fuzz_rust.parse_rust_ranges, _bent(fuzz_rust.RANGES), 3_000),
    "note": Subject(fuzz_values.parse_note, _bent(NOTES), 10_000),
    "receipt": Subject(
        fuzz_evidence.parse_receipt,
        _bent(EVIDENCE.receipts, RECEIPT_TREES),
        10_000,
    ),
    "proof": Subject(fuzz_evidence.parse_proof, _bent(EVIDENCE.proofs, PROOF_TREES), 10_000),
    "payload": Subject(
        fuzz_values.parse_payload,
        _bent([wire.encode(one).data for one in PAYLOADS], TREES),
        10_000,
    ),
    "value": Subject(
        fuzz_values.parse_plain,
        _bent([*RECORDS, *map(pack, TREES)], [*RECORD_TREES, *TREES]),
        10_000,
    ),
    "names": Subject(fuzz_values.parse_names, _bent(PLAIN_NAMES), 10_000),
    "schema": Subject(fuzz_text.parse_schema, _text(schema_seeds, WORDS), 9_500),
    "schema file": Subject(fuzz_text.parse_schema_file, _text(schema_seeds, WORDS), 500),
    "condition": Subject(
        fuzz_text.parse_condition, _text(condition_seeds, EXPRESSION_WORDS), 7_000, MOMENT
    ),
    "message": Subject(
        fuzz_text.parse_message, _text(lambda: list(MESSAGES), EXPRESSION_WORDS), 5_000, MOMENT
    ),
    "directory": Subject(fuzz_store.parse_directory, fuzz_store.scripts, 800),
    "directory, right checksums": Subject(fuzz_store.parse_mended_directory, _mended, 800),
}

PARSERS: Final[dict[str, Parser]] = {name: subject.parse for name, subject in SUBJECTS.items()}
"""Each takes any bytes, and raises where a promise is broken."""


@contextmanager
def quiet() -> Generator[None]:
    """The engine warns of every footer that it makes anew; here are thousands."""
    log = logging.getLogger("batpak")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


def fuzz(name: str, tally: Tally, size: Size) -> None:
    """Feed one parser."""
    subject = SUBJECTS[name]
    inputs = subject.inputs(Random(f"{SEED} {name}"))  # noqa: S311  can be repeated
    accepted, number = 0, -1
    until = time.monotonic() + LONG_SECONDS
    with quiet():
        for number, data in enumerate(
            islice(inputs, subject.number if size is Size.DEFAULT else LONG_COUNT)
        ):
            tally.count("inputs")
            one = Input(number, data)
            began = time.process_time()
            with tally.case(one):
                accepted += subject.parse(data)
            if time.process_time() - began > subject.seconds:
                _require_quick(one, subject, tally)
            if size is Size.LONG and not number % 64 and time.monotonic() > until:
                break
    if not 0 < accepted <= number:
        tally.violated(
            "all", f"{accepted} of {number + 1} inputs were accepted: that proves nothing"
        )


def _require_quick(one: Input, subject: Subject, tally: Tally) -> None:
    """Measure once; nothing that is kept for later is paid for here."""
    began = time.process_time()
    with tally.case(one):
        subject.parse(one.data)
    seconds = time.process_time() - began
    if seconds > subject.seconds:
        tally.violated(str(one), f"it took {seconds:.2f} s")


# ----------------------------------------------------------------------- what is made to be costly


def _search(count: int) -> bytes:
    """A file that ends in what looks like the beginnings of many large frames."""
    fake = struct.pack(">I4x", 1 << 14) + RECORDS[0][:33] + (len(ONE.events) + 1).to_bytes(8, "big")
    return bytes(ONE.data) + b"\xff" * 9 + fake * count


def _many(code: int, count: int, item: bytes) -> bytes:
    """An array (0xDD) or a map (0xDF) of so many items."""
    return bytes([code]) + count.to_bytes(4, "big") + item * count


_BEFORE_NAMES: Final = RECORDS[0][:169]
_SCHEMA: Final = b"batpak: 1\npackage: a\n"
_VERSION: Final = b"\x82" + pack("version") + b"\2" + pack("x")

BOMBS: Final[dict[str, list[Callable[[int], bytes]]]] = {
    "header": [
        lambda _: b"FBAT\xff\xff\xff\xff" + bytes(100),
        lambda _: b"FBAT" + struct.pack(">I", MIB) + bytes(100),
        lambda n: b"FBAT" + struct.pack(">I", n) + b"\x91" * n + bytes(4),
    ],
    "header, right checksum": [
        lambda _: b"\xdf\xff\xff\xff\xff" + pack("version") + b"\2",
        lambda _: b"\x81" + pack("version") + b"\xdb\xff\xff\xff\xff",
        lambda n: _VERSION + b"\x91" * n,
        lambda n: _VERSION + _many(0xDD, n, b"\x80"),
    ],
    "HEAD, right checksum": [
        lambda _: b"\x97" + b"\x91" * 60_000,
        lambda _: b"\xdd\xff\xff\xff\xff",
    ],
    "frame": [
        lambda _: b"\xff\xff\xff\xff" + bytes(1000),
        lambda _: struct.pack(">I", 17 << 20) + bytes(1000),
    ],
    "record": [
        lambda _: _BEFORE_NAMES + b"\xdb\xff\xff\xff\xff",
        lambda _: _BEFORE_NAMES + b"\xa1a\xa1b\xc0\xc6\xff\xff\xff\xff" + bytes(100),
        lambda _: _BEFORE_NAMES + b"\xa1a\xa1b\x92\xc0\xdd\xff\xff\xff\xff\x92\xa1a\xc4\0",
        lambda n: _BEFORE_NAMES + b"\xa1a\xa1b\x92\xc0" + _many(0xDD, n, b"\x92\xa0\xc4\0"),
        lambda n: _BEFORE_NAMES + b"\x91" * n,
        lambda _: b"\xdd\xff\xff\xff\xff" + RECORDS[0],
    ],
    "segment": [
        lambda _: bytes(ONE.data) + b"\xff\xff\xff\xff" + bytes(40),
        lambda n: bytes(ONE.data) + bytes(128 * n),
        lambda n: bytes(ONE.data) + b"\xff" * 9 + b"\x95\xc4\xa6" * n,
        lambda n: _search(n // 8),
    ],
    "footer": [lambda _: BEHIND[:-20] + b"\xff" * 20, lambda n: bytes(32 * n) + BEHIND[-48:]],
    "footer, right checksums": [lambda _: b"\0\xff\0" + b"\xff" * 200],
    "Rust frame": [
        lambda n: fuzz_rust.BODIES[1][:200] + b"\x91" * 32 * n,
        lambda _: b"\x83" + pack("event") + b"\xdd\xff\xff\xff\xff",
        lambda n: _many(0xDD, n, b"\x80"),
    ],
    "Rust segment": [
        lambda _: fuzz_rust.SEGMENTS[0][:57] + b"\x0f\xff\xff\xff" + bytes(100),
        lambda n: fuzz_rust.SEGMENTS[0][:57] + b"\xff" * 9 + b"\0\0\1\0\0\0\0\0\x83\xa5event" * n,
        lambda n: fuzz_rust.SEGMENTS[0][:57] + bytes(32 * n),
        lambda _: fuzz_rust.SEGMENTS[0][:-8] + b"\xff\xff\xff\xffSDX2",
    ],
    "Rust index": [lambda _: fuzz_rust.INDEXES[0][:12] + b"\xff" * 60],
    "Rust ranges": [lambda n: fuzz_rust.RANGES[0][:12] + _many(0xDD, n, b"\x80")],
    "note": [
        lambda n: NOTES[0].replace(b"7", b"9" * 8 * n, 1),
        lambda n: NOTES[0] + b"\r\n" * 8 * n,
        lambda n: NOTES[0].replace(b"-", b"-0" * n),
    ],
    "receipt": [
        lambda _: b"\xdb\xff\xff\xff\xff" + EVIDENCE.receipts[1][5:],
        lambda n: EVIDENCE.receipts[1].replace(b"\x91\x92", _many(0xDD, n, b"\x92\xa0\xc4\0"), 1),
        lambda n: b"\x9b" + b"\x91" * 32 * n,
    ],
    "proof": [
        lambda _: b"\x95" + pack("batpak proof 1") + b"\xdb\xff\xff\xff\xff",
        lambda n: EVIDENCE.proofs[2][:-1] + _many(0xDD, n, b"\x90"),
        lambda n: b"\x95" + b"\x91" * 32 * n,
    ],
    "payload": [
        lambda _: b"\x81" + pack("n") + b"\xdd\xff\xff\xff\xff",
        lambda n: b"\x82" + pack("n") + b"\1" + pack("x") + b"\x91" * n,
        lambda n: b"\xdf\xff\xff\xff\xff" + b"\xa1n\1" * n,
        lambda _: b"\x81" + pack("text") + b"\xdb\xff\xff\xff\xff",
    ],
    "value": [
        lambda _: b"\xdd\xff\xff\xff\xff",
        lambda _: b"\xdf\x7f\xff\xff\xff" + b"\1" * 1000,
        lambda _: b"\xc6\xff\xff\xff\xff",
        lambda _: b"\xc9\xff\xff\xff\xff\xff",
        lambda n: b"\x91" * 32 * n,
        lambda n: _many(0xDD, n, b"\x80"),
        lambda n: _many(0xDD, n, b"\x90"),
        lambda n: _many(0xDD, n, b"\x81\1\1"),
        lambda _: (b"\x9f" + b"\xc0" * 14) * 63 + b"\xc0",
    ],
    "names": [lambda n: b"a" * 32 * n + b"@b", lambda n: b"a:" * 500 + b"@" + b"." * 32 * n],
    "schema": [
        lambda n: _SCHEMA + b"x-a: " + b"[" * n,
        lambda n: _SCHEMA + b"x-a: " + b"{a: " * n,
        lambda n: _SCHEMA + b"x-a: [" + b"a, " * n + b"a]",
        lambda n: _SCHEMA + b"events:\n" + b"".join(b"  E%d: 1\n" % one for one in range(n // 4)),
        lambda n: b"batpak: 1\npackage: " + b"a." * 4 * n,
        lambda n: _SCHEMA + b"doc: '" + b"''" * 4 * n,
        lambda n: b"&a [" * n,
        lambda n: b"? " * n,
        lambda n: b"- " * n,
        lambda n: _SCHEMA + b"doc: |\n" + b"  x\n" * n,
    ],
    "condition": [
        lambda _: b"9" * 4000 + b"x",
        lambda _: b"1_" * 2000 + b"x",
        lambda _: b"." * 4096,
        lambda _: b"(" * 4096,
        lambda _: b"not " * 1024,
        lambda _: b"event." + b"a" * 4000,
        lambda _: b"'" + b"\\'" * 2000,
        lambda _: b" or ".join([b"event.note is None"] * 200),
        lambda _: b" ".join([b"1 if True else"] * 290),
        lambda n: b"x" * 32 * n,
    ],
    "message": [
        lambda _: b"{" * 1000,
        lambda _: b"{event.sku}" * 370,
        lambda _: b"{{" * 2048,
        lambda _: b"{event." + b"a." * 2000 + b"}",
        lambda n: b"\n" * 32 * n,
    ],
}


def _usual(name: str) -> bytes:
    """The first input of a parser."""
    return next(SUBJECTS[name].inputs(Random(SEED)))  # noqa: S311  can be repeated


def costly(tally: Tally, size: Size) -> None:
    """Inputs that are made to cost: a bound of time and of memory for each."""
    many = 1 << 13 if size is Size.DEFAULT else 1 << 15
    with quiet():
        for name, bombs in BOMBS.items():
            with tally.inside(name):
                SUBJECTS[name].parse(_usual(name))  # a process pays for its imports once
                for number, bomb in enumerate(bombs):
                    tally.count("inputs")
                    one = Input(number, bomb(many))
                    _require_quick(one, SUBJECTS[name], tally)
                    _require_small(one, SUBJECTS[name], tally)


def traced(tally: Tally, size: Size) -> None:
    """Some inputs of each parser: what one input costs in memory."""
    many = SAMPLED if size is Size.DEFAULT else 50 * SAMPLED
    with quiet():
        for name, subject in SUBJECTS.items():
            inputs = subject.inputs(Random(f"{SEED} {name}, traced"))  # noqa: S311  can be repeated
            with tally.inside(name):
                for number, data in enumerate(islice(inputs, many)):
                    tally.count("inputs")
                    _require_small(Input(number, data), subject, tally)


def sparse(tally: Tally, size: Size) -> None:
    """Files on the real disk that are long and hold little."""
    del size
    with quiet():
        for length in (64 * MIB, 1 << 40):
            tally.count("inputs")
            began = time.process_time()
            with tally.case(f"{length:,} bytes"):
                fuzz_store.hold_sparse(length)
            seconds = time.process_time() - began
            if seconds > SECONDS_MAX:
                tally.violated(f"{length:,} bytes", f"it took {seconds:.2f} s")


def _require_small(one: Input, subject: Subject, tally: Tally) -> None:
    """Make sure that an input costs little memory, measured against its own size."""
    tracemalloc.start()
    try:
        with tally.case(one):
            subject.parse(one.data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    most = min(100 * len(one.data) + 32 * MIB, 256 * MIB)
    if peak > most:
        tally.violated(str(one), f"it took {peak / MIB:.0f} MiB")


JOBS: Final = [
    *(Job("fuzz", name, partial(fuzz, name)) for name in SUBJECTS),
    Job("fuzz", "costly inputs", costly),
    Job("fuzz", "memory", traced),
    Job("fuzz", "sparse files", sparse),
]
