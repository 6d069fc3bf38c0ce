"""What a task, a policy and a learner promise. Array types are named for the reader; nothing here imports numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

import msgspec

from tui_trainer.core.data import DataReport
from tui_trainer.core.reports import CollectReport, UpdateReport
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor

    Float = NDArray[np.float32]
    Int = NDArray[np.int64]
    Bool = NDArray[np.bool_]
    Small = NDArray[np.int8]
    Any = NDArray[np.generic]


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is fixed about a task; import-light, so that lists load no task."""

    id: str
    obs_shape: tuple[int, ...]
    obs_dtype: str
    """numpy name; `uint8` observations are fed to networks as 0.0 and 1.0 where `obs_binary`."""
    obs_binary: bool = False
    action: Literal["discrete", "box"]
    n: int
    """Number of discrete actions, or the length of a box action."""
    action_planes: int = 0
    """0, or planes of a board's actions: action = plane * squares + square, with the squares of `obs_shape`."""
    action_steps: tuple[tuple[int, int], ...] = ()
    """By plane, rows down and columns right from the square an action leaves to the one it reaches; empty = unknown."""
    num_envs: int
    masked: bool = False
    players: int = 1
    """2: rewards and values are from the side to move; advantages flip sign where `to_move` changes."""
    metric: str = "mean_reward"
    """The evaluation's score: `win_rate` or `mean_reward`."""
    higher_is_better: bool = True
    outcomes: tuple[str, ...] = ()
    """Names of `Step.outcome` 1, 2, 3 ..., such as ('black', 'white', 'draw')."""
    parts: tuple[str, ...] = ("all",)
    """Opponents or categories of the reference evaluation, in order."""
    resume: Literal["exact", "episode"] = "exact"
    hosted: bool = False
    """True where the loop belongs to somebody else's script: it evaluates when it likes, and nothing of it can be
    gone back to."""
    backend: Literal["numpy", "torch"] = "numpy"
    action_low: float = -1.0
    action_high: float = 1.0


class Reset(NamedTuple):
    """First observations. obs (N, *obs_shape); mask (N, n) of legal actions or None; to_move (N,) int8."""

    obs: Any
    mask: Bool | None
    to_move: Small


class Step(NamedTuple):
    """A batched transition; every field has leading dimension num_envs (N).

    `reward` (N,) float32 is for the side that moved. `obs`, `mask`, `to_move` belong to the next decision, after a
    same-step autoreset where `terminated | truncated`; `final_obs` holds the true last observation there (elsewhere
    it equals `obs`). A row with `valid` False is no transition and reaches no advantage, buffer, SPS or count.
    `outcome` (N,) int8: 0 where no episode ended, otherwise an index into `TaskSpec.outcomes`, counted from 1.

    A row that is `truncated` and not `valid` is an episode that broke, in an environment that raised: it has no reward
    and is counted apart; `obs` begins the next one. `failures` says why, a line for each or for all.
    `final_to_move` (N,) int8: the side that sees `final_obs`, where that matters: in a truncated game for two. None:
    the side that did not just move.
    `info`: numbers that the task tells beside the step, by name, (N,) each and NaN where a row tells none. Their means
    over a rollout become metrics `task/<name>`; nothing is learned from them. None where there are none.
    """

    obs: Any
    reward: Float
    terminated: Bool
    truncated: Bool
    final_obs: Any
    mask: Bool | None
    to_move: Small
    valid: Bool
    outcome: Small
    failures: tuple[str, ...] = ()
    final_to_move: Small | None = None
    info: Mapping[str, NDArray[np.generic]] | None = None


class TensorStep(NamedTuple):
    """A Step in tensors of one device, or a Reset: every row is a transition.

    `final_obs` and `final_to_move` are None where no episode is ever truncated. What the next step overwrites is
    copied first.
    """

    obs: Tensor
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    final_obs: Tensor | None
    mask: Tensor | None
    to_move: Tensor
    outcome: Tensor
    final_to_move: Tensor | None


class Policy(Protocol):
    """A frozen policy for evaluation, watching and playing. Never touches training's random state."""

    def act(self, obs: Any, mask: Bool | None) -> Any:
        """Greedy actions: (N, *obs_shape), (N, n) -> (N,) int64 or (N, n) float32."""
        ...

    def probabilities(self, obs: Any, mask: Bool | None) -> Float:
        """Action probabilities (N, n); a box policy returns its mean action."""
        ...

    def value(self, obs: Any) -> Float:
        """State values (N,), for the side to move."""
        ...


class Task(Protocol):
    """A batch of environments of one family. Randomness comes from its own generator, seeded by `reset`."""

    @property
    def spec(self) -> TaskSpec: ...

    def reset(self, seed: int) -> Reset:
        """Start every environment afresh; the same seed gives the same transitions for the same actions."""
        ...

    def step(self, action: Any) -> Step:
        """Advance every environment by one action: (N,) int64, or (N, n) float32 for a box.

        An environment that breaks is started afresh and its row marked (see Step). What is raised instead costs every
        open episode: the engine then calls `reset` with a new seed, and ends the run where that does not help.
        """
        ...

    def difficulty_space(self) -> DifficultySpace | None:
        """What can be made harder, or None where nothing can."""
        ...

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """Take effect at each next episode start. Raises UsageError where the task has no such difficulty."""
        ...

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Play greedy episodes against one part, in own environments; training's next bit is unchanged."""
        ...

    def baselines(self) -> dict[str, float]:
        """Known scores by name, drawn as lines in the chart."""
        ...

    def state_dict(self) -> dict[str, object]:
        """Plain values and numpy arrays: everything that decides the next transition."""
        ...

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Continue exactly where `state_dict` was taken."""
        ...

    def render_text(self, env: int) -> str:
        """Environment `env` as a few lines of text."""
        ...

    def close(self) -> None:
        """Free processes and files."""
        ...


@runtime_checkable
class TensorTask(Protocol):
    """A task whose environments can stay on a device: the learner then steps them without a wait for the host.

    Nothing in `step_tensors` may read a tensor's value on the host or let a shape depend on one, and what it changes it
    changes in place: a step is recorded once (CUDA graphs) and replayed as long as `tensor_key` stays the same. What is
    random comes from `generator`, a torch.Generator of the device.
    """

    generator: Generator

    @property
    def tensor_device(self) -> str:
        """Such as `cuda:0`; the learner's must be the same."""
        ...

    @property
    def tensor_key(self) -> object:
        """What else a recorded step took for granted."""
        ...

    @property
    def may_truncate(self) -> bool:
        """Whether an episode can be truncated."""
        ...

    def reset_tensors(self, seed: int) -> TensorStep:
        """As `reset`; from here on `step` is not called."""
        ...

    def prepare(self, steps: int) -> None:
        """Before each rollout of so many steps: what is better done at once. May wait for the device."""
        ...

    def step_tensors(self, action: Tensor) -> TensorStep:
        """As `step`; actions (N,) int64."""
        ...


@runtime_checkable
class HasData(Protocol):
    """A task that learns from a person's files."""

    @property
    def data_report(self) -> DataReport | None:
        """What was found in them; None where the task made its own data."""
        ...


@runtime_checkable
class HasSplit(Protocol):
    """A task that holds out a part of its data."""

    def recall_split(self, state: Mapping[str, Any]) -> bool:
        """Hold out from now on what was held out where `state`, of a checkpoint, was taken.

        False where today's data do not give that any more: nothing is changed then, and what is held out today may be
        what was trained on.
        """
        ...


@runtime_checkable
class HasBound(Protocol):
    """A task that knows a score which cannot be passed, or hardly."""

    def bound(self) -> float | None:
        """In the task's metric; None where nobody knows it."""
        ...


class Judge(Protocol):
    """What a policy is evaluated on, and what is known of it."""

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """As a task's."""
        ...

    def baselines(self) -> dict[str, float]:
        """As a task's."""
        ...


@runtime_checkable
class HasFinal(Protocol):
    """A task with a bounded stock of episodes to evaluate on, of which it keeps some for the final evaluation alone."""

    def final(self) -> Judge:
        """The task over these."""
        ...


class Applied(NamedTuple):
    """What a policy made of one of a person's files."""

    source: str
    target: str
    """The file that was written; empty where none was."""
    facts: dict[str, float]
    """Figures by name, such as `ssim` and `bytes`."""
    note: str
    """Why nothing was written, or a remark."""


@runtime_checkable
class HasApply(Protocol):
    """A task whose policy can be put to work on files."""

    def apply(self, policy: Policy, source: Path, target: Path, pixels: int) -> Iterator[Applied]:
        """Work on every file under `source`, write to `target`."""
        ...


class Score(NamedTuple):
    """Of games between two players, for the first of them."""

    wins: int
    draws: int
    losses: int


@runtime_checkable
class Arbiter(Protocol):
    """A two-player task that can have any two players meet, apart from training."""

    @property
    def opponents(self) -> tuple[str, ...]:
        """Names of the task's own players, `random` among them."""
        ...

    def match(self, one: Policy | str, two: Policy | str, *, games: int, seed: int) -> Score:
        """`games` greedy games from distinct openings where there are enough, each opening from both sides."""
        ...


class Learner(Protocol):
    """What updates. Built by a registered factory `build(task, settings, seed, device)`."""

    @property
    def parameters_count(self) -> int: ...

    @property
    def steps_per_update(self) -> int: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the path taken, such as 'hand-derived gradients'."""
        ...

    def collect(self, budget_s: float) -> CollectReport:
        """Fill the rollout for at most about `budget_s` seconds; call again until the report is complete."""
        ...

    def learn(self) -> UpdateReport:
        """Update from the full rollout. Raises Diverged before a non-finite step, OutOfMemory as torch does."""
        ...

    def policy(self) -> Policy:
        """A frozen copy of the present policy."""
        ...

    def policy_from(self, state: Mapping[str, object]) -> Policy:
        """The policy held in a `state_dict`, for evaluating a checkpoint; this learner is unchanged."""
        ...

    def set(self, key: str, value: float) -> float:
        """Change a live setting (`learning_rate` ...); returns the old value. Raises UsageError for any other key."""
        ...

    def state_dict(self) -> dict[str, object]:
        """Tensors and plain values: parameters, optimizer, generators, partial rollout, windows, pool.

        Tensors may be shared with the learner: whoever saves in the background copies first.
        """
        ...

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Continue exactly where `state_dict` was taken."""
        ...
