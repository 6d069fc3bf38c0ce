"""PPO whose rollout and minibatches stay on the device of a task that can step there (core.protocols.TensorTask).

The algorithm of ppo.py, in torch throughout: `collect` steps environments, policy and sampling as one piece of work,
`learn` makes advantages and minibatch steps. The host only gives orders: it waits once in eight steps, once an epoch
where `target_kl` is set, and when results are read at the end of each. Both pieces of work are recorded as CUDA graphs
where there are any (graphs.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tui_trainer.algorithms import wide
from tui_trainer.algorithms.arrays import generator_of, later_seed, take
from tui_trainer.algorithms.collector import counted_by_ranks
from tui_trainer.algorithms.gae import gae_on_device
from tui_trainer.algorithms.graphs import Recorded, Recorder, recorder_of
from tui_trainer.algorithms.mlp import FORBIDDEN, Batch, Losses, Weights
from tui_trainer.algorithms.ppo import PPO, load_part, loss_metrics
from tui_trainer.algorithms.resident import InputsOnDevice, ResidentEpisodes, ResidentRollout
from tui_trainer.algorithms.updates import DeviceUpdater, Updater
from tui_trainer.core.config import Config
from tui_trainer.core.protocols import Task, TensorStep, TensorTask
from tui_trainer.core.reports import CollectReport, UpdateReport
from tui_trainer.errors import ConfigError

if TYPE_CHECKING:
    from tui_trainer.algorithms.group import Group

_AHEAD = 8
"""Steps that are ordered before the host waits for them, so that its clock stays true."""
_PASS = 2**17
"""Rows of a pass without a gradient."""
_TINY = 1e-30


def learner(task: Task, config: Config, device: str) -> PPO:
    """PPO on the task's device where `ppo.rollout` wants that and it can be, else through host memory.

    Raises ConfigError where it is asked for and cannot be.
    """
    wish, bare = config.ppo.rollout, getattr(task, "guarded", task)
    if wish == "host" or (wish == "auto" and device == "cpu"):
        return PPO(task, config, device)
    obstacle = _obstacle(bare, config, device)
    if not obstacle:
        there = torch.device(device)
        return ResidentPPO(bare, config, device, recorder_of(there) if config.ppo.graphs == "auto" else None)
    if wish == "device":
        raise ConfigError(f'ppo.rollout = "device": {obstacle}', 'choose "auto"')
    return PPO(task, config, device, remark=f"the rollout passes through host memory: {obstacle}")


def _obstacle(task: Task, config: Config, device: str) -> str:
    """Why the rollout cannot stay on the device; empty where it can."""
    if not isinstance(task, TensorTask):
        return f'{task.spec.id} steps on the CPU (connect_four can do so on a GPU: task.backend = "torch", task.device)'
    if task.tensor_device != device:
        return f"the task's boards are on {task.tensor_device}, the network is on {device}: set task.device"
    if task.spec.action == "box" or wide.is_wide(task.spec):
        return "only discrete actions below 1024 are sampled there"
    if config.ppo.normalize_observations or config.ppo.normalize_rewards:
        return "normalisation keeps its moments in host memory"
    if config.ppo.gradients == "derived":
        return 'ppo.gradients = "derived" are computed by numpy'
    return ""


class ResidentPPO(PPO):
    """A learner, see core.protocols.Learner."""

    def __init__(self, task: Task, config: Config, device: str, recorder: Recorder | None = None) -> None:
        assert isinstance(task, TensorTask)
        self._there: TensorTask = task
        self._recorder = recorder
        torch.backends.cudnn.deterministic = True  # convolutions on a GPU would not repeat otherwise
        super().__init__(task, config, device)

    def _make_updater(self) -> tuple[Updater, str]:
        half = ", products in bfloat16" if self._settings.precision == "bfloat16" else ""
        recorded = "CUDA graphs" if self._recorder else "no graphs"
        self._mover = DeviceUpdater(self._trained, self._flat)
        return self._mover, f"rollout and gradients on the device (torch, {self._flat.device}, {recorded}{half})"

    def _start(self, task: Task, seed: int) -> None:
        """Environments on the device, a rollout of them, what is drawn there, and the work to be recorded."""
        device, spec, length = self._flat.device, self._spec, self._settings.n_steps
        self.generator = torch.Generator(device)
        self.generator.manual_seed(int(generator_of(seed, 1).integers(2**62)))
        first = self._there.reset_tensors(seed)
        self._there.prepare(length)
        self._inputs_there = InputsOnDevice(spec, self._features, device)
        self._r = ResidentRollout(first, self._inputs_there.encode(first.obs), length)
        if self._there.may_truncate:
            self._r.keep_ends()
        self._episodes = ResidentEpisodes(spec, device)
        self._steps = self._finished = 0
        self._advantage, self._returns = torch.zeros(2, length * spec.num_envs, device=device)
        self._seats = torch.zeros(spec.num_envs, dtype=torch.int8, device=device)
        self._snapshot = torch.zeros_like(self._flat)
        self._meet_pool()
        self._one_step = Recorded(self._step, (self, self._there), self._recorder)
        self._moves: dict[int, tuple[Tensor, Recorded]] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        problems = [self._one_step.problem, *(recorded.problem for _, recorded in self._moves.values())]
        return (*super().notes, *(f"no CUDA graph: {problem}" for problem in problems if problem))

    def _done(self) -> tuple[float, float]:
        return self._steps, self._finished

    # --- collect -----------------------------------------------------------------------------------------------

    def collect(self, budget_s: float) -> CollectReport:
        """Step the environments until the rollout is full or the budget is spent."""
        r, begun, start = self._r, self._r.t, perf_counter()
        key = (self._rivals, self._pooled, self._there.tensor_key)
        while not r.is_full and (perf_counter() - start < budget_s or r.t == begun):
            for _ in range(min(_AHEAD, r.length - r.t)):
                self._one_step(key)
                r.t += 1
            _wait(self._flat.device)
        ends = r.rows["terminated"][begun : r.t] | r.rows["truncated"][begun : r.t]
        steps, finished = ends.numel(), int(ends.sum())
        self._steps, self._finished = self._steps + steps, self._finished + finished
        if r.is_full and r.t > begun:
            self._episodes.add(r.rows)
        metrics = self._episodes.windows.metrics() if r.is_full else {}
        seconds = {"forward": perf_counter() - start}  # the environments' step is part of the same work
        return CollectReport(steps=steps, episodes=finished, complete=r.is_full, metrics=metrics, seconds=seconds)

    @torch.no_grad()
    def _step(self) -> None:
        """The decision that is due, and what came of it. Recorded: changes tensors in place, reads no value."""
        r = self._r
        outputs, values = self._heads(self._flat, r.x)
        logits = _legal(outputs, r.mask)
        own, aimed = self._aimed(logits)
        luck = torch.empty_like(aimed).exponential_(generator=self.generator).clamp_(min=_TINY).log_()
        action = (aimed - luck).argmax(1)
        log_prob = logits.log_softmax(1).gather(1, action[:, None])[:, 0]
        r.put(x=r.x, to_move=r.to_move, action=action, log_prob=log_prob, value=values, own=own)
        if r.mask is not None:
            r.put(mask=r.mask)
        step = self._there.step_tensors(action)
        r.put(reward=step.reward, terminated=step.terminated, truncated=step.truncated, outcome=step.outcome)
        if step.final_obs is not None:
            stays = step.truncated & (step.final_to_move == r.to_move)
            r.put(final_x=self._inputs_there.encode(step.final_obs), stays=stays)
        r.advance(step, self._inputs_there.encode(step.obs))
        self._seat_anew(step)

    def _heads(self, flat: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self._trained.torch_heads(flat, self._inputs_there.finish(rows))

    @property
    def _pooled(self) -> int:
        """Environments, the first ones, of the pool."""
        return 0 if self._pool is None else self._pool.envs

    @property
    def _rivals(self) -> bool:
        return self._pool is not None and self._pool.opponent is not None

    def _aimed(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Whether the learner chooses, (N,), and the logits of who does, (N, n)."""
        r, envs = self._r, self._pooled
        own = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
        if not self._rivals:
            return own, logits
        seated = r.to_move[:envs] == self._seats[:envs]
        theirs = self._heads(self._snapshot, r.x[:envs])[0]
        theirs = _legal(theirs, None if r.mask is None else r.mask[:envs])
        aimed = torch.cat([torch.where(seated[:, None], theirs, logits[:envs]), logits[envs:]])
        return torch.cat([~seated, own[envs:]]), aimed

    def _seat_anew(self, step: TensorStep) -> None:
        """Draw the pool's seats where a game has ended."""
        if not self._pooled:
            return
        seats = self._seats[: self._pooled]
        ended = (step.terminated | step.truncated)[: self._pooled]
        drawn = torch.randint(2, seats.shape, generator=self.generator, device=seats.device, dtype=torch.int8)
        seats.copy_(torch.where(ended, drawn, seats))

    # --- learn -------------------------------------------------------------------------------------------------

    def learn(self) -> UpdateReport:
        """n_epochs passes over the rollout in minibatches; fewer where target_kl says so."""
        start = perf_counter()
        learning_rate, clip_range = self._annealed_settings()
        self._make_advantages()
        self._mover.begin(learning_rate, clip_range)
        self._epochs_there()
        losses, grad_norm = self._mover.read()
        metrics = loss_metrics(Losses(*losses), grad_norm, self._settings) | {
            "train/explained_variance": self._explained_variance(),
            "train/learning_rate": learning_rate,
            "train/clip_range": clip_range,
        }
        self._begin_next_there()
        return UpdateReport(metrics=metrics, seconds={"learn": perf_counter() - start})

    @torch.no_grad()
    def _make_advantages(self) -> None:
        r, s = self._r, self._settings
        values = r.rows["value"]
        following = torch.cat([values[1:], self._heads(self._flat, r.x)[1][None]])
        if "final_x" in r.rows:
            self._bootstrap(following)
        flips = r.flips() if self._spec.players == 2 else torch.zeros_like(r.rows["terminated"])
        advantage = gae_on_device(
            r.rows["reward"], values, following, r.rows["terminated"], r.rows["truncated"], flips,
            gamma=s.gamma, lam=s.gae_lambda,
        )  # fmt: skip
        self._advantage.copy_(advantage.flatten())
        self._returns.copy_((advantage + values).flatten())

    def _bootstrap(self, following: Tensor) -> None:
        """A truncated step is followed by the value of its true last observation. Waits for the device."""
        cut = self._r.rows["truncated"].flatten().nonzero()[:, 0]
        last = self._r.rows["final_x"].flatten(0, 1)
        for rows in cut.tensor_split(len(cut) // _PASS + 1):
            following.view(-1)[rows] = self._heads(self._flat, last[rows])[1]

    def _epochs_there(self) -> None:
        s, rows = self._settings, len(self._advantage)
        key = (s.clip_range_vf, s.ent_coef, s.vf_coef, s.max_grad_norm, s.target_kl, s.normalize_advantage)
        for epoch in range(s.n_epochs):
            if epoch and s.target_kl and self._mover.has_stopped:
                return
            order = torch.randperm(rows, generator=self.generator, device=self._flat.device)
            for some in order.tensor_split(-(-rows // s.batch_size)):
                held, move = self._move_of(len(some))
                held.copy_(some)
                move(key)

    def _move_of(self, size: int) -> tuple[Tensor, Recorded]:
        """The step of a minibatch of so many rows, and where it looks for their numbers."""
        if size not in self._moves:
            held = torch.zeros(size, dtype=torch.int64, device=self._flat.device)
            self._moves[size] = held, Recorded(partial(self._move, held), (), self._recorder)
        return self._moves[size]

    def _move(self, rows: Tensor) -> None:
        """A minibatch step. Recorded: changes tensors in place, reads no value."""
        s = self._settings
        weights = Weights(self._mover.clip_range, s.clip_range_vf, s.ent_coef, s.vf_coef)
        self._mover.move(self._batch_of(rows), weights, max_grad_norm=s.max_grad_norm, max_kl=1.5 * s.target_kl)

    def _batch_of(self, rows: Tensor) -> Batch:
        flat = {name: part.flatten(0, 1) for name, part in self._r.rows.items()}
        own = None if self._pool is None else flat["own"][rows].to(torch.float32)
        advantage = self._advantage[rows]
        return Batch(
            x=self._inputs_there.finish(flat["x"][rows]),
            action=flat["action"][rows],
            log_prob=flat["log_prob"][rows],
            advantage=normalised(advantage, own) if self._settings.normalize_advantage else advantage,
            returns=self._returns[rows],
            value=flat["value"][rows],
            mask=flat["mask"][rows] if "mask" in flat else None,
            own=own,
        )

    def _explained_variance(self) -> float | None:
        error = self._returns - self._r.rows["value"].flatten()
        spread, left = torch.stack([self._returns.var(correction=0), error.var(correction=0)]).tolist()
        return None if spread == 0 else 1 - left / spread

    def _begin_next_there(self) -> None:
        """Count the update, keep a snapshot, and make the rollout empty again."""
        self._updates += 1
        if self._pool is not None:
            if self._pool.is_due(self._updates):
                self._pool.offer(self._flat.cpu().numpy(), self._updates)
            self._pool.draw()
            self._lift_snapshot()
        self._r.restart()
        self._there.prepare(self._r.length)

    # --- the pool, settings, state -----------------------------------------------------------------------------

    def _meet_pool(self) -> None:
        """The pool's seats and its snapshot as the host has them."""
        if self._pool is not None:
            self._seats[: self._pooled] = torch.from_numpy(self._pool.seats).to(self._seats.device)
            self._lift_snapshot()

    def _lift_snapshot(self) -> None:
        if self._pool is not None and self._pool.opponent is not None:
            self._snapshot.copy_(torch.from_numpy(self._pool.opponent))

    def set(self, key: str, value: float) -> float:
        if self._pool is None:
            return super().set(key, value)
        self._pool.seats = self._seats[: self._pooled].cpu().numpy()
        old = super().set(key, value)
        self._meet_pool()
        return old

    def join(self, group: Group) -> None:
        raise ConfigError("several ranks keep their rollouts in host memory", 'set ppo.rollout = "host"')

    def take_over(self, state: Mapping[str, object], rank: int, size: int) -> None:
        """Go on from a checkpoint whose rollout was in host memory: with what was learned, in new episodes."""
        self._load_learned(state)
        if self._pool is not None:
            self._pool.take_over(take(state, "pool"))
        self._start(self._task, later_seed(self._seed, self._updates))
        self._steps, self._finished = counted_by_ranks(state)

    def state_dict(self) -> dict[str, object]:
        pool = None if self._pool is None else {**self._pool.state_dict(), "seats": self._seats[: self._pooled]}
        return {
            **self._learned(),
            "resident": {
                "rollout": self._r.state_dict(),
                "episodes": self._episodes.state_dict(),
                "generator": self.generator.get_state(),
            },
            "collector": {"steps": self._steps, "finished": self._finished},
            "moments": None,
            "reward_scale": None,
            "pool": pool,
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        if "resident" not in state:
            self.take_over(state, 0, 1)
            return
        self._load_learned(state)
        held = take(state, "resident")
        self._r.load_state_dict(take(held, "rollout"))
        self._episodes.load_state_dict(take(held, "episodes"))
        drawn = torch.as_tensor(take(held, "generator")).cpu()
        if drawn.shape == self.generator.get_state().shape:  # of another kind of device otherwise
            self.generator.set_state(drawn)
        counted = take(state, "collector")
        self._steps, self._finished = int(take(counted, "steps")), int(take(counted, "finished"))
        load_part(self._pool, state, "pool")
        self._meet_pool()


def normalised(advantage: Tensor, own: Tensor | None) -> Tensor:
    """Mean 0, standard deviation 1, over the rows whose actions the learner chose: as in ppo.py, without a wait."""
    seen = torch.ones_like(advantage) if own is None else own
    count = seen.sum()
    centred = advantage - (advantage * seen).sum() / count.clamp(min=1)
    std = ((centred * centred * seen).sum() / (count - 1).clamp(min=1)).sqrt()
    return torch.where(count < 2, advantage, centred / (std + 1e-8))


def _legal(outputs: Tensor, mask: Tensor | None) -> Tensor:
    return outputs if mask is None else outputs.masked_fill(~mask, float(FORBIDDEN))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
