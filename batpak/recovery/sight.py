"""The log of a directory as somebody sees it who holds no lock, and changes nothing.

    take    HEAD, then file after file by number: what a reader's open does, of files that move
    look    what has come since: the rest of the newest file, then the files behind it

Each look makes sure first that what was seen last is still where it was. If it is not, or anything
does not fit, everything is taken anew: the log has to go through the last event that was shown.
Damage is believed only when it is met again, in files that have not changed meanwhile.

Files that a compaction has merged are read on as they were. Where it removes something, the log
says so before: from then on it is looked for, until it is gone here as well.
Reference: docs/reference/file-format.md, "Observers".
"""

from __future__ import annotations

import errno
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from batpak import codec
from batpak.disk.seam import Directory
from batpak.errors import CorruptStore, StorageFailed
from batpak.faults import Damage
from batpak.index import sidx
from batpak.index.row import Part
from batpak.index.table import Table
from batpak.index.tail import Tail
from batpak.journal import head, header, layout
from batpak.journal.head import Head
from batpak.journal.header import Ends, Header
from batpak.journal.segment import Segment, Segments, Tip
from batpak.record import EVENT
from batpak.recovery import decide, footer
from batpak.recovery.decide import Recorded, Refuse
from batpak.recovery.ends import refusal
from batpak.recovery.footer import FOOTER_BYTES_MIN, NewLock
from batpak.recovery.gone import RolledBack, StoreGone
from batpak.recovery.growing import Growing, Moved, Shown, moving
from batpak.recovery.picture import Picture, announced_in
from batpak.system import Compacted

T = TypeVar("T")

UNSEALED_MAX: Final = 2  # files whose footer is waited for
DAMAGED_MAX: Final = 3  # times that damage is met before it is believed
MOVED_MAX: Final = 100  # likewise, that files have changed under the hand
REMOVAL_S: Final = 0.1  # waited before a file is missed again

_decode: Final = codec.decoder(Compacted).decode


class Sight:
    """The log of a directory, as far as it was seen. One thread looks at a time; any number read.

    Args:
        directory: Of the store.
        lock: Makes a lock.
        files_max: How many files are kept open.

    Raises:
        StorageFailed: There is no store here, or the system refused.
        CorruptStore: Something durable is damaged.
        FutureVersion: Something is newer than this code.
        InvalidArgument: The store is of format version 1.
    """

    def __init__(self, directory: Directory, lock: NewLock, files_max: int) -> None:
        self._directory, self._lock, self._files_max = directory, lock, files_max
        self._shown: Shown | None = None
        self.durable = 0
        """How many events are known to be durable: what is stored says so, a moment later."""
        self._is_whole = False  # else a look was cut short: what it has left is not gone on from
        self._known: dict[int, tuple[Header, int]] = {}  # by number: what it is, and known as
        self._changes = 0
        self._met: list[Header] = []  # of all files, while they are taken
        picture = self._patiently(self._take)
        self.segments, self.table = picture.segments, picture.table
        self.store_id = picture.state.store_id
        self.clean = picture.state.state == head.CLEAN
        self._newest, self._growing = picture.newest, picture.growing
        self._unsealed: list[tuple[Growing, Recorded]] = []
        """Files that are complete; their footer is not in them yet."""
        self._removing: list[Compacted] = []
        """What is announced to be gone, and is still there."""
        self._asked = 0  # the part that was asked about last, on their behalf
        self._hear(picture.announced)
        self._show(picture.due, picture.state.next_sequence)
        self._is_whole = True

    @property
    def tip(self) -> Tip:
        """The end of what was seen."""
        sequence, chain_head = self._shown or (0, b"")
        end = 0 if self._growing is None else self._growing.unit
        return Tip(sequence, chain_head, 0, -1, 0, end, self.durable)

    def look(self) -> bool:
        """Take in what has come; whether anything has.

        Raises:
            RolledBack: What was shown is not there any more.
            StoreGone: The store is not there any more.
            CorruptStore: Something durable is damaged.
            FutureVersion: Something is newer than this code.
            StorageFailed: The system refused.
        """
        before = self.table.bound, self.durable
        self._require_place()
        try:
            self._patiently(self._go_on)
        except (CorruptStore, StorageFailed):
            self._require_place()  # it may have been removed meanwhile
            raise
        return before != (self.table.bound, self.durable)

    def _require_place(self) -> None:
        """Make sure that the directory is the one which others find: a name may be exchanged."""
        directory = self._directory
        with layout.asking("observe", directory.path):
            is_ours = directory.intact()
        if not is_ours:
            raise StoreGone(directory.path, replaced=is_ours is not None)

    def forget(self) -> None:
        """Take everything anew at the next look."""
        self._is_whole = False

    def _patiently(self, act: Callable[[], T]) -> T:
        """Act until no file has moved meanwhile; believe damage when it is met again."""
        damaged = 0
        for _ in range(MOVED_MAX):
            try:
                return act()
            except Moved:
                continue
            except CorruptStore as error:
                if self._has_changed():
                    continue
                damaged += 1
                if damaged == DAMAGED_MAX:
                    raise
                if error.reason is Damage.LAYOUT and self._shown is not None:
                    self._pause()
        path, why = self._directory.path, "its files change faster than they can be read"
        raise StorageFailed("observe", path, errno.EAGAIN, why)

    def _pause(self) -> None:
        """A file is missing that was there: somebody may be about to remove the whole store."""
        bell = self._lock()
        bell.acquire()
        bell.acquire(timeout=REMOVAL_S)

    def _has_changed(self) -> bool:
        """Whether files that were met are not there any more: then they are no damaged ones."""
        met, self._met = self._met, []
        try:
            for one in met:
                self._same(one)
        except Moved:
            return True
        except CorruptStore:
            pass
        return False

    def _show(self, due: Shown, durable: int = 0) -> None:
        self._shown = due
        self.table.bound = due[0]
        stamp = 0 if self._growing is None else self._growing.durable
        self.durable = min(due[0], max(self.durable, durable, stamp))

    # ------------------------------------------------------------------------------ all at once

    def _take(self) -> Picture:
        """Take everything, from HEAD and the first file on.

        HEAD is read first: whatever it says was so before any file is read.
        """
        self._met = []
        state = self._head()
        with moving():
            return self._taken(state)

    def _taken(self, state: Head) -> Picture:
        segments = Segments(self._files_max)
        parts: list[Part] = []
        announced: list[bytes] = []
        newest = self._ends(1)
        if newest is None:
            raise self._missing(1)
        self._require_link(newest.header, 1, None)
        while True:
            number = newest.header.last_id + 1
            ends = self._ends(number)
            if ends is None:
                break
            self._require_link(ends.header, number, newest.header)
            recorded = decide.recorded(newest.header, ends.header, state)
            if recorded is None:  # the link was looked at
                raise Moved
            parts.append(self._seal(newest, recorded, state, segments))
            announced += announced_in(segments, parts[-1])
            newest = ends
        if newest.header.segment_id < state.segment_id:
            raise self._missing(number)
        if (
            newest.header.store_id != state.store_id
        ):  # older files of a fork have that of its origin
            foreign = Refuse(layout.HEAD, 0, Damage.HEAD, "belongs to another store")
            raise refusal(self._directory, foreign)
        closed = decide.recorded(newest.header, None, state)
        if closed is not None and closed.frames_end >= FOOTER_BYTES_MIN:
            parts.append(self._seal(newest, closed, state, segments))
            announced += announced_in(segments, parts[-1])
            tail = Tail(number, closed.next_sequence, 0, self._lock)
            due, growing = (closed.next_sequence, closed.chain_head), None
        else:
            growing = Growing(self._directory, newest, self._lock, self._known_as(newest.header))
            segments.add(growing.segment)
            growing.read()
            announced += growing.announced
            growing.announced.clear()
            tail, due = growing.tail, growing.due
        table = Table(segments, parts, tail)
        table.bound = due[0]
        table.epoch = max(one.epoch for one in self._met)
        picture = Picture(segments, table, newest.header, growing, due, state, announced)
        if not picture.goes_through((state.next_sequence, state.chain_head)):
            detail = f"the log does not go through event {state.next_sequence} as HEAD records it"
            raise refusal(self._directory, Refuse(layout.HEAD, 0, Damage.HEAD, detail))
        return picture

    def _head(self) -> Head:
        try:
            return head.read(self._directory)
        except StorageFailed as error:
            if error.errno != errno.ENOENT:
                raise
        if self._shown is not None:  # then there was one, and it is only ever replaced
            raise StoreGone(self._directory.path, replaced=False)
        ends = self._ends(1)
        if ends is not None and ends.size > ends.start:
            bad = Refuse(layout.HEAD, 0, Damage.HEAD, "is missing, and there are events")
            raise refusal(self._directory, bad)
        path, text = self._directory.path, "there is no store here"
        raise StorageFailed("open", path, errno.ENOENT, text)

    def _ends(self, number: int) -> Ends | None:
        """Both ends of a file. None: there is none of this number."""
        try:
            return header.read(self._directory, layout.segment_name(number), sidx.TAIL_BYTES)
        except StorageFailed as error:
            if error.errno != errno.ENOENT:
                raise
            return None

    def _missing(self, number: int) -> CorruptStore:
        detail = "is missing, and HEAD names it, or one behind it"
        return refusal(
            self._directory, Refuse(layout.segment_name(number), 0, Damage.LAYOUT, detail)
        )

    def _require_link(self, current: Header, number: int, before: Header | None) -> None:
        self._met.append(current)
        bad = decide.link(current, number, before)
        if bad is not None:
            raise refusal(self._directory, bad)

    def _known_as(self, current: Header) -> int:
        """Under which number a file is known; one that has taken another's place has a new one."""
        number = current.segment_id
        known = self._known.get(number)
        if known is None:
            known = current, number
        elif known[0] != current:
            self._changes += 1
            known = current, -self._changes
        self._known[number] = known
        return known[1]

    def _seal(self, ends: Ends, recorded: Recorded, state: Head, segments: Segments) -> Part:
        """Take in a file whose end is recorded, by its footer; without one, by its frames."""
        segment = self._complete(ends.header, ends.start, recorded)
        part = self._by_footer(segment, ends, recorded)
        if part is None:
            ends = self._same(ends.header)  # it may have grown since, and got a footer
            part = self._by_footer(segment, ends, recorded)
        refused = decide.sealed(ends, recorded, state)
        if refused is not None:
            raise refusal(self._directory, refused)
        segments.add(segment)
        segment.data(recorded.frames_end)  # opened while it has its name, which it may lose
        return footer.in_memory(segment, recorded, self._lock)[0] if part is None else part

    def _by_footer(self, segment: Segment, ends: Ends, recorded: Recorded) -> Part | None:
        try:
            return footer.read(segment, ends, recorded, self._lock)
        except sidx.BadFooter:
            return None

    def _same(self, due: Header) -> Ends:
        """Both ends of a file that was there before.

        Raises:
            Moved: It is another one, or there is none.
        """
        ends = self._ends(due.segment_id)
        if ends is None or ends.header != due:
            raise Moved
        return ends

    # ----------------------------------------------------------------------------- bit by bit

    def _go_on(self) -> None:
        if self._is_whole:
            self._is_whole = False
            self._follow()
        else:
            self._take_anew()
        self._is_whole = True

    def _follow(self) -> None:
        if self.segments.lost:
            raise Moved
        while True:
            growing = self._growing
            if growing is not None:
                growing.read()
                self._show(growing.due)
                self._hear(growing.announced)
                growing.announced.clear()
            number = self._newest.last_id + 1
            ends = self._ends(number)
            if ends is None:
                break
            self._require_link(ends.header, number, self._newest)
            self._turn(ends)
        self._seal_unsealed()
        with moving():
            self._meet_removals()
        if self.durable < self.table.bound:
            self._ask_head()

    def _turn(self, ends: Ends) -> None:
        """Go on in the next file."""
        old, first = self._growing, ends.header.first_sequence
        recorded = decide.recorded(self._newest, ends.header, None)
        if old is not None and recorded is not None:
            old.finish(recorded)
            self._show(old.due)
            self._hear(old.announced)
            self._unsealed.append((old, recorded))
        if self._shown != (first, decide.before_any(ends.header)):
            raise Moved
        growing = Growing(self._directory, ends, self._lock, self._known_as(ends.header))
        self.segments.add(growing.segment)
        if old is None:  # the last part is only imagined
            self.table.adopt([*self.table.parts[:-1], growing.tail], growing.tail)
        else:
            self.table.rotate(growing.tail)
        self._newest, self._growing = ends.header, growing
        self._show(growing.due)

    def _seal_unsealed(self) -> None:
        """Read complete files from the disk, and no more from memory, once they have a footer."""
        unsealed = self._unsealed
        while unsealed:
            old, recorded = unsealed[0]
            ends = self._same(old.header)
            segment = self._complete(old.header, ends.start, recorded)
            part = self._by_footer(segment, ends, recorded)
            if part is None and len(unsealed) <= UNSEALED_MAX:
                return
            if part is None:
                part = footer.in_memory(segment, recorded, self._lock)[0]
            self.segments.renew(segment)
            with moving():
                segment.data(recorded.frames_end)  # as in `_seal`
            self.table.sealed(part)
            del unsealed[0]

    def _complete(self, current: Header, start: int, recorded: Recorded) -> Segment:
        return Segment(
            self._directory,
            current,
            start,
            recorded.frames_end,
            trusted=False,
            segment_id=self._known_as(current),
        )

    def _hear(self, announced: Sequence[bytes]) -> None:
        """Take in what compactions have said that they remove."""
        for payload in announced:
            with suppress(codec.DecodeError):  # one that does not decode announces nothing
                self._removing.append(_decode(payload))

    def _meet_removals(self) -> None:
        """Make sure that what is announced to be gone is gone here, too.

        The files with the first and with the last of the events are written anew, or merged into
        one before; the last of all with the last. A run that was cut short is looked for until
        another one removes the same. It may have left the files that it merged, so that only the
        one that stands for them is another: each look asks about one more of those before.

        Raises:
            Moved: It is gone in the files.
        """
        self._removing = [one for one in self._removing if not self._is_gone(one.last)]
        for one in self._removing:
            for sequence in (one.first, one.last):
                if not self._is_gone(sequence):
                    self._require_part(self.table.locate(sequence)[0])
        complete = self.table.parts[:-1] if self._removing else ()
        if complete:
            self._asked = (self._asked + 1) % len(complete)
            self._require_part(complete[self._asked])

    def _require_part(self, part: Part) -> None:
        self._same(self.segments.of(part.segment_id).header)

    def _is_gone(self, sequence: int) -> bool:
        if sequence >= self.table.bound:
            return True
        part, row = self.table.locate(sequence)
        types = part.types
        return types is not None and types[row] != EVENT

    def _ask_head(self) -> None:
        """HEAD says what was durable when a writer opened the store, and when it closed it."""
        state = self._head()
        if state.store_id == self.store_id and state.next_sequence <= self.table.bound:
            self.durable = max(self.durable, state.next_sequence)

    def _take_anew(self) -> None:
        """Take everything once more, and make sure that it is the same log."""
        picture, shown = self._take(), self._shown
        if picture.state.store_id != self.store_id:
            raise StoreGone(self._directory.path, replaced=True)
        with moving():
            if shown is not None and not picture.goes_through(shown):
                raise RolledBack(self._directory.path, self._kept(picture), shown[0])
        self.segments.take_over(picture.segments)
        self.table.adopt([*picture.table.parts], picture.table.tail)
        self.table.epoch = max(self.table.epoch, picture.table.epoch)
        self._removing = []
        self._hear(picture.announced)
        self._newest, self._growing, self._unsealed = picture.newest, picture.growing, []
        self._show(picture.due, picture.state.next_sequence)

    def _kept(self, picture: Picture) -> int:
        """How many of the events that were shown are still in the log."""
        tail, found = self.table.tail, picture.table
        if not picture.goes_through((tail.first, decide.before_any(self._newest))):
            return 0
        tail.ready()

        def is_gone(row: int) -> bool:
            place = found.with_id(tail.ids[row])
            return place is None or place[0].first + place[1] != tail.first + row

        rows = range(self.table.bound - tail.first)
        return tail.first + bisect_left(rows, True, key=is_gone)
