"""Names and places: nothing outside the root is reached, nothing odd becomes a name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_trainer.core.text import is_clean
from tui_trainer.errors import StorageError, UsageError
from tui_trainer.sessions.names import check_name, default_name, find, session_names, sessions_root, socket_path

from .world import new_session

HOSTILE = [
    "", ".", "..", "../x", "a/../../x", "/etc/passwd", "a\0b", "x" * 65, "x" * 300, "-rf", "--json", ".hidden", "~",
    "a b",
    "аdmin", "a\u202eb", "ａ", "a\n", "[/]", "[link=x]", "[[[", "\x1b]52;c;eA==\x07", "a\\b", "CON:", "*",
    "é", "a\u200b",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_refused_in_one_clean_line(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_name(name)
    text = str(refused.value)
    assert is_clean(text)
    assert text.isascii()
    assert "\n" not in text
    assert len(text) < 600
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", ["a", "A1", "connect_four-ppo-1", "run.2", "0", "x" * 64])
def test_plain_names_are_taken_as_they_are(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_creates_and_finds_nothing(tmp_path: Path, name: str) -> None:
    root = tmp_path / "inner" / "sessions"
    if name:
        with pytest.raises(UsageError):
            new_session(root, name)
    with pytest.raises(UsageError):
        find(root, name)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_default_names_count_up_and_are_always_valid(tmp_path: Path) -> None:
    first = default_name(tmp_path, "gym:ALE/Pong-v5", "ppo")
    assert check_name(first) == "gym-ALE-Pong-v5-ppo-1"
    (tmp_path / first).mkdir()
    (tmp_path / "gym-ALE-Pong-v5-ppo-7").mkdir()
    assert default_name(tmp_path, "gym:ALE/Pong-v5", "ppo") == "gym-ALE-Pong-v5-ppo-8"
    assert check_name(default_name(tmp_path, "../" + "é" * 300, "../"))
    assert check_name(default_name(tmp_path, "x" * 300, "ppo"))


def test_sessions_lie_where_the_option_says_then_the_environment_then_here() -> None:
    environ = {"TUI_TRAINER_SESSIONS": "/b"}
    assert sessions_root("/a", environ) == Path("/a")
    assert sessions_root(None, environ) == Path("/b")
    assert sessions_root(None, {}) == Path("sessions")
    with pytest.raises(UsageError):
        sessions_root("a\0b", {})


def test_a_session_is_found_by_name_and_by_path_and_the_nearest_is_named(tmp_path: Path) -> None:
    session = new_session(tmp_path, "walker-1")
    assert find(tmp_path, "walker-1") == session.path
    assert find(Path("/nowhere"), str(session.path)) == session.path
    with pytest.raises(UsageError, match=r"did you mean walker-1\?"):
        find(tmp_path, "walker1")
    with pytest.raises(UsageError, match="is no session"):
        find(tmp_path, str(tmp_path))


def test_only_directories_with_a_session_file_are_sessions(tmp_path: Path) -> None:
    new_session(tmp_path, "a")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert session_names(tmp_path) == ["a"]
    assert session_names(tmp_path / "absent") == []


@pytest.fixture
def short_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


def test_the_socket_has_one_short_path_however_the_session_is_named(tmp_path: Path, short_path: Path) -> None:
    session = new_session(tmp_path / ("d" * 200), "a").path
    (tmp_path / "link").symlink_to(session)
    path = socket_path(session, short_path)
    assert path == socket_path(tmp_path / "link", short_path)
    assert path != socket_path(tmp_path, short_path)
    assert len(os.fsencode(socket_path(session))) < 100
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_socket_directory_open_to_others_or_not_ours_is_refused(short_path: Path) -> None:
    directory = socket_path(short_path, short_path).parent
    directory.chmod(0o755)
    with pytest.raises(UsageError, match="is open to others"):
        socket_path(short_path, short_path)
    directory.rmdir()
    directory.symlink_to("/tmp")
    with pytest.raises(UsageError, match="is not yours"):
        socket_path(short_path, short_path)
    with pytest.raises(StorageError):
        socket_path(short_path, short_path / "absent")
    long = short_path / ("x" * 80)
    long.mkdir()
    with pytest.raises(UsageError, match="too long"):
        socket_path(short_path, long)
