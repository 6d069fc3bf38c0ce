"""Elo of players from the games between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tui_trainer.core.values import Pairing, Rating, Ratings
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.statistics import Z95

SCALE = 400 / np.log(10)
"""Elo points of a unit of Bradley and Terry's strength."""
_PRIOR = 1.0
"""Drawn games added to each pair that played, so that who never lost has a finite rating."""


def elo(points: Array, anchor: int) -> tuple[Array, Array]:
    """Ratings (K,) and half widths of their 95 % intervals (K,), the anchor's 0; pairs (K, K) in both.

    `points[i, j]` is what i got against j, draws half. P(i beats j) = 1 / (1 + exp(s_j - s_i)), the likelihood's
    maximum by Newton's method, the errors from its curvature there. Bradley and Terry 1952; Hunter 2004.
    """
    played = points + points.T
    wins = points + np.where(played > 0, _PRIOR / 2, 0)
    games = wins + wins.T
    free = np.delete(np.arange(len(points)), anchor)
    strength = np.zeros(len(points))
    for _ in range(100):
        gradient, curvature = _slopes(strength, wins, games)
        step = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        strength[free] += np.clip(step, -2, 2)
        if np.abs(step).max(initial=0) < 1e-10:
            break
    _, curvature = _slopes(strength, wins, games)
    error = np.zeros(len(points))
    error[free] = np.sqrt(np.diag(np.linalg.inv(curvature[np.ix_(free, free)])))
    return SCALE * strength, SCALE * Z95 * error


def _slopes(strength: Array, wins: Array, games: Array) -> tuple[Array, Array]:
    """The log likelihood's gradient (K,) and minus its second derivative (K, K)."""
    p = 1 / (1 + np.exp(strength[None, :] - strength[:, None]))
    np.fill_diagonal(games, 0)
    gradient = (wins - games * p).sum(axis=1) - np.diag(wins)
    weight = games * p * p.T
    return gradient, np.diag(weight.sum(axis=1)) - weight


def rated(task: str, pairings: Sequence[Pairing], anchor: str, games: int, seed: int) -> Ratings:
    """The players of these pairs, strongest first. The anchor is among them."""
    names = list(dict.fromkeys(name for pair in pairings for name in (pair.one, pair.two)))
    points = np.zeros((len(names), len(names)))
    for pair in pairings:
        one, two = names.index(pair.one), names.index(pair.two)
        points[one, two] += pair.wins + pair.draws / 2
        points[two, one] += pair.losses + pair.draws / 2
    ratings, errors = elo(points, names.index(anchor))
    played = (points + points.T).sum(axis=1)
    players = [
        Rating(name=name, elo=float(ratings[i]), error=float(errors[i]), games=int(played[i]))
        for i, name in enumerate(names)
    ]
    ordered = tuple(sorted(players, key=lambda player: -player.elo))
    return Ratings(task=task, anchor=anchor, seed=seed, games=games, players=ordered, pairings=tuple(pairings))
