"""Whether an exported model acts as the policy it was made of, on observations of the task itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnxruntime

from tui_trainer.algorithms.arrays import Array, Bool
from tui_trainer.algorithms.policies import FrozenPolicy, GreedyPolicy
from tui_trainer.core.protocols import Task, TaskSpec


class Comparison(NamedTuple):
    """Over so many observations: how many actions were equal, and the largest difference of any number."""

    observations: int
    equal: int
    difference: float


def compare(data: bytes, policy: FrozenPolicy | GreedyPolicy, task: Task, count: int, seed: int) -> Comparison:
    """Random legal play from `seed`; a box action counts as equal within 1e-5 of its range."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    rng, spec = np.random.default_rng(seed), task.spec
    seen, equal, difference = 0, 0, 0.0
    now = task.reset(seed)
    obs, mask = now.obs, now.mask
    while seen < count:
        rows = slice(0, count - seen)
        same, apart = _compared(session, policy, spec, obs[rows], None if mask is None else mask[rows])
        seen, equal, difference = seen + len(obs[rows]), equal + same, max(difference, apart)
        step = task.step(_random(rng, spec, mask))
        obs, mask = step.obs, step.mask
    return Comparison(seen, equal, difference)


def _compared(session: Any, policy: FrozenPolicy | GreedyPolicy, spec: TaskSpec, obs: Array, mask: Bool | None) -> Any:
    fed = {"obs": obs} if mask is None else {"obs": obs, "mask": mask}
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, fed), strict=True))
    action = policy.act(obs, mask)
    if spec.action == "box":
        apart = np.abs(found["action"] - action).max(1)
        span = spec.action_high - spec.action_low
        same = int((apart <= 1e-5 * (span if np.isfinite(span) else 1.0)).sum())
    else:
        same = int((found["action"] == action).sum())
    pairs = [(found[name], numbers(obs, mask)) for name, numbers in _numbers(policy).items() if name in found]
    return same, max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)


def _numbers(policy: FrozenPolicy | GreedyPolicy) -> dict[str, Any]:
    if isinstance(policy, GreedyPolicy):
        return {"action_values": policy.values}
    return {"probabilities": policy.probabilities, "value": lambda obs, mask: policy.value(obs)}


def _random(rng: np.random.Generator, spec: TaskSpec, mask: Bool | None) -> Array:
    if spec.action == "box":
        low, high = np.nan_to_num([spec.action_low, spec.action_high], posinf=1.0, neginf=-1.0)
        return rng.uniform(low, high, (spec.num_envs, spec.n)).astype(np.float32)
    draws = rng.random((spec.num_envs, spec.n))
    chosen: Array = (draws if mask is None else np.where(mask, draws, -1.0)).argmax(1)
    return chosen
