"""TrainingManager: the one authority over ends, pauses, evaluations, checkpoints and difficulty.

Pure: facts come in as commands and reports with the time they arrived, decisions go out as events, and `next_action`
says what the loop does next. The same facts in the same order give the same decisions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import assert_never

import msgspec

from tui_trainer.core.actions import AnyAction, ApplyDifficulty, Collect, Learn, Restore, SaveCheckpoint, Wait
from tui_trainer.core.commands import AnyCommand, describe
from tui_trainer.core.config import Config
from tui_trainer.core.events import (
    AlertCleared,
    AlertRaised,
    AnyEvent,
    CommandApplied,
    CommandRefused,
    DifficultyChanged,
    EpisodeFailed,
    LogWritten,
    RecommendationRaised,
    SettingChanged,
)
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.reports import (
    AnyReport,
    CheckpointReport,
    CollectReport,
    DifficultyReport,
    EvaluationReport,
    FaultReport,
    FinishedReport,
    HostReport,
    KeptReport,
    MachineReport,
    MetricsReport,
    RestoredReport,
    SettingReport,
    SignalReport,
    StorageReport,
    TickReport,
    UpdateReport,
)
from tui_trainer.core.values import Author, CheckpointKind, Difficulty, DifficultySpace, Metrics, Reason
from tui_trainer.training import curriculum, ending, evaluating, obeying, pace, staging, trial, trying, wishes
from tui_trainer.training import difficulty as ladder
from tui_trainer.training.continuous import ContinuousTraining
from tui_trainer.training.desk import Desk, Refused, finite
from tui_trainer.training.health import examine, standing
from tui_trainer.training.history import Rule
from tui_trainer.training.modes import MODES
from tui_trainer.training.orders import fixed_settings, learner_settings
from tui_trainer.training.rules import RULES
from tui_trainer.training.schedule import evaluation_due, regular_save_due
from tui_trainer.training.state import FORMAT, Evaluating, ManagerState, Move, Tuning, WallState
from tui_trainer.training.termination import fault_end, host_end, signal_end

WAIT_S = 0.5
LONGEST_STEP_S = 3600.0
"""A longer gap between two observations is the clock's fault, not training."""
FAILURES_TOLD_SINGLY = 10


class TrainingManager:
    """Decides. `handle` takes orders, `observe` takes facts, `next_action` says what to do."""

    def __init__(
        self, config: Config, spec: TaskSpec, space: DifficultySpace | None, *, rules: Mapping[str, Rule] = RULES
    ) -> None:
        start = ladder.initial(config.continuous, space)
        curriculum.check(config.curriculum, start, space, spec.id)
        adviser = ContinuousTraining(
            config.continuous,
            spec,
            space,
            start=start,
            algorithm=config.run.algorithm,
            fixed=fixed_settings(config),
            rules=rules,
        )
        self._desk = Desk(
            base=config,
            config=config,
            spec=spec,
            space=space,
            mode=MODES[config.manager.mode],
            adviser=adviser,
            state=ManagerState(difficulty=start, live=learner_settings(config)),
            wall=WallState(),
            host=HostReport(can_save=not spec.hosted),
        )
        adviser.restore(self._desk.state.adviser)
        self._actions = spec.n if spec.action == "discrete" else 0
        self._now: float | None = None

    # --- what others may read --------------------------------------------------------------------------------

    @property
    def update(self) -> int:
        """Finished updates."""
        return self._desk.state.update

    @property
    def global_step(self) -> int:
        """Environment steps."""
        return self._desk.state.global_step

    @property
    def episodes(self) -> int:
        """Finished episodes."""
        return self._desk.state.episodes

    @property
    def failed_episodes(self) -> int:
        """Episodes that broke in the task."""
        return self._desk.state.failed_episodes

    @property
    def elapsed_s(self) -> float:
        """Seconds of running, pauses left out."""
        return self._desk.wall.elapsed_s

    @property
    def difficulty(self) -> Difficulty:
        """As the task last took it."""
        return self._desk.state.difficulty

    @property
    def is_paused(self) -> bool:
        """True while training waits."""
        return self._desk.is_paused

    @property
    def is_touched(self) -> bool:
        """True when a person gave an order to a run that promises to equal its twin."""
        return self._desk.state.touched

    @property
    def is_trying(self) -> bool:
        """True while a recommendation is tried: what was kept may be gone back to."""
        return self._desk.state.trying is not None

    @property
    def is_probing(self) -> bool:
        """True while the state at hand is that of a change whose try is not decided."""
        return self._desk.is_probing

    @property
    def reason(self) -> Reason | None:
        """Why the run is over; None while it is not."""
        return self._desk.reason

    @property
    def metrics(self) -> Metrics:
        """Latest value of every metric, evaluations and what callbacks told included."""
        return self._desk.metrics

    @property
    def score(self) -> float | None:
        """What the last reference evaluation counts for in the choice of the best model."""
        return self._desk.state.score

    @property
    def owes_best(self) -> bool:
        """True when the present parameters are the best so far and not yet saved as such; may be so at the end."""
        return "best" in self._desk.wall.saves

    @property
    def limits(self) -> dict[str, float]:
        """Hard limits that are set and count in this mode, by name."""
        s = self._desk.config.manager.termination
        hours = s.max_hours if self._desk.mode.wall_clock else 0.0
        named = {"max_updates": s.max_updates, "max_episodes": s.max_episodes, "max_steps": s.max_steps}
        return {name: float(value) for name, value in {**named, "max_hours": hours}.items() if value > 0}

    @property
    def open_recommendations(self) -> tuple[RecommendationRaised, ...]:
        """Unanswered recommendations, oldest first; those that rest on timings behind the others."""
        return (*self._desk.adviser.state.open, *self._desk.wall.pace.open)

    @property
    def record(self) -> dict[str, int]:
        """Accepted recommendations and how they turned out."""
        return self._desk.adviser.record

    # --- start, save, restore --------------------------------------------------------------------------------

    def start(self, now: float) -> list[AnyEvent]:
        """Begin, or go on after `load_state_dict`: the clock runs, no pause, the task is told its difficulty."""
        self._now = now
        self._desk.wall.holds = ()
        self._desk.wall.introduce = self._desk.space is not None
        if self._desk.state.ended in ("plateau", "degradation"):
            self._desk.adviser.begin_anew()
        self._desk.state.ended = None
        self._desk.reason = None
        self._desk.end_branch = None
        measured = self._desk.wall.pace
        pace.begin(measured, self._desk.wall.elapsed_s)
        stale = pace.withdraw_stale(measured, self._desk.config)
        told = [*self._mode_notes(), *standing(self._desk.state.health), *stale]
        return [*told, *trying.cut_off(self._desk), *self._conclude()]

    def state_dict(self) -> dict[str, object]:
        """Plain values. A save that is being served counts as done, so that a resume does not repeat it."""
        self._desk.state.adviser = self._desk.adviser.state
        wall = msgspec.structs.replace(self._desk.wall, saves=self._saves_after_this())
        remembered = msgspec.to_builtins(self._desk.state)
        if self._desk.state.played is None:  # sessions without a bound have the same hashes as before there was one
            del remembered["played"]
        return {
            "format": FORMAT,
            "manager": remembered,
            "wall": msgspec.to_builtins(wall),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self._desk.state = msgspec.convert(state["manager"], ManagerState)
        self._desk.wall = msgspec.convert(state["wall"], WallState)
        self._desk.adviser.restore(self._desk.state.adviser)
        obeying.keep_valid_overrides(self._desk)
        self._desk.reason = None
        self._now = None

    # --- orders ----------------------------------------------------------------------------------------------

    def handle(self, command: AnyCommand, *, by: Author, now: float) -> list[AnyEvent]:
        """Carry out an order or refuse it: exactly one CommandApplied or CommandRefused, and what followed."""
        self._advance(now)
        phase = type(self.next_action()).__name__
        order = describe(command)
        try:
            effect, events = obeying.obey(self._desk, command, by)
        except Refused as refusal:
            return [CommandRefused(id=command.id, order=order, by=by, why=str(refusal))]
        applied = CommandApplied(id=command.id, order=order, by=by, effect=effect, phase=phase)
        return [applied, *self._touch(f"{by}: {order}"), *events, *self._conclude()]

    # --- facts -----------------------------------------------------------------------------------------------

    def observe(self, report: AnyReport, now: float) -> list[AnyEvent]:
        """Take in what happened; returns what follows from it. Nothing follows after the end."""
        self._advance(now)
        if self._desk.reason is not None:
            return []
        return [*self._noted(report), *self._conclude()]

    def _noted(self, report: AnyReport) -> list[AnyEvent]:
        match report:
            case CollectReport():
                return self._collected(report)
            case UpdateReport():
                return self._learned(report)
            case EvaluationReport():
                return evaluating.evaluated(self._desk, report)
            case CheckpointReport(kind=kind):
                return trying.saved_other(self._desk) if kind == "try" else self._saved(kind)
            case KeptReport(branch=branch):
                return trying.kept(self._desk, branch)
            case RestoredReport(branch="best", ok=ok):
                return self._rolled_back(ok)
            case RestoredReport(branch=branch):
                return trying.restored(self._desk, branch)
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
            case MachineReport():
                return self._saw_machine(report)
            case MetricsReport(metrics=metrics):
                self._desk.wall.told = {**self._desk.wall.told, **{k: finite(v) for k, v in metrics.items()}}
                return []
            case HostReport():
                return self._offered(report)
            case FinishedReport(how=how, detail=detail):
                self._desk.is_sound = how == "done"
                return ending.end(self._desk, host_end(how, detail))
            case _:
                assert_never(report)

    def _offered(self, report: HostReport) -> list[AnyEvent]:
        """What a guest's script lets be done; its settings are what they are there, whatever a checkpoint says."""
        self._desk.host = report
        self._desk.state.live = dict(report.settings)
        return []

    def _collected(self, report: CollectReport) -> list[AnyEvent]:
        s = self._desk.state
        s.global_step += int(report.steps)
        s.episodes += int(report.episodes)
        s.failed_episodes += int(report.failed_episodes)
        s.phase = "learn" if report.complete else "collect"
        self._desk.measure(report.metrics)
        pace.spent(self._desk.wall.pace, report.seconds, steps=int(report.steps))
        return self._failed_episodes(report) if report.failed_episodes else []

    def _saw_machine(self, report: MachineReport) -> list[AnyEvent]:
        measured = self._desk.wall.pace
        measured.cores, measured.busy_percent = report.cores, report.busy_percent
        measured.own_percent = report.own_percent
        return []

    def _failed_episodes(self, report: CollectReport) -> list[AnyEvent]:
        """The first few are told one by one, then each time that there are a tenth more."""
        total, told = self._desk.state.failed_episodes, self._desk.wall.failures_told
        if total > FAILURES_TOLD_SINGLY and total < 1.1 * told:
            return []
        self._desk.wall.failures_told = total
        return [EpisodeFailed(why=report.failure, failed=total)]

    def _learned(self, report: UpdateReport) -> list[AnyEvent]:
        s, wall, settings = self._desk.state, self._desk.wall, self._desk.config.manager
        s.update += int(report.updates)
        s.phase = "boundary"
        self._desk.measure(report.metrics)
        self._average(report.metrics)
        pace.spent(wall.pace, report.seconds, updates=1)
        if not self._desk.spec.hosted and evaluation_due(s.update, settings.evaluation.every_updates):
            s.evaluating = Evaluating("reference")
        since, wall_clock = wall.elapsed_s - wall.saved_at_s, self._desk.mode.wall_clock
        if regular_save_due(settings.checkpoints, s.update, since, wall_clock=wall_clock, updates=report.updates):
            wishes.queue_save(wall, "regular")
        return [*self._health(report.metrics), *self._desk.adviser.expire(s.update), *pace.expire(wall.pace, s.update)]

    def _health(self, metrics: Metrics) -> list[AnyEvent]:
        """Alerts about the training itself, where alerts are wanted."""
        if not self._desk.config.telemetry.alerts:
            return []
        self._desk.state.health, events = examine(self._desk.state.health, metrics, actions=self._actions)
        return events

    def _average(self, metrics: Metrics) -> None:
        averages = self._desk.state.averages
        for name, value in metrics.items():
            if value is not None and math.isfinite(value) and name.startswith("train/"):
                before = averages.get(name, trial.Average(0.0, 0))
                averages[name] = trial.Average(before.total + float(value), before.count + 1)

    def _saved(self, kind: CheckpointKind) -> list[AnyEvent]:
        self._desk.wall.saves = tuple(k for k in self._desk.wall.saves if k not in (kind, "regular"))
        self._desk.wall.saved_at_s = self._desk.wall.elapsed_s
        return []

    def _took_difficulty(self, taken: Difficulty) -> list[AnyEvent]:
        s = self._desk.state
        old, s.difficulty = s.difficulty, taken
        if self._desk.wall.introduce:
            self._desk.wall.introduce = False
            if taken == old:
                return []
        move, s.move = s.move or Move(taken, "engine", "taken by the task"), None
        if taken == old:
            return []
        self._desk.adviser.begin_anew()
        changed = DifficultyChanged(old=old, new=taken, by=move.by, why=move.why, recommendation=move.recommendation)
        return [changed, *self._desk.adviser.changed(taken, s.live)]

    def _took_setting(self, key: str, old: float, new: float) -> list[AnyEvent]:
        s = self._desk.state
        tuning = next((t for t in s.tunings if t.key == key), Tuning(key, new, "engine", "taken by the learner"))
        s.tunings = tuple(t for t in s.tunings if t.key != key)
        s.live = {**s.live, key: new}
        if old == new:
            return []
        changed = SettingChanged(key=key, old=old, new=new, by=tuning.by, why=tuning.why)
        return [changed, *self._desk.adviser.changed(s.difficulty, s.live)]

    def _rolled_back(self, ok: bool) -> list[AnyEvent]:
        """Difficulty and live settings stay what they were: they are told to task and learner again."""
        s = self._desk.state
        s.rollback = False
        if not ok:
            return [LogWritten(level="error", text="no best checkpoint could be read: nothing was rolled back")]
        self._desk.wall.introduce = self._desk.space is not None
        for key, value in s.live.items():
            wishes.tune(self._desk.state, key, value, "manager", "kept over the rollback")
        s.played = None
        self._desk.adviser.begin_anew()
        told = LogWritten(level="info", text="the learner is back at the best checkpoint")
        return [told, *self._desk.adviser.changed(s.difficulty, s.live)]

    # --- signals, faults, storage ----------------------------------------------------------------------------

    def _signalled(self, name: str) -> list[AnyEvent]:
        match name:
            case "usr1":
                wishes.queue_save(self._desk.wall, "manual")
                return self._touch("signal: checkpoint")
            case "usr2":
                return [*self._touch("signal: pause"), *self._toggle_pause()]
            case _:
                return ending.end(self._desk, signal_end(name, self._desk.config.run.on_term))

    def _toggle_pause(self) -> list[AnyEvent]:
        if wishes.held_by(self._desk.wall, "order") or wishes.held_by(self._desk.wall, "memory"):
            return wishes.release(self._desk.wall, ("order", "memory"), "signal")
        return wishes.hold(self._desk.wall, "order", "signal", "SIGUSR2")

    def _faulted(self, kind: str, detail: str) -> list[AnyEvent]:
        if kind == "memory_limit":
            return self._memory_short(detail)
        if kind == "nonfinite" and (tried := self._desk.probed):
            return trying.leave_branch(self._desk, tried, f"with the change training diverged: {detail}")
        return ending.end(self._desk, fault_end(kind, detail))

    def _memory_short(self, detail: str) -> list[AnyEvent]:
        if wishes.held_by(self._desk.wall, "memory"):
            return []
        wishes.queue_save(self._desk.wall, "regular")
        return wishes.hold(self._desk.wall, "memory", "engine", detail)

    def _storage(self, ok: bool, detail: str) -> list[AnyEvent]:
        if self._desk.spec.hosted:
            return self._storage_of_host(ok, detail)
        stands = wishes.held_by(self._desk.wall, "storage")
        if not ok:
            why = detail or "the disk refused"
            return [] if stands else wishes.hold(self._desk.wall, "storage", "engine", why)
        if not stands:
            return []
        wishes.queue_save(self._desk.wall, "regular")
        return wishes.release(self._desk.wall, ("storage",), "engine")

    def _storage_of_host(self, ok: bool, detail: str) -> list[AnyEvent]:
        """A script does not wait for our disk: the journal keeps its lines in memory, the saver tries again."""
        if ok:
            return [AlertCleared(key="storage")]
        return [AlertRaised(key="storage", severity="critical", text=detail or "the disk refused")]

    def _touch(self, what: str) -> list[AnyEvent]:
        """In a mode that promises equal runs, the first order from outside is told."""
        if not self._desk.mode.marks_touched or self._desk.state.touched:
            return []
        self._desk.state.touched = True
        text = f"{what}: this trial was touched and may not equal an untouched one"
        return [AlertRaised(key="trial_touched", severity="warning", text=text)]

    # --- ends ------------------------------------------------------------------------------------------------

    def _conclude(self) -> list[AnyEvent]:
        """After every fact and order: is the run over, or is a planned pause due?"""
        if self._desk.reason is not None:
            return []
        reason = ending.due(self._desk)
        if reason:
            return ending.end(self._desk, reason)
        trying.follow(self._desk)
        staging.follow(self._desk)
        return obeying.planned_pause(self._desk)

    # --- the next action -------------------------------------------------------------------------------------

    def next_action(self) -> AnyAction:
        """What the loop does next; the same answer until something is handled or observed."""
        desk, s, wall = self._desk, self._desk.state, self._desk.wall
        if desk.reason is not None:
            return ending.action(desk, desk.reason)
        if s.trying is not None and s.trying.stage == "leave":
            return Restore("without")
        if wall.introduce:
            return ApplyDifficulty(s.difficulty)
        if wall.holds:
            return self._paused_action()
        if s.phase == "learn":
            return Learn()
        if s.phase == "collect":
            return Collect()
        if "stage" in wall.saves:
            return SaveCheckpoint("stage")
        return wishes.next_change(s) or evaluating.action(desk) or self._save() or self._try_action() or Collect()

    def _paused_action(self) -> AnyAction:
        """Orders given during a pause are met at once where the moment is consistent."""
        s, wall = self._desk.state, self._desk.wall
        can_save = not wishes.held_by(wall, "storage")
        if s.phase == "boundary" and "stage" not in wall.saves and (change := wishes.next_change(s)):
            return change
        return (self._save() if can_save else None) or Wait(WAIT_S)

    def _try_action(self) -> AnyAction | None:
        tried = self._desk.state.trying
        return None if tried is None else tried.action()

    def _save(self) -> AnyAction | None:
        """Nothing of a change that is being tried is saved as this run's: it waits for the decision."""
        saves = self._desk.wall.saves
        may = self._desk.host.can_save and not self._desk.is_probing
        return SaveCheckpoint(saves[0]) if saves and may else None

    def _saves_after_this(self) -> tuple[CheckpointKind, ...]:
        action = self.next_action()
        served = isinstance(action, SaveCheckpoint) and action.kind != "try"
        return self._desk.wall.saves[1:] if served else self._desk.wall.saves

    # --- time ------------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        """Add the time since the last call, unless training waited or the clock jumped."""
        before, self._now = self._now, now
        if before is None or self.is_paused or self._desk.reason is not None:
            return
        if 0 < now - before <= LONGEST_STEP_S:
            self._desk.wall.elapsed_s += now - before

    def _mode_notes(self) -> list[AnyEvent]:
        """What the mode leaves out of the configuration."""
        ignored = []
        if not self._desk.mode.wall_clock and self._desk.config.manager.termination.max_hours:
            ignored.append("manager.termination.max_hours")
        if not self._desk.mode.wall_clock and self._desk.config.manager.checkpoints.every_minutes:
            ignored.append("manager.checkpoints.every_minutes")
        if not ignored:
            return []
        return [LogWritten(level="info", text=f"{self._desk.mode.name} mode ignores {' and '.join(ignored)}")]
