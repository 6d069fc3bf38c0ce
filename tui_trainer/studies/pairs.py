"""Train two configurations on the same seeds, each run an ordinary session, and compare them at equal steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions.store import Session
from tui_trainer.studies.engines import POLL_S, Curve, Follower


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One seed's two scores, each the newest reference evaluation at or before `step`."""

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


def at_equal_steps(seed: int, a: Curve, b: Curve) -> Pair | None:
    """The pair at the last step that both reached; None where one had no evaluation by then."""
    step = min(a.steps, b.steps)
    first, second = a.at_step(step), b.at_step(step)
    if first is None or second is None:
        return None
    return Pair(seed=seed, step=step, a=first, b=second)
