"""Stats: what is in a store, counted from names, columns and sizes of files."""

from __future__ import annotations

from collections import Counter

from batpak.disk.seam import Directory
from batpak.errors import CorruptStore, StorageFailed
from batpak.index import query
from batpak.index.table import Table
from batpak.journal import header, layout
from batpak.journal.header import Header
from batpak.journal.segment import GONE
from batpak.read import checkpoint
from batpak.recovery import decide
from batpak.region import Region
from batpak.report import Stats


def _live(directory: Directory, found: layout.Listing) -> dict[int, int]:
    """The sizes of the files that are of the log, by number: not of those merged into another one.

    A compaction removes those, or the next writable open, if it was cut short.
    """
    sizes: dict[int, int] = {}
    before: Header | None = None
    for number, size in found.segments.items():
        if decide.is_leftover(number, before):
            continue
        try:
            before = header.read(directory, layout.segment_name(number), 0).header
        except StorageFailed as error:
            if error.errno not in GONE:
                raise
            continue  # removed since
        except CorruptStore:
            before = None  # it is there, whatever it is
        sizes[number] = size
    return sizes


def stats_of(directory: Directory, table: Table) -> Stats:
    """Count what is visible now.

    Raises:
        StorageFailed: The system refused.
    """
    bound = table.bound
    kinds: Counter[int] = Counter()
    for part, low, high in table.spans(0, bound):
        kinds.update(query.kind_counts(part, low, high))
    dropped, erased = query.stubs(table, 0, bound)
    found = layout.listing(directory)
    sizes = _live(directory, found)
    return Stats(
        events=query.count(table, Region.all(), 0, bound),
        dropped=dropped,
        erased=erased,
        next_sequence=bound,
        entities=sum(1 for _ in query.entities(table, None, None)),
        scopes=len(query.scopes(table)),
        kinds=dict(sorted(kinds.items())),
        segments=len(sizes),
        bytes=sum(sizes.values()),
        quarantine_bytes=layout.quarantined_bytes(directory),
        checkpoints=len(checkpoint.ids(directory)) if found.has_cursors else 0,
    )
