"""Proves what the catalog says about the past: versions, and what is new since a lock.

Without it readers of the catalog would learn of a new version from the events that arrive.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from batpak_codegen.catalog import Block, Heading, Mono, Paragraph, Table
from batpak_codegen.changelog import changelog
from batpak_codegen.commands import docs
from batpak_codegen.diagnostic import SchemaError
from batpak_codegen.promises import read_lock
from batpak_codegen.run import unbroken
from tests.unit.codegen.version_world import LOCK, World

FIRST = """\
types:
  OrderId: {id: order}
  Line: {struct: {pieces: i32}}
events:
  Placed: {id: 1, fields: {order_id: OrderId, email: string, line: Line}}
  Stored: {id: 2, fields: {order_id: OrderId}}
  Paid: {id: 3, fields: {order_id: OrderId}}
"""
SECOND = """\
types:
  OrderId: {id: order}
  Line: {struct: {pieces: i32, gift: bool?}}
events:
  Placed:
    id: 1
    version: 2
    fields: {order_id: OrderId, customer_email: string, line: Line}
    upcasts: {1: [{rename: {email: customer_email}}]}
  Paid: {id: 3, fields: {order_id: OrderId, note: string?, line: Line?}}
  Lost: {id: 4, fields: {order_id: OrderId}}
retired: {0x002: Stored}
"""
THIRD = (
    SECOND.replace("gift: bool?", "gift: bool?, colour: string?").replace(
        """\
    version: 2
    fields: {order_id: OrderId, customer_email: string, line: Line}
    upcasts: {1: [{rename: {email: customer_email}}]}
""",
        """\
    version: 3
    fields: {order_id: OrderId, mailbox: string, line: Line}
    upcasts: {1: [{rename: {email: customer_email}}], 2: python}
""",
    )
    + """\
machines:
  Order:
    entity: "order:{order_id}"
    states: {Draft: {initial: true}, Done: {final: true}}
    moves: {place: {from: Draft, to: Done, event: Placed}}
"""
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def told(world: World, lock: str) -> list[Block]:
    """The section about what is new since a lock that was kept."""
    found, _ = unbroken(world.config)
    base, _ = read_lock(world.root, lock)
    return changelog(found.project, found.freezing, base, "then")


def rows(blocks: list[Block]) -> list[tuple[str, str]]:
    (table,) = (block for block in blocks if isinstance(block, Table))
    return [
        (name.text if isinstance(name, Mono) else name, str(words)) for name, words in table.rows
    ]


def test_events_versions_and_fields_that_are_new_are_told(world: World) -> None:
    world.freeze(FIRST)
    shutil.copy(world.root / LOCK, world.root / "then")
    world.freeze(SECOND)
    shutil.copy(world.root / LOCK, world.root / "later")
    world.freeze(THIRD)

    since_then, since_later = told(world, "then"), told(world, "later")

    assert rows(since_then) == [
        ("Placed", "version 1 to 2: without email, customer_email is new"),
        ("Placed", "version 2 to 3: without customer_email, mailbox is new"),
        ("Paid", "note is new, and may be absent"),
        ("Paid", "line is new, and may be absent"),
        ("Lost", "new, kind 0x2004"),
        ("Order", "new, lives in order:{order_id}"),
    ]
    assert since_then[-1] == Paragraph("Retired by now: shop.orders.Stored (0x2002).")
    assert rows(since_later) == [
        ("Placed", "version 2 to 3: without customer_email, mailbox is new"),
        ("Paid", "line.colour is new, and may be absent"),
        ("Order", "new, lives in order:{order_id}"),
    ]


def test_nothing_new_is_told_as_well(world: World) -> None:
    world.freeze(FIRST)

    assert told(world, LOCK) == [
        Heading(1, "Changes since then", "changes-since"),
        Paragraph("Nothing that is stored has changed."),
    ]


def test_the_catalog_tells_how_versions_differ_and_how_old_events_are_read(world: World) -> None:
    world.freeze(FIRST)
    world.freeze(SECOND)
    world.freeze(THIRD)

    page = docs(world.config, "md", None).product

    assert "| Version | What changed | How old events are read |" in page
    assert "| 1 to 2 | without email, customer\\_email is new | by declared steps |" in page
    assert "| 2 to 3 | without customer\\_email, mailbox is new | by Python |" in page


def test_the_command_compares_with_the_lock_a_revision_or_a_directory(world: World) -> None:
    world.freeze(FIRST)
    world.git("init", "-q", "-b", "main")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "base")
    shutil.copytree(world.root, world.root / "old")
    world.schema(SECOND)

    pages = [world.batpak("docs", "--against", against) for against in ("lock", "git:main", "old")]
    html = world.batpak("docs", "--against", "git:main", "--format", "html").stdout

    for page, name in zip(pages, ("lock", "git:main", "old"), strict=True):
        assert (page.returncode, page.stderr) == (0, "")
        assert f"\n## Changes since {name}\n" in page.stdout
        assert "| [`Lost`](#shop.orders.Lost) | new, kind 0x2004 |" in page.stdout
        assert page.stdout.index("Changes since") < page.stdout.index("shop.orders")
    assert '<a href="#changes-since">Changes since git:main</a>' in html
    for nothing in ("git:nowhere", "nowhere"):
        with pytest.raises(SchemaError, match="E0003"):
            docs(world.config, "md", None, nothing)
