"""A store says what a plain list says, whatever was asked of it and however often it was reopened.

The list below cannot be fast or clever: where it disagrees with the store, suspect the store.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from batpak.config import Durability, Limits, StoreConfig
from batpak.coordinate import Coordinate
from batpak.errors import (
    CorruptStore,
    EventNotFound,
    IdempotencyConflict,
    UnknownParent,
    VersionConflict,
)
from batpak.event import StoredEvent
from batpak.ids import EventId, new_id
from batpak.journal import frame, head, header, scan
from batpak.journal.chain import Chain
from batpak.journal.scan import Scan
from batpak.override import override
from batpak.payload import EventPayload
from batpak.platform import REAL
from batpak.region import KindFilter, Region
from batpak.store import Store
from batpak.upkeep.verify import verify_path
from tests.facts import SMALL, USER, Counted, Said

CONFIG: Final = StoreConfig(
    lifecycle_events=False, durability=Durability.OS, limits=Limits(segment_max_bytes=4 << 10)
)

entities = st.sampled_from(["a", "a:1", "a:1:x", "ab", "b", "b:1"])
scopes = st.sampled_from(["x", "y"])
facts = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(lambda n: Counted(n=n)),
    st.text(max_size=300).map(lambda text: Said(text=text)),
)
keys = st.none() | st.sampled_from([b"k1", b"k2", b"k3", b"\x00"])
bounds = st.none() | st.integers(0, 40)
regions = st.builds(
    Region,
    entity=st.none() | st.sampled_from(["a", "a:1", "b:", "zz"]),
    scope=st.none() | scopes,
    kinds=st.sampled_from(
        [None, Counted, Said, KindFilter.category(0xE), KindFilter.user(), [Counted, Said]]
    ),
    versions=st.none() | st.sampled_from([(1, 1), (2, 3), (1, 100)]),
)


class Told(NamedTuple):
    """What the model knows of an event."""

    where: Coordinate
    fact: EventPayload
    version: int
    key: bytes | None
    event_id: EventId
    cause: EventId | None


class StoreAgainstList(RuleBasedStateMachine):
    """Appends, reopens and crashes, with every read compared with a linear scan."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "store"
        self.store = Store.open(self.path, CONFIG)
        self.told: list[Told] = []

    def version(self, entity: str) -> int:
        return sum(one.where.entity == entity for one in self.told)

    @rule(
        entity=entities,
        scope=scopes,
        fact=facts,
        key=keys,
        expected=st.none() | st.integers(0, 4),
        cause=st.none() | st.integers(0, 40),
    )
    def append(
        self,
        entity: str,
        scope: str,
        fact: EventPayload,
        key: bytes | None,
        expected: int | None,
        cause: int | None,
    ) -> None:
        where = Coordinate(entity, scope)
        parent = None
        if cause is not None:
            parent = self.told[cause].event_id if cause < len(self.told) else new_id(EventId)
        same = [one for one in self.told if key is not None and one.key == key]
        try:
            receipt = self.store.append(
                where, fact, expected_version=expected, idempotency_key=key, caused_by=parent
            )
        except IdempotencyConflict:
            assert same
            assert (same[0].where, same[0].fact) != (where, fact)
        except VersionConflict:
            assert not same
            assert expected not in (None, self.version(entity))
        except UnknownParent:
            assert not same
            assert cause is not None
            assert cause >= len(self.told)
        else:
            assert receipt.replayed == bool(same)
            if same:
                assert receipt.event_id == same[0].event_id
                assert (same[0].where, same[0].fact) == (where, fact)
                return
            assert receipt.sequence == len(self.told)
            assert expected in (None, self.version(entity))
            version = self.version(entity) + 1
            assert receipt.version == version
            self.told.append(Told(where, fact, version, key, receipt.event_id, parent))

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.path, CONFIG)
        assert self.store.open_report.clean

    @rule()
    def crash(self) -> None:
        copy = Path(tempfile.mkdtemp(dir=self.folder)) / "store"
        shutil.copytree(self.path, copy)
        self.store.close()
        self.path = copy
        self.store = Store.open(self.path, CONFIG)
        assert not self.store.open_report.clean

    def agree(self, found: list[StoredEvent[EventPayload]], wanted: list[int]) -> None:
        assert [event.sequence for event in found] == wanted
        for event in found:
            told = self.told[event.sequence]
            assert (event.coordinate, event.payload) == (told.where, told.fact)
            assert (event.version, event.idempotency_key) == (told.version, told.key)
            assert (event.event_id, event.causation_id) == (told.event_id, told.cause)

    @rule(
        region=regions,
        after=bounds,
        before=bounds,
        limit=st.none() | st.integers(0, 9),
        reverse=st.booleans(),
    )
    def query(
        self,
        region: Region,
        after: int | None,
        before: int | None,
        limit: int | None,
        reverse: bool,
    ) -> None:
        wanted = [
            n
            for n, one in enumerate(self.told)
            if region.matches(one.where, one.fact.KIND, one.version)
        ]
        assert self.store.count(region) == len(wanted)
        wanted = [n for n in wanted if after is None or n > after]
        wanted = [n for n in wanted if before is None or n < before]
        wanted = (wanted[::-1] if reverse else wanted)[:limit]

        found = self.store.query(region, after=after, before=before, limit=limit, reverse=reverse)

        self.agree(list(found), wanted)

    @rule(entity=entities, first=st.integers(1, 5), last=st.none() | st.integers(0, 5))
    def stream(self, entity: str, first: int, last: int | None) -> None:
        wanted = [
            n
            for n, one in enumerate(self.told)
            if one.where.entity == entity
            and first <= one.version <= (last or 0 if last is not None else 99)
        ]

        self.agree(list(self.store.stream(entity, first_version=first, last_version=last)), wanted)

        assert self.store.version(entity) == self.version(entity)

    @rule(which=st.integers(0, 40))
    def get(self, which: int) -> None:
        if which < len(self.told):
            self.agree([self.store.get(which)], [which])
            self.agree([self.store.get(self.told[which].event_id)], [which])
            return
        for unknown in (which, new_id(EventId)):
            try:
                self.store.get(unknown)
            except EventNotFound:
                continue
            raise AssertionError("an event that nobody wrote")

    @invariant()
    def verifies(self) -> None:
        if hasattr(self, "store"):
            report = self.store.verify()
            assert report.ok
            assert report.events == len(self.told)

    @override
    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            assert verify_path(self.path, REAL).ok
            shutil.rmtree(self.folder)


StoreAgainstList.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, derandomize=False
)
TestStoreAgainstList = StoreAgainstList.TestCase


def a_segment(tmp: Path, count: int) -> tuple[bytes, header.Header, int]:
    with Store.open(tmp / "store", SMALL) as store:
        for n in range(count):
            store.append(USER, Counted(n=n))
    data = (tmp / "store" / "000001.fbat").read_bytes()
    return data, *header.decode(data, "000001.fbat")


@given(share=st.floats(0, 1), junk=st.binary(max_size=40))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_prefix_of_a_file_scans_to_a_prefix_of_units(share: float, junk: bytes) -> None:
    data, decoded, start = _SEGMENT
    cut = start + int((len(data) - start) * share)
    view = memoryview(data[:cut] + junk)
    walk = Scan(view, start, len(view), frame.seed(decoded), Chain(decoded.store_id, hashed=True))

    units = list(walk)

    assert [unit[0].sequence for unit in units] == list(range(len(units)))
    assert walk.unit <= cut
    assert data[: walk.unit] == bytes(view[: walk.unit])
    rest = scan.rest_of(view, walk.stop.offset, len(view), frame.seed(decoded), walk.sequence)
    assert rest.frame_at is None


@given(data=st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_as_a_header_or_head_give_a_typed_answer(data: bytes) -> None:
    for decode in (header.decode, head.decode):
        for prefix in (b"", b"FBAT\x00\x00\x00", b"FBHD\x00\x01\x00"):
            try:
                decode(prefix + data, "file")
            except CorruptStore:
                continue
            raise AssertionError("random bytes with a right checksum")


with tempfile.TemporaryDirectory() as _folder:
    _SEGMENT: Final = a_segment(Path(_folder), 12)
