"""What has to be said of a store that was damaged, by a reader, by a writer and by `verify`.

    fate_of · hold   bytes have changed: each is damage, or the end of what a killed writer wrote
    refused          it is one of these files
    unchanged        everything is as before
    ends_early       the first bytes of a killed store are left, and so whole units
    hold_found       an event is right by its checksum, and by nothing else

What is due is worked out from what the program knew, and not from what the engine says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from batpak.errors import CorruptStore
from batpak.faults import Damage
from batpak.record import STAMP_AT
from batpak.report import VerifyReport
from tests.proof.golden import (
    HEAD,
    LOCK,
    Files,
    Golden,
    Told,
    base,
    read,
    read_after_verify,
    verified,
    write,
)

Place: TypeAlias = tuple[str, int]
"""A byte: in which file, and where."""

OF_BYTES: Final = frozenset({Damage.CRC, Damage.SEGMENT, Damage.HEAD})
"""What is said of bytes that are not what was written, in difference to events that do not fit."""


def hold_intact(golden: Golden) -> None:
    """An intact store is told to be intact: else nothing that is found later says anything."""
    assert read(golden.files).events == golden.events
    report = verified(golden.files)
    assert report.ok, report.findings
    assert not report.derived, report.derived
    assert report.events == len(golden.events)
    assert report.torn is None
    for frame in golden.frames:
        stamp = golden.bytes_of(frame)[8 + STAMP_AT : 16 + STAMP_AT]
        assert int.from_bytes(stamp, "big") == frame.durable, f"the stamp of {frame}"


# ---------------------------------------------------------------------------------- changed bytes


class Fate(NamedTuple):
    """What has to be said of a store in which some bytes are not what they were."""

    file: str
    offset: int  # of the frame that the first of them is in; 0: of a header, or of HEAD
    intact: int  # events that can still be read
    torn: bool  # whether it may have been a crash
    at_open: bool  # whether it is met by the open, and not when the event is read
    reasons: frozenset[Damage]


def fate_of(golden: Golden, places: Iterable[Place]) -> Fate:
    """What has to be said if these bytes are not what they were.

    Only of a killed store, and only where no intact event says that it was durable, may it be the
    end of the log: the events behind the last sync, and what HEAD does not record.
    """
    places = list(places)
    frames = [golden.frame_at(*place) for place in places]
    file, at = places[frames.index(None)] if None in frames else min(places)
    frame = golden.frame_at(file, at)
    if frame is None:
        reason = Damage.HEAD if file == HEAD else Damage.SEGMENT
        return Fate(file, 0, 0, torn=False, at_open=True, reasons=frozenset({reason}))
    reasons = {Damage.CRC} if at >= frame.offset + 4 else {Damage.CRC, Damage.SEGMENT}
    is_newest = file == golden.segments[-1]
    if golden.closed or not is_newest:
        sealed = 0 if is_newest else frame.sequence
        return Fate(
            file, frame.offset, sealed, torn=False, at_open=is_newest, reasons=frozenset(reasons)
        )
    said = [one.durable for one in golden.frames if one.unit > frame.unit and one not in frames]
    below_head = frame.sequence < golden.bound
    if below_head or max(said, default=0) > frame.unit:
        reason = Damage.HEAD if below_head else Damage.CRC
        return Fate(file, frame.offset, 0, torn=False, at_open=True, reasons=frozenset({reason}))
    begin = golden.frames[frame.unit].offset
    return Fate(file, begin, frame.unit, torn=True, at_open=False, reasons=frozenset())


def hold(golden: Golden, files: Files, fate: Fate, *, thorough: bool) -> None:
    """Look at a store with one damaged place and compare what is said with what has to be said.

    Args:
        golden: As it was.
        files: As they are.
        fate: What has to be said.
        thorough: Whether to ask more than `verify`; of a torn end, more than a reader.
    """
    report = verified(files)
    if not fate.torn:
        hold_reported(golden, report, fate)
        if thorough:
            hold_refused(golden, read(files), fate)
        return
    size = len(files[fate.file][fate.offset :].rstrip(b"\0"))
    assert report.ok, f"verify takes a torn end for damage: {report.findings}"
    assert report.events == fate.intact, f"{report.events} events, not {fate.intact}"
    torn = report.torn
    assert torn is not None, "verify says nothing of the torn end"
    assert (torn.offset, torn.bytes) == (fate.offset, size), torn
    hold_torn(golden, read(files), fate, size, None)
    if thorough:
        after = write(files, golden.config)
        name = f"quarantine/{fate.file[:-5]}-{fate.offset}-1.bin"
        hold_torn(golden, after, fate, size, name)
        torn_bytes = files[fate.file][fate.offset : fate.offset + size]
        assert after.files.get(name) == torn_bytes, "the torn bytes are not kept"
        assert verified(after.files).ok, "a recovery left damage"


def hold_reported(golden: Golden, report: VerifyReport, fate: Fate) -> None:
    """`verify` names the place, first of all, and finds no event wrong but that one.

    The event behind it cannot be judged, since the hash that it continues is gone.
    """
    assert report.findings, "verify says nothing"
    first = report.findings[0]
    due = fate.file, fate.offset
    assert (base(first.file), first.offset) == due, f"{first}, where {due} is due"
    assert first.reason in fate.reasons, f"{first}, where {set(fate.reasons)} is due"
    frame = golden.frame_at(fate.file, fate.offset)
    if frame is not None:
        assert first.sequence == frame.sequence, f"{first}, where event {frame.sequence} is due"
        assert report.findings_count == 1, f"one place is {report.findings_count} findings"
        lost = 1 + (frame != golden.in_file(fate.file)[-1])
        assert report.events == len(golden.events) - lost, f"{report.events} events are right"


def hold_refused(golden: Golden, said: Told, fate: Fate) -> None:
    """A reader gets what is in front of the place, and then an error that names it."""
    refused = said.refused
    assert refused is not None, "a reader is told nothing"
    assert refused[:3] == (CorruptStore, fate.file, fate.offset), f"{refused}, where {fate} is due"
    if fate.at_open:
        assert said.report is None, "a store with a damaged end was opened"
    if said.report is not None:
        assert said.events == golden.events[: fate.intact], "not what is in front of the damage"


def hold_torn(golden: Golden, said: Told, fate: Fate, size: int, kept: str | None) -> None:
    """A handle has all that is in front of a torn end, and reports what is behind it."""
    assert said.refused is None, f"an end that may be torn is refused: {said.refused}"
    assert said.events == golden.events[: fate.intact], "not what is in front of the torn end"
    torn = said.report.torn if said.report else None
    assert torn is not None, "the torn end is not reported"
    found = base(torn.file), torn.offset, torn.bytes, torn.quarantine
    assert found == (fate.file, fate.offset, size, kept), found


def hold_several(golden: Golden, files: Files, places: list[Place]) -> None:
    """Look at a store with several damaged places: one of them is named, and nothing is made up."""
    report, said, fate = verified(files), read(files), fate_of(golden, places)
    assert said.events == golden.events[: len(said.events)], "other events than were stored"
    if fate.torn:
        hold_torn(golden, said, fate, len(files[fate.file][fate.offset :].rstrip(b"\0")), None)
        assert report.ok, report.findings
        return
    due = {(fate.file, fate.offset)}
    for file, at in places:
        frame = golden.frame_at(file, at)
        due.add((file, frame.offset if frame else 0))
    refused = said.refused
    assert refused is not None, "a reader is told nothing"
    assert refused.error is CorruptStore, refused
    assert (refused.file, refused.offset) in due, refused
    assert refused.reason in OF_BYTES, f"{refused}, and the bytes are not as they were written"
    assert report.findings, "verify says nothing"
    first = report.findings[0]
    assert (base(first.file), first.offset) in due, first
    assert first.reason in OF_BYTES, f"{first}, and the bytes are not as they were written"


# ---------------------------------------------------------------------------------- changed files


def refused(golden: Golden, files: Files, *where: str) -> None:
    """A reader, a writer and `verify` name one of these files, and no truth was touched."""
    said = read(files)
    assert said.refused is not None, f"a reader sees {len(said.events)} events"
    assert said.refused.error is CorruptStore, said.refused
    assert said.refused.file in where, f"{said.refused}, and it is one of {where}"
    assert said.events == golden.events[: len(said.events)], "other events than were stored"
    after = write(files, golden.config)
    assert after.refused == said.refused, f"a writer: {after.refused}, a reader: {said.refused}"
    if said.report is None:
        assert evidence(golden, after.files) == evidence(golden, files), "it was touched"
    report = verified(files)
    assert report.findings, "verify says nothing"
    named = {base(finding.file) for finding in report.findings}
    assert named & set(where), f"verify names {named}, and it is one of {where}"


def evidence(golden: Golden, files: Files) -> Files:
    """What a refused open may not touch: all but the lock, and footers that are made anew."""
    return {
        name: data[: golden.truth(name)] if name in golden.segments else data
        for name, data in files.items()
        if name != LOCK
    }


def unchanged(golden: Golden, files: Files) -> Told:
    """Everything is as before, for a reader, a writer, `verify`, and whoever opens it next."""
    said = read(files)
    assert said.refused is None, said.refused
    assert said.events == golden.events, f"a reader sees {len(said.events)} events"
    report = verified(files)
    assert report.ok, report.findings
    assert report.events == len(golden.events), report.events
    after = write(files, golden.config)
    assert after.refused is None, after.refused
    assert after.events == golden.events, f"a writer sees {len(after.events)} events"
    assert verified(after.files).ok, "a writer left damage"
    assert read(after.files).events == golden.events, "a writer lost something"
    return after


def ends_early(golden: Golden, files: Files, kept: int, *, thorough: bool = True) -> None:
    """What is left of a killed store: its first bytes, and whole units.

    Args:
        golden: As it was.
        files: As they are.
        kept: How many bytes of its newest file are as they were.
        thorough: Whether to ask more than a reader.
    """
    file = golden.segments[-1]
    frames = golden.in_file(file)
    first = frames[0].offset if frames else golden.truth(file)
    whole = [one for one in golden.frames if one.file != file or one.end <= kept]
    count = len(whole)
    if 0 < count < len(golden.frames) and golden.frames[count].unit < count:
        count = golden.frames[count].unit
    if kept < first or count < golden.bound:
        if thorough:
            refused(golden, files, file)
        else:
            assert read(files).refused is not None, "what HEAD records is gone"
        return
    said = read(files)
    assert said.refused is None, said.refused
    assert said.events == golden.events[:count], f"{len(said.events)} events, {count} are there"
    end = golden.frames[count].offset if count < len(golden.frames) else golden.truth(file)
    size = len(files[file][end:].rstrip(b"\0"))
    torn = said.report.torn if said.report else None
    told = (torn.offset, torn.bytes) if torn else None
    assert told == ((end, size) if size else None), f"{told} is torn, and {size} bytes from {end}"
    if not thorough:
        return
    report = verified(files)
    assert report.ok, report.findings
    assert report.events == count, report.events
    after = write(files, golden.config)
    assert after.events == golden.events[:count], "a writer sees others"
    kept_bytes = [data for name, data in after.files.items() if name.startswith("quarantine/")]
    assert kept_bytes == ([files[file][end : end + size]] if size else []), "not what was torn"
    assert verified(after.files).ok, "a writer left damage"
    assert read(after.files).events == golden.events[:count], "a writer lost something"


# ---------------------------------------------------------------------------------- forged events

HASH: Final = "the event hash does not match"


class Found(NamedTuple):
    """What `verify` has to find first."""

    sequence: int
    reason: Damage
    detail: str = ""  # what it has to say, or a part of it


def hold_found(golden: Golden, files: Files, due: Found) -> VerifyReport:
    """`verify` finds it, there and first of all, and no open that verifies lets it in.

    Nor does the open of a killed store, which computes the hashes of its newest file.
    """
    report = verified(files)
    assert report.findings, "verify says nothing"
    first = report.findings[0]
    said = first.sequence, first.reason
    assert said == due[:2], f"{first}, where {due} is due"
    assert due.detail in first.detail, f"{first}, where {due} is due"
    assert first.offset > 0, first
    opened = read_after_verify(files)
    assert opened.report is None, "it was opened"
    assert opened.refused is not None
    at = CorruptStore, base(first.file), first.offset
    assert opened.refused[:3] == at, f"{opened.refused}, where {at} is due"
    if not golden.closed and first.file.endswith(golden.segments[-1]):
        refused = read(files).refused
        assert refused is not None, "a killed store was opened"
        assert refused.offset == first.offset, refused
    return report
