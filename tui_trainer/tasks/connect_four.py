"""Connect Four: four in a row on 7 columns and 6 rows, stones fall. The default task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from tui_trainer.tasks.boards.game import BoardOptions, BoardRules, BoardTask
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.options import read_options

LADDER = ("random", "1-ply", "minimax-2", "minimax-3", "minimax-4", "minimax-5")

BOARD = Geometry(6, 7, 4, gravity=True)
RULES = BoardRules(
    id="connect_four",
    ladder=LADDER,
    outcomes=("black", "white", "draw"),
    evaluation_plies=8,
    baselines={"1-ply": 0.38, "minimax-3": 0.55, "minimax-5": 0.72},
)


class Options(BoardOptions, frozen=True):
    """[task] of connect_four."""

    backend: Annotated[
        Literal["numpy", "torch"],
        Meta(description="What the games are played with; both play the same games. torch can do so on a GPU."),
    ] = "numpy"
    device: Annotated[str, Meta(description="Where the torch backend has its boards, such as cuda.")] = "cpu"


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> BoardTask:
    """`num_envs` games. Observations (N, 2, 6, 7): own stones, the other's; row 0 is the bottom."""
    chosen = read_options(Options, options, RULES.id)
    if chosen.backend == "numpy":
        return BoardTask(BOARD, RULES, chosen, num_envs, max_episode_steps)
    from tui_trainer.tasks.boards.resident import ResidentBoardTask

    return ResidentBoardTask(BOARD, RULES, chosen, num_envs, max_episode_steps, chosen.device)
