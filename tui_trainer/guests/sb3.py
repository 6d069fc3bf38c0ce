"""Stable-Baselines3 under the same app: `model.learn(..., callback=Steer("name"))`.

The numbers come from SB3's own logger, evaluations from its EvalCallback where there is one. Orders are met between two
environment steps: a pause waits there, a stop ends `learn` as SB3's callbacks do. What happens between them is SB3's.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.logger import KVWriter
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import FloatSchedule
from stable_baselines3.common.vec_env import VecNormalize

from tui_trainer.guests.guest import Guest, guest, saved

SCORE = "eval/mean_reward"
SETTINGS = (
    "learning_rate", "n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "clip_range", "ent_coef", "vf_coef",
    "max_grad_norm", "target_kl", "buffer_size", "learning_starts", "tau", "train_freq", "gradient_steps",
    "target_update_interval", "exploration_fraction", "exploration_initial_eps", "exploration_final_eps", "seed",
)  # fmt: skip
PLAIN = (bool, int, float, str)


class Steer(BaseCallback):
    """The callback, alone or in a list with others.

    `replay_buffer`: whether a checkpoint of an off-policy algorithm holds its replay buffer. Everything else is
    `guest`'s: settings, sessions, resume and so on. With `resume=True` begin with the model that `restore` gives.
    """

    def __init__(self, name: str = "", *, replay_buffer: bool = True, verbose: int = 0, **wishes: Any) -> None:
        super().__init__(verbose)
        self._name = name
        self._with_buffer = replay_buffer
        self._wishes = wishes
        self._writer: _Writer | None = None
        self.run: Guest | None = None
        """The guest while `learn` goes on."""

    # --- what SB3 calls ------------------------------------------------------------------------------------------

    def _on_training_start(self) -> None:
        model = self.model
        wishes = {
            "config": settings_of(model),
            "task": _environment(model),
            "algorithm": f"sb3.{type(model).__name__}",
            "total_steps": int(getattr(model, "_total_timesteps", 0)),
            "first_step": int(model.num_timesteps),
            "actions": int(getattr(model.action_space, "n", 0)),
            "parameters": sum(p.numel() for p in model.policy.parameters()),
            "device": str(model.device),
            **self._wishes,
        }
        self.run = run = guest(self._name, wishes.pop("config"), **wishes)
        run.open()
        run.checkpoint(self._state)
        for key, (value, apply) in knobs(model).items():
            run.on_set(key, apply, value)
        self._writer = _Writer(run, model, list(_evaluations(self.locals.get("callback"))))
        model.logger.output_formats.append(self._writer)

    def _on_step(self) -> bool:
        run, writer = self.run, self._writer
        if run is None or writer is None:
            return True
        if writer.evaluation is not None:
            writer.tell()
        if run.is_due:
            run.meet()
        return not run.should_stop

    def _on_training_end(self) -> None:
        run, writer = self.run, self._writer
        if run is None or writer is None:
            return
        writer.write(dict(self.model.logger.name_to_value), {})  # of the last update, which SB3 dumps nowhere
        writer.tell()
        run.close()
        if writer in self.model.logger.output_formats:
            self.model.logger.output_formats.remove(writer)

    # --- a checkpoint --------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """Model with optimizer, normalisation, and the replay buffer where it is wanted."""
        model = self.model
        held = io.BytesIO()
        model.save(held)
        state: dict[str, Any] = {"model": held.getvalue(), "num_timesteps": int(model.num_timesteps)}
        normaliser = model.get_vec_normalize_env()
        if normaliser is not None:
            state["vec_normalize"] = pickle.dumps(normaliser)
        if self._with_buffer and isinstance(model, OffPolicyAlgorithm) and model.replay_buffer is not None:
            state["replay_buffer"] = pickle.dumps(model.replay_buffer)
        return state


def restore(name: str, kind: type[BaseAlgorithm], env: Any, *, sessions: str | None = None, **more: Any) -> Any:
    """The model that the newest checkpoint of a session holds, on `env`; None where there is none.

    Then `model.learn(..., reset_num_timesteps=False, callback=Steer(name, resume=True))` goes on. `env` is wrapped in
    the saved VecNormalize where there was one. Loads pickles: only from a session that you trust.
    """
    state = saved(name, sessions)
    if state is None:
        return None
    if "vec_normalize" in state:
        wrapped: VecNormalize = pickle.loads(state["vec_normalize"])
        wrapped.set_venv(env)
        env = wrapped
    model = kind.load(io.BytesIO(state["model"]), env=env, **more)
    if "replay_buffer" in state and isinstance(model, OffPolicyAlgorithm):
        model.replay_buffer = pickle.loads(state["replay_buffer"])
    return model


class _Writer(KVWriter):
    """Takes what SB3's logger dumps; one dump is one update of the run."""

    def __init__(self, run: Guest, model: BaseAlgorithm, evaluations: list[EvalCallback]) -> None:
        self._run = run
        self._model = model
        self._evaluations = evaluations
        self.evaluation: float | None = None
        """The mean return of an evaluation that is not told yet."""

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """The numbers of one dump. Speed and steps are measured by us; the score is told as an evaluation."""
        if SCORE in key_values:
            self.evaluation = float(key_values[SCORE])
        numbers = {
            key: value
            for key, value in key_values.items()
            if key != SCORE and not key.startswith("time/") and not isinstance(value, str)
        }
        if numbers:
            episodes = int(getattr(self._model, "_episode_num", 0)) or None
            self._run.log(int(self._model.num_timesteps), numbers, episodes=episodes)

    def tell(self) -> None:
        """The evaluation with every episode's return where EvalCallback keeps them (`log_path`), else its mean."""
        score, self.evaluation = self.evaluation, None
        if score is None:
            return
        found = next((each for each in self._evaluations if each.last_mean_reward == score), None)
        if found is not None and found.log_path is not None and found.evaluations_results:
            self._run.evaluated(found.evaluations_results[-1])
        else:
            self._run.evaluated(score, 0.0, 1 if found is None else found.n_eval_episodes)

    def close(self) -> None:
        """Nothing is held."""


def _evaluations(callback: object) -> Iterator[EvalCallback]:
    """The EvalCallbacks among the callbacks of `learn`."""
    if isinstance(callback, EvalCallback):
        yield callback
    for each in getattr(callback, "callbacks", ()):
        yield from _evaluations(each)


def knobs(model: BaseAlgorithm) -> dict[str, tuple[float, Callable[[float], None]]]:
    """What may be set while a model learns: by name, the value now and how it is set. A schedule gives way to it."""
    found: dict[str, tuple[float, Callable[[float], None]]] = {}
    left = model._current_progress_remaining

    def set_rate(value: float) -> None:
        model.learning_rate, model.lr_schedule = value, FloatSchedule(value)

    def set_clip(value: float) -> None:
        model.clip_range = FloatSchedule(value)  # type: ignore[attr-defined]

    def set_entropy(value: float) -> None:
        model.ent_coef = value  # type: ignore[attr-defined]
        if hasattr(model, "ent_coef_tensor"):
            model.ent_coef_tensor.fill_(value)

    found["learning_rate"] = model.lr_schedule(left), set_rate
    if callable(clip := getattr(model, "clip_range", None)):
        found["clip_range"] = float(clip(left)), set_clip
    if isinstance(entropy := getattr(model, "ent_coef", None), (int, float)):
        found["ent_coef"] = float(entropy), set_entropy
    return found


def settings_of(model: BaseAlgorithm) -> dict[str, Any]:
    """The model's hyperparameters, for the record; a schedule as its value at the start."""
    table: dict[str, Any] = {"policy": type(model.policy).__name__, "n_envs": model.n_envs}
    for name in SETTINGS:
        value = getattr(model, name, None)
        if isinstance(value, FloatSchedule):
            value = value(1.0)
        if value is not None:
            table[name] = value if isinstance(value, PLAIN) else str(value)
    return table


def _environment(model: BaseAlgorithm) -> str:
    """The environment's registered id, or the algorithm's name where it has none."""
    env = model.get_env()
    try:
        spec = env.get_attr("spec")[0] if env is not None else None
    except AttributeError:
        spec = None
    return str(getattr(spec, "id", "") or type(model).__name__)


__all__ = ["Steer", "knobs", "restore", "settings_of"]
