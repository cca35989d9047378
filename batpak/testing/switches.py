"""What can be broken in the engine, one line of reasoning each. See `sabotage`.

A switch that no test notices is a hole in the tests. Source: docs/explanation/what-is-promised.md.
"""

from __future__ import annotations

from typing import Final

from batpak.testing.switch import FIELDS, NEVER, Switch, edit, lines, one, unhashed, unhashed_field

SWITCHES: Final[dict[str, Switch]] = {
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
        "commit.lane:Lane._carry_out",
        ("if plan.sync and self._durable_end < tip.end:", NEVER),
    ),
    "publish-before-sync": one(
        "readers see what a power cut takes back",
        "commit.lane:Lane._carry_out",
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
        "commit.lane:Lane._rotate",
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
    # ------------------------------------------------------------------------- refused and repeated
    "retry-sync": one(
        "a sync that failed is tried again",
        "commit.lane:Lane._sync",
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
        "commit.lane:Lane._stop",
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
        "commit.lane:Lane._undo",
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
                "commit.lane:Lane._settle_all",
                ("self._settle(self._intent)", "self._intent = None"),
            ),
            edit("commit.lane:Lane._round", ("self._settle(self._intent)", "self._intent = None")),
        ),
    ),
    "bound-before-rows": one(
        "events are visible before the index has them",
        "commit.lane:Lane._carry_out",
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
        ("for name in (*leftovers, *replaced):", "for name in ():"),
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
        "upkeep.compaction:Compaction._commit",
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
    "swap-loses-appends": one(
        "what was completed while files were written anew is not read any more",
        "index.table:Table.merged",
        ("part, *known[stop:]]", "part, known[-1]]"),
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
                "commit.stage:Stage._judge",
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
        "commit.stage:Stage._judge",
        ("if requests[0].key is not None:", NEVER),
    ),
    "parent-unknown": one(
        "the parent of an event is not looked up",
        "commit.stage:Stage._judge",
        ("if request.parent is not None:", NEVER),
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
    # ------------------------------------------------------------------------------------ tampering
    **{f"unhash-{field.replace('_', '-')}": unhashed_field(field) for field in FIELDS},
    "unhash-entity-and-scope": unhashed(
        "the coordinate",
        (lines("    head.hashed,", "    scope.hashed,"), lines("    bytes(4),")),
        ("body[_COVERED], names.hashed", "body[_COVERED], bytes(4)"),
        (
            lines("    self.entity.encode(),", "    self.scope.encode(),"),
            lines('    b"",', '    b"",'),
        ),
    ),
    "unhash-key-and-extensions": unhashed(
        "the key and the extensions",
        (lines("    opt_hashed,"), lines("    bytes(4),")),
        ("opt, content))", "bytes(4), content))"),
        ("codec.encode(self.opt)", 'b""'),
    ),
    "no-log-link": unhashed(
        "the event before it in the log",
        (
            lines("    tip.chain_head,", "    prev_hash,"),
            lines("    bytes(32),", "    prev_hash,"),
        ),
        ("self._hash_prefix, self.chain_head,", "self._hash_prefix, bytes(32),"),
        ("            log_prev,", "            bytes(32),"),
    ),
    "no-entity-link": unhashed(
        "the event before it in its entity",
        (
            lines("    prev_hash,", "    fields[1:],"),
            lines("    bytes(32),", "    fields[1:],"),
        ),
        ("self.chain_head, prev_hash,", "self.chain_head, bytes(32),"),
        ("            self.prev_hash,", "            bytes(32),"),
    ),
    "no-store-id": unhashed(
        "the identity of the store",
        ("self._hash_prefix,", "self._hash_prefix[:-16] + bytes(16),"),
        ("self._hash_prefix,", "self._hash_prefix[:-16] + bytes(16),"),
        ("            store_id,", "            bytes(16),"),
    ),
    "verify-without-hashes": one(
        "verify does not compute hashes",
        "upkeep.verify:_Verification.__init__",
        ("hashed=True", "hashed=False"),
    ),
    "verify-without-links": one(
        "verify does not look at the links inside an entity",
        "journal.chain:link_fault",
        ("if found.version != version + 1:", NEVER),
        ("if found.prev_hash != last_hash:", NEVER),
    ),
    "note-ignored": one(
        "a note is not held against the log",
        "upkeep.verify:_Verification._note_fault",
        ("if self._noted is None:", NEVER),
        (
            "if self._noted == since.head else NoteFault.REWRITTEN",
            "if True else NoteFault.REWRITTEN",
        ),
    ),
    # ------------------------------------------------------------------------- receipts and proofs
    "signature-ignored": one(
        "a signature is believed because it is there",
        "signing.trust:judge",
        ("if not key.has_signed(message, signature):", NEVER),
    ),
    "claim-without-content": one(
        "the signature of a receipt does not cover what the event says",
        "claim:Claim.cover",
        ("            self.content_hash,", "            bytes(32),"),
    ),
    "proof-not-linked": one(
        "the links of a proof need not lead to the note",
        "proof:Proof._contradiction",
        ("if head == self.note.head else", "if True else"),
    ),
    # ------------------------------------------------------------------------------------ consumers
    "passed-before-synced": one(
        "a checkpoint is saved before the log is durable",
        "read.checkpoint:Checkpoints.save",
        ("if lane.tip.durable < lane.tip.sequence:", NEVER),
    ),
    "handled-before-synced": one(
        "a worker with a checkpoint is given what is not durable",
        "read.worker:durable_bound",
        ("return min(lane.tip.durable, visible)", "return visible"),
    ),
    "saved-before-handled": one(
        "a worker saves its place before the batch is handled",
        "read.worker:CursorWorker._step",
        ("self._done = 0", "self._done = 0; cursor.commit()"),
    ),
    "reaction-again": one(
        "a reaction that is stored already is stored again",
        "read.reactor:key_of",
        ("source.event_id.bytes", "id(source)"),
    ),
    # ------------------------------------------------------------------------------------ processes
    "lock-not-watched": one(
        "a lock file that was replaced is not noticed",
        "commit.lane:Lane._require_lock",
        ("if not holds_lock:", NEVER),
    ),
    "child-unlocks": one(
        "a forked child gives the lock of its parent away",
        "disk.posix:RealLock.abandon",
        ("self.close()", "self.release()"),
    ),
    "sync-not-rewritten": one(
        "a sync with an unknown result is just done again",
        "commit.lane:Lane._settle",
        ("self._rewrite(plan.tip.end)", "pass"),
    ),
}
