"""A session's metrics as a table, along the surviving timeline: what a resume undid is not in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tui_trainer.core.events import AnyEvent, EvaluationFinished, RunResumed, UpdateFinished
from tui_trainer.core.state import evaluation_metrics
from tui_trainer.core.values import Metrics
from tui_trainer.sessions.journal import iter_journal

STAMPS = ("time", "update", "global_step")
CLEANRL = {
    "rollout/ep_rew_mean": "charts/episodic_return",
    "rollout/ep_len_mean": "charts/episodic_length",
    "rollout/exploration_rate": "charts/epsilon",
    "time/fps": "charts/SPS",
    "train/learning_rate": "charts/learning_rate",
    "train/policy_gradient_loss": "losses/policy_loss",
    "train/value_loss": "losses/value_loss",
    "train/entropy_loss": "losses/entropy",
    "train/approx_kl": "losses/approx_kl",
    "train/clip_fraction": "losses/clipfrac",
    "train/explained_variance": "losses/explained_variance",
    "train/loss": "losses/td_loss",
    "train/q_mean": "losses/q_values",
}


class Row(msgspec.Struct, frozen=True):
    """All metrics published at one moment."""

    time: float
    update: int
    global_step: int
    metrics: Metrics


def metric_rows(journal: Path, names: dict[str, str] | None = None) -> list[Row]:
    """Rows in order of updates; `names` renames metrics, such as `CLEANRL`."""
    rows: list[Row] = []
    for entry in iter_journal(journal):
        match entry.event:
            case RunResumed(from_update=update):
                rows = [row for row in rows if row.update <= update]
            case UpdateFinished() | EvaluationFinished() as event:
                rows.append(_row(event, names or {}))
    return rows


def _row(event: UpdateFinished | EvaluationFinished, names: dict[str, str]) -> Row:
    metrics = {names.get(name, name): value for name, value in _metrics(event).items()}
    return Row(event.time, event.update, event.global_step, metrics)


def _metrics(event: AnyEvent) -> Metrics:
    match event:
        case UpdateFinished(metrics=metrics, sps=sps):
            return {**metrics, "time/fps": sps}
        case EvaluationFinished():
            return evaluation_metrics(event)
        case _:
            return {}


def as_json(rows: list[Row]) -> str:
    """A list of objects, one a row, metrics beside the stamps."""
    flat = [{**dict(zip(STAMPS, (row.time, row.update, row.global_step))), **row.metrics} for row in rows]
    return msgspec.json.encode(flat).decode() + "\n"


def as_csv(rows: list[Row]) -> str:
    """One line a row, one column a metric; empty where a row has none."""
    columns = sorted({name for row in rows for name in row.metrics})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*STAMPS, *columns])
    writer.writerows(_cells(rows, columns))
    return text.getvalue()


def _cells(rows: list[Row], columns: list[str]) -> Iterator[list[object]]:
    for row in rows:
        yield [row.time, row.update, row.global_step, *(row.metrics.get(name) for name in columns)]
