"""LMDB as an event log: one transaction for each event, keyed by sequence.

*With two indexes* keeps the id, and entity and version, beside it. *Raw* puts bytes that were
encoded before the clock started. No map is written through (`writemap` off, the default).
"""

from __future__ import annotations

import time
from pathlib import Path

import lmdb

from tests.bench.work import Prepared, Work, encode

_MAP_BYTES = 4 << 30


def append(work: Work, folder: Path, *, sync: bool = False, indexed: bool = False) -> float:
    with lmdb.open(str(folder / "lmdb"), map_size=_MAP_BYTES, sync=sync, max_dbs=3) as env:
        log, by_id, by_entity = (env.open_db(name) for name in (b"log", b"id", b"entity"))
        row = Prepared().row
        began = time.perf_counter()
        for entity, payload in work.pairs:
            sequence, event_id, _, version, scope, kind, wall, correlation, digest, data = row(
                entity, payload
            )
            key = sequence.to_bytes(8, "big")
            name = entity.encode()
            value = b"".join(
                (
                    event_id,
                    version.to_bytes(8, "big"),
                    kind.to_bytes(2, "big"),
                    wall.to_bytes(8, "big"),
                    correlation,
                    digest,
                    len(name).to_bytes(2, "big"),
                    name,
                    scope.encode(),
                    data,
                )
            )
            with env.begin(write=True) as txn:
                txn.put(key, value, db=log, append=True)
                if indexed:
                    txn.put(event_id, key, db=by_id)
                    txn.put(name + version.to_bytes(8, "big"), key, db=by_entity)
        env.sync(force=True)
    return time.perf_counter() - began


def append_raw(work: Work, folder: Path) -> float:
    data = [encode(payload) for _, payload in work.pairs]
    with lmdb.open(str(folder / "lmdb"), map_size=_MAP_BYTES, sync=False) as env:
        began = time.perf_counter()
        for sequence, value in enumerate(data):
            with env.begin(write=True) as txn:
                txn.put(sequence.to_bytes(8, "big"), value, append=True)
        env.sync(force=True)
    return time.perf_counter() - began
