"""A session's metrics, decisions and model versions as tables. Metrics run along the surviving timeline: what a resume
undid is not in them; decisions stay decisions, whatever became of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui_trainer.core.chronicle import decisions
from tui_trainer.core.config import flatten
from tui_trainer.core.events import AnyEvent, ResourcesSampled, RunResumed
from tui_trainer.core.rows import Row, row_of
from tui_trainer.core.state import RunState
from tui_trainer.core.versions import versions
from tui_trainer.errors import MissingExtra
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


def metric_rows(journal: Path, names: dict[str, str] | None = None, *, machine: bool = False) -> list[Row]:
    """Rows in order of updates; `names` renames metrics, such as `CLEANRL`; `machine` adds the rows of `system/*`."""
    events = (entry.event for entry in iter_journal(journal))
    return rows_of((event for event in events if event is not None), names, machine=machine)


def rows_of(events: Iterable[AnyEvent], names: dict[str, str] | None = None, *, machine: bool = False) -> list[Row]:
    """As `metric_rows`, of a history."""
    rows: list[Row] = []
    for each in events:
        match each:
            case RunResumed(from_update=update):
                rows = [row for row in rows if row.update <= update]
            case event if machine or not isinstance(event, ResourcesSampled):
                rows += [_renamed(row, names)] if (row := row_of(event)) else []
    return rows


def _renamed(row: Row, names: dict[str, str] | None) -> Row:
    if not names:
        return row
    return msgspec.structs.replace(row, metrics={names.get(name, name): value for name, value in row.metrics.items()})


def columns_of(rows: list[Row]) -> list[str]:
    """Every metric's name, sorted."""
    return sorted({name for row in rows for name in row.metrics})


def as_json(rows: list[Row]) -> str:
    """A list of objects, one a row, metrics beside the stamps."""
    flat = [{**dict(zip(STAMPS, (row.time, row.update, row.global_step))), **row.metrics} for row in rows]
    return msgspec.json.encode(flat).decode() + "\n"


def as_csv(rows: list[Row]) -> str:
    """One line a row, one column a metric; empty where a row has none."""
    columns = columns_of(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*STAMPS, *columns])
    writer.writerows(_cells(rows, columns))
    return text.getvalue()


def _cells(rows: list[Row], columns: list[str]) -> Iterator[list[object]]:
    for row in rows:
        yield [row.time, row.update, row.global_step, *(row.metrics.get(name) for name in columns)]


def as_parquet(rows: list[Row]) -> bytes:
    """The same table as `as_csv`: 64-bit integers and floats, null where a row has none. Raises MissingExtra."""
    try:
        import polars
    except ModuleNotFoundError:
        raise MissingExtra("Parquet needs polars", "pip install 'tui-trainer[data]'") from None
    columns = columns_of(rows)
    kinds = {"time": polars.Float64, "update": polars.Int64, "global_step": polars.Int64}
    schema = {**kinds, **dict.fromkeys(columns, polars.Float64)}
    file = io.BytesIO()
    polars.DataFrame(list(_cells(rows, columns)), schema=schema, orient="row").write_parquet(file)
    return file.getvalue()


# --- decisions and models ---------------------------------------------------------------------------------------------


def decision_table(journal: Path) -> list[dict[str, Any]]:
    """Every decision, oldest first, in plain values."""
    events = (entry.event for entry in iter_journal(journal))
    return [msgspec.structs.asdict(each) for each in decisions(event for event in events if event is not None)]


def model_table(state: RunState) -> list[dict[str, Any]]:
    """Every model version that is still on the disk, newest first, in plain values."""
    return [msgspec.to_builtins(version) for version in versions(state)]


def table_as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """A list of objects."""
    return msgspec.json.encode(rows).decode() + "\n"


def table_as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a row; a table within a row becomes columns of its own, such as `by.random`."""
    flat = [dict(flatten(row)) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(name) for name in columns] for row in flat)
    return text.getvalue()
