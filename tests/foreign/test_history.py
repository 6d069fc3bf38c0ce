"""From figures to events: names, order, bounds, and text that is clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign.files import event_file, scalar
from tui_trainer.core.events import AnyEvent, UpdateFinished, decode, encode
from tui_trainer.core.state import RunState, fold
from tui_trainer.core.text import is_clean
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.foreign import names
from tui_trainer.foreign.history import MAX_METRICS, Collected, Origin, events_of, settings_of
from tui_trainer.foreign.places import MAX_DEPTH, find_run, find_runs
from tui_trainer.foreign.readings import Begun, Known, Point, Restart, Told
from tui_trainer.foreign.run import Catalogue, open_run, read_run

ORIGIN = Origin("logs/a", "TensorBoard", "/logs/a", 1_700_000_000.0)


def collected(*readings: Point | Restart | Begun | Told | Known, most: int = 1_000_000) -> Collected:
    found = Collected(most)
    found.take(readings)
    found.finished()
    return found


def events(*readings: Point | Restart | Begun | Told | Known) -> list[AnyEvent]:
    return events_of(collected(*readings), ORIGIN)


def test_events_are_numbered_and_survive_the_journals_form() -> None:
    made = events(Begun(5.0), Point(6.0, 10, {"loss": 1.0}), Point(7.0, 20, {"eval/mean_reward": 3.0, "loss": 0.5}))
    assert [event.seq for event in made] == [1, 2, 3, 4, 5][: len(made)]
    again = [decode(encode(event)) for event in made]
    assert fold(again) == fold(made)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("charts/episodic_return", "rollout/ep_rew_mean"),
        ("losses/policy_loss", "train/policy_gradient_loss"),
        ("losses/qf1_loss", "train/qf1_loss"),
        ("rollout/ep_rew_mean", "rollout/ep_rew_mean"),
        ("val/accuracy", "task/val/accuracy"),
        ("accuracy", "task/accuracy"),
        ("train", "task/train"),
        ("a\x1b[31mb", "task/a·[31mb"),
    ],
)
def test_names_become_ours(theirs: str, ours: str) -> None:
    assert names.metric(theirs) == ours


def test_the_documentation_names_every_renaming() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "foreign.md").read_text().splitlines()
    for theirs, ours in names.METRICS.items():
        assert any(f"`{theirs}`" in line and f"`{ours}`" in line for line in lines), theirs


def test_steps_that_go_back_and_forth_are_put_in_order() -> None:
    made = fold(events(*(Point(None, step, {"loss": float(step)}) for step in (1, 5, 2, 9, 3))))
    assert [bucket.step for bucket in made.series["train/loss"].buckets] == [1, 2, 3, 5, 9]


def test_a_restart_takes_back_and_a_second_one_before_any_row_goes_farther() -> None:
    rows = [Point(float(step), step, {"loss": float(step)}) for step in range(1, 6)]
    made = fold(events(*rows, Restart(4, 9.0), Restart(2, 9.0), Restart(3, 9.0), Point(10.0, 2, {"loss": 7.0})))
    assert [bucket.mean for bucket in made.series["train/loss"].buckets] == [1.0, 7.0]
    assert made.update == 2


def test_times_never_run_back_and_absurd_ones_are_none() -> None:
    made = events(Begun(1e300), Point(100.0, 1, {"a": 1.0}), Point(50.0, 2, {"a": 1.0}), Point(1e18, 3, {"a": 1.0}))
    times = [event.time for event in made]
    assert times == sorted(times)
    assert max(times) == 100.0


def test_a_long_run_is_bounded_and_keeps_its_ends() -> None:
    readings = (Point(float(step), step, {"a": 1.0, "b": 2.0}) for step in range(50_000))
    found = Collected(7_000)
    found.take(readings)
    found.finished()
    assert len(found.rows) <= 1_000
    assert found.rows[-1].step == 49_999
    gaps = [after.step - before.step for before, after in zip(found.rows, found.rows[1:])]
    assert max(gaps) <= 2 * min(gaps[:-1])
    assert "put together" in found.told[-1].text


def test_metrics_and_warnings_are_bounded() -> None:
    points = [Point(None, 1, {f"m{i}": 1.0}) for i in range(MAX_METRICS + 50)]
    found = collected(*points, *(Told("warning", "x") for _ in range(500)))
    assert len({name for row in found.rows for name in row.values}) == MAX_METRICS
    assert len(found.told) <= 51


def test_every_text_is_clean() -> None:
    evil = "x\x1b]0;owned\x07\u202e\ud800"
    found = collected(Known({"env_id": evil, "algo": evil, evil: evil, "seed": evil}), Point(None, 1, {evil: 1.0}))
    found.tell(Told("warning", evil))
    made = events_of(found, ORIGIN)
    assert all(is_clean(encode(event).decode()) for event in made)
    table = settings_of(found, "ppo")
    assert all(is_clean(text) for group in table.values() for pair in group.items() for text in map(str, pair))


def test_speed_is_told_where_the_log_has_none() -> None:
    made = events(Begun(10.0), Point(20.0, 1000, {"loss": 1.0}))
    assert [event.sps for event in made if isinstance(event, UpdateFinished)] == [100.0]


# --- places ------------------------------------------------------------------------------------------------------


def test_a_folder_shows_each_run_once_and_enters_no_session_and_no_link(tmp_path: Path) -> None:
    for run in ("a/PPO_1", "a/PPO_2", "b"):
        event_file(tmp_path / run, [scalar("loss", 1.0, 1)])
    (tmp_path / "b" / "progress.csv").write_text("time/total_timesteps\n1\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "session.toml").write_text("")
    event_file(tmp_path / "mine" / "tensorboard", [scalar("loss", 1.0, 1)])
    (tmp_path / "loop").symlink_to(tmp_path)
    found = find_runs(tmp_path)
    assert [str(place.path.relative_to(tmp_path)) for place in found] == ["a/PPO_1", "a/PPO_2", "b"]
    assert find_run(tmp_path / "b") == found[2]
    assert find_run(tmp_path / "mine") is None
    with pytest.raises(UsageError, match="holds 2 runs"):
        find_run(tmp_path / "a")


def test_a_run_far_below_is_left_out(tmp_path: Path) -> None:
    event_file(tmp_path.joinpath(*"x" * MAX_DEPTH), [scalar("loss", 1.0, 1)])
    event_file(tmp_path.joinpath(*"y" * (MAX_DEPTH + 1)), [scalar("loss", 1.0, 1)])
    assert len(find_runs(tmp_path)) == 1


def test_pipes_and_links_are_no_files_of_a_run(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "progress.csv")
    (tmp_path / "events.out.tfevents.1").symlink_to("/dev/zero")
    assert find_run(tmp_path) is None
    assert find_run(tmp_path / "progress.csv") is None


def test_a_run_without_figures_says_why(tmp_path: Path) -> None:
    (tmp_path / "run-1.wandb").write_bytes(b"")
    place = find_run(tmp_path)
    assert place is not None
    with pytest.raises(DamagedSession, match=r"no figures in this run of W&B; .*does not begin as"):
        open_run(place)


def test_a_list_reads_a_run_again_only_when_its_files_changed(tmp_path: Path) -> None:
    path = event_file(tmp_path / "a", [scalar("loss", 1.0, 1), scalar("charts/episodic_return", 5.0, 1)])
    catalogue = Catalogue((tmp_path,))
    ((line, scores),) = catalogue.load(0.0)
    assert (line.state, line.origin, line.global_step, line.best_score, scores) == (
        "read-only", "TensorBoard", 1, 5.0, (5.0,),
    )  # fmt: skip
    known = catalogue.load(0.0)[0][1]
    assert known is catalogue.load(0.0)[0][1]
    event_file(tmp_path / "a", [scalar("charts/episodic_return", step, step) for step in range(4)], path.name)
    ((line, scores),) = catalogue.load(0.0)
    assert (line.global_step, scores) == (3, (0.0, 1.0, 2.0, 3.0))


def test_an_empty_state_is_what_nothing_gives(tmp_path: Path) -> None:
    event_file(tmp_path, [])
    place = find_run(tmp_path)
    assert place is not None
    state: RunState = read_run(place).state()
    assert (state.global_step, state.series) == (0, {})
