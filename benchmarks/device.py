"""Training Connect Four on a GPU: steps a second end to end, by number of games, beside two CPU cores.

    OMP_NUM_THREADS=2 python benchmarks/device.py [--seconds 5] [--games 4096 16384] [--device cuda]

The preset's PPO, self-play pool and opponents included, with as many minibatches at every size. Columns: rollout and
minibatches on the device with CUDA graphs; the same in bfloat16; the same without graphs; environments and rollout in
host memory; the environment alone; two CPU cores (numpy, gradients by hand). Each is the median of three slices after a
warm-up, taken in turns. Last, whether two runs of a seed have the same bits. Without a GPU it says so and measures
nothing; `--device cpu` tries the script out.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tui_trainer import tasks
from tui_trainer.algorithms import build
from tui_trainer.core.config import Layer, resolve

GAMES = (4_096, 16_384, 65_536, 262_144)
SLICES = 3
MOST_ON_THE_CPU = 65_536
PRESET = tomllib.loads((Path(__file__).parents[1] / "configs" / "connect_four.toml").read_text())


def learner(games: int, device: str, backend: str, **table: object) -> Any:
    """The preset's, with minibatches that grow with the games."""
    own = PRESET["ppo"]
    ppo = own | {"num_envs": games, "batch_size": own["batch_size"] * games // own["num_envs"]} | table
    options = PRESET["task"] | ({"backend": "torch", "device": device} if backend == "torch" else {})
    config = resolve([Layer("bench", {"ppo": ppo, "run": {"device": device.partition(":")[0]}})]).config
    return build("ppo", tasks.make("connect_four", options, games), config, device)


def finish(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def training(found: Any, device: str) -> Callable[[float], dict[str, float]]:
    """Trains for about so many seconds: steps a second, and the share of them that learning took."""

    def run(seconds: float) -> dict[str, float]:
        began, steps, learning = time.perf_counter(), 0, 0.0
        while (now := time.perf_counter()) - began < seconds:
            while not found.collect(1e9).complete:
                pass
            learning -= time.perf_counter()
            found.learn()
            learning += time.perf_counter()
            steps += found.steps_per_update
        finish(device)
        now = time.perf_counter() - began
        return {"sps": steps / now, "learn": learning / now}

    return run


def stepping(games: int, device: str) -> Callable[[float], dict[str, float]]:
    """Random legal actions, drawn where the games are; no graph."""
    task: Any = tasks.make("connect_four", PRESET["task"] | {"backend": "torch", "device": device}, games)
    state = {"mask": task.reset_tensors(1).mask}

    def run(seconds: float) -> dict[str, float]:
        began, steps = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            task.prepare(16)
            for _ in range(16):
                luck = torch.rand(state["mask"].shape, device=device)
                state["mask"] = task.step_tensors((luck * state["mask"]).argmax(1)).mask
            finish(device)
            steps += 16 * games
        return {"sps": steps / (time.perf_counter() - began)}

    return run


def cases(games: int, device: str) -> dict[str, Callable[[float], dict[str, float]]]:
    """By column."""
    on = {"rollout": "device"}
    found = {
        "graphs": training(learner(games, device, "torch", **on), device),
        "bfloat16": training(learner(games, device, "torch", precision="bfloat16", **on), device),
        "no graphs": training(learner(games, device, "torch", graphs="off", **on), device),
        "host": training(learner(games, device, "numpy", rollout="host"), device),
        "env alone": stepping(games, device),
    }
    if games <= MOST_ON_THE_CPU:
        found["2 cores"] = training(learner(games, "cpu", "numpy"), "cpu")
    return found


def row(games: int, device: str, seconds: float) -> float:
    """Prints a line; the device's steps a second."""
    runs = cases(games, device)
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for number in range(SLICES + 1):
        for name, run in runs.items():
            result = run(seconds / 4 if number == 0 else seconds / SLICES)
            if number:
                seen[name].append(result)
    sps = {name: statistics.median(each["sps"] for each in results) for name, results in seen.items()}
    learn = statistics.median(each["learn"] for each in seen["graphs"])
    ratio = f"{sps['graphs'] / sps['2 cores']:.1f}x" if "2 cores" in sps else "-"
    columns = "".join(f"{sps.get(name, float('nan')):>14,.0f}" for name in (*list(runs), "2 cores")[:6])
    print(f"{games:>8,}{columns}{ratio:>9}{learn:>8.0%}", flush=True)
    return sps["graphs"]


def repeats(device: str) -> bool:
    """Whether two runs of a seed end with the same bits."""
    found = []
    for _ in range(2):
        one = learner(1024, device, "torch", rollout="device")
        for _ in range(12):
            while not one.collect(1e9).complete:
                pass
            one.learn()
        found.append(one.state_dict()["parameters"].clone())
    return torch.equal(*found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each figure")
    parser.add_argument("--games", type=int, nargs="+", default=list(GAMES))
    parser.add_argument("--device", default="cuda")
    wish = parser.parse_args()
    if wish.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU that this torch can use: nothing to measure (--device cpu tries the script out)")
        return
    torch.set_num_threads(2)
    device = str(torch.empty(0, device=wish.device).device)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor() or "cpu"
    print(f"{name}, torch {torch.__version__}, {os.cpu_count()} CPU cores; env steps/s")
    heads = "".join(f"{head:>14}" for head in ("graphs", "bfloat16", "no graphs", "host", "env alone", "2 cores"))
    print(f"{'games':>8}{heads}{'ratio':>9}{'learn':>8}")
    best = max(row(games, device, wish.seconds) for games in wish.games)
    print(f"best: {best:,.0f} steps/s; two runs of a seed have {'the same' if repeats(device) else 'OTHER'} bits")


if __name__ == "__main__":
    main()
