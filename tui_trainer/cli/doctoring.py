"""`doctor`: what this machine offers, and what is in the way."""

from __future__ import annotations

import sys

import msgspec

from tui_trainer.cli import find
from tui_trainer.telemetry.probe import probe


def doctor(sessions: str | None, *, json: bool) -> int:
    """Print every finding; 0 however they are, since advice is no failure."""
    findings = probe(find.root(sessions))
    for finding in findings:
        if json:
            sys.stdout.write(msgspec.json.encode(finding).decode() + "\n")
            continue
        print(f"{'ok  ' if finding.ok else 'look'}  {finding.name:<14} {finding.value}")
        if finding.advice:
            print(f"      {'':<14} → {finding.advice}")
    return 0
