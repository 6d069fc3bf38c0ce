"""Deleting that can be undone, for a week."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.core.history import Tale
from tui_trainer.core.config import resolve
from tui_trainer.core.events import encode
from tui_trainer.errors import SessionInUse, UsageError
from tui_trainer.sessions import trash
from tui_trainer.sessions.recent import recent_scores
from tui_trainer.sessions.store import Session, list_sessions


def made(root: Path, name: str) -> Session:
    return Session.create(root, name, resolve([]), {})


def names(root: Path) -> list[str]:
    return [row.name for row in list_sessions(root)]


def test_what_is_put_aside_leaves_the_list_and_comes_back_whole(tmp_path: Path) -> None:
    session = made(tmp_path, "a")
    before = (session.path / "session.toml").read_bytes()
    trash.put_aside(session)
    assert names(tmp_path) == []
    trash.bring_back(tmp_path, "a")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a" / "session.toml").read_bytes() == before


def test_the_newest_of_a_name_comes_back(tmp_path: Path) -> None:
    for moment, note in ((1000.0, "old"), (2000.0, "new")):
        session = made(tmp_path, "a")
        (session.path / "note").write_text(note)
        trash.put_aside(session, now=moment)
    trash.bring_back(tmp_path, "a")
    assert (tmp_path / "a" / "note").read_text() == "new"


def test_a_name_in_use_again_is_not_overwritten(tmp_path: Path) -> None:
    trash.put_aside(made(tmp_path, "a"))
    made(tmp_path, "a")
    with pytest.raises(UsageError, match="in use again"):
        trash.bring_back(tmp_path, "a")


def test_a_live_session_is_not_put_aside(tmp_path: Path) -> None:
    session = made(tmp_path, "a")
    with session.lock(), pytest.raises(SessionInUse):
        trash.put_aside(session)
    assert names(tmp_path) == ["a"]


def test_after_a_week_it_is_gone_and_nothing_else_is(tmp_path: Path) -> None:
    trash.put_aside(made(tmp_path, "old"), now=0.0)
    trash.put_aside(made(tmp_path, "new"), now=8 * 86400.0)
    (tmp_path / trash.TRASH / "mine").mkdir()
    os.symlink(tmp_path, tmp_path / trash.TRASH / "1-link")
    made(tmp_path, "kept")
    assert trash.empty(tmp_path, now=8 * 86400.0) == 1
    assert names(tmp_path) == ["kept"]
    assert len(os.listdir(tmp_path / trash.TRASH)) == 3
    with pytest.raises(UsageError, match="not in"):
        trash.bring_back(tmp_path, "old")


def test_there_is_nothing_to_empty_at_first(tmp_path: Path) -> None:
    assert trash.empty(tmp_path / "nowhere") == 0


# --- recent scores -------------------------------------------------------------------------------------------------


def journal(path: Path, values: list[float]) -> Path:
    tale = Tale().start()
    for value in values:
        tale.train(2).evaluate(value)
    path.write_bytes(b"".join(encode(event) + b"\n" for event in tale.events))
    return path


def test_recent_scores_are_the_newest_in_order(tmp_path: Path) -> None:
    path = journal(tmp_path / "events.jsonl", [0.1, 0.2, 0.3])
    assert recent_scores(path, most=2) == (0.2, 0.3)


def test_only_the_end_of_a_long_journal_is_read(tmp_path: Path) -> None:
    path = journal(tmp_path / "events.jsonl", [i / 100 for i in range(100)])
    found = recent_scores(path, most=50, tail_bytes=path.stat().st_size // 10)
    assert 3 <= len(found) <= 10
    assert found[-1] == 0.99


def test_a_damaged_line_and_a_missing_journal_tell_nothing(tmp_path: Path) -> None:
    path = journal(tmp_path / "events.jsonl", [0.5])
    path.write_bytes(b'{"type":"EvaluationFinished"\n' + path.read_bytes() + b'{"type":"EvaluationFin')
    assert recent_scores(path) == (0.5,)
    assert recent_scores(tmp_path / "nowhere") == ()
