"""The engine's Run under a loop that is not ours, and what it is put together from."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Iterator
from typing import Literal, NamedTuple, NoReturn

from tui_trainer.core import actions, events, reports
from tui_trainer.core.config import Config
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import CheckpointKind, Reason
from tui_trainer.engine.archive import SessionArchive
from tui_trainer.engine.callbacks import rules_of
from tui_trainer.engine.loop import FaultKind, Place, Run, StateParts
from tui_trainer.engine.main import Engine
from tui_trainer.engine.meter import Meter
from tui_trainer.engine.saver import Saver
from tui_trainer.guests.script import Script, ScriptTask
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.store import Session
from tui_trainer.telemetry.alerts import SpeedWatch, alerting
from tui_trainer.telemetry.sampler import Sampler
from tui_trainer.training.manager import TrainingManager

FINISH_S = 60.0
"""A disk that refuses keeps a script from ending no longer than this."""


class Facts(NamedTuple):
    """What a script says of itself at the start."""

    metric: str
    higher_is_better: bool
    actions: int
    total_steps: int
    first_step: int
    device: str


class HostedRun(Run):
    """A Run that is asked to go on from inside the script's own calls."""

    def _fault(self, kind: FaultKind, phase: str, error: BaseException) -> NoReturn:
        """Nothing of the script's runs in a phase: what breaks is ours, and ends the recording, not the training."""
        raise error

    def _perform(self, action: actions.AnyAction) -> reports.AnyReport:
        """What breaks in the script's own functions costs that order alone."""
        match action:
            case actions.SaveCheckpoint(kind=kind):
                return self._try_save(action, kind)
            case actions.ApplySetting(key=key):
                return self._try_set(action, key)
            case _:
                return super()._perform(action)

    def _try_save(self, action: actions.SaveCheckpoint, kind: CheckpointKind) -> reports.AnyReport:
        try:
            return super()._perform(action)
        except Exception as error:  # the script's own state_fn
            why = clean_line(f"the script could not be saved: {type(error).__name__}: {error}")
            self._publish(events.CheckpointFailed(kind=kind, why=why))
            return reports.CheckpointReport(kind=kind, number=0)

    def _try_set(self, action: actions.ApplySetting, key: str) -> reports.AnyReport:
        assert isinstance(self._learner, Script)
        try:
            return super()._perform(action)
        except Exception as error:  # the script's own setter
            self.say("error", f"the script did not take {key} = {action.value:g}: {type(error).__name__}: {error}")
            value = self._learner.knobs[key].value
            return reports.SettingReport(key=key, old=value, new=value)

    def _keep_copy(self, now: float) -> None:
        """None is kept for an emergency: a script is copied when it is saved, and no more often."""
        self._copy_due = math.inf

    def conclude(self, end: actions.End) -> Reason:
        """As a Run's end; a script that cannot be saved at its end still ends."""
        try:
            return super().conclude(end)
        except Exception as error:  # the script's own state_fn
            self._save_failed = clean_line(f"the script could not be saved: {type(error).__name__}: {error}")
            self._publish(events.CheckpointFailed(kind="final", why=self._save_failed))
            self._saver.finish(FINISH_S)
            self._read_mail_at_end()
            return self._lost(end.reason)

    def say(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """A line for the log."""
        self._publish(events.LogWritten(level=level, text=clean_line(text)))

    def try_journal_again(self) -> None:
        """Write what a full disk held back."""
        self._retry_journal()


class Hosted(NamedTuple):
    """A run between two boundaries of its script."""

    run: HostedRun
    manager: TrainingManager
    task: ScriptTask


@contextlib.contextmanager
def hosted(session: Session, config: Config, engine: Engine, script: Script, facts: Facts) -> Iterator[Hosted]:
    """The run of a script, at its start or where the newest good checkpoint left it."""
    task = ScriptTask(_spec(config, facts))
    manager = TrainingManager(config, task.spec, None, rules=rules_of(config, engine.inbox))
    archive, place = SessionArchive(CheckpointStore(session.path), config), Place()
    meter = Meter(config.run.log_every_updates, engine.clock)
    if engine.history.started is None:
        first: events.Event = _started(session, config, facts, script)
        script.stand_at(0, 0)
    else:
        first = _taken_up(archive, manager, script, facts, place)
        script.stand_at(manager.global_step, manager.episodes)
    engine.publisher.publish(first, update=manager.update, global_step=manager.global_step)
    saver = Saver(archive.write, engine.inbox)
    sampler = Sampler(config.telemetry.interval_s, session.path, engine.inbox.put)
    sampler.start()
    try:
        run = HostedRun(
            config=config,
            task=task,
            learner=script,
            manager=manager,
            publisher=engine.publisher,
            saver=saver,
            archive=archive,
            inbox=engine.inbox,
            state_parts=StateParts(read=dict, write=lambda state: None),
            crash_dir=session.crash_dir,
            place=place,
            is_watched=lambda: bool(task.frame) and engine.hub.is_watched,
            on_resources=alerting(config.telemetry.alerts),
            meter=meter,
            clock=engine.clock,
            checkpoint=first.checkpoint if isinstance(first, events.RunResumed) else "",
            on_speed=SpeedWatch(engine.clock).observe if config.telemetry.alerts else lambda sps: (),
        )
        run.begin()
        yield Hosted(run, manager, task)
    finally:
        sampler.stop()
        saver.stop()


def _spec(config: Config, facts: Facts) -> TaskSpec:
    return TaskSpec(
        id=config.run.task,
        obs_shape=(),
        obs_dtype="float32",
        action="discrete" if facts.actions else "box",
        n=facts.actions,
        num_envs=1,
        metric=facts.metric,
        higher_is_better=facts.higher_is_better,
        resume="episode",
        hosted=True,
    )


def _limits(manager_limits: dict[str, float], facts: Facts) -> dict[str, float]:
    """How far the script means to go is shown as a limit; it is the script that keeps it."""
    return {**({"max_steps": float(facts.total_steps)} if facts.total_steps else {}), **manager_limits}


def _started(session: Session, config: Config, facts: Facts, script: Script) -> events.RunStarted:
    spec = _spec(config, facts)
    manager = TrainingManager(config, spec, None)
    return events.RunStarted(
        session=session.name,
        task=config.run.task,
        algorithm=config.run.algorithm,
        seed=config.run.seed,
        device=facts.device,
        mode=config.manager.mode,
        threads=config.run.threads,
        pid=os.getpid(),
        host=socket.gethostname(),
        metric=spec.metric,
        higher_is_better=spec.higher_is_better,
        players=1,
        parts=spec.parts,
        space=None,
        difficulty=manager.difficulty,
        limits=_limits(manager.limits, facts),
        target=config.manager.termination.target,
        parameters=script.parameters_count,
        exact=False,
        notes=script.notes,
    )


def _taken_up(
    archive: SessionArchive, manager: TrainingManager, script: Script, facts: Facts, place: Place
) -> events.RunResumed:
    """The manager where the newest good checkpoint left it; what the script saved waits for it to ask."""
    survey = archive.store.survey()
    path, said = "", ["no checkpoint had been saved"]
    if survey.good or survey.bad:
        loaded = archive.store.newest_good()
        script.load_state_dict(loaded.state["learner"])
        manager.load_state_dict(loaded.state["manager"])
        place.turn, place.orders = loaded.state["place"]["turn"], loaded.state["place"]["orders"]
        path, said = loaded.manifest.path, loaded.problems
    return events.RunResumed(
        from_update=manager.update,
        from_step=manager.global_step,
        checkpoint=path,
        pid=os.getpid(),
        host=socket.gethostname(),
        exact=False,
        limits=_limits(manager.limits, facts),
        note="; ".join(["the script was started again", *said]),
        orders=place.orders,
        episodes=manager.episodes,
        elapsed_s=manager.elapsed_s,
    )


__all__ = ["Facts", "Hosted", "HostedRun", "hosted"]
