"""From Python: the same runs as from the command line."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from tests.engine import process as p
from tui_trainer.sessions.checkpoints import CheckpointStore

SETTINGS = {key: value for key, _, value in (word.removeprefix("--set=").partition("=") for word in p.TINY[1:])}

SCRIPT = """
from tui_trainer import load_policy, train
told = []
def fails(event): raise RuntimeError("mine")
session = train("tictactoe", settings={settings!r}, callbacks=[told.append, fails], name="python")
policy = load_policy("python", "latest")
print(len(told), type(told[-1]).__name__, session.name, sum("is off" in getattr(e, "text", "") for e in told))
"""


def test_five_lines_train_to_the_same_bits_as_the_command(tmp_path: Path) -> None:
    settings = {**SETTINGS, "manager.termination.max_updates": 12}
    script = textwrap.dedent(SCRIPT).replace("{settings!r}", repr(settings))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=p.environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    count, last, name, told_off = done.stdout.split()
    assert (last, name, told_off) == ("RunEnded", "python", "1")
    assert int(count) > 12
    words = [f"--set={key}={value}" for key, value in settings.items()]
    assert p.run(tmp_path, "run", "--no-ui", "--task=tictactoe", *words, "--name=command").returncode == 0
    bits = [CheckpointStore(tmp_path / name).newest_good().manifest.state_sha256 for name in ("python", "command")]
    assert bits[0] == bits[1]


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, tui_trainer; print([m for m in ('torch', 'numpy', 'textual', 'msgspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
