"""How the suite drives learners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from tui_trainer.core.config import Config, Layer, resolve
from tui_trainer.core.segments import Segment
from tui_trainer.sessions.oslayer import Disk

FOREVER = 1e9


class QuickDisk(Disk):
    """The real disk without its syncs: no test here cuts the power."""

    def fsync(self, fd: int) -> None:
        return None

    def fsync_dir(self, path: Path) -> None:
        return None


def settings(**tables: dict[str, Any]) -> Config:
    """A Config from nested tables over the defaults."""
    return resolve([Layer("test", tables)]).config


def update(learner, budget_s: float = FOREVER) -> dict[str, float | None]:
    """One collect and learn; all their metrics."""
    while not (report := learner.collect(budget_s)).complete:
        pass
    return report.metrics | learner.learn().metrics


def differences(a: object, b: object, path: str = "") -> list[str]:
    """Where two states differ, by path; bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return [f"{path}: keys {sorted(a.keys() ^ b.keys())}"]
        return [d for key in a for d in differences(a[key], b[key], f"{path}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        if len(a) != len(b):
            return [f"{path}: {len(a)} and {len(b)} long"]
        return [d for i, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, f"{path}/{i}")]
    return [] if _bits(a) == _bits(b) else [path]


def _bits(value: object) -> object:
    if isinstance(value, Segment):
        value = np.asarray(value.array)
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    return value


def leaves(state: object, path: tuple = ()) -> list[tuple]:
    """Every key of a nested state as a path."""
    found = []
    if isinstance(state, dict):
        for key, value in state.items():
            found += [(*path, key), *leaves(value, (*path, key))]
    if isinstance(state, list):
        for i, value in enumerate(state):
            found += leaves(value, (*path, i))
    return found


def plain(config: Config) -> dict[str, Any]:
    return msgspec.to_builtins(config)
