"""Every setting, its default, its bounds and its sentence. Import-light, so that help and forms load nothing heavy.

Layers, later wins: built-in defaults, a preset or file, the environment (`TUI_TRAINER_A__B` is a.b), `--set` and flags.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tui_trainer.core.conditions import parse_condition
from tui_trainer.errors import ConfigError

Scalar = bool | int | float | str
_ADDRESS = re.compile(r"""(https?://)(?:[^/?#\s]*@)?([^/?#@\s"']*)[^\s"']*""")
LARGEST_ROLLOUT = 2**31
LARGEST_INTEGER = 2**53
"""Beyond it JSON readers lose digits."""
OPEN = ("task", "algorithm", "study.space", "ui.keys")
"""Tables whose keys are not settings of ours."""
OUTGOING = (
    "notify.command", "notify.webhook",
    "telemetry.openmetrics", "telemetry.tensorboard", "telemetry.wandb",
)  # fmt: skip
"""Settings that start, send or write something: they stay behind when a session comes from elsewhere."""
SECRET = "notify.webhook"
"""The one that may hold a secret."""
NOWHERE: tuple[Any, ...] = ("", "off", [], ())
"""Values of theirs that do nothing."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the settings tables."""


class RunSettings(Settings, frozen=True):
    """[run]: what is trained, where, and under which name."""

    task: Annotated[str, Meta(min_length=1, description="Task id; `tasks list` shows them.")] = "connect_four"
    algorithm: Annotated[
        str, Meta(min_length=1, description="Algorithm that updates: ppo, dqn, or one that a package registers.")
    ] = "ppo"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Seed of everything random.")] = 1
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu or cuda:N.")] = "auto"
    devices: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:\d+)?)$")], ...],
        Meta(description="Devices that ranks, or seeds, take in turn; empty = device."),
    ] = ()
    nproc: Annotated[
        int, Meta(ge=1, le=1024, description="Ranks on this machine that share the environments and batches.")
    ] = 1
    max_restarts: Annotated[
        int, Meta(ge=0, description="With nproc: how often a run that lost a rank begins again from its last save.")
    ] = 3
    threads: Annotated[int, Meta(ge=1, le=256, description="torch threads; bits depend on it, so it is recorded.")] = 1
    memory_limit_gib: Annotated[
        float, Meta(ge=0, description="Save and pause at 95 % of this resident memory; 0 = no limit.")
    ] = 0.0
    name: Annotated[str, Meta(max_length=64, description="Session name; default <task>-<algorithm>-<n>.")] = ""
    note: Annotated[str, Meta(max_length=400, description="A line for people.")] = ""
    tags: Annotated[tuple[str, ...], Meta(description="Words to filter sessions by.")] = ()
    log_every_updates: Annotated[
        int, Meta(ge=0, description="Journal every n-th update; 0 = about five a second, chosen at the start.")
    ] = 0
    step_delay_s: Annotated[float, Meta(ge=0, le=60, description="Wait after each update, for demonstrations.")] = 0.0
    on_term: Annotated[
        Literal["stop", "requeue"], Meta(description="After SIGTERM exit 143, or 75 so that a scheduler requeues.")
    ] = "stop"


class TerminationSettings(Settings, frozen=True):
    """[manager.termination]: hard limits (0 = none), the target and intelligent termination."""

    max_updates: Annotated[int, Meta(ge=0, description="End after this many updates.")] = 0
    max_episodes: Annotated[int, Meta(ge=0, description="End after this many finished episodes.")] = 0
    max_steps: Annotated[int, Meta(ge=0, description="End after this many environment steps.")] = 0
    max_hours: Annotated[float, Meta(ge=0, description="End after this many hours of running, pauses left out.")] = 0.0
    target: Annotated[str, Meta(description='End when a condition holds, such as "eval/win_rate >= 0.95".')] = ""
    intelligent: Annotated[bool, Meta(description="End on plateau or degradation (production mode only).")] = True
    patience: Annotated[int, Meta(ge=2, description="Evaluations without progress before a plateau ends the run.")] = 20
    min_updates: Annotated[int, Meta(ge=0, description="No intelligent end before this update.")] = 100


class EpisodeSettings(Settings, frozen=True):
    """[manager.episodes]"""

    max_steps: Annotated[int, Meta(ge=0, description="Truncate longer episodes; 0 = the task's own limit.")] = 0


class EvaluationSettings(Settings, frozen=True):
    """[manager.evaluation]"""

    every_updates: Annotated[int, Meta(ge=1, description="Evaluate after every n-th update.")] = 50
    episodes: Annotated[int, Meta(ge=2, description="Greedy episodes for each part (opponent, category).")] = 100
    final_episodes: Annotated[int, Meta(ge=0, description="Episodes a part at a normal end; 0 = none.")] = 200
    most_episodes: Annotated[
        int, Meta(ge=0, description="Episodes of all parts together at most, for tasks with many; 0 = no bound.")
    ] = 0
    balance: Annotated[
        Literal["round-robin", "random", "least-evaluated"],
        Meta(description="Under that bound, the parts whose turn it is; the others keep their last result."),
    ] = "round-robin"


class CheckpointSettings(Settings, frozen=True):
    """[manager.checkpoints]: best, latest and manual ones are never pruned by count."""

    every_updates: Annotated[int, Meta(ge=0, description="Regular checkpoint every n updates; 0 = off.")] = 200
    every_minutes: Annotated[float, Meta(ge=0, description="Regular checkpoint every n minutes; 0 = off.")] = 10.0
    keep_last: Annotated[int, Meta(ge=1, description="Regular checkpoints kept.")] = 5
    keep_best: Annotated[int, Meta(ge=1, description="Best checkpoints kept.")] = 2
    max_gib: Annotated[
        float,
        Meta(ge=0, description="Prune regular ones past this size, their replay buffer included; 0 = no bound."),
    ] = 0.0


class ManagerSettings(Settings, frozen=True):
    """[manager]: the one authority over ends, pauses, evaluations, checkpoints and difficulty."""

    mode: Annotated[Literal["production", "optuna"], Meta(description="optuna: deterministic, fixed limits.")] = (
        "production"
    )
    termination: TerminationSettings = TerminationSettings()
    episodes: EpisodeSettings = EpisodeSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()


class ContinuousSettings(Settings, frozen=True):
    """[continuous]: the adviser that watches evaluations and recommends."""

    enabled: Annotated[bool, Meta(description="Raise recommendations.")] = True
    auto_accept: Annotated[bool, Meta(description="Accept confident recommendations without a person.")] = False
    auto_accept_subjects: Annotated[
        tuple[str, ...], Meta(description='Only these, such as ["difficulty", "learning_rate"]; empty = every subject.')
    ] = ()
    auto_accept_confidence: Annotated[
        float, Meta(ge=0, le=1, description="None below this confidence is accepted without a person.")
    ] = 0.0
    min_confidence: Annotated[float, Meta(ge=0, le=1, description="No recommendation below this confidence.")] = 0.6
    level: Annotated[int, Meta(ge=0, description="Difficulty level at the start.")] = 0
    initial_quality_range: Annotated[tuple[float, float], Meta(description="Quality range at the start.")] = (0.7, 1.0)
    floor: Annotated[float, Meta(ge=0, le=1, description="The range's lower bound never falls below this.")] = 0.3
    step: Annotated[float, Meta(gt=0, le=1, description="One recommendation moves the lower bound by this.")] = 0.05
    try_updates: Annotated[
        int, Meta(ge=0, description="Updates of each branch of a try; 0 = twice manager.evaluation.every_updates.")
    ] = 0
    expires_updates: Annotated[int, Meta(ge=1, description="A recommendation expires after n updates.")] = 500
    rules: Annotated[tuple[str, ...], Meta(description="Rules that packages register, beside the built-in ones.")] = ()
    quiet_evaluations: Annotated[int, Meta(ge=0, description="Evaluations of silence after a rejection.")] = 10


class StageSettings(Settings, frozen=True, forbid_unknown_fields=True):
    """[[curriculum.schedule]]: one scheduled change of difficulty."""

    when: Annotated[str, Meta(min_length=1, description='Such as "update >= 100" or "eval/win_rate > 0.8".')]
    level: Annotated[int | None, Meta(description="Level from then on; left out = as it is.")] = None
    low: Annotated[float | None, Meta(description="Lower bound of the quality range from then on.")] = None
    high: Annotated[float | None, Meta(description="Upper bound of the quality range from then on.")] = None


class CurriculumSettings(Settings, frozen=True):
    """[curriculum]: changes of difficulty in order; each waits for the one before."""

    schedule: Annotated[tuple[StageSettings, ...], Meta(description="The stages; a person's order ends them.")] = ()


class PPOSettings(Settings, frozen=True):
    """[ppo]: Schulman et al. 2017; names as in Stable-Baselines3."""

    num_envs: Annotated[int, Meta(ge=1, le=2**20, description="Parallel environments.")] = 64
    n_steps: Annotated[int, Meta(ge=1, description="Steps of each environment in a rollout.")] = 128
    batch_size: Annotated[int, Meta(ge=1, description="Minibatch size.")] = 2048
    n_epochs: Annotated[int, Meta(ge=1, description="Passes over each rollout.")] = 4
    learning_rate: Annotated[float, Meta(gt=0, le=1, description="Adam's step size.")] = 3e-4
    learning_rate_final: Annotated[
        float, Meta(ge=0, le=1, description="Anneal to this share of learning_rate at the limit; 1 = constant.")
    ] = 1.0
    gamma: Annotated[float, Meta(ge=0, le=1, description="Discount.")] = 0.99
    gae_lambda: Annotated[float, Meta(ge=0, le=1, description="GAE's lambda.")] = 0.95
    clip_range: Annotated[float, Meta(gt=0, description="Clip of the probability ratio.")] = 0.2
    clip_range_final: Annotated[
        float, Meta(ge=0, le=1, description="Anneal to this share of clip_range at the limit; 1 = constant.")
    ] = 1.0
    clip_range_vf: Annotated[float, Meta(ge=0, description="Clip of the value change; 0 = off.")] = 0.0
    normalize_advantage: Annotated[bool, Meta(description="Normalise advantages in each minibatch.")] = True
    ent_coef: Annotated[float, Meta(ge=0, description="Weight of the entropy bonus.")] = 0.01
    vf_coef: Annotated[float, Meta(ge=0, description="Weight of the value loss.")] = 0.5
    max_grad_norm: Annotated[float, Meta(gt=0, description="Gradient norm is clipped to this.")] = 0.5
    target_kl: Annotated[float, Meta(ge=0, description="Stop the epochs past 1.5 times this KL; 0 = off.")] = 0.0
    network: Annotated[
        str,
        Meta(
            description="mlp; lines: mlp over a board and its winning cells; conv: images and boards; "
            "planes: convolutions of `hidden` channels with a policy head by square, where the task has one; "
            "moves: the same, judging a move from the square it leaves and the one it reaches."
        ),
    ] = "mlp"
    hidden: Annotated[tuple[int, ...], Meta(min_length=1, description="Hidden layers' sizes.")] = (64, 64)
    activation: Annotated[Literal["tanh", "relu"], Meta(description="Hidden activation.")] = "tanh"
    shared: Annotated[bool, Meta(description="Policy and value share the hidden layers.")] = False
    squash_output: Annotated[
        bool, Meta(description="Box actions: tanh of a Gaussian; otherwise a Gaussian clipped to the bounds.")
    ] = False
    gradients: Annotated[
        Literal["auto", "autograd", "derived"],
        Meta(description="auto: hand-derived for small discrete MLPs on the CPU, autograd elsewhere."),
    ] = "auto"
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Meta(description="bfloat16: the network's products at half the width while training, for GPUs, wide networks."),
    ] = "float32"
    rollout: Annotated[
        Literal["auto", "host", "device"],
        Meta(
            description="Where the rollout lies. auto: on the GPU with a task that can step there, else in host memory."
        ),
    ] = "auto"
    graphs: Annotated[
        Literal["auto", "off"],
        Meta(description="auto: with the rollout on a GPU, steps and minibatches are recorded as CUDA graphs."),
    ] = "auto"
    normalize_observations: Annotated[bool, Meta(description="Running mean and variance of observations.")] = False
    normalize_rewards: Annotated[bool, Meta(description="Running variance of returns.")] = False
    pool_size: Annotated[int, Meta(ge=0, description="Self-play: snapshots kept as opponents; 0 = none.")] = 8
    pool_share: Annotated[float, Meta(ge=0, le=1, description="Self-play: share of environments against them.")] = 0.2
    pool_every: Annotated[int, Meta(ge=1, description="Self-play: updates between snapshots.")] = 50


class DQNSettings(Settings, frozen=True):
    """[dqn]: Mnih et al. 2015 with the options of Hessel et al. 2018; names as in Stable-Baselines3."""

    num_envs: Annotated[int, Meta(ge=1, description="Parallel environments.")] = 8
    buffer_size: Annotated[int, Meta(ge=1, description="Transitions kept.")] = 100_000
    learning_starts: Annotated[int, Meta(ge=0, description="Environment steps before the first update.")] = 1_000
    batch_size: Annotated[int, Meta(ge=1, description="Transitions a gradient step.")] = 128
    train_freq: Annotated[int, Meta(ge=1, description="Environment steps (all together) between updates.")] = 80
    gradient_steps: Annotated[int, Meta(ge=1, description="Gradient steps an update.")] = 8
    learning_rate: Annotated[float, Meta(gt=0, le=1, description="Adam's step size.")] = 2.3e-3
    learning_rate_final: Annotated[
        float, Meta(gt=0, le=1, description="Step size once it was annealed over learning_rate_steps.")
    ] = 1e-4
    learning_rate_steps: Annotated[
        int, Meta(ge=0, description="Environment steps over which it goes there; 0 = it stays as it is.")
    ] = 0
    gamma: Annotated[float, Meta(ge=0, le=1, description="Discount.")] = 0.99
    tau: Annotated[float, Meta(gt=0, le=1, description="Share of the online net copied to the target net.")] = 1.0
    target_update_interval: Annotated[int, Meta(ge=1, description="Environment steps between target updates.")] = 500
    exploration_fraction: Annotated[float, Meta(ge=0, le=1, description="Share of max_steps spent annealing.")] = 0.16
    exploration_steps: Annotated[int, Meta(ge=0, description="Annealing steps; 0 = by exploration_fraction.")] = 0
    exploration_initial_eps: Annotated[float, Meta(ge=0, le=1, description="Epsilon at the start.")] = 1.0
    exploration_final_eps: Annotated[float, Meta(ge=0, le=1, description="Epsilon after annealing.")] = 0.04
    double: Annotated[
        bool, Meta(description="Double DQN: one network chooses the next action, the other values it.")
    ] = True
    dueling: Annotated[bool, Meta(description="Separate networks for a state's value and its actions' advantages.")] = (
        False
    )
    n_steps: Annotated[int, Meta(ge=1, le=1000, description="Rewards in a target before the next state's value.")] = 1
    prioritized_replay: Annotated[bool, Meta(description="Replay surprising transitions more often.")] = False
    prioritized_replay_alpha: Annotated[
        float, Meta(ge=0, le=1, description="How much surprise counts; 0 = not at all.")
    ] = 0.6
    prioritized_replay_beta0: Annotated[
        float, Meta(ge=0, le=1, description="First share of the bias that weights take out again; it grows to 1.")
    ] = 0.4
    prioritized_replay_beta_steps: Annotated[
        int,
        Meta(ge=0, description="Steps until that share is 1; 0 = max_steps, or 50,000 where there is no such limit."),
    ] = 0
    prioritized_replay_eps: Annotated[float, Meta(gt=0, description="Added to every error, so that none is 0.")] = 1e-6
    max_grad_norm: Annotated[float, Meta(gt=0, description="Gradient norm is clipped to this.")] = 10.0
    hidden: Annotated[tuple[int, ...], Meta(min_length=1, description="Hidden layers' sizes.")] = (256, 256)


class TelemetrySettings(Settings, frozen=True):
    """[telemetry]"""

    interval_s: Annotated[float, Meta(ge=0.2, description="Seconds between samples of the machine.")] = 2.0
    alerts: Annotated[bool, Meta(description="Raise alerts for memory, disk and unhealthy training.")] = True
    openmetrics: Annotated[
        str, Meta(description="Text file of all newest figures, rewritten each interval; a directory: NAME.prom in it.")
    ] = ""
    tensorboard: Annotated[
        str, Meta(description="Directory for live TensorBoard files, a folder in it for each session; empty = none.")
    ] = ""
    wandb: Annotated[
        Literal["off", "offline", "online"], Meta(description="Log to Weights & Biases, or to files to sync later.")
    ] = "off"
    wandb_project: Annotated[str, Meta(min_length=1, description="W&B project.")] = "tui-trainer"


class NotifySettings(Settings, frozen=True):
    """[notify]: who is told, also while nobody looks; the engine sends it."""

    events: Annotated[
        tuple[Literal["end", "pause", "alert", "recommendation"], ...],
        Meta(description="What is told; pause: one that no person ordered."),
    ] = ("end", "pause", "alert", "recommendation")
    command: Annotated[
        tuple[str, ...], Meta(description="Program and its arguments, started without a shell; NOTIFY_* tells it what.")
    ] = ()
    webhook: Annotated[
        str,
        Meta(pattern=r"^(https?://\S+|\$[A-Za-z_]\w*)?$", description="POST JSON here; $NAME = that variable."),
    ] = ""
    timeout_s: Annotated[float, Meta(gt=0, le=600, description="Seconds that a command or a server may take.")] = 10.0


class ReportSettings(Settings, frozen=True):
    """[report]"""

    at_end: Annotated[
        bool, Meta(description="Write the report into the session at a normal end, after the final evaluation.")
    ] = True


class UiSettings(Settings, frozen=True):
    """[ui]"""

    fps: Annotated[float, Meta(gt=0, le=10, description="Repaints a second.")] = 2.0
    ascii: Annotated[bool, Meta(description="Draw with ASCII only.")] = False
    bell: Annotated[
        Literal["off", "bell", "osc9"],
        Meta(description="News of [notify]'s kinds: the terminal's bell, or a desktop message (OSC 9)."),
    ] = "off"
    background: Annotated[
        Literal["auto", "dark", "light"],
        Meta(description="Colours for this background; auto asks COLORFGBG, else the terminal."),
    ] = "auto"
    mouse: Annotated[bool, Meta(description="Take the mouse; hold shift to select text, or switch this off.")] = True
    hints: Annotated[bool, Meta(description="First hints in a new view; each goes away once used.")] = True
    also: Annotated[
        tuple[str, ...], Meta(description="Folders of other tools' runs that lists show read-only, such as ~/runs.")
    ] = ()
    keys: dict[str, tuple[str, ...]] = {}
    """[ui.keys]: by action, its keys instead of the usual ones, such as `pause = ["P"]`."""


class StudySettings(Settings, frozen=True):
    """[study]: how `tune` searches; a single run ignores it."""

    sampler: Annotated[Literal["tpe", "random"], Meta(description="tpe learns from earlier trials.")] = "tpe"
    pruner: Annotated[
        Literal["median", "halving", "none"], Meta(description="Which trials end early, by their evaluations.")
    ] = "median"
    startup_trials: Annotated[int, Meta(ge=1, description="Random, unpruned trials before it learns.")] = 5
    warmup_evaluations: Annotated[int, Meta(ge=0, description="No trial is pruned before so many evaluations.")] = 2
    space: dict[str, Any] = {}
    """[study.space]: by setting, {low, high, log, step} or {choices}; `search_space` reads it."""


class Dimension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `tune` may choose for one setting: a range, both ends within it, or a few choices."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = None
    choices: tuple[Scalar, ...] = ()
    """A list, such as hidden layers, is written as text: "[64, 64]"."""


class Config(Settings, frozen=True):
    """All settings of a run."""

    run: RunSettings = RunSettings()
    manager: ManagerSettings = ManagerSettings()
    continuous: ContinuousSettings = ContinuousSettings()
    curriculum: CurriculumSettings = CurriculumSettings()
    ppo: PPOSettings = PPOSettings()
    dqn: DQNSettings = DQNSettings()
    algorithm: dict[str, Any] = {}
    """Settings of an algorithm that a package registers; `num_envs` is read for every one."""
    task: dict[str, Any] = {}
    """The task's own options; `tasks show ID` lists them."""
    telemetry: TelemetrySettings = TelemetrySettings()
    notify: NotifySettings = NotifySettings()
    report: ReportSettings = ReportSettings()
    ui: UiSettings = UiSettings()
    study: StudySettings = StudySettings()


class Layer(msgspec.Struct, frozen=True):
    """One source of settings: a nested table and where it came from."""

    origin: str
    table: dict[str, Any]


class Resolved(msgspec.Struct, frozen=True):
    """The settings of a run and, by dotted key, where each came from."""

    config: Config
    origins: dict[str, str]


def resolve(layers: list[Layer]) -> Resolved:
    """Merge `layers` over the defaults, later ones win. Raises ConfigError naming origin, key and nearest right key."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for key, value in flatten(layer.table):
            _require_known(layer.origin, key)
            _put(merged, key, value)
            origins[key] = layer.origin
    config = _convert(merged, origins)
    _require_sense(config, origins)
    return Resolved(config, origins)


def flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A nested table as dotted keys and values."""
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{key}.")
        else:
            yield key, value


@functools.cache
def known_keys() -> Mapping[str, msgspec.structs.FieldInfo]:
    """Every setting by dotted key."""
    return types.MappingProxyType(dict(_walk(Config, "")))


def setting_doc(key: str) -> str:
    """The setting's sentence."""
    return _meta(known_keys()[key].type)


def get(config: Config, key: str) -> Any:
    """The value at a dotted key."""
    value: Any = config
    for name in key.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def to_table(config: Config) -> dict[str, Any]:
    """The settings as a nested table of plain values."""
    table: dict[str, Any] = msgspec.to_builtins(config)
    return table


def without_outgoing(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A nested table of settings without `OUTGOING`, and the keys that were left out because they were set."""
    kept: dict[str, Any] = {}
    left: list[str] = []
    for key, value in flatten(table):
        if key in OUTGOING:
            left += [] if value in NOWHERE else [key]
        else:
            _put(kept, key, value)
    return kept, left


def presentable(key: str, value: Any) -> Any:
    """A value as it may be shown: of an address that may hold a secret no more than its server."""
    return _ADDRESS.sub(r"\1\2/...", value) if key == SECRET else value


def without_secrets(word: str) -> str:
    """A word of a command line as it may be shown and kept."""
    return str(presentable(SECRET, word)) if SECRET.rpartition(".")[2] in word else word


def nearest(word: str, known: list[str]) -> str | None:
    """The closest known word: by its whole, or by its last part when a table was forgotten."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    tails = {key.rsplit(".", 1)[-1]: key for key in known}
    tail = difflib.get_close_matches(word.rsplit(".", 1)[-1], list(tails), n=1, cutoff=0.7)
    return tails[tail[0]] if tail else None


def _walk(kind: type, prefix: str) -> Iterator[tuple[str, msgspec.structs.FieldInfo]]:
    for field in msgspec.structs.fields(kind):
        inner = _plain(field.type)
        if isinstance(inner, type) and issubclass(inner, Settings):
            yield from _walk(inner, f"{prefix}{field.name}.")
        elif f"{prefix}{field.name}" not in OPEN:
            yield f"{prefix}{field.name}", field


def _plain(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def _meta(annotation: Any) -> str:
    if typing.get_origin(annotation) is not Annotated:
        return ""
    found = [m.description for m in typing.get_args(annotation)[1:] if isinstance(m, Meta) and m.description]
    return found[0] if found else ""


STAGE_HINT = (
    'write each stage as [[curriculum.schedule]] with when = "update >= 100" or when = "eval/win_rate > 0.8", '
    "and level, low or high"
)
REPLACED = {
    "curriculum": STAGE_HINT,
    "curriculum.stages": STAGE_HINT,
    "curriculum.levels": STAGE_HINT,
    "curriculum.quality_range": "the range at the start is continuous.initial_quality_range",
    "training": "limits are [manager.termination], the algorithm's settings [ppo] or [dqn]",
    "evaluation": "evaluations are [manager.evaluation]",
    "checkpoint": "checkpoints are [manager.checkpoints]",
    "checkpoints": "checkpoints are [manager.checkpoints]",
    "termination": "limits are [manager.termination]",
    "environment": "the task is run.task, its options [task]",
    "env": "the task is run.task, its options [task]",
    "model": "layers are ppo.hidden or dqn.hidden",
    "optuna": "a study is [study], its space [study.space]",
    "search_space": "the space is [study.space]",
    "data_quality": "the range at the start is continuous.initial_quality_range",
}
"""Settings and tables of older files, and what took their place."""


def _replacement(key: str) -> str:
    """What took the place of a setting of older files: by its own name, otherwise by its whole table's."""
    table = key.partition(".")[0]
    return REPLACED.get(key) or (REPLACED.get(table, "") if table != "curriculum" else "")


def _require_known(origin: str, key: str) -> None:
    known = list(known_keys())
    if key in known or key.startswith(tuple(f"{table}." for table in OPEN)):
        return
    replacement = _replacement(key)
    if replacement:
        raise ConfigError(f"{origin}: {key} is not a setting any more", replacement)
    close = nearest(key, known)
    hint = f"did you mean {close}?" if close else "`tui-trainer config show` lists every setting"
    raise ConfigError(f"{origin}: {key} is not a setting", hint)


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for name in parents:
        if not isinstance(table.get(name), dict):
            table[name] = {}
        table = table[name]
    table[last] = value


def _convert(merged: dict[str, Any], origins: Mapping[str, str]) -> Config:
    try:
        return msgspec.convert(merged, Config, strict=False)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        key = path.rstrip("`").split("[")[0]
        where = f"{origins.get(key, 'settings')}: {key}" if key else "settings"
        hint = STAGE_HINT if key == "curriculum.schedule" else setting_help(key)
        raise ConfigError(f"{where}: {message[:1].lower()}{message[1:]}", hint) from None


def setting_help(key: str) -> str:
    """A setting's sentence and its choices for an error's hint, or nothing for a key that is none."""
    if key not in known_keys():
        return ""
    choices = setting_choices(key)
    return f"{setting_doc(key)} One of: {', '.join(choices)}." if choices else setting_doc(key)


def setting_choices(key: str) -> tuple[str, ...]:
    """The words that a setting may be, where they are few."""
    kind = _plain(known_keys()[key].type)
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()


def _require_sense(config: Config, origins: Mapping[str, str]) -> None:
    """What no single bound can say."""

    def fail(key: str, text: str, hint: str) -> None:
        raise ConfigError(f"{origins.get(key, 'defaults')}: {key}: {text}", hint)

    low, high = config.continuous.initial_quality_range
    if not 0 <= low < high <= 1:
        fail(
            "continuous.initial_quality_range",
            f"[{low}, {high}] is no range",
            "write two numbers, 0 <= low < high <= 1",
        )
    for key, value in flatten(to_table(config)):
        if isinstance(value, float) and not math.isfinite(value):
            fail(key, f"{value} is no number", setting_help(key))
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            fail(key, "is too large", setting_help(key))
    rollout = config.ppo.num_envs * config.ppo.n_steps
    if config.ppo.batch_size > rollout:
        fail("ppo.batch_size", f"{config.ppo.batch_size} is larger than a rollout", f"num_envs x n_steps is {rollout}")
    if rollout > LARGEST_ROLLOUT:
        fail("ppo.n_steps", f"a rollout of {rollout:.3g} steps fits in no memory", "lower n_steps or num_envs")
    if config.dqn.batch_size > config.dqn.buffer_size:
        fail("dqn.batch_size", "is larger than dqn.buffer_size", "lower it")
    search_space(config, origins)
    conditions = [("curriculum.schedule", stage.when) for stage in config.curriculum.schedule]
    for key, text in (("manager.termination.target", config.manager.termination.target), *conditions):
        try:
            if text:
                parse_condition(text)
        except ConfigError as error:
            fail(key, error.message, error.hint)


def search_space(config: Config, origins: Mapping[str, str] | None = None) -> dict[str, Dimension]:
    """[study.space] by setting. Raises ConfigError naming the setting that is none, or whose range is none."""
    return {key: _dimension(key, table, origins or {}) for key, table in space_tables(config.study.space)}


def space_tables(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves: tables that hold values; a name with dots and tables within tables are the same."""
    tables = {key.rpartition(".")[0] for key in known_keys()} | {"task", "manager"}
    for name, inner in table.items():
        if f"{prefix}{name}" in tables and isinstance(inner, Mapping):
            yield from space_tables(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner


def _dimension(key: str, table: Any, origins: Mapping[str, str]) -> Dimension:
    place = f"study.space.{key}"
    origin = next((origins[each] for each in origins if each.startswith(place)), "settings")
    if not key.startswith("task."):
        _require_known(f"{origin}: study.space", key)
    try:
        found = msgspec.convert(table, Dimension, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {place}: {error}", SPACE_HINT) from None
    if found.choices:
        wrong = "has choices and a range" if (found.low, found.high, found.step) != (None, None, None) else ""
    elif found.low is None or found.high is None or not found.low < found.high:
        wrong = "is no range"
    elif found.log and (found.low <= 0 or found.step is not None):
        wrong = "has a log scale, which needs low > 0 and no step"
    else:
        wrong = "" if found.step is None or found.step > 0 else "has a step that is not above 0"
    if wrong:
        raise ConfigError(f"{origin}: {place} {wrong}", SPACE_HINT)
    return found


SPACE_HINT = "write { low = 1e-4, high = 1e-2, log = true } or { choices = [64, 128] }"


def assignments_layer(assignments: Sequence[str], origin: str = "--set") -> Layer:
    """`KEY=VALUE` words as a layer; a list is written as in TOML: `[64, 64]`. Raises ConfigError.

    Text becomes what its setting is; what an environment's own argument is, its writing says: 3, true, "3".
    """
    table: dict[str, Any] = {}
    for text in assignments:
        key, value = parse_assignment(text)
        _put(table, key, _list_or_text(key, value))
    return Layer(origin, table)


def _list_or_text(key: str, text: str) -> Any:
    if key.startswith("task.") and key.count(".") > 1:
        return _argument(text)
    if not text.startswith(("[", "{")):
        return text.strip("\"'")
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        raise ConfigError(f"{key}={text}: not a list", "write it like [64, 64]") from None


def _argument(text: str) -> Any:
    """An environment's own argument (`task.kwargs.NAME`), whose type nobody here knows: as in TOML, or else text."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    return value if isinstance(value, bool | int | float | list | dict) else text.strip("\"'")


def parse_assignment(text: str) -> tuple[str, str]:
    """Split `KEY=VALUE`. Raises ConfigError when there is no `=`."""
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set {text!r}: not KEY=VALUE", "such as --set ppo.learning_rate=1e-4")
    return key.strip(), value.strip()
