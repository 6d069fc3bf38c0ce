"""`sessions export`: the sample in every format, and one line where that cannot be."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars
import pytest

from tests.cli.conftest import Run, root, tui

__all__ = ["root", "tui"]


def test_the_formats_hold_the_same_figures(tui: Run, tmp_path: Path) -> None:
    table = list(csv.DictReader(io.StringIO(tui("sessions", "export", "sample").out)))
    objects = json.loads(tui("sessions", "export", "sample", "--format", "json").out)
    done = tui("sessions", "export", "sample", "--format", "parquet", "--out", str(tmp_path / "a.parquet"))
    assert done.code == 0, done.err
    frame = polars.read_parquet(tmp_path / "a.parquet")
    losses = [row.get("train/loss") for row in objects]
    assert len(table) == len(objects) == frame.height > 100
    assert [float(row["train/loss"]) if row["train/loss"] else None for row in table] == losses
    assert frame["train/loss"].to_list() == losses


def test_tensorboard_reads_the_export(tui: Run, tmp_path: Path) -> None:
    from tests.services.test_tensorboard import scalars

    done = tui("sessions", "export", "sample", "--format", "tensorboard", "--out", str(tmp_path / "tb/sample"))
    assert done.code == 0, done.err
    objects = json.loads(tui("sessions", "export", "sample", "--format", "json").out)
    written = [(row["global_step"], row["time/fps"]) for row in objects if row.get("time/fps") is not None]
    assert (
        scalars(tmp_path / "tb/sample")["time/fps"]
        == [(step, pytest.approx(value)) for step, value in written][-10_000:]
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "xlsx"), "one of csv, json, parquet, tensorboard"),
        (("--format", "parquet"), "--format parquet needs a place"),
        (("--format", "tensorboard"), "--format tensorboard needs a place"),
    ],
)
def test_what_cannot_be_exported_says_why(tui: Run, words: tuple[str, ...], said: str) -> None:
    done = tui("sessions", "export", "sample", *words)
    assert done.code == 2
    assert said in done.err


def test_a_place_that_cannot_be_written_is_exit_4(tui: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for form in ("csv", "parquet", "tensorboard"):
        done = tui("sessions", "export", "sample", "--format", form, "--out", str(tmp_path / "file/x"))
        assert done.code == 4, done.err
