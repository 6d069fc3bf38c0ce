"""Trade momentum on OHLCV bars: short, flat or long, decided at each bar's close, filled at the next bar's open.

An episode is a segment of 256 bars, flat at its beginning; at its end the position is closed. With position p_t in
{-1, 0, 1} decided at close t, r_t = open_{t+2} / open_{t+1} - 1 and c the costs of a unit traded, the reward is

    log(1 + p_t r_t - c |p_t - p_{t-1}|)

over the standard deviation of the training bars' r; no bar takes more than 99 % of the equity, so that a short into a
price that doubles ends in a number. What an observation holds is known at its bar's close.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from tui_trainer.core.config import Settings
from tui_trainer.core.data import DataReport
from tui_trainer.core.protocols import Policy, Reset, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import ConfigError, UsageError
from tui_trainer.tasks.arrays import (
    Array,
    Bool,
    Float,
    Int,
    Small,
    generator_of,
    generator_state,
    load_generator,
    loaded,
    require_same_data,
)
from tui_trainer.tasks.market import market
from tui_trainer.tasks.market.features import SPANS
from tui_trainer.tasks.market.market import Market
from tui_trainer.tasks.market.pictures import picture
from tui_trainer.tasks.market.results import Account, log_growth, result
from tui_trainer.tasks.market.segments import LENGTH
from tui_trainer.tasks.options import FINAL_SHARE, FinalShare, read_options
from tui_trainer.tasks.splits import recalled

ACTIONS = ("short", "flat", "long")
BANDS = {"0.70-1.00": (0.7, 1.0), "0.50-0.70": (0.5, 0.7), "0.30-0.50": (0.3, 0.5)}
"""Parts of the evaluation: qualities of held-out segments."""
SPACE = DifficultySpace(ranged=True, floor=0.3, step=0.05, unit="efficiency percentile")
MOMENTUM_SPAN = 16


class Options(Settings, frozen=True):
    """[task] of trading."""

    data: Annotated[
        str, Meta(description="CSV or Parquet file of bars, or a folder of them; empty = a generated market.")
    ] = ""
    market_seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Which market is generated.")] = 0
    instruments: Annotated[int, Meta(ge=1, le=1000, description="Instruments of the generated market.")] = 64
    bars: Annotated[int, Meta(ge=1024, le=2**20, description="Bars of each generated instrument.")] = 8192
    cost_bp: Annotated[float, Meta(ge=0, le=1000, description="Fee of a unit traded, basis points.")] = 2.0
    slippage_bp: Annotated[float, Meta(ge=0, le=1000, description="Slippage of a unit traded, basis points.")] = 2.0
    folds: Annotated[int, Meta(ge=1, le=50, description="Walk-forward splits; the training range grows.")] = 3
    fold: Annotated[int, Meta(ge=0, le=50, description="The split that is used, from 1; 0 = the last.")] = 0
    embargo: Annotated[int, Meta(ge=0, le=10_000, description="Bars between training and held-out ones.")] = 128
    bars_per_year: Annotated[float, Meta(gt=0, description="By which Sharpe ratios are annualised.")] = 252.0
    final_share: FinalShare = FINAL_SHARE


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> TradingTask:
    """`num_envs` traders. Observations (N, 15): features of the bars so far, and the position."""
    chosen = read_options(Options, options, "trading")
    if chosen.fold > chosen.folds:
        raise ConfigError(f"task.fold: {chosen.fold} of {chosen.folds} folds", "lower it, or raise task.folds")
    return TradingTask(_market(chosen), chosen, num_envs, max_episode_steps)


def _market(options: Options) -> Market:
    how = (options.folds, options.fold, options.embargo)
    if options.data:
        return market.from_files(Path(options.data).expanduser(), *how, options.final_share)
    return market.generated(options.market_seed, options.instruments, options.bars, *how)


class TradingTask:
    """Traders on segments of a market, each with a position of its own."""

    def __init__(self, bars: Market, options: Options, num_envs: int, max_episode_steps: int) -> None:
        self._market, self._options = bars, options
        self._limit = min(max_episode_steps or LENGTH, LENGTH)
        self._cost = (options.cost_bp + options.slippage_bp) / 1e4
        self._range = self._rows(Difficulty())
        self._rng = generator_of(0)
        self._rows_of_env = np.arange(num_envs)
        self._start: Int = np.zeros(num_envs, np.int64)
        self._t: Int = np.zeros(num_envs, np.int64)
        self._path: Small = np.zeros((num_envs, LENGTH), np.int8)
        self._position: Small = np.zeros(num_envs, np.int8)
        self._quiet: Small = np.zeros(num_envs, np.int8)
        self._all: Bool = np.ones(num_envs, np.bool_)
        self._spec = TaskSpec(
            id="trading",
            obs_shape=(market.features_count(),),
            obs_dtype="float32",
            action="discrete",
            n=len(ACTIONS),
            num_envs=num_envs,
            metric="win_rate",
            outcomes=("gain", "loss", "even"),
            parts=tuple(BANDS),
        )
        self.reset(0)

    @property
    def spec(self) -> TaskSpec:
        """Fixed facts."""
        return self._spec

    @property
    def data_report(self) -> DataReport | None:
        """What of the user's files is used; None where the market is generated."""
        return self._market.report

    # --- stepping --------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Reset:
        """A training segment of the present quality range for every trader."""
        self._rng = generator_of(seed)
        self._begin(self._rows_of_env)
        return Reset(self._observe(), None, self._quiet)

    def _begin(self, rows: Int) -> None:
        self._start[rows] = self._market.train.start[self._rng.integers(*self._range, len(rows))]
        self._t[rows] = 0
        self._position[rows] = 0
        self._path[rows] = 0

    def step(self, action: Array) -> Step:
        """Take the positions `action` - 1, (N,). Raises UsageError for an action that is none."""
        gain, info = self._trade(action)
        over, cut = self._t == LENGTH, self._t == self._limit
        if not cut.any():
            obs = self._observe()
            no = ~self._all
            return Step(obs, gain, no, no, obs, None, self._quiet, self._all, np.zeros_like(self._quiet), info=info)
        outcome = np.where(cut, self._outcome(), 0).astype(np.int8)
        final_obs = self._observe()
        self._begin(np.flatnonzero(cut))
        obs, quiet = self._observe(), self._quiet
        return Step(obs, gain, over, cut & ~over, final_obs, None, quiet, self._all, outcome, info=info)

    def _trade(self, action: Array) -> tuple[Float, dict[str, Array]]:
        """Move every trader on by one bar; the rewards (N,), and what is told of it: units traded, whether long or
        short at all."""
        target = np.asarray(action).astype(np.int8) - np.int8(1)
        if np.abs(target).max() > 1:
            raise UsageError(f"action {int(np.asarray(action)[np.abs(target) > 1][0])} is none of 0, 1, 2")
        traded = np.abs(target - self._position)
        at = self._start + self._t
        self._path[self._rows_of_env, self._t] = target
        self._t += 1
        closing = self._t == LENGTH
        if closing.any():
            traded = traded + np.abs(target) * closing
            target = target * ~closing
        held = self._path[self._rows_of_env, self._t - 1]
        gain = log_growth(held * self._market.fill_return[at] - self._cost * traded)
        self._position = target
        found: Float = (gain / self._market.scale).astype(np.float32)
        return found, {"turnover": traded, "exposure": np.abs(held)}

    def _observe(self) -> Float:
        obs: Float = self._market.features.take(self._start + self._t, axis=0)
        obs[:, -1] = self._position
        return obs

    def _outcome(self) -> Small:
        """1 gain, 2 loss, 3 even: of each trader's episode so far."""
        total = self.account().log_gain.sum(axis=1)
        return np.where(total > 0, 1, np.where(total < 0, 2, 3)).astype(np.int8)

    def account(self) -> Account:
        """Every trader's episode so far, bar by bar."""
        return Account.of(self._market, self._start, self._path, self._t, self._cost)

    # --- difficulty ------------------------------------------------------------------------------------------

    def difficulty_space(self) -> DifficultySpace | None:
        """The range of qualities that training segments are drawn from."""
        return SPACE

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """Draw the next episodes' segments from the qualities [low, high]. Raises UsageError for another level."""
        if difficulty.level != 0:
            raise UsageError("trading has no levels", "its difficulty is the range [difficulty.low, difficulty.high]")
        if not 0 <= difficulty.low < difficulty.high <= 1:
            raise UsageError(f"[{difficulty.low}, {difficulty.high}] is no range of qualities")
        self._range = self._rows(difficulty)

    def _rows(self, difficulty: Difficulty) -> tuple[int, int]:
        return self._market.train.between(difficulty.low, difficulty.high)

    # --- evaluation ------------------------------------------------------------------------------------------

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Trade held-out segments of a band; a gain after costs is a win. The seed chooses which, once each if it can.

        `extra`: Sharpe ratio (annualised), return in percent and worst drawdown of a segment, turnover (units a bar),
        consistency (share of quarters of segments with a gain).
        """
        other = TradingTask(self._market, self._options, episodes, self._limit)
        account = other.play(policy, self._held_out(part, episodes, seed))
        return result(account, self._market.scale, self._options.bars_per_year, picture(account, self._market, 0))

    def _held_out(self, part: str, episodes: int, seed: int) -> Int:
        if part not in BANDS:
            raise UsageError(f"trading has no part {part!r}", f"it has {', '.join(BANDS)}")
        found = self._market.held_out
        first, last = found.between(*BANDS[part])
        rounds = -(-episodes // (last - first))
        rng = generator_of(seed, 1)
        order = np.concatenate([rng.permutation(np.arange(first, last)) for _ in range(rounds)])
        chosen: Int = found.start[order[:episodes]]
        return chosen

    def play(self, policy: Policy, start: Int) -> Account:
        """Trade these segments to their end; leaves this task at their last step."""
        self._start, self._t = start.copy(), np.zeros_like(start)
        self._begin_nowhere()
        for _ in range(self._limit):
            self._trade(policy.act(self._observe(), None))
        return self.account()

    def _begin_nowhere(self) -> None:
        self._position = np.zeros_like(self._position)
        self._path = np.zeros_like(self._path)

    def final(self) -> TradingTask:
        """Evaluates on segments that nothing else sees: of other instruments; in a person's bars the last ones."""
        kept, o = self._market, self._options
        if not o.data:
            kept = market.more(o.market_seed, o.instruments, o.bars, o.folds, o.fold, o.embargo)
        elif kept.kept is not None:
            kept = kept._replace(held_out=kept.kept)
        return TradingTask(kept, o, 1, self._limit)

    def baselines(self) -> dict[str, float]:
        """Win rates of simple traders on the held-out segments, the mean over the bands."""
        span, log = MOMENTUM_SPAN, self._market.log_close
        known: dict[str, Callable[[Int], Array]] = {
            "buy and hold": lambda at: np.ones(at.shape, np.int8),
            "TSMOM": lambda at: np.sign(log[at] - log[at - span]).astype(np.int8),
        }
        found = {"flat": 0.0, **{name: self._mean_win_rate(rule) for name, rule in known.items()}}
        oracle = self.bound()
        return found if oracle is None else {**found, "regime oracle": oracle}

    def bound(self) -> float | None:
        """The win rate of who knows the regime of the bar ahead; None where nobody does."""
        regime = self._market.regime
        return self._mean_win_rate(lambda at: regime[at]) if regime.any() else None

    def _mean_win_rate(self, rule: Callable[[Int], Array]) -> float:
        rates = []
        for low, high in BANDS.values():
            start = self._market.held_out.start[slice(*self._market.held_out.between(low, high))]
            path = rule(start[:, None] + np.arange(LENGTH))
            account = Account.of(self._market, start, path, np.full(len(start), LENGTH), self._cost)
            rates.append(float((account.log_gain.sum(axis=1) > 0).mean()))
        return float(np.mean(rates))

    def reference_player(self) -> Momentum:
        """The player that feels the difficulty in the conformance kit."""
        return Momentum()

    # --- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Everything that decides the next transition; the bars themselves are named by their hash."""
        return {
            "start": self._start.copy(),
            "t": self._t.copy(),
            "path": self._path.copy(),
            "position": self._position.copy(),
            "range": [int(edge) for edge in self._range],
            "rng": generator_state(self._rng),
            "data": self._market.digest,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly. Raises DamagedSession where the bars are others than it was made with."""
        self.recall_split(state)
        require_same_data(state, self._market.digest, "bars", "restore the data it used")
        self._start, self._t = loaded(self._start, state, "start"), loaded(self._t, state, "t")
        self._path, self._position = loaded(self._path, state, "path"), loaded(self._position, state, "position")
        first, last = state["range"]
        self._range = int(first), int(last)
        load_generator(self._rng, state["rng"])

    def recall_split(self, state: Mapping[str, Any]) -> bool:
        """Back to the split of the session that `state` is of: before there was a final share it was another one."""
        if self._options.data:
            earlier = msgspec.structs.replace(self._options, final_share=0.0)
            self._market = recalled(self._market, state, lambda: _market(earlier))
        return bool(state.get("data") == self._market.digest)

    def render_text(self, env: int) -> str:
        """Price, position and equity of a trader's episode so far."""
        return picture(self.account(), self._market, env)

    def close(self) -> None:
        """Nothing is held open."""


class Momentum:
    """TSMOM: holds the sign of the return over the last 16 bars. Moskowitz, Ooi and Pedersen 2012."""

    def act(self, obs: Array, mask: Bool | None) -> Array:
        """(N, features) -> (N,) int64."""
        found: Int = np.sign(obs[:, SPANS.index(MOMENTUM_SPAN)]).astype(np.int64) + 1
        return found

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        """1 for its action."""
        found: Float = np.eye(len(ACTIONS), dtype=np.float32)[self.act(obs, mask)]
        return found

    def value(self, obs: Array) -> Float:
        """It expects nothing."""
        return np.zeros(len(obs), np.float32)
