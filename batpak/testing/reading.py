"""What can be broken in the engine so that who follows a log is told something wrong."""

from __future__ import annotations

from typing import Final

from batpak.testing.switch import NEVER, Switch, one

READING: Final[dict[str, Switch]] = {
    # ----------------------------------------------------------------------------------- observers
    "observer-looks-ahead-only": one(
        "an observer does not ask whether what it has shown is still there",
        "recovery.growing:Growing._read",
        ("if read_all(file, at, len(known)) != known:", NEVER),
    ),
    "observer-goes-back": one(
        "an observer says nothing when what it has shown was taken back",
        "recovery.sight:Sight._take_anew",
        ("if shown is not None and not picture.goes_through(shown):", NEVER),
    ),
    "observer-file-not-finished": one(
        "an observer goes on to the next file without a last look at the one before",
        "recovery.sight:Sight._turn",
        ("old.finish(recorded)", "pass"),
        (
            "if self._shown != (first, decide.before_any(ends.header)):",
            NEVER,
        ),
    ),
    "observer-believes-damage": one(
        "an observer takes what moves under its hand for damage",
        "recovery.sight:Sight._patiently",
        ("if damaged == DAMAGED_MAX:", "if damaged:"),
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
    # -------------------------------------------------------------------------- from other stores
    "imported-again": one(
        "an event that is imported again is another one",
        "upkeep.intake:Intake._draft",
        ("event.repeat)", "self._present + self._imported)"),
    ),
    "import-in-halves": one(
        "what was one batch in the source is imported one by one",
        "upkeep.intake:_batches",
        ("if batch and (", "if batch and (True or "),
    ),
    "cause-of-another": one(
        "an imported cause is found under the key of a repetition",
        "upkeep.intake:Intake._parent",
        ("self._key(cause)", "self._key(cause, 1)"),
    ),
    "hidden-shown": one(
        "an event that was cancelled in the Rust original is read",
        "upkeep.rust.source:RustSource._read",
        ("and number not in hidden", ""),
    ),
    "rust-crc-ignored": one(
        "a frame of the Rust original is read with a wrong checksum",
        "journal.v1.frame:body_at",
        ("if crc32(body) != checksum:", NEVER),
    ),
    "rust-hash-ignored": one(
        "a payload of the Rust original is read with a wrong hash",
        "journal.v1.frame:_payload",
        ("data is not None and blake3_of(data).digest() == due", "data"),
    ),
    "rust-torn-anywhere": one(
        "damage in a file of the Rust original ends the file",
        "upkeep.rust.scan:Scan._torn",
        ("if not is_end or", "if"),
    ),
}
