"""`config`, `tasks`, `doctor`, `sessions`: what they print, and that JSON is JSON and nothing else."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.engine import process as p
from tui_trainer import __version__
from tui_trainer.cli.configuring import commented, toml_value
from tui_trainer.cli.settings import flag_name, nested, parse_seeds, resolve_run
from tui_trainer.core.config import Layer, known_keys, resolve, to_table
from tui_trainer.sessions.configs import preset, preset_names
from tui_trainer.sessions.store import Session
from tui_trainer.tasks import TASKS

# --- settings ------------------------------------------------------------------------------------------------------


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[run]\nseed = 2\nnote = 'file'\n[ppo]\ngamma = 0.5\nclip_range = 0.3\n")
    environ = {"TUI_TRAINER_RUN__SEED": "3", "TUI_TRAINER_PPO__GAMMA": "0.6"}
    found = resolve_run(str(file), {"run.seed": 4}, ["run.seed=5"], environ)
    assert (found.config.run.seed, found.origins["run.seed"]) == (5, "--set")
    assert (found.config.ppo.gamma, found.origins["ppo.gamma"]) == (0.6, "environment")
    assert (found.config.ppo.clip_range, found.origins["ppo.clip_range"]) == (0.3, str(file))
    assert "ppo.n_steps" not in found.origins
    assert resolve_run(str(file), {"run.seed": 4}, [], environ).origins["run.seed"] == "--seed"


def test_a_task_brings_its_preset_and_a_named_preset_wins() -> None:
    assert resolve_run(None, {"run.task": "tictactoe"}, [], {}).origins["run.task"] == "--task"
    assert "preset connect_four" in resolve_run(None, {}, [], {}).origins.values()
    assert "preset connect_four" not in resolve_run("debug", {}, [], {}).origins.values()


def test_a_member_of_a_family_brings_the_preset_that_names_it() -> None:
    assert "preset shogi" in resolve_run(None, {"run.task": "openspiel:shogi"}, [], {}).origins.values()
    assert resolve_run(None, {"run.task": "gym:LunarLander-v3"}, [], {}).config.ppo.gamma == 0.999
    assert not [o for o in resolve_run(None, {"run.task": "gym:CartPole-v1"}, [], {}).origins.values() if "preset" in o]


def test_flags_are_named_as_a_person_writes_them() -> None:
    assert flag_name("manager.termination.max_updates") == "max-updates"
    assert flag_name("run.step_delay_s") == "step-delay"
    assert nested("a.b.c", 1) == {"a": {"b": {"c": 1}}}


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("7", [7]), ("1,3,7", [1, 3, 7]), ("1-2,2-3", [1, 2, 3])]
)
def test_seeds_are_ranges_and_lists(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "-3", "0-99999"])
def test_what_is_no_list_of_seeds_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_seeds(text)


OUTSIDE = {"lunar_lander": "Box2D", "half_cheetah": "mujoco", "pong": "ale_py"}
"""Libraries that a preset's task needs and the tests do not bring."""


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_good(tui: Run, name: str) -> None:
    if name in OUTSIDE:
        pytest.importorskip(OUTSIDE[name])
    done = tui("config", "validate", name)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{name}: good; ")


def test_the_full_preset_gives_every_limit_and_every_panel_something_to_show() -> None:
    config = resolve([preset("full")]).config
    end, saves = config.manager.termination, config.manager.checkpoints
    assert min(end.max_updates, end.max_episodes, end.max_steps, end.max_hours) > 0
    assert end.target
    assert end.intelligent
    assert saves.every_updates
    assert saves.every_minutes
    assert (config.continuous.enabled, config.continuous.auto_accept, config.telemetry.alerts) == (True, False, True)
    assert config.manager.evaluation.final_episodes > config.manager.evaluation.episodes
    assert config.ppo.pool_size


def test_config_show_tells_value_origin_and_sentence_of_every_setting(tui: Run) -> None:
    lines = tui("config", "show", "debug", "--set", "ppo.gamma=0.5").out.splitlines()
    assert {line.split()[0] for line in lines} == set(known_keys())
    gamma = next(line for line in lines if line.startswith("ppo.gamma "))
    assert gamma.split(maxsplit=3)[1:] == ["0.5", "--set", "Discount."]


def test_config_show_as_json_is_one_object_a_setting(tui: Run) -> None:
    rows = tui("config", "show", "debug", "--json").rows
    assert {row["key"] for row in rows} == set(known_keys())
    task = next(row for row in rows if row["key"] == "run.task")
    assert task == {"key": "run.task", "value": "tictactoe", "origin": "preset debug"}


def test_config_show_reads_a_session(tui: Run, root: Path) -> None:
    Session.create(root, "mine", resolve([Layer("--seed", {"run": {"seed": 77}})]), {})
    line = next(line for line in tui("config", "show", "mine").out.splitlines() if line.startswith("run.seed"))
    assert line.split()[1:3] == ["77", "--seed"]


@pytest.mark.parametrize("name", preset_names())
def test_a_file_made_by_init_means_the_same_as_its_preset(tui: Run, tmp_path: Path, name: str) -> None:
    file = tmp_path / "new.toml"
    assert tui("config", "init", str(file), "--preset", name).code == 0
    validated = tui("config", "validate", str(file))
    assert validated.code == 0 or "needs the module" in validated.complaint
    layer = Layer("file", tomllib.loads(file.read_text()))
    assert resolve([layer]).config == resolve([preset(name)]).config


def test_a_file_made_by_init_shows_every_setting_and_its_default() -> None:
    text = commented(resolve([]))
    plain = "\n".join(line.removeprefix("# ") for line in text.splitlines()[1:])
    table = tomllib.loads(plain)
    assert resolve([Layer("file", table)]).config == resolve([]).config
    assert {key for key in known_keys() if f"{key.rpartition('.')[2]} =" in plain} == set(known_keys())


def test_init_never_overwrites(tui: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# precious\n")
    done = tui("config", "init", str(file))
    assert "exists" in done.complaint
    assert (done.code, file.read_text()) == (2, "# precious\n")


@pytest.mark.parametrize(
    "value",
    [True, 3, 0.1, 1e-07, 1e20, 'a"b\\c', "tab\tnewline\n", "\x7f\x01", "ü→", ["a", "b"], [64, 64], [], {"a": 1}],
)
def test_values_are_written_as_toml_reads_them(value: object) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


# --- tasks, machine, sessions --------------------------------------------------------------------------------------


def test_tasks_list_names_every_task(tui: Run) -> None:
    assert {row["id"] for row in tui("tasks", "list", "--json").rows} >= set(TASKS)
    assert all(name in tui("tasks", "list").out for name in TASKS)


def test_tasks_show_tells_what_a_learner_sees(tui: Run) -> None:
    out = tui("tasks", "show", "connect_four").out
    for part in ("[2, 6, 7]", "7 discrete, masked", "win_rate", "random < 1-ply", "task.opening_plies"):
        assert part in out


def test_tasks_show_lists_the_worker_processes_of_a_task_without_options_of_its_own(tui: Run) -> None:
    for task in ("tictactoe", "tests.tasks.own_task:make"):
        out = tui("tasks", "show", task).out
        assert "task.processes" in out
        assert "task.step_timeout_s" in out


def test_tasks_check_passes_on_tictactoe(tui: Run) -> None:
    done = tui("tasks", "check", "tictactoe")
    assert done.code == 0
    assert "FAIL" not in done.out


def test_tasks_check_takes_a_task_of_ones_own_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from tui_trainer.tasks.tictactoe import make\n")
    done = subprocess.run(
        [Path(p.sys.executable).with_name("tui-trainer"), "tasks", "show", "mine:make"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "9 discrete, masked" in done.stdout


def test_doctor_tells_python_torch_and_disk(tui: Run) -> None:
    rows = tui("doctor", "--json").rows
    assert {"Python", "CPU", "memory", "torch", "GPU", "terminal", "disk"} <= {row["name"] for row in rows}
    assert len(tui("doctor").out.splitlines()) >= len(rows)


def test_an_empty_list_says_how_to_begin(tui: Run) -> None:
    done = tui("sessions", "list")
    assert (done.code, done.err) == (0, "")
    assert "tui-trainer run" in done.out
    assert tui("sessions", "list", "--json").out == ""
    assert tui().out == done.out


def test_sessions_are_listed_and_shown_with_what_they_are(tui: Run, root: Path) -> None:
    made = Session.create(root, "mine", resolve([preset("debug")]), {"host": "box"})
    made.write_status("interrupted", update=12, global_step=3400)
    row = tui("sessions", "list", "--json").rows[0]
    assert (row["name"], row["state"], row["task"], row["update"]) == ("mine", "interrupted", "tictactoe", 12)
    shown = tui("sessions", "show", "mine", "--json").rows[0]
    assert shown["config"]["run"]["task"] == "tictactoe"
    assert shown["config"] == json.loads(json.dumps(to_table(resolve([preset("debug")]).config)))
    assert (shown["pid"], shown["format"]) == (None, 1)
    assert "provenance.host" in tui("sessions", "show", "mine").out


def test_deleting_removes_the_session_and_nothing_else(tui: Run, root: Path) -> None:
    for name in ("a", "b"):
        Session.create(root, name, resolve([]), {})
    assert tui("sessions", "rm", "a", "--yes").out == "deleted a\n"
    assert p.names(root) == ["b"]


def test_sessions_may_be_named_before_or_after_the_command(tui: Run, tmp_path: Path) -> None:
    Session.create(tmp_path / "other", "there", resolve([]), {})
    other = str(tmp_path / "other")
    assert tui("sessions", "list", "--sessions", other, "--json").rows[0]["name"] == "there"
    assert tui("--sessions", other, "sessions", "list", "--json").rows[0]["name"] == "there"
    assert tui("sessions", "show", f"{other}/there", "--json").rows[0]["name"] == "there"


# --- the program itself --------------------------------------------------------------------------------------------


def test_version_and_help(tui: Run) -> None:
    assert tui("--version").out == f"tui-trainer {__version__}\n"
    assert "Train reinforcement-learning agents" in tui("--help").out
    assert tui("run", "-h").code == 0


def child_seconds() -> float:
    """Processor time of every child that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_answers_at_once(tmp_path: Path) -> None:
    """Median of 5, in processor seconds: what others do on this machine does not count."""
    times = []
    for _ in range(5):
        began = child_seconds()
        assert p.run_cold(tmp_path, "--help").returncode == 0
        times.append(child_seconds() - began)
    assert statistics.median(times) < 1.0


def test_a_reader_that_leaves_is_no_failure(tmp_path: Path) -> None:
    process = p.start(tmp_path, "config", "show")
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr
    assert process.stderr.read() == ""


def test_letters_that_the_terminal_lacks_are_no_failure(tmp_path: Path) -> None:
    environment = {**p.environment(tmp_path), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        p.command("tasks", "show", "connect_four"), env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_stdout_is_no_failure(tmp_path: Path) -> None:
    line = ["sh", "-c", 'exec "$@" >&-', "sh", *p.command("config", "show")]
    done = subprocess.run(line, env=p.environment(tmp_path), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
