"""`sessions list`, `show`, `rm`: the disk side, without loading torch or Textual."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from tui_trainer.cli import find, foreign
from tui_trainer.core.format import ago, count, size
from tui_trainer.core.state import RunState
from tui_trainer.core.versions import FORMULA, Version, versions
from tui_trainer.errors import SessionInUse, TuiTrainerError, UsageError
from tui_trainer.sessions import store
from tui_trainer.sessions.index import state_at_end
from tui_trainer.sessions.store import Session, SessionSummary, list_sessions

LIVE_FIRST = ("running", "paused", "starting")
COLUMNS = ("name", "state", "task", "algorithm", "update", "steps", "best", "changed", "size")


def show_list(sessions: str | None, *, json: bool, also: list[str] | None = None) -> None:
    """A table, live ones first, runs of other tools among them; with `json` one object a line."""
    rows = sorted([*list_sessions(find.root(sessions)), *_foreign(also)], key=_rank)
    if json:
        for row in rows:
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
        return
    if not rows:
        print(f"no sessions in {find.root(sessions)}; `tui-trainer run` starts one")
        return
    print(table([COLUMNS, *(_cells(row) for row in rows)]))
    live = [row for row in rows if row.pid is not None]
    name = live[0].name if live else rows[0].name
    print(f"\n`tui-trainer attach {name}` opens it" if live else f"\n`tui-trainer replay {name}` plays it")


def _foreign(also: list[str] | None) -> list[SessionSummary]:
    folders = foreign.folders(also)
    if not folders:
        return []
    from tui_trainer.foreign.run import Catalogue

    return [summary for summary, _ in Catalogue(folders).load(time.time())]


def show_one(sessions: str | None, name: str, *, json: bool) -> None:
    """session.toml, and while the engine lives what it says itself; of a run of another tool what is known."""
    session = find.opened(sessions, name)
    if not isinstance(session, Session):
        _show_facts(foreign.shown_facts(session), json=json)
        return
    owner = session.owner()
    facts = {**msgspec.to_builtins(session.read()), "pid": owner.pid if owner else None, "path": str(session.path)}
    if owner:
        facts["live"] = _live(session.path)
    state = _told(session.journal_path)
    if trend := _trend(state):
        facts["trend"] = trend
    if games := _games(state):
        facts["games"] = games
    _show_facts(facts, json=json)


def _show_facts(facts: dict[str, object], *, json: bool) -> None:
    if json:
        sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
        return
    for key, value in _flat(facts):
        print(f"{key:<44} {value}")


def _told(journal: Path) -> RunState:
    """What the history comes to; nothing for one that cannot be read: `sessions verify` says what it lacks."""
    try:
        return state_at_end(journal)
    except (TuiTrainerError, OSError):
        return RunState()


def _games(state: RunState) -> dict[str, dict[str, float]]:
    """How games ended: each outcome's share of the newest thousand and of all."""
    found: dict[str, dict[str, float]] = {}
    for key, value in state.metrics.items():
        family, _, name = key.partition("/")
        outcome, _, over = name.rpartition("_")
        if family == "game" and over in _SHARES and value is not None:
            found.setdefault(outcome, {})[_SHARES[over]] = value
    return found


_SHARES = {"rate": "newest", "total": "all"}


def show_models(sessions: str | None, name: str, *, json: bool) -> None:
    """The model versions, newest first, and what the best is chosen by; with `json` one object a line."""
    session = find.session(sessions, name)
    found, lineage = versions(state_at_end(session.journal_path)), session.read().lineage
    if json:
        for version in found:
            sys.stdout.write(msgspec.json.encode(version).decode() + "\n")
        return
    if lineage:
        came = lineage.get("parent") or lineage.get("checkpoint")
        print(f"forked from {came}, {lineage.get('checkpoint')} at update {lineage.get('update')}")
    if not found:
        print(f"{session.name} has no checkpoint yet")
        return
    print(table([MODEL_COLUMNS, *map(_model_cells, found)]))
    print(f"\n{FORMULA}\n`tui-trainer fork {session.name} --at N` begins a new run from one")


MODEL_COLUMNS = (
    "n", "best", "kind", "update", "steps", "score", "evaluation", "95 % interval", "± last 5", "level", "from", "size",
)  # fmt: skip


def _model_cells(version: Version) -> tuple[str, ...]:
    ci = "-" if version.ci is None else f"{version.ci[0]:.4g} to {version.ci[1]:.4g}"
    numbers = (version.score, version.value, version.stability)
    score, value, spread = ("-" if each is None else f"{each:.4g}" for each in numbers)
    return (
        str(version.number),
        "*" if version.is_best else "",
        version.kind,
        count(version.update),
        count(version.global_step),
        score,
        value,
        ci,
        spread,
        version.level or "-",
        "-" if version.parent is None else str(version.parent),
        size(version.size),
    )


def remove(sessions: str | None, name: str, *, yes: bool) -> None:
    """`sessions rm`: asks unless told, never touches a live one."""
    session = find.session(sessions, name)
    owner = session.owner()
    if owner:
        raise SessionInUse(f"{session.name} is live, pid {owner.pid}", "stop it first")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{session.name} would be deleted for good", "say --yes")
        if input(f"delete {session.path} for good? [y/N] ").strip().lower() != "y":
            print("kept")
            return
    store.remove(session)
    print(f"deleted {session.name}")


def table(rows: list[tuple[str, ...]]) -> str:
    """Columns aligned; numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(_aligned(cell, width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _aligned(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width)


def _rank(row: SessionSummary) -> tuple[int, float]:
    return (LIVE_FIRST.index(row.state) if row.state in LIVE_FIRST else len(LIVE_FIRST), -row.changed)


def _cells(row: SessionSummary) -> tuple[str, ...]:
    best = "-" if row.best_score is None else f"{row.best_score:.3f}"
    about = row.origin or row.termination_reason
    state = f"{row.state} ({about})" if about else row.state
    return (
        row.name,
        state if row.pid is None else f"{row.state} pid {row.pid}",
        row.task or "-",
        row.algorithm or "-",
        count(row.update),
        count(row.global_step),
        best,
        ago(max(0.0, row.created + row.age_s - row.changed)) if row.changed else "-",
        size(row.size),
    )


def _live(path: object) -> dict[str, object]:
    from tui_trainer.client.orders import live_state

    try:
        state = live_state(Path(str(path)))
    except TuiTrainerError as error:
        return {"problem": str(error)}
    return {
        "status": state.status,
        "update": state.update,
        "global_step": state.global_step,
        "sps": state.sps,
        "open_recommendations": [r.id for r in state.open_recommendations],
        "metrics": state.metrics,
    }


def _trend(state: RunState) -> dict[str, object]:
    """The last reading of the reference evaluations, each part's own among it; nothing where there is none."""
    trend, started = state.trend, state.started
    if trend is None or started is None:
        return {}
    up = started.higher_is_better
    parts = {
        name: {**msgspec.to_builtins(p), "trend": p.reading(higher_is_better=up)} for name, p in trend.parts.items()
    }
    names = ("trend", "confidence", "slope", "slope_ci", "stability", "consistency", "evaluations", "evidence")
    return {**{name: getattr(trend, name) for name in names}, **({"parts": parts} if parts else {})}


def _flat(value: object, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            pair for key, inner in value.items() for pair in _flat(inner, f"{prefix}.{key}" if prefix else str(key))
        ]
    return [(prefix, str(value))]
