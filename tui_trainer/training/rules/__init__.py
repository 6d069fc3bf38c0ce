"""One recommendation rule a file: History -> Proposal or None."""

from __future__ import annotations

from tui_trainer.training.history import Rule
from tui_trainer.training.rules.easier import easier
from tui_trainer.training.rules.entropy import entropy
from tui_trainer.training.rules.harder import harder
from tui_trainer.training.rules.learning_rate import learning_rate
from tui_trainer.training.rules.opponent_pool import opponent_pool
from tui_trainer.training.rules.rollback import rollback
from tui_trainer.training.rules.rollout import rollout
from tui_trainer.training.rules.stop import stop

RULES: dict[str, Rule] = {
    "harder": harder,
    "easier": easier,
    "learning_rate": learning_rate,
    "entropy": entropy,
    "opponent_pool": opponent_pool,
    "rollback": rollback,
    "rollout": rollout,
    "stop": stop,
}
"""In the order of precedence: of several proposals on one subject the first is raised."""
