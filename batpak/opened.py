"""An open log: locked, recovered, reported, and given back at the end."""

from __future__ import annotations

import errno
import logging
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final
from uuid import UUID

from msgspec import Struct

from batpak import registry
from batpak.cache.file import FileCache
from batpak.commit.waiters import Waiters
from batpak.config import OpenVerify, Signing, StoreConfig
from batpak.disk.seam import Directory, Lock, StrPath
from batpak.errors import InvalidArgument, SigningError, StorageFailed, StoreLocked
from batpak.faults import SigningFault
from batpak.journal import header, layout
from batpak.journal.segment import GONE
from batpak.platform import Platform
from batpak.read.checkpoint import Checkpoints
from batpak.read.lookout import Lookout
from batpak.read.worker import CursorWorker, stop_all
from batpak.recovery import restore
from batpak.recovery.restore import Recovered
from batpak.recovery.sight import Sight
from batpak.report import Mode, OpenReport
from batpak.upkeep.verify import look, verify_log

log: Final = logging.getLogger("batpak.open")


class Opened(Struct):
    """A locked and recovered log, with what has to be given back at the end."""

    platform: Platform
    directory: Directory
    lock: Lock | None
    log: Recovered
    report: OpenReport
    config: StoreConfig
    waiters: Waiters  # who wants to know when the log has moved on, or when this handle has ended
    staff: deque[CursorWorker]  # those that run
    checkpoints: Checkpoints | None = None  # only for writing
    abandon_writer: Callable[[], None] | None = None  # or whoever looks on behalf of others
    drain_writer: Callable[[], None] | None = None
    released: bool = False

    def release(self) -> None:
        """Give everything back. Twice is harmless, also from two threads or interrupted."""
        self._close_files()
        lock, self.lock = self.lock, None  # one caller gets it; a lost one releases itself
        if lock is not None:
            lock.release()
        self.directory.close()
        self.released = True

    def abandon(self) -> None:
        """Close the descriptors and leave the lock alone: it is the parent's."""
        self._close_files()
        if self.lock is not None:
            self.lock.abandon()
        self.directory.close()

    def stop_workers(self) -> None:
        """Let them finish what they have in hand. Twice is harmless."""
        stop_all(self.staff, self.platform, self.config.limits.close_timeout_s)

    def _close_files(self) -> None:
        self.log.segments.close()
        if self.checkpoints is not None:
            self.checkpoints.close()
        if self.abandon_writer is not None:
            self.abandon_writer()


def open_log(
    path: StrPath, config: StoreConfig, platform: Platform, *, writable: bool, create: bool
) -> Opened:
    """Lock a directory and recover the log in it.

    Raises:
        RegistryError: A payload class of this program cannot be decoded. Nothing was touched.
        SigningError: Writing has to be signed, and there is no key. Nothing was touched.
        InvalidArgument: No path, a big-endian host, or a store of format version 1.
        StoreLocked: Another handle holds the directory.
        StorageFailed: The system refused, or there is no store and none may be made.
        CorruptStore, FutureVersion: The bytes are damaged, or newer than this code.
    """
    _require_host()
    if writable and config.signing is Signing.REQUIRED and config.signer is None:
        raise SigningError(SigningFault.REQUIRED, "what is written here has to be signed")
    began = platform.monotonic_ns()
    directory = layout.enter(platform, path, create=create)
    full = directory.path
    lock: Lock | None = None
    try:
        cache = config.projection_cache
        if isinstance(cache, FileCache) and f"{cache.path}/".startswith(f"{full}/"):
            raise InvalidArgument("projection_cache", "a FileCache needs a directory of its own")
        if writable and not create and not restore.is_store(directory):
            raise StorageFailed("open", full, errno.ENOENT, "there is no store here")
        lock = layout.lock(directory, platform.pid(), shared=not writable)
        if config.open_verify is OpenVerify.FULL:
            _verify_first(directory)
        files_max = config.limits.fd_budget
        log = restore.restore(directory, platform, writable=writable, files_max=files_max)
        if lock is None and layout.listing(directory).has_lock:
            raise StoreLocked(full, "reading", None)  # a writer came while we were looking
        mode = Mode.WRITE if writable else Mode.READ
        report = _report(full, log, mode, platform, began, locked=lock is not None)
        _announce(report, config)
        waiters = Waiters(platform, grows=writable)
        opened = Opened(platform, directory, lock, log, report, config, waiters, deque())
    except BaseException:
        if lock is not None:
            lock.release()
        directory.close()
        raise
    return opened


def observe_log(path: StrPath, config: StoreConfig, platform: Platform) -> tuple[Opened, Lookout]:
    """Look at the log in a directory, whoever has it open; lock and touch nothing.

    Raises:
        RegistryError: A payload class of this program cannot be decoded.
        InvalidArgument: No path, a big-endian host, or a store of format version 1.
        StorageFailed: There is no store there, or the system refused.
        CorruptStore, FutureVersion: The bytes are damaged, or newer than this code.
    """
    _require_host()
    began = platform.monotonic_ns()
    directory = layout.enter(platform, path, create=False)
    try:
        sight = Sight(directory, platform.raw_lock, config.limits.fd_budget)
        log, report = _seen(sight, directory.path, platform, began)
    except BaseException:
        directory.close()
        raise
    lookout = Lookout(platform, sight)
    _announce(report, config)
    opened = Opened(platform, directory, None, log, report, config, lookout, deque())
    opened.abandon_writer = partial(lookout.stop, 0)
    return opened, lookout


def _seen(sight: Sight, path: str, platform: Platform, began: int) -> tuple[Recovered, OpenReport]:
    """What an observer has found, and the report of that."""
    while True:
        log = Recovered(
            store_id=sight.store_id,
            segments=sight.segments,
            table=sight.table,
            tip=sight.tip,
            clean=sight.clean,
        )
        try:
            return log, _report(path, log, Mode.OBSERVE, platform, began, locked=False)
        except StorageFailed as error:
            if error.errno not in GONE:
                raise
        sight.look()  # the writer has compacted the log


def _require_host() -> None:
    """Refuse a machine, or a program, that cannot read a store at all."""
    if sys.byteorder != "little":
        raise InvalidArgument("host", "a big-endian machine cannot open a store")
    registry.validate()


def _report(
    path: str, log: Recovered, mode: Mode, platform: Platform, began: int, *, locked: bool
) -> OpenReport:
    return OpenReport(
        store_id=UUID(bytes=log.store_id),
        path=path,
        format_version=header.VERSION,
        mode=mode,
        locked=locked,
        clean=log.clean,
        segments=len(log.segments),
        events=log.table.bound,
        next_sequence=log.tip.sequence,
        scanned_bytes=log.scanned_bytes,
        elapsed_ms=(platform.monotonic_ns() - began) // 1_000_000,
        torn=log.torn,
        dropped_batch_items=log.dropped_batch_items,
        rebuilt=log.rebuilt,
        ignored_files=log.ignored_files,
        removed_files=log.removed_files,
        unknown_kinds=log.unknown_kinds,
        head_checked=True,
    )


def _verify_first(directory: Directory) -> None:
    """Every checksum, hash and link of the log, before anything is touched.

    A checkpoint that is not right is refused to its consumer; only an open store can reset it.

    Raises:
        CorruptStore: The first that is not right.
    """
    seen = look(directory)
    if seen.found.segments or seen.found.has_head:
        verify_log(directory, seen._replace(checkpoints={})).raise_for_damage()


def _announce(report: OpenReport, config: StoreConfig) -> None:
    """Log what an open found, and tell who asked to be told."""
    log.info(
        "opened %s: %d events in %d segments",
        report.path,
        report.events,
        report.segments,
        extra={"store_id": str(report.store_id), "path": report.path},
    )
    if report.ignored_files:
        names = ", ".join(report.ignored_files)
        log.warning("%s: not of the store: %s", report.path, names, extra={"path": report.path})
    if config.on_open is not None:
        try:
            config.on_open(report)
        except Exception:
            log.exception("on_open failed", extra={"path": report.path})
