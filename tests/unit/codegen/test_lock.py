"""The lock file: one spelling, a union of lines, and nothing that a hostile one can do.

Without this, an edited or merged lock could be read as a promise that nobody made, or the reader
could be brought down by a pull request.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batpak_codegen import lock as locks
from batpak_codegen import shape, versions
from batpak_codegen.config import Config
from batpak_codegen.diagnostic import Findings, SchemaError
from batpak_codegen.lock import Lock, spell_file
from batpak_codegen.promises import Settled, parse_lock, read_lock
from batpak_codegen.shape import Box, Maybe, Plain, Ref, ShapeField
from batpak_codegen.unfrozen import Unfrozen, unfrozen
from tests.unit.codegen.version_world import HEAD, LOCK, World, codes

FACTS = """\
wire 1
kind 0x2001 shop.orders.OrderPlaced
kind 0x2006 shop.orders.OrderArchived
shape 0x2001 2.1 {lines:list<shop.orders.Line#1>,total:string}
shape 0x2001 10.1 {from/to:string,lines:map<list<i64>>,n:i32=3,total:decimal(18.2)?}
hop 0x2001 1 rename(email,customer_email) add(note,null) drop(promo_code)
type shop.orders.Line#1 {pay:shop.orders.Pay,sku:string}
type shop.orders.Card#1 {last4:string="a, {b}"}
tag shop.orders.Pay card shop.orders.Card#1
enum shop.orders.Reason open LATE=too late
id shop.orders.OrderId order
entity shop.orders.Order order:{order_id} shop.orders
fold shop.orders.Revenue 2 00000000deadbeef
fold shop.orders.Revenue 10 0123456789abcdef
"""


def read(text: str) -> tuple[Lock, Findings]:
    findings = Findings()
    return locks.read(text, "batpak.lock", findings), findings


def test_what_is_spelled_is_read_and_spelled_the_same() -> None:
    lock, findings = read(FACTS)

    assert findings.diagnostics == []
    text = spell_file(lock.lines)
    assert spell_file(read(text)[0].lines) == text
    assert text.splitlines()[1:6] == [*FACTS.splitlines()[:3], *FACTS.splitlines()[3:5]]
    assert lock.enums[Ref("shop.orders.Reason")].stored == {"LATE": "too late"}


def test_order_and_doubles_of_lines_mean_nothing() -> None:
    lines = [*FACTS.splitlines(), *FACTS.splitlines()]
    random.Random(4).shuffle(lines)  # noqa: S311  any order

    assert spell_file(read("\r\n".join(lines))[0].lines) == spell_file(read(FACTS)[0].lines)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("shape 0x2001 1.1 {b:string,a:string}", "not how `batpak lock` spells it"),
        ("shape 0x2001 1.1 {a:text}", "`text` is no type"),
        ("shape 0x2001 1.1 {a:string,a:string}", "a field stands twice"),
        ("shape 0x2001 1.1 {a/k:string,b/k:string}", "a field stands twice"),
        ("shape 0x2001 1.1 {a:string=[1]}", "a default is text"),
        ("shape 0x2001 1.1 {a:string=-Infinity}", "a default"),
        ("shape 0x2001 1.1 {a:f64=1e999}", "a default"),
        ("shape 0x2001 1.1 {a:string", "a , or } is missing"),
        ("shape 0x2001 1.1 {a:string} x", "text behind the shape"),
        ("shape 0x2001 1.1 {a:" + "list<" * 5000 + "i8" + ">" * 5000 + "}", "nested too deep"),
        ("shape 0x2001 1 {a:string}", "a revision is written like 3.1"),
        ("shape 8193 1.1 {a:string}", "a kind is written like 0x2001"),
        ("kind 0x2001 OrderPlaced", "no name of a type"),
        ("fold shop.orders.Revenue 0 0123456789abcdef", "a fold has a version"),
        ("fold shop.orders.Revenue 1 0123456789ABCDEF", "a digest of 16 hex digits"),
        ("fold shop.orders.Revenue 1", "has 3 parts"),
        ("kind 0x2001", "has 2 parts"),
        ("kindly 0x2001 a.B", "no line that begins with `kindly`"),
        ("<<<<<<< HEAD", "no line that begins with"),
        ("wire 2", "wire rules `2` are not known"),
        ("type shop.Money {a:string}", "a struct has a revision"),
        ("type shop.A#1 {a:shop.A#1}", "types contain each other"),
        ("enum shop.E closed a=b", "an enum is written like"),
        ("hop 0x2001 one python", "a version is a number"),
        ("kind 0x2001 shop.orders.Other", "belongs to shop.orders.OrderPlaced and to"),
    ],
)
def test_what_is_no_line_is_told_with_its_place(line: str, said: str) -> None:
    _, findings = read(FACTS + line + "\n")

    (found,) = findings.diagnostics
    assert said in found.message
    assert found.code in ("E0804", "E0203")
    assert found.span is not None
    assert found.span.line in (1, len(FACTS.splitlines()) + 1)


def test_a_chain_of_types_has_an_end() -> None:
    lines = [f"type s.T#{n} {{a:s.T#{n + 1}}}" for n in range(1, 5000)]

    _, findings = read("\n".join(lines))

    assert "nested more than 64 levels deep" in findings.diagnostics[0].message


def test_findings_have_an_end() -> None:
    _, findings = read("nonsense\n" * 100_000)

    assert 50 <= len(findings.diagnostics) <= 100


def test_a_mutated_lock_is_a_typed_error_or_means_what_it_says() -> None:
    chance = random.Random(15)  # noqa: S311  a test
    letters = [*sorted(set(FACTS)), "\0", "é", "\N{RIGHT-TO-LEFT OVERRIDE}", "{" * 40]
    refused = 0
    for _ in range(1000):
        text = list(FACTS)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            text[at : at + chance.randint(0, 3)] = chance.choice(letters)
        lock, findings = read("".join(text))
        refused += bool(findings.diagnostics)
        assert set(codes(tuple(findings.diagnostics))) <= {"E0203", "E0804"}
        if not findings.diagnostics:
            again = parse_lock(spell_file(lock.lines), "batpak.lock")
            assert (again.lines, again.shapes.keys()) == (lock.lines, lock.shapes.keys())
    assert 100 < refused < 1000


def test_a_lock_has_at_most_16_mib_and_is_text(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"#" * (16 * 1024 * 1024 + 1))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "folder").mkdir()

    for path, code in (("big", "E0804"), ("bytes", "E0005"), ("folder", "E0005")):
        with pytest.raises(SchemaError) as caught:
            read_lock(tmp_path, path)
        assert codes(caught.value.diagnostics) == [code]
    assert read_lock(tmp_path, "nothing")[0].lines == set()


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
TYPES = st.recursive(
    st.sampled_from(sorted(shape.PLAIN)).map(Plain)
    | st.just(Plain("decimal", 18, 2))
    | st.just(Ref("shop.orders.Line", 2))
    | st.just(Ref("shop.orders.Side")),
    lambda inner: (
        st.builds(Box, st.sampled_from(["list", "set", "map"]), inner)
        | inner.filter(lambda type_: not isinstance(type_, Maybe)).map(Maybe)
    ),
    max_leaves=4,
)
FIELDS = st.builds(
    ShapeField,
    NAMES,
    TYPES,
    st.none() | st.just("from"),
    st.none() | st.text().map(shape.spell_value) | st.integers().map(shape.spell_value),
)


@given(st.lists(FIELDS, max_size=4, unique_by=(lambda f: f.name, lambda f: f.key)))
def test_every_shape_is_read_as_it_was_spelled(fields: list[ShapeField]) -> None:
    frozen = tuple(sorted(fields, key=lambda field: field.name))

    assert shape.parse(shape.spell(frozen)) == frozen


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


EVENTS = """\
types:
  Side: {enum: {IN: in, OUT: out}}
events:
  A: {id: 1, fields: {a: string, s: Side}}
  B: {id: 2, fields: {b: {type: i64, default: 3}}}
"""


def test_lock_writes_what_is_new_and_check_says_it_first(world: World) -> None:
    world.schema(EVENTS)

    before = world.batpak("lock", "--check")
    written = world.batpak("lock")
    after = world.batpak("lock", "--check")

    assert (before.returncode, written.returncode, after.returncode) == (1, 0, 0)
    assert "error[E0809] shop.orders.A 1.1 (0x2001) is not frozen" in before.stderr
    assert world.lines == [
        "wire 1",
        "kind 0x2001 shop.orders.A",
        "kind 0x2002 shop.orders.B",
        "shape 0x2001 1.1 {a:string,s:shop.orders.Side}",
        "shape 0x2002 1.1 {b:i64=3}",
        "enum shop.orders.Side closed IN=in",
        "enum shop.orders.Side closed OUT=out",
    ]
    frozen = (world.root / "tests/batpak/shop_orders.frozen").read_text().splitlines()
    assert frozen[1:] == ["0x2001 1.1 82a161a178a173a2696e", "0x2002 1.1 81a16201"]


def test_what_would_break_is_not_frozen(world: World) -> None:
    world.freeze(EVENTS)
    before = world.lines
    world.schema(EVENTS.replace("a: string", "a: i64"))

    told = world.batpak("lock")

    assert told.returncode == 1
    assert "error[C111] A: a is i64, and was string" in told.stderr
    assert world.lines == before


def test_retire_keeps_a_number_taken(world: World) -> None:
    world.freeze(EVENTS)
    gone = "\n".join(line for line in EVENTS.splitlines() if "B:" not in line) + "\n"

    still = world.batpak("lock", "--retire", "0x2002")
    unknown = world.batpak("lock", "--retire", "0x2abc")
    odd = world.batpak("lock", "--retire", "many")
    world.schema(gone)
    (missing,) = world.breaks(gone)
    done = world.batpak("lock", "--retire", "0x2002")
    again = world.batpak("lock", "--retire", "0x2002")

    assert (still.returncode, unknown.returncode, odd.returncode) == (1, 1, 2)
    assert "shop.orders.B is still declared" in still.stderr
    assert missing.code == "C121"
    assert missing.help == "put it back, or run `batpak lock --retire 0x2002`"
    assert (done.returncode, again.returncode) == (0, 0)
    text = (world.root / "schemas/orders.batpak.yaml").read_text()
    assert text.endswith("\nretired:\n  0x002: B\n")
    assert versions.compat(world.config).diagnostics == ()


def test_a_kind_is_retired_under_the_name_it_was_promised_to(world: World) -> None:
    world.freeze(EVENTS)
    gone = "\n".join(line for line in EVENTS.splitlines() if "B:" not in line) + "\n"

    (found,) = world.refused(f"{gone}retired: {{0x002: C, 0x009: D}}\n")
    world.freeze(f"{gone}retired: {{0x002: B, 0x009: D}}\n")

    assert found.code == "E0203"
    assert found.message == "kind 0x2002 belongs to shop.orders.B for ever"
    assert found.help == "retire it as B, in its own package"
    assert "kind 0x2009 shop.orders.D" in world.lines


@pytest.mark.parametrize("name", ["lock", "compat"])
def test_the_commands_end_with_the_codes_of_the_others(world: World, name: str) -> None:
    world.schema(EVENTS)

    fine = world.batpak(name)
    world.schema(EVENTS.replace("a: string", "a: strin"))
    wrong = world.batpak(name)
    (world.root / "pyproject.toml").write_text("[tool.batpak]\nnonsense = 1\n")
    nothing = world.batpak(name)

    assert (fine.returncode, wrong.returncode, nothing.returncode) == (0, 1, 2)
    assert "error[E0302]" in wrong.stderr
    assert "error[E0002]" in nothing.stderr


def test_a_lock_that_is_a_link_is_not_replaced(world: World, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("")
    (world.root / LOCK).symlink_to(target)
    world.schema(EVENTS)

    told = world.batpak("lock")

    assert told.returncode == 2
    assert "error[E0703]" in told.stderr
    assert target.read_text() == ""


@pytest.mark.parametrize("before", [True, False])
def test_lines_that_come_into_the_lock_meanwhile_are_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    if before:
        world.freeze(EVENTS.partition("  B:")[0])
    world.schema(EVENTS)
    theirs = "kind 0x2fff shop.orders.Theirs\n"

    def merging(config: Config, settled: Settled) -> Unfrozen:
        with (world.root / LOCK).open("a") as lock:
            lock.write(theirs)
        return unfrozen(config, settled)

    monkeypatch.setattr("batpak_codegen.versions.unfrozen", merging)
    with pytest.raises(SchemaError, match=r"E0703: .*batpak.lock.* changed in the meantime"):
        versions.lock(world.config, check=False)

    assert (world.root / LOCK).read_text().endswith(theirs)
    assert "shop.orders.B" not in (world.root / LOCK).read_text()
    monkeypatch.undo()
    world.schema(EVENTS + "retired: {0xfff: Theirs}\n")
    versions.lock(world.config, check=False)
    assert {theirs.strip(), "kind 0x2002 shop.orders.B"} <= set(world.lines)


def test_what_lock_and_compat_find_is_told_in_every_format(world: World) -> None:
    world.schema(EVENTS)

    unfrozen = world.batpak("lock", "--check", "--format", "json")
    world.freeze()
    frozen = world.batpak("lock", "--check", "--format", "json")
    world.schema(EVENTS.replace("a: string", "a: i64"))
    broken = [world.batpak(name, "--format", "json") for name in ("compat", "lock", "gen")]
    github = world.batpak("compat", "--format", "github", "--exit-zero")
    both = world.batpak("lock", "--check", "--retire", "0x2001")

    document = json.loads(unfrozen.stdout)
    assert (unfrozen.returncode, unfrozen.stderr, document["reason"]) == (1, "", "lock")
    assert {found["code"] for found in document["diagnostics"]} == {"E0809"}
    assert json.loads(frozen.stdout) == {"version": 1, "reason": None, "diagnostics": []}
    for told in broken:
        document = json.loads(told.stdout)
        assert (told.returncode, told.stderr, document["reason"]) == (1, "", "breaking")
        (found,) = document["diagnostics"]
        (also,) = found["also"]
        assert (found["code"], found["start"]["line"]) == ("C111", 7)
        assert also["start"]["utf16_column"] == 1  # the text of the lock is known
    assert github.returncode == 0
    assert github.stderr.startswith("::error title=C111,file=schemas/orders.batpak.yaml,line=7,")
    assert both.returncode == 2


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_schema_that_is_written_into_keeps_its_line_ends_and_its_mark(
    world: World, mark: bytes, end: str
) -> None:
    world.schema(EVENTS)
    world.batpak("lock", "-q")
    file = world.root / "schemas" / "orders.batpak.yaml"
    text = file.read_text().replace("  B: {id: 2, fields: {b: {type: i64, default: 3}}}\n", "")
    file.write_bytes(mark + text.replace("\n", end).encode())

    retired = world.batpak("lock", "--retire", "0x2002")
    added = world.batpak("id", "next", "shop.orders.C", "--write")

    data = file.read_bytes()
    assert (retired.returncode, added.returncode) == (0, 0)
    assert data.startswith(mark + HEAD.replace("\n", end).encode())
    assert {line[len(line.rstrip(b"\r\n")) :] for line in data.splitlines(True)} == {end.encode()}
    assert b"\xef\xbb\xbf" not in data[3:]
    assert b"0x002: B" in data
    assert b"  C:" in data


def test_lock_counts_in_english_and_says_that_nothing_is_left(world: World) -> None:
    world.schema(EVENTS)
    world.batpak("lock", "-q")

    nothing = [world.batpak("lock"), world.batpak("lock", "--check")]
    world.schema(EVENTS + "  C: {id: 3, fields: {n: i64}}\n")
    one = world.batpak("lock").stdout
    world.schema(EVENTS + "  C: {id: 3, fields: {n: i64, m: i64?}}\n")
    another = world.batpak("lock").stdout

    assert [told.stdout for told in nothing] == ["schemas/batpak.lock: all is frozen\n"] * 2
    assert "2 lines added, 1 new shape\n" in one
    assert "1 line added, 1 new shape\n" in another


def test_lock_and_compat_say_as_much_as_they_are_asked_to(world: World) -> None:
    world.schema(EVENTS)

    verbose = world.batpak("lock", "-v")
    quiet = [world.batpak(name, "-q") for name in ("lock", "compat")]
    plain = world.batpak("compat")

    assert "kind 0x2002 shop.orders.B\n" in verbose.stdout
    assert "tests/batpak/shop_orders.frozen: 2 lines\n" in verbose.stdout
    assert verbose.stdout.endswith("schemas/batpak.lock: 7 lines added, 2 new shapes\n")
    assert [(told.returncode, told.stdout, told.stderr) for told in quiet] == [(0, "", "")] * 2
    assert plain.stdout == "compatible with lock\n"
