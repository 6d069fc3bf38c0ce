"""A slow line: what was painted is waited for, and nothing is painted on top of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ui.slow_terminal import SlowTerminal
from tui_trainer.ui.line import (
    ANSWER,
    FIRST_S,
    FRAME,
    GIVEN_UP_S,
    LEAST,
    MOST,
    PATIENCE_S,
    PIECE_S,
    TELLING,
    Line,
    Sieve,
)

ROOT = str(Path(__file__).resolve().parents[2])


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def answering(clock: Clock) -> Line:
    """The line to a terminal that has answered for a frame."""
    line = Line(clock)
    assert line.asks(TELLING)
    assert not line.answered()
    return line


def test_a_frame_waits_until_the_one_before_has_arrived() -> None:
    clock, painted = Clock(), []
    line = answering(clock)
    assert line.asks(FRAME)
    clock.now += PATIENCE_S
    assert not line.is_clear()
    line.when_clear(lambda: painted.append("older"))
    line.when_clear(lambda: painted.append("newest"))
    line.answered()
    assert painted == ["newest"]
    assert line.is_clear()


def test_a_distant_terminal_is_no_slow_one() -> None:
    clock = Clock()
    line = answering(clock)
    line.asks(FRAME)
    clock.now += PATIENCE_S / 2
    assert line.is_clear()


def test_until_it_is_known_how_fast_the_line_is_one_frame_waits_for_the_other() -> None:
    clock = Clock()
    line = Line(clock)
    line.asks()
    assert line.is_clear(), "one frame goes before the first answer"
    line.asks(TELLING)
    assert not line.is_clear()
    clock.now += FIRST_S
    assert line.is_clear(), "perhaps it never answers"
    line.answered()
    assert not line.is_clear()
    line.answered()
    line.asks(FRAME)
    assert line.is_clear()


def test_a_terminal_that_never_answers_is_never_waited_for() -> None:
    clock = Clock()
    line = Line(clock)
    line.asks()
    clock.now += 5
    assert line.is_clear()
    line.settle(60.0)


def test_a_terminal_that_no_longer_answers_is_given_up_until_it_does() -> None:
    clock = Clock()
    line = answering(clock)
    line.asks(FRAME)
    clock.now += GIVEN_UP_S + 1
    assert line.is_clear()
    assert line.is_clear(), "for good"
    line.answered()
    line.asks(FRAME)
    clock.now += 1
    assert not line.is_clear()


def test_what_was_written_behind_a_question_is_asked_for_when_its_answer_comes() -> None:
    line = answering(Clock())
    assert line.asks(FRAME)
    assert not line.asks(FRAME), "one question at a time"
    assert line.answered()
    assert line.is_asking
    assert not line.answered()
    assert not line.is_asking


def test_little_writings_are_not_asked_for() -> None:
    assert not Line().asks(FRAME - 1)


def measured(clock: Clock, line: Line, characters: int, seconds: float) -> int | None:
    """What may be written at once after so much took so long."""
    line.asks(characters)
    clock.now += seconds
    line.answered()
    return line.room


def test_a_line_is_slow_when_a_frame_takes_long_and_then_takes_pieces() -> None:
    clock = Clock()
    line = answering(clock)
    assert line.room is None
    assert measured(clock, line, 8000, 8.0) == pytest.approx(1000 * PIECE_S, rel=0.05)
    line.asks(FRAME)
    assert not line.is_clear(), "on a slow line nothing is written behind a piece that is under way"


def test_a_long_way_makes_no_line_slow() -> None:
    clock = Clock()
    line = Line(clock)
    measured(clock, line, FRAME, 0.7)
    assert measured(clock, line, 4000, 0.8) is None


def test_even_the_slowest_line_is_given_something() -> None:
    clock = Clock()
    assert measured(clock, answering(clock), 1000, 60.0) == LEAST


def test_a_line_that_has_recovered_gets_whole_frames_again_step_by_step() -> None:
    clock = Clock()
    line = answering(clock)
    rooms = [measured(clock, line, 1000, 10.0)]
    while (room := measured(clock, line, rooms[-1] or 0, 0.01)) is not None:
        assert room <= max(LEAST, 2 * (rooms[-1] or 0))
        rooms.append(room)
    assert len(rooms) <= 2 + MOST // LEAST


def test_a_terminal_that_was_somebody_elses_owes_no_answer() -> None:
    clock = Clock()
    line = answering(clock)
    line.asks(FRAME)
    line.forget()
    clock.now += 5
    assert line.is_clear()


@pytest.mark.parametrize("cut", range(len(ANSWER) + 2))
def test_an_answer_in_pieces_between_keys_is_taken_out(cut: int) -> None:
    text, sieve = f"a{ANSWER}b", Sieve()
    pieces = [sieve.sifted(piece, expecting=True) for piece in (text[:cut], text[cut:])]
    assert "".join(typed for typed, _ in pieces) == "ab"
    assert sum(answers for _, answers in pieces) == 1


def test_a_key_that_begins_like_an_answer_is_only_held_until_the_next_look() -> None:
    sieve = Sieve()
    assert sieve.sifted("\x1b", expecting=True) == ("", 0)
    assert sieve.is_holding, "the next look comes soon"
    assert sieve.sifted("", expecting=True) == ("\x1b", 0)
    assert not sieve.is_holding
    assert sieve.sifted("\x1b[A", expecting=True) == ("\x1b[A", 0)
    assert sieve.sifted("\x1b", expecting=False) == ("\x1b", 0)


# --- the app in a terminal that answers ------------------------------------------------------------------------------


@pytest.fixture
def app() -> Iterator[SlowTerminal]:
    terminal = SlowTerminal([sys.executable, "-m", "tests.ui.demo", "mid"], 120, 40, {"PYTHONPATH": ROOT})
    terminal.wait_for(b"Training Manager")
    yield terminal
    terminal.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_terminal_that_stood_still_has_one_frame_to_catch_up_with(app: SlowTerminal) -> None:
    app.read_for(2.0)
    rows = app.text()
    time.sleep(6.0)  # nobody reads
    app.key(b"c")
    before = app.bytes
    app.wait_for_any("checkpoint sent", "checkpoint received")
    assert app.bytes - before < 6_000, "frames had piled up in front of the key's mark: 10 kB where nobody asks"
    app.read_for(1.0)
    assert app.text() != rows, "and what happened meanwhile is shown"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_answer_is_left_for_the_shell(app: SlowTerminal) -> None:
    app.read_for(1.0)
    app.key(b"q")
    app.wait_for(b"goes on")
    assert app.exit_code() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_on_a_slow_line_a_key_s_mark_waits_for_no_frame() -> None:
    """Counted in bytes, since seconds depend on what else the machine does: 2,500 take 2.5 s at 1 kB/s."""
    terminal = SlowTerminal([sys.executable, "-m", "tests.ui.demo", "live"], 120, 40, {"PYTHONPATH": ROOT}, rate=2000)
    terminal.wait_for(b"Training Manager")
    while terminal.bytes < 16_000:  # the first whole pictures tell how slow the line is
        terminal.read(1.0)
    before = terminal.bytes
    terminal.key(b"p")
    terminal.wait_for_any("pause sent", "pause received", "PAUSED")
    spent = terminal.bytes - before
    terminal.close()
    assert spent < 2_500, "a frame of this size is 4,000 to 10,000 bytes"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_picture_in_pieces_comes_to_be_whole() -> None:
    terminal = SlowTerminal([sys.executable, "-m", "tests.ui.demo", "paused"], 80, 24, {"PYTHONPATH": ROOT}, rate=4000)
    terminal.wait_for(b"PAUSED")
    terminal.key(b"?")
    terminal.wait_for(b"esc closes")
    terminal.key(b"\x1b")
    terminal.wait_gone(b"esc closes")
    terminal.wait_for_any("Training Manager ")
    terminal.read_for(3.0)
    slow = terminal.text()
    terminal.close()
    quick = SlowTerminal([sys.executable, "-m", "tests.ui.demo", "paused"], 80, 24, {"PYTHONPATH": ROOT})
    quick.wait_for(b"PAUSED")
    quick.read_for(1.0)
    expected = quick.text()
    quick.close()
    assert slow == expected


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_on_a_slow_line_the_picture_after_a_resize_comes_in_pieces() -> None:
    """Counted in bytes, too; what was on its way when the window changed is a piece."""
    terminal = SlowTerminal([sys.executable, "-m", "tests.ui.demo", "live"], 120, 40, {"PYTHONPATH": ROOT}, rate=2000)
    terminal.wait_for(b"Training Manager")
    while terminal.bytes < 16_000:
        terminal.read(1.0)
    terminal.resize(112, 36)
    before = terminal.bytes
    terminal.key(b"p")
    terminal.wait_for_any("pause sent", "pause received", "PAUSED")
    spent = terminal.bytes - before
    for text in (b"PAUSED", b"Training Manager", b"Log"):
        terminal.wait_for(text)
    terminal.close()
    assert spent < 7_000, "the whole screen anew, twice, is 16,000 bytes"
