"""A pruned study against an unpruned one at equal wall time: `python benchmarks/study.py`.

Each pair of studies searches the same space on the same task for the same seconds, in turn, so that a busy machine
hits both alike. Told are trials ended, trials that came to their end, and the best score: the reference evaluation of
the best trial at its limit, and its last checkpoint on games that no trial ever played.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PRUNERS = ("median", "none")


def tune(root: Path, pruner: str, seed: int, seconds: float, startup: int) -> list[dict[str, Any]]:
    """The trials that ended within the time."""
    words = [sys.executable, "-m", "tui_trainer", "tune", "optuna", "--trials=100000", f"--seed={seed}", "--json"]
    words += [f"--name=s-{pruner}-{seed}", f"--set=study.pruner={pruner}", f"--sessions={root}"]
    words += [f"--set=study.startup_trials={startup}"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=120)
    rows = [json.loads(line) for line in told.splitlines()]
    return [row for row in rows if row.get("state") in ("complete", "pruned")]


def unseen(root: Path, session: str) -> float:
    """The last checkpoint on seeds that were never used."""
    words = [sys.executable, "-m", "tui_trainer", "eval", session, "--checkpoint=latest", "--episodes=500", "--json"]
    done = subprocess.run([*words, f"--sessions={root}"], stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["value"])


def told(rows: list[dict[str, Any]], root: Path) -> dict[str, float]:
    complete = [row for row in rows if row["state"] == "complete"]
    best = max(complete, key=lambda row: row["value"])
    return {
        "trials": len(rows),
        "complete": len(complete),
        "best": best["value"],
        "unseen": unseen(root, best["session"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each study")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--startup", type=int, default=5, help="random, unpruned trials first")
    args = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {pruner: [] for pruner in PRUNERS}
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for seed in range(1, args.seeds + 1):
            for pruner in PRUNERS if seed % 2 else PRUNERS[::-1]:
                results[pruner].append(told(tune(root, pruner, seed, args.seconds, args.startup), root))
                print(f"seed {seed} {pruner:<7} {results[pruner][-1]}", flush=True)
    for pruner, rows in results.items():
        means = {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}
        print(f"{pruner:<7} " + ", ".join(f"{name} {value:.3f}" for name, value in means.items()))


if __name__ == "__main__":
    main()
