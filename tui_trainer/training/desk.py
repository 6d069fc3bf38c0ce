"""What a decision is made on: configuration, task, memory and adviser, in one place.

The TrainingManager owns the desk and says when something happens; `obeying`, `answering`, `trying`, `staging`,
`evaluating` and `ending` say what happens then. Nothing here decides anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tui_trainer.core.conditions import Condition, parse_condition
from tui_trainer.core.config import Config
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.reports import HostReport
from tui_trainer.core.values import BranchName, DifficultySpace, Metrics, Reason
from tui_trainer.errors import ConfigError
from tui_trainer.training.continuous import ContinuousTraining
from tui_trainer.training.modes import Mode
from tui_trainer.training.state import ManagerState, WallState
from tui_trainer.training.termination import Progress
from tui_trainer.training.trial import Trying


class Refused(Exception):
    """An order that changes nothing; the text is for the person who gave it."""


@dataclass(slots=True)
class Desk:
    """One run's decisions: what was asked for, what is remembered, how it ended."""

    base: Config
    """As the run was started."""
    config: Config
    """With what was set since."""
    spec: TaskSpec
    space: DifficultySpace | None
    mode: Mode
    adviser: ContinuousTraining
    state: ManagerState
    wall: WallState
    host: HostReport
    """What may be done with the loop: everything, unless it is a script's own."""
    is_sound: bool = True
    """False where a script left its loop in the middle of something: its state is not to be saved."""
    reason: Reason | None = None
    """Why the run is over; None while it is not."""
    end_branch: BranchName | None = None
    """What was kept of a try that the end cut off: the run ends with it."""

    @property
    def is_paused(self) -> bool:
        """True while training waits."""
        return bool(self.wall.holds) and self.reason is None

    @property
    def probed(self) -> Trying | None:
        """The try whose change the state at hand has, while it is not decided."""
        tried = self.state.trying
        return tried if tried is not None and tried.is_probing else None

    @property
    def is_probing(self) -> bool:
        """True while the state at hand is that of a change whose try is not decided."""
        return self.probed is not None

    @property
    def is_intelligent(self) -> bool:
        """Whether plateau and degradation may end the run."""
        return self.mode.intelligent and self.config.manager.termination.intelligent

    @property
    def metrics(self) -> Metrics:
        """Latest value of every metric, evaluations and what callbacks told included."""
        return {**self.state.metrics, **self.wall.told}

    @property
    def facts(self) -> Metrics:
        """What a condition may name: metrics, `update`, `global_step` and `episodes`."""
        s = self.state
        counted = {"update": s.update, "global_step": s.global_step, "episodes": s.episodes}
        return {**self.metrics, **{name: float(value) for name, value in counted.items()}}

    @property
    def progress(self) -> Progress:
        """What limits count."""
        s = self.state
        return Progress(s.update, s.global_step, s.episodes, self.wall.elapsed_s)

    def measure(self, metrics: Metrics) -> None:
        """Remember the latest values, as floats so that a saved state has the same bits; timings decide nothing.

        What a task tells beside its steps may be anything, a timing, too: it stands with what callbacks tell.
        """
        kept = {k: finite(v) for k, v in metrics.items() if not k.startswith(("time/", "system/"))}
        told = {k: v for k, v in kept.items() if k.startswith("task/")}
        self.state.metrics.update({k: v for k, v in kept.items() if k not in told})
        if told:
            self.wall.told = {**self.wall.told, **told}


def finite(value: float | None) -> float | None:
    """A float, or None for what is not finite."""
    return float(value) if value is not None and math.isfinite(value) else None


def condition(text: str) -> Condition:
    """The condition of an order or a stage. Raises Refused with what is wrong about it."""
    try:
        return parse_condition(text)
    except ConfigError as error:
        raise Refused(str(error)) from None
