"""The end of what a crash left behind."""

from __future__ import annotations

import os
from pathlib import Path

from tui_trainer.core.config import resolve
from tui_trainer.sessions.aftermath import last_words
from tui_trainer.sessions.store import Session


def made(root: Path) -> Session:
    return Session.create(root, "a", resolve([]), {})


def test_the_last_lines_of_the_newest_words_count(tmp_path: Path) -> None:
    session = made(tmp_path)
    session.log_path.write_text("engine: hello\n")
    session.crash_dir.mkdir(exist_ok=True)
    trace = session.crash_dir / "traceback.txt"
    trace.write_text("\n".join(["Traceback", *(f"  line {i}" for i in range(5000)), "ValueError: \x1b[2J broke"]))
    os.utime(session.log_path, (1, 1))
    found = last_words(session, 3)
    assert len(found) == 3
    assert found[-1].startswith("ValueError: ")
    assert "\x1b" not in "".join(found)
    os.utime(trace, (0, 0))
    assert last_words(session) == ("engine: hello",)


def test_where_nothing_was_left_there_are_no_words(tmp_path: Path) -> None:
    session = made(tmp_path)
    session.log_path.unlink(missing_ok=True)
    assert last_words(session) == ()
    session.crash_dir.mkdir(exist_ok=True)
    os.symlink("/etc/passwd", session.crash_dir / "traceback.txt")
    assert last_words(session) == ()
