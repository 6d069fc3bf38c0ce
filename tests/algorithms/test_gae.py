"""Advantages against numbers worked out by hand. gamma = 0.5 and lambda = 0.5 throughout, one environment a column."""

import numpy as np

from tui_trainer.algorithms.gae import gae


def advantages(rewards, values, following, *, terminated=(), truncated=(), flips=(), invalid=()):
    """One environment; the keyword arguments list time steps."""
    length = len(rewards)

    def at(steps):
        return np.array([[t in steps] for t in range(length)])

    def column(numbers):
        return np.array(numbers, np.float32)[:, None]

    found = gae(
        column(rewards),
        column(values),
        column(following),
        at(terminated),
        at(truncated),
        at(flips),
        ~at(invalid),
        gamma=0.5,
        lam=0.5,
    )
    return found[:, 0].tolist()


def test_an_advantage_sums_later_errors_with_gamma_lambda():
    # d2 = 4 + .5 * 8 - 2 = 6;  d1 = 2 + .5 * 2 - 1 = 2;  d0 = 1 + .5 * 1 - 1 = .5
    # A2 = 6;  A1 = 2 + .25 * 6 = 3.5;  A0 = .5 + .25 * 3.5 = 1.375
    assert advantages([1, 2, 4], [1, 1, 2], [1, 2, 8]) == [1.375, 3.5, 6.0]


def test_a_terminated_step_neither_bootstraps_nor_hears_what_follows():
    # d1 = 2 - 1 = 1, whatever follows;  d0 = 1 + .5 - 1 = .5;  A0 = .5 + .25 * 1
    assert advantages([1, 2, 4], [1, 1, 2], [1, 99, 8], terminated=[1]) == [0.75, 1.0, 6.0]


def test_a_truncated_step_bootstraps_from_its_last_observation_and_hears_nothing_later():
    # `following` of step 1 is the value of the true last observation, 4:  d1 = 2 + .5 * 4 - 1 = 3
    assert advantages([1, 2, 4], [1, 1, 2], [1, 4, 8], truncated=[1]) == [0.5 + 0.25 * 3, 3.0, 6.0]


def test_the_other_sides_gain_is_this_sides_loss():
    # each step hands the move over:  d2 = 4 - .5 * 8 - 2 = -2;  d1 = 2 - .5 * 2 - 1 = 0;  d0 = 1 - .5 * 1 - 1 = -.5
    # A2 = -2;  A1 = 0 - .25 * -2 = .5;  A0 = -.5 - .25 * .5 = -.625
    assert advantages([1, 2, 4], [1, 1, 2], [1, 2, 8], flips=[0, 1, 2]) == [-0.625, 0.5, -2.0]


def test_only_the_steps_that_hand_the_move_over_change_sign():
    # step 0 flips, step 1 does not:  d1 = 2 + .5 * 2 - 1 = 2, A1 = 2 + .25 * 6 = 3.5;  d0 = 1 - .5 - 1 = -.5
    assert advantages([1, 2, 4], [1, 1, 2], [1, 2, 8], flips=[0]) == [-0.5 - 0.25 * 3.5, 3.5, 6.0]


def test_a_truncated_two_player_game_counts_its_last_observation_for_the_other_side():
    assert advantages([2], [1], [4], truncated=[0], flips=[0]) == [2 - 0.5 * 4 - 1]


def test_a_row_that_is_no_transition_has_no_advantage_and_hands_nothing_back():
    # step 0 still bootstraps from the value that follows it:  d0 = 1 + .5 * 1 - 1 = .5
    assert advantages([1, 99, 4], [1, 1, 2], [1, 2, 8], invalid=[1]) == [0.5, 0.0, 6.0]
