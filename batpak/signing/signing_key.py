"""SigningKey: the secret half of a key.

What it is made of is held by `cryptography` alone. It is in no attribute, message, log, pickle or
frame of ours: a seed that comes in is forgotten before anything is raised about it.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, NoReturn, final

from batpak.disk import secret
from batpak.disk.posix import full_path
from batpak.disk.seam import StrPath
from batpak.errors import InvalidArgument, SigningError, StorageFailed
from batpak.faults import SigningFault
from batpak.override import override
from batpak.seal import SEAL, Seal
from batpak.signing.verify_key import VerifyKey, require_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED_BYTES: Final = 32
KEY_FILE_BYTES_MAX: Final = 4096


@final
class SigningKey:
    """An Ed25519 private key. It cannot be copied or pickled; load it where it is needed."""

    __slots__ = ("_private", "_public")

    def __init__(self, _key: Seal, private: Ed25519PrivateKey) -> None:
        """Closed: use `generate`, `from_seed` or `load`."""
        if _key is not SEAL:
            raise SigningError(SigningFault.BAD_KEY, "use generate, from_seed or load")
        self._private = private
        self._public = VerifyKey(private.public_key().public_bytes_raw())

    @staticmethod
    def generate() -> SigningKey:
        """A new one.

        Raises:
            SigningError: NO_EXTRA.
        """
        require_extra()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return SigningKey(SEAL, Ed25519PrivateKey.generate())

    @staticmethod
    def from_seed(seed: bytes) -> SigningKey:
        """The key that these 32 bytes stand for, always the same.

        Raises:
            SigningError: BAD_KEY: not 32 bytes; or NO_EXTRA.
        """
        try:
            require_extra()
            private = _of_seed(seed)
        finally:
            del seed  # a traceback may show what is in a frame
        if private is None:
            raise SigningError(SigningFault.BAD_KEY, f"a seed is {SEED_BYTES} bytes")
        return SigningKey(SEAL, private)

    @staticmethod
    def load(path: StrPath) -> SigningKey:
        """The key in a file: as `save` writes it, which is how `openssl genpkey` does (PKCS #8).

        Args:
            path: Of a file that nobody but its owner may read: mode 0600 or stricter.

        Raises:
            SigningError: KEY_FILE_MODE; or BAD_KEY: it holds no Ed25519 key, or one that needs a
                password; or NO_EXTRA.
            StorageFailed: The system refused.
            InvalidArgument: No name of a file can look like that; the text of a key does not.
        """
        try:
            require_extra()
            full = _full(path)
        finally:
            del path  # it may be the text of a key, and a traceback may show what is in a frame
        try:
            private = _of_pem(secret.read(full, KEY_FILE_BYTES_MAX))
        except secret.Exposed as error:
            raise SigningError(
                SigningFault.KEY_FILE_MODE, f"{full}: others may use this key: {error.strerror}"
            ) from None
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise SigningError(SigningFault.BAD_KEY, f"{full} holds no Ed25519 key") from None
            raise _failed("read", full, error) from error
        if private is None:
            raise SigningError(
                SigningFault.BAD_KEY, f"{full} holds no Ed25519 key, or a locked one"
            )
        return SigningKey(SEAL, private)

    def save(self, path: StrPath) -> None:
        """Put the key into a new file with mode 0600, which `load` and other programs read.

        Raises:
            StorageFailed: There is such a file already, or the system refused.
            InvalidArgument: No name of a file can look like that.
        """
        try:
            full, failure = _full(path), None
        finally:
            del path
        try:
            secret.write(full, _pem_of(self._private))
        except OSError as error:
            failure = _failed("write", full, error)
        if failure is not None:
            raise failure  # out here, where no frame that had the key is led to

    @property
    def public(self) -> VerifyKey:
        """The other half: what others need to check what this one has signed."""
        return self._public

    @property
    def key_id(self) -> bytes:
        """That of the other half."""
        return self._public.key_id

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of a signature. A message has to say what it is: there is one key for all.

        Raises:
            SigningError: SIGNER: the library has failed.
        """
        try:
            return self._private.sign(message)
        except Exception as error:
            raise SigningError(SigningFault.SIGNER, "nothing was signed") from error

    @override
    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.key_id.hex()})"

    @override
    def __reduce__(self) -> NoReturn:
        raise TypeError("a SigningKey cannot be copied or pickled; load it where it is needed")


def _of_seed(seed: object) -> Ed25519PrivateKey | None:
    """The key of a seed. None: it is none; nothing is raised where it could be seen."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not isinstance(seed, bytes) or len(seed) != SEED_BYTES:
        return None
    try:
        return Ed25519PrivateKey.from_private_bytes(seed)
    finally:
        del seed


def _of_pem(data: bytes) -> Ed25519PrivateKey | None:
    """The key in a PEM text. None: there is no such key in it; as above."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    finally:
        del data
    return found if isinstance(found, Ed25519PrivateKey) else None


def _pem_of(private: Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _full(path: StrPath) -> str:
    problem = secret.no_path(path)
    if problem is not None:
        del path
        raise InvalidArgument("path", problem)  # out here, where no other error is led to
    return full_path(path)


def _failed(operation: str, path: str, error: OSError) -> StorageFailed:
    return StorageFailed(operation, path, error.errno, error.strerror or str(error))
