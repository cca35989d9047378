"""Schema text: valid schemas that are made up, conditions, messages, and words to bend them."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any, Final, TypeAlias, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.unit.codegen.expr_world import LITERALS, PATHS, WORLDS, conditions
from tests.unit.codegen.project_world import DOORS

T = TypeVar("T")

SMALL: Final = """\
batpak: 1
package: shop.tiny
category: 0x4
imports: [shop.common]
types:
  Mood: {enum: {GOOD: good, BAD: "bad"}}
  Bag:
    struct:
      price: common.Money
      tags: {type: set<string>, max_length: 4}
      when: {type: date?, default: null}
events:
  Weighed:
    id: 0x001
    doc: >-
      Put on the scales,
      and read.
    fields:
      grams: {type: decimal, precision: 9, scale: 3, ge: 0, default: "1.500"}
      mood: {type: Mood, default: good}
      bags: {type: list<Bag>, min_length: 1}
      notes: map<string?>
      took: {type: duration, default: PT1H}
gates:
  light:
    event: Weighed
    require: >-
      event.grams < decimal('12.5')
      and all(bag.price.amount > 0 for bag in event.bags)
    deny: {code: HEAVY, message: "{event.grams} is {{too}} much"}
"""

CUT: Final = "gates: {a: {deny: {x,message"  # libyaml says that this ends in its second line

MESSAGES: Final = (
    "the lines do not add up to {event.amount.amount}",
    "{event.sku} {{and}} {event.order_id}, {event.carrier}: {event.took} at {event.paid_at}",
    'it\'s "quoted" \\ back\\slash and {state.buyer}é{event.day}',
    "}}{{{event.count}}}{{",
    "plain",
)

_SCHEMA_WORDS: Final = r"""
    batpak package category imports types events machines gates doc id fields enum struct alias
    version default precision scale ge gt le lt min_length max_length type entity states initial
    final extends data moves from to event require deny code message true false null ~ yes NO on
    0 1 -1 0x2 0xF 1_000 010 1.10 1e9 .inf .nan 0.0000001 string i8 i64 u8 u64 f64 bool bytes
    decimal uuid timestamp date duration list<string> map<string> set<i64> list<list<u8>>
    map<string,i64> Optional[str] string?? common.Money & * ! | > >- [ ] { } , : :: - -- --- ...
    ? # @ ` % << <<: &a *a !!str !x " ' '' \ class import None self __init__ Decimal EventKind
    ../x /etc CON shop shop.common PT1H -P1DT0.5S 2024-01-02T03:04:05Z 2024-02-30 "\q"
"""
_CONDITION_WORDS: Final = r"""
    event state line tag x in not and or is None if else for True False any all sum len min max
    abs decimal duration timestamp startswith endswith Carrier.DHL Currency.EUR . .. ( ) [ ] , +
    - * // % / ** < <= > >= == != = := { } : ; # @ \ & | ~ ! ? lambda _ __class__ eval exec import
    f'x' r'x' 1.5 1e9 0x1 010 7 0 9999999999999999999 ' " 'eur' '' event.lines event.note
    event.labels event.codes {event.sku} {{ }}
"""
WORDS: Final = (
    *_SCHEMA_WORDS.split(),
    *("\n", "\n  ", "\n    ", "\n- ", ": ", " #", "\t", "\r\n", "\r", "é", "\u202e", "\x85", "\0"),
    *("9" * 40, "a" * 300),
)
EXPRESSION_WORDS: Final = (
    *_CONDITION_WORDS.split(),
    *("\n", " ", "\t", "é", "\0", "\ud800", "((" * 20, "not " * 31, "9" * 4000),
    *(path for paths in PATHS.values() for path in paths),
    *(literal for literals in LITERALS.values() for literal in literals),
)


def drawn(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """At most so many values of a strategy, the same ones in every run."""
    found: list[T] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(one: T) -> None:
        found.append(one)

    collect()
    return found


# ------------------------------------------------------------------------------------ whole schemas

Field: TypeAlias = tuple[str, str, str]
"""A type, its options, and what may be its default."""

_FIELDS: Final[tuple[Field, ...]] = (
    ("string", "max_length: 20", "'it''s'"),
    ("string?", "", "null"),
    ("i32", "ge: 1, le: 9", "7"),
    ("u64", "", "18446744073709551615"),
    ("f64", "gt: -1.5", "2.5"),
    ("bool", "", "true"),
    ("decimal", "precision: 6, scale: 2", "'1.25'"),
    ("decimal?", "precision: 18, scale: 0, lt: 10", "null"),
    ("timestamp", "", "2024-01-02T03:04:05Z"),
    ("date", "", "2024-02-29"),
    ("duration", "", "P1DT2H"),
    ("uuid", "", ""),
    ("bytes", "min_length: 1", ""),
    ("Color", "", "red"),
    ("Color?", "", "blue"),
    ("Name", "", "abc"),
    ("DoorId", "", ""),
    ("Size", "", ""),
    ("list<Size>?", "max_length: 3", ""),
    ("set<Color>", "", ""),
    ("map<list<i64>>", "", ""),
    ("common.Money", "", ""),
)
_TYPES: Final = {  # what some of them refer to, and those in turn
    "DoorId": "{id: door}",
    "Color": "{enum: {RED: red, BLUE: blue}}",
    "Size": "{struct: {width: i32, height: {type: decimal, scale: 1, precision: 5}, label: Name?}}",
    "Name": "{alias: string, min_length: 2}",
}
_NAMES: Final = ("a", "door_id", "total", "n_2", "placed_at", "x1", "note", "sizes")
_CONDITIONS: Final = {  # what may be asked of a field of a type
    "string": "event.@ != 'x' and len(event.@) < 9",
    "i32": "event.@ * 2 > 1",
    "decimal": "event.@ >= decimal('0.5')",
    "bool": "not event.@",
    "Color": "event.@ in [Color.RED, 'blue']",
    "string?": "event.@ is None or event.@.startswith('a')",
    "list<Size>?": "event.@ is not None and any(s.width > 1 for s in event.@)",
    "timestamp": "event.@ > timestamp('2024-01-02T03:04:05Z')",
}


@st.composite
def schemas(draw: st.DrawFn) -> str:
    """A small schema that is almost always right: types, events, perhaps a machine, gates."""
    events: dict[str, dict[str, Field]] = {}
    for number in range(draw(st.integers(1, 2))):
        fields = st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(_FIELDS), max_size=3)
        events[f"Event{number}"] = {"key": ("DoorId", "", ""), **draw(fields)}
    behind = ["events:"]
    for number, (name, its) in enumerate(events.items()):
        behind += [f"  {name}:", f"    id: {hex(number)}", "    fields:"]
        behind += [f"      {field}: {_field(*of, draw)}" for field, of in its.items()]
    if draw(st.booleans()):
        behind += _machine(list(events))
    behind += _gates(events)
    lines = ["batpak: 1", "package: shop.made", f"category: 0x{draw(st.sampled_from('123BCEF'))}"]
    if any("common." in line for line in behind):
        lines += ["imports: [shop.common]"]
    types: list[str] = []
    for name, of in _TYPES.items():
        if any(name in line for line in (*behind, *types)):
            types.append(f"  {name}: {of}")
    return "\n".join([*lines, "types:", *types, *behind]) + "\n"


def _field(name: str, options: str, default: str, draw: st.DrawFn) -> str:
    shape = draw(st.integers(0, 3))
    if shape == 0 and not options:
        return name
    parts = [f"type: {name}", *([options] if options else [])]
    parts += [f"default: {default}"] if default and shape > 1 else []
    parts += ["doc: some words"] if shape == 3 else []
    return f"{{{', '.join(parts)}}}"


def _machine(events: list[str]) -> list[str]:
    """A machine that goes from one state to the next, event by event."""
    states = [f"State{number}" for number in range(len(events) + 1)]
    lines = ["machines:", "  Thing:", '    entity: "door:{key}"', "    states:"]
    lines += [f"      {state}: {{initial: {str(state == states[0]).lower()}}}" for state in states]
    lines += ["    moves:"]
    for number, (event, (before, after)) in enumerate(zip(events, pairwise(states), strict=True)):
        lines += [f"      go_{number}: {{from: {before}, to: {after}, event: {event}}}"]
    return lines


def _gates(events: dict[str, dict[str, Field]]) -> list[str]:
    lines: list[str] = []
    for event, fields in events.items():
        for field, (name, _, _) in fields.items():
            if name in _CONDITIONS:
                lines += [f"  {event.lower()}_{field}:", f"    event: {event}"]
                lines += [f'    require: "{_CONDITIONS[name].replace("@", f"{field}")}"']
                lines += ["    deny: {code: NO, message: 'not {event.key}'}"]
    return ["gates:", *lines] if lines else []


@cache
def schema_seeds() -> list[str]:
    """Whole schemas."""
    doors = DOORS.replace("house.doors", "shop.doors")
    return [SMALL, doors, CUT, *sorted(set(drawn(schemas(), 40)))]


@cache
def condition_seeds() -> list[str]:
    """Conditions over the scope of `expr_world`."""
    return sorted(set(drawn(conditions(), 120)))


@cache
def worlds() -> list[dict[str, Any]]:
    """Values for that scope."""
    return drawn(WORLDS, 12)
