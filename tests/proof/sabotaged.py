"""Which job notices which sabotage of the engine.

A switch that nothing notices is a hole in the proof. One job is enough: the first of those that are
named here is run on the broken engine until it finds something, and has to.
"""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from batpak.testing.sabotage import sabotage
from batpak.testing.switches import SWITCHES
from tests.proof.families import job_of
from tests.proof.family import Size, Violation

NOTICED_BY: Final[dict[str, tuple[str, str]]] = {
    "no-dirsync-create": ("crash", "reopened COMMIT by position"),
    "no-dirsync-replace": ("crash", "rotations COMMIT by position"),
    "no-filesync-replace": ("crash", "reopened COMMIT by position"),
    "ack-before-sync": ("crash", "batches COMMIT by position"),
    "publish-before-sync": ("killread", "batches by position"),
    "no-sync-at-rotation": ("crash", "rotations OS by position"),
    "stamp-ahead": ("crash", "singles OS by position"),
    "head-closed-early": ("crash", "reopened OS by position"),
    "head-stays-closed": ("crash", "singles COMMIT by position"),
    "no-head-at-rotation": ("files", "each file, killed"),
    "snapshot-not-synced": ("copies", "snapshots COMMIT by position"),
    "snapshot-without-its-name": ("copies", "snapshots COMMIT by position"),
    "snapshot-ahead": ("copies", "snapshots OS by position"),
    "snapshot-in-place": ("copies", "torn files"),
    "snapshot-grows": ("copies", "appends inside COMMIT"),
    "drafts-stay": ("copies", "snapshots COMMIT by position"),
    "fork-keeps-its-id": ("copies", "snapshots COMMIT by position"),
    "repair-deletes": ("repairs", "rotations"),
    "repair-says-nothing": ("repairs", "rotations"),
    "repair-gives-up-more": ("repairs", "rotations"),
    "retry-sync": ("sweep", "batches COMMIT"),
    "no-poison": ("sweep", "batches COMMIT"),
    "reopen-in-place": ("killread", "batches OS"),
    "no-cut": ("crash", "refused OS by position"),
    "no-erase": ("crash", "refused COMMIT by position"),
    "short-write-ok": ("sweep", "batches COMMIT"),
    "forget-intent": ("interrupt", "one, COMMIT, stop"),
    "bound-before-rows": ("interrupt", "one, COMMIT, look"),
    "zero-frame": ("crash", "singles COMMIT mapped"),
    "plain-crc": ("files", "frames moved, one file"),
    "no-stamp-check": ("rot", "killed, INTERVAL"),
    "no-backlink": ("files", "each file, closed"),
    "head-not-reached": ("files", "each file, reopened and killed"),
    "missing-file-ok": ("files", "each file, closed"),
    "partial-unit": ("crash", "batches COMMIT by position"),
    "no-hash-after-crash": ("tamper", "one event, killed"),
    "keys-not-rebuilt": ("crash", "keyed, run again COMMIT"),
    "torn-is-gone": ("crash", "batches OS by position"),
    "leftovers-stay": ("crash", "rotations COMMIT by position"),
    "unsaved-stay": ("consumers", "COMMIT"),
    "rewritten-unsynced": ("crash", "compacted COMMIT by position"),
    "no-read-back": ("crash", "compacted, by a disk that lies"),
    "replaced-go-early": ("crash", "compacted COMMIT by position"),
    "replaced-stay": ("crash", "compacted COMMIT by position"),
    "replaced-are-read": ("crash", "compacted COMMIT by position"),
    "removal-unannounced": ("crash", "compacted COMMIT by position"),
    "survivor-reencoded": ("crash", "compacted COMMIT by position"),
    "stub-loses-key": ("crash", "erased COMMIT by position"),
    "swap-loses-appends": ("killread", "compacted by position"),
    "reader-writes": ("files", "each file, closed"),
    "no-crc-on-read": ("rot", "two files, closed"),
    "footer-of-another": ("files", "spoilt footers"),
    "footer-trusted": ("files", "footers that lie"),
    "observer-looks-ahead-only": ("observe", "refused by position, each call"),
    "observer-goes-back": ("observe", "refused by position, each call"),
    "observer-file-not-finished": ("observe", "inside a look: one event, then files"),
    "observer-believes-damage": ("observe", "inside an open: closed, then opened"),
    "version-ignored": ("model", "runs 3 of 4"),
    "key-ignored": ("model", "runs 2 of 4"),
    "parent-unknown": ("model", "runs 2 of 4"),
    "fence-not-met": ("model", "runs 1 of 4"),
    "visible-in-two-steps": ("interrupt", "a fence, OS, look"),
    "fence-counts-the-log-only": ("model", "runs 1 of 4"),
    "fence-forgets-keys": ("model", "runs 1 of 4"),
    "fence-stays": ("model", "runs 1 of 4"),
    "clock-goes-back": ("model", "runs 1 of 4"),
    "id-goes-back": ("model", "runs 1 of 4"),
    "verify-without-hashes": ("tamper", "one event, closed"),
    "verify-without-links": ("tamper", "its own hash"),
    "note-ignored": ("tamper", "its own hash"),
    "signature-ignored": ("fuzz", "receipt"),
    "claim-without-content": ("fuzz", "receipt"),
    "proof-not-linked": ("fuzz", "proof"),
    "passed-before-synced": ("consumers", "OS"),
    "handled-before-synced": ("consumers", "INTERVAL"),
    "saved-before-handled": ("consumers", "COMMIT"),
    "reaction-again": ("consumers", "COMMIT"),
    "imported-again": ("move", "import, cut, COMMIT"),
    "import-in-halves": ("move", "import, cut, COMMIT"),
    "cause-of-another": ("move", "import, cut, COMMIT"),
    "hidden-shown": ("move", "each byte of A"),
    "rust-crc-ignored": ("move", "each byte of GO"),
    "rust-hash-ignored": ("move", "bent frames of M"),
    "rust-torn-anywhere": ("move", "each byte of GO"),
    "lock-not-watched": ("fork", "stolen locks"),
    "child-unlocks": ("fork", "forks under load, OS"),
    "sync-not-rewritten": ("interrupt", "one, COMMIT, while a sync is refused"),
    "unhash-flags": ("tamper", "one event, closed"),
    "unhash-kind": ("tamper", "one event, closed"),
    "unhash-payload-version": ("tamper", "one event, closed"),
    "unhash-key-ref": ("tamper", "one event, closed"),
    "unhash-batch-index": ("tamper", "one event, closed"),
    "unhash-batch-count": ("tamper", "one event, closed"),
    "unhash-wall-ms": ("tamper", "one event, closed"),
    "unhash-counter": ("tamper", "one event, closed"),
    "unhash-sequence": ("tamper", "one event, closed"),
    "unhash-version": ("tamper", "one event, closed"),
    "unhash-event-id": ("tamper", "one event, closed"),
    "unhash-correlation-id": ("tamper", "one event, closed"),
    "unhash-causation-id": ("tamper", "one event, closed"),
    "unhash-entity-and-scope": ("tamper", "one event, closed"),
    "unhash-key-and-extensions": ("tamper", "one event, closed"),
    "no-log-link": ("tamper", "its own hash"),
    "no-entity-link": ("tamper", "one event, closed"),
    "no-store-id": ("tamper", "identities"),
}


def noticed(switch: str) -> list[Violation]:
    """What is found on the engine with that switch."""
    with sabotage(switch):
        return job_of(*NOTICED_BY[switch]).run(Size.DEFAULT, stop_early=True).violations


def report(console: Console) -> int:
    """Break the engine in every way, one after the other; how many ways nobody noticed."""
    table = Table("switch", "breaks", "noticed by", "seconds", "as")
    missed = 0
    for name, switch in SWITCHES.items():
        began = time.perf_counter()
        found = noticed(name)
        seconds = f"{time.perf_counter() - began:.2f}"
        missed += not found
        seen = escape(found[0].what.partition("\n")[0][:60]) if found else "[red]NOT NOTICED"
        table.add_row(name, switch.breaks, " / ".join(NOTICED_BY[name]), seconds, seen)
    console.print(table)
    console.print(f"{len(SWITCHES) - missed} of {len(SWITCHES)} noticed")
    return missed
