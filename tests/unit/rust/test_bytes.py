"""The bytes of the original, written: what we write is what it wrote.

Would slip through without it: a store that is exported and that the original does not open.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from batpak.journal.v1 import footer, frame, header, row

FIXTURE = Path(__file__).parents[2] / "fixtures" / "rust-0.7"


@pytest.mark.parametrize(
    "path", sorted(FIXTURE.glob("*/*.fbat")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_file_that_is_read_and_written_again_is_the_same(path: Path) -> None:
    data = path.read_bytes()
    head, at = header.decode(data, path.name)
    found = footer.read(data, at, path.name)
    assert found is not None
    pieces, rows, names = [header.encode(head)], list[bytes](), dict[str, int]()
    numbers = iter(found.rows)

    while at < found.frames_end:
        body = frame.body_at(data, at, found.frames_end)
        assert isinstance(body, bytes)
        one = frame.decode(body)
        assert isinstance(one, frame.Frame)
        size = frame.PREFIX_BYTES + len(body)
        pieces.append(frame.encode(one))
        if not one.is_mark:
            entity = names.setdefault(one.entity, len(names))
            scope = names.setdefault(one.scope, len(names))
            rows.append(row.pack(one, entity, scope, at, size, next(numbers).sequence))
        at += size
    pieces.append(footer.encode(list(names), rows, at))

    assert b"".join(pieces) == data
