"""Ids, options and the conformance of everything that is registered."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_trainer import tasks
from tui_trainer.errors import ConfigError, MissingExtra, UsageError
from tui_trainer.tasks.check import check_task

VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "connect_four": ("connect_four", {}),
    "connect_four, self-play alone": ("connect_four", {"opponent_share": 0.0, "opening_plies": 0}),
    "connect_four, torch": ("connect_four", {"backend": "torch"}),
    "tictactoe": ("tictactoe", {}),
    "cache": ("cache", {}),
    "trading": ("trading", {"instruments": 16}),
    "openspiel": ("openspiel:connect_four", {"opponents": ["random", "1-ply", "mcts-20"]}),
    "openspiel, passes": ("openspiel:othello", {"opponents": ["random"]}),
    "openspiel, one opponent": ("openspiel:breakthrough(rows=6,columns=6)", {"opponents": ["random"]}),
    "pettingzoo, turns": ("pettingzoo:tests.tasks.toy_nim", {}),
    "pettingzoo, agents at once": ("pettingzoo:tests.tasks.toy_climbers", {}),
    "vectorize": ("vectorize", {"workers": 2}),
    "gym, batched form": ("gym:CartPole-v1", {}),
    "gym, same step": ("gym:CartPole-v1", {"vectorization": "sync"}),
    "gym, next step": ("gym:CartPole-v1", {"vectorization": "sync", "autoreset": "next_step"}),
    "gym, disabled": ("gym:CartPole-v1", {"vectorization": "sync", "autoreset": "disabled"}),
    "gym, box": ("gym:MountainCarContinuous-v0", {}),
    "gym, a range of difficulty": ("gym:tests.tasks.toy_envs:Hard-v0", {}),
    "gym, resume by episode": ("gym:FrozenLake-v1", {}),
}
NOT_HARDER = {"connect_four, self-play alone": {"difficulty is harder"}}
"""With no scripted rows the level shows in the evaluation alone."""


SLOW = ("vectorize",)
"""Thousands of tracings: the quick rules are among tests/tasks/test_vectorize.py, all of them in the long suite."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.long) if n in SLOW else n for n in VARIANTS])
def test_every_registered_task_keeps_every_rule_of_the_kit(name: str) -> None:
    broken = [f for f in check_task(*VARIANTS[name]) if not f.ok and f.rule not in NOT_HARDER.get(name, set())]
    assert broken == []


def test_every_registered_id_is_among_the_checked_ones() -> None:
    checked = [task_id for task_id, _ in VARIANTS.values()]
    assert all(any(c.startswith(task_id) for c in checked) for task_id in tasks.TASKS)


@pytest.mark.long
def test_shogi_keeps_every_rule_of_the_kit() -> None:
    assert [f for f in check_task("openspiel:shogi") if not f.ok] == []


@pytest.mark.parametrize(
    ("task_id", "words"),
    [
        ("conect_four", "did you mean connect_four"),
        ("zzz", "`tui-trainer tasks list` shows every task"),
        ("gym:", "takes a name behind the colon"),
        ("gym:CartPol-v1", "did you mean gym:CartPole-v1"),
        ("no.such.module:make", "there is no module no.such.module"),
        ("json:nothing", "module json has no attribute nothing"),
    ],
)
def test_an_unknown_task_is_a_usage_error_with_a_next_step(task_id: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        tasks.make(task_id, {}, 1)
    assert raised.value.exit_code == 2
    with pytest.raises(UsageError, match=words):
        tasks.check_id(task_id)


@pytest.mark.parametrize("task_id", ["connect_four", "gym:CartPole-v1", "tests.tasks.own_task:make"])
def test_a_known_task_passes_the_check_of_its_id_and_of_no_options(task_id: str) -> None:
    tasks.check_id(task_id)
    tasks.check_options(task_id, {})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"opening_ply": 3}, "task.opening_ply is not an option of connect_four; did you mean task.opening_plies"),
        ({"opponent_share": 2}, "task.opponent_share: expected `float` <= 1.0; Share of environments"),
        ({"opening_plies": "many"}, "task.opening_plies: expected `int`"),
        ({"q": 1}, "tasks show connect_four"),
    ],
)
def test_a_wrong_option_is_a_config_error_with_the_nearest_right_one(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tasks.make("connect_four", options, 1)
    with pytest.raises(ConfigError, match=words):
        tasks.check_options("connect_four", options)


def test_options_given_as_text_are_read() -> None:
    assert tasks.make("connect_four", {"opponent_share": "0.5", "opening_plies": "0"}, 2).reset(1).obs.sum() <= 1


@pytest.mark.parametrize("task_id", ["connect_four", "tictactoe", "gym:CartPole-v1"])
def test_every_option_is_documented(task_id: str) -> None:
    docs = tasks.options_doc(task_id)
    assert docs
    assert all(doc.description.endswith(".") for doc in docs)


def test_a_spec_can_be_had_without_a_run() -> None:
    assert tasks.spec_of("tictactoe").obs_shape == (2, 3, 3)
    assert tasks.spec_of("connect_four", num_envs=5).num_envs == 5


def test_a_task_of_your_own_is_made_from_module_and_factory() -> None:
    task = tasks.make("tests.tasks.own_task:make", {"speed": 2}, 3)
    assert task.spec.id == "walk"
    assert tasks.options_doc("tests.tasks.own_task:make") == ()


def test_a_module_that_lacks_one_of_its_own_imports_says_which() -> None:
    with pytest.raises(MissingExtra, match="imports a_module_that_is_not_there, which is not installed"):
        tasks.make("tests.tasks.own_task_without_its_import:make", {}, 3)


def test_an_installed_package_registers_tasks_by_entry_points(tmp_path: Path) -> None:
    info = tmp_path / "walkers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: walkers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tui_trainer.tasks]\nwalk = tests.tasks.own_task:make\n")
    with on_path(tmp_path):
        assert tasks.installed()["walk"].summary == "from tests.tasks.own_task"
        assert tasks.make("walk", {}, 4).spec.num_envs == 4
        with pytest.raises(UsageError, match="did you mean walk"):
            tasks.make("wolk", {}, 4)


@contextlib.contextmanager
def on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def test_without_gymnasium_the_extra_is_named() -> None:
    program = """
import sys
sys.modules["gymnasium"] = None
from tui_trainer import tasks
from tui_trainer.errors import MissingExtra
try:
    tasks.make("gym:CartPole-v1", {}, 1)
except MissingExtra as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert 'pip install "tui-trainer[gym]"' in said


def test_listing_tasks_loads_neither_numpy_nor_torch_nor_gymnasium() -> None:
    program = """
import sys
from tui_trainer import tasks
list(tasks.TASKS.values()), tasks.installed(), tasks.check_id("connect_four")
print([name for name in ("numpy", "torch", "gymnasium") if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
