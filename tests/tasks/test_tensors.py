"""Connect Four on torch plays the games that it plays on numpy, move by move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer import tasks
from tui_trainer.algorithms import build
from tui_trainer.core.config import Layer, resolve
from tui_trainer.core.protocols import Task
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import UsageError
from tui_trainer.tasks import connect_four
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.boards.tensors import TensorBoard

no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, no_gpu])])


def four(backend: str, num_envs: int = 8, limit: int = 0, **options: object) -> Task:
    return tasks.make("connect_four", {"backend": backend, **options}, num_envs, limit)


def require_same(one: Any, two: Any) -> None:
    """Every field of two steps, resets or states: type, shape and bits."""
    for name, a, b in [(n, one[n], two[n]) for n in one] if isinstance(one, dict) else zip(one._fields, one, two):
        if isinstance(a, np.ndarray):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), name
            np.testing.assert_array_equal(a, b, err_msg=name)
        else:
            assert a == b, name


def play_both(one: Task, two: Task, mask: Array, plies: int, seed: int) -> Array:
    """The same random legal actions in both; the last mask."""
    rng = np.random.default_rng(seed)
    for _ in range(plies):
        action = (rng.random(mask.shape) * mask).argmax(1)
        step = one.step(action)
        require_same(step, two.step(action))
        mask = step.mask
    return mask


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    level=st.integers(0, 3),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    plies=st.integers(0, 20),
    limit=st.sampled_from([0, 9]),
)
def test_both_backends_play_the_same_games(seed: int, level: int, share: float, plies: int, limit: int) -> None:
    options: dict[str, Any] = {"opponent_share": share, "opening_plies": plies}
    numpy, torched = four("numpy", 5, limit, **options), four("torch", 5, limit, **options)
    for task in (numpy, torched):
        task.set_difficulty(Difficulty(level=level))
    first = numpy.reset(seed)
    require_same(first, torched.reset(seed))
    play_both(numpy, torched, first.mask, 50, seed)
    require_same(numpy.state_dict(), torched.state_dict())
    assert numpy.render_text(4) == torched.render_text(4)


@devices
def test_levels_that_change_on_the_way_are_played_alike_on_every_device(device: str) -> None:
    numpy, torched = four("numpy", 64, opponent_share=0.5), four("torch", 64, opponent_share=0.5, device=device)
    first = numpy.reset(1)
    require_same(first, torched.reset(1))
    mask = first.mask
    for level in (1, 0, 2):
        for task in (numpy, torched):
            task.set_difficulty(Difficulty(level=level))
        mask = play_both(numpy, torched, mask, 12, level)


@pytest.mark.parametrize(("saved", "loaded"), [("numpy", "torch"), ("torch", "numpy"), ("torch", "torch")])
def test_a_checkpoint_of_either_backend_goes_on_in_either(saved: str, loaded: str) -> None:
    here, there = four(saved, opponent_share=0.5), four(loaded, opponent_share=0.5)
    first = here.reset(4)
    mask = first.mask
    for action in np.random.default_rng(1).random((30, *mask.shape)):
        mask = here.step((action * mask).argmax(1)).mask
    there.load_state_dict(here.state_dict())
    play_both(here, there, mask, 40, 2)


@devices
def test_winning_cells_and_planes_are_those_of_the_geometry(device: str) -> None:
    board = connect_four.BOARD
    tensors = TensorBoard(board, torch.device(device))
    stones = np.random.default_rng(3).integers(0, int(board.full), (2, 500))
    own, other = stones[0] & ~stones[1], stones[1] & ~stones[0]
    sent = [torch.from_numpy(part).to(device) for part in (own, other)]
    np.testing.assert_array_equal(tensors.winning_cells(sent[0]).cpu(), board.winning_cells(own))
    np.testing.assert_array_equal(tensors.has_line(sent[0]).cpu(), board.has_line(own))
    np.testing.assert_array_equal(tensors.planes(*sent).cpu(), board.planes(own, other))


def test_an_illegal_action_is_refused_in_the_same_words() -> None:
    words = []
    for backend in ("numpy", "torch"):
        task = four(backend, 2, opening_share=0.0, opponent_share=0.0)
        task.reset(1)
        for _ in range(6):
            task.step(np.zeros(2, np.int64))
        with pytest.raises(UsageError) as refused:
            task.step(np.array([1, 0]))
        words.append(str(refused.value))
    assert words[0] == words[1]


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"task\.device: 'nowhere'"):
        four("torch", device="nowhere")


def test_a_run_has_the_same_bits_on_either_backend() -> None:
    ppo = {"num_envs": 16, "n_steps": 16, "batch_size": 64, "n_epochs": 1, "hidden": [16], "pool_every": 1}
    config = resolve([Layer("test", {"ppo": ppo})]).config
    found = []
    for backend in ("numpy", "torch"):
        learner = build("ppo", four(backend, 16), config, "cpu")
        for _ in range(3):
            learner.collect(1e9)
            learner.learn()
        found.append(learner.state_dict()["parameters"])
    assert torch.equal(*found)


@pytest.mark.gpu
@no_gpu
def test_games_and_network_on_the_gpu_train_together_and_repeat() -> None:
    ppo = {"num_envs": 64, "n_steps": 16, "batch_size": 256, "n_epochs": 2, "hidden": [64]}
    config = resolve([Layer("test", {"ppo": ppo})]).config
    found = []
    for _ in range(2):
        learner = build("ppo", four("torch", 64, device="cuda"), config, "cuda")
        for _ in range(3):
            learner.collect(1e9)
            learner.learn()
        found.append(learner.state_dict()["parameters"])
    assert torch.equal(*found)
