"""Several ranks against one, on this machine: speed, what the exchange costs, and whether learning stays the same.

    python benchmarks/ranks.py speed [--ranks 1,2] [--seconds 20] [--rounds 3]
    python benchmarks/ranks.py learning [--seeds 10] [--updates 300] [--ranks 1,2]
    python benchmarks/ranks.py model --update-ms 61 --exchange-ms 10

`speed` trains connect_four with its preset at equal settings for each rank, so that two ranks do twice the work, in
turns, as the machine's mood changes. `learning` trains with the preset's own settings, which the ranks share, and
compares the reference evaluation at equal steps. `model` extrapolates from an update on one rank and what two ranks
add to it: gradients that are swapped pair by pair take log2(n) swaps, a ring of n ranks sends 2 (n - 1) / n of them
through each link.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WARM_UPDATES = 3
"""Left out at the start: the first ones allocate."""
NUM_ENVS, BATCH = 512, 1024
"""Of the preset, for one rank."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "learning", "model"))
    parser.add_argument("--ranks", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--update-ms", type=float, default=61.0)
    parser.add_argument("--exchange-ms", type=float, default=10.0)
    args = parser.parse_args()
    ranks = [int(each) for each in args.ranks.split(",")]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    match args.what:
        case "speed":
            speed(ranks, args.rounds, args.seconds, args.device, args.set)
        case "learning":
            learning(ranks, args.seeds, args.updates, args.set)
        case _:
            model(args.update_ms, args.exchange_ms)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def speed(ranks: Sequence[int], rounds: int, seconds: float, device: str, more: Sequence[str]) -> None:
    """A line a run, then the medians and what they are of one rank's."""
    found: dict[int, list[tuple[float, float]]] = {size: [] for size in ranks}
    for _ in range(rounds):
        for size in ranks:
            per_rank = (f"ppo.num_envs={NUM_ENVS * size}", f"ppo.batch_size={BATCH * size}", f"run.device={device}")
            events = trained(size, (*per_rank, f"manager.termination.max_hours={seconds / 3600}", *_quiet(), *more))
            found[size].append(measured(events))
            sps, sync = found[size][-1]
            print(f"{size} ranks  {sps:>9,.0f} SPS  {sync:6.1%} of the time in exchanges", flush=True)
    base = statistics.median(sps for sps, _ in found[ranks[0]])
    for size, runs in found.items():
        sps, sync = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{size} ranks: median {sps:,.0f} SPS, {sps / base:.2f} times, {sync:.1%} in exchanges")


def _quiet() -> tuple[str, ...]:
    """No evaluation, save or report within what is measured."""
    return (
        "manager.evaluation.every_updates=1000000", "manager.evaluation.final_episodes=0",
        "manager.checkpoints.every_updates=0", "manager.termination.intelligent=false", "report.at_end=false",
        "run.log_every_updates=1",
    )  # fmt: skip


def measured(events: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Median SPS of an update after the first ones, and the share of their time in exchanges, waiting included."""
    updates = [event for event in events if event["type"] == "UpdateFinished"][WARM_UPDATES:]
    total = sum(sum(event["seconds"].values()) for event in updates)
    sync = sum(event["seconds"].get("sync", 0.0) for event in updates)
    return statistics.median(event["sps"] for event in updates), sync / total


def learning(ranks: Sequence[int], seeds: int, updates: int, more: Sequence[str]) -> None:
    """Win rate of the last reference evaluation by seed, and the mean difference with a 95 % bootstrap interval."""
    end = (f"manager.termination.max_updates={updates + 1}", f"manager.evaluation.every_updates={updates}")
    free = ("manager.termination.max_hours=0", "manager.termination.target=", "manager.termination.intelligent=false")
    fixed = (*end, *free, "manager.evaluation.final_episodes=0", "report.at_end=false", "run.device=cpu")
    found: dict[int, list[float]] = {size: [] for size in ranks}
    for seed in range(1, seeds + 1):
        for size in ranks:
            events = trained(size, (*fixed, f"run.seed={seed}", *more))
            last = [event for event in events if event["type"] == "EvaluationFinished"][-1]
            found[size].append(last["result"]["value"])
        print(f"seed {seed}  " + "  ".join(f"{size}: {found[size][-1]:.3f}" for size in ranks), flush=True)
    for size in ranks[1:]:
        pairs = list(zip(found[ranks[0]], found[size], strict=True))
        low, high = bootstrap([b - a for a, b in pairs])
        mean = statistics.mean(b - a for a, b in pairs)
        print(f"{size} ranks against {ranks[0]}: {mean:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}, {seeds} seeds")


def bootstrap(differences: Sequence[float], draws: int = 10_000) -> tuple[float, float]:
    """Percentile interval of the mean."""
    rng = random.Random(1)
    means = sorted(statistics.mean(rng.choices(differences, k=len(differences))) for _ in range(draws))
    return means[round(0.025 * draws)], means[round(0.975 * draws) - 1]


def model(update_ms: float, exchange_ms: float) -> None:
    """Efficiency at equal work for each rank: an update's own time against it and all exchanges, measured on 2."""
    for size in (1, 2, 4, 8, 16, 32, 64):
        pairs, ring = (exchange_ms * growth for growth in (math.log2(size), 2 * (size - 1) / size))
        told = (
            f"{update_ms / (update_ms + exchange):.0%} {way}" for exchange, way in ((pairs, "in pairs"), (ring, "ring"))
        )
        print(f"{size:>3} ranks: {', '.join(told)} of {size} times")


def trained(size: int, settings: Sequence[str]) -> list[dict[str, Any]]:
    """The events of a run of the preset to its end."""
    with tempfile.TemporaryDirectory() as root:
        words = [sys.executable, "-m", "tui_trainer", "run", "connect_four", "--no-ui", f"--nproc={size}", "--name=a"]
        words += [f"--sessions={root}", *(f"--set={text}" for text in settings)]
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environ, check=False)
        journal = Path(root, "a", "events.jsonl")
        if done.returncode:
            raise SystemExit(done.stderr.decode())
        return [json.loads(line) for line in journal.read_text().splitlines()]


if __name__ == "__main__":
    main()
