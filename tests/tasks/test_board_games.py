"""Connect Four and tic-tac-toe as tasks: rewards, seats, opponents, evaluation, state."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest

from tui_trainer import tasks
from tui_trainer.core.protocols import Step, Task
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.tasks import connect_four, tictactoe
from tui_trainer.tasks.arrays import Array, Bool, Float, Int
from tui_trainer.tasks.boards.players import RungPlayer
from tui_trainer.tasks.playing import LinearPlayer, RandomPlayer, difference, digest, play
from tui_trainer.tasks.statistics import wilson

ALONE = {"opponent_share": 0.0, "opening_plies": 0}


def four(num_envs: int, limit: int = 0, **options: object) -> Task:
    return tasks.make("connect_four", options, num_envs, limit)


def columns(task: Task, *moves: int) -> Step:
    """The same column in every environment, one move after the other; the last transition."""
    for column in moves:
        step = task.step(np.full(task.spec.num_envs, column))
    return step


def test_the_side_that_completes_four_is_rewarded_and_the_game_starts_anew() -> None:
    task = four(3, **ALONE)
    task.reset(1)
    step = columns(task, 0, 1, 0, 1, 0, 1, 0)
    assert step.reward.tolist() == [1, 1, 1]
    assert step.terminated.all()
    assert not step.truncated.any()
    assert step.outcome.tolist() == [1, 1, 1]
    assert step.obs.sum() == 0
    assert step.final_obs[0, 1, :4, 0].tolist() == [1, 1, 1, 1]
    assert step.to_move.tolist() == [0, 0, 0]


def test_the_second_players_win_is_its_own_reward_too() -> None:
    task = four(1, **ALONE)
    task.reset(1)
    step = columns(task, 6, 1, 0, 1, 0, 1, 0, 1)
    assert (step.reward.tolist(), step.outcome.tolist()) == ([1], [2])


def test_a_full_board_without_a_line_is_a_draw_without_reward() -> None:
    task = tasks.make("tictactoe", ALONE, 1)
    task.reset(1)
    step = columns(task, 0, 1, 2, 4, 3, 5, 7, 6, 8)
    assert (step.reward.tolist(), step.terminated.tolist(), step.outcome.tolist()) == ([0], [True], [3])


def test_the_observation_is_seen_by_the_side_to_move_row_0_at_the_bottom() -> None:
    task = four(1, **ALONE)
    task.reset(1)
    obs = columns(task, 3).obs
    assert obs[0, 1, 0, 3] == 1
    assert obs.sum() == 1
    obs = columns(task, 3).obs
    assert obs[0, 0, 0, 3] == 1
    assert obs[0, 1, 1, 3] == 1


def test_a_full_column_is_masked_and_an_illegal_action_is_refused() -> None:
    task = four(2, **ALONE)
    task.reset(1)
    step = columns(task, 0, 0, 0, 0, 0, 0)
    assert step.mask is not None
    assert step.mask.tolist() == [[False] + [True] * 6] * 2
    with pytest.raises(UsageError, match="action 0 is illegal in environment 0"):
        columns(task, 0)


def test_self_play_rows_alternate_and_scripted_rows_keep_the_learners_seat() -> None:
    task = four(8, opponent_share=0.5)
    start = task.reset(5)
    before = start.to_move
    for step in play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 200):
        going = ~step.terminated
        assert (step.to_move != before)[:4][going[:4]].all()
        assert (step.to_move == before)[4:][going[4:]].all()
        before = step.to_move


def test_the_learner_changes_seats_with_every_scripted_game() -> None:
    task = four(1, opponent_share=1.0, opening_plies=0)
    start = task.reset(5)
    seats = [int(start.to_move[0])]
    for step in play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 300):
        if step.terminated[0]:
            seats.append(int(step.to_move[0]))
            assert int(step.obs.sum()) == seats[-1], "as second player it finds one stone, as first none"
    assert len(seats) > 10
    assert all(a != b for a, b in itertools.pairwise(seats))


def test_a_scripted_opponents_win_is_the_learners_loss_and_the_board_shows_it() -> None:
    task = four(64, opponent_share=1.0)
    task.set_difficulty(Difficulty(level=3))
    start = task.reset(2)
    before, losses = start.to_move, 0
    for step in play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 60):
        lost = step.reward < 0
        losses += int(lost.sum())
        assert step.terminated[lost].all()
        assert (step.outcome[lost] == 2 - before[lost]).all(), "the other seat's outcome"
        assert (step.outcome[step.reward > 0] == 1 + before[step.reward > 0]).all()
        _, last_to_move = connect_four.BOARD.stones(step.final_obs)
        assert np.array_equal(connect_four.BOARD.has_line(last_to_move), step.reward != 0)
        before = step.to_move
    assert losses > 100


def test_scripted_rows_are_never_handed_a_finished_game() -> None:
    task = tasks.make("tictactoe", {"opponent_share": 1.0, "opening_plies": 6}, 128)
    task.set_difficulty(Difficulty(level=1))
    start = task.reset(2)
    for step in play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 60):
        own, other = tictactoe.BOARD.stones(step.obs)
        assert not tictactoe.BOARD.has_line(own).any()
        assert not tictactoe.BOARD.has_line(other).any()
        assert step.mask is not None
        assert step.mask.any(axis=1).all()


def test_where_the_opponents_first_ply_would_win_the_learner_takes_its_seat() -> None:
    task = tasks.make("tictactoe", {"opponent_share": 1.0, "opening_plies": 6}, 128)
    task.set_difficulty(Difficulty(level=1))
    start = task.reset(2)
    chances = 0
    for step in play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 60):
        assert np.array_equal(task.state_dict()["seat"], step.to_move)  # type: ignore[arg-type]
        own, other = tictactoe.BOARD.stones(step.obs)
        can_win = (tictactoe.BOARD.winning_cells(own) & tictactoe.BOARD.playable(own | other)) != 0
        chances += int((can_win & step.terminated).sum())
    assert chances > 50


def test_a_new_level_plays_from_each_rows_next_game_on() -> None:
    task = four(32, opponent_share=1.0)
    start = task.reset(2)
    task.set_difficulty(Difficulty(level=5))
    fresh = np.zeros(32, np.bool_)
    for step in play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 30):
        fresh |= step.terminated
        rungs = task.state_dict()["rung"]
        assert np.array_equal(rungs, np.where(fresh, 5, 0))
    assert fresh.any()


def test_a_level_beyond_the_ladder_is_refused_and_named() -> None:
    with pytest.raises(UsageError, match="0 \\(random\\) to 5 \\(minimax-5\\)"):
        four(2).set_difficulty(Difficulty(level=6))


def test_most_games_start_from_random_plies() -> None:
    task = four(1000, opponent_share=0.0)
    stones = task.reset(3).obs.sum(axis=(1, 2, 3))
    assert 0.08 < np.mean(stones == 0) < 0.12
    assert stones.max() <= 12
    assert len(np.unique(stones)) == 13


def test_a_limit_truncates_with_the_last_position() -> None:
    task = four(2, 3, **ALONE)
    task.reset(1)
    step = columns(task, 0, 1, 2)
    assert step.truncated.all()
    assert not step.terminated.any()
    assert step.final_obs.sum(axis=(1, 2, 3)).tolist() == [3, 3]
    assert step.obs.sum() == 0


def test_a_win_on_the_limits_last_step_is_a_win() -> None:
    task = four(1, 7, **ALONE)
    task.reset(1)
    step = columns(task, 0, 1, 0, 1, 0, 1, 0)
    assert (step.terminated.tolist(), step.truncated.tolist()) == ([True], [False])


class Recorder:
    """A greedy player that keeps what it was shown."""

    def __init__(self, task: Task) -> None:
        self._inner = LinearPlayer(task.spec, 4)
        self.shown: list[Array] = []

    def act(self, obs: Array, mask: Bool | None) -> Int:
        self.shown.append(obs.copy())
        return self._inner.act(obs, mask)

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        return self._inner.probabilities(obs, mask)

    def value(self, obs: Array) -> Float:
        return self._inner.value(obs)


def test_an_evaluation_starts_from_distinct_openings_and_plays_both_sides_of_each() -> None:
    task = four(2)
    player = Recorder(task)
    task.evaluate(player, part="minimax-2", episodes=40, seed=9)
    first = player.shown[0]
    assert len(first) == 40
    mine, answered = first[::2], first[1::2]
    assert len({board.tobytes() for board in mine}) == 20
    assert (answered.sum(axis=(1, 2, 3)) - mine.sum(axis=(1, 2, 3))).tolist() == [1] * 20, "the opponent moved first"


def test_an_evaluation_counts_wins_draws_losses_and_distinct_games() -> None:
    result = four(2).evaluate(RungPlayer(connect_four.BOARD, "minimax-4"), part="minimax-2", episodes=101, seed=9)
    rates = (result.win_rate, result.draw_rate, result.loss_rate)
    assert None not in rates
    assert sum(rate for rate in rates if rate) == pytest.approx(1)
    assert result.episodes == 101
    assert result.ci is not None
    assert result.win_rate is not None
    assert result.ci[0] < result.win_rate < result.ci[1]
    assert result.mean == pytest.approx((result.win_rate or 0) - (result.loss_rate or 0))
    assert result.distinct is not None
    assert 80 < result.distinct <= 101
    assert set(result.frame) <= set("XO. 1234567\n")


def test_wilsons_interval_is_the_one_of_the_books() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == pytest.approx(1)
    assert wilson(0, 0) == (0, 1)


@pytest.mark.parametrize("task_id", ["connect_four", "tictactoe"])
def test_baselines_are_the_rungs_scores_in_the_reference_evaluation(task_id: str) -> None:
    task = tasks.make(task_id, {}, 2)
    board = {"connect_four": connect_four.BOARD, "tictactoe": tictactoe.BOARD}[task_id]
    for rung, score in task.baselines().items():
        player = RungPlayer(board, rung, 1)
        found = [task.evaluate(player, part=part, episodes=200, seed=4).win_rate or 0 for part in task.spec.parts]
        assert np.mean(found) == pytest.approx(score, abs=0.05), rung


def test_an_unknown_opponent_is_refused() -> None:
    task = four(2)
    with pytest.raises(UsageError, match="no opponent 'grandmaster'"):
        task.evaluate(RandomPlayer(task.spec, 1), part="grandmaster", episodes=2, seed=1)


def test_a_reference_evaluation_of_all_rungs_takes_well_under_two_seconds() -> None:
    task = four(2)
    player = RungPlayer(connect_four.BOARD, "1-ply", 1)
    began = time.process_time()
    for part in task.spec.parts:
        task.evaluate(player, part=part, episodes=100, seed=4)
    assert time.process_time() - began < 1.5


def test_state_goes_through_lists_and_tensors_alike() -> None:
    torch: Any = pytest.importorskip("torch")
    task, twin = four(8), four(8)
    start = task.reset(3)
    *_, last = play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 20)
    state = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in task.state_dict().items()}
    twin.load_state_dict(state)
    assert digest(twin.state_dict()) == digest(task.state_dict())
    for a, b in zip(*(play(t, RandomPlayer(t.spec, 2), last.obs, last.mask, 30) for t in (task, twin))):
        assert not difference(a, b)


def test_a_state_of_another_size_or_without_a_part_is_refused() -> None:
    state = four(8).state_dict()
    with pytest.raises(DamagedSession, match="'own' is int64 \\(8,\\), this run needs int64 \\(4,\\)"):
        four(4).load_state_dict(state)
    for key in state:
        with pytest.raises(DamagedSession):
            four(8).load_state_dict({k: v for k, v in state.items() if k != key})


def test_the_picture_shows_board_mover_and_rival() -> None:
    task = four(2, opponent_share=0.5, opening_plies=0)
    task.reset(1)
    columns(task, 3)
    assert task.render_text(0).splitlines()[-3:] == [". . . X . . .", "1 2 3 4 5 6 7", "O to move, against itself"]
    assert task.render_text(1).endswith("against random")
