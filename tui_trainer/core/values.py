"""Small frozen values that events, commands and settings share."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Metrics: TypeAlias = dict[str, float | None]
"""Name → value; None stands for a value that was not finite."""

CheckpointKind: TypeAlias = Literal["regular", "best", "manual", "final", "emergency", "stage", "try"]
BranchName: TypeAlias = Literal["start", "without", "best"]
"""States to go back to: where a try began, the end of its branch without the change, the newest best checkpoint."""
Suite: TypeAlias = Literal["reference", "present", "final"]
Verdict: TypeAlias = Literal["accepted", "rejected", "expired", "undone", "withdrawn"]
Author: TypeAlias = Literal["user", "manager", "adviser", "signal", "engine", "curriculum"]
TrendName: TypeAlias = Literal["unknown", "excelling", "improving", "stable", "plateau", "struggling", "degrading"]
ReasonName: TypeAlias = Literal[
    "max_updates", "max_episodes", "max_steps", "max_hours", "target", "plateau", "degradation",
    "user", "signal", "scheduler", "diverged", "out_of_memory", "storage", "failed", "finished",
]  # fmt: skip


TASK_OF_GUESTS = "guest:"
"""Begins the task's name in every session whose loop belongs to a script."""


def is_guest(task: str) -> bool:
    """Whether the loop belongs to a script of somebody else's, which alone can go on with it."""
    return task.startswith(TASK_OF_GUESTS)


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of the frozen values. None can hold itself, so the collector of cycles need not look (`gc=False`)."""


class Difficulty(Value, frozen=True):
    """Where training stands: a level (index into the task's ladder) and a quality range within [0, 1]."""

    level: int = 0
    low: float = 0.7
    high: float = 1.0


class DifficultySpace(Value, frozen=True):
    """What a task can vary. `levels` names the ladder, easiest first; `ranged` tells whether [low, high] acts."""

    levels: tuple[str, ...] = ()
    ranged: bool = False
    floor: float = 0.3
    step: float = 0.05
    unit: str = ""
    """What the range means in this task, such as 'efficiency percentile'."""


class Change(Value, frozen=True):
    """One thing that a recommendation or an order would change."""

    key: str
    """`difficulty.level`, `difficulty.low`, `stop`, `rollback`, or a setting such as `ppo.learning_rate`."""
    old: float
    new: float
    label: str = ""
    """The change in the task's own words, such as '1-ply → minimax 2'."""


class Reason(Value, frozen=True):
    """Why a run ended: one name, one sentence of evidence, the process's exit code."""

    name: ReasonName
    evidence: str = ""
    exit_code: int = 0


class PartResult(Value, frozen=True):
    """One opponent's or category's share of an evaluation. Rates lie in [0, 1]; `ci` is a 95 % interval."""

    episodes: int
    win_rate: float | None = None
    ci: tuple[float, float] | None = None
    draw_rate: float | None = None
    loss_rate: float | None = None
    mean: float = 0.0
    """Mean episodic return."""
    std: float = 0.0
    min: float = 0.0
    max: float = 0.0
    distinct: int | None = None
    """Number of distinct games, where the opponents are deterministic."""
    extra: Metrics = {}
    frame: str = ""
    """A sample's last position as text."""


class Rating(Value, frozen=True):
    """One player's Elo, the anchor's 0, with the half width of its 95 % interval."""

    name: str
    elo: float
    error: float
    games: int


class Pairing(Value, frozen=True):
    """Games of `one` against `two`, counted for `one`."""

    one: str
    two: str
    wins: int
    draws: int
    losses: int


class Ratings(Value, frozen=True):
    """Players by strength, strongest first, and every pair that met."""

    task: str
    anchor: str
    seed: int
    games: int
    """Of each pair."""
    players: tuple[Rating, ...]
    pairings: tuple[Pairing, ...]


class EvalResult(Value, frozen=True):
    """An evaluation over all its parts; `metric` names the score, `value` is it."""

    metric: str
    value: float
    ci: tuple[float, float]
    mean: float
    std: float
    min: float
    max: float
    episodes: int
    """0: unknown."""
    by: dict[str, PartResult]
    baselines: dict[str, float] = {}
    bound: float | None = None
    kept: tuple[str, ...] = ()
    """Parts that were not played this time: their last results stand."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """`ci`; None where the log of another tool does not say how many episodes there were."""
        return self.ci if self.episodes else None


class PartTrend(Value, frozen=True):
    """How one part's score goes: change an evaluation with its 95 % interval, and spread over the last ones."""

    slope: float
    slope_ci: tuple[float, float]
    stability: float
    """Standard deviation around the line of that slope."""

    def reading(self, *, higher_is_better: bool = True) -> str:
        """`rising`, `falling` or `steady`; the first two only where the interval leaves no doubt."""
        low, high = self.slope_ci if higher_is_better else (-self.slope_ci[1], -self.slope_ci[0])
        return "rising" if low > 0 else "falling" if high < 0 else "steady"


class Forecast(Value, frozen=True):
    """Where the reference evaluation may stand at the limit. The range holds about 80 % of what really comes."""

    limit: str
    """The hard limit that comes first; empty where there is none: then it looks as far ahead as the run is old."""
    update: int
    value: float
    low: float
    high: float
    target: tuple[int | None, int | None, int | None] | None = None
    """Updates at which the upper end, the middle and the lower end meet the target: earliest, likely, latest.

    None within for what is not in sight; None altogether without a target over the reference evaluation.
    """


class Expected(Value, frozen=True):
    """What the mean of the next evaluations should be after a change, and what it would be without one (80 %)."""

    evaluations: int
    low: float | None
    """None: no lower end."""
    high: float | None
    without: tuple[float, float]

    def holds(self, value: float) -> bool:
        """Whether a mean lies in the expected range."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


class Gpu(Value, frozen=True):
    """One GPU's load. Memory in GiB, power in W, temperature in °C, utilisation in percent."""

    index: int
    name: str
    utilisation: float
    memory_used_gib: float
    memory_total_gib: float
    power_w: float | None = None
    temperature_c: float | None = None
    process_memory_gib: float | None = None
    """Held by the engine and its children; None where the driver tells nothing of them."""


class RankLoad(Value, frozen=True):
    """How one of several ranks fared in the last seconds."""

    rank: int
    host: str
    device: str
    sps: float = 0.0
    """Its own environment steps a second of work, waiting left out: the lowest is the slowest rank."""
    work: float = 0.0
    """Share of time in collecting and learning; the rest it waits for other ranks, evaluations and saves."""
    memory_gib: float = 0.0


class Resources(Value, frozen=True):
    """The machine and this process at one moment."""

    cpu_percent: float
    """All cores together, 0..100."""
    process_cpu_percent: float
    """This process, 100 for each busy core."""
    memory_used_gib: float
    memory_total_gib: float
    process_rss_gib: float
    disk_free_gib: float
    cores: int
    disk_total_gib: float = 0.0
    disk_full_s: float | None = None
    """Seconds until the disk is full at the pace of the last minutes; None while it does not fill."""
    disk_write_mib_s: float = 0.0
    network_mib_s: float = 0.0
    gpus: tuple[Gpu, ...] = ()
    gpu_note: str = ""
    """Why there is no GPU column, such as 'no NVML'."""
    core_percents: tuple[int, ...] = ()
    """How busy each core is that this process may use, 0..100; empty where they are too many to look at."""
