"""What a view is lent: files where they are told to be, and a memory for hints."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui_trainer.cli.viewing import aids_of, state_dir
from tui_trainer.core.config import resolve
from tui_trainer.errors import StorageError
from tui_trainer.sessions.store import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.create(tmp_path / "sessions", "a", resolve([]), {})


def test_what_was_learned_is_known_to_the_next_view(tmp_path: Path, session: Session) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    aids = aids_of(session, environ)
    assert aids.learned == frozenset()
    assert aids.learn is not None
    aids.learn("help")
    aids.learn("zoom_in")
    assert aids_of(session, environ).learned == {"help", "zoom_in"}


def test_a_hint_that_cannot_be_noted_is_no_failure(tmp_path: Path, session: Session) -> None:
    (tmp_path / "file").write_text("")
    aids = aids_of(session, {"XDG_STATE_HOME": str(tmp_path / "file")})
    assert aids.learn is not None
    aids.learn("help")


def test_copies_lie_in_the_persons_own_directory(tmp_path: Path, session: Session) -> None:
    aids = aids_of(session, {"XDG_STATE_HOME": str(tmp_path)})
    assert aids.keep_copy is not None
    where = aids.keep_copy("日本\n")
    assert Path(where).read_text(encoding="utf-8") == "日本\n"
    assert os.stat(Path(where).parent).st_mode & 0o077 == 0


def test_screens_are_saved_where_the_person_stands(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save = aids_of(session, {}).save
    assert save is not None
    assert Path(save("a-u1.txt", "text")) == tmp_path / "a-u1.txt"
    (tmp_path / "a-u2.txt").mkdir()
    with pytest.raises(StorageError, match=r"a-u2\.txt"):
        save("a-u2.txt", "text")


def test_without_xdg_the_home_directory_is_used() -> None:
    assert state_dir({"HOME": "/h"}) == Path("/h/.local/state/tui-trainer")
