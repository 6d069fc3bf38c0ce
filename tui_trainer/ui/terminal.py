"""Refused where there is no terminal: nobody could see the app or type."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from tui_trainer.errors import UsageError


def require_terminal(
    stdin: TextIO | None = sys.__stdin__,
    stdout: TextIO | None = sys.__stdout__,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Raises UsageError (exit 2) unless stdin and stdout are a terminal that can show the app. Imports no Textual."""
    for name, stream in (("stdin", stdin), ("stdout", stdout)):
        if stream is None or stream.closed or not stream.isatty():
            raise UsageError(f"{name} is not a terminal", "use --no-ui")
    if environ.get("TERM", "") in ("dumb", ""):
        raise UsageError(f"TERM={environ.get('TERM') or '(not set)'} cannot show the app", "use --no-ui")
