"""The list of sessions and the disk beneath it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_trainer.cli.browsing import Cupboard, words
from tui_trainer.cli.settings import view_settings
from tui_trainer.core.config import resolve
from tui_trainer.errors import ConfigError, TuiTrainerError
from tui_trainer.sessions.store import Session
from tui_trainer.ui.shelf import Choice


def made(root: Path, name: str, **lineage: str) -> Session:
    return Session.create(root, name, resolve([]), {}, lineage=lineage)


def test_a_fork_knows_its_parent(tmp_path: Path) -> None:
    made(tmp_path, "a")
    made(tmp_path, "b", parent="a")
    assert {row.name: row.parent for row in Cupboard(tmp_path).load()} == {"a": "", "b": "a"}


def test_what_was_deleted_comes_back(tmp_path: Path) -> None:
    made(tmp_path, "a")
    cupboard = Cupboard(tmp_path)
    cupboard.delete("a")
    assert cupboard.load() == []
    cupboard.restore("a")
    assert [row.name for row in cupboard.load()] == ["a"]


def test_the_form_settles_with_the_tasks_preset_and_refuses_what_is_none(tmp_path: Path) -> None:
    cupboard = Cupboard(tmp_path)
    resolved = cupboard.settle(("run.task=tictactoe",))
    assert resolved.origins["ppo.learning_rate"] == "preset tictactoe"
    for wrong in ("run.task=chess_boxing", "run.algorithm=magic", "ppo.gamma=2", "ppo.gama=1"):
        with pytest.raises(TuiTrainerError):
            cupboard.settle((wrong,))


def test_the_form_offers_tasks_and_algorithms(tmp_path: Path) -> None:
    choices = Cupboard(tmp_path).choices
    assert {"connect_four", "tictactoe"} <= set(choices["run.task"])
    assert {"ppo", "dqn"} <= set(choices["run.algorithm"])


def test_a_choice_is_the_command_that_a_person_would_type() -> None:
    assert words(Choice("compare", "a", ("b", "--screen")), "x") == [
        "compare", "a", "b", "--screen", "--sessions", "x",
    ]  # fmt: skip
    assert words(Choice("run", "", ("--task", "cache")), None) == ["run", "--task", "cache"]


# --- a person's own file ---------------------------------------------------------------------------------------------


def own_file(home: Path, text: str) -> dict[str, str]:
    path = home / "tui-trainer" / "ui.toml"
    path.parent.mkdir()
    path.write_text(text)
    return {"XDG_CONFIG_HOME": str(home)}


def test_a_persons_own_keys_win_over_the_runs(tmp_path: Path) -> None:
    environ = own_file(tmp_path, '[ui]\nfps = 4\n[ui.keys]\npause = ["P"]\n')
    settings = view_settings({"ui": {"fps": 1.0, "ascii": True}}, environ)
    assert (settings.fps, settings.ascii, settings.keys) == (4.0, True, {"pause": ("P",)})


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("[ppo]\ngamma = 1\n", "does not belong"), ('[ui.keys]\npauze = ["P"]\n', "no action"),
     ("[ui]\nfsp = 1\n", "not a setting"), ("[ui\n", "ui.toml"), ('[ui.keys]\npause = "P"\n', "array")],
)  # fmt: skip
def test_what_is_wrong_in_it_is_told(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        view_settings({}, own_file(tmp_path, text))
