"""Draws the pictures of the documentation: the real app on the recorded sample session, exported as SVG.

make pictures            # docs/pictures/*.svg
python docs/pictures/make.py --png DIR   # the same as PNG, to be looked at
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from tui_trainer import tasks
from tui_trainer.client.replay import ReplaySource
from tui_trainer.client.source import Link, News, RunSource, Snapshot
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.config import UiSettings
from tui_trainer.core.events import AnyEvent, FrameDrawn, RecommendationAnswered
from tui_trainer.core.state import fold
from tui_trainer.errors import OrderRefused
from tui_trainer.reports import pictures as report
from tui_trainer.reports.facts import Facts
from tui_trainer.sessions.journal import read_journal
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.look import Look

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "sessions" / "sample"
FONTS = "'DejaVu Sans Mono', Menlo, Consolas, monospace"


def board() -> str:
    """A game as the task draws it. Frames are not in a journal, so this one is played at random."""
    task = tasks.make("connect_four", {"opening_plies": 0}, 1)
    generator = np.random.default_rng(3)
    mask = task.reset(1).mask
    for _ in range(11):
        assert mask is not None
        mask = task.step(generator.choice(np.flatnonzero(mask[0]), 1)).mask
    return task.render_text(0)


class Standing:
    """A live run that stands still where `events` end."""

    kind: Literal["live", "replay"] = "live"
    readonly = False

    def __init__(self, name: str, events: Sequence[AnyEvent]) -> None:
        self.name = name
        self._events = events

    async def news(self) -> AsyncIterator[News]:
        """The state, once."""
        yield Snapshot(fold([*self._events, FrameDrawn(text=board())]))
        yield Link("live", "connected")
        await asyncio.Event().wait()

    async def send(self, command: AnyCommand) -> None:
        """Nobody is there."""
        raise OrderRefused("a picture takes no orders")

    async def close(self) -> None:
        """Nothing is open."""


class Picture(msgspec.Struct):
    """One file: the app on `source` at a size, after some keys."""

    name: str
    title: str
    source: RunSource
    size: tuple[int, int]
    moment: float
    """Unix time at which the screen is seen."""
    keys: tuple[str, ...] = ()


async def draw(picture: Picture) -> str:
    """The screen as SVG."""
    app = TrainerApp(picture.source, UiSettings(), look=Look(), clock=lambda: picture.moment)
    async with app.run_test(size=picture.size) as pilot:
        await pilot.pause(0.8)
        for key in picture.keys:
            await pilot.press(key)
            await pilot.pause(0.3)
        svg = app.export_screenshot(title=picture.title)
    return stable(svg)


def stable(svg: str) -> str:
    """The same picture twice gives the same bytes, and a reader's browser loads nothing from elsewhere."""
    found = re.search(r"terminal-(\d+)-", svg)
    svg = svg.replace(f"terminal-{found[1]}-", "t-") if found else svg
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")


def pictures() -> list[Picture]:
    """What the documentation shows."""
    events = read_journal(SAMPLE / "events.jsonl").events
    middle = [i for i, event in enumerate(events) if isinstance(event, RecommendationAnswered)][-1] - 1
    moment = events[middle].time

    def live() -> Standing:
        return Standing("sample", events[:middle])

    replay = ReplaySource("sample", events, playing=False)
    replay.seek(len(events) * 2 // 3)
    end = events[-1].time
    return [
        Picture("run", "tui-trainer run", live(), (120, 36), moment),
        Picture("small", "tui-trainer run, 80x24", live(), (80, 24), moment),
        Picture("replay", "tui-trainer replay", replay, (120, 36), end),
        Picture(
            "chart", "tui-trainer run, after 2, enter and ←", live(), (120, 36), moment, ("2", "2", *["left"] * 12)
        ),
        Picture("ended", "tui-trainer run, ended", Standing("sample", events), (120, 36), end),
        Picture("help", "tui-trainer run, after ?", live(), (120, 40), moment, ("question_mark",)),
    ]


def report_pictures() -> dict[str, str]:
    """Those of the report of the sample, by name."""
    facts = Facts("sample", fold(read_journal(SAMPLE / "events.jsonl").events))
    return {f"report-{name}": drawn.svg.decode() for name, drawn in report.draw(facts).items() if name != "resources"}


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--png", type=Path, help="write PNGs into this directory instead")
    directory = parser.parse_args().png
    drawn = {picture.name: asyncio.run(draw(picture)) for picture in pictures()}
    for name, svg in (drawn | report_pictures()).items():
        if directory is None:
            (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")
            continue
        import resvg_py

        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.png").write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=svg)))


if __name__ == "__main__":
    main()
