"""A saved state goes on bit for bit."""

from __future__ import annotations

import contextlib

from tui_trainer.core.protocols import Reset, Step, Task
from tui_trainer.tasks.checks.kit import ENVS, SEED, STEPS, TAIL, Kit, after, random_play, require
from tui_trainer.tasks.checks.shapes import require_step
from tui_trainer.tasks.playing import RandomPlayer, difference, digest


def state_round_trip(kit: Kit) -> str:
    """A new task that loads the state goes on bit for bit: cuts after the reset, amid episodes and on finished ones."""
    with contextlib.closing(kit.make(ENVS)) as task:
        last: Reset | Step = task.reset(SEED)
        if task.spec.resume != "exact":
            return _require_goes_on(kit, task)
        cuts = 0
        for t in range(STEPS):
            ends = isinstance(last, Step) and bool((last.terminated | last.truncated).any())
            if t in (0, 1, 2, STEPS // 2) or t % 250 == 137 or (ends and cuts < 8):
                _require_same_future(kit, task, last, t)
                cuts += 1
            last = task.step(RandomPlayer(task.spec, t).act(last.obs, last.mask))
        _require_same_future(kit, task, last, STEPS)
    return f"{cuts + 1} cuts in {STEPS} steps"


def _require_same_future(kit: Kit, task: Task, last: Reset | Step, t: int) -> None:
    """Compare a loaded task's future with the original's, then put the original back."""
    state = task.state_dict()
    taken = digest(state)
    with contextlib.closing(kit.make(ENVS)) as twin:
        original = list(random_play(task, last, TAIL))
        require(digest(state) == taken, f"a state taken at step {t} changes when the task goes on: copy its arrays")
        twin.load_state_dict(state)
        require(digest(twin.state_dict()) == taken, f"a loaded state of step {t} is not the state that was saved")
        for k, (a, b) in enumerate(zip(original, random_play(twin, last, TAIL))):
            changed = difference(a, b)
            require(not changed, f"{changed} differ {k} steps after a state taken at step {t} was loaded")
        require(digest(twin.state_dict()) == digest(task.state_dict()), f"states differ {TAIL} steps after {t}")
    task.load_state_dict(state)
    require(digest(state) == taken, f"the state of step {t} changes when it is loaded: copy its arrays")


def _require_goes_on(kit: Kit, task: Task) -> str:
    last = after(task, 25)
    state = task.state_dict()
    digest(state)
    with contextlib.closing(kit.make(ENVS)) as twin:
        twin.load_state_dict(state)
        first = twin.step(RandomPlayer(twin.spec, 1).act(last.obs, last.mask))
        require(not first.valid.any(), "after a resume that is not exact the first step must not be valid")
        for t, step in enumerate(random_play(twin, first, TAIL)):
            require_step(twin.spec, step, f"step {t} after a resume")
    return "resume = episode: open episodes start afresh"
