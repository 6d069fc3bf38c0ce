"""Which cores a rank keeps to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tui_trainer.engine.threads import part_of


@pytest.mark.parametrize(
    ("cores", "place", "places", "own"),
    [
        ([0, 1], 0, 2, [0]),
        ([0, 1], 1, 2, [1]),
        ([2, 3, 6, 7, 9], 1, 2, [6, 7]),
        ([0, 1, 2, 3], 0, 1, []),
        ([0], 1, 2, []),
    ],
)
def test_each_rank_of_a_machine_has_cores_of_its_own(cores: list[int], place: int, places: int, own: list[int]) -> None:
    assert list(part_of(cores, place, places)) == own


@pytest.mark.skipif(sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs Linux and two cores")
def test_a_process_keeps_to_its_part() -> None:
    keep = "import os; from tui_trainer.engine.threads import keep_to_cores; keep_to_cores({}, 2)"
    tell = f"{keep}; print(os.sched_getaffinity(0))"
    first, second = (
        subprocess.run([sys.executable, "-c", tell.format(place)], capture_output=True, text=True, check=True).stdout
        for place in (0, 1)
    )
    assert first != second
