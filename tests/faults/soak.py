"""A day's worth of updates in minutes, with views that come and go: what grows, and what must not."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.engine import process as p
from tests.ui.pty_terminal import PtyTerminal
from tui_trainer.client.orders import live_state
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions.store import Session

MIB = 1 << 20
SMALL = (
    "--task=tictactoe", "--set=ppo.num_envs=4", "--set=ppo.n_steps=4", "--set=ppo.batch_size=16",
    "--set=ppo.n_epochs=1",
    "--set=ppo.pool_size=2", "--set=manager.evaluation.every_updates=1000", "--set=manager.evaluation.episodes=4",
    "--set=manager.evaluation.final_episodes=0", "--set=manager.checkpoints.every_updates=1000",
    "--set=manager.termination.intelligent=false", "--set=telemetry.interval_s=1",
)  # fmt: skip
SETTLED = 0.1
"""Share of the updates after which caches and pools are taken to be full."""


def attach(root: Path) -> PtyTerminal:
    """A view by an interpreter of its own, as a person starts it."""
    return PtyTerminal(p.command("attach", "a", "--readonly"), 120, 40, p.overrides(root))


class Sample(NamedTuple):
    """The engine at a moment."""

    update: int
    rss_mib: float
    descriptors: int
    children: int
    journal_mib: float
    attach_s: float
    """How long the view that came last waited for its first picture."""


class Soak(NamedTuple):
    """What a soak saw."""

    samples: list[Sample]
    view_growth_mib: float
    """Of a view that stayed from the settled state to the end."""
    seconds: float
    code: int

    @property
    def settled(self) -> list[Sample]:
        """Samples after the settling."""
        last = self.samples[-1].update
        return [sample for sample in self.samples if sample.update >= SETTLED * last]

    @property
    def descriptors_vary_by(self) -> int:
        """How many more the engine had open at one time than at another: one for each view that is there or leaving."""
        counts = [sample.descriptors for sample in self.settled]
        return max(counts) - min(counts)

    @property
    def growth_mib(self) -> float:
        """Of the engine's resident memory, settled state to the end; medians of five."""
        sizes = [sample.rss_mib for sample in self.settled]
        return sorted(sizes[-5:])[len(sizes[-5:]) // 2] - sorted(sizes[:5])[len(sizes[:5]) // 2]


def soak(
    root: Path, updates: int, limit_s: float, visits: int = sys.maxsize, attach: Callable[[Path], PtyTerminal] = attach
) -> Soak:
    """Train so many updates, at most so long or so many visits, a view attached and left again every few seconds."""
    began = time.monotonic()
    started = p.run(root, "run", "--detach", *SMALL, f"--max-updates={updates}", "--name=a")
    assert started.returncode == 0, started.stderr
    pid = p.wait_for(lambda: (owner := Session.open(root / "a").owner()) and owner.pid)
    p.wait_for(lambda: p.so_far(root / "a").count("UpdateFinished") > 2)
    samples: list[Sample] = []
    stayed: PtyTerminal | None = None
    before = 0.0
    while time.monotonic() - began < limit_s and len(samples) < visits and (sample := visit(root, pid, attach)):
        samples.append(sample)
        if stayed is None and sample.update >= SETTLED * updates:
            stayed = attach(root)
            stayed.read_for(5.0)
            before = stayed.rss_mib()
        elif stayed is not None:
            stayed.read_for(1.0)
    growth = stayed.rss_mib() - before if stayed else 0.0
    for view in filter(None, [stayed]):
        view.close()
    if Session.open(root / "a").owner():
        p.run(root, "stop", "a")
    code = p.run(root, "wait", "a").returncode
    return Soak(samples, growth, time.monotonic() - began, code)


def visit(root: Path, pid: int, attach: Callable[[Path], PtyTerminal]) -> Sample | None:
    """Attach, look, leave; None once the engine has ended."""
    view = attach(root)
    try:
        waited = view.wait_for(b"Training Manager")
        view.read_for(1.0)
        view.key(b"q")
        view.exit_code()
        return measure(root, pid, waited)
    except (AssertionError, OSError, TuiTrainerError):
        if Session.open(root / "a").owner():
            raise
        return None
    finally:
        view.close()


def descriptors(pid: int) -> int:
    """How many are open now; those of a save, which come and go, are not in the fewest of several counts."""
    time.sleep(0.02)
    return len(os.listdir(f"/proc/{pid}/fd"))


def measure(root: Path, pid: int, attach_s: float) -> Sample:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Sample(
        live_state(root / "a").update,
        pages * os.sysconf("SC_PAGE_SIZE") / MIB,
        min(descriptors(pid) for _ in range(20)),
        sum(len(file.read_text().split()) for file in Path(f"/proc/{pid}/task").glob("*/children")),
        (root / "a/events.jsonl").stat().st_size / MIB,
        attach_s,
    )
