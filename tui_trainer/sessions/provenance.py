"""Where a session comes from: command, code, versions, machine. Loads none of the libraries it names."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tui_trainer.core.config import without_secrets
from tui_trainer.core.text import clean_line

LIBRARIES = ("tui-trainer", "torch", "numpy", "msgspec", "textual", "gymnasium")
GIT_SECONDS = 2.0


def collect(argv: Sequence[str], directory: Path, **more: Any) -> dict[str, Any]:
    """A table for session.toml; `more` adds what only the engine knows, such as threads and GPU."""
    return {
        "command": [clean_line(without_secrets(word)) for word in argv],
        "directory": clean_line(str(directory)),
        "git_commit": git_commit(directory),
        "versions": versions(),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "executable": clean_line(sys.executable),
        "platform": platform.platform(),
        **more,
    }


def versions() -> dict[str, str]:
    """Installed versions by library, ours first."""
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit(directory: Path) -> str | None:
    """The commit checked out in `directory`, with `+` where tracked files differ; None outside a repository."""
    words = ("status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=no")
    status = _git(directory, "-c", "core.fsmonitor=false", *words)
    if status is None:  # no repository, or one too slow to be compared
        return clean_line(_git(directory, "rev-parse", "HEAD") or "") or None
    lines = [clean_line(line) for line in status.splitlines()]
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    changed = any(not line.startswith("#") for line in lines)
    return None if commit == "(initial)" else commit + ("+" if changed else "")


def _git(directory: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *words], capture_output=True, timeout=GIT_SECONDS, check=True, text=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
