"""Event files by the real writers come back whole; damaged ones as far as they are sound."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.history import STEPS, Tale
from tests.foreign.files import event_file, field, scalar, tfrecord
from tui_trainer.core.events import RunResumed
from tui_trainer.core.state import fold
from tui_trainer.foreign.checksum import crc32c
from tui_trainer.foreign.places import find_run
from tui_trainer.foreign.readings import Point, Reading, Told
from tui_trainer.foreign.run import ForeignRun, open_run, read_run
from tui_trainer.foreign.tensorboard import MAX_MESSAGE, read
from tui_trainer.services.tensorboard import TensorBoard


def opened(path: Path) -> ForeignRun:
    place = find_run(path)
    assert place is not None
    return open_run(place)


def points(readings: list[Reading]) -> list[tuple[int, dict[str, float | None]]]:
    return [(each.step, each.values) for each in readings if isinstance(each, Point)]


def told(readings: list[Reading]) -> list[str]:
    return [each.text for each in readings if isinstance(each, Told)]


def test_the_checksum_is_the_one_of_rfc_3720() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


def test_settings_that_were_told_to_the_hparams_plugin_are_settings(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    told = {"learning_rate": 0.001, "env_id": "CartPole-v1", "algo": "PPO", "seed": 7, "anneal_lr": True}
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_hparams(told, {"charts/episodic_return": 12.0}, run_name=".")
        writer.add_scalar("charts/episodic_return", 12.0, 64)
    run = opened(tmp_path)
    started = run.state().started
    assert started is not None
    assert (started.task, started.algorithm, started.seed) == ("CartPole-v1", "ppo", 7)
    assert run.settings["ppo"]["learning_rate"] == 0.001
    assert run.settings["other"]["anneal_lr"] == 1


def test_what_torchs_summary_writer_wrote_is_read(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text(
            "hyperparameters", "|param|value|\n|-|-|\n|env_id|CartPole-v1|\n|seed|7|\n|learning_rate|0.001|"
        )
        writer.add_histogram("weights", np.array([1.0, 2.0]), 1)
        for step in (64, 128):
            writer.add_scalar("charts/episodic_return", step / 2, step)
            writer.add_scalar("losses/value_loss", 0.25, step, new_style=True)
        writer.add_scalar("bad", float("nan"), 128)
    run = opened(tmp_path)
    state = run.state()
    assert [bucket.mean for bucket in state.series["rollout/ep_rew_mean"].buckets] == [32.0, 64.0]
    assert state.metrics["train/value_loss"] == 0.25
    assert state.metrics["task/bad"] is None
    assert state.started is not None
    assert (state.started.task, state.started.seed, state.started.origin) == ("CartPole-v1", 7, "TensorBoard")
    assert state.global_step == 128
    assert run.problems == ()
    assert run.settings["run"] == {"task": "CartPole-v1", "seed": 7}


def test_a_writer_that_purges_takes_back_what_it_undid(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path), filename_suffix=".1") as writer:
        for step in range(1, 6):
            writer.add_scalar("loss", float(step), step)
    with SummaryWriter(str(tmp_path), purge_step=3, filename_suffix=".2") as writer:
        writer.add_scalar("loss", 99.0, 3)
    run = opened(tmp_path)
    assert [bucket.mean for bucket in run.state().series["train/loss"].buckets] == [1.0, 2.0, 99.0]
    assert sum(isinstance(event, RunResumed) for event in run.events) == 1


def test_our_own_files_come_back_as_the_run_that_wrote_them(tmp_path: Path) -> None:
    story = Tale().start().train(6).evaluate(0.5).resume(3).train(2)
    sink = TensorBoard(tmp_path)
    for event in story.events:
        sink.take(event)
    sink.close()
    state, again = fold(story.events), opened(tmp_path).state()
    assert again.global_step == state.global_step == 5 * STEPS
    for name in ("train/loss", "time/fps"):
        ours, theirs = state.series[name].buckets, again.series[name].buckets
        assert [(b.step, b.mean) for b in theirs] == [(b.step, pytest.approx(b.mean)) for b in ours]
    assert again.evaluations == ()


def test_a_win_rate_is_the_score_with_a_line_for_each_opponent(tmp_path: Path) -> None:
    tags = {"eval/win_rate": 0.75, "eval/mean_reward": 0.5, "eval/win_rate/random": 1.0, "eval/win_rate/1-ply": 0.5}
    event_file(tmp_path, [scalar(tag, value, 64) for tag, value in tags.items()])
    state = opened(tmp_path).state()
    assert state.started is not None
    assert state.started.parts == ("1-ply", "random")
    assert state.last_evaluation is not None
    result = state.last_evaluation.result
    assert (result.metric, result.value, result.mean, result.interval) == ("win_rate", 0.75, 0.5, None)
    assert result.by["random"].win_rate == 1.0


# --- damage ------------------------------------------------------------------------------------------------------


def test_a_file_that_is_still_being_written_shows_what_it_has(tmp_path: Path) -> None:
    path = event_file(tmp_path, [scalar("loss", step, step) for step in range(5)])
    path.write_bytes(path.read_bytes()[:-3])
    readings = list(read(path))
    assert [step for step, _ in points(readings)] == [0, 1, 2, 3]
    assert "cut off, or still being written" in told(readings)[0]
    run = opened(tmp_path)
    assert run.problems == (f"{path.name}: {told(readings)[0]}",)
    assert run.state().log[-1].text == run.problems[0]


def test_a_damaged_record_is_left_out_and_counted(tmp_path: Path) -> None:
    path = event_file(tmp_path, [scalar("loss", step, step) for step in range(5)])
    data = bytearray(path.read_bytes())
    data[2 * len(data) // 5 + 30] ^= 1
    path.write_bytes(bytes(data))
    readings = list(read(path))
    assert [step for step, _ in points(readings)] == [0, 1, 3, 4]
    assert told(readings) == ["1 damaged records were left out"]


def test_a_length_that_is_damaged_ends_the_reading(tmp_path: Path) -> None:
    path = event_file(tmp_path, [scalar("loss", step, step) for step in range(5)])
    data = bytearray(path.read_bytes())
    data[2 * len(data) // 5 + 1] ^= 1
    path.write_bytes(bytes(data))
    readings = list(read(path))
    assert [step for step, _ in points(readings)] == [0, 1]
    assert "what follows cannot be read" in told(readings)[0]


def test_a_huge_record_is_passed_over_unread(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(tfrecord(field(1, 1.0) + field(4, bytes(MAX_MESSAGE))) + tfrecord(scalar("loss", 1.0, 7)))
    assert points(list(read(path))) == [(7, {"loss": 1.0})]


def test_a_length_beyond_every_file_is_no_memory(tmp_path: Path) -> None:
    import struct

    from tui_trainer.foreign.checksum import masked

    head = struct.pack("<Q", 2**64 - 1)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(head + struct.pack("<I", masked(head)) + b"x")
    assert points(list(read(path))) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_no_flipped_bit_raises_and_no_figure_is_invented(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path = event_file(tmp_path_factory.mktemp("run"), [scalar("loss", step, step) for step in range(8)])
    data, generator = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(generator.randint(1, 4)):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    path.write_bytes(bytes(data[: generator.randint(0, len(data))]))
    found = points(list(read(path)))
    assert all(values == {"loss": float(step)} for step, values in found)
    place = find_run(path)
    assert place is not None
    read_run(place).state()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_sound_records_of_any_bytes_are_read_or_counted(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = event_file(tmp_path_factory.mktemp("run"), [data, scalar("loss", 1.0, 5)])
    assert points(list(read(path)))[-1] == (5, {"loss": 1.0})
