"""How episodes end."""

from __future__ import annotations

import contextlib

import numpy as np

from tui_trainer.core.protocols import Step
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.checks.kit import ENVS, SEED, STEPS, Kit, random_play, require
from tui_trainer.tasks.playing import RandomPlayer, difference


def ends_hand_over_the_last_observation(kit: Kit) -> str:
    """`final_obs` is the true last observation where an episode ends, and `obs` elsewhere."""
    seen = _Ends()
    with contextlib.closing(kit.make(ENVS)) as task:
        start = task.reset(SEED)
        before = start.obs
        for t, step in enumerate(random_play(task, start, 3 * STEPS)):
            ended = (step.terminated | step.truncated) & step.valid
            going = np.flatnonzero(~ended & step.valid)
            same = np.array_equal(step.final_obs[going], step.obs[going])
            require(same, f"final_obs differs from obs where no episode ended, at step {t}")
            seen.look(before, step, ended)
            before = step.obs
            if seen.ends >= 50:
                break
    return seen.verdict()


class _Ends:
    """Compares each end's `final_obs` with the observation before it and with the new episode's first.

    Where the new episode begins one step later, that next row is not valid: such an end is not among the `followed`.
    """

    def __init__(self) -> None:
        self.ends = self.stale = self.followed = self.new = 0
        self._last: tuple[Step, Array] | None = None

    def look(self, before: Array, step: Step, ended: Array) -> None:
        if self._last is not None:
            last, rows = self._last
            follow = rows[step.valid[rows]]
            self.followed += len(follow)
            self.new += sum(np.array_equal(last.final_obs[row], last.obs[row]) for row in follow)
        rows = np.flatnonzero(ended)
        self.ends += len(rows)
        self.stale += sum(np.array_equal(step.final_obs[row], before[row]) for row in rows)
        self._last = step, rows

    def verdict(self) -> str:
        if not self.ends:
            return f"no episode ended within {3 * STEPS} steps of {ENVS} environments: not checked"
        require(not 0 < self.followed == self.new, f"final_obs is the new episode's first observation in all of "
                 f"{self.new} ends: the last one is lost")  # fmt: skip
        require(self.stale < self.ends, f"final_obs is the observation before the last step in all {self.ends} ends")
        return f"{self.ends} ends"


def a_limit_truncates(kit: Kit) -> str:
    """With a limit of k steps an episode is as without, and ends as truncated after step k, last observation kept."""
    if kit.limited is None:
        return "no limit can be set: not checked"
    limit = _half_an_episode(kit)
    with contextlib.closing(kit.make(ENVS)) as free, contextlib.closing(kit.limited(ENVS, limit)) as limited:
        start, begun = free.reset(SEED), limited.reset(SEED)
        require(np.array_equal(start.obs, begun.obs), "a limit changes the first observation")
        ended = np.zeros(ENVS, np.bool_)
        player = RandomPlayer(free.spec, SEED)
        obs, mask = start.obs, start.mask
        for t in range(1, limit + 1):
            action = player.act(obs, mask)
            one, other = free.step(action), limited.step(action)
            if t < limit:
                changed = difference(one, other)
                require(not changed, f"a limit of {limit} steps changes {changed} at step {t}")
            ended |= (one.terminated | one.truncated) if t < limit else False
            obs, mask = one.obs, one.mask
    return _compare_at_limit(one, other, np.flatnonzero(~ended), limit)


def _compare_at_limit(free: Step, limited: Step, rows: Array, limit: int) -> str:
    """`rows` are in their first episode, at its step `limit`."""
    over = free.terminated[rows] | free.truncated[rows]
    cut = rows[~over]
    require(np.array_equal(free.terminated[rows], limited.terminated[rows]), "a limit is reported as terminated")
    require(not (limited.terminated & limited.truncated).any(), "an end on the limit's last step is truncated as well")
    require(bool(limited.truncated[cut].all()), f"an episode goes on after its limit of {limit} steps: truncation lost")
    kept = np.array_equal(limited.final_obs[cut], free.final_obs[cut])
    require(kept, "final_obs of a truncated episode is not its true last observation")
    return f"{len(cut)} episodes cut after {limit} steps"


def _half_an_episode(kit: Kit) -> int:
    """A limit that cuts most first episodes: half the length of the shorter ones."""
    with contextlib.closing(kit.make(ENVS)) as task:
        for t, step in enumerate(random_play(task, task.reset(SEED), 200), start=1):
            if (step.terminated | step.truncated).sum() >= 2:
                return max(1, t // 2)
    return 50
