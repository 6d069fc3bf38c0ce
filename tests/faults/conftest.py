"""One warm process for all tests here; no engine and no mount outlives a test."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warm import Warm, shared
from tui_trainer.sessions.store import Session


@pytest.fixture(scope="session")
def warm() -> Warm:
    return shared()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A directory of sessions."""
    yield tmp_path
    kill_engines(tmp_path)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in reversed(mounts):
        if place.startswith(str(tmp_path)):
            subprocess.run(["umount", "-l", place], check=False)


def kill_engines(root: Path) -> None:
    """SIGKILL every engine that holds a session below `root`."""
    for file in root.rglob("session.toml"):
        if owner := Session.open(file.parent).owner():
            os.kill(owner.pid, signal.SIGKILL)
