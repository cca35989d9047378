"""A visibility fence on the lane: what it has taken, and how it stands.

What is staged is judged at once, against the log and what was staged before. Nobody else writes
while a fence is open, so the verdict is final, and the commit writes one unit without asking again.
Until then there is nothing but this: no number, no version, no byte.

Only the lane calls what changes something here, with nobody beside it; each step may be repeated.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Final, final

from msgspec import Struct
from msgspec.structs import replace

from batpak.append import AppendReceipt
from batpak.commit.judge import Judge, Known, known_item
from batpak.commit.request import Request
from batpak.commit.unit import Answer, Unit
from batpak.config import Limits
from batpak.errors import ConflictError, InvalidArgument, TooLarge
from batpak.faults import FENCE_HINTS, FenceState

FRAMES_BYTES_MAX: Final = 2 << 30  # one file has all of a unit, and its offsets have 32 bits
FRAME_BYTES: Final = 1024  # at most, beside payload, extensions, key and names


@final
class FenceError(ConflictError):
    """Something else is to be stored while a visibility fence is open, or a fence is over.

    `state` is that of the fence. `thread` has opened the one that is in the way.
    """

    code = "fence"

    def __init__(self, state: FenceState, thread: int | None = None) -> None:
        self.state, self.thread = state, thread
        self.retryable = state is FenceState.ACTIVE
        if state is FenceState.ACTIVE:
            text = "a visibility fence is open; until it is over nothing else is stored"
        else:
            text = f"this visibility fence is over: {state.value}"
        super().__init__(text, hint=FENCE_HINTS[state])


class Taken(Struct, frozen=True):
    """What a call adds to a fence, worked out before anything is changed."""

    places: tuple[AppendReceipt | int, ...]  # of each of its requests: in the log, or an item
    first: int  # item, of those that are new
    added: tuple[Request, ...]
    versions: dict[str, int]  # of entities, afterwards
    size: int  # of the fence, afterwards
    frames: int
    number: int  # of the call


class Staged(Struct, eq=False):
    """One call of a fence: an event or a batch, and what becomes of it.

    The requests of a batch name each other by their place in the batch.
    """

    unit: Unit  # never in line; it has the answer
    cause: int | None = None  # of requests that name none: an item of the fence
    taken: Taken | None = None


class Fence:
    """What one fence has taken.

    Args:
        thread: Who opens it.
        limits: Of the handle.
        now: The clock, in nanoseconds, which never goes back.
    """

    def __init__(self, thread: int, limits: Limits, now: Callable[[], int]) -> None:
        self.thread, self._limits, self._now = thread, limits, now
        self.state = FenceState.ACTIVE
        self.lost = False
        """Whether nobody has it any more; said by who loses it, wherever that is."""
        self.durable = 0  # how many events of the log are
        self.requests: list[Request] = []
        self.size = self._frames = 0  # bytes: of payloads and extensions; of frames, at most
        self._began = now()
        self._calls: list[Staged] = []  # that are not answered yet
        self._versions: dict[str, int] = {}
        self._keys: dict[bytes, int] = {}

    # ------------------------------------------------------------------------------- how it stands

    @property
    def is_overdue(self) -> bool:
        """Whether the next writer need not respect it."""
        return self.lost or self.open_for_s >= self._limits.fence_timeout_s

    @property
    def open_for_s(self) -> float:
        """Since when it is open."""
        return (self._now() - self._began) / 1e9

    @property
    def fate(self) -> FenceState:
        """How it ends if it is overdue."""
        return FenceState.CANCELLED if self.lost else FenceState.EXPIRED

    @property
    def retry_after_ms(self) -> int:
        """When to come back: it may take as long again, but will not take longer than it may."""
        open_for_s = self.open_for_s
        rest_s = self._limits.fence_timeout_s - open_for_s
        return 1 + round(1000 * max(0.0, min(open_for_s, rest_s)))

    def require_open(self) -> None:
        """Do nothing if it is.

        Raises:
            FenceError: It is over.
        """
        if self.state is not FenceState.ACTIVE:
            raise FenceError(self.state)

    def check_wait(self, timeout_s: float | None) -> None:
        """Hold against it how long somebody wants to wait for one of its tickets.

        Raises:
            InvalidArgument: For ever, and it is open: that thread may be the one to commit it.
        """
        if timeout_s is None and self.state is FenceState.ACTIVE:
            raise InvalidArgument(
                "timeout_s", "the fence is open: commit it first, or give a limit"
            )

    def version(self, entity: str) -> int | None:
        """See `Before`."""
        return self._versions.get(entity)

    def with_key(self, key: bytes) -> Known | None:
        """See `Before`."""
        item = self._keys.get(key)
        return None if item is None else known_item(self.requests[item], item)

    # -------------------------------------------------------------------------------------- changes

    def begin(self) -> None:
        """It is open from now on."""
        self._began = self._now()

    def take(self, call: Staged, judge: Judge, durable: int) -> None:
        """Judge what a call stages, and take it.

        Raises:
            IdempotencyConflict, VersionConflict, UnknownParent: The log says otherwise.
            TooLarge: It is too much.
        """
        self.durable = durable
        taken = call.taken
        if taken is None:
            taken = call.taken = self._judged(call, judge)
        self.requests[taken.first :] = taken.added
        self._versions.update(taken.versions)
        for item, request in enumerate(taken.added, taken.first):
            if request.key is not None:
                self._keys[request.key] = item
        self.size, self._frames = taken.size, taken.frames
        receipts = [place for place in taken.places if not isinstance(place, int)]
        if len(receipts) == len(taken.places):
            call.unit.answer = tuple(receipts)
        else:
            self._calls[taken.number :] = [call]

    def _judged(self, call: Staged, judge: Judge) -> Taken:
        known = judge.judge(call.unit, self)
        first, number = len(self.requests), len(self._calls)
        if known is not None:
            places = tuple(_place(one) for one in known)
            return Taken(places, first, (), {}, self.size, self._frames, number)
        added = tuple(_settled(request, call.cause, first) for request in call.unit.requests)
        items, size = first + len(added), self.size + call.unit.size
        frames = self._frames + sum(frame_bytes(request) for request in added)
        for what, found, limit in (
            ("number of items in a fence", items, self._limits.fence_max_items),
            ("fence", size, self._limits.fence_max_bytes),
            ("fence as it is stored", frames, FRAMES_BYTES_MAX),
        ):
            if found > limit:
                raise TooLarge(what, found, limit)
        versions: dict[str, int] = {}
        for request in added:
            entity = request.coordinate.entity
            before = versions.get(entity)
            versions[entity] = 1 + (judge.version(entity, self) if before is None else before)
        return Taken(tuple(range(first, items)), first, added, versions, size, frames, number)

    def end(self, state: FenceState, answer: Answer) -> Sequence[Unit]:
        """It is over: tell everybody who has a ticket, in order. Those who want to be called then.

        Args:
            state: How it ended.
            answer: The receipts of its items; or why there are none.
        """
        self.state = state
        for call in self._calls:
            unit, taken = call.unit, call.taken
            if unit.answer is None and taken is not None:
                unit.answer = copy.copy(answer)
                if isinstance(answer, tuple):
                    unit.answer = tuple(_receipt(place, taken, answer) for place in taken.places)
            unit.ring()
        return [call.unit for call in self._calls if call.unit.callbacks]

    def forget(self) -> None:
        """Let go of what it has taken; it is over."""
        self.requests, self._calls, self._versions, self._keys = [], [], {}, {}


def _place(known: Known) -> AppendReceipt | int:
    """Where what has a key stands."""
    return (known.item or 0) if known.receipt is None else known.receipt


def _settled(request: Request, cause: int | None, first: int) -> Request:
    """A request whose cause is named for the whole fence."""
    if request.prior is not None:
        return replace(request, prior=first + request.prior)
    if cause is None or request.parent is not None:
        return request
    return replace(request, prior=cause)


def frame_bytes(request: Request) -> int:
    """How long a frame is, at most."""
    coordinate, key = request.coordinate, request.key or b""
    return request.size + len(key) + 4 * len(coordinate.entity + coordinate.scope) + FRAME_BYTES


def _receipt(
    place: AppendReceipt | int, taken: Taken, stored: Sequence[AppendReceipt]
) -> AppendReceipt:
    """Of what a call has asked for; what another call has asked for first is a replay."""
    if not isinstance(place, int):
        return place
    is_own = taken.first <= place < taken.first + len(taken.added)
    return stored[place] if is_own else replace(stored[place], replayed=True)
