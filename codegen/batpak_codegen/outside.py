"""The names of what is generated outside of the generated package: its tests."""

from __future__ import annotations

import sys

from batpak_codegen.ir import PackageDef, Project
from batpak_codegen.namespace import Namespace

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override  # pydantic brings it


class Outside(Namespace):
    """The names of a module that stands outside of the generated package: its tests.

    It imports by full names. Of events it knows the classes, of other modules the module: two
    machines may have states of one name, and two packages types.
    """

    def __init__(self, project: Project, package: PackageDef) -> None:
        super().__init__(project, package, "")
        self._aliases: dict[str, str] = {}

    @override
    def near(self, module: str, name: str) -> str:
        """Return a name from a module of this package."""
        if module in ("events", "hooks") or module.endswith("_machine"):
            return self.use(self._path(self.package.name, module), name)
        return f"{self.use(self._path(self.package.name), module)}.{name}"

    @override
    def type(self, package: str, name: str) -> str:
        """Return a declared type, wherever it comes from."""
        if package == self.package.name:
            return self.near("types", name)
        if package not in self._aliases:
            wish = "_".join((*self._homes[package], "types"))
            while wish in self._aliases.values():
                wish += "_"
            self._aliases[package] = self.use(self._path(package), "types", wish)
        return f"{self._aliases[package]}.{name}"

    def _path(self, package: str, *module: str) -> str:
        return ".".join((self.project.out_module, *self._homes[package], *module))

    @override
    def _is_ours(self, module: str) -> bool:
        return f"{module}.".startswith(f"{self.project.out_module}.")
