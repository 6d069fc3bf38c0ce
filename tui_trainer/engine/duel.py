"""A process that holds a checkpoint's policy and a board: `watch` and `play` talk to it in JSON lines (core/duel.py).

It ends with whoever started it: at the end of its input, and on Linux by a signal when the parent dies.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, assert_never

import msgspec

from tui_trainer.core import duel as d
from tui_trainer.core.config import nearest
from tui_trainer.core.protocols import Policy
from tui_trainer.core.text import clean, clean_line
from tui_trainer.errors import TuiTrainerError, UsageError

_PR_SET_PDEATHSIG = 1


class Duel:
    """One game after the other between the learner and a rival; sides change with every game."""

    def __init__(self, table: d.Table, policy: Policy, wish: d.Open) -> None:
        self._table, self._policy = table, policy
        self._players = self._seated(wish)
        self._temperature, self._luck = wish.temperature, random.Random(wish.seed)
        self._rival, self._game = clean_line(wish.rival), 0
        self._learner = 1 if wish.first != d.LEARNER else 0
        self._line: list[str] = []

    def _seated(self, wish: d.Open) -> dict[str, Policy]:
        """The policies by seat. Raises UsageError for an opponent that the task has not."""
        seated, rival = {d.LEARNER: self._policy}, clean_line(wish.rival)
        if rival in (d.PERSON, d.SELF):
            return seated
        rivals = {clean_line(name): name for name in self._table.rivals}
        if rival not in rivals:
            known = ("self", *rivals)
            close = nearest(rival, list(known))
            raise UsageError(
                f"there is no opponent {rival!r}",
                f"did you mean {close}?" if close else f"there are {', '.join(known)}",
            )
        return {**seated, rival: self._table.rival(rivals[rival], wish.seed)}

    def answer(self, question: d.NewGame | d.Go | d.Play | d.TakeBack) -> d.Position | d.Declined:
        """Do what is asked, or say why not; the position is the answer."""
        match question:
            case d.NewGame():
                why = self._begin()
            case d.Go():
                why = self._go()
            case d.Play(move=move):
                why = self._move(move)
            case d.TakeBack():
                why = self._take_back()
            case _:
                assert_never(question)
        return d.Declined(why=why) if why else self._position()

    def _begin(self) -> str:
        if self._game:
            self._learner = 1 - self._learner
        self._game += 1
        self._line.clear()
        self._table.start()
        return ""

    def _go(self) -> str:
        sight = self._sight()
        if why := _over(sight):
            return why
        player = self._seats()[sight.to_move]
        if player == d.PERSON:
            return "it is your move"
        action = self._chosen(player, list(sight.legal.values()))
        self._line.append(_name(sight, action))
        self._table.play(action)
        return ""

    def _chosen(self, player: str, legal: list[int]) -> Any:
        """The likeliest action, or one drawn where the learner plays with a temperature; a box has no probabilities."""
        policy = self._players[player]
        if player != d.LEARNER or self._temperature <= 0 or not legal:
            return self._table.choice(policy)
        chances = self._table.opinion(policy).probabilities
        return self._luck.choices(legal, tempered([chances[action] for action in legal], self._temperature))[0]

    def _move(self, name: str) -> str:
        sight = self._sight()
        if why := _over(sight):
            return why
        if self._seats()[sight.to_move] != d.PERSON:
            return f"it is the {self._seats()[sight.to_move]}'s move"
        if name not in sight.legal:
            return f"{clean_line(name, 20)} is no legal move here; {_listed(sight.legal)}"
        self._line.append(name)
        self._table.play(sight.legal[name])
        return ""

    def _take_back(self) -> str:
        """Undo up to and including the person's newest move."""
        if self._rival != d.PERSON:
            return "only a person takes moves back"
        person = 1 - self._learner
        own = [ply for ply in range(len(self._line)) if ply % 2 == person]
        if not own:
            return "there is no move of yours to take back"
        while len(self._line) > own[-1]:
            self._table.take_back()
            self._line.pop()
        return ""

    def _sight(self) -> d.Sight:
        """What the table shows; its words may be anybody's."""
        sight = self._table.sight()
        return msgspec.structs.replace(
            sight,
            text=clean(sight.text),
            legal={clean_line(name): action for name, action in sight.legal.items()},
            result=clean_line(sight.result),
            note=clean_line(sight.note),
        )

    def _seats(self) -> tuple[str, ...]:
        if len(self._table.sides) == 1:
            return (d.LEARNER,)
        rival = d.LEARNER if self._rival == d.SELF else self._rival
        return (d.LEARNER, rival) if self._learner == 0 else (rival, d.LEARNER)

    def _position(self) -> d.Position:
        sight = self._sight()
        opinion = None if sight.ended else self._table.opinion(self._policy)
        chances = opinion.probabilities if opinion else ()
        return d.Position(
            game=self._game,
            text=sight.text,
            seats=self._seats(),
            sides=tuple(map(clean_line, self._table.sides)),
            to_move=sight.to_move,
            moves=tuple(d.Move(name, float(chances[action])) for name, action in sight.legal.items()),
            value=opinion.value if opinion else None,
            line=tuple(self._line),
            mark=sight.mark,
            ended=sight.ended,
            winner=sight.winner,
            result=sight.result,
            note=sight.note,
        )


def tempered(probabilities: Sequence[float], temperature: float) -> list[float]:
    """Weights p ** (1 / T), the largest 1, so that a small T does not underflow to nothing."""
    largest = max(probabilities)
    return [(p / largest) ** (1 / temperature) for p in probabilities]


def _over(sight: d.Sight) -> str:
    return f"the game is over: {sight.result}" if sight.ended else ""


def _name(sight: d.Sight, action: Any) -> str:
    return next((name for name, number in sight.legal.items() if number == action), "-") if sight.legal else "-"


def _listed(legal: dict[str, int]) -> str:
    names = list(legal)
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"legal are {', '.join(names[:12])}{more}"


# --- setting up ----------------------------------------------------------------------------------------------------


def opened(wish: d.Open) -> tuple[d.Opened, Duel]:
    """The checkpoint's policy at its task's table. Raises a TuiTrainerError that says what is wrong."""
    from tui_trainer.engine import assembly, examine
    from tui_trainer.sessions.store import Session

    if wish.source.endswith(".pt"):
        subject = examine.from_file(Path(wish.source))
    else:
        subject = examine.from_session(Session.open(Path(wish.source)), wish.checkpoint)
    assembly.prepare(subject.config)
    table, players = assembly.make_table(subject.config, wish.seed)
    task = subject.config.run.task
    if wish.rival == d.PERSON and len(table.sides) != 2:
        why = "is for one player" if players == 1 else "has no board to play at"
        raise UsageError(f"{task} {why}", "`tui-trainer watch` shows the learner at it")
    duel = Duel(table, examine.policy_of(subject), wish)
    rivals = tuple(map(clean_line, table.rivals))
    return d.Opened(label=clean_line(subject.label), task=task, players=players, rivals=rivals), duel


# --- the process ---------------------------------------------------------------------------------------------------


def serve(lines: IO[bytes], out: IO[bytes]) -> int:
    """Answer every line; returns the exit code at the end of the input."""
    duel: Duel | None = None
    for line in lines:
        try:
            question = d.decode_question(line)
            if isinstance(question, d.Open):
                answer, duel = opened(question)
                _tell(out, answer)
            elif duel is None:
                raise UsageError("the first question is Open")
            else:
                _tell(out, duel.answer(question))
        except msgspec.MsgspecError as error:
            _tell(out, d.Declined(why=clean_line(f"not understood: {error}")))
        except TuiTrainerError as error:
            _tell(out, d.Failed(message=error.message, hint=error.hint, exit_code=error.exit_code))
            return error.exit_code
    return 0


def _tell(out: IO[bytes], message: d.Message) -> None:
    out.write(d.encode(message))
    out.flush()


def _die_with_parent(parent: int) -> None:
    """On Linux a signal comes when the parent dies; it may have died before this was asked for."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(0)


def main() -> int:
    """The answers go to a copy of stdout; what a task prints goes to stderr, where it breaks no line."""
    _die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is for the view, which then closes our input
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        return serve(sys.stdin.buffer, out)
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
