"""What breaks inside training: numbers, memory, tasks, hooks. The run ends by its own hand, its work on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine import process as p
from tests.faults.foreign import HOSTILE
from tests.warm import Warm
from tui_trainer.sessions.checkpoints import CheckpointStore, Loaded
from tui_trainer.sessions.store import Session

FOREIGN = ("run", "--no-ui", *p.TINY, "--name=a", "--max-updates=30")
FEW_SAVES = "--set=manager.checkpoints.every_updates=0"
"""The emergency checkpoint is the only one."""


def fail(warm: Warm, root: Path, name: str, *words: str, **environ: str) -> Any:
    return warm.run(root, *FOREIGN, f"--task=tests.faults.foreign:{name}", *words, **environ)


def newest(root: Path) -> Loaded:
    return CheckpointStore(root / "a").newest_good()


def ended(root: Path) -> dict[str, Any]:
    event = p.journal(root / "a")[-1]
    assert event["type"] == "RunEnded"
    return event


def all_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(all_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(all_finite, value))
    return not (isinstance(value, torch.Tensor) and value.is_floating_point()) or bool(torch.isfinite(value).all())


AUTOGRAD = "--set=ppo.gradients=autograd"


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("nan_reward", "a reward is not finite", (FEW_SAVES,)),
        ("nan_observation", "an observation is not finite", (AUTOGRAD, FEW_SAVES)),
        ("huge_reward", "the loss is not finite", ()),
        ("large_reward", "the gradient is not finite", ("--set=ppo.vf_coef=1e10", FEW_SAVES)),
        ("large_reward", "the gradient is not finite", ("--set=ppo.vf_coef=1e10", AUTOGRAD)),
    ],
)
def test_a_number_that_is_none_ends_the_run_with_5_finite_parameters_and_the_last_good_checkpoint(
    warm: Warm, root: Path, name: str, said: str, words: tuple[str, ...]
) -> None:
    done = fail(warm, root, name, *words)
    assert done.returncode == 5
    assert done.stderr.startswith("tui-trainer: diverged")
    assert said in done.stderr
    loaded = newest(root)
    assert ended(root)["checkpoint"] == loaded.manifest.path
    assert all_finite(loaded.state["learner"])
    assert not loaded.problems


@pytest.mark.parametrize(
    ("name", "reason"),
    [("raises", "failed"), ("no_memory", "out_of_memory"), ("no_gpu_memory", "out_of_memory"), ("leaves", "failed")],
)
def test_what_a_task_raises_ends_the_run_saved_and_a_resume_goes_on_from_there(
    warm: Warm, root: Path, name: str, reason: str
) -> None:
    done = fail(warm, root, name, FEW_SAVES)
    assert done.returncode == 1, done
    assert ended(root)["reason"]["name"] == reason
    assert done.stderr.count("\n") == 1
    saved = newest(root).manifest
    assert (saved.kind, ended(root)["checkpoint"]) == ("emergency", saved.path)
    assert (root / "a/crash/traceback.txt").read_text().startswith("Traceback")
    resumed = warm.run(root, "resume", "a", "--no-ui", FAULT_AT="never")
    assert resumed.returncode == 0, resumed
    assert ended(root)["update"] == 30
    went_back = [e["from_update"] for e in p.journal(root / "a") if e["type"] == "RunResumed"]
    assert went_back == [saved.update]


def test_a_few_broken_episodes_are_reset_and_counted_and_training_goes_on(warm: Warm, root: Path) -> None:
    """A batch that raises loses its 8 open episodes each time; an environment that can be told apart only its own."""
    done = fail(warm, root, "stumbles", FAULT_AT="1")
    assert done.returncode == 0, done
    told = [e for e in p.journal(root / "a") if e["type"] == "EpisodeFailed"]
    assert [e["failed"] for e in told] == [8 * number for number in range(1, len(told) + 1)]
    assert len(told) == 30 * 8 // 31
    assert "the bridge fell down" in told[0]["why"]
    assert ended(root)["update"] == 30
    resumed = warm.run(root, "resume", "a", "--no-ui", "--max-updates=40", FAULT_AT="1")
    assert resumed.returncode == 0, resumed
    assert warm.run(root, "rerun", "a", FAULT_AT="1").returncode == 0, "bit for bit, broken episodes included"


def test_an_episode_that_always_breaks_ends_the_run_with_its_reason(warm: Warm, root: Path) -> None:
    done = fail(warm, root, "raises", FEW_SAVES)
    assert (done.returncode, ended(root)["reason"]["name"]) == (1, "failed")
    assert "88 episodes of walk broke and none was finished between them" in done.stderr
    assert "the bridge fell down" in (root / "a/crash/traceback.txt").read_text()


def test_memory_near_its_limit_saves_and_pauses_and_a_person_may_let_it_go_on(warm: Warm, root: Path) -> None:
    words = ("--set=run.memory_limit_gib=0.8", "--set=telemetry.interval_s=0.2", "--step-delay=0.01", FEW_SAVES)
    run = warm.start(
        root, *FOREIGN, "--json", "--max-updates=100000", "--task=tests.faults.foreign:grows", *words, FAULT_AT="1"
    )
    paused = run.until("RunPaused")[-1]
    assert paused["by"] == "engine"
    assert "run.memory_limit_gib is 0.8" in paused["why"]
    saved = run.until("CheckpointSaved", at_update=paused["update"])[-1]
    assert saved["at_update"] == paused["update"]
    assert p.run(root, "resume", "a", "--no-ui").returncode == 0
    run.until("RunContinued")
    assert run.until("RunPaused")[-1]["update"] > paused["update"], "it pauses again when it has grown further"
    assert run.stop() == 143


def test_a_fault_never_makes_an_older_state_the_newest_checkpoint(warm: Warm, root: Path) -> None:
    """The copy for emergencies is refreshed seldom: what was saved since is worth more."""
    assert fail(warm, root, "raises", "--set=manager.checkpoints.every_updates=1").returncode == 1
    end = ended(root)
    assert newest(root).manifest.update == end["update"] > 1
    assert end["checkpoint"] == newest(root).manifest.path


def test_a_fault_right_after_a_resume_names_the_checkpoint_that_was_resumed(warm: Warm, root: Path) -> None:
    assert warm.run(root, *FOREIGN, "--task=tests.faults.foreign:raises", FAULT_AT="never").returncode == 0
    done = warm.run(root, "resume", "a", "--no-ui", "--max-updates=60", FAULT_AT="1")
    assert done.returncode == 1
    assert ended(root)["checkpoint"] == newest(root).manifest.path
    assert newest(root).manifest.update == 30


@pytest.mark.parametrize("name", ["failing_callback", "leaving_callback"])
def test_a_callback_that_fails_costs_one_line_and_nothing_else(warm: Warm, root: Path, name: str) -> None:
    hook = f"--callback=tests.faults.foreign:{name}"
    done = warm.run(root, *FOREIGN, hook, "--callback=tests.faults.foreign:count")
    assert done.returncode == 0, done
    notes = [e["text"] for e in p.journal(root / "a") if e["type"] == "LogWritten" and "callback" in e["text"]]
    assert len(notes) == 1
    assert f"{name} failed and is off" in notes[0]
    assert ended(root)["update"] == 30
    assert "counted 30 updates" in (root / "a/engine.log").read_text()


def test_a_resume_with_another_thread_count_works_and_says_that_bits_differ(warm: Warm, root: Path) -> None:
    assert warm.run(root, *FOREIGN, "--task=tictactoe").returncode == 0
    done = warm.run(root, "resume", "a", "--no-ui", "--max-updates=35", "--set=run.threads=2")
    assert done.returncode == 0, done
    (resumed,) = [e for e in p.journal(root / "a") if e["type"] == "RunResumed"]
    assert "not bit-exact: threads was 1, is 2" in resumed["note"]
    assert resumed["exact"] is False
    assert "not bit-exact" in done.stdout


def test_an_engine_killed_leaves_no_process_behind_and_can_be_resumed(warm: Warm, root: Path) -> None:
    engine = warm.start(root, *FOREIGN, "--json", "--max-updates=1000000", "--set=task.processes=2")
    engine.until("CheckpointSaved")
    offspring = descendants(engine.pid)
    assert len(offspring) >= 2, "the task's worker processes"
    engine.kill()
    p.wait_for(lambda: not [pid for pid in offspring if Path(f"/proc/{pid}").exists()])
    assert Session.open(root / "a").owner() is None
    assert warm.run(root, "resume", "a", "--no-ui", "--max-updates=1").returncode == 0


def descendants(pid: int) -> list[int]:
    children = [int(word) for file in Path(f"/proc/{pid}/task").glob("*/children") for word in file.read_text().split()]
    return children + [other for child in children for other in descendants(child)]


def test_hostile_text_of_an_exception_is_harmless_in_every_file_and_line(warm: Warm, root: Path) -> None:
    done = fail(warm, root, "hostile", "--set=run.note=" + HOSTILE.replace("\x07", "") + "x")
    assert "the bridge fell down" in done.stderr
    for text in (done.stdout, done.stderr, (root / "a/crash/traceback.txt").read_text()):
        assert not {char for char in text if char in HOSTILE and not char.isprintable() and char != "\n"}
    assert b"\\u001b" not in (root / "a/events.jsonl").read_bytes()
