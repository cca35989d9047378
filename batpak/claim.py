r"""Claim: what a receipt says of the log, the bytes that a signature of it covers, and its file.

    cover   BLAKE3( "batpak.receipt.v1\0" | store_id | head | len u16, entity | len u16, scope
                    | content_hash | len u32, extensions as stored | durability u8 )
    file    MessagePack ["batpak receipt 1", store_id, entity, scope, head, content_hash,
                         [[name, value], …] | nil, durability, replayed, key_id | nil,
                         signature | nil]

`head` is the 166 bytes of `batpak.record`. One receipt has one spelling. Reference:
docs/reference/file-format.md, "Receipts".
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from batpak import codec
from batpak.config import Durability
from batpak.coordinate import Coordinate
from batpak.digest import HASH_BYTES, joined_hash
from batpak.errors import InvalidArgument
from batpak.event import framed_name
from batpak.record import EVENT, HEAD_BYTES, pack_opt
from batpak.signing.verify_key import SIGNATURE_BYTES

RECEIPT_BYTES_MAX: Final = 128 << 10

_DOMAIN: Final = b"batpak.receipt.v1\0"


class Claim(Struct, frozen=True):
    """What a receipt says of the log: the same for an append and for its replay."""

    store_id: UUID
    coordinate: Coordinate
    head: bytes
    content_hash: bytes
    extensions: Mapping[str, bytes]

    def cover(self, durability: Durability) -> bytes:
        """The 32 bytes that are signed."""
        opt = pack_opt(None, self.extensions)
        return joined_hash(
            _DOMAIN,
            self.store_id.bytes,
            self.head,
            framed_name(self.coordinate.entity.encode()),
            framed_name(self.coordinate.scope.encode()),
            self.content_hash,
            len(opt).to_bytes(4, "big"),
            opt,
            bytes([durability]),
        )


class ReceiptFile(Struct, frozen=True, array_like=True):
    """A receipt as it is carried elsewhere."""

    tag: Literal["batpak receipt 1"]
    store_id: UUID
    entity: str
    scope: str
    head: Annotated[bytes, Meta(min_length=HEAD_BYTES, max_length=HEAD_BYTES)]
    content_hash: Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
    extensions: tuple[tuple[str, bytes], ...] | None
    durability: Durability
    replayed: bool
    key_id: Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)] | None
    signature: Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)] | None


_decode: Final = codec.decoder(ReceiptFile).decode


def read_receipt(data: object) -> ReceiptFile:
    """Take the bytes of a receipt apart, and make sure that they are its one spelling.

    Raises:
        InvalidArgument: They are no receipt.
    """
    if not isinstance(data, bytes):
        raise InvalidArgument("receipt", f"must be bytes, not {type(data).__name__}")
    if len(data) > RECEIPT_BYTES_MAX:
        raise InvalidArgument("receipt", f"has more than {RECEIPT_BYTES_MAX:,} bytes")
    try:
        file = _decode(data)
        Coordinate(file.entity, file.scope)
        names = [name for name, _ in file.extensions or ()]
        is_right = (
            codec.encode(file) == data
            and file.head[0] == EVENT
            and file.extensions != ()
            and all(a < b for a, b in pairwise(names))
        )
    except (codec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument("receipt", f"these bytes are none: {error}") from error
    if not is_right:
        raise InvalidArgument("receipt", "these bytes are none, in its one spelling")
    return file
