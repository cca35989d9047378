"""A project that grows: an event, a state, a move, a gate and a step more in its schema.

`growth/` holds it with all that is added behind `#+`. Each of its three ages is a package of its
own, so that one run of a checker sees them all.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from batpak_codegen.config import configure
from batpak_codegen.run import run

SOURCE: Final = Path(__file__).parent / "growth"
AGES: Final = {"fair": "", "grown": ".yaml", "handled": ".yaml.py"}
"""Package -> the files that what is added has come into: none, the schema, the user's as well."""

_ADDED: Final = re.compile(r"#\+ ?")
_TABLE: Final = """\
[tool.batpak]
schemas = ["schemas-{age}"]
out = "{age}/gen"
package_root = "{age}"
"""


def grow(folder: Path) -> None:
    """Write the project at every age, and generate its code. The user's files are left alone."""
    for age, added in AGES.items():
        for file in SOURCE.rglob("*.*"):
            text = file.read_text(encoding="utf-8").replace("fair", age)
            home = folder / (age if file.suffix == ".py" else f"schemas-{age}")
            home.mkdir(exist_ok=True)
            text = _ADDED.sub("", text) if file.suffix in added else text
            text += f"# in {folder}\n"  # mypy tells what it knows of a file by its last place
            (home / file.name).write_text(text, encoding="utf-8")
        (folder / age / "__init__.py").touch()
        table = folder / f"{age}.toml"
        table.write_text(_TABLE.format(age=age), encoding="utf-8")
        run(configure(table), check=False, stubs=False)
