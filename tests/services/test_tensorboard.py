"""What is written is what TensorBoard itself reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.history import STEPS, Tale
from tui_trainer.core.rows import Row
from tui_trainer.services.tensorboard import TensorBoard, write_rows


def scalars(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every tag, by TensorBoard's reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(directory), purge_orphaned_data=True)
    reader.Reload()
    return {tag: [(s.step, s.value) for s in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def test_every_finite_value_is_read_back_with_its_step_and_time(tmp_path: Path) -> None:
    rows = [Row(100.5, 1, 64, {"train/loss": 0.5, "task/ünï": 1e-3}), Row(101.5, 2, 128, {"train/loss": None})]
    write_rows(rows, tmp_path)
    found = scalars(tmp_path)
    assert found["train/loss"] == [(64, 0.5)]
    assert found["task/ünï"] == [(64, pytest.approx(1e-3))]


def test_a_live_run_writes_as_it_goes_and_a_resume_takes_back_what_it_undid(tmp_path: Path) -> None:
    story = Tale().start().train(6).evaluate(0.5)
    sink = TensorBoard(tmp_path / "a")
    for event in story.events:
        sink.take(event)
    sink.close()
    before = scalars(tmp_path / "a")
    assert [step for step, _ in before["train/loss"]] == [STEPS * update for update in range(1, 7)]
    assert before["eval/win_rate"] == [(6 * STEPS, 0.5)]
    resumed = TensorBoard(tmp_path / "a")
    for event in story.resume(3).train(1, metrics={"train/loss": 99.0}).events[-2:]:
        resumed.take(event)
    resumed.close()
    after = scalars(tmp_path / "a")
    assert [value for _, value in after["train/loss"]] == [1.0, 2.0, 3.0, 99.0]
    assert "eval/win_rate" not in after or after["eval/win_rate"] == []


def test_two_files_of_one_second_do_not_meet(tmp_path: Path) -> None:
    for loss in (0.1, 0.2):
        write_rows([Row(1.0, 1, 1, {"train/loss": loss})], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_neither_tensorflow_nor_torch_is_loaded_for_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tui_trainer.core.rows import Row;"
        "from tui_trainer.services.tensorboard import write_rows;"
        f"write_rows([Row(1.0, 1, 1, dict(a=1.0))], Path({str(tmp_path)!r}));"
        "print([name for name in ('torch', 'tensorflow') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
