"""Tic-tac-toe: three in a row on 3 x 3. Small enough to debug a learner by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from tui_trainer.tasks.boards.game import BoardOptions, BoardRules, BoardTask
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.options import read_options

BOARD = Geometry(3, 3, 3, gravity=False)
RULES = BoardRules(
    id="tictactoe",
    ladder=("random", "1-ply", "minimax-9"),
    outcomes=("cross", "nought", "draw"),
    evaluation_plies=3,
    baselines={"1-ply": 0.38, "minimax-9": 0.51},
)


class Options(BoardOptions, frozen=True):
    """[task] of tictactoe."""

    opening_plies: Annotated[int, Meta(ge=0, le=6, description="Games start from up to this many random plies.")] = 2


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> BoardTask:
    """`num_envs` games. Observations (N, 2, 3, 3): own stones, the other's."""
    return BoardTask(BOARD, RULES, read_options(Options, options, RULES.id), num_envs, max_episode_steps)
