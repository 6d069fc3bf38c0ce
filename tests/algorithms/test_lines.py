"""The line features of a board against positions worked out by hand."""

import msgspec
import numpy as np
import pytest

from tests.algorithms.helpers import settings, update
from tests.algorithms.probes import Copy
from tui_trainer import tasks
from tui_trainer.algorithms import build
from tui_trainer.algorithms.lines import LineFeatures, lines_of
from tui_trainer.errors import ConfigError

SPEC = tasks.spec_of("connect_four")
ROWS, COLUMNS, CELLS = 6, 7, 42


def board(*rows: str) -> np.ndarray:
    """(1, 2, 6, 7) from rows of text, the lowest last: x the mover's stones, o the other's."""
    grid = np.full((ROWS, COLUMNS), ".")
    for height, text in enumerate(reversed(rows)):
        grid[height] = list(text)
    return np.stack([grid == "x", grid == "o"])[None].astype(np.uint8)


def parts(obs: np.ndarray) -> dict[str, object]:
    found = LineFeatures(SPEC)(obs)[0]
    wins = found[2 * CELLS : 4 * CELLS].reshape(2, CELLS)
    flags = found[4 * CELLS :].reshape(4, COLUMNS)
    named = {"own_wins": wins[0], "other_wins": wins[1]}
    named |= dict(zip(("own_now", "other_now", "own_above", "other_above"), flags))
    return {name: np.flatnonzero(values).tolist() for name, values in named.items()}


def test_a_board_of_six_by_seven_has_sixty_nine_lines_of_four():
    lines = lines_of(6, 7, 4)
    assert len({tuple(line) for line in lines}) == 69
    assert [21, 15, 9, 3] in [sorted(line, reverse=True) for line in lines]
    assert len(lines_of(3, 3, 3)) == 8


def test_three_in_a_row_show_both_cells_that_complete_them():
    found = parts(board(".xxx..."))
    assert found["own_wins"] == [0, 4]
    assert found["other_wins"] == []
    assert found["own_now"] == [0, 4]


def test_a_line_that_the_other_side_has_touched_is_no_threat():
    assert parts(board("oxxx..."))["own_wins"] == [4]
    assert parts(board("oxxxo.."))["own_wins"] == []


def test_a_winning_cell_in_the_air_is_seen_above_the_next_one():
    found = parts(board(".ooo...", ".xxo..."))
    assert found["other_wins"] == [7, 11]
    assert found["other_now"] == []
    assert found["other_above"] == [0, 4]


def test_columns_and_diagonals_count():
    assert parts(board("o......", "o......", "o......"))["other_now"] == [0]
    assert parts(board("..xo...", ".xoo...", "xoox..."))["own_wins"] == [24]


def test_the_stones_come_first_and_as_they_are():
    obs = board("..o....", ".xo.x..")
    assert np.array_equal(LineFeatures(SPEC)(obs)[0, : 2 * CELLS], obs.ravel())


def test_a_board_without_gravity_has_no_column_flags():
    assert LineFeatures(tasks.spec_of("tictactoe")).size == 4 * 9
    assert LineFeatures(SPEC).size == 4 * CELLS + 4 * COLUMNS


def test_lines_need_a_board_of_two_players():
    with pytest.raises(ConfigError, match="lines"):
        LineFeatures(Copy().spec)
    with pytest.raises(ConfigError, match="lines"):
        LineFeatures(msgspec.structs.replace(SPEC, obs_shape=(3, 6, 7)))


def test_with_lines_two_seconds_of_training_beat_a_player_who_takes_wins_and_blocks_losses():
    table = {"num_envs": 64, "n_steps": 16, "batch_size": 256, "network": "lines", "hidden": [32], "shared": True}
    table |= {"learning_rate": 3e-3, "gamma": 1.0, "gae_lambda": 0.8, "activation": "relu"}
    task = tasks.make("connect_four", {}, 64)
    learner = build("ppo", task, settings(ppo=table), "cpu")
    for _ in range(120):
        update(learner)
    policy = learner.policy()
    assert task.evaluate(policy, part="random", episodes=200, seed=1).win_rate > 0.95
    assert task.evaluate(policy, part="1-ply", episodes=200, seed=1).win_rate > 0.55
