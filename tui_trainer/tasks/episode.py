"""Any task, one environment of it, step by step: for watching where the task brings no table of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tui_trainer.core.duel import Opinion, Sight
from tui_trainer.core.protocols import Policy, Task
from tui_trainer.core.text import clean
from tui_trainer.errors import UsageError


class EpisodeTable:
    """Shows `render_text`. An ended episode keeps its last picture, since the task has begun the next one by then."""

    sides = ("",)
    rivals = ()

    def __init__(self, task: Task, seed: int) -> None:
        self._task, self._spec, self._seed = task, task.spec, seed
        self._now = task.reset(seed)
        self._fresh = True
        self._begin()

    def start(self) -> None:
        """The next episode; an unfinished one is left."""
        if not self._fresh:
            self._seed += 1
            self._now = self._task.reset(self._seed)
        self._begin()

    def _begin(self) -> None:
        self._steps, self._return, self._result, self._fresh = 0, 0.0, "", True
        self._text = clean(self._task.render_text(0))

    def sight(self) -> Sight:
        """The picture, the steps and the return so far."""
        return Sight(
            text=self._text,
            legal={} if self._result or self._spec.action == "box" else self._legal(),
            ended=bool(self._result),
            result=self._result,
            note=f"step {self._steps}, return {self._return:.4g}",
        )

    def _legal(self) -> dict[str, int]:
        mask = self._now.mask
        actions = range(self._spec.n) if mask is None else np.flatnonzero(mask[0]).tolist()
        return {str(action): int(action) for action in actions}

    def opinion(self, policy: Policy) -> Opinion:
        """Of the present observation."""
        value = float(policy.value(self._now.obs)[0])
        if self._spec.action == "box":
            return Opinion((), value)
        return Opinion(policy.probabilities(self._now.obs, self._now.mask)[0].tolist(), value)

    def choice(self, policy: Policy) -> Any:
        """A number, or a box's vector."""
        return policy.act(self._now.obs, self._now.mask)[0]

    def rival(self, name: str, seed: int) -> Policy:
        """Raises UsageError: there is none."""
        raise UsageError(f"{self._spec.id} has no opponents to watch", "leave --against out")

    def play(self, action: Any) -> None:
        """One step; one that is no transition is passed over."""
        step = self._task.step(np.asarray([action]))
        self._now, self._fresh = step, False  # type: ignore[assignment]  # obs and mask are all that is read
        if not step.valid[0]:
            return
        self._steps += 1
        self._return += float(step.reward[0])
        if step.terminated[0] or step.truncated[0]:
            how = "truncated" if step.truncated[0] else "ended"
            self._result = f"{how} after {self._steps} steps, return {self._return:.4g}"
            self._fresh = True
        else:
            self._text = clean(self._task.render_text(0))

    def take_back(self) -> None:
        """Raises UsageError: an episode goes forward only."""
        raise UsageError(f"{self._spec.id} has no moves to take back")

    def close(self) -> None:
        """The environment's processes and files."""
        self._task.close()
