"""An evaluation is played part by part (opponent, category); here the parts become one result."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.values import EvalResult, PartResult, Suite
from tui_trainer.training.statistics import Z95, mean, wilson


def suite_seed(run_seed: int, suite: Suite) -> int:
    """The seed of a suite's games: the same for a run's every evaluation, another for each suite."""
    return zlib.crc32(f"{suite}:{run_seed}".encode()) & 0x7FFFFFFF


def merge(
    spec: TaskSpec,
    parts: Mapping[str, PartResult],
    *,
    baselines: Mapping[str, float] | None = None,
    bound: float | None = None,
    kept: tuple[str, ...] = (),
) -> EvalResult:
    """The whole evaluation: every part weighs the same, however many episodes it had.

    The value is the mean of the parts' scores. Its 95 % interval combines theirs by MOVER (Zou and Donner 2008):
    lower = value - sqrt(sum_i (w (p_i - l_i))^2), upper alike, w = 1 / number of parts. `kept` names those of `parts`
    that were not played this time.
    """
    if not parts:
        raise ValueError("an evaluation has at least one part")
    scores = [score(spec, part) for part in parts.values()]
    spans = [interval(spec, part) for part in parts.values()]
    value = mean(scores)
    below = math.hypot(*(p - low for p, (low, _) in zip(scores, spans))) / len(scores)
    above = math.hypot(*(high - p for p, (_, high) in zip(scores, spans))) / len(scores)
    episodes = sum(part.episodes for part in parts.values())
    return EvalResult(
        metric=spec.metric,
        value=value,
        ci=(value - below, value + above),
        mean=sum(part.mean * part.episodes for part in parts.values()) / max(1, episodes),
        std=_pooled_std(list(parts.values())),
        min=min(part.min for part in parts.values()),
        max=max(part.max for part in parts.values()),
        episodes=episodes,
        by=dict(parts),
        baselines=dict(baselines or {}),
        bound=bound,
        kept=kept,
    )


def score(spec: TaskSpec, part: PartResult) -> float:
    """A part's score in the task's metric; the mean return where the part does not tell another."""
    if spec.metric == "win_rate" and part.win_rate is not None:
        return part.win_rate
    named = part.extra.get(spec.metric)
    return part.mean if named is None else named


def interval(spec: TaskSpec, part: PartResult) -> tuple[float, float]:
    """A part's 95 % interval: its own where it tells one, otherwise Wilson's for win rates, the normal for means."""
    value = score(spec, part)
    if part.ci is not None:
        return min(part.ci[0], value), max(part.ci[1], value)
    if spec.metric == "win_rate" and part.win_rate is not None:
        return wilson(value * part.episodes, part.episodes)
    half = Z95 * part.std / math.sqrt(max(1, part.episodes))
    return value - half, value + half


def _pooled_std(parts: list[PartResult]) -> float:
    """Standard deviation over all episodes of all parts together."""
    episodes = sum(part.episodes for part in parts)
    if episodes == 0:
        return 0.0
    centre = sum(part.mean * part.episodes for part in parts) / episodes
    total = sum(part.episodes * (part.std**2 + (part.mean - centre) ** 2) for part in parts)
    return math.sqrt(total / episodes)
