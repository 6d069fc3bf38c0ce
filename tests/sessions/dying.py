"""The program, killed at a call on the disk of one's choosing: DIES_AT is its number."""

from __future__ import annotations

import os

from tests.sessions.test_deaths import die_at


def entry() -> None:
    """As the console script's own."""
    from tui_trainer.cli.main import entry

    die_at(int(os.environ["DIES_AT"]))
    entry()
