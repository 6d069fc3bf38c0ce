"""How well trends are read: generated histories of evaluations with known truth, and what is made of them.

Prints the confusion table, the calibration of the confidences, the false-stop rate of intelligent termination and how
soon plateaus and falls are found. Run: python benchmarks/trends.py [histories] [seed]
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tui_trainer.core.config import TerminationSettings
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.values import Difficulty
from tui_trainer.training.history import Point, Share, Trend
from tui_trainer.training.statistics import wilson
from tui_trainer.training.termination import intelligent_end
from tui_trainer.training.trends import assess

LENGTH = 100
PARTS, GAMES = 6, 100
SPEC = TaskSpec(
    id="generated", obs_shape=(1,), obs_dtype="float32", action="discrete", n=2, num_envs=1, metric="score"
)  # fmt: skip
NAMES = ("improving", "flat", "falling")


@dataclass
class Truth:
    """A curve without noise, what is true at each evaluation, and where a difficulty was changed."""

    kind: str
    curve: list[float]
    names: list[str]
    onset: int | None = None
    """First evaluation of the final plateau or fall."""
    changed_at: int = 0
    gain: float = 0.0
    """Rise over 20 evaluations in units of the noise, where it rises for ever."""


@dataclass
class Reading:
    """What was made of a history: the trend at each evaluation, and the first end."""

    truth: Truth
    trends: list[Trend] = field(default_factory=list)
    stopped: tuple[int, str] | None = None


def _noise(r: random.Random) -> float:
    """Noise of one evaluation beside sampling: policies differ from update to update."""
    return math.exp(r.uniform(math.log(0.004), math.log(0.03)))


def improving(r: random.Random, sigma: float) -> Truth:
    """Rises to the end: a line, a curve that flattens, or a staircase of short steps."""
    total = math.hypot(sigma, 0.5 / math.sqrt(PARTS * GAMES) / 2)
    gain = r.uniform(3.0, 12.0)
    slope = min(0.75 / LENGTH, gain * total / 20)
    low = r.uniform(0.05, 0.2)
    shape = r.choice(("line", "bend", "stairs"))
    if shape == "line":
        curve = [low + slope * i for i in range(LENGTH)]
    elif shape == "bend":
        late = LENGTH * slope
        curve = [low + late * math.sqrt(i / LENGTH) for i in range(LENGTH)]
    else:
        width = r.randint(4, 10)
        curve = [low + slope * width * (i // width) for i in range(LENGTH)]
    return Truth("improving", curve, ["improving"] * LENGTH, gain=20 * slope / total)


def plateau(r: random.Random, sigma: float) -> Truth:
    """Rises and then stays: exponentially, in a line with a corner, or from the start."""
    low, top = r.uniform(0.05, 0.3), r.uniform(0.4, 0.95)
    shape = r.choice(("exponential", "corner", "corner", "flat"))
    if shape == "flat":
        return Truth("plateau", [top] * LENGTH, ["flat"] * LENGTH, onset=0)
    if shape == "corner":
        onset = r.randint(8, 60)
        curve = [low + (top - low) * min(1.0, i / onset) for i in range(LENGTH)]
    else:
        tau = r.uniform(3, 14)
        curve = [top - (top - low) * math.exp(-i / tau) for i in range(LENGTH)]
        total = math.hypot(sigma, 0.5 / math.sqrt(PARTS * GAMES) / 2)
        onset = max(1, round(tau * math.log((top - low) / total)))
    return Truth("plateau", curve, ["improving"] * onset + ["flat"] * (LENGTH - onset), onset=onset)


def falling(r: random.Random, sigma: float) -> Truth:
    """Rises, stays a while, and falls at once or little by little, for good."""
    low, top = r.uniform(0.05, 0.3), r.uniform(0.5, 0.95)
    corner = r.randint(8, 25)
    onset = corner + r.randint(2, 15)
    depth, width = r.uniform(0.12, 0.4), r.choice((1, 5, 10))
    rise = [low + (top - low) * min(1.0, i / corner) for i in range(onset)]
    fall = [top - depth * min(1.0, (i + 1) / width) for i in range(LENGTH - onset)]
    names = ["improving"] * corner + ["flat"] * (onset - corner) + ["falling"] * (LENGTH - onset)
    return Truth("falling", rise + fall, names, onset=onset)


def raised(r: random.Random, sigma: float) -> Truth:
    """A raised level: the score dips for some evaluations while the agent learns anew, then rises beyond."""
    truth = improving(r, sigma)
    at, width = r.randint(20, 60), r.randint(3, 10)
    depth = r.uniform(0.03, 0.15)
    curve = list(truth.curve)
    for i in range(at, min(LENGTH, at + width)):
        curve[i] -= depth * (1 - (i - at) / width)
    return Truth("raised", curve, truth.names, changed_at=at, gain=truth.gain)


def cycling(r: random.Random, sigma: float) -> Truth:
    """Self-play that improves while it swings: up and back with a period of some evaluations."""
    truth = improving(r, sigma)
    swing, period = r.uniform(1, 2) * sigma, r.uniform(5, 14)
    curve = [v + swing * math.sin(2 * math.pi * i / period) for i, v in enumerate(truth.curve)]
    return Truth("cycling", curve, truth.names, gain=truth.gain)


KINDS: tuple[Callable[[random.Random, float], Truth], ...] = (
    improving, improving, plateau, plateau, plateau, falling, falling, raised, cycling,
)  # fmt: skip


def observed(r: random.Random, truth: Truth, sigma: float) -> list[Point]:
    """Evaluations of a curve: correlated noise between policies, some bad moments, and a finite number of games."""
    points, drift = [], 0.0
    games = PARTS * GAMES
    for i, level in enumerate(truth.curve):
        drift = 0.3 * drift + r.gauss(0, sigma) * math.sqrt(1 - 0.09)
        blunder = r.uniform(2, 6) * sigma if r.random() < 0.04 else 0.0
        p = min(0.995, max(0.005, level + drift - blunder))
        p = min(1.0, max(0.0, r.gauss(p, math.sqrt(p * (1 - p) / games) / 2)))
        low, high = wilson(p * games, games)
        points.append(
            Point(
                update=(i + 1) * 10, value=p, low=low, high=high, by={"all": Share(p, low, high)},
                difficulty=Difficulty(),
            )
        )  # fmt: skip
    return points


def read(points: list[Point], truth: Truth, settings: TerminationSettings) -> Reading:
    """Read a history evaluation by evaluation, as the manager does."""
    reading = Reading(truth)
    for n in range(1, len(points) + 1):
        restart = truth.changed_at if 0 < truth.changed_at < n else 0
        trend = assess(points[:n], SPEC, None, restart=restart)
        reading.trends.append(trend)
        end = intelligent_end(settings, trend, points[n - 1].update)
        if end is not None and reading.stopped is None:
            reading.stopped = (n - 1, end.name)
    return reading


def histories(count: int, seed: int, settings: TerminationSettings | None = None) -> list[Reading]:
    """`count` readings of generated histories."""
    r = random.Random(seed)
    readings = []
    for _ in range(count):
        sigma = _noise(r)
        truth = r.choice(KINDS)(r, sigma)
        readings.append(read(observed(r, truth, sigma), truth, settings or TerminationSettings(min_updates=0)))
    return readings


def told(trend: Trend) -> str:
    """The reading in the generator's words; the two readings of the level say nothing of the course."""
    return {"improving": "improving", "degrading": "falling", "plateau": "flat", "stable": "flat"}.get(trend.name, "-")


def wrongly_stopped(reading: Reading) -> bool:
    """Ended although the truth had neither flattened nor fallen yet."""
    if reading.stopped is None:
        return False
    at, _ = reading.stopped
    return reading.truth.names[at] == "improving"


def false_stop_rate(readings: list[Reading]) -> float:
    """Share of all histories that were ended while they still improved."""
    return sum(map(wrongly_stopped, readings)) / len(readings)


def false_stop_rate_of_rising(readings: list[Reading]) -> float:
    """The same, as a share of the histories that improve to their end."""
    return false_stop_rate([x for x in readings if x.truth.onset is None])


def found_within(readings: list[Reading], kind: str, names: tuple[str, ...], most: int) -> float:
    """Share of the true plateaus or falls that the trend names within `most` evaluations of their onset."""
    mine = [x for x in readings if x.truth.kind == kind and x.truth.onset is not None]
    hits = [any(t.name in names for t in x.trends[x.truth.onset : (x.truth.onset or 0) + most + 1]) for x in mine]
    return sum(hits) / max(1, len(hits))


def delays(readings: list[Reading], kind: str) -> list[int]:
    """Evaluations from the onset to the end of the run, sorted; 999 where it was never ended."""
    mine = [x for x in readings if x.truth.kind == kind and x.truth.onset is not None]
    return sorted(x.stopped[0] - (x.truth.onset or 0) if x.stopped else 999 for x in mine)


def print_confusion(readings: list[Reading]) -> None:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for reading in readings:
        for i in range(12, LENGTH, 4):
            table[reading.truth.names[i]][reading.trends[i].name] += 1
    names = ("improving", "stable", "plateau", "degrading", "excelling", "struggling", "unknown")
    print("\ntrue \\ told   " + "".join(f"{n:>12}" for n in names))
    for truth in NAMES:
        total = sum(table[truth].values()) or 1
        print(f"{truth:<13} " + "".join(f"{100 * table[truth][n] / total:>11.1f}%" for n in names))


def print_calibration(readings: list[Reading]) -> None:
    """Confidence against the share that was right, in bins."""
    print("\ntrend        confidence: right (count)")
    for name in ("improving", "stable", "plateau", "degrading"):
        bins: dict[float, list[bool]] = defaultdict(list)
        for reading in readings:
            for i in range(8, LENGTH, 4):
                if (t := reading.trends[i]).name == name:
                    bins[math.floor(min(t.confidence, 0.999) * 10) / 10].append(told(t) == reading.truth.names[i])
        row = "  ".join(f"{b:.1f}: {sum(v) / len(v):.2f} ({len(v)})" for b, v in sorted(bins.items()))
        print(f"{name:<12} {row}")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    readings = histories(count, seed)
    print(f"{count} histories of {LENGTH} evaluations, patience 20, seed {seed}")
    print_confusion(readings)
    print_calibration(readings)
    by_kind = Counter(x.truth.kind for x in readings)
    wrong = Counter(x.truth.kind for x in readings if wrongly_stopped(x))
    print(
        "\nended while still improving: " + f"{100 * false_stop_rate(readings):.2f} % of all, "
        f"{100 * false_stop_rate_of_rising(readings):.2f} % of those that improve to the end"
    )
    for kind, number in by_kind.items():
        ends = Counter(x.stopped[1] if x.stopped else "none" for x in readings if x.truth.kind == kind)
        print(f"  {kind:<10} {wrong[kind]:>3} of {number:>4}   ends: {dict(ends)}")
    for most in (10, 15, 20):
        share = found_within(readings, "plateau", ("plateau",), most)
        fall = found_within(readings, "falling", ("degrading",), most)
        print(f"named within {most} evaluations: plateaus {100 * share:.1f} %, falls {100 * fall:.1f} %")
    for kind in ("plateau", "falling"):
        d = delays(readings, kind)
        print(
            f"{kind}: evaluations from onset to end, median {d[len(d) // 2]}, 95th percentile {d[int(0.95 * len(d))]}"
        )


if __name__ == "__main__":
    main()
