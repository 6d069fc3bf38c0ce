"""How often the forecast's range holds what came: on generated histories with known noise, and on recorded sessions.

At several places of each history the score of a later evaluation is foretold, from a tenth of the updates done further
on to several times as far; the share inside the 80 % range is printed by distance, and how wide the range is. For the
target: of the histories that reached it, how often between the two ends.

Run: python benchmarks/forecast.py [--histories 400] [--seed 1] [SESSION ...]
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from trends import KINDS, SPEC, observed

from tui_trainer.core.config import TerminationSettings
from tui_trainer.core.events import EvaluationFinished, RunStarted
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.values import Difficulty
from tui_trainer.sessions.journal import read_journal
from tui_trainer.training.forecast import at, bounds, fit, target_updates
from tui_trainer.training.history import Point, point_of

FARTHER = (1.1, 1.3, 1.6, 2.0, 3.0, 5.0)
"""Foretold update as a multiple of the present one."""
NO_LIMIT = TerminationSettings()


class Case(NamedTuple):
    """One forecast and what came."""

    farther: float
    inside: bool
    above: bool
    width: float
    error: float


def generated(count: int, seed: int) -> list[tuple[TaskSpec, list[Point]]]:
    """Histories as in benchmarks/trends.py: rising, flattening, falling, swinging, in bounds of a win rate."""
    r = random.Random(seed)
    spec = SPEC
    found = []
    for _ in range(count):
        sigma = 0.004 * (0.03 / 0.004) ** r.random()
        truth = r.choice(KINDS)(r, sigma)
        found.append((spec, observed(r, truth, sigma)))
    return found


def recorded(paths: Sequence[Path]) -> list[tuple[TaskSpec, list[Point]]]:
    """The reference evaluations of sessions that were never resumed and have at least 12 of them."""
    found = []
    for path in paths:
        events = read_journal(path).events
        started = next((e for e in events if isinstance(e, RunStarted)), None)
        if started is None:
            continue
        spec = TaskSpec(
            id=started.task, obs_shape=(1,), obs_dtype="float32", action="discrete", n=2, num_envs=1,
            metric=started.metric, higher_is_better=started.higher_is_better, parts=started.parts,
        )  # fmt: skip
        points = [
            point_of(spec, e.result, update=e.update, difficulty=Difficulty(), metrics={})
            for e in events
            if isinstance(e, EvaluationFinished) and e.suite == "reference" and e.update > 0
        ]
        if len(points) >= 12 and all(a.update < b.update for a, b in itertools.pairwise(points)):
            found.append((spec, points))
    return found


def cases(histories: list[tuple[TaskSpec, list[Point]]]) -> list[Case]:
    """A few forecasts from every history."""
    found = []
    for spec, points in histories:
        for n in sorted({max(6, round(len(points) * share)) for share in (0.08, 0.15, 0.25, 0.4, 0.6, 0.8)}):
            line = fit(points[:n])
            if line is None or n >= len(points):
                continue
            for farther in FARTHER:
                goal = points[n - 1].update * farther
                later = min(points[n:], key=lambda p: abs(p.update - goal))
                if abs(later.update - goal) > 0.04 * goal:
                    continue
                told = at(line, later.update, within=bounds(spec))
                spread = max(p.value for p in points) - min(p.value for p in points) or 1.0
                found.append(
                    Case(
                        farther,
                        told.low - 1e-9 <= later.value <= told.high + 1e-9,
                        later.value > told.high,
                        (told.high - told.low) / spread,
                        (later.value - told.value) / spread,
                    )
                )  # fmt: skip
    return found


def targets(histories: list[tuple[TaskSpec, list[Point]]]) -> tuple[int, float, float, float]:
    """Of forecasts of a target that was met later: how many, and the shares met not before the earliest update, before
    the likely one, and not in sight at all."""
    asked = after = early = unseen = 0
    for spec, points in histories:
        values = [p.value for p in points]
        goal = min(values) + 0.9 * (max(values) - min(values))
        met = next(p.update for p in points if p.value >= goal)
        settings = TerminationSettings(target=f"eval/{spec.metric} >= {goal:.6f}")
        for n in range(6, len(points), 5):
            if points[n - 1].update >= met:
                break
            told = target_updates(points[:n], spec, settings)
            if told is None:
                continue
            asked += 1
            unseen += told[0] is None
            after += told[0] is not None and told[0] <= met
            early += told[1] is None or met < told[1]
    n = max(1, asked)
    return asked, after / n, early / n, unseen / n


def show(title: str, histories: list[tuple[TaskSpec, list[Point]]]) -> None:
    """Print the coverage."""
    found = cases(histories)
    print(f"\n{title}: {len(histories)} histories, {len(found)} forecasts")
    by: dict[float, list[Case]] = defaultdict(list)
    for case in found:
        by[case.farther].append(case)
    print("updates x   inside   above   below   width   bias   (width, bias: share of the scores' span)")
    for farther, some in [*sorted(by.items()), (0.0, found)]:
        n = len(some) or 1
        inside, above = sum(c.inside for c in some) / n, sum(c.above for c in some) / n
        width, bias = sum(c.width for c in some) / n, sum(c.error for c in some) / n
        name = f"{farther:.1f}" if farther else "all"
        print(
            f"{name:>9}   {100 * inside:5.1f}%  {100 * above:5.1f}%  {100 * (1 - inside - above):5.1f}%  "
            f"{width:5.2f}  {bias:+5.2f}   ({len(some)})"
        )
    asked, after, early, unseen = targets([h for h in histories if h[0].higher_is_better])
    if asked:
        print(
            f"target met later, {asked} forecasts: {100 * after:.1f} % not before the earliest update, "
            f"{100 * early:.1f} % before the likely one, {100 * unseen:.1f} % had not been in sight"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--histories", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("sessions", nargs="*", type=Path, help="sessions or events.jsonl files")
    given = parser.parse_args()
    show(f"generated, seed {given.seed}", generated(given.histories, given.seed))
    if given.sessions:
        paths = [path / "events.jsonl" if path.is_dir() else path for path in given.sessions]
        show("recorded", recorded(paths))


if __name__ == "__main__":
    main()
