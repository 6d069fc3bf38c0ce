"""The conformance kit passes what is right and names what is broken."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from tests.tasks.toys import BROKEN, LostLastObservation, Walk
from tui_trainer.tasks import check
from tui_trainer.tasks.check import Finding
from tui_trainer.tasks.checks.kit import Kit


def test_a_task_that_keeps_every_promise_passes_every_rule() -> None:
    findings = check.check(Walk, limited=Walk)
    assert [f for f in findings if not f.ok] == []
    assert [f.rule for f in findings] == list(check.RULES)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_promise_is_reported_by_its_rule(broken: type[Walk]) -> None:
    rule, words = BROKEN[broken]
    finding = one_rule(rule, broken)
    assert not finding.ok
    assert re.search(words, finding.detail), finding.detail


@pytest.mark.parametrize("rule", sorted({rule for rule, _ in BROKEN.values()}))
def test_each_rule_that_reports_a_broken_task_passes_the_right_one(rule: str) -> None:
    assert one_rule(rule, Walk).ok


def one_rule(rule: str, kind: type[Walk]) -> Finding:
    return check.run_rule(rule, Kit(kind, kind))


def test_a_lost_last_observation_is_seen_without_a_limit_too() -> None:
    broken = {f.rule for f in check.check(LostLastObservation) if not f.ok}
    assert broken == {"ends hand over the last observation"}


def test_the_kit_leaves_the_global_generators_as_they_were() -> None:
    random.seed(7)
    np.random.seed(7)
    expected = (random.Random(7).random(), np.random.RandomState(7).random())
    check.check(Walk)
    assert (random.random(), np.random.random()) == expected
