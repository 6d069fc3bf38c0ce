"""What the adviser looks at: one point an evaluation, and what a rule answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec

from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.values import Change, Difficulty, DifficultySpace, EvalResult, Metrics, TrendName
from tui_trainer.training.evaluation import interval, score

KEPT_POINTS = 240

Aim: TypeAlias = Literal["hold", "rise"]
"""What a change should do to the reference score: keep it up, or lift it above where it would go anyway."""


class Share(msgspec.Struct, frozen=True, array_like=True):
    """A part's score with its 95 % interval."""

    value: float
    low: float
    high: float


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One reference evaluation and where training stood."""

    update: int
    value: float
    low: float
    high: float
    by: dict[str, Share]
    difficulty: Difficulty
    metrics: Metrics = {}
    """`train/*` metrics, averaged over the updates since the evaluation before."""


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """A reading of the points. Slopes are in the metric's own direction and unit, an evaluation."""

    name: TrendName
    confidence: float
    evidence: str
    slope: float = 0.0
    slope_ci: tuple[float, float] = (0.0, 0.0)
    stability: float = 0.0
    consistency: float = 0.0
    noise: float = 0.0
    """Estimated standard deviation of one evaluation around the smooth curve."""
    rising: float = 0.5
    """Probability that the score rises still, from the evaluations since its last clear rise."""
    since_progress: int = 0
    """Evaluations since the score last rose clearly."""
    fallen: int = 0
    """Evaluations in a row that lay clearly below the best level reached."""


UNKNOWN = Trend(name="unknown", confidence=0.0, evidence="fewer than 4 evaluations")


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a rule may use; oldest point first."""

    points: tuple[Point, ...]
    trend: Trend
    spec: TaskSpec
    space: DifficultySpace | None
    difficulty: Difficulty
    start: Difficulty
    """Difficulty at the beginning: the range is never made narrower than this by advice."""
    floor: float
    step: float
    algorithm: str
    settings: dict[str, float]
    """Live settings that advice may touch, such as `ppo.learning_rate`, as they are now."""
    best_update: int = 0
    """Update of the best checkpoint; 0 while there is none."""
    fixed: dict[str, float] = {}
    """Settings that only a new run can change, such as `ppo.n_steps`."""
    changed_at: int = 0
    """Index of the first point after the last change of difficulty or setting."""

    @property
    def since_change(self) -> tuple[Point, ...]:
        """Points played since something was last changed."""
        return self.points[self.changed_at :]

    def present(self, point: Point) -> Share | None:
        """How the present level's own part went at a point; None where levels are no parts of the evaluation."""
        if self.space is None or self.difficulty.level >= len(self.space.levels):
            return None
        return point.by.get(self.space.levels[self.difficulty.level])


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's advice, before it becomes a recommendation with a number and an expiry."""

    subject: str
    title: str
    change: Change
    evidence: tuple[str, ...]
    expected: str
    confidence: float
    aim: Aim | None = "hold"
    """None where the score tells nothing of the effect."""
    timed: bool = False
    """Rests on wall-clock timings: never accepted by itself, absent where the mode ignores the clock."""


Rule: TypeAlias = Callable[[History], Proposal | None]


def point_of(spec: TaskSpec, result: EvalResult, *, update: int, difficulty: Difficulty, metrics: Metrics) -> Point:
    """An evaluation as a point of the history."""
    by = {name: Share(score(spec, part), *interval(spec, part)) for name, part in result.by.items()}
    low, high = result.ci
    return Point(update=update, value=result.value, low=low, high=high, by=by, difficulty=difficulty, metrics=metrics)


def recent_metric(points: Sequence[Point], name: str, count: int) -> list[float]:
    """The last values of a metric, newest last; shorter where it was not told."""
    values = [point.metrics.get(name) for point in points[-count:]]
    return [value for value in values if value is not None]
