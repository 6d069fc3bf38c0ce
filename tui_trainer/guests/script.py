"""A script as the engine's loop sees it: something that collects and learns, by itself, and tells of it afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import msgspec

from tui_trainer.core.protocols import Reset, Step, TaskSpec
from tui_trainer.core.reports import CollectReport, HostReport, UpdateReport
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Difficulty, DifficultySpace, Metrics, PartResult
from tui_trainer.errors import UsageError

StateFn = Callable[[], Any]
"""Gives what a checkpoint of the script holds: bytes, or nested dicts and lists of numbers, texts, tensors, arrays."""
SetFn = Callable[[float], object]
"""Takes the new value of a live setting."""
MAX_METRICS = 1000
"""Names of metrics that are recorded: one in which a script counts would fill history and memory."""
LONGEST_NAME = 120


class Knob(msgspec.Struct):
    """A setting that the script takes live, and what it is now."""

    apply: SetFn
    value: float


class Script:
    """The learner's place in the loop. `hand_over` is called by the script, the rest by the loop at a boundary."""

    def __init__(self, parameters: int) -> None:
        self.parameters_count = parameters
        self.steps_per_update = 0
        self.notes = ("the loop is a script's own: a resume starts the script again",)
        self.state_fn: StateFn | None = None
        self.knobs: dict[str, Knob] = {}
        self.restored: Any = None
        self.odd: dict[str, str] = {}
        """What of the script's numbers could not be recorded, and why, by what it was."""
        self.spent_s = 0.0
        """The script's own time since it last handed over."""
        self._metrics: dict[str, Any] = {}
        self._names: dict[object, str] = {}
        self._handing = threading.RLock()
        self._updates = 0
        self._step = 0
        self._at = 0
        self._episodes = 0
        self._episodes_at = 0
        self._due: UpdateReport | None = None

    def stand_at(self, step: int, episodes: int) -> None:
        """Where the script's counts begin."""
        self._step = self._at = step
        self._episodes = self._episodes_at = episodes

    @property
    def has_news(self) -> bool:
        """True when something was handed over since the last boundary."""
        return self._updates > 0

    def hand_over(self, step: int, metrics: Mapping[str, Any], episodes: int | None) -> None:
        """One update of the script: its step count, its newest numbers, its finished episodes. Costs next to nothing:
        the numbers are read at the next boundary, and then only the newest of each name.
        """
        with self._handing:
            stands_at, finished = int(step), self._episodes if episodes is None else int(episodes)
            self._metrics.update(metrics)
            self._step, self._episodes = stands_at, finished
            self._updates += 1

    # --- what the loop asks of a learner ------------------------------------------------------------------------

    def collect(self, budget_s: float) -> CollectReport:
        """What was handed over, as one rollout. A count that went back has begun anew and adds nothing."""
        with self._handing:
            steps, episodes = max(0, self._step - self._at), max(0, self._episodes - self._episodes_at)
            self._at, self._episodes_at = self._step, self._episodes
            metrics, updates, seconds = self._metrics, self._updates, self.spent_s
            self._metrics, self._updates, self.spent_s = {}, 0, 0.0
        self._due = UpdateReport(metrics=self._numbers(metrics), updates=updates)
        return CollectReport(steps=steps, episodes=episodes, complete=True, seconds={"script": seconds})

    def learn(self) -> UpdateReport:
        """The updates that belong to it."""
        assert self._due is not None
        return self._due

    def set(self, key: str, value: float) -> float:
        """Hand a new value to the script; returns the old one."""
        knob = self.knobs[key]
        knob.apply(value)
        old, knob.value = knob.value, value
        return old

    def state_dict(self) -> dict[str, object]:
        """What the script says of itself, under `host`."""
        return {} if self.state_fn is None else {"host": self.state_fn()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Keep what the script saved until it asks for it."""
        self.restored = state.get("host")

    def policy(self) -> NoReturn:
        """Nobody but the script can evaluate."""
        raise UsageError("this run's policy is its script's own")

    def policy_from(self, state: Mapping[str, object]) -> NoReturn:
        """As `policy`."""
        raise UsageError("this run's policy is its script's own")

    @property
    def offer(self) -> HostReport:
        """What may be ordered."""
        return HostReport(
            can_save=self.state_fn is not None, settings={key: knob.value for key, knob in self.knobs.items()}
        )

    def _numbers(self, metrics: Mapping[str, Any]) -> Metrics:
        numbers: Metrics = {}
        for key, value in metrics.items():
            name = self._names.get(key) or self._named(key)
            if name is None:
                continue
            try:
                numbers[name] = None if value is None else float(value)
            except Exception:  # the script's own objects
                self.odd.setdefault(name, f"{name} is no number but {type(value).__name__}: it is not recorded")
        return numbers

    def _named(self, key: object) -> str | None:
        """A new metric's name as one clean line; None where there are too many."""
        if len(self._names) >= MAX_METRICS:
            self.odd.setdefault("", f"more than {MAX_METRICS} names of metrics: those that came last are not recorded")
            return None
        self._names[key] = name = clean_line(str(key), LONGEST_NAME) or "?"
        return name


class ScriptTask:
    """The task's place in the loop: it has no difficulty, no state of its own and no environments that we could see."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self.frame = ""

    def reset(self, seed: int) -> Reset:
        """Never called: the script steps its environments."""
        raise AssertionError("a script resets its own environments")

    def step(self, action: Any) -> Step:
        """Never called."""
        raise AssertionError("a script steps its own environments")

    def difficulty_space(self) -> DifficultySpace | None:
        """None: orders about difficulty are refused."""
        return None

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """Never called."""
        raise AssertionError("a script has no difficulty")

    def evaluate(self, policy: Any, *, part: str, episodes: int, seed: int) -> PartResult:
        """Never called."""
        raise AssertionError("a script evaluates by itself")

    def baselines(self) -> dict[str, float]:
        """None known."""
        return {}

    def state_dict(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing."""

    def render_text(self, env: int) -> str:
        """What the script showed last."""
        return self.frame

    def close(self) -> None:
        """Nothing."""
