"""Evaluation games: a greedy policy against one rung, all games at once, on boards of their own."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from tui_trainer.core.protocols import Policy, Score
from tui_trainer.core.values import PartResult
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Bool, Float, Int, Small, generator_of
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.boards.openings import distinct_openings
from tui_trainer.tasks.boards.rungs import choose
from tui_trainer.tasks.statistics import tally_games


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


Reply = Callable[[Int, Int], Int]
"""The other player's actions for boards (N,), (N,)."""


def play_match(board: Geometry, policy: Policy, rung: str, episodes: int, seed: int, plies: int) -> PartResult:
    """`episodes` games from distinct openings of up to `plies` random plies, each opening from both sides."""
    rng = generator_of(seed, zlib.crc32(rung.encode()))
    return _result(
        _played(board, policy, lambda own, other: choose(board, rung, own, other, rng), episodes, seed, plies)
    )


def play_policies(board: Geometry, one: Policy, two: Policy, episodes: int, seed: int, plies: int) -> Score:
    """The same between two policies."""

    def reply(own: Int, other: Int) -> Int:
        mask = board.mask(board.playable(own | other))
        return np.asarray(two.act(board.planes(own, other), mask))

    score = _played(board, one, reply, episodes, seed, plies).score
    wins, losses = int((score > 0).sum()), int((score < 0).sum())
    return Score(wins, len(score) - wins - losses, losses)


def _played(board: Geometry, policy: Policy, reply: Reply, episodes: int, seed: int, plies: int) -> Match:
    openings = distinct_openings(board, seed, (episodes + 1) // 2, plies)
    pairs = np.resize(np.arange(len(openings.own)).repeat(2), episodes)
    match = Match(board, openings.own[pairs], openings.other[pairs], openings.to_move[pairs])
    replies = np.flatnonzero(np.arange(episodes) % 2)
    _reply(match, reply, replies)
    while len(match.alive):
        rows = match.alive
        own, other = match.own[rows], match.other[rows]
        action = policy.act(board.planes(own, other), board.mask(board.playable(own | other)))
        match.play(rows, np.asarray(action), 1.0)
        _reply(match, reply, match.alive)
    return match


def _reply(match: Match, reply: Reply, rows: Int) -> None:
    if len(rows):
        match.play(rows, reply(match.own[rows], match.other[rows]), -1.0)


def _result(match: Match) -> PartResult:
    first = np.where(match.to_move == 0, match.own, match.other)
    second = np.where(match.to_move == 0, match.other, match.own)
    sides = np.arange(len(match.score)) % 2
    return tally_games(
        match.score,
        distinct=len({*zip(first.tolist(), second.tolist(), sides.tolist())}),
        frame=match.board.draw(int(first[-1]), int(second[-1])),
    )
