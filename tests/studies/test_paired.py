"""Paired statistics with hand-worked numbers, and `ab` end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine import process as p
from tui_trainer.core.config import Config, Layer, resolve
from tui_trainer.core.events import EvaluationFinished, RunResumed
from tui_trainer.core.values import EvalResult
from tui_trainer.errors import ConfigError
from tui_trainer.studies.engines import Curve
from tui_trainer.studies.paired import compare, interval, sign_flip
from tui_trainer.studies.pairs import Meeting, Pair, at_equal_steps, meeting


def curve(*points: tuple[int, float]) -> Curve:
    made = Curve()
    for step, score in points:
        result = EvalResult(
            metric="win_rate", value=score, ci=(0, 1), mean=0, std=0, min=0, max=0, episodes=1, by={}
        )  # fmt: skip
        made.take(EvaluationFinished(suite="reference", result=result, update=step // 10, global_step=step))
    return made


def test_the_sign_flip_test_counts_patterns() -> None:
    """1, 2, 3: of 8 patterns only +++ and --- reach |6|. 1, 1, -1: every pattern reaches |1|."""
    assert sign_flip([1, 2, 3]) == 2 / 8
    assert sign_flip([1, 1, -1]) == 1.0
    assert sign_flip([0.0, 0.0]) == 1.0


def test_many_pairs_are_sampled_and_never_certain() -> None:
    assert 0 < sign_flip([1.0] * 20) < 0.001


def test_equal_differences_have_an_interval_of_one_point() -> None:
    assert interval([0.25, 0.25, 0.25]) == (0.25, 0.25)


def test_the_interval_of_two_pairs_spans_both() -> None:
    """Resamples of {0, 1}: mean 0, 0.5 or 1 with chances 1/4, 1/2, 1/4."""
    assert interval([0.0, 1.0]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("a", "b", "higher", "verdict"),
    [
        ([0.1] * 6, [0.2] * 6, True, "B is better"),
        ([0.1] * 6, [0.2] * 6, False, "A is better"),
        ([0.1] * 5, [0.2] * 5, True, "B leads, but 5 pairs are too few to be sure; add seeds"),
        ([0.1, 0.3], [0.3, 0.1], True, "no difference shown"),
    ],
)
def test_the_verdict_needs_interval_and_test(a: list[float], b: list[float], higher: bool, verdict: str) -> None:
    assert compare(a, b, higher_is_better=higher).verdict == verdict


def test_a_positive_difference_speaks_for_b_where_lower_is_better() -> None:
    found = compare([3.0, 4.0], [1.0, 3.0], higher_is_better=False)
    assert (found.difference, found.wins) == (1.5, 2)


def test_pairs_are_compared_at_the_last_step_that_both_reached() -> None:
    short, long = curve((100, 0.2), (200, 0.4)), curve((100, 0.1), (150, 0.3), (300, 0.9))
    assert at_equal_steps(1, short, long) == Pair(seed=1, step=200, a=0.4, b=0.3)
    assert at_equal_steps(1, curve((100, 0.2)), curve((150, 0.3))) is None


def meant(envs: int, every: int, **limits: int) -> Config:
    """A run of `envs` times ten steps an update, evaluated after so many updates."""
    manager = {"evaluation": {"every_updates": every}, "termination": limits}
    return resolve(
        [Layer("x", {"ppo": {"num_envs": envs, "n_steps": 10, "batch_size": 10}, "manager": manager})]
    ).config


def test_pairs_meet_where_both_are_evaluated_after_equally_many_steps() -> None:
    where = meeting(meant(2, 5, max_updates=31), meant(3, 5, max_steps=501))
    assert where == Meeting(steps=300, a=15, b=10)
    a = curve(*((100 * n, n / 10) for n in range(1, 5)))  # of the update of step / 10
    b = curve(*((50 * n, n / 100) for n in range(1, 8)))
    assert at_equal_steps(3, a, b, Meeting(steps=7, a=10, b=15)) == Pair(seed=3, step=14, a=0.2, b=0.06)
    assert at_equal_steps(3, a, b, Meeting(steps=7, a=10, b=40)) is None


@pytest.mark.parametrize("limits", [{"max_updates": 15}, {"max_steps": 300}, {"max_updates": 99, "max_steps": 281}])
def test_what_ends_before_the_two_meet_is_refused(limits: dict[str, int]) -> None:
    """A limit ends a run before the evaluation that is due at it."""
    with pytest.raises(ConfigError, match="both after 300 at first, but A ends after 300"):
        meeting(meant(2, 5, **limits), meant(3, 5, max_updates=99))


def test_unequal_evaluation_steps_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    configs = []
    for name, every in (("a", 4), ("b", 7)):
        configs.append(str(tmp_path / f"{name}.toml"))
        Path(configs[-1]).write_text(f'[run]\ntask = "tictactoe"\n[manager.evaluation]\nevery_updates = {every}\n')
    done = p.run(tmp_path, "ab", *configs, "--seeds=2", "--set=manager.termination.max_updates=20")
    assert (done.returncode, done.stdout) == (2, "")
    assert "A is evaluated every" in done.stderr
    assert p.names(tmp_path) == ["a.toml", "b.toml"]


def test_what_a_resume_went_back_behind_does_not_count() -> None:
    run = curve((100, 0.2), (200, 0.4))
    run.take(RunResumed(from_update=15, from_step=150, checkpoint="c", pid=1, host="h", exact=True, limits={}))
    assert (run.last, run.steps) == (0.2, 100)


def test_the_same_configuration_twice_shows_no_difference(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text('[run]\ntask = "tictactoe"\n')
    words = [word for word in p.TINY if not word.startswith("--task")]
    limit = "--set=manager.termination.max_updates=12"
    done = p.run(tmp_path, "ab", str(config), str(config), "--seeds=2", "--json", limit, *words)
    assert done.returncode == 0, done.stderr
    *runs, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert [run["session"] for run in runs] == ["ab-a-s1", "ab-b-s1", "ab-a-s2", "ab-b-s2"]
    assert end["comparison"]["difference"] == 0.0
    assert end["comparison"]["verdict"] == "no difference shown"
