"""Evaluations stand apart from training."""

from __future__ import annotations

import contextlib
import math

from tui_trainer.core.protocols import HasFinal
from tui_trainer.core.values import PartResult
from tui_trainer.errors import UsageError
from tui_trainer.tasks.checks.kit import ENVS, TAIL, Broken, Kit, after, random_play, require
from tui_trainer.tasks.playing import LinearPlayer, RandomPlayer, difference, digest


def evaluation_leaves_training_as_it_was(kit: Kit) -> str:
    """Neither the state nor the next transitions change."""
    with contextlib.closing(kit.make(ENVS)) as task, contextlib.closing(kit.make(ENVS)) as twin:
        player = LinearPlayer(task.spec, 1)
        last, same = after(task, 25), after(twin, 25)
        for part in task.spec.parts:
            before = digest(task.state_dict())
            task.evaluate(player, part=part, episodes=4, seed=7)
            require(digest(task.state_dict()) == before, f"evaluate(part={part!r}) changes state_dict()")
        for t, (a, b) in enumerate(zip(random_play(task, last, TAIL), random_play(twin, same, TAIL))):
            changed = difference(a, b)
            require(not changed, f"{changed} differ {t} steps after an evaluation from those without one")
    return f"{len(task.spec.parts)} parts"


def evaluation_repeats(kit: Kit) -> str:
    """The same policy and seed give the same result, over as many episodes as were asked for."""
    with contextlib.closing(kit.make(ENVS)) as task:
        for part in task.spec.parts:
            one, again = (
                task.evaluate(RandomPlayer(task.spec, 1), part=part, episodes=6, seed=7) for _ in ("once", "again")
            )
            require(one == again, f"two evaluations of {part!r} with one seed differ")
            _require_result(one, part)
            if isinstance(task, HasFinal):
                _require_result(task.final().evaluate(RandomPlayer(task.spec, 1), part=part, episodes=6, seed=7), part)
        with contextlib.suppress(UsageError):
            task.evaluate(RandomPlayer(task.spec, 1), part="no such part", episodes=2, seed=7)
            raise Broken("evaluate accepts a part that the spec does not name; raise UsageError")
    return f"{len(task.spec.parts)} parts"


def _require_result(result: PartResult, part: str) -> None:
    require(result.episodes == 6, f"{part!r}: {result.episodes} episodes were played, 6 asked for")
    numbers = (result.mean, result.std, result.min, result.max)
    require(all(map(math.isfinite, numbers)), f"{part!r}: mean, std, min or max is not finite")
    require(result.min <= result.mean + 1e-6 and result.mean <= result.max + 1e-6, f"{part!r}: mean outside min..max")
    rates = [result.win_rate, result.draw_rate, result.loss_rate]
    if None not in rates:
        require(math.isclose(sum(r for r in rates if r is not None), 1.0), f"{part!r}: the rates do not add up to 1")
