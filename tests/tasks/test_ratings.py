"""Elo by hand: two players, three players, an anchor, who never lost; and matches that feed it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tui_trainer import tasks
from tui_trainer.core.protocols import Arbiter
from tui_trainer.core.values import Pairing
from tui_trainer.tasks.ratings import elo, rated


def points(*pairs: tuple[int, int, float, float], count: int) -> np.ndarray:
    found = np.zeros((count, count))
    for one, two, mine, theirs in pairs:
        found[one, two], found[two, one] = mine, theirs
    return found


def test_two_players_differ_by_the_log_odds_of_their_points() -> None:
    ratings, _ = elo(points((0, 1, 900, 100), count=2), anchor=1)
    odds = 900.5 / 100.5
    assert ratings[0] == pytest.approx(400 * math.log10(odds), abs=1e-6)
    assert ratings[1] == 0


def test_the_error_is_that_of_a_logits_standard_error() -> None:
    """For two players the information is n p (1 - p)."""
    _, errors = elo(points((0, 1, 75, 25), count=2), anchor=1)
    p = 75.5 / 101
    assert errors[0] == pytest.approx(400 / math.log(10) * 1.959964 / math.sqrt(101 * p * (1 - p)), rel=1e-4)
    assert errors[1] == 0


def test_players_who_never_met_are_compared_through_a_third() -> None:
    ratings, _ = elo(points((0, 1, 750, 250), (1, 2, 750, 250), count=3), anchor=2)
    assert ratings[0] == pytest.approx(2 * ratings[1], rel=1e-6)


def test_who_never_lost_has_a_finite_rating_and_more_games_raise_it() -> None:
    few, _ = elo(points((0, 1, 10, 0), count=2), anchor=1)
    many, _ = elo(points((0, 1, 100, 0), count=2), anchor=1)
    assert 0 < few[0] < many[0] < 2000


def test_more_games_narrow_the_interval() -> None:
    _, few = elo(points((0, 1, 6, 4), count=2), anchor=1)
    _, many = elo(points((0, 1, 600, 400), count=2), anchor=1)
    assert many[0] < few[0] / 5


def test_draws_are_half_a_win_and_players_come_strongest_first() -> None:
    ratings = rated(
        "game",
        [
            Pairing(one="random", two="a", wins=0, draws=20, losses=20),
            Pairing(one="a", two="b", wins=10, draws=20, losses=10),
        ],
        "random",
        40,
        1,
    )
    assert [player.name for player in ratings.players] == ["a", "b", "random"] or ratings.players[0].elo == (
        pytest.approx(ratings.players[1].elo)
    )
    by_name = {player.name: player for player in ratings.players}
    assert by_name["random"].elo == 0
    assert by_name["a"].elo == pytest.approx(by_name["b"].elo, abs=1e-6)
    assert by_name["a"].games == 80


@pytest.mark.parametrize(
    ("task_id", "strong", "weak"),
    [("connect_four", "minimax-3", "random"), ("tictactoe", "minimax-9", "random")],
)
def test_a_match_counts_for_its_first_player(task_id: str, strong: str, weak: str) -> None:
    task = tasks.make(task_id, {}, 1)
    assert isinstance(task, Arbiter)
    one = task.match(strong, weak, games=60, seed=3)
    two = task.match(weak, strong, games=60, seed=3)
    assert sum(one) == sum(two) == 60
    assert one.wins > 45
    assert two.losses > 45
