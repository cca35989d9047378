"""Whatever bytes a file has, what reads it answers: with whole units, or with a typed refusal.

What a whole store does, whatever it is asked, is held against a model in `tests/proof/model.py`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batpak.errors import CorruptStore
from batpak.journal import frame, head, header, scan
from batpak.journal.chain import Chain
from batpak.journal.scan import Scan
from batpak.store import Store
from tests.facts import SMALL, USER, Counted


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
@settings(max_examples=100, deadline=None)
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
