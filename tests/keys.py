"""Keys that are the same in every run, for tests of what is signed."""

from __future__ import annotations

from typing import Final

from batpak.signing.signing_key import SigningKey

OURS: Final = SigningKey.from_seed(bytes(range(32)))
OLD: Final = SigningKey.from_seed(bytes(range(32, 64)))  # what the store signed with before
STRANGER: Final = SigningKey.from_seed(bytes(range(64, 96)))
