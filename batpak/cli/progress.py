"""Bars for what takes long: on a terminal only, and beside what is printed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from batpak import report
from batpak.cli.prose import counted, harmless
from batpak.override import override

T = TypeVar("T")

STEP: Final = 256  # events that are counted at once


@contextmanager
def bar(what: str) -> Generator[report.Progress]:
    """Show how many bytes are done, of how many, while the block goes on telling."""
    columns = BarColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn()
    with _shown(what, *columns) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


@contextmanager
def counting(what: str, events: Iterable[T]) -> Generator[Iterator[T]]:
    """The same events, and how many of them were taken is shown. Nobody knows how many come."""
    with _shown(what, TextColumn("{task.completed:,.0f} events")) as shown:
        task = shown.add_task(what, total=None)

        def counted() -> Iterator[T]:
            for number, event in enumerate(events, 1):
                if number % STEP == 0:
                    shown.update(task, completed=number)
                yield event

        yield counted()


@contextmanager
def watching(what: str, count: Callable[[], int]) -> Generator[None]:
    """Show how many events there are by now, while the block makes them."""
    with _shown(what, _Counted(count)) as shown:
        shown.add_task(what, total=None)
        yield


class _Counted(ProgressColumn):
    """Asks for the number whenever the bar is drawn."""

    def __init__(self, count: Callable[[], int]) -> None:
        super().__init__()
        self._count = count

    @override
    def render(self, task: Task) -> Text:  # noqa: ARG002  nobody has told it a number
        return Text(counted(self._count(), "event"))


def _shown(what: str, *columns: ProgressColumn) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn(harmless(what).replace("[", "\\[")),
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
