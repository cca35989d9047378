"""Keys that are the same in every run, for tests of what is signed."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

import pytest

from batpak.signing.signing_key import SigningKey

OURS: Final = SigningKey.from_seed(bytes(range(32)))
OLD: Final = SigningKey.from_seed(bytes(range(32, 64)))  # what the store signed with before
STRANGER: Final = SigningKey.from_seed(bytes(range(64, 96)))


def _openssl() -> bool:
    """Whether there is an openssl that can check what Ed25519 has signed."""
    if shutil.which("openssl") is None:
        return False
    told = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=False)
    return told.stdout.startswith("OpenSSL 3")


needs_openssl: Final = pytest.mark.skipif(not _openssl(), reason="there is no openssl 3 here")
