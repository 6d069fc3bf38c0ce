"""How a run ends: the reasons that facts give, and what is left in order behind it."""

from __future__ import annotations

from tui_trainer.core.actions import End
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.values import Reason
from tui_trainer.training import trying, wishes
from tui_trainer.training.desk import Desk
from tui_trainer.training.termination import NORMAL_ENDS, intelligent_end, limit_reached, target_reached


def due(desk: Desk) -> Reason | None:
    """A limit, the target, or what intelligent termination sees. Of a try's other branch only limits count."""
    settings = desk.config.manager.termination
    reason = limit_reached(settings, desk.progress, wall_clock=desk.mode.wall_clock)
    if reason is not None or desk.is_probing:
        return reason
    reason = target_reached(settings, desk.metrics)
    if reason is None and desk.is_intelligent:
        reason = intelligent_end(settings, desk.adviser.trend, desk.state.update)
    return reason


def end(desk: Desk, reason: Reason) -> list[AnyEvent]:
    """The run is over, for this reason."""
    desk.reason = reason
    stopped = wishes.stop_evaluating(desk.state, desk.wall, f"the run ends: {reason.name}")
    events = [*stopped, *trying.end(desk, reason)]
    desk.state.ended = reason.name
    desk.wall.saves = tuple(kind for kind in desk.wall.saves if kind == "best")
    return events


def action(desk: Desk, reason: Reason) -> End:
    """What the loop does about it."""
    normal = reason.name in NORMAL_ENDS and not desk.spec.hosted
    judge = normal and desk.mode.is_judged and desk.state.evaluated_at != desk.state.update
    save = desk.host.can_save and desk.is_sound
    return End(reason, save=save, evaluate=normal, branch=desk.end_branch, judge=judge)
