"""What can be broken in the engine, one line of reasoning each. See `sabotage`.

A switch that no test notices is a hole in the tests. Source: docs/explanation/what-is-promised.md.
"""

from __future__ import annotations

from typing import Final

from batpak.testing.reading import READING
from batpak.testing.switch import NEVER, Switch, edit, lines, one
from batpak.testing.tampering import TAMPERING

SWITCHES: Final[dict[str, Switch]] = {
    **READING,
    **TAMPERING,
    # ------------------------------------------------------------------------ what is durable when
    "no-dirsync-create": one(
        "the name of a new segment is not made durable",
        "journal.layout:publish",
        ("directory.sync()", "directory.sync() if name == HEAD else None"),
    ),
    "no-dirsync-replace": one(
        "the rename of HEAD is not made durable",
        "journal.layout:publish",
        ("directory.sync()", "directory.sync() if name != HEAD else None"),
    ),
    "no-filesync-replace": one(
        "a file gets its name before its data is durable",
        "journal.layout:_write_whole",
        ("file.sync(data_only=False)", "pass"),
    ),
    "ack-before-sync": one(
        "COMMIT answers after the write",
        "commit.flight:Flight._carry_out",
        ("if plan.sync and self._durable_end < tip.end:", NEVER),
    ),
    "publish-before-sync": one(
        "readers see what a power cut takes back",
        "commit.flight:Flight._carry_out",
        (
            lines("if plan.sync and self._durable_end < tip.end:"),
            lines(
                "if plan.data:",
                "    self._rotation.newest.end = tip.end",
                "    table.tail.publish(plan.change)",
                "table.bound = tip.sequence",
                "if plan.sync and self._durable_end < tip.end:",
            ),
        ),
    ),
    "no-sync-at-rotation": one(
        "a new file is begun behind one that is not durable",
        "commit.flight:Flight._rotate",
        ("self._sync_all()", "pass"),
    ),
    "stamp-ahead": Switch(
        "the stamp of an event says that those before it are durable, before they are",
        (
            edit("commit.stage:Stage.plan", ("_U64(tip.durable)", "_U64(tip.sequence)")),
            edit("commit.stage:Stage._plan_plain", ("_U64(tip.durable)", "_U64(tip.sequence)")),
        ),
    ),
    "head-closed-early": Switch(
        "HEAD says that the log was closed before the end of it is durable",
        (
            edit("commit.lane:Lane._end_log", ("self._sync_all()", "pass")),
            edit("commit.rotation:Rotation.end", ("self.active.cut(tip.end)", "pass")),
        ),
    ),
    "head-stays-closed": one(
        "HEAD says that the log was closed while somebody writes to it",
        "recovery.restore:_reopen",
        ("head.OPEN", "head.CLEAN"),
    ),
    "no-head-at-rotation": one(
        "HEAD does not name the newest file, so it may vanish",
        "commit.rotation:Rotation.publish",
        ("layout.publish(self._directory, layout.HEAD)", "pass"),
    ),
    "snapshot-not-synced": one(
        "a copy gets its name before its files are durable",
        "upkeep.snapshot:copied",
        ("file.sync(data_only=False)", "pass"),
    ),
    "snapshot-without-its-name": one(
        "the name of a copy is not made durable",
        "upkeep.draft:_publish",
        ("parent.sync()", "pass"),
    ),
    "snapshot-ahead": one(
        "a copy has what a power cut takes back from its source",
        "store:Store._point",
        ("lane.synced()", "lane.tip"),
    ),
    "snapshot-in-place": one(
        "a file has its name while it is copied",
        "upkeep.snapshot:copied",
        ("pinned.name + layout.TEMPORARY", "pinned.name"),
    ),
    "snapshot-grows": one(
        "a copy has what was appended while it was made",
        "upkeep.snapshot:copied",
        ("while done < pinned.size:", "while done < pinned.file.size():"),
        ("min(CHUNK_BYTES, pinned.size - done)", "CHUNK_BYTES"),
    ),
    "drafts-stay": one(
        "what an interrupted copy left is never removed",
        "upkeep.draft:_sweep",
        ("_remove(parent, entry.name)", "pass"),
    ),
    "fork-keeps-its-id": one(
        "what a fork stores has the id of its origin",
        "upkeep.fork:diverge",
        ("store_id = platform.entropy(header.STORE_ID_BYTES)", "store_id = state.store_id"),
    ),
    "repair-deletes": one(
        "a repair takes files away that nobody has kept",
        "upkeep.repair:_Repair._act",
        ("layout.quarantine(directory, later, 0, memoryview(self._bytes(later)))", "str(later)"),
    ),
    "repair-says-nothing": one(
        "a repaired log does not say that it was cut",
        "upkeep.repair:_Repair._act",
        ("last.data + frames", "last.data"),
        ("after.end,", "tip.end,"),
        ("after.sequence,", "tip.sequence,"),
        ("after.chain_head,", "tip.chain_head,"),
    ),
    "repair-gives-up-more": one(
        "a repair keeps whole files only",
        "upkeep.repair:_Repair._walk",
        ("end, last = unit[-1].end, unit[-1]", "pass"),
    ),
    # ------------------------------------------------------------------------- refused and repeated
    "retry-sync": one(
        "a sync that failed is tried again",
        "commit.flight:Flight._sync",
        (
            lines("self._rotation.active.sync()"),
            lines(
                "try:",
                "    self._rotation.active.sync()",
                "except OSError:",
                "    self._rotation.active.sync()",
            ),
        ),
    ),
    "no-poison": one(
        "writing goes on after a sync that failed",
        "commit.flight:Flight._stop",
        ("if self.poison is None:", NEVER),
        ("self.ended = True", "pass"),
    ),
    "reopen-in-place": one(
        "a file that was not closed is written on, whatever the cache holds",
        "recovery.restore:_Restoration._clear",
        ("if not self._clean:", NEVER),
    ),
    "no-cut": one(
        "what a refused write has left stays",
        "commit.flight:Flight._undo",
        ("rotation.active.undo(plan.offset, len(plan.data))", "pass"),
    ),
    "no-erase": one(
        "what a refused write has left is cut off, and may come back with its blocks",
        "journal.active:ActiveFile.undo",
        ("if left > 0:", NEVER),
    ),
    "short-write-ok": one(
        "a short write counts as a whole one",
        "journal.active:ActiveFile.write",
        (
            "if self._file.write(offset, data) != len(data):",
            "if not self._file.write(offset, data):",
        ),
    ),
    "forget-intent": Switch(
        "a commit that was interrupted is dropped",
        (
            edit(
                "commit.flight:Flight._settle_all",
                ("self._settle(self._intent)", "self._intent = None"),
            ),
            edit("commit.lane:Lane._round", ("self._settle(self._intent)", "self._intent = None")),
        ),
    ),
    "bound-before-rows": one(
        "events are visible before the index has them",
        "commit.flight:Flight._carry_out",
        (
            "        if plan.data:\n            self._rotation",
            "        table.bound = tip.sequence\n        if plan.data:\n            self._rotation",
        ),
    ),
    # ---------------------------------------------------------------------------------- recovery
    "zero-frame": one(
        "zeros are frames of nothing",
        "journal.scan:Scan.__iter__",
        (
            lines("    stop = begin + length"),
            lines(
                "    if not length and begin <= end:",
                "        offset = begin",
                "        continue",
                "    stop = begin + length",
            ),
        ),
    ),
    "plain-crc": Switch(
        "the checksum of a frame does not bind it to its place",
        (
            edit(
                "journal.frame:crc_of",
                (
                    "_crc32(body, _crc32(pack_place(offset, len(body)), segment_seed))",
                    "_crc32(body)",
                ),
            ),
            edit(
                "journal.frame:encode",
                (
                    "_crc32(record, _crc32(pack_place(offset, length), segment_seed))",
                    "_crc32(record)",
                ),
            ),
            edit(
                "journal.scan:Scan.__iter__",
                ("crc32(body, crc32(pack_place(offset, length), seed))", "crc32(body)"),
            ),
        ),
    ),
    "no-stamp-check": one(
        "what later frames say was durable is not looked at",
        "recovery.decide:frames",
        ("if facts.rest.kind is RestKind.FRAMES and facts.rest.stamp > facts.sequence:", NEVER),
    ),
    "no-backlink": Switch(
        "where the next file says that this one ends is not looked at",
        (
            edit("recovery.decide:sealed", ("if ends.size < recorded.frames_end or", "if")),
            edit(
                "recovery.footer:made",
                ("if walk.unit != recorded.frames_end:", NEVER),
                (
                    "if (chain.chain_head, chain.sequence) != (",
                    "if False and (chain.chain_head, chain.sequence) != (",
                ),
            ),
            edit(
                "recovery.decide:_short_of_record",
                ("if facts.unit != end.frames_end:", NEVER),
                (
                    "if (facts.chain_head, facts.sequence) != (end.chain_head, end.next_sequence):",
                    NEVER,
                ),
            ),
        ),
    ),
    "head-not-reached": one(
        "a log that is shorter than HEAD says is taken",
        "recovery.decide:frames",
        ("if facts.bound is not None and not facts.bound_holds:", NEVER),
    ),
    "missing-file-ok": one(
        "a missing newest file is not missed",
        "recovery.decide:head_place",
        ("if state.segment_id > newest:", NEVER),
    ),
    "partial-unit": one(
        "the first items of a batch are taken for the whole of it",
        "journal.scan:Scan.__iter__",
        (
            lines("self.open_unit = unit"),
            lines(
                "if unit:",
                "    self.last = unit[-1]",
                "    yield unit",
                "    unit = []",
                "self.open_unit = unit",
            ),
        ),
    ),
    "no-hash-after-crash": one(
        "a log that was not closed is opened without its hashes",
        "recovery.restore:_Restoration._scan",
        ("hashed=not self._clean", "hashed=False"),
    ),
    "keys-not-rebuilt": one(
        "keys of events in the newest file are known to the process only that wrote them",
        "recovery.footer:_change",
        ("{} if key is None else {key: row}", "{}"),
    ),
    "torn-is-gone": one(
        "torn bytes are dropped, and not kept as evidence",
        "recovery.restore:_Restoration._clear",
        ("layout.quarantine(directory, number, end, data[end:content_end])", "None"),
    ),
    "leftovers-stay": one(
        "files of an interrupted replacement are not removed",
        "recovery.restore:_reopen",
        ("for name in (*found.leftovers, *replaced):", "for name in ():"),
    ),
    # --------------------------------------------------------------------------------- compaction
    "rewritten-unsynced": one(
        "a file that stands for others gets its name before its data is durable",
        "journal.rewritten:Rewritten.finish",
        ("self._file.sync(data_only=False)", "pass"),
    ),
    "no-read-back": one(
        "a file that stands for others is not looked at before it does",
        "upkeep.output:Builder._written",
        ("self._read_back(group, fresh, offsets, recorded)", "pass"),
    ),
    "replaced-go-early": one(
        "the files that another one stands for go before its name is durable",
        "upkeep.compaction:Compaction._finish",
        ("self._directory.sync()", "pass"),
    ),
    "replaced-stay": one(
        "the files of a compaction that was cut short are not removed",
        "recovery.ends:ends_of",
        ("replaced.insert(0, layout.segment_name(number))", "pass"),
    ),
    "replaced-are-read": one(
        "the files of a compaction that was cut short count as well",
        "recovery.decide:is_leftover",
        ("return before is not None and", "return False and before is not None and"),
    ),
    "removal-unannounced": one(
        "events are removed, and the log does not say so",
        "upkeep.compaction:Compaction._carry_out",
        ("if not announced:", NEVER),
    ),
    "survivor-reencoded": Switch(
        "a compaction writes payloads anew that stay",
        (
            edit(
                "upkeep.output:_records",
                (
                    "return records",
                    "return [body[:-1] + bytes([body[-1] ^ 1]) for body in records]",
                ),
            ),
            edit("upkeep.output:Builder._read_back", ("if bodies != were:", NEVER)),
        ),
    ),
    "stub-loses-key": one(
        "the key of an event that was removed is free again",
        "journal.segment:Segments.key",
        (
            "return None if opt is None else opt[0]",
            "return None if opt is None or body[record.TYPE_AT] != record.EVENT else opt[0]",
        ),
    ),
    "swap-loses-appends": one(
        "what was completed while files were written anew is not read any more",
        "index.table:Table.merged",
        ("part, *known[stop:]]", "part, known[-1]]"),
    ),
    "unsaved-stay": one(
        "checkpoints of an interrupted save are not removed",
        "recovery.restore:_reopen",
        ("for name in unsaved:", "for name in ():"),
    ),
    "reader-writes": one(
        "a read-only open changes a file",
        "recovery.restore:_Restoration._rebuild",
        ("if writable:", "if True:"),
    ),
    # ------------------------------------------------------------------------------------- reading
    "no-crc-on-read": one(
        "what is read is not checked",
        "journal.segment:Segment.check",
        ("if good is None:", "if True:"),
    ),
    "footer-of-another": one(
        "the footer of another file is taken",
        "index.sidx:check",
        ("if is_ != due:", NEVER),
    ),
    "footer-trusted": Switch(
        "what a footer says of an event is not confirmed by its frame",
        (
            edit(
                "journal.segment:Segments._confirmed",
                ("if record.unpack_what(body, record.TYPE_AT)[3] != sequence:", NEVER),
            ),
            edit(
                "journal.segment:Segments.head",
                ("if not body.startswith(record.pack_name(entity), record.ENTITY_AT):", NEVER),
            ),
            edit("read.fetch:Fetch._event", ("if sequence != part.first + row:", NEVER)),
            edit(
                "read.fetch:Fetch.events",
                ("if sequence != first + row:", NEVER),
                ("if named is not None and not body.startswith(named, ENTITY_AT):", NEVER),
            ),
        ),
    ),
    # -------------------------------------------------------------------------------------- judging
    "version-ignored": Switch(
        "an expected version is not compared",
        (
            edit(
                "commit.judge:Judge._expect",
                ("if expected is not None and expected != version:", NEVER),
            ),
            edit(
                "commit.stage:Stage._plan_plain",
                ("(expected is not None and expected != head.version)", "False"),
            ),
        ),
    ),
    "key-ignored": one(
        "a key that was used before is not looked up",
        "commit.judge:Judge.judge",
        ("if requests[0].key is not None:", NEVER),
    ),
    "parent-unknown": one(
        "the parent of an event is not looked up",
        "commit.judge:Judge.judge",
        ("if request.parent is not None:", NEVER),
    ),
    # --------------------------------------------------------------------------------------- fences
    "fence-not-met": one(
        "others write while a fence is open",
        "commit.lane:Lane._stands_behind_fence",
        ("return self._fence is not None and bool(unit.requests)", "return False"),
    ),
    "visible-in-two-steps": one(
        "one part of a unit is visible before the other",
        "commit.flight:Flight._carry_out",
        (
            lines("table.bound = tip.sequence", "self._answer(plan.units, plan.answers)"),
            lines(
                "table.bound = max(table.bound, tip.sequence - 1)",
                "self._answer(plan.units, plan.answers)",
                "table.bound = tip.sequence",
            ),
        ),
    ),
    "fence-counts-the-log-only": one(
        "what a fence has staged does not count for what it stages next",
        "commit.fence:Fence.version",
        ("return self._versions.get(entity)", "return None"),
    ),
    "fence-forgets-keys": one(
        "a key that a fence has staged is staged again",
        "commit.fence:Fence.with_key",
        ("item = self._keys.get(key)", "item = None"),
    ),
    "fence-stays": one(
        "a fence that was cancelled still stops others",
        "commit.lane:Lane._cancel",
        ("if self._fence is not None and fence in (None, self._fence):", NEVER),
    ),
    "clock-goes-back": one(
        "the clock of the log follows the wall clock back",
        "commit.stage:Stage._event",
        ("if now_ms > wall_ms:", "if now_ms != wall_ms:"),
    ),
    "id-goes-back": one(
        "event ids follow the wall clock back",
        "commit.stage:Stage._event",
        ("if id_hi <= tip.id_hi:", NEVER),
    ),
    # ------------------------------------------------------------------------------------ processes
    "lock-not-watched": one(
        "a lock file that was replaced is not noticed",
        "commit.flight:Flight._require_lock",
        ("if not holds_lock:", NEVER),
    ),
    "child-unlocks": one(
        "a forked child gives the lock of its parent away",
        "disk.posix:RealLock.abandon",
        ("self.close()", "self.release()"),
    ),
    "sync-not-rewritten": one(
        "a sync with an unknown result is just done again",
        "commit.flight:Flight._settle",
        ("self._rewrite(plan.tip.end)", "pass"),
    ),
}
