"""Terminals that go away, shrink, know no colour or are none; sockets that vanish; strangers at the door."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import process as p
from tests.ui.pty_terminal import ESCAPES, PtyTerminal
from tests.warm import HERE, Program, Warm
from tui_trainer.client.orders import live_state
from tui_trainer.sessions.names import socket_path
from tui_trainer.sessions.store import Session

RUN = ("run", "--no-ui", *p.TINY, "--name=a", "--max-updates=100000000", "--step-delay=0.02")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def engine(warm: Warm, root: Path) -> Program:
    """A run that trains."""
    program = warm.start(root, *RUN, "--json")
    program.until("CheckpointSaved")
    return program


def goes_on(root: Path) -> bool:
    before = live_state(root / "a").update
    return bool(p.wait_for(lambda: live_state(root / "a").update > before + 5))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_foreground_run_outlives_its_closed_terminal(warm: Warm, root: Path) -> None:
    terminal = warm.terminal(root, *RUN)
    terminal.wait_for(b" start ")
    terminal.hang_up()
    assert goes_on(root)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.exit_code() == 143
    assert Session.open(root / "a").read().status.state == "interrupted"


def test_a_foreground_run_outlives_a_closed_pipe(root: Path, warm: Warm) -> None:
    program = warm.start(root, *RUN)
    p.wait_for(lambda: (root / "a/session.toml").exists() and Session.open(root / "a").owner())
    program.stdout.close()
    program.stderr.close()
    p.wait_for(lambda: p.so_far(root / "a").count("UpdateFinished") > 3)
    assert goes_on(root)
    assert program.stop() == 143


def test_a_reader_that_stops_reading_holds_nothing_up_and_gets_every_line_when_it_reads_again(
    warm: Warm, root: Path
) -> None:
    run = warm.start(root, *RUN, "--json", "--step-delay=0")
    fcntl.fcntl(run.stdout.fileno(), fcntl.F_SETPIPE_SZ, 16384)
    journal = root / "a/events.jsonl"
    p.wait_for(lambda: journal.exists() and journal.stat().st_size > 60_000)
    run.send(signal.SIGTERM)
    told = list(run.events())
    assert run.wait() == 143
    assert told == p.journal(root / "a")
    assert run.stderr.read() == ""


@pytest.mark.parametrize("how", ["hang up", "SIGKILL", "SIGHUP"])
def test_a_lost_view_ends_and_costs_nothing_while_training_goes_on(
    warm: Warm, root: Path, engine: Program, how: str
) -> None:
    view = warm.terminal(root, "attach", "a")
    view.wait_for(b"Training Manager")
    pid = view.pid
    if how == "hang up":
        view.hang_up()
    else:
        os.kill(pid, getattr(signal, how))
    assert view.exit_code() is not None, "a view without a terminal ends"
    assert not Path(f"/proc/{pid}").exists()
    assert goes_on(root)
    again = warm.terminal(root, "attach", "a")
    again.wait_for(b"Training Manager")
    again.key(b"q")
    assert again.exit_code() == 0
    view.close()
    again.close()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_a_view_that_was_opened_from_the_list_and_the_list_with_it(
    warm: Warm, root: Path, engine: Program, number: signal.Signals
) -> None:
    view = warm.terminal(root)
    view.wait_for(b"running")
    view.key(b"\r")
    view.wait_for(b"Training Manager")
    os.kill(view.pid, number)
    assert view.exit_code() == 128 + number
    assert goes_on(root)
    view.close()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_killed_tmux_takes_the_view_and_not_the_run(root: Path) -> None:
    server = f"tui-trainer-test-{os.getpid()}"
    tmux = ["tmux", "-L", server, "-f", "/dev/null"]
    words = [*p.command("run"), *RUN[2:]]
    subprocess.run([*tmux, "new-session", "-d", "-x", "120", "-y", "40", *words], env=p.environment(root), check=True)
    try:
        p.wait_for(lambda: b"running" in subprocess.check_output([*tmux, "capture-pane", "-p"]))
        shown = subprocess.check_output([*tmux, "list-panes", "-F", "#{pane_pid}"]).split()
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    p.wait_for(lambda: not Path(f"/proc/{int(shown[0])}").exists())
    assert goes_on(root)


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Warm]:
    """A warm process whose /tmp is its own, so that deleting the sockets' directory hurts nobody else."""
    words = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /tmp && exec "$@"', "sh"]
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("a /tmp of its own needs root")
    if any(place.is_relative_to("/tmp") for place in (HERE, Path(sys.executable))):
        pytest.skip("what lies in /tmp cannot be run where /tmp is another")
    server = Warm(words)
    yield server
    server.close()


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that is the same inside and outside of `apart`."""
    directory = Path(f"/dev/shm/tui-trainer-test-{os.getpid()}")
    directory.mkdir()
    yield directory
    shutil.rmtree(directory)


def test_no_other_user_is_answered_and_attach_works_after_the_sockets_directory_was_deleted(
    apart: Warm, place: Path
) -> None:
    program = apart.start(place, *RUN, "--json")
    program.until("CheckpointSaved")
    path = socket_path(place / "a")
    directory = Path(f"/proc/{program.pid}/root{path.parent}")
    assert ((directory / path.name).stat().st_mode & 0o777, directory.stat().st_mode & 0o777) == (0o600, 0o700)
    assert stranger(program.pid, path) == "PermissionError"
    (directory / path.name).chmod(0o666)
    directory.chmod(0o755)
    assert stranger(program.pid, path) in ("nothing", "ConnectionResetError", "BrokenPipeError"), "the uid decides"
    shutil.rmtree(directory)
    p.wait_for(lambda: p.names(directory))
    view = apart.terminal(place, "attach", "a")
    view.wait_for(b"Training Manager")
    view.close()
    assert program.stop() == 143


STRANGER = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
try:
    s.connect(sys.argv[1])
    s.sendall(b'{"type": "Hello"}\\n')
    print(s.recv(100) or "nothing")
except OSError as error:
    print(type(error).__name__)
"""


def stranger(pid: int, path: Path) -> str:
    """What `nobody` gets from the socket, in the engine's own /tmp."""
    words = ["nsenter", "--mount", "-t", str(pid), sys.executable, "-S", "-c", STRANGER, str(path)]
    return subprocess.check_output(words, text=True).strip()


def test_without_a_terminal_the_app_costs_no_time(root: Path) -> None:
    """Stock Textual spins at 100 % there. Processor seconds, because the machine may be busy."""
    before = os.times()
    done = p.run_cold(root, "run", stdin=subprocess.DEVNULL)
    used = sum(os.times()[2:4]) - sum(before[2:4])
    assert (done.returncode, "use --no-ui" in done.stderr) == (2, True)
    assert used < 2.0
    assert p.names(root) == []


SIZES = [(1, 1), (0, 0), (2, 60), (200, 1), (39, 11), (80, 24), (250, 80), (1, 1), (0, 0)]


def test_a_storm_of_resizes_hurts_neither_the_view_nor_the_run(warm: Warm, root: Path, engine: Program) -> None:
    view = warm.terminal(root, "attach", "a")
    view.wait_for(b"Training Manager")
    update = live_state(root / "a").update
    for number in range(120):
        view.resize(*SIZES[number % len(SIZES)])
        view.read_for(0.005)
    view.resize(120, 40)
    view.wait_until_written(b"Training Manager")
    p.wait_for(lambda: live_state(root / "a").update > update)
    view.key(b"q")
    assert view.exit_code() == 0
    view.close()
    assert engine.stop() == 143


def cold_view(root: Path, *environ: str) -> PtyTerminal:
    """`attach` by an interpreter of its own: locale and TERM are read when it starts."""
    return PtyTerminal(["env", *environ, *p.command("attach", "a")], 120, 40, p.overrides(root))


def test_a_c_locale_without_colour_gets_plain_ascii(root: Path, engine: Program) -> None:
    view = cold_view(root, "LANG=C", "LC_ALL=C", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0", "NO_COLOR=1")
    view.wait_for(b"Training Manager")
    view.read_for(1.0)
    drawn = view.recent
    view.key(b"q")
    assert view.exit_code() == 0
    view.close()
    assert ESCAPES.sub(b"", drawn).isascii()
    styles = [code for code in ESCAPES.findall(drawn) if code.endswith(b"m")]
    assert not [code for code in styles if b"38;" in code or b"48;" in code]


def test_on_a_dumb_terminal_a_run_is_told_in_lines(warm: Warm, root: Path) -> None:
    terminal = warm.terminal(root, "run", *RUN[2:], "--max-updates=2", environ={"TERM": "dumb"})
    code = terminal.exit_code()
    assert (code, b"lines instead" in terminal.seen, b"max_updates" in terminal.seen) == (0, True, True)
    terminal.close()
    assert len(p.names(root)) == 1


def test_on_a_dumb_terminal_attach_tells_the_run_in_lines_until_it_ends(
    warm: Warm, root: Path, engine: Program
) -> None:
    terminal = warm.terminal(root, "attach", environ={"TERM": "dumb"})
    terminal.wait_for(b"lines instead")
    terminal.wait_for(b"a: running, update")
    assert warm.run(root, "stop", "a").returncode == 0
    code = terminal.exit_code()
    assert (code, b"ended" in terminal.seen, b"\x1b" in terminal.seen) == (0, True, False)
    terminal.close()


def test_on_a_dumb_terminal_attach_is_left_with_ctrl_c(warm: Warm, root: Path, engine: Program) -> None:
    terminal = warm.terminal(root, "attach", environ={"TERM": "dumb"})
    terminal.wait_for(b"a: running, update")
    terminal.key(b"\x03")
    code = terminal.exit_code()
    assert (code, b"a goes on" in terminal.seen) == (0, True)
    terminal.close()


def test_on_a_dumb_terminal_a_replay_is_printed(warm: Warm, root: Path) -> None:
    terminal = warm.terminal(root, "replay", environ={"TERM": "dumb"})
    code = terminal.exit_code()
    assert (code, b"lines instead" in terminal.seen, b"\x1b" in terminal.seen) == (0, True, False)
    terminal.close()


@pytest.mark.parametrize("environ", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
                                     {"PYTHONIOENCODING": "latin-1"}], ids=["C", "latin-1"])  # fmt: skip
def test_a_run_without_screen_speaks_the_terminals_encoding(root: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        p.command("run", "--no-ui", *p.TINY, "--name=a", "--max-updates=3", "--set=run.note=日本 é"),
        env={**p.environment(root), **environ}, capture_output=True, check=False, cwd=HERE,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    done.stdout.decode("latin-1" if "PYTHONIOENCODING" in environ else "ascii")
    assert b"max_updates" in done.stdout
