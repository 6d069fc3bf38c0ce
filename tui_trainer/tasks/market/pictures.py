"""An episode as text: price, position and equity, one column for some bars."""

from __future__ import annotations

import numpy as np

from tui_trainer.data.bars import Double
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.market.market import Market
from tui_trainer.tasks.market.results import Account
from tui_trainer.tasks.market.segments import LENGTH

WIDTH = 48
_LEVELS = "▁▂▃▄▅▆▇█"
_SIGNS = {-1: "▼", 0: "·", 1: "▲"}
_WORDS = {-1: "short", 0: "flat", 1: "long"}


def picture(account: Account, bars: Market, env: int) -> str:
    """The episode so far; it shows no price later than the last decision's bar."""
    steps, start = int(account.steps[env]), int(account.start[env])
    price = np.exp(bars.log_close[start : start + max(1, min(steps + 1, LENGTH))])
    price = 100 * price / price[0]
    equity = account.equity(env)
    now = int(account.position[env, steps - 1]) if 0 < steps < LENGTH else 0
    held = account.position[env, :steps]
    signs = "".join(_SIGNS[int(np.sign(block.sum()))] for block in _blocks(held)) if steps else ""
    return "\n".join(
        [
            f"bar {steps:>3} of {LENGTH} · {_WORDS[now]} · equity {100 * (equity[-1] - 1):+.1f} %",
            f"price    {sparkline(price):<{WIDTH}} {price[-1]:7.1f}",
            f"position {signs:<{WIDTH}} {int(account.traded[env].sum()):>5} traded",
            f"equity   {sparkline(100 * equity):<{WIDTH}} {100 * equity[-1]:7.1f}",
        ]
    )


def sparkline(values: Double) -> str:
    """Block characters from lowest to highest, at most WIDTH of them; each is its bars' mean."""
    means = np.array([block.mean() for block in _blocks(values)])
    low, reach = means.min(), max(float(np.ptp(means)), 1e-12)
    return "".join(_LEVELS[min(len(_LEVELS) - 1, int(len(_LEVELS) * (m - low) / reach))] for m in means)


def _blocks(values: Array) -> list[Array]:
    """Consecutive blocks, as many as the share of the episode that is over."""
    return np.array_split(values, min(len(values), max(1, WIDTH * len(values) // LENGTH)))
