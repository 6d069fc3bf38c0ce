"""The whole circle of advice on the tasks that learn from data, with `continuous.auto_accept`.

    OMP_NUM_THREADS=1 python benchmarks/circle.py --tasks trading,cache,vectorize

Two real runs a task. In the first one it excels: advice makes it harder, accepted by itself. In the second one the
learner hardly learns (learning_rate 1e-9) and a curriculum has made it too hard: advice makes it easier. A row is a
stretch between two changes of difficulty: updates, the reference evaluation (its last, fixed whatever the difficulty),
the return of training episodes (the present level's, mean over the stretch), and why it changed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

EXCEL = {
    "trading": ["manager.evaluation.every_updates=4", "manager.evaluation.episodes=40"],
    "cache": ["manager.evaluation.every_updates=20", "manager.evaluation.episodes=20"],
    "vectorize": ["manager.evaluation.every_updates=4", "manager.evaluation.episodes=20", "task.pixels=32",
                  "task.pictures=32", "task.held_out=20", "task.reward=score", "curriculum.schedule=[]"],
}  # fmt: skip
UPDATES = {"trading": 160, "cache": 500, "vectorize": 100}
STRUGGLE = {
    "trading": ["task.cost_bp=120", "continuous.initial_quality_range=[0.7, 1.0]"],
    "cache": [],
    "vectorize": [],
}
COMMON = ["continuous.auto_accept=true", "manager.termination.intelligent=false", "manager.termination.max_hours=0",
          "manager.evaluation.final_episodes=0", "run.log_every_updates=1"]  # fmt: skip


def main() -> None:
    """Both runs of every task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="trading,cache,vectorize")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("excelling", "struggling"))
    options = parser.parse_args()
    for task in options.tasks.split(","):
        if options.only != "struggling":
            tell(f"{task}, excelling", events(task, options.seed, UPDATES[task], EXCEL[task]))
        if options.only != "excelling":
            every = next(s for s in EXCEL[task] if "every_updates" in s).replace(s_number(EXCEL[task]), "2")
            step = "level = 1" if task == "vectorize" else "low = 0.3"
            hard = f'curriculum.schedule=[{{when = "update >= 1", {step}}}]'
            rest = [s for s in EXCEL[task] if "every_updates" not in s and "curriculum" not in s]
            slow = [every, hard, "ppo.learning_rate=1e-9", *STRUGGLE[task]]
            tell(f"{task}, struggling", events(task, options.seed, 40, [*rest, *slow]))


def s_number(settings: list[str]) -> str:
    """How often it evaluates."""
    return next(s for s in settings if "every_updates" in s).partition("=")[2]


def events(task: str, seed: int, updates: int, settings: list[str]) -> list[dict[str, Any]]:
    """A run's events."""
    sets = [word for each in [*settings, *COMMON] for word in ("--set", each)]
    with tempfile.TemporaryDirectory() as root:
        words = ["run", task, "--no-ui", "--json", "--seed", str(seed), "--max-updates", str(updates), *sets]
        done = subprocess.run(
            [sys.executable, "-m", "tui_trainer", *words],
            env={**os.environ, "TUI_TRAINER_SESSIONS": root}, cwd=Path(__file__).parents[1],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def tell(title: str, told: list[dict[str, Any]]) -> None:
    """A row for each stretch between two changes."""
    print(f"\n{title}\n{'updates':>11} {'level':>6} {'range':>10} {'reference':>9} {'return':>8}  then")
    returns: list[float] = []
    reference, first, level, low = 0.0, 0, 0, 0.7
    for event in told:
        match event["type"]:
            case "UpdateFinished":
                returns += [v for k, v in event["metrics"].items() if k == "rollout/ep_rew_mean" and v is not None]
            case "EvaluationFinished":
                reference = event["result"]["value"]
            case "DifficultyChanged" | "RunEnded":
                why = event.get("why", "end")
                mean = statistics.fmean(returns) if returns else float("nan")
                print(
                    f"{first:>5}-{event['update']:<5} {level:>6} {low:>5.2f}-1.00 {reference:>9.3f} {mean:>8.3f}  {why}"
                )
                first, returns = event["update"], []
                new = event.get("new", {})
                level, low = new.get("level", 0), new.get("low", 0.7)


if __name__ == "__main__":
    main()
