"""The real app in a real pseudo-terminal: what happens when the terminal shrinks, stops or goes away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.ui.pty_terminal import ESCAPES, PtyTerminal
from tests.warm import WarmTerminal, shared

ROOT = str(Path(__file__).resolve().parents[2])
DEMO = [sys.executable, "-m", "tests.ui.demo"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def demo(directory: Path, scene: str) -> WarmTerminal:
    """The app on invented events."""
    return shared().terminal(directory, scene, entry=("tests.ui.demo", "main"))


@pytest.fixture
def app(tmp_path: Path) -> Iterator[WarmTerminal]:
    terminal = demo(tmp_path, "mid")
    terminal.wait_for(b"Training Manager")
    yield terminal
    terminal.close()


def test_a_closed_terminal_ends_the_view(app: WarmTerminal) -> None:
    app.hang_up()
    assert app.exit_code() is not None


def test_a_closed_terminal_ends_the_view_even_where_hang_ups_are_ignored() -> None:
    shell = ["sh", "-c", f"trap '' HUP; exec {sys.executable} -m tests.ui.demo mid"]
    terminal = PtyTerminal(shell, 120, 40, {"PYTHONPATH": ROOT})
    terminal.wait_for(b"Training Manager")
    terminal.hang_up()
    assert terminal.exit_code() is not None


def test_a_hang_up_signal_ends_the_view(app: WarmTerminal) -> None:
    os.kill(app.pid, signal.SIGHUP)
    assert app.exit_code() == 129


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)], ids=["SIGHUP", "SIGTERM"])
def test_a_view_ends_on_a_terminal_that_takes_nothing(app: WarmTerminal, number: int, code: int) -> None:
    """As behind a line that has frozen: whatever writes there, the last words too, would wait for ever."""
    behind = os.open(f"/proc/{app.pid}/fd/1", os.O_RDWR | os.O_NOCTTY)
    termios.tcflow(behind, termios.TCOOFF)
    os.kill(app.pid, number)
    assert app.exit_code() == code
    os.close(behind)


def test_an_app_that_is_leaving_does_not_take_the_terminal_again(app: WarmTerminal) -> None:
    """A terminal that goes away sends SIGCONT behind SIGHUP, and a shell does to what it ends."""
    os.kill(app.pid, signal.SIGSTOP)
    app.wait_until_stopped()
    os.kill(app.pid, signal.SIGTERM)
    os.kill(app.pid, signal.SIGCONT)
    assert app.exit_code() == 143
    assert app.seen.count(b"\x1b[?1049h") == 1
    assert b"goes on" in app.seen


def test_sigterm_restores_the_terminal(app: WarmTerminal) -> None:
    os.kill(app.pid, signal.SIGTERM)
    app.recent = b""
    assert app.exit_code() is not None
    assert b"\x1b[?1049l" in app.recent
    assert b"\x1b[?25h" in app.recent


def test_leaving_says_that_the_run_goes_on(app: WarmTerminal) -> None:
    app.key(b"q")
    app.wait_for(b"goes on; tui-trainer attach connect_four-ppo-1")
    assert app.exit_code() == 0


def test_ctrl_c_leaves_the_view_as_q_does(app: WarmTerminal) -> None:
    app.key(b"\x03")
    app.wait_for(b"goes on")
    assert app.exit_code() == 0


def test_any_size_is_survived_and_the_picture_comes_back(app: WarmTerminal) -> None:
    for width, height in [(1, 1), (0, 0), (2, 40), (120, 1), (7, 3), (40, 12), (300, 90), (1, 1)]:
        app.resize(width, height)
        app.read_for(0.05)
    for size in range(100):
        app.resize(1 + size, 1 + size // 3)
        app.read_for(0.004)
    app.resize(120, 40)
    app.wait_until_written(b"Training Manager")


def test_stopping_and_continuing_restores_and_redraws(app: WarmTerminal) -> None:
    app.recent = b""
    os.kill(app.pid, signal.SIGTSTP)
    app.wait_until_stopped()
    assert b"\x1b[?1049l" in app.recent
    os.kill(app.pid, signal.SIGCONT)
    app.wait_until_written(b"Training Manager")
    app.key(b"c")
    app.wait_for_any("checkpoint sent", "checkpoint received")


@pytest.mark.parametrize("words", [[], ["compare", "sample", "sample", "--screen"]])
def test_the_other_apps_come_back_after_ctrl_z_too(tmp_path: Path, words: list[str]) -> None:
    terminal = shared().terminal(tmp_path, *words)
    shown = b"sample" if words else b"no sessions yet"
    terminal.wait_for(shown)
    terminal.recent = b""
    terminal.key(b"\x1a")
    terminal.wait_until_stopped()
    assert b"\x1b[?1049l" in terminal.recent
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.wait_until_written(shown)
    terminal.close()


class Cost(NamedTuple):
    """Of a view in a while."""

    used: float
    """Processor seconds."""
    written: int
    """Bytes."""


def two_seconds(terminal: WarmTerminal) -> Cost:
    used, written = terminal.cpu_s(), terminal.bytes
    terminal.read_for(2.0)
    return Cost(terminal.cpu_s() - used, terminal.bytes - written)


def test_an_idle_view_burns_almost_no_processor_time(tmp_path: Path) -> None:
    terminal = demo(tmp_path, "paused")
    terminal.wait_for(b"Training Manager")
    looks = [two_seconds(terminal) for _ in range(2)]
    while looks[-1].used >= 0.2 and len(looks) < 10:  # on a slow machine it is still busy with its first picture
        looks.append(two_seconds(terminal))
    terminal.close()
    assert looks[-1].used < 0.2
    assert looks[-1].written < 200


def test_a_training_run_costs_the_line_under_15_kb_a_second(app: WarmTerminal) -> None:
    app.read_for(1.0)
    before, begin = app.bytes, time.perf_counter()
    app.read_for(4.0)
    rate = (app.bytes - before) / (time.perf_counter() - begin)
    assert 100 < rate < 15_000


@pytest.mark.parametrize("closed", ["stdin", "stdout"])
def test_without_a_terminal_the_app_is_refused_with_what_to_do(closed: str) -> None:
    code = "from tui_trainer.ui.terminal import require_terminal\nrequire_terminal()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, stdin=subprocess.DEVNULL, cwd=ROOT)
    assert b"use --no-ui" in done.stderr
    assert closed in ("stdin", "stdout")


@pytest.mark.parametrize("keys", [b"", b"99", b"33", b"s", b"/x"])
def test_no_escape_from_outside_reaches_the_terminal(tmp_path: Path, keys: bytes) -> None:
    """Textual itself forwards them; window title and clipboard stay as they were."""
    terminal = demo(tmp_path, "hostile")
    terminal.wait_until_written(b"Training Manager")
    for key in keys:
        terminal.key(bytes([key]))
        terminal.read_for(0.2)
    terminal.read_for(0.5)
    drawn = terminal.recent
    terminal.close()
    orders = re.findall(rb"\x1b\]([^\x07\x1b]*)", drawn)
    asked = b"11;?"
    assert all(order.startswith(b"22;") or order == asked for order in orders), "Textual's pointer shape, our question"
    assert b"\x1b[2J" not in drawn
    rest = ESCAPES.sub(b"", drawn).decode("utf-8", "ignore")
    assert {char for char in rest if ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char == "\u202e"} <= set("\r\n")


def test_no_colour_means_no_colour() -> None:
    terminal = PtyTerminal([*DEMO, "mid"], 120, 40, {"PYTHONPATH": ROOT, "NO_COLOR": "1"})
    terminal.wait_for(b"Training Manager")
    terminal.read_for(1.0)
    drawn = terminal.recent
    terminal.close()
    colours = [code for code in ESCAPES.findall(drawn) if code.endswith(b"m") and (b"38;" in code or b"48;" in code)]
    assert colours == []


def test_a_latin_locale_gets_ascii_only() -> None:
    terminal = PtyTerminal([*DEMO, "mid"], 120, 40, {"PYTHONPATH": ROOT, "LC_ALL": "C", "PYTHONUTF8": "1"})
    terminal.wait_for(b"Training Manager")
    terminal.read_for(1.0)
    drawn = ESCAPES.sub(b"", terminal.recent)
    terminal.close()
    assert drawn.isascii()
