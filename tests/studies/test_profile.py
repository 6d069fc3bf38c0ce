"""`profile` and `doctor --calibrate`: phases that add up, advice that fits them, and no session left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import process as p
from tui_trainer.core.config import Config, Layer, resolve
from tui_trainer.core.events import AnyEvent, CheckpointSaved, UpdateFinished, stamp
from tui_trainer.errors import TuiTrainerError
from tui_trainer.studies.calibration import calibrate, environments, thread_counts
from tui_trainer.studies.profile import Profile, advice, profile_of


def told(*sums: tuple[float, int, dict[str, float]]) -> list[AnyEvent]:
    """Events of a run: (elapsed_s, global_step, seconds by phase) of each sum of ten updates."""

    def made() -> Iterator[AnyEvent]:
        for seq, (elapsed, step, seconds) in enumerate(sums, 1):
            event = UpdateFinished(updates=10, metrics={}, sps=0.0, seconds=seconds, episodes=0, elapsed_s=elapsed)
            yield stamp(event, seq=2 * seq, time=0.0, update=10 * seq, global_step=step)
            saved = CheckpointSaved(
                number=seq, kind="regular", path="", at_update=1, at_step=1, size=1, state_sha256="", seconds=0.5
            )
            yield stamp(saved, seq=2 * seq + 1, time=0.0, update=10 * seq, global_step=step)

    return list(made())


def test_the_first_sum_is_warm_up_and_what_no_phase_accounts_for_is_other() -> None:
    found = profile_of(
        told((5.0, 100, {"env": 4.0}), (7.0, 300, {"env": 0.5, "learn": 1.0}), (9.0, 500, {"learn": 1.5}))
    )
    assert (found.seconds, found.updates, found.steps, found.sps) == (4.0, 20, 400, 100.0)
    assert found.phases == {
        "env": 0.5, "forward": 0.0, "learn": 2.5, "evaluate": 0.0, "save": 0.0, "wait": 0.0, "other": 1.0,
    }  # fmt: skip
    assert (found.saves, found.save_s) == (2, 0.5), "only saves between the first sum and the last count"


def test_a_run_without_an_update_is_refused() -> None:
    with pytest.raises(TuiTrainerError, match="too short"):
        profile_of([])


def shares(**phases: float) -> Profile:
    return Profile(seconds=1.0, updates=1, steps=1, phases=phases, evaluations=0, saves=0, save_s=0.0)


def settings(**tables: dict[str, object]) -> Config:
    return resolve([Layer("test", tables)]).config


def test_evaluations_that_take_half_the_time_get_an_interval_at_which_they_take_a_tenth() -> None:
    [text] = advice(shares(evaluate=0.5, learn=0.5), settings(manager={"evaluation": {"every_updates": 50}}))
    assert text.startswith("manager.evaluation.every_updates=450 ")


@pytest.mark.parametrize(
    ("phase", "algorithm", "word"),
    [
        ("env", "ppo", "environment"), ("forward", "ppo", "ppo.num_envs=128"), ("forward", "dqn", "dqn.num_envs=16"),
        ("learn", "ppo", "n_epochs"), ("learn", "dqn", "train_freq"), ("save", "ppo", "checkpoints"),
        ("wait", "ppo", "step_delay"), ("other", "ppo", "rollout"),
    ],
)  # fmt: skip
def test_each_phase_that_takes_most_of_the_time_has_its_advice(phase: str, algorithm: str, word: str) -> None:
    [text] = advice(shares(**{phase: 0.95}), settings(run={"algorithm": algorithm}))
    assert word in text


def test_the_dearest_comes_first_and_a_balanced_run_needs_no_advice() -> None:
    both = advice(shares(wait=0.2, save=0.4), settings())
    assert ["save" in both[0] or "checkpoints" in both[0], "step_delay" in both[1]] == [True, True]
    assert advice(shares(env=0.3, forward=0.2, learn=0.5), settings()) == ()


def test_calibration_tries_environments_at_equal_minibatches_then_threads_for_the_fastest() -> None:
    base = settings(ppo={"num_envs": 8, "batch_size": 256, "n_steps": 128})
    tried = list(calibrate(base, 4, lambda config: config.ppo.num_envs * 10.0 / config.run.threads))
    assert [trial.settings["ppo.num_envs"] for trial in tried] == [8, 2, 4, 16, 32, 32, 32]
    assert [trial.settings["ppo.batch_size"] for trial in tried[:5]] == [256, 64, 128, 512, 1024]
    assert [trial.settings.get("run.threads") for trial in tried] == [None] * 5 + [2, 4]
    assert max(tried, key=lambda trial: trial.sps).settings == {"ppo.num_envs": 32, "ppo.batch_size": 1024}


def test_dqn_keeps_its_replay_ratio_and_threads_go_up_to_the_cores() -> None:
    assert environments(settings(run={"algorithm": "dqn"}), 100.0) == {"dqn.num_envs": 80}
    assert [thread_counts(cores) for cores in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def test_profile_runs_the_engine_and_leaves_no_session(tmp_path: Path) -> None:
    words = [word for word in p.TINY if not word.startswith("--task")]
    task = [word.replace("--task=", "--set=run.task=") for word in p.TINY if word.startswith("--task")]
    done = p.run(tmp_path, "profile", "debug", "--seconds=2", "--json", *task, *words)
    assert done.returncode == 0, done.stderr
    [found] = [json.loads(line) for line in done.stdout.splitlines()]
    assert found["updates"] > 2
    assert found["sps"] > 0
    assert sum(found["phases"].values()) == pytest.approx(found["seconds"], rel=0.05)
    assert list(tmp_path.iterdir()) == []
