"""`apply`: let a trained policy do its work on a folder of yours."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tui_trainer.cli.evaluating import subject_of
from tui_trainer.core.text import clean_line


def apply_policy(
    sessions: str | None, name: str, source: str, target: str, checkpoint: str, pixels: int, *, json: bool
) -> int:
    """Print a line a file; 1 where nothing was written."""
    from tui_trainer.engine.examine import apply

    written = 0
    for done in apply(subject_of(sessions, name, checkpoint), Path(source), Path(target), pixels):
        written += bool(done.target)
        if json:
            sys.stdout.write(msgspec.json.encode(done._asdict()).decode() + "\n")
        else:
            print(_line(done.source, done.target, done.facts, done.note))
    if not json:
        print(f"{written} files written to {clean_line(target)}")
    return 0 if written else 1


def _line(source: str, target: str, facts: dict[str, float], note: str) -> str:
    if not target:
        return f"{clean_line(source)}: not written, {clean_line(note)}"
    ours = f"SSIM {facts['ssim']:.3f} (defaults {facts['ssim of defaults']:.3f})"
    size = f"{facts['bytes']:,.0f} bytes (defaults {facts['bytes of defaults']:,.0f})"
    return f"{clean_line(target)}: {ours}, {size}" + (f", {note}" if note else "")
