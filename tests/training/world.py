"""A small fake of the loop and its task: answers every action with the report that the real ones would give."""

from __future__ import annotations

import random
from collections.abc import Callable

from tui_trainer.core.actions import (
    AnyAction,
    ApplyDifficulty,
    ApplySetting,
    Collect,
    End,
    Evaluate,
    Keep,
    Learn,
    Restore,
    SaveCheckpoint,
    Wait,
)
from tui_trainer.core.config import Config, Layer, resolve
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.reports import (
    AnyReport,
    CheckpointReport,
    CollectReport,
    DifficultyReport,
    EvaluationReport,
    KeptReport,
    RestoredReport,
    SettingReport,
    TickReport,
    UpdateReport,
)
from tui_trainer.core.values import DifficultySpace, PartResult
from tui_trainer.training.manager import TrainingManager
from tui_trainer.training.statistics import wilson

LEVELS = ("random", "1-ply", "minimax-2")
SPEC = TaskSpec(
    id="board",
    obs_shape=(4,),
    obs_dtype="uint8",
    action="discrete",
    n=4,
    num_envs=8,
    players=2,
    metric="win_rate",
    outcomes=("black", "white", "draw"),
    parts=LEVELS,
)
SPACE = DifficultySpace(levels=LEVELS)


def config(**settings: object) -> Config:
    """Settings by dotted key, with `__` for the dot."""
    table: dict[str, object] = {}
    for name, value in settings.items():
        *parents, last = name.split("__")
        inner = table
        for parent in parents:
            inner = inner.setdefault(parent, {})  # type: ignore[assignment]
        inner[last] = value
    return resolve([Layer("test", table)]).config


def part(rate: float, episodes: int = 100) -> PartResult:
    """A part's result with this share of wins."""
    return PartResult(
        episodes=episodes,
        win_rate=rate,
        ci=wilson(rate * episodes, episodes),
        draw_rate=0.0,
        loss_rate=1 - rate,
        mean=2 * rate - 1,
        std=1.0,
        min=-1.0,
        max=1.0,
    )


Skill = Callable[[int, str], float]
"""(update, part) -> win rate."""


def steady(rate: float) -> Skill:
    return lambda update, name: rate


HALF = steady(0.5)


class World:
    """Executes actions. `answer` gives the report of one action; `run` goes on to the end."""

    def __init__(self, manager: TrainingManager, skill: Skill = HALF, *, slices: int = 2, seed: int = 0) -> None:
        self.manager = manager
        self.skill = skill
        self.slices = slices
        self.now = 100.0
        self.collected = 0
        self.trained = 0
        self.settings: dict[str, float] = {}
        self.kept: dict[str, tuple[dict[str, float], int]] = {}
        self.events: list[AnyEvent] = []
        self.actions: list[AnyAction] = []
        self.random = random.Random(seed)

    def start(self) -> World:
        self.events += self.manager.start(self.now)
        return self

    def answer(self, action: AnyAction) -> AnyReport | None:
        match action:
            case Collect():
                self.collected += 1
                return CollectReport(steps=10, episodes=1, complete=self.collected % self.slices == 0)
            case Learn():
                self.trained += 1
                return UpdateReport(metrics={"train/entropy_loss": -0.5, "train/approx_kl": 0.01})
            case Evaluate(suite=suite, part=name, episodes=episodes):
                rate = min(1.0, max(0.0, self.skill(self.manager.update, name)))
                return EvaluationReport(suite=suite, part=name, result=part(rate, episodes), seconds=0.1)
            case SaveCheckpoint(kind=kind):
                return CheckpointReport(kind=kind, number=1)
            case Keep(branch=branch):
                self.kept[branch] = (dict(self.settings), self.collected)
                return KeptReport(branch=branch)
            case Restore(branch="best"):
                return RestoredReport(branch="best")
            case Restore(branch=branch):
                settings, self.collected = self.kept.pop(branch)
                self.settings = dict(settings)
                return RestoredReport(branch=branch)
            case ApplyDifficulty(difficulty=difficulty):
                return DifficultyReport(difficulty=difficulty)
            case ApplySetting(key=key, value=value):
                old, self.settings[key] = self.settings.get(key, 3e-4), value
                return SettingReport(key=key, old=old, new=value)
            case Wait():
                return TickReport()
            case End():
                return None

    def step(self, seconds: float = 0.5) -> list[AnyEvent]:
        """One action; returns the events it led to."""
        action = self.manager.next_action()
        self.actions.append(action)
        report = self.answer(action)
        self.now += seconds
        events = self.manager.observe(report, self.now) if report is not None else []
        self.events += events
        return events

    def run(self, most: int = 100_000) -> World:
        """Until the end, or `most` actions."""
        for _ in range(most):
            if isinstance(self.manager.next_action(), End):
                break
            self.step()
        return self

    def until(self, kind: type, most: int = 100_000) -> World:
        """Until the next action is of this kind."""
        for _ in range(most):
            if isinstance(self.manager.next_action(), kind):
                return self
            self.step()
        raise AssertionError(f"no {kind.__name__} within {most} actions")

    def update_by(self, updates: int) -> World:
        """So many more updates."""
        goal = self.manager.update + updates
        while self.manager.update < goal and not isinstance(self.manager.next_action(), End):
            self.step()
        return self

    def seen(self, kind: type) -> list[AnyEvent]:
        return [e for e in self.events if isinstance(e, kind)]


def build(skill: Skill = HALF, *, space: DifficultySpace | None = SPACE, **settings: object) -> World:
    """A started world; every setting by dotted key with `__`."""
    return World(TrainingManager(config(**settings), SPEC, space), skill).start()
