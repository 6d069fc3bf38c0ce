"""What the app costs its terminal and its machine: `python benchmarks/app_cost.py [--seconds 20] [--size 120x40]`.

Runs the app in a pty on a made-up connect_four run (about 7 updates a second) and measures, from outside: time to the
first frame, bytes a second written to the terminal, share of one core, and the time from a key to its mark on the
screen. POSIX only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.ui.pty_terminal import PtyTerminal  # noqa: E402


def measure(width: int, height: int, seconds: float, keys: int) -> dict[str, float]:
    """One run of the app at one size."""
    command = [sys.executable, "-m", "tests.ui.demo", "mid"]
    terminal = PtyTerminal(command, width, height, {"PYTHONPATH": str(ROOT)})
    terminal.wait_for(b"Training Manager" if width >= 80 else b"updates")
    first = time.perf_counter() - terminal.started
    terminal.read_for(2.0)
    bytes_, cpu, begin = terminal.bytes, terminal.cpu_s(), time.perf_counter()
    terminal.read_for(seconds)
    wall = time.perf_counter() - begin
    rate, core = (terminal.bytes - bytes_) / wall, (terminal.cpu_s() - cpu) / wall
    delays = sorted(_key_delay(terminal) for _ in range(keys))
    rss = terminal.rss_mib()
    terminal.close()
    return {
        "first_frame_s": first,
        "kb_a_second": rate / 1000,
        "core": core,
        "key_p50_ms": 1000 * statistics.median(delays),
        "key_p95_ms": 1000 * delays[min(len(delays) - 1, int(0.95 * len(delays)))],
        "rss_mib": rss,
    }


def _key_delay(terminal: PtyTerminal) -> float:
    terminal.read_for(0.613)
    terminal.key(b"c")
    return terminal.wait_for_any("checkpoint sent", "checkpoint received")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--size", action="append")
    options = parser.parse_args()
    print(f"{'size':>8} {'first frame':>12} {'to the pty':>11} {'core':>6} {'key p50':>8} {'p95':>8} {'RSS':>9}")
    for size in options.size or ["80x24", "120x40"]:
        width, height = (int(part) for part in size.split("x"))
        found = measure(width, height, options.seconds, options.keys)
        print(
            f"{size:>8} {found['first_frame_s']:>10.2f} s {found['kb_a_second']:>6.1f} kB/s {found['core']:>6.3f} "
            f"{found['key_p50_ms']:>5.0f} ms {found['key_p95_ms']:>5.0f} ms {found['rss_mib']:>5.0f} MiB"
        )


if __name__ == "__main__":
    main()
