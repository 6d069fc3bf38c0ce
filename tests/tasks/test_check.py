"""The conformance kit passes what is right and names what is broken."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import time

import numpy as np
import pytest

from tests.tasks.toys import BROKEN, LostLastObservation, Walk
from tui_trainer import tasks
from tui_trainer.core.protocols import Step
from tui_trainer.errors import UsageError
from tui_trainer.tasks import check
from tui_trainer.tasks.arrays import Array, require_legal
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


FOREIGN: dict[str, tuple[str, str]] = {
    "WrongShape": (
        "shapes and dtypes are those of the spec",
        r"reset gave an observation of shape \(2,\), not \(1,\); its observation_space must say what it gives",
    ),
    "NanReward": ("numbers are finite", r"reward of environment \[0\] is not finite at step 9"),
    "GlobalRandomness": ("no hidden randomness", "draws from the global generator of random: use one seeded by reset"),
    "NoLegalAction": ("masks leave a legal action", r"the mask of environment \[0\] has no legal action at step 2"),
    "LosesTheLast": (
        "ends hand over the last observation",
        r"final_obs is the new episode's first observation in all of \d+ ends: the last one is lost",
    ),
    "KeepsTheLastToItself": (
        "ends hand over the last observation",
        "starts anew in the step that ends an episode and hands over no final_obs: the last is lost; mend it",
    ),
    "LosesTruncation": ("a limit truncates", "an episode goes on after its limit of 3 steps: truncation lost"),
    "SaysTheLimitIsAnEnd": ("a limit truncates", "a limit is reported as terminated"),
}
"""Gymnasium environments with a fault, the rule that must report it, and what it must say."""


def foreign_rule(rule: str, name: str) -> Finding:
    task_id = f"gym:tests.tasks.toy_broken:Broken{name}-v0"
    return check.run_rule(rule, Kit(lambda n: tasks.make(task_id, {}, n), lambda n, k: tasks.make(task_id, {}, n, k)))


@pytest.mark.parametrize("name", FOREIGN)
def test_a_broken_environment_of_gymnasium_is_told_what_is_wrong(name: str) -> None:
    pytest.importorskip("gymnasium")
    rule, words = FOREIGN[name]
    finding = foreign_rule(rule, name)
    assert not finding.ok
    assert re.search(words, finding.detail), finding.detail
    assert "\n" not in finding.detail


@pytest.mark.parametrize("rule", sorted({rule for rule, _ in FOREIGN.values()}))
def test_a_batched_form_that_keeps_its_word_passes_those_rules(rule: str) -> None:
    pytest.importorskip("gymnasium")
    assert foreign_rule(rule, "Batch").ok


def test_an_empty_mask_is_named_rather_than_the_action_that_had_to_be_chosen() -> None:
    with pytest.raises(UsageError, match="environment 1 has no legal action: its mask is empty"):
        require_legal("toy", np.array([0, 0]), np.array([[True, False], [False, False]]))


class Hangs(Walk):
    """Waits, in its fifth step, for something that never comes; what interrupts it is swallowed."""

    def step(self, action: Array) -> Step:
        self.steps = getattr(self, "steps", 0) + 1
        while self.steps == 5:
            with contextlib.suppress(Exception):
                time.sleep(1000)
        return super().step(action)


def test_a_task_that_hangs_is_named_with_the_line_where_it_was_and_the_kit_goes_on() -> None:
    before = signal.getsignal(signal.SIGALRM)
    finding = check.run_rule("numbers are finite", Kit(Hangs), patience_s=3.0)
    assert not finding.ok
    assert re.match(r"not done after 3 s, and then in \S*test_check.py:\d+, step: if it hangs there", finding.detail)
    assert check.run_rule("numbers are finite", Kit(Walk)).ok
    assert signal.getsignal(signal.SIGALRM) is before
