"""SIGKILL at any moment: the session loads, and nothing acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import kill_often
from tests.warm import Warm


def test_no_kill_loses_an_acknowledged_save_or_leaves_a_session_that_cannot_be_read(warm: Warm, root: Path) -> None:
    result = kill_often(warm, root, kills=12, seed=1)
    assert result.broken == []
    assert result.acknowledged > 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_kill_of_a_thousand_loses_anything(warm: Warm, root: Path) -> None:
    result = kill_often(warm, root, kills=1000, seed=2)
    assert result.broken == []
    assert result.in_save > 100
