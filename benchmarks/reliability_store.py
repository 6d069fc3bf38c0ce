"""What the disk side of a session withstands, and what a save costs.

    python benchmarks/reliability_store.py kills 1000      SIGKILLs of a writer
    python benchmarks/reliability_store.py powercuts 2000  simulated power cuts, and two controls that must lose data
    python benchmarks/reliability_store.py hostile         checkpoint files made to do harm, by kind
    python benchmarks/reliability_store.py mutations 10000 damaged files of each kind: what is read of them
    python benchmarks/reliability_store.py saves           stall and duration of a save, by size
    python benchmarks/reliability_store.py share           share of training time that saves take in a real run

Use OMP_NUM_THREADS=1. The same code runs at small size in the test suite.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil
import torch

from tests.sessions import hostile
from tests.sessions.faulty_disks import RecordingDisk
from tests.sessions.kills import kill_at_random
from tests.sessions.powercuts import cut_at_random
from tests.sessions.test_journal import mutate
from tests.sessions.test_strict import MEASURE
from tests.sessions.world import line, new_session, small_state
from tui_trainer.core.config import resolve
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions.checkpoints import (
    CheckpointStore,
    Frozen,
    frozen_copy,
    load_foreign,
    serialise,
    state_sha256,
)
from tui_trainer.sessions.journal import Journal, read_journal
from tui_trainer.sessions.store import is_untouched, read_session_file

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
    """Check each hostile file `count` times in a process without torch; by kind, in processor time."""
    asked = json.dumps({kind: str(path) for kind, path in hostile.write_all(directory).items()})
    worst: dict[str, list[tuple[str, str, float, float]]] = {}
    for _ in range(count):
        words = [sys.executable, "-c", MEASURE]
        done = subprocess.run(words, input=asked, stdout=subprocess.PIPE, text=True, check=True)
        for text in done.stdout.splitlines():
            row = json.loads(text)
            worst.setdefault(row[0].split(":")[0], []).append(row)
    accepted = 0
    for family, rows in worst.items():
        accepted += sum(said == "accepted" for _, said, _, _ in rows)
        seconds, growth = (max(column) for column in list(zip(*rows))[2:])
        print(
            f"{family:10} {len(rows) // count:3} files, slowest {1000 * seconds:6.1f} ms, most memory {growth:5.1f} MiB"
        )
    print(f"accepted: {accepted}")
    return accepted == 0


def mutations(directory: Path, count: int) -> bool:
    """Damage each kind of file `count` times and read it."""
    kinds = {
        "state.pt of a session": _in_session("state.pt"),
        "manifest.toml": _in_session("manifest.toml"),
        "state.pt from elsewhere": _from_elsewhere,
        "session.toml": _session_file,
        "events.jsonl": _journal,
    }
    good = True
    for name, prepare in kinds.items():
        place = directory / name.replace(" ", "-").replace(".", "-")
        place.mkdir()
        path, read = prepare(place)
        good &= _mutate_often(name, path, read, count)
    return good


def _mutate_often(name: str, path: Path, read: Callable[[bytes], str], count: int) -> bool:
    whole, chance = path.read_bytes(), random.Random(1)
    words: collections.Counter[str] = collections.Counter()
    slowest, before = 0.0, 0.0
    for number in range(count):
        data = mutate(whole, chance)
        path.write_bytes(data)
        began = time.perf_counter()
        try:
            word = read(data)
        except TuiTrainerError:
            word = "refused"
        except Exception as error:  # what this is to count
            word = f"traceback: {type(error).__name__}"
        slowest = max(slowest, time.perf_counter() - began)
        words[word] += 1
        if number == count // 10:
            before = psutil.Process().memory_info().rss
    growth = (psutil.Process().memory_info().rss - before) / MIB
    print(f"{name:26} {dict(words)}; slowest {1000 * slowest:.1f} ms; memory {growth:+.1f} MiB past the first tenth")
    return not [word for word in words if word not in ("refused", "read as it was", "read, damage told")]


Prepared = tuple[Path, Callable[[bytes], str]]


def _in_session(name: str) -> Callable[[Path], Prepared]:
    def prepare(place: Path) -> Prepared:
        store = CheckpointStore(new_session(place).path)
        frozen = store.snapshot(small_state(1))
        manifest = store.save(frozen, kind="regular", update=1, global_step=10)
        true = state_sha256(small_state(1))

        def read(data: bytes) -> str:
            return "read as it was" if state_sha256(store.newest_good().state) == true else "wrong"

        return place / "a" / manifest.path / name, read

    return prepare


def _from_elsewhere(place: Path) -> Prepared:
    path, true = place / "state.pt", state_sha256(small_state(1))
    path.write_bytes(serialise(frozen_copy(small_state(1))))
    return path, lambda data: "read as it was" if state_sha256(load_foreign(path)) == true else "wrong"


def _session_file(place: Path) -> Prepared:
    path = new_session(place).path / "session.toml"
    true = read_session_file(path)

    def read(data: bytes) -> str:
        file = read_session_file(path)
        resolve(file.layers())
        if file == true:
            return "read as it was"
        return "wrong" if is_untouched(path) else "read, damage told"

    return path, read


def _journal(place: Path) -> Prepared:
    path = place / "events.jsonl"
    journal = Journal(path)
    journal.append([line(seq) for seq in range(1, 41)])
    journal.close()
    true = {line(seq) for seq in range(1, 41)}
    lines = set(path.read_bytes().splitlines())

    def read(data: bytes) -> str:
        found = read_journal(path)
        intact = lines & set(data.splitlines())
        if len(set(found.events) - true) > 1 or len(true & set(found.events)) < len(intact) - 1:
            return "wrong"
        return "read as it was" if set(found.events) == true and not found.skipped else "read, damage told"

    return path, read


def share(directory: Path, updates: int) -> bool:
    """Train Connect Four with its preset, a checkpoint every 20 updates; where the time went, by the engine's word."""
    words = ["run", "connect_four", "--no-ui", "--json", "--name=a", f"--max-updates={updates}"]
    more = ["--set=manager.checkpoints.every_updates=20", "--set=manager.evaluation.every_updates=1000000",
            "--set=manager.evaluation.final_episodes=0", "--set=run.log_every_updates=1"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tui_trainer", *words, *more, "--sessions", str(directory)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    told = [json.loads(text) for text in done.stdout.splitlines()]
    seconds: collections.Counter[str] = collections.Counter()
    for event in told:
        if event["type"] == "UpdateFinished":
            seconds.update(event["seconds"])
    saved = [event for event in told if event["type"] == "CheckpointSaved"]
    elapsed = told[-1]["elapsed_s"]
    stalls = seconds["save"]
    print(f"{updates} updates, {len(saved)} saves of {saved[-1]['size'] / MIB:.1f} MiB in {elapsed:.1f} s of training")
    print(f"stalled for saves {1000 * stalls / len(saved):.1f} ms each, {100 * stalls / elapsed:.2f} % of the time")
    return True


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
        "mutations": (mutations, 10_000),
        "saves": (saves, 5),
        "share": (share, 400),
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
