"""The duel's process: loads the sample's checkpoint, answers, tells what is wrong, and dies with whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_trainer.client.duel import DuelProcess
from tui_trainer.core import duel as d
from tui_trainer.errors import TuiTrainerError, UsageError

ROOT = Path(__file__).parents[2]
SAMPLE = str(ROOT / "sessions/sample")

PARENT = """
import sys, time
from tui_trainer.client.duel import DuelProcess
from tui_trainer.core.duel import Open
print(DuelProcess(Open(source=sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def process() -> Iterator[DuelProcess]:
    duel = DuelProcess(d.Open(source=SAMPLE, rival=d.PERSON, first=d.PERSON))
    yield duel
    duel.close()


def test_it_says_what_it_has_loaded(process: DuelProcess) -> None:
    assert process.opened.task == "connect_four"
    assert process.opened.players == 2
    assert "minimax-5" in process.opened.rivals
    assert "u1000" in process.opened.label


def test_a_move_is_answered_with_probabilities_that_sum_to_one(process: DuelProcess) -> None:
    process.ask(d.NewGame())
    now = process.ask(d.NewGame())
    assert isinstance(now, d.Position)
    now = process.ask(d.Play(move="4")) if now.player == d.PERSON else process.ask(d.Go())
    assert isinstance(now, d.Position)
    assert sum(move.probability for move in now.moves) == pytest.approx(1, abs=1e-4)
    assert now.value is not None


def test_an_illegal_move_is_declined_and_the_game_goes_on(process: DuelProcess) -> None:
    now = process.ask(d.NewGame())
    assert isinstance(now, d.Position)
    if now.player == d.LEARNER:
        process.ask(d.Go())
    assert isinstance(process.ask(d.Play(move="0")), d.Declined)
    assert isinstance(process.ask(d.Play(move="1")), d.Position)


def test_a_greedy_learner_plays_what_it_likes_best(process: DuelProcess) -> None:
    now = process.ask(d.NewGame())
    assert isinstance(now, d.Position)
    if now.player == d.PERSON:
        now = process.ask(d.Play(move="4"))
    assert isinstance(now, d.Position)
    assert now.best is not None
    after = process.ask(d.Go())
    assert isinstance(after, d.Position)
    assert after.line[-1] == now.best.name


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (d.Open(source=SAMPLE, checkpoint="99"), "has no checkpoint 99"),
        (d.Open(source=SAMPLE, rival="minimax3"), "did you mean minimax-3"),
        (d.Open(source="nowhere.pt"), "nowhere.pt: cannot be read"),
    ],
)
def test_what_is_wrong_is_an_error_of_ours(wish: d.Open, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        DuelProcess(wish)


def gone(pid: int, within_s: float = 60.0) -> bool:
    end = time.perf_counter() + within_s
    while time.perf_counter() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_closing_ends_it_and_a_killed_one_is_said_to_be_gone() -> None:
    duel = DuelProcess(d.Open(source=SAMPLE))
    os.kill(duel.pid, signal.SIGKILL)
    with pytest.raises(TuiTrainerError, match="the process that plays is gone"):
        duel.ask(d.NewGame())
    duel.close()
    assert gone(duel.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_dies_with_a_parent_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, SAMPLE], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid, 0.2)
        parent.kill()
    assert gone(pid)
