"""Answers to recommendations, carried out: accept, reject, try, undo."""

from __future__ import annotations

from tui_trainer.core.events import AnyEvent
from tui_trainer.core.values import Author, Change, Reason
from tui_trainer.training import ending, pace, staging, trying, wishes
from tui_trainer.training.desk import Desk, Refused


def answer(desk: Desk, number: int, verdict: str, by: Author) -> tuple[str, list[AnyEvent]]:
    """What follows from an answer, in words and events. Raises Refused where it cannot be given."""
    if pace.is_timed(number):
        return _answer_timed(desk, number, verdict, by)
    problem = desk.adviser.objection(number, verdict)
    if problem:
        raise Refused(problem)
    match verdict:
        case "accept":
            return accept(desk, number, by)
        case "reject":
            return _reject(desk, number, by)
        case "try":
            return trying.begin(desk, number, by), []
        case _:
            return _undo(desk, number, by)


def accept(desk: Desk, number: int, by: Author) -> tuple[str, list[AnyEvent]]:
    """The change is planned; the loop makes it at the next boundary."""
    raised = desk.adviser.open(number)
    events: list[AnyEvent] = [desk.adviser.accept(number, by, desk.state.difficulty)]
    if raised.change.key == "stop":
        evidence = f"recommendation {number} accepted by {by}: {'; '.join(raised.evidence)}"
        return "the run ends", [*events, *ending.end(desk, Reason(name="user", evidence=evidence))]
    wishes.plan(desk.state, raised.change, by, raised.title, number)
    events += desk.adviser.take_back(number, by)
    left = staging.leave(desk) if raised.subject == "difficulty" else ""
    return f"{raised.change.label or raised.title} after this update{left}", events


def _answer_timed(desk: Desk, number: int, verdict: str, by: Author) -> tuple[str, list[AnyEvent]]:
    """Nothing of it can be done in this run: it can only be rejected, or made true elsewhere."""
    measured, settings = desk.wall.pace, desk.config
    raised = pace.find(measured, number)
    if raised is None:
        found = measured.verdicts.get(str(number))
        raise Refused(
            f"recommendation {number} is already {found}" if found else f"there is no recommendation {number}"
        )
    if verdict != "reject":
        raise Refused(desk.adviser.acceptance_objection(raised))
    quiet = settings.continuous.quiet_evaluations * settings.manager.evaluation.every_updates
    measured.quiet_until = {**measured.quiet_until, raised.subject: desk.state.update + quiet}
    return f"rejected: {raised.title}", [pace.close(measured, number, "rejected", by)]


def _reject(desk: Desk, number: int, by: Author) -> tuple[str, list[AnyEvent]]:
    tried = desk.state.trying
    if tried is not None and tried.recommendation == number:
        return "the try is called off", trying.call_off(desk, tried, by)
    return f"rejected: {desk.adviser.open(number).title}", [desk.adviser.reject(number, by)]


def _undo(desk: Desk, number: int, by: Author) -> tuple[str, list[AnyEvent]]:
    entry = desk.adviser.accepted(number)
    if entry is None or entry.undone:
        raise Refused(f"recommendation {number} is already undone")
    if entry.change.key == "rollback":
        raise Refused("what was trained after the best checkpoint is gone: a rollback cannot be undone")
    if not wishes.stands_at(desk.state, entry.change):
        raise Refused(f"{entry.change.key} has been changed since recommendation {number}: set it by hand")
    back = Change(key=entry.change.key, old=entry.change.new, new=entry.change.old)
    wishes.plan(desk.state, back, by, f"recommendation {number} undone", None)
    left = staging.leave(desk) if entry.subject == "difficulty" else ""
    return f"{entry.change.key} back to {entry.change.old:g}{left}", [desk.adviser.undo(number, by)]
