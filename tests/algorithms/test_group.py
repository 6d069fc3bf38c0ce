"""The ranks' exchanges as torch.distributed makes them, between processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

RANK = """
import numpy as np, torch
from tui_trainer.algorithms import group as groups
from tui_trainer.errors import RankLost
group = groups.Group.join("gloo", 0)
for wide in (5, 300_000):
    flat = torch.from_numpy(np.random.default_rng(group.rank).standard_normal(wide).astype(np.float32))
    numbers = group.average(flat, [float(group.rank), 1.0])
    print(flat.numpy().tobytes().hex()[:64], round(float(flat.double().sum()), 3), numbers)
print([row.tolist() for row in group.every(np.array([group.rank, 0.1 * group.rank]))])
for size in (10, 50_000):
    if group.rank == 0:
        group.tell("a" * size)
    else:
        assert group.hear() == "a" * size
    found = group.gather(str(group.rank) * size)
    assert found == ([str(rank) * size for rank in range(group.size)] if group.rank == 0 else [])
group.every(np.zeros(1))
if group.rank == group.size - 1:
    raise SystemExit
try:
    for _ in range(3):
        group.every(np.zeros(1))
except RankLost:
    print("lost")
"""


@pytest.mark.long
@pytest.mark.parametrize("size", [2, 3, 4])
def test_every_rank_gets_the_same_and_learns_of_a_loss(size: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(size),
    }
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK], env={**place, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
        for rank in range(size)
    ]
    said = [rank.communicate(timeout=200)[0].splitlines() for rank in ranks]
    assert all(lines == [*said[-1], "lost"] for lines in said[:-1])
    small, large, rows = said[-1]
    mean = (size - 1) / 2
    assert small.endswith(f"[{mean}, 1.0]")
    assert large.endswith(f"[{mean}, 1.0]")
    assert rows == str([[float(rank), 0.1 * rank] for rank in range(size)])
