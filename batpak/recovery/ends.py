"""Ends: the headers of all files, judged together, before anything else of them is read."""

from __future__ import annotations

from batpak.disk.seam import Directory
from batpak.errors import CorruptStore
from batpak.index import sidx
from batpak.journal import header, layout
from batpak.journal.head import Head
from batpak.journal.header import Ends
from batpak.recovery import decide
from batpak.recovery.decide import Refuse


def refusal(directory: Directory, verdict: Refuse) -> CorruptStore:
    """A verdict as the exception that callers see."""
    path = layout.path_of(directory, verdict.file)
    return CorruptStore(path, verdict.offset, verdict.reason, verdict.detail)


def ends_of(
    directory: Directory, found: layout.Listing, state: Head
) -> tuple[list[Ends], list[str]]:
    """Both ends of every file, and the names of leftovers, the last one first.

    Those are of files that compaction has replaced; nothing of them is read.

    Raises:
        CorruptStore: A header is damaged, or they do not fit together, or HEAD does not fit them.
        FutureVersion, InvalidArgument, StorageFailed: See `header.read`.
    """
    ends: list[Ends] = []
    replaced: list[str] = []
    for number in found.segments:
        if decide.is_leftover(number, ends[-1].header if ends else None):
            replaced.insert(0, layout.segment_name(number))
            continue
        current = header.read(directory, layout.segment_name(number), sidx.TAIL_BYTES)
        bad = decide.link(current.header, number, ends[-1].header if ends else None)
        if bad is not None:
            raise refusal(directory, bad)
        ends.append(current)
    newest = ends[-1]
    is_empty = newest.size == newest.start
    bad = decide.head_place(state, newest.header, newest.header.segment_id, is_empty=is_empty)
    bad = bad or decide.head_age(state, [one.header for one in ends])
    if bad is not None:
        raise refusal(directory, bad)
    return ends, replaced
