"""A store does what a list does, whatever is asked of it, refused to it and cut off under it.

A store on a simulated machine and `batpak.testing.model` get the same calls, drawn at random:
single events, batches and groups, retries, conditions that hold and that do not, merges, removals,
snapshots and forks, faults, clocks that jump, restarts, crashes at any operation of the last step,
footers that are gone. After each step the invariants of the store are checked, each by its name,
and those who observe it see the same. Would slip through without it: whatever only a combination
brings about that nobody has thought of.

A failure names the steps that lead to it; `Size.LONG` looks for the fewest as well.
"""

from __future__ import annotations

import gc
import logging
import re
import sys
import weakref
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, Final, cast

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from batpak import codec
from batpak.config import Durability
from batpak.errors import EventNotFound, UnknownKind
from batpak.override import override
from batpak.read.ancestry import AncestryEnd
from batpak.read.causes import CausalEnd
from batpak.region import Region
from batpak.report import Frontier
from batpak.testing.model import Asked, ModelEvent
from batpak.testing.platform import SimPlatform
from batpak.wire import Form
from tests.facts import Said
from tests.proof.beside import PACES, Beside
from tests.proof.drawn import (
    GOING,
    JUMPS_NS,
    NOBODY,
    UNREAD,
    WALL_NS,
    Batch,
    Cut,
    Trouble,
    Window,
    Wish,
    ago,
    batches,
    cuts,
    regions,
    troubles,
    windows,
    wishes,
)
from tests.proof.family import SEED, Job, Size, Tally
from tests.proof.pair import HEAD, HEAD_BYTES, UNSYNCED_MAX, Pair

CHANGES: Final = ("nothing", "nothing", "nothing", "fact", "place", "length")
WAYS: Final = ("sync", "sync", "background", "background", *JUMPS_NS, *WALL_NS, "frozen")


class StoreAgainstModel(RuleBasedStateMachine):
    """Rules say what may happen next, invariants what has to hold after it."""

    pair: Pair

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.tally = tally
        tally.count("runs")

    @initialize(
        durability=st.sampled_from(list(Durability)), mapped=st.booleans(), seed=st.integers(0, 9)
    )
    def begin(self, durability: Durability, mapped: bool, seed: int) -> None:
        self.pair = Pair(durability, SimPlatform(seed=seed, mapped=mapped), self.tally)
        self.observers = [Beside(self.pair, pace) for pace in PACES]
        self.bounds = self.pair.store.frontier()
        self.checked: object = None

    # ------------------------------------------------------------------------------------ writing

    @rule(several=st.lists(wishes, min_size=1, max_size=3), trouble=troubles)
    def append(self, several: list[Wish], trouble: Trouble | None) -> None:
        """One after the other; the trouble is for the last of them."""
        for number, wish in enumerate(several, 1):
            due = trouble if number == len(several) else None
            self.pair.write(wish.asked(self.pair.dump), due)

    @rule(batch=batches, trouble=troubles)
    def append_batch(self, batch: Batch, trouble: Trouble | None) -> None:
        self.pair.write(batch.asked(self.pair.dump), trouble)

    @rule(
        several=st.lists(wishes | batches, min_size=1, max_size=3),
        in_background=st.booleans(),
        trouble=troubles,
    )
    def submit(
        self, several: list[Wish | Batch], in_background: bool, trouble: Trouble | None
    ) -> None:
        """As one group."""
        asked = [one.asked(self.pair.dump) for one in several]
        self.pair.submit(asked, trouble, in_background=in_background)

    @rule(several=st.lists(wishes | batches, max_size=4), commits=st.booleans(), trouble=troubles)
    def fence(self, several: list[Wish | Batch], commits: bool, trouble: Trouble | None) -> None:
        """Behind a fence, which is committed or given up."""
        asked = [one.asked(self.pair.dump) for one in several]
        self.pair.fence(asked, trouble, commits=commits)

    @rule(which=ago, change=st.sampled_from(CHANGES), trouble=troubles)
    def retry(self, which: int, change: str, trouble: Trouble | None) -> None:
        """The same call once more, or one that is not quite the same."""
        if which < len(self.pair.keyed):
            self.pair.write(changed(self.pair.keyed[-1 - which], change), trouble)

    # --------------------------------------------------------------------------- what may happen

    @rule(how=st.sampled_from(WAYS), trouble=troubles)
    def wait(self, how: str, trouble: Trouble | None) -> None:
        """Sync, let the threads of the store do what is due, or let the wall clock be set."""
        clock = self.pair.sim.clock
        if how == "sync":
            self.pair.sync(trouble)
        elif how == "background":
            self.pair.run_background(trouble)
        elif how == "frozen":
            clock.frozen = not clock.frozen
        elif how in WALL_NS:
            clock.set(WALL_NS[how])
        else:
            clock.jump(JUMPS_NS[how])

    @rule(how=st.sampled_from(("merge", "merge", "snapshot", "fork")), trouble=troubles)
    def keep_up(self, how: str, trouble: Trouble | None) -> None:
        """Files become fewer, or the log is copied. Nothing that was stored changes."""
        if how == "merge":
            self.pair.merge(trouble)
        else:
            self.pair.copy(trouble, forks=how == "fork")

    @rule(
        which=st.sampled_from(list(GOING)),
        drops=st.booleans(),
        min_segments=st.sampled_from((1, 2, 99)),
        trouble=troubles,
    )
    def remove(self, which: str, drops: bool, min_segments: int, trouble: Trouble | None) -> None:
        """Events are dropped, or their payloads erased."""
        chosen = {one.sequence for one in self.pair.model.events if GOING[which](one)}
        self.pair.remove(chosen, trouble, drops=drops, min_segments=min_segments)

    @rule(stage=st.sampled_from(("close", "open", "read")), trouble=troubles)
    def reopen(self, stage: str, trouble: Trouble | None) -> None:
        self.pair.reopen(stage, trouble)
        self.bounds = Frontier(0, self.pair.model.durable, 0, 0)

    @rule(which=ago, how=st.sampled_from(("intact", "gone", "cut", "zeros", "a byte")))
    @precondition(lambda self: not self.pair.poisoned)
    def read_only(self, which: int, how: str) -> None:
        self.pair.read_only(which, how)

    @rule(several=st.lists(cuts, min_size=1, max_size=2), trouble=troubles)
    def crash(self, several: list[Cut], trouble: Trouble | None) -> None:
        """The power goes; with two of them, the second time during the recovery or behind it."""
        for cut in several:
            self.pair.crash(cut, trouble)
            trouble = None
        self.bounds = Frontier(0, 0, 0, 0)

    # ------------------------------------------------------------------------------------ reading

    @rule(region=regions, window=windows, size=st.sampled_from((1, 2, 100)), trouble=troubles)
    def query(self, region: Region, window: Window, size: int, trouble: Trouble | None) -> None:
        """Every query is a scan of the list."""
        pair, store, given = self.pair, self.pair.store, dict[str, Any](window._asdict())
        wanted, whole = pair.model.query(region, **given), pair.model.query(region)

        found = pair.read(lambda: list(store.query(region, **given, form=Form.RAW)), trouble)

        pair.require_same(found, wanted)
        entries = [
            (one.head[:HEAD_BYTES], one.size_bytes) for one in store.entries(region, **given)
        ]
        assert entries == [(one.record[HEAD], one.size_bytes) for one in wanted]
        assert store.count(region) == len(whole)
        page = store.page(region, limit=size, form=Form.RAW)
        items = list(page.items)
        while page.next_after is not None:
            page = store.page(region, after=page.next_after, limit=size, form=Form.RAW)
            items += page.items
        pair.require_same(items, whole)

    @rule(
        by=st.sampled_from(("entity", "scope", "kind", "talk")),
        which=ago,
        window=windows,
        trouble=troubles,
    )
    def look_up(self, by: str, which: int, window: Window, trouble: Trouble | None) -> None:
        """So is whatever has an index of its own."""
        pair, store, model = self.pair, self.pair.store, self.pair.model
        if which >= len(model.events):
            return
        one, given = model.events[-1 - which], dict[str, Any](window._asdict(), form=Form.RAW)
        entity, scope, kind = one.coordinate.entity, one.coordinate.scope, one.kind
        talk = one.correlation_id
        if by == "entity":
            given["first_version"] = first = given.pop("after") or 1
            given["last_version"] = last = given.pop("before")
            found = pair.read(lambda: list(store.stream(entity, **given)), trouble)
            wanted = [it for it in model.stream(entity) if it.version >= first]
            wanted = [it for it in wanted if last is None or it.version <= last]
            wanted = (wanted[::-1] if window.reverse else wanted)[: window.limit]
            assert store.version(entity) == model.version(entity)
        elif by == "scope":
            found = pair.read(lambda: list(store.by_scope(scope, **given)), trouble)
            wanted = model.query(Region(scope=scope), **window._asdict())
        elif by == "kind":
            found = pair.read(lambda: list(store.by_fact(kind, **given)), trouble)
            wanted = model.query(Region(kinds=kind), **window._asdict())
        else:
            found = pair.read(lambda: list(store.by_correlation(talk, **given)), trouble)
            wanted = model.query(after=window.after, before=window.before, reverse=window.reverse)
            wanted = [it for it in wanted if it.correlation_id == talk][: window.limit]
        pair.require_same(found, wanted)

    @rule(which=ago, trouble=troubles)
    def get(self, which: int, trouble: Trouble | None) -> None:
        """One event in every form, and what it comes from, and what came of it."""
        pair, store, log = self.pair, self.pair.store, self.pair.model.events
        for unknown in (NOBODY, len(log), len(log) + 10**9):
            try:
                event = store.get(unknown)
            except EventNotFound:
                continue
            raise AssertionError(f"{event} was never written")
        if which >= len(log):
            return
        if log[-1 - which].sequence in pair.dropped:
            self.is_dropped(log[-1 - which])
            return
        one = pair.model.get(log[-1 - which].sequence)
        found = pair.read(lambda: store.get(one.sequence, form=Form.RAW), trouble)
        pair.require_same([found], [one])
        pair.require_same([store.get(one.event_id, form=Form.RAW)], [one])
        try:
            typed = store.get(one.sequence)
        except UnknownKind:
            assert one.kind == UNREAD
        else:
            assert codec.encode(typed.payload) == one.data
            assert typed.idempotency_key == one.key
        before = [it for it in log[::-1] if it.coordinate.entity == one.coordinate.entity]
        before = [it for it in before if it.version <= one.version]
        ends = [place for place, it in enumerate(before) if it.sequence in pair.dropped]
        ancestors = store.walk_ancestors(one.event_id, form=Form.RAW)
        readable = before[: ends[0]] if ends else before
        pair.require_same(ancestors.events, [pair.model.get(it.sequence) for it in readable])
        assert ancestors.end is (AncestryEnd.DROPPED if ends else AncestryEnd.GENESIS)
        self.find_causes(one, log)

    def is_dropped(self, one: ModelEvent) -> None:
        """Nobody reads it any more, and who asks for it is told why."""
        for which in (one.sequence, one.event_id):
            was_it = False
            try:
                self.pair.store.get(which)
            except EventNotFound as error:
                was_it = error.dropped
            assert was_it, f"event {one.sequence} was dropped"

    def find_causes(self, one: ModelEvent, log: list[ModelEvent]) -> None:
        """What it comes from, and what came of it."""
        by_id, dropped = {it.event_id: it for it in log}, self.pair.dropped
        path, came_of, cause = [one], {one.event_id: 0}, one.causation_id
        while cause is not None and by_id[cause].sequence not in dropped:
            path.append(by_id[cause])
            cause = path[-1].causation_id
        for later in log:
            if later.causation_id in came_of and later.sequence not in dropped:
                came_of[later.event_id] = came_of[later.causation_id] + 1
        why = self.pair.store.why(one.event_id)
        assert [it.sequence for it in why.entries] == [it.sequence for it in path]
        assert why.end is (CausalEnd.ROOT if cause is None else CausalEnd.DROPPED)
        impact = {one.event_id: 0}
        for it in self.pair.store.impact(one.event_id):
            impact[it.entry.event_id] = it.depth
        assert list(impact.items()) == list(came_of.items())  # in sequence order

    @rule(region=regions, trouble=troubles)
    def take_stock(self, region: Region, trouble: Trouble | None) -> None:
        """What is counted is what is there; every checksum, hash and link of it is right."""
        pair, model = self.pair, self.pair.model
        stats = pair.read(pair.store.stats, trouble)
        there, gone = model.query(), [*model.removed.values()]
        assert (stats.events, stats.next_sequence) == (len(there), len(model.events))
        assert (stats.dropped, stats.erased) == (gone.count(None), len(gone) - gone.count(None))
        assert stats.entities == len(model.entities())
        assert stats.scopes == len({one.coordinate.scope for one in there})
        assert stats.kinds == Counter(one.kind for one in there)
        files = sum(path.endswith(".fbat") for path in pair.files())
        assert stats.segments == files or (pair.leftovers and stats.segments < files)
        within = Region(entity=region.entity, scope=region.scope)
        names = list(pair.store.entities(region.entity, scope=region.scope))
        assert names == model.entities(within)
        report = pair.read(pair.store.verify, trouble)
        assert report.ok, report.findings
        assert (report.events, report.head) == (len(model.events), model.head)

    # ----------------------------------------------------------------------------- what has to hold

    @invariant()
    def everything_holds(self) -> None:
        """Each invariant, by its name, if anything can have changed."""
        self.tally.count("steps")
        if self.pair.dump is self.checked:
            return
        self.checked = self.pair.dump
        for name, check in INVARIANTS.items():
            try:
                check(self)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error

    def sequences_are_dense(self) -> None:
        pair = self.pair
        sequences = [*(one.sequence for one in pair.dump), *pair.dropped]
        assert sorted(sequences) == list(range(len(pair.model.events)))

    def versions_of_an_entity_are_1_to_n(self) -> None:
        pair, versions = self.pair, dict[str, list[int]]()
        for one in pair.dump:
            versions.setdefault(one.coordinate.entity, []).append(one.version)
        for gone in map(pair.model.events.__getitem__, pair.dropped):
            versions.setdefault(gone.coordinate.entity, []).append(gone.version)
        for entity, found in versions.items():
            assert sorted(found) == list(range(1, len(found) + 1)), f"versions of {entity}"
            assert pair.store.version(entity) == len(found)

    def every_event_is_linked_to_the_one_before_in_its_entity(self) -> None:
        newest: dict[str, tuple[int, bytes]] = {}
        for one in self.pair.dump:
            entity = one.coordinate.entity
            version, own_hash = newest.get(entity, (0, bytes(32)))
            is_next = one.version == version + 1  # else the one before was dropped
            assert not is_next or one.prev_hash == own_hash, f"link of event {one.sequence}"
            newest[entity] = one.version, one.event_hash

    def every_event_is_that_of_the_model(self) -> None:
        self.pair.require_same(self.pair.dump, self.pair.model.query())

    def the_clock_increases(self) -> None:
        for one, two in pairwise(self.pair.dump):
            assert one.hlc < two.hlc, f"{two.sequence} at {two.hlc}, after {one.hlc}"

    def ids_increase(self) -> None:
        for one, two in pairwise(self.pair.dump):
            assert one.event_id.int >> 64 < two.event_id.int >> 64, f"id of event {two.sequence}"

    def one_key_is_one_event(self) -> None:
        keys = Counter(one.idempotency_key for one in self.pair.dump)
        del keys[None]
        assert not [key for key, count in keys.items() if count > 1]

    def bounds_keep_their_order_and_only_rise(self) -> None:
        before, now = self.bounds, self.pair.store.frontier()
        self.bounds = now
        assert now.durable <= now.visible == now.written == len(self.pair.model.events)
        assert now.durable >= before.durable, "less is durable than was"
        assert now.visible >= before.visible, "less is visible than was"
        durability = self.pair.config.durability
        if not self.pair.poisoned and durability is not Durability.OS:
            unsynced = UNSYNCED_MAX if durability is Durability.INTERVAL else 1
            assert now.visible - now.durable < unsynced, "too much is not synced"

    def observers_see_what_the_store_has(self) -> None:
        for one in self.observers:
            one.step()

    @override
    def teardown(self) -> None:
        for one in getattr(self, "observers", ()):
            one.close()
        if hasattr(self, "pair") and sys.exc_info()[0] is None:
            self.take_stock(Region.all(), None)
            self.pair.reopen("read", None)
            self.take_stock(Region.all(), None)
            self.pair.store.close()


def changed(asked: Asked, change: str) -> Asked:
    """A call that is not quite the same."""
    *before, last = asked.items
    if change == "fact":
        last = replace(last, payload=Said(text="another"))
    elif change == "place":
        last = replace(last, coord=replace(last.coord, scope="z"))
    elif change == "length" and not asked.alone:
        key = None if last.idempotency_key is None else "one more"
        before.append(replace(last, idempotency_key=key))
    return replace(asked, items=(*before, last))


INVARIANTS: Final = {
    check.__name__.replace("_", " "): check
    for check in (
        StoreAgainstModel.sequences_are_dense,
        StoreAgainstModel.versions_of_an_entity_are_1_to_n,
        StoreAgainstModel.every_event_is_linked_to_the_one_before_in_its_entity,
        StoreAgainstModel.every_event_is_that_of_the_model,
        StoreAgainstModel.the_clock_increases,
        StoreAgainstModel.ids_increase,
        StoreAgainstModel.one_key_is_one_event,
        StoreAgainstModel.bounds_keep_their_order_and_only_rise,
        StoreAgainstModel.observers_see_what_the_store_has,
    )
}

# ------------------------------------------------------------------------------------------ jobs

PARTS: Final = 4
ROUNDS: Final = {Size.DEFAULT: 5, Size.LONG: 120}  # of each part
STEPS: Final = {Size.DEFAULT: 51, Size.LONG: 100}  # of a run, with its beginning
RUNS: Final = 10  # of a round; from then on Hypothesis would spend them on variants of the first


def hold(part: int, tally: Tally, size: Size) -> None:
    """So many runs, the same whenever the job is done."""
    for number in range(part, PARTS * ROUNDS[size], PARTS):
        play(SEED + number, tally, size)


def play(number: int, tally: Tally, size: Size) -> None:
    """A round of runs; what repeats it is its seed. No closed store stays in memory after it."""
    phases = [Phase.generate, Phase.shrink] if size is Size.LONG else [Phase.generate]

    made: list[weakref.ref[StoreAgainstModel]] = []

    @seed(number)
    def machine() -> StoreAgainstModel:
        one = StoreAgainstModel(tally)
        made.append(weakref.ref(one))
        return one

    try:
        with unlogged():
            run_state_machine_as_test(
                cast("type[StoreAgainstModel]", machine),  # whatever makes one will do
                settings=settings(
                    max_examples=RUNS,
                    stateful_step_count=STEPS[size],
                    phases=phases,
                    database=None,
                    deadline=None,
                    print_blob=False,
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
    except Exception as error:  # noqa: BLE001  it is what we look for
        told = f"{type(error).__name__}: {error}\n{steps_of(error)}"
        tally.violated(f"seed {number}", told)
        return
    gc.collect()
    kept = sum(one() is not None for one in made)
    if kept:
        tally.violated(f"seed {number}", f"{kept} of {len(made)} stores are never given back")


@contextmanager
def unlogged() -> Generator[None]:
    """Inside the block nothing is logged: whoever keeps records of failures keeps the stores."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def steps_of(error: Exception) -> str:
    """The steps that led to a failure, a line each, without the checks in between."""
    told = "\n".join(getattr(error, "__notes__", ()))
    lines = re.sub(r"\s*\n(?!state\.)\s*", " ", told).splitlines()
    return "\n".join(line for line in lines if "state.everything_holds()" not in line)


JOBS: Final = [
    Job("model", f"runs {part + 1} of {PARTS}", partial(hold, part)) for part in range(PARTS)
]
