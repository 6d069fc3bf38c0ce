"""One recommendation rule a file: History -> Proposal or None."""

from __future__ import annotations

from tui_trainer.training.history import Rule
from tui_trainer.training.rules.easier import easier
from tui_trainer.training.rules.harder import harder

RULES: dict[str, Rule] = {
    "harder": harder,
    "easier": easier,
}
"""In the order of precedence: of several proposals on one subject the first is raised."""
