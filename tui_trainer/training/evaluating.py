"""Evaluations, taken in: part by part, then what the whole one says of trend, best model and advice."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from tui_trainer.core.actions import Evaluate
from tui_trainer.core.events import AnyEvent, EvaluationFinished, RecommendationRaised, TrendAssessed
from tui_trainer.core.reports import EvaluationReport
from tui_trainer.core.state import evaluation_metrics
from tui_trainer.core.values import EvalResult, Forecast, PartResult, Reason
from tui_trainer.training import answering, balance, ending, models, pace, staging, trying, wishes
from tui_trainer.training.desk import Desk
from tui_trainer.training.evaluation import merge, suite_seed
from tui_trainer.training.forecast import foretell
from tui_trainer.training.history import point_of
from tui_trainer.training.state import Evaluating
from tui_trainer.training.termination import outlook
from tui_trainer.training.trends import part_trends


def action(desk: Desk) -> Evaluate | None:
    """The next part to play; None while no evaluation is under way."""
    running = desk.state.evaluating
    if running is None:
        return None
    part, episodes = next(iter(_left(desk, running).items()))
    return Evaluate(running.suite, part, episodes, suite_seed(desk.config.run.seed, running.suite))


def evaluated(desk: Desk, report: EvaluationReport) -> list[AnyEvent]:
    """One part was played."""
    running = Evaluating(report.suite) if report.is_offered else desk.state.evaluating
    if running is None or report.suite != running.suite or report.part not in _left(desk, running):
        return []
    if not _is_finite(report.result):
        return _diverged(desk, f"the evaluation of {report.part} is not a finite number")
    running = Evaluating(running.suite, {**running.done, report.part: _plain(report.result)})
    desk.state.evaluating = running
    desk.wall.evaluation_s += report.seconds
    pace.spent(desk.wall.pace, {"evaluate": report.seconds})
    return [] if _left(desk, running) else _finished(desk, running)


def _diverged(desk: Desk, evidence: str) -> list[AnyEvent]:
    if tried := desk.probed:
        return trying.leave_branch(desk, tried, evidence)
    return ending.end(desk, Reason(name="diverged", evidence=evidence, exit_code=5))


def _left(desk: Desk, running: Evaluating) -> dict[str, int]:
    """Parts still to be played, and how many episodes each. The branches of a try play all, so as to be alike."""
    settings = desk.config.manager.evaluation
    if desk.state.trying is not None:
        settings = msgspec.structs.replace(settings, most_episodes=0)
    wanted = balance.shares(desk.spec.parts, settings, desk.state.played, desk.config.run.seed)
    return {part: episodes for part, episodes in wanted.items() if part not in running.done}


def _result(desk: Desk, done: Mapping[str, PartResult]) -> EvalResult:
    """Of all parts: those that were not played stand as they last were."""
    last = desk.state.played.last if desk.state.played else {}
    kept = tuple(part for part in desk.spec.parts if part not in done)
    return merge(desk.spec, {part: done[part] if part in done else last[part] for part in desk.spec.parts}, kept=kept)


def _finished(desk: Desk, running: Evaluating) -> list[AnyEvent]:
    s, wall = desk.state, desk.wall
    result = _result(desk, running.done)
    if s.trying is None:
        s.played = balance.after(desk.spec.parts, desk.config.manager.evaluation, s.played, running.done)
    finished = EvaluationFinished(suite=running.suite, result=result, seconds=wall.evaluation_s)
    s.evaluating = None
    s.evaluated_at = s.update
    wall.evaluation_s = 0.0
    desk.measure(evaluation_metrics(finished))
    averages = {name: a.total / a.count for name, a in s.averages.items()}
    s.averages = {}
    point = point_of(desk.spec, result, update=s.update, difficulty=s.difficulty, metrics={**averages})
    desk.adviser.add(point)
    _judge_best(desk)
    return [finished, _assessment(desk), *([] if s.trying else _advice(desk))]


def _assessment(desk: Desk) -> TrendAssessed:
    trend = desk.adviser.trend
    return TrendAssessed(
        trend=trend.name,
        confidence=trend.confidence,
        slope=trend.slope,
        slope_ci=trend.slope_ci,
        evaluations=desk.adviser.state.evaluations,
        stability=trend.stability,
        consistency=trend.consistency,
        evidence=trend.evidence,
        termination=_termination_text(desk),
        forecast=_forecast(desk),
        parts=part_trends(desk.adviser.state.points),
    )


def _forecast(desk: Desk) -> Forecast | None:
    return foretell(
        desk.adviser.state.points,
        desk.spec,
        desk.config.manager.termination,
        desk.progress,
        wall_clock=desk.mode.wall_clock,
    )


def _termination_text(desk: Desk) -> str:
    if not desk.is_intelligent:
        return "off"
    return outlook(desk.config.manager.termination, desk.adviser.trend, desk.state.update)


def _judge_best(desk: Desk) -> None:
    points, s = desk.adviser.state.points, desk.state
    sign = 1.0 if desk.spec.higher_is_better else -1.0
    score = models.score(points, sign)
    s.score = sign * score
    if models.is_better(score, s.difficulty.level, s.best):
        s.best = models.Best(score, s.difficulty.level, s.update)
        wishes.queue_save(desk.wall, "best")


# --- advice ----------------------------------------------------------------------------------------------------------


def _advice(desk: Desk) -> list[AnyEvent]:
    s = desk.state
    events = desk.adviser.advise(
        update=s.update,
        difficulty=s.difficulty,
        settings=wishes.planned_settings(s),
        subjects=desk.mode.subjects,
        silenced=("difficulty",) if staging.is_scheduled(desk) else (),
        best_update=s.best.update if s.best else 0,
    )
    raised = [e for e in events if isinstance(e, RecommendationRaised) and _is_automatic(desk, e)]
    for event in raised:
        events += answering.accept(desk, event.id, "manager")[1]
    return [*events, *_timed_advice(desk)]


def _timed_advice(desk: Desk) -> list[AnyEvent]:
    """Where the mode counts the clock and takes advice on everything."""
    config, wall = desk.config, desk.wall
    if desk.spec.hosted or not config.continuous.enabled or not desk.mode.wall_clock or desk.mode.subjects is not None:
        return []
    return pace.advise(wall.pace, config, update=desk.state.update, elapsed_s=wall.elapsed_s)


def _is_automatic(desk: Desk, raised: RecommendationRaised) -> bool:
    """Whether it is accepted without a person; what ends a run or needs a new one never is."""
    if raised.timed or raised.change.key == "stop" or desk.adviser.acceptance_objection(raised):
        return False
    s = desk.config.continuous
    wanted = not s.auto_accept_subjects or raised.subject in s.auto_accept_subjects
    return desk.mode.accepts_by_itself or (s.auto_accept and wanted and raised.confidence >= s.auto_accept_confidence)


def _plain(result: PartResult) -> PartResult:
    """The same result with every number in its declared type, as it will come back from a saved state."""
    return msgspec.convert(msgspec.to_builtins(result, enc_hook=float), PartResult)


def _is_finite(result: PartResult) -> bool:
    numbers = (result.win_rate, result.mean, result.std, result.min, result.max, *(result.ci or ()))
    return all(math.isfinite(n) for n in numbers if n is not None)
