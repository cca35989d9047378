"""The generated code of a project, and what its users wrote for it: imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import MappingProxyType
from typing import TYPE_CHECKING

import typer

from batpak.cli.prose import harmless

if TYPE_CHECKING:
    from batpak_codegen.config import Config


def load(config: Config, hint: str = "run batpak gen") -> Mapping[int, str]:
    """Import every class that a project generates, and its hooks files.

    Args:
        config: Of the project; the classes of the library itself are there already.
        hint: What to do if that fails.

    Returns:
        The kinds that are retired, and the names they had.

    Raises:
        SchemaError: E0701, the code cannot be imported.
    """
    from batpak_codegen.diagnostic import Diagnostic, SchemaError

    if config.system:
        return MappingProxyType({})
    home = (config.root / config.out).resolve()
    for _ in config.out_module.split("."):
        home = home.parent
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))
    try:
        registry = import_module(f"{config.out_module}.registry")
        registry.load()
    except ImportError as error:
        message = f"the generated code cannot be imported: {error}"
        raise SchemaError([Diagnostic("E0701", message, None, hint)]) from error
    retired: Mapping[int, str] = registry.RETIRED
    return retired


def try_to_load(file: Path | None, *, machines: bool = False) -> None:
    """Import what `load` does, if there is a project here; what keeps it from that is said.

    Args:
        file: The configuration that the user named, or None: then there need not be any.
        machines: Whether the machines are imported as well.
    """
    try:
        from batpak_codegen.config import configure
        from batpak_codegen.diagnostic import SchemaError
    except ModuleNotFoundError:
        return  # without the extra `gen` there are no projects
    if file is None and not _is_in_a_project():
        return
    try:
        config = configure(file)
        load(config)
        if machines and not config.system:
            package = import_module(config.out_module)
            for found in walk_packages(package.__path__, f"{config.out_module}."):
                if found.name.endswith("_machine"):
                    import_module(found.name)
    except SchemaError as error:
        _say("; ".join(one.message for one in error.diagnostics))
    except Exception as error:  # noqa: BLE001  code of somebody else, which may raise anything
        _say(f"the generated code cannot be imported: {error!r}")


def _is_in_a_project() -> bool:
    try:
        here = Path.cwd()
    except FileNotFoundError:  # somebody has removed it
        return False
    files = (folder / "pyproject.toml" for folder in (here, *here.parents))
    return any(file.is_file() and "[tool.batpak]" in file.read_text("utf-8") for file in files)


def _say(why: str) -> None:
    typer.echo(f"batpak: shown as it is stored: {harmless(why)}", err=True)
