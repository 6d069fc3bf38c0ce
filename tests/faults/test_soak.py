"""Nothing grows with time that a week-long run could not afford."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.soak import soak
from tests.warm import Warm, WarmTerminal

VIEWS = 2
"""One that stays, one that a busy machine lets leave late."""


def test_views_that_come_and_go_leave_no_descriptor_no_child_and_a_small_journal(warm: Warm, root: Path) -> None:
    """A day at small size: what grows with every view or update would show already."""

    def attach(root: Path) -> WarmTerminal:
        return warm.terminal(root, "attach", "a", "--readonly")

    seen = soak(root, updates=100_000_000, limit_s=150, visits=5, attach=attach)
    assert seen.code == 0
    assert len(seen.samples) == 5
    assert seen.descriptors_vary_by <= VIEWS
    assert {sample.children for sample in seen.samples} == {0}
    assert seen.samples[-1].journal_mib < 1


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_day_of_updates_with_views_that_come_and_go_leaves_everything_bounded(root: Path) -> None:
    seen = soak(root, updates=100_000, limit_s=1500)
    assert seen.code == 0
    assert seen.samples[-1].update > 90_000
    assert seen.growth_mib < 20
    assert seen.view_growth_mib < 20
    assert seen.descriptors_vary_by <= VIEWS
    assert {sample.children for sample in seen.samples} == {0}
    assert seen.samples[-1].journal_mib < 10
    assert max(sample.attach_s for sample in seen.settled) < 5
