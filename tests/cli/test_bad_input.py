"""Whatever is wrong with a command line: one line on stderr, the documented exit code, no traceback, nothing made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.engine import process as p
from tui_trainer.core.config import resolve
from tui_trainer.sessions.store import Session

LONG = "a" * 300
ESCAPE = "a\x1b]2;title\x07b"

SETTINGS = [
    ("run --no-ui --set ppo.learning_rat=1", "did you mean ppo.learning_rate?"),
    ("run --no-ui --set learning_rate=1", "did you mean ppo.learning_rate?"),
    ("run --no-ui --set ppo.learning_rate=-1", "ppo.learning_rate: expected `float` > 0.0"),
    ("run --no-ui --set ppo.learning_rate=abc", "ppo.learning_rate: expected `float`"),
    ("run --no-ui --set ppo.learning_rate=nan", "ppo.learning_rate"),
    ("run --no-ui --set ppo.learning_rate=inf", "ppo.learning_rate"),
    ("run --no-ui --set ppo.learning_rate", "not KEY=VALUE"),
    ("run --no-ui --set =3", "not KEY=VALUE"),
    ("run --no-ui --set ppo=3", "ppo is not a setting"),
    ("run --no-ui --set ppo.learning_rate.x=3", "ppo.learning_rate.x is not a setting"),
    ("run --no-ui --set ppo.hidden=[1", "write it like [64, 64]"),
    ("run --no-ui --set ppo.hidden=[]", "ppo.hidden"),
    ("run --no-ui --set ppo.batch_size=999999999", "larger than a rollout"),
    ("run --no-ui --set manager.termination.target=soon", "write it like"),
    ("run --no-ui --set continuous.initial_quality_range=[0.9,0.1]", "is no range"),
    ("run --no-ui --set task.opening_ply=3", "did you mean task.opening_plies?"),
    ("run --no-ui --seed -1", "run.seed: expected `int` >= 0"),
    ("run --no-ui --max-updates -5", "max_updates: expected `int` >= 0"),
    ("run --no-ui --device tpu", "auto, cpu or cuda:N"),
    ("run --no-ui --step-delay -1", "step_delay_s: expected `float` >= 0.0"),
    ("config show nobody", "nobody is no preset"),
    ("config show --set ppo.gama=1", "did you mean ppo.gamma?"),
]

THINGS = [
    ("run --no-ui --task conect_four", "did you mean connect_four?"),
    ("run --no-ui --task nothing.like:it", "there is no module nothing.like"),
    ("run --no-ui --task os:nothing", "module os has no attribute nothing"),
    ("run --no-ui --task os:path", "os:path is no task factory"),
    ("run --no-ui --task json:loads", "json:loads is no task factory"),
    ("run --no-ui --task gym:", "takes a name behind the colon"),
    ("run --no-ui --task gym:NoSuch-v0", "NoSuch-v0"),
    ("run --no-ui --algorithm sac", "One of: ppo, dqn."),
    ("run --no-ui conect_four", "did you mean connect_four?"),
    ("run --no-ui nowhere.toml", "nowhere.toml: cannot be read"),
    ("run --no-ui settings.yaml", "settings are TOML"),
    ("run --no-ui settings.yml", "settings are TOML"),
    ("run --no-ui --callback nosuch:thing", "there is no module nosuch"),
    ("run --no-ui --callback os", "not module:object"),
    ("run --seeds x", "write 0-4 or 1,3,7"),
    ("run --seeds 5-3", "write 0-4 or 1,3,7"),
    ("run --seeds 0-99999999999", "write 0-4 or 1,3,7"),
    ("tasks show conect_four", "did you mean connect_four?"),
    ("tasks check nope", "not a task"),
    ("tasks check tictactoe --set openings=3", "is not an option of tictactoe"),
    ("config validate nowhere.toml", "cannot be read"),
    ("config init --preset nope", "is no preset"),
    ("eval nobody", "no session nobody"),
    ("eval nowhere.pt", "nowhere.pt: cannot be read"),
    ("eval nobody --expect soon", "is not a condition"),
    ("eval nobody --episodes 1", "--episodes"),
    ("watch nobody --no-ui", "no session nobody"),
    ("watch sample --no-ui --delay nan", "not a number of seconds"),
    ("watch sample --no-ui --temperature nan", "--temperature"),
    ("watch sample --no-ui --temperature -1", "--temperature"),
    ("watch sample --no-ui --against minimax3", "did you mean minimax-3?"),
    ("watch sample --no-ui --against you", "`tui-trainer play`"),
    ("watch sample --no-ui --checkpoint 99", "has no checkpoint 99"),
    ("watch sample --no-ui --seed -1", "--seed"),
    ("watch sample", "use --no-ui"),
    ("play nobody --no-ui", "no session nobody"),
    ("play nowhere.pt --no-ui", "nowhere.pt: cannot be read"),
    ("play sample", "use --no-ui"),
    ("replay nobody", "no session nobody"),
    ("replay nobody --speed 0", "1 to 1000, or max"),
    ("replay nobody --speed 1001", "1 to 1000, or max"),
    ("replay nobody --speed fast", "1 to 1000, or max"),
    ("sessions show nobody", "no session nobody"),
    ("sessions rm nobody --yes", "no session nobody"),
    ("resume nobody", "no session nobody"),
    ("set nobody ppo.learning_rate=1", "no session nobody"),
    ("pause --when soon", "is not a condition"),
]

NAMES = ["../x", "/tmp/x", "-x", ".hidden", "a b", "a/b", ESCAPE, LONG, "аdmin", "x\n", "[/red]"]

WORDS = [
    ("run --max-updates x", "--max-updates"),
    ("run --nooption", "no such option: --nooption"),
    ("run one two", "unexpected extra argument"),
    ("nocommand", "no such command"),
    ("sessions", "missing command"),
    ("sessions lst", "no such command"),
    ("run-for name 0", "`tui-trainer run-for --help`"),
    ("set name", "missing argument"),
    ("accept --id x", "--id"),
]


@pytest.mark.parametrize(("line", "part"), [*SETTINGS, *THINGS, *WORDS], ids=lambda text: str(text)[:60])
def test_bad_input_is_one_line_and_exit_code_2(tui: Run, root: Path, line: str, part: str) -> None:
    done = tui(*line.split())
    assert part in done.complaint
    assert done.code == 2
    assert not root.exists()


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_hostile_name_is_refused_and_shown_harmless(tui: Run, root: Path, name: str) -> None:
    for words in (["run", "--no-ui", "--name", name], ["run", "--detach", f"--name={name}"]):
        done = tui(*words)
        assert done.complaint.isprintable()
        assert done.code == 2
    assert not root.exists()


@pytest.mark.parametrize("name", ["../x", "/nowhere/x", ".hidden", "x\0y", ESCAPE, LONG, "[/red]"], ids=ascii)
@pytest.mark.parametrize("command", ["sessions show", "replay", "resume", "pause", "sessions rm --yes", "eval", "wait"])
def test_a_hostile_name_names_no_session(tui: Run, command: str, name: str) -> None:
    done = tui(*command.split(), name)
    assert done.complaint.isprintable()
    assert done.code == 2


@pytest.mark.parametrize("order", ["pause", "checkpoint", "stop", "accept", "reject", "undo", "wait", "resume"])
def test_an_order_without_a_live_run_is_refused(tui: Run, order: str) -> None:
    done = tui(order)
    assert "no run is live" in done.complaint
    assert done.code == 6


def test_a_wrong_setting_in_a_file_is_named_with_the_file(tui: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[ppo]\nnum_step = 3\n")
    done = tui("run", "--no-ui", str(path))
    assert "mine.toml: ppo.num_step is not a setting; did you mean ppo.n_steps?" in done.complaint
    assert done.code == 2


@pytest.mark.parametrize(
    "text",
    ["[ppo\n", "a = 1\na = 2\n", "x = " + "[" * 5000 + "]" * 5000, "\0",
     "[ppo]\nn_steps = " + "9" * 400, "[ppo]\nn_steps = 9999999999"],
    ids=["table", "twice", "deep", "nul", "huge", "large"],
)  # fmt: skip
def test_a_broken_file_is_one_line(tui: Run, tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    for words in (["run", "--no-ui"], ["config", "validate"], ["config", "show"]):
        done = tui(*words, str(path))
        assert "broken.toml" in done.complaint
        assert done.code == 2


def test_a_file_that_is_no_text_is_one_line(tui: Run, tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(bytes(range(256)) * 8)
    assert "binary.toml" in tui("config", "validate", str(path)).complaint
    assert "is a directory" in tui("config", "validate", f"{tmp_path}/").complaint.lower()


def test_a_setting_of_the_environment_is_judged_too(tmp_path: Path) -> None:
    environment = {**p.environment(tmp_path), "TUI_TRAINER_PPO__GAMA": "1"}
    done = subprocess.run(p.command("config", "show"), env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == "tui-trainer: environment: ppo.gama is not a setting; did you mean ppo.gamma?\n"
    assert done.returncode == 2


def test_a_name_in_use_is_refused_and_what_is_there_stays(tui: Run, root: Path) -> None:
    Session.create(root, "taken", resolve([]), {})
    before = (root / "taken/session.toml").read_bytes()
    done = tui("run", "--no-ui", "--name", "taken", "debug")
    assert "session taken exists" in done.complaint
    assert done.code == 2
    assert (root / "taken/session.toml").read_bytes() == before


@pytest.mark.parametrize("text", ["", "format = 1", "format = 999", "[[[", "format = 1\nname = 3"])
@pytest.mark.parametrize(
    "command", ["sessions show", "resume", "resume --no-ui", "resume --detach", "eval", "config show", "wait"]
)
def test_a_damaged_session_is_named_and_untouched(tui: Run, root: Path, command: str, text: str) -> None:
    Session.create(root, "ill", resolve([]), {})
    file = root / "ill/session.toml"
    file.write_text(text)
    done = tui(*command.split(), "ill")
    assert "session.toml" in done.complaint
    assert done.code == 2
    assert file.read_text() == text


def test_a_damaged_session_can_be_listed_and_deleted(tui: Run, root: Path) -> None:
    Session.create(root, "ill", resolve([]), {})
    (root / "ill/session.toml").write_text("[[[")
    listed = tui("sessions", "list")
    assert "damaged" in listed.out
    assert listed.code == 0
    assert tui("sessions", "rm", "ill", "--yes").code == 0
    assert not (root / "ill").exists()


def test_a_directory_that_cannot_be_written_is_exit_code_4(tui: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = tui("run", "--no-ui", "--sessions", str(tmp_path / "file"), "debug")
    assert done.complaint
    assert done.code == 4


def test_deleting_asks_and_without_a_terminal_needs_yes(tui: Run, root: Path) -> None:
    Session.create(root, "mine", resolve([]), {})
    done = tui("sessions", "rm", "mine")
    assert "say --yes" in done.complaint
    assert done.code == 2
    assert (root / "mine").is_dir()


@pytest.fixture
def own_modules(tmp_path: Path) -> Iterator[Path]:
    """A directory whose modules can be imported."""
    sys.path.append(str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))


def test_a_bug_is_one_line_with_its_traceback_in_a_file(tui: Run, own_modules: Path) -> None:
    (own_modules / "unlucky.py").write_text("def make(options, num_envs, limit):\n    raise RuntimeError('no luck')\n")
    done = tui("tasks", "show", "unlucky:make")
    assert "failed: RuntimeError: no luck" in done.complaint
    assert done.code == 1
    traceback = Path(done.complaint.rpartition(" ")[2])
    assert "no luck" in traceback.read_text()
    traceback.unlink()


def test_a_module_that_leaves_the_process_is_a_failure(tui: Run, own_modules: Path) -> None:
    (own_modules / "leaver.py").write_text("raise SystemExit(0)\n")
    done = tui("tasks", "show", "leaver:make")
    assert "exit(0) was called" in done.complaint
    assert done.code == 1


@pytest.mark.parametrize("words", ["run", "run --seed 3", "attach", "replay a", "resume a"])
def test_the_app_without_a_terminal_says_use_no_ui(tmp_path: Path, words: str) -> None:
    session = Session.create(tmp_path, "a", resolve([]), {})
    session.write_status("interrupted")
    done = p.run(tmp_path, *words.split())
    assert done.returncode == 2
    assert done.stderr == "tui-trainer: stdin is not a terminal; use --no-ui\n"
    assert done.stdout == ""
    assert p.names(tmp_path) == ["a"]
