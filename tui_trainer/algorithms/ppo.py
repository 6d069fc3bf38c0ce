"""Proximal policy optimisation, Schulman et al. 2017, with self-play against a pool of snapshots.

An update: `collect` fills a rollout of n_steps decisions in num_envs environments; `learn` computes log-probabilities
and values in one pass, then advantages, then n_epochs passes of minibatch steps. Box actions are Gaussian around the
network's mean with a standard deviation that no observation moves; on their way to the task they are clipped to
[-1, 1], or squashed into it by tanh, while the loss sees the action as drawn. In a two-player task values are the
mover's and change sign with it. ppo_resident.py does the same where environments can stay on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from tui_trainer.algorithms import wide
from tui_trainer.algorithms.arrays import (
    Array,
    Bool,
    Float,
    Int,
    generator_of,
    generator_state,
    later_seed,
    load_generator,
    load_parameters,
    require_algorithm,
    require_finite,
    take,
)
from tui_trainer.algorithms.collector import Collector, counted_by_ranks
from tui_trainer.algorithms.gae import gae
from tui_trainer.algorithms.live import Live
from tui_trainer.algorithms.mlp import FORBIDDEN, Batch, Losses, Weights
from tui_trainer.algorithms.moments import Moments, RewardScale
from tui_trainer.algorithms.networks import Forward, HalfNet, MlpNet, Net, features, network
from tui_trainer.algorithms.noise import Noise
from tui_trainer.algorithms.policies import FrozenPolicy, Inputs, to_environment
from tui_trainer.algorithms.pool import Pool
from tui_trainer.algorithms.updates import AutogradUpdater, DerivedUpdater, Stepped, Updater
from tui_trainer.algorithms.wide import Legal
from tui_trainer.core.config import Config, PPOSettings
from tui_trainer.core.protocols import Policy, Task
from tui_trainer.core.reports import CollectReport, UpdateReport
from tui_trainer.core.values import Metrics
from tui_trainer.errors import ConfigError

if TYPE_CHECKING:
    from tui_trainer.algorithms.group import Group

_LIVE = (
    "learning_rate", "ent_coef", "vf_coef", "clip_range", "clip_range_vf", "max_grad_norm", "target_kl",
    "gamma", "gae_lambda", "pool_share",
)  # fmt: skip
_CHUNK = 1024
"""Rows of one pass over a rollout: what fits in a cache."""


class Data(NamedTuple):
    """A full rollout as rows (T * N, ...), and the indices of those that are transitions."""

    rows: Int
    inputs: Array
    action: Array
    log_prob: Float
    value: Float
    advantage: Float
    returns: Float
    mask: Bool | None
    own: Float | None
    legal: Legal | None
    """Instead of the mask, where actions are many (wide.py)."""


class PPO:
    """A learner, see core.protocols.Learner."""

    def __init__(self, task: Task, config: Config, device: str, *, remark: str = "") -> None:
        spec, settings, seed = task.spec, config.ppo, config.run.seed
        self._task, self._remark = task, remark
        self._spec, self._wide = spec, wide.is_wide(spec)
        self._live = Live(settings, "ppo", _LIVE)
        self._features = features(spec, settings)
        inputs = int(np.prod(spec.obs_shape)) if self._features is None else self._features.size
        self._net = network(spec, settings, inputs)
        self._flat = torch.from_numpy(self._net.initial(generator_of(seed, 0))).to(device)
        self._trained = self._net if settings.precision == "float32" else HalfNet(self._net)
        """The network as it is trained; a policy that leaves is in float32."""
        self._forward = self._trained.bind(self._flat)
        self._updater, self._path = self._make_updater()
        self._limits = config.manager.termination
        self._moments = Moments(inputs) if settings.normalize_observations else None
        self._inputs = Inputs(spec, self._moments, self._features)
        self._reward_scale = RewardScale(spec.num_envs) if settings.normalize_rewards else None
        self._pool = _pool(settings, task, seed)
        self._opponent: Forward | None = None
        self._updates = 0
        self._seed = seed
        self._group: Group | None = None
        self._counted = (0.0, 0.0)
        """Steps and finished episodes of all ranks."""
        self._fewest = 0
        """Transitions in the rollout of the rank that has fewest."""
        self._start(task, seed)

    def _make_updater(self) -> tuple[Updater, str]:
        return _updater(self._trained, self._flat, self._settings, self._spec.action)

    def _start(self, task: Task, seed: int) -> None:
        """Environments and an empty rollout, and what is drawn for them."""
        self._noise = Noise(generator_of(seed, 1), self._spec)
        self._shuffle = generator_of(seed, 2)
        self._collector = Collector(task, self._settings.n_steps, seed)
        self._rollout = self._collector.rollout

    @property
    def _settings(self) -> PPOSettings:
        return self._live.settings

    @property
    def parameters_count(self) -> int:
        return self._net.count

    @property
    def steps_per_update(self) -> int:
        return self._spec.num_envs * self._settings.n_steps

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(_notes(self._path, self._remark, self._settings, self._annealed()))

    # --- collect -----------------------------------------------------------------------------------------------

    def collect(self, budget_s: float) -> CollectReport:
        """Step the environments until the rollout is full or the budget is spent."""
        return self._collector.collect(budget_s, self._act, None if self._pool is None else self._pool.end)

    def _act(self) -> tuple[Array, Array]:
        """Sampled actions for the decision that is due, as the loss and as the task sees them."""
        t = self._rollout.t
        x = self._inputs(self._rollout.obs[t])
        mask = None if self._rollout.mask is None else self._rollout.mask[t]
        legal = self._legal(mask)
        outputs = self._forward.outputs(x, legal)
        self._let_snapshot_move(x, outputs, legal)
        self._require_finite(outputs, x)
        noise = self._noise.at(t, self._rollout.length)
        if self._spec.action == "box":
            action = outputs + np.exp(self._net.log_std(self._flat).cpu().numpy()) * noise
            return action, to_environment(self._spec, np.tanh(action) if self._settings.squash_output else action)
        if legal is not None:
            chosen = wide.sample(outputs, legal, noise[:, 0])
            return chosen, chosen
        if mask is not None:
            outputs = np.where(mask, outputs, FORBIDDEN)
        chosen = (outputs + noise).argmax(1)
        return chosen, chosen

    def _legal(self, mask: Bool | None) -> Legal | None:
        """The legal actions (B, n) where they are worth picking out."""
        return wide.legal_of(mask) if mask is not None and self._wide else None

    def _let_snapshot_move(self, x: Float, outputs: Float, legal: Legal | None) -> None:
        """Overwrite the outputs where the pool's snapshot is to move."""
        t, pool = self._rollout.t, self._pool
        if pool is None or pool.opponent is None:
            return
        if self._opponent is None:
            self._opponent = self._trained.bind(torch.from_numpy(pool.opponent).to(self._flat.device))
        seated = np.flatnonzero(pool.plays(self._rollout.to_move[t]))
        self._rollout.own[t] = True
        self._rollout.own[t, seated] = False
        if len(seated):
            places, theirs = (seated, None) if legal is None else legal.among(seated)
            outputs[places] = self._opponent.outputs(x[seated], theirs)

    def _require_finite(self, outputs: Float, x: Float) -> None:
        if not math.isfinite(np.vdot(outputs, outputs)):  # the quickest look at all of them; may overflow, hence twice
            require_finite(x, "an observation is")
            require_finite(outputs, "the policy's output is")

    # --- learn -------------------------------------------------------------------------------------------------

    def learn(self) -> UpdateReport:
        """n_epochs passes over the rollout in minibatches; fewer where target_kl says so."""
        start, waited = perf_counter(), self._waited
        data = self._data() if self._group is None else self._data_of_a_rank(self._group)
        learning_rate, clip_range = self._annealed_settings()
        steps = list(self._epochs(data, learning_rate, clip_range))
        metrics = _means(steps, self._settings) | {
            "train/explained_variance": _explained_variance(data),
            "train/learning_rate": learning_rate,
            "train/clip_range": clip_range,
        }
        if self._spec.action == "box":
            metrics["train/std"] = float(self._net.log_std(self._flat).exp().mean())
        self._begin_next(data)
        seconds = {"learn": perf_counter() - start}
        if self._group is not None:
            seconds = {"learn": seconds["learn"] - self._waited + waited, "sync": self._waited - waited}
        return UpdateReport(metrics=metrics, seconds=seconds)

    def _epochs(self, data: Data, learning_rate: float, clip_range: float) -> Iterator[Stepped]:
        s = self._settings
        weights = Weights(clip_range, s.clip_range_vf, s.ent_coef, s.vf_coef)
        for _ in range(s.n_epochs):
            order = self._shuffle.permutation(data.rows)
            for rows in self._minibatches(order):
                stepped = self._updater.step(
                    self._batch(data, rows),
                    weights,
                    learning_rate=learning_rate,
                    max_grad_norm=s.max_grad_norm,
                    max_kl=1.5 * s.target_kl,
                )
                yield stepped
                if not stepped.moved:
                    return

    def _minibatches(self, order: Int) -> list[Int]:
        """Rows in parts of at most about batch_size; on every rank as many as where there are fewest."""
        fewest = len(order) if self._group is None else self._fewest
        parts = -(-fewest // self._settings.batch_size)
        return np.array_split(order, parts) if parts else []

    def _batch(self, data: Data, rows: Int) -> Batch:
        own = None if data.own is None else data.own.take(rows)
        advantage = data.advantage.take(rows)
        if self._settings.normalize_advantage:
            advantage = _normalised(advantage, own)
        return Batch(
            x=self._inputs.finish(data.inputs.take(rows, axis=0)),
            action=data.action.take(rows, axis=0),
            log_prob=data.log_prob.take(rows),
            advantage=advantage,
            returns=data.returns.take(rows),
            value=data.value.take(rows),
            mask=None if data.mask is None else data.mask.take(rows, axis=0),
            own=own,
            legal=None if data.legal is None else data.legal.among(rows)[1],
        )

    def _data(self) -> Data:
        """The rollout's log-probabilities, values and advantages, flattened to rows."""
        r = self._rollout
        rewards = self._rewards()
        inputs = self._encoded(r.obs.reshape(-1, *self._spec.obs_shape))
        mask = None if r.mask is None else r.mask.reshape(-1, self._spec.n)
        legal = self._legal(mask)
        outputs, values = self._pass(inputs, legal)
        values = values.reshape(r.length + 1, -1)
        advantage = gae(
            rewards,
            values[:-1],
            self._following(values),
            r.terminated,
            r.truncated,
            self._flips(),
            r.valid,
            gamma=self._settings.gamma,
            lam=self._settings.gae_lambda,
        )
        action = r.action.reshape(-1, *r.action.shape[2:])
        mask = None if mask is None else mask[: len(action)]
        outputs, legal = _first(len(action), outputs, legal)
        return Data(
            rows=np.flatnonzero(r.valid),
            inputs=inputs[: len(action)],
            action=action,
            log_prob=self._log_prob(outputs, action, mask, legal),
            value=values[:-1].ravel(),
            advantage=advantage.ravel(),
            returns=(advantage + values[:-1]).ravel(),
            mask=mask if legal is None or not self._updater.takes_legal else None,
            own=None if r.own.all() else r.own.ravel().astype(np.float32),
            legal=legal if self._updater.takes_legal else None,
        )

    def _data_of_a_rank(self, group: Group) -> Data:
        """As `_data`, and what all ranks have done so far. Raises Diverged on all ranks where it does on one."""
        mine = self._collector.steps, self._collector.finished, self._rollout.valid.sum()
        _, told = group.agree(self._require_sound, *mine)
        steps, finished = told[:, :2].sum(0).tolist()
        self._counted = steps, finished
        self._fewest = int(told[:, 2].min())
        return group.agree(self._data)[0]

    def _require_sound(self) -> None:
        """Before what is exchanged: rewards and observations are finite."""
        require_finite(np.where(self._rollout.valid, self._rollout.reward, np.float32(0)), "a reward is")
        require_finite(self._rollout.obs, "an observation is")

    def _rewards(self) -> Float:
        """Rewards (T, N), 0 where no transition was, scaled where asked. Raises Diverged where not finite."""
        r = self._rollout
        rewards = np.where(r.valid, r.reward, np.float32(0))
        require_finite(rewards, "a reward is")
        if self._reward_scale is None:
            return rewards
        return self._reward_scale(rewards, r.terminated | r.truncated, self._settings.gamma)

    def _encoded(self, obs: Array) -> Array:
        """Observations (B, *obs_shape) as rows. Raises Diverged where not finite."""
        require_finite(obs, "an observation is")
        return self._inputs.encode(obs)

    def _pass(self, rows: Array, legal: Legal | None) -> tuple[Float, Float]:
        """Outputs and values of encoded rows (B, inputs), chunk by chunk. Raises Diverged where not finite."""
        chunks = [
            self._forward.heads(self._inputs.finish(rows[part]), None if legal is None else legal.among(part)[1])
            for part in np.array_split(np.arange(len(rows)), range(_CHUNK, len(rows), _CHUNK))
        ]
        outputs = np.concatenate([outputs for outputs, _ in chunks])
        values = np.concatenate([values for _, values in chunks])
        require_finite(values, "a value is")
        return outputs, values

    def _following(self, values: Float) -> Float:
        """The value of what came after each step: the next decision, or a truncated episode's last observation."""
        following = values[1:].copy()
        for t, final_obs in self._rollout.final_obs.items():
            legal = wide.nothing(len(final_obs)) if self._wide else None
            following[t, self._rollout.truncated[t]] = self._pass(self._encoded(final_obs), legal)[1]
        return following

    def _flips(self) -> Bool:
        """Where the other side moves next, or would have in a game cut short."""
        r = self._rollout
        if self._spec.players == 1:
            return np.zeros(r.reward.shape, np.bool_)
        return r.flips()

    def _log_prob(self, outputs: Float, action: Array, mask: Bool | None, legal: Legal | None) -> Float:
        """Log-probability of actions (B,) under outputs (B, n), or under those of the legal actions (K,)."""
        if self._spec.action == "box":
            log_std = self._net.log_std(self._flat).cpu().numpy()
            z = (action - outputs) * np.exp(-log_std)
            density: Float = (np.float32(-0.5) * (z * z + np.float32(np.log(2 * np.pi))) - log_std).sum(1)
            return density
        if legal is not None:
            return wide.log_prob(outputs, legal, action)
        logits = np.ascontiguousarray(outputs.T)
        if mask is not None:
            np.copyto(logits, FORBIDDEN, where=~mask.T)
        logits -= logits.max(0)
        chosen: Float = logits[action, np.arange(len(action))] - np.log(np.exp(logits).sum(0))
        return chosen

    def _annealed_settings(self) -> tuple[float, float]:
        """learning_rate and clip_range, each falling linearly to its final share as the nearest limit comes closer."""
        limits = self._limits
        steps, finished = self._done()
        pairs = (
            (self._updates, limits.max_updates),
            (steps, limits.max_steps),
            (finished, limits.max_episodes),
        )
        done = max((min(1.0, n / limit) for n, limit in pairs if limit), default=0.0)
        s = self._settings
        learning_rate = s.learning_rate * (1 + (s.learning_rate_final - 1) * done)
        return learning_rate, s.clip_range * (1 + (s.clip_range_final - 1) * done)

    def _done(self) -> tuple[float, float]:
        """Steps and finished episodes so far."""
        return (self._collector.steps, self._collector.finished) if self._group is None else self._counted

    def _annealed(self) -> bool:
        limits = self._limits
        return bool(limits.max_updates or limits.max_steps or limits.max_episodes)

    def _begin_next(self, data: Data) -> None:
        """Count the update, take in the observations, keep a snapshot, and make the rollout empty again."""
        self._updates += 1
        if self._moments is not None:
            self._moments.update(self._inputs.scaled(data.inputs[data.rows]))
        if self._pool is not None:
            self._pool.offer(self._flat.cpu().numpy(), self._updates)
            self._pool.draw()
            self._opponent = None
        self._rollout.restart()

    # --- policies, settings, state -----------------------------------------------------------------------------

    def policy(self) -> Policy:
        moments = None if self._moments is None else self._moments.copy()
        return self._frozen(self._flat.detach().cpu().clone(), moments)

    def policy_from(self, state: Mapping[str, object]) -> Policy:
        flat = torch.zeros(self._net.count)
        load_parameters(flat, state, "parameters")
        moments = None if self._moments is None else self._moments.copy()
        if moments is not None:
            moments.load_state_dict(take(state, "moments"))
        return self._frozen(flat, moments)

    def _frozen(self, flat: torch.Tensor, moments: Moments | None) -> Policy:
        inputs = Inputs(self._spec, moments, self._features)
        return FrozenPolicy(self._spec, self._net.bind(flat), inputs, squash=self._settings.squash_output)

    def set(self, key: str, value: float) -> float:
        old = self._live.set(key, value)
        if key.endswith("pool_share") and self._pool is not None:
            self._pool.resize(value)
        return old

    # --- one of several ranks ----------------------------------------------------------------------------------

    shared = ("parameters", "optimizer", "settings", "updates", "moments", "pool.snapshots")

    @property
    def _waited(self) -> float:
        return 0.0 if self._group is None else self._group.seconds

    def join(self, group: Group) -> None:
        """Train as one of several ranks from now on, with rank 0's parameters."""
        self._group = group
        group.share(self._flat)
        self._updater.join(group)
        if self._moments is not None:
            self._moments.group = group
        if self._reward_scale is not None:
            self._reward_scale.moments.group = group

    def take_over(self, state: Mapping[str, object], rank: int, size: int) -> None:
        """Go on from a checkpoint of another number of ranks: with what was learned, in new episodes."""
        self._load_learned(state)
        if self._moments is not None:
            load_part(self._moments, state, "moments")
        if self._reward_scale is not None:
            self._reward_scale.moments.load_state_dict(take(take(state, "reward_scale"), "moments"))
        if self._pool is not None:
            self._pool.take_over(take(state, "pool"))
        seed = later_seed(self._seed, self._updates)
        self._noise, self._shuffle = Noise(generator_of(seed, 1), self._spec), generator_of(seed, 2)
        steps, finished = counted_by_ranks(state) if rank == 0 else (0, 0)
        self._collector.begin_anew(seed, steps, finished)
        self._opponent = None

    def state_dict(self) -> dict[str, object]:
        return {
            **self._learned(),
            "noise": self._noise.state_dict(self._rollout.t),
            "shuffle": generator_state(self._shuffle),
            "collector": self._collector.state_dict(),
            "moments": None if self._moments is None else self._moments.state_dict(),
            "reward_scale": None if self._reward_scale is None else self._reward_scale.state_dict(),
            "pool": None if self._pool is None else self._pool.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        if "resident" in state:  # its rollout stayed on a GPU
            self.take_over(state, 0, 1)
            return
        self._load_learned(state)
        self._collector.load_state_dict(take(state, "collector"))
        self._noise.load_state_dict(take(state, "noise"), self._rollout.t, self._rollout.length)
        load_generator(self._shuffle, take(state, "shuffle"))
        for part, name in ((self._moments, "moments"), (self._reward_scale, "reward_scale"), (self._pool, "pool")):
            load_part(part, state, name)
        self._opponent = None

    def _learned(self) -> dict[str, object]:
        """What `_load_learned` takes."""
        return {
            "algorithm": "ppo",
            "parameters": self._flat.detach(),
            "optimizer": self._updater.state_dict(),
            "settings": self._live.state_dict(),
            "updates": self._updates,
        }

    def _load_learned(self, state: Mapping[str, object]) -> None:
        """Parameters, optimizer, live settings and the count of updates."""
        require_algorithm(state, "ppo")
        load_parameters(self._flat, state, "parameters")
        self._updater.load_state_dict(take(state, "optimizer"))
        self._live.load_state_dict(take(state, "settings"))
        self._updates = int(take(state, "updates"))


def _first(rows: int, outputs: Float, legal: Legal | None) -> tuple[Float, Legal | None]:
    """The outputs of the first rows alone."""
    if legal is None:
        return outputs[:rows], None
    end = legal.starts[rows]
    return outputs[:end], Legal(legal.starts[: rows + 1], legal.actions[:end])


def load_part(part: Moments | RewardScale | Pool | None, state: Mapping[str, object], name: str) -> None:
    """Load what this run has. Raises ConfigError where the checkpoint was made without it."""
    held = take(state, name)
    if part is None:
        return
    if held is None:
        raise ConfigError(f"the checkpoint was made without {name}", "resume with the settings it was made with")
    part.load_state_dict(held)


def _updater(net: Net, flat: torch.Tensor, settings: PPOSettings, action: str) -> tuple[Updater, str]:
    """The gradients that the settings ask for. Raises ConfigError where derived ones cannot be had."""
    fits = isinstance(net, MlpNet) and action == "discrete" and flat.device.type == "cpu"
    if settings.gradients == "derived" and not fits:
        raise ConfigError(
            'ppo.gradients: "derived" needs network = "mlp", discrete actions, device = "cpu", float32', 'choose "auto"'
        )
    if isinstance(net, MlpNet) and fits and settings.gradients != "autograd":
        return DerivedUpdater(net, flat), "hand-derived gradients (numpy)"
    half = ", products in bfloat16" if isinstance(net, HalfNet) else ""
    path = f"autograd gradients (torch, {flat.device}{half})"
    return AutogradUpdater(net, flat, squash=settings.squash_output), path


def _pool(settings: PPOSettings, task: Task, seed: int) -> Pool | None:
    spec = task.spec
    if spec.players != 2 or spec.action != "discrete" or not settings.pool_size or not settings.pool_share:
        return None
    return Pool(
        size=settings.pool_size,
        share=settings.pool_share,
        every=settings.pool_every,
        num_envs=spec.num_envs,
        seed=seed,
    )


def _notes(path: str, remark: str, settings: PPOSettings, annealed: bool) -> Iterator[str]:
    yield path
    if remark:
        yield remark
    for name in ("learning_rate", "clip_range"):
        if getattr(settings, f"{name}_final") != 1 and not annealed:
            yield f"{name} is not annealed: no limit in updates, steps or episodes is set"


def _normalised(advantage: Float, own: Float | None) -> Float:
    """Mean 0, standard deviation 1, over the rows whose actions the learner chose."""
    seen = advantage if own is None else advantage[own > 0]
    if len(seen) < 2:
        return advantage
    mean = float(seen.sum()) / len(seen)
    centred = seen - np.float32(mean)
    std = (float(np.dot(centred, centred)) / (len(seen) - 1)) ** 0.5
    normalised: Float = (advantage - np.float32(mean)) * np.float32(1 / (std + 1e-8))
    return normalised


def _explained_variance(data: Data) -> float | None:
    """1 - Var(returns - values) / Var(returns); None where returns do not vary."""
    returns, values = data.returns[data.rows], data.value[data.rows]
    spread = float(returns.var()) if len(returns) else 0.0
    return None if spread == 0 else 1 - float((returns - values).var()) / spread


def _means(steps: list[Stepped], settings: PPOSettings) -> Metrics:
    """Means over the minibatches, under Stable-Baselines3's names."""
    if not steps:
        return {}
    losses = Losses(*np.mean([s.losses for s in steps], axis=0).tolist())
    return loss_metrics(losses, float(np.mean([s.grad_norm for s in steps])), settings)


def loss_metrics(losses: Losses, grad_norm: float, settings: PPOSettings) -> Metrics:
    """The same of losses that are means already."""
    return {
        "train/policy_gradient_loss": losses.policy,
        "train/value_loss": losses.value,
        "train/entropy_loss": -losses.entropy,
        "train/approx_kl": losses.approx_kl,
        "train/clip_fraction": losses.clip_fraction,
        "train/loss": losses.policy + settings.vf_coef * losses.value - settings.ent_coef * losses.entropy,
        "train/grad_norm": grad_norm,
    }
