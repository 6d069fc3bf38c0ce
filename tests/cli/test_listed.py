"""What a session exports and shows: decisions and model versions, as a person and as a script read them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Run
from tests.ui.history import UPDATES, history
from tui_trainer.cli.storing import exporter
from tui_trainer.core.config import resolve
from tui_trainer.core.events import Event, TrendAssessed, UpdateFinished
from tui_trainer.core.values import PartTrend
from tui_trainer.core.versions import FORMULA
from tui_trainer.errors import StorageError
from tui_trainer.sessions.journal import Journal
from tui_trainer.sessions.store import Session


@pytest.fixture
def session(root: Path) -> Session:
    made = Session.create(root, "mine", resolve([]), {}, lineage={"parent": "elder", "checkpoint": "checkpoints/4-u9"})
    events: list[Event] = [event for event in history(UPDATES) if event.seq]
    journal = Journal(made.journal_path)
    journal.append(events)
    journal.close()
    return made


@pytest.mark.usefixtures("session")
def test_decisions_are_exported_with_who_what_why_and_outcome(tui: Run) -> None:
    rows = json.loads(tui("sessions", "export", "mine", "--what", "decisions", "--format", "json").out)
    assert [row["what"].split(":")[0] for row in rows] == ["accepted 6", "difficulty → 1-ply", "expired 7", "end"]
    assert rows[0]["outcome"] == "helped: +4.1 % after 40 updates"
    assert {"time", "update", "by", "what", "why", "applied", "outcome", "recommendation", "seq"} == set(rows[0])
    table = list(csv.DictReader(io.StringIO(tui("sessions", "export", "mine", "--what", "decisions").out)))
    assert [row["what"] for row in table] == [row["what"] for row in rows]


def test_a_session_is_shown_with_the_trend_of_each_part(session: Session, tui: Run) -> None:
    falling = PartTrend(slope=-0.02, slope_ci=(-0.03, -0.01), stability=0.01)
    told = TrendAssessed(
        trend="improving", confidence=0.9, slope=0.01, slope_ci=(0.0, 0.02), evaluations=9, stability=0.03,
        consistency=0.5, evidence="", termination="off", parts={"random": falling}, seq=10_000, time=9e9,
        update=UPDATES,
    )  # fmt: skip
    journal = Journal(session.journal_path)
    journal.append([told])
    journal.close()
    (shown,) = tui("sessions", "show", "mine", "--json").rows
    trend = shown["trend"]
    assert (trend["trend"], trend["stability"], trend["consistency"]) == ("improving", 0.03, 0.5)
    assert (trend["parts"]["random"]["slope"], trend["parts"]["random"]["trend"]) == (-0.02, "falling")
    assert "trend.parts.random.trend" in tui("sessions", "show", "mine").out


@pytest.mark.usefixtures("session")
def test_models_are_shown_with_lineage_and_the_formula_and_exported_with_every_part(tui: Run) -> None:
    shown = tui("sessions", "show", "mine", "--models")
    assert shown.out.startswith("forked from elder, checkpoints/4-u9")
    assert FORMULA in shown.out
    rows = tui("sessions", "show", "mine", "--models", "--json").rows
    assert [row["number"] for row in rows][:3] == [25, 24, 23]
    assert [row["number"] for row in rows if row["is_best"]] == [23]
    table = list(csv.DictReader(io.StringIO(tui("sessions", "export", "mine", "--what", "models").out)))
    assert float(table[1]["by.random"]) == rows[1]["by"]["random"]


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("words", "part"),
    [(["--what", "nothing"], "metrics, decisions, models"), (["--what", "models", "--format", "parquet"], "csv, json"),
     (["--what", "models", "--cleanrl"], "are for metrics")],
)  # fmt: skip
def test_what_cannot_be_exported_is_one_line(tui: Run, words: list[str], part: str) -> None:
    done = tui("sessions", "export", "mine", *words)
    assert part in done.complaint
    assert done.code == 2


def test_a_view_writes_beside_the_last_file_and_never_over_it(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export = exporter(session)
    assert export("decisions", "csv") == "mine-decisions.csv: 4 rows"
    assert export("decisions", "csv") == "mine-decisions-2.csv: 4 rows"
    assert (tmp_path / "mine-decisions.csv").read_text() == (tmp_path / "mine-decisions-2.csv").read_text()


def test_a_directory_that_takes_no_file_is_told(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StorageError):
        exporter(session)("models", "json")


def test_a_session_shows_how_its_games_ended_of_late_and_in_all(tui: Run, root: Path) -> None:
    shares = {"black_rate": 0.5, "draw_rate": 0.25, "black_total": 0.75, "draw_total": 0.125}
    made = Session.create(root, "games", resolve([]), {})
    journal = Journal(made.journal_path)
    journal.append([_updated({f"game/{name}": share for name, share in shares.items()})])
    journal.close()
    expected = {"black": {"newest": 0.5, "all": 0.75}, "draw": {"newest": 0.25, "all": 0.125}}
    assert tui("sessions", "show", "games", "--json").rows[0]["games"] == expected
    assert "games.black.newest" in tui("sessions", "show", "games").out
    Session.create(root, "none", resolve([]), {})
    assert "games" not in tui("sessions", "show", "none", "--json").rows[0]


def _updated(metrics: dict[str, float]) -> Event:
    """The history's first update, with these metrics."""
    first = next(event for event in history(UPDATES) if isinstance(event, UpdateFinished) and event.seq)
    return msgspec.structs.replace(first, seq=1, metrics=metrics)
