"""A short run of the real engine, to see where its time goes and what would help."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from tui_trainer.algorithms import num_envs_of
from tui_trainer.core.config import Config
from tui_trainer.core.events import AnyEvent, CheckpointSaved, EvaluationFinished, RunEnded, UpdateFinished
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions.store import Session
from tui_trainer.studies.engines import POLL_S, Follower

PHASES = ("env", "forward", "learn", "evaluate", "save", "wait")
OTHER = "other"
_WARM_UP = 1
"""Journalled sums that are left out at the start, where there are others."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the seconds looked at."""

    seconds: float
    updates: int
    steps: int
    phases: dict[str, float]
    """Seconds by phase; `other` is what no phase accounts for: events, orders, the loop itself."""
    evaluations: int
    saves: int
    save_s: float
    """Mean seconds of a save on its own thread, beside training."""

    @property
    def sps(self) -> float:
        """Environment steps a second."""
        return self.steps / self.seconds

    def share(self, phase: str) -> float:
        """Of the time looked at."""
        return self.phases.get(phase, 0.0) / self.seconds


def measure(session: Session) -> Profile:
    """Run the session to its limit and sum up its phases. Raises TuiTrainerError where it failed or did no update."""
    follower, events = Follower(session), list[AnyEvent]()
    try:
        while not follower.has_ended:
            events += follower.news()
            time.sleep(POLL_S)
    except BaseException:
        follower.stop()
        raise
    events += follower.news()
    if follower.exit_code:
        raise _failure(events, follower.exit_code)
    return profile_of(events)


def _failure(events: Iterable[AnyEvent], code: int) -> TuiTrainerError:
    ends = [event.reason for event in events if isinstance(event, RunEnded)]
    error = TuiTrainerError(f"the run failed: {ends[-1].evidence if ends else 'it told nothing'}")
    error.exit_code = max(1, code)
    return error


def profile_of(events: Sequence[AnyEvent]) -> Profile:
    """From a run's events. Raises TuiTrainerError where there was no update to look at."""
    sums = [event for event in events if isinstance(event, UpdateFinished)]
    first, looked_at = (sums[0], sums[_WARM_UP:]) if len(sums) > _WARM_UP else (None, sums)
    if not looked_at or looked_at[-1].elapsed_s <= (first.elapsed_s if first else 0.0):
        raise TuiTrainerError("the run was too short for an update", "give it more time: --seconds 30")
    seconds = looked_at[-1].elapsed_s - (first.elapsed_s if first else 0.0)
    phases = {name: sum(event.seconds.get(name, 0.0) for event in looked_at) for name in PHASES}
    since, until = first.seq if first else 0, looked_at[-1].seq
    saves = [event.seconds for event in events if isinstance(event, CheckpointSaved) and since < event.seq <= until]
    return Profile(
        seconds=seconds,
        updates=sum(event.updates for event in looked_at),
        steps=looked_at[-1].global_step - (first.global_step if first else 0),
        phases={**phases, OTHER: max(0.0, seconds - sum(phases.values()))},
        evaluations=sum(isinstance(event, EvaluationFinished) and since < event.seq <= until for event in events),
        saves=len(saves),
        save_s=sum(saves) / len(saves) if saves else 0.0,
    )


def advice(profile: Profile, config: Config) -> tuple[str, ...]:
    """What would help, the dearest first; nothing where the time goes where it should."""
    ordered = sorted(_advice(profile, config), key=lambda found: -profile.share(found[0]))
    return tuple(text for _, text in ordered)


def _advice(profile: Profile, config: Config) -> Iterator[tuple[str, str]]:
    algorithm = config.run.algorithm
    num_envs = num_envs_of(config)
    share, every = profile.share, config.manager.evaluation.every_updates
    if share("evaluate") > 0.2:
        wish = _rounded(every * 9 * share("evaluate") / (1 - share("evaluate")))
        yield "evaluate", f"manager.evaluation.every_updates={wish} would bring evaluations to about 10 %"
    if share("env") > 0.5:
        yield "env", "the environment is the bound; `tui-trainer doctor --calibrate` tries other numbers of them"
    if share("forward") > 0.3:
        table = algorithm if algorithm in ("ppo", "dqn") else "algorithm"
        yield "forward", f"{table}.num_envs={2 * num_envs} would share each pass among more environments"
    if share("learn") > 0.6 and algorithm == "ppo":
        yield "learn", "the update is the bound, as it should be; fewer ppo.n_epochs or larger ppo.batch_size cost less"
    if share("learn") > 0.6 and algorithm == "dqn":
        yield "learn", "the update is the bound; a larger dqn.train_freq does fewer gradient steps for the same data"
    if share("save") > 0.05:
        saves = max(1, config.manager.checkpoints.every_updates)
        yield "save", f"manager.checkpoints.every_updates={2 * saves} would halve what saves cost training"
    if share("wait") > 0.05:
        yield "wait", "run.step_delay_s makes training wait; it is meant for demonstrations"
    if share(OTHER) > 0.15:
        yield OTHER, "updates are short: a longer rollout (n_steps or num_envs) spreads the loop's own cost"


def _rounded(number: float) -> int:
    """Up to two significant digits."""
    power = int(10 ** max(0, int(math.log10(max(1.0, number))) - 1))
    return math.ceil(number / power) * power
