"""`watch` and `play` as lines: for pipes, scripts, screen readers and terminals that show nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TextIO

from tui_trainer.client.duel import DuelLine
from tui_trainer.core import duel as d

_HELP = "a move by its name, h hint, u take back, n new game, q leave"


def watch_lines(line: DuelLine, out: TextIO, *, delay_s: float = 0.0, json: bool = False) -> None:
    """One game from beginning to end."""
    answer = line.ask(d.NewGame())
    while isinstance(answer, d.Position):
        _put(out, d.encode(answer).decode() if json else _scene(answer, hint=True))
        if answer.ended:
            return
        time.sleep(delay_s)
        answer = line.ask(d.Go())
    out.write(f"{answer.why}\n")


def play_lines(line: DuelLine, words: Iterable[str], out: TextIO) -> None:
    """A game in which `words` are the person's; the end of them ends it."""
    position = _learners_moves(line, line.ask(d.NewGame()), out)
    _put(out, f"{_HELP}\n")
    for word in map(str.strip, words):
        match word:
            case "":
                continue
            case "q":
                return
            case "h":
                _put(out, hint_text(position))
                continue
            case "u":
                answer = line.ask(d.TakeBack())
            case "n":
                answer = line.ask(d.NewGame())
            case _:
                answer = line.ask(d.Play(move=word))
        if isinstance(answer, d.Declined):
            _put(out, f"{answer.why}; {_HELP}\n")
        else:
            position = _learners_moves(line, answer, out)


def _learners_moves(line: DuelLine, answer: d.Position | d.Declined, out: TextIO) -> d.Position:
    """Let the other side move until it is the person's turn or the end; the position then, printed."""
    while isinstance(answer, d.Position):
        if answer.ended or answer.player == d.PERSON:
            _put(out, _scene(answer, hint=False))
            return answer
        answer = line.ask(d.Go())
    raise AssertionError(answer.why)


def hint_text(position: d.Position) -> str:
    """The learner's probabilities, likeliest first, and what it expects."""
    if position.ended:
        return "the game is over; n begins another\n"
    likeliest = sorted(position.moves, key=lambda move: -move.probability)[:9]
    chances = ", ".join(f"{move.name} {100 * move.probability:.0f} %" for move in likeliest)
    return "\n".join(text for text in (f"learner: {chances}" if chances else "", _expected(position)) if text) + "\n"


def _expected(position: d.Position) -> str:
    if position.expectation is None:
        return ""
    whose = f" for {position.sides[position.viewer]}" if len(position.seats) > 1 else ""
    return f"expects {position.expectation:+.2f}{whose}"


def _scene(position: d.Position, *, hint: bool) -> str:
    """The board, the last move, who is to move or how it ended."""
    last = f"move {len(position.line)}: {position.line[-1]}; " if position.line and len(position.seats) > 1 else ""
    note = f"{position.note}; " if position.note else ""
    said = hint_text(position) if hint and not position.ended else ""
    board = "\n".join(line.rstrip() for line in position.lines())
    return f"{board}\n{last}{note}{position.verdict()}\n{said}\n"


def _put(out: TextIO, text: str) -> None:
    out.write(text)
    out.flush()
