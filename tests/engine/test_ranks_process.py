"""Ranks as processes: what is killed, and what a person then finds."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.process import TINY, command, environment, journal, names, run, wait_for
from tests.engine.process import start_cold as start_process
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.store import Session

DQN = ("--algorithm=dqn", "--set=dqn.learning_starts=100", "--set=dqn.hidden=[8]", "--set=dqn.buffer_size=2000")
LONG_S = 150.0
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def family(session: Path) -> dict[str, psutil.Process]:
    """The processes of a session's run by what they are: launcher, torchrun, rank0, rank1 ..."""
    found = {}
    for process in psutil.process_iter():
        try:
            words, env = process.cmdline(), process.environ()
        except psutil.Error:
            continue
        if env.get("TUI_TRAINER_SESSIONS") != str(session.parent):
            continue  # somebody else's run of that name
        if not any(str(session) in word or f"--name={session.name}" == word for word in words):
            continue
        kind = "torchrun" if "torch.distributed.run" in words else "launcher"
        found[f"rank{env['RANK']}" if "RANK" in env else kind] = process
    return found


def states(session: Path) -> dict[int, str]:
    """Hash of the newest state by update."""
    return {m.update: m.state_sha256 for m in reversed(CheckpointStore(session).manifests())}


class Started:
    """`run --nproc 2` under way."""

    def __init__(self, root: Path, *words: str, name: str = "a") -> None:
        self.session = root / name
        more = ("--set=run.step_delay_s=0.1", "--set=manager.termination.max_hours=1", *words)
        self.process = start_process(root, "run", "--no-ui", "--nproc=2", f"--name={name}", *TINY, *more)

    def saved(self, count: int) -> dict[str, psutil.Process]:
        """Its processes once there are so many checkpoints and both ranks are there."""
        wait_for(lambda: len(names(self.session / "checkpoints")) >= count, LONG_S)
        return wait_for(lambda: found if {"rank0", "rank1"} <= (found := family(self.session)).keys() else None, LONG_S)


@pytest.fixture
def leaves_nothing(tmp_path: Path) -> Iterator[Path]:
    """A root of which no process is left in the end."""
    yield tmp_path
    wait_for(lambda: not [f for name in names(tmp_path) for f in family(tmp_path / name)], 30)


@pytest.mark.parametrize("algorithm", [(), DQN], ids=["ppo", "dqn"])
def test_a_run_that_was_interrupted_ends_with_the_same_bits(leaves_nothing: Path, algorithm: tuple[str, ...]) -> None:
    root = leaves_nothing
    words = ("run", "--no-ui", "--nproc=2", *TINY, *algorithm)
    assert run(root, *words, "--name=whole", "--max-updates=12", timeout=LONG_S).returncode == 0
    assert run(root, *words, "--name=parts", "--max-updates=7", timeout=LONG_S).returncode == 0
    assert run(root, "resume", "parts", "--no-ui", "--max-updates=12", timeout=LONG_S).returncode == 0
    assert states(root / "parts")[12] == states(root / "whole")[12]
    (resumed,) = [e for e in journal(root / "parts") if e["type"] == "RunResumed"]
    assert resumed["exact"]
    again = run(root, "rerun", "parts", timeout=LONG_S)
    assert (again.returncode, again.stdout.count("equal")) == (0, len(states(root / "parts")))


@pytest.mark.parametrize("algorithm", [(), DQN], ids=["ppo", "dqn"])
@pytest.mark.parametrize("rank", ["rank0", "rank1"])
def test_a_killed_rank_is_replaced_and_nothing_saved_is_lost(
    leaves_nothing: Path, rank: str, algorithm: tuple[str, ...]
) -> None:
    root = leaves_nothing
    started = Started(root, *algorithm, "--max-updates=30")
    victims = started.saved(2)
    before = states(started.session)
    victims[rank].kill()
    assert started.process.wait(LONG_S) == 0
    history = journal(started.session)
    (resumed,) = [e for e in history if e["type"] == "RunResumed"]
    assert resumed["exact"]
    assert resumed["from_update"] >= max(before)
    assert before.items() <= states(started.session).items()
    whole = Started(root, *algorithm, "--max-updates=30", name="whole")
    assert whole.process.wait(LONG_S) == 0
    assert states(started.session)[30] == states(whole.session)[30]


@pytest.mark.parametrize("algorithm", [(), DQN], ids=["ppo", "dqn"])
@pytest.mark.parametrize("who", ["launcher", "torchrun"])
def test_a_killed_launcher_takes_the_ranks_along_after_they_have_saved(
    leaves_nothing: Path, who: str, algorithm: tuple[str, ...]
) -> None:
    started = Started(leaves_nothing, *algorithm)
    victims = started.saved(1)
    victims[who].kill()
    started.process.wait(LONG_S)
    wait_for(lambda: not family(started.session), LONG_S)
    status = Session.open(started.session).read().status
    assert status.state == "interrupted"
    assert status.update == max(states(started.session))
    assert Session.open(started.session).owner() is None


def test_a_stop_and_a_signal_end_all_ranks_with_the_runs_exit_code(leaves_nothing: Path) -> None:
    root = leaves_nothing
    started = Started(root)
    started.saved(1)
    assert run(root, "pause", "a").returncode == 0
    assert run(root, "set", "a", "ppo.learning_rate=1e-5").returncode == 0
    assert run(root, "resume", "a").returncode == 0
    assert run(root, "stop", "a").returncode == 0
    assert started.process.wait(LONG_S) == 0
    assert run(root, "rerun", "a", timeout=LONG_S).returncode == 0
    again = Started(root, '--set=run.on_term="requeue"', name="b")
    again.saved(1)
    again.process.send_signal(signal.SIGTERM)
    assert again.process.wait(LONG_S) == 75


def test_a_session_is_owned_while_its_ranks_are_replaced(leaves_nothing: Path) -> None:
    """`wait` and views must not take a restart for the end."""
    started = Started(leaves_nothing, "--max-updates=25")
    victims = started.saved(1)
    victims["rank0"].kill()
    victims["rank0"].wait(30)
    waited = run(leaves_nothing, "wait", "a", timeout=LONG_S)
    assert (waited.returncode, started.process.wait(LONG_S)) == (0, 0)


def test_too_many_losses_end_the_run_and_say_so(leaves_nothing: Path) -> None:
    started = Started(leaves_nothing, "--set=run.max_restarts=0")
    started.saved(1)["rank1"].kill()
    assert started.process.wait(LONG_S) == 1
    assert started.process.stderr is not None
    assert "exit code 1" in started.process.stderr.read()
    assert Session.open(started.session).read().status.state == "crashed"


def test_plain_torchrun_runs_the_same_engine_and_begins_again_after_a_loss(leaves_nothing: Path) -> None:
    root = leaves_nothing
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    words = [*torchrun, *command("run", "--no-ui", "--name=a", "--max-updates=25", *TINY)[1:]]
    words.append("--set=run.step_delay_s=0.1")
    process = subprocess.Popen(words, env=environment(root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: names(root / "a" / "checkpoints"), LONG_S)
    ranks = [p for p in psutil.Process(process.pid).children(recursive=True) if p.environ().get("RANK") == "1"]
    ranks[0].kill()
    assert process.wait(LONG_S) == 0
    kinds = [event["type"] for event in journal(root / "a")]
    assert kinds.count("RunStarted") == kinds.count("RunResumed") == 1
    assert max(states(root / "a")) == 25


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 4)])
def test_another_number_of_ranks_goes_on_and_says_so(leaves_nothing: Path, before: int, after: int) -> None:
    root = leaves_nothing
    words = ("run", "--no-ui", f"--nproc={before}", *TINY, "--name=a", "--max-updates=6")
    assert run(root, *words, timeout=LONG_S).returncode == 0
    more = ("--max-updates=9", f"--set=run.nproc={after}")
    assert run(root, "resume", "a", "--no-ui", *more, timeout=LONG_S).returncode == 0
    (resumed,) = [e for e in journal(root / "a") if e["type"] == "RunResumed"]
    assert not resumed["exact"]
    assert f"ranks was {before}, is {after}, episodes began anew" in resumed["note"]
    assert max(states(root / "a")) == 9


def test_seeds_take_the_devices_in_turn(leaves_nothing: Path) -> None:
    root = leaves_nothing
    words = ("--seeds=1-3", "--devices=cpu,auto", "--name=s", "--max-updates=1", "--jobs=1", *TINY)
    assert run(root, "run", *words, "--detach", timeout=LONG_S).returncode == 0
    found = [tomllib.loads((root / f"s-s{seed}" / "session.toml").read_text()) for seed in (1, 2, 3)]
    devices: list[Any] = [each["config"]["run"]["device"] for each in found]
    assert devices == ["cpu", "auto", "cpu"]
    for seed in (1, 2, 3):
        run(root, "wait", f"s-s{seed}", timeout=LONG_S)
