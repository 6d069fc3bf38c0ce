"""Stable-Baselines3's tables, by its own logger and Monitor, and cut or spoilt ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.foreign.places import Place, find_run
from tui_trainer.foreign.readings import Point, Told
from tui_trainer.foreign.run import ForeignRun, open_run, read_run
from tui_trainer.foreign.sb3 import read_monitors, read_progress

PROGRESS = """\
time/fps,time/time_elapsed,time/total_timesteps,time/iterations,rollout/ep_rew_mean,eval/mean_reward,train/loss
800,1,256,1,18.5,,
600,2,512,2,20.25,,0.5
,2,600,,,33.0,
550,3,768,3,nan,,inf
"""
MONITOR = '#{"t_start": 1700000000.5, "env_id": "CartPole-v1"}\nr,l,t\n'


def place_of(path: Path) -> Place:
    place = find_run(path)
    assert place is not None
    return place


def opened(path: Path) -> ForeignRun:
    return open_run(place_of(path))


def test_what_the_logger_and_the_monitor_write_is_read(tmp_path: Path) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    logger = pytest.importorskip("stable_baselines3.common.logger")
    monitor = pytest.importorskip("stable_baselines3.common.monitor")
    log = logger.configure(str(tmp_path / "log"), ["csv"])
    for step in (256, 512):
        log.record("time/total_timesteps", step)
        log.record("rollout/ep_rew_mean", step / 10)
        if step > 256:
            log.record("eval/mean_reward", 42.0)
        log.dump(step)
    log.close()
    state = opened(tmp_path / "log").state()
    assert [bucket.mean for bucket in state.series["rollout/ep_rew_mean"].buckets] == [25.6, 51.2]
    assert [e.result.value for e in state.evaluations] == [42.0]
    env = monitor.Monitor(gymnasium.make("CartPole-v1"), str(tmp_path / "mon" / "0"))
    for seed in range(3):
        env.reset(seed=seed)
        while not any(env.step(0)[2:4]):
            continue
    env.close()
    run = opened(tmp_path / "mon")
    assert run.problems == ()
    assert run.state().episodes == 3
    assert run.state().global_step == sum(env.get_episode_lengths())
    assert run.state().metrics["rollout/ep_rew_mean"] == pytest.approx(sum(env.get_episode_rewards()) / 3)


def test_progress_has_steps_times_speeds_and_evaluations(tmp_path: Path) -> None:
    (tmp_path / "progress.csv").write_text(PROGRESS)
    run = opened(tmp_path)
    state = run.state()
    assert (state.global_step, state.sps, state.elapsed_s) == (768, 550.0, 3.0)
    assert [(e.global_step, e.result.value) for e in state.evaluations] == [(600, 33.0)]
    assert state.metrics["rollout/ep_rew_mean"] is None
    assert [bucket.step for bucket in state.series["train/loss"].buckets] == [512, 768]
    assert "time/iterations" not in state.series
    assert state.time == pytest.approx((tmp_path / "progress.csv").stat().st_mtime)
    assert run.problems == ()


def test_a_line_without_an_end_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "progress.csv").write_text(PROGRESS + "500,4,1024,4,12")
    run = opened(tmp_path)
    assert run.state().global_step == 768
    assert "still being written" in run.problems[0]


def test_a_line_that_is_no_row_is_counted(tmp_path: Path) -> None:
    (tmp_path / "progress.csv").write_text(PROGRESS + "\0\0\0\n500,4,x,4,12,,\n")
    run = opened(tmp_path)
    assert run.state().global_step == 768
    assert run.problems == ("progress.csv: 2 damaged lines were left out",)


def test_a_table_without_steps_says_so(tmp_path: Path) -> None:
    (tmp_path / "progress.csv").write_text("a,b\n1,2\n")
    assert [each.text for each in read_progress(tmp_path / "progress.csv") if isinstance(each, Told)] == [
        "has no column time/total_timesteps: nothing was read"
    ]


def test_episodes_of_several_environments_are_put_in_order(tmp_path: Path) -> None:
    (tmp_path / "0.monitor.csv").write_text(MONITOR + "1.0,10,1.0\n3.0,10,3.0\n")
    (tmp_path / "1.monitor.csv").write_text(MONITOR + "2.0,20,2.0\n")
    found = list(read_monitors(place_of(tmp_path).files))
    points = [each for each in found if isinstance(each, Point)]
    assert [(p.step, p.values["rollout/ep_rew_mean"], p.episodes) for p in points] == [
        (10, 1, 1),
        (30, 1.5, 2),
        (40, 2, 3),
    ]
    assert [p.time for p in points] == [1700000001.5, 1700000002.5, 1700000003.5]
    state = opened(tmp_path).state()
    assert state.started is not None
    assert state.started.task == "CartPole-v1"
    assert state.elapsed_s == 3.0


def test_of_several_monitors_one_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.monitor.csv").write_text(MONITOR + "1.0,10,1.0\n")
    files = (tmp_path / "0.monitor.csv", tmp_path / "gone.monitor.csv")
    found = list(read_monitors(files))
    assert sum(isinstance(each, Point) for each in found) == 1
    assert any(isinstance(each, Told) and "gone.monitor.csv" in each.text for each in found)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_tables_of_any_bytes_are_read_or_told(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    directory = tmp_path_factory.mktemp("run")
    for name, head in (("progress.csv", PROGRESS), ("monitor.csv", MONITOR)):
        (directory / name).write_bytes(head.encode() + data)
        read_run(place_of(directory / name)).state()
        (directory / name).write_bytes(data)
        read_run(place_of(directory / name)).state()
