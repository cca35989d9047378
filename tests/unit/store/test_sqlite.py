"""Effects in somebody's own database happen once: the key stands where the effect does, or neither.

Without this a worker that is interrupted between the two would count a sale twice, or never.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest

from batpak import (
    AtLeastOnce,
    EventPayload,
    InvalidArgument,
    ObservedOnce,
    Region,
    RestartPolicy,
    Step,
    Store,
    StoredEvent,
)
from batpak.event import EventHeader
from batpak.seal import SEAL
from batpak.sqlite import Effects
from tests.facts import FAST, USER, Counted

WITNESS = AtLeastOnce("sums", SEAL)
OTHER = AtLeastOnce("others", SEAL)


@pytest.fixture
def event(tmp_path: Path) -> EventHeader:
    with Store.open(tmp_path / "store", FAST) as store:
        return store.get(store.append(USER, Counted(n=1)).sequence)


@pytest.fixture(params=["implicit", "explicit"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody's database, with a sum in it."""
    level: Literal["DEFERRED"] | None = "DEFERRED" if request.param == "implicit" else None
    path = tmp_path / "sums.db"
    with closing(sqlite3.connect(path, isolation_level=level, timeout=0)) as made:
        with made:
            made.execute("CREATE TABLE sums (n INTEGER)")
            made.execute("INSERT INTO sums VALUES (0)")
        yield made


def add(database: sqlite3.Connection, n: int = 1) -> None:
    database.execute("UPDATE sums SET n = n + ?", (n,))


def total(database: sqlite3.Connection) -> object:
    (n,) = database.execute("SELECT n FROM sums").fetchone()
    return n


def add_once(database: sqlite3.Connection, once: ObservedOnce) -> bool:
    with Effects(database) as effects:
        if fresh := effects.first(once):
            add(database)
    return fresh


def test_an_effect_is_first_once_in_a_block_and_in_all_that_follow(
    database: sqlite3.Connection, event: EventHeader
) -> None:
    with Effects(database) as effects:
        assert effects.first(WITNESS.once(event))
        assert not effects.first(WITNESS.once(event))
        assert effects.first(WITNESS.once(event, "another"))

    assert not database.in_transaction
    with Effects(database) as effects:
        assert not effects.first(WITNESS.once(event))
        assert not effects.first(WITNESS.once(event, "another"))
        assert effects.first(OTHER.once(event))


def test_a_block_that_fails_leaves_neither_the_effect_nor_the_key(
    database: sqlite3.Connection, event: EventHeader
) -> None:
    def fail() -> None:
        with Effects(database) as effects:
            assert effects.first(WITNESS.once(event))
            add(database)
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        fail()

    assert total(database) == 0
    assert not database.in_transaction
    assert add_once(database, WITNESS.once(event))
    assert not add_once(database, WITNESS.once(event))
    assert total(database) == 1


def test_a_database_that_does_not_take_the_commit_has_nothing_and_is_free_again(
    database: sqlite3.Connection, event: EventHeader, tmp_path: Path
) -> None:
    def write(reader: sqlite3.Cursor) -> None:
        with Effects(database) as effects:
            assert effects.first(WITNESS.once(event))
            add(database)
            assert reader.fetchone()  # it holds a lock that a commit has to wait for

    with closing(sqlite3.connect(tmp_path / "sums.db")) as other:
        reader = other.execute("SELECT n FROM sums UNION ALL SELECT 1")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            write(reader)
        reader.close()

    assert not database.in_transaction
    assert total(database) == 0
    assert add_once(database, WITNESS.once(event))


def test_a_database_in_which_another_one_writes_says_so_before_anything_happens(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "sums.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"), Effects(database):
            pytest.fail("it began")
        other.execute("ROLLBACK")

    assert not database.in_transaction


def test_a_transaction_of_somebody_else_is_not_taken_over(database: sqlite3.Connection) -> None:
    database.execute("BEGIN")
    add(database)

    with pytest.raises(InvalidArgument, match="in a transaction already"), Effects(database):
        pytest.fail("it began")

    assert database.in_transaction
    database.rollback()


def test_a_commit_inside_the_block_is_found_out(
    database: sqlite3.Connection, event: EventHeader
) -> None:
    def commit_too_early() -> None:
        with Effects(database) as effects:
            assert effects.first(WITNESS.once(event))
            database.commit()

    def go_on_after_a_commit() -> None:
        with Effects(database) as effects:
            database.commit()
            effects.first(WITNESS.once(event))

    with pytest.raises(InvalidArgument, match="not that of this block"):
        commit_too_early()
    with pytest.raises(InvalidArgument, match="not that of this block"):
        go_on_after_a_commit()
    with pytest.raises(InvalidArgument, match="not that of this block"):
        Effects(database).first(WITNESS.once(event))


@pytest.mark.parametrize("error", [None, RuntimeError("in between")])
def test_an_effect_is_not_lost_by_a_commit_inside_the_block(
    database: sqlite3.Connection, event: EventHeader, error: Exception | None
) -> None:
    """Behind the commit another transaction begins, by itself or not."""

    def commit_and_go_on() -> None:
        with Effects(database) as effects:
            assert effects.first(WITNESS.once(event))
            database.commit()
            if not database.isolation_level:
                database.execute("BEGIN")
            add(database)
            if error is not None:
                raise error

    with pytest.raises(InvalidArgument if error is None else RuntimeError):
        commit_and_go_on()

    assert not database.in_transaction
    assert total(database) == 0
    assert add_once(database, WITNESS.once(event))
    assert not add_once(database, WITNESS.once(event))
    assert total(database) == 1


def test_what_is_no_connection_and_no_effect_is_refused(database: sqlite3.Connection) -> None:
    given: Any = "x"
    with pytest.raises(InvalidArgument, match="connection"):
        Effects(given)
    with Effects(database) as effects:
        with pytest.raises(InvalidArgument, match="once"):
            effects.first(given)
        given = 3
        with pytest.raises(InvalidArgument, match="checkpoint_id"):
            effects.forget(given)


def test_what_is_forgotten_is_first_again_and_nothing_else_is(
    database: sqlite3.Connection, event: EventHeader
) -> None:
    add_once(database, WITNESS.once(event))
    add_once(database, WITNESS.once(event, "another"))
    add_once(database, OTHER.once(event))

    with Effects(database) as effects:
        assert effects.forget("sums") == 2
        assert effects.forget("nobody") == 0

    assert add_once(database, WITNESS.once(event))
    assert not add_once(database, OTHER.once(event))


def test_a_worker_that_fails_between_the_effect_and_its_checkpoint_has_it_once(
    tmp_path: Path,
) -> None:
    database = sqlite3.connect(tmp_path / "sums.db", check_same_thread=False)
    with database:
        database.execute("CREATE TABLE sums (n INTEGER)")
        database.execute("INSERT INTO sums VALUES (0)")
    calls = 0

    def handle(events: Sequence[StoredEvent[EventPayload]], witness: AtLeastOnce | None) -> Step:
        nonlocal calls
        calls += 1
        assert witness is not None
        with Effects(database) as effects:
            for event in events:
                assert isinstance(event.payload, Counted)
                if effects.first(witness.once(event)):
                    add(database, event.payload.n)
        if calls % 2:
            raise RuntimeError("after the effect")
        return Step.CONTINUE if events[-1].payload != Counted(n=16) else Step.STOP

    with closing(database), Store.open(tmp_path / "store", FAST) as store:
        for n in (1, 2, 4, 8, 16):
            store.append(USER, Counted(n=n))
        store.cursor_worker(
            Region(kinds=Counted),
            handle,
            checkpoint_id="sums",
            batch_size=2,
            restart=RestartPolicy.bounded(100, 10),
        ).join(10)

        assert calls == 6
        assert total(database) == 31
