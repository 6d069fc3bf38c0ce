"""Advice that rests on timings: more environments, threads, larger batches, where they would save time.

Timings come out otherwise each time, so all of this stands with the wall clock: in a part of the state that no rerun
compares, under numbers of its own, and it changes nothing in a run. What it proposes is made by a new run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import msgspec

from tui_trainer.core.config import Config, get
from tui_trainer.core.events import AnyEvent, RecommendationAnswered, RecommendationRaised
from tui_trainer.core.format import percent, si
from tui_trainer.core.values import Author, Change, Verdict

FIRST_ID = 9001
"""Numbers of this advice: the others count from 1, and a rerun has to find the same."""
LONG_ENOUGH_S = 20.0
ENOUGH_UPDATES = 10
IN_A_ROW = 2
"""Measurements that must agree: a machine may be busy for a while."""
MANY_ENVS = 4096
SMALL_BATCH_S = 0.002
"""A step of the optimizer faster than this is mostly calls, not arithmetic."""
LARGE_BATCH_S = 0.005
"""One slower than this is arithmetic that more threads can share."""
IDLE = 0.85
"""Cores left over that another thread would need."""
CROWDED = 90.0
"""Percent of all cores from which threads wait for each other."""
KEPT_ANSWERS = 100


class Pace(msgspec.Struct, kw_only=True):
    """What was measured since the last look, and the advice that came of it."""

    seconds: dict[str, float] = {}
    updates: int = 0
    steps: int = 0
    since_s: float = 0.0
    """Seconds of running at the last look."""
    cores: int = 0
    busy_percent: float = 0.0
    """All cores together, 0..100."""
    own_percent: float = 0.0
    """This process, 100 for each busy core."""
    agreeing: dict[str, int] = {}
    """Measurements in a row that proposed the same, by subject."""
    next_id: int = FIRST_ID
    open: tuple[RecommendationRaised, ...] = ()
    verdicts: dict[str, Verdict] = {}
    quiet_until: dict[str, int] = {}
    """Update up to which a rejected subject stays quiet."""


class Measured(msgspec.Struct, frozen=True):
    """One look at it: seconds altogether and by phase, of so many updates."""

    total_s: float
    seconds: dict[str, float]
    updates: int
    steps: int
    cores: int
    busy_percent: float
    own_percent: float

    def share(self, phase: str) -> float:
        """Of the whole time."""
        return self.seconds.get(phase, 0.0) / self.total_s

    @property
    def where(self) -> str:
        """The whole, for a person to check against the chart of phases."""
        parts = ", ".join(f"{name} {percent(self.share(name), 0)}" for name in ("env", "forward", "learn", "evaluate"))
        return f"{self.updates} updates in {self.total_s:.0f} s: {parts}; {si(self.steps / self.total_s)} steps/s"


class Wish(msgspec.Struct, frozen=True):
    """What would save time."""

    key: str
    old: int
    new: int
    why: str
    spared: float
    """Share of the time that it saves at best."""

    @property
    def subject(self) -> str:
        return self.key.split(".")[1]


# --- measuring -------------------------------------------------------------------------------------------------------


def spent(pace: Pace, seconds: Mapping[str, float], *, updates: int = 0, steps: int = 0) -> None:
    """Time spent in phases."""
    pace.seconds = {**pace.seconds, **{name: pace.seconds.get(name, 0.0) + s for name, s in seconds.items()}}
    pace.updates += updates
    pace.steps += steps


def begin(pace: Pace, elapsed_s: float) -> None:
    """Measure anew from here."""
    pace.seconds, pace.updates, pace.steps, pace.since_s = {}, 0, 0, elapsed_s


def _look(pace: Pace, elapsed_s: float) -> Measured | None:
    """The measurement, where it is long enough; the next one begins with it."""
    total_s = max(elapsed_s - pace.since_s, sum(pace.seconds.values()))
    if total_s < LONG_ENOUGH_S or pace.updates < ENOUGH_UPDATES:
        return None
    found = Measured(total_s, pace.seconds, pace.updates, pace.steps, pace.cores, pace.busy_percent, pace.own_percent)
    begin(pace, elapsed_s)
    return found


# --- advice ----------------------------------------------------------------------------------------------------------


def advise(pace: Pace, config: Config, *, update: int, elapsed_s: float) -> list[AnyEvent]:
    """New recommendations, where two measurements in a row agree."""
    measured = _look(pace, elapsed_s)
    if measured is None:
        return []
    wishes = {wish.subject: wish for wish in _wishes(measured, config)}
    pace.agreeing = {subject: pace.agreeing.get(subject, 0) + 1 for subject in wishes}
    taken = {raised.subject for raised in pace.open} | {s for s, until in pace.quiet_until.items() if update <= until}
    due = [wish for subject, wish in wishes.items() if subject not in taken and pace.agreeing[subject] >= IN_A_ROW]
    return [_raised(pace, wish, measured, update + config.continuous.expires_updates) for wish in due]


def _wishes(found: Measured, config: Config) -> Iterator[Wish]:
    algorithm, threads = config.run.algorithm, config.run.threads
    if algorithm not in ("ppo", "dqn"):
        return
    envs = int(get(config, f"{algorithm}.num_envs"))
    forward, learn = found.share("forward"), found.share("learn")
    if forward > 0.3 and 2 * envs <= MANY_ENVS:
        why = f"the forward pass takes {percent(forward, 0)} of the time and serves {envs} environments at a time"
        yield Wish(f"{algorithm}.num_envs", envs, 2 * envs, why, forward / 2)
    if algorithm == "ppo":
        yield from _of_batches(found, config, learn)
    idle = found.cores * (1 - found.busy_percent / 100)
    if threads > 1 and found.busy_percent > CROWDED and found.own_percent < 60 * threads:
        got, busy = found.own_percent / 100, found.busy_percent
        why = f"{threads} threads got {got:.1f} cores: all {found.cores} are {busy:.0f} % busy"
        yield Wish("run.threads", threads, 1, why, 0.0)
    elif learn > 0.5 and found.cores > threads and idle >= IDLE and _batch_s(found, config) > LARGE_BATCH_S:
        why = f"learning takes {percent(learn, 0)} of the time, and {idle:.1f} of {found.cores} cores were idle"
        yield Wish("run.threads", threads, threads + 1, why, learn * (1 - threads / (threads + 1)))


def _of_batches(found: Measured, config: Config, learn: float) -> Iterator[Wish]:
    size, each_s = config.ppo.batch_size, _batch_s(found, config)
    if learn > 0.6 and 0 < each_s < SMALL_BATCH_S and 2 * size <= config.ppo.num_envs * config.ppo.n_steps:
        why = (
            f"learning takes {percent(learn, 0)} of the time, {1000 * each_s:.2f} ms for each batch of {size}: "
            "that is mostly calls"
        )
        yield Wish("ppo.batch_size", size, 2 * size, why, learn / 2)


def _batch_s(found: Measured, config: Config) -> float:
    """Seconds of one step of the optimizer."""
    ppo, dqn = config.ppo, config.dqn
    if config.run.algorithm == "ppo":
        steps = ppo.n_epochs * math.ceil(ppo.num_envs * ppo.n_steps / ppo.batch_size)
    else:
        steps = dqn.gradient_steps
    return found.seconds.get("learn", 0.0) / (found.updates * max(1, steps))


def _raised(pace: Pace, wish: Wish, found: Measured, expires: int) -> RecommendationRaised:
    name = wish.key.split(".")[1]
    label = f"{name} {wish.old} → {wish.new}"
    gain = f"1 to {1 / (1 - wish.spared):.2f} times the steps a second" if wish.spared else "threads that do not wait"
    raised = RecommendationRaised(
        id=pace.next_id,
        rule="pace",
        subject=wish.subject,
        title=f"{label}, in a fork",
        change=Change(key=f"fork.{wish.key}", old=float(wish.old), new=float(wish.new), label=label),
        evidence=(wish.why, found.where),
        expected=f"{gain}; needs a new run, whose bits are others: compare with `tui-trainer ab` before you keep it",
        confidence=min(0.9, 0.5 + wish.spared) if wish.spared else 0.7,
        expires_update=expires,
        timed=True,
    )
    pace.next_id += 1
    pace.open = (*pace.open, raised)
    return raised


# --- answers ---------------------------------------------------------------------------------------------------------


def is_timed(number: int) -> bool:
    """Whether a recommendation's number is one of these."""
    return number >= FIRST_ID


def find(pace: Pace, number: int) -> RecommendationRaised | None:
    """The open one with this number."""
    return next((raised for raised in pace.open if raised.id == number), None)


def expire(pace: Pace, update: int) -> list[AnyEvent]:
    """Close those whose time has run out."""
    late = [raised.id for raised in pace.open if update >= raised.expires_update]
    return [close(pace, number, "expired", "adviser", f"not answered until update {update}") for number in late]


def withdraw_stale(pace: Pace, config: Config) -> list[AnyEvent]:
    """Close those whose setting is another by now, as after a resume that brings it."""
    stale = [r.id for r in pace.open if float(get(config, r.change.key.removeprefix("fork."))) != r.change.old]
    return [close(pace, number, "withdrawn", "adviser", "its starting point has changed") for number in stale]


def close(pace: Pace, number: int, verdict: Verdict, by: Author, note: str = "") -> RecommendationAnswered:
    """No longer open."""
    pace.open = tuple(raised for raised in pace.open if raised.id != number)
    pace.verdicts = dict(list({**pace.verdicts, str(number): verdict}.items())[-KEPT_ANSWERS:])
    return RecommendationAnswered(id=number, verdict=verdict, by=by, note=note)
