"""What is told about one code."""

from __future__ import annotations

from msgspec import Struct


class Code(Struct, frozen=True):
    """One code.

    `title` goes on with the code in lists; `text` says why it is an error and what to do.
    `example` is what is wrong: a part of a schema, a configuration that begins with `[`, or, where
    neither can be, a sentence. A test compiles all but the sentences and expects the code.
    """

    code: str
    title: str
    text: str
    example: str
