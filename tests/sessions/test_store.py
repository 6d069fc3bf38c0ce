"""A session's directory: claimed once, read whatever happened to it, owned by one."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from tests.core.history import Tale
from tui_trainer.core.config import Layer, resolve, to_table
from tui_trainer.errors import DamagedSession, SessionInUse, StorageError, TuiTrainerError, UsageError
from tui_trainer.sessions import lock as locks
from tui_trainer.sessions.files import toml_bytes
from tui_trainer.sessions.journal import Journal
from tui_trainer.sessions.provenance import collect, git_commit
from tui_trainer.sessions.store import (
    FORMAT,
    Counted,
    Session,
    SessionFile,
    disk_usage,
    is_untouched,
    list_sessions,
    read_session_file,
)

from .faulty_disks import FailingDisk
from .world import SETTINGS, new_session

LONG = (pytest.mark.long, pytest.mark.timeout(1200))


def test_a_new_session_reads_back_what_it_was_made_from(tmp_path: Path) -> None:
    resolved = resolve([Layer("--set", {"ppo": {"learning_rate": "1e-4"}, "run": {"note": "a [b] ü"}})])
    session = Session.create(tmp_path, "a", resolved, collect(["tui-trainer", "run"], tmp_path), clock=lambda: 5.0)
    file = Session.open(session.path).read()
    assert resolve([Layer("session.toml", file.config)]).config == resolved.config
    assert to_table(resolved.config)["ppo"]["learning_rate"] == 1e-4
    assert file.origins == {"ppo.learning_rate": "--set", "run.note": "--set"}
    assert (file.format, file.name, file.created, file.status.state) == (FORMAT, "a", 5.0, "starting")
    assert (file.task, file.algorithm) == ("connect_four", "ppo")
    assert file.provenance["command"] == ["tui-trainer", "run"]
    assert file.provenance["versions"]["tui-trainer"]


def test_a_name_in_use_is_refused_and_nothing_in_it_is_touched(tmp_path: Path) -> None:
    session = new_session(tmp_path, "a")
    before = session.read()
    with pytest.raises(UsageError, match="session a exists"):
        new_session(tmp_path, "a")
    assert session.read() == before


def test_of_many_who_want_a_default_name_each_gets_its_own(tmp_path: Path) -> None:
    assert [new_session(tmp_path, "").name for _ in range(3)] == [f"connect_four-ppo-{n}" for n in (1, 2, 3)]


def test_status_changes_keep_the_rest_and_a_new_run_forgets_the_old_end(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    session.write_status("running", update=3, global_step=30, summary={"best_score": 0.5}, now=7.0)
    session.write_status("ended", termination_reason="max_updates", exit_code=0, latest="checkpoints/1-u3")
    file = session.read()
    assert (file.status.update, file.status.exit_code, file.status.termination_reason) == (3, 0, "max_updates")
    assert (file.summary, file.checkpoints) == ({"best_score": 0.5}, {"latest": "checkpoints/1-u3"})
    file = Session.open(session.path).write_status("running", update=4)
    assert (file.status.exit_code, file.status.termination_reason) == (None, "")
    assert (file.summary, session.read()) == ({"best_score": 0.5}, file)


def test_hostile_text_in_a_session_is_clean_when_read(tmp_path: Path) -> None:
    note = "\x1b]52;c;eA==\x07\udcff\u202e"
    session = Session.create(tmp_path, "a", SETTINGS, {"command": [note]})
    assert session.read().provenance["command"] == ["·]52;c;eA==···"]
    data = (session.path / "session.toml").read_bytes()
    assert b"\x1b" not in data


DAMAGED = {
    "empty": b"", "no toml": b"format = 1\nname = \n", "not UTF-8": b"format = 1\n\n# \xff\xfe\n",
    "deep": b"a = " + b"[" * 100_000, "deep tables": b"format = 1\n[" + b".".join([b"a"] * 5000) + b"]\n",
    "long number": b"format = " + b"9" * 100_000, "wrong type": b'format = "one"\n', "zeros": bytes(4096),
    "too large": b"#" * (1 << 21),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_session_file_is_one_line_with_exit_code_2(tmp_path: Path, kind: str) -> None:
    session = new_session(tmp_path)
    (session.path / "session.toml").write_bytes(DAMAGED[kind])
    with pytest.raises(DamagedSession) as refused:
        session.read()
    assert refused.value.exit_code == 2
    assert "session.toml" in str(refused.value)
    assert "\n" not in str(refused.value)
    [row] = list_sessions(tmp_path)
    assert (row.state, row.problem) == ("damaged", str(refused.value))
    with pytest.raises(UsageError):
        new_session(tmp_path, "a")


def test_a_damaged_session_file_names_the_line(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    path = session.path / "session.toml"
    good = path.read_text()
    path.write_text(good.replace('state = "starting"', 'state = "star'))
    with pytest.raises(DamagedSession, match=r"session.toml, line \d+"):
        session.read()
    path.write_text(good.replace('state = "starting"', 'state = "dreaming"'))
    number = good.splitlines().index('state = "starting"') + 1
    with pytest.raises(DamagedSession, match=f"session.toml, line {number}: "):
        session.read()
    path.write_bytes(good.encode().replace(b'"starting"', b'"\xff"'))
    with pytest.raises(DamagedSession, match=f"session.toml, line {number}: is not UTF-8"):
        session.read()


def test_a_session_of_a_newer_format_is_refused_and_left_untouched(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    path = session.path / "session.toml"
    path.write_bytes(b'format = 2\nshape = "unknown"\n')
    with pytest.raises(UsageError, match="made by a newer version") as refused:
        Session.open(session.path).write_status("running")
    assert refused.value.exit_code == 2
    assert path.read_bytes() == b'format = 2\nshape = "unknown"\n'


def test_fields_that_a_later_minor_version_adds_do_no_harm(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    table = msgspec.to_builtins(session.read()) | {"moon": {"phase": 1}}
    (session.path / "session.toml").write_bytes(toml_bytes(table))
    assert session.read().name == "a"


def test_a_session_file_that_is_a_pipe_or_a_link_is_refused_at_once(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    path = session.path / "session.toml"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DamagedSession, match="not a regular file"):
        session.read()
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(DamagedSession, match="symbolic link"):
        session.read()
    assert list_sessions(tmp_path)[0].state == "damaged"


def test_files_are_for_their_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        session = new_session(tmp_path / "s")
        session.write_status("running")
        with session.lock():
            pass
    finally:
        os.umask(old)
    for path in [session.path, *session.path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=LONG)])
def test_no_mutation_of_a_session_file_goes_unnoticed_or_makes_anything_but_our_errors(
    tmp_path: Path, count: int
) -> None:
    chance = random.Random(13)
    session = new_session(tmp_path)
    path = session.path / "session.toml"
    whole = path.read_bytes()
    assert is_untouched(path)
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        assert not is_untouched(path) or bytes(data) == whole
        [row] = list_sessions(tmp_path)
        assert "\n" not in row.problem
        with suppress(TuiTrainerError):
            resolve([Layer("session.toml", session.read().config)])


# --- the lock --------------------------------------------------------------------------------------------------------


def test_a_second_owner_is_refused_and_told_the_pid(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    with session.lock():
        owner = session.owner()
        assert owner is not None
        assert owner.pid == os.getpid()
        with pytest.raises(SessionInUse, match=f"process {os.getpid()}") as refused:
            Session.open(session.path).lock()
        assert refused.value.exit_code == 3
    assert session.owner() is None
    session.lock().release()


HOLDER = """
import sys, time
from pathlib import Path
from tui_trainer.errors import SessionInUse
from tui_trainer.sessions.store import Session
print("ready", flush=True)
sys.stdin.readline()
try:
    lock = Session.open(Path(sys.argv[1])).lock()
except SessionInUse as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
print("won", flush=True)
time.sleep(60)
"""


def contender(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_lock_that_is_just_being_taken_is_not_told_by_the_signature_of_a_dead_owner(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path.write_text(f"{dead.pid} {socket.gethostname()}\n")
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        signing = threading.Timer(0.7, path.write_text, [f"{os.getpid()} {socket.gethostname()}\n"])
        signing.start()
        holder = locks.owner(path)
        signing.join()
    assert holder is not None
    assert holder.pid == os.getpid()
    assert locks.owner(path) is None


def test_who_looks_at_a_lock_for_long_does_not_keep_it_from_a_contender(tmp_path: Path) -> None:
    """A look takes microseconds, but a busy machine may stop it in the middle."""
    session = new_session(tmp_path)
    with session.lock_path.open("w+") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.7, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        session.lock().release()


@pytest.mark.parametrize("text", ["", "99999999999 here", "0 here", "no number"])
def test_a_held_lock_with_a_strange_signature_is_held(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    path.write_text(text.replace("here", socket.gethostname()))
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert locks.owner(path) is not None


def test_a_lock_that_cannot_be_signed_names_the_session(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    with pytest.raises(StorageError, match=str(session.path)):
        Session.open(session.path, disk=FailingDisk(2, 10**9)).lock()
    assert session.owner() is None


def test_a_killed_owner_frees_the_session(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    process = contender(session.path)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "won\n"]
    owner = session.owner()
    assert owner is not None
    assert owner.pid == process.pid
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert session.owner() is None
    session.lock().release()


def race(path: Path, contenders: int) -> tuple[list[str], set[int]]:
    """(what each said, winners' pids) when many go for one session at once; a pair of watchers looks on."""
    runners: dict[int, int] = {}
    for _ in range(contenders):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _contend(path, writing)
        os.close(writing)
        runners[child] = reading
    (path / "go").write_text("")
    said = {}
    for child, reading in runners.items():
        with os.fdopen(reading) as pipe:
            said[child] = pipe.readline()
    winners = {child for child, text in said.items() if text == "won\n"}
    for child in runners:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    (path / "go").unlink()
    return [text for child, text in said.items() if child not in winners], winners


def _contend(path: Path, pipe: int) -> None:
    try:
        session = Session.open(path)
        while not (path / "go").exists():
            session.owner()
            time.sleep(0.001)
        try:
            lock = session.lock()
        except SessionInUse as error:
            os.write(pipe, f"{error.message}\n".encode())
        else:
            os.write(pipe, b"won\n")
            os.close(pipe)
            time.sleep(60)
            lock.release()
    finally:
        os._exit(1)


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=LONG)])
def test_of_twenty_contenders_exactly_one_wins_and_the_others_name_its_pid(tmp_path: Path, rounds: int) -> None:
    session = new_session(tmp_path)
    for _ in range(rounds):
        losers, winners = race(session.path, 20)
        assert len(winners) == 1
        [pid] = winners
        assert all(f"process {pid} on" in text for text in losers), losers
        assert session.owner() is None, "a killed owner frees the session"


# --- lists -----------------------------------------------------------------------------------------------------------


def test_a_live_state_with_a_free_lock_is_shown_as_crashed(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    now = session.read().status.time
    assert list_sessions(tmp_path, now=now + 1)[0].state == "starting"
    assert list_sessions(tmp_path, now=now - 1)[0].state == "starting", "made while the list is read"
    assert list_sessions(tmp_path, now=now + 60)[0].state == "crashed"
    for state in ("running", "paused"):
        session.write_status(state)
        assert list_sessions(tmp_path)[0].state == "crashed"
        with session.lock():
            row = list_sessions(tmp_path)[0]
            assert (row.state, row.pid) == (state, os.getpid())
    for state in ("ended", "interrupted", "crashed"):
        session.write_status(state)
        assert list_sessions(tmp_path)[0].state == state


@pytest.mark.parametrize("end", [b"", b'{"type":"UpdateFinished","seq":9,"upd', b"\x00" * 300])
def test_of_a_killed_run_the_list_tells_what_the_journal_holds(tmp_path: Path, end: bytes) -> None:
    session = new_session(tmp_path)
    session.write_status("running", update=3, global_step=30, now=1.0)
    events = Tale().start().train(7).events
    journal = Journal(session.journal_path)
    journal.append(events)
    journal.close()
    with session.journal_path.open("ab") as file:
        file.write(end)
    row = list_sessions(tmp_path)[0]
    assert (row.state, row.update, row.global_step) == ("crashed", 7, events[-1].global_step)
    assert row.changed == events[-1].time


def test_a_list_is_newest_first_and_one_damaged_session_spoils_nothing(tmp_path: Path) -> None:
    for created, name in ((1.0, "old"), (3.0, "new"), (2.0, "mid")):
        Session.create(tmp_path, name, SETTINGS, {}, clock=lambda at=created: at)
    (tmp_path / "mid" / "session.toml").write_bytes(b"\xff")
    (tmp_path / "no-session").mkdir()
    (tmp_path / "[evil]").mkdir()
    rows = list_sessions(tmp_path, now=10.0)
    assert [(row.name, row.state) for row in rows] == [("new", "starting"), ("old", "starting"), ("mid", "damaged")]
    assert rows[0].age_s == 7.0
    assert rows[0].size > 0
    assert list_sessions(tmp_path / "absent") == []


def test_a_folder_is_counted_again_only_where_something_came_or_went(tmp_path: Path) -> None:
    folder, journal = tmp_path / "checkpoints" / "1-u5", tmp_path / "events.jsonl"
    folder.mkdir(parents=True)
    (folder / "state.pt").write_bytes(b"x" * 1000)
    journal.write_bytes(b"x" * 10)
    counted: Counted = {}
    assert disk_usage(tmp_path, counted) == disk_usage(tmp_path) == 1010
    journal.write_bytes(b"x" * 25)
    assert disk_usage(tmp_path, counted) == 1025, "what grows lies at the top"
    counted[str(tmp_path / "checkpoints")] = (counted[str(tmp_path / "checkpoints")][0], 7)
    assert disk_usage(tmp_path, counted) == 32, "nothing came or went: it is not looked into"
    (tmp_path / "checkpoints" / "2-u9").mkdir()
    (tmp_path / "checkpoints" / "2-u9" / "state.pt").write_bytes(b"x" * 500)
    assert disk_usage(tmp_path, counted) == 1525
    assert disk_usage(tmp_path / "gone", counted) == 0


def test_git_commit_is_told_in_a_repository_only(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    run = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*run, "init", "-q"], check=True)
    (tmp_path / "f").write_text("1")
    subprocess.run([*run, "add", "f"], check=True)
    subprocess.run([*run, "commit", "-qm", "x"], check=True)
    commit = git_commit(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "f").write_text("2")
    assert git_commit(tmp_path) == commit + "+"


def test_a_session_of_an_older_release_still_reads() -> None:
    file = read_session_file(Path(__file__).parent / "old" / "format-1" / "session.toml")
    assert isinstance(file, SessionFile)
    assert (file.format, file.name, file.status.state, file.status.update) == (1, "older", "ended", 3)
