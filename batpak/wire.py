"""The one way a payload becomes bytes and the one way back.

Encoding checks first: exact types and constraints, every problem at once. Decoding checks shape,
never constraints, so that tightening a rule never hides history. Accepted means: decodes to an
equal value, which encodes to the same bytes.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Generic, TypeAlias, TypeVar, cast

import msgspec
from msgspec import Struct

from batpak import codec, registry
from batpak.checks import UNRECOGNIZED, Problems
from batpak.digest import blake3_of, content_hash
from batpak.errors import DecodeFailed, FutureVersion, InvalidArgument, PayloadInvalid, UnknownKind
from batpak.faults import DecodeStage
from batpak.kind import EventKind
from batpak.override import override
from batpak.payload import EventPayload, OpenEnum
from batpak.seal import SEAL, Seal

Q = TypeVar("Q")

Decode: TypeAlias = Callable[[bytes], Any]

_UNRECOGNIZED: Final = codec.encode(UNRECOGNIZED)


class Encoded(Struct, frozen=True, gc=False):
    """A payload as it will be stored: checked, in its one spelling. `encode` alone makes them."""

    kind: EventKind
    version: int
    data: bytes
    content_hash: bytes
    seal: Seal


def encode(payload: EventPayload | Encoded, entry: registry.Entry | None = None) -> Encoded:
    """Check a payload, bring it into its one spelling and encode it.

    Args:
        payload: What to store. What was encoded before is given back as it is.
        entry: That of its class, if it is known already.

    Raises:
        InvalidArgument: Not an instance of a registered payload class.
        PayloadInvalid: A field breaks its type or a constraint, or the value does not survive
            being stored.
    """
    if entry is None:
        entry = registry.of_class(type(payload))
        if entry is None:
            if isinstance(payload, Encoded) and payload.seal is SEAL:
                return payload
            raise not_a_fact(type(payload))
    if entry.deprecated is not None:
        _warn_once(entry)
    value: msgspec.Struct = payload
    check, canonical = entry.check, entry.canonical
    if check is not None:
        problems = Problems()
        check(value, problems)
        if problems:
            raise PayloadInvalid(entry.cls.__qualname__, entry.kind, tuple(problems))
        if canonical is not None:
            value = canonical(value)
    try:
        data = codec.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PayloadInvalid(entry.cls.__qualname__, entry.kind, (f"$: {error}",)) from error
    if check is None:
        _read_back(entry, payload, data)
    return Encoded(entry.kind, entry.version, data, blake3_of(data).digest(), SEAL)


def _warn_once(entry: registry.Entry) -> None:
    """Say where an event is written that is not to be written any more, the first time."""
    frame, level = sys._getframe(1), 2  # pyright: ignore[reportPrivateUsage]  as `inspect` does
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "batpak":
        frame, level = frame.f_back, level + 1
    message = f"{entry.cls.__qualname__} is deprecated: {entry.deprecated}"
    warnings.warn(message, DeprecationWarning, stacklevel=level)
    entry.deprecated = None


def not_a_fact(cls: type[object]) -> InvalidArgument:
    """What to say of a payload that no registered class is the class of."""
    if issubclass(cls, type):
        return InvalidArgument("payload", "must be an instance of a payload class, not the class")
    former = registry.former_of_class(cls)
    current = None if former is None else registry.lookup(former.kind)
    if former is not None and current is not None:
        now = f"append a {current.cls.__qualname__}"
        return InvalidArgument(
            "payload", f"{cls.__qualname__} is a former version, which can only be read; {now}"
        )
    return InvalidArgument("payload", f"{cls.__qualname__} is not a registered EventPayload class")


def _read_back(entry: registry.Entry, payload: msgspec.Struct, data: bytes) -> None:
    """Hold a class without generated checks to the promise that accepted means readable."""
    name = entry.cls.__qualname__
    try:
        codec.check_depth(data)
        again = registry.decoder(entry)(data)
        same = again == payload and codec.encode(again) == data
    except (codec.DecodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PayloadInvalid(name, entry.kind, (f"$: does not decode: {error}",)) from error
    if not same:
        raise PayloadInvalid(name, entry.kind, _changed(payload, again))
    if _UNRECOGNIZED in data and _is_unrecognized(payload):
        raise PayloadInvalid(name, entry.kind, ("$: UNRECOGNIZED stands for what was read only",))


def _is_unrecognized(value: object) -> bool:
    """Whether the member of an open enum that is not to be stored is somewhere in a value."""
    if isinstance(value, OpenEnum):
        return bool(value.value == UNRECOGNIZED)
    if isinstance(value, Struct):
        return any(_is_unrecognized(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, Mapping):
        return any(map(_is_unrecognized, cast("Mapping[object, object]", value).values()))
    if isinstance(value, tuple | list | frozenset | set):
        return any(map(_is_unrecognized, cast("Iterable[object]", value)))
    return False


def _changed(payload: msgspec.Struct, again: msgspec.Struct) -> tuple[str, ...]:
    """Which fields do not come back from being stored as what they are."""
    problems: list[str] = []
    for field in payload.__struct_fields__:
        value, back = getattr(payload, field), getattr(again, field)
        if type(value) is not type(back) or value != back:
            given, got = type(value).__qualname__, type(back).__qualname__
            how = f"as another {got}" if given == got else f"as a {got}"
            problems.append(f"$.{field}: this {given} would be read back {how}")
    return tuple(problems) or ("$: decodes to a different value",)


def check_raw(kind: EventKind, data: object, version: object) -> Encoded:
    """Take a payload that is encoded already.

    Raises:
        InvalidArgument: `data` is no bytes, or the version is out of range.
        PayloadInvalid: Not exactly one well-formed value; or the program has a class for the kind
            and version, and these are not the bytes which that class would be stored as.
    """
    if not isinstance(data, bytes):
        raise InvalidArgument("data", f"must be bytes, not {type(data).__name__}")
    if type(version) is not int or not 1 <= version <= 0xFFFF:
        raise InvalidArgument("payload_version", "must be a number in 1..65535")
    name = f"kind {kind}"
    try:
        codec.decode_plain(data)
    except (codec.DecodeError, UnicodeDecodeError, ValueError, TypeError, OverflowError) as error:
        raise PayloadInvalid(name, kind, (f"$: {error}",)) from error
    entry = registry.lookup(kind)
    if entry is not None:
        name = entry.cls.__qualname__
        if version != entry.version:
            current = f"the current one is {entry.version}"
            raise PayloadInvalid(name, kind, (f"$: version {version} is not appended; {current}",))
        try:
            again = encode(decode(kind, version, data))
        except DecodeFailed as error:
            raise PayloadInvalid(name, kind, (f"$: does not decode: {error}",)) from error
        if again.data != data:
            raise PayloadInvalid(name, kind, ("$: is not the one spelling of its value",))
    return Encoded(kind, version, bytes(data), content_hash(data), SEAL)


def check_stored(
    kind: EventKind, data: object, version: object, sequence: int, *, ours: bool = False
) -> Encoded:
    """Take a payload that another store has.

    Args:
        kind: As it will be stored.
        data: The bytes.
        version: Of the schema that they follow: the current one or a former one.
        sequence: Of the event in its source, for messages only.
        ours: Whether they stand in a frame of this library whose checksum is right: then they were
            one well-formed value when they were appended, and only what this program has to read
            them is asked.

    Raises:
        InvalidArgument: `data` is no bytes, or the version is out of range.
        PayloadInvalid: Not exactly one well-formed value; or the program has a class for the kind,
            and it does not read these bytes.
        RegistryError: An upcast between this version and the current one is missing.
    """
    if not isinstance(data, bytes):
        raise InvalidArgument("payload", f"must be bytes, not {type(data).__name__}")
    if type(version) is not int or not 1 <= version <= 0xFFFF:
        raise InvalidArgument("payload_version", "must be a number in 1..65535")
    entry = registry.lookup(kind)
    if not ours and (entry is None or not _is_own_spelling(entry, version, data)):
        try:
            codec.decode_plain(data)
        except codec.UNREADABLE as error:
            problem = f"event {sequence} of the source: $: {error}"
            raise PayloadInvalid(f"kind {kind}", kind, (problem,)) from error
        ours = True
    if ours and entry is not None and not _is_read(entry, version, data):
        try:
            decode(kind, version, data)
        except (DecodeFailed, FutureVersion) as error:
            problem = f"event {sequence} of the source: $: does not decode: {error}"
            raise PayloadInvalid(entry.cls.__qualname__, kind, (problem,)) from error
    return Encoded(kind, version, data, blake3_of(data).digest(), SEAL)


def _is_read(entry: registry.Entry, version: int, data: bytes) -> bool:
    """Whether a class surely reads bytes of its current version."""
    if entry.decode is None or entry.version != version:
        return False
    try:
        entry.decode(data)
    except UNDECODABLE:
        return False
    return True


def _is_own_spelling(entry: registry.Entry, version: int, data: bytes) -> bool:
    """Whether bytes are surely what a generated class writes. All of those `codec` reads."""
    if entry.check is None or entry.version != version:
        return False
    try:
        codec.check_depth(data)
        return codec.encode(registry.decoder(entry)(data)) == data
    except UNDECODABLE:
        return False


class Form(Generic[Q]):
    """What payloads are read as: one of `Form.TYPED`, `Form.DICT` and `Form.RAW`."""

    TYPED: ClassVar[Form[EventPayload]]
    """Instances of their classes."""

    DICT: ClassVar[Form[object]]
    """Plain values, decoded without a schema."""

    RAW: ClassVar[Form[bytes]]
    """The stored bytes."""

    def __init__(self, name: str) -> None:
        self._name = name

    @override
    def __repr__(self) -> str:
        return f"Form.{self._name}"


TYPED: Final[Form[EventPayload]] = Form("TYPED")
DICT: Final[Form[object]] = Form("DICT")
RAW: Final[Form[bytes]] = Form("RAW")
FORMS: Final[tuple[Form[Any], ...]] = (TYPED, DICT, RAW)
Form.TYPED, Form.DICT, Form.RAW = TYPED, DICT, RAW


def decoder(kind: int, version: int, form: Form[Any], sequence: int | None) -> Decode:
    """What turns the stored payloads of one kind and version into values of a form.

    Raises:
        UnknownKind: TYPED, and no imported class has this kind.
        FutureVersion: TYPED, and the bytes were written by a newer schema.
        RegistryError: An upcast between this version and the current one is missing.
    """
    if form is RAW:
        return bytes
    entry = registry.lookup(kind)
    if form is DICT:
        if entry is None or version >= entry.version:
            return codec.decode_plain
        return _plain(registry.former_decoder(entry.kind, version))
    if entry is None:
        raise UnknownKind(kind, version, sequence)
    if version > entry.version:
        raise FutureVersion(f"payload {entry.cls.__qualname__}", version, entry.version)
    if version < entry.version:
        return registry.former_decoder(entry.kind, version)
    return registry.decoder(entry)


def _plain(typed: registry.Decode) -> Decode:
    """What gives the plain values of the current version of a payload in a former one."""

    def decode(data: bytes) -> object:
        codec.decode_plain(data)  # refuses what no class looks at, such as a key twice
        return codec.decode_plain(codec.encode(typed(data)))

    return decode


def decode_failed(error: Exception, kind: int, version: int, sequence: int | None) -> DecodeFailed:
    """What a decoder raised, as the exception that callers see."""
    if isinstance(error, registry.UpcastFailed):
        return DecodeFailed(kind, version, sequence, DecodeStage.UPCAST, str(error))
    shape = isinstance(error, codec.ValidationError)
    stage = DecodeStage.SHAPE if shape else DecodeStage.MSGPACK
    return DecodeFailed(kind, version, sequence, stage, _without_values(str(error)))


def _without_values(message: str) -> str:
    """What a decoder says, without the stored value that it quotes."""
    for begin in ("Invalid enum value", "Invalid value"):
        if message.startswith(begin):
            _, at, place = message.rpartition(" - at `")
            return begin + at + place
    return message


UNDECODABLE: Final = (Exception,)
"""What a decoder may raise about bytes that are not what they should be: a `__post_init__` all."""


def decode(kind: int, version: int, data: bytes, sequence: int | None = None) -> EventPayload:
    """Decode stored bytes as the class they were written as, and upcast it to the current one.

    Args:
        kind: As stored.
        version: Payload version as stored.
        data: The stored bytes.
        sequence: Of the event, for messages only.

    Raises:
        UnknownKind: No imported class has this kind.
        FutureVersion: The bytes were written by a newer schema.
        RegistryError: An upcast between this version and the current one is missing.
        DecodeFailed: The kind is right and the bytes do not decode, or an upcast fails.
    """
    entry = registry.lookup(kind)
    if entry is not None and entry.version == version and entry.decode is not None:
        decode_it = entry.decode
    else:
        decode_it = decoder(kind, version, TYPED, sequence)
    try:
        payload = decode_it(data)
    except UNDECODABLE as error:
        raise decode_failed(error, kind, version, sequence) from error
    return cast(EventPayload, payload)  # payload classes register themselves, nothing else does


def form_of(form: Form[Q]) -> Form[Q]:
    """What payloads are read as, checked.

    Raises:
        InvalidArgument: It is none of the three.
    """
    given: object = form
    if given not in FORMS:
        raise InvalidArgument("form", "must be Form.TYPED, Form.DICT or Form.RAW")
    return form
