"""The spare key: `python -m batpak_codegen`, with the options of `batpak gen`, without the library.

It does what `batpak gen` does and imports nothing of `batpak`, so that it still works when a
generated module of the library itself is broken.
"""

from __future__ import annotations

import sys
from pathlib import Path

USAGE = (
    "usage: python -m batpak_codegen"
    " [--check] [--no-stubs] [--config FILE] [--allow-import MODULE]..."
)
COULD_NOT_RUN = 2


def main(arguments: list[str]) -> int:
    """Run the generator; return the exit code."""
    check, stubs, config = False, True, None
    modules: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--check":
            check = True
        elif word == "--no-stubs":
            stubs = False
        elif word == "--config" and (file := next(words, None)):
            config = Path(file)
        elif word.startswith("--config=") and len(word) > len("--config="):
            config = Path(word.removeprefix("--config="))
        elif word == "--allow-import" and (module := next(words, None)):
            modules.append(module)
        else:
            print(USAGE, file=sys.stderr)
            return COULD_NOT_RUN
    try:  # its requirements may be missing
        from batpak_codegen import commands
        from batpak_codegen.config import configure
        from batpak_codegen.console import Console, choose_color, choose_format
    except ModuleNotFoundError as error:
        print(
            f"error[E0008] the generator needs {error.name}: pip install 'batpak[gen]'",
            file=sys.stderr,
        )
        return COULD_NOT_RUN
    request = commands.Request(check=check, stubs=stubs, modules=tuple(modules))
    console = Console("gen", choose_format(None), choose_color("auto", sys.stderr))
    return console.run(lambda: commands.gen(configure(config), request))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
