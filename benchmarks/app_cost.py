"""What the app costs its terminal and its machine: `python benchmarks/app_cost.py [--seconds 20] [--size 120x40]`.

Runs the app in a pty on a made-up connect_four run (about 7 updates a second) and measures, from outside: time to the
first frame, bytes a second written to the terminal, share of one core, and the time from a key to its mark on the
screen. Nothing of the app is imported here; POSIX only.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import sys
import termios
import time

_ESCAPES = re.compile(rb"\x1b\[[0-9;?<>$]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>]")


class Terminal:
    """The app in a pty of a given size; reads everything it writes."""

    def __init__(self, command: list[str], width: int, height: int) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8", PYTHONPATH=os.getcwd())
            os.execvp(command[0], command)
        self.resize(width, height)
        self.bytes = 0
        self.recent = b""

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self.fd], [], [], timeout_s)
        if not ready:
            return b""
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return b""
        self.bytes += len(data)
        self.recent = (self.recent + data)[-200_000:]
        return data

    def read_for(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def wait_for(self, text: bytes, timeout_s: float = 10.0) -> float:
        """Seconds until `text` stands in what was written since the call."""
        begin = time.perf_counter()
        self.recent = b""
        while time.perf_counter() - begin < timeout_s:
            self.read(0.5)
            if text in _ESCAPES.sub(b"", self.recent):
                return time.perf_counter() - begin
        raise SystemExit(f"{text!r} did not appear within {timeout_s} s")

    def key(self, key: bytes) -> None:
        os.write(self.fd, key)

    def cpu_s(self) -> float:
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def measure(width: int, height: int, seconds: float, keys: int) -> dict[str, float]:
    terminal = Terminal([sys.executable, "-m", "tests.ui.demo", "mid"], width, height)
    terminal.wait_for(b"running")
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


def _key_delay(terminal: Terminal) -> float:
    terminal.read_for(0.613)
    terminal.key(b"c")
    return terminal.wait_for(b"sent")


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
