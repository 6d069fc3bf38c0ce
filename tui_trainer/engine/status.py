"""Keeps session.toml's [status] near the truth: for scripts and lists that read it without a socket."""

from __future__ import annotations

import contextlib

import msgspec

from tui_trainer.core import events
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import RunState
from tui_trainer.core.values import Reason
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions.store import Session, StateName

_NOTED = (
    events.RunStarted,
    events.DataExamined,
    events.RunResumed,
    events.RunPaused,
    events.RunContinued,
    events.CheckpointSaved,
    events.EvaluationFinished,
    events.RecommendationRaised,
    events.RecommendationAnswered,
    events.RecommendationScored,
    events.RunEnded,
)
_ADVICE = (
    events.RunResumed,
    events.RecommendationRaised,
    events.RecommendationAnswered,
    events.RecommendationScored,
)


class StatusKeeper:
    """A listener that rewrites the status on the events that change it. A disk that refuses is the saver's business."""

    def __init__(self, session: Session, history: RunState) -> None:
        self._session = session
        self._update = history.update
        self._global_step = history.global_step
        self._advice = RunState(recommendations=history.recommendations)
        self._state: StateName = "starting"
        self._latest_path: str | None = None
        self._best_path: str | None = None
        self._summary: dict[str, object] = {}

    def note(self, event: AnyEvent, line: bytes) -> None:
        """Listener."""
        if not isinstance(event, _NOTED):
            return
        self._update, self._global_step = event.update, event.global_step
        if isinstance(event, _ADVICE):
            self._advice = self._advice.apply(event)
        match event:
            case events.RunPaused():
                self._state = "paused"
            case events.RunStarted() | events.RunResumed() | events.RunContinued():
                self._state = "running"
            case events.DataExamined(report=report):
                self._summary["data"] = msgspec.to_builtins(report)
            case events.CheckpointSaved():
                self._note_checkpoint(event)
            case events.EvaluationFinished(result=result):
                self._summary |= {"metric": result.metric, f"last_{event.suite}": result.value}
            case events.RecommendationAnswered() | events.RecommendationScored():
                self._summary["advice"] = self._advice.advice.told or None
            case _:
                pass
        self._write(None, "")

    def _note_checkpoint(self, saved: events.CheckpointSaved) -> None:
        if saved.kind != "try":
            self._latest_path = saved.path
        if saved.kind == "best":
            self._best_path = saved.path
            self._summary["best_score"] = saved.score

    def ended(self, reason: Reason) -> None:
        """The last word."""
        if reason.name in ("signal", "scheduler"):
            self._state = "interrupted"
        else:
            self._state = "crashed" if reason.name == "failed" else "ended"
        self._write(reason.exit_code, reason.name)

    def interrupted(self, code: int) -> None:
        """The second signal came."""
        self._state = "interrupted"
        self._write(code, "signal")

    def _write(self, exit_code: int | None, reason: str) -> None:
        with contextlib.suppress(TuiTrainerError):
            self._session.write_status(
                self._state,
                update=self._update,
                global_step=self._global_step,
                termination_reason=reason,
                exit_code=exit_code,
                summary={key: value for key, value in self._summary.items() if value is not None},
                latest=self._latest_path,
                best=self._best_path,
            )
