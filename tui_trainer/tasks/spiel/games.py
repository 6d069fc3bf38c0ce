"""Games that have more than OpenSpiel's own view: by OpenSpiel's short name."""

from __future__ import annotations

from tui_trainer.tasks.spiel.boards import Breakthrough, Othello
from tui_trainer.tasks.spiel.rules import Rules
from tui_trainer.tasks.spiel.shogi import Shogi

RULES: dict[str, type[Rules]] = {"shogi": Shogi, "othello": Othello, "breakthrough": Breakthrough}
