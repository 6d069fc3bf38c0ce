"""An exported model acts as its policy, for every network and kind of action, and says what it is."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.algorithms.helpers import settings, update
from tests.algorithms.probes import Aim, Copy, Masked, Nim
from tests.algorithms.test_ppo import Corner
from tui_trainer import tasks
from tui_trainer.algorithms import build
from tui_trainer.algorithms.onnx_check import compare
from tui_trainer.algorithms.onnx_graph import model_of

PPO = {"num_envs": 16, "n_steps": 16, "batch_size": 64, "hidden": [16, 12]}
DQN = {"num_envs": 16, "train_freq": 64, "learning_starts": 0, "batch_size": 32, "hidden": [16], "buffer_size": 500}
CASES = {
    "mlp": ("ppo", Copy, {}),
    "mlp masked": ("ppo", Masked, {"shared": True, "activation": "relu"}),
    "mlp normalised": ("ppo", Copy, {"normalize_observations": True}),
    "box": ("ppo", Aim, {}),
    "box squashed": ("ppo", Aim, {"squash_output": True}),
    "conv": ("ppo", Corner, {"network": "conv"}),
    "conv board": ("ppo", lambda: tasks.make("connect_four", {}, 16), {"network": "conv"}),
    "lines": ("ppo", lambda: tasks.make("connect_four", {}, 16), {"network": "lines"}),
    "lines small": ("ppo", lambda: tasks.make("tictactoe", {}, 16), {"network": "lines", "shared": True}),
    "planes": ("ppo", lambda: Planes(), {"network": "planes", "hidden": [6, 6]}),
    "moves": ("ppo", lambda: Planes(), {"network": "moves", "hidden": [6, 6]}),
    "dqn": ("dqn", Nim, {}),
    "dqn dueling": ("dqn", Nim, {"dueling": True}),
}


class Planes(Masked):
    """Two planes of actions over a board of 3 x 4; the mask is noise."""

    n = 24

    def __init__(self) -> None:
        super().__init__()
        fields = {f: getattr(self.spec, f) for f in self.spec.__struct_fields__}
        self.spec = type(self.spec)(
            **fields | {"obs_shape": (2, 3, 4), "action_planes": 2, "action_steps": ((1, 1), (0, 0))}
        )

    def observe(self):
        return self.rng.integers(0, 2, (16, 2, 3, 4)).astype(np.uint8)

    def legal(self):
        return np.concatenate([np.ones((16, 1), np.bool_), self.rng.random((16, 23)) < 0.5], 1)

    def play(self, action):
        return action / 24.0, ~self._none(), self._none()


def trained(case: str):
    algorithm, task, changes = CASES[case]
    made = task()
    learner = build(algorithm, made, settings(**{algorithm: (PPO if algorithm == "ppo" else DQN) | changes}), "cpu")
    for _ in range(3):
        update(learner)
    return made, learner.policy()


@pytest.mark.parametrize("case", CASES)
def test_the_model_acts_as_the_policy_on_a_thousand_observations(case):
    task, policy = trained(case)
    found = compare(model_of(policy, task.spec, {}), policy, task, 1000, seed=3)
    assert (found.observations, found.equal) == (1000, 1000)
    assert found.difference < 1e-5


def test_another_policys_model_is_told_apart():
    task, policy = trained("conv board")
    _, other = trained("lines")
    found = compare(model_of(other, task.spec, {}), policy, task, 1000, seed=3)
    assert found.equal < 1000
    assert found.difference > 1e-4


def test_images_of_bytes_are_scaled():
    spec = Masked().spec
    images = type(spec)(
        **{f: getattr(spec, f) for f in spec.__struct_fields__} | {"obs_binary": False, "obs_shape": (1, 5, 5)}
    )

    class Images(Masked):
        def __init__(self) -> None:
            super().__init__()
            self.spec = images

        def observe(self):
            return self.rng.integers(0, 256, (16, 1, 5, 5)).astype(np.uint8)

    task = Images()
    policy = build("ppo", task, settings(ppo=PPO | {"network": "conv"}), "cpu").policy()
    found = compare(model_of(policy, task.spec, {}), policy, task, 200, seed=3)
    assert found.equal == 200
    assert found.difference < 1e-5


def test_the_model_names_its_inputs_outputs_and_where_it_came_from():
    task, policy = trained("lines")
    data = model_of(policy, task.spec, {"task": "connect_four"})
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape, i.type) for i in session.get_inputs()] == [
        ("obs", ["batch", 2, 6, 7], "tensor(uint8)"), ("mask", ["batch", 7], "tensor(bool)"),
    ]  # fmt: skip
    assert [o.name for o in session.get_outputs()] == ["action", "probabilities", "value"]
    assert {p.key: p.value for p in onnx.load_from_string(data).metadata_props} == {"task": "connect_four"}


def test_one_observation_and_many_are_the_same():
    task, policy = trained("mlp")
    session = onnxruntime.InferenceSession(model_of(policy, task.spec, {}), providers=["CPUExecutionProvider"])
    obs = np.linspace(-2, 2, 50, dtype=np.float32)[:, None]
    whole = session.run(["value"], {"obs": obs})[0]
    one = np.concatenate([session.run(["value"], {"obs": row[None]})[0] for row in obs])
    np.testing.assert_allclose(one, whole, rtol=1e-5)
