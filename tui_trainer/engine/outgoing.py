"""Which sinks a run has, by its settings. Each is imported only where it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tui_trainer.core.config import Config, to_table, without_outgoing
from tui_trainer.core.events import AnyEvent, Event
from tui_trainer.core.notices import NOTABLE, Kind
from tui_trainer.core.state import RunState
from tui_trainer.services.outlet import Outlet, Sink
from tui_trainer.sessions.store import Session

Complain = Callable[[str], None]
GRACE_S = 2.0
"""Beyond what a sink may take by its settings."""


class Outgoing:
    """All outlets of a run as one listener."""

    def __init__(self, outlets: list[Outlet], within_s: float) -> None:
        self._outlets = outlets
        self._within_s = within_s

    def hear(self, event: AnyEvent, line: bytes) -> None:
        """Listener."""
        for outlet in self._outlets:
            outlet.hear(event, line)

    def close(self) -> None:
        """After the last event: wait until everything is delivered, but not for ever."""
        for outlet in self._outlets:
            outlet.close(self._within_s)


def outgoing(session: Session, config: Config, history: RunState, complain: Complain) -> Outgoing:
    """The outlets of a session whose events so far make `history`; with default settings there are none."""
    outlets = [*notifiers(session.name, config, complain), *recorders(session, config, history, complain)]
    return Outgoing(outlets, config.notify.timeout_s + GRACE_S)


def notifiers(session: str, config: Config, complain: Complain) -> list[Outlet]:
    """[notify]. Trials of a study tell nobody: whoever runs the study does."""
    if config.manager.mode == "optuna":
        return []
    wish, kinds = config.notify, told_kinds(config)
    found: list[Outlet] = []
    if wish.command:

        def command() -> Sink:
            from tui_trainer.services.notify import CommandNotice

            return CommandNotice(wish, session, kinds)

        found.append(Outlet("notify.command", command, NOTABLE, complain))
    if wish.webhook:

        def webhook() -> Sink:
            from tui_trainer.services.notify import WebhookNotice

            return WebhookNotice(wish, session, kinds)

        found.append(Outlet("notify.webhook", webhook, NOTABLE, complain))
    return found


def told_kinds(config: Config) -> tuple[Kind, ...]:
    """What is worth a message: advice that is taken without a person needs none."""
    return tuple(kind for kind in config.notify.events if kind != "recommendation" or not config.continuous.auto_accept)


def recorders(session: Session, config: Config, history: RunState, complain: Complain) -> list[Outlet]:
    """[telemetry]: files and services that get the figures."""
    wish = config.telemetry

    def openmetrics() -> Sink:
        from tui_trainer.services.openmetrics import OpenMetricsFile

        return OpenMetricsFile(Path(wish.openmetrics).expanduser(), history, session.name)

    def tensorboard() -> Sink:
        from tui_trainer.services.tensorboard import TensorBoard

        return TensorBoard(Path(wish.tensorboard).expanduser() / session.name)

    def wandb() -> Sink:
        from tui_trainer.services.wandb import WandbRun

        settings, _ = without_outgoing(to_table(config))
        assert wish.wandb != "off"
        return WandbRun(wish.wandb, wish.wandb_project, session.name, settings)

    wanted: list[tuple[object, str, Callable[[], Sink]]] = [
        (wish.openmetrics, "telemetry.openmetrics", openmetrics),
        (wish.tensorboard, "telemetry.tensorboard", tensorboard),
        (wish.wandb != "off", "telemetry.wandb", wandb),
    ]
    return [Outlet(name, opened, (Event,), complain) for is_wanted, name, opened in wanted if is_wanted]
