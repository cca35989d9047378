"""What `verify` makes of damage: one finding for each place, and an error for who wants one.

That every byte is found is proved in `tests.proof.rot`; here is what a person reads. Would slip
through without it: one bad event after which everything is reported, or nothing any more.
"""

from __future__ import annotations

from itertools import combinations

import pytest

from batpak.errors import CorruptStore
from tests.proof.family import SEED
from tests.proof.golden import Files, Frame, Golden, base, patched, verified, written


@pytest.fixture(scope="module")
def golden() -> Golden:
    return written("several", SEED)


def spoilt(golden: Golden, *frames: Frame) -> Files:
    """The files with the last byte of some events changed."""
    files = golden.files
    for frame in frames:
        last = files[frame.file][frame.end - 1]
        files = patched(files, frame.file, frame.end - 1, bytes([last ^ 1]))
    return files


def test_every_damaged_event_is_one_finding(golden: Golden) -> None:
    for frame in golden.frames:
        report = verified(spoilt(golden, frame))

        assert report.findings_count == 1
        (found,) = report.findings
        assert (base(found.file), found.offset) == (frame.file, frame.offset)
        assert found.sequence == frame.sequence


def test_two_damaged_events_are_two_findings_unless_they_touch(golden: Golden) -> None:
    for one, other in combinations(golden.frames, 2):
        report = verified(spoilt(golden, one, other))

        touching = one.end == other.offset and one.file == other.file
        due = [one.sequence] if touching else [one.sequence, other.sequence]
        assert [found.sequence for found in report.findings] == due


def test_the_first_finding_is_the_error(golden: Golden) -> None:
    first, second = golden.frames[2], golden.frames[6]

    with pytest.raises(CorruptStore) as caught:
        verified(spoilt(golden, second, first)).raise_for_damage()

    assert base(caught.value.path) == first.file
    assert caught.value.offset == first.offset
    assert caught.value.detail
