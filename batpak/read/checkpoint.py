"""Checkpoints: how far a consumer has come, in `cursors/<id>.ckpt`.

    0     4         6     8        8 + n
    | FBCK | version | n  | array   | crc |
      4 B    u16 = 1  u16   n bytes   u32

array  [store_id, checkpoint id, region identity, form, position, passed_hash, written_ns]
crc    CRC-32 of all bytes before it.

A position is the next sequence to look at; `passed_hash` is the event_hash of the one before it, so
a log that was restored and then went another way is told from the one that was read. Region and
form are nil after a reset: whoever comes next binds it. Written by atomic replacement, when the
whole log is durable: what is passed, and what was stored in answer to it. A file that is not right
is refused, never guessed at. Big-endian.
Reference: docs/reference/file-format.md, "Checkpoints".
"""

from __future__ import annotations

import datetime as dt
import re
import struct
import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple, final
from uuid import UUID

from msgspec import Struct

from batpak import codec, digest
from batpak.arguments import is_count
from batpak.clock import STAMP_NS_MAX
from batpak.commit.lane import Lane
from batpak.digest import ZERO_HASH
from batpak.disk.seam import Directory
from batpak.errors import (
    CorruptStore,
    DamageError,
    FutureVersion,
    InvalidArgument,
    StoreClosed,
    StorePoisoned,
    TooLarge,
)
from batpak.faults import CHECKPOINT_HINTS, CheckpointFault
from batpak.index.table import Table
from batpak.journal import layout
from batpak.platform import Platform
from batpak.read.fetch import Fetch
from batpak.region import Region
from batpak.wire import Form

MAGIC: Final = b"FBCK"
VERSION: Final = 1
BYTES_MAX: Final = layout.CHECKPOINT_BYTES_MAX

_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_PREFIX: Final = struct.Struct(">4sHH")
_CRC: Final = struct.Struct(">I")


@final
class CheckpointInvalid(DamageError):
    """A consumer may not go on from its checkpoint. Nothing was read, nothing was changed."""

    code = "checkpoint-invalid"

    def __init__(self, checkpoint_id: str, reason: CheckpointFault, detail: str) -> None:
        self.checkpoint_id, self.reason, self.detail = checkpoint_id, reason, detail
        super().__init__(
            f"checkpoint {checkpoint_id}: {detail} [{reason.value}]", hint=CHECKPOINT_HINTS[reason]
        )


class Saved(NamedTuple):
    """The seven values, in stored order."""

    store_id: bytes
    checkpoint_id: str
    region: str | None
    form: str | None
    position: int
    passed_hash: bytes
    written_ns: int


_DECODE: Final = codec.decoder(Saved).decode


class CursorCheckpoint(Struct, frozen=True):
    """What one file in `cursors/` says."""

    checkpoint_id: str
    position: int | None = None  # the next sequence to look at
    region: str | None = None  # `Region.identity`; None also after a reset
    saved_at: dt.datetime | None = None  # aware, UTC
    error: DamageError | None = None  # why nobody can go on from it; then the rest is None


def encode(saved: Saved) -> bytes:
    """The bytes of the file.

    Raises:
        TooLarge: The region has too many kinds.
    """
    body = codec.encode(saved._replace(written_ns=min(saved.written_ns, STAMP_NS_MAX)))
    size = _PREFIX.size + len(body) + _CRC.size
    if size > BYTES_MAX:
        raise TooLarge("checkpoint", size, BYTES_MAX)
    data = _PREFIX.pack(MAGIC, VERSION, len(body)) + body
    return data + _CRC.pack(digest.crc32(data))


def decode(data: bytes, checkpoint_id: str) -> Saved:
    """Read the bytes of the file.

    Raises:
        CheckpointInvalid: CORRUPT: they are not as `encode` spells them.
        FutureVersion: They are whole and newer.
    """
    if len(data) < _PREFIX.size + _CRC.size:
        raise _corrupt(checkpoint_id, "the file is cut")
    if digest.crc32(data[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
        raise _corrupt(checkpoint_id, "the checksum does not match")
    magic, version, length = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise _corrupt(checkpoint_id, "the file does not begin as a checkpoint does")
    if version > VERSION:
        raise FutureVersion(f"checkpoint {checkpoint_id}", version, VERSION)
    body = data[_PREFIX.size : -_CRC.size]
    try:
        saved = _DECODE(body)
    except codec.DecodeError as error:
        raise _corrupt(checkpoint_id, f"the file is not as described: {error}") from error
    plausible = (
        version == VERSION
        and length == len(body)
        and len(saved.store_id) == len(UUID(int=0).bytes)
        and len(saved.passed_hash) == digest.HASH_BYTES
        and min(saved.position, saved.written_ns) >= 0
        and (saved.region is None) == (saved.form is None)
    )
    if not plausible or codec.encode(saved) != body:
        raise _corrupt(checkpoint_id, "the file is not as this format writes it")
    return saved


def _corrupt(checkpoint_id: str, detail: str) -> CheckpointInvalid:
    return CheckpointInvalid(checkpoint_id, CheckpointFault.CORRUPT, detail)


def id_of(checkpoint_id: object) -> str:
    """The id of a checkpoint, which is also the name of its file.

    Raises:
        InvalidArgument: It is none.
    """
    if not isinstance(checkpoint_id, str) or not _ID.fullmatch(checkpoint_id):
        reason = "must be 1..128 of A-Z a-z 0-9 . _ -, not beginning with a dot"
        raise InvalidArgument("checkpoint_id", reason)
    return str.__str__(checkpoint_id)  # a member of a StrEnum is as good


def ids(directory: Directory) -> list[str]:
    """Of the checkpoints in the directory of a store, in order.

    Raises:
        StorageFailed: The system refused.
    """
    names = layout.consumers(directory).checkpoints
    found = [name.removesuffix(layout.CHECKPOINT) for name in names]
    return [one for one in found if _ID.fullmatch(one)]


def contradiction(
    saved: Saved,
    checkpoint_id: str,
    store_id: bytes,
    bound: int,
    hash_before: Callable[[int], bytes | None],
) -> CheckpointInvalid | None:
    """Why what is saved is not of this log; None: it is.

    Args:
        saved: What the file says.
        checkpoint_id: Its name.
        store_id: Of the store that it lies in.
        bound: Where the log of that ends.
        hash_before: The event_hash of the event before a position; None: that is not known.
    """
    if saved.store_id != store_id:
        fault, detail = CheckpointFault.FOREIGN, "it is of another store"
    elif saved.checkpoint_id != checkpoint_id:
        fault, detail = CheckpointFault.FOREIGN, f"it is that of {saved.checkpoint_id!a}"
    elif saved.position > bound:
        fault = CheckpointFault.AHEAD
        detail = f"it stands at {saved.position}, the log ends at {bound}"
    elif hash_before(saved.position) not in (None, saved.passed_hash):
        fault = CheckpointFault.FOREIGN
        detail = f"another event than here stood before {saved.position}"
    else:
        return None
    return CheckpointInvalid(checkpoint_id, fault, detail)


class Checkpoint:
    """One checkpoint in use. It is free again when it is released, or lost.

    Args:
        shelf: Where it belongs.
        checkpoint_id: Its id.
        region: Of the consumer, as its identity.
        form: Likewise, as its name.
    """

    def __init__(self, shelf: Checkpoints, checkpoint_id: str, region: str, form: str) -> None:
        self.checkpoint_id: Final = checkpoint_id
        self._shelf, self._region, self._form = shelf, region, form
        self.position: int | None = None
        """Where it stands; None: it was never saved."""

    def save(self, position: int) -> None:
        """Say durably that everything before a position is done.

        Raises:
            StorageFailed: The system refused. What is saved is this position or the one before.
            DurabilityUnknown: The log could not be made durable up to there.
            StoreClosed, StorePoisoned: This handle writes no more.
            InvalidArgument: The log ends before the position.
        """
        self._shelf.save(self.checkpoint_id, self._region, self._form, position)
        self.position = position

    def release(self) -> None:
        """Let somebody else have it. Twice is harmless."""
        self._shelf.release(self)


class Checkpoints:
    """All of one store that was opened for writing. Any thread may use them.

    Args:
        directory: Of the store.
        store_id: Its identity.
        fetch: Reads its log.
        table: The index of that.
        lane: Makes it durable.
        platform: The world.
    """

    def __init__(
        self,
        directory: Directory,
        store_id: UUID,
        fetch: Fetch,
        table: Table,
        lane: Lane,
        platform: Platform,
    ) -> None:
        self._directory, self._store_id = directory, store_id.bytes
        self._fetch, self._table, self._lane = fetch, table, lane
        self._wall_ns = platform.wall_ns
        self._held: dict[str, weakref.ref[Checkpoint]] = {}
        self._shelf: Directory | None = None  # opened by whoever needs it first

    def claim(self, checkpoint_id: str, region: Region, form: Form[Any]) -> Checkpoint:
        """Go on from a checkpoint, or begin one.

        Raises:
            InvalidArgument: That is no id.
            CheckpointInvalid: It cannot be gone on from, for one of five reasons.
            FutureVersion: The file is newer than this code.
            TooLarge: The region has too many kinds.
            StorageFailed: The system refused.
        """
        checkpoint_id = id_of(checkpoint_id)
        mine = Checkpoint(self, checkpoint_id, region.identity, repr(form))
        self._hold(mine)
        try:
            self._encode(checkpoint_id, region.identity, repr(form), 0, ZERO_HASH)
            saved = self._read(checkpoint_id)
            if saved is not None:
                self._match(saved, checkpoint_id)
                if saved.region not in (None, region.identity) or saved.form not in (
                    None,
                    repr(form),
                ):
                    detail = f"it is of {saved.region} as {saved.form}"
                    raise CheckpointInvalid(checkpoint_id, CheckpointFault.REGION, detail)
                mine.position = saved.position
        except BaseException:
            self.release(mine)
            raise
        return mine

    def _hold(self, mine: Checkpoint) -> None:
        held, name = self._held, mine.checkpoint_id

        def forget(lost: weakref.ref[Checkpoint]) -> None:
            if held.get(name) is lost:
                del held[name]

        claim = weakref.ref(mine, forget)
        if held.setdefault(name, claim) is not claim:
            detail = "another consumer of this store goes on from it"
            raise CheckpointInvalid(name, CheckpointFault.IN_USE, detail)

    def release(self, mine: Checkpoint) -> None:
        """Let somebody else have a checkpoint, if it is still this one's."""
        held = self._held.get(mine.checkpoint_id)
        if held is not None and held() is mine:
            del self._held[mine.checkpoint_id]

    def reset(self, checkpoint_id: str, position: int) -> None:
        """Set a checkpoint, whatever the file says now. Whoever comes next binds it to a region.

        Raises:
            InvalidArgument: That is no id, or the log has no such position.
            CheckpointInvalid: IN_USE.
            As `Checkpoint.save`.
        """
        checkpoint_id = id_of(checkpoint_id)
        mine = Checkpoint(self, checkpoint_id, "", "")
        if not is_count(position) or position > self._table.bound:
            raise InvalidArgument("position", "must be a sequence of the log, or the next one")
        self._hold(mine)
        try:
            self.save(checkpoint_id, None, None, position)
        finally:
            self.release(mine)

    def listing(self) -> tuple[CursorCheckpoint, ...]:
        """What every file says, by id.

        Raises:
            StorageFailed: The system refused.
        """
        return tuple(self._told(one) for one in ids(self._directory))

    def _told(self, checkpoint_id: str) -> CursorCheckpoint:
        try:
            saved = self._read(checkpoint_id)
            if saved is None:  # it was removed meanwhile
                return CursorCheckpoint(checkpoint_id)
            self._match(saved, checkpoint_id)
        except DamageError as error:
            return CursorCheckpoint(checkpoint_id, error=error)
        at = dt.datetime.fromtimestamp(saved.written_ns // 1_000_000_000, tz=dt.UTC)
        return CursorCheckpoint(checkpoint_id, saved.position, saved.region, at)

    # ------------------------------------------------------------------------------------- files

    def save(self, checkpoint_id: str, region: str | None, form: str | None, position: int) -> None:
        """Replace the file of a checkpoint; durable on return. See `Checkpoint.save`."""
        lane = self._lane
        if lane.closed or self._fetch.closed:
            raise StoreClosed
        if lane.poison is not None:
            raise StorePoisoned(lane.poison)
        if position > self._table.bound:
            raise InvalidArgument("position", "the log ends before it")
        if lane.tip.durable < lane.tip.sequence:  # also what a handler has stored meanwhile
            lane.sync()
        passed = self._hash_before(position)
        data = self._encode(checkpoint_id, region, form, position, passed)
        shelf = self._shelf
        if shelf is None:
            with layout.asking("create", layout.path_of(self._directory, layout.CURSORS)):
                shelf = self._shelf = self._directory.subdir(layout.CURSORS, create=True)
        layout.replace(shelf, checkpoint_id + layout.CHECKPOINT, data)

    def _encode(
        self, checkpoint_id: str, region: str | None, form: str | None, position: int, passed: bytes
    ) -> bytes:
        now = self._wall_ns()
        return encode(Saved(self._store_id, checkpoint_id, region, form, position, passed, now))

    def _hash_before(self, position: int) -> bytes:
        if not position:
            return ZERO_HASH
        return self._fetch.event_hash(*self._table.locate(position - 1))

    def _match(self, saved: Saved, checkpoint_id: str) -> None:
        bound = self._table.bound
        bad = contradiction(saved, checkpoint_id, self._store_id, bound, self._hash_before)
        if bad is not None:
            raise bad

    def _read(self, checkpoint_id: str) -> Saved | None:
        """What is saved; None: nothing ever was."""
        shelf, name = self._open(), checkpoint_id + layout.CHECKPOINT
        if shelf is None:
            return None
        with layout.asking("list", shelf.path):
            if not any(entry.name == name for entry in shelf.entries()):
                return None
        try:
            data = layout.read_small(shelf, name, BYTES_MAX)
        except CorruptStore as error:
            raise _corrupt(checkpoint_id, error.detail) from error
        return decode(data, checkpoint_id)

    def _open(self) -> Directory | None:
        """The directory of the files, if there is one."""
        if self._shelf is None:
            self._shelf = layout.shelf_of(self._directory)
        return self._shelf

    def close(self) -> None:
        """Let go of the directory. Twice is harmless."""
        self._shelf = None  # closed by itself, once nobody is about to write there
