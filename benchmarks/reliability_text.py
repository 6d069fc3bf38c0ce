"""Hostile text on every screen of the real app, in a pseudo-terminal: what of it reaches the terminal as an order.

    python benchmarks/reliability_text.py

The text holds OSC 52 and OSC 2, CSI, C1 controls, bidi overrides and markup, in names, notes, parts, outcomes,
pictures, logs, metrics, exceptions and callbacks, in files of other tools, a study's storage and a guest's names.
Counted is what is neither text nor an escape sequence of Textual.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.faults.elsewhere import Shown, left, screens, walk_through
from tests.faults.test_text import (
    SIZES,
    foreign_orders,
    make_hostile_board,
    make_poisoned,
    play_through,
    served_pages,
    start_hostile,
    walk_served,
)
from tests.warm import Warm, WarmTerminal
from tui_trainer.core.text import is_clean

SCREENS = {
    **{f"panel {digit}, alone": f"{digit}{digit}".encode() for digit in range(1, 10)},
    "help": b"?", "filter": b"/x", "palette": b"\x10", "the question before a stop": b"s",
}  # fmt: skip
ESCAPE = b"\x1b"


def main() -> int:
    """Print the figures; exit code 1 where a foreign order came through."""
    warm = Warm()
    found: dict[str, list[int]] = {}
    with (
        tempfile.TemporaryDirectory() as live,
        tempfile.TemporaryDirectory() as still,
        tempfile.TemporaryDirectory() as game,
    ):
        run = start_hostile(warm, Path(live))
        make_poisoned(warm, Path(still))
        make_hostile_board(warm, Path(game))
        for size in SIZES:
            look(found, "live run", warm.terminal(Path(live), "attach", "a", size=size), b"running")
            replay = warm.terminal(Path(still), "replay", "a", "--at=update:15", size=size)
            look(found, "replay", replay, b"Training Manager")
            listed = warm.terminal(Path(still), size=size)
            listed.wait_for(b"ended")
            keep(found, "list of sessions", listed, 0)
            listed.close()
            duel = warm.terminal(Path(live), "watch", "a", size=size, environ={"FAULT_AT": "never"})
            walk_through(duel, Shown((), b"HIJACKED", (b" ", b"n", b" ")), 0.5)
            all_of(found, "duel", duel)
            board = warm.terminal(Path(game), "play", "a", size=size)
            play_through(board)
            all_of(found, "a game played against a hostile task", board)
        for name, shown in screens(Path(still)).items():
            for size in SIZES:
                view = warm.terminal(Path(still), *shown.words, size=size)
                walk_through(view, shown, 0.3)
                all_of(found, name, view)
        for name, (words, sign) in served_pages(Path(live), Path(still)).items():
            page, drawn = asyncio.run(walk_served(Path(still), words, sign))
            found[f"serve: {name}"] = [len(page) + len(drawn), len(foreign_orders(drawn)) + (not is_clean(page))]
        run.kill()
    warm.close()
    print(f"{'screen':<58} {'bytes drawn':>11} foreign orders")
    for name, (drawn, orders) in found.items():
        print(f"{name:<58} {drawn:11} {orders}")
    return 1 if any(orders for _, orders in found.values()) else 0


def look(found: dict[str, list[int]], source: str, view: WarmTerminal, sign: bytes) -> None:
    """Open every screen and add what was drawn for it."""
    view.wait_for(sign)
    edge = keep(found, f"{source}: overview", view, 0)
    for name, keys in SCREENS.items():
        for key in keys:
            view.key(bytes([key]))
        view.read_for(0.3)
        edge = keep(found, f"{source}: {name}", view, edge)
        view.key(ESCAPE)
        view.read_for(0.3)
    view.close()


def all_of(found: dict[str, list[int]], name: str, view: WarmTerminal) -> None:
    """Count all that a screen drew until it was left."""
    left(view)
    keep(found, name, view, 0)
    view.close()


def keep(found: dict[str, list[int]], name: str, view: WarmTerminal, edge: int) -> int:
    """Count what was drawn since the last time, up to the last sequence that began; returns where that is."""
    until = view.seen.rfind(ESCAPE)
    drawn = view.seen[edge:until]
    row = found.setdefault(name, [0, 0])
    row[0] += len(drawn)
    row[1] += len(foreign_orders(drawn))
    return until


if __name__ == "__main__":
    raise SystemExit(main())
