"""Keys on a slow line: `python benchmarks/slow_line.py --rate 1000 -- python -m tui_trainer attach NAME`.

A terminal that reads so many bytes a second and answers when it is asked how far it has come. `p` is pressed again and
again; the seconds until its mark (*sent* or *received*) and until its effect (PAUSED, or running again) stand on the
screen. With `--resize` the window changes its size before each key, and bytes are counted in place of seconds: how
many the line carried between the resize and the key's effect. Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.ui.slow_terminal import SlowTerminal

SETTLE_S = 40.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--rate", type=int, default=1000, help="bytes a second")
    parser.add_argument("--keys", type=int, default=10)
    parser.add_argument("--resize", action="store_true", help="change the window's size before each key; count bytes")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    terminal = SlowTerminal(options.command, width, height, rate=options.rate)
    terminal.wait_for(b"Training Manager")
    terminal.read_for(SETTLE_S)
    if options.resize:
        print(resized(terminal, width, height, options.keys))
        terminal.close()
        return
    marks, effects = [], []
    for turn in range(options.keys):
        begin = time.perf_counter()
        terminal.key(b"p")
        word = "PAUSED" if turn % 2 == 0 else "running"
        terminal.wait_for_any(" sent ", " received ", word)
        marks.append(time.perf_counter() - begin)
        terminal.wait_for_any(word)
        effects.append(time.perf_counter() - begin)
        terminal.read_for(2.0 + turn % 3)
    terminal.close()
    for what, seconds in (("mark", marks), ("effect", effects)):
        print(f"{what:<7} median {statistics.median(seconds):5.2f} s, longest {max(seconds):5.2f} s")


def resized(terminal: SlowTerminal, width: int, height: int, keys: int) -> str:
    """Bytes between a resize with a key behind it and the key's effect."""
    spent = []
    for turn in range(keys):
        before = terminal.bytes
        smaller = turn % 2 == 0
        terminal.resize(width - 8 * smaller, height - 4 * smaller)
        terminal.key(b"p")
        terminal.wait_for_any("PAUSED" if smaller else "running")
        spent.append(terminal.bytes - before)
        terminal.read_for(SETTLE_S / 4)
    median, most = statistics.median(spent), max(spent)
    return f"bytes from a resize to the effect of the key behind it: median {median:,.0f}, most {most:,}"


if __name__ == "__main__":
    main()
