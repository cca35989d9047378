"""Proves that a proposed number is free, the same everywhere, and written where it belongs.

Without it two events could get one number, or `--write` could break the file it helps with.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak_codegen.commands import next_id
from batpak_codegen.config import Config
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.ids import propose
from batpak_codegen.numbering import listed
from batpak_codegen.numbering import next_id as proposal
from batpak_codegen.run import understand
from tests.unit.codegen.project_world import DOORS, changed

NAME = "house.doors.Painted"
NUMBER = 0x615  # blake2b of the name; written down so that it never changes unseen


def test_the_number_depends_on_the_name_and_on_nothing_else() -> None:
    assert propose(NAME, ()) == NUMBER
    assert propose("house.doors.Repainted", ()) != NUMBER


def test_what_is_taken_is_passed_over_and_the_count_goes_round() -> None:
    first = propose(NAME, ()) or 0

    assert propose(NAME, {first, first + 1}) == first + 2
    assert propose(NAME, set(range(1, 4096))) == 0
    assert propose(NAME, range(4096)) is None


@pytest.mark.parametrize(
    "events",
    [
        "events: {X: {id: NUMBER, fields: {}}}",
        "events: {X: {id: NUMBER, category: 3, fields: {}}}\ncategory: 4",
        "retired: {NUMBER: Gone}",
    ],
)
def test_numbers_of_other_packages_and_of_retired_events_are_taken(events: str) -> None:
    head = "batpak: 1\npackage: house.roof\n" + ("" if "category" in events else "category: 0x3\n")
    other = head + events.replace("NUMBER", f"0x{NUMBER:03x}") + "\n"

    assert proposal(NAME, {"a": DOORS, "b": other}).number == NUMBER + 1
    assert proposal(NAME, {"a": DOORS, "b": other.replace("3", "5")}).number == NUMBER


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "doors.batpak.yaml").write_text(DOORS)
    return Config(tmp_path, (".",), "gen", "gen", "house")


def written(config: Config, text: str, name: str = NAME) -> str:
    """Write a number into a schema; the result must compile."""
    file = config.root / "doors.batpak.yaml"
    file.write_text(text)
    told = next_id(config, name, write=True)
    project, _ = understand(config)
    kinds = {event.name: event.type_id for event in project.packages[0].events}
    assert kinds[name.rpartition(".")[2]] == int(told.product, 16)
    return file.read_text()


STANZA = "  Painted:\n    id: 0x615\n    fields: {}\n"


def test_a_new_event_is_added_behind_the_last_one(config: Config) -> None:
    text = written(config, DOORS)

    assert text == changed(DOORS, {"machines:\n": f"\n{STANZA}machines:\n"})


@pytest.mark.parametrize(
    ("events", "result"),
    [
        ("", f"\nevents:\n{STANZA}"),
        ("events: {}\n", "events: {Painted: {id: 0x615, fields: {}}}\n"),
        (
            "events: {A: {id: 1, fields: {}}}\n",
            "events: {A: {id: 1, fields: {}}, Painted: {id: 0x615, fields: {}}}\n",
        ),
        (
            "events:\n  A: {id: 1, fields: {}}\n# end",
            f"events:\n  A: {{id: 1, fields: {{}}}}\n\n{STANZA}# end",
        ),
        ("events:\n    A: {id: 1, fields: {}}", None),
    ],
)
def test_events_are_added_to_whatever_is_there(
    config: Config, events: str, result: str | None
) -> None:
    head = "batpak: 1\npackage: house.doors\ncategory: 3\n"

    text = written(config, head + events)

    assert result is None or text == head + result


@pytest.mark.parametrize(
    "event",
    [
        "{id: 1, fields: {}}",
        "{fields: {}}",
        "\n    fields: {}\n    doc: x",
        "\n    id: 0x1  # why\n    fields: {}",
    ],
)
def test_an_event_without_a_number_or_with_a_taken_one_gets_one(config: Config, event: str) -> None:
    text = f"{DOORS.partition('machines:')[0]}  Painted: {event}\n".replace(": \n", ":\n")

    assert "id: 0x615" in written(config, text)


def test_without_write_nothing_is_written(config: Config) -> None:
    told = next_id(config, NAME, write=False)

    assert told.product == "0x615\n"
    assert (config.root / "doors.batpak.yaml").read_text() == DOORS


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Painted", "E0201"),
        ("house.doors.painted", "E0201"),
        ("house.door.Painted", "E0207"),
        ("house..Painted", "E0201"),
        ("", "E0201"),
    ],
)
def test_a_name_that_is_none_is_refused(config: Config, name: str, code: str) -> None:
    with pytest.raises(SchemaError, match=code):
        next_id(config, name, write=True)


def test_a_package_without_a_category_and_a_full_one_are_said() -> None:
    bare = "batpak: 1\npackage: house.doors\n"
    full = "category: 1\nevents: {" + ", ".join(f"E{n}: {{id: {n}}}" for n in range(4096)) + "}\n"

    for text, code in ((bare, "E0109"), (bare + full, "E0203")):
        with pytest.raises(SchemaError, match=code):
            proposal(NAME, {"a": text})


def test_the_list_is_sorted_by_kind(config: Config) -> None:
    text = listed(understand(config)[0])

    assert text.splitlines() == [
        "0x3001  house.doors.Fitted   v1",
        "0x3002  house.doors.Opened   v1",
        "0x3003  house.doors.Closed   v1",
        "0x3004  house.doors.Bricked  v1",
    ]
