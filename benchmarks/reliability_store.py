"""What the disk side of a session withstands, and what a save costs.

    python benchmarks/reliability_store.py kills 1000      SIGKILLs of a writer
    python benchmarks/reliability_store.py powercuts 2000  simulated power cuts, and two controls that must lose data
    python benchmarks/reliability_store.py hostile         checkpoint files made to do harm, by kind
    python benchmarks/reliability_store.py saves           stall and duration of a save, by size

Use OMP_NUM_THREADS=1. The same code runs at small size in the test suite.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from tests.sessions import hostile
from tests.sessions.faulty_disks import RecordingDisk
from tests.sessions.kills import kill_at_random
from tests.sessions.powercuts import cut_at_random
from tests.sessions.world import new_session
from tui_trainer.errors import DamagedSession
from tui_trainer.sessions.checkpoints import CheckpointStore, Frozen
from tui_trainer.sessions.strict import check_file

MIB = 1 << 20


def kills(directory: Path, count: int) -> bool:
    """Kill a writer `count` times."""
    result = kill_at_random(directory, count, seed=1)
    print(f"{result.kills} kills, {result.in_save} in the middle of a save or a pruning")
    print(f"{result.acknowledged} saves acknowledged; lost or unloadable: {len(result.broken)}")
    print("\n".join(result.broken[:10]))
    return not result.broken


def powercuts(directory: Path, count: int) -> bool:
    """Cut the power `count` times, then with each control."""
    disks = {
        "as it is": RecordingDisk(),
        "control: no fsync of files": RecordingDisk(sync_files=False),
        "control: no fsync of directories": RecordingDisk(sync_directories=False),
    }
    broken = {}
    for name, disk in disks.items():
        place = directory / str(len(broken))
        place.mkdir()
        result = cut_at_random(place, disk, count, seed=1)
        broken[name] = len({text.split(":")[0] for text in result.broken})
        print(f"{name:34} {result.cuts} cuts, {broken[name]} lost something acknowledged")
    return broken.pop("as it is") == 0 and all(broken.values())


def hostile_files(directory: Path, count: int) -> bool:
    """Check each hostile file `count` times; print the slowest of each kind."""
    slowest: dict[str, float] = {}
    accepted = 0
    for kind, path in hostile.write_all(directory).items():
        for _ in range(count):
            began = time.perf_counter()
            accepted += not _refused(path)
            family = kind.split(":")[0]
            slowest[family] = max(slowest.get(family, 0.0), time.perf_counter() - began)
    for family, seconds in slowest.items():
        print(f"{family:10} slowest {1000 * seconds:7.1f} ms")
    print(f"accepted: {accepted}")
    return accepted == 0


def _refused(path: Path) -> bool:
    try:
        check_file(path)
    except DamagedSession:
        return True
    return False


def saves(directory: Path, count: int) -> bool:
    """Snapshot and save states of several sizes while this thread works; median of `count`."""
    print("   MiB   snapshot ms   save ms   longest gap of the working thread ms (without a save)")
    for mib in (1, 10, 100):
        store = CheckpointStore(new_session(directory, f"s{mib}").path)
        state = {"weights": [torch.rand(MIB // 16) for _ in range(4 * mib)]}
        rows = [_one_save(store, state, update) for update in range(1, count + 1)]
        idle = statistics.median(_longest_gap(threading.Event(), 0.3) for _ in range(3))
        snapshot, save, gap = (1000 * statistics.median(column) for column in zip(*rows))
        print(f"{mib:6} {snapshot:13.1f} {save:9.1f} {gap:9.1f} ({1000 * idle:.1f})")
    return True


def _one_save(store: CheckpointStore, state: dict[str, object], update: int) -> tuple[float, float, float]:
    began = time.perf_counter()
    frozen = store.snapshot(state)
    snapshot = time.perf_counter() - began
    done = threading.Event()
    thread = threading.Thread(target=_save, args=(store, frozen, update, done))
    began = time.perf_counter()
    thread.start()
    gap = _longest_gap(done, 60.0)
    thread.join()
    save = time.perf_counter() - began
    store.prune(1, 1, 0)
    return snapshot, save, gap


def _save(store: CheckpointStore, frozen: Frozen, update: int, done: threading.Event) -> None:
    store.save(frozen, kind="regular", update=update, global_step=update)
    done.set()


def _longest_gap(done: threading.Event, limit_s: float) -> float:
    """Longest time between two steps of a thread that does small tensor work until `done`."""
    weights, longest = torch.rand(64, 64), 0.0
    began = last = time.perf_counter()
    while not done.is_set() and last - began < limit_s:
        weights = torch.tanh(weights @ weights)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


def main() -> int:
    """Run one topic; exit code 1 when a promise is broken."""
    topics = {
        "kills": (kills, 1000),
        "powercuts": (powercuts, 2000),
        "hostile": (hostile_files, 3),
        "saves": (saves, 5),
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic", choices=topics)
    parser.add_argument("count", type=int, nargs="?")
    args = parser.parse_args()
    function, usual = topics[args.topic]
    with tempfile.TemporaryDirectory() as directory:
        return 0 if function(Path(directory), args.count or usual) else 1


if __name__ == "__main__":
    raise SystemExit(main())
