"""Every algorithm on every built-in task goes on bit for bit: after an update, amid episodes, where one has ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.resumes import Case, cases, compare, cut, load, resume

UPDATES = 9


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.algorithm} on {case.task}")
def test_a_run_taken_up_anywhere_ends_in_the_same_state(case: Case, tmp_path: Path) -> None:
    cuts = cut(case, UPDATES, 4, tmp_path)
    whole = load(tmp_path / "whole")
    assert {name.partition("-")[0] for name in cuts} >= {"after", "amid"}
    for name in cuts:
        np.random.seed(99)
        torch.manual_seed(99)
        found = compare(whole, resume(case, UPDATES, tmp_path / name))
        assert (found.differing_bytes, found.where) == (0, ()), name
        assert found.values > 100


def test_some_cuts_lie_where_an_episode_has_just_ended(tmp_path: Path) -> None:
    assert [name for name in cut(Case("ppo", "tictactoe"), UPDATES, 4, tmp_path) if name.startswith("end-in")]


def test_a_difference_is_found_to_the_byte() -> None:
    state = {"a": torch.zeros(4), "b": [1, 2.0, "x"], "wall": {"t": 1.0}}
    other = {"a": torch.tensor([0.0, 0.0, 0.0, 1.0]), "b": [1, 2.0, "y"], "wall": {"t": 2.0}}
    assert compare(state, state)[1::2] == (0, 0)
    assert compare(state, other).where == ("/a", "/b/2")
    assert compare(state, other).differing_bytes == 3
