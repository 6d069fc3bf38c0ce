"""Signals to the real `run --no-ui`: once asks, twice stops at once, a stop of the process is no training time."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import termios
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.engine import process as p
from tests.warm import Warm, WarmTerminal
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.store import Session

ENDLESS = ("run", "--no-ui", *p.TINY, "--name=a", "--max-updates=1000000", "--set=manager.checkpoints.keep_last=3")
AGAIN = ("resume", "a", "--no-ui", "--max-updates=1000000")
LOADED_S = 3.0
"""Room for a busy machine; an idle one needs none, as the published figures show."""


class Ending(NamedTuple):
    """How a run took a SIGTERM."""

    seconds: float
    code: int | None
    problems: list[str]


def terminate(terminal: WarmTerminal, session: Path, delay_s: float) -> Ending:
    """SIGTERM so long after training began; what is wrong with the exit, the checkpoint or the terminal."""
    terminal.wait_for_any(" start ", " resume ")
    terminal.read_for(delay_s)
    settings = termios.tcgetattr(terminal.fd)
    began = time.monotonic()
    os.kill(terminal.pid, signal.SIGTERM)
    code = terminal.exit_code()
    seconds = time.monotonic() - began
    while terminal.read(0.05):
        pass
    return Ending(seconds, code, [*_spoilt(terminal, settings), *_unsaved(session)])


def _spoilt(terminal: WarmTerminal, settings: list[object]) -> list[str]:
    drawn = terminal.seen
    problems = []
    if b"\x1b" in drawn:
        problems.append("an escape sequence was written")
    if not drawn.endswith(b"\n"):
        problems.append(f"the last line is open: {drawn[-60:]!r}")
    if termios.tcgetattr(terminal.fd) != settings:
        problems.append("the terminal's settings changed")
    return problems


def _unsaved(session: Path) -> list[str]:
    last = p.journal(session)[-1]
    if last["type"] != "RunEnded":
        return [f"the journal ends with {last['type']}"]
    newest = CheckpointStore(session).newest_good()
    wrong = newest.problems or newest.manifest.update != last["update"] or last["checkpoint"] != newest.manifest.path
    return [f"ended at {last['update']}, {newest.manifest.path} saved, {newest.problems}"] if wrong else []


def terminate_often(warm: Warm, root: Path, times: int, seed: int) -> list[Ending]:
    """One session, ended by SIGTERM again and again at random times."""
    chance, endings = random.Random(seed), []
    for number in range(times):
        terminal = warm.terminal(root, *(AGAIN if number else ENDLESS))
        endings.append(terminate(terminal, root / "a", chance.uniform(0.0, 0.4)))
        terminal.close()
    return endings


def test_sigterm_at_any_time_saves_leaves_the_terminal_clean_and_exits_with_143(warm: Warm, root: Path) -> None:
    endings = terminate_often(warm, root, 6, seed=1)
    assert [ending.problems for ending in endings] == [[]] * 6
    assert {ending.code for ending in endings} == {143}
    assert min(ending.seconds for ending in endings) < 1 + LOADED_S, "nothing is waited for that takes longer"


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_two_hundred_sigterms_end_within_an_update_and_a_second(warm: Warm, root: Path) -> None:
    endings = terminate_often(warm, root, 200, seed=2)
    assert [ending for ending in endings if ending.problems or ending.code != 143] == []
    is_busy = os.getloadavg()[1] > (os.cpu_count() or 1)
    assert sorted(ending.seconds for ending in endings)[197] < 1.1 + is_busy * LOADED_S


def test_a_second_signal_at_any_time_leaves_the_newest_acknowledged_checkpoint_intact(warm: Warm, root: Path) -> None:
    chance = random.Random(3)
    run = warm.start(root, *ENDLESS, "--json", "--set=manager.checkpoints.every_updates=1")
    seconds = []
    for _ in range(4):
        told = run.until("CheckpointSaved")
        time.sleep(chance.uniform(0.0, 0.1))
        run.send(signal.SIGTERM)
        run.send(signal.SIGINT)
        began = time.monotonic()
        code = run.wait()
        told += list(run.events())
        assert code in (130, 143), "130 where the second found it still at work"
        seconds.append(time.monotonic() - began)
        saved = max(e["at_update"] for e in told if e["type"] == "CheckpointSaved")
        newest = CheckpointStore(root / "a").newest_good()
        assert newest.manifest.update >= saved
        assert not newest.problems
        assert Session.open(root / "a").owner() is None
        run = warm.start(root, *AGAIN, "--json")
    run.kill()
    assert min(seconds) < 1 + LOADED_S


def test_a_stopped_process_counts_no_time(warm: Warm, root: Path) -> None:
    """SIGTSTP and SIGCONT, as ctrl+z and fg send them: neither SPS, phase times nor hours of running hold the gap."""
    run = warm.start(root, *ENDLESS, "--step-delay=0.005")
    p.wait_for(lambda: updates(root)[-1:] > [20])
    run.send(signal.SIGTSTP)
    p.wait_for(lambda: state_of(run.pid) == "T")
    before = updates(root)[-1]
    time.sleep(2.0)
    run.send(signal.SIGCONT)
    p.wait_for(lambda: updates(root)[-1] > before + 20)
    assert run.stop() == 143
    told = [e for e in p.journal(root / "a") if e["type"] == "UpdateFinished"]
    around = [pair for pair in itertools.pairwise(told) if pair[0]["update"] in (before, before + 1)]
    sooner, later = max(around, key=lambda pair: pair[1]["time"] - pair[0]["time"])
    trained = later["time"] - sooner["time"] - 1.9
    assert trained > 0, "the stop lies between two updates"
    assert later["elapsed_s"] - sooner["elapsed_s"] < trained
    assert sum(later["seconds"].values()) < trained
    assert later["sps"] > 64 / trained, "an update has 64 steps, whatever else the machine did meanwhile"


def updates(root: Path) -> list[int]:
    """Update numbers in the journal so far; its last line may be under way."""
    journal = root / "a" / "events.jsonl"
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    return [event["update"] for event in map(json.loads, lines) if event["type"] == "UpdateFinished"]


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_stopping_and_continuing_under_a_terminal_leaves_it_in_order(warm: Warm, root: Path) -> None:
    terminal = warm.terminal(root, *ENDLESS)
    terminal.wait_for(b" start ")
    p.wait_for(lambda: updates(root))
    os.kill(terminal.pid, signal.SIGTSTP)
    terminal.wait_until_stopped()
    assert terminal.seen.rstrip(b" ").endswith((b"\r", b"\n")), "the shell's prompt begins a line"
    os.kill(terminal.pid, signal.SIGCONT)
    before = updates(root)[-1]
    p.wait_for(lambda: updates(root)[-1] > before + 20)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.exit_code() == 143
    terminal.close()


@pytest.mark.long
def test_signals_in_the_final_evaluation_end_it_and_it_is_done_again_at_a_resume(warm: Warm, root: Path) -> None:
    """The first one lets it finish, as any phase; everything has been saved by then."""
    words = [word for word in p.TINY if "final_episodes" not in word]
    many = "--set=manager.evaluation.final_episodes=20000"
    run = warm.start(root, "run", "--no-ui", "--json", *words, many, "--name=a", "--max-updates=6")
    run.until("CheckpointSaved", at_update=6)
    while run.poll() is None:
        run.send(signal.SIGTERM)
        time.sleep(0.5)
    assert run.poll() == 143
    done = warm.run(root, "resume", "a", "--no-ui", "--set=manager.evaluation.final_episodes=4")
    assert (done.returncode, "unseen seeds" in done.stdout) == (0, True), done.stderr
    assert warm.run(root, "sessions", "verify", "a").returncode == 0
