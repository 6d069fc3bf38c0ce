"""Opening and seeking in a long session: `python benchmarks/replay.py [EVENTS]`, 1,000,000 unless told.

Generates the session in a temporary directory, folds it once (which writes the index), then measures, in this order:
first chart without the index (and until all is read and the end is shown), first chart with the index (open, and the
state at the end), seeks to random places, and the state that a resume needs.
"""

from __future__ import annotations

import asyncio
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tui_trainer.client.replay import open_replay
from tui_trainer.client.source import Snapshot
from tui_trainer.client.timeline import Timeline
from tui_trainer.core import events as ev
from tui_trainer.core.values import Difficulty, EvalResult, PartResult
from tui_trainer.sessions.index import NAME, History, state_at_end

PARTS = ("random", "1-ply", "minimax-2", "minimax-3", "minimax-4", "minimax-5")
METRICS = (
    "rollout/ep_rew_mean", "rollout/ep_len_mean", "train/loss", "train/value_loss", "train/policy_gradient_loss",
    "train/entropy_loss", "train/approx_kl", "train/clip_fraction", "train/explained_variance", "train/grad_norm",
    "train/learning_rate", "game/black_rate", "game/white_rate", "game/draw_rate",
)  # fmt: skip
BATCH = 10_000
SEEKS = 200


def story(events: int) -> Iterator[ev.AnyEvent]:
    """A long run as an engine writes it: updates, an evaluation every 40, a checkpoint every 200, a resume or two."""
    draw, update = random.Random(1), 0
    yield ev.RunStarted(
        session="long", task="connect_four", algorithm="ppo", seed=1, device="cpu", mode="production", threads=1, pid=1,
        host="here", metric="win_rate", higher_is_better=True, players=2, parts=PARTS, space=None,
        difficulty=Difficulty(), limits={},
    )  # fmt: skip
    for number in range(1, events):
        if number % 400_000 == 0:
            update -= 50
            yield ev.RunResumed(
                from_update=update, from_step=update * 4096, checkpoint="c", pid=1, host="here", exact=True, limits={}
            )
        elif number % 200 == 0:
            yield _saved(number, update)
        elif number % 40 == 0:
            yield _evaluated(draw)
        else:
            update += 1
            yield _updated(draw, update)


def _updated(draw: random.Random, update: int) -> ev.UpdateFinished:
    return ev.UpdateFinished(
        updates=1, metrics={name: draw.gauss(0, 1) for name in METRICS}, sps=50_000 + draw.gauss(0, 500),
        seconds={"env": 0.04, "learn": 0.1}, episodes=200 * update, elapsed_s=0.2 * update,
    )  # fmt: skip


def _evaluated(draw: random.Random) -> ev.EvaluationFinished:
    rate = draw.random()
    part = PartResult(episodes=200, win_rate=rate, ci=(rate, rate), mean=rate, frame=". . X O . . .\n" * 6)
    result = EvalResult(
        metric="win_rate", value=rate, ci=(rate, rate), mean=rate, std=0.1, min=-1, max=1, episodes=1200,
        by=dict.fromkeys(PARTS, part),
    )  # fmt: skip
    return ev.EvaluationFinished(suite="reference", result=result)


def _saved(number: int, update: int) -> ev.CheckpointSaved:
    return ev.CheckpointSaved(
        number=number, kind="regular", path=f"checkpoints/{number}-u{update}", at_update=update, at_step=4096 * update,
        size=70_000, state_sha256="0" * 64,
    )  # fmt: skip


def write(path: Path, events: int) -> None:
    """The journal, as the engine stamps it."""
    update, lines = 0, []
    with path.open("wb") as file:
        for seq, event in enumerate(story(events), 1):
            update += isinstance(event, ev.UpdateFinished)
            update = event.from_update if isinstance(event, ev.RunResumed) else update
            stamped = ev.stamp(event, seq=seq, time=1.7e9 + 0.2 * seq, update=update, global_step=4096 * update)
            lines.append(ev.encode(stamped))
            if len(lines) == BATCH:
                file.write(b"\n".join(lines) + b"\n")
                lines = []
        file.write(b"\n".join(lines) + b"\n" if lines else b"")


def opened(path: Path) -> Timeline:
    """What a replay does before its first frame."""
    history = History(path)
    for _ in history.scan():
        pass
    return Timeline(history)


def timed(label: str, began: float) -> None:
    """Print what passed since `began`."""
    print(f"{label:<44}{time.perf_counter() - began:>9.3f} s", flush=True)


def main() -> None:
    """Measure and print."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "events.jsonl"
        began = time.perf_counter()
        write(path, events)
        timed(f"written: {events:,} events, {path.stat().st_size / 2**20:.0f} MiB", began)
        asyncio.run(cold(path))
        print(f"{'index':<44}{path.with_name(NAME).stat().st_size / 2**20:>9.1f} MiB")
        measure(path, events)


async def cold(path: Path) -> None:
    """What a person sees who opens it at its end, with no index beside it; the index is written on the way."""
    began = time.perf_counter()
    source = open_replay("long", History(path), at="end")
    shown = 0
    async for news in source.news():
        if isinstance(news, Snapshot) and news.state.evaluations and not shown:
            shown = news.state.seq
            timed("no index: first chart", began)
        if source.position.read >= 1 and source.position.index == source.position.total:
            break
    timed("no index: standing at the end", began)
    await source.close()


def spread(found: list[float]) -> str:
    """Median, p95 and worst of sorted milliseconds."""
    p95 = found[int(0.95 * len(found))]
    return f"median {statistics.median(found):.1f} ms, p95 {p95:.1f} ms, worst {found[-1]:.1f} ms"


def measure(path: Path, events: int) -> None:
    """With the index: first chart, seeks, a resume's state."""
    began = time.perf_counter()
    timeline = opened(path)
    timed("opened", began)
    timeline.state_at(events)
    timed("first chart, standing at the end", began)
    draw, seeks = random.Random(2), []
    for place in (draw.randrange(events) for _ in range(SEEKS)):
        began, burnt = time.perf_counter(), time.process_time()
        timeline.state_at(place)
        seeks.append((1000 * (time.perf_counter() - began), 1000 * (time.process_time() - burnt)))
    for label, found in zip(("seek, on the clock", "seek, of the processor"), zip(*seeks)):
        print(f"{label:<44}{spread(sorted(found))}")
    began = time.perf_counter()
    state_at_end(path)
    timed("state for a resume", began)
    print(f"{'memory, highest':<44}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:>9.0f} MiB")


if __name__ == "__main__":
    main()
