"""replay.idx: keyframes and landmarks of a journal, beside it, so that a long history opens and seeks at once.

Never needed: without it, or where it does not fit the journal or this version's fold, everything is folded again and
it is written anew, by whoever folds. It is a header and then *sections*, each for the events since the one before:

    header   8 bytes magic, 32 bytes hash of the code that folds: another fold, another index
    section  "SECT", crc32, lengths | JSON: places, the journal's checksum | columns of landmarks | pieces, keyframe

One writer at a time (flock); a section that was cut off is cut away by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, overload

import msgspec

from tui_trainer.core import events, series, state, text, values
from tui_trainer.core.events import AnyEvent, decode
from tui_trainer.core.state import RunState
from tui_trainer.errors import DamagedSession
from tui_trainer.sessions import journal, keyframes, landmarks
from tui_trainer.sessions.files import open_regular, shown
from tui_trainer.sessions.journal import MAX_JOURNAL, Entry, iter_journal
from tui_trainer.sessions.keyframes import Packer, Unpacker, Unusable
from tui_trainer.sessions.landmarks import KINDS, Landmarks

NAME = "replay.idx"
EVERY = 512
"""Events from one keyframe to the next; more where the journal's lines are out of order there."""
MAGIC = b"tuiidx1\n"
CHECKED = 4096
"""Bytes of the journal whose checksum a section keeps."""
LARGEST_READ = 1 << 28
_HEAD = struct.Struct("<4sIIIQ")
_MARK = b"SECT"


class Section(msgspec.Struct, frozen=True):
    """Events `first` to `index` of the history; the last has `seq` and ends at offset `end` of the journal."""

    first: int
    index: int
    seq: int
    end: int
    skipped: int
    check: int
    """crc32 of the journal's last bytes before `end`."""
    kinds: dict[str, list[int]]
    resumes: list[tuple[int, int]]
    pieces: list[int]
    """Lengths of the new pieces; the keyframe follows them."""
    keyframe: int


class _Stored(NamedTuple):
    section: Section
    columns: bytes
    blobs: int
    """Offset of its first piece."""
    stop: int
    """Offset behind it."""


class _Place(NamedTuple):
    offset: int
    length: int


class _Due(NamedTuple):
    """A place where a keyframe may be laid: reading can begin behind it and find what reading through would find."""

    at: int
    seq: int
    end: int
    skipped: int


class History(Sequence[AnyEvent]):
    """A journal's intact events, read when they are asked for: those that the one run of `scan` has come by.

    Raises DamagedSession where the journal is no regular file, or changes under our hands.
    """

    def __init__(self, path: Path, *, trusting: bool = True) -> None:
        """With `trusting` False the index is not read, and written anew."""
        self.landmarks = Landmarks()
        self.skipped = 0
        """Damaged lines so far."""
        self._path = path
        self._journal_size = os.stat(path).st_size if path.exists() else 0
        self._index = path.with_name(NAME)
        self._frames: dict[int, _Place] = {}
        self._frame_places: list[int] = []
        self._pieces: list[_Place] = []
        self._due: deque[_Due] = deque()
        self._seq = 0
        self._clean = False
        """The line before was read as it was written."""
        self._laid = _Due(0, 0, 0, 0)
        self._writer: _Writer | None = None
        self._stop = 0
        self._size = 0
        self.is_closed = False
        self._unpacker = Unpacker(self._piece)
        self._load(trusting)

    # --- events ------------------------------------------------------------------------------------------------------

    def scan(self) -> Iterator[AnyEvent]:
        """Events behind the index, in order, each noted in the landmarks."""
        start = self._laid
        for entry in _readable(iter_journal(self._path, start.end, start.seq), self._path):
            if entry.event is None:
                self.skipped += not entry.newer
                self._clean = False
                continue
            self.take(entry.event, entry.end)
            yield entry.event

    def take(self, event: AnyEvent, end: int) -> None:
        """One more event, whose line ends at that offset of the journal."""
        regular = self._clean and event.seq == self._seq + 1
        self._seq, self._clean = event.seq, True
        self.landmarks.add(event, end)
        if regular and len(self) % EVERY == 0:
            self._due.append(_Due(len(self), self._seq, end, self.skipped))

    @property
    def read_share(self) -> float:
        """The part of the journal's bytes that has been scanned, 0 to 1."""
        return min(1.0, self.landmarks.ends[-1] / self._journal_size) if len(self) and self._journal_size else 0.0

    def __len__(self) -> int:
        return len(self.landmarks)

    @overload
    def __getitem__(self, place: int) -> AnyEvent: ...

    @overload
    def __getitem__(self, place: slice) -> list[AnyEvent]: ...

    def __getitem__(self, place: int | slice) -> AnyEvent | list[AnyEvent]:
        if isinstance(place, slice):
            first, stop, step = place.indices(len(self))
            return self._read(first, stop)[::step] if step > 0 else self._read(stop + 1, first + 1)[::step]
        at = range(len(self))[place]
        return self._read(at, at + 1)[0]

    def _read(self, first: int, stop: int) -> list[AnyEvent]:
        """Events [first, stop), read from the journal in one go."""
        if first >= stop:
            return []
        ends = self.landmarks.ends[max(0, first - 1) : stop].tolist()
        ends = [0, *ends] if first == 0 else ends
        try:
            data = _span(self._path, ends[0], ends[-1])
            return [_event(data[a - ends[0] : b - ends[0]]) for a, b in pairwise(ends)]
        except (msgspec.MsgspecError, ValueError, OSError) as error:
            where = f"{shown(self._path)}: changed after it was indexed ({error})"
            raise DamagedSession(where, f"delete {NAME} beside it and open the session again") from None

    # --- keyframes ---------------------------------------------------------------------------------------------------

    @property
    def laid(self) -> int:
        """Index of the newest keyframe; 0 where there is none."""
        return self._laid.at

    def nearest(self, index: int) -> int:
        """Index of the newest keyframe at or before `index`, 0 where there is none."""
        place = bisect_right(self._frame_places, index)
        return self._frame_places[place - 1] if place else 0

    def keyframe(self, index: int) -> tuple[int, RunState]:
        """(its index, its state) of the newest keyframe at or before `index` that can be used; else the beginning."""
        while at := self.nearest(index):
            try:
                return at, self._unpacker.unpack(_at(self._index, self._frames[at]))
            except (Unusable, OSError, DamagedSession):
                self._frame_places.remove(at)
        return 0, RunState()

    def lay(self, index: int, folded: RunState) -> bool:
        """Keep the state at `index` on the disk, where a keyframe is due and the disk allows; whether it is there."""
        if index in self._frames:
            return True
        if not self._due or self._due[0].at != index:
            return False
        due = self._due.popleft()
        if self._writer is None:
            self._writer = _Writer(self._index, self._stop, self._size, len(self._pieces))
        packed = self._writer.pack(folded)
        if packed is None:
            return False
        self._append(due, *packed)
        return index in self._frames

    def close(self) -> None:
        """Let another write the index."""
        self.is_closed = True
        if self._writer is not None:
            self._writer.close()

    def _append(self, due: _Due, pieces: list[bytes], frame: bytes) -> None:
        assert self._writer is not None
        section = self._section(due, pieces, frame)
        columns = self.landmarks.span(section.first, section.index)
        stop = self._writer.append(section, columns, b"".join((*pieces, frame)))
        if stop is not None:
            self._note(_Stored(section, b"", stop - sum(section.pieces) - section.keyframe, stop))

    def _section(self, due: _Due, pieces: list[bytes], frame: bytes) -> Section:
        first = self._laid.at
        kinds = {}
        for kind, found in self.landmarks.at_kind.items():
            if fresh := found[bisect_right(found, first) : bisect_right(found, due.at)].tolist():
                kinds[kind] = fresh
        return Section(
            first=first,
            index=due.at,
            seq=due.seq,
            end=due.end,
            skipped=due.skipped - self._laid.skipped,
            check=_check(self._path, due.end),
            kinds=kinds,
            resumes=[resume for resume in self.landmarks.resumes if first <= resume[0] < due.at],
            pieces=[len(piece) for piece in pieces],
            keyframe=len(frame),
        )

    def _piece(self, number: int) -> bytes:
        if number < 0:
            raise Unusable("a piece before the first")
        return _at(self._index, self._pieces[number])

    # --- the file ----------------------------------------------------------------------------------------------------

    def _load(self, trusting: bool) -> None:
        """Take over what the index holds of this very journal."""
        try:
            stored, self._size = _sections(self._index)
        except (OSError, DamagedSession):
            return
        for each in _true(stored if trusting else [], self._path, self._journal_size):
            _extend(self.landmarks, each)
            self._note(each)
            self.skipped += each.section.skipped
        self._seq = self._laid.seq

    def _note(self, stored: _Stored) -> None:
        section, offset = stored.section, stored.blobs
        for length in section.pieces:
            self._pieces.append(_Place(offset, length))
            offset += length
        self._frames[section.index] = _Place(offset, section.keyframe)
        self._frame_places.append(section.index)
        self._laid = _Due(section.index, section.seq, section.end, self._laid.skipped + section.skipped)
        self._stop = stored.stop


def _readable(entries: Iterator[Entry], path: Path) -> Iterator[Entry]:
    """The entries. Raises DamagedSession where the medium gives no more of them."""
    try:
        yield from entries
    except OSError as error:
        raise DamagedSession(f"{shown(path)}: cannot be read: {error.strerror}") from None


def state_at_end(path: Path) -> RunState:
    """The fold of a whole journal: from the newest keyframe on, and laying those that are missing."""
    history, folded = _folded(path)
    history.close()
    return folded


def _folded(path: Path) -> tuple[History, RunState]:
    history = History(path)
    at, folded = history.keyframe(history.laid)
    if at != history.laid:
        history, folded = History(path, trusting=False), RunState()
    for event in history.scan():
        folded = folded.apply(event)
        if len(history) % EVERY == 0:
            history.lay(len(history), folded)
    return history, folded


class Keeper:
    """Lays the index of a journal that is being written, so that a run of weeks can be taken up or opened at once.

    It lays a keyframe only where the journal holds the very line that it was told of, and else gives up, since nothing
    depends on it. Memory does not grow with the history but for some bytes an evaluation.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._history, self.state = _folded(path)
        """`state`: the fold of what the journal holds."""
        self._history.landmarks.forget(self._history.laid)
        self._end: int | None = None

    def note(self, event: AnyEvent, line: bytes) -> None:
        """An event that was journalled; `line` has no newline. Those without a number are not in the journal."""
        if self._history.is_closed or not event.seq:
            return
        try:
            self._end = os.stat(self._path).st_size if self._end is None else self._end + len(line) + 1
            self._take(event, line + b"\n", self._end)
        except (OSError, ValueError, DamagedSession):
            self.close()

    def _take(self, event: AnyEvent, line: bytes, end: int) -> None:
        self._history.take(event, end)
        self.state = self.state.apply(event)
        if len(self._history) % EVERY:
            return
        if _span(self._path, end - len(line), end) == line and self._history.lay(len(self._history), self.state):
            self._history.landmarks.forget(len(self._history))
        else:
            self.close()

    def close(self) -> None:
        """Lay no more."""
        self._history.close()


class _Writer:
    """The one who may append. Gives up for good where another writes, or the disk refuses: nothing depends on it."""

    def __init__(self, path: Path, stop: int, size: int, pieces: int) -> None:
        self._packer = Packer(pieces)
        self._stop = stop
        self._fd = -1
        with contextlib.suppress(OSError):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
            self._begin(size)

    def _begin(self, size: int) -> None:
        """Own the file, unless it has changed since it was read; cut away what is not ours."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.fstat(self._fd).st_size == size and bool(fingerprint())
        except OSError:
            ours = False
        if not ours:
            self.close()
            return
        os.ftruncate(self._fd, self._stop)
        if self._stop == 0:
            self._write(MAGIC + fingerprint())

    def pack(self, folded: RunState) -> tuple[list[bytes], bytes] | None:
        """New pieces and keyframe; None when nothing can be written."""
        return self._packer.pack(folded) if self._fd >= 0 else None

    def append(self, section: Section, columns: bytes, blobs: bytes) -> int | None:
        """Write one section; returns the offset behind it, or None where the disk refused."""
        head = msgspec.json.encode(section)
        check = zlib.crc32(head + columns)
        try:
            self._write(_HEAD.pack(_MARK, check, len(head), len(columns), len(blobs)) + head + columns + blobs)
        except OSError:
            self.close()
            return None
        return self._stop

    def _write(self, data: bytes) -> None:
        if os.pwrite(self._fd, data, self._stop) != len(data):
            raise OSError("written in part")
        self._stop += len(data)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


# --- reading ---------------------------------------------------------------------------------------------------------


def _sections(path: Path) -> tuple[list[_Stored], int]:
    """Whole sections in order, up to the first that is not; and the file's size."""
    found: list[_Stored] = []
    with open_regular(path, MAX_JOURNAL) as (fd, size):
        if os.pread(fd, len(MAGIC) + 32, 0) != MAGIC + fingerprint() or not fingerprint():
            return [], size
        offset = len(MAGIC) + 32
        while (stored := _section(fd, offset, size, found[-1].section if found else None)) is not None:
            found.append(stored)
            offset = stored.stop
    return found, size


def _section(fd: int, offset: int, size: int, before: Section | None) -> _Stored | None:
    """The section at an offset, when it is whole, sound and goes on where the one before ended."""
    head = os.pread(fd, _HEAD.size, offset)
    if len(head) < _HEAD.size:
        return None
    mark, check, head_length, columns_length, blobs_length = _HEAD.unpack(head)
    start = offset + _HEAD.size
    stop = start + head_length + columns_length + blobs_length
    if mark != _MARK or stop > size:
        return None
    data = os.pread(fd, head_length + columns_length, start)
    try:
        section = msgspec.json.decode(data[:head_length], type=Section)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if zlib.crc32(data) != check or not _is_sound(section, before, columns_length, blobs_length):
        return None
    return _Stored(section, data[head_length:], start + head_length + columns_length, stop)


def _is_sound(s: Section, before: Section | None, columns: int, blobs: int) -> bool:
    first, end, seq = (before.index, before.end, before.seq) if before else (0, 0, 0)
    places = [index for indices in s.kinds.values() for index in indices]
    return (
        s.first == first < s.index
        and s.end > end
        and s.seq > seq
        and columns == 32 * (s.index - s.first)
        and min([s.keyframe, *s.pieces]) > 0
        and blobs == sum(s.pieces) + s.keyframe
        and all(first < index <= s.index for index in places)
        and all(first <= place < s.index for place, _ in s.resumes)
    )


def _true(stored: list[_Stored], path: Path, size: int) -> list[_Stored]:
    """Without the sections at the end that tell of another journal than this; none where the first does."""
    while stored and not _fits(stored[-1].section, path, size):
        stored.pop()
    return stored if stored and _fits(stored[0].section, path, size) else []


def _fits(section: Section, path: Path, size: int) -> bool:
    return section.end <= size and _check(path, section.end) == section.check


def _check(path: Path, end: int) -> int:
    """crc32 of a journal's last bytes before an offset."""
    return zlib.crc32(_span(path, max(0, end - CHECKED), end))


def _extend(landmarks: Landmarks, stored: _Stored) -> None:
    length = len(stored.columns) // 4
    for number, column in enumerate(landmarks.columns()):
        column.frombytes(stored.columns[number * length : (number + 1) * length])
    for kind in KINDS:
        landmarks.at_kind[kind].extend(stored.section.kinds.get(kind, []))
    landmarks.resumes += stored.section.resumes


def _at(path: Path, place: _Place) -> bytes:
    return _span(path, place.offset, place.offset + place.length)


def _span(path: Path, start: int, stop: int) -> bytes:
    """Bytes [start, stop) of a file. Raises ValueError where there are not so many."""
    if not 0 <= start <= stop <= start + LARGEST_READ:
        raise ValueError("no such stretch")
    with open_regular(path, MAX_JOURNAL) as (fd, _):
        data = os.pread(fd, stop - start, start)
    if len(data) != stop - start:
        raise ValueError("the file is too short")
    return data


def _event(line: bytes) -> AnyEvent:
    """The event that ends a stretch of the journal; what stands before it was damaged."""
    return decode(line.rstrip(b"\n").rpartition(b"\n")[2])


@cache
def fingerprint() -> bytes:
    """Hash of the code that folds and packs; empty where that cannot be read, and then there is no index."""
    modules = (events, series, state, text, values, journal, keyframes, landmarks)
    digest = hashlib.sha256()
    try:
        for path in (*(str(module.__file__) for module in modules), __file__):
            digest.update(Path(path).read_bytes())
    except OSError:
        return b""
    return digest.digest()


__all__ = ["EVERY", "NAME", "History", "Keeper", "state_at_end"]
