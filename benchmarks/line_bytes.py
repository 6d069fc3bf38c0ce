"""What a program writes to its terminal: `python benchmarks/line_bytes.py --size 120x40 --seconds 20 -- btop`.

Bytes a second and the share of a core, after the first seconds; for programs beside each other at the same size.
Linux only.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.ui.pty_terminal import PtyTerminal

SETTLE_S = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    terminal = PtyTerminal(options.command, width, height)
    terminal.read_for(SETTLE_S)
    bytes_, cpu, began = terminal.bytes, terminal.cpu_s(), time.perf_counter()
    terminal.read_for(options.seconds)
    span = time.perf_counter() - began
    rate, core = (terminal.bytes - bytes_) / span / 1000, (terminal.cpu_s() - cpu) / span
    terminal.close()
    print(f"{options.size:<8} {rate:6.2f} kB/s  {core:.3f} of a core  {' '.join(options.command)}")


if __name__ == "__main__":
    main()
