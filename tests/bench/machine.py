"""What the figures were measured on: said beside every table."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
_PACKAGES = ("msgspec", "blake3", "lmdb", "eventsourcing")


def describe(home: Path) -> dict[str, str]:
    packages = {name: _version(name) for name in _PACKAGES}
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory_gib()} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "file system": file_system(home),
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {_build()}",
        "SQLite": sqlite3.sqlite_version,
        "batpak": _revision(),
        **packages,
    }


def _build() -> str:
    """How the interpreter was built: it moves everything that is Python by a fifth or more."""
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return "profile-guided build" if optimised else "plain build"


def file_system(folder: Path) -> str:
    """The type of the file system that holds a folder, and its device; "unknown" off Linux."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    for mount in mounts.splitlines():
        fields, _, rest = mount.partition(" - ")
        if fields.split()[2] == number:
            kind, source, *_ = rest.split()
            return f"{kind} on {source}"
    return "unknown"


def unsynced(folder: Path) -> str | None:
    """Why a sync would mean nothing here, if so: durable figures would be fiction."""
    if file_system(folder).startswith(("tmpfs", "ramfs")):
        return f"{folder} is in memory"
    if "eatmydata" in os.environ.get("LD_PRELOAD", ""):
        return "libeatmydata is loaded"
    return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _revision() -> str:
    """The commit that is measured: figures without it cannot be compared later."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=_ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return f"{_version('batpak')}, of no known commit"
    return f"commit {said.stdout.strip()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30))
