"""What a store tells about its events to who has not their classes.

Would slip through without it: a shape that is recorded at every open, one that is lost with the
program that was stopped, a foreign record that keeps a store from opening.
"""

from __future__ import annotations

import datetime as dt
import errno
import json
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal
from uuid import UUID

import pytest
from msgspec import Struct
from msgspec.structs import replace
from typer.testing import CliRunner

from batpak import registry
from batpak.abi import upcast_from
from batpak.cli.main import application
from batpak.codec import encode
from batpak.commit.request import Request
from batpak.commit.unit import Unit
from batpak.config import Limits, StoreConfig
from batpak.coordinate import LIFECYCLE
from batpak.digest import content_hash
from batpak.errors import StorageError
from batpak.kind import EventKind
from batpak.payload import EventPayload, FormerPayload, OpenEnum, WireEnum
from batpak.read import shapes
from batpak.reader import StoreReader
from batpak.seal import SEAL
from batpak.shape import shape_of
from batpak.store import Store
from batpak.system import EventShape, FieldShape, ShapesRecorded, TypeShape
from batpak.testing.faults import Kind
from batpak.testing.platform import SimPlatform
from batpak.wire import RAW, Encoded
from tests.facts import USER
from tests.kept import kept_classes

PLACED = EventKind.custom(0xE, 0x7E1)
PAID = EventKind.custom(0xE, 0x7E2)
RECORD = ShapesRecorded.KIND
PLAIN = StoreConfig()
OFF = StoreConfig(lifecycle_events=False)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    """Forget the classes that a test has registered."""
    with kept_classes():
        yield


def forget(*kinds: EventKind) -> None:
    """As in a program without their classes."""
    for kind in kinds or (PLACED, PAID):
        for entry in registry.versions(kind):
            registry._BY_CLASS.pop(entry.cls, None)
            registry._FORMER.pop((kind, entry.version), None)
        registry._BY_KIND.pop(kind, None)


def placed(doc: str = "An order was placed.") -> type[EventPayload]:
    class Placed(EventPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = PLACED
        VERSION: ClassVar[int] = 1

        n: int

    Placed.__doc__ = doc
    return Placed


def newer() -> type[EventPayload]:
    """The second version of it, with the first as a former one."""

    class Placed(EventPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = PLACED
        VERSION: ClassVar[int] = 2

        n: int
        who: str

    class PlacedV1(FormerPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = PLACED
        VERSION: ClassVar[int] = 1

        n: int

    upcast_from(PlacedV1)(lambda old: Placed(n=old.n, who=""))
    return Placed


def write(world: SimPlatform, *facts: EventPayload, config: StoreConfig = PLAIN) -> None:
    with Store.open("s", config, platform=world) as store:
        for fact in facts:
            store.append(USER, fact)


def records(world: SimPlatform) -> list[int]:
    """How many shapes each record has."""
    with Store.observe("s", platform=world) as store:
        found = store.query(form=RAW)
        return [len(shapes._decode(one.payload).shapes) for one in found if one.kind == RECORD]


def told(world: SimPlatform) -> dict[str, list[tuple[int, list[str]]]]:
    """Name -> (version, names of fields), as a program without the classes reads it."""
    forget()
    with Store.open_read_only("s", platform=world) as store:
        return of(store)


def of(store: StoreReader) -> dict[str, list[tuple[int, list[str]]]]:
    return {
        one.name or str(one.kind): [
            (shape.version, [field.name for field in shape.fields]) for shape in one.shapes
        ]
        for one in store.describe()
        if not one.kind.reserved
    }


# ------------------------------------------------------------------------------------ recording


def test_a_store_tells_what_its_events_are_to_who_has_not_their_classes() -> None:
    world = SimPlatform()
    fact = placed()
    write(world, fact(n=1), fact(n=2))
    forget()

    with Store.open_read_only("s", platform=world) as store:
        found = {one.kind: one for one in store.describe()}
        kinds = [event.kind for event in store.query(form=RAW)]
    assert (found[PLACED].name, found[PLACED].events) == ("Placed", 2)
    assert found[PLACED].shapes == (
        EventShape(
            kind=PLACED,
            version=1,
            name="Placed",
            doc="An order was placed.",
            fields=(FieldShape(name="n", type="int", required=True),),
            is_array=False,
            types=(),
        ),
    )
    assert found[RECORD].name == "ShapesRecorded", "the library's own are known without a record"
    assert [f"{kind:04x}" for kind in kinds] == ["0008", "e7e1", "e7e1", "0014", "0009"]


def test_a_shape_is_recorded_once() -> None:
    world = SimPlatform()
    for n in range(3):
        write(world, placed()(n=n))
        write(world)
    forget()
    write(world, placed("What is only said about it.")(n=9))

    assert records(world) == [1]


def test_a_new_version_is_recorded_when_it_has_written_and_the_old_one_stays() -> None:
    world = SimPlatform()
    write(world, placed()(n=1))
    forget()
    fresh = newer()
    write(world)
    assert records(world) == [1], "nothing was written as the new version yet"

    write(world, fresh(n=2, who="x"))
    assert told(world) == {"Placed": [(1, ["n"]), (2, ["n", "who"])]}
    assert records(world) == [1, 1]


def test_programs_that_do_not_agree_are_both_recorded_once() -> None:
    def other() -> type[EventPayload]:
        class Placed(EventPayload, frozen=True, kw_only=True):
            KIND: ClassVar[EventKind] = PLACED
            VERSION: ClassVar[int] = 1

            n: str

        return Placed

    world = SimPlatform()
    for _ in range(2):
        write(world, placed()(n=1))
        forget()
        write(world, other()(n="1"))
        forget()

    with Store.open_read_only("s", platform=world) as store:
        (found,) = [one for one in store.describe() if one.kind == PLACED]
    assert [shape.fields[0].type for shape in found.shapes] == ["int", "string"]


def test_what_a_stopped_program_has_not_recorded_the_next_open_with_its_code_does() -> None:
    world = SimPlatform()
    store = Store.open("s", PLAIN, platform=world)
    store.append(USER, placed()(n=1))
    stopped = world.crash()
    store.close()

    code = registry.lookup(PLACED)
    assert code is not None
    forget()
    write(stopped)
    assert records(stopped) == [], "this program does not know it"

    registry.register(code.cls, PLACED, 1)
    with Store.open("s", PLAIN, platform=stopped) as again:
        last = [event.kind for event in again.query(form=RAW)][-2:]
        assert last == [0x0008, RECORD], "in the batch of the open"
    assert records(stopped) == [1]


def test_of_an_old_log_the_versions_between_its_first_event_and_its_last_are_recorded() -> None:
    world = SimPlatform()
    write(world, placed()(n=1), config=OFF)
    forget()
    write(world, newer()(n=2, who=""), config=OFF)
    assert records(world) == []

    write(world)
    assert told(world) == {"Placed": [(1, ["n"]), (2, ["n", "who"])]}


def test_programs_without_classes_and_those_that_want_no_such_events_add_nothing() -> None:
    world = SimPlatform()
    with Store.open("s", PLAIN, platform=world) as store:
        store.append_raw(USER, PAID, b"\x81\xa1n\x01")
    write(world, placed()(n=1), config=OFF)

    assert records(world) == []
    assert told(world) == {"0xe7e1": [], "0xe7e2": []}


def test_before_it_is_recorded_the_classes_of_the_program_are_asked() -> None:
    with Store.open("s", PLAIN, platform=SimPlatform()) as store:
        store.append(USER, placed()(n=1))

        assert of(store) == {"Placed": [(1, ["n"])]}


def test_a_record_costs_no_sync_of_its_own() -> None:
    def syncs(config: StoreConfig) -> tuple[int, ...]:
        """Of a close that records, of an open that does."""
        world = SimPlatform()
        store = Store.open("s", config, platform=world)
        store.append(USER, fact)
        stopped, begun = world.crash(), len(world.trace)
        store.close()
        at_close = [call.kind for call in world.trace[begun:]]
        Store.open("s", config, platform=stopped).close()
        at_open = [call.kind for call in stopped.trace]
        return tuple(sum("sync" in str(kind) for kind in of) for of in (at_close, at_open))

    fact = placed()(n=1)
    recording = syncs(PLAIN)
    forget()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shapes, "_quietly", lambda _: [])
        registry.register(type(fact), PLACED, 1)
        assert syncs(PLAIN) == recording


def test_whatever_a_crash_leaves_of_a_close_or_an_open_it_is_recorded_once() -> None:
    fact = placed()
    world = SimPlatform()
    write(world, fact(n=1))
    for after in (*world.crashes(limit=60, seed=1), *stopped(fact).crashes(limit=60, seed=1)):
        for _ in range(2):
            write(after)
        with Store.open_read_only("s", platform=after) as store:
            written = any(event.kind == PLACED for event in store.query(form=RAW))
            assert store.verify().ok
        assert records(after) == [1] * written


def stopped(fact: type[EventPayload]) -> SimPlatform:
    """What a program leaves that writes and is stopped, after another open has recorded it."""
    world = SimPlatform()
    store = Store.open("s", PLAIN, platform=world)
    store.append(USER, fact(n=1))
    after = world.crash()
    store.close()
    write(after)
    return after


@pytest.mark.parametrize("kind", ["pread", "map", "write", "sync"])
def test_a_refusal_while_it_is_recorded_costs_nothing_that_was_stored(kind: Kind) -> None:
    fact = placed()
    for number in range(1, 9):
        world = SimPlatform()
        store = Store.open("s", PLAIN, platform=world)
        store.append(USER, fact(n=1))
        world.fail_at(number, errno.EIO, kind=kind)
        with suppress(StorageError):
            store.close()
        world.faults.clear()
        after = world.crash()
        write(after)
        with Store.open_read_only("s", platform=after) as again:
            assert sum(event.kind == PLACED for event in again.query(form=RAW)) == 1
            assert again.verify().ok
        assert records(after) == [1]


def test_many_shapes_are_told_in_events_of_a_bounded_size() -> None:
    world = SimPlatform()
    field = FieldShape(name="f" * 20, type="string", required=True)
    many = [
        EventShape(
            kind=0x1000 + n,
            version=1,
            name=f"Event{n}",
            fields=(field,) * 4,
            is_array=False,
            types=(),
        )
        for n in range(2000)
    ]
    huge = replace(many[0], kind=0x2FFF, name="x" * (shapes.SHAPE_BYTES_MAX + 1))
    with Store.open("s", PLAIN, platform=world) as store:
        told = list(shapes._records([*many, huge]))
        store._lane.commit(Unit(tuple(Request(LIFECYCLE, wired(one)) for one in told), 0))
        found = list(store.query(form=RAW))
        kinds = store.describe()

    sizes = [len(one.payload) for one in found if one.kind == RECORD]
    assert len(sizes) > 5
    assert max(sizes) < shapes.EVENT_BYTES + 200
    assert sum(one.name is not None and not one.kind.reserved for one in kinds) == 2000


def wired(record: ShapesRecorded) -> Encoded:
    return foreign(encode(record))


def foreign(data: bytes, version: int = 1) -> Encoded:
    return Encoded(RECORD, version, data, content_hash(data), SEAL)


# ---------------------------------------------------------------------------------- what is told


def test_a_shape_has_the_structs_and_enums_that_its_fields_name() -> None:
    class Color(WireEnum):
        RED = "red"
        BLUE = "blue"

    class Mood(OpenEnum):
        FINE = "fine"
        UNRECOGNIZED = "\0"

    class Cash(Struct, frozen=True, tag="cash", tag_field="how"):
        cents: int

    class Point(Struct, frozen=True, array_like=True):
        x: float
        y: float

    class Everything(EventPayload, frozen=True, kw_only=True, rename={"who": "w"}):
        KIND: ClassVar[EventKind] = PAID
        VERSION: ClassVar[int] = 3

        who: UUID
        at: dt.datetime
        day: dt.date
        took: dt.timedelta
        price: Decimal
        raw: bytes
        flag: bool
        notes: tuple[str, ...] = ()
        tags: frozenset[str] = frozenset()
        counts: dict[str, int]
        colors: dict[Color, int | None]
        cash: Cash | None = None
        mood: Mood
        pair: tuple[int, str]
        point: Point
        either: Literal["a", "b"]

    Everything.__annotations__.update(  # what is local has no name that could be looked up
        {
            "colors": dict[Color, int | None],
            "cash": Cash | None,
            "mood": Mood,
            "point": Point,
        }
    )
    entry = registry.lookup(PAID)
    assert entry is not None
    shape = shape_of(entry)

    assert shape is not None
    assert (shape.name, shape.version, shape.doc) == ("Everything", 3, None)
    assert {field.name: field.type for field in shape.fields} == {
        "who": "uuid",
        "at": "timestamp",
        "day": "date",
        "took": "duration",
        "price": "decimal",
        "raw": "bytes",
        "flag": "bool",
        "notes": "list<string>",
        "tags": "set<string>",
        "counts": "map<int>",
        "colors": "map<Color, int?>",
        "cash": "Cash?",
        "mood": "Mood",
        "pair": "tuple<int, string>",
        "point": "Point",
        "either": "'a' | 'b'",
    }
    assert shape.fields[0].stored_as == "w"
    assert {field.name for field in shape.fields if not field.required} == {
        "notes",
        "tags",
        "cash",
    }
    types = {one.name: one for one in shape.types}
    assert types["Color"].values == ("red", "blue")
    assert types["Mood"].values == ("fine",)
    assert [field.name for field in types["Cash"].fields] == ["how", "cents"]
    assert types["Point"].is_array


# -------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc1",
        b"\x80",
        encode({"shapes": 7}),
        encode({"shapes": [{"kind": 1 << 40}]}),
        encode({"shapes": [None] * 9}),
        encode(
            ShapesRecorded(
                shapes=tuple(
                    EventShape(
                        kind=kind, version=version, name="x", fields=(), is_array=True, types=()
                    )
                    for kind, version in ((1 << 40, 1), (-1, 1), (0x0008, 1), (0xE7E1, 0))
                )
            )
        ),
    ],
)
def test_a_record_that_nobody_understands_is_passed_over(payload: bytes) -> None:
    world = SimPlatform()
    with Store.open("s", PLAIN, platform=world) as store:
        for version in (1, 2):
            unit = Unit((Request(LIFECYCLE, foreign(payload, version)),), 0)
            store._lane.commit(unit)
    write(world, placed()(n=1))
    write(world, placed()(n=2))
    forget()

    with Store.open_read_only("s", platform=world) as again:
        assert of(again) == {"Placed": [(1, ["n"])]}
        assert [one.name for one in again.describe()][:2] == ["OpenCompleted", "CloseCompleted"]
        assert sum(one.kind == RECORD for one in again.query(form=RAW)) == 3


def test_a_damaged_record_keeps_no_store_from_being_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s"
    tiny = StoreConfig(limits=Limits(segment_max_bytes=4 << 10))
    with Store.open(path, tiny) as store:
        store.append(USER, placed()(n=1))
    with Store.open(path, tiny) as store:
        for n in range(100):
            store.append(USER, placed()(n=n))
    file = path / "000001.fbat"
    data = file.read_bytes()
    file.write_bytes(data.replace(b"An order", b"An 0rder", 1))

    with Store.open(path, tiny) as store:
        store.append(USER, placed()(n=7))
        assert len(store.verify().findings) == 1
    assert any(one.name == "batpak.shapes" for one in caplog.records)
    forget()
    assert "Placed" not in cli("tail", path), "nor a command from working"
    assert f"{PLACED:#06x}" in cli("show", path, 1)


# ---------------------------------------------------------------------------------- goes along


def test_shapes_go_along_with_copies_and_imports_and_stay_in_what_is_compacted(
    tmp_path: Path,
) -> None:
    path, tiny = tmp_path / "s", StoreConfig(limits=Limits(segment_max_bytes=4 << 10))
    with Store.open(path, tiny) as store:
        for n in range(100):
            store.append(USER, placed()(n=n))
    forget()
    with Store.open(path, tiny) as store:
        for n in range(100):
            store.append_raw(USER, PAID, encode({"n": n}))
        store.compact(retain=lambda _: False)
        assert of(store)["Placed"] == [(1, ["n"])]
        assert not any(event.kind == PLACED for event in store.query(form=RAW))
        assert store.verify().ok
        store.snapshot(tmp_path / "copy")
        store.fork(tmp_path / "fork")
    for name in ("copy", "fork"):
        with Store.open(tmp_path / name) as store:
            assert of(store)["Placed"] == [(1, ["n"])]


def test_an_import_brings_the_shapes_of_what_it_brings(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store.open(path) as store:
        store.append(USER, placed()(n=1))
    forget()

    for name in ("one", "one", "two"):
        with Store.open_read_only(path) as source, Store.open(tmp_path / name) as target:
            target.import_events(source, namespace="old")
    cli("import", path, tmp_path / "three", "--namespace", "old")
    cli("import", path, tmp_path / "three", "--namespace", "old")
    for name in ("one", "two", "three"):
        with Store.open_read_only(tmp_path / name) as found:
            assert of(found) == {"Placed": [(1, ["n"])]}
            assert found.stats().kinds[RECORD] == 1


# --------------------------------------------------------------------------------- command line


def cli(*words: object) -> str:
    done = CliRunner().invoke(application(), [str(word) for word in words])
    assert done.exit_code in (0, 1), (done.output, done.exception)
    return done.stdout


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A store of events that are stored as lists, and whose classes are gone."""

    class Paid(EventPayload, frozen=True, kw_only=True, array_like=True):
        KIND: ClassVar[EventKind] = PAID
        VERSION: ClassVar[int] = 1

        cents: int
        note: str | None = None

    with Store.open(tmp_path / "s") as store:
        first = store.append(USER, Paid(cents=5)).event_id
        store.append(USER, Paid(cents=6, note="more"), caused_by=first)
    forget()
    return tmp_path / "s"


def lines(text: str) -> Sequence[Any]:
    return [json.loads(line) for line in text.splitlines()]


class Stop(Struct, frozen=True, array_like=True):
    id: UUID
    key: bytes


def test_ids_are_told_as_ids_wherever_a_shape_says_that_they_are_some(tmp_path: Path) -> None:
    class Routed(EventPayload, frozen=True, kw_only=True):
        KIND: ClassVar[EventKind] = PAID
        VERSION: ClassVar[int] = 1

        start: Stop
        stops: tuple[UUID, ...]
        doors: dict[str, UUID]
        last: UUID | None = None
        next: UUID | None = None

    one = UUID(int=1)
    point = Stop(id=one, key=bytes(16))
    with Store.open(tmp_path / "s") as store:
        store.append(USER, Routed(start=point, stops=(one,), doors={"a": one}, last=one))
    forget()

    said, key = str(one), bytes(16)
    told = {"stops": [said], "doors": {"a": said}, "last": said, "next": None}
    shown = json.loads(cli("show", tmp_path / "s", 1, "--json"))["payload"]
    assert shown == {"start": {"id": said, "key": b64encode(key).decode()}, **told}
    row = json.loads(cli("dump", tmp_path / "s").splitlines()[1].split("  ")[-1])
    assert row == {"start": {"id": said, "key": {"$bytes": b64encode(key).decode()}}, **told}


def test_commands_call_events_and_fields_what_the_store_calls_them(listed: Path) -> None:
    name = "Paid"
    for command in (("tail",), ("dump",)):
        rows = cli(*command, listed).splitlines()
        assert name in rows[1]
        assert '{"cents": 5, "note": null}' in rows[1]
        one = lines(cli(*command, listed, "--json"))[1]
        assert one["event"] == name
        assert one["payload"] == [5, None], "lines are for reading back"
    shown = json.loads(cli("show", listed, 2, "--json"))
    assert shown["payload"] == {"cents": 6, "note": "more"}
    for words in (("show", listed, 2), ("why", listed, 2), ("impact", listed, 1), ("stat", listed)):
        assert name in cli(*words)
    assert name in cli("entity", listed, USER.entity)
    assert name in cli("entity", listed, USER.entity, "--json")
    cli("snapshot", listed, listed.parent / "copy")
    with Store.open(listed, OFF) as store:
        store.append_raw(USER, PAID, encode([7, None]))
    assert name in cli("diff", listed.parent / "copy", listed)


def test_shapes_are_listed(listed: Path) -> None:
    rows = cli("shapes", listed).splitlines()

    assert rows[0] == "0xe7e2  Paid  2 events"
    assert [row.split() for row in rows[2:]] == [
        ["cents", "int"],
        ["note", "string?", "may", "be", "missing"],
    ]
    (one,) = json.loads(cli("shapes", listed, "--json"))
    assert (one["kind"], one["events"]) == ("0xe7e2", 2)
    assert one["shapes"][0]["fields"][1] == {
        "name": "note",
        "type": "string?",
        "stored_as": None,
        "required": False,
    }
    assert one["shapes"][0]["is_array"] is True


def test_names_that_would_move_a_cursor_are_escaped(tmp_path: Path) -> None:
    bad = "\x1b[31m\u202edecalP\n"
    field = FieldShape(name=bad, type=bad, stored_as=bad, required=True)
    kind = TypeShape(name=bad, fields=(field,), values=(bad,), is_array=False)
    shape = EventShape(
        kind=int(PAID), version=1, name=bad, doc=bad, fields=(field,), is_array=True, types=(kind,)
    )
    with Store.open(tmp_path / "s") as store:
        record = wired(ShapesRecorded(shapes=(shape,)))
        store._lane.commit(Unit((Request(LIFECYCLE, record),), 0))
        store.append_raw(USER, PAID, encode([1]))

    for words in (("shapes",), ("tail", "-n", 2), ("stat",), ("show", 2), ("why", 2)):
        text = cli(words[0], tmp_path / "s", *words[1:])
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "decalP\\n" in text


def test_a_follower_learns_what_is_recorded_while_it_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = EventShape(kind=int(PAID), version=1, name="Paid", fields=(), is_array=False, types=())
    rows: list[str] = []
    with Store.open(tmp_path / "s", OFF) as store:
        store.append_raw(USER, PAID, encode({"n": 1}))

        def write() -> None:
            record = wired(ShapesRecorded(shapes=(shape,)))
            store._lane.commit(Unit((Request(LIFECYCLE, record),), 0))
            store.append_raw(USER, PAID, encode({"n": 2}))

        writer = threading.Thread(target=write)

        def echo(row: str) -> None:
            """As a terminal, at which somebody presses Ctrl-C once there are three rows."""
            rows.append(row)
            if len(rows) == 1:
                writer.start()
            elif len(rows) == 3:
                raise KeyboardInterrupt

        monkeypatch.setattr("batpak.cli.events.typer.echo", echo)
        done = CliRunner().invoke(application(), ["tail", str(tmp_path / "s"), "-f"])
        writer.join()

    assert done.exit_code == 130
    names = [line.split()[2] for line in rows]
    assert names == ["0xe7e2", "ShapesRecorded", "Paid"]
