"""Execute a session's surviving timeline again, from seed and decisions, and compare every checkpoint's bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tui_trainer.core import actions, events, reports
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.config import Config, Layer, resolve
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.values import Author
from tui_trainer.engine.loop import Place
from tui_trainer.errors import UsageError
from tui_trainer.sessions.checkpoints import CheckpointStore, Manifest, state_sha256
from tui_trainer.sessions.journal import read_journal
from tui_trainer.sessions.store import Session
from tui_trainer.training.manager import TrainingManager
from tui_trainer.training.orders import LEARNER_KEYS

NOW = 0.0
"""A rerun's clock stands still."""


class Order(msgspec.Struct, frozen=True):
    """An order that survived, and the turn at which it was taken in."""

    turn: int
    command: AnyCommand
    by: Author


class Timeline(msgspec.Struct, frozen=True):
    """What of a session's history survived its resumes."""

    orders: tuple[Order, ...]
    stops_at: int | None
    """The update from which on nothing can be compared, and why."""
    why: str


class Compared(msgspec.Struct, frozen=True):
    """One checkpoint: equal, different, or not comparable and why."""

    checkpoint: str
    update: int
    equal: bool | None
    why: str = ""


def timeline(history: Sequence[AnyEvent]) -> Timeline:
    """Fold a journal to the orders that its last run went by."""
    orders: list[Order] = []
    stops_at, why = None, ""
    for event in history:
        match event:
            case events.CommandApplied(command=command, turn=turn, by=by) if command is not None:
                orders.append(Order(turn, command, by))
            case events.RunResumed():
                del orders[event.orders :]
                if stops_at is None and (reason := _breaks(event)):
                    stops_at, why = event.from_update, reason
            case _:
                continue
    return Timeline(tuple(orders), stops_at, why)


def _breaks(resumed: events.RunResumed) -> str:
    """Why nothing after this resume can be compared, or nothing."""
    harmless = ("manager.termination.", "manager.checkpoints.", *LEARNER_KEYS)
    changed = [key for key in resumed.changed if not key.startswith(harmless)]
    if changed:
        return f"{', '.join(changed)} changed at the resume"
    return "" if resumed.exact else f"the resume was {resumed.note or 'not exact'}"


class Rerun:
    """The same learner, task and manager, driven without disk, socket or clock."""

    def __init__(self, session: Session, told: Callable[[Compared], None]) -> None:
        from tui_trainer.engine import assembly

        read = read_journal(session.journal_path)
        self._line = timeline(read.events)
        self._config = _config(session, read.events)
        self._told = told
        self._store = CheckpointStore(session.path)
        self._wanted = {manifest.update: manifest for manifest in reversed(self._store.manifests())}
        assembly.prepare(self._config)
        self._task = assembly.make_task(self._config)
        self._learner = assembly.make_learner(self._task, self._config, "cpu")
        self._manager = TrainingManager(self._config, self._task.spec, self._task.difficulty_space())
        self._global_state = assembly.global_state
        self._place = Place()
        self._orders = list(self._line.orders)
        self._results: list[Compared] = []

    def execute(self) -> list[Compared]:
        """Every checkpoint of the session, oldest first."""
        self._manager.start(NOW)
        last = max(self._wanted, default=0)
        while self._manager.update <= last:
            action = self._manager.next_action()
            if isinstance(action, actions.Collect | actions.End | actions.Wait) and not self._place.is_mid_rollout:
                self._compare()
            if self._give_order():
                continue
            if isinstance(action, actions.End):
                break
            report = self._perform(action)
            self._place.advance(action, report)
            self._manager.observe(report, NOW)
        self._task.close()
        return [*self._results, *(self._incomparable(manifest) for manifest in self._wanted.values())]

    def _give_order(self) -> bool:
        """Give the next order if this is its turn."""
        if not self._orders or self._orders[0].turn > self._place.turn:
            return False
        order = self._orders.pop(0)
        self._manager.handle(order.command, by=order.by, now=NOW)
        self._place.orders += 1
        return True

    def _perform(self, action: actions.AnyAction) -> reports.AnyReport:
        match action:
            case actions.Collect():
                return self._learner.collect(float("inf"))
            case actions.Learn():
                return self._learner.learn()
            case actions.Evaluate(suite=suite, part=part, episodes=episodes, seed=seed):
                result = self._task.evaluate(self._learner.policy(), part=part, episodes=episodes, seed=seed)
                return reports.EvaluationReport(suite=suite, part=part, result=result)
            case actions.SaveCheckpoint(kind=kind):
                return reports.CheckpointReport(kind=kind, number=0)
            case actions.ApplyDifficulty(difficulty=difficulty):
                if self._task.difficulty_space() is not None:
                    self._task.set_difficulty(difficulty)
                return reports.DifficultyReport(difficulty=difficulty)
            case actions.ApplySetting(key=key, value=value):
                return reports.SettingReport(key=key, old=self._learner.set(key.split(".")[-1], value), new=value)
            case actions.Wait():
                return self._continued()
            case _:
                raise AssertionError(f"{action} is not performed")

    def _continued(self) -> reports.AnyReport:
        """A pause lasts until the next order; one that a signal ended is ended by a signal here."""
        if not self._orders:
            self._manager.observe(reports.SignalReport(name="usr2"), NOW)
        else:
            self._place.turn = max(self._place.turn, self._orders[0].turn)
        return reports.TickReport()

    def _compare(self) -> None:
        manifest = self._wanted.get(self._manager.update)
        if manifest is None or self._is_past(manifest):
            return
        stored = self._stored(manifest)
        if stored["wall"]["is_mid_rollout"] or stored["place"]["orders"] != self._place.orders:
            return
        del self._wanted[manifest.update]
        equal = state_sha256(self._state(stored)) == manifest.state_sha256
        self._report(Compared(manifest.path, manifest.update, equal))

    def _state(self, stored: Mapping[str, Any]) -> dict[str, object]:
        """The rerun's own state. Only why a run ended is taken over: clocks and signals are not executed again."""
        manager = self._manager.state_dict()
        assert isinstance(manager["manager"], dict)
        manager["manager"]["ended"] = stored["manager"]["manager"]["ended"]
        return {
            "learner": self._learner.state_dict(),
            "task": self._task.state_dict(),
            "manager": manager,
            **self._global_state(),
            "place": {"turn": self._place.turn, "orders": self._place.orders},
            "wall": {},
        }

    def _incomparable(self, manifest: Manifest) -> Compared:
        if self._is_past(manifest):
            why = self._line.why
        elif self._stored(manifest)["wall"]["is_mid_rollout"]:
            why = "saved in the middle of a rollout, at a moment that depends on the clock"
        else:
            why = f"the rerun ended at update {self._manager.update}"
        compared = Compared(manifest.path, manifest.update, None, why)
        self._told(compared)
        return compared

    def _is_past(self, manifest: Manifest) -> bool:
        return self._line.stops_at is not None and manifest.update > self._line.stops_at

    def _stored(self, manifest: Manifest) -> Mapping[str, Any]:
        return self._store.load(manifest)[0]

    def _report(self, compared: Compared) -> None:
        self._results.append(compared)
        self._told(compared)


def _config(session: Session, history: Sequence[AnyEvent]) -> Config:
    """As started, with the limits of the last resume. Raises UsageError where bits are not promised."""
    config = resolve([Layer("session.toml", session.read().config)]).config
    started = next((event for event in history if isinstance(event, events.RunStarted)), None)
    if started is None:
        raise UsageError(f"{session.name} never started training", "there is nothing to run again")
    if started.device != "cpu" or not started.exact:
        raise UsageError(
            f"{session.name} was not promised to be bit-exact", f"it ran {started.task} on {started.device}"
        )
    limits = next((event.limits for event in reversed(history) if isinstance(event, events.RunResumed)), None)
    if limits is None:
        return config
    table = {"manager": {"termination": dict(limits)}}
    return resolve([Layer("session.toml", session.read().config), Layer("resume", table)]).config
