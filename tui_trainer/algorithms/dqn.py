"""Deep Q-learning, Mnih et al. 2015, and what Hessel et al. 2018 add to it, each a setting of its own: double
estimates (van Hasselt et al. 2016), duelling networks (Wang et al. 2016), n-step targets, prioritised replay (Schaul
et al. 2016).

An update: `collect` steps num_envs environments until about train_freq transitions are in the replay buffer; `learn`
does gradient_steps minibatches on it. Runs in numpy on the CPU, where networks of this size are fastest. In a
two-player task an action's value is the mover's, so what the other side can then get counts against it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from tui_trainer.algorithms.arrays import (
    Array,
    Bool,
    Float,
    generator_of,
    generator_state,
    later_seed,
    load_generator,
    load_parameters,
    require_algorithm,
    require_finite,
    take,
    take_array,
)
from tui_trainer.algorithms.collector import Collector, counted_by_ranks
from tui_trainer.algorithms.live import Live
from tui_trainer.algorithms.mlp import FORBIDDEN, Adam, MlpForward, Shape, Tape, clip_norm
from tui_trainer.algorithms.policies import GreedyPolicy, Inputs
from tui_trainer.algorithms.replay import Replay
from tui_trainer.algorithms.transitions import Joiner, Transitions, stretch_of
from tui_trainer.core.config import Config, DQNSettings
from tui_trainer.core.protocols import Policy, Task
from tui_trainer.core.reports import CollectReport, UpdateReport
from tui_trainer.core.values import Metrics
from tui_trainer.errors import ConfigError, Diverged

if TYPE_CHECKING:
    from tui_trainer.algorithms.group import Group

_LIVE = ("learning_rate", "gamma", "tau", "max_grad_norm", "exploration_final_eps")
_EPS = 1e-8
_ANNEALING = 50_000
"""Steps that exploration and priorities anneal over where max_steps is no limit."""


class DQN:
    """A learner, see core.protocols.Learner."""

    def __init__(self, task: Task, config: Config, device: str) -> None:
        spec, settings, seed = task.spec, config.dqn, config.run.seed
        if spec.action != "discrete":
            raise ConfigError(f"dqn needs discrete actions, {spec.id} has a box", 'set run.algorithm = "ppo"')
        self._spec, self._device = spec, device
        self._live = Live(settings, "dqn", _LIVE)
        inputs, duels = int(np.prod(spec.obs_shape)), settings.dueling
        self._shape = Shape(inputs, spec.n, settings.hidden, "relu", shared=not duels, box=False, critic=duels)
        self._flat = self._shape.initial(generator_of(seed, 0))
        self._target = self._flat.copy()
        self._tape = Tape(self._shape, self._flat)
        self._online, self._aim = MlpForward(self._shape, self._flat), MlpForward(self._shape, self._target)
        self._adam = Adam(self._flat, eps=_EPS)
        self._explore, self._draw = generator_of(seed, 1), generator_of(seed, 2)
        self._inputs = Inputs(spec, None)
        self._joiner = Joiner(spec, settings.n_steps)
        self._replay = Replay(spec, settings.buffer_size, _priorities(settings))
        self._collector = Collector(task, -(-settings.train_freq // spec.num_envs), seed)
        self._rollout = self._collector.rollout
        self._limit = config.manager.termination.max_steps or _ANNEALING
        self._target_updates = 0
        self._before = 0
        """Steps before the rollout that is being filled, of all ranks."""
        self._refilled_from = 0
        """Steps at which the buffer was empty: above 0 in a fork of a file that was taken away from its buffer."""
        self._seed = seed
        self._group: Group | None = None
        self._gradient = torch.from_numpy(self._tape.gradient)

    @property
    def _settings(self) -> DQNSettings:
        return self._live.settings

    @property
    def parameters_count(self) -> int:
        return len(self._flat)

    @property
    def steps_per_update(self) -> int:
        return self._spec.num_envs * self._rollout.length

    @property
    def notes(self) -> tuple[str, ...]:
        path = "hand-derived gradients (numpy)"
        return (path,) if self._device == "cpu" else (path, f"dqn runs on the CPU, not on {self._device}")

    # --- collect -----------------------------------------------------------------------------------------------

    def collect(self, budget_s: float) -> CollectReport:
        """Step the environments until the update's transitions are there or the budget is spent."""
        return self._collector.collect(budget_s, self._act)

    def _act(self) -> tuple[Array, Array]:
        """Greedy actions, and with probability epsilon any legal one."""
        t = self._rollout.t
        x = self._inputs(self._rollout.obs[t])
        mask = None if self._rollout.mask is None else self._rollout.mask[t]
        values = self._online.action_values(x)
        if not math.isfinite(np.vdot(values, values)):  # as PPO's
            require_finite(x, "an observation is")
            require_finite(values, "an action value is")
        draws = self._explore.random((len(x), 1 + self._spec.n), np.float32)
        greedy = _legal(values, mask).argmax(1)
        anything = _legal(draws[:, 1:], mask).argmax(1)
        action = np.where(draws[:, 0] < self._epsilon(), anything, greedy)
        return action, action

    def _epsilon(self) -> float:
        """The share of random actions, annealed linearly over the first steps."""
        s = self._settings
        steps = s.exploration_steps or round(s.exploration_fraction * self._limit)
        return self._annealed(s.exploration_initial_eps, s.exploration_final_eps, steps)

    def _annealed(self, first: float, last: float, steps: int) -> float:
        """From first to last within so many steps; constant within an update, so that slices change nothing."""
        return first + (last - first) * (min(1.0, self._before / steps) if steps else 1.0)

    # --- learn -------------------------------------------------------------------------------------------------

    def learn(self) -> UpdateReport:
        """Take the rollout into the buffer, then gradient_steps minibatches once learning_starts is passed."""
        start, waited = perf_counter(), self._waited
        self._require_sound()
        metrics: Metrics = {"rollout/exploration_rate": self._epsilon()}
        s = self._settings
        self._replay.add(self._joiner(stretch_of(self._rollout, self._spec), s.gamma))
        steps, size = self._counts()
        if steps - self._refilled_from >= s.learning_starts and size:
            rate = self._learning_rate()
            metrics |= _means([self._step(rate) for _ in range(s.gradient_steps)])
            metrics["train/learning_rate"] = rate
            self._follow(steps)
        self._before = steps
        self._rollout.restart()
        seconds = {"learn": perf_counter() - start}
        if self._group is not None:
            seconds = {"learn": seconds["learn"] - self._waited + waited, "sync": self._waited - waited}
        return UpdateReport(metrics=metrics, seconds=seconds)

    def _require_sound(self) -> None:
        """Rewards, and observations before an exchange. Raises Diverged on all ranks where it does on one."""
        if self._group is None:
            self._require_sound_rewards()
        else:
            self._group.agree(self._require_all_sound)

    def _require_sound_rewards(self) -> None:
        require_finite(self._rollout.reward[self._rollout.valid], "a reward is")

    def _require_all_sound(self) -> None:
        self._require_sound_rewards()
        require_finite(self._rollout.obs, "an observation is")

    def _counts(self) -> tuple[int, int]:
        """Steps of all ranks, and the size of the smallest buffer."""
        if self._group is None:
            return self._collector.steps, self._replay.size
        told = self._group.every(np.array([self._collector.steps, self._replay.size], np.float64))
        return int(sum(steps for steps, _ in told)), int(min(size for _, size in told))

    def _learning_rate(self) -> float:
        """As set, or on its way from there to its last value: with noisy targets the policy swings less at the end."""
        s = self._settings
        if not s.learning_rate_steps:
            return s.learning_rate
        return self._annealed(s.learning_rate, min(s.learning_rate, s.learning_rate_final), s.learning_rate_steps)

    def _step(self, rate: float) -> tuple[float, float, float]:
        """One minibatch; returns loss, mean action value and the gradient's norm. Raises Diverged before a bad step.

        Loss: the mean of w * huber(Q(s, a) - target), w = 1 where replay has no priorities.
        """
        s = self._settings
        drawn = self._replay.sample(self._draw, s.batch_size, self._beta())
        x, action, columns = self._inputs(drawn.rows.obs), drawn.rows.action, np.arange(s.batch_size)
        targets = self._targets(drawn.rows)
        activations = self._tape.forward(x)
        values = self._tape.action_values(activations[-1])
        error = values[action, columns] - targets
        weights = np.float32(1) if drawn.weights is None else drawn.weights
        loss, q_mean = float((weights * _huber(error)).mean()), float(values.mean())
        slope = np.zeros_like(values)
        slope[action, columns] = weights * np.clip(error, -1, 1) / np.float32(s.batch_size)
        self._tape.backward_values(x, activations, slope)
        if self._group is not None:
            loss, q_mean = self._group.average(self._gradient, (loss, q_mean))
        if not np.isfinite(loss):
            require_finite(x, "an observation is")
            raise Diverged("the loss is not finite", "lower the learning rate and resume from the last good checkpoint")
        norm = clip_norm(self._tape.gradient, s.max_grad_norm)
        self._adam.step(self._tape.gradient, rate)
        self._replay.judge(drawn.slots, error)
        return loss, q_mean, norm

    def _targets(self, rows: Transitions) -> Float:
        """r + gamma * carry * Q_target(s', a'); a' is the online network's choice in double DQN, else the target's."""
        x = self._inputs(rows.next_obs)
        values = self._aim.action_values(x)
        judge = self._online.action_values(x) if self._settings.double else values
        best = _legal(judge, rows.next_mask).argmax(1)
        found: Float = rows.reward + np.float32(self._settings.gamma) * rows.carry * values[np.arange(len(best)), best]
        return found

    def _beta(self) -> float:
        """The share of prioritised drawing's bias that the weights take out, annealed linearly to 1."""
        s = self._settings
        return self._annealed(s.prioritized_replay_beta0, 1.0, s.prioritized_replay_beta_steps or self._limit)

    def _follow(self, steps: int) -> None:
        """Move the target network towards the online one where that is due."""
        s = self._settings
        due = steps // s.target_update_interval
        if due > self._target_updates:
            self._target_updates = due
            self._target += np.float32(s.tau) * (self._flat - self._target)

    # --- policies, settings, state -----------------------------------------------------------------------------

    def policy(self) -> Policy:
        return GreedyPolicy(self._spec, self._shape, self._flat.copy())

    def policy_from(self, state: Mapping[str, object]) -> Policy:
        return GreedyPolicy(self._spec, self._shape, take_array(state, "parameters"))

    def set(self, key: str, value: float) -> float:
        return self._live.set(key, value)

    # --- one of several ranks ----------------------------------------------------------------------------------

    shared = ("parameters", "target", "target_updates", "before", "optimizer", "settings")

    @property
    def _waited(self) -> float:
        return 0.0 if self._group is None else self._group.seconds

    def join(self, group: Group) -> None:
        """Train as one of several ranks from now on, with rank 0's parameters."""
        self._group = group
        group.share(torch.from_numpy(self._flat))
        self._target[...] = self._flat

    def take_over(self, state: Mapping[str, Any], rank: int, size: int) -> None:
        """Go on from a checkpoint of another number of ranks: with what was learned and this rank's part of what was
        kept for replay, in new episodes."""
        require_algorithm(state, "dqn")
        load_parameters(torch.from_numpy(self._flat), state, "parameters")
        load_parameters(torch.from_numpy(self._target), state, "target")
        self._target_updates, self._before = int(take(state, "target_updates")), int(take(state, "before"))
        self._refilled_from = int(state.get("refilled_from", 0))
        self._adam.load_state_dict(take(state, "optimizer"))
        self._live.load_state_dict(take(state, "settings"))
        held = [state, *(each["learner"] for each in state.get("ranks", ()))]
        self._replay.take_over([take(each, "replay") for each in held], rank, size)
        self._joiner = Joiner(self._spec, self._settings.n_steps)
        seed = later_seed(self._seed, self._before)
        self._explore, self._draw = generator_of(seed, 1), generator_of(seed, 2)
        steps, finished = counted_by_ranks(state) if rank == 0 else (0, 0)
        self._collector.begin_anew(seed, steps, finished)

    def state_dict(self) -> dict[str, object]:
        refilled = {"refilled_from": self._refilled_from} if self._refilled_from else {}
        return {
            "algorithm": "dqn",
            "parameters": torch.from_numpy(self._flat),
            "target": torch.from_numpy(self._target),
            "target_updates": self._target_updates,
            "before": self._before,
            "optimizer": self._adam.state_dict(),
            "settings": self._live.state_dict(),
            "explore": generator_state(self._explore),
            "draw": generator_state(self._draw),
            "joiner": self._joiner.state_dict(),
            "replay": self._replay.state_dict(),
            "collector": self._collector.state_dict(),
            **refilled,
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        require_algorithm(state, "dqn")
        load_parameters(torch.from_numpy(self._flat), state, "parameters")
        load_parameters(torch.from_numpy(self._target), state, "target")
        self._target_updates = int(take(state, "target_updates"))
        self._before = int(take(state, "before"))
        self._refilled_from = int(cast(int, state.get("refilled_from", 0)))
        self._adam.load_state_dict(take(state, "optimizer"))
        self._live.load_state_dict(take(state, "settings"))
        load_generator(self._explore, take(state, "explore"))
        load_generator(self._draw, take(state, "draw"))
        self._joiner.load_state_dict(take(state, "joiner"))
        self._replay.load_state_dict(take(state, "replay"))
        self._collector.load_state_dict(take(state, "collector"))


def _priorities(settings: DQNSettings) -> dict[str, float] | None:
    if not settings.prioritized_replay:
        return None
    return {"alpha": settings.prioritized_replay_alpha, "eps": settings.prioritized_replay_eps}


def _legal(values: Float, mask: Bool | None) -> Float:
    return values if mask is None else np.where(mask, values, FORBIDDEN)


def _huber(error: Float) -> Float:
    """0.5 e^2 for |e| < 1, |e| - 0.5 beyond."""
    size = np.abs(error)
    found: Float = np.where(size < 1, np.float32(0.5) * error * error, size - np.float32(0.5))
    return found


def _means(steps: list[tuple[float, float, float]]) -> Metrics:
    loss, q_mean, norm = np.mean(steps, axis=0).tolist()
    return {"train/loss": loss, "train/q_mean": q_mean, "train/grad_norm": norm}
