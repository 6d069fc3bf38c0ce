"""Whose chances a value is of, after a step: the other side's, or the mover's own."""

from __future__ import annotations

import numpy as np

from tui_trainer.algorithms.rollout import Rollout
from tui_trainer.core.protocols import Reset, Step, TaskSpec


def spec() -> TaskSpec:
    return TaskSpec(id="g", obs_shape=(1,), obs_dtype="float32", action="discrete", n=2, num_envs=2, players=2)


def step(to_move: list[int], *, truncated: list[bool], final_to_move: list[int] | None) -> Step:
    none, obs = np.zeros(2, np.bool_), np.zeros((2, 1), np.float32)
    seen = None if final_to_move is None else np.array(final_to_move, np.int8)
    return Step(obs, np.zeros(2, np.float32), none, np.array(truncated), obs, None, np.array(to_move, np.int8), ~none,
                np.zeros(2, np.int8), final_to_move=seen)  # fmt: skip


def flips(*steps: Step) -> list[list[bool]]:
    rollout = Rollout(spec(), len(steps))
    rollout.begin(Reset(np.zeros((2, 1), np.float32), None, np.zeros(2, np.int8)))
    for one in steps:
        rollout.put(np.zeros(2, np.int64), one)
    found: list[list[bool]] = rollout.flips().tolist()
    return found


def test_a_value_flips_where_the_side_to_move_changes() -> None:
    assert flips(step([1, 0], truncated=[False, False], final_to_move=None)) == [[True, False]]


def test_a_game_cut_short_goes_on_with_the_other_side_where_the_task_says_nothing() -> None:
    assert flips(step([0, 0], truncated=[True, True], final_to_move=None)) == [[True, True]]


def test_a_cut_position_that_the_mover_itself_sees_does_not_flip() -> None:
    """As in a row in which a scripted opponent has answered already."""
    assert flips(step([0, 0], truncated=[True, True], final_to_move=[0, 1])) == [[False, True]]


def test_the_next_rollout_forgets() -> None:
    rollout = Rollout(spec(), 1)
    rollout.begin(Reset(np.zeros((2, 1), np.float32), None, np.zeros(2, np.int8)))
    rollout.put(np.zeros(2, np.int64), step([0, 0], truncated=[True, True], final_to_move=[0, 0]))
    rollout.restart()
    rollout.put(np.zeros(2, np.int64), step([0, 0], truncated=[True, True], final_to_move=None))
    assert rollout.flips().tolist() == [[True, True]]
