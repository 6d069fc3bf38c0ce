"""Execute a session's surviving timeline again, from seed and decisions, and compare every checkpoint's bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tui_trainer.core import actions, events, reports
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.config import Config, Layer, resolve
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.values import Author, BranchName
from tui_trainer.engine.callbacks import rules_of
from tui_trainer.engine.followers import Followers
from tui_trainer.engine.inbox import Inbox
from tui_trainer.engine.loop import Place
from tui_trainer.engine.meter import Meter
from tui_trainer.engine.ranks import ranks_of, restore
from tui_trainer.errors import Diverged, UsageError
from tui_trainer.sessions.checkpoints import CheckpointStore, Manifest, frozen_copy, state_sha256
from tui_trainer.sessions.journal import read_journal
from tui_trainer.sessions.store import Session
from tui_trainer.training.manager import TrainingManager
from tui_trainer.training.orders import LEARNER_KEYS

HARMLESS = (
    "manager.termination.", "manager.checkpoints.", "run.step_delay_s", "run.log_every_updates", "run.note", "run.tags",
    "run.on_term", "run.memory_limit_gib", "telemetry.interval_s", "ui.", *LEARNER_KEYS,
)  # fmt: skip
"""Settings that a resume may change without changing what a rerun does, or that it repeats as orders."""
NOW = 0.0
"""A rerun's clock stands still."""
IN_TURN = actions.ApplySetting | actions.ApplyDifficulty | actions.Keep | actions.Restore
"""What is done without beginning another turn."""


class Order(msgspec.Struct, frozen=True):
    """An order that survived, and the turn at which it was taken in."""

    turn: int
    command: AnyCommand
    by: Author
    phase: str = ""
    """The action before which it was taken in."""


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


def timeline(history: Sequence[AnyEvent], inherited: int = 0) -> Timeline:
    """Fold a journal to the orders that its last run went by; a fork's parent had taken in `inherited` before."""
    orders: list[Order] = []
    stops_at, why = None, ""
    for event in history:
        match event:
            case events.CommandApplied(command=command, turn=turn, by=by, phase=phase) if command is not None:
                orders.append(Order(turn, command, by, phase))
            case events.RunResumed():
                del orders[max(0, event.orders - inherited) :]
                if stops_at is None and (reason := _breaks(event)):
                    stops_at, why = event.from_update, reason
            case _:
                continue
    return Timeline(tuple(orders), stops_at, why)


def _breaks(resumed: events.RunResumed) -> str:
    """Why nothing after this resume can be compared, or nothing."""
    changed = [key for key in resumed.changed if not key.startswith(HARMLESS)]
    if changed:
        return f"{', '.join(changed)} changed at the resume"
    return "" if resumed.exact else f"the resume was {resumed.note or 'not exact'}"


class Rerun:
    """The same learner, task and manager, driven without disk, socket or clock."""

    def __init__(self, session: Session, told: Callable[[Compared], None]) -> None:
        from tui_trainer.engine import assembly

        read = read_journal(session.journal_path)
        self._config = _config(session, read.events)
        self._told = told
        self._store = CheckpointStore(session.path)
        self._loaded: tuple[int, Mapping[str, Any]] | None = None
        self._seen: set[int] = set()
        planted = self._planted(session)
        self._place = Place()
        self._line = timeline(read.events, planted["place"]["orders"] if planted else 0)
        ours = [manifest for manifest in self._store.manifests() if manifest.kind != "try"]
        self._wanted = {manifest.update: manifest for manifest in reversed(ours)}
        rules = rules_of(self._config, Inbox())
        self._followers = Followers(session.path, self._ranks(), self._config.run.threads)
        with self._followers.meeting():
            _, self._task, self._learner, self._dismiss = assembly.rank_zero(self._config, Inbox())
        self._manager = TrainingManager(self._config, self._task.spec, self._task.difficulty_space(), rules=rules)
        self._global_state = assembly.global_state
        self._restore_global_state = assembly.restore_global_state
        self._branches: dict[BranchName, Mapping[str, object]] = {}
        if planted:
            stand = assembly.Stand(self._task, self._learner, self._manager, Meter(1, lambda: NOW), self._place)
            assembly.put_back(stand, planted)
        self._orders = list(self._line.orders)
        self._results: list[Compared] = []

    def _planted(self, session: Session) -> Mapping[str, Any] | None:
        """The state that a fork began from: its first checkpoint. Raises UsageError where that is gone."""
        lineage = session.read().lineage
        if "state_sha256" not in lineage:
            return None
        first = next((m for m in self._store.manifests() if m.state_sha256 == lineage["state_sha256"]), None)
        if first is None:
            raise UsageError(f"{session.name} no longer has the checkpoint that it was forked from")
        return self._stored(first)

    def _ranks(self) -> int:
        """How many trained it; torchrun's own line leaves that to the checkpoints."""
        if self._config.run.nproc > 1 or not self._wanted:
            return self._config.run.nproc
        return ranks_of(self._stored(self._wanted[min(self._wanted)])["learner"])

    def execute(self) -> list[Compared]:
        """Every checkpoint of the session, oldest first."""
        with self._followers:
            self._execute()
            self._dismiss()
        self._task.close()
        left = [self._incomparable(manifest) for manifest in list(self._wanted.values())]
        return [*self._results, *(each for each in left if each.equal is None)]

    def _execute(self) -> None:
        self._manager.start(NOW)
        last = max(self._wanted, default=0)
        while self._manager.update <= last:
            action = self._manager.next_action()
            if not self._place.is_mid_rollout:
                self._compare()
            if self._give_order(action):
                continue
            if isinstance(action, actions.End):
                break
            report = self._attempt(action)
            self._place.advance(action, report)
            self._manager.observe(report, NOW)

    def _give_order(self, action: actions.AnyAction) -> bool:
        """Give the next order if this is its turn, and what an order before it in the same turn asked for is done."""
        if not self._orders or self._orders[0].turn > self._place.turn:
            return False
        if isinstance(action, IN_TURN) and self._orders[0].phase not in ("", type(action).__name__):
            return False
        order = self._orders.pop(0)
        self._manager.handle(order.command, by=order.by, now=NOW)
        self._place.orders += 1
        return True

    def _attempt(self, action: actions.AnyAction) -> reports.AnyReport:
        """As in the loop: a branch that diverged is a fact that a try goes by."""
        try:
            return self._perform(action)
        except Diverged as error:
            return reports.FaultReport(kind="nonfinite", detail=f"{type(action).__name__}: Diverged: {error}")

    def _perform(self, action: actions.AnyAction) -> reports.AnyReport:
        match action:
            case actions.Collect():
                return self._learner.collect(float("inf"))
            case actions.Learn():
                return self._learner.learn()
            case actions.Evaluate(suite=suite, part=part, episodes=episodes, seed=seed):
                result = self._task.evaluate(self._learner.policy(), part=part, episodes=episodes, seed=seed)
                return reports.EvaluationReport(suite=suite, part=part, result=result)
            case actions.SaveCheckpoint(kind="best"):
                best = {"learner": self._learner.state_dict(), "task": self._task.state_dict()}
                self._branches["best"] = {key: frozen_copy(value, key) for key, value in best.items()}
                return reports.CheckpointReport(kind="best", number=0)
            case actions.Restore(branch="best"):
                if "best" in self._branches:
                    restore(self._learner, self._task, self._branches["best"])
                return reports.RestoredReport(branch="best", ok="best" in self._branches)
            case actions.SaveCheckpoint(kind=kind):
                return reports.CheckpointReport(kind=kind, number=0)
            case actions.Keep(branch=branch):
                held = {"learner": self._learner.state_dict(), "task": self._task.state_dict(), **self._global_state()}
                self._branches[branch] = {key: frozen_copy(value, key) for key, value in held.items()}
                return reports.KeptReport(branch=branch)
            case actions.Restore(branch=branch):
                state = self._branches.pop(branch)
                restore(self._learner, self._task, state)
                self._restore_global_state(state)
                return reports.RestoredReport(branch=branch)
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
        """A save took place somewhere within its turn, before or after what else was done in it."""
        manifest = self._wanted.get(self._manager.update)
        if manifest is None or self._is_past(manifest) or self._manager.is_probing:
            return
        stored = self._stored(manifest)
        if stored["wall"]["is_mid_rollout"]:
            return
        turn, orders = stored["place"]["turn"], stored["place"]["orders"]
        if (turn, orders) == (self._place.turn, self._place.orders):
            self._seen.add(manifest.number)
            if state_sha256(self._state(stored)) == manifest.state_sha256:
                self._report(manifest, True)
        elif self._place.turn > turn and manifest.number in self._seen:
            self._report(manifest, False)

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
        elif manifest.number in self._seen:
            return self._report(manifest, False)
        elif manifest.update <= self._manager.update:
            why = "the journal lacks orders that it had taken in"
        else:
            why = f"the rerun ended at update {self._manager.update}"
        compared = Compared(manifest.path, manifest.update, None, why)
        self._told(compared)
        return compared

    def _is_past(self, manifest: Manifest) -> bool:
        return self._line.stops_at is not None and manifest.update > self._line.stops_at

    def _stored(self, manifest: Manifest) -> Mapping[str, Any]:
        if self._loaded is None or self._loaded[0] != manifest.number:
            self._loaded = manifest.number, self._store.load(manifest)[0]
        return self._loaded[1]

    def _report(self, manifest: Manifest, equal: bool) -> Compared:
        self._wanted.pop(manifest.update, None)
        compared = Compared(manifest.path, manifest.update, equal)
        self._results.append(compared)
        self._told(compared)
        return compared


def _config(session: Session, history: Sequence[AnyEvent]) -> Config:
    """As started, with the limits of the last resume. Raises UsageError where bits are not promised."""
    started = next((event for event in history if isinstance(event, events.RunStarted)), None)
    if started is None:
        raise UsageError(f"{session.name} never started training", "there is nothing to run again")
    if started.device != "cpu" or not started.exact:
        raise UsageError(
            f"{session.name} was not promised to be bit-exact", f"it ran {started.task} on {started.device}"
        )
    limits = next((event.limits for event in reversed(history) if isinstance(event, events.RunResumed)), None)
    table: dict[str, Any] = {"run": {"device": "cpu", "devices": []}}
    if limits is not None:
        table["manager"] = {"termination": dict(limits)}
    return resolve([Layer("session.toml", session.read().config), Layer("resume", table)]).config
