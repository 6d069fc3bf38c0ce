"""Evaluation games: a greedy policy against one rung, all games at once, on boards of their own."""

from __future__ import annotations

import math
import zlib

import numpy as np

from tui_trainer.core.protocols import Policy
from tui_trainer.core.values import PartResult
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Bool, Float, Int, Small, generator_of
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.boards.openings import distinct_openings
from tui_trainer.tasks.boards.rungs import choose
from tui_trainer.tasks.statistics import wilson


class Match:
    """G games; `own` are the stones of whoever is to move, `score` is the policy's: 1, 0, -1."""

    def __init__(self, board: Geometry, own: Int, other: Int, to_move: Small) -> None:
        self.board = board
        self.own, self.other, self.to_move = own, other, to_move
        self.score: Float = np.zeros(len(own), np.float32)
        self.alive: Int = np.arange(len(own))

    def play(self, rows: Int, action: Int, gain: float) -> None:
        """The side to move plays `action` in `rows`; where it wins the score is `gain`."""
        own, other = self.own[rows], self.other[rows]
        stone = self.board.playable(own | other) & self.board.targets[action]
        if np.count_nonzero(stone) != len(stone):
            raise UsageError("the policy chose an illegal action in an evaluation")
        moved = own | stone
        won = self.board.has_line(moved)
        self.score[rows[won]] = gain
        self.own[rows], self.other[rows] = other, moved
        self.to_move[rows] ^= 1
        ended: Bool = np.zeros(len(self.own), np.bool_)
        ended[rows] = won | ((moved | other) == self.board.full)
        self.alive = self.alive[~ended[self.alive]]


def play_match(board: Geometry, policy: Policy, rung: str, episodes: int, seed: int, plies: int) -> PartResult:
    """`episodes` games from distinct openings of up to `plies` random plies, each opening from both sides."""
    openings = distinct_openings(board, seed, (episodes + 1) // 2, plies)
    pairs = np.resize(np.arange(len(openings.own)).repeat(2), episodes)
    match = Match(board, openings.own[pairs], openings.other[pairs], openings.to_move[pairs])
    rng = generator_of(seed, zlib.crc32(rung.encode()))
    replies = np.flatnonzero(np.arange(episodes) % 2)
    _reply(match, rung, replies, rng)
    while len(match.alive):
        rows = match.alive
        own, other = match.own[rows], match.other[rows]
        action = policy.act(board.planes(own, other), board.mask(board.playable(own | other)))
        match.play(rows, np.asarray(action), 1.0)
        _reply(match, rung, match.alive, rng)
    return _result(match)


def _reply(match: Match, rung: str, rows: Int, rng: np.random.Generator) -> None:
    if len(rows):
        match.play(rows, choose(match.board, rung, match.own[rows], match.other[rows], rng), -1.0)


def _result(match: Match) -> PartResult:
    games = len(match.score)
    wins, losses = int((match.score > 0).sum()), int((match.score < 0).sum())
    first = np.where(match.to_move == 0, match.own, match.other)
    second = np.where(match.to_move == 0, match.other, match.own)
    return PartResult(
        episodes=games,
        win_rate=wins / games,
        ci=wilson(wins, games),
        draw_rate=(games - wins - losses) / games,
        loss_rate=losses / games,
        mean=float(match.score.mean()),
        std=math.sqrt(float(match.score.var())),
        min=float(match.score.min()),
        max=float(match.score.max()),
        distinct=len({*zip(first.tolist(), second.tolist(), (np.arange(games) % 2).tolist())}),
        frame=match.board.draw(int(first[-1]), int(second[-1])),
    )
