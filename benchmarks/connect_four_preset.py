"""The preset through the product, seed by seed: when it reaches 95 % against random, and whether it holds it.

    OMP_NUM_THREADS=1 python benchmarks/connect_four_preset.py --seeds 1-5

Each seed is a `run --no-ui` of three minutes, evaluations and saves included; the figures are read from its journal.
Seconds count from the engine's start. Greedy policy, 200 games a rung, fixed distinct openings, both sides.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tui_trainer.cli.settings import parse_seeds
from tui_trainer.core.events import EvaluationFinished, Event, RunStarted, UpdateFinished
from tui_trainer.sessions.journal import read_journal

GOAL = 0.95


class Row(NamedTuple):
    """One evaluation: seconds since the start, win rate by opponent."""

    at_s: float
    rates: dict[str, float]


def run(root: Path, seed: int, config: str) -> Path:
    words = ["run", config, "--no-ui", "--seed", str(seed), "--name", f"seed{seed}", "--sessions", str(root)]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "tui_trainer", *words], env=environ, stdout=subprocess.DEVNULL, check=True)
    return root / f"seed{seed}"


def rows(events: Sequence[Event], suite: str) -> list[Row]:
    began = next(event.time for event in events if isinstance(event, RunStarted))
    return [
        Row(event.time - began, {name: part.win_rate or 0.0 for name, part in event.result.by.items()})
        for event in events
        if isinstance(event, EvaluationFinished) and event.suite == suite
    ]


def say(seed: int, events: Sequence[Event]) -> None:
    reference, final = rows(events, "reference"), rows(events, "final")
    reached = [row for row in reference if row.rates["random"] >= GOAL]
    held = min((row.rates["random"] for row in reference if reached and row.at_s >= reached[0].at_s), default=0.0)
    unseen = min(row.rates["random"] for row in final)
    speed = statistics.median(event.sps for event in events if isinstance(event, UpdateFinished))
    last = " ".join(f"{100 * rate:9.1f}" for rate in reference[-1].rates.values())
    first = f"{reached[0].at_s:6.1f}" if reached else "   never"
    print(f"{seed:4} {first} s {100 * held:7.1f} {100 * unseen:8.1f} {speed:9,.0f} {last}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-5")
    parser.add_argument("--config", default="connect_four")
    parser.add_argument("--sessions", type=Path, help="Read these (seed1, seed2, ...) and train nothing.")
    options = parser.parse_args()
    rungs = ("random", "1-ply", "minimax-2", "minimax-3", "minimax-4", "minimax-5")
    print("seed  95 % at  lowest   unseen    steps/s " + " ".join(f"{rung:>9}" for rung in rungs))
    with tempfile.TemporaryDirectory() as scratch:
        for seed in parse_seeds(options.seeds):
            folder = options.sessions / f"seed{seed}" if options.sessions else run(Path(scratch), seed, options.config)
            say(seed, read_journal(folder / "events.jsonl").events)


if __name__ == "__main__":
    main()
