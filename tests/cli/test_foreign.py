"""Runs of other tools on the command line: listed, played, compared, reported; never written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.foreign.files import DATA, event_file, scalar
from tui_trainer.cli.browsing import Cupboard
from tui_trainer.cli.foreign import folders
from tui_trainer.core.config import resolve
from tui_trainer.errors import UsageError
from tui_trainer.sessions.store import Session


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with two runs of TensorBoard and one of W&B."""
    folder = tmp_path / "logs"
    for name, gain in (("PPO_1", 1.0), ("PPO_2", 2.0)):
        rows = [(tag, step) for step in (100, 200, 300) for tag in ("rollout/ep_rew_mean", "train/loss")]
        event_file(folder / name, [scalar(tag, gain * step, step, 1.7e9 + step) for tag, step in rows])
    (folder / "wandb").mkdir()
    (folder / "wandb" / "run-1.wandb").write_bytes((DATA / "offline.wandb").read_bytes())
    return folder


def unchanged(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_list_shows_them_beside_sessions_with_their_origin(tui: Run, root: Path, logs: Path) -> None:
    Session.create(root, "mine", resolve([]), {})
    shown = tui("sessions", "list", "--also", str(logs))
    assert "mine" in shown.out
    assert "read-only (TensorBoard)" in shown.out
    rows = {row["name"]: row for row in tui("sessions", "list", "--also", str(logs), "--json").rows}
    line = rows[str(logs / "PPO_2")]
    assert (line["state"], line["origin"], line["algorithm"], line["best_score"]) == (
        "read-only", "TensorBoard", "ppo", 600.0,
    )  # fmt: skip
    assert rows["mine"]["origin"] == ""
    assert len(tui("sessions", "list", "--json").rows) == 1


def test_a_setting_of_a_persons_own_names_the_folders(
    tui: Run, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "tui-trainer" / "ui.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'[ui]\nalso = ["{logs}"]\n')
    assert len(tui("sessions", "list", "--json").rows) == 3
    assert folders(None) == (logs,)
    assert "no such folder" in tui("sessions", "list", "--also", str(tmp_path / "gone")).complaint


def test_a_path_in_place_of_a_name_is_played_printed_and_exported(tui: Run, logs: Path) -> None:
    before = unchanged(logs)
    played = tui("replay", str(logs / "PPO_1"), "--no-ui")
    assert played.code == 0
    assert "logged by TensorBoard" in played.out
    assert [row["type"] for row in tui("replay", str(logs / "PPO_1"), "--json").rows][:2] == [
        "RunStarted",
        "UpdateFinished",
    ]
    table = tui("sessions", "export", str(logs / "PPO_1")).out.splitlines()
    assert table[0] == "time,update,global_step,rollout/ep_rew_mean,time/fps,train/loss"
    assert len(table) == 4
    shown = tui("sessions", "show", str(logs / "wandb"), "--json").rows[0]
    assert (shown["origin"], shown["task"], shown["config"]["run"]["seed"]) == ("W&B", "CartPole-v1", 1)
    assert unchanged(logs) == before


def test_they_are_compared_with_sessions_by_what_all_have(tui: Run, logs: Path) -> None:
    names = ["sample", str(logs / "PPO_2"), str(logs / "wandb")]
    found = tui("compare", *names, "--json").rows[0]
    assert found["metric"] == "rollout/ep_rew_mean"
    assert [line["name"] for line in found["sessions"]] == names
    assert [line["last"] for line in found["sessions"]][1:] == [600.0, 19.0]
    assert found["settings"]["ppo.learning_rate"][1:] == ["", "0.0003"]
    assert "ppo.gamma" not in found["settings"]


def test_a_report_goes_into_the_working_directory(
    tui: Run, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    before = unchanged(logs)
    monkeypatch.chdir(tmp_path)
    told = tui("report", "logs/PPO_1")
    assert told.code == 0
    assert not (logs / "PPO_1" / "report").exists()
    page = (tmp_path / "logs-PPO_1-report" / "report.md").read_text()
    assert "TensorBoard" in page
    assert " 0 episodes" not in page
    assert unchanged(logs) == before


@pytest.mark.parametrize(
    "words",
    [
        ("sessions", "rm", "NAME", "--yes"), ("sessions", "prune", "NAME", "--yes"), ("sessions", "verify", "NAME"),
        ("sessions", "pack", "NAME"), ("sessions", "show", "NAME", "--models"), ("fork", "NAME", "--no-ui"),
        ("resume", "NAME", "--no-ui"), ("rerun", "NAME"), ("pause", "NAME"), ("stop", "NAME"), ("eval", "NAME"),
        ("set", "NAME", "ppo.gamma=0.9"), ("run-for", "NAME", "3"), ("elo", "NAME"), ("export", "NAME"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_whatever_would_write_refuses_in_one_line(tui: Run, logs: Path, words: tuple[str, ...]) -> None:
    before = unchanged(logs)
    name = str(logs / "PPO_1")
    done = tui(*(name if word == "NAME" else word for word in words))
    assert done.code == 2
    assert "is a run of TensorBoard, which opens read-only" in done.complaint
    assert unchanged(logs) == before


def test_a_damaged_run_shows_what_it_has_and_says_so(tui: Run, logs: Path) -> None:
    path = next((logs / "PPO_1").iterdir())
    path.write_bytes(path.read_bytes()[:-3])
    played = tui("replay", str(logs / "PPO_1"), "--no-ui")
    assert played.code == 0
    assert "ends within a record" in played.err
    assert "ends within a record" in played.out
    row = next(row for row in tui("sessions", "list", "--also", str(logs), "--json").rows if "PPO_1" in row["name"])
    assert "ends within a record" in row["problem"]
    path.write_bytes(path.read_bytes()[:20])
    assert "no figures in this run of TensorBoard" in tui("replay", str(logs / "PPO_1"), "--no-ui").complaint


def test_a_folder_of_several_runs_is_refused_with_their_names(tui: Run, logs: Path) -> None:
    complaint = tui("replay", str(logs), "--no-ui").complaint
    assert "holds 3 runs of other tools" in complaint
    assert str(logs / "PPO_1") in complaint


def test_a_name_of_a_session_comes_before_a_path(
    tui: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Session.create(root, "run", resolve([]), {})
    event_file(tmp_path / "run", [scalar("loss", 1.0, 1)])
    monkeypatch.chdir(tmp_path)
    assert tui("sessions", "show", "run", "--json").rows[0]["format"] == 1
    assert tui("sessions", "show", "./run", "--json").rows[0]["origin"] == "TensorBoard"


def test_the_browser_has_them_with_their_history(root: Path, logs: Path) -> None:
    rows = {row.name: row for row in Cupboard(root, (logs,)).load()}
    row = rows[str(logs / "PPO_1")]
    assert (row.state, row.origin, row.scores, row.live) == ("read-only", "TensorBoard", (100.0, 200.0, 300.0), False)
    with pytest.raises(UsageError, match="no such folder"):
        folders([str(logs / "gone")])
