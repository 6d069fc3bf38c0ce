"""What the program tells a process of its own that executes a session: the same words, written and read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path


def written(session: Path, assignments: Sequence[str], callbacks: Sequence[str]) -> list[str]:
    """For `parser` to read."""
    given = [*(f"--set={text}" for text in assignments), *(f"--callback={path}" for path in callbacks)]
    return [os.path.abspath(session), *given]


def parser(prog: str) -> argparse.ArgumentParser:
    """`session`, `assignments` and `callbacks`."""
    found = argparse.ArgumentParser(prog=prog)
    found.add_argument("session", type=Path)
    found.add_argument("--set", action="append", default=[], dest="assignments")
    found.add_argument("--callback", action="append", default=[], dest="callbacks")
    return found
