"""`elo`: a session's snapshots against the ladder, what is refused, and the report's section."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Run
from tests.engine import process as p
from tui_trainer.cli.main import execute
from tui_trainer.cli.rating import spread, text
from tui_trainer.core.values import Pairing, Rating, Ratings
from tui_trainer.sessions.ratings import NAME


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session with checkpoints after 20 and 40 updates."""
    root = tmp_path_factory.mktemp("elo") / "sessions"
    often = ("--set", "manager.checkpoints.every_updates=20", "--set", "manager.evaluation.every_updates=20")
    words = ("run", "tictactoe", "--no-ui", "--name", "small", "--max-updates", "40", *often)
    assert execute(["--sessions", str(root), *words]) == 0
    return root / "small"


def test_snapshots_and_opponents_are_rated_from_random_on(trained: Path, tui: Run) -> None:
    done = tui("elo", str(trained), "--games", "20", "--against", "random,1-ply", "--json")
    ratings = json.loads(done.out)
    by_name = {player["name"]: player for player in ratings["players"]}
    assert by_name["random"]["elo"] == 0
    assert by_name["1-ply"]["elo"] > 50
    assert {"update 20", "update 40"} <= set(by_name)
    assert len(ratings["pairings"]) == len(by_name) * (len(by_name) - 1) // 2
    assert json.loads((trained / NAME).read_text()) == ratings


def test_the_report_has_the_ratings(trained: Path, tui: Run, tmp_path: Path) -> None:
    assert tui("elo", str(trained), "--games", "4", "--against", "random", "--snapshots", "1").code == 0
    assert tui("report", str(trained), "--out", str(tmp_path)).code == 0
    page = (tmp_path / "report.md").read_text()
    assert "Head to head" in page
    assert "update 40" in page


def test_an_unknown_opponent_and_a_missing_anchor_are_refused(trained: Path, tui: Run) -> None:
    done = tui("elo", str(trained), "--against", "random,2-ply")
    assert done.code == 2
    assert "did you mean 1-ply" in done.complaint
    assert "leaves out random" in tui("elo", str(trained), "--against", "1-ply").complaint


def test_a_task_for_one_player_has_no_ratings(tmp_path: Path) -> None:
    pytest.importorskip("gymnasium")
    p.run(tmp_path, "run", "--task=gym:CartPole-v1", *p.TINY[1:], "--no-ui", "--name=pole", "--max-updates=1")
    done = p.run(tmp_path, "elo", "pole")
    assert done.returncode == 2
    assert "games for two have ratings" in done.stderr


def test_a_damaged_file_of_ratings_is_named(trained: Path, tui: Run, tmp_path: Path) -> None:
    (trained / NAME).write_text('{"task": 3}')
    done = tui("report", str(trained), "--out", str(tmp_path))
    assert done.code == 2
    assert NAME in done.complaint
    (trained / NAME).unlink()


def test_snapshots_are_spread_from_the_first_to_the_last() -> None:
    assert spread([1, 2, 3, 4, 5, 6, 7], 3) == [1, 4, 7]  # type: ignore[list-item]
    assert spread([1, 2], 3) == [1, 2]  # type: ignore[list-item]
    assert spread([1, 2, 3], 1) == [3]  # type: ignore[list-item]


def test_the_table_tells_each_pair_from_both_sides() -> None:
    ratings = Ratings(
        task="game", anchor="random", seed=1, games=4,
        players=(Rating(name="a", elo=120.4, error=30.2, games=4), Rating(name="random", elo=0, error=0, games=4)),
        pairings=(Pairing(one="random", two="a", wins=1, draws=0, losses=3),),
    )  # fmt: skip
    said = text(ratings)
    assert "+120" in said
    assert "75" in said
    assert "25" in said
    assert msgspec.json.decode(msgspec.json.encode(ratings), type=Ratings) == ratings
