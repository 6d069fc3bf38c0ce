"""A CleanRL-style script in a process of its own: watched and steered from the app, killed, taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import process as p
from tests.guests.loops import kinds, status, told
from tests.ui.pty_terminal import PtyTerminal
from tui_trainer.client.orders import live_state
from tui_trainer.core.state import RunState, fold
from tui_trainer.errors import OrderRefused
from tui_trainer.guests import saved
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.journal import read_journal
from tui_trainer.sessions.store import Session, summarise

SCRIPT = str(Path(__file__).parents[2] / "examples" / "guests" / "ppo.py")
SB3 = str(Path(SCRIPT).with_name("sb3_ppo.py"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc")


class Script:
    """The script, started as with nohup: no terminal, its output in a file."""

    def __init__(self, root: Path, *words: str, path: str = SCRIPT) -> None:
        self.root = root
        quiet = {"TUI_TRAINER_TELEMETRY__INTERVAL_S": "60"}
        self._out = open(root / "nohup.out", "a+")  # noqa: SIM115  (the process outlives the block)
        self.process = subprocess.Popen(
            [sys.executable, path, "--name=a", *words],
            env={**p.environment(root), **quiet},
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._out,
            start_new_session=True,
        )

    def until_trains(self) -> None:
        p.wait_for(lambda: self.process.poll() is None and _state(self.root).update > 3, within_s=120)

    def output(self) -> str:
        return (self.root / "nohup.out").read_text()

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self._out.close()


def _state(root: Path) -> RunState:
    """As the script's hub tells it; an empty one before it is there."""
    try:
        return live_state(root / "a")
    except (OrderRefused, OSError):
        return RunState()


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    running = Script(tmp_path)
    yield running
    running.close()


def test_the_app_watches_and_steers_a_script_by_keys(script: Script) -> None:
    root = script.root
    script.until_trains()
    app = PtyTerminal(p.command("attach"), 120, 40, p.overrides(root))
    app.wait_for(b"guest:CartPole-v1")
    app.wait_for(b"running")
    app.key(b"c")
    app.wait_for(b"manual")
    app.key(b"p")
    app.wait_for(b"paused")  # perhaps the answer, which comes before the fact
    p.wait_for(lambda: live_state(root / "a").status == "paused")
    app.key(b"q")
    app.wait_for(b"waits, paused")
    assert app.exit_code() == 0

    again = PtyTerminal(p.command("attach", "a"), 120, 40, p.overrides(root))
    again.wait_for(b"paused")
    again.key(b"o")
    again.wait_for(b"order:")
    again.key(b"set learning_rate=0.001\r")
    p.wait_for(lambda: told(root, "SettingChanged"))
    again.key(b" ")
    again.wait_for(b"running")
    again.key(b"s")
    again.wait_for(b"end this run?")
    again.press_until(b"y", b"ended")
    again.key(b"q")
    assert again.exit_code() == 0
    assert script.process.wait(60) == 0
    assert status(root).termination_reason == "user"
    assert [e["new"] for e in told(root, "SettingChanged")] == [0.001]
    assert saved("a", str(root))["optimizer"]["param_groups"][0]["lr"] == 0.001


@pytest.mark.long
def test_the_app_watches_and_steers_stable_baselines3_by_keys(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    script = Script(tmp_path, "--steps=100000000", f"--log={tmp_path / 'log'}", path=SB3)
    app: PtyTerminal | None = None
    try:
        script.until_trains()
        app = PtyTerminal(p.command("attach", "a"), 120, 40, p.overrides(tmp_path))
        app.wait_for(b"guest:CartPole-v1")
        app.wait_for(b"running")
        app.key(b"c")
        app.wait_for(b"manual")
        app.key(b" ")
        app.wait_for(b"paused")  # perhaps the answer, which comes before the fact
        p.wait_for(lambda: live_state(tmp_path / "a").status == "paused")
        app.key(b"o")
        app.wait_for(b"order:")
        app.key(b"set learning_rate=0.001\r")
        p.wait_for(lambda: told(tmp_path, "SettingChanged"))
        app.key(b" ")
        app.wait_for(b"running", 60)
        app.key(b"s")
        app.key(b"y")
        app.wait_for(b"ended", 60)
        app.key(b"q")
        assert app.exit_code() == 0
        assert script.process.wait(60) == 0, script.output()
    finally:
        script.close()
        if app is not None:
            app.close()
    assert status(tmp_path).termination_reason == "user"
    assert next(e["kind"] for e in told(tmp_path, "CheckpointSaved")) == "manual"
    assert [e["new"] for e in told(tmp_path, "SettingChanged")] == [0.001]
    assert saved("a", str(tmp_path))["num_timesteps"] >= status(tmp_path).global_step > 0


@pytest.mark.parametrize("deaf", [False, pytest.param(True, marks=pytest.mark.long)])
def test_sigterm_saves_and_ends_a_script_whether_it_asks_or_not(tmp_path: Path, deaf: bool) -> None:
    script = Script(tmp_path, *(["--deaf"] if deaf else []))
    try:
        script.until_trains()
        assert script.end(signal.SIGTERM) == 143
    finally:
        script.close()
    assert (status(tmp_path).state, status(tmp_path).exit_code) == ("interrupted", 143)
    assert saved("a", str(tmp_path))["step"] == status(tmp_path).global_step
    assert "Traceback" not in script.output()


LIGHT = """
import itertools
from tui_trainer.guests import guest
with guest("a", settings={"telemetry.interval_s": 60.0}) as run:
    for n in itertools.count(1):
        run.log(n, {"train/loss": 1 / n})
"""


def test_a_script_that_is_killed_leaves_a_session_that_opens(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", LIGHT], env=p.environment(tmp_path), stderr=subprocess.PIPE) as killed:
        p.wait_for(lambda: _state(tmp_path).update > 0, within_s=60)
        killed.kill()
    assert summarise(tmp_path / "a", 0.0).state == "crashed"
    assert Session.open(tmp_path / "a").owner() is None
    assert fold(read_journal(tmp_path / "a" / "events.jsonl").events).update > 0
    assert saved("a", str(tmp_path)) is None


@pytest.mark.long
def test_a_killed_script_leaves_a_session_that_opens_and_can_be_taken_up(script: Script) -> None:
    root = script.root
    script.until_trains()
    assert "saved" in p.run(root, "checkpoint", "a").stdout
    p.wait_for(lambda: "CheckpointSaved" in kinds(root))
    script.end(signal.SIGKILL)
    assert summarise(root / "a", 0.0).state == "crashed"
    assert p.run(root, "sessions", "verify", "a").returncode == 0
    at = saved("a", str(root))["step"]

    again = Script(root, "--resume", f"--total-timesteps={at + 1280}")
    try:
        assert again.process.wait(90) == 0, again.output()
    finally:
        again.close()
    end = fold(read_journal(root / "a" / "events.jsonl").events)
    assert (end.status, end.global_step) == ("ended", at + 1280)
    assert [e["from_step"] for e in told(root, "RunResumed")] == [at]
    assert status(root).termination_reason == "finished"
    assert Session.open(root / "a").owner() is None
    assert CheckpointStore(root / "a").manifests()[0].kind == "final"
    assert not os.path.exists(root / "a-2")
