"""One panel a file, each a function from a Scene to rows; the registry is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tui_trainer.charts.chart import Chart
from tui_trainer.charts.span import Row
from tui_trainer.ui.panels import (
    checkpoints,
    decision_list,
    decisions,
    footer,
    game,
    header,
    help,
    log,
    losses,
    machine,
    manager,
    models,
    recommendation,
    speed,
    status,
    summary,
    timeline,
    win_rate,
)
from tui_trainer.ui.scene import Scene

Render = Callable[[Scene, int, int], list[Row]]


class Panel(NamedTuple):
    """A panel: its title, what its upper edge adds to it, and its picture."""

    name: str
    title: str
    render: Render
    heading: Callable[[Scene], str] = lambda scene: ""
    naming: Callable[[Scene], str] | None = None
    """The title, where it depends on the run."""
    chart: Callable[[Scene, int], Chart] | None = None
    """What the panel draws through the lens at a width, where it is a chart."""


PANELS: dict[str, Panel] = {
    panel.name: panel
    for panel in (
        Panel("manager", manager.TITLE, manager.render, manager.heading),
        Panel("win_rate", win_rate.TITLE, win_rate.render, win_rate.heading, win_rate.title, win_rate.chart),
        Panel("recommendation", recommendation.TITLE, recommendation.render, recommendation.heading),
        Panel("speed", speed.TITLE, speed.render, speed.heading, chart=speed.chart),
        Panel("losses", losses.TITLE, losses.render, losses.heading, chart=losses.chart),
        Panel("machine", machine.TITLE, machine.render, machine.heading),
        Panel("checkpoints", checkpoints.TITLE, checkpoints.render, checkpoints.heading),
        Panel("decisions", decisions.TITLE, decisions.render, decisions.heading),
        Panel("log", log.TITLE, log.render, log.heading),
        Panel("game", game.TITLE, game.render),
        Panel("summary", summary.TITLE, summary.render, summary.heading),
        Panel("header", header.TITLE, header.render),
        Panel("status", status.TITLE, status.render),
        Panel("footer", footer.TITLE, footer.render),
        Panel("timeline", timeline.TITLE, timeline.render),
        Panel("help", help.TITLE, help.render),
        Panel("decision_list", decision_list.TITLE, decision_list.render, decision_list.heading),
        Panel("models", models.TITLE, models.render, models.heading),
    )
}

NUMBERED = ("manager", "win_rate", "recommendation", "speed", "losses", "machine", "checkpoints", "decisions", "log")
"""What the keys 1 to 9 focus."""

PAGES: dict[str, Callable[[Scene], tuple[int, ...]]] = {
    "decision_list": decision_list.keys_of,
    "models": models.keys_of,
}
"""Panels that take the whole screen as lists, and what names their lines."""
