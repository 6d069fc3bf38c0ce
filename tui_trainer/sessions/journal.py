"""events.jsonl: the append-only history. What is intact is always read; what is not is skipped and counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tui_trainer.core.events import TRANSIENT, AnyEvent, Event, decode, encode
from tui_trainer.sessions.files import open_regular
from tui_trainer.sessions.oslayer import APPEND, REAL, Disk, storage_errors, write_all

MAX_LINE = 1 << 22
MAX_JOURNAL = 1 << 40
MAX_SEQ = 1 << 53
BLOCK = 1 << 18
MAX_WAITING = 1000
_END = 1 << 16
_KNOWN = frozenset(kind.__name__ for kind in Event.__subclasses__())


class Entry(NamedTuple):
    """One line of a journal: its event, or None with the reason; `end` is the offset behind it."""

    event: AnyEvent | None
    end: int
    problem: str = ""
    newer: bool = False
    """An intact event of a type that this version does not know."""
    torn: bool = False
    """The last line, without its newline: cut off, or still being written."""


class JournalRead(NamedTuple):
    """All that is intact, how many lines were skipped, how many are of a newer version's types."""

    events: list[AnyEvent]
    skipped: int
    newer: int = 0


class Journal:
    """The writing end. Opening it closes a torn last line; seq goes on from the last intact one."""

    def __init__(self, path: Path, disk: Disk = REAL) -> None:
        self._path = path
        self._disk = disk
        self.last_seq, self.torn = _tail(path) if os.path.lexists(path) else (0, False)
        """`torn`: whether the last line had no end when the journal was opened."""
        self._queue = b"\n" if self.torn else b""
        with storage_errors(path.parent):
            self._fd = disk.open(path, APPEND)
            self._size = os.fstat(self._fd).st_size

    def append(self, events: Sequence[Event]) -> None:
        """Write stamped events with one call; transient ones are left out.

        Raises StorageError when the disk refuses: they are kept and go first with the next append, flush or sync,
        so never append them again.
        """
        lines = [encode(event) for event in events if not isinstance(event, TRANSIENT)]
        if not lines:
            return
        self._queue += b"\n".join(lines) + b"\n"
        self.last_seq = max(self.last_seq, *(event.seq for event in events))
        self.flush()

    def flush(self) -> None:
        """Write what a refused append left behind."""
        with storage_errors(self._path.parent, needs=len(self._queue)):
            self._write_queue()

    def _write_queue(self) -> None:
        if self._queue and os.fstat(self._fd).st_size != self._size:
            self._close_torn_line()
        while self._queue:
            written = self._disk.write(self._fd, self._queue)
            self._queue = self._queue[written:]
            self._size += written

    def _close_torn_line(self) -> None:
        """A refused write left some bytes: end that line and write all again; readers drop what is there twice."""
        self._size = os.fstat(self._fd).st_size
        self._queue = b"\n" + self._queue

    def sync(self) -> None:
        """Return when everything appended is on the medium."""
        self.flush()
        with storage_errors(self._path.parent):
            self._disk.fsync(self._fd)

    @property
    def waiting(self) -> int:
        """Bytes that the disk has refused so far."""
        return len(self._queue)

    def close(self) -> None:
        """Close the file, unsynced; a second call does nothing."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._disk.close(fd)


def create_journal(path: Path, disk: Disk = REAL) -> None:
    """An empty journal, its bytes on the medium once the directory is synced."""
    fd = disk.open(path, APPEND)
    try:
        write_all(disk, fd, b"")
        disk.fsync(fd)
    finally:
        disk.close(fd)


def read_journal(path: Path) -> JournalRead:
    """Every intact event in order, and how many lines were skipped. An absent journal is an empty one."""
    events: list[AnyEvent] = []
    skipped = newer = 0
    for entry in iter_journal(path):
        if entry.event is not None:
            events.append(entry.event)
        elif entry.newer:
            newer += 1
        else:
            skipped += 1
    return JournalRead(events, skipped, newer)


def iter_journal(path: Path, start_offset: int = 0, after_seq: int = 0) -> Iterator[Entry]:
    """Each line in turn from `start_offset`, which is 0 or an earlier entry's `end`. Memory stays bounded.

    `after_seq` is the seq of the event that ends there: what is not newer is dropped.

    Lines whose seq does not grow are dropped; a single line whose seq jumps ahead of its successors is, too.
    """
    if not path.exists():
        return
    with open_regular(path, MAX_JOURNAL) as (fd, size):
        yield from _ordered(_parsed(_lines(fd, start_offset, size)), after_seq)


class _Line(NamedTuple):
    data: bytes
    end: int
    whole: bool
    """False: longer than MAX_LINE, its data dropped."""
    closed: bool = True


def _lines(fd: int, start: int, stop: int) -> Iterator[_Line]:
    """Newline-ended pieces between two offsets, then an unended last one; a too long one comes without its data."""
    held, whole, offset = b"", True, start
    while offset < stop:
        block = os.pread(fd, min(BLOCK, stop - offset), offset)
        if not block:
            break
        begin = 0
        while (found := block.find(b"\n", begin)) >= 0:
            yield _Line(held + block[begin:found] if whole else b"", offset + found + 1, whole)
            held, whole, begin = b"", True, found + 1
        offset += len(block)
        held += block[begin:]
        if len(held) > MAX_LINE:
            held, whole = b"", False
    if held or not whole:
        yield _Line(held, offset, whole, closed=False)


def _parsed(lines: Iterable[_Line]) -> Iterator[Entry]:
    for line in lines:
        if line.data.strip() or not line.whole:
            yield _entry(line)


def _entry(line: _Line) -> Entry:
    torn = not line.closed
    if not line.whole:
        return Entry(None, line.end, f"longer than {MAX_LINE} bytes", torn=torn)
    try:
        event = decode(line.data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        newer = _is_newer(line.data)
        return Entry(None, line.end, str(error)[:200], newer=newer, torn=torn and not newer)
    if not 0 < event.seq < MAX_SEQ:
        return Entry(None, line.end, f"seq {event.seq}", torn=torn)
    if not 0 <= event.update < MAX_SEQ:
        return Entry(None, line.end, f"update {event.update}", torn=torn)
    return Entry(event, line.end)


class _Stamp(msgspec.Struct):
    type: str
    seq: int


_stamp_decoder = msgspec.json.Decoder(_Stamp)


def _is_newer(data: bytes) -> bool:
    try:
        stamp = _stamp_decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return stamp.type not in _KNOWN and 0 < stamp.seq < MAX_SEQ and stamp.type.isidentifier()


def _ordered(entries: Iterable[Entry], after_seq: int = 0) -> Iterator[Entry]:
    order = _Order(after_seq)
    for entry in entries:
        yield from order.take(entry)
    yield from order.rest()


class _Order:
    """Keeps seq growing. A line that jumps ahead waits for the next new one, which tells which of the two is wrong."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._lost = 0
        self._waiting: list[Entry] = []  # the line that jumped ahead, then what is of no use behind it

    def take(self, entry: Entry) -> list[Entry]:
        """What can be handed on now that `entry` is known."""
        released = self._decide(_seq(entry))
        if entry.event is None:
            self._lost += 1
            return released + self._useless(entry)
        if _seq(entry) <= self._last:
            return released + self._useless(_dropped(entry))
        if self._last and _seq(entry) > self._last + 1 + self._lost:
            self._waiting = [entry]
            return released
        self._last, self._lost = _seq(entry), 0
        return [*released, entry]

    def _decide(self, seq: int) -> list[Entry]:
        if not self._waiting or (seq <= self._last and len(self._waiting) <= MAX_WAITING):
            return []
        (jumped, *behind), self._waiting = self._waiting, []
        if self._last < seq <= _seq(jumped):
            return [_dropped(jumped), *behind]
        self._last = _seq(jumped)
        return [jumped, *behind]

    def _useless(self, entry: Entry) -> list[Entry]:
        if not self._waiting:
            return [entry]
        self._waiting.append(entry)
        return []

    def rest(self) -> list[Entry]:
        """What still waits when there is no more: a jump that nothing contradicts is a true gap."""
        return self._waiting


def _seq(entry: Entry) -> int:
    return entry.event.seq if entry.event is not None else 0


def _dropped(entry: Entry) -> Entry:
    return Entry(None, entry.end, f"seq {_seq(entry)} is out of order")


def _tail(path: Path) -> tuple[int, bool]:
    """(seq of the last intact event, whether the last line has no end), read from the end backwards."""
    with open_regular(path, MAX_JOURNAL) as (fd, size):
        if size == 0:
            return 0, False
        torn = os.pread(fd, 1, size - 1) != b"\n"
        span = BLOCK
        while True:
            start = max(0, size - span)
            seqs = [_seq(entry) for entry in _ordered(_parsed(_whole_lines(fd, start, size))) if entry.event]
            if seqs or start == 0:
                return (seqs[-1] if seqs else 0), torn
            span *= 4


def last_event(path: Path) -> AnyEvent | None:
    """The newest intact event, from the journal's last lines; None where those hold none."""
    with open_regular(path, MAX_JOURNAL) as (fd, size):
        lines = os.pread(fd, _END, max(0, size - _END)).split(b"\n")
    entries = (_entry(_Line(line, 0, True)) for line in reversed(lines) if line.strip())
    return next((entry.event for entry in entries if entry.event is not None), None)


def _whole_lines(fd: int, start: int, size: int) -> Iterator[_Line]:
    """Lines after `start`, the first (probably cut) one left out unless the file begins there."""
    lines = _lines(fd, start, size)
    if start > 0:
        next(lines, None)
    yield from lines
