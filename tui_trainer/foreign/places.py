"""Where runs of other tools lie: which reader a path needs, and what a folder holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from tui_trainer.errors import UsageError
from tui_trainer.sessions.files import shown
from tui_trainer.sessions.names import SESSION_FILE

Kind: TypeAlias = Literal["tensorboard", "progress", "monitor", "wandb"]
TOOLS: dict[Kind, str] = {
    "tensorboard": "TensorBoard",
    "progress": "Stable-Baselines3",
    "monitor": "Stable-Baselines3",
    "wandb": "W&B",
}
MAX_DEPTH = 8
MAX_ENTRIES = 50_000
MAX_RUNS = 500
MAX_FILES = 256
"""Of one run: monitors are read side by side, and a process may open so many."""
_NAMED = 5


class Place(msgspec.Struct, frozen=True):
    """One run: its path as it was given, and the files it is read from, in order of their names."""

    path: Path
    kind: Kind
    files: tuple[Path, ...]

    @property
    def tool(self) -> str:
        """Who wrote it."""
        return TOOLS[self.kind]

    @property
    def name(self) -> str:
        """What a person types to open it, clean."""
        text = str(self.path)
        return shown(text if os.sep in text else os.path.join(os.curdir, text))

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Size and time of last change of each file: other figures, another content."""
        return tuple(_stamp(path) for path in self.files)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        info = os.lstat(path)
    except OSError:
        return (0, 0)
    return (info.st_size, info.st_mtime_ns)


def kind_of(name: str) -> Kind | None:
    """Which reader a file of this name needs."""
    if "tfevents" in name:
        return "tensorboard"
    if name == "progress.csv":
        return "progress"
    if name == "monitor.csv" or name.endswith(".monitor.csv"):
        return "monitor"
    return "wandb" if name.endswith(".wandb") else None


def find_run(path: Path) -> Place | None:
    """The run at a path, or the only one below it; None where there is none.

    Raises UsageError naming some where there are several.
    """
    if os.path.isfile(path):
        kind = kind_of(path.name)
        return Place(path, kind, (path,)) if kind else None
    if not os.path.isdir(path) or os.path.lexists(path / SESSION_FILE):
        return None
    found = find_runs(path)
    if len(found) > 1:
        named = ", ".join(place.name for place in found[:_NAMED])
        raise UsageError(
            f"{shown(path)} holds {len(found)} runs of other tools",
            f"name one, such as {named}{' ...' if len(found) > _NAMED else ''}",
        )
    return found[0] if found else None


def find_runs(folder: Path) -> list[Place]:
    """Every run in a folder and below, in order of names; links and sessions of ours are not entered. Bounded."""
    found: list[Place] = []
    for directory, files in _directories(folder):
        found += _runs(directory, files)
        if len(found) >= MAX_RUNS:
            break
    return found[:MAX_RUNS]


def _runs(directory: Path, files: list[str]) -> list[Place]:
    """The runs that lie right here: one, told by its richest files; of W&B's each file is a run."""
    by_kind: dict[Kind, list[Path]] = {}
    for name in files:
        if kind := kind_of(name):
            by_kind.setdefault(kind, []).append(directory / name)
    logs = by_kind.pop("wandb", [])
    if logs:
        return [Place(directory if len(logs) == 1 else path, "wandb", (path,)) for path in logs]
    for kind in ("tensorboard", "progress", "monitor"):
        if kind in by_kind:
            return [Place(directory, kind, tuple(by_kind[kind][:MAX_FILES]))]
    return []


def _directories(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """(directory, its regular files' names), parents first; what cannot be read is left out."""
    left = MAX_ENTRIES
    waiting = [(folder, 0)]
    while waiting and left > 0:
        directory, depth = waiting.pop()
        files, inner = _entries(directory, left)
        left -= len(files) + len(inner) + 1
        if SESSION_FILE in files:
            continue
        yield directory, files
        if depth < MAX_DEPTH and not any(name.endswith(".wandb") for name in files):
            waiting += [(directory / name, depth + 1) for name in reversed(inner)]


def _entries(directory: Path, most: int) -> tuple[list[str], list[str]]:
    """(regular files, directories), by name; hidden ones are left out."""
    files: list[str] = []
    inner: list[str] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    inner.append(entry.name)
                if len(files) + len(inner) >= most:
                    break
    except OSError:
        return [], []
    return sorted(files), sorted(inner)
