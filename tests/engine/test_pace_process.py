"""Advice that rests on timings, under the real program: it comes where learning is mostly calls, and stays away where
the environment takes the time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.engine import process as p

SMALL_BATCHES = (
    "--set=ppo.num_envs=16", "--set=ppo.n_steps=32", "--set=ppo.batch_size=16", "--set=ppo.hidden=[8]",
    "--set=manager.evaluation.every_updates=5", "--set=manager.evaluation.episodes=2",
    "--set=manager.evaluation.final_episodes=0", "--set=manager.termination.intelligent=false",
    "--max-updates=1000000",
)  # fmt: skip


def is_timed_advice(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "RecommendationRaised" and event["timed"])


def is_busy() -> bool:
    """Whether several want each core, so that wall time says nothing of a program."""
    return os.getloadavg()[0] > 2 * (os.cpu_count() or 1)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_small_batches_are_advised_against_once_two_looks_of_twenty_seconds_agree(tmp_path: Path) -> None:
    process = p.start(
        tmp_path, "run", "--no-ui", "--json", "--name=a", "--task=tictactoe", "--set=ppo.n_epochs=4", *SMALL_BATCHES
    )
    events = p.until(process, lambda e: is_timed_advice(e) or is_busy())
    if not is_timed_advice(events[-1]):
        process.kill()
        pytest.skip("the machine is busy: a batch takes as long as others let it")
    raised = events[-1]
    assert (raised["subject"], raised["title"]) == ("batch_size", "batch_size 16 → 32, in a fork")
    assert "for each batch of 16: that is mostly calls" in raised["evidence"][0]
    assert raised["time"] - events[0]["time"] > 40
    refused = p.run(tmp_path, "accept", "a", "--id", str(raised["id"]))
    assert refused.returncode == 6
    assert "tui-trainer fork NAME --set ppo.batch_size=32" in refused.stderr
    assert p.stop(process) == 143


@pytest.mark.long
@pytest.mark.timeout(400)
def test_an_environment_that_takes_the_time_brings_no_such_advice(tmp_path: Path) -> None:
    words = ("--task=tests.tasks.waiting_task:make", "--set=ppo.n_epochs=1", *SMALL_BATCHES)
    process = p.start(tmp_path, "run", "--no-ui", "--json", "--name=b", *words)
    begun = next(process.events())["time"]
    events = p.until(process, lambda e: e["type"] == "EvaluationFinished" and e["time"] - begun > 65)
    assert sum(event["type"] == "UpdateFinished" for event in events) > 30
    assert [event for event in events if is_timed_advice(event)] == []
    assert p.stop(process) == 143
