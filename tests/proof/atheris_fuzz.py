"""Coverage-guided fuzzing of the parsers of `fuzz`, for who wants to look further. Opt-in.

    python -m tests.proof.atheris_fuzz                               all parsers, until stopped
    python -m tests.proof.atheris_fuzz "segment" -max_total_time=60  one, and options of libFuzzer
    python -m tests.proof.atheris_fuzz --list                        their names

It begins with inputs that the proof makes as well. What it finds is kept as `crash-…` in the
working directory; the name of such a file as an argument runs it again.
Source: github.com/google/atheris.
"""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Final

SEEDS: Final = 100  # inputs of each parser to begin with
INSTALL: Final = "atheris is not here: `pip install atheris` (Linux, CPython 3.11 to 3.13)"


def main(argv: list[str]) -> int:
    """Fuzz until something is found, or libFuzzer has had enough. It ends the process itself."""
    try:
        atheris = import_module("atheris")
    except ModuleNotFoundError:
        print(INSTALL, file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["batpak", "batpak_codegen"]):
        proof = import_module("tests.proof.fuzz")
    names = list(proof.PARSERS)
    if "--list" in argv:
        print("\n".join(names))
        return 0
    chosen = [one for one in argv if one in names] or names
    options = [one for one in argv if one not in names]
    with TemporaryDirectory() as folder:
        _begin(Path(folder), proof, chosen)
        inputs = [] if any(not one.startswith("-") for one in options) else [folder]
        parsers = [proof.PARSERS[name] for name in chosen]

        def parse(data: bytes) -> None:
            """The first byte says which parser, where there are several."""
            if len(parsers) == 1:
                parsers[0](data)
            elif data:
                parsers[data[0] % len(parsers)](data[1:])

        atheris.Setup([sys.argv[0], *options, *inputs], parse)
        with proof.quiet():
            atheris.Fuzz()
    return 0


def _begin(folder: Path, proof: ModuleType, chosen: list[str]) -> None:
    """Put some inputs of each parser into a directory."""
    for which, name in enumerate(chosen):
        inputs = proof.SUBJECTS[name].inputs(Random(name))  # noqa: S311  can be repeated
        for number, data in enumerate(islice(inputs, SEEDS)):
            before = bytes([which]) if len(chosen) > 1 else b""
            (folder / f"{which}-{number}").write_bytes(before + data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
