"""The verdicts of an open: this log may be opened, ends torn, or is refused. Pure.

    what is there                         verdict
    ------------------------------------  -----------------------------------------------------
    frames to a recorded end, all well    open
    … or fewer, or others                 refuse: what was recorded is not there
    … or another frame behind it          refuse: the record is older than the log
    newest, no recorded end:
      nothing or zeros behind a unit      open
      a unit that is not whole            torn, from the last whole unit on
      bytes, no frame among them          torn
      later frames, no stamp above        torn: unsynced writes reached the disk out of order
      later frames, a stamp above         refuse: what is bad here was durable
      less than HEAD says, or not that    refuse
    a right CRC and a wrong place         refuse: no crash writes that
    a header or HEAD that is bad          refuse: a name exists only after its bytes
    a number missing, a link that does    refuse, naming both files
      not fit, HEAD naming nothing

The same facts give the same verdict. Reference: docs/reference/file-format.md, "Recovery".
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple, TypeAlias

from batpak.digest import ZERO_HASH
from batpak.faults import Damage
from batpak.journal import head, layout
from batpak.journal.frame import Fault, Why
from batpak.journal.head import Head
from batpak.journal.header import Ends, Header
from batpak.journal.scan import Rest, RestKind, Scan, Stop


class Found(Enum):
    """What kind of directory this is, by its names alone."""

    NOTHING = "no store"
    UNFINISHED = "a store whose creation was interrupted"
    STORE = "a store"


class Refuse(NamedTuple):
    """The log is damaged. Nothing is repaired by guessing."""

    file: str
    offset: int
    reason: Damage
    detail: str


class Open(NamedTuple):
    """The log is whole."""


class TornAt(NamedTuple):
    """What lies behind `offset` was never durable."""

    offset: int


Verdict: TypeAlias = Open | TornAt | Refuse


class Recorded(NamedTuple):
    """Where a file ends: said by the next file, or by a HEAD that says "closed"."""

    frames_end: int
    chain_head: bytes  # event_hash there
    next_sequence: int  # there


class Facts(NamedTuple):
    """What a scan of one file has found."""

    file: str
    recorded: Recorded | None
    unit: int  # end of the last whole unit
    sequence: int  # due there
    chain_head: bytes  # there
    stop: Stop
    rest: Rest | None  # looked at only where no end is recorded
    bound: int | None  # HEAD's lower bound, if it names this file
    bound_holds: bool  # the log passes through that bound with HEAD's sequence and hash
    goes_on: bool = False  # there is a whole frame right behind the recorded end


def recorded(current: Header, after: Header | None, state: Head | None) -> Recorded | None:
    """Where a file ends, if that is known.

    Args:
        current: The header of the file. One that compaction has written says it itself.
        after: The header of the next file.
        state: HEAD, where there is no next file. It counts if it names this one.
    """
    number = current.segment_id
    if current.sealed is not None:
        end = current.sealed
        return Recorded(end.frames_end, end.chain_head, end.next_sequence)
    if after is not None and after.prev is not None:
        return Recorded(after.prev.frames_end, after.prev.chain_head, after.first_sequence)
    named = state is not None and state.segment_id == number
    if after is None and named and state is not None and state.state == head.CLEAN:
        return Recorded(state.frames_end, state.chain_head, state.next_sequence)
    return None


def bound(state: Head | None, segment_id: int) -> int | None:
    """The offset in one file that the log has to reach, if HEAD names that file."""
    named = state is not None and state.segment_id == segment_id
    return state.frames_end if state is not None and named else None


def sealed(ends: Ends, recorded: Recorded, state: Head) -> Refuse | None:
    """Judge a file whose end is recorded, before anything of its frames is read."""
    file, first = layout.segment_name(ends.header.segment_id), ends.header.first_sequence
    if ends.size < recorded.frames_end or recorded.frames_end < ends.start:
        detail = f"the file ends here; its frames are recorded to end at {recorded.frames_end}"
        return Refuse(file, ends.size, Damage.SEGMENT, detail)
    if recorded.next_sequence < first:
        detail = f"begins at event {first}, and is recorded to end at {recorded.next_sequence}"
        return Refuse(file, 0, Damage.LAYOUT, detail)
    if state.segment_id != ends.header.segment_id:
        return None
    said = state.frames_end, state.next_sequence, state.chain_head
    due = recorded.frames_end, recorded.next_sequence, recorded.chain_head
    beyond = said[:2] > due[:2] or (said[0] == due[0] and said != due)
    if beyond or (state.state == head.CLEAN and said != due):
        detail = f"HEAD records this file up to {said[0]}, and the next file up to {due[0]}"
        return Refuse(file, min(said[0], due[0]), Damage.HEAD, detail)
    return None


def facts(
    file: str,
    walk: Scan,
    stop: Stop,
    rest: Rest | None,
    end: Recorded | None,
    state: Head | None,
) -> Facts:
    """Collect what a finished scan says. `stop` may be a fault found by whoever scanned."""
    due = None if state is None else (state.next_sequence, state.chain_head)
    return Facts(
        file=file,
        recorded=end,
        unit=walk.unit,
        sequence=walk.sequence,
        chain_head=walk.chain_head,
        stop=stop,
        rest=rest,
        bound=walk.mark,
        bound_holds=walk.passed is not None and walk.passed == due,
        goes_on=end is not None and walk.unit == end.frames_end and walk.goes_on(),
    )


def names(found: layout.Listing, is_alone: bool) -> Found | Refuse:
    """Judge the names of a directory.

    Args:
        found: Its listing.
        is_alone: Whether there is segment 1, without a frame, and nothing else.
    """
    numbers = list(found.segments)
    if not found.has_head:
        if not numbers:
            return Found.NOTHING
        if is_alone:
            return Found.UNFINISHED
        return Refuse(layout.HEAD, 0, Damage.HEAD, "is missing, and there are events")
    if not numbers:
        return Refuse(layout.segment_name(1), 0, Damage.LAYOUT, "is missing, and there is a HEAD")
    if numbers[0] != 1:
        return missing(1, numbers[0])
    return Found.STORE


def missing(due: int, number: int) -> Refuse:
    """That there is no file of one number, where the next one that is there has another."""
    before = f" (there is {layout.segment_name(number)})"
    return Refuse(layout.segment_name(due), 0, Damage.LAYOUT, f"is missing{before}")


def is_leftover(number: int, before: Header | None) -> bool:
    """Whether a file is one that the file before it stands for: a compaction was cut short."""
    return before is not None and number <= before.last_id


def link(header: Header, number: int, before: Header | None) -> Refuse | None:
    """Judge a header beside the number in its name and the header of the file before it."""
    file, origin = layout.segment_name(number), header.origin
    if header.segment_id != number:
        detail = f"says that it is segment {header.segment_id}"
        return Refuse(file, 0, Damage.LAYOUT, detail)
    if before is None:
        if header.prev is not None or header.first_sequence:
            return Refuse(file, 0, Damage.LAYOUT, "is the first file, and names one before it")
        if origin is not None and origin.chain_head != ZERO_HASH:
            return Refuse(file, 0, Damage.LAYOUT, "is the first file, and continues another log")
        return None
    if number != before.last_id + 1:
        return missing(before.last_id + 1, number)
    previous = layout.segment_name(before.segment_id)
    if header.store_id != before.store_id and origin is None:
        return Refuse(file, 0, Damage.LAYOUT, f"belongs to another store than {previous}")
    if header.prev is None or header.prev.segment_id != before.last_id:
        return Refuse(file, 0, Damage.LAYOUT, f"does not name {previous} as the file before it")
    if origin is not None and (
        header.store_id == before.store_id
        or (origin.store_id, origin.chain_head) != (before.store_id, header.prev.chain_head)
    ):
        return Refuse(file, 0, Damage.LAYOUT, f"is of a fork, and of another one than {previous}")
    if before.replaces is not None and before.sealed is not None:
        due = before.replaces[-1], before.sealed.next_sequence
        if (header.prev, header.first_sequence) != due:
            detail = f"does not go on where {previous} says that the files ended it stands for"
            return Refuse(file, 0, Damage.LAYOUT, detail)
    return None


def head_place(
    state: Head, header: Header, newest: int, *, is_empty: bool = False
) -> Refuse | None:
    """Judge where HEAD points, beside the first header and the number of the newest file.

    A new file is durable before HEAD names it, and HEAD names it before the next one is made. So
    an interrupted writer leaves HEAD one behind at most; and a clean HEAD only while it opens a
    log again, before there is a frame in the new file.

    Args:
        state: HEAD.
        header: Of the newest file: it has the id of the store, those before may be of its origin.
        newest: Number of the newest file.
        is_empty: Whether that is a header and nothing else.
    """
    if state.store_id != header.store_id:
        return Refuse(layout.HEAD, 0, Damage.HEAD, "belongs to another store")
    if state.segment_id > newest:
        missing = layout.segment_name(state.segment_id)
        return Refuse(missing, 0, Damage.LAYOUT, "is missing, and HEAD names it")
    if state.segment_id < newest - (state.state == head.OPEN or is_empty):
        detail = f"names segment {state.segment_id}, and the newest is {newest}"
        return Refuse(layout.HEAD, 0, Damage.HEAD, detail)
    return None


def head_age(state: Head, headers: Iterable[Header]) -> Refuse | None:
    """Judge whether HEAD names a file that was written anew since.

    Compaction touches no file before HEAD names a later one.
    """
    for header in headers:
        if header.replaces is not None and header.segment_id <= state.segment_id <= header.last_id:
            detail = f"names segment {state.segment_id}, which was written anew: it is an older one"
            return Refuse(layout.HEAD, 0, Damage.HEAD, detail)
    return None


def frames(facts: Facts) -> Verdict:
    """Judge what a scan of one file has found."""
    if isinstance(facts.stop.why, Fault):
        fault = facts.stop.why
        return Refuse(facts.file, facts.stop.offset, fault.reason, fault.detail)
    if facts.recorded is not None:
        refusal = _short_of_record(facts, facts.recorded)
        if refusal is not None:
            return refusal
    if facts.bound is not None and not facts.bound_holds:
        return _short_of_head(facts)
    if facts.recorded is not None:
        return Open()
    if facts.rest is None or facts.rest.kind is RestKind.EMPTY:
        return Open() if facts.unit == facts.stop.offset else TornAt(facts.unit)
    if facts.rest.kind is RestKind.UNSEARCHED:
        detail = f"{facts.stop.why.value}, and what follows cannot be searched in bounded time"
        return Refuse(facts.file, facts.stop.offset, Damage.CRC, detail)
    if facts.rest.kind is RestKind.FRAMES and facts.rest.stamp > facts.sequence:
        detail = (
            f"{facts.stop.why.value} where event {facts.sequence} was durable, as the event"
            f" at offset {facts.rest.frame_at} says"
        )
        return Refuse(facts.file, facts.stop.offset, Damage.CRC, detail)
    return TornAt(facts.unit)


def _short_of_record(facts: Facts, end: Recorded) -> Refuse | None:
    if facts.unit != end.frames_end:
        why = facts.stop.why
        text = why.value if isinstance(why, Why) else why.detail
        reason = Damage.CRC if why in (Why.CRC, Why.LENGTH, Why.ZERO) else Damage.SEGMENT
        detail = f"{text}; its frames are recorded to end at {end.frames_end}"
        return Refuse(facts.file, facts.stop.offset, reason, detail)
    if (facts.chain_head, facts.sequence) != (end.chain_head, end.next_sequence):
        detail = "the event before this offset is not the one recorded as the last"
        return Refuse(facts.file, facts.unit, Damage.CHAIN, detail)
    if facts.goes_on:
        detail = "the log is recorded to end here, and it goes on: the record is an older one"
        return Refuse(facts.file, facts.unit, Damage.HEAD, detail)
    return None


def _short_of_head(facts: Facts) -> Refuse:
    bound = facts.bound or 0
    if facts.unit < bound:
        detail = f"the log ends here, and HEAD records it up to offset {bound}"
        return Refuse(facts.file, facts.stop.offset, Damage.HEAD, detail)
    detail = "the log does not pass here as HEAD records it"
    return Refuse(facts.file, bound, Damage.HEAD, detail)


def before_any(header: Header) -> bytes:
    """The chain head in front of the first frame of a file."""
    return ZERO_HASH if header.prev is None else header.prev.chain_head
