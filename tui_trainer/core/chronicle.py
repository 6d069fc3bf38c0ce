"""All decisions of a history, however long: what RunState keeps only the newest of. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tui_trainer.core import events as ev
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import Decision, RunState

_TELLING = (
    ev.RunStarted, ev.RunEnded, ev.RecommendationRaised, ev.RecommendationAnswered, ev.DifficultyChanged,
    ev.SettingChanged, ev.CommandApplied, ev.CommandRefused,
)  # fmt: skip
"""Events that decide, and those that the words of a decision come from."""


def decisions(events: Iterable[AnyEvent]) -> list[Decision]:
    """Every decision among the events, oldest first, each with what became of it."""
    state, found = RunState(), list[Decision]()
    for event in events:
        if isinstance(event, ev.RecommendationScored):
            found = [_scored(each, event) for each in found]
        elif isinstance(event, _TELLING):
            state = state.apply(event)
            if state.decisions and state.decisions[-1].seq == event.seq:
                found.append(state.decisions[-1])
    return found


def merged(whole: Iterable[Decision], state: RunState) -> tuple[Decision, ...]:
    """The state's own decisions, which know their outcomes, among those that it does not hold, older or to come."""
    own = state.decisions
    first = own[0].seq if own else state.seq + 1
    older = [each for each in whole if each.seq < first]
    later = [each for each in whole if each.seq > state.seq]
    return (*older, *own, *later)


def matching(decisions: Iterable[Decision], text: str) -> tuple[Decision, ...]:
    """Those that hold every word of the text in who, what, why or outcome, newest first."""
    words = text.casefold().split()
    kept = [each for each in decisions if all(word in _text(each) for word in words)]
    return tuple(reversed(kept))


def _scored(decision: Decision, event: ev.RecommendationScored) -> Decision:
    if decision.recommendation != event.id:
        return decision
    return msgspec.structs.replace(decision, outcome=f"{event.outcome}: {event.evidence}")


def _text(decision: Decision) -> str:
    refused = "" if decision.applied else "refused"
    words = (decision.by, decision.what, decision.why, decision.outcome, refused)
    return " ".join(words).casefold()
