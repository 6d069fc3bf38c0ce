"""The journal: every intact line is read, the rest is counted, and writing goes on from the last intact one."""

from __future__ import annotations

import json
import os
import random
import resource
import time
from pathlib import Path

import pytest

from tui_trainer.core.events import Event, FrameDrawn, encode
from tui_trainer.errors import DamagedSession
from tui_trainer.sessions.journal import MAX_LINE, Journal, iter_journal, read_journal

from .world import line

LONG = (pytest.mark.long, pytest.mark.timeout(1200))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def write(path: Path, events: list[Event]) -> None:
    journal = Journal(path)
    journal.append(events)
    journal.close()


def lines(*seqs: int) -> bytes:
    return b"".join(encode(line(seq)) + b"\n" for seq in seqs)


def seqs(path: Path) -> list[int]:
    return [event.seq for event in read_journal(path).events]


def test_what_is_appended_is_read_and_transient_events_are_not_written(path: Path) -> None:
    write(path, [line(1), FrameDrawn(text="board"), line(2, "ü [link=x]")])
    assert read_journal(path).events == [line(1), line(2, "ü [link=x]")]
    assert read_journal(path).skipped == 0


def test_an_absent_or_empty_journal_has_no_events(path: Path) -> None:
    assert read_journal(path) == ([], 0, 0)
    path.write_bytes(b"")
    assert read_journal(path) == ([], 0, 0)
    assert Journal(path).last_seq == 0


def test_a_torn_last_line_is_closed_and_counted_and_seq_goes_on(path: Path) -> None:
    path.write_bytes(lines(1, 2) + lines(3)[:-9])
    journal = Journal(path)
    assert (journal.last_seq, journal.torn) == (2, True)
    journal.append([line(3, "again")])
    journal.close()
    read = read_journal(path)
    assert ([e.seq for e in read.events], read.skipped) == ([1, 2, 3], 1)
    assert Journal(path).torn is False


def test_a_last_line_that_lacks_only_its_newline_counts(path: Path) -> None:
    path.write_bytes(lines(1, 2)[:-1])
    assert seqs(path) == [1, 2]
    journal = Journal(path)
    assert journal.last_seq == 2
    journal.append([line(3)])
    journal.close()
    assert read_journal(path) == ([line(1), line(2), line(3)], 0, 0)


def test_cut_anywhere_every_whole_line_before_is_read(path: Path) -> None:
    whole = lines(1, 2, 3)
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        read = read_journal(path)
        expected = sum(end - 1 <= cut for end in ends)
        assert len(read.events) == expected
        assert read.skipped == (0 if cut == 0 or cut in ends or cut + 1 in ends else 1)


DAMAGE = [
    b"\x00" * 50, b"{", b"null", b"[]", b"[" * 100_000, b'{"type":"LogWritten"}', b"\xff\xfe", b'{"a":' * 90_000,
    b'{"type":"LogWritten","seq":0,"time":1.0,"update":0,"global_step":0,"level":"info","text":""}',
    b'{"type":"LogWritten","seq":-4,"time":1.0,"update":0,"global_step":0,"level":"info","text":""}',
    b'{"type":"LogWritten","seq":1e400,"level":"info","text":""}', b'{"type":"No\\u001bpe!","seq":3}',
    b'{"type":"LogWritten","seq":99999999999999999999,"level":"info","text":""}', b'{"type":7,"seq":3}',
]  # fmt: skip


@pytest.mark.parametrize("damaged", DAMAGE, ids=lambda b: ascii(b[:30]))
def test_a_damaged_line_is_skipped_and_counted(path: Path, damaged: bytes) -> None:
    path.write_bytes(lines(1, 2) + damaged + b"\n" + lines(4, 5))
    read = read_journal(path)
    assert ([e.seq for e in read.events], read.skipped) == ([1, 2, 4, 5], 1)
    assert Journal(path).last_seq == 5
    path.write_bytes(lines(1, 2) + damaged + b"\n")
    assert Journal(path).last_seq == 2


def test_a_line_too_long_is_skipped_without_being_held(path: Path) -> None:
    with open(path, "wb") as file:
        file.write(lines(1))
        file.truncate(len(lines(1)) + 40 * MAX_LINE)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + lines(3))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = read_journal(path)
    assert ([e.seq for e in read.events], read.skipped) == ([1, 3], 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
    assert Journal(path).last_seq == 3


def test_events_of_a_newer_version_are_counted_apart(path: Path) -> None:
    newer = json.dumps({"type": "MoonLanded", "seq": 2, "time": 1.0, "update": 0, "global_step": 0, "where": "sea"})
    path.write_bytes(lines(1) + newer.encode() + b"\n" + lines(3))
    assert read_journal(path) == ([line(1), line(3)], 0, 1)


def test_a_seq_that_goes_backwards_is_dropped_and_counted(path: Path) -> None:
    path.write_bytes(lines(1, 2, 3, 2, 3, 4, 1, 5))
    read = read_journal(path)
    assert ([e.seq for e in read.events], read.skipped) == ([1, 2, 3, 4, 5], 3)


def test_one_line_whose_seq_was_hit_does_not_take_the_rest_with_it(path: Path) -> None:
    path.write_bytes(lines(1, 2, 90_003, 4, 5, 6))
    read = read_journal(path)
    assert ([e.seq for e in read.events], read.skipped) == ([1, 2, 4, 5, 6], 1)


def test_a_doubled_stretch_behind_a_hit_line_loses_nothing_more(path: Path) -> None:
    path.write_bytes(lines(1, 2, 3, 36, 2, 3) + b"{\n" + lines(4, 5, 6))
    read = read_journal(path)
    assert ([e.seq for e in read.events], read.skipped) == ([1, 2, 3, 4, 5, 6], 4)
    ends = [entry.end for entry in iter_journal(path)]
    assert ends == sorted(ends)


def test_a_line_that_jumps_ahead_is_kept_when_all_behind_it_is_of_no_use(path: Path) -> None:
    path.write_bytes(lines(1, 2, 9) + b"{\n" * 1500)
    assert seqs(path) == [1, 2, 9]
    path.write_bytes(lines(1, 2, 9) + b"{\n" * 1500 + lines(10, 11))
    assert seqs(path) == [1, 2, 9, 10, 11]


def test_a_true_gap_is_no_damage(path: Path) -> None:
    path.write_bytes(lines(1, 2, 7, 8, 9))
    assert seqs(path) == [1, 2, 7, 8, 9]
    path.write_bytes(lines(1, 2, 7))
    assert seqs(path) == [1, 2, 7]


def test_reading_can_go_on_from_an_earlier_entry(path: Path) -> None:
    path.write_bytes(lines(1, 2, 3))
    entries = list(iter_journal(path))
    assert entries[-1].end == path.stat().st_size
    with open(path, "ab") as file:
        file.write(lines(4, 5))
    later = list(iter_journal(path, entries[-1].end))
    assert [e.event.seq for e in later if e.event] == [4, 5]


def test_a_line_still_being_written_is_marked_torn(path: Path) -> None:
    path.write_bytes(lines(1) + lines(2)[:20])
    first, second = iter_journal(path)
    assert (first.torn, second.torn, second.event) == (False, True, None)
    with open(path, "ab") as file:
        file.write(lines(2)[20:])
    assert [e.event for e in iter_journal(path, first.end)] == [line(2)]


def test_text_in_a_journal_comes_out_clean(path: Path) -> None:
    path.write_bytes(lines(1).replace(b'"x"', b'"\\u001b]52;c;eA==\\u0007\\u202e"'))
    assert read_journal(path).events[0].text == "·]52;c;eA==··"


def test_a_journal_that_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link", "."):
        with pytest.raises(DamagedSession):
            read_journal(tmp_path / name)


def test_the_last_seq_is_found_without_reading_a_long_journal_from_its_start(path: Path) -> None:
    write(path, [line(seq, "x" * 200) for seq in range(1, 40_001)])
    began = time.process_time()
    journal = Journal(path)
    short = time.process_time() - began
    assert journal.last_seq == 40_000
    began = time.process_time()
    assert len(read_journal(path).events) == 40_000
    assert short < (time.process_time() - began) / 5


def mutate(data: bytes, chance: random.Random) -> bytes:
    """One bit flip, cut, doubled or lost stretch, or stretch of zeros."""
    at, length = chance.randrange(len(data)), chance.randint(1, 300)
    match chance.randrange(5):
        case 0:
            return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
        case 1:
            return data[:at]
        case 2:
            return data[:at] + data[at + length :]
        case 3:
            return data[: at + length] + data[at:]
        case _:
            return data[:at] + bytes(length) + data[at + length :]


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=LONG)])
def test_mutations_lose_only_the_lines_they_touch(path: Path, count: int) -> None:
    chance = random.Random(3)
    whole = lines(*range(1, 41))
    true = {line(seq) for seq in range(1, 41)}
    for _ in range(count):
        data = mutate(whole, chance)
        path.write_bytes(data)
        read = read_journal(path)
        intact = {bytes(text) for text in whole.splitlines()} & set(data.splitlines())
        assert len(true & set(read.events)) >= len(intact) - 1, "an altered seq may hide one neighbour"
        assert len(set(read.events) - true) <= 1, "at most the line that was hit can differ"
        journal = Journal(path)
        assert journal.last_seq >= 0
        journal.close()
