"""Where randomness comes from."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np

from tui_trainer.core.protocols import Task
from tui_trainer.tasks.checks.kit import ENVS, SEED, Kit, random_play, require
from tui_trainer.tasks.playing import difference


def the_same_seed_repeats(kit: Kit) -> str:
    """Two tasks with one seed agree, and so does a used one that is reset."""
    with contextlib.closing(kit.make(ENVS)) as one, contextlib.closing(kit.make(ENVS)) as other:
        for _ in random_play(other, other.reset(SEED + 1), 30):
            pass
        _require_twins(one, other, "with the same seed")
    return "300 steps, fresh against used"


def _require_twins(one: Task, other: Task, what: str) -> None:
    start, begun = one.reset(SEED), other.reset(SEED)
    require(np.array_equal(start.obs, begun.obs), f"first observations differ {what}")
    for t, (a, b) in enumerate(zip(random_play(one, start, 300), random_play(other, begun, 300))):
        changed = difference(a, b)
        require(not changed, f"{changed} differ {what} at step {t}")


def no_hidden_randomness(kit: Kit) -> str:
    """Nothing is drawn from the global generators of `random` and numpy."""
    recorded = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        with contextlib.closing(kit.make(ENVS)) as task:
            before = global_state()
            recorded.append(list(random_play(task, task.reset(SEED), 300)))
            drawn = [name for name, old, new in zip(("random", "numpy.random"), before, global_state()) if old != new]
            require(not drawn, f"draws from the global generator of {' and '.join(drawn)}: use one seeded by reset")
    for t, (a, b) in enumerate(zip(*recorded)):
        changed = difference(a, b)
        require(not changed, f"{changed} at step {t} depend on a global generator or on the clock")
    return "300 steps"


def global_state() -> tuple[object, object]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return random.getstate(), (name, keys.tobytes(), *rest)  # type: ignore[union-attr]


@contextlib.contextmanager
def global_randomness_kept() -> Iterator[None]:
    ours, theirs = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(theirs)
