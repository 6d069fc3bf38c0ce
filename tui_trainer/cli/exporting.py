"""`export`: a checkpoint's policy as a file that other programs run."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tui_trainer.cli import find
from tui_trainer.core.format import count, size
from tui_trainer.engine.examine import from_file, from_session
from tui_trainer.engine.exporting import export_onnx
from tui_trainer.errors import UsageError

FORMATS = ("onnx",)
OBSERVATIONS = 1000


def export_policy(sessions: str | None, name: str, form: str, checkpoint: str, out: str | None, *, json: bool) -> None:
    """Write it and say how it compares with the policy."""
    if form not in FORMATS:
        raise UsageError(f"--policy {form}: not a format", f"there is {', '.join(FORMATS)}")
    if name.endswith(".pt"):
        subject, stem = from_file(Path(name)), Path(name).stem
    else:
        session = find.session_or_sample(sessions, name)
        subject, stem = from_session(session, checkpoint), session.name
    found = export_onnx(subject, Path(out or f"{stem}.{form}"), OBSERVATIONS)
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    print(f"{found.path}: {size(found.size)}, from {subject.label}")
    print(
        f"same action on {count(found.equal)} of {count(found.observations)} observations, "
        f"numbers within {found.difference:.1e}"
    )
