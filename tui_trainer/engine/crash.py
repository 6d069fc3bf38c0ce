"""What a post-mortem needs, written into the session's crash directory."""

from __future__ import annotations

import traceback
from pathlib import Path

import msgspec

from tui_trainer.core.events import AnyEvent, encode
from tui_trainer.core.text import clean
from tui_trainer.core.values import Metrics

MAX_TRACEBACK = 100_000


def write_crash_report(directory: Path, error: BaseException, recent: list[AnyEvent], metrics: Metrics) -> None:
    """Traceback, latest metrics and the last events. Raises OSError where the disk refuses."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = clean("".join(traceback.format_exception(error)), MAX_TRACEBACK)
    _write(directory / "traceback.txt", text.encode())
    _write(directory / "metrics.json", msgspec.json.format(msgspec.json.encode(metrics)))
    _write(directory / "events.jsonl", b"\n".join(encode(event) for event in recent) + b"\n")


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
