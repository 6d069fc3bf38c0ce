"""The Run: does what the TrainingManager decides, tells it what happened, publishes what follows.

One turn: drain the inbox, ask `next_action()`, perform it, `observe` its report. Everything that decides the next
bit lies in learner, task and manager; everything here that depends on time only slices, measures or waits.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar, assert_never

import msgspec

from tui_trainer.core import actions, events, reports
from tui_trainer.core.callbacks import Collected, Updated
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.config import Config, to_table, without_outgoing
from tui_trainer.core.events import Event
from tui_trainer.core.protocols import HasBound, HasFinal, Judge, Learner, Policy, Task
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Author, BranchName, CheckpointKind, Reason, Resources, Suite
from tui_trainer.engine import inbox as mail
from tui_trainer.engine.callbacks import Callbacks
from tui_trainer.engine.crash import write_crash_report
from tui_trainer.engine.memory import MemoryLimit
from tui_trainer.engine.meter import Meter
from tui_trainer.engine.publisher import Publisher
from tui_trainer.engine.ranks import restore
from tui_trainer.engine.saver import SaveJob, Saver
from tui_trainer.errors import Diverged, RankLost
from tui_trainer.tasks.failures import unguarded
from tui_trainer.training.evaluation import merge, suite_seed
from tui_trainer.training.manager import TrainingManager

SLICE_S = 0.25
"""Longest collect before orders are looked at."""
FRAME_S = 0.5
COPY_SHARE = 0.01
"""Share of time that keeping a copy of the last consistent state may cost."""
COPY_MIN_S = 5.0
FINAL_SEED = 2_000_000_011
"""Seed of the final evaluation: never used while training or selecting."""

FAULTS = ("diverged", "out_of_memory", "failed", "storage")


FaultKind = Literal["nonfinite", "out_of_memory", "exception"]
Result = TypeVar("Result")


class Archive(Protocol):
    """What the loop needs of a checkpoint store."""

    def snapshot(self, state: Mapping[str, object]) -> object: ...
    def copy(self, state: Mapping[str, object]) -> Mapping[str, object]: ...
    def best_state(self) -> tuple[str, Mapping[str, object]] | None: ...


class Hooks(Protocol):
    """What the loop tells callbacks itself; the rest they hear as events."""

    def collected(self, collected: Collected) -> None: ...
    def updated(self, updated: Updated) -> None: ...


class Copy(msgspec.Struct, frozen=True):
    """A consistent state kept in memory for an emergency."""

    state: Mapping[str, object]
    update: int
    global_step: int
    metrics: Mapping[str, float | None]
    score: float | None


class Place(msgspec.Struct):
    """Where the run stands in its own history: rollouts, updates and evaluations done, orders taken in.

    A rerun gives each order again at its turn, and so reaches the same bits.
    """

    turn: int = 0
    orders: int = 0
    is_mid_rollout: bool = False

    def advance(self, action: actions.AnyAction, report: reports.AnyReport) -> None:
        """Count what a rerun will do again; slices, saves and waits depend on time."""
        match action:
            case actions.Collect():
                assert isinstance(report, reports.CollectReport | reports.FaultReport)
                done = isinstance(report, reports.FaultReport) or report.complete
                self.turn += done
                self.is_mid_rollout = not done
            case actions.Learn() | actions.Evaluate():
                self.turn += 1
            case actions.Restore():
                self.is_mid_rollout = False
            case _:
                return


class StateParts(msgspec.Struct):
    """Reads and writes the pieces of a run that no learner, task or manager owns (global generators, versions)."""

    read: Callable[[], dict[str, object]]
    write: Callable[[Mapping[str, object]], None]


class Run:
    """A session being executed."""

    def __init__(
        self,
        *,
        config: Config,
        task: Task,
        learner: Learner,
        manager: TrainingManager,
        publisher: Publisher,
        saver: Saver,
        archive: Archive,
        inbox: mail.Inbox,
        state_parts: StateParts,
        crash_dir: Path,
        place: Place,
        is_watched: Callable[[], bool],
        on_resources: Callable[[Resources], Sequence[Event]],
        meter: Meter,
        clock: Callable[[], float] = time.monotonic,
        checkpoint: str = "",
        device: str = "cpu",
        hooks: Hooks | None = None,
        on_speed: Callable[[float], Sequence[Event]] = lambda sps: (),
    ) -> None:
        self._config = config
        self._task = task
        self._learner = learner
        self._manager = manager
        self._publisher = publisher
        self._saver = saver
        self._archive = archive
        self._inbox = inbox
        self._state_parts = state_parts
        self._crash_dir = crash_dir
        self._place = place
        self._is_watched = is_watched
        self._on_resources = on_resources
        self._on_speed = on_speed
        self._clock = clock
        self._hooks = hooks or Callbacks({}, inbox)
        self._meter = meter
        self._config_json = msgspec.json.encode(without_outgoing(to_table(config))[0]).decode()
        self._device = device
        self._latest_checkpoint = checkpoint
        self._submitted_update = -1
        self._copy: Copy | None = None
        self._branches: dict[BranchName, Copy] = {}
        self._copy_due = 0.0
        self._frame_due = 0.0
        self._saves = 0
        self._memory = MemoryLimit(config.run.memory_limit_gib)
        self._phase: events.PhaseStarted | None = None
        self._journal_refused = False
        self._save_failed = ""
        self._noted = set(learner.notes)
        """What of the learner's notes is known: those of the start stand in the first event."""

    # --- the turn --------------------------------------------------------------------------------------------

    def execute(self) -> Reason:
        """Run until the manager ends it; returns the recorded reason. Raises RankLost, with what is in memory saved."""
        try:
            return self._execute()
        except RankLost:
            self._save_copy()
            raise

    def _execute(self) -> Reason:
        self.begin()
        while True:
            self.listen()
            action = self._manager.next_action()
            if isinstance(action, actions.End):
                return self.say_end(self.conclude(action))
            self.do(action)

    def begin(self) -> None:
        """Start the manager's clock."""
        self._tell(self._manager.start(self._clock()))

    def listen(self) -> None:
        """Take in what has arrived from views, signals and other threads."""
        for item in self._inbox.drain():
            self._tell(self._opened(item))

    def do(self, action: actions.AnyAction) -> None:
        """Perform an action other than the end, and tell the manager what came of it."""
        report = self._attempt(action)
        self._place.advance(action, report)
        self.report(report)
        if isinstance(report, reports.UpdateReport):
            self._after_update(report)

    def report(self, report: reports.AnyReport) -> None:
        """Tell the manager a fact, and everybody what follows from it."""
        self._tell(self._manager.observe(report, self._clock()))

    def _attempt(self, action: actions.AnyAction) -> reports.AnyReport:
        """Perform an action; what breaks in it becomes a report. This is the boundary of the learner and the task."""
        return self._guarded(type(action).__name__, lambda: self._perform(action))

    def _guarded(self, phase: str, work: Callable[[], Result]) -> Result | reports.FaultReport:
        began = self._clock()
        try:
            return work()
        except RankLost:
            raise
        except Diverged as error:
            return self._fault("nonfinite", phase, error)
        except MemoryError as error:
            return self._fault("out_of_memory", phase, error)
        except (Exception, SystemExit) as error:  # a library that calls exit() must not end the run unsaved
            return self._fault(_fault_kind(error), phase, error)
        finally:
            self._meter.add(_PHASES.get(phase, ""), self._clock() - began)

    def _perform(self, action: actions.AnyAction) -> reports.AnyReport:
        match action:
            case actions.Collect():
                return self._collect()
            case actions.Learn():
                return self._learn()
            case actions.Evaluate():
                return self._evaluate(action)
            case actions.SaveCheckpoint(kind=kind, branch=branch):
                return self._save(kind) if branch is None else self._save_branch(kind, branch)
            case actions.Keep(branch=branch):
                return self._keep(branch)
            case actions.Restore(branch=branch):
                return self._restore(branch)
            case actions.ApplyDifficulty(difficulty=difficulty):
                if self._task.difficulty_space() is not None:
                    self._task.set_difficulty(difficulty)
                return reports.DifficultyReport(difficulty=difficulty)
            case actions.ApplySetting(key=key, value=value):
                return reports.SettingReport(key=key, old=self._learner.set(key.split(".")[-1], value), new=value)
            case actions.Wait(seconds=seconds):
                self._flush_meter()
                self._retry_journal()
                self._inbox.wait(seconds)
                return reports.TickReport()
            case actions.End():
                raise AssertionError("End is not performed here")
            case _:
                assert_never(action)

    # --- actions ---------------------------------------------------------------------------------------------

    def _collect(self) -> reports.CollectReport:
        self._tick(events.PhaseStarted(phase="train"))
        report = self._learner.collect(SLICE_S)
        self._meter.collected(report)
        if report.complete:
            self._hooks.collected(Collected(**self._counters(), metrics=report.metrics))
        return report

    def _learn(self) -> reports.UpdateReport:
        report = self._learner.learn()
        self._meter.learned(report)
        return report

    def _evaluate(self, action: actions.Evaluate) -> reports.EvaluationReport:
        parts = self._task.spec.parts
        done = parts.index(action.part) if action.part in parts else 0
        self._tick(events.PhaseStarted(phase="evaluate", part=action.part, done=done, of=len(parts)))
        began = self._clock()
        result = self._task.evaluate(
            self._learner.policy(), part=action.part, episodes=action.episodes, seed=action.seed
        )
        seconds = self._clock() - began
        return reports.EvaluationReport(suite=action.suite, part=action.part, result=result, seconds=seconds)

    def _save(self, kind: CheckpointKind) -> reports.CheckpointReport:
        if kind != "try":
            self._submitted_update = self._manager.update
        return self._submitted(self._job(kind, self.state()))

    def _save_branch(self, kind: CheckpointKind, branch: BranchName) -> reports.CheckpointReport:
        return self._submitted(self._job_of(self._branches[branch], kind))

    def _submitted(self, job: SaveJob) -> reports.CheckpointReport:
        self._saves += 1
        self._saver.submit(job)
        return reports.CheckpointReport(kind=job.kind, number=self._saves)

    def _keep(self, branch: BranchName) -> reports.KeptReport:
        if branch == "start":
            self._branches.clear()
        self._branches[branch] = self._copied()
        self._copy = self._branches[branch]
        return reports.KeptReport(branch=branch)

    def _copied(self) -> Copy:
        manager = self._manager
        return Copy(
            self._archive.copy(self.state()), manager.update, manager.global_step, manager.metrics, manager.score
        )

    def _restore(self, branch: BranchName) -> reports.RestoredReport:
        """Only the manager's memory is its own business: it follows the report."""
        if branch == "best":
            return self._roll_back()
        state = self._branches.pop(branch).state
        restore(self._learner, self._task, state)
        self._state_parts.write(state)
        self._submitted_update = -1
        return reports.RestoredReport(branch=branch)

    def _roll_back(self) -> reports.RestoredReport:
        self._saver.finish()
        best = self._archive.best_state()
        if best is not None:
            restore(self._learner, self._task, best[1])
        return reports.RestoredReport(branch="best", ok=best is not None)

    def _job_of(self, copy: Copy, kind: CheckpointKind) -> SaveJob:
        """A save of a state that was kept in memory."""
        return msgspec.structs.replace(
            self._job(kind, copy.state),
            update=copy.update,
            global_step=copy.global_step,
            metrics=dict(copy.metrics),
            score=copy.score,
        )

    def _job(self, kind: CheckpointKind, state: Mapping[str, object]) -> SaveJob:
        return SaveJob(
            frozen=self._archive.snapshot(state),
            kind=kind,
            update=self._manager.update,
            global_step=self._manager.global_step,
            metrics=dict(self._manager.metrics),
            score=self._manager.score,
            exact=self._task.spec.resume == "exact",
        )

    def state(self) -> dict[str, object]:
        """Everything that decides the next bit; what depends on wall time lies under `wall`."""
        manager = self._manager.state_dict()
        return {
            "learner": self._learner.state_dict(),
            "task": self._task.state_dict(),
            "manager": manager,
            **self._state_parts.read(),
            "place": {"turn": self._place.turn, "orders": self._place.orders},
            "wall": {
                "elapsed_s": self._manager.elapsed_s,
                "log_every": self._meter.every,
                "config": self._config_json,
                "device": self._device,
                "is_mid_rollout": self._place.is_mid_rollout,
            },
        }

    def _tick(self, phase: events.PhaseStarted) -> None:
        """Say which phase this is, when it is another than the last."""
        if phase != self._phase:
            self._phase = phase
            self._publish(phase)

    # --- after an update -------------------------------------------------------------------------------------

    def _after_update(self, report: reports.UpdateReport) -> None:
        self._hooks.updated(Updated(**self._counters(), metrics=report.metrics))
        self.listen()  # what a callback told belongs to this update
        self._tell_notes()
        summary = self._meter.summary(self._manager.episodes, self._manager.elapsed_s)
        if summary is not None:
            self._publish(summary)
            self._tell(self._on_speed(summary.sps))
        now = self._clock()
        if now >= self._frame_due and self._is_watched():
            self._frame_due = now + FRAME_S
            self._publish(events.FrameDrawn(text=self._task.render_text(0)))
        if not self._manager.is_trying and self._manager.reason is None:  # an end in a try saves one of them
            self._branches.clear()
        if now >= self._copy_due and not self._manager.is_probing:
            self._keep_copy(now)
        if self._config.run.step_delay_s:
            self._inbox.wait(self._config.run.step_delay_s)
            self._meter.add("wait", self._clock() - now)

    def _tell_notes(self) -> None:
        """What the learner found out on its way, such as a GPU that refuses what it was asked for."""
        for note in self._learner.notes:
            if note not in self._noted:
                self._noted.add(note)
                self._publish(events.LogWritten(level="warning", text=note))

    def _counters(self) -> dict[str, int]:
        m = self._manager
        return {"update": m.update, "global_step": m.global_step, "episodes": m.episodes}

    def _flush_meter(self) -> None:
        summary = self._meter.flush(self._manager.episodes, self._manager.elapsed_s)
        if summary is not None:
            self._publish(summary)

    def _keep_copy(self, now: float) -> None:
        """Remember a consistent state for an emergency, as seldom as its cost demands."""
        self._copy = self._copied()
        spent = self._clock() - now
        self._copy_due = now + max(COPY_MIN_S, spent / COPY_SHARE)

    # --- mail ------------------------------------------------------------------------------------------------

    def _opened(self, item: mail.Item) -> Sequence[Event]:
        now = self._clock()
        match item:
            case mail.Order(command=command, by=by):
                return self._handled(command, by, now)
            case reports.SignalReport() | reports.HostReport():
                return self._manager.observe(item, now)
            case Resources():
                return [events.ResourcesSampled(resources=item), *self._on_resources(item), *self._sampled(item)]
            case mail.Ranks(loads=loads):
                return [events.RanksSampled(ranks=loads)]
            case mail.SaveDone():
                return self._saved(item)
            case mail.SaveFailed(kind=kind, why=why):
                self._save_failed = why
                failed = events.CheckpointFailed(kind=kind, why=clean_line(why))
                return [failed, *self._manager.observe(reports.StorageReport(ok=False, detail=clean_line(why)), now)]
            case mail.StorageBack():
                self._save_failed = ""
                return self._manager.observe(reports.StorageReport(ok=True), now)
            case mail.JournalRefused(why=why):
                self._journal_refused = True
                return self._manager.observe(reports.StorageReport(ok=False, detail=clean_line(why)), now)
            case mail.Told(metrics=metrics):
                self._meter.told(metrics)
                return self._manager.observe(reports.MetricsReport(metrics=metrics), now)
            case mail.Woken():
                return []
            case mail.Note(level=level, text=text):
                return [events.LogWritten(level=level, text=clean_line(text))]
            case _:
                assert_never(item)

    def _sampled(self, resources: Resources) -> Sequence[Event]:
        """What the manager makes of the machine, and of the memory that this process has come to use."""
        now, why = self._clock(), self._memory.exceeded(resources.process_rss_gib)
        busy = reports.MachineReport(
            cores=resources.cores,
            busy_percent=resources.cpu_percent,
            own_percent=resources.process_cpu_percent,
        )
        short = reports.FaultReport(kind="memory_limit", detail=why)
        return [*self._manager.observe(busy, now), *(self._manager.observe(short, now) if why else ())]

    def _handled(self, command: AnyCommand, by: Author, now: float) -> Sequence[Event]:
        """The manager's answer, with the order's place in the history."""
        outcomes = self._manager.handle(command, by=by, now=now)
        placed = [self._placed(event, command) for event in outcomes]
        self._place.orders += any(isinstance(event, events.CommandApplied) for event in outcomes)
        return placed

    def _placed(self, event: Event, command: AnyCommand) -> Event:
        if not isinstance(event, events.CommandApplied):
            return event
        return msgspec.structs.replace(event, turn=self._place.turn, command=command)

    def _retry_journal(self) -> None:
        """While paused by a full disk, try the journal again; the pause ends when both it and the saver are well."""
        if self._journal_refused and self._publisher.flush(sync=True):
            self._journal_refused = False
            if not self._saver.is_refused:
                self._inbox.put(mail.StorageBack())

    def _saved(self, done: mail.SaveDone) -> Sequence[Event]:
        """The journal reaches the disk before the save is acknowledged."""
        self._publisher.flush(sync=True)
        parent = self._latest_checkpoint
        if done.kind != "try":
            self._latest_checkpoint = done.path
        saved = events.CheckpointSaved(
            number=done.number,
            kind=done.kind,
            path=done.path,
            at_update=done.update,
            at_step=done.global_step,
            size=done.size,
            state_sha256=done.state_sha256,
            score=done.score,
            seconds=done.seconds,
            exact=done.exact,
            parent=parent,
        )
        return [saved, events.CheckpointsPruned(paths=done.pruned)] if done.pruned else [saved]

    def _tell(self, outcomes: Sequence[Event]) -> None:
        for event in outcomes:
            if isinstance(event, events.EvaluationStopped) and self._manager.reason is not None:
                self._place.turn -= event.parts  # they are played anew by a resume, and once by a rerun
            self._publish(event)

    def _publish(self, event: Event) -> None:
        self._publisher.publish(event, update=self._manager.update, global_step=self._manager.global_step)

    # --- faults and the end ----------------------------------------------------------------------------------

    def _fault(self, kind: FaultKind, phase: str, error: BaseException) -> reports.FaultReport:
        detail = clean_line(f"{phase}: {type(error).__name__}: {error}")
        with contextlib.suppress(OSError):
            write_crash_report(self._crash_dir, error, self._publisher.recent, dict(self._manager.metrics))
        self._publish(events.LogWritten(level="error", text=detail))
        return reports.FaultReport(kind=kind, detail=detail)

    def conclude(self, end: actions.End) -> Reason:
        """Save, evaluate on unseen seeds; a second signal leaves before the next of these steps."""
        self._flush_meter()
        if not self._save_last(end):
            return self._lost(end.reason)
        self._evaluate_at_end(end)
        return end.reason

    def say_end(self, reason: Reason) -> Reason:
        """The last word, on the disk before anybody relies on it."""
        self._publish(
            events.RunEnded(
                reason=reason,
                checkpoint=self._latest_checkpoint,
                elapsed_s=self._manager.elapsed_s,
            )
        )
        self._publisher.flush(sync=True)
        return reason

    def _save_last(self, end: actions.End) -> bool:
        """The final or emergency checkpoint; True when it is on the disk."""
        job = self._last_job(end) if end.save else None
        if job is not None:
            self._saver.submit(job)
        done = self._saver.finish()
        self._saver.stop()
        self._read_mail_at_end()
        return done

    def _last_job(self, end: actions.End) -> SaveJob | None:
        if end.branch is not None:
            return self._job_of(self._branches[end.branch], "final")
        if end.reason.name in FAULTS:
            return self._emergency()
        return self._job("best" if self._manager.owes_best else "final", self.state())

    def _emergency(self) -> SaveJob | None:
        """The last consistent state: the phase that broke may have left learner or task half changed.

        None where a save that was ordered before holds as much: an older state must not become the newest checkpoint.
        """
        copy = self._copy
        if copy is None or copy.update <= self._submitted_update:
            return None
        return self._job_of(copy, "emergency")

    def _save_copy(self) -> None:
        """The last consistent state, from which all ranks begin again."""
        job = self._emergency()
        if job is not None:
            self._saver.submit(job)
        self._saver.finish()
        self._read_mail_at_end()

    def _read_mail_at_end(self) -> None:
        """Only what the saver and the sampler said still counts."""
        for item in self._inbox.drain():
            if isinstance(item, mail.SaveDone):
                self._tell(self._saved(item))
            elif isinstance(item, mail.SaveFailed):
                self._save_failed = item.why
                self._publish(events.CheckpointFailed(kind=item.kind, why=clean_line(item.why)))

    def _lost(self, reason: Reason) -> Reason:
        """Work could not be saved: the exit code must say so."""
        code = reason.exit_code or 4
        return msgspec.structs.replace(
            reason, evidence=f"{reason.evidence}; the last save failed: {self._save_failed}", exit_code=code
        )

    def _evaluate_at_end(self, end: actions.End) -> None:
        if end.judge:
            self._guarded("evaluation", self._judge)
        if end.evaluate and self._config.manager.evaluation.final_episodes:
            self._guarded("final evaluation", lambda: self._evaluate_last_and_best(end))

    def _judge(self) -> None:
        """The reference evaluation of the last parameters: the same games as in the run's others."""
        seed = suite_seed(self._config.run.seed, "reference")
        self._evaluate_policy(
            self._learner.policy(), "", suite="reference", episodes=self._config.manager.evaluation.episodes, seed=seed
        )

    def _evaluate_last_and_best(self, end: actions.End) -> None:
        kept = None if end.branch is None else self._branches[end.branch].state["learner"]
        assert kept is None or isinstance(kept, Mapping)
        last = self._learner.policy() if kept is None else self._learner.policy_from(kept)
        self._evaluate_unseen(last, self._latest_checkpoint)
        best = self._archive.best_state()
        if best is not None and best[0] != self._latest_checkpoint:
            path, state = best
            learner_state = state["learner"]
            assert isinstance(learner_state, Mapping)
            self._evaluate_unseen(self._learner.policy_from(learner_state), path)

    def _evaluate_unseen(self, policy: Policy, checkpoint: str) -> None:
        seed, episodes = FINAL_SEED + self._config.run.seed, self._config.manager.evaluation.final_episodes
        self._evaluate_policy(policy, checkpoint, suite="final", episodes=episodes, seed=seed)

    def _final_judge(self) -> Judge:
        task = unguarded(self._task)
        return task.final() if isinstance(task, HasFinal) and callable(task.final) else task

    def _evaluate_policy(self, policy: Policy, checkpoint: str, *, suite: Suite, episodes: int, seed: int) -> None:
        spec, is_final = self._task.spec, suite == "final"
        phase = "evaluate" if suite == "reference" else f"{suite} evaluation"
        results, began = {}, self._clock()
        judge = self._final_judge() if is_final else self._task
        for index, part in enumerate(spec.parts):
            self._tick(events.PhaseStarted(phase=phase, part=part, done=index, of=len(spec.parts)))
            results[part] = judge.evaluate(policy, part=part, episodes=episodes, seed=seed)
        bound = judge.bound() if is_final and isinstance(judge, HasBound) else None
        result = merge(spec, results, baselines=judge.baselines() if is_final else None, bound=bound)
        self._publish(
            events.EvaluationFinished(suite=suite, result=result, seconds=self._clock() - began, checkpoint=checkpoint)
        )


def _fault_kind(error: BaseException) -> FaultKind:
    """torch raises OutOfMemoryError; named here so that the loop needs no torch."""
    return "out_of_memory" if type(error).__name__ == "OutOfMemoryError" else "exception"


_PHASES = {"Evaluate": "evaluate", "SaveCheckpoint": "save", "Wait": "wait"}
