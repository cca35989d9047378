"""`batpak import`, `export`, `dump`, `stat`, and `verify` on a store of the Rust original.

Would slip through without it: a line that loses a byte of a payload, a command that says that all
is well of a damaged store, an import that ends with 0 and did nothing.
"""

from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from batpak import codec
from batpak.append import BatchItem
from batpak.cli.main import application, main
from batpak.coordinate import Coordinate
from batpak.errors import CorruptStore, InvalidArgument, StorageFailed
from batpak.faults import Damage
from batpak.kind import EventKind
from batpak.store import Store
from batpak.upkeep import imported, lines
from batpak.upkeep.imported import ImportedEvent, RustPosition
from batpak.upkeep.rust.export import export
from batpak.upkeep.rust.source import RustSource
from batpak.wire import RAW
from tests.facts import FAST, PLAIN, USER, Counted, Said
from tests.unit.rust import original

FIXTURE: Final = Path(__file__).parents[1] / "fixtures" / "rust-0.7"
FREE: Final = EventKind.custom(0xF, 0x001)
HEALTH: Final = [HealthCheck.function_scoped_fixture]  # each example has a folder of its own
NAMES: Final = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1).filter(
    lambda text: not set(text) & set("/|=") and ".." not in text and not text.startswith("batpak:")
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
PLAIN_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary() | st.just({"$bytes": "eA=="}) | st.just({"$bytes": "no"}) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text() | st.integers(0, 99), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def run(*words: object) -> Result:
    return CliRunner().invoke(application(), [str(word) for word in words])


def ok(*words: object) -> str:
    done = run(*words)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def line_of(event: ImportedEvent) -> str:
    (line,) = lines.encoded([lines.told(event)])
    return line.decode().removesuffix("\n")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "s", PLAIN) as opened:
        opened.append(USER, Counted(n=0), flags=3, extensions={"app.trace": b"\0t"})
        opened.append_batch([BatchItem(USER, Counted(n=1)), BatchItem(USER, Said(text="x"))])
    return tmp_path / "s"


def facts(path: Path) -> list[tuple[object, ...]]:
    with Store.open_read_only(path) as opened:
        return [
            (one.coordinate, one.kind, one.payload, one.payload_version, one.flags)
            for one in opened.query(form=RAW)
            if not one.kind.reserved
        ]


# -------------------------------------------------------------------------------------- commands


def test_import_tells_what_it_did_and_does_it_once(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "t"

    first = ok("import", store, target, "--namespace", "a")
    again = json.loads(ok("import", store, target, "--namespace", "a", "--json"))

    assert "3 events imported" in first
    assert "up to sequence 2" in first
    assert (again["imported"], again["already_present"], again["high_water"]) == (0, 3, 2)
    assert facts(target) == facts(store)


@pytest.mark.parametrize("name", ["A", "GO", "M"])
def test_a_store_of_the_original_is_imported_dumped_counted_and_verified(
    name: str, tmp_path: Path
) -> None:
    expected = (FIXTURE / f"{name}.expected.jsonl").read_text("utf-8").splitlines()
    due = [json.loads(line) for line in expected]

    told = [json.loads(line) for line in ok("dump", FIXTURE / name, "--json").splitlines()]
    stat = json.loads(ok("stat", FIXTURE / name, "--json"))
    report = json.loads(ok("verify", FIXTURE / name, "--json"))
    ok("import", FIXTURE / name, tmp_path / "t", "--namespace", name)

    assert [one["sequence"] for one in told] == [one["gseq"] for one in due]
    assert [one["payload"] for one in told] == [one["get"]["payload"] for one in due]
    assert stat["events"] == len(due)
    assert stat["entities"] == len({one["entity"] for one in due})
    assert report["ok"]
    assert report["findings_count"] == 0
    assert len(ok("dump", FIXTURE / name).splitlines()) == len(due)
    assert f"{len(due)} events" in ok("stat", FIXTURE / name)
    assert f"{len(due)} events" in ok("verify", FIXTURE / name)
    assert len(facts(tmp_path / "t")) == sum(int(one["kind"], 16) > 0xFFF for one in due)


def test_a_source_that_is_not_there_leaves_no_store_behind(tmp_path: Path) -> None:
    done = run("import", tmp_path / "nothing", tmp_path / "t", "--namespace", "a")

    assert isinstance(done.exception, StorageFailed)
    assert not (tmp_path / "t").exists()


def test_a_large_batch_of_the_original_comes_over_whole(tmp_path: Path) -> None:
    items = [original.event(n) for n in range(1, 701)]
    frames = original.frames(original.begin(9, 700), *items, original.commit(9))
    original.store(tmp_path / "r", original.header() + frames)

    assert "700 events imported" in ok("import", tmp_path / "r", tmp_path / "t", "--namespace", "r")


def test_the_original_is_named_where_it_cannot_be_opened() -> None:
    done = run("decode", FIXTURE / "A", "0", "--plain")

    assert isinstance(done.exception, InvalidArgument)
    assert "batpak import" in done.exception.hint


def test_damage_in_a_store_of_the_original_exits_with_3(tmp_path: Path) -> None:
    bad = original.event(2)
    bad["event"]["payload"][-1] ^= 1
    frames = original.frames(original.event(1), bad)
    original.store(tmp_path / "r", original.header() + frames)
    done = run("verify", tmp_path / "r")
    assert done.exit_code == 3
    assert "000001.fbat:" in done.stdout

    whole = shutil.copytree(FIXTURE / "A", tmp_path / "a")
    data = bytearray((whole / "000001.fbat").read_bytes())
    data[1000] ^= 1
    (whole / "000001.fbat").write_bytes(data)
    told = json.loads(run("verify", whole, "--json").stdout)
    assert not told["ok"]
    assert told["findings"][0]["offset"] == 966
    assert told["findings"][0]["reason"] == "crc"


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    data = original.header() + original.frames(original.event(1), original.begin(8, 2))
    path = original.store(tmp_path / "r", data + b"\0\0")

    for command in ("stat", "verify"):
        told = ok(command, path)
        assert "a batch is left out" in told
        assert "2 bytes at the end are left out: zeros" in told


def test_a_store_counts_its_kinds(store: Path) -> None:
    told, stat = ok("stat", store), json.loads(ok("stat", store, "--json"))

    assert f"{Counted.KIND}           2  Counted" in told
    assert stat["kinds"] == {str(Counted.KIND): 2, str(Said.KIND): 1}
    assert stat["names"] == {str(Counted.KIND): "Counted", str(Said.KIND): "Said"}
    assert (stat["events"], stat["entities"], stat["scopes"]) == (3, 1, 1)


def test_dump_shows_all_where_more_is_asked_for_than_a_machine_counts(store: Path) -> None:
    assert ok("dump", store, "--limit", 10**30) == ok("dump", store)
    assert ok("dump", store, "--limit", 10**30, "--json") == ok("dump", store, "--json")


def test_dump_shows_a_part(store: Path) -> None:
    assert [line.split()[0] for line in ok("dump", store, "--after", 0).splitlines()] == ["1", "2"]
    assert len(ok("dump", store, "--limit", 2).splitlines()) == 2
    assert ok("dump", store, "--entity", "nobody") == ""
    assert "Said  user:1@acme" in ok("dump", store)


def test_a_store_goes_through_lines_and_is_the_same(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    ok("export", store, file)

    assert ok("export", store) == file.read_text("utf-8")
    assert "3 events imported" in ok("import", file, tmp_path / "t", "--namespace", "a")
    assert facts(tmp_path / "t") == facts(store)
    piped = CliRunner().invoke(
        application(),
        ["import", "-", str(tmp_path / "u"), "--namespace", "a"],
        input=file.read_text("utf-8"),
    )
    assert piped.exit_code == 0
    assert facts(tmp_path / "u") == facts(store)
    assert isinstance(run("export", store, file).exception, StorageFailed)


def test_an_export_that_fails_leaves_nothing_that_looks_complete(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = lines.encoded

    def cut(told: Any) -> Any:  # noqa: ANN401  of any lines
        yield next(iter(encoded(told)))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lines, "encoded", cut)
    done = run("export", store, tmp_path / "events.jsonl")

    assert isinstance(done.exception, StorageFailed | OSError)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["s"]


def test_an_export_does_not_go_into_a_store_nor_over_a_file(store: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store)
    (store / "notes").mkdir()
    before = sorted(store.rglob("*"))
    for place in (store, tmp_path / "link", store / "notes", store / "notes" / "more"):
        for form in ("jsonl", "rust-0.7"):
            done = run("export", store, place / "x", "--format", form)
            assert isinstance(done.exception, InvalidArgument), (place, form, done.output)
            assert "lies inside the store" in str(done.exception)
    assert sorted(store.rglob("*")) == before
    (tmp_path / "mine").write_text("mine", "utf-8")
    assert isinstance(run("export", store, tmp_path / "mine").exception, StorageFailed)
    assert (tmp_path / "mine").read_text("utf-8") == "mine"
    assert isinstance(run("export", store, tmp_path / "no" / "x").exception, StorageFailed)


def test_a_dash_is_the_pipe(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert ok("export", store, "-") == ok("export", store)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["s"]
    assert run("export", store, "-", "--format", "rust-0.7").exit_code == 2


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (b'{"event_id": "\xff"}\n', "utf-8"),
        (b'{"event_id": "01', "Unterminated"),
        (b"yes\n", "is no"),
    ],
)
def test_what_is_piped_in_and_is_no_event_is_told_by_place_and_reason(
    rest: bytes, reason: str, store: Path, tmp_path: Path
) -> None:
    whole = ok("export", store).encode()
    file = tmp_path / "bad.jsonl"
    file.write_bytes(whole + rest)
    words = ["import", "-", str(tmp_path / "t"), "--namespace", "a"]
    done = CliRunner().invoke(application(), words, input=whole + rest)
    assert isinstance(done.exception, InvalidArgument)
    assert str(done.exception).startswith("standard input:4: ")
    assert reason in str(done.exception)

    done = run("import", file, tmp_path / "u", "--namespace", "a")
    assert isinstance(done.exception, InvalidArgument)
    assert str(done.exception).startswith(f"{file}:4: ")
    assert isinstance(run("dump", file).exception, InvalidArgument)
    for target in ("t", "u"):
        assert not (tmp_path / target).exists(), "a store without an event was left behind"


def test_a_refused_import_takes_away_only_what_it_has_made(store: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(b"no")
    ok("import", store, tmp_path / "t", "--namespace", "a")
    (tmp_path / "empty").mkdir()
    Store.open(tmp_path / "new", PLAIN).close()

    for target in ("t", "empty", "new", "s"):
        assert run("import", bad, tmp_path / target, "--namespace", "a").exit_code == 1
        assert (tmp_path / target).is_dir()
    assert len(facts(tmp_path / "t")) == len(facts(store)) == 3
    done = run("import", store, tmp_path / "u", "--namespace", "")
    assert isinstance(done.exception, InvalidArgument)
    assert not (tmp_path / "u").exists()


def test_a_store_that_is_imported_into_itself_is_left_as_it_is(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s") as opened:
        opened.append(USER, Counted(n=0))
        opened.snapshot(tmp_path / "copy")
    before = {file: file.read_bytes() for file in (tmp_path / "s").iterdir()}

    for source in ("s", "copy"):
        done = run("import", tmp_path / source, tmp_path / "s", "--namespace", "a")
        assert isinstance(done.exception, InvalidArgument)
        assert str(done.exception) == "source: is the store that is written to, or a copy of it"
    assert {file: file.read_bytes() for file in (tmp_path / "s").iterdir()} == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"0xf001"', '" 0xf001"'),
        ('"0xf001"', '"0x\u0663001"'),
        ('"0xf001"', '"61441"'),
        ('"version":9', '"version":0'),
        ('"time_us":1', '"time_us":253402300800000000'),
        ('"payload":null', '"payload":NaN'),
        ('"payload":null', '"payload":[-Infinity]'),
        ('"payload":null', '"payload":{"a":1,"a":2}'),
        ('"version":9', '"version":9,"version":8'),
    ],
)
def test_a_line_that_only_looks_like_one_of_an_event_is_refused(old: str, new: str) -> None:
    event = ImportedEvent(
        event_id=UUID(int=1), sequence=0, entity="a:1", scope="s", kind=FREE, payload=b"\xc0",
        version=9, time_us=1,
    )  # fmt: skip
    good = line_of(event)
    assert old in good
    with pytest.raises(InvalidArgument, match="line 2: is no event"):
        list(lines.events_of([good, good.replace(old, new)]))


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (CorruptStore("s/000001.fbat", 9, Damage.CRC, "bad"), 3)],
)
def test_an_import_that_ends_early_says_what_is_there_and_how_to_go_on(
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
) -> None:
    ok("export", store, tmp_path / "f")
    read = lines.events_of

    def cut(given: Any, name: str) -> Any:  # noqa: ANN401  of any lines
        yield from islice(read(given, name), 2)
        raise error

    words = ["import", str(tmp_path / "f"), str(tmp_path / "u"), "--namespace", "a", "--chunk", "1"]
    monkeypatch.setattr(lines, "events_of", cut)
    monkeypatch.setattr("sys.argv", ["batpak", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    monkeypatch.undo()

    assert ended.value.code == status
    assert "stopped with 1 event imported; the same command goes on" in capsys.readouterr().err
    assert "2 events imported" in ok(*words)  # the second one was not whole: a batch may go on


def test_what_the_system_refuses_is_one_line(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("typer.echo", full)
    monkeypatch.setattr("sys.argv", ["batpak", "export", str(store)])
    with pytest.raises(SystemExit) as raised:
        main()

    assert raised.value.code == 2
    assert capsys.readouterr().err == "batpak: standard output: No space left on device\n"


def test_a_store_goes_through_the_original_and_is_the_same(store: Path, tmp_path: Path) -> None:
    told = ok("export", store, tmp_path / "r", "--format", "rust-0.7")
    plain = json.loads(ok("export", store, tmp_path / "q", "--format", "rust-0.7", "--json"))

    assert "3 events in 1 segment" in told
    assert (plain["events"], plain["without_extensions"]) == (3, 1)
    ok("import", tmp_path / "r", tmp_path / "t", "--namespace", "a")
    assert facts(tmp_path / "t") == facts(store)
    assert "is not empty" in str(
        run("export", store, tmp_path / "r", "--format", "rust-0.7").exception
    )


def test_options_that_say_nothing_here_are_refused(store: Path, tmp_path: Path) -> None:
    note = tmp_path / "note"
    with Store.open(store, PLAIN) as opened:
        note.write_text(str(opened.checkpoint()), encoding="utf-8")

    assert run("export", store, "--format", "rust-0.7").exit_code == 2
    assert run("export", store, "--json").exit_code == 2
    assert run("verify", FIXTURE / "A", "--since", note).exit_code == 2
    assert run("import", store, tmp_path / "t").exit_code == 2


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"sequence": 1}', "1", '{"event_id": 5}', "[" * 5000, '"\\ud800"']
)
def test_a_line_that_is_no_event_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(InvalidArgument, match="line 2"):
        list(lines.events_of(["", line]))


# ---------------------------------------------------------------------------------- nothing is lost


def event_of(payload: bytes) -> ImportedEvent:
    return ImportedEvent(
        event_id=UUID(int=1),
        sequence=7,
        entity="é:1",
        scope="\u2028",
        kind=FREE,
        payload=payload,
        payload_version=3,
        flags=255,
        version=9,
        correlation_id=UUID(int=2),
        causation_id=UUID(int=3),
        extensions={"app.x": b"\xff"},
        time_us=1,
        store_id=UUID(int=4),
        batch=6,
        repeat=2,
        position=RustPosition(1, 2, 3),
    )


@given(PLAIN_VALUES)
@settings(max_examples=30, deadline=None)
def test_a_line_gives_back_the_bytes_of_any_payload(value: object) -> None:
    for spell in (codec.encode, codec.encode_in_order):
        try:
            data = spell(value)
        except (TypeError, ValueError):  # keys of two types have no order
            continue
        event = event_of(data)
        line = line_of(event)

        assert "\n" not in line
        assert list(lines.events_of([line])) == [event]


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        b"\xca\x7f\xc0\x00\x00",
        b"\xcd\x00\x01",
        b"\x82\x01\x01\x01\x02",
        b"\xd4\x05\x06",
        b"",
    ],
)
def test_a_line_gives_back_the_bytes_of_a_rare_spelling(data: bytes) -> None:
    event = event_of(data)
    line = line_of(event)

    assert "stored" in json.loads(line)
    assert list(lines.events_of([line])) == [event]


def test_bytes_have_the_shape_that_is_written_down() -> None:
    told: Any = lines.plain_of(codec.encode({"a": b"\0\1", "b": [1.0]}))

    assert told == ({"a": {"$bytes": "AAE="}, "b": [1.0]}, True)


@given(st.lists(st.tuples(NAMES, NAMES, JSON, st.integers(0, 255)), min_size=1, max_size=8))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_json_can_say_survives_the_way_through_the_original(
    tmp_path: Path, given_events: list[tuple[str, str, object, int]]
) -> None:
    home = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    home.mkdir()
    with Store.open(home / "s", FAST) as first, Store.open(home / "t", FAST) as second:
        before = None
        for entity, scope, value, flags in given_events:
            place = Coordinate(entity[:100], scope[:100])
            data = codec.encode_in_order(value)
            before = first.append_raw(place, FREE, data, flags=flags, caused_by=before)
        export(first.query(form=RAW), home / "r", segment_bytes=1)
        with RustSource.open(home / "r") as source:
            second.import_events(source, namespace="r")
            assert source.report.segments == len(given_events)

        told = [
            [
                (one.coordinate, one.kind, one.payload, one.flags, one.version, one.correlation_id)
                for one in opened.query(form=RAW)
            ]
            for opened in (first, second)
        ]
        assert told[0] == told[1]
        causes = [one.causation_id for one in second.query(form=RAW)]
        assert causes == [None, *(one.event_id for one in second.query(form=RAW))][:-1]


def test_events_of_a_store_are_told_in_lines(store: Path) -> None:
    with Store.open_read_only(store) as opened:
        events = list(imported.of_store(opened.query(form=RAW), opened.store_id))

    assert list(lines.events_of(map(line_of, events))) == events
    assert [one.batch for one in events] == [None, 1, 1]
