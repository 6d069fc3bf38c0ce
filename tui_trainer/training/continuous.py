"""ContinuousTraining: the adviser. It reads evaluations, recommends, and keeps the record of what became of it.

It enforces nothing: the TrainingManager applies what is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from tui_trainer.core.config import ContinuousSettings
from tui_trainer.core.events import (
    AnyEvent,
    RecommendationAnswered,
    RecommendationRaised,
    RecommendationScored,
)
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.values import Author, Change, Difficulty, DifficultySpace, Expected, Verdict
from tui_trainer.training import forecast
from tui_trainer.training.history import KEPT_POINTS, UNKNOWN, History, Point, Proposal, Rule, Trend
from tui_trainer.training.rules import RULES
from tui_trainer.training.statistics import mean
from tui_trainer.training.trends import assess, sampling_error

SCORED_AFTER = 6
"""Evaluations after acceptance at which the outcome is told."""
BEFORE = 5
"""Evaluations before acceptance that the guard compares with."""
SURE = 2.0
"""Standard errors from the forecast at which a difference is laid to the change."""
GUARD_FALL = 4.0
"""Noise deviations below the score before acceptance, and below its forecast, that call the guard, twice in a row."""
KEPT_ANSWERS = 200
GUARD = "guard"
ELSEWHERE = "fork."
"""Prefix of a change's key where only a new run can make it."""

Outcome = Literal["", "helped", "hurt", "unclear"]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted recommendation and what it is measured by."""

    id: int
    rule: str
    subject: str
    change: Change
    difficulty: Difficulty
    """As it was before."""
    before: float
    """Mean score of the evaluations before."""
    noise: float
    """Standard deviation of one evaluation, as known then."""
    at_evaluation: int
    foretold: float | None = None
    """Mean of the next evaluations as the trend before foretold it; None in older sessions: as before."""
    doubt: float = 0.0
    """Standard error of its difference from what comes."""
    expects: Expected | None = None
    outcome: Outcome = ""
    undone: bool = False
    warned_by: int = 0
    """The guard's recommendation that offers to undo it; 0 = none."""


class AdviserState(msgspec.Struct, kw_only=True):
    """Everything the adviser remembers; plain values only."""

    points: tuple[Point, ...] = ()
    evaluations: int = 0
    """Points ever seen; older ones than the kept are forgotten."""
    changed_at: int = 0
    """Number of evaluations at the last change of difficulty or setting."""
    moved_at: int = 0
    """The same for the difficulty alone: from there on progress and falls count."""
    next_id: int = 1
    open: tuple[RecommendationRaised, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    verdicts: dict[str, Verdict] = {}
    trying: int = 0
    """The open recommendation that is being tried: it neither expires nor is withdrawn; 0 = none."""
    quiet_until: dict[str, int] = {}
    """Evaluation up to which a rejected subject stays quiet."""


class ContinuousTraining:
    """Watches, advises, remembers. Pure in what it is told."""

    def __init__(
        self,
        settings: ContinuousSettings,
        spec: TaskSpec,
        space: DifficultySpace | None,
        *,
        start: Difficulty,
        algorithm: str,
        fixed: Mapping[str, float] | None = None,
        rules: Mapping[str, Rule] = RULES,
    ) -> None:
        self._settings = settings
        self._spec = spec
        self._space = space
        self._start = start
        self._algorithm = algorithm
        self._fixed = dict(fixed or {})
        self._rules = rules
        self._trend: Trend = UNKNOWN
        self.state = AdviserState()

    @property
    def trend(self) -> Trend:
        """The reading of the evaluations so far."""
        return self._trend

    @property
    def record(self) -> dict[str, int]:
        """How many accepted recommendations there were, and how they turned out."""
        outcomes = [a.outcome for a in self.state.accepted]
        return {"accepted": len(outcomes), **{name: outcomes.count(name) for name in ("helped", "hurt", "unclear")}}

    def restore(self, state: AdviserState) -> None:
        """Continue from a saved memory."""
        self.state = state
        self._trend = self._assessed()

    # --- evaluations -----------------------------------------------------------------------------------------

    def add(self, point: Point) -> None:
        """Take in a reference evaluation."""
        self.state.points = (*self.state.points, point)[-KEPT_POINTS:]
        self.state.evaluations += 1
        self._trend = self._assessed()

    def advise(
        self,
        *,
        update: int,
        difficulty: Difficulty,
        settings: dict[str, float],
        subjects: tuple[str, ...] | None,
        silenced: tuple[str, ...] = (),
        best_update: int = 0,
    ) -> list[AnyEvent]:
        """Outcomes that can be told now, then new recommendations.

        `subjects`: those the mode allows, None = all; `silenced`: those that somebody else decides at present.
        """
        events: list[AnyEvent] = [*self._scores()]
        if not self._settings.enabled:
            return events
        history = self._history(difficulty, settings, best_update)
        events += self._warnings(update)
        for name, proposal in self._proposals(history):
            if proposal.subject not in silenced and self._wanted(proposal, subjects):
                events.append(self._raise(name, proposal, update))
        return events

    def changed(self, difficulty: Difficulty, settings: Mapping[str, float]) -> list[AnyEvent]:
        """Something was changed: rules wait for new evaluations, advice that no longer fits is withdrawn."""
        self.state.changed_at = self.state.evaluations
        return [] if self.state.trying else self.withdraw_stale(difficulty, settings)

    def withdraw_stale(self, difficulty: Difficulty, settings: Mapping[str, float]) -> list[AnyEvent]:
        """Close the recommendations whose starting point is no more."""
        stale = [r for r in self.state.open if not _fits(r.change, difficulty, settings)]
        return [self._close(r.id, "withdrawn", "adviser", "its starting point has changed") for r in stale]

    def begin_anew(self) -> None:
        """Count progress and falls from here: what follows is measured against itself, not against before."""
        self.state.moved_at = self.state.evaluations
        self._trend = self._assessed()

    def expire(self, update: int) -> list[AnyEvent]:
        """Close the recommendations whose time has run out."""
        late = [r for r in self.state.open if update >= r.expires_update and r.id != self.state.trying]
        return [self._close(r.id, "expired", "adviser", f"not answered until update {update}") for r in late]

    # --- answers ---------------------------------------------------------------------------------------------

    def objection(self, number: int, verdict: str) -> str:
        """Why this answer cannot be given, in one sentence; empty when it can."""
        found = self.state.verdicts.get(str(number))
        is_open = any(r.id == number for r in self.state.open)
        if not is_open and found is None:
            return f"there is no recommendation {number}"
        if verdict != "undo" and not is_open:
            return f"recommendation {number} is already {found}"
        if verdict != "undo":
            return "" if verdict == "reject" else self.acceptance_objection(self.open(number))
        if found != "accepted":
            return f"recommendation {number} is {found or 'still open'}: only an accepted one can be undone"
        return "" if self.accepted(number) else f"recommendation {number} is too long ago to be undone"

    def acceptance_objection(self, raised: RecommendationRaised) -> str:
        """Why a change cannot be made in this run at all; empty where it can."""
        key = raised.change.key
        if not key.startswith(ELSEWHERE):
            return ""
        setting = f"{key.removeprefix(ELSEWHERE)}={raised.change.new:g}"
        return f"this cannot change while the run is live: `tui-trainer fork NAME --set {setting}` goes on with it"

    def open(self, number: int) -> RecommendationRaised:
        """The open recommendation with this number."""
        return next(r for r in self.state.open if r.id == number)

    def accepted(self, number: int) -> Accepted | None:
        """The accepted recommendation with this number, while it is remembered."""
        return next((a for a in self.state.accepted if a.id == number), None)

    def accept(
        self, number: int, by: Author, difficulty: Difficulty, *, since: int | None = None, note: str = ""
    ) -> AnyEvent:
        """Close as accepted and remember what it will be measured by.

        `difficulty`: as it was before; `since`: the number of evaluations before the change, where it was made earlier.
        """
        raised = self.open(number)
        at_evaluation = self.state.evaluations if since is None else since
        points = self.state.points[: self._index(at_evaluation)]
        coming, noise = forecast.next_mean(points, self._spec, SCORED_AFTER), self._known_noise()
        entry = Accepted(
            id=number,
            rule=raised.rule,
            subject=raised.subject,
            change=raised.change,
            difficulty=difficulty,
            before=mean([p.value for p in points[-BEFORE:]]),
            noise=noise,
            foretold=coming.value,
            doubt=max((coming.high - coming.low) / (2 * forecast.Z80), noise * (1 / BEFORE + 1 / SCORED_AFTER) ** 0.5),
            expects=raised.expects,
            at_evaluation=at_evaluation,
        )
        self.state.accepted = (*self.state.accepted, entry)[-KEPT_ANSWERS:]
        return self._close(number, "accepted", by, note)

    def reject(self, number: int, by: Author, note: str = "") -> AnyEvent:
        """Close as rejected; the subject stays quiet for a while."""
        self._hush(self.open(number).subject)
        return self._close(number, "rejected", by, note)

    def undo(self, number: int, by: Author) -> AnyEvent:
        """Mark an accepted one as undone; the subject stays quiet for a while."""
        self._amend(number, undone=True)
        entry = self.accepted(number)
        if entry is not None:
            self._hush(entry.subject)
        return self._close(number, "undone", by)

    def take_back(self, number: int, by: Author) -> list[AnyEvent]:
        """Mark as undone what the guard's recommendation `number` undoes; nothing for any other recommendation."""
        guarded = next((a.id for a in self.state.accepted if a.warned_by == number and not a.undone), None)
        return [] if guarded is None else [self.undo(guarded, by)]

    # --- inside ----------------------------------------------------------------------------------------------

    def _assessed(self) -> Trend:
        return assess(self.state.points, self._spec, self._space, restart=self._index(self.state.moved_at))

    def _index(self, evaluation: int) -> int:
        """The index among the kept points of the first one after so many evaluations."""
        return max(0, evaluation - (self.state.evaluations - len(self.state.points)))

    def _history(self, difficulty: Difficulty, settings: dict[str, float], best_update: int) -> History:
        return History(
            points=self.state.points,
            trend=self._trend,
            spec=self._spec,
            space=self._space,
            difficulty=difficulty,
            start=self._start,
            floor=self._settings.floor,
            step=self._settings.step,
            algorithm=self._algorithm,
            settings=settings,
            fixed=self._fixed,
            best_update=best_update,
            changed_at=self._index(self.state.changed_at),
        )

    def _proposals(self, history: History) -> list[tuple[str, Proposal]]:
        found = ((name, rule(history)) for name, rule in self._rules.items())
        return [(name, proposal) for name, proposal in found if proposal is not None]

    def _wanted(self, proposal: Proposal, subjects: tuple[str, ...] | None) -> bool:
        """Allowed by the mode, sure enough, not about a subject that is open or quiet."""
        subject = proposal.subject
        if subjects is not None and (subject not in subjects or proposal.timed):
            return False
        if any(r.subject == subject for r in self.state.open):
            return False
        quiet = self.state.quiet_until.get(subject, -1) >= self.state.evaluations
        return not quiet and proposal.confidence >= self._settings.min_confidence

    def _raise(self, rule: str, proposal: Proposal, update: int) -> RecommendationRaised:
        expects = self._expectation(proposal)
        raised = RecommendationRaised(
            id=self.state.next_id,
            rule=rule,
            subject=proposal.subject,
            title=proposal.title,
            change=proposal.change,
            evidence=proposal.evidence,
            expected=proposal.expected if expects is None else f"{proposal.expected}; {forecast.told(expects)}",
            confidence=min(0.99, proposal.confidence),
            expires_update=update + self._settings.expires_updates,
            expects=expects,
        )
        self.state.next_id += 1
        self.state.open = (*self.state.open, raised)
        return raised

    def _expectation(self, proposal: Proposal) -> Expected | None:
        if proposal.aim is None:
            return None
        return forecast.expectation(self.state.points, self._spec, proposal.aim, SCORED_AFTER)

    def _close(self, number: int, verdict: Verdict, by: Author, note: str = "") -> AnyEvent:
        self.state.open = tuple(r for r in self.state.open if r.id != number)
        verdicts = {**self.state.verdicts, str(number): verdict}
        self.state.verdicts = dict(list(verdicts.items())[-KEPT_ANSWERS:])
        return RecommendationAnswered(id=number, verdict=verdict, by=by, note=note)

    def _hush(self, subject: str) -> None:
        until = self.state.evaluations + self._settings.quiet_evaluations
        self.state.quiet_until = {**self.state.quiet_until, subject: until}

    def _amend(self, number: int, **changes: object) -> None:
        self.state.accepted = tuple(
            msgspec.structs.replace(a, **changes) if a.id == number else a for a in self.state.accepted
        )

    # --- outcomes and the guard ------------------------------------------------------------------------------

    def _known_noise(self) -> float:
        """The trend's estimate, yet no less than half the sampling error: early on there is little to estimate from."""
        return max(self._trend.noise, sampling_error(self.state.points) / 2)

    def _after(self, entry: Accepted) -> list[float]:
        """Scores since acceptance, up to those that count."""
        count = self.state.evaluations - entry.at_evaluation
        values = [p.value for p in self.state.points[-count:]] if count else []
        return values[:SCORED_AFTER]

    def _better(self, value: float, base: float) -> float:
        """How much better than `base`; above 0 is better in every metric."""
        return value - base if self._spec.higher_is_better else base - value

    def _scores(self) -> list[AnyEvent]:
        due = [a for a in self.state.accepted if not a.outcome and not a.undone]
        return [self._scored(a) for a in due if self.state.evaluations - a.at_evaluation >= SCORED_AFTER]

    def _scored(self, entry: Accepted) -> AnyEvent:
        """Helped or hurt when the mean since left what the trend before foretold by two standard errors."""
        reached, foretold, margin = mean(self._after(entry)), _foretold(entry), SURE * entry.doubt
        gain = self._better(reached, foretold)
        outcome: Outcome = "helped" if gain > margin else "hurt" if gain < -margin else "unclear"
        met = None if entry.expects is None else entry.expects.holds(reached)
        self._amend(entry.id, outcome=outcome)
        text = f"mean {reached:.3f} over {SCORED_AFTER} evaluations, {foretold:.3f} ± {margin:.3f} foretold"
        return RecommendationScored(
            id=entry.id,
            outcome=outcome or "unclear",
            evidence=text + _as_expected(met) + self._company(entry),
            gain=gain,
            met=met,
        )

    def _company(self, entry: Accepted) -> str:
        """What else was accepted meanwhile: the difference may be due to that."""
        others = [
            str(a.id)
            for a in self.state.accepted
            if a.id != entry.id and 0 <= a.at_evaluation - entry.at_evaluation < SCORED_AFTER
        ]
        return f", together with {', '.join(others)}" if others else ""

    def _warnings(self, update: int) -> list[AnyEvent]:
        """Regression guard: two evaluations in a row far below what was before an accepted change."""
        events: list[AnyEvent] = []
        for entry in self.state.accepted:
            if self._fell(entry) and not any(r.subject == entry.subject for r in self.state.open):
                self._amend(entry.id, warned_by=self.state.next_id)
                events.append(self._raise(GUARD, self._undoing(entry), update))
        return events

    def _fell(self, entry: Accepted) -> bool:
        recent = self._after(entry)[-2:]
        if entry.undone or entry.warned_by or entry.outcome or entry.rule == GUARD or len(recent) < 2:
            return False
        floor = -GUARD_FALL * entry.noise
        return all(max(self._better(v, entry.before), self._better(v, _foretold(entry))) < floor for v in recent)

    def _undoing(self, entry: Accepted) -> Proposal:
        change = entry.change
        fall = self._better(mean(self._after(entry)[-2:]), entry.before)
        return Proposal(
            subject=entry.subject,
            title=f"undo recommendation {entry.id}: the score fell",
            change=Change(key=change.key, old=change.new, new=change.old, label=f"undo {entry.id}"),
            evidence=(f"score {fall:+.3f} since recommendation {entry.id} was accepted",),
            expected=f"the score returns to about {entry.before:.3f}",
            confidence=0.9,
            aim="rise",
        )


def _foretold(entry: Accepted) -> float:
    return entry.before if entry.foretold is None else entry.foretold


def _as_expected(met: bool | None) -> str:
    return "" if met is None else ", as expected" if met else ", not as expected"


def _fits(change: Change, difficulty: Difficulty, settings: Mapping[str, float]) -> bool:
    """Whether a change still starts from where things stand."""
    match change.key:
        case "difficulty.level":
            return difficulty.level == int(change.old)
        case "difficulty.low":
            return abs(difficulty.low - change.old) < 1e-9
        case "stop" | "rollback":
            return True
        case key:
            return settings.get(key, change.old) == change.old
