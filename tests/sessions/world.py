"""Small real things that the tests of sessions share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tui_trainer.core.config import resolve
from tui_trainer.core.events import CheckpointSaved, Event, LogWritten, stamp
from tui_trainer.core.segments import Segment
from tui_trainer.sessions.checkpoints import CheckpointStore, Manifest
from tui_trainer.sessions.oslayer import REAL, Disk
from tui_trainer.sessions.store import Session

SETTINGS = resolve([])


def new_session(root: Path, name: str = "a", disk: Disk = REAL) -> Session:
    return Session.create(root, name, SETTINGS, {}, disk=disk)


def segment(number: int) -> Segment:
    """One that several checkpoints hold."""
    return Segment(np.full((64, 8), number % 256, np.uint8))


def small_state(update: int) -> dict[str, Any]:
    """Tensors, arrays, generators and plain values, different for every update."""
    generator = np.random.default_rng(update)
    return {
        "learner": {"weight": torch.full((7, 5), float(update)), "step": update},
        "task": {"rng": generator.bit_generator.state, "board": generator.integers(0, 9, (3, 4))},
        "replay": {"segments": [segment(number) for number in range(max(0, update // 2 - 2), update // 2)]},
        "counters": {"update": update, "shape": (1, 2), "names": ["a", "b"]},
        "wall": {"elapsed_s": 1.5 * update},
    }


def save(store: CheckpointStore, update: int, kind: Any = "regular", score: float | None = None) -> Manifest:
    frozen = store.snapshot(small_state(update))
    return store.save(frozen, kind=kind, update=update, global_step=10 * update, score=score)


def line(seq: int, text: str = "x", update: int = 0) -> Event:
    return stamp(LogWritten(level="info", text=text), seq=seq, time=1000.0 + seq, update=update, global_step=0)


def saved_event(manifest: Manifest, seq: int) -> Event:
    event = CheckpointSaved(
        number=manifest.number,
        kind=manifest.kind,
        path=manifest.path,
        at_update=manifest.update,
        at_step=manifest.global_step,
        size=manifest.size,
        state_sha256=manifest.state_sha256,
    )
    return stamp(event, seq=seq, time=1000.0 + seq, update=manifest.update, global_step=manifest.global_step)
