"""TrainingManager: the one authority over ends, pauses, evaluations, checkpoints and difficulty.

Pure: facts come in as commands and reports with the time they arrived, decisions go out as events, and `next_action`
says what the loop does next. The same facts in the same order give the same decisions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, assert_never

import msgspec

from tui_trainer.core import commands as orders
from tui_trainer.core.actions import (
    AnyAction,
    ApplyDifficulty,
    Collect,
    End,
    Evaluate,
    Learn,
    Restore,
    SaveCheckpoint,
    Wait,
)
from tui_trainer.core.commands import AnyCommand, describe
from tui_trainer.core.conditions import Condition, parse_condition
from tui_trainer.core.config import Config, StageSettings, get
from tui_trainer.core.events import (
    AlertRaised,
    AnyEvent,
    CommandApplied,
    CommandRefused,
    DifficultyChanged,
    EpisodeFailed,
    EvaluationFinished,
    EvaluationStopped,
    LogWritten,
    RecommendationRaised,
    SettingChanged,
    TrendAssessed,
    TryEnded,
    TryReturned,
    TryStarted,
)
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.reports import (
    AnyReport,
    CheckpointReport,
    CollectReport,
    DifficultyReport,
    EvaluationReport,
    FaultReport,
    KeptReport,
    MetricsReport,
    RestoredReport,
    SettingReport,
    SignalReport,
    StorageReport,
    TickReport,
    UpdateReport,
)
from tui_trainer.core.state import evaluation_metrics
from tui_trainer.core.values import (
    Author,
    BranchName,
    Change,
    CheckpointKind,
    Difficulty,
    DifficultySpace,
    Forecast,
    Metrics,
    PartResult,
    Reason,
)
from tui_trainer.errors import ConfigError
from tui_trainer.training import curriculum, models, trial, wishes
from tui_trainer.training import difficulty as ladder
from tui_trainer.training.continuous import GUARD, ContinuousTraining
from tui_trainer.training.evaluation import merge, suite_seed
from tui_trainer.training.forecast import foretell
from tui_trainer.training.health import changed_standing, examine, standing
from tui_trainer.training.history import Rule, point_of
from tui_trainer.training.modes import MODES
from tui_trainer.training.orders import (
    LEARNER_KEYS,
    fixed_settings,
    learner_settings,
    setting_objection,
    with_values,
)
from tui_trainer.training.rules import RULES
from tui_trainer.training.schedule import evaluation_due, regular_save_due
from tui_trainer.training.state import (
    FORMAT,
    Evaluating,
    ManagerState,
    Move,
    Override,
    Tuning,
    WallState,
)
from tui_trainer.training.termination import (
    NORMAL_ENDS,
    Progress,
    fault_end,
    intelligent_end,
    limit_reached,
    outlook,
    signal_end,
    target_reached,
)

WAIT_S = 0.5
LONGEST_STEP_S = 3600.0
"""A longer gap between two observations is the clock's fault, not training."""
FAILURES_TOLD_SINGLY = 10


class Refused(Exception):
    """An order that changes nothing; the text is for the person who gave it."""


class TrainingManager:
    """Decides. `handle` takes orders, `observe` takes facts, `next_action` says what to do."""

    def __init__(
        self, config: Config, spec: TaskSpec, space: DifficultySpace | None, *, rules: Mapping[str, Rule] = RULES
    ) -> None:
        self._base = config
        self._config = config
        self._spec = spec
        self._space = space
        self._mode = MODES[config.manager.mode]
        start = ladder.initial(config.continuous, space)
        curriculum.check(config.curriculum, start, space, spec.id)
        self._state = ManagerState(difficulty=start, live=learner_settings(config))
        self._wall = WallState()
        self._adviser = ContinuousTraining(
            config.continuous,
            spec,
            space,
            start=start,
            algorithm=config.run.algorithm,
            fixed=fixed_settings(config),
            rules=rules,
        )
        self._adviser.restore(self._state.adviser)
        self._actions = spec.n if spec.action == "discrete" else 0
        self._reason: Reason | None = None
        self._end_branch: BranchName | None = None
        self._now: float | None = None

    # --- what others may read --------------------------------------------------------------------------------

    @property
    def update(self) -> int:
        """Finished updates."""
        return self._state.update

    @property
    def global_step(self) -> int:
        """Environment steps."""
        return self._state.global_step

    @property
    def episodes(self) -> int:
        """Finished episodes."""
        return self._state.episodes

    @property
    def failed_episodes(self) -> int:
        """Episodes that broke in the task."""
        return self._state.failed_episodes

    @property
    def elapsed_s(self) -> float:
        """Seconds of running, pauses left out."""
        return self._wall.elapsed_s

    @property
    def difficulty(self) -> Difficulty:
        """As the task last took it."""
        return self._state.difficulty

    @property
    def is_paused(self) -> bool:
        """True while training waits."""
        return bool(self._wall.holds) and self._reason is None

    @property
    def is_touched(self) -> bool:
        """True when a person gave an order to a run that promises to equal its twin."""
        return self._state.touched

    @property
    def is_trying(self) -> bool:
        """True while a recommendation is tried: what was kept may be gone back to."""
        return self._state.trying is not None

    @property
    def is_probing(self) -> bool:
        """True while the state at hand is that of a change whose try is not decided."""
        return self._state.trying is not None and self._state.trying.is_probing

    @property
    def reason(self) -> Reason | None:
        """Why the run is over; None while it is not."""
        return self._reason

    @property
    def metrics(self) -> Metrics:
        """Latest value of every metric, evaluations and what callbacks told included."""
        return {**self._state.metrics, **self._wall.told}

    @property
    def score(self) -> float | None:
        """What the last reference evaluation counts for in the choice of the best model."""
        return self._state.score

    @property
    def owes_best(self) -> bool:
        """True when the present parameters are the best so far and not yet saved as such; may be so at the end."""
        return "best" in self._wall.saves

    @property
    def limits(self) -> dict[str, float]:
        """Hard limits that are set and count in this mode, by name."""
        s = self._config.manager.termination
        hours = s.max_hours if self._mode.wall_clock else 0.0
        named = {"max_updates": s.max_updates, "max_episodes": s.max_episodes, "max_steps": s.max_steps}
        return {name: float(value) for name, value in {**named, "max_hours": hours}.items() if value > 0}

    @property
    def open_recommendations(self) -> tuple[RecommendationRaised, ...]:
        """Unanswered recommendations, oldest first."""
        return self._adviser.state.open

    @property
    def record(self) -> dict[str, int]:
        """Accepted recommendations and how they turned out."""
        return self._adviser.record

    # --- start, save, restore --------------------------------------------------------------------------------

    def start(self, now: float) -> list[AnyEvent]:
        """Begin, or go on after `load_state_dict`: the clock runs, no pause, the task is told its difficulty."""
        self._now = now
        self._wall.holds = ()
        self._wall.introduce = self._space is not None
        if self._state.ended in ("plateau", "degradation"):
            self._adviser.begin_anew()
        self._state.ended = None
        self._reason = None
        self._end_branch = None
        return [*self._mode_notes(), *standing(self._state.health), *self._cut_off(), *self._conclude()]

    def state_dict(self) -> dict[str, object]:
        """Plain values. A save that is being served counts as done, so that a resume does not repeat it."""
        self._state.adviser = self._adviser.state
        wall = msgspec.structs.replace(self._wall, saves=self._saves_after_this())
        return {
            "format": FORMAT,
            "manager": msgspec.to_builtins(self._state),
            "wall": msgspec.to_builtins(wall),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self._state = msgspec.convert(state["manager"], ManagerState)
        self._wall = msgspec.convert(state["wall"], WallState)
        self._adviser.restore(self._state.adviser)
        self._keep_valid_overrides()
        self._reason = None
        self._now = None

    # --- orders ----------------------------------------------------------------------------------------------

    def handle(self, command: AnyCommand, *, by: Author, now: float) -> list[AnyEvent]:
        """Carry out an order or refuse it: exactly one CommandApplied or CommandRefused, and what followed."""
        self._advance(now)
        phase = type(self.next_action()).__name__
        order = describe(command)
        try:
            effect, events = self._ordered(command, by)
        except Refused as refusal:
            return [CommandRefused(id=command.id, order=order, by=by, why=str(refusal))]
        applied = CommandApplied(id=command.id, order=order, by=by, effect=effect, phase=phase)
        return [applied, *self._touch(f"{by}: {order}"), *events, *self._conclude()]

    def _ordered(self, command: AnyCommand, by: Author) -> tuple[str, list[AnyEvent]]:
        if self._reason is not None:
            raise Refused(f"the run has already ended: {self._reason.name}")
        if not self._mode.allows(command):
            raise Refused(f"in {self._mode.name} mode a run takes pause, resume, checkpoint and stop only")
        if self._state.trying is not None and (problem := trial.meanwhile(self._state.trying, command)):
            raise Refused(problem)
        match command:
            case orders.Pause(when=when):
                return self._pause(when, by)
            case orders.Resume():
                return self._resume(by)
            case orders.SaveCheckpoint():
                return self._order_save(), []
            case orders.Answer(recommendation=number, verdict=verdict):
                return self._answer(number, verdict, by)
            case orders.SetDifficulty(difficulty=wish):
                return self._set_difficulty(wish, by), []
            case orders.SetSetting(key=key, value=value):
                return self._set_setting(key, value, by)
            case orders.RunFor(updates=updates):
                return self._run_for(updates, by)
            case orders.Stop():
                return self._stop(by)
            case _:
                assert_never(command)

    def _pause(self, when: str, by: Author) -> tuple[str, list[AnyEvent]]:
        if wishes.held_by(self._wall, "order"):
            raise Refused("the run is already paused")
        if when:
            condition = _condition(when)
            self._state.pause_when = str(condition)
            return f"pauses once {condition}", []
        self._drop_planned_pause()
        return "paused", wishes.hold(self._wall, "order", by, f"ordered by {by}")

    def _resume(self, by: Author) -> tuple[str, list[AnyEvent]]:
        if wishes.held_by(self._wall, "storage"):
            raise Refused(f"{wishes.held_by(self._wall, 'storage')}: the run goes on by itself once it can write")
        if self._wall.holds:
            return "goes on", wishes.release(self._wall, ("order", "memory"), by)
        if self._state.pause_when or self._state.pause_at:
            self._drop_planned_pause()
            return "the planned pause is dropped", []
        raise Refused("the run is not paused")

    def _run_for(self, updates: int, by: Author) -> tuple[str, list[AnyEvent]]:
        if updates < 1:
            raise Refused("run-for needs at least one update")
        if wishes.held_by(self._wall, "storage"):
            raise Refused(f"{wishes.held_by(self._wall, 'storage')}: the run goes on by itself once it can write")
        self._state.pause_at = self._state.update + updates
        return f"pauses after update {self._state.pause_at}", wishes.release(self._wall, ("order", "memory"), by)

    def _order_save(self) -> str:
        if "manual" in self._wall.saves:
            raise Refused("a checkpoint is already on its way")
        wishes.queue_save(self._wall, "manual")
        if self.is_probing:
            return "saved once the try is decided"
        return "saved at once" if self.is_paused else "saved after this update"

    def _stop(self, by: Author) -> tuple[str, list[AnyEvent]]:
        evidence = f"stopped by {by} at update {self._state.update}"
        return "the run ends", self._end(Reason(name="user", evidence=evidence))

    def _set_difficulty(self, wish: Difficulty, by: Author) -> str:
        if self._space is None:
            raise Refused(f"{self._spec.id} has no difficulty to change")
        target = ladder.fitted(wish, self._state.difficulty, self._space)
        problem = ladder.objection(target, self._space)
        if problem:
            raise Refused(problem)
        name = ladder.label(target, self._space)
        if target == wishes.planned_difficulty(self._state):
            raise Refused(f"the difficulty is already {name}")
        self._state.move = Move(target, by, f"ordered by {by}")
        return f"{name} from the next episodes on, after this update{self._override_curriculum()}"

    def _set_setting(self, key: str, value: float, by: Author) -> tuple[str, list[AnyEvent]]:
        problem = setting_objection(self._config, key, value)
        if problem:
            raise Refused(problem)
        if key == "ppo.pool_share" and self._spec.players != 2:
            raise Refused(f"{self._spec.id} has no opponents")
        if key in LEARNER_KEYS:
            wishes.tune(self._state, key, value, by, f"ordered by {by}")
            return f"{key} = {value:g} after this update", []
        old = float(get(self._config, key))
        if old == value:
            raise Refused(f"{key} is already {value:g}")
        self._override(key, value)
        changed = SettingChanged(key=key, old=old, new=value, by=by, why=f"ordered by {by}")
        return f"{key} {old:g} → {value:g}", [changed]

    # --- answers ---------------------------------------------------------------------------------------------

    def _answer(self, number: int, verdict: str, by: Author) -> tuple[str, list[AnyEvent]]:
        problem = self._adviser.objection(number, verdict)
        if problem:
            raise Refused(problem)
        match verdict:
            case "accept":
                return self._accept(number, by)
            case "reject":
                return self._reject(number, by)
            case "try":
                return self._try(number, by), []
            case _:
                return self._undo(number, by)

    def _accept(self, number: int, by: Author) -> tuple[str, list[AnyEvent]]:
        raised = self._adviser.open(number)
        events: list[AnyEvent] = [self._adviser.accept(number, by, self._state.difficulty)]
        if raised.change.key == "stop":
            evidence = f"recommendation {number} accepted by {by}: {'; '.join(raised.evidence)}"
            return "the run ends", [*events, *self._end(Reason(name="user", evidence=evidence))]
        wishes.plan(self._state, raised.change, by, raised.title, number)
        if raised.rule == GUARD:
            events += self._guarded(number, by)
        left = self._override_curriculum() if raised.subject == "difficulty" else ""
        return f"{raised.change.label or raised.title} after this update{left}", events

    def _reject(self, number: int, by: Author) -> tuple[str, list[AnyEvent]]:
        trying = self._state.trying
        if trying is not None and trying.recommendation == number:
            return "the try is called off", self._call_off(trying, by)
        return f"rejected: {self._adviser.open(number).title}", [self._adviser.reject(number, by)]

    def _guarded(self, number: int, by: Author) -> list[AnyEvent]:
        """The recommendation that an accepted guard takes back."""
        original = self._adviser.guarded_by(number)
        return [] if original is None else [self._adviser.undo(original, by)]

    def _undo(self, number: int, by: Author) -> tuple[str, list[AnyEvent]]:
        entry = self._adviser.accepted(number)
        if entry is None or entry.undone:
            raise Refused(f"recommendation {number} is already undone")
        if entry.change.key == "rollback":
            raise Refused("what was trained after the best checkpoint is gone: a rollback cannot be undone")
        if not wishes.stands_at(self._state, entry.change):
            raise Refused(f"{entry.change.key} has been changed since recommendation {number}: set it by hand")
        back = Change(key=entry.change.key, old=entry.change.new, new=entry.change.old)
        wishes.plan(self._state, back, by, f"recommendation {number} undone", None)
        left = self._override_curriculum() if entry.subject == "difficulty" else ""
        return f"{entry.change.key} back to {entry.change.old:g}{left}", [self._adviser.undo(number, by)]

    # --- facts -----------------------------------------------------------------------------------------------

    def observe(self, report: AnyReport, now: float) -> list[AnyEvent]:
        """Take in what happened; returns what follows from it. Nothing follows after the end."""
        self._advance(now)
        if self._reason is not None:
            return []
        return [*self._noted(report), *self._conclude()]

    def _noted(self, report: AnyReport) -> list[AnyEvent]:
        match report:
            case CollectReport():
                return self._collected(report)
            case UpdateReport():
                return self._learned(report)
            case EvaluationReport():
                return self._evaluated(report)
            case CheckpointReport(kind=kind):
                return self._saved_other() if kind == "try" else self._saved(kind)
            case KeptReport(branch=branch):
                return self._kept(branch)
            case RestoredReport(branch="best", ok=ok):
                return self._rolled_back(ok)
            case RestoredReport(branch=branch):
                return self._restored(branch)
            case DifficultyReport(difficulty=taken):
                return self._took_difficulty(taken)
            case SettingReport(key=key, old=old, new=new):
                return self._took_setting(key, old, new)
            case TickReport():
                return []
            case SignalReport(name=name):
                return self._signalled(name)
            case FaultReport(kind=kind, detail=detail):
                return self._faulted(kind, detail)
            case StorageReport(ok=ok, detail=detail):
                return self._storage(ok, detail)
            case MetricsReport(metrics=metrics):
                self._wall.told = {**self._wall.told, **{k: _finite(v) for k, v in metrics.items()}}
                return []
            case _:
                assert_never(report)

    def _collected(self, report: CollectReport) -> list[AnyEvent]:
        s = self._state
        s.global_step += int(report.steps)
        s.episodes += int(report.episodes)
        s.failed_episodes += int(report.failed_episodes)
        s.phase = "learn" if report.complete else "collect"
        self._measure(report.metrics)
        return self._failed_episodes(report) if report.failed_episodes else []

    def _failed_episodes(self, report: CollectReport) -> list[AnyEvent]:
        """The first few are told one by one, then each time that there are a tenth more."""
        total, told = self._state.failed_episodes, self._wall.failures_told
        if total > FAILURES_TOLD_SINGLY and total < 1.1 * told:
            return []
        self._wall.failures_told = total
        return [EpisodeFailed(why=report.failure, failed=total)]

    def _learned(self, report: UpdateReport) -> list[AnyEvent]:
        s = self._state
        s.update += 1
        s.phase = "boundary"
        self._measure(report.metrics)
        self._average(report.metrics)
        if evaluation_due(s.update, self._config.manager.evaluation.every_updates):
            s.evaluating = Evaluating("reference")
        since = self._wall.elapsed_s - self._wall.saved_at_s
        if regular_save_due(self._config.manager.checkpoints, s.update, since, wall_clock=self._mode.wall_clock):
            wishes.queue_save(self._wall, "regular")
        return [*self._health(report.metrics), *self._adviser.expire(s.update)]

    def _health(self, metrics: Metrics) -> list[AnyEvent]:
        """Alerts about the training itself, where alerts are wanted."""
        if not self._config.telemetry.alerts:
            return []
        self._state.health, events = examine(self._state.health, metrics, actions=self._actions)
        return events

    def _measure(self, metrics: Metrics) -> None:
        """Remember the latest values, as floats so that a saved state has the same bits; timings decide nothing."""
        kept = {k: v for k, v in metrics.items() if not k.startswith(("time/", "system/"))}
        self._state.metrics.update({k: _finite(v) for k, v in kept.items()})

    def _average(self, metrics: Metrics) -> None:
        averages = self._state.averages
        for name, value in metrics.items():
            if value is not None and math.isfinite(value) and name.startswith("train/"):
                before = averages.get(name, trial.Average(0.0, 0))
                averages[name] = trial.Average(before.total + float(value), before.count + 1)

    def _saved(self, kind: CheckpointKind) -> list[AnyEvent]:
        self._wall.saves = tuple(k for k in self._wall.saves if k not in (kind, "regular"))
        self._wall.saved_at_s = self._wall.elapsed_s
        return []

    def _took_difficulty(self, taken: Difficulty) -> list[AnyEvent]:
        s = self._state
        old, s.difficulty = s.difficulty, taken
        if self._wall.introduce:
            self._wall.introduce = False
            if taken == old:
                return []
        move, s.move = s.move or Move(taken, "engine", "taken by the task"), None
        if taken == old:
            return []
        self._adviser.begin_anew()
        changed = DifficultyChanged(old=old, new=taken, by=move.by, why=move.why, recommendation=move.recommendation)
        return [changed, *self._adviser.changed(taken, s.live)]

    def _took_setting(self, key: str, old: float, new: float) -> list[AnyEvent]:
        s = self._state
        tuning = next((t for t in s.tunings if t.key == key), Tuning(key, new, "engine", "taken by the learner"))
        s.tunings = tuple(t for t in s.tunings if t.key != key)
        s.live = {**s.live, key: new}
        if old == new:
            return []
        changed = SettingChanged(key=key, old=old, new=new, by=tuning.by, why=tuning.why)
        return [changed, *self._adviser.changed(s.difficulty, s.live)]

    def _rolled_back(self, ok: bool) -> list[AnyEvent]:
        """Difficulty and live settings stay what they were: they are told to task and learner again."""
        s = self._state
        s.rollback = False
        if not ok:
            return [LogWritten(level="error", text="no best checkpoint could be read: nothing was rolled back")]
        self._wall.introduce = self._space is not None
        for key, value in s.live.items():
            wishes.tune(self._state, key, value, "manager", "kept over the rollback")
        self._adviser.begin_anew()
        told = LogWritten(level="info", text="the learner is back at the best checkpoint")
        return [told, *self._adviser.changed(s.difficulty, s.live)]

    # --- trying ----------------------------------------------------------------------------------------------

    def _try(self, number: int, by: Author) -> str:
        """Both branches begin from the state after this update; a checkpoint is saved first."""
        raised, settings = self._adviser.open(number), self._config
        updates = settings.continuous.try_updates or 2 * settings.manager.evaluation.every_updates
        problem = trial.objection(raised.change, updates, settings.manager.termination, self._progress())
        if problem:
            raise Refused(problem)
        self._state.trying = trial.Trying(
            recommendation=number, title=raised.title, change=raised.change, by=by, updates=updates
        )
        self._adviser.state.trying = number
        wishes.queue_save(self._wall, "regular")
        what = raised.change.label or raised.title
        return f"tried after this update: {updates} updates as it is, then {updates} with {what}"

    def _follow_try(self) -> None:
        """At the end of a branch: evaluate, then keep it or decide."""
        s, trying = self._state, self._state.trying
        if trying is None or trying.stage not in ("without", "with") or s.phase != "boundary" or s.update < trying.end:
            return
        if s.evaluating is not None or s.evaluated_at != s.update:
            s.evaluating = s.evaluating or Evaluating("reference")
        elif trying.stage == "without":
            s.trying = trying.at("keep")
        else:
            now = trial.line_of(s, self._adviser.state)
            won, better, worse = trial.verdict(trying, now, higher_is_better=self._spec.higher_is_better)
            why = f"{better:.4g} with it, {worse:.4g} without it"
            s.trying = trying.at("adopt" if won else "give_up", why=why, with_change=better, without_change=worse)

    def _kept(self, branch: BranchName) -> list[AnyEvent]:
        trying, line = self._state.trying, trial.line_of(self._state, self._adviser.state)
        if trying is None:
            return []
        if branch == "without":
            self._state.trying = trying.at("return", without=line)
            return []
        self._state.trying = trying.at("without", base=line)
        return [TryStarted(id=trying.recommendation, updates=trying.updates, by=trying.by)]

    def _restored(self, branch: BranchName) -> list[AnyEvent]:
        trying = self._state.trying
        if trying is None:
            return []
        events = self._went_back(trying, branch)
        if branch == "without":
            return events + self._try_over(trying, "without")
        self._state.trying = trying.at("with")
        wishes.plan(self._state, trying.change, trying.by, trying.title, trying.recommendation)
        return events

    def _went_back(self, trying: trial.Trying, branch: BranchName) -> list[AnyEvent]:
        line = trying.base if branch == "start" else trying.without
        assert line is not None
        before = {key for key, symptom in self._state.health.items() if symptom.is_raised}
        trial.put_back(line, self._state, self._adviser.state)
        self._adviser.restore(self._adviser.state)
        self._wall.saves = tuple(kind for kind in self._wall.saves if kind != "best")
        self._wall.introduce = self._space is not None
        self._wall.evaluation_s = 0.0
        number, s = trying.recommendation, self._state
        returned = TryReturned(id=number, branch=branch, to_update=s.update, to_step=s.global_step)
        return [returned, *changed_standing(before, s.health)]

    def _saved_other(self) -> list[AnyEvent]:
        """The branch that is left is on its way to the disk."""
        trying = self._state.trying
        if trying is None:
            return []
        if trying.stage == "adopt":
            return self._try_over(trying, "with")
        self._state.trying = trying.at("leave")
        return []

    def _try_over(self, trying: trial.Trying, won: Literal["with", "without"]) -> list[AnyEvent]:
        """Tell the result and answer the recommendation by it."""
        number, why = trying.recommendation, trying.why
        ended = TryEnded(id=number, won=won, why=why, with_change=trying.with_change, without=trying.without_change)
        self._forget_try()
        wishes.queue_save(self._wall, "regular")
        if won == "without":
            return [ended, self._adviser.reject(number, "manager", why)]
        base, raised = trying.base, self._adviser.open(number)
        assert base is not None
        accepted = self._adviser.accept(number, "manager", base.difficulty, since=base.evaluations, note=why)
        events = [ended, accepted, *(self._guarded(number, "manager") if raised.rule == GUARD else [])]
        if raised.subject == "difficulty":
            self._override_curriculum()
        return [*events, *self._adviser.withdraw_stale(self._state.difficulty, self._state.live)]

    def _call_off(self, trying: trial.Trying, by: Author) -> list[AnyEvent]:
        why = f"called off by {by}"
        if trying.is_probing:
            return self._leave_branch(trying, why)
        self._forget_try()
        ended = [TryEnded(id=trying.recommendation, won="", why=why)] if trying.base else []
        return [*ended, self._adviser.reject(trying.recommendation, by, why)]

    def _leave_branch(self, trying: trial.Trying, why: str) -> list[AnyEvent]:
        """The branch with the change is given up unsaved, wherever it stands."""
        self._state.trying = trying.at("leave", why=why)
        return self._stop_evaluating(why)

    def _cut_off(self) -> list[AnyEvent]:
        """A try does not outlive its process: what was kept is gone. The state at hand goes on."""
        trying = self._state.trying
        if trying is None:
            return []
        self._forget_try()
        text = f"the try of recommendation {trying.recommendation} was cut off and is not decided"
        told = LogWritten(level="warning", text=text)
        return [told, *self._adviser.withdraw_stale(self._state.difficulty, self._state.live)]

    def _end_try(self, reason: Reason) -> list[AnyEvent]:
        """The run ends in the middle of a try: its last state is that of the branch without the change."""
        trying = self._state.trying
        if trying is None:
            return []
        events: list[AnyEvent] = []
        if trying.is_probing:
            events, self._end_branch = self._went_back(trying, "without"), "without"
        self._forget_try()
        ended = TryEnded(id=trying.recommendation, won="", why=f"the run ends: {reason.name}")
        return [*events, *([ended] if trying.base else [])]

    def _forget_try(self) -> None:
        self._state.trying = None
        self._adviser.state.trying = 0

    # --- the curriculum --------------------------------------------------------------------------------------

    def _follow_curriculum(self) -> None:
        """A change of stage first evaluates, then saves a stage checkpoint, then moves the difficulty."""
        s = self._state
        stage = curriculum.next_stage(self._config.curriculum, s.curriculum)
        if (
            stage is None
            or s.trying is not None
            or s.phase != "boundary"
            or s.evaluating is not None
            or s.move is not None
        ):
            return
        if not s.curriculum.is_due and not _condition(stage.when).holds(self._facts()):
            return
        if s.evaluated_at != s.update:
            s.curriculum = msgspec.structs.replace(s.curriculum, is_due=True)
            s.evaluating = Evaluating("reference")
            return
        self._enter(stage)

    def _enter(self, stage: StageSettings) -> None:
        s = self._state
        s.curriculum = curriculum.CurriculumState(stage=s.curriculum.stage + 1)
        if self._space is None:
            return
        wish = curriculum.target(stage, s.difficulty, self._space)
        if wish != s.difficulty:
            s.move = Move(wish, "curriculum", f"stage {s.curriculum.stage}: {stage.when}")
            wishes.queue_save(self._wall, "stage")

    def _override_curriculum(self) -> str:
        """A person's order about difficulty ends the curriculum; says so."""
        if curriculum.next_stage(self._config.curriculum, self._state.curriculum) is None:
            return ""
        self._state.curriculum = msgspec.structs.replace(self._state.curriculum, is_overridden=True, is_due=False)
        return "; the curriculum is left"

    # --- evaluations -----------------------------------------------------------------------------------------

    def _evaluated(self, report: EvaluationReport) -> list[AnyEvent]:
        running = self._state.evaluating
        if running is None or report.suite != running.suite or report.part not in self._parts_left(running):
            return []
        if not _is_finite(report.result):
            evidence = f"the evaluation of {report.part} is not a finite number"
            if self._state.trying is not None and self.is_probing:
                return self._leave_branch(self._state.trying, evidence)
            return self._end(Reason(name="diverged", evidence=evidence, exit_code=5))
        running = Evaluating(running.suite, {**running.done, report.part: _plain(report.result)})
        self._state.evaluating = running
        self._wall.evaluation_s += report.seconds
        return [] if self._parts_left(running) else self._evaluation_finished(running)

    def _parts_left(self, running: Evaluating) -> list[str]:
        return [part for part in self._spec.parts if part not in running.done]

    def _evaluation_finished(self, running: Evaluating) -> list[AnyEvent]:
        s = self._state
        result = merge(self._spec, {part: running.done[part] for part in self._spec.parts})
        finished = EvaluationFinished(suite=running.suite, result=result, seconds=self._wall.evaluation_s)
        s.evaluating = None
        s.evaluated_at = s.update
        self._wall.evaluation_s = 0.0
        self._measure(evaluation_metrics(finished))
        averages = {name: a.total / a.count for name, a in s.averages.items()}
        s.averages = {}
        point = point_of(self._spec, result, update=s.update, difficulty=s.difficulty, metrics={**averages})
        self._adviser.add(point)
        self._judge_best()
        return [finished, self._assessment(), *([] if s.trying else self._advice())]

    def _assessment(self) -> TrendAssessed:
        trend = self._adviser.trend
        return TrendAssessed(
            trend=trend.name,
            confidence=trend.confidence,
            slope=trend.slope,
            slope_ci=trend.slope_ci,
            evaluations=self._adviser.state.evaluations,
            stability=trend.stability,
            consistency=trend.consistency,
            evidence=trend.evidence,
            termination=self._termination_text(),
            forecast=self._forecast(),
        )

    def _forecast(self) -> Forecast | None:
        return foretell(
            self._adviser.state.points,
            self._spec,
            self._config.manager.termination,
            self._progress(),
            wall_clock=self._mode.wall_clock,
        )

    def _termination_text(self) -> str:
        if not self._is_intelligent:
            return "off"
        return outlook(self._config.manager.termination, self._adviser.trend, self._state.update)

    @property
    def _is_intelligent(self) -> bool:
        return self._mode.intelligent and self._config.manager.termination.intelligent

    def _judge_best(self) -> None:
        points, level = self._adviser.state.points, self._state.difficulty.level
        sign = 1.0 if self._spec.higher_is_better else -1.0
        score = models.score(points, sign)
        self._state.score = sign * score
        if models.is_better(score, level, self._state.best):
            self._state.best = models.Best(score, level, self._state.update)
            wishes.queue_save(self._wall, "best")

    @property
    def _is_scheduled(self) -> bool:
        """Whether the curriculum still decides the difficulty."""
        return curriculum.next_stage(self._config.curriculum, self._state.curriculum) is not None

    def _advice(self) -> list[AnyEvent]:
        events = self._adviser.advise(
            update=self._state.update,
            difficulty=self._state.difficulty,
            settings=wishes.planned_settings(self._state),
            subjects=self._mode.subjects,
            silenced=("difficulty",) if self._is_scheduled else (),
            best_update=self._state.best.update if self._state.best else 0,
        )
        raised = [e for e in events if isinstance(e, RecommendationRaised) and self._is_automatic(e)]
        for event in raised:
            events += self._accept(event.id, "manager")[1]
        return events

    def _is_automatic(self, raised: RecommendationRaised) -> bool:
        """Whether it is accepted without a person; what ends a run or needs a new one never is."""
        if raised.change.key == "stop" or self._adviser.acceptance_objection(raised):
            return False
        s = self._config.continuous
        wanted = not s.auto_accept_subjects or raised.subject in s.auto_accept_subjects
        return self._mode.accepts_by_itself or (
            s.auto_accept and wanted and raised.confidence >= s.auto_accept_confidence
        )

    # --- signals, faults, storage ----------------------------------------------------------------------------

    def _signalled(self, name: str) -> list[AnyEvent]:
        match name:
            case "usr1":
                wishes.queue_save(self._wall, "manual")
                return self._touch("signal: checkpoint")
            case "usr2":
                return [*self._touch("signal: pause"), *self._toggle_pause()]
            case _:
                return self._end(signal_end(name, self._config.run.on_term))

    def _toggle_pause(self) -> list[AnyEvent]:
        if wishes.held_by(self._wall, "order") or wishes.held_by(self._wall, "memory"):
            return wishes.release(self._wall, ("order", "memory"), "signal")
        return wishes.hold(self._wall, "order", "signal", "SIGUSR2")

    def _faulted(self, kind: str, detail: str) -> list[AnyEvent]:
        if kind == "memory_limit":
            return self._memory_short(detail)
        if kind == "nonfinite" and self._state.trying is not None and self.is_probing:
            return self._leave_branch(self._state.trying, f"with the change training diverged: {detail}")
        return self._end(fault_end(kind, detail))

    def _memory_short(self, detail: str) -> list[AnyEvent]:
        if wishes.held_by(self._wall, "memory"):
            return []
        wishes.queue_save(self._wall, "regular")
        return wishes.hold(self._wall, "memory", "engine", detail)

    def _storage(self, ok: bool, detail: str) -> list[AnyEvent]:
        stands = wishes.held_by(self._wall, "storage")
        if not ok:
            why = detail or "the disk refused"
            return [] if stands else wishes.hold(self._wall, "storage", "engine", why)
        if not stands:
            return []
        wishes.queue_save(self._wall, "regular")
        return wishes.release(self._wall, ("storage",), "engine")

    def _touch(self, what: str) -> list[AnyEvent]:
        """In a mode that promises equal runs, the first order from outside is told."""
        if not self._mode.marks_touched or self._state.touched:
            return []
        self._state.touched = True
        text = f"{what}: this trial was touched and may not equal an untouched one"
        return [AlertRaised(key="trial_touched", severity="warning", text=text)]

    # --- pauses ----------------------------------------------------------------------------------------------

    def _drop_planned_pause(self) -> None:
        self._state.pause_when, self._state.pause_at = "", 0

    def _planned_pause(self) -> list[AnyEvent]:
        s = self._state
        if s.pause_at and s.update >= s.pause_at:
            why = f"ran to update {s.pause_at} as ordered"
        elif s.pause_when and _condition(s.pause_when).holds(self._facts()):
            why = f"{s.pause_when} holds"
        else:
            return []
        self._drop_planned_pause()
        return wishes.hold(self._wall, "order", "manager", why)

    # --- ends ------------------------------------------------------------------------------------------------

    def _conclude(self) -> list[AnyEvent]:
        """After every fact and order: is the run over, or is a planned pause due?"""
        if self._reason is not None:
            return []
        reason = self._ending()
        if reason:
            return self._end(reason)
        self._follow_try()
        self._follow_curriculum()
        return self._planned_pause()

    def _ending(self) -> Reason | None:
        s, settings = self._state, self._config.manager.termination
        reason = limit_reached(settings, self._progress(), wall_clock=self._mode.wall_clock)
        if reason is not None or self.is_probing:
            return reason
        reason = target_reached(settings, self.metrics)
        if reason is None and self._is_intelligent:
            reason = intelligent_end(settings, self._adviser.trend, s.update)
        return reason

    def _facts(self) -> Metrics:
        """What a condition may name: metrics, `update`, `global_step` and `episodes`."""
        return {
            **self.metrics,
            "update": float(self.update),
            "global_step": float(self.global_step),
            "episodes": float(self.episodes),
        }

    def _progress(self) -> Progress:
        s = self._state
        return Progress(s.update, s.global_step, s.episodes, self._wall.elapsed_s)

    def _end(self, reason: Reason) -> list[AnyEvent]:
        self._reason = reason
        stopped = self._stop_evaluating(f"the run ends: {reason.name}")
        events = [*stopped, *self._end_try(reason)]
        self._state.ended = reason.name
        self._wall.saves = tuple(kind for kind in self._wall.saves if kind == "best")
        return events

    def _stop_evaluating(self, why: str) -> list[AnyEvent]:
        """An evaluation under way begins anew when it is taken up again."""
        running = self._state.evaluating
        if running is None or not running.done:
            return []
        self._state.evaluating = Evaluating(running.suite)
        self._wall.evaluation_s = 0.0
        return [EvaluationStopped(suite=running.suite, why=why, parts=len(running.done))]

    # --- the next action -------------------------------------------------------------------------------------

    def next_action(self) -> AnyAction:
        """What the loop does next; the same answer until something is handled or observed."""
        if self._reason is not None:
            return self._end_action(self._reason)
        if self._state.trying is not None and self._state.trying.stage == "leave":
            return Restore("without")
        if self._wall.introduce:
            return ApplyDifficulty(self._state.difficulty)
        if self._wall.holds:
            return self._paused_action()
        if self._state.phase == "learn":
            return Learn()
        if self._state.phase == "collect":
            return Collect()
        if "stage" in self._wall.saves:
            return SaveCheckpoint("stage")
        return wishes.next_change(self._state) or self._evaluation() or self._save() or self._try_action() or Collect()

    def _end_action(self, reason: Reason) -> End:
        normal = reason.name in NORMAL_ENDS
        judge = normal and self._mode.is_judged and self._state.evaluated_at != self._state.update
        return End(reason, save=True, evaluate=normal, branch=self._end_branch, judge=judge)

    def _paused_action(self) -> AnyAction:
        """Orders given during a pause are met at once where the moment is consistent."""
        can_save = not wishes.held_by(self._wall, "storage")
        if (
            self._state.phase == "boundary"
            and "stage" not in self._wall.saves
            and (change := wishes.next_change(self._state))
        ):
            return change
        return (self._save() if can_save else None) or Wait(WAIT_S)

    def _evaluation(self) -> AnyAction | None:
        running = self._state.evaluating
        if running is None:
            return None
        episodes = self._config.manager.evaluation.episodes
        seed = suite_seed(self._config.run.seed, running.suite)
        return Evaluate(running.suite, self._parts_left(running)[0], episodes, seed)

    def _try_action(self) -> AnyAction | None:
        return None if self._state.trying is None else self._state.trying.action()

    def _save(self) -> AnyAction | None:
        """Nothing of a change that is being tried is saved as this run's: it waits for the decision."""
        if self.is_probing:
            return None
        return SaveCheckpoint(self._wall.saves[0]) if self._wall.saves else None

    def _saves_after_this(self) -> tuple[CheckpointKind, ...]:
        action = self.next_action()
        served = isinstance(action, SaveCheckpoint) and action.kind != "try"
        return self._wall.saves[1:] if served else self._wall.saves

    # --- settings --------------------------------------------------------------------------------------------

    def _override(self, key: str, value: float) -> None:
        base = float(get(self._base, key))
        self._state.overrides = {**self._state.overrides, key: Override(base, value)}
        self._config = with_values(self._base, {k: o.value for k, o in self._state.overrides.items()})

    def _keep_valid_overrides(self) -> None:
        """What was set during the run stays, unless the configuration has been changed in that place since."""
        kept = {k: o for k, o in self._state.overrides.items() if float(get(self._base, k)) == o.base}
        self._state.overrides = kept
        self._config = with_values(self._base, {k: o.value for k, o in kept.items()})

    # --- time ------------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        """Add the time since the last call, unless training waited or the clock jumped."""
        before, self._now = self._now, now
        if before is None or self.is_paused or self._reason is not None:
            return
        if 0 < now - before <= LONGEST_STEP_S:
            self._wall.elapsed_s += now - before

    def _mode_notes(self) -> list[AnyEvent]:
        """What the mode leaves out of the configuration."""
        ignored = []
        if not self._mode.wall_clock and self._config.manager.termination.max_hours:
            ignored.append("manager.termination.max_hours")
        if not self._mode.wall_clock and self._config.manager.checkpoints.every_minutes:
            ignored.append("manager.checkpoints.every_minutes")
        if not ignored:
            return []
        return [LogWritten(level="info", text=f"{self._mode.name} mode ignores {' and '.join(ignored)}")]


def _plain(result: PartResult) -> PartResult:
    """The same result with every number in its declared type, as it will come back from a saved state."""
    return msgspec.convert(msgspec.to_builtins(result, enc_hook=float), PartResult)


def _is_finite(result: PartResult) -> bool:
    numbers = (result.win_rate, result.mean, result.std, result.min, result.max, *(result.ci or ()))
    return all(math.isfinite(n) for n in numbers if n is not None)


def _finite(value: float | None) -> float | None:
    """A float, or None for what is not finite."""
    return float(value) if value is not None and math.isfinite(value) else None


def _condition(text: str) -> Condition:
    try:
        return parse_condition(text)
    except ConfigError as error:
        raise Refused(str(error)) from None
