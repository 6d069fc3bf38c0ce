"""Tasks in worker processes: the same promises, and hangs, deaths and prints that cost no run."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from tui_trainer import tasks
from tui_trainer.core.protocols import Step
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import ConfigError, DamagedSession, TaskFailed, UsageError
from tui_trainer.tasks.check import check_task, run_rule
from tui_trainer.tasks.checks.kit import Kit
from tui_trainer.tasks.failures import Guarded
from tui_trainer.tasks.playing import LinearPlayer, RandomPlayer, digest, play
from tui_trainer.tasks.remote.task import RemoteTask


def remote(name: str, num_envs: int = 4, processes: int = 2, **options: Any) -> RemoteTask:
    task = tasks.make(f"gym:tests.tasks.toy_faults:{name}-v0", {"processes": processes, **options}, num_envs)
    assert isinstance(task, RemoteTask)
    return task


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def steps_of(task: RemoteTask | Guarded, action: int, count: int) -> list[Step]:
    task.reset(1)
    return [task.step(np.full(task.spec.num_envs, action)) for _ in range(count)]


@pytest.mark.parametrize("rule", ["shapes and dtypes are those of the spec", "the same seed repeats"])
def test_a_task_in_two_processes_keeps_a_rule_of_the_kit(rule: str) -> None:
    assert run_rule(rule, Kit(lambda num_envs: tasks.make("tictactoe", {"processes": 2}, num_envs))).ok


@pytest.mark.long
def test_a_task_in_two_processes_keeps_every_rule_of_the_kit() -> None:
    assert [f for f in check_task("tictactoe", {"processes": 2}) if not f.ok] == []


def test_each_worker_has_a_share_of_the_rows_in_order() -> None:
    task = remote("Shouts", num_envs=5, processes=3)
    assert len(task.pids) == 3
    assert task.spec.num_envs == 5
    start = task.reset(2)
    assert start.obs.shape == (5, 1)
    step = task.step(np.array([0, 1, 0, 1, 1]))
    assert step.obs[:, 0].tolist() == [1] * 5
    task.close()


def test_more_processes_than_environments_are_not_started() -> None:
    task = remote("Shouts", num_envs=2, processes=8)
    assert len(task.pids) == 2
    task.close()


def test_a_worker_that_hangs_is_named_replaced_and_costs_its_episodes() -> None:
    task = remote("Hangs", step_timeout_s=4.0)
    before = task.pids
    steps = steps_of(task, 0, 4)
    began = time.monotonic()
    step = task.step(np.array([0, 0, 1, 0]))
    assert time.monotonic() - began < 60
    assert step.failures == (
        "gym:tests.tasks.toy_faults:Hangs-v0: worker 1 (environments 2 to 3) did not answer within 4 s",
    )
    assert step.valid.tolist() == [True, True, False, False]
    assert step.truncated.tolist() == [False, False, True, True]
    assert step.obs[:, 0].tolist() == [5, 5, 0, 0]
    assert not is_alive(before[1])
    assert task.pids[0] == before[0]
    assert task.step(np.zeros(4, np.int64)).obs[:, 0].tolist() == [6, 6, 1, 1]
    assert all(s.valid.all() for s in steps)
    task.close()


def test_a_worker_that_dies_is_replaced_with_the_difficulty_of_the_run() -> None:
    task = remote("Dies")
    with pytest.raises(UsageError, match="has no difficulty"):
        task.set_difficulty(Difficulty(low=0.5))
    steps_of(task, 0, 4)
    step = task.step(np.array([1, 0, 0, 0]))
    assert step.failures == (
        "gym:tests.tasks.toy_faults:Dies-v0: worker 0 (environments 0 to 1) was killed by signal 9",
    )
    assert step.valid.tolist() == [False, False, True, True]
    task.close()


def test_a_worker_that_dies_again_and_again_ends_the_run_with_its_name() -> None:
    task = Guarded(remote("Dies", num_envs=1, processes=1))
    with pytest.raises(TaskFailed, match=r"worker 0 \(environments 0 to 0\) was killed by signal 9"):
        steps_of(task, 1, 100)
    task.close()


def test_what_an_environment_raises_breaks_its_episode_alone() -> None:
    task = Guarded(remote("Refuses"))
    steps = steps_of(task, 0, 6)
    assert any("ZeroDivisionError: in the counter's physics" in why for step in steps for why in step.failures)
    task.close()


def test_what_an_environment_prints_goes_to_stderr() -> None:
    program = """
import numpy as np
from tui_trainer import tasks
task = tasks.make("gym:tests.tasks.toy_faults:Shouts-v0", {"processes": 1}, 1)
task.reset(1)
task.step(np.array([0]))
task.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "a line that tears the screen" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal is Linux's")
def test_workers_end_with_an_engine_that_is_killed() -> None:
    program = """
import os, signal, sys
from tui_trainer import tasks
task = tasks.make("gym:tests.tasks.toy_faults:Shouts-v0", {"processes": 2}, 2)
print(*task.pids, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 60
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in pids)


def test_closing_a_task_ends_its_workers_even_amid_a_step() -> None:
    task = remote("Hangs", step_timeout_s=60.0)
    steps_of(task, 0, 4)
    task._processes[0].send("step", np.array([1, 1]))
    pids = task.pids
    task.close()
    assert not any(is_alive(pid) for pid in pids)


def test_state_goes_on_bit_for_bit_and_needs_as_many_processes() -> None:
    task, twin = (tasks.make("tictactoe", {"processes": 2}, 8) for _ in "ab")
    start = task.reset(3)
    *_, last = play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 30)
    twin.load_state_dict(task.state_dict())
    for one in (task, twin):
        list(play(one, RandomPlayer(one.spec, 2), last.obs, last.mask, 30))
    assert digest(twin.state_dict()) == digest(task.state_dict())
    with pytest.raises(DamagedSession, match=r"resume with the same task\.processes"):
        twin.load_state_dict({**task.state_dict(), "workers": []})
    task.close()
    twin.close()


def test_an_evaluation_asks_the_engines_policy() -> None:
    plain, task = tasks.make("tictactoe", {}, 8), tasks.make("tictactoe", {"processes": 2}, 8)
    results = [one.evaluate(LinearPlayer(plain.spec, 4), part="random", episodes=40, seed=5) for one in (plain, task)]
    assert results[0] == results[1]
    with pytest.raises(UsageError, match="no opponent"):
        task.evaluate(LinearPlayer(plain.spec, 4), part="nobody", episodes=4, seed=5)
    task.close()


def test_the_final_evaluation_is_of_what_the_task_keeps_for_it() -> None:
    options = {"instruments": 4, "bars": 4096}
    plain, task = tasks.make("trading", options, 2), tasks.make("trading", {**options, "processes": 1}, 2)
    results = [
        judge.evaluate(LinearPlayer(plain.spec, 4), part="0.70-1.00", episodes=5, seed=5)
        for judge in (plain.final(), task.final(), task)
    ]
    assert results[0] == results[1] != results[2]
    assert task.final().baselines() == plain.final().baselines() != plain.baselines()
    task.reset(1)
    state = task.state_dict()
    assert task.recall_split(state)
    assert not task.recall_split({"workers": [{**state["workers"][0], "data": "others"}]})
    task.close()


def test_a_final_evaluation_that_takes_long_to_make_ready_is_no_hang() -> None:
    task = tasks.make("tests.tasks.toy_final:make", {"processes": 1, "step_timeout_s": 1.0}, 2)
    assert isinstance(task, RemoteTask)
    judge = task.final()
    assert (judge.baselines(), judge.bound()) == (task.baselines(), 0.75)
    assert task.recall_split({}), "what holds out nothing has no other split"
    assert judge.evaluate(LinearPlayer(task.spec, 4), part=task.spec.parts[0], episodes=3, seed=5).episodes == 3
    task.close()


def test_a_wrong_number_of_processes_is_a_config_error_and_the_tasks_own_options_go_on() -> None:
    with pytest.raises(ConfigError, match=r"task\.processes"):
        tasks.make("tictactoe", {"processes": -1}, 2)
    with pytest.raises(ConfigError, match="did you mean task"):
        tasks.make("tictactoe", {"processes": 1, "opening_ply": 3}, 2)
    assert tasks.make("tictactoe", {"processes": 0, "opening_plies": 0}, 2).spec.num_envs == 2
    assert tasks.in_process({"processes": 2, "step_timeout_s": 3, "opening_plies": 1}) == {"opening_plies": 1}
