"""Train two configurations on the same seeds, each run an ordinary session, and compare them at equal steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import msgspec

from tui_trainer import algorithms
from tui_trainer.core.config import Config
from tui_trainer.errors import ConfigError, TuiTrainerError
from tui_trainer.sessions.store import Session
from tui_trainer.studies.engines import POLL_S, Curve, Follower
from tui_trainer.training.modes import MODES


class Meeting(msgspec.Struct, frozen=True, kw_only=True):
    """Where both are evaluated after equally many steps: after every `a`-th update of A and every `b`-th of B."""

    steps: int
    a: int
    b: int


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One seed's two scores: reference evaluations after `step` environment steps."""

    seed: int
    step: int
    a: float
    b: float


def train_all(sessions: Sequence[Session], jobs: int, tell: Callable[[Session, Curve], None]) -> list[Curve]:
    """Their curves, in order. Raises TuiTrainerError where a run did not reach its end; the others are stopped."""
    curves = {session.name: Curve() for session in sessions}
    waiting, live = list(sessions), list[Follower]()
    try:
        while waiting or live:
            while waiting and len(live) < jobs:
                live.append(Follower(waiting.pop(0)))
            live = [each for each in live if not _ended(each, curves[each.session.name], tell)]
            time.sleep(POLL_S)
    except BaseException:
        for each in live:
            each.stop()
        raise
    return [curves[session.name] for session in sessions]


def _ended(follower: Follower, curve: Curve, tell: Callable[[Session, Curve], None]) -> bool:
    gone = follower.has_ended
    for event in follower.news():
        curve.take(event)
    if not gone:
        return False
    if follower.exit_code or curve.last is None:
        error = TuiTrainerError(
            f"{follower.session.name} ended by {follower.reason or 'a crash'} without a score to compare",
            f"`tui-trainer sessions show {follower.session.name}`",
        )
        error.exit_code = max(1, follower.exit_code)
        raise error
    tell(follower.session, curve)
    return True


def meeting(a: Config, b: Config) -> Meeting | None:
    """Where evaluations of the two can be compared; None where an algorithm from a package does not say its steps.

    Raises ConfigError where one of them ends before there is such a place.
    """
    steps_a, steps_b = algorithms.steps_per_update(a), algorithms.steps_per_update(b)
    if steps_a is None or steps_b is None:
        return None
    steps = (steps_a, steps_b)
    every = [n * config.manager.evaluation.every_updates for n, config in zip(steps, (a, b))]
    common = math.lcm(*every)
    for name, config, of_update in zip("AB", (a, b), steps):
        end = _end(config, of_update)
        if end and not _is_before(common, end, config):
            raise ConfigError(
                f"A is evaluated every {every[0]:,} steps and B every {every[1]:,}: both after {common:,} at first, "
                f"but {name} ends after {end:,}",
                "raise the limit beyond that, or set manager.evaluation.every_updates for equal steps",
            )
    return Meeting(steps=common, a=common // steps_a, b=common // steps_b)


def _end(config: Config, steps: int) -> int:
    """Steps at which a run ends for certain; 0 where only episodes tell."""
    limits = config.manager.termination
    return min((end for end in (limits.max_updates * steps, -(-limits.max_steps // steps) * steps) if end), default=0)


def _is_before(step: int, end: int, config: Config) -> bool:
    """A limit ends a run before the evaluation that is due at it, except in the mode that judges the end."""
    return step < end or (step == end and MODES[config.manager.mode].is_judged)


def at_equal_steps(seed: int, a: Curve, b: Curve, where: Meeting | None = None) -> Pair | None:
    """The pair at the last place where both were evaluated; None where there is none.

    Without such places, at the last step that both reached: the newest evaluation of each at or before it.
    """
    if where is None:
        return _at_last_step(seed, a, b)
    most = min(max(a.points, default=0) // where.a, max(b.points, default=0) // where.b)
    for n in range(most, 0, -1):
        if n * where.a in a.points and n * where.b in b.points:
            return Pair(seed=seed, step=n * where.steps, a=a.points[n * where.a][1], b=b.points[n * where.b][1])
    return None


def _at_last_step(seed: int, a: Curve, b: Curve) -> Pair | None:
    step = min(a.steps, b.steps)
    first, second = a.at_step(step), b.at_step(step)
    if first is None or second is None:
        return None
    return Pair(seed=seed, step=step, a=first, b=second)
