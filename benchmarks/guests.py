"""What a guest costs its script: the share of time that 1,000 `run.log` calls a second take, watched and unwatched.

    python benchmarks/guests.py [--seconds 10] [--rounds 5]

A script that computes for a millisecond between calls, each with ten metrics, runs with and without us in interleaved
rounds. Told are the CPU time inside `log`, which other programs do not lengthen, its wall time (share, mean, median,
99th percentile, longest), which they do, and the CPU time of the whole process: hub and sampler are threads of it.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tui_trainer.guests import Guest, guest

RATE = 1000
METRICS = {f"train/metric_{index}": 0.123 * index for index in range(10)}


class Round(NamedTuple):
    """One run of the script."""

    calls: int
    wall_s: float
    cpu_s: float
    in_log_s: list[float]
    log_cpu_s: float
    """CPU time of the script's own thread in `log`, which other programs on the machine do not lengthen."""


def work(until: float) -> None:
    """The script's own computing, to a moment: it keeps one core busy, as training does."""
    while time.perf_counter() < until:
        pass


def play(run: Guest | None, seconds: float) -> Round:
    """A thousand updates a second for so long."""
    spent: list[float] = []
    log_cpu = 0.0
    began, cpu = time.perf_counter(), time.process_time()
    calls = int(seconds * RATE)
    for call in range(calls):
        work(began + call / RATE)
        at, cpu_at = time.perf_counter(), time.thread_time()
        if run is not None:
            run.log(call * 64, METRICS, episodes=call)
        log_cpu += time.thread_time() - cpu_at
        spent.append(time.perf_counter() - at)
    return Round(calls, time.perf_counter() - began, time.process_time() - cpu, spent, log_cpu)


@contextlib.contextmanager
def view(root: Path, name: str, watched: bool) -> Iterator[None]:
    """A view that reads every event, in another process."""
    if not watched:
        yield
        return
    code = (
        "import socket, sys; from tui_trainer.core import wire; from tui_trainer.sessions.names import socket_path;"
        "from pathlib import Path; s = socket.socket(socket.AF_UNIX); s.connect(str(socket_path(Path(sys.argv[1]))));"
        "s.sendall(wire.encode(wire.Hello(readonly=True)))\nwhile s.recv(65536): pass"
    )
    watcher = subprocess.Popen([sys.executable, "-c", code, str(root / name)])
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()


def measured(root: Path, number: int, seconds: float, watched: bool) -> Round:
    """The script with us."""
    name = f"bench-{number}-{int(watched)}"
    with guest(name, {"learning_rate": 3e-4}, sessions=str(root)) as run:
        run.checkpoint(lambda: b"weights" * 1000)
        with view(root, name, watched):
            return play(run, seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rounds: dict[str, list[Round]] = {"alone": [], "recorded": [], "watched": []}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(args.rounds):
            rounds["alone"].append(play(None, args.seconds))
            rounds["recorded"].append(measured(Path(directory), number, args.seconds, watched=False))
            rounds["watched"].append(measured(Path(directory), number, args.seconds, watched=True))
    print(f"{RATE} calls a second, {len(METRICS)} metrics each, {args.rounds} rounds of {args.seconds:g} s; medians")
    for how, played in rounds.items():
        tell(how, played)


def tell(how: str, played: list[Round]) -> None:
    """A line of figures."""
    shares = [100 * sum(r.in_log_s) / r.wall_s for r in played]
    means = [1e6 * statistics.fmean(r.in_log_s) for r in played]
    medians = [1e6 * statistics.median(r.in_log_s) for r in played]
    tails = [1e3 * statistics.quantiles(r.in_log_s, n=100)[98] for r in played]
    longest = [1e3 * max(r.in_log_s) for r in played]
    cpu = [100 * RATE * r.log_cpu_s / r.calls for r in played]
    beyond = [100 * (r.cpu_s / r.wall_s) for r in played]
    print(
        f"{how:9} CPU in log {statistics.median(cpu):5.2f} % of a core ({min(cpu):.2f} to {max(cpu):.2f}) · "
        f"wall {statistics.median(shares):5.2f} % ({min(shares):.2f} to {max(shares):.2f}) · "
        f"mean {statistics.median(means):5.1f} us · median {statistics.median(medians):4.2f} us · "
        f"p99 {statistics.median(tails):5.2f} ms · longest {statistics.median(longest):5.1f} ms · "
        f"process {statistics.median(beyond):5.1f} % of a core"
    )


if __name__ == "__main__":
    main()
