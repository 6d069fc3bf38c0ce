"""Trading: fills, costs, no look-ahead, splits, files, difficulty, evaluation, state."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_trainer import tasks
from tui_trainer.core.values import Difficulty
from tui_trainer.data import bars as files
from tui_trainer.data.bars import Bars
from tui_trainer.errors import ConfigError, DamagedSession, UsageError
from tui_trainer.tasks.market import market
from tui_trainer.tasks.market.features import LOOKBACK, efficiency, features
from tui_trainer.tasks.market.generator import generate
from tui_trainer.tasks.market.market import Market, generated, prepare
from tui_trainer.tasks.market.results import RUIN
from tui_trainer.tasks.market.segments import AHEAD, LENGTH, Segments, starts, walk_forward, worth
from tui_trainer.tasks.playing import RandomPlayer, digest, play
from tui_trainer.tasks.statistics import wilson
from tui_trainer.tasks.trading import Momentum, Options, TradingTask

SMALL: dict[str, Any] = {"instruments": 8, "bars": 4096}
COSTLESS: dict[str, Any] = {**SMALL, "cost_bp": 0, "slippage_bp": 0}


def small(num_envs: int = 4, **options: Any) -> Any:
    return tasks.make("trading", {**SMALL, **options}, num_envs)


def bars_of(close: list[float] | np.ndarray, ts: list[int] | None = None) -> Bars:
    """Bars that open where the one before closed."""
    c = np.asarray(close, np.float64)
    opened = np.concatenate([c[:1], c[:-1]])
    times = np.arange(len(c)) * 60 if ts is None else np.array(ts)
    return Bars(times, opened, np.maximum(opened, c) * 1.001, np.minimum(opened, c) * 0.999, c, np.ones(len(c)))


def wavy(length: int = 3000) -> Bars:
    return bars_of(100 * np.exp(0.1 * np.sin(np.arange(length) / 40) + 0.01 * np.cos(np.arange(length) * 1.7)))


def market_of(bars: Bars) -> Market:
    return prepare([bars], 3, 0, 64)


def one_trader(bars: Bars, **options: float) -> TradingTask:
    return TradingTask(market_of(bars), Options(**options), 1, 0)  # type: ignore[arg-type]


# --- fills and costs --------------------------------------------------------------------------------------------


def test_a_position_is_filled_at_the_next_open_and_earns_to_the_open_after() -> None:
    bars = wavy()
    task = one_trader(bars, cost_bp=0, slippage_bp=0)
    task.reset(3)
    start = int(task.state_dict()["start"][0])  # type: ignore[index]
    scale = market_of(bars).scale
    reward = task.step(np.array([2])).reward[0]
    assert reward * scale == pytest.approx(math.log(bars.open[start + 2] / bars.open[start + 1]), rel=1e-5)
    reward = task.step(np.array([0])).reward[0]
    fall = bars.open[start + 3] / bars.open[start + 2] - 1
    assert reward * scale == pytest.approx(math.log(1 - fall), rel=1e-5)


def test_every_unit_traded_costs_and_a_turn_from_short_to_long_is_two() -> None:
    task = one_trader(bars_of(np.full(3000, 50.0)), cost_bp=7, slippage_bp=3)
    task.reset(1)
    scale = market_of(bars_of(np.full(3000, 50.0))).scale
    actions, units = [1, 0, 0, 2, 1], [0, 1, 0, 2, 1]
    for action, traded in zip(actions, units):
        step = task.step(np.array([action]))
        assert float(step.reward[0]) * scale == pytest.approx(math.log(1 - traded * 1e-3), abs=1e-9)
        assert step.info is not None
        assert (step.info["turnover"][0], step.info["exposure"][0]) == (traded, abs(action - 1))


def test_the_last_bar_closes_the_position_at_its_cost() -> None:
    task = one_trader(bars_of(np.full(3000, 50.0)), cost_bp=10, slippage_bp=0)
    task.reset(1)
    rewards = [float(task.step(np.array([2])).reward[0]) for _ in range(LENGTH - 1)]
    last = task.step(np.array([2]))
    assert rewards[1:] == [0.0] * (LENGTH - 2)
    assert last.reward[0] == pytest.approx(rewards[0])
    assert last.terminated.all()
    assert not last.truncated.any()
    assert last.outcome.tolist() == [2]
    assert last.final_obs[0, -1] == 0


def test_an_episode_is_256_bars_and_being_flat_throughout_comes_out_even() -> None:
    task = small(3)
    task.reset(1)
    for _ in range(LENGTH - 1):
        step = task.step(np.ones(3, np.int64))
        assert not step.terminated.any()
        assert (step.reward == 0).all()
    step = task.step(np.ones(3, np.int64))
    assert step.terminated.all()
    assert step.outcome.tolist() == [3, 3, 3]


def test_the_account_adds_up_to_the_rewards() -> None:
    task = small(5)
    start = task.reset(2)
    total = sum(s.reward.astype(np.float64) for s in play(task, RandomPlayer(task.spec, 1), start.obs, None, 100))
    held = task.account().log_gain.sum(axis=1) / generated(0, 8, 4096, 3, 0, 128).scale
    assert held == pytest.approx(total, rel=1e-4, abs=1e-4)


def test_a_short_into_a_price_that_doubles_ends_in_a_number() -> None:
    close = np.full(3000, 50.0)
    close[1::2] = 150.0
    task = one_trader(bars_of(close), cost_bp=0, slippage_bp=0)
    task.reset(1)
    rewards = [float(task.step(np.array([0])).reward[0]) for _ in range(LENGTH)]
    assert np.isfinite(rewards).all()
    assert min(rewards) * market_of(bars_of(close)).scale == pytest.approx(math.log(1 - RUIN), rel=1e-5)
    part = task.evaluate(Holder(0), part="0.70-1.00", episodes=2, seed=1)
    assert part.loss_rate == 1.0
    assert part.extra["max_drawdown_percent"] == pytest.approx(100)


def test_an_action_that_is_none_is_refused() -> None:
    task = small(2)
    task.reset(1)
    with pytest.raises(UsageError, match="action 3 is none of 0, 1, 2"):
        task.step(np.array([1, 3]))


# --- no look-ahead ----------------------------------------------------------------------------------------------


def with_another_future(bars: Bars, after: int) -> Bars:
    """The same bars up to `after`, others from there on."""
    rng = np.random.default_rng(5)
    changed = [field.copy() for field in bars]
    for field in changed[1:5]:
        field[after + 1 :] *= 1.5
    changed[5][after + 1 :] *= rng.uniform(0.5, 2, len(bars.ts) - after - 1)
    return Bars(*changed)


def test_features_do_not_know_the_future() -> None:
    bars, _ = generate(3, 1, 2000)[0]
    for t in (LOOKBACK, 500, 1200, 1998):
        changed = features(with_another_future(bars, t))
        assert np.array_equal(changed[: t + 1], features(bars)[: t + 1])
        assert t == 1998 or not np.array_equal(changed[t + 1], features(bars)[t + 1])


def test_a_changed_future_changes_no_observation_and_no_reward_before_it() -> None:
    """Rewards of decisions up to bar t - 2 are filled by bar t; observations of bar t hold nothing later."""
    bars, _ = generate(3, 1, 3000)[0]
    twin_of = market_of(bars)
    one = TradingTask(twin_of, Options(), 1, 0)
    start = int(one.reset(4) and one.state_dict()["start"][0])  # type: ignore[index]
    t = start + 100
    future = market_of(with_another_future(bars, t))
    other = TradingTask(future._replace(train=twin_of.train, scale=twin_of.scale), Options(), 1, 0)
    player = RandomPlayer(one.spec, 1)
    a, b = one.reset(4), other.reset(4)
    for bar in range(start, start + 120):
        assert np.array_equal(a.obs, b.obs) == (bar <= t), bar
        action = player.act(a.obs, None) * 0 + (2 if bar % 2 else 0)
        a, b = one.step(action), other.step(action)
        if bar <= t - 2:
            assert np.array_equal(a.reward, b.reward), bar
    assert not np.array_equal(a.obs, b.obs)


def test_quality_of_training_and_scale_know_nothing_of_the_held_out_bars() -> None:
    bars, _ = generate(3, 1, 4096)[0]
    (train_end, _) = walk_forward(4096, 3, 64)[-1].held_out
    a, b = market_of(bars), market_of(with_another_future(bars, train_end))
    assert np.array_equal(a.train.start, b.train.start)
    assert np.array_equal(a.train.quality, b.train.quality)
    assert a.scale == b.scale


def test_the_picture_shows_no_price_later_than_the_decisions_bar() -> None:
    bars, _ = generate(3, 1, 3000)[0]
    one = TradingTask(market_of(bars), Options(), 1, 0)
    one.reset(4)
    start = int(one.state_dict()["start"][0])  # type: ignore[index]
    future = market_of(with_another_future(bars, start + 10))
    other = TradingTask(future._replace(train=market_of(bars).train), Options(), 1, 0)
    other.reset(4)
    for task in (one, other):
        for _ in range(10):
            task.step(np.array([1]))
    assert one.render_text(0) == other.render_text(0)


# --- quality and splits -----------------------------------------------------------------------------------------


def test_the_efficiency_ratio_is_1_on_a_line_and_0_on_a_round_trip() -> None:
    line, zigzag = np.linspace(0, 1, 100), np.arange(100) % 2 * 1.0
    assert efficiency(line, 10)[10:] == pytest.approx(1.0)
    assert efficiency(zigzag, 10)[10:] == pytest.approx(0.0)
    assert efficiency(np.array([0.0, 3, 1, 2]), 3)[3] == pytest.approx(2 / (3 + 2 + 1))


def test_quality_follows_the_true_signal_to_noise() -> None:
    found = generated(0, 32, 8192, 3, 0, 128)
    snr = np.concatenate([truth.snr for _, truth in generate(0, 32, 8192)])
    mean = snr[found.train.start[:, None] + np.arange(LENGTH)].mean(axis=1)
    assert np.corrcoef(found.train.quality, mean)[0, 1] > 0.7
    assert found.train.quality.min() > 0
    assert found.train.quality.max() == 1.0


def test_missing_bars_and_thin_trade_lower_the_worth() -> None:
    bars = wavy(1200)
    start = np.array([200, 600])
    whole = worth(bars, start, (0, 500))
    ts = bars.ts.copy()
    ts[650:] += 60 * 3
    volume = bars.volume.copy()
    volume[600:856] = 0.25
    assert worth(bars._replace(ts=ts), start, (0, 500)) == pytest.approx(whole * [1, 256 / 259])
    thin = worth(bars._replace(volume=volume), start, (0, 500))
    assert thin[0] == whole[0]
    assert 0.2 < thin[1] / whole[1] < 0.35


def test_no_segment_crosses_a_long_gap_and_weekends_are_none() -> None:
    ts = np.arange(2000) * 60
    ts[1000:] += 60 * 3 * np.ones(1000, np.int64)
    assert len(starts(wavy(2000)._replace(ts=ts), (0, 2000), 1)) == len(starts(wavy(2000), (0, 2000), 1))
    ts[1000:] += 60 * 10
    found = starts(wavy(2000)._replace(ts=ts), (0, 2000), 1)
    assert not ((found - LOOKBACK < 1000) & (found + LENGTH + 1 >= 1000)).any()
    assert ((found < 700).any(), (found > 1080).any()) == (True, True)


def test_walk_forward_grows_the_training_range_and_leaves_an_embargo() -> None:
    splits = walk_forward(1000, 4, 30)
    assert [s.train for s in splits] == [(0, 200), (0, 400), (0, 600), (0, 800)]
    assert [s.held_out for s in splits] == [(230, 400), (430, 600), (630, 800), (830, 1000)]


@pytest.mark.parametrize("fold", [1, 2, 0])
def test_nothing_held_out_sees_a_bar_of_training(fold: int) -> None:
    found = generated(1, 4, 8192, 3, fold, 128)
    for instrument in range(4):
        inside = lambda s: s[(s >= 8192 * instrument) & (s < 8192 * (instrument + 1))]  # noqa: B023, E731
        trained = inside(found.train.start).max() + LENGTH + 1
        assert inside(found.held_out.start).min() - LOOKBACK >= trained + 128


def test_a_range_without_segments_takes_the_nearest() -> None:
    found = Segments(np.arange(4), np.array([0.1, 0.2, 0.8, 0.9]))
    assert found.between(0.15, 0.85) == (1, 3)
    assert found.between(0.3, 0.5) == (2, 3)
    assert found.between(0.95, 1.0) == (3, 4)


# --- files ------------------------------------------------------------------------------------------------------


def write_csv(path: Path, bars: Bars, header: str = "ts,open,high,low,close,volume") -> Path:
    rows = [",".join(repr(float(x)) for x in row) for row in zip(*bars)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def rows_of(*rows: str) -> str:
    good = [f"{i * 60},10,11,9,{10 + (i % 3) * 0.1:.1f},5" for i in range(40)]
    return "\n".join(["ts,open,high,low,close,volume", *good, *rows]) + "\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2340,10,11,9,10,5", "duplicate"),
        ("60,10,11,9,10,5", "out of order"),
        ("2400,10,11,9,10,0", "zero volume"),
        ("2400,ten,11,9,10,5", "not a number"),
        ("2400,10,11,9,nan,5", "not finite"),
        ("2400,10,11,0,10,5", "price or volume below zero"),
        ("2400,10,11,9,12,5", "high or low contradicts the bar"),
        ("2400,10", "too few columns"),
    ],
)
def test_a_row_that_cannot_be_is_rejected_with_its_line_and_reason(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(rows_of(row))
    found = files.read(path)
    assert found.rejects == ((42, reason),)
    assert len(found.bars.ts) == 40


def test_a_bad_tick_is_an_outlier_and_a_lasting_move_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    tick = ["2400,10,31,9,30,5", "2460,10,11,9,10.1,5"]
    path.write_text(rows_of(*tick))
    assert files.read(path).rejects == ((42, "outlier"),)
    path.write_text(rows_of("2400,10,31,9,30,5", "2460,30,31,29,30.1,5", "2520,30,31,29,30,5"))
    assert files.read(path).rejects == ()


def test_gaps_are_counted_and_dates_and_milliseconds_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "TS, Open,High,Low,Close,Volume\n2024-03-01,1,2,1,1,0\n2024-03-02T00:00:00Z,1,2,1,1,0\n"
        "1709510400000,1,2,1,1,0\n1709596800,1,2,1,1,0\n"
    )
    found = files.read(path)
    assert found.rejects == ()
    assert np.diff(found.bars.ts).tolist() == [86_400, 172_800, 86_400]
    assert found.gaps == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,open\n1,2\n", "lacks the column ts"),
        ("", "lacks the column ts"),
        ("ts,open,high,low,close,volume\n", "it holds no rows"),
        ("ts,open,high,low,close,volume\n1,1,1,1,1,1\n1,1,1,1,1,1\n", "1 of 2 rows cannot be used: 1 duplicate"),
        (rows_of(), "no training segment of 256 bars"),
    ],
)
def test_a_file_that_is_no_market_is_refused_with_its_reason(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        tasks.make("trading", {"data": str(path)}, 1)


def test_no_file_an_empty_folder_and_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00ts")
    with pytest.raises(UsageError, match="no CSV text"):
        tasks.make("trading", {"data": str(tmp_path / "a.csv")}, 1)
    with pytest.raises(UsageError, match="no file and no folder"):
        tasks.make("trading", {"data": str(tmp_path / "b.csv")}, 1)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(UsageError, match="holds no CSV or Parquet file"):
        tasks.make("trading", {"data": str(tmp_path)}, 1)


def test_a_users_folder_trains_like_the_generated_market(tmp_path: Path) -> None:
    for number, (bars, _) in enumerate(generate(0, 2, 4096)):
        write_csv(tmp_path / f"{number}.csv", bars)
    task: Any = tasks.make("trading", {"data": str(tmp_path)}, 4)
    twin = TradingTask(prepare([bars for bars, _ in generate(0, 2, 4096)], 3, 0, 128), Options(), 4, 0)
    assert np.array_equal(task.reset(3).obs, twin.reset(3).obs)
    assert task.data_report.used == task.data_report.files == 2
    assert task.data_report.rejects == {}
    assert "regime oracle" not in task.baselines()


def test_a_file_of_a_folder_that_cannot_be_used_is_a_reject_and_the_rest_is_traded(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", generate(0, 1, 4096)[0][0])
    (tmp_path / "twin.csv").write_text((tmp_path / "a.csv").read_text())
    (tmp_path / "b.csv").write_text(rows_of(*["x,1,1,1,1,1"] * 40))
    task: Any = tasks.make("trading", {"data": str(tmp_path)}, 1)
    assert (task.data_report.files, task.data_report.used) == (3, 1)
    assert task.data_report.rejects == {"broken": 1, "duplicate": 1}
    assert "40 of 80 rows cannot be used: 40 not a number" in task.data_report.examples[0]
    assert small().data_report is None


def reach(segments: Segments) -> np.ndarray:
    """Every bar that a segment's features, decisions and fills touch."""
    return np.unique(segments.start[:, None] + np.arange(-LOOKBACK, LENGTH + AHEAD))


@pytest.mark.parametrize("embargo", [0, 64, 300])
def test_the_final_evaluations_segments_come_last_and_touch_no_bar_of_the_others(embargo: int) -> None:
    found = prepare([wavy(12_000)], 3, 0, embargo, 0.33)
    assert found.kept is not None
    trained, tested, final = reach(found.train), reach(found.held_out), reach(found.kept)
    assert tested.min() - trained.max() > embargo
    assert final.min() - tested.max() > embargo
    assert len(found.kept.start) == pytest.approx(len(found.held_out.start) / 2, abs=1.5)


def test_a_segment_that_is_played_again_makes_no_interval_narrower() -> None:
    task = TradingTask(prepare([wavy(4000)], 3, 0, 64), Options(), 4, 0)
    one, often = (task.evaluate(Momentum(), part="0.70-1.00", episodes=n, seed=1) for n in (2, 40))
    assert one.distinct == often.distinct
    assert (often.episodes, often.win_rate) == (40, one.win_rate)
    assert often.ci == pytest.approx(wilson(often.win_rate * often.distinct, often.distinct))
    assert one.episodes == 2


def test_a_series_too_short_for_a_final_share_is_evaluated_on_what_is_held_out() -> None:
    short, plain = prepare([wavy(3000)], 3, 0, 64, 0.33), prepare([wavy(3000)], 3, 0, 64)
    assert short.kept is None
    assert short.digest == plain.digest
    assert np.array_equal(short.held_out.start, plain.held_out.start)


def test_the_final_evaluation_of_a_generated_market_trades_other_instruments() -> None:
    task = small()
    shown, kept = task._market, task.final()._market
    assert len(kept.held_out.start) >= len(shown.held_out.start) / 2
    assert not set(np.round(kept.log_close, 9)) & set(np.round(shown.log_close, 9))
    one, other = (each.evaluate(Momentum(), part="0.70-1.00", episodes=9, seed=1) for each in (task, task.final()))
    assert one.mean != other.mean
    assert set(task.final().baselines()) == set(task.baselines())


def test_a_session_from_before_the_final_share_goes_on_with_the_split_it_began_with(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", generate(0, 1, 8192)[0][0])
    before: Any = tasks.make("trading", {"data": str(tmp_path), "final_share": 0}, 4)
    now: Any = tasks.make("trading", {"data": str(tmp_path)}, 4)
    assert now.data_report.split.keys() == {"training", "held out", "final"}
    wide = before.evaluate(Momentum(), part="0.30-0.50", episodes=9, seed=1)
    assert now.evaluate(Momentum(), part="0.30-0.50", episodes=9, seed=1) != wide
    before.reset(1)
    now.load_state_dict(before.state_dict())
    assert now.evaluate(Momentum(), part="0.30-0.50", episodes=9, seed=1) == wide
    assert now.final().evaluate(Momentum(), part="0.30-0.50", episodes=9, seed=1) == wide


# --- difficulty, evaluation, baselines --------------------------------------------------------------------------


def test_the_range_says_which_segments_are_drawn_from_the_next_episode_on() -> None:
    task = small(64)
    found = generated(0, 8, 4096, 3, 0, 128).train
    quality = dict(zip(found.start.tolist(), found.quality.tolist()))
    task.set_difficulty(Difficulty(low=0.3, high=0.5))
    assert min(quality[s] for s in task.state_dict()["start"].tolist()) >= 0.7
    for _ in range(LENGTH):
        task.step(np.ones(64, np.int64))
    drawn = [quality[s] for s in task.state_dict()["start"].tolist()]
    assert (min(drawn) >= 0.3, max(drawn) <= 0.5) == (True, True)


@pytest.mark.parametrize("wish", [Difficulty(level=1), Difficulty(low=0.9, high=0.4)])
def test_an_impossible_difficulty_is_refused(wish: Difficulty) -> None:
    with pytest.raises(UsageError):
        small(1).set_difficulty(wish)


def test_momentum_earns_less_the_lower_the_quality_of_the_segments() -> None:
    task: Any = tasks.make("trading", {}, 1)
    parts = [task.evaluate(Momentum(), part=part, episodes=100, seed=1) for part in task.spec.parts]
    assert parts[0].mean > 1.5 * parts[1].mean > 2 * parts[2].mean > 0
    assert parts[0].win_rate > 0.95
    assert parts[2].win_rate < parts[0].win_rate
    assert parts[0].extra["sharpe"] > parts[1].extra["sharpe"] > parts[2].extra["sharpe"]


def test_the_oracle_is_above_momentum_and_momentum_above_holding() -> None:
    known = tasks.make("trading", {}, 1).baselines()
    assert list(known) == ["flat", "buy and hold", "TSMOM", "regime oracle"]
    assert 0.35 < known["buy and hold"] < 0.65 < 0.85 < known["TSMOM"] <= known["regime oracle"] + 0.02


class Holder:
    """Always the same action."""

    def __init__(self, action: int) -> None:
        self.action = action

    def act(self, obs: Any, mask: Any) -> Any:
        return np.full(len(obs), self.action)

    probabilities = value = act


def test_a_flat_trader_wins_nothing_and_loses_nothing() -> None:
    part = small().evaluate(Holder(1), part="0.70-1.00", episodes=10, seed=1)
    assert (part.win_rate, part.draw_rate, part.loss_rate, part.mean) == (0.0, 1.0, 0.0, 0.0)
    assert part.extra == {
        "sharpe": 0.0, "return_percent": 0.0, "max_drawdown_percent": 0.0, "mean_drawdown_percent": 0.0,
        "turnover": 0.0, "consistency": 0.0,
    }  # fmt: skip


def test_figures_of_a_steady_rise_by_hand() -> None:
    rise = bars_of(100 * 1.01 ** np.arange(3000))
    part = one_trader(rise, cost_bp=0, slippage_bp=0).evaluate(Holder(2), part="0.70-1.00", episodes=2, seed=1)
    assert part.win_rate == 1.0
    assert part.extra["return_percent"] == pytest.approx(100 * (1.01**256 - 1))
    assert part.extra["max_drawdown_percent"] == 0
    assert part.extra["turnover"] == pytest.approx(2 / 256)
    assert part.extra["consistency"] == 1.0
    short = one_trader(rise, cost_bp=0, slippage_bp=0).evaluate(Holder(0), part="0.70-1.00", episodes=2, seed=1)
    assert short.extra["max_drawdown_percent"] == pytest.approx(100 * (1 - 0.99**256), rel=1e-6)
    assert short.loss_rate == 1.0


def test_the_seed_chooses_the_held_out_segments_and_none_comes_twice_while_it_can() -> None:
    task = small(instruments=24)
    one, again = (task.evaluate(Momentum(), part="0.70-1.00", episodes=8, seed=3) for _ in range(2))
    other = task.evaluate(Momentum(), part="0.70-1.00", episodes=8, seed=4)
    assert one == again
    assert one.mean != other.mean
    assert one.distinct == 8
    many = task.evaluate(Momentum(), part="0.70-1.00", episodes=200, seed=3)
    assert many.distinct is not None
    assert many.distinct < 200 == many.episodes


def test_an_unknown_part_and_a_fold_beyond_the_last_are_refused() -> None:
    with pytest.raises(UsageError, match="has no part 'all'"):
        small().evaluate(Momentum(), part="all", episodes=2, seed=1)
    with pytest.raises(ConfigError, match=r"task\.fold: 4 of 3 folds"):
        small(fold=4)


# --- state ------------------------------------------------------------------------------------------------------


def test_a_state_goes_on_only_with_the_bars_it_was_made_with() -> None:
    state = small(2).state_dict()
    with pytest.raises(DamagedSession, match="the bars are not those"):
        small(2, market_seed=1).load_state_dict(state)


def test_a_state_keeps_the_range_for_episodes_to_come() -> None:
    one, other = small(4), small(4)
    one.set_difficulty(Difficulty(low=0.3, high=0.4))
    other.load_state_dict(one.state_dict())
    for task in (one, other):
        for _ in range(LENGTH):
            last = task.step(np.ones(4, np.int64))
        assert last.terminated.all()
    assert digest(one.state_dict()) == digest(other.state_dict())


def test_the_same_market_is_built_once() -> None:
    assert market.generated(0, 8, 4096, 3, 0, 128) is market.generated(0, 8, 4096, 3, 0, 128)


def test_the_picture_tells_price_position_and_equity() -> None:
    task = one_trader(bars_of(100 * 1.001 ** np.arange(3000)), cost_bp=0, slippage_bp=0)
    task.reset(1)
    for _ in range(64):
        task.step(np.array([2]))
    lines = task.render_text(0).splitlines()
    assert lines[0] == "bar  64 of 256 · long · equity +6.6 %"
    assert lines[1].startswith("price    ▁▁")
    assert lines[2].split()[1] == "▲" * 12
    assert max(map(len, lines)) < 72


@pytest.mark.long
def test_raw_speed_is_above_a_million_steps_a_second() -> None:
    task: Any = tasks.make("trading", {}, 512)
    task.reset(1)
    action = np.random.default_rng(1).integers(0, 3, 512)
    best = 0.0
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(500):
            task.step(action)
        best = max(best, 500 * 512 / (time.perf_counter() - begun))
    assert best > 1.0e6
