"""Shogi: everything as the side to move sees it, 139 planes of moves over 81 squares, pieces as text.

OpenSpiel sees the board from black's side always and numbers moves by the squares they leave and reach. Here white's
board is turned, and a move is the plane of its direction, distance and promotion, or of the piece dropped, times 81
plus the square it leaves or is dropped on. Squares are rank * 9 + file as OpenSpiel counts them; forward is upwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from tui_trainer.tasks.arrays import Array, Bool, Float, Int, Small
from tui_trainer.tasks.spiel.attacks import KINDS, MOST, SIZE, SQUARES, Attacks, Checks
from tui_trainer.tasks.spiel.rules import Rules, State

RAYS = tuple((x, y) for x, y in product((-1, 0, 1), repeat=2) if (x, y) != (0, 0))
STEPS = (*((x * far, y * far) for x, y in RAYS for far in range(1, SIZE)), (-1, 2), (1, 2))
"""Eight directions and distances, then the knight's two jumps."""
DROPS = 7
PLANES = 2 * len(STEPS) + DROPS
BOARD_MOVES = 2 * SQUARES * SQUARES
PIECES = "KLNSGPBR"
"""Of OpenSpiel's planes: king to rook; then +L, +N, +S, +P, +B, +R."""
VALUES = np.array([0, 3, 4, 5, 6, 1, 8, 10, 6, 6, 6, 6, 10, 12], np.float32)
"""Of the pieces in that order, in pawns."""
PROMOTED = {1: 8, 2: 9, 3: 10, 5: 11, 6: 12, 7: 13}
_BETTER = np.array([PROMOTED.get(kind, kind) for kind in range(KINDS)])
HANDS = np.array([18, 4, 4, 4, 4, 2, 2], np.float32)
"""Most pieces that a hand can hold: pawn, lance, knight, silver, gold, bishop, rook."""
DROPPED = np.array([5, 1, 2, 3, 4, 6, 7])
"""Their kinds."""
_CAMP = 6 * SIZE
"""From this square on a king stands in the other's camp."""
HELD = np.array([1, 3, 4, 5, 6, 8, 10], np.float32)
"""What those are worth."""
_WHITE, _BLACK = 2 * np.arange(KINDS), 2 * np.arange(KINDS) + 1
_REPETITION, _HAND = 29, 31
_SATURATES = 16
"""OpenSpiel divides what is in hand by this."""
_REPEATED = 126.0
"""A position seen for the first, second, third, fourth time: 0, 63, 126, 189."""


@lru_cache(maxsize=1)
def move_tables() -> tuple[Array, Array]:
    """(2, 13689) our actions by side and OpenSpiel's number, and (2, 11259) the other way; -1 where there is none."""
    ours = np.full((2, BOARD_MOVES + DROPS * SQUARES), -1, np.int64)
    for kind, (x, y) in enumerate(STEPS):
        for rank, file in product(range(SIZE), repeat=2):
            if 0 <= rank + y < SIZE and 0 <= file + x < SIZE:
                _put_step(ours, kind, rank * SIZE + file, (rank + y) * SIZE + file + x)
    for piece, square in product(range(DROPS), range(SQUARES)):
        action = (2 * len(STEPS) + piece) * SQUARES + square
        number = BOARD_MOVES + piece * SQUARES
        ours[0, number + square] = ours[1, number + SQUARES - 1 - square] = action
    theirs = np.full((2, PLANES * SQUARES), -1, np.int64)
    for side in (0, 1):
        known = np.flatnonzero(ours[side] >= 0)
        theirs[side, ours[side, known]] = known
    return ours, theirs


def _put_step(ours: Array, kind: int, start: int, end: int) -> None:
    for promotes in (0, 1):
        action = (kind + promotes * len(STEPS)) * SQUARES + start
        ours[0, (start * SQUARES + end) * 2 + promotes] = action
        ours[1, ((SQUARES - 1 - start) * SQUARES + SQUARES - 1 - end) * 2 + promotes] = action


def _targets() -> Int:
    """The square that each action reaches, (11259,); off the board it is 0."""
    found = np.zeros((PLANES, SQUARES), np.int64)
    squares = np.arange(SQUARES)
    for kind, (x, y) in enumerate(STEPS):
        rank, file = squares // SIZE + y, squares % SIZE + x
        inside = (rank >= 0) & (rank < SIZE) & (file >= 0) & (file < SIZE)
        found[kind] = found[kind + len(STEPS)] = np.where(inside, rank * SIZE + file, 0)
    found[2 * len(STEPS) :] = squares
    return found.ravel()


class Shogi(Rules):
    """Observations uint8 (43, 9, 9): own pieces 14, the other's 14, repetition, own hand 7, the other's 7.

    Where asked, two more: how many of one's own pieces attack each square, and how many of the other's.
    """

    obs_dtype = "uint8"
    action_planes = PLANES
    action_steps = (*((y, x) for x, y in (*STEPS, *STEPS)), *((0, 0),) * DROPS)
    outcomes = ("black", "white", "draw")
    sides = ("A", "a")
    has_material = True
    ladder = ("random", "material-1", "material-2")

    def __init__(self, game: Any) -> None:
        super().__init__(game)
        self.n, self.obs_shape = PLANES * SQUARES, (2 * KINDS + 1 + 2 * DROPS, SIZE, SIZE)
        self._ours, self._theirs = move_tables()
        self.targets = _targets()
        black, white = np.arange(_HAND + DROPS, _HAND + 2 * DROPS), np.arange(_HAND, _HAND + DROPS)
        middle = [_REPETITION]
        self._order = np.array(
            [
                np.concatenate([_BLACK, _WHITE, middle, black, white]),
                np.concatenate([_WHITE, _BLACK, middle, white, black]),
            ]
        )
        hands = np.floor(255 / HANDS) * _SATURATES
        scale = np.concatenate([np.full(2 * KINDS, 255.0), [0.0, _REPEATED, 0.0], hands, hands])
        self._scale = scale.astype(np.float32)[:, None]
        self._seen = self._tensor.reshape(-1, SQUARES)
        self._attacks: Attacks | None = None

    def show_attacks(self) -> None:
        self._attacks = Attacks()
        self.obs_shape = (self.obs_shape[0] + 2, SIZE, SIZE)

    def _observe(self, states: Sequence[State], to_move: Small) -> Array:
        raw = np.empty((len(states), *self._seen.shape), np.uint8)
        for row, (state, player) in enumerate(zip(states, to_move.tolist(), strict=True)):
            self._observation.set_from(state, player)
            np.multiply(self._seen, self._scale, out=raw[row], casting="unsafe")
        found = np.empty((len(states), len(self._order[0]), SQUARES), np.uint8)
        for side in (0, 1):
            rows = np.flatnonzero(to_move == side)
            if len(rows):
                seen = raw[rows[:, None], self._order[side]]
                found[rows] = seen if side == 0 else seen[:, :, ::-1]
        if self._attacks is not None:
            attackers = self._attacks(found[:, : 2 * KINDS]) * np.uint8(255 // MOST)
            found = np.concatenate([found, attackers], axis=1)
        return found.reshape(len(states), *self.obs_shape)

    def actions_of(self, to_move: Small, moves: Int) -> Int:
        found: Int = self._ours[to_move, moves]
        return found

    def seen(self, state: State) -> Array:
        """One position as its side to move sees it, without the legal moves."""
        found: Array = self._observe([state], np.array([state.current_player()], np.int8))[0]
        return found

    def moves_of(self, to_move: Small, actions: Int) -> Int:
        found: Int = self._theirs[to_move, actions]
        return found

    def gains(self, obs: Array, actions: Int) -> Float:
        """What each action wins at once, in pawns: the piece taken, and what a promotion adds. One board's `obs`."""
        own = _worth(obs[:KINDS])
        taken = _worth(obs[KINDS : 2 * KINDS])[self.targets[actions]]
        plane, square = actions // SQUARES, actions % SQUARES
        promotes = (plane >= len(STEPS)) & (plane < 2 * len(STEPS))
        before = own[square]
        after = _promoted_worth(obs[:KINDS])[square]
        found: Float = np.where(plane < 2 * len(STEPS), taken, 0) + np.where(promotes, after - before, 0)
        return found.astype(np.float32)

    def may_end(self, obs: Array, actions: Int) -> Bool:
        """Whether an action may end the game: checks, a king in the other's camp, anything once a position has come
        again; some of these do not. One board's `obs`."""
        own = obs[:KINDS].reshape(KINDS, SQUARES) > 0
        standing, king = own.argmax(0), int(own[0].argmax())
        if obs[2 * KINDS, 0, 0] or king >= _CAMP:
            return np.ones(len(actions), np.bool_)
        plane, leaves = np.divmod(actions, SQUARES)
        drops, reaches = plane - 2 * len(STEPS), self.targets[actions]
        promotes = (plane >= len(STEPS)) & (drops < 0)
        kinds = standing[leaves]
        kinds = np.where(drops >= 0, DROPPED[np.maximum(drops, 0)], np.where(promotes, _BETTER[kinds], kinds))
        enters = (kinds == 0) & (reaches >= _CAMP)
        found: Bool = enters | _checks().may(own, int(obs[KINDS].argmax()), kinds, leaves, reaches)
        return found

    def balance(self, obs: Array) -> Float:
        """On the board and in hand."""
        planes = obs.reshape(len(obs), -1, SQUARES)
        board = np.count_nonzero(planes[:, : 2 * KINDS], axis=2).astype(np.float32)
        hands = planes[:, 2 * KINDS + 1 :][:, : 2 * DROPS, 0] / np.floor(255 / np.tile(HANDS, 2))
        side = np.concatenate([VALUES, -VALUES])
        held = np.concatenate([HELD, -HELD])
        found: Float = (board @ side + hands.astype(np.float32) @ held).astype(np.float32)
        return found

    def draw(self, state: State) -> str:
        """Black's pieces in capitals, white's small, + promoted; what each holds in hand above and below."""
        board, _, hands, _ = str(state).split()
        rows = [_rank(words, "abcdefghi"[number]) for number, words in enumerate(board.split("/"))]
        files = " ".join(f"{file:>2}" for file in range(SIZE, 0, -1))
        black = "".join(c for c in _spelled(hands) if c.isupper())
        white = "".join(c for c in _spelled(hands) if c.islower())
        return "\n".join([f"white holds {white or '-'}", files, *rows, f"black holds {black or '-'}"])

    def mark(self, state: State) -> tuple[int, int] | None:
        """Where the last move went."""
        history = state.history()
        if not history:
            return None
        number = history[-1]
        square = number // 2 % SQUARES if number < BOARD_MOVES else (number - BOARD_MOVES) % SQUARES
        line, column = SIZE - 1 - square // SIZE + 2, 3 * (square % SIZE)
        return line, column if self.draw(state).splitlines()[line][column] == "+" else column + 1


@lru_cache(maxsize=1)
def _checks() -> Checks:
    return Checks()


def _worth(planes: Array) -> Float:
    """(14, 9, 9) planes of a side's pieces -> (81,) values."""
    found: Float = VALUES @ (planes.reshape(KINDS, SQUARES) > 0).astype(np.float32)
    return found


def _promoted_worth(planes: Array) -> Float:
    values = VALUES.copy()
    for plain, promoted in PROMOTED.items():
        values[plain] = VALUES[promoted]
    found: Float = values @ (planes.reshape(KINDS, SQUARES) > 0).astype(np.float32)
    return found


def _rank(words: str, letter: str) -> str:
    """A rank of a SFEN board, three columns a square, and its letter."""
    squares: list[str] = []
    plus = ""
    for char in words:
        if char.isdigit():
            squares += [" ."] * int(char)
        elif char == "+":
            plus = "+"
        else:
            squares.append(f"{plus + char:>2}")
            plus = ""
    return " ".join([*squares, letter])


def _spelled(hands: str) -> str:
    """`2Pb` -> `PPb`."""
    found, count = [], ""
    for char in hands.replace("-", ""):
        if char.isdigit():
            count += char
        else:
            found.append(char * int(count or 1))
            count = ""
    return "".join(found)
