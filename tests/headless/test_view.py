"""Without a screen: JSON lines, plain lines or a bar; and training goes on whoever listens."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from tests.core.history import Tale
from tui_trainer.core.events import AlertRaised, FrameDrawn, LogWritten, PhaseStarted, decode, encode
from tui_trainer.core.state import fold
from tui_trainer.headless.bar import bar, progress_line
from tui_trainer.headless.output import MAX_WAITING, Output, encodable
from tui_trainer.headless.view import HeadlessView, escaped


def whole() -> Tale:
    return Tale().start(max_updates=60).train(30).evaluate(0.4).save(1).train(30).evaluate(0.9).save(2, "best").end()


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Broken(io.StringIO):
    """Takes some writes, then fails as a gone reader does."""

    def __init__(self, error: Exception, after: int = 3) -> None:
        super().__init__()
        self.error = error
        self.left = after
        self.tried = 0

    def write(self, text: str) -> int:
        self.tried += 1
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().write(text)


def shown(tale: Tale, **options: Any) -> str:
    out = io.StringIO()
    view = HeadlessView(out, **{"json": False, "is_terminal": False, **options})
    for event in tale.events:
        view.show(event)
    view.close()
    return out.getvalue()


# --- JSON ---


def test_json_is_one_line_an_event_and_nothing_else() -> None:
    tale = whole()
    lines = shown(tale, json=True).splitlines()
    assert [decode(line.encode()) for line in lines] == tale.events
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(tale.events) + 1))


def test_json_on_a_terminal_has_no_bar() -> None:
    assert shown(whole(), json=True, is_terminal=True) == shown(whole(), json=True)


def test_json_leaves_ticks_and_frames_out() -> None:
    out = io.StringIO()
    view = HeadlessView(out, json=True, is_terminal=False)
    view.show(FrameDrawn(text="x"))
    view.show(PhaseStarted(phase="learn"))
    assert out.getvalue() == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_means_the_same_in_every_encoding(encoding: str) -> None:
    tale = Tale()
    tale.add(LogWritten(level="info", text="größe → 日本 😀"))
    raw = io.BytesIO()
    view = HeadlessView(io.TextIOWrapper(raw, encoding=encoding), json=True, is_terminal=False)
    view.show(tale.events[0])
    assert json.loads(raw.getvalue().decode(encoding))["text"] == "größe → 日本 😀"


def test_an_escape_is_the_pair_that_json_wants() -> None:
    assert escaped('"😀ä"', "ascii") == '"\\ud83d\\ude00\\u00e4"'


# --- plain lines ---


def test_plain_lines_have_no_control_characters() -> None:
    text = shown(whole())
    assert {char for char in text if not char.isprintable()} == {"\n"}


def test_plain_updates_come_at_most_every_ten_seconds_and_everything_else_always() -> None:
    """Updates are a second apart, so 60 of them take a minute."""
    lines = [line for line in shown(whole()).splitlines() if line[8:9] == " " and ":" in line[:8]]
    words = [line.split()[2] for line in lines]
    assert 6 <= words.count("update") <= 7
    assert (words.count("eval"), words.count("checkpoint"), words.count("end")) == (2, 2, 1)


def test_a_clock_that_jumped_back_does_not_silence_updates() -> None:
    tale = Tale().start().train(1)
    tale.time -= 86_400
    lines = shown(tale.train(1)).splitlines()
    assert sum(" update " in line for line in lines) == 2


def test_the_end_is_followed_by_a_summary_without_charts() -> None:
    text = shown(whole())
    assert "tui-trainer replay demo" in text
    assert "best            checkpoints/2-u60, score 0.5" in text
    assert "┤" not in text


def test_a_known_history_makes_a_resumed_run_readable() -> None:
    before = fold(Tale().start(max_updates=50).train(10).save(1).events)
    tale = Tale().resume(10).train(5)
    out = io.StringIO()
    view = HeadlessView(out, json=False, is_terminal=False, state=before)
    for event in tale.events:
        view.show(event)
    assert "by max_updates" in out.getvalue()
    assert view.state.started is not None


# --- a terminal ---


def screen(text: str) -> list[str]:
    """Lines as a terminal leaves them, carriage returns obeyed."""
    lines: list[list[str]] = [[]]
    column = 0
    for char in text:
        if char == "\n":
            lines.append([])
            column = 0
        elif char == "\r":
            column = 0
        else:
            line = lines[-1]
            line[column : column + 1] = [char]
            column += 1
    return ["".join(line).rstrip() for line in lines]


def test_a_terminal_shows_lines_and_below_them_one_bar() -> None:
    clock, out = Clock(), io.StringIO()
    view = HeadlessView(out, json=False, is_terminal=True, clock=clock, width=lambda: 80)
    for event in Tale().start(max_updates=100).train(50).save(1).train(1).events:
        clock.now += 0.6
        view.show(event)
    lines = screen(out.getvalue())
    assert len(lines) == 3
    assert lines[0].split()[2] == "start"
    assert lines[1].split()[2] == "checkpoint"
    assert lines[2].startswith("[██████████          ]   51 %  update 51  1.00k SPS  5 s left")


def test_the_bar_is_redrawn_at_most_twice_a_second() -> None:
    clock, out = Clock(), io.StringIO()
    view = HeadlessView(out, json=False, is_terminal=True, clock=clock, width=lambda: 80)
    for event in Tale().start(max_updates=100).train(100).events:
        clock.now += 0.05
        view.show(event)
    assert out.getvalue().count("\r") <= 12


def test_nothing_of_the_bar_is_left_behind() -> None:
    clock, out = Clock(), io.StringIO()
    view = HeadlessView(out, json=False, is_terminal=True, clock=clock, width=lambda: 80)
    for event in whole().events:
        clock.now += 1
        view.show(event)
    view.close()
    view.close()
    assert not any("[█" in line for line in screen(out.getvalue()))
    assert "┤" in out.getvalue()


def test_the_bar_uses_no_escape_sequence() -> None:
    assert "\x1b" not in shown(whole(), is_terminal=True, width=lambda: 80)


@pytest.mark.parametrize("width", [0, 1, 5, 20, 40, 80, 300])
def test_the_bar_fits_any_width(width: int) -> None:
    tale = whole()
    for cut in range(0, len(tale.events), 7):
        line = progress_line(fold(tale.events[:cut]), width, ascii_only=False)
        assert len(line) <= width


def test_a_narrow_bar_keeps_what_matters_most() -> None:
    state = fold(Tale().start(max_updates=100).train(50).events)
    assert progress_line(state, 30, ascii_only=True) == "[##########          ]   50 %"
    assert " left" in progress_line(state, 79, ascii_only=True)


def test_a_pause_is_said_in_the_bar() -> None:
    from tui_trainer.core.events import RunPaused

    tale = Tale().start(max_updates=100).train(50)
    tale.add(RunPaused(by="user", why="lunch"))
    assert "paused: lunch" in progress_line(fold(tale.events), 79, ascii_only=True)


@pytest.mark.parametrize("fraction", [-1.0, 0.0, 0.24, 0.5, 0.999, 1.0, 7.0])
def test_a_bar_has_one_width(fraction: float) -> None:
    assert len(bar(fraction, True)) == len(bar(fraction, False)) == 22


def test_a_latin_1_terminal_gets_ascii() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="latin-1", newline="")
    clock = Clock()
    view = HeadlessView(out, json=False, is_terminal=True, clock=clock, width=lambda: 80)
    tale = Tale().start(max_updates=100).train(50)
    tale.add(AlertRaised(key="x", severity="warning", text="日本 → 61 °C"))
    for event in tale.train(1).end().events:
        clock.now += 1
        view.show(event)
    text = raw.getvalue().decode("latin-1")
    assert "[##########" in text
    assert "?? -> 61 °C" in text
    assert "|" in text


# --- nobody listens ---


@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("I/O operation on closed file"),
    ],
)
@pytest.mark.parametrize("mode", [{"json": True}, {"is_terminal": True}, {}])
def test_a_reader_that_goes_away_is_not_told_again(error: Exception, mode: dict[str, bool]) -> None:
    out = Broken(error)
    view = HeadlessView(out, **{"json": False, "is_terminal": False, **mode})
    for event in whole().events:
        view.show(event)
    view.close()
    assert out.tried == 4


def test_no_stdout_at_all_is_silence() -> None:
    view = HeadlessView(None, json=False, is_terminal=False)
    for event in whole().events:
        view.show(event)
    view.close()


def test_a_closed_stream_is_silence() -> None:
    out = io.StringIO()
    out.close()
    view = HeadlessView(out, json=True, is_terminal=False)
    view.show(whole().events[0])
    view.close()


def test_a_reader_that_stands_still_does_not_stop_training_and_misses_nothing() -> None:
    read_fd, write_fd = os.pipe()
    events = Tale().start().train(2000).events
    with os.fdopen(write_fd, "w") as out, os.fdopen(read_fd) as reader:
        view = HeadlessView(out, json=True, is_terminal=False)
        for event in events:  # one that waited for its reader would wait for ever
            view.show(event)
        got: list[str] = []
        late = threading.Thread(target=lambda: got.extend(reader))
        late.start()
        view.close()
        out.close()
        late.join()
    assert [decode(line.encode()) for line in got] == events


def test_a_reader_that_never_comes_back_costs_two_seconds_at_the_end_and_bounded_memory() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "w") as stream:
        out = Output(stream)
        texts = MAX_WAITING // 2**20 + 8
        for _ in range(texts):
            out.write("x" * (2**20 - 1) + "\n")
        assert out.left_out == 8
        start = time.monotonic()
        out.close()
        assert time.monotonic() - start < 60
        assert (out.left_out, out.unread) == (8, texts - 8)
    os.close(read_fd)


def test_a_reader_that_goes_on_reading_gets_the_rest_however_slow_it_is() -> None:
    read_fd, write_fd = os.pipe()
    got: list[bytes] = []

    def read() -> None:
        while chunk := os.read(read_fd, 16384):
            got.append(chunk)
            time.sleep(0.15)

    reader = threading.Thread(target=read)
    with os.fdopen(write_fd, "w") as stream:
        out = Output(stream)
        out.write("x" * 300_000)
        reader.start()
        out.close()
        assert out.unread == 0
    reader.join()
    os.close(read_fd)
    assert sum(map(len, got)) == 300_000


def test_a_reader_too_far_behind_loses_whole_lines_is_told_and_gets_the_end() -> None:
    read_fd, write_fd = os.pipe()
    complaints = io.StringIO()
    events = Tale().start().train(3000).end().events
    with os.fdopen(write_fd, "w") as out, os.fdopen(read_fd) as reader:
        view = HeadlessView(out, json=True, is_terminal=False, complaints=complaints, most_waiting=2**18)
        for event in events[:-1]:
            view.show(event)
        assert complaints.getvalue().startswith("tui-trainer: nobody reads the output")
        got: list[str] = []
        late = threading.Thread(target=lambda: got.extend(reader))
        late.start()
        written_late = encode(events[-2]).decode() + "\n"
        while written_late not in got:
            view.show(events[-2])
            time.sleep(0.01)
        view.show(events[-1])
        view.rest()
        view.close()
        out.close()
        late.join()
    told = [decode(line.encode()) for line in got]
    assert told[-1] == events[-1]
    seqs = [event.seq for event in told]
    assert seqs == sorted(seqs)
    assert len(complaints.getvalue().splitlines()) == 2
    assert int(complaints.getvalue().splitlines()[1].split()[1].replace(",", "")) >= len(events) - len({*seqs})


def test_a_closed_reader_is_told_of_nothing() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    complaints = io.StringIO()
    with os.fdopen(os.dup(write_fd), "w") as out:
        view = HeadlessView(out, json=True, is_terminal=False, complaints=complaints, most_waiting=1000)
        for event in Tale().start().train(50).events:
            view.show(event)
        view.close()
    os.close(write_fd)
    assert complaints.getvalue() == ""


def test_a_closed_pipe_leaves_the_exit_code_alone_whatever_else_is_printed() -> None:
    script = (
        "import sys\n"
        "from tests.core.history import Tale\n"
        "from tui_trainer.headless.view import HeadlessView\n"
        "view = HeadlessView(sys.stdout, json=True, is_terminal=False)\n"
        "for event in Tale().start().train(3000).events: view.show(event)\n"
        "view.close()\n"
        "print('one more word')\n"
        "sys.exit(7)\n"
    )
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    done = subprocess.run([sys.executable, "-c", script], stdout=write_fd, stderr=subprocess.PIPE, check=False)
    os.close(write_fd)
    assert (done.returncode, done.stderr) == (7, b"")


# --- encodings ---


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("utf-8", "→ · ✓ ä"), ("latin-1", "-> · + ä"), ("ascii", "-> | + ?"), ("no-such", "-> | + ?")],
)
def test_signs_have_an_ascii_form_and_strangers_a_question_mark(encoding: str, text: str) -> None:
    assert encodable("→ · ✓ ä", encoding) == text
