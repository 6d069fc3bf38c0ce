"""What a replay buffer of a million transitions adds to a checkpoint.

    OMP_NUM_THREADS=1 python benchmarks/replay_buffer.py --transitions 1000000 --saves 6

DQN on CartPole-v1 with a full buffer; a checkpoint every 200 updates (16,000 steps), which is the default. `stall` is
what training waits for (the state and its copy), `save` is what the saver's thread then does, to the last fsync; the
same for a buffer of 1,000 transitions, in turn. The interval is the time of 200 updates. Saves go to --directory:
choose the disk that sessions lie on. Needs the extra `gym`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from tui_trainer import tasks
from tui_trainer.algorithms import build
from tui_trainer.algorithms.transitions import Transitions
from tui_trainer.core.config import Layer, resolve
from tui_trainer.sessions.checkpoints import CheckpointStore

UPDATES = 200


class Contestant:
    """A learner with a full buffer, and its session."""

    def __init__(self, transitions: int, directory: Path, *, prioritised: bool) -> None:
        table = {"buffer_size": transitions, "learning_starts": 0, "prioritized_replay": prioritised}
        config = resolve([Layer("benchmark", {"run": {"algorithm": "dqn"}, "dqn": table})]).config
        self.learner: Any = build("dqn", tasks.make("gym:CartPole-v1", {}, config.dqn.num_envs), config, "cpu")
        rng = np.random.default_rng(1)
        for _ in range(10):
            self.learner._replay.add(made_up(rng, transitions // 10))
        (directory / "checkpoints").mkdir(parents=True)
        self.directory, self.store, self.number = directory, CheckpointStore(directory), 0

    def save(self) -> tuple[float, float]:
        """Seconds of the stall, and of the save."""
        self.number += 1
        start = time.perf_counter()
        frozen = self.store.snapshot({"learner": self.learner.state_dict()})
        copied = time.perf_counter()
        self.store.save(frozen, kind="regular", update=self.number, global_step=self.number)
        self.store.prune(5, 2, 0)
        return copied - start, time.perf_counter() - copied

    def train(self) -> float:
        """Seconds of the updates between two saves."""
        start = time.perf_counter()
        for _ in range(UPDATES):
            while not self.learner.collect(1e9).complete:
                pass
            self.learner.learn()
        return time.perf_counter() - start

    def bytes_on_disk(self) -> int:
        """Of the session."""
        return sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())


def made_up(rng: np.random.Generator, count: int) -> Transitions:
    """Random transitions of CartPole's shape."""
    obs = rng.standard_normal((count + 1, 4)).astype(np.float32)
    ones = np.ones(count, np.float32)
    return Transitions(obs[:-1], rng.integers(0, 2, count), ones, ones, obs[1:], None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transitions", type=int, default=1_000_000)
    parser.add_argument("--saves", type=int, default=6)
    parser.add_argument("--prioritised", action="store_true")
    parser.add_argument("--directory", help="where to save; default the system's temporary directory")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=options.directory) as root:
        full = Contestant(options.transitions, Path(root, "full"), prioritised=options.prioritised)
        small = Contestant(1000, Path(root, "small"), prioritised=options.prioritised)
        print(f"first save of the full buffer: {sum(full.save()):.2f} s; then")
        small.save()
        intervals, rows = [], []
        for _ in range(options.saves):
            intervals.append(full.train())
            small.train()
            rows.append((*full.save(), *small.save()))
        tell(options.transitions, intervals, rows)
        start = time.perf_counter()
        state = CheckpointStore(full.directory).newest_good().state
        full.learner.load_state_dict(state["learner"])
        seconds, held = time.perf_counter() - start, full.bytes_on_disk() / 1e6
        print(f"loaded and verified in {seconds:.2f} s; {held:.0f} MB on disk")


def tell(transitions: int, intervals: list[float], rows: list[tuple[float, ...]]) -> None:
    """Medians, ranges and what the full buffer adds."""
    print(f"{'buffer':>12} {'stall':>22} {'save':>22}")
    for name, first in ((f"{transitions:,}", 0), ("1,000", 2)):
        cells = [sorted(1000 * row[first + i] for row in rows) for i in (0, 1)]
        print(f"{name:>12} " + " ".join(f"{statistics.median(c):7.1f} ({c[0]:.1f}-{c[-1]:.1f}) ms" for c in cells))
    added = statistics.median(sum(row[:2]) - sum(row[2:]) for row in rows)
    interval = statistics.median(intervals)
    print(f"adds {added:.3f} s to an interval of {interval:.2f} s: {100 * added / interval:.1f} %")


if __name__ == "__main__":
    main()
