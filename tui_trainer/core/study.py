"""A study as people see it: its trials, the best, what mattered. Plain values; Optuna is not needed to read them."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tui_trainer.core.config import Scalar

TrialState: TypeAlias = Literal["complete", "pruned", "failed", "running", "waiting"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One trial."""

    number: int
    state: TrialState
    value: float | None
    """Score of the last reference evaluation that counted; of a running one, the newest so far."""
    params: dict[str, Scalar]
    session: str = ""
    note: str = ""
    retry_of: int | None = None
    evaluations: int = 0
    """How many the pruner has seen."""
    by_hand: bool = False
    """A person put it into the queue: it comes on top of the trials that were asked for."""


class StudyView(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a study."""

    name: str
    higher_is_better: bool = True
    seed: int = 0
    target: int = 0
    """Trials that were asked for; 0 where nobody has yet."""
    pid: int | None = None
    """The process that runs it on this machine; None while nobody does."""
    trials: tuple[Trial, ...] = ()
    importance: dict[str, float] = {}
    """Share of the difference between good and ordinary trials, by setting; empty before there are enough trials."""

    @property
    def best(self) -> Trial | None:
        """The best complete trial; the earliest of equals."""
        complete = [trial for trial in self.trials if trial.state == "complete" and trial.value is not None]
        sign = 1.0 if self.higher_is_better else -1.0
        return max(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)

    @property
    def ended(self) -> int:
        """Trials that ended for good; what a person put in counts beside the target, not towards it."""
        retried = {trial.retry_of for trial in self.trials}
        return sum(
            trial.state in ("complete", "pruned", "failed") and trial.number not in retried and not trial.by_hand
            for trial in self.trials
        )

    def count(self, state: TrialState) -> int:
        """How many are so now."""
        return sum(trial.state == state for trial in self.trials)


def best_so_far(view: StudyView) -> list[tuple[int, float]]:
    """(trial, best score of the complete trials up to it), in order of their numbers."""
    sign = 1.0 if view.higher_is_better else -1.0
    found: list[tuple[int, float]] = []
    for trial in view.trials:
        if trial.state != "complete" or trial.value is None:
            continue
        before = found[-1][1] if found else trial.value
        found.append((trial.number, sign * max(sign * before, sign * trial.value)))
    return found
