"""Pictures of the app for the documentation: `python -m tests.ui.picture OUT.(svg|png) [JOURNAL [UPDATE]]`.

The run is made up, or read from a session's events.jsonl up to an update; the screen is the real app's at 120x40.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import resvg_py

from tests.ui.fakes import FakeSource
from tests.ui.history import state_at
from tui_trainer.core.config import UiSettings
from tui_trainer.core.events import decode
from tui_trainer.core.state import RunState
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.look import Look

FONT = "DejaVu Sans Mono"


def folded(journal: Path, update: int | None) -> RunState:
    """The state after `update`, or after everything."""
    state = RunState()
    for line in journal.read_bytes().splitlines():
        event = decode(line)
        if update is None or event.update <= update:
            state = state.apply(event)
    return state


async def svg_of(state: RunState, size: tuple[int, int] = (120, 40)) -> str:
    """The app's screen as Textual exports it."""
    name = state.started.session if state.started else ""
    app = TrainerApp(FakeSource(state, name=name), UiSettings(), look=Look(), clock=lambda: state.time)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.2)
        return app.export_screenshot()


def png_of(svg: str, width: int = 1600) -> bytes:
    """As a picture, in a font whose boxes join."""
    svg = svg.replace("Fira Code", FONT).replace("font-size: 20px", "font-size: 21px")
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=width, font_family=FONT, monospace_family=FONT))


def main() -> None:
    out, *rest = sys.argv[1:]
    state = folded(Path(rest[0]), int(rest[1]) if len(rest) > 1 else None) if rest else state_at(780)
    svg = asyncio.run(svg_of(state))
    if out.endswith(".png"):
        Path(out).write_bytes(png_of(svg))
    else:
        Path(out).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
