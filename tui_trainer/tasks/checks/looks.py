"""The text picture, and the speed."""

from __future__ import annotations

import contextlib
import time

from tui_trainer.tasks.checks.kit import Kit, after, require
from tui_trainer.tasks.playing import RandomPlayer


def text_is_clean(kit: Kit) -> str:
    """The text picture is short and holds no control characters."""
    with contextlib.closing(kit.make(2)) as task:
        after(task, 3)
        for env in range(2):
            text = task.render_text(env)
            require(isinstance(text, str) and bool(text.strip()), f"render_text({env}) is empty")
            require(text.count("\n") < 40, f"render_text({env}) has more than 40 lines")
            bad = sorted({c for c in text if c != "\n" and not c.isprintable()})
            require(not bad, f"render_text({env}) holds control characters {bad}")
    return "2 environments"


def speed(kit: Kit) -> str:
    """Environment steps a second with 64 environments; no bound, a figure."""
    with contextlib.closing(kit.make(64)) as task:
        spent, steps, last = 0.0, 0, after(task, 5)
        player = RandomPlayer(task.spec, 1)
        while spent < 0.2 and steps < 2000:
            action = player.act(last.obs, last.mask)
            began = time.perf_counter()
            last = task.step(action)
            spent += time.perf_counter() - began
            steps += 1
    return f"{64 * steps / spent:,.0f} steps/s at 64 environments"
