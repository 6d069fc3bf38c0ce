"""Draws the pictures of the documentation: the real app on recorded runs, exported as SVG.

make pictures            # docs/pictures/*.svg
python docs/pictures/make.py --png DIR   # the same as PNG, to be looked at; --size 80x24 at another size
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from textual.app import App

from tui_trainer import tasks
from tui_trainer.client.replay import ReplaySource
from tui_trainer.client.source import Link, News, RunSource, Snapshot
from tui_trainer.core import duel as d
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.config import Resolved, UiSettings, assignments_layer, resolve
from tui_trainer.core.events import AnyEvent, FrameDrawn, LogWritten, RecommendationAnswered
from tui_trainer.core.state import fold
from tui_trainer.core.study import StudyView
from tui_trainer.errors import OrderRefused, UsageError
from tui_trainer.foreign.places import find_run
from tui_trainer.foreign.run import open_run
from tui_trainer.reports import pictures as report
from tui_trainer.reports.facts import Facts
from tui_trainer.sessions.journal import read_journal
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.browser import BrowserApp
from tui_trainer.ui.compare import CompareApp
from tui_trainer.ui.duel import DuelApp
from tui_trainer.ui.look import Look
from tui_trainer.ui.shelf import SessionRow
from tui_trainer.ui.study import StudyApp

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import record  # noqa: E402

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
    """One file: an app at a size, after some keys."""

    name: str
    title: str
    app: App[Any]
    size: tuple[int, int] = (120, 36)
    keys: tuple[str, ...] = ()


def run_app(source: RunSource, moment: float, look: Look | None = None) -> App[Any]:
    """The app on a run, seen at a Unix time."""
    return TrainerApp(source, UiSettings(), look=look or Look(), clock=lambda: moment)


class Shelf:
    """The recorded list; nothing in it can be changed."""

    choices: Mapping[str, tuple[str, ...]] = {
        "run.task": tuple(task for task in tasks.TASKS if not task.endswith(":")),
        "run.algorithm": ("ppo", "dqn"),
    }

    def __init__(self, rows: list[SessionRow]) -> None:
        self._rows = rows

    def load(self) -> list[SessionRow]:
        return self._rows

    def delete(self, name: str) -> None:
        raise UsageError(f"{name} is part of a picture")

    def restore(self, name: str) -> None:
        raise UsageError(f"{name} is part of a picture")

    def settle(self, assignments: tuple[str, ...]) -> Resolved:
        return resolve([assignments_layer(assignments)])


class Trials:
    """The recorded study; it takes no orders."""

    def __init__(self, view: StudyView) -> None:
        self._view = view

    def read(self) -> StudyView:
        return self._view

    def enqueue(self, params: Mapping[str, str]) -> str:
        raise OrderRefused("a picture takes no orders")

    def stop(self) -> str:
        raise OrderRefused("a picture takes no orders")


class Table:
    """The recorded game; it takes no moves."""

    def __init__(self, opened: d.Opened, position: d.Position) -> None:
        self.opened = opened
        self._position = position

    def ask(self, question: d.Question) -> d.Position:
        return self._position

    def close(self) -> None:
        """Nothing is open."""


async def draw(picture: Picture, size: tuple[int, int] | None = None) -> str:
    """The screen as SVG."""
    app = picture.app
    async with app.run_test(size=size or picture.size) as pilot:
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
    ended = Standing("sample", events)
    return [
        Picture("run", "tui-trainer run", run_app(live(), moment)),
        Picture("small", "tui-trainer run, 80x24 in 16 colours",
                run_app(live(), moment, Look(sixteen=True)), (80, 24)),
        Picture("replay", "tui-trainer replay", run_app(replay, end)),
        Picture("chart", "tui-trainer run, after 2, enter and ←", run_app(live(), moment),
                keys=("2", "2", *["left"] * 12)),
        Picture("decisions", "tui-trainer run, ended, after d", run_app(ended, end), keys=("d",)),
        Picture("ended", "tui-trainer run, ended", run_app(ended, end)),
        Picture("foreign", "tui-trainer replay runs/PPO_1", foreign(), keys=("end",)),
        Picture("help", "tui-trainer run, after ?", run_app(live(), moment), (120, 40), ("question_mark",)),
        Picture("ranks", "tui-trainer run --nproc 2", ranks(), (120, 40)),
        *recorded(),
        *recorded_live(),
    ]  # fmt: skip


def ranks() -> App[Any]:
    """A session on two ranks, after two thirds of its history."""
    events = read_journal(record.RANKS).events
    middle = len(events) * 2 // 3
    return run_app(Standing("two-ranks", events[:middle]), events[middle].time)


def recorded_live() -> list[Picture]:
    """A study amid its trials, and a game."""
    found = record.load_live()
    study = StudyApp(Trials(found.study), found.study, UiSettings(), look=Look())
    duel = DuelApp(Table(found.opened, found.position), "play", "sample", UiSettings(), look=Look())
    return [
        Picture("study-running", "tui-trainer tune, 80x24", study, (80, 24)),
        Picture("play", "tui-trainer play sample, after h", duel, (80, 24), ("h",)),
    ]


def foreign() -> App[Any]:
    """What Stable-Baselines3 logged of PPO on CartPole-v1: a run that was stopped after 15,360 steps."""
    place = find_run(HERE / "foreign" / "PPO_1")
    assert place is not None
    events = [_elsewhere(event) for event in open_run(place).events]
    replay = ReplaySource("runs/PPO_1", events, playing=False)
    return run_app(replay, events[-1].time)


def _elsewhere(event: AnyEvent) -> AnyEvent:
    """Without the name of this directory."""
    if not isinstance(event, LogWritten):
        return event
    return msgspec.structs.replace(event, text=event.text.replace(str(HERE / "foreign"), "runs"))


def recorded() -> list[Picture]:
    """The list, the form, a comparison and a study."""
    found = record.load()
    settings, shelf, study = UiSettings(), Shelf(found.rows), found.study

    def browser() -> App[Any]:
        return BrowserApp(shelf, settings, look=Look(), clock=lambda: found.now)

    first = found.contrast.entries[0].name
    compare = CompareApp(lambda metric: found.contrast, settings, look=Look(), baseline=first)
    return [
        Picture("browser", "tui-trainer", browser(), (120, 30)),
        Picture("form", "tui-trainer, after n", browser(), (120, 30), ("n", "down", "down", "down")),
        Picture("compare", "tui-trainer compare --screen", compare),
        Picture("study", "tui-trainer tune", StudyApp(Trials(study), study, settings, look=Look())),
    ]


def report_pictures() -> dict[str, str]:
    """Those of the report of the sample, by name."""
    facts = Facts("sample", fold(read_journal(SAMPLE / "events.jsonl").events))
    return {f"report-{name}": drawn.svg.decode() for name, drawn in report.draw(facts).items() if name != "resources"}


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--png", type=Path, help="write PNGs into this directory instead")
    parser.add_argument("--size", help="columns and rows, such as 80x24, in place of each picture's own")
    parser.add_argument("names", nargs="*", help="only these")
    words = parser.parse_args()
    width, _, height = (words.size or "").partition("x")
    size = (int(width), int(height)) if words.size else None
    shown = [picture for picture in pictures() if not words.names or picture.name in words.names]
    drawn = {picture.name: asyncio.run(draw(picture, size)) for picture in shown}
    for name, svg in (drawn if words.names or size else drawn | report_pictures()).items():
        if words.png is None:
            (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")
            continue
        import resvg_py

        words.png.mkdir(parents=True, exist_ok=True)
        (words.png / f"{name}.png").write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=svg)))


if __name__ == "__main__":
    main()
