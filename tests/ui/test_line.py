"""A slow line: what was painted is waited for, and nothing is painted on top of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ui.pty_terminal import PtyTerminal
from tui_trainer.ui.line import ANSWER, FRAME, GIVEN_UP_S, PATIENCE_S, QUESTION, Line, Sieve

ROOT = str(Path(__file__).resolve().parents[2])


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def answering(clock: Clock) -> Line:
    """The line to a terminal that has answered once."""
    line = Line(clock)
    assert line.asks()
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


class Answering(PtyTerminal):
    """A terminal that tells where it is."""

    def read(self, timeout_s: float) -> bytes:
        data = super().read(timeout_s)
        for _ in range(data.count(QUESTION.encode())):
            self.key(ANSWER.encode())
        return data


@pytest.fixture
def app() -> Iterator[Answering]:
    terminal = Answering([sys.executable, "-m", "tests.ui.demo", "mid"], 120, 40, {"PYTHONPATH": ROOT})
    terminal.wait_for(b"Training Manager")
    yield terminal
    terminal.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_terminal_that_stood_still_has_one_frame_to_catch_up_with(app: Answering) -> None:
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
def test_no_answer_is_left_for_the_shell(app: Answering) -> None:
    app.read_for(1.0)
    app.key(b"q")
    app.wait_for(b"goes on")
    assert app.exit_code() == 0
