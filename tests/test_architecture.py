"""The shape of the code: what may import what, what loads when, and where broad catches and prints are allowed."""

from __future__ import annotations

import ast
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_trainer.algorithms import ALGORITHMS
from tui_trainer.tasks import TASKS
from tui_trainer.training.rules import RULES
from tui_trainer.ui.panels import PANELS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tui_trainer"
SOURCES = sorted(PACKAGE.rglob("*.py"))
DEBUG = ("run", "debug", "--no-ui", "--max-updates=1", "--set=manager.evaluation.final_episodes=0")

PROCESS_BOUNDARIES = {
    "cli/main.py": "the command's last line: a bug of ours is one line, its traceback lies in a file",
    "engine/loop.py": "foreign code of tasks, and every phase: becomes a report to the manager",
    "engine/main.py": "the engine's last line: whatever is left becomes an exit code and a crash report",
    "engine/ranks.py": "foreign code of tasks on another rank: becomes a word to rank 0",
    "engine/callbacks.py": "foreign code of users: a failing hook is switched off",
    "services/outlet.py": "foreign programs, servers and libraries: what they raise is told once",
    "tasks/check.py": "the conformance kit: what a foreign task raises is what its author must know",
    "data/worker.py": "foreign libraries: whatever ends a job there, panics included, is that job's failure",
    "tasks/remote/worker.py": "foreign environments in a process of their own: what they raise is told to the engine",
    "tasks/failures.py": "foreign code of tasks: what a step raises costs its episode, counted and told",
    "guests/guest.py": "between us and somebody else's script: what breaks in us ends the recording, never the script",
    "guests/hosted.py": "foreign code of a script: a state or a setting that fails costs that order",
    "guests/script.py": "foreign objects of a script: a value that cannot be read costs itself",
    "ui/frame.py": "a failing panel costs that panel and nothing else",
}
"""Where `except Exception` is allowed, and why. Anything new here needs a reason that good."""

PRINTERS = {
    "engine/main.py": "the foreground engine's last words on stderr, after every view is gone",
    "guests/life.py": "a script's stderr: where it is recorded, and why no more",
    "launch/ranks.py": "the detached launcher's last words, for the session's log",
}
"""Outside cli and headless, who may print."""


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_one_class_is_called_manager() -> None:
    names = [node.name for path in SOURCES for node in ast.walk(parsed(path)) if isinstance(node, ast.ClassDef)]
    assert [name for name in names if name.endswith("Manager")] == ["TrainingManager"]


# --- errors and output ---------------------------------------------------------------------------------------------


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Catches Exception or more, alone or in a tuple, and does not raise again at once."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = any(kind is None or (isinstance(kind, ast.Name) and kind.id in BROAD) for kind in kinds)
    last = handler.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


BROAD = ("Exception", "BaseException")


def broad_catches(path: Path) -> list[int]:
    return [node.lineno for node in ast.walk(parsed(path)) if isinstance(node, ast.ExceptHandler) and is_broad(node)]


def test_exceptions_are_caught_broadly_at_process_boundaries_only() -> None:
    found = {relative(path): lines for path in SOURCES if (lines := broad_catches(path))}
    assert set(found) == set(PROCESS_BOUNDARIES), found


@pytest.mark.parametrize(
    ("code", "broad"),
    [
        ("except Exception as e:\n  log(e)", True),
        ("except:\n  pass", True),
        ("except (OSError, BaseException):\n  pass", True),
        ("except BaseException:\n  clean()\n  raise", False),
        ("except (OSError, ValueError):\n  pass", False),
    ],
)
def test_a_broad_catch_is_recognised(code: str, broad: bool) -> None:
    handler = next(n for n in ast.walk(ast.parse(f"try:\n  x()\n{code}")) if isinstance(n, ast.ExceptHandler))
    assert is_broad(handler) is broad


def prints(path: Path) -> bool:
    calls = (node.func for node in ast.walk(parsed(path)) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Name) and call.id == "print" for call in calls)


def test_only_the_command_line_and_headless_print() -> None:
    found = {relative(path) for path in SOURCES if prints(path)}
    assert {name for name in found if not name.startswith(("cli/", "headless/"))} == set(PRINTERS)


# --- one file each -------------------------------------------------------------------------------------------------


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def module_path(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def modules_of(registry: str) -> set[str]:
    match registry:
        case "tasks":
            return {entry.factory.partition(":")[0] for entry in TASKS.values()}
        case "algorithms":
            return {entry.factory.partition(":")[0] for entry in ALGORITHMS.values()}
        case "rules":
            return {rule.__module__ for rule in RULES.values()}
        case _:
            return {panel.render.__module__ for panel in PANELS.values()}


@pytest.mark.parametrize("registry", ["tasks", "algorithms", "rules"])
def test_what_is_registered_stands_alone(registry: str) -> None:
    modules = modules_of(registry)
    for module in modules:
        assert set(imported(module_path(module))) & (modules - {module}) == set(), module


@pytest.mark.parametrize("name", ["rules", "panels"])
def test_every_file_of_a_registry_is_registered_or_a_helper(name: str) -> None:
    folder = {"rules": PACKAGE / "training/rules", "panels": PACKAGE / "ui/panels"}[name]
    helpers = {"__init__", "curves", "texts"}
    assert {path.stem for path in folder.glob("*.py")} - helpers == {m.rpartition(".")[2] for m in modules_of(name)}


# --- what loads ----------------------------------------------------------------------------------------------------

PROBE = """
import os, sys
sys.argv = ["tui-trainer", *sys.argv[1:]]
from tui_trainer.cli.main import entry
try:
    entry()
except SystemExit:
    pass
finally:
    heavy = ("torch", "numpy", "textual", "psutil", "plotext", "gymnasium")
    with open(os.environ["LOADED"], "w") as file:
        print(*(name for name in heavy if name in sys.modules), file=file)
"""


def loaded(tmp_path: Path, *words: str) -> set[str]:
    """Which heavy libraries the command imported; the file stands apart from what the engine does to stderr."""
    report = tmp_path / "loaded"
    environment = {
        **os.environ, "TUI_TRAINER_SESSIONS": str(tmp_path / "s"), "OMP_NUM_THREADS": "1", "LOADED": str(report),
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", PROBE, *words],
        cwd=ROOT, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=170, check=False,
    )  # fmt: skip
    return set(report.read_text().split())


@pytest.mark.parametrize(
    "words",
    [
        "--help", "run --help", "attach --help", "replay --help", "sessions list", "sessions list --json", "tasks list",
        "config show debug", "pause", "resume", "accept", "reject", "undo", "checkpoint",
        "watch --help", "play --help", "play nobody --no-ui", "watch nobody",
        "stop", "wait", "set nobody ppo.learning_rate=1e-3", "run-for nobody 3", "replay nobody --no-ui", "attach",
    ],
)  # fmt: skip
def test_lists_orders_and_help_load_nothing_heavy(tmp_path: Path, words: str) -> None:
    assert loaded(tmp_path, *words.split()) == set()


def test_a_run_without_a_screen_loads_no_textual(tmp_path: Path) -> None:
    found = loaded(tmp_path, *DEBUG)
    assert "torch" in found
    assert "textual" not in found


def test_a_printed_replay_loads_no_torch_no_numpy_and_no_textual(tmp_path: Path) -> None:
    loaded(tmp_path, *DEBUG, "--name=short")
    assert loaded(tmp_path, "replay", "short", "--no-ui") & {"torch", "numpy", "textual"} == set()
    assert loaded(tmp_path, "sessions", "show", "short") == set()


@pytest.mark.parametrize("words", ["watch sample --no-ui", "play sample --no-ui"])
def test_a_game_without_a_screen_loads_no_torch_no_numpy_and_no_textual(tmp_path: Path, words: str) -> None:
    assert loaded(tmp_path, *words.split()) & {"torch", "numpy", "textual"} == set()


def test_the_app_loads_no_torch_and_no_numpy() -> None:
    modules = "tui_trainer.ui.app, tui_trainer.ui.duel, tui_trainer.client.live, tui_trainer.client.replay"
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "numpy", "psutil"} & set(done.stdout.split()) == set()


FIRST_FRAME = """
import os, sys
import tui_trainer.launch.spawn as spawn
from tui_trainer.cli.main import execute
spawn.spawn_words = lambda words, log_path: None  # no engine: only the view is looked at
execute(["run", "--name=first"])
"""


def test_the_first_frame_waits_for_nothing_that_it_does_not_show(tmp_path: Path) -> None:
    """Other screens, other commands, rules, tasks and everything heavy come in when they are wanted."""
    report, (master, slave) = tmp_path / "loaded", pty.openpty()
    environment = {
        **os.environ, "TUI_TRAINER_SESSIONS": str(tmp_path / "s"), "LOADED": str(report), "TERM": "xterm-256color",
        "TEXTUAL_DRIVER": "tests.ui.first_frame:FirstFrame",
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", FIRST_FRAME],
        cwd=ROOT, env=environment, stdin=slave, stdout=slave, check=True, timeout=170,
    )  # fmt: skip
    os.close(master)
    os.close(slave)
    loaded = report.read_text().split()
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    ours = {name for name in loaded if name.startswith("tui_trainer.")}
    assert {name.split(".")[1] for name in ours} & {"headless", "reports", "studies", "telemetry", "training"} == set()
    assert {name for name in ours if name.startswith(("tui_trainer.tasks.", "tui_trainer.algorithms."))} == set()
    assert {name.removeprefix("tui_trainer.ui.") for name in ours} & OTHER_SCREENS == set()
    assert len(loaded) < 700, "what else has come in?"


HEAVY = {
    "torch",
    "numpy",
    "textual_serve",
    "psutil",
    "plotext",
    "gymnasium",
    "matplotlib",
    "optuna",
    "pynvml",
    "polars",
}
OTHER_SCREENS = {"board", "browser", "compare", "contrast", "duel", "form", "pty", "shelf", "study", "tables", "trials"}
