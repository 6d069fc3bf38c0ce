"""The real Stable-Baselines3, steered."""

from __future__ import annotations

import runpy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

pytest.importorskip("stable_baselines3")

from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tests.guests.loops import QUIET, status, told
from tui_trainer.client.orders import new_id, order
from tui_trainer.core import commands
from tui_trainer.guests.sb3 import Steer, restore
from tui_trainer.sessions.store import Session

PPO_TINY: dict[str, Any] = {"n_steps": 32, "batch_size": 32, "n_epochs": 1, "seed": 1, "device": "cpu"}


def cartpole() -> DummyVecEnv:
    from stable_baselines3.common.monitor import Monitor

    return DummyVecEnv([lambda: Monitor(gymnasium.make("CartPole-v1"))])


def steer(root: Path, **more: Any) -> Steer:
    return Steer("a", sessions=str(root), settings=QUIET, **more)


class Another(BaseCallback):
    """Another terminal: its orders are given once learning is under way."""

    def __init__(self, steer: Steer, work: Callable[[], Any]) -> None:
        super().__init__()
        self._steer = steer
        self._thread = threading.Thread(target=self._work)
        self._given = work
        self.came: Any = None

    def _work(self) -> None:
        self.came = self._given()

    def _on_step(self) -> bool:
        if self.num_timesteps >= 40 and self._thread.ident is None:
            self._thread.start()
        return True

    def _on_training_end(self) -> None:
        self._thread.join()


def test_ppo_is_recorded_with_its_own_numbers_and_evaluations(tmp_path: Path) -> None:
    model = PPO("MlpPolicy", cartpole(), **PPO_TINY)
    judge = EvalCallback(cartpole(), n_eval_episodes=3, eval_freq=48, log_path=str(tmp_path / "log"), verbose=0)
    model.learn(192, callback=[steer(tmp_path), judge])
    file = Session.open(tmp_path / "a").read()
    assert (file.task, file.algorithm) == ("guest:CartPole-v1", "sb3.PPO")
    assert (file.status.state, file.status.global_step) == ("ended", 192)
    assert (file.config["task"]["n_steps"], file.config["task"]["learning_rate"]) == (32, 3e-4)
    seen = {name for e in told(tmp_path, "UpdateFinished") for name in e["metrics"]}
    assert {"train/loss", "train/approx_kl", "rollout/ep_rew_mean", "train/clip_fraction"} <= seen
    evaluations = [e["result"] for e in told(tmp_path, "EvaluationFinished")]
    assert len(evaluations) == 4
    assert [e["mean"] for e in evaluations] == [sum(r) / 3 for r in judge.evaluations_results]
    assert evaluations[0]["max"] == max(judge.evaluations_results[0])
    assert file.checkpoints["best"]


def test_learning_is_the_same_with_and_without_it(tmp_path: Path) -> None:
    def weights(callback: Any) -> list[Any]:
        model = PPO("MlpPolicy", cartpole(), **PPO_TINY)
        model.learn(128, callback=callback)
        return [p.detach().clone() for p in model.policy.parameters()]

    assert all(bool((a == b).all()) for a, b in zip(weights(None), weights(steer(tmp_path)), strict=True))


def test_orders_pause_it_set_it_save_it_and_stop_it_and_it_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    def give_orders() -> list[str]:
        said = [order(tmp_path / "a", commands.Pause(id=new_id()))]
        for key, value in (("learning_rate", 1e-4), ("clip_range", 0.1), ("ent_coef", 0.02)):
            said.append(order(tmp_path / "a", commands.SetSetting(id=new_id(), key=key, value=value)))
        said.append(order(tmp_path / "a", commands.SaveCheckpoint(id=new_id())))
        said.append(order(tmp_path / "a", commands.Resume(id=new_id())))
        said.append(order(tmp_path / "a", commands.Stop(id=new_id())))
        return said

    model = PPO("MlpPolicy", VecNormalize(cartpole()), **PPO_TINY)
    callback = steer(tmp_path)
    other = Another(callback, give_orders)
    model.learn(10**9, callback=[callback, other])
    assert len(other.came) == 7
    assert (model.lr_schedule(1.0), model.clip_range(1.0), model.ent_coef) == (1e-4, 0.1, 0.02)
    assert status(tmp_path).termination_reason == "user"
    assert [e["kind"] for e in told(tmp_path, "CheckpointSaved")] == ["manual", "final"]

    again = restore("a", PPO, cartpole(), sessions=str(tmp_path))
    assert again.num_timesteps == model.num_timesteps
    assert all(bool((a == b).all()) for a, b in zip(model.policy.parameters(), again.policy.parameters(), strict=True))
    assert again.policy.optimizer.state_dict()["state"].keys() == model.policy.optimizer.state_dict()["state"].keys()
    before, after = model.get_vec_normalize_env(), again.get_vec_normalize_env()
    assert before is not None
    assert after.obs_rms.mean.tolist() == before.obs_rms.mean.tolist()
    again.learn(64, reset_num_timesteps=False, callback=steer(tmp_path, resume=True))
    assert status(tmp_path).global_step == again.num_timesteps > model.num_timesteps
    assert len(told(tmp_path, "RunResumed")) == 1


def test_an_off_policy_checkpoint_holds_the_replay_buffer(tmp_path: Path) -> None:
    tiny: dict[str, Any] = {"buffer_size": 500, "learning_starts": 20, "batch_size": 8, "device": "cpu"}
    model = DQN("MlpPolicy", cartpole(), **tiny)
    model.learn(200, callback=steer(tmp_path), log_interval=1)
    again = restore("a", DQN, cartpole(), sessions=str(tmp_path))
    assert again.replay_buffer.size() == model.replay_buffer.size() == 200
    assert "rollout/exploration_rate" in told(tmp_path, "UpdateFinished")[0]["metrics"]
    assert status(tmp_path).termination_reason == "finished"
    assert restore("nobody", DQN, cartpole(), sessions=str(tmp_path)) is None


@pytest.mark.long
def test_the_example_learns_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parents[2] / "examples" / "guests" / "sb3_ppo.py"
    monkeypatch.setenv("TUI_TRAINER_SESSIONS", str(tmp_path))
    example = runpy.run_path(str(path))["main"]
    example(["--steps=1024", f"--log={tmp_path / 'log'}"])
    example(["--steps=2048", f"--log={tmp_path / 'log'}", "--resume"])
    assert status(tmp_path, "sb3").global_step == 2048
    assert len(told(tmp_path, "EvaluationFinished", "sb3")) == 0  # every 1,000 calls of 8 environments: none so early
