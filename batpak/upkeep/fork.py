"""A fork: a snapshot that may diverge. What it stores belongs to a store of its own.

    files up to the fork    as they are, under the id that they were written with
    the file behind them    a new id; its header names the origin, and where that was left
    HEAD                    the new id

Event hashes go on across the link: the first new event covers the last old one. So receipts and
notes of the origin hold up to the fork, and for nothing behind it. Where the file system can share
blocks until somebody writes to them, sealed files are not copied. They are never linked: a link is
one file with two names, and what happens to it happens to both. Reference: docs/adr/0031.
"""

from __future__ import annotations

from contextlib import closing
from uuid import UUID

from batpak.disk.seam import Directory
from batpak.journal import head, header, layout
from batpak.journal.header import Link, Origin
from batpak.platform import Platform
from batpak.report import ForkReport
from batpak.upkeep.snapshot import Pinned, Point, copied


def diverge(point: Point, target: Directory, platform: Platform) -> ForkReport:
    """Write a fork of what was noted into an empty directory, and give the files back.

    Args:
        point: What is forked.
        target: The directory.
        platform: The world.

    Raises:
        StorageFailed: The system refused.
        CorruptStore: A file is shorter than what was written to it.
    """
    state, newest, files = point.state, point.newest, point.files
    number = newest.segment_id + 1
    prev: Link | None = Link(newest.segment_id, state.frames_end, state.chain_head)
    origin: Origin | None = None
    if state.next_sequence == newest.first_sequence:  # a file without events is not continued
        files, number = files[:-1], newest.segment_id
        prev, origin = newest.prev, newest.origin
    store_id = platform.entropy(header.STORE_ID_BYTES)
    first = header.encode(
        store_id=store_id,
        segment_id=number,
        created_ns=platform.wall_ns(),
        first_sequence=state.next_sequence,
        salt=platform.entropy(header.SALT_BYTES),
        prev=prev,
        origin=origin or Origin(state.store_id, state.next_sequence, state.chain_head),
    )
    shared = 0
    try:
        for pinned in files:
            if _shared(target, pinned):
                shared += pinned.size
            else:
                copied(target, pinned)
    finally:
        point.close()
    layout.replace(target, layout.segment_name(number), first)
    head.write(
        target,
        state._replace(store_id=store_id, segment_id=number, frames_end=len(first)),
    )
    return ForkReport(
        store_id=UUID(bytes=store_id),
        origin=UUID(bytes=state.store_id),
        sequence=state.next_sequence,
        head=state.chain_head,
        bytes=sum(pinned.size for pinned in files),
        shared=shared,
    )


def _shared(target: Directory, pinned: Pinned) -> bool:
    """Have the blocks of a sealed file without copying them, if the system can do that."""
    if not pinned.whole:
        return False
    temporary = pinned.name + layout.TEMPORARY
    with layout.asking("clone", layout.path_of(target, temporary)):
        with closing(target.create(temporary)) as file:
            done = file.clone(pinned.file)
            if done:
                file.truncate(pinned.size)
                file.sync(data_only=False)
        if done:
            target.replace(temporary, pinned.name)
        else:
            target.unlink(temporary)
    return done
