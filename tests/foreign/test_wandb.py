"""W&B's offline logs: records over block ends, what the library wrote, and damage."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.foreign.files import DATA, history, wandb_log
from tui_trainer.foreign.places import find_run
from tui_trainer.foreign.readings import Point, Reading, Told
from tui_trainer.foreign.run import open_run, read_run
from tui_trainer.foreign.wandb import BLOCK, read


def written(directory: Path, data: bytes) -> Path:
    path = directory / "run-1.wandb"
    path.write_bytes(data)
    return path


def points(readings: list[Reading]) -> list[Point]:
    return [each for each in readings if isinstance(each, Point)]


def told(readings: list[Reading]) -> list[str]:
    return [each.text for each in readings if isinstance(each, Told)]


def test_a_log_of_the_library_is_read_with_its_settings_and_its_end() -> None:
    place = find_run(DATA / "offline.wandb")
    assert place is not None
    run = open_run(place)
    state = run.state()
    assert run.problems == ()
    assert state.started is not None
    assert (state.started.task, state.started.algorithm, state.started.seed) == ("CartPole-v1", "ppo", 1)
    assert run.settings["ppo"] == {"learning_rate": 0.0003}
    assert run.settings["other"] == {"nested/a": 1}
    assert state.global_step == 6400
    assert state.metrics["rollout/ep_rew_mean"] == 19.0
    assert state.metrics["task/bad"] is None
    assert [e.result.value for e in state.evaluations] == [18.0, 98.0]
    assert state.log[-1].text == "W&B: the run ended with exit code 0"


def test_the_library_itself_writes_what_is_read(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    code = """
import wandb
run = wandb.init(mode="offline", project="p", dir=".", config={"seed": 5, "env_id": "X"},
                 settings=wandb.Settings(console="off", silent=True, disable_git=True, x_disable_stats=True))
for i in range(300):
    run.log({"global_step": 10 * i, "loss": 1.0 / (i + 1), "words": "x" * 200, "deep": {"er": i}})
run.finish()
"""
    environ = {**os.environ, "WANDB_SILENT": "true"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, check=True, timeout=120)
    place = find_run(tmp_path)
    assert place is not None
    state = open_run(place).state()
    assert state.started is not None
    assert (state.started.task, state.started.seed, state.global_step) == ("X", 5, 2990)
    assert state.metrics["task/deep/er"] == 299.0
    assert place.files[0].stat().st_size > BLOCK


def test_records_are_put_together_over_the_ends_of_blocks(tmp_path: Path) -> None:
    rows = [history({"_step": i, "loss": i, "words": "x" * 7000}) for i in range(30)]
    huge = history({"words": "x" * (3 * BLOCK), "loss": 30, "_step": 30})
    readings = list(read(written(tmp_path, wandb_log([*rows, huge]))))
    assert [(p.step, p.values["loss"]) for p in points(readings)] == [(i, float(i)) for i in range(31)]
    assert told(readings) == []


def test_rows_without_a_step_stand_where_the_last_one_did(tmp_path: Path) -> None:
    rows = [{"_step": 0, "a": 1}, {"_step": 1, "a": 2}, {"_step": 2, "global_step": 640, "a": 3}, {"_step": 3, "a": 4}]
    readings = list(read(written(tmp_path, wandb_log(map(history, rows)))))
    assert [p.step for p in points(readings)] == [0, 1, 640, 640]


def test_a_torn_log_shows_what_it_has(tmp_path: Path) -> None:
    data = wandb_log(history({"_step": i, "loss": i}) for i in range(10))
    readings = list(read(written(tmp_path, data[:-5])))
    assert [p.step for p in points(readings)] == list(range(9))
    assert "still being written" in told(readings)[0]


def test_after_a_damaged_block_the_next_one_is_read(tmp_path: Path) -> None:
    data = bytearray(wandb_log(history({"_step": i, "loss": i, "words": "x" * 900}) for i in range(100)))
    data[5000] ^= 1
    readings = list(read(written(tmp_path, bytes(data))))
    steps = [p.step for p in points(readings)]
    assert steps[:5] == [0, 1, 2, 3, 4]
    assert steps[-1] == 99
    assert 60 < len(steps) < 95
    assert "damaged at byte" in told(readings)[0]


def test_a_file_that_is_none_of_theirs_says_so(tmp_path: Path) -> None:
    assert told(list(read(written(tmp_path, b"MZ" * 50)))) == ["does not begin as a W&B file does: nothing was read"]


def test_json_that_is_nested_beyond_reason_is_left_out(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    from tests.foreign.files import field

    record = field(2, field(1, field(2, "loss") + field(16, deep)))
    readings = list(read(written(tmp_path, wandb_log([record, history({"_step": 1, "loss": 2})]))))
    assert [p.step for p in points(readings)] == [1]
    assert told(readings) == ["1 damaged records were left out"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_no_flipped_bit_raises_and_no_figure_is_invented(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rows = [history({"_step": i, "loss": i, "words": "x" * 3000}) for i in range(30)]
    data, generator = bytearray(wandb_log(rows)), random.Random(seed)
    for _ in range(generator.randint(1, 4)):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    path = written(tmp_path_factory.mktemp("run"), bytes(data[: generator.randint(0, len(data))]))
    assert all(p.values["loss"] == float(p.step) for p in points(list(read(path))))
    place = find_run(path)
    assert place is not None
    read_run(place).state()
