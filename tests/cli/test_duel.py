"""`watch` and `play` as a person without a screen meets them: the real program, its lines, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine import process as p

SAMPLE = str(Path(__file__).parents[2] / "sessions/sample")
CART = ("--task=gym:CartPole-v1", *p.TINY[1:])


def test_watch_prints_one_game_to_its_end(tmp_path: Path) -> None:
    done = p.run(tmp_path, "watch", SAMPLE, "--no-ui", "--against", "1-ply")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(("(black)", "(white)", "draw"))
    assert "expects" in done.stdout
    assert "X learner to move" in done.stdout


def test_watch_json_is_one_position_a_line(tmp_path: Path) -> None:
    done = p.run(tmp_path, "watch", SAMPLE, "--json")
    positions = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(position.get("line", ())) for position in positions] == list(range(len(positions)))
    assert positions[-1]["ended"]
    assert not any("ended" in position for position in positions[:-1])


def test_play_reads_moves_and_answers_what_is_wrong(tmp_path: Path) -> None:
    done = p.run(tmp_path, "play", SAMPLE, "--first", "--no-ui", typed="4\n\nnonsense\nh\nu\nn\n")
    assert done.returncode == 0, done.stderr
    assert "nonsense is no legal move here; legal are 1, 2, 3, 4, 5, 6, 7; a move by its name" in done.stdout
    assert "learner: " in done.stdout
    assert done.stdout.count("X you to move") == 3
    assert done.stdout.rstrip().endswith("O you to move")


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sessions")
    done = p.run(root, "run", *CART, "--no-ui", "--name=cart", "--max-updates=2")
    assert done.returncode == 0, done.stderr
    return root


def test_a_task_for_one_is_watched_as_an_episode(cart: Path) -> None:
    done = p.run(cart, "watch", "cart", "--no-ui")
    assert done.returncode == 0, done.stderr
    assert "step 1, return 1" in done.stdout
    assert "ended after" in done.stdout or "truncated after" in done.stdout


def test_a_task_for_one_cannot_be_played_against(cart: Path) -> None:
    done = p.run(cart, "play", "cart", "--no-ui")
    assert done.returncode == 2
    assert done.stderr.startswith("tui-trainer: gym:CartPole-v1 is for one player; `tui-trainer watch`")


def test_a_live_run_is_watched_from_its_newest_checkpoint_and_goes_on(tmp_path: Path) -> None:
    run = p.start(tmp_path, "run", *p.TINY, "--no-ui", "--json", "--name=live", "--set=run.step_delay_s=0.05",
                  "--max-updates=100000")  # fmt: skip
    p.until(run, lambda event: event["type"] == "CheckpointSaved")
    done = p.run(tmp_path, "watch", "live", "--checkpoint=latest", "--no-ui", "--temperature=1")
    assert done.returncode == 0, done.stderr
    assert run.poll() is None
    assert p.stop(run) == 143


def test_shogi_is_played_in_its_own_notation(tmp_path: Path) -> None:
    pytest.importorskip("pyspiel")
    small = ("--set=ppo.num_envs=4", "--set=ppo.n_steps=4", "--set=ppo.batch_size=16", "--set=ppo.n_epochs=1",
             "--set=manager.evaluation.every_updates=100", "--set=manager.evaluation.final_episodes=0")  # fmt: skip
    made = p.run(tmp_path, "run", "shogi", "--no-ui", "--name=sh", "--max-updates=1", *small)
    assert made.returncode == 0, made.stderr
    done = p.run(tmp_path, "play", "sh", "--first", "--no-ui", typed="7g7f\nh\nu\n9a9i\n")
    assert done.returncode == 0, done.stderr
    assert " .  . [P] .  .  .  .  .  . f" in done.stdout or "move 2" in done.stdout
    assert "9a9i is no legal move here" in done.stdout
    assert "learner: " in done.stdout
