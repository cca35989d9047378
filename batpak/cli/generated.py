"""The generated code of a project, and what its users wrote for it: imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

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
