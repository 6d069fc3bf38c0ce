"""Orders on their way: shown until the engine's event answers them."""

from __future__ import annotations

import msgspec

from tui_trainer.client.written import endings
from tui_trainer.core.commands import Answer, AnyCommand, describe
from tui_trainer.core.events import (
    AnyEvent,
    CheckpointSaved,
    CommandApplied,
    CommandRefused,
    DifficultyChanged,
    RecommendationAnswered,
    RunContinued,
    RunEnded,
    RunPaused,
    SettingChanged,
    TryStarted,
)
from tui_trainer.ui.scene import Order, Scene
from tui_trainer.ui.typed import edited

Orders = tuple[Order, ...]
_LONGEST = 120


def sent(orders: Orders, command: AnyCommand) -> Orders:
    """With one more order, just sent."""
    number = command.recommendation if isinstance(command, Answer) else None
    return (*orders, Order(command.id, describe(command), "sent", number))


def received(orders: Orders, id: str) -> Orders:
    """The engine has it."""
    return tuple(msgspec.structs.replace(o, status="received") if o.id == id else o for o in orders)


def without(orders: Orders, id: str) -> Orders:
    """The order is answered, or never left."""
    return tuple(order for order in orders if order.id != id)


def answer_in(orders: Orders, event: AnyEvent) -> CommandApplied | CommandRefused | None:
    """The event, if it answers one of these orders."""
    if isinstance(event, CommandApplied | CommandRefused) and any(order.id == event.id for order in orders):
        return event
    return None


def shows_effect(event: AnyEvent) -> bool:
    """Is it what a person's order led to, whoever gave it? It comes after the answer, often by itself."""
    match event:
        case RunPaused() | RunContinued() | RunEnded() | CheckpointSaved(kind="manual"):
            return True
        case RecommendationAnswered(by=by) | DifficultyChanged(by=by) | SettingChanged(by=by) | TryStarted(by=by):
            return by == "user"
        case _:
            return False


# --- orders that are written ---


def ways(scene: Scene, line: str) -> tuple[str, ...]:
    """How what is written may go on in this run."""
    started = scene.state.started
    return endings(line, started.algorithm if started else "")


def rewritten(scene: Scene, line: str, name: str, character: str | None) -> str:
    """What is written, after one more key."""
    if name == "tab":
        return next(iter(ways(scene, line)), line)
    return edited(line, name, character, _LONGEST)
