"""Stats: what is in a store, counted from names, columns and sizes of files."""

from __future__ import annotations

from collections import Counter

from batpak.disk.seam import Directory
from batpak.index import query
from batpak.index.table import Table
from batpak.journal import layout
from batpak.read import checkpoint
from batpak.region import Region
from batpak.report import Stats


def stats_of(directory: Directory, table: Table) -> Stats:
    """Count what is visible now.

    Raises:
        StorageFailed: The system refused.
    """
    bound = table.bound
    kinds: Counter[int] = Counter()
    scopes: set[str] = set()
    for part, low, high in table.spans(0, bound):
        scopes.update(part.scopes())
        kinds.update(query.kind_counts(part, low, high))
    dropped, erased = query.stubs(table, 0, bound)
    found = layout.listing(directory)
    return Stats(
        events=query.count(table, Region.all(), 0, bound),
        dropped=dropped,
        erased=erased,
        next_sequence=bound,
        entities=sum(1 for _ in query.entities(table, None, None)),
        scopes=len(scopes),
        kinds=dict(sorted(kinds.items())),
        segments=len(found.segments),
        bytes=sum(found.segments.values()),
        quarantine_bytes=layout.quarantined_bytes(directory),
        checkpoints=len(checkpoint.ids(directory)) if found.has_cursors else 0,
    )
