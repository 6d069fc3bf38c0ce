"""What a run that was cut and taken up by a new process differs in from one that was not: in our state, every byte.

    python benchmarks/resume_table.py [UPDATES] [CUTS_EVERY]

Each algorithm on each built-in task: a run of UPDATES updates writes its state after every CUTS_EVERY-th update, amid
the episodes of the next and where one of them has just ended; a new process takes each of those files up and goes on to
the end. Beside it Stable-Baselines3's save, load and learn, saved between two rollouts, taken up in a new
process: the policy's parameters at the end against those of the run that went on.
Use OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

STEPS = 20_000
"""Environment steps of a Stable-Baselines3 run."""


def main() -> int:
    """Print the table; exit code 1 where anything of ours differs."""
    from tests.engine.resumes import cases

    updates = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    every = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    print(f"{'algorithm':<10} {'task':<20} {'cuts':>4} {'amid':>5} {'ends':>5} {'values':>7} {'bytes':>10} differing")
    worst = 0
    for case in cases():
        rows = _in_two_processes("cut", "take-up", *case, str(updates), str(every))
        names = [row["cut"] for row in rows]
        amid, ends = (sum(name.startswith(kind) for name in names) for kind in ("amid", "end"))
        differing = sum(row["differing_bytes"] for row in rows)
        worst = max(worst, differing)
        size, values = max(row["bytes"] for row in rows), max(row["values"] for row in rows)
        print(f"{case.algorithm:<10} {case.task:<20} {len(rows):4} {amid:5} {ends:5} {values:7} {size:10} {differing}")
    for kind in ("ppo", "dqn", "dqn+buffer"):
        (row,) = _in_two_processes("sb3-cut", "sb3-take-up", kind)
        print(
            f"SB3 {row['version']} {kind:<10} CartPole-v1: {row['differing']} of {row['values']} tensors differ,"
            f" {row['differing_bytes']} of {row['bytes']} bytes, by up to {row['largest']:.3g}"
            f" (the same run again: {row['again']} bytes)"
        )
    return 1 if worst else 0


def _in_two_processes(first: str, second: str, *words: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        for part in (first, second):
            done = subprocess.run(
                [sys.executable, __file__, part, directory, *words], stdout=subprocess.PIPE, text=True, check=True
            )
        return [json.loads(line) for line in done.stdout.splitlines()]


def ours(part: str, directory: Path, algorithm: str, task: str, updates: int, every: int) -> None:
    """One process's half."""
    from tests.engine.resumes import Case, compare, cut, load, resume

    case = Case(algorithm, task)
    if part == "cut":
        cut(case, updates, every, directory)
        return
    whole = load(directory / "whole")
    for path in sorted(directory.glob("*-*")):
        found = compare(whole, resume(case, updates, path))
        print(json.dumps({"cut": path.name, **found._asdict()}))


def sb3(part: str, directory: Path, kind: str) -> None:
    """One process's half: train, saving on the way, or take the save up as its documentation does."""
    import stable_baselines3
    import torch

    torch.set_num_threads(1)
    if part == "sb3-cut":
        _sb3_trained(kind, directory).save(directory / "whole")
        return
    model_class = stable_baselines3.PPO if kind == "ppo" else stable_baselines3.DQN
    whole = model_class.load(directory / "whole").policy.state_dict()
    model = model_class.load(directory / "half", env=_carts())
    if kind == "dqn+buffer":
        model.load_replay_buffer(directory / "buffer")
    model.learn(STEPS - model.num_timesteps, reset_num_timesteps=False)
    again = _tensors_compared(whole, _sb3_trained(kind, None).policy.state_dict())
    found = _tensors_compared(whole, model.policy.state_dict())
    version = stable_baselines3.__version__
    print(json.dumps({"version": version, "again": again["differing_bytes"], **found}))


def _sb3_trained(kind: str, directory: Path | None) -> Any:
    """A run to its end; with a directory, saved between two rollouts in the middle."""
    import stable_baselines3
    from stable_baselines3.common.callbacks import BaseCallback

    class SaveInTheMiddle(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            if directory is not None and self.num_timesteps == STEPS // 2:
                self.model.save(directory / "half")
                if kind == "dqn+buffer":
                    self.model.save_replay_buffer(directory / "buffer")

    if kind == "ppo":
        model = stable_baselines3.PPO("MlpPolicy", _carts(), n_steps=125, batch_size=250, seed=1, device="cpu")
    else:
        model = stable_baselines3.DQN(
            "MlpPolicy", _carts(), learning_starts=1000, train_freq=10, buffer_size=20_000, seed=1, device="cpu"
        )
    return model.learn(STEPS, callback=SaveInTheMiddle())


def _carts() -> Any:
    from stable_baselines3.common.env_util import make_vec_env

    return make_vec_env("CartPole-v1", n_envs=8, seed=1)


def _tensors_compared(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    differing = changed = size = 0
    largest = 0.0
    for name, mine in one.items():
        a, b = mine.numpy(), other[name].numpy()
        unequal = sum(x != y for x, y in zip(a.tobytes(), b.tobytes()))
        size, changed, differing = size + a.nbytes, changed + unequal, differing + bool(unequal)
        largest = max(largest, float(abs(a - b).max()))
    return {
        "values": len(one), "differing": differing, "bytes": size, "differing_bytes": changed, "largest": largest,
    }  # fmt: skip


if __name__ == "__main__":
    words = sys.argv[1:]
    if words and words[0].startswith("sb3"):
        sb3(words[0], Path(words[1]), words[2])
    elif words and words[0] in ("cut", "take-up"):
        ours(words[0], Path(words[1]), words[2], words[3], int(words[4]), int(words[5]))
    else:
        raise SystemExit(main())
