"""The whole engine beside its own bound: the same learner and task in a bare loop of collect and learn.

    OMP_NUM_THREADS=1 python benchmarks/bound.py [--pairs 3] [--scale 1]

Processor seconds an update. The engine is `run --no-ui` without evaluations and regular checkpoints; journal and
telemetry included; a long run less a short one, so that its start is left out. Pairs take turns; the share is their
ratio. Beside other work the engine looks worse than it is: what it does by the clock then happens more often an update.
Needs the extra `gym`.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
WORDS = (
    "--no-ui", "--set=manager.evaluation.every_updates=1000000", "--set=manager.evaluation.final_episodes=0",
    "--set=manager.checkpoints.every_updates=0", "--set=manager.checkpoints.every_minutes=0",
    "--set=manager.termination.max_hours=0", "--set=manager.termination.intelligent=false",
)  # fmt: skip
CARTPOLE = {"n_steps": 128, "n_epochs": 4}
CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "connect_four, the preset": ("connect_four", {}, 60),
    "CartPole, 8 environments": ("gym:CartPole-v1", CARTPOLE | {"num_envs": 8, "batch_size": 256}, 120),
    "CartPole, 64 environments": ("gym:CartPole-v1", CARTPOLE | {"num_envs": 64, "batch_size": 2048}, 40),
}


def preset(task: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """[ppo] and [task] of the task's preset."""
    found = ROOT / "configs" / f"{task}.toml"
    table = tomllib.loads(found.read_text()) if found.exists() else {}
    return table.get("ppo", {}), table.get("task", {})


def bare(task: str, table: dict[str, Any], updates: int) -> float:
    """Processor seconds an update of collect and learn alone."""
    import torch

    from tui_trainer import tasks
    from tui_trainer.algorithms import build
    from tui_trainer.core.config import Layer, resolve

    torch.set_num_threads(1)
    ppo, options = preset(task)
    config = resolve([Layer("bench", {"ppo": ppo | table})]).config
    learner = build("ppo", tasks.make(task, options, config.ppo.num_envs), config, "cpu")
    began = {}
    for number in range(updates + 5):
        if number == 5:
            began["at"] = time.process_time()
        while not learner.collect(0.25).complete:
            pass
        learner.learn()
    return (time.process_time() - began["at"]) / updates


def engine(task: str, table: dict[str, Any], updates: int) -> float:
    """Processor seconds an update of the product."""
    seconds = []
    for count in (5, updates + 5):
        with tempfile.TemporaryDirectory() as root:
            words = [f"--set=ppo.{key}={value}" for key, value in table.items()]
            words += [*WORDS, f"--set=manager.termination.max_updates={count}"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                [sys.executable, "-m", "tui_trainer", "run", "--task", task, *words],
                check=True, stdout=subprocess.DEVNULL, cwd=root,
                env={**os.environ, "TUI_TRAINER_SESSIONS": root, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return (seconds[1] - seconds[0]) / updates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="times as many updates in each run")
    wish = parser.parse_args()
    print(f"{'what':<28}{'bare loop':>14}{'engine':>14}   share of the bound")
    for name, (task, table, updates) in CASES.items():
        count = max(1, round(updates * wish.scale))
        pairs = [(bare(task, table, count), engine(task, table, count)) for _ in range(wish.pairs)]
        alone, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
        shares = sorted(one / two for one, two in pairs)
        print(
            f"{name:<28}{1e3 * alone:>11.2f} ms{1e3 * whole:>11.2f} ms   "
            f"{statistics.median(shares):.3f} ({shares[0]:.3f} to {shares[-1]:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
