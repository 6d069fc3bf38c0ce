"""Events as rows of figures: what exports and other programs' logs are made of."""

from __future__ import annotations

import msgspec

from tui_trainer.core.events import AnyEvent, EvaluationFinished, ResourcesSampled, UpdateFinished
from tui_trainer.core.state import evaluation_metrics, resource_metrics
from tui_trainer.core.values import Metrics


class Row(msgspec.Struct, frozen=True):
    """All metrics published at one moment. `time` in Unix seconds; a value is None where it was not finite."""

    time: float
    update: int
    global_step: int
    metrics: Metrics


def row_of(event: AnyEvent) -> Row | None:
    """The figures that an event brings, by their own names; None for one that brings none."""
    match event:
        case UpdateFinished(metrics=metrics, sps=sps):
            return _row(event, {**metrics, "time/fps": sps})
        case EvaluationFinished():
            return _row(event, evaluation_metrics(event))
        case ResourcesSampled(resources=resources):
            return _row(event, resource_metrics(resources))
        case _:
            return None


def _row(event: AnyEvent, metrics: Metrics) -> Row:
    return Row(event.time, event.update, event.global_step, metrics)
