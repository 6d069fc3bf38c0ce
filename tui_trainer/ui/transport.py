"""The keys of a replay: play, pace, steps and jumps, on the player itself."""

from __future__ import annotations

from tui_trainer.client.source import Player, Position
from tui_trainer.ui.keys import Action

SPEEDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 0.0)
"""Times real time; 0 is as fast as it goes."""
_STRIDES = 50
"""So many keys lead from the beginning to the end."""


def carried_out(player: Player, position: Position | None, action: Action) -> str | None:
    """None where the action is not the replay's; else a note for the person, mostly empty."""
    at = position or Position(0, 0, 0.0, False, 1.0)
    stride = max(1, at.total // _STRIDES)
    match action:
        case "play":
            (player.pause if at.playing else player.play)()
        case "earlier" | "later":
            wanted = at.index + (stride if action == "later" else -stride)
            player.seek(max(0, min(at.total, wanted)))
        case "slower" | "faster":
            player.set_speed(_next_speed(at.speed, 1 if action == "faster" else -1))
        case "left" | "right":
            player.step(1 if action == "right" else -1)
        case "home" | "end":
            player.seek(0 if action == "home" else at.total)
        case _:
            return _jump(player, action)
    return ""


def _jump(player: Player, action: Action) -> str | None:
    direction, _, kind = action.partition("_")
    if kind not in ("decision", "evaluation", "checkpoint"):
        return None
    found = player.jump(kind, 1 if direction == "next" else -1)
    return "" if found else f"no {'later' if direction == 'next' else 'earlier'} {kind}"


def _next_speed(speed: float, step: int) -> float:
    nearest = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - speed))
    return SPEEDS[max(0, min(len(SPEEDS) - 1, nearest + step))]
