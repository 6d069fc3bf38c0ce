"""`export`: a model file that acts as the checkpoint does, or one line that says why there is none."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from .conftest import Run


def test_a_sessions_policy_becomes_a_model_that_acts_as_it_does(tui: Run, tmp_path: Path) -> None:
    out = tmp_path / "four.onnx"
    [found] = tui("export", "sample", "--out", str(out), "--json").rows
    assert (found["observations"], found["equal"]) == (1000, 1000)
    assert found["difference"] < 1e-5
    assert found["size"] == out.stat().st_size
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["task"] == "connect_four"


def test_an_existing_file_is_not_overwritten(tui: Run, tmp_path: Path) -> None:
    out = tmp_path / "four.onnx"
    out.write_text("mine")
    done = tui("export", "sample", "--out", str(out))
    assert (done.code, out.read_text()) == (2, "mine")
    assert "exists" in done.complaint


def test_another_format_is_refused(tui: Run) -> None:
    done = tui("export", "sample", "--policy", "pickle")
    assert done.code == 2
    assert "onnx" in done.complaint
