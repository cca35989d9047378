"""Public keys on a command line: 64 hex digits each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from batpak.signing.verify_key import VerifyKey

Keys: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--key",
        metavar="KEY",
        help="A public key that you trust, 64 hex digits; repeat it for several.",
    ),
]


def keys_of(given: Sequence[str]) -> tuple[VerifyKey, ...]:
    """The keys that were given, each once.

    Raises:
        SigningError: One of them is weak, or no key.
    """
    for text in given:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
            hint = "`batpak key public FILE` prints that of a key file"
            raise typer.BadParameter(f"a public key is 64 hex digits; {hint}")
    return tuple(dict.fromkeys(VerifyKey.from_bytes(bytes.fromhex(text)) for text in given))
