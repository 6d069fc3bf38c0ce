"""Watching and playing: what a view asks of the process that holds the policy, and what that answers.

JSON lines: each question of the view gets exactly one answer, in order. The first question is Open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from tui_trainer.core.protocols import Policy

PERSON, LEARNER, SELF = "you", "learner", "self"
"""Who can sit at the board, beside the opponents by their names; `self` is a second seat of the learner's."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=True):
    """Base of the questions and the answers."""


# --- what a view asks ----------------------------------------------------------------------------------------------


class Open(Message, frozen=True):
    """Load a checkpoint and set up its task. `source` is a session's path or a state.pt."""

    source: str
    checkpoint: str = "best"
    rival: str = SELF
    """`you`, `self` or an opponent of the task's."""
    temperature: float = 0.0
    """0 plays the likeliest action; T > 0 draws from probabilities ** (1 / T)."""
    seed: int = 0
    first: str = LEARNER
    """Who moves first in the first game: `learner`, or `rival`."""


class NewGame(Message, frozen=True):
    """Begin again, sides changed."""


class Go(Message, frozen=True):
    """Whoever is to move moves; declined where that is the person."""


class Play(Message, frozen=True):
    """The person's move, by its name."""

    move: str


class TakeBack(Message, frozen=True):
    """Back to the person's last decision."""


# --- what it answers -----------------------------------------------------------------------------------------------


class Opened(Message, frozen=True):
    """The checkpoint is loaded; `rivals` are the task's own opponents."""

    label: str
    task: str
    players: int
    rivals: tuple[str, ...] = ()


class Move(msgspec.Struct, frozen=True):
    """A legal move, and the probability with which the learner would play it."""

    name: str
    probability: float


class Position(Message, frozen=True):
    """One moment of a game or an episode."""

    game: int
    """Number of the game, from 1."""
    text: str
    """The board, one character a square with blanks between, or the environment's picture."""
    seats: tuple[str, ...]
    """Who sits at each side."""
    sides: tuple[str, ...]
    """The sides' signs on the board."""
    to_move: int = 0
    """Index of the side to move."""
    moves: tuple[Move, ...] = ()
    """Legal moves in the game's order; none once it has ended, or where actions are not discrete."""
    value: float | None = None
    """What the learner expects for the side to move: near 1 a win, near -1 a loss; of a single player, the return."""
    line: tuple[str, ...] = ()
    """The moves so far."""
    mark: tuple[int, int] | None = None
    """Line and column in `text` of what the last move placed."""
    ended: bool = False
    winner: int | None = None
    result: str = ""
    """How it ended: an outcome's name, or the return."""
    note: str = ""
    """What else there is to say, such as the steps and the return so far."""

    @property
    def player(self) -> str:
        """Who is to move."""
        return self.seats[self.to_move]

    @property
    def viewer(self) -> int:
        """The side whose chances are shown: the learner's, or the first where it plays itself."""
        return self.seats.index(LEARNER)

    @property
    def expectation(self) -> float | None:
        """`value` for the viewer's side."""
        return self.value if self.value is None or self.to_move == self.viewer else -self.value

    @property
    def best(self) -> Move | None:
        """The move that the learner likes best."""
        return max(self.moves, key=lambda move: move.probability, default=None)

    def lines(self) -> list[str]:
        """`text` with a blank column at each side, and what the last move placed in brackets."""
        lines = [f" {line} " for line in self.text.splitlines()]
        if self.mark is not None:
            row, column = self.mark
            line = lines[row]
            end = line.find(" ", column + 1)
            lines[row] = f"{line[:column]}[{line[column + 1 : end]}]{line[end + 1 :]}"
        return lines

    def verdict(self) -> str:
        """How the game ended, or who is to move."""
        if not self.ended:
            return f"{self.sides[self.to_move]} {self.player} to move".lstrip()
        if self.winner is None:
            return self.result
        return f"{self.sides[self.winner]} {self.seats[self.winner]} won ({self.result})"


class Declined(Message, frozen=True):
    """Nothing was done, and why."""

    why: str


class Failed(Message, frozen=True):
    """The duel is over: an error of ours with its exit code."""

    message: str
    hint: str = ""
    exit_code: int = 1


Question: TypeAlias = Open | NewGame | Go | Play | TakeBack
Answer: TypeAlias = Opened | Position | Declined | Failed

_questions: msgspec.json.Decoder[Question] = msgspec.json.Decoder(Question)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
_encoder = msgspec.json.Encoder()


def encode(message: Message) -> bytes:
    """One line, newline included."""
    return _encoder.encode(message) + b"\n"


def decode_question(line: bytes) -> Question:
    """What the view asked. Raises msgspec.MsgspecError."""
    return _questions.decode(line)


def decode_answer(line: bytes) -> Answer:
    """What the duel answered. Raises msgspec.MsgspecError."""
    return _answers.decode(line)


# --- what a task brings --------------------------------------------------------------------------------------------


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What a table shows: Position's fields of the same names; `legal` maps a move's name to its action."""

    text: str
    legal: dict[str, int]
    to_move: int = 0
    mark: tuple[int, int] | None = None
    ended: bool = False
    winner: int | None = None
    result: str = ""
    note: str = ""


class Opinion(msgspec.Struct, frozen=True):
    """A policy's view of the present decision: one probability for each action, none for a box; what it expects."""

    probabilities: Sequence[float]
    value: float


class Table(Protocol):
    """One game of a task, apart from training: what `Task.table()` returns where a person can play it."""

    @property
    def sides(self) -> tuple[str, ...]:
        """The signs of the sides on the board, the first mover's first; one for an episode of a single player."""
        ...

    @property
    def rivals(self) -> tuple[str, ...]:
        """Names of the task's own opponents."""
        ...

    def start(self) -> None:
        """A new game from its true beginning."""
        ...

    def sight(self) -> Sight: ...

    def opinion(self, policy: Policy) -> Opinion:
        """What a policy thinks of the decision at hand."""
        ...

    def choice(self, policy: Policy) -> Any:
        """Its greedy action."""
        ...

    def rival(self, name: str, seed: int) -> Policy:
        """One of `rivals`; `seed` is for those that draw."""
        ...

    def play(self, action: Any) -> None:
        """The side to move plays a legal action."""
        ...

    def take_back(self) -> None:
        """Undo the last move."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
