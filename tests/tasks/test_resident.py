"""Connect Four on a device without a wait for the host: the games are those of numpy, given openings and actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tui_trainer import tasks
from tui_trainer.core.protocols import Step, TensorStep, TensorTask
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import DamagedSession
from tui_trainer.tasks.arrays import Array, generator_of
from tui_trainer.tasks.boards.openings import Openings
from tui_trainer.tasks.boards.resident import ResidentBoardTask
from tui_trainer.tasks.boards.rungs import choose, one_ply_scores
from tui_trainer.tasks.boards.search import move_scores
from tui_trainer.tasks.boards.tensors import TensorBoard
from tui_trainer.tasks.connect_four import BOARD, LADDER

no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, no_gpu])])
STEPS = 40


class Bank:
    """A supply of openings for numpy's task: those that the device has drawn."""

    def __init__(self, bank: Array) -> None:
        self._bank, self._next = bank, 0

    def take(self, count: int) -> Openings:
        own, other, to_move = self._bank[:, (self._next + np.arange(count)) % self._bank.shape[1]]
        self._next += count
        return Openings(own, other, to_move.astype(np.int8))


def four(num_envs: int, limit: int = 0, level: int = 0, **options: Any) -> Any:
    task: Any = tasks.make("connect_four", options, num_envs, limit)
    task.set_difficulty(Difficulty(level=level))
    return task


def on(device: str, num_envs: int, limit: int = 0, level: int = 0, **options: Any) -> ResidentBoardTask:
    task = four(num_envs, limit, level, backend="torch", device=device, **options)
    assert isinstance(task, ResidentBoardTask)
    return task


def require_same(there: TensorStep, here: Step) -> None:
    """Every field; what the device leaves out was nothing."""
    for name in ("obs", "reward", "terminated", "truncated", "mask", "to_move", "outcome"):
        found, wanted = getattr(there, name).cpu().numpy(), getattr(here, name)
        assert found.dtype == wanted.dtype, name
        np.testing.assert_array_equal(found, wanted, err_msg=name)
    if there.final_obs is None or there.final_to_move is None:
        assert not here.truncated.any()
        return
    np.testing.assert_array_equal(there.final_obs.cpu().numpy(), here.final_obs)
    np.testing.assert_array_equal(there.final_to_move.cpu().numpy(), here.final_to_move)


def play(task: TensorTask, mask: torch.Tensor, steps: int, seed: int) -> list[TensorStep]:
    """Random legal actions."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(steps):
        luck = torch.from_numpy(rng.random(tuple(mask.shape), np.float32)).to(mask.device)
        found.append(task.step_tensors((luck * mask).argmax(1)))
        mask = found[-1].mask
    return found


@devices
@pytest.mark.parametrize(
    ("share", "level", "limit", "plies"),
    [(0.0, 0, 0, 12), (0.0, 0, 7, 4), (0.5, 2, 0, 12), (0.6, 3, 5, 0), (1.0, 4, 0, 20)],
)
def test_the_device_plays_the_games_of_numpy(device: str, share: float, level: int, limit: int, plies: int) -> None:
    """Opponents that search draw nothing at random: their rows are equal, too."""
    options = {"opponent_share": share, "opening_plies": plies}
    here, there = four(9, limit, level, **options), on(device, 9, limit, level, **options)
    first, begun = here.reset(5), there.reset_tensors(5)
    np.testing.assert_array_equal(begun.obs.cpu().numpy(), first.obs)
    there.prepare(STEPS)
    here._stock = Bank(there._bank.cpu().numpy())
    rng, mask = np.random.default_rng(1), first.mask
    for _ in range(STEPS):
        action = (rng.random(mask.shape) * mask).argmax(1)
        step = here.step(action)
        require_same(there.step_tensors(torch.from_numpy(action).to(device)), step)
        mask = step.mask


def reply(before: Array, action: int, after: Array) -> int | None:
    """The column that the opponent chose between two observations of the learner; None where a game ended."""
    own, other = (after[side].reshape(-1).astype(bool) for side in (0, 1))
    old_own, old_other = (before[side].reshape(-1).astype(bool) for side in (0, 1))
    mine, theirs = np.flatnonzero(own & ~old_own), np.flatnonzero(other & ~old_other)
    assert mine.tolist() == [cell for cell in mine if cell % 7 == action]
    return int(theirs[0]) % 7 if len(mine) == len(theirs) == 1 else None


@pytest.mark.parametrize("level", [0, 1])
def test_random_and_1_ply_answer_as_their_rungs_do(level: int) -> None:
    """Legal, the best by the rung's scores, and among equals now this, now that."""
    task = on("cpu", 32, level=level, opponent_share=1.0)
    step = task.reset_tensors(3)
    task.prepare(STEPS)
    chosen: list[int] = []
    for _ in range(STEPS):
        before, mask = step.obs.numpy(), step.mask
        action = torch.where(mask, torch.rand(mask.shape), 0).argmax(1)
        own, other = BOARD.stones(before)
        mine = own | BOARD.playable(own | other) & BOARD.targets[action.numpy()]
        free = np.where(BOARD.mask(BOARD.playable(other | mine)), 0, -128)
        scores = one_ply_scores(BOARD, other, mine) if level else free
        step = task.step_tensors(action)
        for row in np.flatnonzero(~(step.terminated | step.truncated).numpy()):
            column = reply(before[row], int(action[row]), step.obs.numpy()[row])
            assert column is not None
            assert scores[row, column] == scores[row].max() > -128
            chosen.append(column)
    assert len(set(chosen)) == 7


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_search_on_a_device_scores_as_the_search_on_the_cpu(depth: int) -> None:
    board, rng = TensorBoard(BOARD, torch.device("cpu")), np.random.default_rng(depth)
    task = four(64, opponent_share=0.0, opening_plies=20)
    task.reset(depth)
    for _ in range(6):
        mask = task._board.mask(task._playable)
        task.step((rng.random(mask.shape) * mask).argmax(1))
    own, other = task._own, task._other
    found = board.move_scores(torch.from_numpy(own), torch.from_numpy(other), depth)
    np.testing.assert_array_equal(found.numpy(), move_scores(BOARD, own, other, depth))


def test_the_search_on_a_device_breaks_ties_as_on_the_cpu() -> None:
    task = on("cpu", 200, opening_plies=16)
    task.reset(2)
    level = LADDER.index("minimax-2")
    chosen = task._chosen_there(level, task._games.own, task._games.other)
    wanted = choose(BOARD, "minimax-2", task._own, task._other, generator_of(0))
    np.testing.assert_array_equal(chosen.numpy(), wanted)


def test_openings_are_quiet_positions_of_the_asked_kind() -> None:
    task = on("cpu", 8, opening_plies=6, opening_share=0.5)
    task.reset_tensors(1)
    own, other, to_move = task._openings(4000).numpy()
    stones = [np.bitwise_count(part) for part in (own, other)]
    assert not (own & other).any()
    assert not (BOARD.has_line(own) | BOARD.has_line(other)).any()
    np.testing.assert_array_equal(stones[1] - stones[0], to_move)
    plies = stones[0] + stones[1]
    assert plies.max() == 6
    assert 0.4 < (plies == 0).mean() < 0.6


def test_a_level_that_changes_on_the_way_is_played_from_each_next_game_on() -> None:
    task = on("cpu", 40, opponent_share=0.5)
    mask = task.reset_tensors(1).mask
    task.prepare(STEPS)
    before = task.tensor_key
    task.set_difficulty(Difficulty(level=3))
    assert task.tensor_key != before
    play(task, mask, STEPS, 2)
    assert set(task._games.rung[20:].tolist()) == {3}
    task.prepare(STEPS)
    assert task.tensor_key == (3,)


@devices
def test_a_state_goes_on_bit_for_bit(device: str) -> None:
    one, two = (on(device, 16, opponent_share=0.5, level=1) for _ in range(2))
    mask = one.reset_tensors(4).mask
    one.prepare(STEPS)
    play(one, mask, 20, 1)
    two.reset_tensors(9)
    two.prepare(STEPS)
    two.load_state_dict(one.state_dict())
    mask = one._mask()
    for a, b in zip(play(one, mask, 30, 2), play(two, mask, 30, 2), strict=True):
        for x, y in zip(a, b, strict=True):
            assert x is y is None or torch.equal(x, y)


def test_a_state_of_numpy_goes_on_on_the_device_and_back() -> None:
    here, there = four(8), on("cpu", 8)
    here.reset(1)
    there.reset_tensors(2)
    there.prepare(STEPS)
    there.load_state_dict(here.state_dict())
    np.testing.assert_array_equal(there._games.own.numpy(), here._own)
    play(there, there._mask(), 10, 3)
    here.load_state_dict(there.state_dict())
    np.testing.assert_array_equal(there._games.own.numpy(), here._own)


def test_a_state_of_another_bank_is_refused() -> None:
    one, two = on("cpu", 512), on("cpu", 512)
    for task, steps in ((one, 64), (two, 128)):
        task.reset_tensors(1)
        task.prepare(steps)
    with pytest.raises(DamagedSession, match="openings"):
        two.load_state_dict(one.state_dict())


def test_tensors_stay_where_they_are() -> None:
    """What a recorded step knows by address."""
    task = on("cpu", 8, opponent_share=0.5)
    mask = task.reset_tensors(1).mask
    task.prepare(STEPS)

    def places() -> list[int]:
        return [part.data_ptr() for part in (*task._games, task._bank, task._cursor, task._level_there)]

    before = places()
    play(task, mask, 5, 1)
    task.set_difficulty(Difficulty(level=1))
    task.prepare(STEPS)
    task.load_state_dict(task.state_dict())
    assert places() == before
