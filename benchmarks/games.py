"""Speed of the board games: plies a second with observation, by number of games, and by the level that answers.

    OMP_NUM_THREADS=1 python benchmarks/games.py [--slices 9] [--seconds 0.5] [--clock cpu]

Cases are interleaved in slices; each figure is the median over them, with the range. Only `step` is timed. `--backends`
compares `task.backend`, numpy and torch, at 64 to 65,536 games instead; `--device cuda` puts torch's games there.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import numpy as np
from _contest import CLOCKS

from tui_trainer import tasks
from tui_trainer.core.values import Difficulty
from tui_trainer.tasks.boards.players import RungPlayer
from tui_trainer.tasks.connect_four import BOARD

clock = CLOCKS["wall"]


def stepping(num_envs: int, share: float, level: int, **options: object) -> Callable[[float], float]:
    """A function that steps for some seconds and returns environment steps a second."""
    task = tasks.make("connect_four", {"opponent_share": share, **options}, num_envs)
    task.set_difficulty(Difficulty(level=level))
    rng = np.random.default_rng(1)
    state = {"mask": task.reset(1).mask}

    def run(seconds: float) -> float:
        spent, steps = 0.0, 0
        while spent < seconds:
            mask = state["mask"]
            action = (rng.random(mask.shape) * mask).argmax(axis=1)
            began = clock()
            step = task.step(action)
            spent += clock() - began
            state["mask"] = step.mask
            steps += num_envs
        return steps / spent

    return run


def evaluating(part: str) -> Callable[[float], float]:
    """A function that plays 100 evaluation games and returns games a second."""
    task = tasks.make("connect_four", {}, 2)
    player = RungPlayer(BOARD, "1-ply", 1)

    def run(seconds: float) -> float:
        began = clock()
        task.evaluate(player, part=part, episodes=100, seed=3)
        return 100 / (clock() - began)

    return run


def ladder_cases() -> dict[str, Callable[[float], float]]:
    """By number of games and by level, on numpy."""
    ladder = tasks.spec_of("connect_four").parts
    cases = {f"self-play, {n} games (steps/s)": stepping(n, 0.0, 0) for n in (64, 512, 4096)}
    cases |= {f"512 games, a tenth against {rung} (steps/s)": stepping(512, 0.1, k) for k, rung in enumerate(ladder)}
    return cases | {f"evaluation against {rung} (games/s)": evaluating(rung) for rung in ladder}


def backend_cases(device: str) -> dict[str, Callable[[float], float]]:
    """numpy and torch, by number of games: self-play, and a quarter against 1-ply."""
    backends = {"numpy": {}, f"torch on {device}": {"backend": "torch", "device": device}}
    return {
        f"{n} games, {words}, {name} (steps/s)": stepping(n, share, 1, **options)
        for words, share in (("self-play", 0.0), ("a quarter against 1-ply", 0.25))
        for n in (64, 512, 4096, 65_536)
        for name, options in backends.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    parser.add_argument("--backends", action="store_true", help="compare numpy and torch")
    parser.add_argument("--device", default="cpu", help="where torch has its games")
    wish = parser.parse_args()
    global clock
    clock = CLOCKS[wish.clock]
    cases = backend_cases(wish.device) if wish.backends else ladder_cases()
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(wish.slices):
        for name, run in cases.items():
            found[name].append(run(wish.seconds))
    for name, figures in found.items():
        print(f"{name:<48} {statistics.median(figures):>14,.0f}   {min(figures):>12,.0f} .. {max(figures):,.0f}")


if __name__ == "__main__":
    main()
