"""Keys: what is taken for one, where it may lie, and that nobody gets to see what it is made of.

Would slip through without it: a public key under which anybody can sign, a key file that everybody
on the machine can read, a seed in a log or in a crash report.
"""

from __future__ import annotations

import copy
import errno
import logging
import os
import pickle
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import batpak
from batpak.config import StoreConfig
from batpak.digest import content_hash
from batpak.disk import posix
from batpak.errors import InvalidArgument, SigningError, StorageFailed
from batpak.faults import SigningFault
from batpak.signing.signing_key import KEY_FILE_BYTES_MAX, SigningKey
from batpak.signing.verify_key import VerifyKey
from batpak.store import Store
from tests.facts import USER, Counted
from tests.keys import OURS, needs_openssl

LIBRARY: Final = Path(batpak.__file__).parent
P: Final = 2**255 - 19
D: Final = -121665 * pow(121666, -1, P) % P
SEED: Final = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC: Final = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def refused(fault: SigningFault, act: Callable[[], object]) -> SigningError:
    with pytest.raises(SigningError) as caught:
        act()
    assert caught.value.reason is fault
    assert caught.value.hint
    return caught.value


# --------------------------------------------------------------------------------- public keys


def test_a_seed_gives_the_key_and_the_signature_of_the_standard() -> None:
    key = SigningKey.from_seed(SEED)  # RFC 8032 §7.1, TEST 1

    assert key.public == VerifyKey.from_bytes(PUBLIC)
    assert key.public.to_bytes() == PUBLIC
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_the_id_of_a_key_is_the_hash_of_its_public_half() -> None:
    assert OURS.key_id == OURS.public.key_id == content_hash(OURS.public.to_bytes())


def test_new_keys_are_new_and_have_public_halves_that_are_taken() -> None:
    keys = [SigningKey.generate() for _ in range(100)]

    assert len({key.public for key in keys}) == 100
    for key in keys:
        assert VerifyKey.from_bytes(key.public.to_bytes()) == key.public
        assert key.public.has_signed(b"m", key.sign(b"m"))
        assert not key.public.has_signed(b"n", key.sign(b"m"))


Point = tuple[int, int]


def added(one: Point, other: Point) -> Point:
    (a, b), (c, d) = one, other
    t = D * a * b * c * d % P
    x, y = (a * d + b * c) * pow(1 + t, -1, P), (b * d + a * c) * pow(1 - t, -1, P)
    return x % P, y % P


def times(n: int, point: Point) -> Point:
    total = (0, 1)
    for _ in range(n):
        total = added(total, point)
    return total


def with_y(y: int) -> Point | None:
    """A point of the curve, if there is one with this y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    for found in (x, x * pow(2, (P - 1) // 4, P) % P):
        if found * found % P == square:
            return found, y
    return None


def encoded(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def of_small_order() -> set[Point]:
    """All of them: multiples of what is left of some points when their large part is cancelled."""
    order = 2**252 + 27742317777372353535851937790883648493
    found: set[Point] = set()
    for y in range(2, 40):
        point = with_y(y)
        if point is not None:
            rest, doubled, left = (0, 1), point, order
            while left:
                if left & 1:
                    rest = added(rest, doubled)
                doubled, left = added(doubled, doubled), left >> 1
            found |= {times(n, rest) for n in range(8)}
    return found


def test_every_point_of_small_order_is_refused_in_every_spelling() -> None:
    points = of_small_order()
    assert len(points) == 8
    assert all(times(8, point) == (0, 1) for point in points)
    spellings = {encoded(point) for point in points}
    spellings |= {(y | sign << 255).to_bytes(32, "little") for y in (P, P + 1) for sign in (0, 1)}
    spellings |= {bytes([*raw[:31], raw[31] ^ 0x80]) for raw in spellings}

    for raw in spellings:
        refused(SigningFault.WEAK_KEY, partial(VerifyKey.from_bytes, raw))


def test_under_such_a_point_one_signature_fits_every_message() -> None:
    identity = encoded((0, 1))

    for message in (b"", b"pay ann 1", b"pay eve 1000000"):
        Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), message)


@pytest.mark.parametrize("y", [P + 3, P + 4, P + 18, 2, 7])
@pytest.mark.parametrize("sign", [0, 1])
def test_bytes_that_are_no_point_or_a_second_spelling_of_one_are_refused(y: int, sign: int) -> None:
    assert y >= P or with_y(y) is None

    raw = (y | sign << 255).to_bytes(32, "little")

    refused(SigningFault.BAD_KEY, lambda: VerifyKey.from_bytes(raw))


@pytest.mark.parametrize("raw", [b"", PUBLIC[:31], PUBLIC + b"\0", bytearray(PUBLIC), "x" * 32])
def test_what_is_not_32_bytes_is_no_key(raw: bytes) -> None:
    refused(SigningFault.BAD_KEY, lambda: VerifyKey.from_bytes(raw))
    refused(SigningFault.BAD_KEY, lambda: VerifyKey(raw))


def test_a_public_key_is_a_value() -> None:
    key = OURS.public

    assert pickle.loads(pickle.dumps(key)) == copy.deepcopy(key) == key  # noqa: S301  our own
    assert len({key, VerifyKey.from_bytes(key.to_bytes())}) == 1
    assert key.to_bytes().hex() in repr(key)


def test_a_second_spelling_of_a_signature_is_none() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    signature = OURS.sign(b"m")
    s = int.from_bytes(signature[32:], "little") + order

    assert OURS.public.has_signed(b"m", signature)
    assert not OURS.public.has_signed(b"m", signature[:32] + s.to_bytes(32, "little"))
    assert not OURS.public.has_signed(b"m", signature[:63])


# ----------------------------------------------------------------------------------- key files


def test_a_key_is_kept_in_a_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        OURS.save(tmp_path / "store.key")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "store.key").stat().st_mode) == 0o600
    assert SigningKey.load(tmp_path / "store.key").public == OURS.public
    assert SigningKey.load(str(tmp_path / "store.key")).public == OURS.public


def test_a_key_is_never_put_over_another_file(tmp_path: Path) -> None:
    OURS.save(tmp_path / "store.key")

    with pytest.raises(StorageFailed) as caught:
        SigningKey.generate().save(tmp_path / "store.key")

    assert caught.value.errno == errno.EEXIST
    assert SigningKey.load(tmp_path / "store.key").public == OURS.public


def test_a_key_that_could_not_be_kept_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(posix.RealWriteFile, "sync", full)

    with pytest.raises(StorageFailed) as caught:
        OURS.save(tmp_path / "store.key")

    assert caught.value.full
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_may_have_mode_0600_or_stricter(tmp_path: Path, mode: int) -> None:
    OURS.save(tmp_path / "store.key")
    (tmp_path / "store.key").chmod(mode)

    assert SigningKey.load(tmp_path / "store.key").public == OURS.public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601, 0o610, 0o644, 0o700, 0o4600])
def test_a_key_file_that_others_may_use_is_refused_unread(tmp_path: Path, mode: int) -> None:
    OURS.save(tmp_path / "store.key")
    (tmp_path / "link").symlink_to(tmp_path / "store.key")
    (tmp_path / "store.key").chmod(mode)

    for path in (tmp_path / "store.key", tmp_path / "link"):
        error = refused(SigningFault.KEY_FILE_MODE, partial(SigningKey.load, path))
        assert f"{mode:04o}" in str(error)
        assert str(path) in str(error)


def test_a_link_to_a_key_file_is_followed(tmp_path: Path) -> None:
    OURS.save(tmp_path / "store.key")
    (tmp_path / "link").symlink_to("store.key")

    assert SigningKey.load(tmp_path / "link").public == OURS.public


def pem(key: object, password: bytes | None = None) -> bytes:
    assert hasattr(key, "private_bytes")
    lock = NoEncryption() if password is None else BestAvailableEncryption(password)
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    assert isinstance(data, bytes)
    return data


def hostile_files() -> Iterator[tuple[str, bytes]]:
    ours = Ed25519PrivateKey.from_private_bytes(SEED)
    yield "nothing", b""
    yield "a seed", SEED
    yield "a seed in hex", SEED.hex().encode()
    yield "another kind of key", pem(generate_private_key(65537, 2048))
    yield "a key that needs a password", pem(ours, b"secret")
    yield "a cut one", pem(ours)[:-40]
    yield (
        "the public half",
        ours.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )
    yield "too much", pem(ours) + b"\n" * KEY_FILE_BYTES_MAX
    yield "noise", os.urandom(500)


@pytest.mark.parametrize(("data"), [data for _, data in hostile_files()])
def test_a_file_without_a_key_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "store.key").write_bytes(data)
    (tmp_path / "store.key").chmod(0o600)

    error = refused(SigningFault.BAD_KEY, lambda: SigningKey.load(tmp_path / "store.key"))

    assert str(tmp_path / "store.key") in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None or isinstance(error.__context__, OSError)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, code in (("pipe", errno.EINVAL), (".", errno.EINVAL), ("none", errno.ENOENT)):
        with pytest.raises(StorageFailed) as caught:
            SigningKey.load(tmp_path / name)
        assert caught.value.errno == code
    for hostile in ("", "a\0b", "a\udfffb\ud800", None, 7):
        with pytest.raises(InvalidArgument):
            SigningKey.load(hostile)  # type: ignore[arg-type]  # what a checker refuses


@needs_openssl
def test_other_programs_read_our_key_files_and_we_read_theirs(tmp_path: Path) -> None:
    theirs, ours, public = tmp_path / "theirs", tmp_path / "ours", tmp_path / "public"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", theirs], check=True)
    OURS.save(ours)
    subprocess.run(
        ["openssl", "pkey", "-in", ours, "-pubout", "-outform", "DER", "-out", public], check=True
    )

    assert public.read_bytes()[-32:] == OURS.public.to_bytes()
    theirs.chmod(0o600)
    key = SigningKey.load(theirs)
    assert key.public.has_signed(b"m", key.sign(b"m"))


# --------------------------------------------------------------------------- what is never seen


def spellings(seed: bytes) -> list[str]:
    """How a seed could look in a text."""
    import base64

    return [seed.hex(), repr(seed)[2:-1], base64.b64encode(seed).decode()[4:38], str(list(seed))]


def shown(error: BaseException) -> str:
    """A traceback as a crash report has it: with what the variables were, in our frames."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    seen = [whole]
    for one in seen:
        one.stack = traceback.StackSummary.from_list(
            [frame for frame in one.stack if Path(frame.filename).is_relative_to(LIBRARY)]
        )
        seen.extend(other for other in (one.__cause__, one.__context__) if other is not None)
    return "".join("".join(one.format(chain=False)) for one in seen)


def test_no_text_of_a_key_says_what_it_is_made_of(caplog: pytest.LogCaptureFixture) -> None:
    key = SigningKey.from_seed(SEED)
    config = StoreConfig(signer=key)

    with caplog.at_level(logging.DEBUG):
        logging.getLogger("batpak").error("%r %s %r", key, key, config, extra={"key": key})
    texts = [repr(key), str(key), f"{key}", repr(config), caplog.text, repr(dir(key))]

    assert key.key_id.hex() in repr(key)
    assert not hasattr(key, "__dict__")
    for text in texts:
        assert not any(spelling in text for spelling in spellings(SEED))


def test_a_log_of_everything_that_a_store_does_holds_no_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.DEBUG, "batpak"),
        Store.open(tmp_path / "s", StoreConfig(signer=SigningKey.from_seed(SEED))) as store,
    ):
        store.append(USER, Counted(n=1))
        store.checkpoint()

    assert "append: ok" in caplog.text
    for record in caplog.records:
        assert not any(spelling in str(vars(record)) for spelling in spellings(SEED))


@pytest.mark.parametrize(
    "copied", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
def test_a_key_is_not_copied(copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="load it where it is needed"):
        copied(OURS)


def test_a_config_with_a_key_does_not_leave_the_process() -> None:
    with pytest.raises(TypeError, match="load it where it is needed"):
        pickle.dumps(StoreConfig(signer=OURS))


def test_a_key_is_not_made_around_its_ways_in() -> None:
    private = Ed25519PrivateKey.generate()

    refused(SigningFault.BAD_KEY, lambda: SigningKey(None, private))  # type: ignore[arg-type]  # no seal


@pytest.mark.parametrize("seed", [SEED[:31], SEED + b"\x7f", bytearray(SEED), SEED.hex()])
def test_a_bad_seed_is_refused_and_not_shown(seed: bytes) -> None:
    error = refused(SigningFault.BAD_KEY, lambda: SigningKey.from_seed(seed))

    text = shown(error)
    assert "from_seed" in text
    assert not any(spelling[:20] in text for spelling in spellings(SEED[:31]))


@pytest.mark.parametrize("way", ["load", "save"])
def test_the_text_of_a_key_is_not_taken_for_a_path_and_not_shown(way: str) -> None:
    key = SigningKey.from_seed(SEED)
    text = pem(Ed25519PrivateKey.from_private_bytes(SEED)).decode()
    inner = text.splitlines()[1]

    texts = (text, text.replace("\n", ""), inner, f"{inner}\ud800", f"{inner[16:]}\n", "k" * 256)

    for given in texts:
        with pytest.raises(InvalidArgument) as caught:
            key.save(given) if way == "save" else SigningKey.load(given)

        seen = shown(caught.value)
        assert inner[20:40] not in seen
        assert "kkk" not in seen
        assert caught.value.__cause__ is caught.value.__context__ is None


def test_no_failure_around_a_key_file_shows_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, path = SigningKey.from_seed(SEED), tmp_path / "store.key"
    key.save(path)
    told = path.read_bytes().splitlines()[1].decode()[20:]
    path.write_bytes(path.read_bytes()[:-20])

    errors = [refused(SigningFault.BAD_KEY, lambda: SigningKey.load(path))]
    path.chmod(0o644)
    errors.append(refused(SigningFault.KEY_FILE_MODE, lambda: SigningKey.load(path)))
    failures: list[BaseException] = list(errors)
    with pytest.raises(StorageFailed) as caught:
        key.save(path)
    failures.append(caught.value)
    monkeypatch.setattr(posix.RealWriteFile, "write", _refusing)
    with pytest.raises(StorageFailed) as caught:
        key.save(tmp_path / "another")
    failures.append(caught.value)

    for failure in failures:
        text = shown(failure)
        assert "signing_key.py" in text
        assert told not in text
        assert "PRIVATE KEY" not in text
        assert not any(spelling in text for spelling in spellings(SEED))


def _refusing(*_: object) -> int:
    raise OSError(errno.EIO, "Input/output error")


# ---------------------------------------------------------------------------- without the extra


def test_without_the_extra_every_way_to_a_key_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.key"
    OURS.save(path)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    ways: list[Callable[[], object]] = [
        SigningKey.generate,
        lambda: SigningKey.from_seed(SEED),
        lambda: SigningKey.load(path),
        lambda: VerifyKey.from_bytes(PUBLIC),
    ]

    for way in ways:
        error = refused(SigningFault.NO_EXTRA, way)
        assert "batpak[sign]" in error.hint
        assert not any(spelling in shown(error) for spelling in spellings(SEED))


def test_without_the_extra_a_store_works_as_ever(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from batpak import Store, verify_receipt, Unsigned\n"
        "from tests.facts import USER, Counted\n"
        f"with Store.open({str(tmp_path / 's')!r}) as store:\n"
        "    receipt = store.append(USER, Counted(n=1))\n"
        "    assert store.verify(since=store.checkpoint()).ok\n"
        "    assert store.verify_receipt(receipt, accept_unsigned=True) == Unsigned()\n"
        "print(verify_receipt(receipt, ()).reason)\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stdout == "unsigned\n"
