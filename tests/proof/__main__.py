"""See `tests.proof.report`."""

import typer

from tests.proof.report import main

if __name__ == "__main__":
    typer.run(main)
