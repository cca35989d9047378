"""What can be broken in the engine so that an edit of history, or a forgery, goes unnoticed."""

from __future__ import annotations

from typing import Final

from batpak.testing.switch import FIELDS, NEVER, Switch, lines, one, unhashed, unhashed_field

TAMPERING: Final[dict[str, Switch]] = {
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
}
