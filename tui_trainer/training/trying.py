"""A try, carried out: how each of its steps changes what the manager remembers. The steps themselves are in `trial`."""

from __future__ import annotations

from typing import Literal

from tui_trainer.core.events import AnyEvent, LogWritten, TryEnded, TryReturned, TryStarted
from tui_trainer.core.values import Author, BranchName, Reason
from tui_trainer.training import staging, trial, wishes
from tui_trainer.training.desk import Desk, Refused
from tui_trainer.training.health import changed_standing
from tui_trainer.training.state import Evaluating


def begin(desk: Desk, number: int, by: Author) -> str:
    """Both branches begin from the state after this update; a checkpoint is saved first. Raises Refused."""
    if desk.spec.hosted:
        raise Refused("a script's own loop cannot be taken back: accept or reject")
    raised, settings = desk.adviser.open(number), desk.config
    updates = settings.continuous.try_updates or 2 * settings.manager.evaluation.every_updates
    problem = trial.objection(raised.change, updates, settings.manager.termination, desk.progress)
    if problem:
        raise Refused(problem)
    desk.state.trying = trial.Trying(
        recommendation=number, title=raised.title, change=raised.change, by=by, updates=updates
    )
    desk.adviser.state.trying = number
    wishes.queue_save(desk.wall, "regular")
    what = raised.change.label or raised.title
    return f"tried after this update: {updates} updates as it is, then {updates} with {what}"


def follow(desk: Desk) -> None:
    """At the end of a branch: evaluate, then keep it or decide."""
    s, tried = desk.state, desk.state.trying
    if tried is None or tried.stage not in ("without", "with") or s.phase != "boundary" or s.update < tried.end:
        return
    if s.evaluating is not None or s.evaluated_at != s.update:
        s.evaluating = s.evaluating or Evaluating("reference")
    elif tried.stage == "without":
        s.trying = tried.at("keep")
    else:
        now = trial.line_of(s, desk.adviser.state)
        won, better, worse = trial.verdict(tried, now, higher_is_better=desk.spec.higher_is_better)
        why = f"{better:.4g} with it, {worse:.4g} without it"
        s.trying = tried.at("adopt" if won else "give_up", why=why, with_change=better, without_change=worse)


# --- what the loop did -----------------------------------------------------------------------------------------------


def kept(desk: Desk, branch: BranchName) -> list[AnyEvent]:
    """The state at the start, or at the end of the branch without the change, is kept."""
    tried, line = desk.state.trying, trial.line_of(desk.state, desk.adviser.state)
    if tried is None:
        return []
    if branch == "without":
        desk.state.trying = tried.at("return", without=line)
        return []
    desk.state.trying = tried.at("without", base=line)
    return [TryStarted(id=tried.recommendation, updates=tried.updates, by=tried.by)]


def restored(desk: Desk, branch: BranchName) -> list[AnyEvent]:
    """Back at the start: the change is made. Back at the branch without it: the try is over."""
    tried = desk.state.trying
    if tried is None:
        return []
    events = _went_back(desk, tried, branch)
    if branch == "without":
        return events + _over(desk, tried, "without")
    desk.state.trying = tried.at("with")
    wishes.plan(desk.state, tried.change, tried.by, tried.title, tried.recommendation)
    return events


def saved_other(desk: Desk) -> list[AnyEvent]:
    """The branch that is left is on its way to the disk."""
    tried = desk.state.trying
    if tried is None:
        return []
    if tried.stage == "adopt":
        return _over(desk, tried, "with")
    desk.state.trying = tried.at("leave")
    return []


# --- how it may end otherwise ----------------------------------------------------------------------------------------


def call_off(desk: Desk, tried: trial.Trying, by: Author) -> list[AnyEvent]:
    """A person rejects what is being tried."""
    why = f"called off by {by}"
    if tried.is_probing:
        return leave_branch(desk, tried, why)
    _forget(desk)
    ended = [TryEnded(id=tried.recommendation, won="", why=why)] if tried.base else []
    return [*ended, desk.adviser.reject(tried.recommendation, by, why)]


def leave_branch(desk: Desk, tried: trial.Trying, why: str) -> list[AnyEvent]:
    """The branch with the change is given up unsaved, wherever it stands."""
    desk.state.trying = tried.at("leave", why=why)
    return wishes.stop_evaluating(desk.state, desk.wall, why)


def cut_off(desk: Desk) -> list[AnyEvent]:
    """A try does not outlive its process: what was kept is gone. The state at hand goes on."""
    tried = desk.state.trying
    if tried is None:
        return []
    _forget(desk)
    text = f"the try of recommendation {tried.recommendation} was cut off and is not decided"
    told = LogWritten(level="warning", text=text)
    return [told, *desk.adviser.withdraw_stale(desk.state.difficulty, desk.state.live)]


def end(desk: Desk, reason: Reason) -> list[AnyEvent]:
    """The run ends in the middle of a try: its last state is that of the branch without the change."""
    tried = desk.state.trying
    if tried is None:
        return []
    events: list[AnyEvent] = []
    if tried.is_probing:
        events, desk.end_branch = _went_back(desk, tried, "without"), "without"
    _forget(desk)
    ended = TryEnded(id=tried.recommendation, won="", why=f"the run ends: {reason.name}")
    return [*events, *([ended] if tried.base else [])]


# --- inside ----------------------------------------------------------------------------------------------------------


def _went_back(desk: Desk, tried: trial.Trying, branch: BranchName) -> list[AnyEvent]:
    line, s, wall = tried.base if branch == "start" else tried.without, desk.state, desk.wall
    assert line is not None
    before = {key for key, symptom in s.health.items() if symptom.is_raised}
    trial.put_back(line, s, desk.adviser.state)
    desk.adviser.restore(desk.adviser.state)
    wall.saves = tuple(kind for kind in wall.saves if kind != "best")
    wall.introduce = desk.space is not None
    wall.evaluation_s = 0.0
    number = tried.recommendation
    returned = TryReturned(id=number, branch=branch, to_update=s.update, to_step=s.global_step)
    return [returned, *changed_standing(before, s.health)]


def _over(desk: Desk, tried: trial.Trying, won: Literal["with", "without"]) -> list[AnyEvent]:
    """Tell the result and answer the recommendation by it."""
    number, why, adviser = tried.recommendation, tried.why, desk.adviser
    ended = TryEnded(id=number, won=won, why=why, with_change=tried.with_change, without=tried.without_change)
    _forget(desk)
    wishes.queue_save(desk.wall, "regular")
    if won == "without":
        return [ended, adviser.reject(number, "manager", why)]
    base, subject = tried.base, adviser.open(number).subject
    assert base is not None
    accepted = adviser.accept(number, "manager", base.difficulty, since=base.evaluations, note=why)
    events = [ended, accepted, *adviser.take_back(number, "manager")]
    if subject == "difficulty":
        staging.leave(desk)
    return [*events, *adviser.withdraw_stale(desk.state.difficulty, desk.state.live)]


def _forget(desk: Desk) -> None:
    """What was kept of parts that were not played belongs to another line: the next evaluation plays all."""
    desk.state.trying = None
    desk.state.played = None
    desk.adviser.state.trying = 0
