"""vectorize: parameters, likeness, pictures, tracings that fail, the task, folders, what is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vtracer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.engine import process as p
from tests.warm import Done
from tui_trainer import tasks
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.tasks.check import run_rule
from tui_trainer.tasks.checks.kit import Kit
from tui_trainer.tasks.playing import RandomPlayer, difference, digest, play
from tui_trainer.tasks.vector import metrics, tracing
from tui_trainer.tasks.vector.generator import CATEGORIES, picture
from tui_trainer.tasks.vector.library import Traces, described, generated
from tui_trainer.tasks.vector.parameters import COUNT, DEFAULTS, HIGH, LOW, PARAMETERS, units_of, values_of
from tui_trainer.tasks.vector.results import FAILED, NOTHING, Best, Worth, result
from tui_trainer.tasks.vector.tracing import Traced
from tui_trainer.tasks.vectorize import GAIN

SMALL: dict[str, Any] = {"pixels": 20, "pictures": 6, "held_out": 4, "workers": 2}
PANICS = (4.0, 0.0, 16.0, 60.0, 4.0, 10.0, 45.0, 8.0)
"""color_precision 0."""


def small(num_envs: int = 4, **options: Any) -> Any:
    return tasks.make("vectorize", {**SMALL, **options}, num_envs)


class Always:
    """The same action for every picture."""

    def __init__(self, action: Any) -> None:
        self.action = np.asarray(action, np.float32)

    def act(self, obs: Any, mask: Any) -> Any:
        return np.repeat(self.action[None], len(obs), axis=0)

    probabilities = value = act


AS_VTRACER = Always(np.full(COUNT, 0.5))


def traced(ssim: float, size: float) -> Traced:
    return Traced(ssim, 0.01, 20.0, size, NOTHING.thumb)


# --- parameters -------------------------------------------------------------------------------------------------


def test_one_half_is_vtracers_default_and_the_ends_are_the_ranges() -> None:
    assert values_of(np.full((1, COUNT), 0.5)) == [DEFAULTS]
    assert values_of(np.array([[-3.0] * COUNT, [9.0] * COUNT])) == [tuple(LOW), tuple(HIGH)]
    ranges = {p.name: (p.low, p.high) for p in PARAMETERS}
    assert ranges["color_precision"] == (1, 8)
    assert ranges["max_iterations"] == (1, 20)
    assert ranges["length_threshold"] == (3.5, 10)


def test_the_defaults_are_those_that_vtracer_takes_by_itself_with_the_eight_decimals_that_it_documents() -> None:
    png = tracing.png_of(picture(0, 3, 0, 40))
    ours, bare = tracing.svg_of(png, DEFAULTS), vtracer.convert_raw_image_to_svg(png, img_format="png")
    assert ours == vtracer.convert_raw_image_to_svg(png, img_format="png", path_precision=8)
    assert len(ours) < len(bare), "without a path_precision nothing is rounded: the weaker baseline"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=COUNT, max_size=COUNT))
def test_every_action_gives_parameters_in_range_that_come_back(action: list[float]) -> None:
    (values,) = values_of(np.array([action]))
    assert (np.array(values) >= LOW).all()
    assert (np.array(values) <= HIGH).all()
    assert values_of(units_of([values])) == [values]


# --- likeness ---------------------------------------------------------------------------------------------------


def test_ssim_is_that_of_every_window_by_hand() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 256, (12, 10, 3)).astype(np.uint8), rng.integers(0, 256, (12, 10, 3)).astype(np.uint8)
    found = []
    for channel in range(3):
        for i in range(6):
            for j in range(4):
                x, y = (p[i : i + 7, j : j + 7, channel].ravel() / 255 for p in (a, b))
                c = np.cov(x, y)
                top = (2 * x.mean() * y.mean() + 1e-4) * (2 * c[0, 1] + 9e-4)
                found.append(top / ((x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (c[0, 0] + c[1, 1] + 9e-4)))
    assert metrics.ssim(a, b) == pytest.approx(np.mean(found))
    assert metrics.ssim(a, a) == pytest.approx(1.0)
    assert metrics.ssim(a[:3, :2], a[:3, :2]) == pytest.approx(1.0)


def test_mse_and_psnr_by_hand() -> None:
    black, grey = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8)
    assert metrics.mse(black, grey) == pytest.approx(0.04)
    assert metrics.psnr(0.04) == pytest.approx(13.979, abs=1e-3)
    assert metrics.psnr(0.0) == 100


def test_a_plain_picture_comes_back_as_it_was() -> None:
    plain = np.full((20, 30, 3), (10, 120, 200), np.uint8)
    found = tracing.trace((plain, DEFAULTS))
    assert found.ssim > 0.99
    assert found.psnr > 35
    assert found.size == len(tracing.svg_of(tracing.png_of(plain), DEFAULTS))


# --- pictures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", range(len(CATEGORIES)))
def test_the_same_arguments_give_the_same_picture_and_others_another(category: int) -> None:
    one = picture(1, category, 2, 32)
    assert (one.shape, one.dtype) == ((32, 32, 3), np.uint8)
    assert np.array_equal(one, picture(1, category, 2, 32))
    assert not np.array_equal(one, picture(2, category, 2, 32))
    assert not np.array_equal(one, picture(1, category, 3, 32))


def test_held_out_pictures_are_none_of_the_training_ones_and_quality_is_a_percentile() -> None:
    library = generated(3, 20, 8, 4)
    assert (len(library.train), len(library.held_out)) == (32, 16)
    assert {p.digest for p in library.train} & {p.digest for p in library.held_out} == set()
    assert sorted(library.train_quality[:8]) == pytest.approx(np.arange(1, 9) / 8)
    final = library.final()
    assert [p.category for p in final] == [p.category for p in library.held_out]
    assert {p.digest for p in final} & {p.digest for p in (*library.train, *library.held_out)} == set()


# --- worth ------------------------------------------------------------------------------------------------------


def test_a_score_is_ssim_less_the_weight_of_every_doubling_of_the_bytes() -> None:
    worth, default = Worth(0.01, 0.0, 0.2), traced(0.9, 4096)
    assert worth.score(default, default) == pytest.approx(0.88)
    assert worth.is_better(traced(0.9, 4095), default)
    assert not worth.is_better(traced(0.905, 8192), default)
    assert worth.is_even(traced(0.91, 8192), default)
    assert worth.score(None, default) == FAILED


def test_past_a_budget_nothing_is_better() -> None:
    worth, default = Worth(0.0, 1.0, 0.2), traced(0.9, 4096)
    assert worth.is_better(traced(0.9001, 4096), default)
    assert not worth.is_better(traced(0.99, 4097), default)
    assert worth.score(traced(0.99, 8192), default) == pytest.approx(0.79)


def test_an_evaluation_counts_wins_failures_and_the_share_within_the_budget() -> None:
    worth, default = Worth(0.0, 1.0, 0.2), traced(0.9, 4096)
    shown = described(picture(0, 0, 0, 20))
    tried = [traced(0.95, 4000), traced(0.95, 9000), None, default]
    part = result([Best(shown, DEFAULTS, each, default) for each in tried], worth)
    assert (part.win_rate, part.draw_rate, part.loss_rate) == (0.25, 0.25, 0.5)
    assert part.extra["failed"] == 1
    assert part.extra["within budget"] == pytest.approx(2 / 3)
    assert part.extra["ssim"] == pytest.approx((0.95 + 0.95 + 0.9) / 3)
    assert part.extra["bytes of defaults"] == 4096


# --- tracings that fail -----------------------------------------------------------------------------------------


def test_a_panic_is_no_tracing_and_the_next_one_is_done() -> None:
    traces = Traces(2, 20.0)
    shown = described(picture(0, 0, 0, 20))
    assert [each is None for each in traces([shown] * 3, [DEFAULTS, PANICS, DEFAULTS])] == [False, True, False]
    assert traces.pids
    traces.close()
    assert traces([shown], [PANICS]) == [None], "remembered: no worker is started for it"
    assert traces.pids == ()


def test_an_attempt_that_fails_ends_the_episode_with_the_return_of_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    task = small(3, attempts=3)
    task.reset(1)
    first = task.step(np.full((3, COUNT), 0.5)).reward
    monkeypatch.setattr("tui_trainer.tasks.vectorize.values_of", lambda action: [PANICS, DEFAULTS, DEFAULTS])
    step = task.step(np.full((3, COUNT), 0.5))
    assert step.terminated.tolist() == [True, False, False]
    assert step.outcome.tolist() == [4, 0, 0]
    assert first[0] + step.reward[0] == pytest.approx(FAILED)
    assert step.reward[1:].tolist() == [0, 0]
    task.close()


def test_workers_that_are_killed_cost_nothing() -> None:
    task = small(8, picture_seed=77)
    start = task.reset(1)
    player = RandomPlayer(task.spec, 1)
    assert len(task.worker_pids) == 2
    for pid in task.worker_pids:
        os.kill(pid, signal.SIGKILL)
    step = task.step(player.act(start.obs, None))
    assert (step.reward > FAILED).all()
    task.close()
    assert task.worker_pids == ()


# --- the task ---------------------------------------------------------------------------------------------------


def test_the_spec_names_25_observations_and_8_actions_from_0_to_1() -> None:
    spec = small(3).spec
    assert (spec.obs_shape, spec.action, spec.n) == ((25,), "box", 8)
    assert (spec.action_low, spec.action_high, spec.parts) == (0.0, 1.0, CATEGORIES)


def test_an_episodes_return_is_its_best_score_and_it_ends_after_its_attempts() -> None:
    task = small(4, attempts=3)
    start = task.reset(2)
    steps = list(play(task, RandomPlayer(task.spec, 5), start.obs, None, 3))
    assert [s.terminated.all() for s in steps] == [False, False, True]
    total = sum(s.reward for s in steps)
    assert (steps[1].reward >= 0).all()
    assert ((total > 0) & (total < 1.1)).all()
    assert set(steps[2].outcome.tolist()) <= {1, 2, 3}
    task.close()


def test_the_reward_gain_is_how_far_above_the_defaults() -> None:
    task, plain = small(6, reward="gain", attempts=1), small(6, attempts=1)
    action = np.full((6, COUNT), 0.5)
    action[3:, -1] = 0.2
    task.reset(3)
    plain.reset(3)
    base = task._base()
    gain, score = task.step(action).reward, plain.step(action).reward
    assert gain[:3].tolist() == [0, 0, 0]
    assert gain[3:] == pytest.approx(np.tanh((score[3:] - base[3:]) / GAIN), rel=1e-3)
    assert (gain[3:] > 0).all()
    told = plain.step(action).info
    assert told["bytes_to_defaults"][:3].tolist() == [1, 1, 1]
    assert (told["bytes_to_defaults"][3:] < 1).all()
    assert ((told["ssim"] > 0) & (told["ssim"] <= 1)).all()


def test_vtracers_defaults_are_even_with_themselves() -> None:
    part = small().evaluate(AS_VTRACER, part="text", episodes=4, seed=1)
    assert (part.win_rate, part.draw_rate) == (0.0, 1.0)
    assert part.extra["ssim"] == part.extra["ssim of defaults"]


def test_fewer_decimals_beat_the_defaults_everywhere() -> None:
    action = np.full(COUNT, 0.5)
    action[-1] = 0.2
    for part in CATEGORIES:
        assert small().evaluate(Always(action), part=part, episodes=4, seed=1).win_rate == 1.0


def test_a_level_adds_a_category_from_the_next_episode_on() -> None:
    task = small(32, attempts=1)
    task.set_difficulty(Difficulty(level=0, low=0.0))
    task.reset(1)
    kinds = lambda: {task._library.train[i].category for i in task._pictures}  # noqa: E731
    assert kinds() == {"simple"}
    task.set_difficulty(Difficulty(level=2, low=0.0))
    assert kinds() == {"simple"}
    task.step(np.full((32, COUNT), 0.5))
    assert kinds() == {"simple", "text", "gradient"}
    with pytest.raises(UsageError, match="level 4"):
        task.set_difficulty(Difficulty(level=4))
    with pytest.raises(UsageError, match="no range"):
        task.set_difficulty(Difficulty(low=0.9, high=0.4))


def test_round_robin_draws_every_category_alike_and_the_range_its_pictures() -> None:
    task = small(40, attempts=1)
    task.set_difficulty(Difficulty(level=3, low=0.5))
    task.reset(4)
    assert np.bincount([CATEGORIES.index(task._library.train[i].category) for i in task._pictures]).tolist() == [10] * 4
    assert task._library.train_quality[task._pictures].min() >= 0.5


def test_a_state_goes_on_only_with_the_pictures_it_was_made_with() -> None:
    state = small(2).state_dict()
    with pytest.raises(DamagedSession, match="the pictures are not those"):
        small(2, picture_seed=1).load_state_dict(state)


def test_the_picture_shows_original_and_tracing_and_their_figures() -> None:
    task = small(1)
    task.reset(1)
    lines = task.render_text(0).splitlines()
    assert lines[1].split() == ["picture", "traced"]
    assert lines[-2].startswith("defaults")
    assert lines[-1].startswith("filter 4 color 6 layer 16")


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UsageError, match="has no part 'all'"):
        small().evaluate(AS_VTRACER, part="all", episodes=2, seed=1)


QUICK = (
    "the spec is complete", "shapes and dtypes are those of the spec", "a limit truncates",
    "evaluation leaves training as it was", "evaluation repeats", "difficulty waits for the next episode",
    "text is clean",
)  # fmt: skip


@pytest.mark.parametrize("rule", QUICK)
def test_it_keeps_the_quick_rules_of_the_conformance_kit(rule: str) -> None:
    tiny = {"pixels": 16, "pictures": 4, "held_out": 4, "workers": 2}
    kit = Kit(lambda n: tasks.make("vectorize", tiny, n), lambda n, limit: tasks.make("vectorize", tiny, n, limit))
    assert run_rule(rule, kit).ok, run_rule(rule, kit).detail


def test_vtracers_defaults_score_less_the_harder_the_pictures_are() -> None:
    kit = Kit(lambda n: tasks.make("vectorize", {"pictures": 48, "attempts": 1, "workers": 2}, n))
    found = run_rule("difficulty is harder", kit)
    assert found.ok, found.detail


def test_a_loaded_state_goes_on_bit_for_bit_amid_episodes_and_at_their_ends() -> None:
    task, twin = small(4), small(4)
    last: Any = task.reset(6)
    player = RandomPlayer(task.spec, 3)
    for _ in range(5):
        twin.load_state_dict(task.state_dict())
        actions = [player.act(last.obs, None) for _ in range(3)]
        one, other = ([each.step(action) for action in actions] for each in (task, twin))
        assert [difference(a, b) for a, b in zip(one, other)] == ["", "", ""]
        assert digest(task.state_dict()) == digest(twin.state_dict())
        last = one[-1]
    task.close()
    twin.close()


# --- folders ----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for category in ("text", "simple"):
        (root / category).mkdir(parents=True)
        for n in range(8):
            pixels = picture(9, CATEGORIES.index(category), n, 48)
            Image.fromarray(pixels).save(root / category / f"{n}.png")
    (root / "simple" / "broken.png").write_bytes(b"no picture")
    return root


def test_a_folder_is_trained_on_by_its_categories_with_some_held_out(folder: Path) -> None:
    task = small(4, data=str(folder))
    assert task.spec.parts == ("simple", "text")
    assert task.data_report.split == {"training": 12, "held out": 2, "final": 2}
    assert task.data_report.rejects == {"broken": 1}
    step = task.step(RandomPlayer(task.spec, 1).act(task.reset(1).obs, None))
    assert np.isfinite(step.reward).all()
    assert task.evaluate(AS_VTRACER, part="text", episodes=2, seed=1).episodes == 2
    task.close()


def test_a_folder_keeps_pictures_of_every_category_for_the_final_evaluation(folder: Path) -> None:
    before, now = small(2, data=str(folder), final_share=0), small(2, data=str(folder))
    kept, shown = now.final()._library.held_out, now._library.held_out
    assert {p.category for p in kept} == {p.category for p in shown} == {"simple", "text"}
    assert {p.digest for p in kept} | {p.digest for p in shown} == {p.digest for p in before._library.held_out}
    assert not {p.digest for p in kept} & {p.digest for p in shown}
    before.reset(1)
    now.load_state_dict(before.state_dict())  # a session from before there was a final share
    assert [p.digest for p in now._library.held_out] == [p.digest for p in before._library.held_out]
    assert now.final()._library.held_out == now._library.held_out
    now.close()
    before.close()


def test_a_category_of_one_picture_is_trained_on_and_evaluated_nowhere(folder: Path) -> None:
    for n in range(1, 8):
        (folder / "text" / f"{n}.png").unlink()
    task = small(2, data=str(folder))
    assert task.difficulty_space().levels == ("simple", "+text")
    assert task.spec.parts == ("simple",)
    assert task.final().evaluate(AS_VTRACER, part="simple", episodes=3, seed=1).episodes == 3
    with pytest.raises(UsageError, match="no part 'text'"):
        task.evaluate(AS_VTRACER, part="text", episodes=1, seed=1)
    task.close()


def test_a_folder_of_too_few_pictures_is_refused_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"0 of 1 files can be used \(broken\): too few to split"):
        small(1, data=str(tmp_path))


def test_apply_writes_the_best_svg_of_every_picture_and_never_worse_than_the_defaults(
    folder: Path, tmp_path: Path
) -> None:
    Image.fromarray(picture(9, 0, 50, 48)).save(folder / "text" / "0.bmp")
    action = np.full(COUNT, 0.5)
    action[-1], action[2] = 0.2, 0.0
    task = small(1, attempts=1)
    done = list(task.apply(Always(action), folder, tmp_path / "out", 48))
    task.close()
    assert len(done) == 18
    assert [d.note for d in done if not d.target] == ["broken: cannot identify image file"]
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.svg"))
    assert len(written) == 17
    assert {"text/0.png.svg", "text/0.bmp.svg", "simple/0.svg"} <= set(written)
    assert (tmp_path / "out" / "simple" / "0.svg").read_text().startswith("<?xml")
    worth = Worth(0.01, 0.0, 0.2)
    for each in (d for d in done if d.target):
        ours, theirs = (traced(each.facts[f"ssim{of}"], each.facts[f"bytes{of}"]) for of in ("", " of defaults"))
        assert worth.score(ours, theirs) >= worth.score(theirs, theirs)


# --- the program ------------------------------------------------------------------------------------------------


WITHOUT = "import sys; sys.modules['vtracer'] = None"


def program(tmp_path: Path, *words: str) -> Done:
    return p.run(tmp_path / "s", *words)


def without_vtracer(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    start = f"{WITHOUT}; from tui_trainer.cli.main import entry; sys.argv[0] = 'tui-trainer'; entry()"
    environment = {**os.environ, "TUI_TRAINER_SESSIONS": str(tmp_path / "s"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", start, *words],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_missing_extra_is_one_line_that_names_it(tmp_path: Path) -> None:
    done = without_vtracer(tmp_path, "run", "vectorize", "--no-ui", "--set", "task.pixels=20")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'pip install "tui-trainer[vector]"' in done.stderr
    assert "needs tui-trainer[vector]" in without_vtracer(tmp_path, "tasks", "list").stdout
    assert "tui-trainer[vector]" not in program(tmp_path, "tasks", "list").stdout


def test_a_trained_session_is_applied_to_a_folder(tmp_path: Path, folder: Path) -> None:
    sets = [f"task.{key}={value}" for key, value in SMALL.items()]
    sets += ["ppo.num_envs=4", "ppo.n_steps=2", "ppo.batch_size=8", "manager.evaluation.final_episodes=0"]
    words = [word for each in sets for word in ("--set", each)]
    done = program(tmp_path, "run", "vectorize", "--no-ui", "--name", "v", "--max-updates", "1", *words)
    assert done.returncode == 0, done.stderr
    applied = program(tmp_path, "apply", "v", str(folder / "simple"), str(tmp_path / "out"))
    assert applied.returncode == 0, applied.stderr
    assert "8 files written" in applied.stdout
    assert "broken.png: not written, broken" in applied.stdout
    assert len(list((tmp_path / "out").glob("*.svg"))) == 8
    other = program(tmp_path, "run", "debug", "--no-ui", "--name", "d", "--max-updates", "1")
    assert other.returncode == 0
    refused = program(tmp_path, "apply", "d", str(folder), str(tmp_path / "out"))
    assert (refused.returncode, "tictactoe has nothing to apply to files" in refused.stderr) == (2, True)
