"""What the numbers may be."""

from __future__ import annotations

import contextlib
import copy

import numpy as np

from tui_trainer.core.protocols import Step
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.checks.kit import ENVS, SEED, STEPS, Kit, random_play, require
from tui_trainer.tasks.failures import broken
from tui_trainer.tasks.playing import difference


def masks_leave_a_legal_action(kit: Kit) -> str:
    """No decision is without a legal action."""
    with contextlib.closing(kit.make(ENVS)) as task:
        if not task.spec.masked:
            return "no masks"
        start = task.reset(SEED)
        _require_legal(start.mask, "reset")
        for t, step in enumerate(random_play(task, start, 400)):
            _require_legal(step.mask, f"step {t}")
    return "400 steps"


def _require_legal(mask: Array | None, where: str) -> None:
    require(mask is not None, f"there is no mask at {where}")
    assert mask is not None
    empty = np.flatnonzero(~mask.any(axis=1))
    require(not len(empty), f"the mask of environment {empty[:1]} has no legal action at {where}")


def numbers_are_finite(kit: Kit) -> str:
    """Observations and rewards hold neither NaN nor infinity."""
    with contextlib.closing(kit.make(ENVS)) as task:
        start = task.reset(SEED)
        _require_finite("obs", start.obs, "reset")
        for t, step in enumerate(random_play(task, start, 400)):
            for name in ("obs", "final_obs", "reward"):
                _require_finite(name, getattr(step, name), f"step {t}")
    return "400 steps"


def _require_finite(name: str, array: Array, where: str) -> None:
    if array.dtype.kind == "f":
        bad = np.argwhere(~np.isfinite(array))
        require(not len(bad), f"{name} of environment {bad[:1, 0]} is not finite at {where}")


def flags_agree(kit: Kit) -> str:
    """An episode ends in one way; outcomes belong to ends; a row that is no transition carries nothing."""
    ends = 0
    with contextlib.closing(kit.make(ENVS)) as task:
        spec = task.spec
        for t, step in enumerate(random_play(task, task.reset(SEED), 400)):
            ended = (step.terminated | step.truncated) & step.valid
            ends += int(ended.sum())
            require_none(step.terminated & step.truncated, "is terminated and truncated", t)
            require_none((step.outcome != 0) & ~ended, "has an outcome without an end", t)
            require_failures_told(step, t)
            require_none((step.outcome < 0) | (step.outcome > len(spec.outcomes)), "has an unnamed outcome", t)
            rewarded = ~step.valid & (step.terminated | (step.reward != 0))
            require_none(rewarded, "is not valid, yet ends or is rewarded", t)
    return f"{ends} ends in {400 * ENVS} steps"


def require_failures_told(step: Step, t: int) -> None:
    """A row that ends without being a transition is an episode that broke, and `failures` says why."""
    rows = np.flatnonzero(broken(step))
    told = f"environment {rows[:1]} ends at step {t} without being valid: say why in failures, or set valid"
    require(bool(len(rows)) <= bool(step.failures), told)
    lost = f"failures tells of a broken episode at step {t}, but no row is truncated and not valid"
    require(bool(step.failures) <= bool(len(rows)), lost)


def require_none(rows: Array, what: str, t: int) -> None:
    bad = np.flatnonzero(rows)
    require(not len(bad), f"environment {bad[:1]} {what} at step {t}")


def no_episode_breaks(kit: Kit) -> str:
    """Episodes that break cost no run, but the author must know."""
    count, why = 0, ""
    with contextlib.closing(kit.make(ENVS)) as task:
        for t, step in enumerate(random_play(task, task.reset(SEED), STEPS)):
            require_failures_told(step, t)
            count += int(np.count_nonzero(broken(step)))
            why = step.failures[0] if step.failures and not why else why
    require(count == 0, f"{count} episodes broke, the first by {why}")
    return f"{STEPS} steps"


def arrays_stay_as_handed_out(kit: Kit) -> str:
    """A later step does not overwrite an earlier one's arrays."""
    with contextlib.closing(kit.make(ENVS)) as task:
        kept: list[tuple[int, Step, Step]] = []
        for t, step in enumerate(random_play(task, task.reset(SEED), 50)):
            kept.append((t, step, copy.deepcopy(step)))
        for t, step, as_it_was in kept:
            changed = difference(step, as_it_was)
            require(not changed, f"{changed} of step {t} changed afterwards: hand out copies")
    return "50 steps"
