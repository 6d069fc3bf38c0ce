"""What a normal end leaves in the session for scripts and people: results.json, and the report."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from tui_trainer.core import events
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.values import EvalResult
from tui_trainer.errors import StorageError
from tui_trainer.sessions.oslayer import REAL, replace_file, storage_errors

FORMAT = 1
RESULTS = "results.json"
REPORT_S = 120.0
"""The report is given up after so long."""


class ResultsKeeper:
    """A listener that writes results.json when a run ends after its final evaluations."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._finals: list[events.EvaluationFinished] = []
        self.is_written = False

    def note(self, event: AnyEvent, line: bytes) -> None:
        """Listener. A disk that refuses is the saver's business."""
        match event:
            case events.RunResumed():
                self._finals.clear()
            case events.EvaluationFinished(suite="final"):
                self._finals.append(event)
            case events.RunEnded() if self._finals:
                self._write(event)
            case _:
                return

    def _write(self, ended: events.RunEnded) -> None:
        evaluations = [{"checkpoint": each.checkpoint, **in_full(each.result)} for each in self._finals]
        table = {
            "format": FORMAT,
            "session": self._name,
            "reason": msgspec.to_builtins(ended.reason),
            "update": ended.update,
            "global_step": ended.global_step,
            "elapsed_s": ended.elapsed_s,
            "seeds": "never used while training or selecting",
            "evaluations": evaluations,
        }
        try:
            with storage_errors(self._path):
                replace_file(REAL, self._path / RESULTS, msgspec.json.format(msgspec.json.encode(table)) + b"\n")
        except StorageError:
            return
        self.is_written = True


def in_full(result: EvalResult) -> dict[str, object]:
    """Every field, those at their defaults included: a script may rely on each."""
    parts = {name: msgspec.structs.asdict(part) for name, part in result.by.items()}
    return msgspec.structs.asdict(result) | {"by": parts}


def write_report(path: Path, log: Path) -> None:
    """`tui-trainer report` in a process of its own, so that its libraries cost the engine nothing; what it says goes to
    the log. Nothing where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    words = [sys.executable, "-m", "tui_trainer", "report", os.path.abspath(path)]
    with open(log, "ab") as out:
        try:
            subprocess.run(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=REPORT_S, check=False)
        except subprocess.TimeoutExpired:
            out.write(f"the report took longer than {REPORT_S:g} s and was given up\n".encode())
