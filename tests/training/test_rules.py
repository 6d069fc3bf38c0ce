"""Each rule over small histories: when it fires, what it proposes, when it stays silent."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from tui_trainer.core.values import Difficulty, DifficultySpace, Metrics
from tui_trainer.training.history import History, Point, Proposal, Share, Trend
from tui_trainer.training.rules import RULES
from tui_trainer.training.trends import assess

from .world import LEVELS, SPACE, SPEC

RANGED = DifficultySpace(ranged=True, unit="quality")


def history(
    rates: list[tuple[float, float, float]],
    *,
    level: int = 0,
    low: float = 0.7,
    space: DifficultySpace | None = SPACE,
    metrics: Metrics | None = None,
    changed_at: int = 0,
    algorithm: str = "ppo",
    trend: Trend | None = None,
    metric: str = "win_rate",
    more_settings: dict[str, float] | None = None,
) -> History:
    """One row an evaluation: win rate against each level."""
    difficulty = Difficulty(level=level, low=low)
    spec = msgspec.structs.replace(SPEC, metric=metric)
    points = tuple(
        Point(
            update=10 * i,
            value=sum(row) / 3,
            low=sum(row) / 3 - 0.03,
            high=sum(row) / 3 + 0.03,
            by={name: Share(rate, rate - 0.06, rate + 0.04) for name, rate in zip(LEVELS, row, strict=True)},
            difficulty=difficulty,
            metrics=metrics or {},
        )
        for i, row in enumerate(rates)
    )
    settings = {"ppo.learning_rate": 3e-4, "ppo.ent_coef": 0.01} if algorithm == "ppo" else {"dqn.learning_rate": 1e-3}
    return History(
        points=points,
        trend=trend or assess(points, spec, space),
        spec=spec,
        space=space,
        difficulty=difficulty,
        start=Difficulty(low=0.7),
        floor=0.3,
        step=0.05,
        algorithm=algorithm,
        settings=settings | (more_settings or {}),
        changed_at=changed_at,
    )


def says(rule: str, h: History) -> Proposal | None:
    return RULES[rule](h)


EASY, EVEN, HARD = (0.96, 0.5, 0.1), (0.6, 0.4, 0.1), (0.05, 0.02, 0.0)


# --- harder ----------------------------------------------------------------------------------------------------------


def test_harder_fires_when_the_level_was_beaten_three_times() -> None:
    proposal = says("harder", history([EASY] * 3))
    assert proposal is not None
    assert (proposal.change.key, proposal.change.old, proposal.change.new) == ("difficulty.level", 0, 1)
    assert proposal.title == "raise the difficulty: random → 1-ply"
    assert proposal.confidence > 0.9
    assert (proposal.aim, proposal.expected) == ("hold", "harder games teach more: the reference score does not fall")


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param(history([EASY] * 2), id="beaten twice only"),
        pytest.param(history([EASY, EVEN, EASY]), id="not beaten once"),
        pytest.param(history([(0.9, 0.9, 0.95)] * 5, level=2), id="at the top"),
        pytest.param(history([EASY] * 5, changed_at=3), id="changed two evaluations ago"),
        pytest.param(history([EASY] * 5, space=None), id="no difficulty"),
        pytest.param(history([EASY] * 5, level=1), id="another level is beaten"),
        pytest.param(history([EASY] * 5, metric="mean_reward"), id="no win rate"),
    ],
)
def test_harder_is_silent(silent: History) -> None:
    assert says("harder", silent) is None


def test_harder_widens_the_range_by_one_step_down_to_the_floor() -> None:
    rows = [(0.95, 0.95, 0.95)] * 3
    proposal = says("harder", history(rows, space=RANGED))
    assert proposal is not None
    assert (proposal.change.key, proposal.change.old, proposal.change.new) == ("difficulty.low", 0.7, 0.65)
    near = says("harder", history(rows, space=RANGED, low=0.32))
    assert near is not None
    assert near.change.new == 0.3
    assert says("harder", history(rows, space=RANGED, low=0.3)) is None


# --- easier ----------------------------------------------------------------------------------------------------------


def test_easier_fires_when_a_level_is_lost_five_times_without_a_rise() -> None:
    proposal = says("easier", history([HARD] * 5, level=1))
    assert proposal is not None
    assert (proposal.change.key, proposal.change.old, proposal.change.new) == ("difficulty.level", 1, 0)


def test_easier_reads_the_whole_evaluation_where_levels_are_no_parts_of_it() -> None:
    """Levels of another kind than the parts: only the reference score tells how it goes at the present one."""
    elsewhere = DifficultySpace(levels=("meadow", "forest", "cliff"))
    lost = says("easier", history([HARD] * 5, level=2, space=elsewhere))
    assert lost is not None
    assert (lost.change.key, lost.change.old, lost.change.new) == ("difficulty.level", 2, 1)
    assert lost.title == "lower the difficulty: cliff → forest"
    assert lost.evidence[0].startswith("2 % won against cliff over the last 5")
    won = [(0.9, 0.02, 0.0)] * 5  # lost against minimax-2, yet cliff is not minimax-2
    assert says("easier", history(won, level=2, space=elsewhere)) is None
    assert says("easier", history(won, level=2)) is not None
    assert says("easier", history([HARD] * 5, space=elsewhere)) is None, "at the bottom"


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param(history([HARD] * 4, level=1), id="four times only"),
        pytest.param(history([HARD] * 6), id="at the bottom"),
        pytest.param(history([HARD] * 6, level=1, changed_at=3), id="changed lately"),
        pytest.param(history([(0.0, 0.01 * i, 0.01 * i) for i in range(8)], level=1), id="it rises"),
        pytest.param(history([EVEN] * 6, level=1), id="not that hard"),
        pytest.param(history([HARD] * 6, space=None), id="no difficulty"),
        pytest.param(history([HARD] * 6, space=RANGED, low=0.7), id="at the initial range"),
    ],
)
def test_easier_is_silent(silent: History) -> None:
    assert says("easier", silent) is None


def test_easier_narrows_a_widened_range() -> None:
    proposal = says("easier", history([HARD] * 6, space=RANGED, low=0.5))
    assert proposal is not None
    assert (proposal.change.old, proposal.change.new) == (0.5, 0.55)


# --- learning rate ---------------------------------------------------------------------------------------------------


def test_learning_rate_is_halved_when_updates_overshoot() -> None:
    proposal = says("learning_rate", history([EVEN] * 3, metrics={"train/approx_kl": 0.05}))
    assert proposal is not None
    assert (proposal.change.key, proposal.change.new) == ("ppo.learning_rate", 1.5e-4)


def test_learning_rate_is_halved_on_a_sure_plateau_with_any_algorithm() -> None:
    proposal = says("learning_rate", history([EVEN] * 25, algorithm="dqn"))
    assert proposal is not None
    assert proposal.change.key == "dqn.learning_rate"


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param(history([EVEN] * 3, metrics={"train/approx_kl": 0.015}), id="usual KL"),
        pytest.param(history([EVEN] * 2, metrics={"train/approx_kl": 0.05}), id="two evaluations"),
        pytest.param(history([EVEN] * 6), id="short plateau"),
        pytest.param(history([EVEN] * 5, metrics={"train/approx_kl": 0.05}, changed_at=3), id="changed lately"),
    ],
)
def test_learning_rate_is_silent(silent: History) -> None:
    assert says("learning_rate", silent) is None


# --- entropy ---------------------------------------------------------------------------------------------------------


def collapsed(share: float) -> Metrics:
    return {"train/entropy_loss": -share * math.log(SPEC.n)}


def test_entropy_is_raised_after_a_collapse_without_a_rise() -> None:
    proposal = says("entropy", history([EVEN] * 6, metrics=collapsed(0.02)))
    assert proposal is not None
    assert (proposal.change.key, proposal.change.old, proposal.change.new) == ("ppo.ent_coef", 0.01, 0.02)


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param(history([EVEN] * 6, metrics=collapsed(0.2)), id="entropy is there"),
        pytest.param(history([EASY] * 6, metrics=collapsed(0.02)), id="excelling"),
        pytest.param(history([EVEN] * 6, metrics=collapsed(0.02), algorithm="dqn"), id="no such setting"),
        pytest.param(history([EVEN] * 6), id="not measured"),
    ],
)
def test_entropy_is_silent(silent: History) -> None:
    assert says("entropy", silent) is None


# --- without wins and losses -----------------------------------------------------------------------------------------

PLATEAU = Trend(name="plateau", confidence=0.9, evidence="no progress for 16 evaluations", noise=0.01)
FALLING = Trend(name="degrading", confidence=0.95, evidence="0.2 below its best", fallen=7, noise=0.01)


def scored(rows: int, trend: Trend, **more: Any) -> History:
    return history([EVEN] * rows, metric="score", trend=trend, **more)


def test_harder_fires_on_a_plateau_where_nothing_is_won_or_lost() -> None:
    proposal = says("harder", scored(12, PLATEAU, space=RANGED))
    assert proposal is not None
    assert (proposal.change.key, proposal.change.new) == ("difficulty.low", 0.65)
    assert says("harder", scored(12, PLATEAU, space=RANGED, changed_at=4)) is None
    assert says("harder", scored(12, FALLING, space=RANGED)) is None


def test_easier_fires_on_a_fall_above_the_first_difficulty_only() -> None:
    proposal = says("easier", scored(12, FALLING, level=1))
    assert proposal is not None
    assert (proposal.change.old, proposal.change.new, proposal.aim) == (1, 0, "rise")
    assert says("easier", scored(12, FALLING)) is None
    assert says("easier", scored(12, PLATEAU, level=1)) is None


# --- opponent pool, rollback, rollouts -------------------------------------------------------------------------------


def test_opponent_pool_is_played_more_when_self_play_forgets() -> None:
    pool = {"ppo.pool_share": 0.2}
    proposal = says("opponent_pool", history([EVEN] * 8, trend=FALLING, more_settings=pool))
    assert proposal is not None
    assert (proposal.change.key, proposal.change.new) == ("ppo.pool_share", 0.4)
    assert says("opponent_pool", history([EVEN] * 8, trend=PLATEAU, more_settings=pool)) is None
    assert says("opponent_pool", history([EVEN] * 8, trend=FALLING)) is None
    assert says("opponent_pool", history([EVEN] * 8, trend=FALLING, more_settings={"ppo.pool_share": 0.6})) is None


def test_rollback_offers_the_best_checkpoint_after_a_lasting_fall() -> None:
    fallen = msgspec.structs.replace(history([EVEN] * 8, trend=FALLING), best_update=40)
    proposal = says("rollback", fallen)
    assert proposal is not None
    assert (proposal.change.key, proposal.change.new) == ("rollback", 40)
    assert says("rollback", msgspec.structs.replace(fallen, best_update=0)) is None
    short = msgspec.structs.replace(FALLING, fallen=5)
    assert says("rollback", msgspec.structs.replace(fallen, trend=short)) is None


def test_rollouts_are_to_be_longer_when_the_policy_jumps_on_a_plateau() -> None:
    jumping = msgspec.structs.replace(PLATEAU, noise=0.2)
    fixed = {"ppo.n_steps": 128.0}
    proposal = says("rollout", msgspec.structs.replace(history([EVEN] * 14, trend=jumping), fixed=fixed))
    assert proposal is not None
    assert (proposal.change.key, proposal.change.new) == ("fork.ppo.n_steps", 256)
    assert says("rollout", msgspec.structs.replace(history([EVEN] * 14, trend=PLATEAU), fixed=fixed)) is None


# --- stop ------------------------------------------------------------------------------------------------------------


def test_stop_fires_on_a_sure_plateau_only() -> None:
    assert says("stop", history([EVEN] * 25)) is not None
    assert says("stop", history([EVEN] * 14)) is None
    assert says("stop", history([(0.02 * i, 0.02 * i, 0.0) for i in range(25)])) is None


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_explains_itself_and_is_silent_without_evaluations(rule: str) -> None:
    assert (RULES[rule].__doc__ or "").startswith("Fires")
    assert says(rule, history([])) is None
