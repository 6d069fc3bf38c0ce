"""Running statistics of finished episodes, from whole rollouts at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from tui_trainer.algorithms.arrays import as_tensor, copy_into, take
from tui_trainer.algorithms.rollout import Rollout
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.values import Metrics

WINDOW = 100
GAMES = 1000


class Episodes:
    """Windows over the last 100 episodes and the last 1000 games; outcomes are counted from the start, too. A
    two-player return is the first player's."""

    def __init__(self, spec: TaskSpec) -> None:
        self._outcomes = spec.outcomes
        self._returns = np.zeros(spec.num_envs, np.float64)
        self._lengths = np.zeros(spec.num_envs, np.int64)
        self._last_returns: deque[float] = deque(maxlen=WINDOW)
        self._last_lengths: deque[int] = deque(maxlen=WINDOW)
        self._last_outcomes: deque[int] = deque(maxlen=GAMES)
        self._totals = [0] * (len(spec.outcomes) + 1)
        """Games of the whole run by outcome."""

    def add(self, rollout: Rollout) -> None:
        """Count a full rollout's rewards, lengths, episode ends and outcomes."""
        sign = np.where(rollout.to_move[:-1] == 1, -1.0, 1.0)
        returns = np.cumsum(rollout.reward * sign * rollout.valid, axis=0)
        lengths = np.cumsum(rollout.valid, axis=0)
        over = rollout.terminated | rollout.truncated
        ends = over & rollout.valid
        finished = []
        env, time = np.nonzero(over.T)
        for i, t in zip(env.tolist(), time.tolist(), strict=True):
            total, count = returns[t, i], lengths[t, i]
            if ends[t, i]:  # an episode that broke counts for nothing
                finished.append((t, i, self._returns[i] + total, int(self._lengths[i] + count)))
            self._returns[i], self._lengths[i] = -total, -count
        self._returns += returns[-1]
        self._lengths += lengths[-1]
        last = sorted(finished)[-WINDOW:]
        counts = np.bincount(rollout.outcome[ends], minlength=len(self._totals)).tolist()
        outcomes = rollout.outcome[ends].tolist()[-GAMES:]
        self.note([float(total) for *_, total, _ in last], [count for *_, count in last], outcomes, counts)

    def note(self, returns: list[float], lengths: list[int], outcomes: list[int], counts: list[int]) -> None:
        """Returns and lengths of the last episodes that ended, the last games' outcomes, and how many had each."""
        self._last_returns.extend(returns)
        self._last_lengths.extend(lengths)
        self._last_outcomes.extend(outcomes)
        self._totals = [old + new for old, new in zip(self._totals, counts, strict=True)]

    def metrics(self) -> Metrics:
        """`rollout/ep_rew_mean`, `rollout/ep_len_mean` and `game/*_rate`; nothing before the first episode end."""
        found: Metrics = {}
        if self._last_returns:
            found["rollout/ep_rew_mean"] = float(np.mean(self._last_returns))
            found["rollout/ep_len_mean"] = float(np.mean(self._last_lengths))
        if self._outcomes and self._last_outcomes:
            counts = np.bincount(self._last_outcomes, minlength=len(self._outcomes) + 1)
            for name, count in zip(self._outcomes, counts[1:].tolist(), strict=False):
                found[f"game/{name}_rate"] = count / len(self._last_outcomes)
            for name, total in zip(self._outcomes, self._totals[1:], strict=True):
                found[f"game/{name}_total"] = total / max(1, sum(self._totals))
        return found

    def state_dict(self) -> dict[str, object]:
        return {
            "returns": as_tensor(self._returns),
            "lengths": as_tensor(self._lengths),
            "last_returns": list(self._last_returns),
            "last_lengths": list(self._last_lengths),
            "last_outcomes": list(self._last_outcomes),
            "totals": list(self._totals),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        copy_into(self._returns, state, "returns")
        copy_into(self._lengths, state, "lengths")
        self._last_returns = deque(take(state, "last_returns"), maxlen=WINDOW)
        self._last_lengths = deque(take(state, "last_lengths"), maxlen=WINDOW)
        self._last_outcomes = deque(take(state, "last_outcomes"), maxlen=GAMES)
        held = state.get("totals", self._totals)  # absent in checkpoints of earlier versions: counted from here on
        assert isinstance(held, list)
        self._totals = [int(total) for total in held]
